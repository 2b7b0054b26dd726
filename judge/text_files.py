"""The user's text files: their bytes, their encoding, and JSON.

Everything that people write is read here first, so that a wrong encoding or a misplaced comma
always has the same message.
"""

from __future__ import annotations

import codecs
import json
import math
import zlib
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from judge import limits
from judge.archives import unpacked
from judge.errors import DataError
from judge.limits import LimitError, read_regular, refuse_deep

__all__ = [
    "Text",
    "describe",
    "parse_json",
    "read_bytes",
    "refuse_name",
    "stem",
    "to_text",
    "too_much",
    "unpack",
]

_SAMPLE = 1 << 16
"""Bytes that an encoding is recognised by."""
_COMMON = 0.9
"""Share of common Chinese characters from which on a text is Chinese."""

_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_OTHERS = ["gb18030", "big5", "cp932", "cp949", "cp1252"]
"""What files are written in that are not Unicode, by the systems of Chinese, Japanese, Korean and
western users."""
_NAMES = {"utf-16": "UTF-16", "utf_16_le": "UTF-16", "utf_16_be": "UTF-16", "gb18030": "GB18030"}


FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""The beginnings that make a spreadsheet program take a text for a formula."""


class Text(NamedTuple):
    """The text of a file, and what is to be said of how it was read."""

    text: str
    notes: tuple[str, ...] = ()


def stem(path: Path) -> str:
    """The name of a file without `.csv`, `.csv.gz`, ..."""
    return path.with_suffix("").stem if path.suffix.lower() == ".gz" else path.stem


def as_cell(text: str, *, numbers: bool = True) -> str:
    """A text as a cell that no spreadsheet program takes for a formula; numbers may stay."""
    if not text.startswith(FORMULA_STARTS):
        return text
    try:
        float(text if numbers else "")
    except ValueError:
        return f"'{text}"
    return text


def from_cell(text: str) -> str:
    """The text that `as_cell` made a cell of."""
    return text[1:] if text[:1] == "'" and text[1:].startswith(FORMULA_STARTS) else text


def read_bytes(path: Path, *, largest: int | None = None) -> bytes:
    """The bytes of a file; DataError if it is missing, unreadable, blank or too large.

    Args:
        largest: the most bytes that are read; None for 1 GiB.
    """
    refuse_name(path)
    try:
        data = read_regular(path, largest or limits.TABLE_BYTES)
    except LimitError as error:
        raise too_much(path, error) from None
    except FileNotFoundError:
        raise DataError("no such file", path=path, hint="check the path for typos") from None
    except OSError as error:
        raise DataError(
            f"it cannot be read: {error.strerror}",
            path=path,
            hint="check that it is a file and that you may read it",
        ) from None
    if not data.removeprefix(codecs.BOM_UTF8).strip():
        raise DataError("the file is empty", path=path, hint="was it written to the end?")
    return data


def refuse_name(path: Path) -> None:
    """Refuse a file whose name is not UTF-8: what it becomes a part of could not be written.

    Raises:
        DataError: it is not.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise DataError("the name is not UTF-8", path=path, hint="rename it") from None


def unpack(path: Path, data: bytes) -> bytes:
    """What a gzip file holds.

    Raises:
        DataError: it is damaged, or holds much more than its own size.
    """
    try:
        return unpacked(data)
    except LimitError as error:
        raise too_much(path, error) from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"not a readable gzip file: {error}", path=path, hint="fetch or pack it again"
        ) from None


def too_much(path: Path, error: LimitError, line: int | None = None) -> DataError:
    """The error for a file that has more than is read of one."""
    return DataError(
        str(error),
        path=path,
        line=line,
        hint="is it the right file? Leave out columns, or divide it and use one part at a time",
    )


def to_text(path: Path, data: bytes) -> Text:
    """Bytes as text, without a byte-order mark: UTF-8, else what they are recognised as.

    Raises:
        DataError: they are no text in any encoding that is known here.
    """
    encoding = next((name for mark, name in _MARKS.items() if data.startswith(mark)), "utf-8")
    # English in UTF-16 without a mark is valid UTF-8 in which every other byte is zero.
    if encoding == "utf-8" and data.count(0, 0, _SAMPLE) > 0.4 * min(len(data), _SAMPLE):
        encoding = _recognise(data) or encoding
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        found = _recognise(data)
        try:
            if found is None:
                raise
            encoding, text = found, data.decode(found)
        except UnicodeDecodeError:
            raise DataError(
                f"it is not UTF-8 (byte 0x{data[error.start]:02x}), nor in another encoding that "
                "is known here",
                path=path,
                line=data.count(b"\n", 0, error.start) + 1,
                hint="save it as UTF-8, which spreadsheet programs call CSV UTF-8",
            ) from None
    if encoding.startswith("utf-8"):
        return Text(text)
    name = _NAMES.get(encoding, encoding.upper())
    return Text(text, (f"{path.name} is not UTF-8: it was read as {name}.",))


def _recognise(data: bytes) -> str | None:
    """The encoding of a text that is not UTF-8; None if it is none that is known here.

    The library is often wrong about a few Chinese names among English words, which it takes for
    Korean. So a text that is made of common Chinese characters if read as GB18030 is taken for it.
    """
    from charset_normalizer import from_bytes  # noqa: PLC0415 - slow to import

    sample = data[:_SAMPLE]
    if b"\0" in sample:
        match = from_bytes(sample[: len(sample) // 2 * 2]).best()
        wide = match is not None and match.encoding.startswith("utf_16")
        return match.encoding if match is not None and wide else None
    if len(data) > _SAMPLE:  # not in the middle of a character: line breaks are bytes of their own
        sample = sample[: sample.rfind(b"\n") + 1] or sample
    try:
        letters = [c for c in sample.decode("gb18030") if not c.isascii()]
    except UnicodeDecodeError:
        letters = []
    if letters and sum(map(_is_common, letters)) >= _COMMON * len(letters):
        return "gb18030"
    match = from_bytes(sample, cp_isolation=_OTHERS).best()
    return None if match is None else match.encoding


def _is_common(character: str) -> bool:
    """Whether it is among the punctuation or the 3,755 common characters of GB 2312."""
    try:
        row = character.encode("gb2312")[0]
    except UnicodeEncodeError:
        return False
    return 0xB0 <= row <= 0xD7 or 0xA1 <= row <= 0xA3


# JSON


def parse_json(path: Path, text: str, line: int = 1) -> object:
    """A JSON value that begins on `line` of the file; a key that stands twice is an error."""
    try:
        refuse_deep(text)
        return _DECODER.decode(text)
    except LimitError as error:
        raise too_much(path, error, line) from None
    except json.JSONDecodeError as error:
        raise DataError(
            f"not valid JSON: {error.msg} (column {error.colno})",
            path=path,
            line=line + error.lineno - 1,
            hint="mend it there; if that is the end, the file was cut off",
        ) from None
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"not usable JSON: {error}", path=path, hint="write the file again"
        ) from None


def describe(value: object) -> str:
    """A value as an error message names it."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case float() if math.isnan(value):
            return "nothing"
        case int() | float():
            return f"the number {value}"
        case str():
            return "text" if value.strip() else "blank text"
        case list():
            return "a list"
        case dict():
            return "an object"
    return type(value).__name__


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Python would keep the last of two equal keys and lose the other in silence."""
    unique = dict(pairs)
    if len(unique) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        raise ValueError(f"the key {next(k for k in counts if counts[k] > 1)!r} appears twice")
    return unique


_DECODER = json.JSONDecoder(object_pairs_hook=_unique_keys)
