"""The cells of the first sheet of a workbook, with their row numbers."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

from judge.errors import DataError, MissingExtraError
from judge.tables import Row

__all__ = ["read_workbook"]


def read_workbook(path: Path, data: bytes) -> Iterator[Row]:
    """The rows under the heading, each with its number on the screen; empty rows are left out.

    A formula has the value that was saved with it.

    Raises:
        DataError: the bytes are no workbook, a heading appears twice, or a cell has none.
        MissingExtraError: python-calamine is not installed.
    """
    try:
        from python_calamine import CalamineError, CalamineWorkbook  # noqa: PLC0415
    except ImportError:
        raise MissingExtraError("python-calamine", extra="xlsx", purpose="an XLSX file") from None
    try:
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(data))
        lines = workbook.get_sheet_by_index(0).to_python(skip_empty_area=False)
    except (CalamineError, OSError, ValueError) as error:
        raise DataError(
            f"not a readable workbook: {error}",
            path=path,
            hint="open it in a spreadsheet program and save it as .xlsx, without a password",
        ) from None
    numbered = ((n, line) for n, line in enumerate(lines, start=1) if any(c != "" for c in line))
    head = [str(name).strip() for name in next(numbered, (0, []))[1]]
    twice = sorted({name for name in head if name and head.count(name) > 1})
    if twice:
        raise DataError(
            f"the column {', '.join(twice)} appears twice", path=path, hint="keep one of them"
        )
    for number, cells in numbered:
        row = {name: cell for name, cell in zip(head, cells, strict=True) if cell != ""}
        if "" in row:
            raise DataError(
                f"a cell with {str(row[''])[:20]!r} stands under no heading",
                path=path,
                line=number,
                hint="give its column a heading in the first row, or empty the cell",
            )
        yield number, {name: row.get(name) for name in head if name}
