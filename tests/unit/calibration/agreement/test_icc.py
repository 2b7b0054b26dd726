"""Intraclass correlations against the example of Shrout and Fleiss (1979), and simple laws."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

from calibration.agreement.icc import intraclass_correlations

SHROUT_FLEISS = [
    [9, 2, 5, 8],
    [6, 1, 3, 2],
    [8, 4, 6, 8],
    [7, 1, 2, 6],
    [10, 5, 6, 9],
    [6, 2, 4, 7],
]
"""Table 2 of Shrout and Fleiss (1979): six targets by four judges."""


def test_the_example_of_shrout_and_fleiss() -> None:
    """.29, .71 and .62 as printed there; the intervals as R's psych::ICC prints them."""
    result = intraclass_correlations(SHROUT_FLEISS)
    assert result.absolute == pytest.approx((0.29, 0.019, 0.76), abs=0.005)
    assert result.consistency == pytest.approx((0.71, 0.342, 0.95), abs=0.005)
    assert result.absolute_mean == pytest.approx((0.62, 0.071, 0.93), abs=0.005)
    assert (result.rows, result.raters) == (6, 4)


def test_a_constant_distance_costs_absolute_agreement_only() -> None:
    """One point more for everything: perfectly consistent, by hand 10/11 in absolute terms.

    Rows 1..5 and 2..6: mean squares 5 for rows, 2.5 for columns, 0 for error; 5 / (5 + 2/5 x 2.5)
    is 5/6, and of the mean of both 5 / (5 + 2.5/5) is 10/11.
    """
    result = intraclass_correlations([[x, x + 1] for x in range(1, 6)])
    assert result.consistency == (1, 1, 1)
    assert result.absolute.value == pytest.approx(5 / 6)
    assert result.absolute_mean.value == pytest.approx(10 / 11)


def test_equal_scores_agree_perfectly_and_a_gap_is_masked() -> None:
    """All three are 1, with nothing around them; the row with a gap is counted."""
    result = intraclass_correlations([[1, 1], [2, 2], [5, 5], [3, math.nan]])
    assert result.absolute == result.consistency == result.absolute_mean == (1, 1, 1)
    assert (result.rows, result.masked) == (3, 1)


def test_intervals_cover_as_often_as_they_say() -> None:
    """SIMULATED: rows of SD 1, raters of SD .5, errors of SD 1; 400 studies of 12 rows, 2 raters.

    The true values are 1 / 2.25 and 1 / 2; 95% +- 3 Monte-Carlo standard errors of 1.1 points.
    """
    rng = np.random.default_rng(6)
    covered = np.zeros(2)
    for _ in range(400):
        scores = rng.normal(size=(12, 1)) + 0.5 * rng.normal(size=(1, 2)) + rng.normal(size=(12, 2))
        result = intraclass_correlations(scores)
        for at, (icc, truth) in enumerate(
            ((result.absolute, 1 / 2.25), (result.consistency, 1 / 2))
        ):
            covered[at] += icc.lower <= truth <= icc.upper
    assert (np.abs(covered / 400 - 0.95) < 0.033).all(), covered / 400


def test_two_rows_of_any_whole_scores_give_no_error() -> None:
    """Every pair of two rows of the labels 1 to 4: values are at most 1 or undefined."""
    for scores in itertools.product(range(1, 5), repeat=4):
        result = intraclass_correlations(np.reshape(scores, (2, 2)))
        for icc in (result.absolute, result.consistency, result.absolute_mean):
            assert math.isnan(icc.value) or abs(icc.value) <= 1 + 1e-12


@pytest.mark.parametrize(
    ("scores", "reason"), [([[1, 2]], "fewer than 2 rows"), ([[1, 2], [2, 1]], "the same mean")]
)
def test_undefined_with_a_reason(scores: list[list[float]], reason: str) -> None:
    """Too few rows, or rows that do not differ: no number."""
    result = intraclass_correlations(scores)
    assert math.isnan(result.absolute.value)
    assert reason in result.reason


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scores": [1, 2]}, "k >= 2"),
        ({"scores": [[1, math.inf]]}, "infinities"),
        ({"confidence": 1}, "between 0 and 1"),
    ],
)
def test_bad_input_is_refused(change: dict[str, Any], message: str) -> None:
    """Each thing that has no coefficient has its own message."""
    with pytest.raises(ValueError, match=message):
        intraclass_correlations(**({"scores": [[1, 2], [2, 4]]} | change))
