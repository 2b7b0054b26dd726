"""Two judges, or two rubrics, compared by their agreement with the same ratings."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from calibration.agreement.compare import exchange_test, perm_both
from calibration.agreement.correlation import tie_codes
from calibration.agreement.small_sample import benjamini_yekutieli, holm
from calibration.arrays import Codes, Floats
from calibration.resampling.jackknife import Jackknife, crossed_jackknife
from judge.analysis.agreement.agreement_records import Estimate, Interval
from judge.analysis.agreement.data import (
    GroupCodes,
    MeasureScores,
    PairedScores,
    human_means,
    measure_scores,
    purpose_rng,
    simulated,
)
from judge.analysis.agreement.judge_agreement import bootstrap_options_iv, systems_interval
from judge.analysis.agreement.statistics import NO_ORDER, jackknife_interval
from judge.analysis.judgment_table import finite_or_none
from judge.analysis.results import MeasureKind
from judge.errors import UsageError
from judge.ratings.reference import REFERENCE_NOTE
from judge.records import plain_record

__all__ = [
    "COMPARED",
    "FORMAT",
    "ComparedLevel",
    "ComparedMeasure",
    "ComparisonTest",
    "Comparisons",
    "Correction",
    "compare_judges",
]

FORMAT = 3
"""The newest format of a comparison that this version reads."""

ComparedLevel = Literal["all", "within_item", "systems"]
COMPARED: tuple[ComparedLevel, ...] = get_args(ComparedLevel)

ComparisonTest = Literal["exchange", "perm-both"]
"""How two judges are tested.

`exchange`: whether they agree equally well, although either may favour some systems, characters or
scenarios. `perm-both`: whether they are interchangeable (Deutsch, Dror and Roth 2021), which
equally good judges with tastes of their own are not.
"""

SHOWN = 0.05
"""Below such an adjusted p two judges are said to differ."""

Correction = Literal["Benjamini-Yekutieli", "Holm", "none"]


@dataclass(frozen=True, slots=True)
class ComparedMeasure:
    """One measure at one level; None, with a `reason`, where a number is undefined.

    Attributes:
        first, second: Spearman's rho of each judge with people.
        difference: first minus second.
        p: two-sided p-value of the `test` of the comparison.
        adjusted: p, corrected for the number of metrics or of dimensions.
        correction: the method of that.
        n: dialogues with a score of both judges and a human score.
        groups: at the level `within_item`, the items that both rhos are means over: those in which
            the scores of people and of both judges vary. Else 1.
        left_out: the other items.
        undefined: exchanges after which a side was constant; they count as extreme.
        factor: what was exchanged for this p: `system`, `character`, `scenario`, `item` or, by
            perm-both, `single scores`. "" where p is undefined.
        exchanges: how many were evaluated; p is about 1 / `exchanges` at least.
        first_interval, second_interval: of `first` and of `second`; None where not asked for and
            in files of formats 1 and 2.
    """

    name: str
    kind: MeasureKind
    title: str
    level: ComparedLevel
    first: float | None
    second: float | None
    difference: float | None
    p: float | None
    adjusted: float | None
    correction: Correction
    n: int
    groups: int
    left_out: int
    undefined: int
    reason: str = ""
    factor: str = ""
    exchanges: int = 0
    first_interval: Interval | None = None
    second_interval: Interval | None = None

    @property
    def shown(self) -> bool:
        """Whether the judges are shown to differ: an adjusted p below .05."""
        return self.adjusted is not None and self.adjusted < SHOWN


@dataclass(frozen=True, slots=True)
class Comparisons:
    """Two judges on the same dialogues, against the same ratings.

    Attributes:
        first, second: names of the judges.
        dialogues: how many both have scored.
        dropped: how many only the first, and only the second, has scored.
        exchanges, seed: of the permutation test. Up to 12 groups of a factor, the exchange test
            evaluates all exchanges instead of drawing so many.
        simulated: whether some ratings were drawn by a program. Every page says so.
        rows: measure by measure, each level by level.
        partial: which judgments are still missing; "" if none is.
        notes: warnings on either judge.
        test: which one; files of format 1 do not say, as they know perm-both only.
        factors: what the exchange test exchanges: `system`, and `character` and `scenario`, or in
            a table `item`; () for perm-both.
        item: what an item is called.
        systems: how many have a score of both judges; 0 in files of formats 1 and 2.
        resamples: 0 where intervals were not asked for; nothing is resampled here.
        confidence: of the intervals.
        systems_fixed: the systems are taken as all there is.
    """

    first: str
    second: str
    dialogues: int
    dropped: tuple[int, int]
    exchanges: int
    seed: int
    simulated: bool
    rows: tuple[ComparedMeasure, ...]
    partial: str = ""
    notes: tuple[str, ...] = ()
    test: ComparisonTest = "perm-both"
    factors: tuple[str, ...] = ()
    item: str = "character and scenario"
    systems: int = 0
    resamples: int = 0
    confidence: float = 0.95
    systems_fixed: bool = False

    @property
    def reference(self) -> bool:
        """Whether the ratings are the reference judgments: a strong LLM's. Every page says so."""
        return REFERENCE_NOTE in self.notes

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, with the version of the format."""
        return plain_record(self, format=FORMAT)


_Correct = Callable[[Floats], Floats]

_CORRECTIONS: dict[MeasureKind, tuple[Correction, _Correct]] = {
    "metric": ("Benjamini-Yekutieli", benjamini_yekutieli),
    "dimension": ("Holm", holm),
    "overall": ("none", lambda p: p),
}


def compare_judges(
    first: PairedScores,
    second: PairedScores,
    *,
    test: ComparisonTest = "exchange",
    levels: Sequence[ComparedLevel] = COMPARED,
    exchanges: int = 1000,
    resamples: int = 0,
    confidence: float = 0.95,
    systems_fixed: bool = False,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Comparisons:
    """Two judges against the same ratings, on the dialogues and measures that both have.

    By the exchange test, p at each level but `systems` is the largest over exchanging whole
    systems, characters and scenarios, or systems and items in a table. At each level the p-values
    are corrected for the number of metrics (Benjamini-Yekutieli) and of dimensions (Holm).

    The intervals are made as those of `judge_agreement.agree`, from the rows of either rho.

    Args:
        first, second: scores of the judges, with the same ratings.
        test: see `ComparisonTest`.
        levels: which of `all`, `within_item` and `systems` to compute.
        exchanges: how many random exchanges the permutation test makes, at least 1.
        resamples: 0 for no intervals.
        confidence: of the intervals, between 0 and 1.
        systems_fixed: take the systems as all there is.
        seed: of the exchanges, from 0.
        progress: called with how many measures are done, of how many.

    Raises:
        UsageError: there is no exchange, an option is outside its range, there is no dialogue or
            measure in common, or the ratings differ.
    """
    bootstrap_options_iv(resamples, confidence, seed)
    if exchanges < 1:
        raise UsageError(f"{exchanges} exchanges: at least 1 is needed", hint="1000 are usual")
    if first.categories:
        raise UsageError(
            "two judges are compared by correlations, and categories have none",
            hint="without --judge all judges of the table are listed side by side",
        )
    rows_first, rows_second = _common_rows(first, second)
    of_second = {(measure.name, measure.parts): measure for measure in measure_scores(second)}
    measures = [m for m in measure_scores(first) if (m.name, m.parts) in of_second]
    if not measures:
        raise UsageError(
            f"the judges have no metric in common: one has {', '.join(first.metrics)}, the other "
            f"{', '.join(second.metrics)}",
            hint="compare runs that were asked the same metrics",
        )
    _same_ratings_iv(first, second, rows_first, rows_second)
    groups = GroupCodes.of(first)
    ends = _Intervals(groups, rows_first, resamples, confidence, seed, systems_fixed)
    compared: list[ComparedMeasure] = []
    for done, measure in enumerate(measures):
        if progress is not None:
            progress(done, len(measures))
        other = of_second[measure.name, measure.parts].judge[rows_second]
        found = []
        for level in levels:
            rng = purpose_rng(seed, "exchanges", measure.name, level)
            found.append(_compare(measure, other, rows_first, groups, rng, level, test, exchanges))
        compared += ends.added(found, measure, other)
    if progress is not None:
        progress(len(measures), len(measures))
    return Comparisons(
        first=first.judge,
        second=second.judge,
        dialogues=len(rows_first),
        dropped=(len(first.system) - len(rows_first), len(second.system) - len(rows_second)),
        exchanges=exchanges,
        seed=seed,
        simulated=simulated(first.rater_names),
        rows=_corrected(compared),
        partial=" ".join(
            f"{side.judge}: {side.partial}" for side in (first, second) if side.partial
        ),
        notes=tuple(dict.fromkeys((*first.notes, *second.notes))),
        test=test,
        factors=("system", *_item_factors(groups)) if test == "exchange" else (),
        item=first.item,
        systems=len(np.unique(groups.system[rows_first])),
        resamples=resamples,
        confidence=confidence,
        systems_fixed=systems_fixed,
    )


def _common_rows(first: PairedScores, second: PairedScores) -> tuple[Codes, Codes]:
    """The rows of either side that are the same dialogues, in the order of the first."""
    dialogues = [
        list(
            zip(side.system.tolist(), side.character.tolist(), side.scenario.tolist(), strict=True)
        )
        for side in (first, second)
    ]
    row_of = {dialogue: row for row, dialogue in enumerate(dialogues[1])}
    rows = [(row, row_of[d]) for row, d in enumerate(dialogues[0]) if d in row_of]
    if not rows:
        examples = [" / ".join(filter(None, side[0])) for side in dialogues]
        raise UsageError(
            f"the judges have no dialogue in common: one has {examples[0]}, the other "
            f"{examples[1]}",
            hint="compare judges of the same dialogues",
        )
    rows_first, rows_second = np.array(rows, dtype=np.int64).T
    return rows_first, rows_second


def _same_ratings_iv(
    first: PairedScores, second: PairedScores, rows_first: Codes, rows_second: Codes
) -> None:
    common = [metric for metric in first.metrics if metric in second.metrics]
    means_first, means_second = (
        human_means(side)[rows][:, [side.metrics.index(metric) for metric in common]]
        for side, rows in ((first, rows_first), (second, rows_second))
    )
    if not np.allclose(means_first, means_second, rtol=0, atol=1e-9, equal_nan=True):
        raise UsageError(
            "the judges are set against different ratings", hint="name one ratings file for both"
        )


def _compare(
    measure: MeasureScores,
    other: Floats,
    rows: Codes,
    groups: GroupCodes,
    rng: np.random.Generator,
    level: ComparedLevel,
    test: ComparisonTest,
    exchanges: int,
) -> ComparedMeasure:
    scores = measure.judge[rows], other, measure.human[rows], groups.system[rows], groups.item[rows]
    if test == "exchange":
        factors = dict(zip(_item_factors(groups), groups.clusters[:, rows], strict=True))
        found = exchange_test(*scores, factors, rng, level, exchanges)
    else:
        found = perm_both(*scores, rng, level, exchanges)
    return ComparedMeasure(
        name=measure.name,
        kind=measure.kind,
        title=measure.title,
        level=level,
        first=finite_or_none(found.first),
        second=finite_or_none(found.second),
        difference=finite_or_none(found.difference),
        p=finite_or_none(found.p),
        adjusted=None,
        correction=_CORRECTIONS[measure.kind][0],
        n=found.n,
        groups=found.groups,
        left_out=found.left_out,
        undefined=found.undefined,
        reason=found.reason,
        factor=found.factor,
        exchanges=found.resamples if found.factor else 0,
    )


class _Intervals(NamedTuple):
    """How intervals are made; the attributes are those of `compare_judges`."""

    groups: GroupCodes
    rows: Codes
    resamples: int
    confidence: float
    seed: int
    systems_fixed: bool

    def added(
        self, found: Sequence[ComparedMeasure], measure: MeasureScores, other: Floats
    ) -> Iterator[ComparedMeasure]:
        """The levels of one measure, with the intervals of both judges."""
        judges = np.stack([measure.judge[self.rows], other])
        human = np.where(np.isnan(judges.sum(axis=0)), np.nan, measure.human[self.rows])
        whole = self._jackknives(judges, human)
        for row in found:
            of_judges = whole
            if row.left_out and row.groups:
                in_both = np.where(self._in_both(judges, human), human, np.nan)
                of_judges = self._jackknives(judges, in_both)
            systems = len(np.unique(self.groups.system[self.rows[~np.isnan(human)]]))
            first, second = (
                self._interval(row.level, rho, jackknife, systems)
                for jackknife, rho in zip(of_judges, (row.first, row.second), strict=True)
            )
            yield replace(row, first_interval=first, second_interval=second)

    def _interval(
        self, level: ComparedLevel, rho: float | None, jackknife: Jackknife | None, systems: int
    ) -> Interval | None:
        if rho is None or jackknife is None:
            return None
        if level == "systems":
            between = systems_interval(Estimate(rho, systems), self.confidence)
            return NO_ORDER if self.systems_fixed else between
        return jackknife_interval(jackknife, "spearman", level, self.confidence)

    def _in_both(self, judges: Floats, human: Floats) -> NDArray[np.bool_]:
        """Whether people and both judges tell the systems of a row's item apart."""
        kept: NDArray[np.bool_] = ~np.isnan(human + judges.sum(axis=0))
        item, varies = self.groups.item[self.rows], kept.copy()
        for side in (human, *judges):
            codes = np.full(len(side), -1)
            codes[kept] = tie_codes(side[kept])
            low, high = np.full(item.max() + 1, codes.max()), np.zeros(item.max() + 1, np.int64)
            np.minimum.at(low, item[kept], codes[kept])
            np.maximum.at(high, item[kept], codes[kept])
            varies[(low >= high)[item]] = False
        return varies

    def _jackknives(self, judges: Floats, human: Floats) -> tuple[Jackknife | None, ...]:
        if not self.resamples or np.isnan(human).all():
            return (None,) * len(judges)
        groups, rows = self.groups, self.rows
        labels = groups.system[rows], groups.character[rows], groups.scenario[rows]
        return tuple(
            crossed_jackknife(judge, human, *labels, systems_fixed=self.systems_fixed)
            for judge in judges
        )


def _item_factors(groups: GroupCodes) -> tuple[str, ...]:
    """The names of the rows of `clusters`."""
    return ("item",) if len(groups.clusters) == 1 else ("character", "scenario")


def _corrected(rows: Sequence[ComparedMeasure]) -> tuple[ComparedMeasure, ...]:
    """The rows with adjusted p-values: corrected over the measures of one kind at one level."""
    adjusted: dict[tuple[str, str], float | None] = {}
    for kind, level in {(row.kind, row.level) for row in rows}:
        family = [row for row in rows if (row.kind, row.level) == (kind, level)]
        p = np.array([math.nan if row.p is None else row.p for row in family])
        for row, value in zip(family, _CORRECTIONS[kind][1](p).tolist(), strict=True):
            adjusted[row.name, level] = finite_or_none(value)
    return tuple(replace(row, adjusted=adjusted[row.name, row.level]) for row in rows)
