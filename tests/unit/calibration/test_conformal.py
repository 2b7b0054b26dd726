"""Radii for one dialogue against hand derivations, order statistics and what rounding must keep."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.conformal import (
    ConfidenceTooHighError,
    held_out_coverage,
    hierarchical_radius,
    highest_confidence,
    item_intervals,
    pooled_radius,
)

RESIDUALS = [0.6, 0.1, 0.4, 0.2, 0.5, 0.3]
SYSTEMS = ["b", "a", "b", "a", "b", "b"]


@pytest.mark.parametrize(
    ("confidence", "guaranteed", "pooled"),
    [
        # Guaranteed: a weighs 1/6 each, b 1/12 each, infinity 1/3; sums 2, 4, 5, 6, 7, 8 / 12.
        # Pooled: a weighs 1/4 each, b 1/8 each; sums 2, 4, 5, 6, 7, 8 / 8.
        (0.5, 0.4, 0.2),
        (0.6, 0.6, 0.3),
        (0.3, 0.2, 0.2),
        (2 / 3, 0.6, 0.4),
    ],
)
def test_both_quantiles_by_hand(confidence: float, guaranteed: float, pooled: float) -> None:
    """Each system has the same weight, however many residuals it has; ties of weight count."""
    result = hierarchical_radius(RESIDUALS, SYSTEMS, confidence)
    assert (result.radius, result.systems, result.n) == (guaranteed, 2, 6)
    assert result.level == pytest.approx(confidence * 3 / 2)
    assert pooled_radius(RESIDUALS, SYSTEMS, confidence).radius == pooled


def test_more_confidence_than_the_systems_have_is_refused_with_the_reason() -> None:
    """With 11 systems 11/12 is the most: 90% is given, 95% refused in a sentence."""
    names = np.arange(11)
    assert highest_confidence(11) == pytest.approx(11 / 12)
    for radius in (hierarchical_radius, pooled_radius):
        assert radius(np.linspace(0, 1, 11), names, 0.9).radius <= 1
        with pytest.raises(ConfidenceTooHighError, match=r"11 systems .* at most 91\.7% .* 95\.0%"):
            radius(np.linspace(0, 1, 11), names, 0.95)
    assert hierarchical_radius(np.linspace(0, 1, 11), names, 11 / 12).radius == 1


def test_systems_that_are_all_alike_or_all_different() -> None:
    """Rank law: residuals constant within systems are covered 11/12 of the time, pooled 10/12.

    The new system's residual ranks evenly among 12. The guarantee takes the largest of the other
    11 (covers 11/12), the plain 90% quantile the tenth of them (10/12): not what it promises.
    """
    rng = np.random.default_rng(7)
    names, runs = np.arange(11), 4000
    draws = rng.exponential(size=(runs, 12))
    guaranteed = [hierarchical_radius(row[:11], names).radius >= row[11] for row in draws]
    pooled = [pooled_radius(row[:11], names).radius >= row[11] for row in draws]
    four = 4 * math.sqrt(0.1 * 0.9 / runs)
    assert np.mean(guaranteed) == pytest.approx(11 / 12, abs=four)
    assert np.mean(pooled) == pytest.approx(10 / 12, abs=1.25 * four)


def test_systems_alike_pay_the_whole_price_of_the_guarantee() -> None:
    """Without any system effect 90% comes out near .9 * 12/11 = .982 guaranteed, .9 pooled."""
    rng = np.random.default_rng(8)
    names = np.repeat(np.arange(11), 400)
    residuals, new = rng.exponential(size=4400), rng.exponential(size=100_000)
    four = 4 * math.sqrt(0.1 * 0.9 * (1 / 4400 + 1 / 100_000))
    assert (new <= hierarchical_radius(residuals, names).radius).mean() == pytest.approx(
        0.9 * 12 / 11, abs=four
    )
    assert (new <= pooled_radius(residuals, names).radius).mean() == pytest.approx(0.9, abs=four)


def test_held_out_coverage_by_hand() -> None:
    """With the others' 60% radius .3 for c and .6 for a, b: all, all and half are within."""
    residuals = [0.1, 0.3, 0.1, 0.3, 0.2, 0.6]
    names = ["a", "a", "b", "b", "c", "c"]
    # Without a: .1, .2, .3, .6 with 1/4 each, so 60% is .3; without c: .1, .1, .3, .3.
    assert held_out_coverage(residuals, names, 0.6) == {"a": 1.0, "b": 1.0, "c": 0.5}


def test_held_out_coverage_needs_three_systems() -> None:
    """Two systems leave one, and one cannot tell how systems differ."""
    with pytest.raises(ValueError, match="at least 3, not 2"):
        held_out_coverage(RESIDUALS, SYSTEMS, 0.5)


@given(st.randoms(use_true_random=False), st.floats(0.05, 0.66))
def test_order_and_repetition_do_not_matter(shuffler: random.Random, confidence: float) -> None:
    """Neither the order of rows nor having each of them twice changes a radius."""
    rows = list(zip(RESIDUALS, SYSTEMS, strict=True))
    shuffler.shuffle(rows)
    residuals, names = zip(*rows, strict=True)
    for radius in (hierarchical_radius, pooled_radius):
        expected = radius(RESIDUALS, SYSTEMS, confidence).radius
        assert radius(residuals, names, confidence).radius == expected
        assert radius(residuals * 2, names * 2, confidence).radius == expected


@given(st.floats(0.5, 5.5), st.floats(0, 4), st.integers(1, 5))
def test_rounding_keeps_exactly_the_ratings_within_the_radius(
    score: float, radius: float, rating: int
) -> None:
    """A whole rating is in the rounded interval if and only if |rating - score| <= radius."""
    result = item_intervals([score], radius)
    within = abs(rating - score) <= radius + 1e-9
    if any(abs(label - score) <= radius + 1e-9 for label in range(1, 6)):
        assert (result.lower[0] <= rating <= result.upper[0]) == within


def test_intervals_by_hand() -> None:
    """3.6 +- 1.2 is 3 to 4; 4.9 +- 1 ends at 5; 3.5 +- .2 holds none; nan stays nan."""
    result = item_intervals([3.6, 4.9], 1.2)
    assert (result.lower.tolist(), result.upper.tolist()) == ([3, 4], [4, 5])
    nearest = item_intervals([3.4, 5.8, math.nan], 0.2)
    assert nearest.lower[:2].tolist() == nearest.upper[:2].tolist() == [3, 5]
    assert np.isnan([nearest.lower[2], nearest.upper[2]]).all()


def test_a_radius_that_just_reaches_a_rating_keeps_it() -> None:
    """3.3 - 1.3 is 1.9999999999999998 or 2.0000000000000004: the rating 2 is within 1.3."""
    for score in (2.1, 2.3, 2.7, 3.3, 3.9):
        low = item_intervals([score], score - 1).lower[0]
        assert low == 1
        assert item_intervals([score], 5 - score).upper[0] == 5


@pytest.mark.parametrize(
    ("residuals", "systems", "confidence", "message"),
    [
        ([[0.1]], [["a"]], 0.5, "one-dimensional"),
        ([0.1, 0.2], ["a"], 0.5, "one length"),
        ([0.1, math.nan], ["a", "b"], 0.5, "finite"),
        ([0.1, -0.2], ["a", "b"], 0.5, "not negative"),
        ([0.1, 0.2], ["a", "a"], 0.5, "at least 2 systems are needed, not of 1"),
        ([], [], 0.5, "not of 0"),
        ([0.1, 0.2], ["a", "b"], 1.0, "between 0 and 1"),
        ([0.1, 0.2], ["a", "b"], 90, "between 0 and 1"),
    ],
)
def test_bad_residuals_are_refused(
    residuals: list[float], systems: list[str], confidence: float, message: str
) -> None:
    """Each thing that cannot give a radius has its own message."""
    with pytest.raises(ValueError, match=message):
        hierarchical_radius(residuals, systems, confidence)


@pytest.mark.parametrize(
    ("scores", "radius", "ends", "message"),
    [
        ([[3.0]], 1.0, (1, 5), "one-dimensional"),
        ([math.inf], 1.0, (1, 5), "infinities"),
        ([3.0], -1.0, (1, 5), "not negative"),
        ([3.0], math.nan, (1, 5), "not negative"),
        ([3.0], 1.0, (5, 1), "must rise"),
    ],
)
def test_bad_scores_are_refused(
    scores: list[float], radius: float, ends: tuple[int, int], message: str
) -> None:
    """So has each thing that cannot give an interval."""
    with pytest.raises(ValueError, match=message):
        item_intervals(scores, radius, low=ends[0], high=ends[1])
