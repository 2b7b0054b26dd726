"""Rows of table files; what dialogues and ratings share. Layouts are tested with dialogues."""

from __future__ import annotations

from pathlib import Path

import pytest

from judge.errors import DataError
from judge.tables import read_rows


def test_rows_carry_the_line_where_they_begin() -> None:
    """A quoted line break moves the lines that follow; blank lines are no rows."""
    data = b'a,b\r\n1,"x\r\ny"\r\n\r\n2,z\r\n'
    assert list(read_rows(Path("x.csv"), data)) == [
        (2, {"a": "1", "b": "x\r\ny"}),
        (5, {"a": "2", "b": "z"}),
    ]


def test_an_unknown_extension() -> None:
    """The error lists what can be read."""
    with pytest.raises(DataError, match=r"a table ends in .jsonl, .csv, .tsv, .parquet"):
        read_rows(Path("x.ods"), b"")
