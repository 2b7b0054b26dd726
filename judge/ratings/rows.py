"""The rows of ratings tables and of tables of judges' scores, before any is refused."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from judge import tables
from judge.errors import DataError, UsageError
from judge.ratings.columns import JudgedLayout, Names, find_judged_columns, plain
from judge.ratings.record import IntArray, Point, Scale
from judge.ratings.values import (
    FAULT_CODES,
    Coded,
    Flags,
    Values,
    encode,
    factorise,
    is_blank,
    parse_id,
    parse_name,
    parse_scores,
)
from judge.tables import Table

__all__ = [
    "Filter",
    "JudgedRows",
    "RatingRows",
    "RatingScores",
    "exclude_others",
    "filled_rows",
    "place",
    "read_judged_rows",
    "read_scores",
]

_SLACK = 0.01
"""How far probabilities may sum past 1: they are rounded in the file."""
_ANY_NUMBER = Scale(-math.inf, math.inf, 0)
_EMPTY = FAULT_CODES["empty"]
_JUDGED_NAMES = {
    "item": parse_id,
    "system": parse_name,
    "dimension": parse_name,
    "rater": parse_id,
    "rater_type": parse_name,
}
_RATING_NAMES = {
    "system": parse_name,
    "character": parse_name,
    "scenario": parse_id,
    "rater": parse_id,
}

Floats = NDArray[np.float64]


class RatingRows(NamedTuple):
    """n rows of ratings.

    Attributes:
        columns: column -> (n,) values, for the columns that there are.
        metrics: metric -> (n,) scores, in a wide table; empty in a long one.
        row, file: (n,) line or row, and index into `paths`.
    """

    columns: Mapping[str, Values]
    metrics: Mapping[str, Values]
    row: IntArray
    file: IntArray
    paths: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class RatingScores:
    """All n scores of ratings tables.

    Attributes:
        ids: system, character, scenario, rater -> their names, -1 for no name.
        metric: -1 for a metric that is unknown; `metric_names` is what the file calls it.
        given: what stood in the table; `score` is NaN where that is no number.
        kind: 0 for a score that can be used, else why not, of FAULT_CODES.
        nameless: column -> (n,) whether the name is missing there.
        row, file: (n,) line or row, and index into `paths`.
    """

    ids: Mapping[str, Coded]
    metric: Coded
    metric_names: Values
    given: Values
    score: Floats
    kind: NDArray[np.int8]
    nameless: Mapping[str, Flags]
    row: IntArray
    file: IntArray
    paths: tuple[Path, ...]


class JudgedRows(NamedTuple):
    """The n rows of tables of judges' scores that the filters let through.

    Attributes:
        paths: the files; `with_system` are the indices of those that have a column of systems.
        ids: item, system, dimension, rater, rater_type -> their names, -1 where they are blank.
        score: (n,) NaN where there is none; `kind`, of FAULT_CODES, says why, and `texts` what
            stood there instead of a number.
        probs: (n, K) probabilities of `labels`, NaN in rows without; None if no file has any.
        judged: (n,) rows of probabilities.
        measure: (n,) rows whose dimension may be the name of a judge.
        row, file: (n,) line or row, and index into `paths`.
        unused: how many scores stand beside probabilities; they are not read.
        unread: headings that mean nothing.
        sources: path -> SHA-256 (hex).
    """

    paths: tuple[Path, ...]
    with_system: frozenset[int]
    ids: Mapping[str, Coded]
    score: Floats
    kind: NDArray[np.int8]
    texts: Mapping[int, str]
    probs: Floats | None
    labels: tuple[int, ...]
    judged: Flags
    measure: Flags
    row: IntArray
    file: IntArray
    unused: int
    unread: tuple[str, ...]
    sources: Mapping[str, str]


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
        """Raises UsageError if no file has the column, or the column never has the value."""
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


class _Part(NamedTuple):
    """The rows of one file; fields as in `JudgedRows`."""

    table: Table
    layout: JudgedLayout
    score: Floats
    kind: NDArray[np.int8]
    texts: Mapping[int, str]
    probs: Floats | None
    judged: Flags
    unused: int


def filled_rows(table: Table) -> Flags:
    """(n,) whether any cell of a row holds something."""
    filled = np.zeros(len(table), dtype=np.bool_)
    for values in table.columns.values():
        rest = np.flatnonzero(~filled)
        filled[rest] = [not is_blank(value) for value in values[rest]]
    return filled


def place(rows: RatingScores | JudgedRows, i: int) -> str:
    """Where row `i` stands, for messages; with the name of the file if there are several."""
    several = len(rows.paths) > 1
    return f"{rows.paths[rows.file[i]].name}:{rows.row[i]}" if several else f"{rows.row[i]}"


# Ratings


def exclude_others(rows: RatingRows) -> tuple[RatingRows, dict[str, int]]:
    """The rows that people gave, and how many there are of each other type of rater."""
    if "rater_type" not in rows.columns:
        return rows, {}
    types = encode(
        rows.columns["rater_type"], lambda v: "" if is_blank(v) else str(v).strip().casefold()
    )
    people = types.among(["human"])
    excluded = Counter(types.names[code] for code in types.code[~people].tolist())
    kept = RatingRows(
        {column: values[people] for column, values in rows.columns.items()},
        {metric: values[people] for metric, values in rows.metrics.items()},
        rows.row[people],
        rows.file[people],
        rows.paths,
    )
    return kept, dict(sorted(excluded.items()))


def read_scores(rows: RatingRows, names: Names, scale: Scale) -> RatingScores:
    """The scores of all rows and metrics; a wide table has one row for several."""
    n = len(rows.row)
    nothing = np.full(n, "", dtype=np.object_)
    of_score = np.arange(n)
    if rows.metrics:
        of_score = np.tile(of_score, len(rows.metrics))
        metric = Coded(tuple(rows.metrics), np.arange(len(rows.metrics)).repeat(n))
        metric_names = np.array(metric.names, dtype=np.object_)[metric.code]
        given = np.concatenate(list(rows.metrics.values()))
    else:
        metric_names, given = rows.columns["metric"], rows.columns["score"]
        metric = encode(metric_names, lambda v: names.metric("" if is_blank(v) else str(v)))
    ids = {
        column: encode(rows.columns.get(column, nothing), parse).take(of_score)
        for column, parse in _RATING_NAMES.items()
    }
    score, kind = parse_scores(given, scale)
    # A blank is no missing name where there is no such column, for the rater, and for the scenario
    # of what is judged over many replies.
    may_be_blank = {
        "character": "character" not in rows.columns,
        "scenario": metric.among(names.without_scenario),
        "rater": True,
    }
    nameless = {
        column: (coded.code < 0)
        | (coded.among([""]) & ~np.asarray(may_be_blank.get(column, False)))
        for column, coded in ids.items()
    }
    unnamed = np.any(list(nameless.values()), axis=0)
    kind[unnamed & (kind != FAULT_CODES["empty"])] = FAULT_CODES["no_name"]
    kind[metric.code < 0] = FAULT_CODES["unknown_metric"]
    rater = ids["rater"]
    ids["rater"] = Coded(rater.names, np.where(rater.among([""]), -1, rater.code))
    row, file = rows.row[of_score], rows.file[of_score]
    return RatingScores(
        ids, metric, metric_names, given, score, kind, nameless, row, file, rows.paths
    )


# Tables of judges' scores


def read_judged_rows(
    paths: Sequence[Path],
    *,
    aliases: Mapping[str, str],
    filters: Sequence[Filter],
    point: Point,
    measures: bool,
) -> JudgedRows:
    """Read and join the files.

    Args:
        paths: at least one.
        aliases: HEADING -> column.
        filters: what is left out.
        point: how probabilities become a score.
        measures: whether the dimension of a row that names no rater may be a judge.

    Raises:
        DataError: a file cannot be read, lacks a column, holds no rows, or has probabilities of
            other labels than the files before it.
        UsageError: no file has a heading that an alias stands for.
    """
    parts: list[_Part] = []
    labels: tuple[int, ...] = ()
    for path in paths:
        table = tables.read_table(path)
        if not len(table):
            raise DataError("it holds no rows", path=path, hint="was it written to the end?")
        table, layout = _apply(filters, table, find_judged_columns(path, [*table.columns], aliases))
        own = tuple(layout.labels)
        if own and labels and own != labels:
            raise DataError(
                f"probabilities of the labels {own[0]}-{own[-1]}, "
                f"after others of {labels[0]}-{labels[-1]}",
                path=path,
                hint="report on judges with other labels apart",
            )
        labels = labels or own
        parts.append(_read_part(table, layout, point))
    _ensure_aliases_known(aliases, [heading for p in parts for heading in p.table.columns])
    sizes = [len(part.table) for part in parts]
    no_raters = [not part.layout.columns.keys() & {"rater", "rater_type"} for part in parts]
    judged = np.concatenate([part.judged for part in parts])
    starts = np.cumsum([0, *sizes[:-1]]).tolist()
    return JudgedRows(
        paths=tuple(paths),
        with_system=frozenset(i for i, p in enumerate(parts) if "system" in p.layout.columns),
        ids={column: _join_names(parts, column) for column in _JUDGED_NAMES},
        score=np.concatenate([part.score for part in parts]),
        kind=np.concatenate([part.kind for part in parts]),
        texts={
            start + i: text
            for start, part in zip(starts, parts, strict=True)
            for i, text in part.texts.items()
        },
        probs=_join_probabilities(parts, len(labels)) if labels else None,
        labels=labels,
        judged=judged,
        measure=~judged & np.repeat([measures and no_rater for no_rater in no_raters], sizes),
        row=np.concatenate([part.table.lines for part in parts]),
        file=np.repeat(np.arange(len(parts), dtype=np.int32), sizes),
        unused=sum(part.unused for part in parts),
        unread=tuple(dict.fromkeys(heading for p in parts for heading in p.layout.unread)),
        sources={str(part.table.path): part.table.sha256 for part in parts},
    )


def _apply(
    filters: Sequence[Filter], table: Table, layout: JudgedLayout
) -> tuple[Table, JudgedLayout]:
    """The rows that are not blank and that the filters let through.

    A filter may name a heading that means nothing else; it then counts as read.
    """
    keep = filled_rows(table)
    for rule in filters:
        same = (heading for heading in table.columns if plain(heading) == plain(rule.column))
        if heading := layout.columns.get(rule.column) or next(same, None):
            keep &= rule.keep(table.columns[heading])
            unread = tuple(other for other in layout.unread if other != heading)
            layout = layout._replace(unread=unread)
    return (table if keep.all() else table.select(keep)), layout


def _read_part(table: Table, layout: JudgedLayout, point: Point) -> _Part:
    heading = layout.columns.get("score")
    given = np.full(len(table), None) if heading is None else table.columns[heading]
    score, kind = parse_scores(given, _ANY_NUMBER)
    if not layout.labels:
        judged = np.zeros(len(table), dtype=np.bool_)
        return _Part(table, layout, score, kind, _texts(given, kind), None, judged, 0)
    cells = np.stack([table.columns[heading] for heading in layout.labels.values()], axis=1)
    parsed = [parse_scores(column, _ANY_NUMBER) for column in cells.T]
    probs = np.stack([numbers for numbers, _ in parsed], axis=1)
    kinds = np.stack([codes for _, codes in parsed], axis=1)
    judged = (kinds != _EMPTY).any(axis=1)
    unused = int((kind[judged] != _EMPTY).sum())
    rows, first_fault = np.arange(len(table)), (kinds > 0).argmax(axis=1)
    kind = np.where(judged, kinds[rows, first_fault], kind)
    given = np.where(judged, cells[rows, first_fault], given)
    total = probs.sum(axis=1)
    wrong = (probs < 0).any(axis=1) | (total > 1 + _SLACK) | (total <= 0)
    kind[judged & (kind == 0) & wrong] = FAULT_CODES["no_distribution"]
    fit = judged & (kind == 0)
    probs[~fit] = np.nan
    labels = np.array(list(layout.labels), dtype=np.float64)
    score[judged] = np.nan
    if point == "expected":
        score[fit] = probs[fit] @ labels / total[fit]
    else:
        score[fit] = labels[probs[fit].argmax(axis=1)]
    return _Part(table, layout, score, kind, _texts(given, kind), probs, judged, unused)


def _texts(given: Values, kind: NDArray[np.int8]) -> dict[int, str]:
    rows = np.flatnonzero(kind == FAULT_CODES["not_a_number"]).tolist()
    return {row: str(given[row])[:40] for row in rows}


def _join_names(parts: Sequence[_Part], column: str) -> Coded:
    values = [
        part.table.columns[heading] if heading else np.full(len(part.table), "", dtype=np.object_)
        for part in parts
        for heading in [part.layout.columns.get(column)]
    ]
    parse = _JUDGED_NAMES[column]
    return encode(np.concatenate(values), lambda value: parse(value) or None, keep_order=True)


def _join_probabilities(parts: Sequence[_Part], count: int) -> Floats:
    none = (np.full((len(part.table), count), np.nan) for part in parts)
    return np.concatenate(
        [gap if p.probs is None else p.probs for p, gap in zip(parts, none, strict=True)]
    )


def _ensure_aliases_known(aliases: Mapping[str, str], headings: Sequence[str]) -> None:
    known = set(map(plain, headings))
    for alias, column in aliases.items():
        if plain(alias) not in known:
            raise UsageError(
                f"--alias {alias}={column}: no table has a column {alias}",
                hint=f"the columns are {', '.join(dict.fromkeys(headings))}",
            )
