"""Table files as columns, with the line of every row: text, JSON, Parquet and workbooks.

This is the one reader of dialogue tables, of ratings and of tables of judges' scores. No value is
guessed: a text file gives text, so that "007" stays "007" and an empty cell stays "". What pandas
would mend in silence (a row with too few cells, a key that stands twice) is refused here, with the
line where it stands. What is recognised, such as the encoding and the separator, or left out, such
as titles above the headings, is said in the notes of the table.
"""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import importlib
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from judge.archives import refuse_large_workbook
from judge.errors import DataError, MissingExtraError, UsageError
from judge.grids import Area, Grid, GridTable, is_table, read_grid, refuse_duplicates
from judge.limits import LimitError, refuse_large_table, refuse_long_lines
from judge.text_files import describe, parse_json, read_bytes, to_text, too_much, unpack

__all__ = ["SHEET", "SUFFIXES", "Table", "read_table", "table_of_records"]

SUFFIXES = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".parquet", ".xlsx", ".xls", ".ods")
"""The formats of a table; each may be packed with gzip (.csv.gz)."""

SHEET = "sheet"
"""The column that tells several sheets of a workbook apart."""

_SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
_OTHER_SEPARATORS = ",\t;，"
_NAMES = {",": "commas", "\t": "tabs", ";": "semicolons", "，": "Chinese commas"}

Values = NDArray[np.object_]
Lines = NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """The n rows of a file that are not blank.

    Attributes:
        sha256: of its bytes, in hexadecimal.
        columns: heading -> (n,) values. CSV and TSV give texts, the other formats also numbers and
            whatever else they hold; NaN where a row of JSON lacks the key.
        lines: (n,) where each row begins, for messages: the line of a CSV, TSV or JSONL file, the
            row of a spreadsheet, the number of the record in JSON and Parquet. All begin at 1.
        notes: how it was read where that could be otherwise, as sentences.
    """

    path: Path
    sha256: str
    columns: Mapping[str, Values]
    lines: Lines
    notes: tuple[str, ...] = ()

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


def read_table(path: Path, *, largest: int | None = None, sheet: str | None = None) -> Table:
    """Read a table in the format that the extension of the file names.

    Of a workbook all sheets that hold a table are read, if they have the same columns; then the
    column `sheet` has their names. Formulas have the value saved with them.

    Args:
        largest: the most bytes that it may have; None for 1 GiB.
        sheet: the name of one sheet of a workbook.

    Raises:
        DataError: the file is missing, too large, in no known encoding or not in its format; a
            column is named twice; a row has more or fewer cells than the heading; or the sheets of
            a workbook have different columns.
        UsageError: a sheet is named of a file that has none, or not this one.
        MissingExtraError: a Parquet file without pyarrow, or a spreadsheet without python-calamine.
    """
    data = read_bytes(path, largest=largest)
    sha256 = hashlib.sha256(data).hexdigest()
    suffix = path.suffix.lower()
    if suffix == ".gz":
        suffix = path.with_suffix("").suffix.lower()
        data = unpack(path, data)
    if sheet is not None and suffix not in {".xlsx", ".xls", ".ods"}:
        raise UsageError(f"--sheet {sheet}: {path.name} has no sheets", hint="leave it out")
    try:
        if suffix in {".xlsx", ".ods"}:
            refuse_large_workbook(data)
        found, notes = _read(path, data, suffix, sheet)
    except LimitError as error:
        raise too_much(path, error) from None
    return Table(path, sha256, found.columns, found.lines, (*notes, *found.notes))


def _read(
    path: Path, data: bytes, suffix: str, sheet: str | None
) -> tuple[GridTable, tuple[str, ...]]:
    """The table, and how its text was read."""
    notes: tuple[str, ...] = ()
    match suffix:
        case ".csv" | ".tsv" | ".txt":
            text, notes = to_text(path, data)
            refuse_long_lines(text)
            found = _read_delimited(path, text, _SEPARATORS[suffix])
        case ".json" | ".jsonl":
            text, notes = to_text(path, data)
            if suffix == ".jsonl":
                refuse_long_lines(text)
            found = _read_json(path, text, record_per_line=suffix == ".jsonl")
        case ".parquet":
            found = _read_parquet(path, data)
        case ".xlsx" | ".xls" | ".ods":
            found = _read_workbook(path, data, sheet)
        case _:
            raise DataError(
                f"tables are read from {', '.join(SUFFIXES)}, not from "
                f"{suffix or 'a file without extension'}",
                path=path,
                hint="rename or convert the file",
            )
    return found, notes


# CSV, TSV and text


def _read_delimited(path: Path, text: str, usual: str) -> GridTable:
    """The columns as pandas makes them, if every row has a cell under every heading."""
    import pandas as pd  # noqa: PLC0415 - slow to import

    separator = _separator(text, usual)
    refuse_large_table(text.count("\n"), 1)
    notes = (
        ()
        if separator == usual
        else (f"The cells of {path.name} are separated by {_NAMES[separator]}.",)
    )
    lines = _lines_of_rows(text, separator)
    if lines is None:
        found = read_grid(path, _read_cells(path, text, separator))
        return found._replace(notes=(*notes, *found.notes))
    first = next(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
    headings = [name.strip() for name in first]
    refuse_large_table(len(lines), len(headings))
    refuse_duplicates(path, headings)
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
    columns = {name: frame[i].to_numpy()[rows + 1] for i, name in enumerate(headings)}
    return GridTable(columns, lines[rows], notes)


def _separator(text: str, usual: str) -> str:
    """What separates the headings: the usual one if it does, else the one that makes most cells."""
    beginning = [line for line in text[: 1 << 16].splitlines() if line.strip()][:8]

    def cells(separator: str) -> list[int]:
        try:
            return [len(row) for row in csv.reader(beginning, delimiter=separator)] or [1]
        except csv.Error:
            return [1]

    if cells(usual)[0] > 1:
        return usual
    # In the middle, as a title above the headings is one cell.
    middle = {s: sorted(n := cells(s))[len(n) // 2] for s in (usual, *_OTHER_SEPARATORS)}
    return usual if middle[usual] > 1 else max(middle, key=middle.__getitem__)


def _lines_of_rows(text: str, separator: str) -> Lines | None:
    """The line where each row under the headings begins, 0 for a blank line.

    None if a heading is blank, a row has more or fewer cells than there are headings, or the quotes
    are not in order.
    """
    source = io.StringIO(text, newline="")
    reader = csv.reader(source, delimiter=separator, strict=True)
    cells: list[int] = []
    try:
        headings = next(reader)
        if not separator.isascii() or not all(map(str.strip, headings)):
            return None
        ends = [reader.line_num]
        if '"' in text:
            for row in reader:
                cells.append(len(row))
                ends.append(reader.line_num)  # a quoted cell may hold line breaks
        else:  # every line is a row, and counting its separators is several times faster
            cells += (line.count(separator) + 1 if line[0] not in "\r\n" else 0 for line in source)
            ends += range(2, len(cells) + 2)
    except csv.Error:
        return None
    lines = np.array(ends[: len(cells)], dtype=np.int32) + 1
    counts = np.array(cells, dtype=np.int32)
    if ((counts != len(headings)) & (counts > 0)).any():
        return None
    return np.where(counts > 0, lines, 0).astype(np.int32)


def _read_cells(path: Path, text: str, separator: str) -> Grid:
    """Every row as cells, without the blank ones past the last heading.

    Raises:
        DataError: a row has more or fewer cells than the headings, or the quotes are not in order.
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows: list[list[str]] = []
    lines: list[int] = []
    fault: csv.Error | None = None
    end = size = 0
    try:
        for row in reader:
            size += len(row)
            refuse_large_table(1, len(row))
            refuse_large_table(size, 1)
            rows.append(row)
            lines.append(end + 1)
            end = reader.line_num  # a quoted cell may hold line breaks
    except csv.Error as error:
        fault = error
    counts = [sum(map(bool, map(str.strip, row))) for row in rows]
    head = next((i for i, count in enumerate(counts) if count > 1), 0)
    width = len(rows[head]) if rows else 0
    while width > 1 and not any(
        row[width - 1 : width] != [""] for row in rows if len(row) >= width
    ):
        width -= 1  # blank columns on the right
    for i, row in enumerate(rows):
        row[width:] = [] if not any(map(str.strip, row[width:])) else row[width:]
        if i > head and counts[i] and len(row) != width:
            raise DataError(
                f"{len(row)} cells under {width} columns",
                path=path,
                line=lines[i],
                hint="put quotes around a text that holds the separator or a line break",
            )
    if fault is not None:
        raise DataError(
            f"not a readable table: {fault}",
            path=path,
            line=reader.line_num,
            hint='quote a text that holds quotes, and write each of them as ""',
        )
    return Grid(rows, lines)


# JSON and Parquet


def _read_json(path: Path, text: str, *, record_per_line: bool) -> GridTable:
    if record_per_line:
        # Not splitlines(): JSON may hold other line separators of Unicode unescaped.
        lines = enumerate(io.StringIO(text, newline="\n"), start=1)
        records = {n: parse_json(path, line.rstrip("\n"), n) for n, line in lines if line.strip()}
    else:
        records = dict(enumerate(_records(path, parse_json(path, text)), start=1))
    return table_of_records(path, records)


def table_of_records(path: Path, records: Mapping[int, object]) -> GridTable:
    """Objects of JSON as a table; NaN where one lacks a key.

    Args:
        path: the file, for messages.
        records: line or number -> what should be an object.

    Raises:
        DataError: one is no object.
    """
    import pandas as pd  # noqa: PLC0415 - slow to import

    for line, record in records.items():
        if not isinstance(record, dict):
            raise DataError(
                f"an object was expected, found {describe(record)}",
                path=path,
                line=line,
                hint="each row is a JSON object; a .jsonl file has one per line",
            )
    keys = {key for record in records.values() if isinstance(record, dict) for key in record}
    refuse_large_table(len(records), len(keys))
    frame = pd.DataFrame(list(records.values()), dtype=object)
    columns = {str(heading): frame[heading].to_numpy() for heading in frame}
    return GridTable(columns, np.fromiter(records, dtype=np.int32), ())


def _records(path: Path, whole: object) -> list[object]:
    """The rows of a JSON file: a list, or what pandas writes with any of its orients."""
    match whole:
        case list():
            return whole
        case {"columns": list(columns), "data": list(data)}:  # split
            return [dict(zip(columns, row, strict=False)) for row in data]
        case {"schema": dict(), "data": list(data)}:  # table
            return data
    inner = list(whole.values()) if isinstance(whole, dict) else []
    if isinstance(whole, dict) and inner and all(isinstance(value, dict) for value in inner):
        if all(str(key).isdigit() for key in inner[0]):  # columns
            rows: dict[str, dict[str, object]] = {}
            for column, values in whole.items():
                for key, value in values.items():
                    rows.setdefault(key, {})[column] = value
            return list(rows.values())
        if all(key.isdigit() for key in whole):  # index
            return inner
    raise DataError(
        f"a list of objects was expected, found {describe(whole)}",
        path=path,
        hint='a table in a .json file is [{"COLUMN": VALUE, ...}, ...]',
    )


def _read_parquet(path: Path, data: bytes) -> GridTable:
    """Read with pyarrow itself: pandas makes 7.0 of 7 in a column with gaps."""
    try:
        pyarrow = importlib.import_module("pyarrow")
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise MissingExtraError("pyarrow", extra="parquet", purpose="a Parquet file") from None
    try:
        file = parquet.ParquetFile(io.BytesIO(data))
        refuse_large_table(file.metadata.num_rows, file.metadata.num_columns)
        table = file.read()
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(
            f"not a readable Parquet file: {error}", path=path, hint="write the file again"
        ) from None
    refuse_duplicates(path, table.column_names)
    columns = {
        name: np.fromiter(column.to_pylist(), object, table.num_rows)
        for name, column in zip(table.column_names, table.columns, strict=True)
    }
    return GridTable(columns, np.arange(1, table.num_rows + 1, dtype=np.int32), ())


# Workbooks


def _read_workbook(path: Path, data: bytes, wanted: str | None) -> GridTable:
    """The sheets with a table, which must have the same columns, or the one that is wanted."""
    grids = _grids(path, data)
    if wanted is not None:
        if wanted not in grids:
            raise UsageError(
                f"--sheet {wanted}: {path.name} has no such sheet",
                hint=f"it has {', '.join(grids)}",
            )
        return read_grid(path, grids[wanted])
    names = [name for name, grid in grids.items() if is_table(grid)]
    if not names:  # a file with headings only, or with nothing
        return read_grid(path, next(iter(grids.values()), Grid([], [])))
    others = [n for n, grid in grids.items() if n not in names and grid.rows]
    notes = [f"Sheets without a table, not read: {', '.join(others)}."] if others else []
    found = {name: read_grid(path, grids[name]) for name in names}
    first, *rest = found.values()
    notes += dict.fromkeys(note for one in found.values() for note in one.notes)
    if not rest:
        return first._replace(notes=tuple(notes))
    if any(one.columns.keys() != first.columns.keys() for one in rest):
        shown = "; ".join(f"{name}: {', '.join(one.columns)[:60]}" for name, one in found.items())
        raise DataError(
            f"its {len(names)} sheets have different columns ({shown})",
            path=path,
            hint="choose one with --sheet NAME, or save it as a file of its own",
        )
    notes.append(
        f"Sheets read as one table, their names in the column {SHEET}: {', '.join(names)}."
    )
    columns = {
        heading: np.concatenate([one.columns[heading] for one in found.values()])
        for heading in first.columns
    }
    sizes = [len(one.lines) for one in found.values()]
    columns.setdefault(SHEET, np.repeat(np.array(names, dtype=np.object_), sizes))
    return GridTable(columns, np.concatenate([one.lines for one in found.values()]), tuple(notes))


def _grids(path: Path, data: bytes) -> dict[str, Grid]:
    try:
        calamine: Any = importlib.import_module("python_calamine")
    except ImportError:
        raise MissingExtraError("python-calamine", extra="xlsx", purpose="a spreadsheet") from None
    grids = {}
    try:
        book = calamine.CalamineWorkbook.from_filelike(io.BytesIO(data))
        for name in book.sheet_names:
            sheet = book.get_sheet_by_name(name)
            rows = [list(map(_cell, row)) for row in sheet.to_python(skip_empty_area=False)]
            areas = [Area(*start, *end) for start, end in sheet.merged_cell_ranges or ()]
            grids[name] = Grid(rows, range(1, len(rows) + 1), areas)
    except (calamine.CalamineError, OSError, ValueError) as error:
        raise DataError(
            f"not a readable workbook: {error}",
            path=path,
            hint="open it in a spreadsheet program and save it again, without a password",
        ) from None
    return grids


def _cell(value: object) -> object:
    """A cell as people see it: 4 where the file has 4.0."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dt.date | dt.time | dt.timedelta):
        return str(value)
    return value
