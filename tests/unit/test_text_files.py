"""Text files in the encodings that people have."""

from __future__ import annotations

from pathlib import Path

import pytest

from judge.errors import DataError
from judge.tables import read_table
from judge.text_files import to_text

NAMES = "system,character,scenario,metric,rater,score\nanswers,林小雨,1,fluency,甲,4\n"
HEADINGS = "系统,角色,场景,评分人,流畅性（1-5分）\n甲方,结城明日奈（亚丝娜）,12,王老师,4\n"
LONG = "system,answer\n" + "a,今天好累。先坐下歇一歇，我陪你说说话。\n" * 5_000
ENGLISH = "system,answer\na,Have a rest.\n"
JAPANESE = "system,character\na,シノン\nb,クライン\nc,リーファさん、こんにちは\n"


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("utf-8", None),
        ("utf-8-sig", None),
        ("utf-16", "UTF-16"),
        ("utf-16-le", "UTF-16"),
        ("utf-16-be", "UTF-16"),
        ("gb18030", "GB18030"),
        ("gbk", "GB18030"),
    ],
)
@pytest.mark.parametrize("text", [NAMES, HEADINGS, LONG])
def test_the_encodings_of_chinese_tables(encoding: str, name: str | None, text: str) -> None:
    """What Python's codec wrote is read back whole, and what is not UTF-8 is said."""
    found = to_text(Path("x.csv"), text.encode(encoding))
    assert found.text == text
    assert found.notes == (() if name is None else (f"x.csv is not UTF-8: it was read as {name}.",))


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (ENGLISH, "utf-16"),
        (ENGLISH, "utf-16-le"),
        (JAPANESE, "cp932"),
        ("系統,角色,場景\n甲,結城明日奈,測試臺灣的評分與對話\n", "big5"),
        ("name,score\nMüller,4\nGröße,3\n", "cp1252"),
    ],
)
def test_other_encodings(text: str, encoding: str) -> None:
    """Other alphabets are recognised too, and said."""
    found = to_text(Path("x.csv"), text.encode(encoding))
    assert found.text == text
    assert len(found.notes) == 1


def test_a_zero_byte_makes_no_utf_16() -> None:
    """A text in UTF-8 that holds a zero character stays what it is."""
    assert to_text(Path("x.csv"), b"a,b\n\0,1\n") == ("a,b\n\0,1\n", ())


def test_bytes_that_are_no_text() -> None:
    """The first byte that is not UTF-8 is named with its line."""
    with pytest.raises(DataError, match=r"x.csv:2: it is not UTF-8 .byte 0x81") as caught:
        to_text(Path("x.csv"), b"a,b\n\x81\xff\x8d\x9d,1\n")
    assert caught.value.hint


def test_a_table_says_its_encoding(tmp_path: Path) -> None:
    """The note reaches whoever reads the table."""
    path = tmp_path / "ratings.csv"
    path.write_bytes(NAMES.encode("gb18030"))
    table = read_table(path)
    assert table.columns["character"].tolist() == ["林小雨"]
    assert table.notes == ("ratings.csv is not UTF-8: it was read as GB18030.",)
