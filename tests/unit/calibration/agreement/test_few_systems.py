"""A handful of systems: exact p-values against counting, intervals against simulation."""

from __future__ import annotations

import math
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from calibration.agreement.small_sample import bonett_wright, permutation_p

RNG = np.random.default_rng(0)


def test_the_interval_by_hand() -> None:
    """At rho .5, n 11: z = .549 +- 1.96 sqrt(1.125 / 8) = .735, so -.184 to .858, 1.04 wide."""
    found = bonett_wright(0.5, 11)
    assert found.lower == pytest.approx(-0.184, abs=5e-4)
    assert found.upper == pytest.approx(0.858, abs=5e-4)
    assert found.width == pytest.approx(1.04, abs=5e-3)


def test_the_interval_covers() -> None:
    """Of 2,000 samples of 40 normal pairs, 93 to 97 in 100 cover rho = (6 / pi) asin(r / 2)."""
    rng = np.random.default_rng(1)
    r = 0.6
    truth = 6 / math.pi * math.asin(r / 2)
    x = rng.normal(size=(2000, 40))
    y = r * x + math.sqrt(1 - r * r) * rng.normal(size=x.shape)
    ranks = [np.argsort(np.argsort(side, axis=1), axis=1) - 19.5 for side in (x, y)]
    rho = (ranks[0] * ranks[1]).sum(axis=1) / (ranks[0] ** 2).sum(axis=1)
    intervals = [bonett_wright(float(value), 40) for value in rho]
    share = np.mean([i.lower <= truth <= i.upper for i in intervals])
    assert 0.93 <= share <= 0.97


@pytest.mark.parametrize(
    ("rho", "n", "reason"),
    [(1.0, 11, "perfect"), (-1.0, 11, "perfect"), (0.5, 3, "4 pairs"), (math.nan, 11, "undefined")],
)
def test_no_interval_where_the_formula_has_none(rho: float, n: int, reason: str) -> None:
    """A perfect rho of eleven systems is not known to be perfect: no interval of width 0."""
    found = bonett_wright(rho, n)
    assert all(map(math.isnan, found[:3]))
    assert reason in found.reason


def test_perfect_order_of_eleven_systems() -> None:
    """Of 11! orders two are as far from none: p = 2 / 11!, not 0."""
    found = permutation_p(np.arange(11), np.arange(11) ** 3, RNG)
    assert found == (2 / math.factorial(11), 1, 11, True, "")


scores = st.integers(1, 4).map(float)


@given(st.lists(st.tuples(scores, scores), min_size=2, max_size=6))
@settings(max_examples=40)
def test_exact_equals_counting_all_orders(pairs: list[tuple[float, float]]) -> None:
    """With any ties, as many orders as a loop over all of them finds."""
    x, y = (list(side) for side in zip(*pairs, strict=True))
    found = permutation_p(x, y, RNG)
    if len(set(x)) < 2 or len(set(y)) < 2:
        assert math.isnan(found.value)
        assert found.reason == "one side is constant"
        return
    a, b = stats.rankdata(x), stats.rankdata(y)
    rho = [abs(np.corrcoef(a, order)[0, 1]) for order in permutations(b)]
    seen = abs(np.corrcoef(a, b)[0, 1])
    assert found.value == pytest.approx(np.mean(np.array(rho) >= seen - 1e-9))
    assert found.exact


def test_exact_equals_scipy() -> None:
    """The exact permutation test of scipy, of six systems."""
    x, y = np.random.default_rng(4).normal(size=(2, 6))
    reference = stats.permutation_test(
        (x,),
        lambda side: stats.spearmanr(side, y).statistic,
        permutation_type="pairings",
        n_resamples=np.inf,
    ).pvalue
    assert permutation_p(x, y, RNG).value == pytest.approx(reference)


def test_many_systems_are_drawn() -> None:
    """Beyond 12 the p-value is sampled, near the exact one, never 0, and repeats with the seed."""
    x = np.arange(30.0)
    y = x + 25 * np.random.default_rng(2).normal(size=30)
    found, again = (permutation_p(x, y, np.random.default_rng(1)) for _ in range(2))
    assert found == again
    assert not found.exact
    assert found.value == pytest.approx(stats.spearmanr(x, y).pvalue, abs=0.015)
    assert permutation_p(x, x, RNG, 99).value == 1 / 100


def test_nan_are_masked() -> None:
    """A system without one of the means is left out."""
    found = permutation_p([1, 2, 3, math.nan], [1, 2, 3, 4], RNG)
    assert (found.value, found.n) == (pytest.approx(2 / 6), 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bonett_wright(0.5, 11, 1.0), "a confidence lies"),
        (lambda: bonett_wright(1.5, 11), "rho lies"),
        (lambda: permutation_p([1, 2], [1, 2], RNG, 0), "at least one resample"),
        (lambda: permutation_p([1, 2], [1], RNG), "one length"),
    ],
)
def test_bad_input_is_refused(call: Any, message: str) -> None:
    """Each thing that is no correlation of systems has its own message."""
    with pytest.raises(ValueError, match=message):
        call()
