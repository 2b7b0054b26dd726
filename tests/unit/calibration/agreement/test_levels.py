"""Correlations at four levels against nlpstats and scipy, and what they leave out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from calibration.agreement import groups as groups_module
from calibration.agreement.correlation import CORRELATIONS, Coefficient
from calibration.agreement.groups import group_correlations
from calibration.agreement.levels import level_correlations

every = pytest.mark.parametrize("name", CORRELATIONS)


def _study(systems: int = 7, items: int = 40, seed: int = 1) -> tuple[np.ndarray, ...]:
    """Judge, human, system and item of a full design, with many ties on the human side."""
    rng = np.random.default_rng(seed)
    worth = rng.normal(size=(systems, 1)) * 0.5 + rng.normal(size=(systems, items))
    human = np.clip(np.round(3 + worth + rng.normal(size=worth.shape) * 0.5), 1, 5)
    judge = 3 + worth + rng.normal(size=worth.shape)
    system, item = np.indices(worth.shape)
    return judge.ravel(), human.ravel(), system.ravel(), item.ravel()


@pytest.mark.parametrize("coefficient", ["spearman", "pearson", "kendall"])
@pytest.mark.filterwarnings("ignore::scipy.stats.ConstantInputWarning")
def test_equals_nlpstats(coefficient: str) -> None:
    """Its "global", "input" and "system" correlations are ours over all, within item, of systems.

    Its "input" of the transposed table is ours within system.
    """
    correlations: Any = pytest.importorskip(
        "nlpstats.correlations.correlations", reason="nlpstats is the reference here"
    )
    judge, human, system, item = _study()
    tables = judge.reshape(7, 40), human.reshape(7, 40)
    name: Any = {"kendall": "kendall_b"}.get(coefficient, coefficient)
    found = level_correlations(judge, human, system, item, name)

    def reference(level: str, *of: np.ndarray) -> float:
        return float(correlations.correlate(*of, level, coefficient))

    assert found.all.value == pytest.approx(reference("global", *tables))
    assert found.within_item.value == pytest.approx(reference("input", *tables))
    assert found.systems.value == pytest.approx(reference("system", *tables))
    flipped = tables[0].T, tables[1].T
    assert found.within_system.value == pytest.approx(reference("input", *flipped))
    assert (found.all.n, found.systems.n, found.within_item.groups) == (280, 7, 40)


def test_within_item_by_hand() -> None:
    """A rho of 1 in one item, -1 in another, none where people are constant: 0 over 2, 1 left."""
    judge = [1, 2, 3, 1, 2, 3, 1, 2, 3]
    human = [1, 2, 3, 3, 2, 1, 4, 4, 4]
    found = level_correlations(judge, human, list("abc" * 3), [1] * 3 + [2] * 3 + [3] * 3)
    value = found.within_item
    assert (value.value, value.n, value.groups, value.undefined) == (0, 6, 2, 1)


def test_pooling_rewards_what_an_item_does_not_hold() -> None:
    """A judge that only knows how hard the item is: high over all, nothing within an item."""
    rng = np.random.default_rng(0)
    system, item = (axis.ravel() for axis in np.indices((8, 60)))
    hard = rng.normal(size=60)[item]
    found = level_correlations(
        hard + rng.normal(size=480) * 0.1, hard + rng.normal(size=480) * 0.5, system, item
    )
    assert found.all.value > 0.8
    assert abs(found.within_item.value) < 0.1


@every
@pytest.mark.parametrize("ties", [False, True])
def test_pair_by_pair_equals_one_by_one(
    name: Coefficient, ties: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many groups at once give what each gives alone: uneven sizes, gaps, constants, one member."""
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(2, 200))
    if ties:
        x, y = np.round(x), np.round(2 * y) / 3 + 0.1
    group = rng.integers(0, 30, 200)
    x[group == 3] = 2.0
    x[group == 4] = 0.1 + 0.2 * (np.arange((group == 4).sum()) > -1)
    y[rng.random(200) < 0.1] = math.nan
    group[:1] = 99
    together = group_correlations(x, y, group, name)
    monkeypatch.setattr(groups_module, "_SMALL", 0)
    alone = group_correlations(x, y, group, name)
    np.testing.assert_allclose(together.value, alone.value, atol=1e-12)
    np.testing.assert_array_equal(together.n, alone.n)
    assert np.isnan(together.value[together.label == 99]).all()
    assert np.isnan(together.value[together.label == 3]).all()
    assert (~np.isnan(together.value)).sum() > 20


def test_systems_equals_scipy_on_the_means() -> None:
    """Only dialogues with both scores enter the means of either side."""
    judge, human, system, item = _study()
    judge[::7], human[::5] = math.nan, math.nan
    both = ~np.isnan(judge + human)
    means = [[side[both & (system == one)].mean() for one in range(7)] for side in (judge, human)]
    found = level_correlations(judge, human, system, item)
    assert found.systems.value == pytest.approx(stats.spearmanr(*means).statistic)


def test_equal_system_means_tie_whatever_the_order_of_their_sums() -> None:
    """Two systems with the same scores in other dialogues: one rank, not that of the last bit."""
    thirds = np.random.default_rng(0).integers(3, 16, 1200) / 3
    human = np.concatenate([thirds, thirds[::-1], thirds + 0.5])
    assert human[:1200].sum() != sum(human[1200:2400])
    system, item = np.repeat([0, 1, 2], 1200), np.tile(np.arange(1200), 3)
    judge = system.astype(float)
    expected = stats.spearmanr([0, 1, 2], [1, 1, 2]).statistic
    assert level_correlations(judge, human, system, item).systems.value == pytest.approx(expected)


def test_what_only_one_side_has_is_counted() -> None:
    """Rated but not judged, judged but not rated, and neither."""
    found = level_correlations(
        [1, 2, 3, math.nan, 5, math.nan], [1, 2, 3, 4, math.nan, math.nan], list("aabbbb"), range(6)
    )
    assert (found.not_judged, found.not_rated, found.all.n) == (1, 1, 3)


def test_one_system_has_no_order_of_systems() -> None:
    """Within the one system there is a correlation, across systems there is none to be had."""
    found = level_correlations([1, 2, 3], [1, 3, 2], ["only"] * 3, [1, 2, 3])
    assert found.within_system.value == found.all.value == 0.5
    assert math.isnan(found.systems.value)
    assert found.systems.reason == "fewer than 2 pairs"
    assert math.isnan(found.within_item.value)
    assert (found.within_item.groups, found.within_item.undefined) == (0, 3)


def test_nothing_judged_is_undefined_everywhere() -> None:
    """Ratings without a single judgement have no agreement, at any level, for any coefficient."""
    for name in CORRELATIONS:
        found = level_correlations([math.nan] * 3, [1, 2, 3], list("abc"), [1, 1, 1], name)
        assert all(math.isnan(level.value) and level.reason for level in found[:4])
        assert found.not_judged == 3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: level_correlations([1], [1, 2], ["a"], [1]), r"one length"),
        (lambda: level_correlations([1], [math.inf], ["a"], [1]), "infinities"),
        (lambda: level_correlations([1], [1], ["a"], [1], "tau"), "a coefficient is one of"),
        (lambda: group_correlations([1], [1], [1, 2]), r"one length"),
        (lambda: group_correlations([math.inf], [1], [1]), "infinities"),
        (lambda: group_correlations([1], [1], [1], "tau"), "a coefficient is one of"),
    ],
)
def test_bad_input_is_refused(call: Any, message: str) -> None:
    """Each thing that cannot be compared has its own message."""
    with pytest.raises(ValueError, match=message):
        call()
