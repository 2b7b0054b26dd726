"""Record files: what is written is read back, and what does not fit is refused."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import pytest

from judge.errors import StoreError
from judge.ratings import DialogueId, read_ratings
from judge.records import (
    plain_record,
    read_record,
    read_record_if_present,
    write_bytes,
    write_csv,
    write_record,
    write_text,
)


@dataclass(frozen=True, slots=True)
class Inner:
    """Part of a record."""

    name: str
    value: float | None


@dataclass(frozen=True, slots=True)
class Example:
    """A record with every kind of field."""

    kind: Literal["small", "large"]
    inner: tuple[Inner, ...]
    counts: Mapping[str, int]
    anything: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if "bad" in self.counts:
            raise ValueError("bad is not counted")


EXAMPLE = Example("small", (Inner("流畅", 0.1 + 0.2), Inner("b", None)), {"z": 1, "a": 2})
TEXT = """{
 "format": 2,
 "kind": "small",
 "inner": [
  {
   "name": "流畅",
   "value": 0.30000000000000004
  },
  {
   "name": "b",
   "value": null
  }
 ],
 "counts": {
  "z": 1,
  "a": 2
 },
 "anything": {}
}
"""


def read(path: Path) -> Example:
    return read_record(path, Example, newest=2, kind="example", hint="make another")


def test_a_record_is_json_with_its_format_first(tmp_path: Path) -> None:
    """Keys in the order of the fields, text as it is, an indentation of one space."""
    path = write_record(tmp_path / "new" / "e.json", EXAMPLE, format=2)
    assert path.read_text(encoding="utf-8") == TEXT
    assert read(path) == EXAMPLE
    assert json.loads(json.dumps(plain_record(EXAMPLE, format=2))) == json.loads(TEXT)


def test_an_older_format_may_lack_fields_with_a_default(tmp_path: Path) -> None:
    path = tmp_path / "e.json"
    path.write_text('{"kind": "large", "inner": [], "counts": {}, "more": 1, "format": 1}')
    assert read(path) == Example("large", (), {})


def test_numbers_of_numpy_and_views_are_plain(tmp_path: Path) -> None:
    """A float64 is written as the float it is; a view of a dict as that dict."""
    record = Example("small", (Inner("a", np.float64(0.25)),), MappingProxyType({"a": 1}))
    assert read(write_record(tmp_path / "e.json", record, format=2)) == Example(
        "small", (Inner("a", 0.25),), {"a": 1}
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        (b"", "truncated"),
        (b"[]", "Expected `object`, got `array`"),
        (b"{}", "missing required field `format`"),
        (b'{"format": "2"}', r"Expected `int`, got `str` - at `\$\.format`"),
        (b'{"format": 0}', r"at `\$\.format`"),
        (b'{"format": 2}', "missing required field `kind`"),
        (b'{"format": 2, "kind": "huge"}', r"'huge' - at `\$\.kind`"),
        (b'{"format": 2, "inner": [{"name": 1}]}', r"at `\$\.inner\[0\]\.name`"),
        (b'{"format": 2, "anything": {"a": NaN}}', "malformed"),
        (b'{"format": 2, "anything": {"a": -Infinity}}', "malformed"),
        (b'{"format": 2, "anything": {"a": 1e999}}', "out of range"),
        (b'{"format": 2, "kind": "small", "inner": [], "counts": {"bad": 1}}', "bad is not"),
        (b'{"format": 2, "anything": {"a": "\\ud800 and on"}}', "unexpected end of hex|surrogate"),
        (b'{"format": 2, "anything": {"a": "\xff"}}', "utf-8"),
        (b'{"format": 2, "anything": {"a": ' + b"[" * 100_000, "more than 100 levels"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    """The message names the file, the place in it, and how to mend it."""
    path = tmp_path / "e.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StoreError, match=rf"not a readable example: .*{message}") as caught:
        read(path)
    assert (caught.value.path, caught.value.hint) == (path, "make another")


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    """Whatever else the file holds."""
    path = tmp_path / "e.json"
    path.write_text('{"format": 3, "kind": 5}')
    with pytest.raises(StoreError, match="format 3 is newer than this version reads") as caught:
        read(path)
    assert caught.value.hint == "upgrade esrp-judge"


def test_a_missing_file_may_be_nothing(tmp_path: Path) -> None:
    """Only a missing one: what is there must be readable."""
    path = tmp_path / "e.json"
    assert read_record_if_present(path, Example, newest=2, kind="example", hint="") is None
    path.mkdir()
    with pytest.raises(StoreError, match="not a readable example: Is a directory"):
        read_record_if_present(path, Example, newest=2, kind="example", hint="")


def test_what_cannot_be_json_leaves_the_older_file(tmp_path: Path) -> None:
    """A number that is not finite is a defect; half a surrogate pair came with the data."""
    path = write_record(tmp_path / "e.json", EXAMPLE, format=2)
    for value in (math.nan, math.inf):
        with pytest.raises(ValueError, match="JSON"):
            write_record(path, Example("small", (Inner("a", value),), {}), format=2)
    with pytest.raises(StoreError, match=r"half a surrogate pair, after .*name") as caught:
        write_record(path, Example("small", (Inner("\ud83d", 1),), {}), format=2)
    assert caught.value.hint
    with pytest.raises(TypeError, match="cannot hold object"):
        write_record(path, Example("small", (), {}, {"a": object()}), format=2)
    assert path.read_text(encoding="utf-8") == TEXT
    assert list(tmp_path.iterdir()) == [path]


def test_text_is_utf_8_with_its_own_line_breaks(tmp_path: Path) -> None:
    """Folders are made, and an older file is replaced."""
    file = tmp_path / "a" / "b.txt"
    write_text(file, "old")
    assert write_text(file, "流畅\n\r\n") == file
    assert file.read_bytes() == "流畅\n\r\n".encode()
    assert list(file.parent.iterdir()) == [file]


def test_what_cannot_be_written_is_said_with_the_file(tmp_path: Path) -> None:
    """A folder in the place of a file, or a file in the place of a folder."""
    (tmp_path / "taken").write_text("x", encoding="utf-8")
    with pytest.raises(StoreError, match=r"taken.*cannot be written") as error:
        write_bytes(tmp_path / "taken" / "b.pdf", b"x")
    assert error.value.hint is not None
    assert "--out" in error.value.hint
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError):
        write_text(tmp_path / "folder", "x")


def test_tables_for_people_open_right_in_excel(tmp_path: Path) -> None:
    """A byte-order mark stands first, no text is a formula, and numbers are left alone."""
    head = ["name", "score", "reason"]
    rows = [head, ["=cmd|' /C calc'!A0", "-0.5", "+1 is better"], ["路飞", "+2e3", "@x\r\n-y"]]
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    path = write_csv(tmp_path / "scores.csv", text.getvalue())
    assert path.read_bytes().startswith(b"\xef\xbb\xbfname,")
    with path.open(encoding="utf-8-sig", newline="") as file:
        assert list(csv.reader(file)) == [
            head,
            ["'=cmd|' /C calc'!A0", "-0.5", "'+1 is better"],
            ["路飞", "+2e3", "'@x\r\n-y"],
        ]
    plain = "a,b\n1,路飞\n"
    assert write_csv(path, plain).read_text(encoding="utf-8-sig") == plain


def test_a_name_that_begins_like_a_formula_comes_back(tmp_path: Path) -> None:
    """What was written so that a spreadsheet program leaves it alone is read as it was."""
    path = write_csv(
        tmp_path / "r.csv",
        "system,character,scenario,metric,rater,score\n=a,-b,1,fluency,@c,4\n",
    )
    ratings = read_ratings(path)
    assert ratings.dialogues == (DialogueId("=a", "-b", "1"),)
    assert ratings.raters == ("@c",)
