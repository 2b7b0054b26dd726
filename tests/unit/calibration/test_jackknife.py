"""The crossed jackknife where the answer is known, and what it says where none can be."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from calibration.resampling import jackknife
from calibration.resampling.jackknife import crossed_jackknife
from calibration.resampling.weighted import STATISTICS, Design
from calibration.simulate import Shape, Simulated, simulate
from tests.unit.calibration.replicated import replicated

Floats = NDArray[np.float64]


def scores(data: Simulated) -> tuple[Floats, Floats]:
    """(n,) expected scores of the SIMULATED judge, and means of the ratings."""
    human = np.bincount(data.cell, data.human) / np.bincount(data.cell)
    return data.probs[:, 0] @ np.arange(1, 6), human


@pytest.fixture(scope="module")
def data() -> Simulated:
    """SIMULATED: 5 systems, 4 characters, 6 scenarios."""
    return simulate(np.random.default_rng(1), Shape(systems=5, characters=4, scenarios=6))


def test_the_error_of_a_mean_by_hand() -> None:
    """Errors 1 2 6 / 2 7 9 / 6 9 12 of three systems on three items.

    The means of systems and of items are 3, 6 and 9: mean squares of 27. What they leave is 1 and
    -1 twice each: 4 on four degrees of freedom. The variance is (27 + 27 - 1) / 9. A mean has no
    bias.
    """
    error = np.array([1.0, 2, 6, 2, 7, 9, 6, 9, 12])
    found = crossed_jackknife(error, np.zeros(9), *np.indices((3, 3)).reshape(2, -1), [0] * 9)
    assert found.error[3, 0] == pytest.approx(math.sqrt(53 / 9))
    assert (found.estimate[3, 0], found.bias[3, 0]) == pytest.approx((6, 0))
    assert found.df == 2
    ends = found.interval("bias", "all")
    half = 4.302653 * math.sqrt(53 / 9)
    assert (ends.lower, ends.upper) == pytest.approx((6 - half, 6 + half), rel=1e-6)


def test_two_scenarios_are_no_sample() -> None:
    """Moving one of two scenarios up does not change the error of the bias; one of three does."""
    rng = np.random.default_rng(6)
    labels = np.indices((4, 5, 3)).reshape(3, -1)
    error = rng.normal(size=60)
    moved = error + 4 * (labels[2] == 1)
    for kept, same in ((labels[2] < 2, True), (labels[2] < 3, False)):
        errors = [
            crossed_jackknife(e[kept], np.zeros(kept.sum()), *labels[:, kept]).error[3, 0]
            for e in (error, moved)
        ]
        assert bool(errors[0] == pytest.approx(errors[1])) == same


def test_the_variance_of_a_mean_is_that_of_the_components() -> None:
    """By the expected mean squares of a three-way table, written out in loops over its effects.

    Var = (MS_S + MS_C + MS_N - MS_SC - MS_SN - MS_CN + MS_SCN) / SCN is unbiased.
    """
    rng = np.random.default_rng(2)
    sizes = (4, 5, 3)
    table = rng.normal(size=sizes) + 3 * rng.normal(size=(4, 1, 1)) + rng.normal(size=(1, 5, 1))
    effects: dict[tuple[int, ...], Floats] = {(): np.full((1, 1, 1), table.mean())}
    variance = 0.0
    for kept in sorted(product((0, 1), repeat=3), key=sum)[1:]:
        axes = tuple(axis for axis in range(3) if kept[axis])
        others = tuple(axis for axis in range(3) if not kept[axis])
        effect = table.mean(axis=others, keepdims=True)
        for lower, other in effects.items():
            if set(lower) < set(axes):
                effect = effect - other
        effects[axes] = effect
        df = math.prod(sizes[axis] - 1 for axis in axes)
        square = (effect**2).sum() * math.prod(sizes[axis] for axis in others) / df
        variance += (-1) ** (len(axes) + 1) * square / table.size
    labels = np.indices(sizes).reshape(3, -1)
    found = crossed_jackknife(table.ravel(), np.zeros(table.size), *labels)
    assert found.error[3, 0] == pytest.approx(math.sqrt(variance))


def test_influences_are_derivatives(data: Simulated) -> None:
    """Every row 1,000 times and one of them once more: by scipy, what that changes, times 1,000."""
    kept = np.arange(len(data.system)) % 7 > 0
    x, y = (side[kept] for side in scores(data))
    labels = [column[kept] for column in (data.system, data.character, data.scenario)]
    psi = jackknife._influences(x, y, Design.of(*labels))
    np.testing.assert_allclose(psi.sum(axis=-1), 0, atol=1e-12)
    # One row in the place of 1,000: the small change is then a weight of 1 / 1,000.
    for row in (0, 17, 50):
        for level, group in ((0, np.zeros(len(x))), (2, labels[0])):
            own = group == group[row]
            change = np.array(_with_more(x[own], y[own], int(own[:row].sum())))
            of_level = 1 if level == 0 else len(np.unique(group))
            spread = psi[:, level, own] * of_level
            within = spread[:, own[:row].sum()] - spread.mean(axis=-1)
            np.testing.assert_allclose(within, change, rtol=2e-2, atol=2e-5)


def _with_more(x: Floats, y: Floats, row: int) -> list[float]:
    """How the statistics of one group change by the weight of a row."""
    times = 200
    once = np.ones(1, dtype=np.int64)
    counts = np.full(len(x), times)
    zeros = np.zeros(len(x), dtype=np.int64)
    labels = zeros, np.arange(len(x)), zeros
    before = replicated(x, y, labels, (once, counts, once))[:, 0]
    counts[row] += 1
    after = replicated(x, y, labels, (once, counts, once))[:, 0]
    return [float(value) for value in times * (after - before)]


def test_items_of_one_system_are_no_factor() -> None:
    """Where each item is for one system, the systems' variance has theirs: one-way by system."""
    rng = np.random.default_rng(3)
    system = np.repeat(np.arange(5), 6)
    error = rng.normal(size=30) + rng.normal(size=5)[system]
    found = crossed_jackknife(error, np.zeros(30), system, np.arange(30), np.zeros(30))
    means = error.reshape(5, 6).mean(axis=1)
    assert found.error[3, 0] == pytest.approx(means.std(ddof=1) / math.sqrt(5))
    assert found.df == 4


def test_many_levels_are_not_left_out_one_by_one() -> None:
    """Of 200 items, each its own, the error of a mean is the usual one either way."""
    error = np.random.default_rng(4).normal(size=200)
    one = np.zeros(200)
    found = crossed_jackknife(error, one, one, np.arange(200), one)
    assert found.error[3, 0] == pytest.approx(error.std(ddof=1) / math.sqrt(200))
    assert found.bias[3, 0] == 0


def test_fixed_systems_are_no_factor(data: Simulated) -> None:
    """Moving a system up and down changes no interval of the bias but by the overall mean."""
    x, y = scores(data)
    labels = data.system, data.character, data.scenario
    plain = crossed_jackknife(x, y, *labels, systems_fixed=True)
    moved = crossed_jackknife(x + 3 * data.system, y, *labels, systems_fixed=True)
    assert moved.error[3, 0] == pytest.approx(plain.error[3, 0])
    assert plain.df == 3
    assert crossed_jackknife(x, y, *labels).error[3, 0] > 0


def test_ends_lie_where_the_statistic_can_be(data: Simulated) -> None:
    """Correlations within -1..1, MAE above 0, whatever the confidence; the estimate in between."""
    found = crossed_jackknife(*scores(data), data.system, data.character, data.scenario)
    for statistic in STATISTICS:
        for confidence in (0.5, 0.999999):
            ends = found.interval(statistic, "all", confidence)
            low, high = {"mae": (0, math.inf), "bias": (-math.inf, math.inf)}.get(
                statistic, (-1, 1)
            )
            assert low <= ends.lower < ends.upper <= high


TABLE = [1.0, 2, 3, 2, 4, 3, 5, 3, 4]


@pytest.mark.parametrize(
    ("judged", "reason"),
    [
        (TABLE, "perfect"),
        ([2.0] * 9, "undefined on the data"),
        ([math.nan] * 9, "no rows"),
        ([1.0, 1, 1, 1, 1, 1, 2, 1, 1], "with one group left out"),
    ],
)
def test_why_there_is_no_interval(judged: list[float], reason: str) -> None:
    """Each case of three systems and three items says so, in place of ends.

    In the last, without the third system all scores of the judge are equal.
    """
    systems, items = np.indices((3, 3)).reshape(2, -1)
    ends = crossed_jackknife(judged, TABLE, systems, items, [0] * 9).interval("spearman", "all")
    assert math.isnan(ends.lower)
    assert math.isnan(ends.upper)
    assert reason in ends.reason


def test_one_dialogue_has_no_interval() -> None:
    """One system, one character, one scenario."""
    ends = crossed_jackknife([3.0], [2.0], [0], [0], [0]).interval("bias", "all")
    assert ends.reason == "fewer than 3 groups of any kind"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"human": [1.0]}, "of one length"),
        ({"system": [0]}, "of one length"),
        ({"judged": [1.0, math.inf]}, "infinities"),
    ],
)
def test_bad_input_is_refused(change: dict[str, Any], message: str) -> None:
    """Lengths that differ and infinities."""
    given = {"judged": [1.0, 2.0], "human": [1.0, 2.0]}
    given |= {label: [0.0, 1.0] for label in ("system", "character", "scenario")}
    with pytest.raises(ValueError, match=message):
        crossed_jackknife(**{**given, **change})


def test_a_confidence_is_checked(data: Simulated) -> None:
    """It lies between 0 and 1."""
    found = crossed_jackknife(*scores(data), data.system, data.character, data.scenario)
    with pytest.raises(ValueError, match="between 0 and 1"):
        found.interval("bias", "all", 1)


def test_a_p_value_is_where_the_interval_ends_at_nothing(data: Simulated) -> None:
    """At confidence 1 - p one end is 0."""
    found = crossed_jackknife(*scores(data), data.system, data.character, data.scenario)
    for statistic in ("spearman", "pearson", "bias"):
        p = found.p_value(statistic, "all")
        ends = found.interval(statistic, "all", 1 - p)
        assert min(abs(ends.lower), abs(ends.upper)) < 1e-9
    constant = crossed_jackknife([1.0, 1], [1.0, 2], [0, 1], [0, 0], [0, 0])
    assert math.isnan(constant.p_value("spearman", "all"))
