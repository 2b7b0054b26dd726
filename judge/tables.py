"""Table files as columns, with the line of every row: CSV, TSV, JSON, JSONL, Parquet, XLSX, ODS.

This is the one reader of dialogue tables, of ratings and of tables of judges' scores. Nothing is
guessed: a text file gives text, so that "007" stays "007" and an empty cell stays "". What pandas
would mend in silence (a row with too few cells, a key that stands twice) is refused here, with the
line where it stands.

`read_bytes`, `to_text` and `parse_json` read the user's other text files, too, so that a wrong
encoding or a misplaced comma always has the same message.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import importlib
import io
import json
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from judge.errors import DataError, MissingExtraError

__all__ = [
    "SUFFIXES",
    "Table",
    "describe",
    "parse_json",
    "read_bytes",
    "read_table",
    "stem",
    "to_text",
]

SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".parquet", ".xlsx", ".ods")
"""The formats of a table; each may be packed with gzip (.csv.gz)."""

LARGEST = 1 << 30
"""Bytes of a table, packed or not. A few kilobytes of gzip can unpack to more than any memory."""

Values = NDArray[np.object_]
Lines = NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """The n rows of a file that are not blank.

    Attributes:
        path: the file.
        sha256: of its bytes, in hexadecimal.
        columns: heading -> (n,) values. CSV and TSV give texts, the other formats also numbers and
            whatever else they hold; NaN where a row of JSON lacks the key.
        lines: (n,) where each row begins, for messages: the line of a CSV, TSV or JSONL file, the
            row of a spreadsheet, the number of the record in JSON and Parquet. All begin at 1.
    """

    path: Path
    sha256: str
    columns: Mapping[str, Values]
    lines: Lines

    def __len__(self) -> int:
        return len(self.lines)

    def rows(self) -> Iterator[tuple[int, dict[str, object]]]:
        """Each row with its line."""
        headings = tuple(self.columns)
        cells = zip(*self.columns.values(), strict=True)
        for line, values in zip(self.lines.tolist(), cells, strict=True):
            yield line, dict(zip(headings, values, strict=True))

    def select(self, rows: NDArray[np.bool_]) -> Table:
        """The table of the rows for which `rows` (n,) is true."""
        columns = {heading: values[rows] for heading, values in self.columns.items()}
        return replace(self, columns=columns, lines=self.lines[rows])


def read_table(path: Path, *, largest: int | None = None) -> Table:
    """Read a table in the format that the extension of the file names.

    Of a spreadsheet the first sheet is read, and formulas have the value saved with them.

    Args:
        path: the file.
        largest: the most bytes that it may have; None for 1 GiB.

    Raises:
        DataError: the file is missing, too large, not UTF-8 or not in its format; a column
            is named twice; or a row has more or fewer cells than the heading.
        MissingExtraError: a Parquet file without pyarrow, or a spreadsheet without python-calamine.
    """
    data = read_bytes(path, largest=LARGEST if largest is None else largest)
    sha256 = hashlib.sha256(data).hexdigest()
    suffix = path.suffix.lower()
    if suffix == ".gz":
        suffix = path.with_suffix("").suffix.lower()
        data = _unpack(path, data)
    match suffix:
        case ".csv" | ".tsv":
            columns, lines = _read_delimited(path, data, "," if suffix == ".csv" else "\t")
        case ".json" | ".jsonl":
            text = to_text(path, data)
            columns, lines = _read_json(path, text, record_per_line=suffix == ".jsonl")
        case ".parquet":
            columns, lines = _read_parquet(path, data)
        case ".xlsx" | ".ods":
            columns, lines = _read_spreadsheet(path, data)
        case _:
            raise DataError(
                f"tables are read from {', '.join(SUFFIXES)}, not from "
                f"{suffix or 'a file without extension'}",
                path=path,
                hint="rename or convert the file",
            )
    return Table(path, sha256, columns, lines)


def stem(path: Path) -> str:
    """The name of a file without `.csv`, `.csv.gz`, ..."""
    return path.with_suffix("").stem if path.suffix.lower() == ".gz" else path.stem


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
    """UTF-8 bytes as text, without the byte-order mark that spreadsheet programs write."""
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
    """A JSON value that begins on `line` of the file; a key that stands twice is an error."""
    try:
        return _DECODER.decode(text)
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


def _unpack(path: Path, data: bytes) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as packed:
            data = packed.read(LARGEST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"not a readable gzip file: {error}", path=path, hint="fetch or pack it again"
        ) from None
    if len(data) > LARGEST:
        raise DataError(f"it holds more than {LARGEST >> 20} MiB", path=path, hint="divide it")
    return data


# CSV and TSV


def _read_delimited(path: Path, data: bytes, separator: str) -> tuple[dict[str, Values], Lines]:
    """The columns as pandas makes them, after the shape of every row has been checked."""
    import pandas as pd  # noqa: PLC0415 - slow to import

    text = to_text(path, data)
    headings, lines = _check_rows(path, text, separator)
    frame = pd.read_csv(
        io.StringIO(text),
        sep=separator,
        header=None,
        names=range(len(headings)),
        index_col=False,
        dtype=object,
        na_filter=False,  # an empty cell, "NA" and "nan" are texts
        skip_blank_lines=False,  # so that the rows under the heading are those of `lines`
    )
    rows = np.flatnonzero(lines)
    return {name: frame[i].to_numpy()[rows + 1] for i, name in enumerate(headings)}, lines[rows]


def _check_rows(path: Path, text: str, separator: str) -> tuple[list[str], Lines]:
    """The headings; and the line where each row under them begins, 0 for a blank line.

    Raises:
        DataError: a column is named twice, a row has more or fewer cells than the heading, or the
            quotes are not in order.
    """
    source = io.StringIO(text, newline="")
    reader = csv.reader(source, delimiter=separator, strict=True)
    headings: list[str] = []
    cells: list[int] = []
    ends: list[int] = []
    fault: csv.Error | None = None
    try:
        headings = [name.strip() for name in next(reader)]
        ends.append(reader.line_num)
        if '"' in text:
            for row in reader:
                cells.append(len(row))
                ends.append(reader.line_num)  # a quoted cell may hold line breaks
        else:  # every line is a row, and counting its separators is several times faster
            cells += (line.count(separator) + 1 if line[0] not in "\r\n" else 0 for line in source)
            ends += range(2, len(cells) + 2)
    except csv.Error as error:
        fault = error
    _refuse_duplicates(path, headings)
    lines = np.array(ends[: len(cells)], dtype=np.int32) + 1
    counts = np.array(cells, dtype=np.int32)
    if (wrong := (counts != len(headings)) & (counts > 0)).any():
        first = int(np.argmax(wrong))
        raise DataError(
            f"{counts[first]} cells under {len(headings)} columns",
            path=path,
            line=int(lines[first]),
            hint="put quotes around a text that holds the separator or a line break",
        )
    if fault is not None:
        raise DataError(
            f"not a readable table: {fault}",
            path=path,
            line=reader.line_num,
            hint='quote a text that holds quotes, and write each of them as ""',
        )
    return headings, np.where(counts > 0, lines, 0).astype(np.int32)


# JSON, Parquet and spreadsheets


def _read_json(path: Path, text: str, *, record_per_line: bool) -> tuple[dict[str, Values], Lines]:
    import pandas as pd  # noqa: PLC0415 - slow to import

    if record_per_line:
        # Not splitlines(): JSON may hold other line separators of Unicode unescaped.
        lines = enumerate(io.StringIO(text, newline="\n"), start=1)
        records = {n: parse_json(path, line.rstrip("\n"), n) for n, line in lines if line.strip()}
    else:
        whole = parse_json(path, text)
        if not isinstance(whole, list):
            raise DataError(
                f"a list of objects was expected, found {describe(whole)}",
                path=path,
                hint='a table in a .json file is [{"COLUMN": VALUE, ...}, ...]',
            )
        records = dict(enumerate(whole, start=1))
    for line, record in records.items():
        if not isinstance(record, dict):
            raise DataError(
                f"an object was expected, found {describe(record)}",
                path=path,
                line=line,
                hint="each row is a JSON object; a .jsonl file has one per line",
            )
    frame = pd.DataFrame(list(records.values()), dtype=object)
    columns = {str(heading): frame[heading].to_numpy() for heading in frame}
    return columns, np.fromiter(records, dtype=np.int32)


def _read_parquet(path: Path, data: bytes) -> tuple[dict[str, Values], Lines]:
    """Read with pyarrow itself: pandas makes 7.0 of 7 in a column with gaps."""
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
    _refuse_duplicates(path, table.column_names)
    columns = {
        name: np.fromiter(column.to_pylist(), object, table.num_rows)
        for name, column in zip(table.column_names, table.columns, strict=True)
    }
    return columns, np.arange(1, table.num_rows + 1, dtype=np.int32)


def _read_spreadsheet(path: Path, data: bytes) -> tuple[dict[str, Values], Lines]:
    """The first sheet. Its first row that is not blank has the headings."""
    import pandas as pd  # noqa: PLC0415 - slow to import

    try:
        from python_calamine import CalamineError  # noqa: PLC0415 - optional
    except ImportError:
        raise MissingExtraError("python-calamine", extra="xlsx", purpose="a spreadsheet") from None
    try:
        frame = pd.read_excel(
            io.BytesIO(data), engine="calamine", header=None, dtype=object, na_filter=False
        )
    except (CalamineError, OSError, ValueError) as error:
        raise DataError(
            f"not a readable workbook: {error}",
            path=path,
            hint="open it in a spreadsheet program and save it again, without a password",
        ) from None
    cells = frame.to_numpy(dtype=object)
    filled = np.array([[value != "" for value in row] for row in cells], dtype=np.bool_)
    heading, *rows = np.flatnonzero(filled.any(axis=1)) if cells.size else [0]
    names = [str(name).strip() for name in cells[heading]] if cells.size else []
    _refuse_duplicates(path, [name for name in names if name])
    for column in (i for i, name in enumerate(names) if not name):
        if strays := [row for row in rows if filled[row, column]]:
            raise DataError(
                f"a cell with {str(cells[strays[0], column])[:20]!r} stands under no heading",
                path=path,
                line=int(strays[0]) + 1,
                hint="give its column a heading in the first row, or empty the cell",
            )
    columns = {name: cells[rows, i] for i, name in enumerate(names) if name}
    return columns, np.array(rows, dtype=np.int32) + 1


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Python would keep the last of two equal keys and lose the other in silence."""
    unique = dict(pairs)
    if len(unique) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(k for k in keys if keys.count(k) > 1)!r} appears twice")
    return unique


_DECODER = json.JSONDecoder(object_pairs_hook=_unique_keys)


def _refuse_duplicates(path: Path, headings: Sequence[str]) -> None:
    duplicates = sorted({name for name in headings if headings.count(name) > 1})
    if duplicates:
        raise DataError(
            f"the column {', '.join(duplicates)} appears twice", path=path, hint="keep one of them"
        )
