"""One judge of a tidy table beside people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from judge.analysis.agreement.grid import Grid, judge_code, judges_of, nothing_in_common
from judge.analysis.agreement.observed import Observed
from judge.analysis.agreement.pairs import MOST
from judge.errors import UsageError
from judge.ratings import JudgedTable, Scale

__all__ = ["judges_of", "observed_from_table"]

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Flags = NDArray[np.bool_]


def observed_from_table(
    tidy: JudgedTable, judge: str, *, metrics: Sequence[str] = (), scale: Scale | None = None
) -> Observed:
    """One judge of a table beside people; an item of the table is a character in no scenario.

    Args:
        tidy: the table.
        judge: one of `judges_of(tidy)`.
        metrics: these dimensions only, in this order; () for all that both sides have scored.
        scale: of the people in every dimension; None for the lowest to the highest score that
            they gave in each, and at least all labels that a judge gives probabilities of.

    Raises:
        UsageError: no such judge or dimension, or people's scores are off `scale`.
        DataError: the judge and people have scored nothing in common.
    """
    grid = Grid(tidy, metrics)
    scores = grid.judge(judge_code(tidy, judge))
    both = (~np.isnan(scores)) & (grid.people > 0)
    columns = [m for m in range(len(grid.metrics)) if both[:, m].any()]
    unmet = [name for m, name in enumerate(grid.metrics) if m not in columns]
    if not columns or (metrics and unmet):
        raise nothing_in_common(tidy, grid, judge, scores)
    names = tuple(grid.metrics[m] for m in columns)
    rated = np.isin(grid.rating_metric, columns)
    used = (~np.isnan(scores[:, columns])).any(axis=1) | (grid.people[:, columns] > 0).any(axis=1)
    row = np.cumsum(used) - 1
    rater, raters = grid.raters(rated, judges_of(tidy))
    rating, metric = grid.rating[rated], np.searchsorted(columns, grid.rating_metric[rated])
    probs = grid.probs(judge_code(tidy, judge))
    ends = (float(tidy.labels[0]), float(tidy.labels[-1])) if probs is not None else None
    others = [name for name in judges_of(tidy) if name != judge]
    few = 1 + len(others) + len(np.unique(rater[rater >= 0])) <= MOST
    return Observed(
        judge=judge,
        metrics=names,
        titles={name: name for name in names},
        groups={},
        complete=frozenset(),
        whole=False,
        system=np.array(tidy.systems)[grid.system[used]],
        character=np.array(tidy.items)[grid.item[used]],
        scenario=np.full(int(used.sum()), ""),
        item="item",
        score=scores[used][:, columns],
        probs=None if probs is None else probs[used][:, columns],
        cell=row[grid.rating_cell[rated]],
        metric=metric,
        rater=rater,
        rating=rating,
        raters=raters,
        scale=_scales(names, rating, metric, ends, scale),
        declared=scale is not None,
        length=np.full(int(used.sum()), np.nan),
        pairs=few,
        others={
            name: grid.judge(judge_code(tidy, name))[used][:, columns] for name in others if few
        },
        provenance=dict(_provenance(tidy, judge_scale=ends)),
        notes=(*tidy.notes, *_notes(both, scores, grid, unmet)),
        judge_scale=ends,
    )


def _scales(
    names: Sequence[str],
    rating: Floats,
    metric: Codes,
    labels: tuple[float, float] | None,
    scale: Scale | None,
) -> dict[str, tuple[float, float]]:
    found = {}
    for column, name in enumerate(names):
        given = rating[metric == column]
        low, high = float(given.min()), float(given.max())
        if scale is None:
            found[name] = min(low, *(labels or (low,))), max(high, *(labels or (high,)))
        elif scale.low <= low and high <= scale.high:
            found[name] = scale.low, scale.high
        else:
            raise UsageError(
                f"--scale {scale}: people's scores of {name} go from {low:g} to {high:g}",
                hint="choose dimensions of one scale with --metrics, or leave --scale out",
            )
    return found


def _provenance(
    tidy: JudgedTable, *, judge_scale: tuple[float, float] | None
) -> Iterator[tuple[str, str]]:
    for number, (path, digest) in enumerate(tidy.sources.items(), start=1):
        which = f" {number}" if len(tidy.sources) > 1 else ""
        yield f"table{which}", Path(path).name
        yield f"table{which} SHA-256", digest
    if tidy.where:
        yield "rows", ", ".join(tidy.where)
    if judge_scale is not None:
        yield "score", "expected label" if tidy.point == "expected" else "most probable label"


def _notes(both: Flags, scores: Floats, grid: Grid, unmet: Sequence[str]) -> Iterator[str]:
    judged = (~np.isnan(scores)).any(axis=1)
    rated = (grid.people > 0).any(axis=1)
    if unmet:
        yield f"Rated, but not judged: {', '.join(unmet)}."
    if missing := int((rated & ~judged).sum()):
        yield f"Rated items that have no judge's score: {missing:,}."
    if missing := int((judged & ~rated).sum()):
        yield f"Judged items that nobody rated: {missing:,}."
    shared = np.bincount(grid.item[both.any(axis=1)]) > 1
    if len(np.unique(grid.system)) > 1 and not shared.any():
        yield "No item has two systems, so that nothing can be said within an item."
