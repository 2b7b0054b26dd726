"""Laws that the clustered mean and Spearman's rho obey on any input."""

from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from calibration.agreement.correlation import spearman
from calibration.intervals import clustered_mean

scores = st.integers(10, 50).map(lambda tenths: tenths / 10)
rated = st.lists(st.tuples(scores, st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40)
pairs = st.lists(st.tuples(scores, scores), min_size=2, max_size=40)


@given(rated, st.randoms(use_true_random=False))
def test_order_and_names_of_clusters_do_not_matter(
    rows: list[tuple[float, int, int]], random: Random
) -> None:
    """The same values in another order, under other cluster names, have the same error."""
    y, a, b = zip(*rows, strict=True)
    before = clustered_mean(y, a, b)
    shuffled = [(value, f"k{9 - i}", f"s{j}") for value, i, j in rows]
    random.shuffle(shuffled)
    after = clustered_mean(*zip(*shuffled, strict=True))
    assert after.mean == pytest.approx(before.mean)
    assert after.standard_error == pytest.approx(before.standard_error, nan_ok=True, abs=1e-9)


@given(rated)
def test_the_error_scales_and_does_not_shift(rows: list[tuple[float, int, int]]) -> None:
    """SE(3 y - 7) = 3 SE(y), and the mean follows."""
    y, a, b = (np.array(column) for column in zip(*rows, strict=True))
    before, after = clustered_mean(y, a, b), clustered_mean(3 * y - 7, a, b)
    assert after.mean == pytest.approx(3 * before.mean - 7)
    assert after.standard_error == pytest.approx(3 * before.standard_error, nan_ok=True, abs=1e-9)


@given(st.lists(scores, min_size=2, max_size=40))
def test_clusters_of_one_give_the_textbook_error(y: list[float]) -> None:
    """When every value is its own cluster both ways, the error is s / sqrt(n)."""
    each = np.arange(len(y))
    expected = np.std(y, ddof=1) / math.sqrt(len(y))
    assert clustered_mean(y, each, each).standard_error == pytest.approx(expected, abs=1e-12)


@given(rated)
def test_certainty_is_never_invented(rows: list[tuple[float, int, int]]) -> None:
    """The error is 0 only where all values are equal."""
    y, a, b = zip(*rows, strict=True)
    if clustered_mean(y, a, b).standard_error == 0:
        assert len(set(y)) == 1


@given(pairs)
def test_rho_equals_scipy_where_it_is_defined(rows: list[tuple[float, float]]) -> None:
    """Agreement with scipy on any data that varies on both sides."""
    x, y = zip(*rows, strict=True)
    assume(len(set(x)) > 1 and len(set(y)) > 1)
    assert spearman(x, y).value == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)


@given(pairs)
def test_rho_sees_order_only_and_changes_sign_with_it(rows: list[tuple[float, float]]) -> None:
    """A rising transformation leaves rho, a falling one turns its sign."""
    x, y = (np.array(column) for column in zip(*rows, strict=True))
    rho = spearman(x, y).value
    assert spearman(x**3, y).value == pytest.approx(rho, nan_ok=True)
    assert spearman(-x, y).value == pytest.approx(-rho, nan_ok=True)
