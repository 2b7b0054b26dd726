"""The four correlations against scipy, and what they do where scipy would mislead."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from calibration.agreement.correlation import (
    CORRELATIONS,
    Coefficient,
    kendall_b,
    kendall_c,
    pearson,
    spearman,
)

SCIPY = {
    "spearman": lambda x, y: stats.spearmanr(x, y).statistic,
    "pearson": lambda x, y: stats.pearsonr(x, y).statistic,
    "kendall_b": lambda x, y: stats.kendalltau(x, y).statistic,
    "kendall_c": lambda x, y: stats.kendalltau(x, y, variant="c").statistic,
}
every = pytest.mark.parametrize("name", CORRELATIONS)


@every
def test_equals_scipy_with_ties(name: Coefficient) -> None:
    """On scores with many ties, and a different number of labels on each side."""
    rng = np.random.default_rng(2)
    x, y = rng.integers(1, 6, 200).astype(float), rng.integers(1, 4, 200).astype(float)
    assert CORRELATIONS[name](x, y).value == pytest.approx(SCIPY[name](x, y), abs=1e-12)


@pytest.mark.parametrize("name", ["kendall_b", "kendall_c"])
@pytest.mark.parametrize("labels", [(2, 2), (3, 5), (5, 90), (90, 5), (5000, 5000)])
def test_kendall_is_that_of_scipy(name: Coefficient, labels: tuple[int, int]) -> None:
    """To 13 digits, whichever side has more values, from a handful of pairs to thousands."""
    rng = np.random.default_rng(4)
    for n in (5, 12, 64, 3000):
        x, y = (rng.integers(0, most, n) for most in labels)
        if np.ptp(x) and np.ptp(y):
            expected = pytest.approx(SCIPY[name](x, y), rel=1e-13, abs=1e-15)
            assert CORRELATIONS[name](x, y).value == expected


def test_spearman_by_hand() -> None:
    """One swap of neighbours among four: 1 - 6 * 2 / (4 * 15) = 0.8."""
    result = spearman([1, 2, 3, 4], [10, 30, 20, 40])
    assert result.value == pytest.approx(0.8)
    assert (result.n, result.masked, result.reason) == (4, 0, "")


def test_kendall_by_hand() -> None:
    """Of 1 1 2 2 and 1 2 3 3: C = 4, D = 0; tau-b = 4 / sqrt(4 * 5), tau-c = 8 / (16 / 2) = 1."""
    x, y = [1, 1, 2, 2], [1, 2, 3, 3]
    assert kendall_b(x, y).value == pytest.approx(4 / math.sqrt(20))
    assert kendall_c(x, y).value == pytest.approx(1)


def test_pearson_by_hand() -> None:
    """Deviations -1 0 1 and -1 2 -1: no covariance, and with 0 1 5 it is 5 / sqrt(2 * 14)."""
    assert pearson([1, 2, 3], [0, 3, 0]).value == pytest.approx(0, abs=1e-15)
    assert pearson([1, 2, 3], [0, 1, 5]).value == pytest.approx(5 / math.sqrt(28))


@every
def test_nan_pairs_are_masked_and_counted(name: Coefficient) -> None:
    """A NaN on either side takes its pair out, and no other."""
    result = CORRELATIONS[name]([1, math.nan, 2, 3, 9], [1, 5, 2, 3, math.nan])
    assert result.value == pytest.approx(1)
    assert (result.n, result.masked) == (3, 2)


def test_scipy_omits_into_a_number() -> None:
    """Why NaN are masked here: of what "omit" leaves constant, scipy speaks with p = 1."""
    x, y = [1.0, 1.0, 1.0, math.nan], [1.0, 2.0, 3.0, 4.0]
    assert math.isnan(spearman(x, y).value)
    assert spearman(x, y).reason == "one side is constant"
    assert spearman(x, y).masked == 1


def test_true_ties_tie() -> None:
    """.1 + .2 and .3 are one value: they share a rank, which unrounded ranking denies them."""
    x, tied = [0.1 + 0.2, 0.3, 0.9], [2.0, 1.0, 3.0]
    assert spearman(x, tied).value == pytest.approx(
        stats.spearmanr([0.3, 0.3, 0.9], tied).statistic
    )
    assert kendall_b(x, tied).value == pytest.approx(
        stats.kendalltau([0.3, 0.3, 0.9], tied).statistic
    )


@every
def test_noise_is_no_variation(name: Coefficient) -> None:
    """A side that differs in the last bits only is constant, whatever those bits would say."""
    x = [0.1 + 0.2, 0.3, 0.3]
    assert stats.spearmanr(x, [3, 2, 1]).statistic > 0.8
    result = CORRELATIONS[name](x, [3, 2, 1])
    assert math.isnan(result.value)
    assert "constant" in result.reason


@every
def test_another_range_is_as_good(name: Coefficient) -> None:
    """A judge on 0..100, or on 0..1, correlates as the same judge on 1..5."""
    rng = np.random.default_rng(3)
    judge, human = rng.uniform(1, 5, 50), rng.integers(1, 6, 50)
    here = CORRELATIONS[name](judge, human).value
    for moved in (25 * (judge - 1), (judge - 1) / 4, judge * 1e-7):
        assert CORRELATIONS[name](moved, human).value == pytest.approx(here, abs=1e-9)


@every
def test_two_systems_are_in_order_or_not(name: Coefficient) -> None:
    """The fewest pairs there can be: 1 or -1."""
    assert CORRELATIONS[name]([1, 2], [3, 9]).value == pytest.approx(1)
    assert CORRELATIONS[name]([1, 2], [9, 3]).value == pytest.approx(-1)


@every
def test_a_perfect_correlation_is_one(name: Coefficient) -> None:
    """Eleven systems in the same order: 1, and not past it by rounding."""
    x = np.arange(11) / 7
    assert CORRELATIONS[name](x, x * 3.3).value == pytest.approx(1)
    assert CORRELATIONS[name](x, x * 3.3).value <= 1
    assert CORRELATIONS[name](x, -x).value >= -1


@every
@pytest.mark.parametrize(
    ("x", "y", "reason"),
    [
        ([2, 2, 2], [1, 2, 3], "constant"),
        ([1, 2, 3], [2, 2, 2], "constant"),
        ([1, math.nan], [1, 2], "fewer than 2"),
        ([], [], "fewer than 2"),
    ],
)
def test_undefined_is_nan_with_a_reason(
    name: Coefficient, x: list[float], y: list[float], reason: str
) -> None:
    """Constant or too little input has no correlation; it is not 0."""
    result = CORRELATIONS[name](x, y)
    assert math.isnan(result.value)
    assert reason in result.reason


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([1, 2], [1], "one length"),
        ([[1, 2]], [[1, 2]], "one-dimensional"),
        ([1, math.inf], [1, 2], "infinities"),
    ],
)
def test_bad_input_is_refused(x: list[float], y: list[float], message: str) -> None:
    """Each thing that is not two paired arrays has its own message."""
    with pytest.raises(ValueError, match=message):
        spearman(x, y)
