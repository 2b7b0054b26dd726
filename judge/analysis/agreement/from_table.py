"""The judges of a tidy table beside people: the scores of one, or all of them in a list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calibration.agreement.levels import level_correlations
from calibration.arrays import Codes, Floats
from judge.analysis.agreement import statistics
from judge.analysis.agreement.agreement_records import AltTest, Coefficient, Estimate, Level
from judge.analysis.agreement.categories import categorical_agreement
from judge.analysis.agreement.data import GroupCodes, PairedScores, measure_scores
from judge.analysis.agreement.rater_statistics import MOST_RATERS, alt_tests
from judge.analysis.agreement.statistics import level_estimates
from judge.errors import DataError, UsageError
from judge.ratings import JudgedTable, Scale, mean_ratings

__all__ = ["Overview", "overview", "scores_from_table", "table_judges"]


_LISTED = 20
"""So many judges are named in a message."""


@dataclass(frozen=True, slots=True)
class Overview:
    """One judge in one dimension, in short.

    Attributes:
        n: how many things both the judge and people have scored; the correlations are over these.
        not_rated, not_judged: how many only the judge, and only people, have scored.
        levels: coefficient -> level -> correlation, without interval.
        soft_pairwise, constant, annotator_tests, icc, equal, kappa: as of `MeasureAgreement`, with
            the defaults of a report. Of labels without an order only `equal`, `kappa` and the test
            are defined; `equal` and `kappa` are None of others.
    """

    judge: str
    dimension: str
    n: int
    not_rated: int
    not_judged: int
    levels: Mapping[Coefficient, Mapping[Level, Estimate]]
    soft_pairwise: Estimate
    constant: Mapping[str, Estimate]
    annotator_tests: tuple[AltTest, ...]
    icc: Mapping[str, Mapping[str, Estimate]]
    equal: Estimate | None = None
    kappa: Estimate | None = None


def table_judges(table: JudgedTable) -> tuple[str, ...]:
    """The judges of a table, in the order of their first rows."""
    codes, first = np.unique(table.rater[table.judged], return_index=True)
    return tuple(table.raters[code] for code in codes[np.argsort(first)].tolist())


def scores_from_table(
    table: JudgedTable, judge: str, *, metrics: Sequence[str] = (), scale: Scale | None = None
) -> PairedScores:
    """The scores of one judge of a table beside people; an item is a character in no scenario.

    Args:
        judge: one of `table_judges(table)`.
        metrics: these dimensions only, in this order; () for all that both sides have scored.
        scale: of the people in every dimension; None for the lowest to the highest score that they
            gave in each, extended to all labels that the judge gives probabilities of.

    Raises:
        UsageError: there is no such judge or dimension, or scores of people are not on `scale`.
        DataError: the judge and people have scored nothing in common.
    """
    grid = _Grid(table, metrics)
    code = _judge_code(table, judge)
    scores = grid.judge(code)
    both = ~np.isnan(scores) & (grid.people > 0)
    columns = [column for column in range(len(grid.metrics)) if both[:, column].any()]
    not_judged = [name for column, name in enumerate(grid.metrics) if column not in columns]
    if not columns or (metrics and not_judged):
        raise _nothing_in_common(table, grid, judge, scores)
    names = tuple(grid.metrics[column] for column in columns)
    rated = np.isin(grid.rating_metric, columns)
    used = (~np.isnan(scores[:, columns])).any(axis=1) | (grid.people[:, columns] > 0).any(axis=1)
    n, row = int(used.sum()), np.cumsum(used) - 1
    rater, raters = grid.raters(rated, table_judges(table))
    rating, metric = grid.rating[rated], np.searchsorted(columns, grid.rating_metric[rated])
    probs = grid.probs(code)
    labels = (float(table.labels[0]), float(table.labels[-1])) if probs is not None else None
    others = [name for name in table_judges(table) if name != judge]
    few = 1 + len(others) + len(np.unique(rater[rater >= 0])) <= MOST_RATERS
    return PairedScores(
        judge=judge,
        metrics=names,
        titles={name: name for name in names},
        groups={},
        complete=frozenset(),
        has_overall=False,
        system=np.array(table.systems)[grid.system[used]],
        character=np.array(table.items)[grid.item[used]],
        scenario=np.full(n, ""),
        item="item",
        score=scores[used][:, columns],
        probs=None if probs is None else probs[used][:, columns],
        dialogue=row[grid.rating_row[rated]],
        metric=metric,
        rater=rater,
        rating=rating,
        raters=raters,
        scale=_scales(names, rating, metric, labels, scale),
        scale_declared=scale is not None,
        length=np.full(n, np.nan),
        compare_raters=few,
        other_judges={
            name: grid.judge(_judge_code(table, name))[used][:, columns] for name in others if few
        },
        provenance=dict(_provenance(table, has_probs=probs is not None)),
        notes=(*table.notes, *_notes(grid, both, scores, not_judged)),
        partial=table.incomplete,
        judge_scale=labels,
        annotators=table.annotators,
        categories=table.categories,
    )


def overview(
    table: JudgedTable,
    *,
    judges: Sequence[str] = (),
    metrics: Sequence[str] = (),
    coefficients: Sequence[Coefficient] = ("spearman", "pearson", "kendall_b"),
) -> tuple[Overview, ...]:
    """Every judge of a table in every dimension that it shares with people; without intervals.

    Args:
        judges: these only; () for all.
        metrics: these dimensions only; () for all.
        coefficients: which to compute.

    Raises:
        UsageError: there is no such judge or dimension.
        DataError: no judge and people have scored anything in common.
    """
    grid = _Grid(table, metrics)
    human = grid.means()
    rows = []
    for judge in judges or table_judges(table):
        scores = grid.judge(_judge_code(table, judge))
        if not (~np.isnan(scores + human)).any():
            continue
        paired = scores_from_table(table, judge)
        groups = GroupCodes.of(paired)
        measures = {measure.name: measure for measure in measure_scores(paired)}
        for column, name in enumerate(grid.metrics):
            either = ~(np.isnan(scores[:, column]) & np.isnan(human[:, column]))
            judged, rated = scores[either, column], human[either, column]
            n = int((~np.isnan(judged + rated)).sum())
            if not n:
                continue
            not_rated, not_judged = (int(np.isnan(side).sum()) for side in (rated, judged))
            measure = measures[name]
            if table.categories:
                found = categorical_agreement(
                    measure, paired.raters, paired.annotators or "crowd", 1
                )
                rows.append(
                    Overview(
                        *(judge, name, n, not_rated, not_judged, found.levels),
                        found.soft_pairwise,
                        found.constant,
                        found.annotator_tests,
                        {},
                        found.equal,
                        found.kappa,
                    )
                )
                continue
            levels = {
                coefficient: level_estimates(
                    level_correlations(
                        judged, rated, grid.system[either], grid.item[either], coefficient
                    )
                )
                for coefficient in coefficients
            }
            soft, human_p = statistics.soft_pairwise(measure, groups, seed=0)
            rows.append(
                Overview(
                    *(judge, name, n, not_rated, not_judged, levels),
                    soft_pairwise=soft,
                    constant=statistics.of_a_constant(measure, groups, human_p),
                    annotator_tests=tuple(
                        alt_tests(measure, paired.raters, paired.annotators or "crowd", 1)
                    ),
                    icc=statistics.intraclass(
                        measure, statistics.system_points(measure, groups), 0.95
                    ),
                )
            )
    if not rows:
        judge = (*judges, *table_judges(table))[0]
        raise _nothing_in_common(table, grid, judge, grid.judge(_judge_code(table, judge)))
    return tuple(rows)


class _Grid:
    """A table as n things that were judged, each one system on one item, by M dimensions.

    Attributes:
        metrics: dimensions that people rated, in the order of the table or as asked for.
        system, item: (n,) codes of the table.
        rating_row, rating_metric, rating: (r,) people's ratings: of which thing, in which
            dimension, and how high.
        people: (n, M) how many ratings there are.
    """

    def __init__(self, table: JudgedTable, metrics: Sequence[str]) -> None:
        self._table = table
        person = ~table.judged
        rated = [table.dimensions[code] for code in np.unique(table.dimension[person]).tolist()]
        self.metrics = tuple(metrics) or tuple(rated)
        for name in self.metrics:
            if name not in rated:
                raise UsageError(
                    f"--metrics {name}: people have not rated it",
                    hint=f"they rated {', '.join(rated)}",
                )
        column_of = {name: column for column, name in enumerate(self.metrics)}
        # The dimension -1, of a judge that scores all of them at once, indexes the last entry.
        self._column = np.array([*(column_of.get(name, -1) for name in table.dimensions), -1])
        things = table.system.astype(np.int64) * len(table.items) + table.item
        thing, self._row = np.unique(things, return_inverse=True)
        self.system, self.item = thing // len(table.items), thing % len(table.items)
        self._rated = np.flatnonzero(person & (self._column[table.dimension] >= 0))
        self.rating_row = self._row[self._rated]
        self.rating_metric = self._column[table.dimension[self._rated]]
        self.rating = table.score[self._rated]
        shape = (len(thing), len(self.metrics))
        entry = self.rating_row * shape[1] + self.rating_metric
        self.people = np.bincount(entry, minlength=shape[0] * shape[1]).reshape(shape)
        judge = np.where(table.judged, table.rater, -1)
        order = np.argsort(judge, kind="stable")
        self._judged = order[np.searchsorted(judge[order], 0) :]
        self._judge = table.rater[self._judged]

    def means(self) -> Floats:
        """(n, M) mean ratings; NaN where there are none."""
        return mean_ratings(self.rating_row, self.rating_metric, self.rating, self.people.shape)

    def judge(self, code: int) -> Floats:
        """(n, M) scores of a judge; NaN where there are none."""
        scores = np.full(self.people.shape, np.nan)
        for rows, column in self._judge_rows(code):
            scores[self._row[rows], column] = self._table.score[rows]
        return scores

    def probs(self, code: int) -> Floats | None:
        """(n, M, K) label probabilities of a judge that sum to 1; None if it has none."""
        given = self._table.probs
        if given is None:
            return None
        probs = np.full((*self.people.shape, given.shape[1]), np.nan)
        for rows, column in self._judge_rows(code):
            probs[self._row[rows], column] = given[rows] / given[rows].sum(axis=1, keepdims=True)
        return None if np.isnan(probs).all() else probs

    def raters(
        self, rated: NDArray[np.bool_], judges: Sequence[str]
    ) -> tuple[Codes, tuple[str, ...]]:
        """The rater of each of some ratings, and the raters' names; none is that of a judge."""
        codes = self._table.rater[self._rated[rated]]
        used = np.unique(codes[codes >= 0])
        names = [self._table.raters[code] for code in used.tolist()]
        rater = np.where(codes >= 0, np.searchsorted(used, codes), -1)
        return rater, tuple(f"{name} (person)" if name in judges else name for name in names)

    def _judge_rows(self, code: int) -> Iterator[tuple[Codes, int]]:
        """A judge's rows of the table for each dimension; a score of no dimension is of all."""
        ends = np.searchsorted(self._judge, [code, code + 1])
        rows = self._judged[ends[0] : ends[1]]
        dimension = self._table.dimension[rows]
        for column in range(len(self.metrics)):
            yield rows[(self._column[dimension] == column) | (dimension < 0)], column


def _judge_code(table: JudgedTable, judge: str) -> int:
    """The rater code of a judge; UsageError if there is no such judge."""
    judges = table_judges(table)
    if judge not in judges:
        more = ", ..." if len(judges) > _LISTED else ""
        raise UsageError(
            f"--judge {judge}: no judge of the table is called so",
            hint=f"its judges are {', '.join(judges[:_LISTED])}{more}",
        )
    return table.raters.index(judge)


def _nothing_in_common(table: JudgedTable, grid: _Grid, judge: str, scores: Floats) -> DataError:
    """The error that the judge and people have scored nothing in common, with examples."""
    judged = np.flatnonzero(table.judged & (table.rater == table.raters.index(judge)))[0]
    rated = np.flatnonzero(~table.judged)[0]

    def example(row: int) -> str:
        parts = [table.systems[table.system[row]], table.items[table.item[row]]]
        if table.dimension[row] >= 0:
            parts.append(table.dimensions[table.dimension[row]])
        return "/".join(filter(None, parts))

    apart = [
        name
        for column, name in enumerate(grid.metrics)
        if not ((grid.people[:, column] > 0) & ~np.isnan(scores[:, column])).any()
    ]
    return DataError(
        f"{judge} and people have scored nothing in common of {', '.join(apart)}: it scored for "
        f"instance {example(judged)}, people {example(rated)}",
        path=Path(next(iter(table.sources))),
        hint="items, systems and dimensions must be written the same way on both sides",
    )


def _scales(
    names: Sequence[str],
    rating: Floats,
    metric: Codes,
    labels: tuple[float, float] | None,
    scale: Scale | None,
) -> dict[str, tuple[float, float]]:
    """The ends of the human scale of each dimension."""
    ends = {}
    for column, name in enumerate(names):
        given = rating[metric == column]
        low, high = float(given.min()), float(given.max())
        if scale is None:
            ends[name] = min(low, *(labels or (low,))), max(high, *(labels or (high,)))
        elif scale.low <= low and high <= scale.high:
            ends[name] = scale.low, scale.high
        else:
            raise UsageError(
                f"--scale {scale}: people's scores of {name} go from {low:g} to {high:g}",
                hint="choose dimensions of one scale with --metrics, or leave --scale out",
            )
    return ends


def _provenance(table: JudgedTable, *, has_probs: bool) -> Iterator[tuple[str, str]]:
    for number, (path, digest) in enumerate(table.sources.items(), start=1):
        name = f"table {number}" if len(table.sources) > 1 else "table"
        yield name, Path(path).name
        yield f"{name} SHA-256", digest
    if table.where:
        yield "rows", ", ".join(table.where)
    if has_probs:
        yield "score", "expected label" if table.point == "expected" else "most probable label"


def _notes(
    grid: _Grid, both: NDArray[np.bool_], scores: Floats, not_judged: Sequence[str]
) -> Iterator[str]:
    what = "outputs" if len(np.unique(grid.system)) > 1 else "items"
    judged = (~np.isnan(scores)).any(axis=1)
    rated = (grid.people > 0).any(axis=1)
    if not_judged:
        yield f"Rated, but not judged: {', '.join(not_judged)}."
    if missing := int((rated & ~judged).sum()):
        yield f"Rated {what} that have no judge's score: {missing:,}."
    if missing := int((judged & ~rated).sum()):
        yield f"Judged {what} that nobody rated: {missing:,}."
    shared = np.bincount(grid.item[both.any(axis=1)]) > 1
    if len(np.unique(grid.system)) > 1 and not shared.any():
        yield "No item has two systems, so that nothing can be said within an item."
