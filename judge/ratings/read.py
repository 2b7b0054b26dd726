"""Reads ratings, and tables of judges' scores.

A ratings file has one of these shapes:

- long: one row per rating, `system, character, scenario, metric, rater, score`;
- wide: one row per rater and dialogue, with a column for each metric;
- a column for each rater, each system, or each metric and rater;
- a questionnaire, with a small table that says what each question is of;
- of items: `item` in place of character and scenario, as public sets of other tasks have it;
- an export of Label Studio or Argilla.

`rater` may be missing. Without `system` the file's name is the system. A column `rater_type`
excludes the rows that no person gave.

A table of judges' scores says what people and judges thought of items, in one file or several:

- long: one row per score, `item, system, dimension, rater, rater_type, score`;
- probabilities: `item, system, dimension, rater, p1, p2, ...`, one row per reading of a judge;
- measures: `item, system, measure, score`, where some measures are people's and each other one is
  a judge of all of these.

What was scored is a system on an item: one item under two systems says that both answered the same
thing. Who is a person and who a judge is told by `rater_type`, by name, or by the shape; a row that
tells nothing is a person's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np

from judge import tables
from judge.errors import DataError, UsageError
from judge.names import plain
from judge.ratings.columns import JUDGED_COLUMNS, RATINGS_HINT, Vocabulary, find_columns
from judge.ratings.exports import flatten
from judge.ratings.judged import resolve_judged
from judge.ratings.mapping import find_heading, read_mapping, without_skipped
from judge.ratings.record import JudgedTable, Point, Ratings, Scale
from judge.ratings.resolve import resolve_ratings
from judge.ratings.rows import (
    Filter,
    filled_rows,
    one_row_per_score,
    read_judged_rows,
    without_blank,
)
from judge.ratings.values import parse_id
from judge.text_files import stem
from judge.types import Metric

__all__ = ["read_judged_table", "read_ratings"]

_LARGEST = 256 << 20
"""Bytes of a ratings file. A large study has some 3 million ratings, which is about as many."""


def read_ratings(
    path: Path,
    *,
    metrics: Iterable[Metric] | None = None,
    aliases: Mapping[str, str] = MappingProxyType({}),
    scale: Scale | None = None,
    sheet: str | None = None,
    raters: Sequence[str] = (),
    systems: Sequence[str] = (),
    mapping: Path | None = None,
) -> Ratings:
    """Every rating of a file, and every fault of it.

    Args:
        path: a table in any format of `judge.tables`.
        metrics: what can be rated; None takes every metric as it is named.
        aliases: NAME -> a metric, or a column such as `rater`.
        scale: what a score may be; None is 1-5 in whole numbers, and `ensure_usable` then
            refuses a file that looks as if it were on another scale.
        sheet: the one to be read of a workbook; None for all that have the same columns.
        raters: the headings of columns that each hold the scores of one rater.
        systems: the headings of columns that each hold the scores of one system.
        mapping: a table that says for each `heading` what its scores are of; see `read_mapping`.

    Raises:
        DataError: the file cannot be read, is over 256 MiB, holds no rows, or lacks a column.
        UsageError: an alias for something that is neither a metric nor a column.
        MissingExtraError: the library for a Parquet file or a spreadsheet is not installed.
    """
    vocabulary = Vocabulary(metrics, aliases)
    table = tables.read_table(path, largest=_LARGEST, sheet=sheet)
    table = without_blank(flatten(table.select(filled_rows(table))), vocabulary.column)
    n = len(table)
    if not n:
        raise DataError("it holds no ratings", path=path, hint=RATINGS_HINT)
    spread: dict[str, Mapping[str, str]] = {}
    for column, names in (("rater", raters), ("system", systems)):
        spread |= {find_heading(table, name): {column: name} for name in names}
    if mapping is not None:
        vocabulary.respondents()
        spread |= read_mapping(mapping, table, vocabulary)
        table = without_skipped(table, spread)
    layout = find_columns(path, tuple(table.columns), vocabulary, spread)
    columns = {name: table.columns[heading] for name, heading in layout.columns.items()}
    columns.setdefault("system", np.full(n, stem(path), dtype=np.object_))
    places = {"row": table.lines, "file": np.zeros(n, dtype=np.int32)}
    return resolve_ratings(
        one_row_per_score({**columns, **places}, table, layout.scores),
        (path,),
        vocabulary,
        scale,
        unread=layout.unread,
        sources={str(path): table.sha256},
        notes=table.notes,
    )


def read_judged_table(
    paths: Sequence[Path],
    *,
    aliases: Mapping[str, str] = MappingProxyType({}),
    where: Sequence[tuple[str, str]] = (),
    people: Collection[str] = (),
    judges: Collection[str] = (),
    point: Point = "expected",
    sheet: str | None = None,
    categories: bool = False,
    scorers: Sequence[str] = (),
) -> JudgedTable:
    """Every score of the files, and the first 1,000 faults of them.

    Args:
        paths: tables in any format of `judge.tables`.
        aliases: HEADING -> item, system, dimension, rater, rater_type or score.
        where: (column, value) to keep, (column + "!", value) to leave out. Several values of one
            column are alternatives; several columns must all fit. A file without the column is
            kept whole.
        people: the measures that are people's, in files that name no raters.
        judges: raters that are judges whatever their type.
        sheet: the one to be read of a workbook; None for all that have the same columns.
        scorers: the headings of columns that each hold the scores of one judge or rater.

    Raises:
        UsageError: an option names what is not there, nothing is left, or one side is missing.
        DataError: a file cannot be read, is over 1 GiB, lacks a column, has no usable row, or has
            a type of rater that tells neither people nor judge.
        MissingExtraError: the library for a Parquet file or a spreadsheet is not installed.
    """
    _check_options(paths, aliases)
    filters: dict[str, Filter] = {}
    for column, value in where:
        name = column.removesuffix("!").strip()
        rule = filters.setdefault(plain(name), Filter(name))
        (rule.never if column.endswith("!") else rule.only).add(parse_id(value) or "")
    rows = read_judged_rows(
        paths,
        aliases=aliases,
        filters=list(filters.values()),
        point=point,
        measures=bool(people),
        sheet=sheet,
        scorers=scorers,
    )
    for rule in filters.values():
        rule.ensure_known()
    return resolve_judged(
        rows,
        people=frozenset(people),
        judges=frozenset(judges),
        point=point,
        where=tuple(text for rule in filters.values() for text in rule.texts),
        categories=categories,
    )


def _check_options(paths: Sequence[Path], aliases: Mapping[str, str]) -> None:
    if not paths:
        raise UsageError("no table is named", hint="--table FILE")
    if len(set(paths)) < len(paths):
        raise UsageError("a table is named twice", hint="name each file once")
    for alias, column in aliases.items():
        if column not in JUDGED_COLUMNS:
            raise UsageError(
                f"--alias {alias}={column}: {column} is no column of a table",
                hint=f"the columns are {', '.join(JUDGED_COLUMNS)}",
            )
