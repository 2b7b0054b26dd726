#!/usr/bin/env python3
"""What the program promises against what it keeps: nominal and measured, for docs/validation.md.

    python scripts/validate.py                      # four rounds of all parts: an hour of one core
    python scripts/validate.py --part levels        # one part
    python scripts/validate.py --write              # docs/validation.md from what is there
    python scripts/validate.py --quick --json       # two data sets for each cell: a minute

Every interval and every test that a report prints is tried on SIMULATED data whose truth is known,
by the functions that the report calls. The data have independent normal effects of systems,
characters, scenarios, pairs of these, and single dialogues; twelve raters of fixed severity; and
ratings rounded to 1..5. Results are kept in `--folder`, one file for each cell of the tables: an
interrupted run goes on where it stopped.
"""

from __future__ import annotations

import json
import math
import platform
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from importlib.metadata import version
from itertools import combinations, product
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import ndtr, ndtri

from calibration.agreement.levels import level_correlations
from calibration.agreement.small_sample import permutation_p
from calibration.calibrators import CANDIDATES, Sample
from calibration.conformal import hierarchical_radius, item_intervals, pooled_radius
from calibration.intervals import clustered_mean, mean_interval, ranks
from calibration.ppi import RaterShares, label_gap, powered_mean
from calibration.resampling.bootstrap import crossed_bootstrap
from calibration.resampling.weighted import LEVELS, STATISTICS
from calibration.selection import crossfit
from calibration.unseen_system import system_shifts, unseen_system_mean
from judge.analysis.agreement.agreement_records import Agreement
from judge.analysis.agreement.data import GroupCodes, PairedScores, measure_scores, purpose_rng
from judge.analysis.agreement.judge_agreement import agree, resample, systems_interval
from judge.analysis.agreement.rater_statistics import alt_tests, ceiling
from judge.analysis.agreement.statistics import correlations, errors, intraclass, system_points
from judge.analysis.agreement.two_judges import COMPARED, compare_judges
from judge.analysis.fit_to_published import calibrate_to_published
from judge.analysis.fit_to_table import calibrate_table
from judge.analysis.published import PublishedMeans
from judge.calibration_file import MadeWith
from judge.report.agreement_summary import beaten, headline
from judge.rubric import load_rubric
from judge.types import Judgment, ScoreDistribution

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
PAGE = Path(__file__).parents[1] / "docs" / "validation.md"
LABELS = np.arange(1, 6)
POOL = 12
SEVERITY = 0.25 * ndtri((np.arange(POOL) + 0.5) / POOL)
Sizes = tuple[int, int, int]
LARGE, SMALL, WIDE = (11, 20, 60), (6, 10, 6), (30, 5, 10)
DESIGNS = (SMALL, WIDE, LARGE)


class Effects(NamedTuple):
    """Standard deviations of independent normal effects, in points."""

    system: float = 0.0
    character: float = 0.0
    scenario: float = 0.0
    system_character: float = 0.0
    system_scenario: float = 0.0
    item: float = 0.0
    dialogue: float = 0.0

    def merged(self, *common: str) -> Effects:
        """Of dialogues that have only the `common` effects in common, as one effect of a group."""
        shared = sum(value**2 for name, value in self._asdict().items() if name in common)
        rest = sum(value**2 for name, value in self._asdict().items() if name not in common)
        return Effects(scenario=math.sqrt(shared), dialogue=math.sqrt(rest))


class World(NamedTuple):
    """How the judge's scores come about: 3.7 + slope (what people see - 4) + own effects."""

    slope: float
    own: Effects


PEOPLE = Effects(0.25, 0.20, 0.15, 0.15, 0.10, 0.10, 0.40)
"""What people see; the mean is 4. A rating has noise of standard deviation .5, too."""

SKILL = World(0.8, Effects(0.15, 0.12, 0.10, 0.12, 0.08, 0.08, 0.30))
NONE = World(0.0, Effects(0.30, 0.30, 0.30, 0.15, 0.15, 0.15, 0.40))
NOISE = World(0.0, Effects(dialogue=0.6))
WORLDS = {"skill": SKILL, "no skill, tastes": NONE, "no skill, noise": NOISE}
RATERS: dict[str, tuple[tuple[int, int], float]] = {
    "1": ((1, 1), 0.0),
    "1-3, 15% missing": ((1, 3), 0.15),
    "3": ((3, 3), 0.0),
}
"""Fewest and most raters of a dialogue, and the share of dialogues that are missing."""


class Data(NamedTuple):
    """SIMULATED: n dialogues, M metrics, r ratings. `human` are means of the ratings."""

    system: Codes
    character: Codes
    scenario: Codes
    probs: Floats  # (n, M, 5)
    human: Floats  # (n, M)
    cell: Codes
    rater: Codes
    metric: Codes
    rating: Floats
    seen: Floats  # (n, M)

    @property
    def judged(self) -> Floats:
        """(n, M) the judge's expected scores."""
        return self.probs @ LABELS

    @property
    def labels(self) -> tuple[Codes, Codes, Codes]:
        """System, character and scenario."""
        return self.system, self.character, self.scenario


def effects(rng: np.random.Generator, spread: Effects, sizes: Sizes, metrics: int = 1,
            shared: float = 0.0) -> Floats:  # fmt: skip
    """(n, M) sums of all effects; `shared` of each variance is the same for all metrics."""
    s, c, n = sizes
    shapes = ((s, 1, 1), (1, c, 1), (1, 1, n), (s, c, 1), (s, 1, n), (1, c, n), sizes)
    total = np.zeros((*sizes, metrics))
    for deviation, shape in zip(spread, shapes, strict=True):
        total += rng.normal(0, deviation * math.sqrt(1 - shared), (*shape, metrics))
        if shared:
            total += rng.normal(0, deviation * math.sqrt(shared), (*shape, 1))
    return total.reshape(-1, metrics)


def distributions(centre: Floats) -> Floats:
    """Normal ones of standard deviation .45, cut at the half points."""
    below = ndtr((np.arange(1.5, 5) - centre[..., None]) / 0.45)
    return np.diff(below, axis=-1, prepend=0.0, append=1.0)


def simulate(
    rng: np.random.Generator,
    sizes: Sizes,
    world: World = SKILL,
    raters: str = "1",
    *,
    metrics: int = 1,
    people: Effects = PEOPLE,
    severity: Floats = SEVERITY,
    seen: Floats | None = None,
) -> Data:
    """Dialogues, ratings and the judge's distributions."""
    (low, high), missing = RATERS[raters]
    shared = 0.5 if metrics > 1 else 0.0
    if seen is None:
        seen = 4 + effects(rng, people, sizes, metrics, shared)
    centre = 3.7 + world.slope * (seen - 4) + effects(rng, world.own, sizes, metrics, shared)
    kept = np.flatnonzero(rng.random(len(seen)) >= missing)
    system, character, scenario = (axis.ravel()[kept] for axis in np.indices(sizes))
    seen, centre = seen[kept], centre[kept]
    count = rng.integers(low, high + 1, len(kept))
    order = np.argsort(rng.random((len(kept), len(severity))), axis=1)[:, :high]
    dialogue, turn = np.nonzero(np.arange(order.shape[1]) < count[:, None])
    who = order[dialogue, turn]
    impression = seen[dialogue] - severity[who, None] + rng.normal(0, 0.5, (len(who), metrics))
    rating = np.clip(np.rint(impression), 1, 5)
    human = np.stack([np.bincount(dialogue, column) / count for column in rating.T], axis=1)
    return Data(
        system, character, scenario, distributions(centre), human,
        np.repeat(dialogue, metrics), np.repeat(who, metrics),
        np.tile(np.arange(metrics), len(who)), rating.ravel(), seen,
    )  # fmt: skip


def paired(data: Data) -> PairedScores:
    """As `judge agree` has them."""
    metrics = tuple(f"metric{number}" for number in range(data.human.shape[1]))
    groups = {"one": metrics[:3], "two": metrics[3:6], "three": metrics[6:]}
    nine = len(metrics) == 9
    return PairedScores(
        judge="judge",
        metrics=metrics,
        titles={},
        groups=groups if nine else {},
        complete=frozenset(groups) if nine else frozenset(),
        has_overall=nine,
        system=np.char.add("s", data.system.astype(str)),
        character=np.char.add("c", data.character.astype(str)),
        scenario=np.char.add("n", data.scenario.astype(str)),
        item="character and scenario",
        score=data.judged,
        probs=data.probs,
        dialogue=data.cell,
        metric=data.metric,
        rater=data.rater,
        rating=data.rating,
        raters=tuple(f"simulated {number}" for number in range(POOL)),
        scale=dict.fromkeys(metrics, (1.0, 5.0)),
        scale_declared=True,
        length=np.full(len(data.system), np.nan),
    )


# ---- what is counted ----


class Count(NamedTuple):
    """A share of `n` replicates, its Monte-Carlo error, and what it should have been.

    `kind`: `covers` (nominal or more is right), `false` (nominal or less), `power` and `seen` (no
    claim), or `value` (a mean, no share). `extra` is the mean width of an interval.
    """

    row: str
    column: str
    nominal: float
    kind: str
    share: float
    error: float
    n: int
    extra: float | None = None


class Tally:
    """Counts by row and column."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, str, float, str], list[float]] = defaultdict(list)
        self._extra: dict[tuple[str, str], list[float]] = defaultdict(list)
        self._values: dict[tuple[str, str], list[float]] = defaultdict(list)

    def covers(self, row: str, column: str, ends: tuple[Any, Any], truth: float,
               nominal: float = 0.95) -> None:  # fmt: skip
        """Whether an interval holds the truth; one without ends is not counted."""
        lower, upper = ends
        if lower is None or upper is None or math.isnan(lower + upper):
            return
        self._held[row, column, nominal, "covers"].append(bool(lower <= truth <= upper))
        self._extra[row, column].append(float(upper - lower))

    def share(self, row: str, column: str, held: float | list[bool], nominal: float,
              kind: str = "false") -> None:  # fmt: skip
        """Whether something happened, or in what share of cases that depend on each other."""
        self._held[row, column, nominal, kind] += held if isinstance(held, list) else [held]

    def value(self, row: str, column: str, value: float | None) -> None:
        """A number, of which the mean is wanted."""
        if value is not None and not math.isnan(value):
            self._values[row, column].append(value)

    def counts(self) -> Iterator[Count]:
        """All of them, with the mean width of intervals."""
        for (row, column, nominal, kind), held in self._held.items():
            widths = self._extra.get((row, column))
            extra = float(np.mean(widths)) if widths else None
            error = float(np.std(held, ddof=1)) / math.sqrt(len(held))
            yield Count(row, column, nominal, kind, float(np.mean(held)), error, len(held), extra)
        for (row, column), values in self._values.items():
            error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
            yield Count(row, column, 1.0, "value", float(np.mean(values)), error, len(values))


def of_design(sizes: Sizes) -> str:
    """`11 x 20 x 60`."""
    return " x ".join(map(str, sizes))


# ---- agreement at the levels of dialogues ----

COMMON = {
    "all": (),
    "within_item": ("character", "scenario", "item"),
    "within_system": ("system",),
}
"""The effects that dialogues compared with each other share."""


@cache
def truths(world: World, raters: str) -> dict[tuple[str, str], float]:
    """The statistics over endlessly many systems, characters and scenarios: of 320,000 dialogues.

    Two of endlessly many dialogues share no effect, those of one item only its own, and those of
    one system only its own.
    """
    found = {}
    for level, common in COMMON.items():
        rng = purpose_rng(7, level)
        own = World(world.slope, world.own.merged(*common))
        data = simulate(rng, (400, 1, 800), own, raters, people=PEOPLE.merged(*common))
        judged, human = data.judged[:, 0], data.human[:, 0]
        for coefficient in ("spearman", "pearson"):
            if level == "all":
                one = np.zeros(len(judged))
                value = level_correlations(judged, human, one, one, coefficient).all
            else:
                value = level_correlations(
                    judged, human, data.scenario, data.scenario, coefficient
                ).within_system
            found[coefficient, level] = value.value
        if level == "all":
            found["mae", level] = float(np.abs(judged - human).mean())
            found["bias", level] = float((judged - human).mean())
    return found


def ends(estimate: Any) -> tuple[Any, Any]:
    """Of an `Estimate`."""
    interval = estimate.interval
    return (None, None) if interval is None else (interval.lower, interval.upper)


def levels(world: str, sizes: Sizes, raters: str, replicates: int, seed: int) -> Iterator[Count]:
    """Intervals over all dialogues, within items and within systems."""
    tally, row = Tally(), f"{of_design(sizes)}, {raters}"
    truth = truths(WORLDS[world], raters)
    rng = purpose_rng(seed, "levels", world, row)
    for _ in range(replicates):
        scores = paired(simulate(rng, sizes, WORLDS[world], raters))
        measure, groups = measure_scores(scores)[0], GroupCodes.of(scores)
        found = resample([measure], groups, 1, 0.95, 0, systems_fixed=False)[measure.name]
        values = correlations(measure, groups, found)
        for coefficient, short in (("spearman", "rho"), ("pearson", "r")):
            for level in COMMON:
                one = values[coefficient][level]  # type: ignore[index]
                title = f"{short}, {level.replace('_', ' ')}"
                tally.covers(row, title, ends(one), truth[coefficient, level])
        for name, one in errors(measure, found).items():
            if name != "rmse":
                tally.covers(row, {"mae": "MAE"}.get(name, name), ends(one), truth[name, "all"])
    yield from tally.counts()


def before(world: str, sizes: Sizes, raters: str, replicates: int, seed: int) -> Iterator[Count]:
    """A crossed bootstrap on the same data, for comparison: percentiles, corrected within items.

    Corrected: (2 estimate - mean of the resamples) +- t sqrt(m / (m - 1)) SD, with m the fewest
    levels of a factor.
    """
    tally, row = Tally(), f"{of_design(sizes)}, {raters}"
    truth = truths(WORLDS[world], raters)
    rng = purpose_rng(seed, "levels", world, row)
    for _ in range(replicates):
        data = simulate(rng, sizes, WORLDS[world], raters)
        found = crossed_bootstrap(
            data.judged, data.human, *data.labels, np.random.default_rng(1), resamples=500
        )
        for statistic, short in (("spearman", "rho"), ("pearson", "r"), ("mae", "MAE"),
                                 ("bias", "bias")):  # fmt: skip
            for level in COMMON if short in ("rho", "r") else ("all",):
                one = found.interval(statistic, level)  # type: ignore[arg-type]
                title, limits = short, (one.lower, one.upper)
                if short in ("rho", "r"):
                    title = f"{short}, {level.replace('_', ' ')}"
                if level == "within_item":
                    place = STATISTICS.index(statistic), LEVELS.index(level)
                    drawn = found.replicates[:, 0, *place, 0]
                    m = min(sizes)
                    centre = 2 * float(found.estimate[0, *place, 0]) - drawn.mean()
                    half = stats.t.ppf(0.975, m - 1) * math.sqrt(m / (m - 1)) * drawn.std()
                    limits = tuple(np.clip([centre - half, centre + half], -1, 1).tolist())
                tally.covers(row, title, limits, truth[statistic, level])
    yield from tally.counts()


# ---- agreement between systems ----


def some(data: Data, kept: NDArray[np.bool_]) -> Data:
    """The dialogues that are `kept`."""
    rated = kept[data.cell]
    return Data(
        data.system[kept],
        data.character[kept],
        data.scenario[kept],
        data.probs[kept],
        data.human[kept],
        (np.cumsum(kept) - 1)[data.cell[rated]],
        data.rater[rated],
        data.metric[rated],
        data.rating[rated],
        data.seen[kept],
    )


def system_means(data: Data) -> tuple[Floats, Floats]:
    """The means of judge and people, by system."""
    count = np.bincount(data.system)
    sides = (data.judged[:, 0], data.human[:, 0])
    judged, human = (np.bincount(data.system, side) / count for side in sides)
    return judged, human


def systems(world: str, sizes: Sizes, raters: str, replicates: int, seed: int) -> Iterator[Count]:
    """Intervals and the test of the order of systems.

    The truth is that of many more systems with the same characters and scenarios, and as many
    dialogues of each.
    """
    tally, row = Tally(), f"{of_design(sizes)}, {raters}"
    rng = purpose_rng(seed, "systems", world, row)
    more = 300 if math.prod(sizes) > 5000 else 800
    for _ in range(replicates):
        drawn = simulate(rng, (sizes[0] + more, *sizes[1:]), WORLDS[world], raters)
        judged, human = system_means(drawn)
        judged, human = judged[sizes[0] :], human[sizes[0] :]
        covariance = np.cov(judged, human)
        of_both = np.trace(covariance) / 2
        distance = (judged.mean() - human.mean()) ** 2 / 2
        truth = {
            "rho": float(stats.spearmanr(judged, human).statistic),
            "r": float(np.corrcoef(judged, human)[0, 1]),
            "ICC(C,1)": float(covariance[0, 1] / of_both),
            "ICC(A,1)": float(covariance[0, 1] / (of_both + distance)),
        }
        truth["ICC(A,k)"] = 2 * truth["ICC(A,1)"] / (1 + truth["ICC(A,1)"])
        scores = paired(some(drawn, drawn.system < sizes[0]))
        measure, groups = measure_scores(scores)[0], GroupCodes.of(scores)
        found = resample([measure], groups, 1000, 0.95, 0, systems_fixed=False)[measure.name]
        values = correlations(measure, groups, found)
        rho = values["spearman"]["systems"]
        one = systems_interval(rho, 0.95)
        tally.covers(row, "rho, Bonett-Wright", (one.lower, one.upper), truth["rho"])
        tally.covers(row, "rho, bootstrap", ends(rho), truth["rho"])
        tally.covers(row, "r, bootstrap", ends(values["pearson"]["systems"]), truth["r"])
        points = system_points(measure, groups)
        for name, icc in intraclass(measure, points, 0.95)["systems"].items():
            tally.covers(row, name, ends(icc), truth[name])
        p = permutation_p([q.judge for q in points], [q.human for q in points], rng).value
        if world != "skill":
            tally.share(row, "permutation p <= .05", p <= 0.05, 0.05)
    yield from tally.counts()


def fixed(world: str, sizes: Sizes, raters: str, replicates: int, seed: int) -> Iterator[Count]:
    """--systems-fixed: the truth is that of these systems with 150 characters and 100 scenarios."""
    tally, row = Tally(), f"{of_design(sizes)}, {raters}"
    rng = purpose_rng(seed, "fixed", world, row)
    for _ in range(replicates):
        drawn = simulate(rng, (sizes[0], 150, 100), WORLDS[world], raters)
        item = drawn.character * 100 + drawn.scenario
        sides = drawn.judged[:, 0], drawn.human[:, 0]
        truth = level_correlations(*sides, drawn.system, item)
        kept = np.isin(drawn.character, rng.permutation(150)[: sizes[1]])
        kept &= np.isin(drawn.scenario, rng.permutation(100)[: sizes[2]])
        scores = paired(some(drawn, kept))
        measure, groups = measure_scores(scores)[0], GroupCodes.of(scores)
        found = resample([measure], groups, 1000, 0.95, 0, systems_fixed=True)[measure.name]
        values = correlations(measure, groups, found)["spearman"]
        for level in COMMON:
            title = f"rho, {level.replace('_', ' ')}"
            tally.covers(row, title, ends(values[level]), getattr(truth, level).value)  # type: ignore[index]
        tried = found.bootstrap.interval("spearman")
        name = "rho, systems: percentiles (not printed)"
        tally.covers(row, name, (tried.lower, tried.upper), truth.systems.value)
        for name, one in errors(measure, found).items():
            error = sides[0] - sides[1]
            of_all = {"mae": np.abs(error).mean(), "bias": error.mean()}
            if name != "rmse":
                tally.covers(row, {"mae": "MAE"}.get(name, name), ends(one), float(of_all[name]))
    yield from tally.counts()


def few_raters(
    world: str, sizes: Sizes, raters: str, replicates: int, seed: int
) -> Iterator[Count]:
    """Three raters in all, drawn from many: the truth is that of all raters there could be."""
    tally, row = Tally(), f"{of_design(sizes)}, the same {raters}"
    rng = purpose_rng(seed, "few raters", world, row)
    single = Effects(dialogue=math.sqrt(sum(value**2 for value in PEOPLE)))
    own = World(WORLDS[world].slope, WORLDS[world].own.merged())
    many = simulate(rng, (400, 1, 800), own, raters, people=single)
    truth = float((many.judged - many.human).mean())
    for _ in range(replicates):
        data = simulate(rng, sizes, WORLDS[world], raters, severity=rng.normal(0, 0.25, 3))
        scores = paired(data)
        measure, groups = measure_scores(scores)[0], GroupCodes.of(scores)
        found = resample([measure], groups, 1, 0.95, 0, systems_fixed=False)[measure.name]
        bias = errors(measure, found)["bias"]
        tally.covers(row, "bias, of all raters there could be", ends(bias), truth)
    yield from tally.counts()


# ---- two judges ----

PEERS = {
    "equal judges with tastes": (Effects(0.15, 0.15, 0.15, 0.12, 0.08, 0.08, 0.30),) * 2,
    "equal judges, independent errors": (Effects(dialogue=0.4),) * 2,
    "one is worse": (Effects(0.10, 0.05, 0.05, 0.05, 0.05, 0.05, 0.20),
                     Effects(0.35, 0.25, 0.20, 0.20, 0.15, 0.15, 0.60)),
}  # fmt: skip


def two_judges(
    world: str, sizes: Sizes, raters: str, replicates: int, seed: int
) -> Iterator[Count]:
    """How often p <= .05; where one judge is worse, that is power and has no limit."""
    tally, row = Tally(), f"{of_design(sizes)}, {raters}"
    rng = purpose_rng(seed, "two judges", world, row)
    compared: tuple[Any, ...] = ("systems",) if sizes == LARGE else COMPARED
    for _ in range(replicates):
        seen = 4 + effects(rng, PEOPLE, sizes)
        data = simulate(rng, sizes, World(0.8, PEERS[world][0]), raters, seen=seen)
        first = paired(data)
        centre = 3.7 + 0.8 * (data.seen - 4)
        other = np.zeros((math.prod(sizes), 1)) + effects(rng, PEERS[world][1], sizes)
        kept = np.ravel_multi_index(data.labels, sizes)
        second = replace(first, judge="other", score=distributions(centre + other[kept]) @ LABELS)
        for test, name in (("exchange", "exchange"), ("perm-both", "PERM-BOTH")):
            found = compare_judges(first, second, test=test, levels=compared)  # type: ignore[arg-type]
            for one in found.rows:
                title = f"{name}, {one.level.replace('_', ' ')}"
                kind = "power" if world == "one is worse" else "false"
                tally.share(row, title, one.p is not None and one.p <= 0.05, 0.05, kind)
    yield from tally.counts()


# ---- raters ----


def annotators(
    world: str, sizes: Sizes, raters: str, replicates: int, seed: int
) -> Iterator[Count]:
    """The alternative annotator test, at the most generous epsilon."""
    tally, row = Tally(), f"{of_design(sizes)}, {raters}"
    rng = purpose_rng(seed, "annotators", world, row)
    kind = "power" if world == "skill" else "false"
    for _ in range(replicates):
        scores = paired(simulate(rng, sizes, WORLDS[world], raters, severity=SEVERITY[::4]))
        measure = measure_scores(scores)[0]
        for test in alt_tests(measure, scores.raters, "expert", 1):
            name = f"{test.scores} scores"
            tally.share(row, f"{name}: claimed", test.verdict == "passed", 0.05, kind)
            tally.share(row, f"{name}: passed, floors aside", bool(test.passed), 0.05, "seen")
    yield from tally.counts()


def ceilings(world: str, sizes: Sizes, raters: str, replicates: int, seed: int) -> Iterator[Count]:
    """The share of the ceiling that a judge reaches who sees what people see, without noise."""
    tally, row = Tally(), f"{of_design(sizes)}, {raters}"
    rng = purpose_rng(seed, "ceilings", world, row)
    for _ in range(replicates):
        data = simulate(rng, sizes, WORLDS[world], raters)
        scores = replace(paired(data), score=np.clip(data.seen, 1, 5))
        measure, groups = measure_scores(scores)[0], GroupCodes.of(scores)
        pearson = correlations(measure, groups, None)["pearson"]["all"]
        found = ceiling(measure, pearson)
        tally.value(row, "share of the Spearman ceiling", found.share)
        tally.value(row, "share of the Pearson ceiling", found.pearson_share)
    yield from tally.counts()


# ---- calibration ----


def new_system(
    world: str, sizes: Sizes, raters: str, replicates: int, seed: int
) -> Iterator[Count]:
    """Ratings and the mean of a system that a line fitted to all others has not seen.

    The truth of the mean is that of its ratings over all characters and scenarios here, of endless
    raters. `shifted`: the judge scores the new system half a point higher.
    """
    tally, row = Tally(), f"{of_design(sizes)} and a new one, {raters}"
    rng = purpose_rng(seed, "new system", world, row)
    count = sizes[0]
    confidence = 0.9 if count > 8 else 0.8
    for _ in range(replicates):
        data = simulate(rng, (count + 1, *sizes[1:]), WORLDS[world], raters)
        old, new = (some(data, kept) for kept in (data.system < count, data.system == count))
        sample = Sample.of(old.probs, 0, old.rating, old.cell, groups=old.system, raters=old.rater)
        line = CANDIDATES["linear"].fit(sample)
        predicted = crossfit(CANDIDATES["linear"], sample).predicted
        residual = np.abs(old.rating - predicted[old.cell])
        scores = line.predict(new.probs)
        for name, radius in (("scores.csv", pooled_radius), ("hierarchical", hierarchical_radius)):
            found = radius(residual, old.system[old.cell], confidence)
            interval = item_intervals(scores, found.radius)
            lower, upper = interval.lower[new.cell], interval.upper[new.cell]
            within = (lower <= new.rating) & (new.rating <= upper)
            tally.share(row, f"one rating, {name}", float(within.mean()), confidence, "covers")
        shifts = [*system_shifts(old.human[:, 0] - predicted, old.system).values()]
        truth = float(expected_rating(new.seen[:, 0]).mean())
        raw = [float(old.judged[old.system == s].mean()) for s in range(count)]
        for few, name in ((None, "all dialogues"), (4, "a few")):
            near = np.ones(len(scores), dtype=np.bool_)
            if few is not None:
                near = (new.character < few) & (new.scenario < 3)
            if len(np.unique(new.character[near])) < 2 or len(np.unique(new.scenario[near])) < 2:
                continue
            error = clustered_mean(scores[near], new.character[near], new.scenario[near])
            mean = unseen_system_mean(
                float(scores[near].mean()), shifts, confidence, standard_error=error.standard_error
            )
            tally.covers(row, f"mean, {name}", (mean.lower, mean.upper), truth, confidence)
            if few is None:
                own = float(new.judged.mean())
                warned = not min(raw) <= own <= max(raw)
                tally.share(row, "warning without a shift", warned, 0.05, "seen")
                warned = not min(raw) <= own + 0.5 <= max(raw)
                tally.share(row, "warning, shifted", warned, 0.05, "seen")
                moved = float((line.predict(new.probs) + 0.5 * slope_of(line)).mean())
                held = abs(moved - truth) <= (mean.upper - mean.lower) / 2
                tally.share(row, "mean, shifted", held, confidence, "seen")
    yield from tally.counts()


def slope_of(line: Any) -> float:
    """What a point more of the judge adds on the human scale."""
    return float(line.slope)


def expected_rating(seen: Floats, spread: float = 0.5, severity: Floats = SEVERITY) -> Floats:
    """The mean rating of what is seen, over all raters."""
    above = 1 - ndtr((np.arange(1.5, 5) - (seen[:, None, None] - severity[:, None])) / spread)
    mean: Floats = 1 + above.sum(axis=2).mean(axis=1)
    return mean


def powered(world: str, sizes: Sizes, raters: str, replicates: int, seed: int) -> Iterator[Count]:
    """The mean of one system, a third of whose dialogues are rated, drawn by lot.

    The truth is that over endless characters, scenarios and raters. `chosen high`: the third that
    the judge scores highest.
    """
    tally, row = Tally(), f"{of_design(sizes)}, {raters}"
    rng = purpose_rng(seed, "powered", world, row)
    rest = math.sqrt(sum(value**2 for value in PEOPLE[1:]) + 0.25**2 + 0.5**2)
    for _ in range(replicates):
        own = rng.normal(0, PEOPLE.system)
        seen = 4 + own + effects(rng, PEOPLE._replace(system=0.0), (1, *sizes[1:]))
        drawn = rng.normal(0, 0.25, 6)
        data = simulate(rng, (1, *sizes[1:]), WORLDS[world], raters, seen=seen, severity=drawn)
        truth = float(expected_rating(np.array([4 + own]), rest, np.zeros(1))[0])
        judged, n = data.judged[:, 0], len(data.system)
        lot, best = rng.permutation(n) < n // 3, np.argsort(np.argsort(-judged)) < n // 3
        for name, rated in (("by lot", lot), ("chosen high", best)):
            human = np.where(rated, data.human[:, 0], np.nan)
            own_ratings = rated[data.cell]
            of = np.bincount(data.cell)
            shares = RaterShares(
                data.cell[own_ratings], data.rater[own_ratings], data.rating[own_ratings],
                1 / of[data.cell[own_ratings]],
            )  # fmt: skip
            found = powered_mean(human, judged, data.character, data.scenario, shares=shares,
                                 confidence=0.9)  # fmt: skip
            gap = label_gap(rated, judged, data.character, data.scenario)
            warned = gap.p < 0.01
            if name == "by lot":
                tally.covers(row, "mean, by lot", (found.lower, found.upper), truth, 0.9)
                tally.share(row, "warned, by lot", warned, 0.01)
            else:
                held = found.lower <= truth <= found.upper
                tally.share(row, "mean, chosen high", bool(held), 0.9, "seen")
                tally.share(row, "warned, chosen high", warned, 0.01, "seen")
    yield from tally.counts()


def published(world: str, sizes: Sizes, raters: str, replicates: int, seed: int) -> Iterator[Count]:
    """Lines from the means of systems to published ones: nine metrics, by the real command."""
    del raters
    tally, row = Tally(), f"{sizes[0]} systems"
    rng = purpose_rng(seed, "published", world, row)
    slope = WORLDS[world].slope
    kind = "power" if slope else "false"
    texts = load_rubric("tiny")
    rubric, names = texts.rubric, [metric.name for metric in texts.dialogue_metrics]
    for _ in range(replicates):
        people = effects(rng, Effects(system=0.25), (sizes[0], 1, 1), len(names), 0.5)
        own = effects(rng, Effects(system=0.2), (sizes[0], 1, 1), len(names), 0.5)
        judged = slope * people + own
        of_systems = [f"s{number}" for number in range(sizes[0])]
        means = {
            system: dict(zip(names, (4 + row_).tolist(), strict=True))
            for system, row_ in zip(of_systems, people, strict=True)
        }
        probs = distributions(3.7 + judged)
        judgments = [
            Judgment("", system, "c", "n", name, ScoreDistribution(
                tuple(np.log(probs[s, m] + 1e-12).tolist()), top_is_label=True))
            for s, system in enumerate(of_systems)
            for m, name in enumerate(names)
        ]  # fmt: skip
        made_with = MadeWith("", "", "", "", "", "", "")
        goal = PublishedMeans("simulated", means)
        found = calibrate_to_published(judgments, rubric, goal, made_with)
        kept = [fit.calibrator is not None for fit in found.fits.values()]
        tally.share(row, "a metric's line kept", kept, 0.05, kind)
        tally.share(row, "any of nine kept", any(kept), 0.10, kind)
    yield from tally.counts()


def ranked(world: str, sizes: Sizes, raters: str, replicates: int, seed: int) -> Iterator[Count]:
    """The leaderboard of judge scores: intervals of means, and ranks of equal systems.

    The truth of a mean is that over endless characters and scenarios.
    """
    del raters
    tally, row = Tally(), of_design(sizes)
    rng = purpose_rng(seed, "ranked", world, row)
    own = WORLDS[world].own
    slope = WORLDS[world].slope
    rest = [slope**2 * a**2 + b**2 for a, b in zip(PEOPLE[1:], own[1:], strict=True)]
    node, weight = np.polynomial.hermite_e.hermegauss(40)
    spread = Effects(0.0, *np.sqrt(rest))
    count = sizes[0]
    level = 1 - 0.05 / (count * (count - 1) / 2)
    for _ in range(replicates):
        centre = 3.7 + effects(rng, spread, sizes)[:, 0]
        scores = (distributions(centre) @ LABELS).reshape(sizes)
        character, scenario = (axis.ravel() for axis in np.indices(sizes[1:]))
        one = mean_interval(scores[0].ravel(), character, scenario, 0.95)
        truth = distributions(3.7 + math.sqrt(sum(rest)) * node) @ LABELS
        mean = float(truth @ weight / weight.sum())
        tally.covers(row, "mean of a system", (one.lower, one.upper), mean)
        better = np.zeros((count, count), dtype=np.bool_)
        for a, b in combinations(range(count), 2):
            pair = mean_interval((scores[a] - scores[b]).ravel(), character, scenario, level)
            better[a, b], better[b, a] = pair.lower > 0, pair.upper < 0
        tally.share(row, "equal systems ranked apart", bool((ranks(better).rank != 1).any()), 0.05)
    yield from tally.counts()


# ---- whole reports ----


def reports(world: str, sizes: Sizes, raters: str, replicates: int, seed: int) -> Iterator[Count]:
    """Nine metrics, their means and the overall score, through `agree` and `calibrate_table`."""
    tally, row = Tally(), f"{of_design(sizes)}, {raters}"
    rng = purpose_rng(seed, "reports", world, row)
    kind = "power" if world == "skill" else "false"
    for _ in range(replicates):
        scores = paired(simulate(rng, sizes, WORLDS[world], raters, metrics=9))
        found = agree(scores)
        claims = {name: claim(found) for name, claim in CLAIMS.items()}
        for name, claimed in claims.items():
            tally.share(row, f"agree: {name}", claimed, 0.05, kind)
        tally.share(row, "agree: any of these", any(claims.values()), 0.10, kind)
        for name, looks in ONE_BY_ONE.items():
            tally.share(row, f"agree, of 13 measures: {name}", looks(found), 0.05, "seen")
        made = calibrate_table(scores, ("simulated", "")).calibration
        maps = [fit.calibrator is not None for fit in made.fits.values()]
        tally.share(row, "calibrate: a metric's map", maps, 0.05, kind)
        tally.share(row, "calibrate: any map of nine", any(maps), 0.10, kind)
        tally.value(row, "SPA of the judge", mean_of(m.soft_pairwise for m in found.measures))
        constants = (m.constant["soft_pairwise"] for m in found.measures)
        tally.value(row, "SPA of a constant", mean_of(constants))
    yield from tally.counts()


def above(found: Agreement, level: Any) -> bool:
    """Whether the interval of any measure lies above 0."""
    ranges = [
        m.bonett_wright if level == "systems" else m.spearman[level].interval
        for m in found.measures
    ]  # fmt: skip
    return any(r is not None and r.lower is not None and r.lower > 0 for r in ranges)


def rises(found: Agreement) -> bool:
    """Whether the permutation test of any measure is significant, with a rho above 0."""
    return any(
        m.permutation_p.value is not None
        and m.permutation_p.value <= 0.05
        and (m.spearman["systems"].value or 0) > 0
        for m in found.measures
    )


CLAIMS: dict[str, Callable[[Agreement], bool]] = {
    "skill on some measure": lambda a: not any("shown on any measure" in note for note in a.notes),
    "annotator test passed": lambda a: any(
        test.verdict == "passed" for m in a.measures for test in m.annotator_tests
    ),
    "no sentinel does as well": lambda a: not beaten(headline(a)),  # type: ignore[arg-type]
}
"""What a report says in words."""

ONE_BY_ONE: dict[str, Callable[[Agreement], bool]] = {
    "an interval above 0, all": lambda a: above(a, "all"),
    "an interval above 0, within item": lambda a: above(a, "within_item"),
    "an interval above 0, systems": lambda a: above(a, "systems"),
    "a permutation p <= .05": rises,
}
"""What each measure shows by itself."""


def mean_of(estimates: Any) -> float:
    """The mean of the estimates that are defined."""
    return float(np.mean([one.value for one in estimates if one.value is not None]))


# ---- what is run, and the page ----

Cell = Callable[[str, Sizes, str, int, int], Iterator[Count]]


class Part(NamedTuple):
    """A table: its cells are worlds x designs x raters.

    `replicates` of one round are those of designs with up to and over 1,000 dialogues, and over
    5,000.
    """

    cell: Cell
    worlds: tuple[str, ...]
    designs: tuple[Sizes, ...]
    raters: tuple[str, ...]
    replicates: tuple[int, int, int]


ALL, TWO = tuple(RATERS), ("1", "1-3, 15% missing")
BOTH, EVERY = ("skill", "no skill, tastes"), tuple(WORLDS)
SYSTEMS_ALONE = ((6, 1, 1), (11, 1, 1))
PARTS = {
    "levels": Part(levels, BOTH, (*DESIGNS, (4, 10, 6)), ALL, (50, 50, 10)),
    "before": Part(before, BOTH, (SMALL, WIDE), ("1",), (20, 20, 0)),
    "reports": Part(reports, EVERY[1:], (SMALL,), ("3",), (10, 0, 0)),
    "systems": Part(systems, BOTH, DESIGNS, TWO, (30, 20, 5)),
    "two judges": Part(two_judges, tuple(PEERS), DESIGNS, ("1",), (20, 10, 10)),
    "annotators": Part(annotators, EVERY, (SMALL, WIDE), ("3", "1-3, 15% missing"), (50, 50, 0)),
    "new system": Part(new_system, ("skill",), DESIGNS, ("1", "3"), (100, 50, 15)),
    "powered": Part(powered, BOTH, ((1, 20, 60), (1, 10, 6), (1, 5, 10)), ALL, (100, 100, 0)),
    "published": Part(published, EVERY[::-2], SYSTEMS_ALONE, ("1",), (100, 0, 0)),
    "ranked": Part(ranked, ("skill",), ((12, 8, 8), (12, 10, 8), LARGE), ("1",), (50, 50, 20)),
    "fixed": Part(fixed, BOTH, (SMALL, WIDE), ("1",), (20, 5, 0)),
    "few raters": Part(few_raters, ("skill",), (SMALL, WIDE), ("3",), (50, 50, 0)),
    "ceilings": Part(ceilings, ("skill",), DESIGNS, TWO[1:], (30, 20, 5)),
}


def run(
    part: str, rounds: int, folder: Path, seed: int, *, quick: bool, only_read: bool = False
) -> dict[str, list[Count]]:
    """World -> counts: of each round, read if it is there, else made and kept."""
    what, found = PARTS[part], {}
    for world in what.worlds:
        counts: list[Count] = []
        for turn, sizes, raters in product(range(rounds), what.designs, what.raters):
            cells = math.prod(sizes)
            replicates = what.replicates[(cells > 1000) + (cells > 5000)]
            replicates = 2 if quick else replicates
            key = f"{part}, {world}, {of_design(sizes)}, {raters}, {replicates}, {seed}, {turn}"
            path = folder / f"{key.replace(' ', '-').replace(',', '')}.json"
            if not path.exists() and (only_read or not replicates):
                continue
            if not path.exists():
                start = time.monotonic()
                made = [*what.cell(world, sizes, raters, replicates, 1000 * seed + turn)]
                path.write_text(json.dumps([count._asdict() for count in made]))
                click.echo(f"{key}: {time.monotonic() - start:.1f} s", err=True)
            counts += [Count(**count) for count in json.loads(path.read_text())]
        found[world] = merged(counts)
    return found


def merged(counts: list[Count]) -> list[Count]:
    """The rounds of each row and column as one."""
    groups: dict[tuple[str, str], list[Count]] = defaultdict(list)
    for count in counts:
        groups[count.row, count.column].append(count)
    return [_merged(several) for several in groups.values()]


def _merged(several: list[Count]) -> Count:
    weight = np.array([count.n for count in several], dtype=float)
    weight /= weight.sum()
    mean = float(sum(w * c.share for w, c in zip(weight, several, strict=True)))
    error = math.sqrt(sum((w * c.error) ** 2 for w, c in zip(weight, several, strict=True)))
    widths = [c.extra for c in several if c.extra is not None]
    extra = float(np.mean(widths)) if widths else None
    total = sum(count.n for count in several)
    return several[0]._replace(share=mean, error=error, n=total, extra=extra)


TITLES = {
    "levels": "Agreement over all dialogues, within items and within systems",
    "before": "The same by a crossed bootstrap, which the program no longer uses here",
    "systems": "Agreement between systems",
    "fixed": "Agreement of systems that are all there is (`--systems-fixed`)",
    "few raters": "Raters are taken as they are",
    "two judges": "Two judges",
    "annotators": "Alternative annotator test",
    "ceilings": "Ceilings",
    "reports": "Whole reports of nine metrics",
    "new system": "Calibration: ratings and the mean of a new system",
    "powered": "Calibration: a new system of which a third is rated",
    "published": "Calibration to published means",
    "ranked": "Leaderboard",
}


WORDS = {
    "begin": """
# What the program promises and what it keeps

The intervals and tests that reports print, on SIMULATED data whose truth is known: the nominal
percent beside the measured one. Not here are plain standard errors (of diversity, and the bars of
reliability curves) and the intervals of `judge probe`; alpha, ceilings and accuracies have no
interval. Made by

    python scripts/validate.py --seed {seed} --part PART --rounds N
    python scripts/validate.py --seed {seed} --write

with {versions}. N was {rounds}.
An interrupted run goes on where it stopped, and more rounds make errors smaller.

**How to read the tables.** `96 ± 1 (.31)`: 96% of the intervals hold the truth, with a
Monte-Carlo standard error of 1 point, and they are .31 wide on average. Of a test it is how often
it claims something. *Nominal* is what was promised: at least that for intervals, at most that for
false claims, a dash where nothing is promised. **Bold**: it fails by more than 2.6 errors.
Designs are systems x characters x scenarios, then the raters of a dialogue.

**Where the data come from.** What people see in a dialogue is 4 plus independent normal effects
of its system (standard deviation .25), character (.20), scenario (.15), system and character
(.15), system and scenario (.10), item (.10) and the dialogue itself (.40). A rating is that, less
the severity of one of twelve raters (fixed, standard deviation .25), plus noise (.50), rounded to
1..5. The judge's label distribution stands around 3.7 + slope (what people see - 4) + effects of
its own:

- *skill*: slope .8, own effects of .15, .12, .10, .12, .08, .08 and .30;
- *no skill, tastes*: slope 0, own effects of .30, .30, .30, .15, .15, .15 and .40, so that it
  favours systems, characters and scenarios of its own;
- *no skill, noise*: slope 0, each dialogue by itself (.60).

Of nine metrics, half of every variance is common to all. The functions are those that the reports
call, with their defaults.
""",
    "levels": """
The truth is the same statistic over endlessly many systems, characters and scenarios (within an
item, over endlessly many systems), with these raters. Intervals are of a crossed jackknife
(`calibration/resampling/jackknife.py`): the variance counts what is common to two factors once,
and t has the degrees of freedom of the factor with the fewest levels. That is why few systems or
few characters make them wider than they need to be: with four systems, t is 3.18 in place of
1.96.
""",
    "before": """
For comparison, on data of the same kind: percentiles of 500 resamples of systems, characters and
scenarios, and within items (2 estimate - mean) +- t SD. The noise of single dialogues counts up
to seven times in these, so they are wider, most of all within items.

Other ways were tried on such data while the jackknife was chosen (100 to 400 data sets a design).
The sum of the variances without the bound by the largest one covers 75 to 93% in small designs,
as it is often too small by chance. Satterthwaite's degrees of freedom from all seven variances
make the intervals about twice as wide or more; from the three of the factors they cover 83% over
all dialogues of 30 x 5 x 10, where the five characters matter. The influences alone, without
leaving groups out, cover 88% within items of 11 x 20 x 60.
""",
    "systems": """
The truth is that of many more systems with the same characters and scenarios and as many
dialogues each: the order of *such means*, which is not the order that endless dialogues would
show. Terminal, page and main table have the interval of Bonett and Wright, from ten systems on.
The bootstrap stands in the table of all coefficients and in the CSV file. The ICC's intervals
(McGraw and Wong) assume normal means. The permutation test counts two-sided p <= .05.
""",
    "fixed": """
The truth is that of these systems with 150 characters and 100 scenarios. Between fixed systems
the program prints no interval: percentiles of a bootstrap, the last row, lie too low, because the
means of a resample have more noise than the means themselves. A jackknife, or a bootstrap centred
at 2 estimate - mean on Fisher's scale, covered 20 to 100%, too.
""",
    "few raters": """
No interval of `judge agree` takes raters as a sample. If the same three rate everything, their
mean severity is part of the bias, and an interval for all raters there could be is too narrow. So
the intervals are said to be for these raters.
""",
    "two judges": """
How often p <= .05. Equal judges with tastes have own effects of .15, .15, .15, .12, .08, .08 and
.30; with independent errors, of single dialogues only (.4). Both see people's view with slope .8.
`exchange` is the default; PERM-BOTH is there by name, and asks whether judges are
interchangeable: equal judges with tastes are not. Where one judge is worse, the table is of
power. At 11 x 20 x 60 only the level of systems was simulated.
""",
    "annotators": """
Three raters, the most generous ε of .2. *Claimed* is "passed" on terminal and page: only where
one and the same score for everything does not pass too. Without that, the judges without skill
pass.
""",
    "ceilings": """
The judge here sees what people see, without noise: it should reach 100%. Means over data sets, in
percent, with their Monte-Carlo errors.
""",
    "reports": """
Nine metrics, three dimensions and the overall score, by judges without skill. A claim is what the
report says in words: that skill is shown on some measure, that the annotator test is passed, that
no score that has not read the dialogue does as well. Where no skill is shown, a note at the top
says so. Every interval and p-value of the 13 measures holds by itself only; how often any of them
looks like skill is shown below the claims, without a limit. `calibrate` fits a map only where the
judge adds something. SPA is a percentage, beside that of one and the same score for everything:
no claim is made of it.
""",
    "new system": """
A line fitted to all systems but one, the confidence that so many systems allow (80% of 6, else
90%). *One rating*: share of the new system's ratings inside. *Mean*: the mean rating over all
characters and scenarios here, of endless raters; *a few*: 12 dialogues of 4 characters in 3
scenarios were judged. *Shifted*: the judge scores the new system half a point too high. The
warning is that its raw mean lies outside those of the fitted systems; nothing is promised of it.
""",
    "powered": """
One system, each dialogue rated by some of six raters, who are a sample (severity .25). The truth
is the mean over endless characters, scenarios and raters. *Chosen high*: the third that the judge
scores highest was rated, which no interval survives; the warning (p < .01) is to tell.
""",
    "published": """
Nine metrics, the means of systems only; *data sets* are metrics, nine to a calibration. Kept
lines are claims; where the judge has skill, power. Half of the variance is common to all metrics.
""",
    "ranked": """
Intervals of a system's mean judge score, for endless characters and scenarios; and how often any
of equally good systems gets another rank than 1.
""",
}
"""What stands above the tables."""


def page(found: dict[str, dict[str, list[Count]]], folder: Path, seed: int) -> Iterator[str]:
    """The lines of the tables; the words between them are in `WORDS`."""
    rounds: dict[str, list[str]] = defaultdict(list)
    for part in found:
        kept = len(
            {file.stem.split("-")[-1] for file in folder.glob(f"{part.replace(' ', '-')}-*")}
        )
        rounds[str(kept)].append(f"`{part}`")
    said = "; ".join(f"{number} for {', '.join(parts)}" for number, parts in rounds.items())
    begin = WORDS["begin"].format(seed=seed, rounds=said, versions=versions())
    yield from begin.strip().splitlines()
    for part, title in TITLES.items():
        if part in found:
            yield from ("", f"## {title}", "", *WORDS[part].strip().splitlines())
            for world, counts in found[part].items():
                if counts:
                    yield from ("", f"**{world}**", "", *table(counts))


def table(counts: list[Count]) -> Iterator[str]:
    """What was measured in rows, or in columns where there are many designs."""
    designs = list(dict.fromkeys(count.row for count in counts))
    measured = list(dict.fromkeys(count.column for count in counts))
    cells = {(count.row, count.column): count for count in counts}
    number = {count.row: str(count.n) for count in reversed(counts)}
    nominal = {name: wanted([c for c in counts if c.column == name]) for name in measured}

    def line(*texts: str) -> str:
        return f"| {' | '.join(texts)} |"

    if len(designs) > 6:
        yield line("", *measured, "data sets")
        yield "|---" * (len(measured) + 2) + "|"
        yield line("nominal", *(nominal[name] for name in measured), "")
        for row in designs:
            yield line(row, *(cell_text(cells.get((row, c))) for c in measured), number[row])
        return
    yield line("", "nominal", *designs)
    yield "|---" * (len(designs) + 2) + "|"
    for name in measured:
        yield line(name, nominal[name], *(cell_text(cells.get((row, name))) for row in designs))
    yield line("data sets", "", *(number[row] for row in designs))


def wanted(counts: list[Count]) -> str:
    """The promise, in percent."""
    if counts[0].kind not in ("covers", "false"):
        return "-"
    promises = dict.fromkeys(f"{100 * count.nominal:g}" for count in counts)
    return f"{'at most ' if counts[0].kind == 'false' else ''}{' or '.join(promises)}"


def cell_text(count: Count | None) -> str:
    """Percent, its Monte-Carlo error, the mean width of an interval; bold where it fails."""
    if count is None:
        return "-"
    share, error = 100 * count.share, 100 * max(count.error, 0)
    if count.kind in ("covers", "false"):
        # Where all or none held, the error of the nominal share is the honest one.
        error = max(error, 100 * math.sqrt(count.nominal * (1 - count.nominal) / count.n) / 2)
    text = f"{share:.0f} ± {error:.0f}" if error >= 0.95 else f"{share:.1f} ± {error:.1f}"
    if count.extra is not None:
        text += f" ({count.extra:.2f})"
    short = 100 * count.nominal - share
    fails = {"covers": short, "false": -short}.get(count.kind, 0.0) > 2.6 * error
    return f"**{text}**" if fails else text


def versions() -> str:
    """Of Python and the libraries."""
    names = ("numpy", "scipy", "scikit-learn")
    return ", ".join([f"Python {platform.python_version()}", *(f"{n} {version(n)}" for n in names)])


@click.command()
@click.option("--part", "parts", multiple=True, type=click.Choice([*PARTS]), help="Only these.")
@click.option("--rounds", default=4, show_default=True, help="More rounds, smaller errors.")
@click.option("--folder", type=click.Path(path_type=Path), default=Path("runs/validation"))
@click.option("--seed", default=0, show_default=True)
@click.option("--quick", is_flag=True, help="Two data sets for each cell.")
@click.option("--json", "as_json", is_flag=True, help="The last line of output is one JSON object.")
@click.option("--write", is_flag=True, help="Only write docs/validation.md from what is there.")
def main(
    parts: tuple[str, ...],
    rounds: int,
    folder: Path,
    seed: int,
    *,
    quick: bool,
    as_json: bool,
    write: bool,
) -> None:
    """Simulate and keep the counts; with --write, make the page of them."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {
        part: run(part, 100 if write else rounds, folder, seed, quick=quick, only_read=write)
        for part in parts or PARTS
    }
    if write:
        PAGE.write_text("\n".join(page(found, folder, seed)) + "\n")
    if as_json:
        plain = {
            part: {world: [count._asdict() for count in counts] for world, counts in worlds.items()}
            for part, worlds in found.items()
        }
        click.echo(json.dumps(plain))


if __name__ == "__main__":
    main()
