"""A tidy table as a grid: what was judged by dimensions, and what each side said of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from judge.errors import DataError, UsageError
from judge.ratings import JudgedTable, mean_ratings

__all__ = ["Grid", "judge_code", "judges_of", "nothing_in_common"]

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Flags = NDArray[np.bool_]


def judges_of(tidy: JudgedTable) -> tuple[str, ...]:
    """The judges of a table, in the order in which they first stand there."""
    codes, first = np.unique(tidy.rater[tidy.judged], return_index=True)
    return tuple(tidy.raters[code] for code in codes[np.argsort(first)].tolist())


def judge_code(tidy: JudgedTable, judge: str) -> int:
    """The rater code of a judge; UsageError if there is no such judge."""
    known = judges_of(tidy)
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
