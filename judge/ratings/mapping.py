"""What the columns of a questionnaire's export are of, as a small table of the user's says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from judge import tables
from judge.errors import DataError, UsageError
from judge.names import clean, plain
from judge.ratings.columns import Spread, Vocabulary
from judge.ratings.values import is_blank, parse_id
from judge.tables import Table

__all__ = ["find_heading", "read_mapping", "without_skipped"]

_HEADING = {"heading", "column", "question", "题目", "问题", "题号", "列"}
_SKIPPED = {"-2", "-3", "(跳过)", "(空)"}
"""What 问卷星 writes for a question that was not asked or not answered."""


def find_heading(table: Table, name: str) -> str:
    """The heading that the user means: the same text, or the number of its question.

    Raises:
        UsageError: the table has no such heading.
    """
    wanted = plain(name)
    number = re.fullmatch(r"(?:q|第)?_?([0-9]+)_?题?", wanted)
    for heading in table.columns:
        if plain(heading) == wanted:
            return heading
    for heading in table.columns if number else ():
        if re.match(
            rf"(?:q|第)?\s*{number[1] if number else ''}\s*题?\s*[、.:)]", clean(heading).lower()
        ):
            return heading
    raise UsageError(
        f"{table.path.name} has no column {name}", hint=f"it has {', '.join(table.columns)[:300]}"
    )


def read_mapping(path: Path, table: Table, vocabulary: Vocabulary) -> Spread:
    """Heading of the questionnaire -> what the scores under it are of.

    Args:
        path: a table with the column `heading` (题目), and any of system, character, scenario,
            item, metric and rater.

    Raises:
        DataError: it has no column `heading`, or nothing else that is known.
        UsageError: a heading that the questionnaire does not have.
    """
    given = tables.read_table(path)
    key = next((name for name in given.columns if plain(name) in _HEADING), None)
    meaning = {name: vocabulary.column(name) for name in given.columns if name != key}
    known = {name: column for name, column in meaning.items() if column is not None}
    if key is None or not known:
        raise DataError(
            f"a mapping has the column heading, and what each is of (found: "
            f"{', '.join(given.columns)})",
            path=path,
            hint="heading,system,character,scenario,metric",
        )
    spread: dict[str, Mapping[str, str]] = {}
    for line, row in given.rows():
        fixed = {c: parse_id(row[name]) or "" for name, c in known.items()}
        heading = find_heading(table, str(parse_id(row[key]) or ""))
        if heading in spread:
            raise DataError(
                f"{heading} stands there twice", path=path, line=line, hint="keep one of them"
            )
        spread[heading] = {column: value for column, value in fixed.items() if value}
    return spread


def without_skipped(table: Table, spread: Spread) -> Table:
    """The questionnaire with blanks for the questions that somebody skipped."""
    columns = dict(table.columns)
    for heading in spread:
        columns[heading] = np.fromiter(
            (
                "" if not is_blank(value) and clean(str(value)) in _SKIPPED else value
                for value in table.columns[heading]
            ),
            np.object_,
            len(table),
        )
    return replace(table, columns=columns)
