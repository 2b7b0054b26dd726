"""Rows of a table file, each with the line it stands on: JSONL, CSV, TSV, Parquet.

Also the two steps every text file of the user goes through, bytes to text and text to JSON,
so that a wrong encoding or a misplaced comma is said in the same words everywhere.
"""

from __future__ import annotations

import csv
import importlib
import io
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from judge.errors import DataError, MissingExtraError

__all__ = ["SUFFIXES", "Row", "describe", "parse_json", "read_bytes", "read_rows", "to_text"]

SUFFIXES = (".jsonl", ".csv", ".tsv", ".parquet")

# A row and its place: the 1-based line where it begins, or its 1-based row in Parquet.
Row = tuple[int, Mapping[str, object]]


def read_bytes(path: Path, *, largest: int | None = None) -> bytes:
    """The bytes of a file; DataError if it is missing, unreadable, blank or too large.

    Args:
        path: the file.
        largest: the most bytes that are read; None for any number.
    """
    try:
        if largest is not None and (size := path.stat().st_size) > largest:
            raise DataError(
                f"it has {size >> 20} MiB; up to {largest >> 20} MiB are read",
                path=path,
                hint="leave out columns of text, or divide it and use one part at a time",
            )
        data = path.read_bytes()
    except FileNotFoundError:
        raise DataError("no such file", path=path, hint="check the path for typos") from None
    except OSError as error:
        raise DataError(
            f"it cannot be read: {error.strerror}",
            path=path,
            hint="check that it is a file and that you may read it",
        ) from None
    if not data.removeprefix(b"\xef\xbb\xbf").strip():
        raise DataError("the file is empty", path=path, hint="was it written to the end?")
    return data


def to_text(path: Path, data: bytes) -> str:
    """UTF-8 bytes as text, without the byte-order mark that spreadsheets write."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"it is not UTF-8 (byte 0x{error.object[error.start]:02x})",
            path=path,
            line=error.object.count(b"\n", 0, error.start) + 1,
            hint=f"save it as UTF-8, e.g. iconv -f GB18030 -t UTF-8 {path.name}",
        ) from None


def parse_json(path: Path, text: str, line: int = 1) -> object:
    """A JSON value that begins on `line` of the file; a key given twice is an error."""
    try:
        return json.loads(text, object_pairs_hook=_unique)
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


def read_rows(path: Path, data: bytes) -> Iterator[Row]:
    """The rows of a table in the format that the file's extension names.

    Raises:
        DataError: the bytes are not in that format, a column is named twice, or a CSV row
            has more or fewer cells than the header.
        MissingExtraError: a Parquet file, and pyarrow is not installed.
    """
    match path.suffix.lower():
        case ".jsonl":
            # Not splitlines(): JSON may hold U+2028 and its kin unescaped.
            return _jsonl(path, _lines(path, data, "\n"))
        case ".csv":
            return _delimited(path, _lines(path, data, ""), ",")
        case ".tsv":
            return _delimited(path, _lines(path, data, ""), "\t")
        case ".parquet":
            return _parquet(path, data)
    raise DataError(f"a table ends in {', '.join(SUFFIXES)}", path=path, hint="convert the file")


def describe(value: object) -> str:
    """A value as an error message names it."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case int() | float():
            return f"the number {value}"
        case str():
            return "text" if value.strip() else "blank text"
        case list():
            return "a list"
        case dict():
            return "an object"
    return type(value).__name__


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Python would keep the last of two equal keys and lose the other in silence."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(k for k in keys if keys.count(k) > 1)!r} appears twice")
    return found


def _lines(path: Path, data: bytes, newline: str) -> Iterable[str]:
    """The lines of UTF-8 bytes, one at a time; `newline` as in `open`."""
    to_text(path, data)  # refused before the first row is read, with the line of the fault
    return io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig", newline=newline)


def _jsonl(path: Path, lines: Iterable[str]) -> Iterator[Row]:
    for line, content in enumerate(lines, start=1):
        if content.strip():
            row = parse_json(path, content.removesuffix("\n"), line)
            if not isinstance(row, dict):
                raise DataError(
                    f"an object was expected, found {describe(row)}",
                    path=path,
                    line=line,
                    hint="a .jsonl file has one JSON object per line",
                )
            yield line, row


def _delimited(path: Path, lines: Iterable[str], delimiter: str) -> Iterator[Row]:
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        _refuse_doubles(path, header)
        line = reader.line_num + 1  # a quoted text may span lines: name where its row begins
        for cells in reader:
            if cells and len(cells) != len(header):
                raise DataError(
                    f"{len(cells)} cells under {len(header)} columns",
                    path=path,
                    line=line,
                    hint="put quotes around a text that holds the separator or a line break",
                )
            if cells:
                yield line, dict(zip(header, cells, strict=True))
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"not a readable table: {error}",
            path=path,
            line=reader.line_num,
            hint='quote a text that holds quotes, and write each of them as ""',
        ) from None


def _parquet(path: Path, data: bytes) -> Iterator[Row]:
    try:
        pyarrow = importlib.import_module("pyarrow")
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise MissingExtraError("pyarrow", extra="parquet", purpose="a Parquet file") from None
    try:
        table = parquet.ParquetFile(io.BytesIO(data)).read()
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(
            f"not a readable Parquet file: {error}", path=path, hint="write the file again"
        ) from None
    _refuse_doubles(path, table.column_names)
    batches = (batch.to_pylist() for batch in table.to_batches(max_chunksize=1 << 16))
    yield from enumerate(itertools.chain.from_iterable(batches), start=1)


def _refuse_doubles(path: Path, names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(
            f"the column {', '.join(twice)} appears twice", path=path, hint="keep one of them"
        )
