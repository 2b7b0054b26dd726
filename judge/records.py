"""Stored records: frozen dataclasses written to and read from versioned JSON files.

A record file is one JSON object: `format`, the version of the format, followed by the fields of
the dataclass. msgspec reads it by the types of those fields, so a file that does not fit is refused
with the place in the file where it does not. Files are replaced as a whole: an interrupted write
leaves the older file as it was.
"""

from __future__ import annotations

import contextlib
import csv
import errno
import glob
import hashlib
import io
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from judge.errors import StoreError
from judge.limits import RECORD_BYTES, LimitError, read_regular, refuse_deep
from judge.text_files import as_cell

__all__ = [
    "plain_record",
    "read_record",
    "read_record_if_present",
    "replace_files",
    "write_bytes",
    "write_csv",
    "write_record",
    "write_text",
]

_Record = TypeVar("_Record")

_WRITE_HINT = "make room or choose another folder with --out; the judgments are kept"


class _Header(msgspec.Struct):
    """The part of a record file that is read first, whatever its format."""

    format: Annotated[int, msgspec.Meta(ge=1)]


def read_record(
    path: Path, record_type: type[_Record], *, newest: int, kind: str, hint: str
) -> _Record:
    """The record in a JSON file.

    Fields with a default may be missing from the file, as they are from files of older formats.
    Keys that the record does not have are ignored.

    Args:
        newest: the newest format version that this program reads.
        kind: what the file should be, such as `manifest`, for messages.
        hint: how to mend an unreadable file, for messages.

    Raises:
        StoreError: the file is missing, is not JSON, has a newer format, or holds a value of the
            wrong type or outside its range (NaN and infinities are not JSON and are refused).
    """
    record = read_record_if_present(path, record_type, newest=newest, kind=kind, hint=hint)
    if record is None:
        reason = os.strerror(errno.ENOENT)
        raise StoreError(f"not a readable {kind}: {reason}", path=path, hint=hint)
    return record


def read_record_if_present(
    path: Path, record_type: type[_Record], *, newest: int, kind: str, hint: str
) -> _Record | None:
    """As `read_record`, but None where there is no such file."""
    try:
        content = read_regular(path, RECORD_BYTES)
        refuse_deep(content.decode("utf-8", "replace"))
        version = msgspec.json.decode(content, type=_Header).format
        if version > newest:
            raise StoreError(
                f"format {version} is newer than this version reads ({newest})",
                path=path,
                hint="upgrade esrp-judge",
            )
        return msgspec.json.decode(content, type=record_type)
    except FileNotFoundError:
        return None
    except LimitError as error:
        raise StoreError(f"not a readable {kind}: {error}", path=path, hint=hint) from None
    except (OSError, ValueError) as error:  # msgspec's errors are ValueErrors
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise StoreError(f"not a readable {kind}: {reason}", path=path, hint=hint) from error


def plain_record(record: object, *, format: int) -> dict[str, Any]:  # noqa: A002
    """The record as dicts, tuples, texts and numbers, with the version of its format first."""
    return {"format": format, **msgspec.to_builtins(record, enc_hook=_plain)}


def write_record(
    path: Path,
    record: object,
    *,
    format: int,  # noqa: A002
    hint: str = _WRITE_HINT,
) -> Path:
    """Write a record as JSON, indented by one space, in UTF-8.

    Raises:
        StoreError: the file cannot be written, or a text holds half a surrogate pair, which UTF-8
            cannot encode.
        ValueError: a number is not finite, which is a defect of the program.
    """
    plain = plain_record(record, format=format)
    return write_text(
        path, json.dumps(plain, ensure_ascii=False, allow_nan=False, indent=1) + "\n", hint
    )


def write_text(path: Path, text: str, hint: str = _WRITE_HINT) -> Path:
    """As `write_bytes`, in UTF-8, with line breaks as they are in `text` on every system.

    Raises:
        StoreError: the file cannot be written, or the text holds half a surrogate pair.
    """
    try:
        content = text.encode("utf-8")
    except UnicodeEncodeError as error:
        around = text[max(error.start - 20, 0) : error.start].replace("\n", " ")
        raise StoreError(
            f"cannot be written: a text holds half a surrogate pair, after {around!r}",
            path=path,
            hint="remove that character from the data",
        ) from error
    return write_bytes(path, content, hint)


def write_csv(path: Path, text: str, hint: str = _WRITE_HINT) -> Path:
    """As `write_text`, for people who open a table in a spreadsheet program.

    It begins with a byte-order mark, without which Excel takes it for the encoding of the country,
    and no cell of text is one that the program would take for a formula.

    Raises:
        StoreError: as for `write_text`.
    """
    rows = list(csv.reader(io.StringIO(text, newline="")))
    if any(as_cell(cell) != cell for row in rows for cell in row):
        out = io.StringIO(newline="")
        csv.writer(out, lineterminator="\n").writerows(map(as_cell, row) for row in rows)
        text = out.getvalue()
    return write_text(path, f"\ufeff{text}", hint)


def write_bytes(path: Path, content: bytes, hint: str = _WRITE_HINT) -> Path:
    """Write to a temporary file beside `path`, then rename it: the older file stays until then.

    Missing folders are made.

    Args:
        hint: how to mend a failure, for the message.

    Raises:
        StoreError: the file cannot be written.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_parts(path)
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise StoreError(f"cannot be written: {error.strerror}", path=path, hint=hint) from error
    return path


@dataclass(frozen=True, slots=True)
class _Written:
    """What a program wrote into a folder: file below it -> SHA-256."""

    files: Mapping[str, str]


def replace_files(folder: Path, written: Iterable[Path]) -> None:
    """Remove what an older agreement or comparison left in the folder, and list what is there now.

    The list is the file `agreement-files.json`. Only what it names is ever removed, and only if it
    is still as it was written: a file that somebody changed stays.

    Args:
        written: all files of the report that was just written, below `folder`.

    Raises:
        StoreError: the folder cannot be read or written.
    """
    record = folder / "agreement-files.json"
    older = read_record_if_present(
        record, _Written, newest=1, kind="list of files", hint="delete it, or choose another --out"
    )
    now = {path.relative_to(folder).as_posix() for path in written}
    for file, digest in (older.files if older else {}).items():
        path = folder / file
        if file not in now and path.resolve().is_relative_to(folder.resolve()):
            with contextlib.suppress(OSError):
                if _sha256(path) == digest:
                    path.unlink()
    write_record(record, _Written({file: _sha256(folder / file) for file in sorted(now)}), format=1)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _remove_parts(path: Path) -> None:
    """Remove what processes that are gone have left of this file, which they did not finish."""
    for part in path.parent.glob(f"{glob.escape(path.name)}.*.part"):
        number = part.name.removeprefix(f"{path.name}.").removesuffix(".part")
        if number.isdecimal() and not _runs(int(number)):
            part.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    if os.name != "posix":  # there, signal 0 would end it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _plain(value: Any) -> Any:
    """Read-only mappings, and subclasses of plain types such as numpy's floats, as plain ones."""
    if isinstance(value, Mapping):
        return dict(value)
    for plain_type in (str, int, float):
        if isinstance(value, plain_type):
            return plain_type(value)
    raise TypeError(f"a record cannot hold {type(value).__name__}")
