"""The rows of ratings tables and of tables of judges' scores, before any is refused."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from judge import tables
from judge.errors import DataError, UsageError
from judge.names import plain
from judge.ratings.columns import Layout, Spread, find_judged_columns, judged_column
from judge.ratings.record import Point, Scale
from judge.ratings.values import (
    FAULT_CODES,
    Flags,
    Values,
    factorise,
    is_blank,
    parse_id,
    parse_scores,
)
from judge.tables import Table

__all__ = [
    "Columns",
    "Filter",
    "JudgedRows",
    "filled_rows",
    "one_row_per_score",
    "read_judged_rows",
    "without_blank",
]

Columns = Mapping[str, NDArray[Any]]
"""Columns of one length. `row` is the line or row in the file (see `Table.lines`), `file` the
number of the file."""

_SLACK = 0.01
"""How far probabilities may sum past 1: they are rounded in the file."""
_ANY_NUMBER = Scale(-math.inf, math.inf, 0)
_MAY_BE_ABSENT = {"system", "character", "rater", "rater_type"}
_EMPTY = FAULT_CODES["empty"]


class JudgedRows(NamedTuple):
    """The n rows of tables of judges' scores that the filters let through.

    Attributes:
        has_systems: whether they have a column of systems.
        columns: item, system, dimension, rater, rater_type as they stand in the files, "" where a
            file has no such column; `score`, NaN where there is none, `kind`, of FAULT_CODES, that
            says why, and `given`, what stood there; `probs` (n, K), NaN in rows without;
            `judged`, whether it is a row of probabilities; `measure`, whether its dimension may be
            the name of a judge; `row` and `file`.
        labels: the K labels that have probabilities.
        unused: how many scores stand beside probabilities; they are not read.
        sources: path -> SHA-256 (hex).
    """

    paths: tuple[Path, ...]
    has_systems: bool
    columns: Columns
    labels: tuple[int, ...]
    unused: int
    unread: tuple[str, ...]
    sources: Mapping[str, str]
    notes: tuple[str, ...]


def filled_rows(table: Table) -> Flags:
    """(n,) whether any cell of a row holds something."""
    filled = np.zeros(len(table), dtype=np.bool_)
    for values in table.columns.values():
        rest = np.flatnonzero(~filled)
        filled[rest] = [not is_blank(value) for value in values[rest]]
    return filled


def without_blank(table: Table, mean: Callable[[str], str | None]) -> Table:
    """The table without columns of names that are blank throughout, which is said in a note.

    Args:
        mean: heading -> the column that it means, if any.
    """
    blank = [
        heading
        for heading, values in table.columns.items()
        if mean(heading) in _MAY_BE_ABSENT and all(map(is_blank, values))
    ]
    if not blank:
        return table
    note = f"Blank throughout, as if it were not there: the column {', '.join(blank)}."
    columns = {heading: v for heading, v in table.columns.items() if heading not in blank}
    return replace(table, columns=columns, notes=(*table.notes, note))


def one_row_per_score(columns: Columns, table: Table, scores: Spread) -> Columns:
    """The rows of a wide table as those of a long one.

    Args:
        columns: those that are not scores.
        scores: heading of a column of scores -> what these are of; nothing for a long table.
    """
    if not scores:
        return columns
    n = len(columns["row"])
    blank = np.full(n, "", dtype=np.object_)
    long = {name: np.tile(values, len(scores)) for name, values in columns.items()}
    for name in dict.fromkeys(name for fixed in scores.values() for name in fixed):
        parts = [
            np.full(n, fixed[name], dtype=np.object_) if name in fixed else columns.get(name, blank)
            for fixed in scores.values()
        ]
        long[name] = np.concatenate(parts)
    return {**long, "score": np.concatenate([table.columns[heading] for heading in scores])}


def read_judged_rows(
    paths: Sequence[Path],
    *,
    aliases: Mapping[str, str],
    filters: Sequence[Filter],
    point: Point,
    measures: bool,
    sheet: str | None = None,
    scorers: Sequence[str] = (),
) -> JudgedRows:
    """Read and join tables of judges' scores.

    Args:
        paths: at least one.
        aliases: HEADING -> column.
        measures: whether the dimension of a row that names no rater may be a judge.
        sheet: the one to be read of a workbook.
        scorers: the headings of columns that each hold the scores of one judge or rater.

    Raises:
        DataError: a file cannot be read, lacks a column, holds no rows, or has probabilities of
            other labels than the files before it.
        UsageError: no file has a heading that an alias stands for.
    """
    files: list[tuple[Table, Layout]] = []
    labels: tuple[int, ...] = ()
    for path in paths:
        table = tables.read_table(path, sheet=sheet)
        if not len(table):
            raise DataError("it holds no rows", path=path, hint="was it written to the end?")
        if scorers:
            table = _one_row_per_scorer(table, scorers)
        table = without_blank(table, lambda name: judged_column(name, aliases))
        layout = find_judged_columns(path, tuple(table.columns), aliases)
        own_labels = tuple(layout.labels)
        if own_labels and labels and own_labels != labels:
            raise DataError(
                f"probabilities of the labels {own_labels[0]}-{own_labels[-1]}, "
                f"after others of {labels[0]}-{labels[-1]}",
                path=path,
                hint="report on judges with other labels apart",
            )
        labels = labels or own_labels
        files.append(_apply(filters, table, layout))
    _ensure_aliases_known(aliases, [heading for table, _ in files for heading in table.columns])
    parts = [_read_columns(*file, len(labels), point) for file in files]
    unused = sum(int(part["unused"].sum()) for part in parts)
    for number, (part, (_, layout)) in enumerate(zip(parts, files, strict=True)):
        no_rater = not layout.columns.keys() & {"rater", "rater_type"}
        part["measure"] = ~part["judged"] & (measures and no_rater)
        part["file"] = np.full(len(part["row"]), number, dtype=np.int32)
    return JudgedRows(
        paths=tuple(paths),
        has_systems=_has_systems(files),
        columns={name: np.concatenate([part[name] for part in parts]) for name in parts[0]},
        labels=labels,
        unused=unused,
        unread=tuple(dict.fromkeys(heading for _, layout in files for heading in layout.unread)),
        sources={str(table.path): table.sha256 for table, _ in files},
        notes=tuple(dict.fromkeys(note for table, _ in files for note in table.notes)),
    )


def _one_row_per_scorer(table: Table, scorers: Sequence[str]) -> Table:
    """A table with a column for each judge and rater, as one with a row for each score.

    Blank cells are no scores. Without a column for it, the dimension is called `score`.

    Raises:
        UsageError: a scorer is no heading, or the table has columns `rater` or `score` already.
    """
    headings = {plain(heading): heading for heading in table.columns}
    if missing := [name for name in scorers if plain(name) not in headings]:
        raise UsageError(
            f"--raters {missing[0]}: {table.path.name} has no column {missing[0]}",
            hint=f"its columns are {', '.join(table.columns)}",
        )
    if there := [headings[name] for name in ("rater", "score") if name in headings]:
        raise UsageError(
            f"--raters: {table.path.name} has a column {there[0]}, so it is no table with a column "
            "for each rater",
            hint="leave --raters out",
        )
    wide = {headings[plain(name)]: table.columns[headings[plain(name)]] for name in scorers}
    filled = np.concatenate([[not is_blank(cell) for cell in cells] for cells in wide.values()])
    n, times = len(table), len(wide)
    columns = {
        heading: np.tile(values, times)
        for heading, values in table.columns.items()
        if heading not in wide
    }
    if not {"dimension", "metric"} & headings.keys():
        columns["dimension"] = np.full(n * times, "score", dtype=np.object_)
    columns["rater"] = np.repeat(np.array(list(wide), dtype=np.object_), n)
    columns["score"] = np.concatenate(list(wide.values()))
    return replace(table, columns=columns, lines=np.tile(table.lines, times)).select(filled)


def _has_systems(files: Sequence[tuple[Table, Layout]]) -> bool:
    """Whether the files have a column of systems; DataError if some have and others have not."""
    with_systems = [table.path for table, layout in files if "system" in layout.columns]
    without = [table.path for table, layout in files if "system" not in layout.columns]
    if with_systems and without:
        raise DataError(
            f"no column system, and {with_systems[0].name} has one",
            path=without[0],
            hint="add the column, or name the one that is it with --alias HEADING=system",
        )
    return bool(with_systems)


def _apply(filters: Sequence[Filter], table: Table, layout: Layout) -> tuple[Table, Layout]:
    """The rows that are not blank and that the filters keep.

    A filter may name a heading that is no known column; it is then not among the unread ones.
    """
    keep = filled_rows(table)
    for rule in filters:
        same = (heading for heading in table.columns if plain(heading) == plain(rule.column))
        if heading := layout.columns.get(rule.column) or next(same, None):
            keep &= rule.keep(table.columns[heading])
            unread = tuple(other for other in layout.unread if other != heading)
            layout = layout._replace(unread=unread)
    return (table if keep.all() else table.select(keep)), layout


def _read_columns(
    table: Table, layout: Layout, n_labels: int, point: Point
) -> dict[str, NDArray[Any]]:
    """The columns of one file, as in `JudgedRows`; `unused` are scores beside probabilities."""
    blank = np.full(len(table), "", dtype=np.object_)
    columns: dict[str, NDArray[Any]] = {
        name: table.columns[layout.columns[name]] if name in layout.columns else blank
        for name in ("item", "system", "dimension", "rater", "rater_type", "score")
    }
    given = columns["score"]
    score, kind = parse_scores(given, _ANY_NUMBER)
    probs = np.full((len(table), n_labels), np.nan)
    judged = np.zeros(len(table), dtype=np.bool_)
    unused = judged
    if layout.labels:
        cells = np.stack([table.columns[heading] for heading in layout.labels.values()], axis=1)
        parsed = [parse_scores(column, _ANY_NUMBER) for column in cells.T]
        probs = np.stack([numbers for numbers, _ in parsed], axis=1)
        kinds = np.stack([codes for _, codes in parsed], axis=1)
        judged = (kinds != _EMPTY).any(axis=1)
        unused = judged & (kind != _EMPTY)
        rows, first_fault = np.arange(len(table)), (kinds > 0).argmax(axis=1)
        kind = np.where(judged, kinds[rows, first_fault], kind)
        given = np.where(judged, cells[rows, first_fault], given)
        total = probs.sum(axis=1)
        wrong = (probs < 0).any(axis=1) | (total > 1 + _SLACK) | (total <= 0)
        kind[judged & (kind == 0) & wrong] = FAULT_CODES["no_distribution"]
        usable = judged & (kind == 0)
        probs[~usable] = np.nan
        labels = np.array(list(layout.labels), dtype=np.float64)
        score[judged] = np.nan
        score[usable] = (
            probs[usable] @ labels / total[usable]
            if point == "expected"
            else labels[probs[usable].argmax(axis=1)]
        )
    more = {"kind": kind, "given": given, "probs": probs, "judged": judged, "unused": unused}
    return {**columns, "score": score, **more, "row": table.lines}


@dataclass(slots=True)
class Filter:
    """Which rows are wanted, by the values of one column: any of `only`, none of `never`.

    `seen` are the values that the column has, `known` says whether any file has the column.
    """

    column: str
    only: set[str] = field(default_factory=set)
    never: set[str] = field(default_factory=set)
    seen: dict[str, None] = field(default_factory=dict)
    known: bool = False

    def keep(self, values: Values) -> Flags:
        """(n,) whether each row may stay."""
        self.known = True
        distinct, code = factorise(values)
        names = [parse_id(value) or "" for value in distinct]
        self.seen |= dict.fromkeys(names)
        wanted = [n not in self.never and (not self.only or n in self.only) for n in names]
        return np.array(wanted, dtype=np.bool_)[code]

    @property
    def texts(self) -> list[str]:
        """As the user wrote it: `split=real`, `system!=Human`."""
        return [
            f"{self.column}{sign}{value}"
            for sign, values in (("=", self.only), ("!=", self.never))
            for value in sorted(values)
        ]

    def ensure_known(self) -> None:
        """Raise UsageError if no file has the column, or no row has one of the values."""
        if not self.known:
            raise UsageError(
                f"--where {self.column}: no table has a column {self.column}",
                hint="a heading of the table, or item, system, dimension, rater, rater_type",
            )
        for name in sorted((self.only | self.never) - self.seen.keys()):
            listed = ", ".join(itertools.islice(self.seen, 10))
            more = ", ..." if len(self.seen) > 10 else ""
            raise UsageError(
                f"--where: no row has {name!r} in the column {self.column}",
                hint=f"it has {listed}{more}",
            )


def _ensure_aliases_known(aliases: Mapping[str, str], headings: Sequence[str]) -> None:
    known = set(map(plain, headings))
    for alias, column in aliases.items():
        if plain(alias) not in known:
            raise UsageError(
                f"--alias {alias}={column}: no table has a column {alias}",
                hint=f"the columns are {', '.join(dict.fromkeys(headings))}",
            )
