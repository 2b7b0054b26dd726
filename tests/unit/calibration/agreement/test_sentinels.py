"""Sentinels know a group and nothing else, and show what a level rewards."""

from __future__ import annotations

import math

import numpy as np
import pytest

from calibration.agreement.levels import group_mean, level_correlations


def test_by_hand() -> None:
    """Means over the rated, given to all of the group; a group of one has none."""
    nan = math.nan
    found = group_mean([1, 2, nan, 5, 3], ["a", "a", "a", "b", "c"], least=2)
    np.testing.assert_array_equal(found.values, [1.5, 1.5, 1.5, nan, nan])
    assert found.small == 2


def test_a_system_mean_orders_systems_and_knows_nothing_within_one() -> None:
    """Perfect at the level of systems, undefined within a system, and above 0 over all."""
    rng = np.random.default_rng(1)
    system, item = (axis.ravel() for axis in np.indices((6, 50)))
    human = np.arange(6)[system] * 0.3 + rng.normal(size=300)
    found = level_correlations(group_mean(human, system).values, human, system, item)
    assert found.systems.value == pytest.approx(1)
    assert math.isnan(found.within_system.value)
    assert found.within_system.undefined == 6
    assert found.within_item.value > 0.2


def test_a_character_mean_says_nothing_within_an_item() -> None:
    """All systems of an item share it: undefined, and not the -1 of a mean without oneself."""
    rng = np.random.default_rng(2)
    system, item = (axis.ravel() for axis in np.indices((6, 50)))
    human = rng.normal(size=10)[item % 10] + rng.normal(size=300) * 0.5
    found = level_correlations(group_mean(human, item % 10).values, human, system, item)
    assert math.isnan(found.within_item.value)
    assert found.all.value > 0.5


@pytest.mark.parametrize(
    ("human", "group", "least", "message"),
    [
        ([1], [1, 2], 1, r"one length"),
        ([math.inf], [1], 1, "infinities"),
        ([1], [1], 0, "at least 1"),
    ],
)
def test_bad_input_is_refused(
    human: list[float], group: list[int], least: int, message: str
) -> None:
    """Each thing that has no group means has its own message."""
    with pytest.raises(ValueError, match=message):
        group_mean(human, group, least)
