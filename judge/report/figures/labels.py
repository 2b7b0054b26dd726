"""Names beside points, none upon another."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from judge.report.figures.style import SMALL

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Box", "Placed", "place"]

_MARK = 3.0
"""Points that a mark takes on each side of its middle."""
_DISTANCES = (4.5, 8.0, 12.0)
_DIRECTIONS = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))


class Box(NamedTuple):
    """A rectangle in points of the figure."""

    left: float
    bottom: float
    right: float
    top: float

    def meets(self, other: Box) -> bool:
        """Whether the two share more than an edge."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.bottom < other.top
            and other.bottom < self.top
        )

    def within(self, other: Box) -> bool:
        """Whether no part is outside the other."""
        return (
            self.left >= other.left
            and self.right <= other.right
            and self.bottom >= other.bottom
            and self.top <= other.top
        )


class Placed(NamedTuple):
    """Where a label stands.

    Attributes:
        dx, dy: offset of its middle from its point, in points.
        box: what it covers.
        free: whether that is inside the axes and meets no mark and no other label.
        far: whether a line should lead to its point.
    """

    dx: float
    dy: float
    box: Box
    free: bool
    far: bool


def place(
    axes: Axes,
    points: Sequence[tuple[float, float]],
    texts: Sequence[str],
    lines: Sequence[tuple[tuple[float, float], tuple[float, float]]],
) -> list[Placed]:
    """Where each text can stand beside its point, the most crowded points choosing first.

    Args:
        axes: laid out already; nothing is drawn into it.
        points: in data coordinates.
        texts: one for each point.
        lines: ends of level or upright lines, better not crossed; in data coordinates.
    """
    at = [(float(x), float(y)) for x, y in axes.transData.transform(points)]
    thin = [
        Box(a[0] - 0.3, a[1] - 0.3, b[0] + 0.3, b[1] + 0.3)
        for a, b in (axes.transData.transform(line) for line in lines)
    ]
    frame = Box(*axes.bbox.extents)
    taken = [Box(x - _MARK, y - _MARK, x + _MARK, y + _MARK) for x, y in at]
    placed: dict[int, Placed] = {}
    for own in sorted(range(len(at)), key=lambda own: _room(own, at)):
        best, least = None, math.inf
        for order, (dx, dy, box, far) in enumerate(_candidates(at[own], *_size(axes, texts[own]))):
            wrong = sum(map(box.meets, taken)) + (not box.within(frame))
            middle = (at[own][0] + dx, at[own][1] + dy)
            nearer = sum(math.dist(middle, p) <= math.dist(middle, at[own]) for p in at) - 1
            cost = 100 * wrong + 5 * nearer + sum(map(box.meets, thin)) + 0.1 * order
            if cost < least:
                best, least = Placed(dx, dy, box, not wrong, far), cost
        assert best is not None  # noqa: S101 - there always are candidates
        placed[own] = best
        taken.append(best.box)
    return [placed[own] for own in range(len(at))]


def _room(own: int, at: Sequence[tuple[float, float]]) -> float:
    return min((math.dist(at[own], other) for n, other in enumerate(at) if n != own), default=0.0)


def _candidates(
    at: tuple[float, float], width: float, height: float
) -> Iterator[tuple[float, float, Box, bool]]:
    """Offsets of the middle of a label, near ones first, the box it takes, and whether far."""
    for distance in _DISTANCES:
        for right, up in _DIRECTIONS:
            step = distance if not right or not up else distance * 0.7
            dx, dy = right * (step + width / 2), up * (step + height / 2)
            x, y = at[0] + dx, at[1] + dy
            box = Box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)
            yield dx, dy, box, distance > _DISTANCES[0]


def _size(axes: Axes, text: str) -> tuple[float, float]:
    """Width and height of a text as it will be drawn."""
    probe = axes.text(0, 0, text, size=SMALL)
    extent = probe.get_window_extent()
    probe.remove()
    return float(extent.width), float(extent.height)
