"""Which of two judges, or of two rubrics, is closer to the same people."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from calibration.agreement.compare import perm_both
from calibration.agreement.small_sample import benjamini_yekutieli, holm
from judge.analysis.agreement.agreement_records import Kind
from judge.analysis.agreement.data import (
    GroupCodes,
    MeasureScores,
    PairedScores,
    human_means,
    measure_scores,
    simulated,
)
from judge.analysis.agreement.judge_agreement import AgreementSettings
from judge.analysis.judgment_table import finite_or_none
from judge.errors import UsageError
from judge.records import plain_record

__all__ = [
    "COMPARED",
    "FORMAT",
    "ComparedLevel",
    "ComparedMeasure",
    "Comparisons",
    "Correction",
    "compare_judges",
]

FORMAT = 1
"""The newest format of a comparison that this version reads."""

ComparedLevel = Literal["all", "within_item", "systems"]
COMPARED: tuple[ComparedLevel, ...] = ("all", "within_item", "systems")

Correction = Literal["Benjamini-Yekutieli", "Holm", "none"]


@dataclass(frozen=True, slots=True)
class ComparedMeasure:
    """One measure at one level; None, with a `reason`, where a number is undefined.

    Attributes:
        first, second: Spearman's rho of either judge; `difference` is first less second.
        p: two-sided, of PERM-BOTH (Deutsch, Dror and Roth 2021).
        adjusted: p corrected, over the metrics or over the dimensions, as `correction` says.
        n: dialogues with both judges' and a human score.
        groups: of the level `within_item`, the items in which people and both judges tell systems
            apart, over which both rhos are means; else 1. `left_out`: the other items.
        undefined: exchanges that left a constant side; counted as extreme.
    """

    name: str
    kind: Kind
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


@dataclass(frozen=True, slots=True)
class Comparisons:
    """Two judges on the same dialogues, against the same ratings.

    Attributes:
        first, second: their names.
        dialogues: in common; `dropped` those of the first and of the second that are not.
        exchanges, seed: of the permutation test.
        simulated: some ratings were drawn by a program. Every page says so.
        rows: measure by measure, level by level.
        partial: what of either run is not there yet; "" if all is.
        notes: what is to be known of either.
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

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, with the version of the format."""
        return plain_record(self, format=FORMAT)


Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
_Correct = Callable[[Floats], Floats]

_CORRECTIONS: dict[Kind, tuple[Correction, _Correct]] = {
    "metric": ("Benjamini-Yekutieli", benjamini_yekutieli),
    "dimension": ("Holm", holm),
    "overall": ("none", lambda p: p),
}


def compare_judges(
    first: PairedScores,
    second: PairedScores,
    *,
    levels: Sequence[ComparedLevel] = COMPARED,
    exchanges: int = 1000,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Comparisons:
    """Two judges against the same ratings, on the dialogues and measures that both have.

    The p-values are those of PERM-BOTH; over the metrics, and over the dimensions, they are
    corrected level by level for how many there are.

    Args:
        first, second: what the judges said, beside the same ratings.
        levels: of `all`, `within_item` and `systems`.
        exchanges: of the permutation test.
        seed: of the exchanges.
        progress: told how many measures are done, of how many.

    Raises:
        UsageError: no exchange, no dialogue or no measure in common, or different ratings.
    """
    if exchanges < 1:
        raise UsageError(f"{exchanges} exchanges: at least 1 is needed", hint="1000 are usual")
    here, there = _common_rows(first, second)
    theirs = {(measure.name, measure.parts): measure for measure in measure_scores(second)}
    measures = [own for own in measure_scores(first) if (own.name, own.parts) in theirs]
    if not measures:
        raise UsageError(
            f"the judges have no metric in common: one has {', '.join(first.metrics)}, the other "
            f"{', '.join(second.metrics)}",
            hint="compare runs that were asked the same metrics",
        )
    _same_ratings_iv(first, second, here, there)
    axes, settings = (
        GroupCodes.of(first),
        AgreementSettings(0, 0.95, seed, systems_fixed=False, annotators=""),
    )
    found = []
    for done, own in enumerate(measures):
        if progress is not None:
            progress(done, len(measures))
        other = theirs[own.name, own.parts].judge[there]
        for level in levels:
            rng = settings.rng("exchanges", own.name, level)
            found.append(_compare(own, other, here, axes, rng, level, exchanges))
    if progress is not None:
        progress(len(measures), len(measures))
    raters = (first.raters[code] for code in np.unique(first.rater[first.rater >= 0]))
    return Comparisons(
        first=first.judge,
        second=second.judge,
        dialogues=len(here),
        dropped=(len(first.system) - len(here), len(second.system) - len(there)),
        exchanges=exchanges,
        seed=seed,
        simulated=simulated(raters),
        rows=_corrected(found),
        partial=" ".join(f"{one.judge}: {one.partial}" for one in (first, second) if one.partial),
        notes=tuple(dict.fromkeys((*first.notes, *second.notes))),
    )


def _common_rows(first: PairedScores, second: PairedScores) -> tuple[Codes, Codes]:
    """Rows of either that are the same dialogues, in the order of the first."""
    cells = [
        list(
            zip(side.system.tolist(), side.character.tolist(), side.scenario.tolist(), strict=True)
        )
        for side in (first, second)
    ]
    row_of = {cell: row for row, cell in enumerate(cells[1])}
    rows = [(row, row_of[cell]) for row, cell in enumerate(cells[0]) if cell in row_of]
    if not rows:
        examples = [" / ".join(filter(None, side[0])) for side in cells]
        raise UsageError(
            f"the judges have no dialogue in common: one has {examples[0]}, the other "
            f"{examples[1]}",
            hint="compare judges of the same dialogues",
        )
    here, there = np.array(rows, dtype=np.int64).T
    return here, there


def _same_ratings_iv(first: PairedScores, second: PairedScores, here: Codes, there: Codes) -> None:
    common = [metric for metric in first.metrics if metric in second.metrics]
    one, other = (
        human_means(side)[rows][:, [side.metrics.index(metric) for metric in common]]
        for side, rows in ((first, here), (second, there))
    )
    if not np.allclose(one, other, rtol=0, atol=1e-9, equal_nan=True):
        raise UsageError(
            "the judges are set against different ratings", hint="name one ratings file for both"
        )


def _compare(
    own: MeasureScores,
    other: Floats,
    here: Codes,
    axes: GroupCodes,
    rng: np.random.Generator,
    level: ComparedLevel,
    exchanges: int,
) -> ComparedMeasure:
    test = perm_both(
        own.judge[here],
        other,
        own.human[here],
        axes.system[here],
        axes.item[here],
        rng,
        level,
        exchanges,
    )
    return ComparedMeasure(
        name=own.name,
        kind=own.kind,
        title=own.title,
        level=level,
        first=finite_or_none(test.first),
        second=finite_or_none(test.second),
        difference=finite_or_none(test.difference),
        p=finite_or_none(test.p),
        adjusted=None,
        correction=_CORRECTIONS[own.kind][0],
        n=test.n,
        groups=test.groups,
        left_out=test.left_out,
        undefined=test.undefined,
        reason=test.reason,
    )


def _corrected(rows: Sequence[ComparedMeasure]) -> tuple[ComparedMeasure, ...]:
    """With the adjusted p-values, over the measures of one kind at one level."""
    adjusted: dict[tuple[str, str], float | None] = {}
    for kind, level in {(row.kind, row.level) for row in rows}:
        family = [row for row in rows if (row.kind, row.level) == (kind, level)]
        p = np.array([math.nan if row.p is None else row.p for row in family])
        for row, value in zip(family, _CORRECTIONS[kind][1](p).tolist(), strict=True):
            adjusted[row.name, level] = finite_or_none(value)
    return tuple(replace(row, adjusted=adjusted[row.name, row.level]) for row in rows)
