"""A table of numbers whose cells are coloured: two colours where 0 is between the ends."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from judge.report.figures.style import (
    DOUBLE,
    PALETTE,
    SINGLE,
    ReportFigure,
    drawable,
    finish,
    look,
    sheet,
    text_width,
)
from judge.report.format import fixed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["heatmap"]

_HEIGHT = 0.165
"""Of a row, in inches."""
_FAINT = 0.04
_DARK = 0.7
"""From this opacity on, the numbers are written in the colour of the paper."""


def heatmap(
    values: Sequence[Sequence[float | None]],
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    name: str,
    title: str,
    caption: str,
    words: Sequence[str],
    low: float,
    high: float,
    gaps: Collection[int] = (),
    outlined: Collection[tuple[int, int]] = (),
) -> ReportFigure:
    """Numbers in coloured cells, as wide as a page, or half of it with few columns.

    Colours are the page's own, more or less opaque, so that they follow its light or dark theme.

    Args:
        values: one sequence for each row; None is a dash without colour.
        rows, columns: their labels, plain text.
        words: its numbers in sentences, for readers who cannot see it.
        low, high: the values at which a colour is faintest or strongest, or strongest at both
            ends if `low` is below 0 and `high` above; what lies beyond them is coloured as they.
        gaps: the columns that have a gap before them.
        outlined: the cells, as (row, column), with a frame around them.

    Raises:
        ValueError: no cells, rows of other lengths than `columns`, or `low` not below `high`.
    """
    if not rows or not columns or low >= high:
        raise ValueError("a heat map needs rows, columns, and a lower end below its upper end")
    if len(values) != len(rows) or any(len(row) != len(columns) for row in values):
        raise ValueError(f"{len(rows)} rows of {len(columns)} values are needed")
    across = [column + 0.25 * sum(gap <= column for gap in gaps) for column in range(len(columns))]
    labels, heads = [drawable(text) for text in rows], [drawable(text) for text in columns]
    upright = max(map(text_width, heads)) > 38
    with look():
        room = max(map(text_width, heads)) / 72 if upright else 0.15
        width = SINGLE if len(columns) < 5 else DOUBLE
        figure = sheet(width, _HEIGHT * (len(rows) + 0.5) + room)
        axes = figure.subplots()
        for row, numbers in enumerate(values):
            for x, column, value in zip(across, range(len(columns)), numbers, strict=True):
                ink = "soft"
                if value is not None:
                    colour, opacity = _colour(value, low, high)
                    _box(axes, x, row, fc=colour, alpha=opacity, lw=0)
                    ink = "paper" if opacity > _DARK else "ink"
                if (row, column) in outlined:
                    _box(axes, x, row, fill=False, ec=PALETTE["ink"], lw=0.9)
                number = axes.text(x, row, fixed(value), color=PALETTE[ink])
                number.set(ha="center", va="center_baseline", in_layout=False)
        axes.set_xlim(-0.5, across[-1] + 0.5)
        axes.set_ylim(len(rows) - 0.5, -0.6)
        axes.set_xticks(across, heads, rotation=90 if upright else 0)
        axes.set_yticks(range(len(rows)), labels)
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        return finish(figure, name=name, title=title, caption=caption, words=words)


def _colour(value: float, low: float, high: float) -> tuple[str, float]:
    """The colour of a cell, and how opaque it is."""
    diverging = low < 0 < high
    share = value / (low if value < 0 else high) if diverging else (value - low) / (high - low)
    opacity = _FAINT + (1 - _FAINT) * min(max(share, 0.0), 1.0)
    return PALETTE["c1" if diverging and value < 0 else "c0"], opacity


def _box(axes: Axes, x: float, y: float, **look_of_it: Any) -> None:
    from matplotlib.patches import Rectangle  # noqa: PLC0415 - slow, needed for reports only

    axes.add_patch(Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, in_layout=False, **look_of_it))
