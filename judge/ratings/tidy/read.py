"""One tidy table or several, read together."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from judge import tables
from judge.errors import DataError, UsageError
from judge.ratings import files
from judge.ratings.names import plain
from judge.ratings.tidy.assemble import assemble
from judge.ratings.tidy.coding import Filter
from judge.ratings.tidy.draft import Draft
from judge.ratings.tidy.headings import COLUMNS
from judge.ratings.tidy.record import JudgedTable
from judge.ratings.tidy.rows import Point, read_blocks
from judge.ratings.values import parse_id

__all__ = ["read_judged_table"]


def read_judged_table(
    paths: Sequence[Path],
    *,
    aliases: Mapping[str, str] = MappingProxyType({}),
    where: Sequence[tuple[str, str]] = (),
    people: Collection[str] = (),
    judges: Collection[str] = (),
    point: Point = "expected",
) -> JudgedTable:
    """Every score of the files, and every fault of them.

    Args:
        paths: `.csv`, `.tsv`, `.jsonl`, `.parquet` or `.xlsx`, or any of these with `.gz`.
        aliases: HEADING -> item, system, dimension, rater, rater_type or score.
        where: (column, value) to keep, (column + "!", value) to leave out. Several values of one
            column are alternatives; several columns must all fit. A file without the column is
            kept whole.
        people: the measures that are people's, in files that name no raters.
        judges: raters that are judges whatever their type.
        point: how probabilities become a score.

    Raises:
        UsageError: an option names what is not there, nothing is left, or one side is missing.
        DataError: a file cannot be read, is larger than 1 GiB, lacks a column, has no usable row,
            or has a type of rater that tells neither people nor judge.
        MissingExtraError: a library for the format is not installed.
    """
    filters = _read_iv(paths, aliases, where)
    draft = Draft(paths, measures=bool(people))
    sources: dict[str, str] = {}
    for number, path in enumerate(paths):
        data = tables.read_bytes(path, largest=files.LARGEST)
        sources[str(path)] = hashlib.sha256(data).hexdigest()
        rows = files.read_rows(path, data)
        for block in read_blocks(path, rows, aliases, filters, point):
            draft.add(block, number)
        if number not in draft.read:
            raise DataError("it holds no rows", path=path, hint="was it written to the end?")
    for rule in filters:
        rule.ensure_known()
    headings = list(draft.headings)
    for alias, column in aliases.items():
        if plain(alias) not in map(plain, headings):
            raise UsageError(
                f"--alias {alias}={column}: no table has a column {alias}",
                hint=f"the columns are {', '.join(headings)}",
            )
    return assemble(
        draft,
        people=frozenset(people),
        judges=frozenset(judges),
        point=point,
        sources=sources,
        where=tuple(text for rule in filters for text in rule.texts),
    )


def _read_iv(
    paths: Sequence[Path], aliases: Mapping[str, str], where: Sequence[tuple[str, str]]
) -> list[Filter]:
    if not paths:
        raise UsageError("no table is named", hint="--table FILE")
    if len(set(paths)) < len(paths):
        raise UsageError("a table is named twice", hint="name each file once")
    for alias, column in aliases.items():
        if column not in COLUMNS:
            raise UsageError(
                f"--alias {alias}={column}: {column} is no column of a table",
                hint=f"the columns are {', '.join(COLUMNS)}",
            )
    filters: dict[str, Filter] = {}
    for column, value in where:
        name = column.removesuffix("!").strip()
        rule = filters.setdefault(plain(name), Filter(name))
        (rule.never if column.endswith("!") else rule.only).add(parse_id(value) or "")
    return list(filters.values())
