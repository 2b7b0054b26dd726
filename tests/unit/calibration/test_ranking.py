"""Intervals that stand many comparisons, and the ranks that follow from what is known of pairs."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from calibration.intervals import clustered_mean, mean_interval, ranks

ROWS, COLUMNS = [0, 0, 1, 1], [0, 1, 0, 1]


def test_the_largest_of_three_standard_errors() -> None:
    """By hand: [[1, 2], [3, 6]] has residual row sums -3, 3, so V = 2 (9 + 9) / 16 = 1.5 squared.

    By columns V is 1, both ways 2.25 + 1 - 7/6: less. Student's t with 1 degree of freedom is the
    Cauchy distribution, whose 95% point is tan(.45 pi).
    """
    found = mean_interval([1, 2, 3, 6], ROWS, COLUMNS, 0.9)
    half = 1.5 * math.tan(0.45 * math.pi)
    assert found[:3] == pytest.approx((4, 3, 1.5))
    assert (found.lower, found.upper) == pytest.approx((3 - half, 3 + half))
    assert (found.groups, found.reason) == ((2, 2), "")


def test_the_two_way_error_where_it_is_the_largest() -> None:
    """With strong effects of rows and of columns it is that of `clustered_mean`."""
    values = np.add.outer([0.0, 3.0, 7.0], [0.0, 5.0, 1.0, 2.0]).ravel()
    ways = np.repeat(range(3), 4), np.tile(range(4), 3)
    found = mean_interval(values, *ways)
    assert found.standard_error == clustered_mean(values, *ways).standard_error


def test_no_interval_without_clusters_to_compare() -> None:
    """One row says nothing of other rows, no value says nothing at all: nan with a reason."""
    one = mean_interval([1, 2, 3], [0, 0, 0], [0, 1, 2])
    assert one.mean == 2
    assert math.isnan(one.standard_error)
    assert math.isnan(one.lower)
    assert one.reason
    none = mean_interval([], [], [])
    assert (none.n, math.isnan(none.mean), bool(none.reason)) == (0, True, True)


def test_equal_values_have_an_interval_of_no_width() -> None:
    """A difference that is the same everywhere is sure."""
    assert mean_interval([0.25] * 4, ROWS, COLUMNS)[1:5] == (0.25, 0, 0.25, 0.25)


@pytest.mark.parametrize("confidence", [0, 1, -1, math.nan])
def test_a_confidence_is_between_0_and_1(confidence: float) -> None:
    """Else it is refused."""
    with pytest.raises(ValueError, match="a confidence lies between 0 and 1"):
        mean_interval([1, 2, 3, 6], ROWS, COLUMNS, confidence)


@pytest.mark.parametrize("effects", [0.0, 0.3])
def test_equal_systems_are_seldom_told_apart(effects: float) -> None:
    """Of 5 equal systems, all ranks hold in at least 95% of studies, clustered or not.

    300 studies of 10 x 12 dialogues: a share of .05 has a standard error of .0126. With the
    two-way error alone about 14% of the studies without effects have a wrong rank.
    """
    rng = np.random.default_rng(5)
    characters, scenarios = np.repeat(range(10), 12), np.tile(range(12), 10)
    wrong = 0
    for _ in range(300):
        scores = rng.normal(size=(5, 10, 12))
        scores += effects * (rng.normal(size=(5, 10, 1)) + rng.normal(size=(5, 1, 12)))
        flat = scores.reshape(5, -1)
        found = [
            mean_interval(flat[i] - flat[j], characters, scenarios, 1 - 0.05 / 10)
            for i, j in itertools.combinations(range(5), 2)
        ]
        wrong += any(one.lower > 0 or one.upper < 0 for one in found)
    assert wrong / 300 <= 0.05 + 2 * 0.0126


# Ranks


def test_ranks_by_hand() -> None:
    """A and B are better than D, A than C; nothing else is known.

    Better than A: none; than B: none; than C: A; than D: A, B. Worse than A: C, D; than B: D.
    """
    better = np.zeros((4, 4), dtype=bool)
    better[0, 3] = better[1, 3] = better[0, 2] = True
    found = ranks(better)
    assert found.first.tolist() == [1, 1, 2, 3]
    assert found.last.tolist() == [2, 3, 4, 4]
    assert found.rank.tolist() == [1, 1, 2, 3]


def test_no_rank_before_that_of_a_higher_mean() -> None:
    """C is less sure: only A is known to be better, while A and B both are than the higher D."""
    better = np.zeros((4, 4), dtype=bool)  # in the order of means A, B, D, C
    better[0, 1] = better[0, 2] = better[1, 2] = better[0, 3] = True
    found = ranks(better)
    assert found.first.tolist() == [1, 2, 3, 2]
    assert found.rank.tolist() == [1, 2, 3, 3]


@given(st.integers(1, 8))
def test_nothing_known_and_all_known(n: int) -> None:
    """Nothing: all have rank 1 and may have any. The whole order: each has its place."""
    nothing = ranks(np.zeros((n, n)))
    assert nothing.rank.tolist() == nothing.first.tolist() == [1] * n
    assert nothing.last.tolist() == [n] * n
    everything = ranks(np.triu(np.ones((n, n)), 1))
    for found in everything:
        assert found.tolist() == list(range(1, n + 1))


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 6)), min_size=1, max_size=8))
def test_ranges_hold_the_truth_and_the_rank(systems: list[tuple[int, int]]) -> None:
    """Whatever is truly known of pairs, a system's true place is in its range, and so is its rank.

    Known is here what differs by more than both margins.
    """
    systems = sorted(systems, reverse=True)
    means, margins = (np.array(column) for column in zip(*systems, strict=True))
    better: NDArray[np.bool_] = (means[:, None] - means) > (margins[:, None] + margins)
    found = ranks(better)
    place = np.arange(1, len(systems) + 1)
    assert (found.first <= place).all()
    assert (place <= found.last).all()
    assert (found.first <= found.rank).all()
    assert (found.rank <= found.last).all()
    assert (np.diff(found.rank) >= 0).all()


def test_what_cannot_be_ranked() -> None:
    """A table that is not square, and two that are each better than the other."""
    with pytest.raises(ValueError, match="as many rows as columns"):
        ranks(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="each be better"):
        ranks(np.ones((2, 2)))
