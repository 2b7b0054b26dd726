"""Tie-calibrated accuracy against the published code's own test values, and by brute force."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from calibration.agreement.groups import grid, rows_iv
from calibration.agreement.pairwise_accuracy import _curve, _pairs, tie_calibrated_accuracy

NONE = math.nan


def accuracy_curve(judge: Any, human: Any, system: Any, item: Any) -> tuple[Any, Any]:
    """(k,) thresholds and the accuracy at each, on all pairs."""
    pairs = _pairs(*grid(rows_iv(system, item, judge=judge, human=human)))
    return pairs.threshold, _curve(pairs, np.ones(len(pairs.base), dtype=np.bool_))


@pytest.mark.parametrize(
    ("human", "accuracy"),
    [
        ([1, 2, 3, 4], [6 / 6, 4 / 6, 3 / 6, 1 / 6, 0 / 6]),
        ([1, 1, 1, 4], [3 / 6, 3 / 6, 4 / 6, 4 / 6, 3 / 6]),
    ],
)
def test_published_curves(human: list[int], accuracy: list[float]) -> None:
    """Four systems on an item: the hand-made cases of tau_optimization_test.py, mt-metrics-eval."""
    threshold, found = accuracy_curve([0, 2, 6, 8], human, range(4), [0] * 4)
    assert threshold.tolist() == [0, 2, 4, 6, 8]
    np.testing.assert_allclose(found, accuracy)


def test_published_table_with_gaps() -> None:
    """Its regression example: five items (rows) of five systems, with gaps, and an empty item."""
    judge = np.array(
        [[0, 5, 2, 3, 2], [NONE, 2, 1, 5, 3], [9, 1, 5, 3, 8], [9, 3, 4, 4, 1], [NONE] * 5]
    )
    human = np.array(
        [[1, 5, 2, 1, 1], [4, 2, 2, 1, 4], [5, 9, 2, 8, 7], [7, 6, NONE, 3, 2], [NONE] * 5]
    )
    item, system = (axis.ravel() for axis in np.indices(judge.shape))
    threshold, curve = accuracy_curve(judge.ravel(), human.ravel(), system, item)
    assert threshold.tolist() == list(range(9))
    expected = [0.46667, 0.49167, 0.38333, 0.29167, 0.26667, 0.2, 0.15833, 0.15833, 0.11667]
    np.testing.assert_allclose(curve, expected, atol=5e-6)
    found = tie_calibrated_accuracy(judge.ravel(), human.ravel(), system, item)
    assert found.threshold == 1
    assert found.at_zero == pytest.approx(0.46667, abs=5e-6)
    assert found.masked == 7


def _brute(judge: np.ndarray, human: np.ndarray, used: list[tuple[int, int]], eps: float) -> float:
    """Mean over the items of how many of the used pairs are right, over all pairs of the item."""
    systems, items = judge.shape
    right = 0.0
    for item in range(items):
        for a, b in used:
            gap, people = judge[a, item] - judge[b, item], human[a, item] - human[b, item]
            said = 0 if abs(gap) <= eps + 1e-9 else np.sign(gap)
            right += said == np.sign(people)
    return right / (items * math.comb(systems, 2))


@pytest.mark.parametrize("seed", range(4))
def test_the_threshold_is_chosen_on_other_systems(seed: int) -> None:
    """A loop over every pair of systems and every threshold gives the same accuracy."""
    rng = np.random.default_rng(seed)
    human = rng.integers(1, 4, (5, 12)).astype(float)
    judge = np.round(human + rng.normal(size=human.shape), 1 if seed else 12)
    every = list(combinations(range(5), 2))
    thresholds = sorted(
        {0.0} | {abs(judge[a, i] - judge[b, i]) for a, b in every for i in range(12)}
    )
    expected = 0.0
    for pair in every:
        rest = [other for other in every if not set(other) & set(pair)]
        scores = [_brute(judge, human, rest, eps) for eps in thresholds]
        best = next(
            eps for eps, s in zip(thresholds, scores, strict=True) if s >= max(scores) - 1e-9
        )
        expected += _brute(judge, human, [pair], best)
    system, item = (axis.ravel() for axis in np.indices(human.shape))
    found = tie_calibrated_accuracy(judge.ravel(), human.ravel(), system, item)
    assert found.value == pytest.approx(expected)
    assert found.at_zero == pytest.approx(_brute(judge, human, every, 0))
    assert found.pairs == 120
    best_on_all = max(_brute(judge, human, every, eps) for eps in thresholds)
    assert _brute(judge, human, every, found.threshold) == pytest.approx(best_on_all)


def test_a_judge_that_never_ties_is_helped_and_one_on_another_range_too() -> None:
    """People tie most pairs; a continuous judge is wrong on all of them at threshold 0.

    Ties are less than .4 apart and the others more than .6: nearly all can be got right with a
    threshold that has not seen the pair.
    """
    rng = np.random.default_rng(0)
    human = (rng.random((6, 80)) < 0.3).astype(float)
    judge = human + rng.uniform(-0.2, 0.2, human.shape)
    system, item = (axis.ravel() for axis in np.indices(human.shape))
    found = tie_calibrated_accuracy(judge.ravel(), human.ravel(), system, item)
    assert 0.99 < found.value < 1
    assert found.at_zero == pytest.approx(1 - found.tied / found.pairs)
    stretched = tie_calibrated_accuracy(100 * judge.ravel(), human.ravel(), system, item)
    assert stretched.value == found.value
    assert stretched.threshold == pytest.approx(100 * found.threshold)


def test_noise_neither_breaks_nor_makes_a_tie() -> None:
    """.1 + .2 against .3 is a tie at threshold 0, on either side."""
    threshold, curve = accuracy_curve([0.1 + 0.2, 0.3], [2 / 3, 1 - 1 / 3], ["a", "b"], [0, 0])
    assert (threshold.tolist(), curve.tolist()) == ([0], [1])


def test_systems_that_never_met_are_no_pair() -> None:
    """Items of two halves, each with four systems of its own: 6 pairs in each, none across."""
    rng = np.random.default_rng(6)
    human = rng.integers(1, 4, (4, 10)).astype(float)
    judge = human + rng.normal(size=human.shape)
    system, item = (axis.ravel() for axis in np.indices(human.shape))
    once = tie_calibrated_accuracy(judge.ravel(), human.ravel(), system, item)
    twice = tie_calibrated_accuracy(
        *(np.tile(side.ravel(), 2) for side in (judge, human)),
        np.concatenate([system, system + 4]),
        np.concatenate([item, item + 10]),
    )
    assert (once.pairs, twice.pairs) == (60, 120)
    assert twice.at_zero == pytest.approx(once.at_zero)


def test_three_systems_leave_none_to_choose_on() -> None:
    """Without the two of a pair one is left, which has no pair: only threshold 0 can be told."""
    found = tie_calibrated_accuracy([1, 2, 3], [1, 2, 2], list("abc"), [0, 0, 0])
    assert math.isnan(found.value)
    assert "no two other systems" in found.reason
    assert found.at_zero == pytest.approx(2 / 3)


def test_one_system_has_no_pairs() -> None:
    """Nothing to order."""
    found = tie_calibrated_accuracy([1, 2], [1, 2], ["a", "a"], [0, 1])
    assert math.isnan(found.value)
    assert found.reason == "no item has two systems"
    assert tie_calibrated_accuracy([], [], [], []).pairs == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tie_calibrated_accuracy([1, 2], [1, 2], ["a", "a"], [1, 1]), "more than one row"),
        (lambda: tie_calibrated_accuracy([1], [1, 2], ["a"], [1]), r"one length"),
        (lambda: tie_calibrated_accuracy([math.inf], [1], ["a"], [1]), "infinities"),
    ],
)
def test_bad_input_is_refused(call: Any, message: str) -> None:
    """Doubled rows, unequal lengths and infinities have their own messages."""
    with pytest.raises(ValueError, match=message):
        call()
