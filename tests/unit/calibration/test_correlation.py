"""Spearman's rho against scipy, and what it does where scipy would mislead."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from calibration.agreement import spearman


def test_equals_scipy_with_ties() -> None:
    """Average ranks on scores with many ties."""
    rng = np.random.default_rng(2)
    x, y = rng.integers(1, 6, 200).astype(float), rng.integers(1, 6, 200).astype(float)
    assert spearman(x, y).value == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)


def test_by_hand() -> None:
    """One swap of neighbours among four: 1 - 6 * 2 / (4 * 15) = 0.8."""
    result = spearman([1, 2, 3, 4], [10, 30, 20, 40])
    assert result.value == pytest.approx(0.8)
    assert (result.n, result.masked, result.reason) == (4, 0, "")


def test_nan_pairs_are_masked_and_counted() -> None:
    """A NaN on either side takes its pair out, and no other."""
    result = spearman([1, math.nan, 2, 3, 9], [1, 5, 2, 3, math.nan])
    assert result.value == pytest.approx(1)
    assert (result.n, result.masked) == (3, 2)


def test_true_ties_tie() -> None:
    """.1 + .2 and .3 are one value: they share a rank, which unrounded ranking denies them."""
    x, tied = [0.1 + 0.2, 0.3, 0.9], [2.0, 1.0, 3.0]
    assert spearman(x, tied).value == pytest.approx(
        stats.spearmanr([0.3, 0.3, 0.9], tied).statistic
    )


@pytest.mark.parametrize(
    ("x", "y", "reason"),
    [
        ([2, 2, 2], [1, 2, 3], "constant"),
        ([1, 2, 3], [2, 2, 2], "constant"),
        ([1, math.nan], [1, 2], "fewer than 2"),
        ([], [], "fewer than 2"),
    ],
)
def test_undefined_is_nan_with_a_reason(x: list[float], y: list[float], reason: str) -> None:
    """Constant or too little input has no correlation; it is not 0."""
    result = spearman(x, y)
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
