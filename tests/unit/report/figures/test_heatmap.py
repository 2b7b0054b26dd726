"""A heat map shows every number it was given, and colours that say which way and how far."""

from __future__ import annotations

from typing import Any

import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from judge.report.figures import ReportFigure, inline
from judge.report.figures.heatmap import heatmap
from judge.report.figures.style import PALETTE

TEXTS: dict[str, Any] = {"name": "map", "title": "A map", "caption": "", "words": ["words"]}


def cells(drawn: ReportFigure) -> list[tuple[str, float]]:
    """Colour and opacity of every filled cell, in reading order."""
    (axes,) = drawn.figure.axes
    boxes = [p for p in axes.patches if isinstance(p, Rectangle) and p.get_fill()]
    return [(to_hex(p.get_facecolor()), p.get_alpha() or 0) for p in boxes]


def test_two_colours_tell_falls_from_rises_and_opacity_how_far() -> None:
    """What is beyond an end is coloured as the end; a missing number is a dash without colour."""
    values: list[list[float | None]] = [[-1.0, -0.5, 0.25], [None, 7.0, 0.0]]
    drawn = heatmap(values, ["a", "b"], ["x", "y", "z"], low=-1, high=0.5, **TEXTS)
    found = cells(drawn)
    assert [colour for colour, _ in found] == [PALETTE[c] for c in ("c1", "c1", "c0", "c0", "c0")]
    whole, half, also_half, beyond, zero = (opacity for _, opacity in found)
    assert whole == beyond == 1
    assert half == also_half == pytest.approx((1 + zero) / 2)
    texts = [text.get_text() for text in drawn.figure.axes[0].texts]
    assert texts == ["−1.00", "−0.50", "0.25", "–", "7.00", "0.00"]


def test_one_colour_where_zero_is_not_between_the_ends() -> None:
    """Scores from 1 to 5 become ever more blue."""
    drawn = heatmap([[1.0, 3.0, 5.0]], ["a"], ["x", "y", "z"], low=1, high=5, **TEXTS)
    colours, opacities = zip(*cells(drawn), strict=True)
    assert set(colours) == {PALETTE["c0"]}
    assert opacities[1] == pytest.approx((opacities[0] + opacities[2]) / 2)


def test_labels_of_others_are_escaped_and_cut() -> None:
    """They stay text in a page, and frames mark the cells that were named."""
    drawn = heatmap(
        [[1.0], [2.0]], ["<b>$x$</b>", "名" * 40], ["<script>"],
        low=0, high=2, outlined={(0, 0)}, **TEXTS,
    )  # fmt: skip
    page = str(inline(drawn))
    assert "&lt;b&gt;$x$&lt;/b&gt;" in page
    assert "<script>" not in page
    assert "…" in page
    frames = [p for p in drawn.figure.axes[0].patches if not p.get_fill()]
    assert len(frames) == 1


@pytest.mark.parametrize(
    "wrong", [([], [], ["x"]), ([[1.0]], ["a"], ["x", "y"]), ([[1.0]], ["a", "b"], ["x"])]
)
def test_a_table_of_another_shape_is_refused(wrong: Any) -> None:
    """Rows and columns have a label each."""
    with pytest.raises(ValueError, match=r"heat map|values"):
        heatmap(*wrong, low=0, high=1, **TEXTS)
