"""Plain tables for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len

__all__ = ["table"]


def table(rows: Sequence[Sequence[object]]) -> str:
    """Left-aligned columns; a Chinese character takes two cells of the terminal."""
    cells = [list(map(str, row)) for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(c + " " * (w - cell_len(c)) for c, w in zip(row, widths, strict=True)).rstrip()
        for row in cells
    )
