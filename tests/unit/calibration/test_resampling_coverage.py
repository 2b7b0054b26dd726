"""How often the intervals of agreement hold the truth, over SIMULATED data.

11 systems as in the study, crossed with 12 characters and 12 scenarios instead of 20 and 60, to
have hundreds of data sets in seconds: so that fewer dialogues do not make more noise, a dialogue's
own effects are smaller and it has two ratings. The full size takes minutes; what it covered stands
in `CrossedBootstrap.interval`. Data sets are metrics that have nothing in common.

The truth is the same statistic over 200,000 dialogues. 95% must cover 92% to 97%: a
right interval leaves the bounds below, as wide as so many data sets need, once in a thousand seeds.
"""

from __future__ import annotations

import math
from dataclasses import astuple, replace
from functools import cache
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom

from calibration.agreement.small_sample import bonett_wright
from calibration.resampling.bootstrap import CrossedBootstrap, Method, crossed_bootstrap
from calibration.resampling.weighted import LEVELS, STATISTICS, Level, Statistic
from calibration.simulate import HUMAN, JUDGE, Shape, Spread, simulate

Floats = NDArray[np.float64]
LABELS = np.arange(1, 6)


class World(NamedTuple):
    """Where data sets come from."""

    shape: Shape
    people: Spread
    machine: Spread

    def draw(self, rng: np.random.Generator) -> Data:
        """Data sets, one for each metric."""
        found = simulate(rng, self.shape, human=self.people, judge=self.machine)
        cell = found.cell * self.shape.metrics + found.metric
        human = np.bincount(cell, found.human) / np.bincount(cell)
        return Data(
            found.probs @ LABELS, human.reshape(found.seen.shape),
            found.system, found.character, found.scenario,
        )  # fmt: skip


class Data(NamedTuple):
    """As `crossed_bootstrap` takes them."""

    judged: Floats
    human: Floats
    system: NDArray[np.int64]
    character: NDArray[np.int64]
    scenario: NDArray[np.int64]


SETS, RESAMPLES = 500, 200
SMALL = World(
    Shape(systems=11, characters=12, scenarios=12, metrics=SETS, shared=0, severity=0, noise=0.2,
          per_cell=(2, 2), raters=2),
    replace(HUMAN, system_scenario=0.05, dialogue=0.2),
    replace(JUDGE, system_scenario=0.04, dialogue=0.15),
)  # fmt: skip
FULL = World(
    Shape(metrics=80, shared=0, severity=0, per_cell=(1, 1), raters=1),
    HUMAN,
    JUDGE,
)  # fmt: skip


@cache
def sets() -> Data:
    """Drawn once for all tests."""
    return SMALL.draw(np.random.default_rng(40))


@cache
def crossed() -> CrossedBootstrap:
    """What is tested."""
    rng = np.random.default_rng(41)
    return crossed_bootstrap(*sets(), rng, resamples=RESAMPLES, chunk=RESAMPLES)


@cache
def independent() -> CrossedBootstrap:
    """The bootstrap that draws dialogues one by one, on 60 of the same data sets.

    By the same code: dialogues are the characters of one system and one scenario.
    """
    judged, human = sets().judged[:, :60], sets().human[:, :60]
    one, rng = np.zeros(len(judged)), np.random.default_rng(43)
    labels = one, np.arange(len(one)), one
    return crossed_bootstrap(judged, human, *labels, rng, resamples=RESAMPLES, chunk=RESAMPLES)


@cache
def truths(world: World, level: Level) -> Floats:
    """The four statistics of 200,000 dialogues with the same effects; of systems, a formula.

    Of ever more systems, characters and scenarios, two dialogues hardly ever share one: each has
    effects of its own. In the same way an item has its effect, and all else differs from system to
    system. Means of systems rise with the systems' effects, which are normal with correlation r:
    rho is 6 / pi asin(r / 2) (Pearson 1907).
    """
    shape, people, machine = world
    if level == "systems":
        r = shape.slope * people.system / math.hypot(shape.slope * people.system, machine.system)
        return np.array([6 / math.pi * math.asin(r / 2), r])

    def spread(of: Spread) -> Spread:
        common = math.hypot(of.character, of.scenario) if level == "within_item" else 0.0
        rest = math.sqrt(sum(value**2 for value in astuple(of)) - common**2)
        return Spread(0, 0, common, 0, 0, rest)

    large = replace(shape, systems=400, characters=1, scenarios=500, metrics=1)
    rng = np.random.default_rng(42)
    data = World(large, spread(people), spread(machine)).draw(rng)
    found = crossed_bootstrap(*data, rng, resamples=1)
    return found.estimate[0, :, LEVELS.index(level), 0]


def covered(
    found: CrossedBootstrap,
    statistic: Statistic,
    level: Level,
    method: Method | None = None,
    world: World = SMALL,
) -> int:
    """In how many data sets the interval holds the truth."""
    expected = truths(world, level)[STATISTICS.index(statistic)]
    intervals = (
        found.interval(statistic, level, target, method=method)
        for target in range(found.estimate.shape[-1])
    )
    return sum(interval.lower <= expected <= interval.upper for interval in intervals)


def at_least(share: float, sets: int = SETS) -> float:
    """Fewer of `sets` hold the truth once in a thousand times, if each does so with `share`."""
    return float(binom.ppf(0.001, sets, share))


def at_most(share: float, sets: int = SETS) -> float:
    """The same for more."""
    return float(binom.ppf(0.999, sets, share))


@pytest.mark.parametrize("statistic", STATISTICS)
def test_percentiles_cover_over_all_dialogues(statistic: Statistic) -> None:
    """95% is 92% to 97% for correlations, errors and bias."""
    assert at_least(0.92) <= covered(crossed(), statistic, "all") <= at_most(0.97)


@pytest.mark.parametrize("statistic", STATISTICS)
def test_independent_dialogues_cover_less_than_six_in_ten(statistic: Statistic) -> None:
    """As if dialogues of one system, or of one character, had nothing in common: under 60%."""
    assert covered(independent(), statistic, "all") < 0.6 * 60


def test_within_items_percentiles_fail_and_the_correction_covers() -> None:
    """At the full size, where noise of single dialogues does not hide it, percentiles lie too low.

    A resample has 7 different systems of 11, and over fewer a rank correlation is nearer to 0: far
    less than 92% of the percentile intervals hold the truth, at least that of the corrected ones.
    """
    data = FULL.draw(np.random.default_rng(45))
    found = crossed_bootstrap(*data, np.random.default_rng(46), resamples=120, chunk=60)
    held = [
        covered(found, "spearman", "within_item", method, FULL)
        for method in ("percentile", "corrected")
    ]
    assert held[0] < at_least(0.92, 80) <= held[1]
    assert (found.replicates[:, 0, 0, 1].mean(axis=0) < found.estimate[0, 0, 1]).all()


@pytest.mark.parametrize("statistic", ["spearman", "pearson"])
def test_within_items_the_default_covers(statistic: Statistic) -> None:
    """It is the corrected one: at least 92%."""
    assert covered(crossed(), statistic, "within_item") >= at_least(0.92)


def test_systems_are_covered_and_more_closely_by_bonett_and_wright() -> None:
    """Spearman's rho of 11 systems: percentiles cover at least 92%, far more than they promise.

    The interval of Bonett and Wright keeps to 92% to 97% and is narrower.
    """
    found = crossed()
    expected = truths(SMALL, "systems")[0]
    rhos = found.estimate[0, 0, 3]
    closer = [bonett_wright(rho, 11) for rho in rhos]
    # A perfect rho has no interval, which holds nothing.
    held = sum(one.lower <= expected <= one.upper for one in closer)
    perfect = sum(bool(one.reason) for one in closer)
    wide = [found.interval("spearman", "systems", target) for target in range(SETS)]
    assert covered(found, "spearman", "systems") >= at_least(0.97)
    assert held >= at_least(0.92)
    assert held - perfect <= at_most(0.97)
    assert np.nanmean([one.width for one in closer]) < np.mean([w.upper - w.lower for w in wide])


def test_fixed_systems_are_covered() -> None:
    """Of 11 systems with 150 characters and 150 scenarios, 12 of each: all four levels of rho.

    The truth is that of the whole. Percentiles cover at least 92%, and more where the noise of
    single dialogues, counted up to three times, is most of it.
    """
    rng = np.random.default_rng(44)
    shape = replace(SMALL.shape, characters=150, scenarios=150, metrics=1)
    data = SMALL._replace(shape=shape).draw(rng)
    expected = crossed_bootstrap(*data, rng, resamples=1).estimate[0, 0, :, 0]
    parts = []
    for _ in range(200):
        character, scenario = rng.permutation(150)[:12], rng.permutation(150)[:12]
        place = np.ix_(range(11), character, scenario)
        parts.append([side.reshape(11, 150, 150)[place].ravel() for side in data[:2]])
    found = crossed_bootstrap(
        *np.moveaxis(np.array(parts), 0, -1), *np.indices((11, 12, 12)).reshape(3, -1), rng,
        resamples=200, systems_fixed=True, chunk=200,
    )  # fmt: skip
    lower, upper = np.quantile(found.replicates[:, 0, 0], [0.025, 0.975], axis=0)
    held = ((lower <= expected[:, None]) & (expected[:, None] <= upper)).sum(axis=1)
    assert (held >= at_least(0.92, 200)).all()
