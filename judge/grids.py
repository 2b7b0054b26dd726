"""From the cells of a sheet to columns with headings, whatever a spreadsheet program left around.

Above the headings there may be titles, the headings may take two rows, cells may be merged, and
columns and rows may be blank. Everything that is left out or filled in is said in a note.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from judge.errors import DataError

__all__ = ["JOINT", "Area", "Grid", "GridTable", "is_table", "read_grid", "refuse_duplicates"]

JOINT = "/"
"""What stands between the parts of a heading that took two rows."""


class Area(NamedTuple):
    """A merged area of cells, its ends included; all count from 0."""

    top: int
    left: int
    bottom: int
    right: int


class Grid(NamedTuple):
    """Rows of cells, "" where one is blank.

    Attributes:
        lines: where each row begins, for messages.
        merged: areas of merged cells, as indices into `rows`.
    """

    rows: Sequence[Sequence[object]]
    lines: Sequence[int]
    merged: Sequence[Area] = ()


class GridTable(NamedTuple):
    """Heading -> (n,) cells, the (n,) line of each row, and what is to be said."""

    columns: Mapping[str, NDArray[np.object_]]
    lines: NDArray[np.int32]
    notes: tuple[str, ...]


def is_table(grid: Grid) -> bool:
    """Whether there are headings and a row beneath them."""
    rows = [row for row in grid.rows if any(map(_filled, row))]
    return any(sum(map(_filled, row)) > 1 for row in rows[:-1])


def read_grid(path: Path, grid: Grid) -> GridTable:
    """The table that a grid holds. Its headings are the first row with two cells that are filled.

    Raises:
        DataError: a column is named twice, or a cell stands under no heading.
    """
    notes: list[str] = []
    width = max(map(len, grid.rows), default=0)
    cells = [[*row, *[""] * (width - len(row))] for row in grid.rows]
    used = [i for i, row in enumerate(cells) if any(map(_filled, row))]
    if not used:
        return GridTable({}, np.zeros(0, dtype=np.int32), ())
    head = next((i for i in used if sum(map(_filled, cells[i])) > 1), used[0])
    if titles := [str(c).strip() for i in used if i < head for c in cells[i] if _filled(c)]:
        notes.append(f"Above the headings, not read: {'; '.join(titles)[:80]}.")
    names = [str(cell).strip() for cell in cells[head]]
    if head + 1 in used and (joined := _two_rows(cells[head], cells[head + 1], grid.merged, head)):
        names, head = joined, head + 1
        notes.append(f"The headings take two rows, such as {next(n for n in names if JOINT in n)}.")
    if filled := _fill(cells, grid.merged, head):
        notes.append(f"Cells of merged areas that were given the area's value: {filled:,}.")
    refuse_duplicates(path, [name for name in names if name])
    rows = [i for i in range(head + 1, len(cells)) if any(map(_filled, cells[i]))]
    for column, name in enumerate(names):
        strays = [] if name else [i for i in rows if _filled(cells[i][column])]
        if strays and column == 0 and _counts_rows([cells[i][0] for i in rows]):
            notes.append("The first column has no heading and counts the rows: not read.")
        elif strays:
            raise DataError(
                f"a cell with {str(cells[strays[0]][column])[:20]!r} stands under no heading",
                path=path,
                line=grid.lines[strays[0]],
                hint="give its column a heading, or empty the cell",
            )
    columns = {}
    for column, name in enumerate(names):
        if name:
            columns[name] = np.fromiter((cells[i][column] for i in rows), np.object_, len(rows))
    lines = np.fromiter((grid.lines[i] for i in rows), np.int32, len(rows))
    return GridTable(columns, lines, tuple(notes))


def refuse_duplicates(path: Path, headings: Sequence[str]) -> None:
    """Raise DataError if two columns have one name."""
    if duplicates := sorted(name for name, n in Counter(headings).items() if n > 1):
        raise DataError(
            f"the column {', '.join(duplicates)} appears twice", path=path, hint="keep one of them"
        )


def _filled(cell: object) -> bool:
    return not isinstance(cell, str) or bool(cell.strip())


def _two_rows(
    upper: Sequence[object], lower: Sequence[object], merged: Sequence[Area], head: int
) -> list[str]:
    """The headings of two rows joined, or nothing if the second row is no row of headings.

    It is one if a cell of the first row is merged across columns, or if the blanks of the two rows
    complement each other as such cells do in a file that keeps no areas.
    """
    wide = [area for area in merged if area.top == head == area.bottom and area.left < area.right]
    above = [str(cell).strip() for cell in upper]
    below = [str(cell).strip() for cell in lower]
    if not wide:
        pairs = list(zip(above, below, strict=True))
        while not any(pairs[-1]):
            pairs.pop()  # blank columns on the right
        gaps = sum(not up for up, _ in pairs)
        texts = not any(low.replace(".", "").isdigit() for _, low in pairs)
        beside = bool(above[0]) and not below[0] and gaps > 0
        grouped = not above[0] and gaps > 1 and all(low for _, low in pairs)
        if not (texts and all(map(any, pairs)) and (beside or grouped)):
            return []
    names: list[str] = []
    group = ""
    for up, low in zip(above, below, strict=True):
        group = up or group
        names.append(f"{group}{JOINT}{low}" if group and low and low != group else low or up)
    return names


def _fill(cells: list[list[object]], merged: Sequence[Area], head: int) -> int:
    """Give every cell of a merged area under the headings its value; how many were given one."""
    count = 0
    for area in merged:
        if area.top >= len(cells) or area.left >= len(cells[area.top]):
            continue
        value = cells[area.top][area.left]
        if area.top <= head or not _filled(value):
            continue
        for row in range(area.top, min(area.bottom + 1, len(cells))):
            for column in range(area.left, min(area.right + 1, len(cells[row]))):
                if not _filled(cells[row][column]):
                    cells[row][column] = value
                    count += 1
    return count


def _counts_rows(values: Sequence[object]) -> bool:
    """Whether they are 0, 1, 2, ... or 1, 2, 3, ..."""
    try:
        numbers = [float(str(value)) for value in values]
    except ValueError:
        return False
    return numbers in ([float(i + start) for i in range(len(numbers))] for start in (0, 1))
