"""Each system's mean by the judge and by people, for each measure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from judge.analysis.agreement import Agreement
from judge.analysis.agreement.agreement_records import MeasureAgreement, SystemPoint
from judge.report.figures.style import (
    LINE,
    PALETTE,
    SMALL,
    Drawn,
    finish,
    lay_out,
    look,
    marks_of,
    panels,
    plain,
    short_titles,
    subtitle,
    wide,
)
from judge.report.format import fixed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Box", "Placed", "place", "systems"]

_MOST_NAMED = 40
_LEADER = {"arrowstyle": "-", "lw": 0.5, "color": PALETTE["soft"], "shrinkA": 0, "shrinkB": 1}


def systems(agreement: Agreement, kind: Literal["metric", "composite"]) -> Drawn | None:
    """A panel for each metric, or for each dimension and overall; None if there is none.

    A point carries its system's name, or where names would run into each other a number.
    """
    measures = [
        m for m in agreement.measures if (m.kind == "metric") == (kind == "metric") and m.systems
    ]
    if not measures:
        return None
    titles, names = short_titles(agreement.titles), _ranking(agreement)
    marks = marks_of(agreement)
    few = len(measures) <= 4
    with look():
        figure, every = panels(
            [titles[m.name] for m in measures],
            x="Mean score of the judge",
            y="Mean human rating",
            columns=2 if few else 3,
            height=2.4 if few else 2.0,
            marks=marks,
        )
        for axes, measure in zip(every, measures, strict=True):
            _points(axes, measure)
            subtitle(axes, _rho(measure))
        _name(figure, every, measures, names)
        what = "metric" if kind == "metric" else "dimension"
        return finish(
            figure,
            name="systems-metrics" if kind == "metric" else "systems",
            title=f"Means of the systems by judge and people, {what} by {what}",
            caption=_caption(len(names)),
            words=[_said(measure, titles[measure.name]) for measure in measures],
            marks=marks,
        )


def _ranking(agreement: Agreement) -> list[str]:
    """Every system, from the highest human mean overall; or of the last measure that there is."""
    names = [point.system for m in reversed(agreement.measures) for point in m.systems]
    return list(dict.fromkeys(names))


def _points(axes: Axes, measure: MeasureAgreement) -> None:
    for (x0, y0), (x1, y1) in _bars(measure.systems):
        bar = axes.hlines(y0, x0, x1) if y0 == y1 else axes.vlines(x0, y0, y1)
        bar.set(color=PALETTE["c0"], lw=0.6, alpha=0.6)
    judge, human = [p.judge for p in measure.systems], [p.human for p in measure.systems]
    axes.plot(judge, human, ls="", marker="o", ms=3.6, color=PALETTE["c0"], label="systems")
    axes.margins(0.08)
    axes.locator_params(nbins=6, steps=(1, 2, 5, 10))
    axes.grid()


def _bars(points: Sequence[SystemPoint]) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """Two standard errors either way, as far as they are defined."""
    bars = []
    for p in points:
        if p.judge_error is not None:
            far = 2 * p.judge_error
            bars.append(((p.judge - far, p.human), (p.judge + far, p.human)))
        if p.human_error is not None:
            far = 2 * p.human_error
            bars.append(((p.judge, p.human - far), (p.judge, p.human + far)))
    return bars


def _name(
    figure: Figure, every: Sequence[Axes], measures: Sequence[MeasureAgreement], names: list[str]
) -> None:
    """By name if all names find room in every panel, else by number with a key below."""
    if len(names) > _MOST_NAMED:
        return
    if _label(figure, every, measures, {name: plain(name) for name in names}, forced=False):
        return
    numbers = {name: str(n) for n, name in enumerate(names, start=1)}
    key = [f"{number}  {plain(name)}" for name, number in numbers.items()]
    blank = every[0].plot([], [], ls="", label="_key")
    columns = max(1, int(figure.get_figwidth() * 72 / (max(map(wide, key)) + 15)))
    figure.set_figheight(figure.get_figheight() + LINE * -(-len(key) // columns))
    figure.legend(blank * len(key), key, loc="outside lower center", ncols=columns, handlelength=0)
    _label(figure, every, measures, numbers, forced=True)


def _label(
    figure: Figure,
    every: Sequence[Axes],
    measures: Sequence[MeasureAgreement],
    texts: dict[str, str],
    *,
    forced: bool,
) -> bool:
    lay_out(figure)
    placed = []
    for axes, measure in zip(every, measures, strict=True):
        points = [(p.judge, p.human) for p in measure.systems]
        own = [texts[p.system] for p in measure.systems]
        placed.append(place(axes, points, own, _bars(measure.systems)))
    if not forced and not all(one.free for row in placed for one in row):
        return False
    for axes, measure, row in zip(every, measures, placed, strict=True):
        for point, one in zip(measure.systems, row, strict=True):
            axes.annotate(
                texts[point.system],
                (point.judge, point.human),
                (one.dx, one.dy),
                textcoords="offset points",
                ha="center",
                va="center",
                in_layout=False,
                arrowprops=_LEADER if one.far else None,
            )
    return True


def _rho(measure: MeasureAgreement) -> str:
    rho, interval = measure.spearman["systems"].value, measure.bonett_wright
    if rho is None:
        return "ρ undefined"
    if interval.lower is None or interval.upper is None:
        return f"ρ = {fixed(rho)}"
    return f"ρ = {fixed(rho)} [{fixed(interval.lower)}, {fixed(interval.upper)}]"


def _caption(count: int) -> str:
    named = "" if count <= _MOST_NAMED else f" The {count} systems are too many to be named."
    return (
        "Mean score of each system by the judge and by people. Bars: 2 standard errors either way, "
        "clustered by character and scenario. Above: Spearman’s ρ of the systems with its "
        f"Bonett-Wright interval.{named}"
    )


def _said(measure: MeasureAgreement, title: str) -> str:
    points = ", ".join(
        f"{plain(p.system)} judge {fixed(p.judge)} people {fixed(p.human)}" for p in measure.systems
    )
    return f"{title}, {_rho(measure)}: {points}."


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
