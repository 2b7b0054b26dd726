"""Files of a report are written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from judge.errors import StoreError
from judge.files import write_bytes, write_text


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
