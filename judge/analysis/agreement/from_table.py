"""The judges of a tidy table beside people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calibration.agreement.levels import Levels, level_correlations
from judge.analysis.agreement.agreement_records import LEVELS, Coefficient, Estimate, Level
from judge.analysis.agreement.data import PairedScores
from judge.analysis.agreement.rater_statistics import MOST_RATERS
from judge.analysis.agreement.statistics import of_level
from judge.errors import DataError, UsageError
from judge.ratings import JudgedTable, Scale, mean_ratings

__all__ = [
    "Grid",
    "Overview",
    "judge_code",
    "nothing_in_common",
    "overview",
    "scores_from_table",
    "table_judges",
]

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Flags = NDArray[np.bool_]


def table_judges(tidy: JudgedTable) -> tuple[str, ...]:
    """The judges of a table, in the order in which they first stand there."""
    codes, first = np.unique(tidy.rater[tidy.judged], return_index=True)
    return tuple(tidy.raters[code] for code in codes[np.argsort(first)].tolist())


def judge_code(tidy: JudgedTable, judge: str) -> int:
    """The rater code of a judge; UsageError if there is no such judge."""
    known = table_judges(tidy)
    if judge not in known:
        more = ", ..." if len(known) > 20 else ""
        raise UsageError(
            f"--judge {judge}: no judge of the table is called so",
            hint=f"its judges are {', '.join(known[:20])}{more}",
        )
    return tidy.raters.index(judge)


class Grid:
    """A table as n things that were judged, each a system on an item, by M dimensions.

    Attributes:
        metrics: dimensions that people rated, in the order of the table or as asked.
        system, item: (n,) codes of the table.
        rating_cell, rating_metric, rating: (r,) people's ratings.
        people: (n, M) how many of them there are.
    """

    def __init__(self, tidy: JudgedTable, metrics: Sequence[str]) -> None:
        self._tidy = tidy
        person = ~tidy.judged
        rated = np.unique(tidy.dimension[person])
        self.metrics = tuple(metrics) or tuple(tidy.dimensions[code] for code in rated.tolist())
        for name in self.metrics:
            if name not in {tidy.dimensions[code] for code in rated.tolist()}:
                known = ", ".join(tidy.dimensions[code] for code in rated.tolist())
                raise UsageError(
                    f"--metrics {name}: people have not rated it", hint=f"they rated {known}"
                )
        place = {name: column for column, name in enumerate(self.metrics)}
        # The last entry is that of the dimension -1, a judge of every one.
        self._column = np.array([*(place.get(name, -1) for name in tidy.dimensions), -1])
        both = tidy.system.astype(np.int64) * len(tidy.items) + tidy.item
        cells, self._cell = np.unique(both, return_inverse=True)
        self.system, self.item = cells // len(tidy.items), cells % len(tidy.items)
        self._rows = np.flatnonzero(person & (self._column[tidy.dimension] >= 0))
        self.rating_cell = self._cell[self._rows]
        self.rating_metric = self._column[tidy.dimension[self._rows]]
        self.rating = tidy.score[self._rows]
        at = self.rating_cell * len(self.metrics) + self.rating_metric
        self.people = np.bincount(at, minlength=len(cells) * len(self.metrics)).reshape(
            len(cells), len(self.metrics)
        )
        who = np.where(tidy.judged, tidy.rater, -1)
        order = np.argsort(who, kind="stable")
        self._order = order[np.searchsorted(who[order], 0) :]
        self._sorted = tidy.rater[self._order]

    def means(self) -> Floats:
        """(n, M) mean ratings, nan where there are none."""
        return mean_ratings(self.rating_cell, self.rating_metric, self.rating, self.people.shape)

    def judge(self, code: int) -> Floats:
        """(n, M) scores of a judge, nan where there are none."""
        scores = np.full(self.people.shape, np.nan)
        for rows, column in self._of(code):
            scores[self._cell[rows], column] = self._tidy.score[rows]
        return scores

    def probs(self, code: int) -> Floats | None:
        """(n, M, K) label probabilities of a judge that sum to 1; None if it has none."""
        given = self._tidy.probs
        if given is None:
            return None
        probs = np.full((*self.people.shape, given.shape[1]), np.nan)
        for rows, column in self._of(code):
            probs[self._cell[rows], column] = given[rows] / given[rows].sum(axis=1, keepdims=True)
        return None if np.isnan(probs).all() else probs

    def raters(self, rated: Flags, judges: Sequence[str]) -> tuple[Codes, tuple[str, ...]]:
        """Who gave the ratings, and the names; a person's differs from every judge's."""
        codes = self._tidy.rater[self._rows[rated]]
        used = np.unique(codes[codes >= 0])
        names = [self._tidy.raters[code] for code in used.tolist()]
        rater = np.where(codes >= 0, np.searchsorted(used, codes), -1)
        return rater, tuple(f"{name} (person)" if name in judges else name for name in names)

    def _of(self, code: int) -> Iterator[tuple[Codes, int]]:
        """Rows of a judge for each dimension; a measure has the same for all."""
        ends = np.searchsorted(self._sorted, [code, code + 1])
        rows = self._order[ends[0] : ends[1]]
        dimension = self._tidy.dimension[rows]
        for column in range(len(self.metrics)):
            own = (self._column[dimension] == column) | (dimension < 0)
            yield rows[own], column


def nothing_in_common(tidy: JudgedTable, grid: Grid, judge: str, scores: Floats) -> DataError:
    """The judge and people have scored nothing in common; an example of either side."""
    own = np.flatnonzero(tidy.judged & (tidy.rater == tidy.raters.index(judge)))[0]
    person = np.flatnonzero(~tidy.judged)[0]

    def example(row: int) -> str:
        parts = [tidy.systems[tidy.system[row]], tidy.items[tidy.item[row]]]
        if tidy.dimension[row] >= 0:
            parts.append(tidy.dimensions[tidy.dimension[row]])
        return "/".join(filter(None, parts))

    unmet = [
        name
        for m, name in enumerate(grid.metrics)
        if not ((grid.people[:, m] > 0) & ~np.isnan(scores[:, m])).any()
    ]
    return DataError(
        f"{judge} and people have scored nothing in common of {', '.join(unmet)}: it scored for "
        f"instance {example(own)}, people {example(person)}",
        path=Path(next(iter(tidy.sources))),
        hint="items, systems and dimensions must be written the same way on both sides",
    )


def scores_from_table(
    tidy: JudgedTable, judge: str, *, metrics: Sequence[str] = (), scale: Scale | None = None
) -> PairedScores:
    """One judge of a table beside people; an item of the table is a character in no scenario.

    Args:
        tidy: the table.
        judge: one of `table_judges(tidy)`.
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
    rater, raters = grid.raters(rated, table_judges(tidy))
    rating, metric = grid.rating[rated], np.searchsorted(columns, grid.rating_metric[rated])
    probs = grid.probs(judge_code(tidy, judge))
    ends = (float(tidy.labels[0]), float(tidy.labels[-1])) if probs is not None else None
    others = [name for name in table_judges(tidy) if name != judge]
    few = 1 + len(others) + len(np.unique(rater[rater >= 0])) <= MOST_RATERS
    return PairedScores(
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


@dataclass(frozen=True, slots=True)
class Overview:
    """One judge and one dimension, in short.

    Attributes:
        n: what both the judge and people have scored; the levels rest on it.
        not_rated, not_judged: what just one side has scored.
        levels: coefficient -> level -> its figure, without interval.
    """

    judge: str
    dimension: str
    n: int
    not_rated: int
    not_judged: int
    levels: Mapping[Coefficient, Mapping[Level, Estimate]]


def overview(
    tidy: JudgedTable,
    *,
    judges: Sequence[str] = (),
    metrics: Sequence[str] = (),
    coefficients: Sequence[Coefficient] = ("spearman", "pearson", "kendall_b"),
) -> tuple[Overview, ...]:
    """Every judge of a table in every dimension that it shares with people; no intervals.

    Args:
        tidy: the table.
        judges: these only; () for all.
        metrics: these dimensions only; () for all.
        coefficients: what is computed.

    Raises:
        UsageError: no such judge or dimension.
        DataError: no judge and people have scored anything in common.
    """
    grid = Grid(tidy, metrics)
    human = grid.means()
    rows = []
    for judge in judges or table_judges(tidy):
        scores = grid.judge(judge_code(tidy, judge))
        for m, name in enumerate(grid.metrics):
            either = ~(np.isnan(scores[:, m]) & np.isnan(human[:, m]))
            sides = scores[either, m], human[either, m], grid.system[either], grid.item[either]
            n = int((~np.isnan(sides[0] + sides[1])).sum())
            if not n:
                continue
            found: dict[Coefficient, Levels] = {
                c: level_correlations(*sides, c) for c in coefficients
            }
            rows.append(
                Overview(
                    judge=judge,
                    dimension=name,
                    n=n,
                    not_rated=int(np.isnan(sides[1]).sum()),
                    not_judged=int(np.isnan(sides[0]).sum()),
                    levels={
                        c: {level: of_level(getattr(levels, level)) for level in LEVELS}
                        for c, levels in found.items()
                    },
                )
            )
    if not rows:
        judge = (*judges, *table_judges(tidy))[0]
        raise nothing_in_common(tidy, grid, judge, grid.judge(judge_code(tidy, judge)))
    return tuple(rows)
