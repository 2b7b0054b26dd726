"""Sentinels know a group and nothing else, and have not seen what they are compared with."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from calibration.agreement.levels import held_out_mean_levels


def _design(systems: int, characters: int, scenarios: int) -> tuple[np.ndarray, ...]:
    system, character, scenario = (
        axis.ravel() for axis in np.indices((systems, characters, scenarios))
    )
    return system, character, character * scenarios + scenario


def test_by_hand_against_scipy() -> None:
    """Two systems are the two halves: each is correlated with the other one's means."""
    human = np.array([1.0, 2, 4, 2, 5, 3])
    system, item = np.repeat([0, 1], 3), np.tile([0, 1, 2], 2)
    rng = np.random.default_rng(0)
    result = held_out_mean_levels(human, item, system, system, item, rng, splits=1)
    expected = stats.spearmanr([1, 2, 4], [2, 5, 3]).statistic
    assert result.all.value == pytest.approx(expected)
    assert result.within_system.value == pytest.approx(expected)
    assert result.all.n == 6


@pytest.mark.parametrize("shape", [(11, 6, 10), (6, 10, 6), (10, 30, 1)])
def test_under_noise_every_sentinel_is_about_zero(shape: tuple[int, int, int]) -> None:
    """SIMULATED: people rate at random, in 40 studies; the mean is within 3 standard errors of 0.

    A mean that holds the own rating has about 1 / sqrt(group size), .3 for items of ten.
    """
    system, character, item = _design(*shape)
    rng = np.random.default_rng(4)
    values: dict[tuple[str, str], list[float]] = {}
    for _ in range(40):
        human = rng.integers(1, 6, len(system)).astype(float)
        for name, group, other in (
            ("system", system, item),
            ("character", character, system),
            ("item", item, system),
        ):
            result = held_out_mean_levels(human, group, other, system, item, rng, 4)
            for level in ("all", "within_item", "within_system"):
                values.setdefault((name, level), []).append(getattr(result, level).value)
    for key, given in values.items():
        if not np.isnan(given).all():
            error = np.std(given, ddof=1) / math.sqrt(len(given))
            assert abs(np.mean(given)) < 3 * error, key


def test_a_sentinel_finds_what_there_is_and_is_undefined_at_its_own_level() -> None:
    """Systems differ: their mean orders dialogues within an item; within a system it is constant.

    Of characters it is the other way round.
    """
    system, character, item = _design(6, 10, 5)
    rng = np.random.default_rng(1)
    human = 0.5 * system + 0.5 * character + rng.normal(size=300)
    of_system = held_out_mean_levels(human, system, item, system, item, rng)
    assert of_system.within_item.value > 0.5
    assert math.isnan(of_system.within_system.value)
    of_character = held_out_mean_levels(human, character, system, system, item, rng)
    assert of_character.within_system.value > 0.5
    assert math.isnan(of_character.within_item.value)
    assert of_character.within_item.reason


def test_one_system_has_no_other_half() -> None:
    """Undefined, with a reason."""
    rng = np.random.default_rng(0)
    result = held_out_mean_levels([1, 2, 3], [0, 0, 1], [0, 0, 0], [0, 0, 0], [0, 1, 2], rng)
    assert math.isnan(result.all.value)
    assert result.all.reason


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"group": [1]}, "of one length"),
        ({"human": [math.inf, 1]}, "infinities"),
        ({"splits": 0}, "at least 1 split"),
    ],
)
def test_bad_input_is_refused(change: dict[str, Any], message: str) -> None:
    """Each thing that has no group means has its own message."""
    good = {"human": [1, 2], "group": [0, 1], "other": [0, 1], "system": [0, 1], "item": [0, 0]}
    with pytest.raises(ValueError, match=message):
        held_out_mean_levels(**(good | {"rng": np.random.default_rng(0)} | change))
