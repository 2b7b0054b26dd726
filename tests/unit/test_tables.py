"""Table files as columns with line numbers; layouts are tested with dialogues and ratings."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from judge.errors import DataError
from judge.tables import Table, read_table


def rows(path: Path, data: bytes) -> list[tuple[int, dict[str, object]]]:
    path.write_bytes(data)
    return list(read_table(path).rows())


def test_rows_carry_the_line_where_they_begin(tmp_path: Path) -> None:
    """A quoted line break moves the lines that follow; blank lines are no rows."""
    data = b'a,b\r\n1,"x\r\ny"\r\n\r\n2,z\r\n'
    assert rows(tmp_path / "x.csv", data) == [
        (2, {"a": "1", "b": "x\r\ny"}),
        (5, {"a": "2", "b": "z"}),
    ]
    assert rows(tmp_path / "x.csv", b"\xef\xbb\xbfa,b\r\n1,x\r\n\r\n2,z") == [
        (2, {"a": "1", "b": "x"}),
        (4, {"a": "2", "b": "z"}),
    ]


@pytest.mark.parametrize("quoted", ["", '"'])
def test_nothing_is_guessed(tmp_path: Path, quoted: str) -> None:
    """Every cell of a text file stays the text that it is, whatever it looks like."""
    texts = ["007", "7.0", "NA", "nan", "null", "", " ", "True", "1e5", "2024-01-01", "x\0y"]
    data = "a\tb\n" + "".join(f"{quoted}{text}{quoted}\t.\n" for text in texts)
    assert [row["a"] for _, row in rows(tmp_path / "x.tsv", data.encode())] == texts


def test_json_keeps_its_types(tmp_path: Path) -> None:
    """Numbers, truth values, null and lists come as they are; a key that is missing is NaN."""
    records = [{"a": 7, "b": None}, {"a": True}, {"a": [1, 2], "b": "007"}]
    for path, text, lines in (
        (tmp_path / "x.json", json.dumps(records), [1, 2, 3]),
        (tmp_path / "x.jsonl", "\n\n".join(map(json.dumps, records)), [1, 3, 5]),
    ):
        path.write_text(text, encoding="utf-8")
        table = read_table(path)
        assert table.lines.tolist() == lines
        assert table.columns["a"].tolist() == [7, True, [1, 2]]
        assert type(table.columns["a"][1]) is bool
        assert table.columns["b"][0] is None
        assert np.isnan(table.columns["b"][1])
        assert table.columns["b"][2] == "007"


@pytest.mark.parametrize("suffix", ["xlsx", "ods"])
def test_spreadsheets(tmp_path: Path, suffix: str) -> None:
    """XLSX and ODS, written by another library: rows have the numbers that a screen shows."""
    path = tmp_path / f"x.{suffix}"
    cells = [["a", "b", None], [None, None, None], ["007", 7, None], ["x", 0.5, None]]
    if suffix == "ods":
        path.write_bytes(ods(cells))
    else:
        pd.DataFrame(cells).to_excel(path, header=False, index=False)
    assert list(read_table(path).rows()) == [
        (3, {"a": "007", "b": 7}),
        (4, {"a": "x", "b": 0.5}),
    ]


def test_a_selection_keeps_its_lines(tmp_path: Path) -> None:
    """Rows that are left carry the lines that they had."""
    path = tmp_path / "x.csv.gz"
    path.write_bytes(gzip.compress(b"a\n1\n2\n3\n"))
    table = read_table(path).select(np.array([True, False, True]))
    assert isinstance(table, Table)
    assert list(table.rows()) == [(2, {"a": "1"}), (4, {"a": "3"})]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("x.doc", b"a", "not from .doc"),
        ("x", b"a", "not from a file without extension"),
        ("x.json", b"{}", "a list of objects was expected, found an object"),
        ("x.json", b"[1]", ":1: an object was expected, found the number 1"),
        ("x.csv", b"a,b\n1\n", ":2: 1 cells under 2 columns"),
        ("x.csv", b'a,b\n1,2\n"1\n",2,3\n"', ":3: 3 cells under 2 columns"),
        ("x.csv", b'a,b\n"1\n\n"x,2', ":4: not a readable table"),
        ("x.csv", b"a,a\n1,2\n", "the column a appears twice"),
    ],
)
def test_what_is_refused(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    """What pandas would mend in silence is an error with its line and a hint."""
    with pytest.raises(DataError, match=message) as caught:
        rows(tmp_path / name, data)
    assert caught.value.hint


def ods(cells: Sequence[Sequence[object]]) -> bytes:
    """A spreadsheet in OpenDocument's format, by hand."""
    lines = []
    for row in cells:
        line = "".join(
            f'<table:table-cell office:value-type="float" office:value="{value}"/>'
            if isinstance(value, int | float)
            else "<table:table-cell/>"
            if value is None
            else '<table:table-cell office:value-type="string">'
            f"<text:p>{value}</text:p></table:table-cell>"
            for value in row
        )
        lines.append(f"<table:table-row>{line}</table:table-row>")
    spaces = " ".join(
        f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
        for name in ("office", "table", "text")
    )
    content = (
        f"<office:document-content {spaces}><office:body><office:spreadsheet>"
        f'<table:table table:name="s">{"".join(lines)}</table:table>'
        "</office:spreadsheet></office:body></office:document-content>"
    )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("META-INF/manifest.xml", "<manifest:manifest/>")
        archive.writestr("content.xml", content)
    return out.getvalue()
