"""Ties: what arithmetic made different stays one value, what is different stays two."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from calibration.agreement.correlation import mid_ranks, snap, tie_codes

numbers = st.lists(st.integers(-50, 50).map(float), max_size=40)


def test_noise_ties_and_difference_does_not() -> None:
    """.1 + .2 is .3; .3 and .3001 are two."""
    assert tie_codes([0.9, 0.1 + 0.2, 0.3, 0.3001]).tolist() == [2, 0, 0, 1]


def test_a_rounding_would_have_parted_them() -> None:
    """Two means on either side of a half decimal differ by 1e-16 and tie all the same."""
    below, above = np.nextafter(0.00000000005, 0), np.nextafter(0.00000000005, 1)
    assert round(float(below), 10) != round(float(above), 10)
    assert tie_codes([below + 0.0, above, 1.0]).tolist() == [0, 0, 1]


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e9])
def test_the_scale_of_a_judge_does_not_matter(scale: float) -> None:
    """Scores on 0..1e-6 or 0..1e9 tie as those on 0..1."""
    assert tie_codes(np.array([0.1 + 0.2, 0.3, 0.31]) * scale).tolist() == [0, 0, 1]


def test_small_values_beside_large_ones_stay_apart() -> None:
    """A measure over ten powers of ten orders its smallest values, too."""
    assert tie_codes([3.7e-22, 8.2e-22, 1e-18, 1e-11]).tolist() == [0, 1, 2, 3]


def test_terms_that_cancel_tie_with_nothing() -> None:
    """Scores of both signs: a mean of 0 by cancellation is 0."""
    assert (0.1 + 0.2) - 0.3 != 0
    assert tie_codes([(0.1 + 0.2) - 0.3, 0.0, 1.0]).tolist() == [0, 0, 1]


def test_equal_sums_in_any_order_tie() -> None:
    """System means of thirds: the same 1,200 scores added up in two orders have one mean."""
    scores = np.random.default_rng(0).integers(3, 16, 1200) / 3
    forward, backward = float(sum(scores)) / 1200, float(sum(scores[::-1])) / 1200
    assert forward != backward
    assert tie_codes([forward, backward, forward + 1 / 3600]).tolist() == [0, 0, 1]


@given(st.lists(st.tuples(st.integers(1, 10_000), st.integers(1, 14_000)), min_size=2, max_size=20))
def test_rational_means_tie_exactly_when_they_are_equal(sums: list[tuple[int, int]]) -> None:
    """Means between 0 and 5 of up to 14,000 whole ratings are told apart as exact fractions are."""
    exact = [min(Fraction(total % (5 * n + 1), n), Fraction(5)) for total, n in sums]
    ordered = sorted(set(exact))
    assert tie_codes([float(x) for x in exact]).tolist() == [ordered.index(x) for x in exact]


@given(numbers)
def test_ranks_equal_scipy(values: list[float]) -> None:
    """On whole numbers there is no noise, and the ranks are the usual average ranks."""
    np.testing.assert_array_equal(mid_ranks(values), stats.rankdata(values))


@given(numbers)
def test_snapping_keeps_what_is_distinct(values: list[float]) -> None:
    """Values without noise are left as they are."""
    np.testing.assert_array_equal(snap(values), values)


def test_snapped_noise_has_no_difference() -> None:
    """The difference of two values that tie is 0, in any shape."""
    assert np.ptp(snap([[0.1 + 0.2, 0.3]])) == 0


def test_nothing_and_zeros() -> None:
    """No values have no codes, and zeros tie."""
    assert tie_codes([]).size == mid_ranks([]).size == 0
    assert tie_codes([0.0, -0.0, 0.0]).tolist() == [0, 0, 0]


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_what_is_no_number_is_refused(wrong: float) -> None:
    """A NaN has no rank."""
    with pytest.raises(ValueError, match="finite"):
        tie_codes([1.0, wrong])
