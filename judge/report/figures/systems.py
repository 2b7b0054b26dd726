"""The mean of each system by the judge and by people: a panel for each measure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from judge.analysis.agreement.agreement_records import Agreement, MeasureAgreement, SystemPoint
from judge.report.figures.style import (
    LINE,
    PALETTE,
    SMALL,
    ReportFigure,
    banners_of,
    drawable,
    finish,
    lay_out,
    look,
    panels,
    short_titles,
    subtitle,
    text_width,
)
from judge.report.format import fixed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Box", "PlacedLabel", "place_labels", "systems"]

_MOST_NAMED = 40
"""With more systems than this, none is named in the figure."""
_LEADER = {"arrowstyle": "-", "lw": 0.5, "color": PALETTE["soft"], "shrinkA": 0, "shrinkB": 1}


def systems(agreement: Agreement, kind: Literal["metric", "composite"]) -> ReportFigure | None:
    """A panel for each metric, or for each dimension and overall; None if there are none.

    Each point has its system's name beside it, or a number where names would overlap.
    """
    measures = [
        m for m in agreement.measures if (m.kind == "metric") == (kind == "metric") and m.systems
    ]
    if not measures or agreement.systems == 1:
        return None
    titles, names = short_titles(agreement.titles), _ranking(agreement)
    banners = banners_of(agreement)
    few = len(measures) <= 4
    with look():
        figure, every = panels(
            [titles[m.name] for m in measures],
            x="Mean score of the judge",
            y="Mean human rating",
            columns=2 if few else 3,
            height=2.4 if few else 2.0,
            banners=banners,
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
            caption=_caption(agreement, len(names)),
            words=[_sentence(measure, titles[measure.name]) for measure in measures],
            banners=banners,
        )


def _ranking(agreement: Agreement) -> list[str]:
    """Every system, by its human mean on the last measure, which is the overall score if any."""
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
    """Both ends of each error bar: two standard errors either way, if they are defined."""
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
    """Label the points with names, if all find room in every panel, else with numbers and a key."""
    if len(names) > _MOST_NAMED:
        return
    if _label(figure, every, measures, {name: drawable(name) for name in names}, forced=False):
        return
    numbers = {name: str(n) for n, name in enumerate(names, start=1)}
    key = [f"{number}  {drawable(name)}" for name, number in numbers.items()]
    blank = every[0].plot([], [], ls="", label="_key")
    columns = max(1, int(figure.get_figwidth() * 72 / (max(map(text_width, key)) + 15)))
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
    """Write the texts beside the points; unless `forced`, only if none overlaps anything."""
    lay_out(figure)
    placed = []
    for axes, measure in zip(every, measures, strict=True):
        points = [(p.judge, p.human) for p in measure.systems]
        own = [texts[p.system] for p in measure.systems]
        placed.append(place_labels(axes, points, own, _bars(measure.systems)))
    if not forced and not all(label.free for row in placed for label in row):
        return False
    for axes, measure, row in zip(every, measures, placed, strict=True):
        for point, label in zip(measure.systems, row, strict=True):
            axes.annotate(
                texts[point.system],
                (point.judge, point.human),
                (label.dx, label.dy),
                textcoords="offset points",
                ha="center",
                va="center",
                in_layout=False,
                arrowprops=_LEADER if label.far else None,
            )
    return True


def _rho(measure: MeasureAgreement) -> str:
    rho, interval = measure.spearman["systems"].value, measure.bonett_wright
    if rho is None:
        return "ρ undefined"
    if interval.lower is None or interval.upper is None:
        return f"ρ = {fixed(rho)}"
    return f"ρ = {fixed(rho)} [{fixed(interval.lower)}, {fixed(interval.upper)}]"


def _caption(agreement: Agreement, count: int) -> str:
    named = "" if count <= _MOST_NAMED else f" The {count} systems are too many to be named."
    return (
        "Mean score of each system by the judge and by people. Bars: 2 standard errors either way, "
        f"clustered by {agreement.item}. Above: Spearman’s ρ of the systems and, of ten or more, "
        f"its Bonett-Wright interval.{named}"
    )


def _sentence(measure: MeasureAgreement, title: str) -> str:
    points = ", ".join(
        f"{drawable(point.system)} judge {fixed(point.judge)} people {fixed(point.human)}"
        for point in measure.systems
    )
    return f"{title}, {_rho(measure)}: {points}."


_MARK_RADIUS = 3.0
_DISTANCES = (4.5, 8.0, 12.0)
"""How far from its point a label may stand, in points; from the second on a line leads there."""
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
        """Whether it lies inside the other; edges may touch."""
        return (
            self.left >= other.left
            and self.right <= other.right
            and self.bottom >= other.bottom
            and self.top <= other.top
        )


class PlacedLabel(NamedTuple):
    """Where a label stands.

    Attributes:
        dx, dy: from its point to its middle, in points.
        free: whether the box is inside the axes and meets no mark and no label placed before.
        far: whether a line should lead to its point.
    """

    dx: float
    dy: float
    box: Box
    free: bool
    far: bool


def place_labels(
    axes: Axes,
    points: Sequence[tuple[float, float]],
    texts: Sequence[str],
    lines: Sequence[tuple[tuple[float, float], tuple[float, float]]],
) -> list[PlacedLabel]:
    """The best place for each label beside its point; the most crowded points choose first.

    Args:
        axes: already laid out; nothing is drawn into it.
        points: in data coordinates.
        texts: one for each point.
        lines: both ends of horizontal or vertical lines that labels should not cross, in data
            coordinates.
    """
    centres = [(float(x), float(y)) for x, y in axes.transData.transform(points)]
    thin = [
        Box(a[0] - 0.3, a[1] - 0.3, b[0] + 0.3, b[1] + 0.3)
        for a, b in (axes.transData.transform(line) for line in lines)
    ]
    frame = Box(*axes.bbox.extents)
    r = _MARK_RADIUS
    taken = [Box(x - r, y - r, x + r, y + r) for x, y in centres]
    placed: dict[int, PlacedLabel] = {}
    for own in sorted(range(len(centres)), key=lambda own: _nearest(own, centres)):
        x, y = centres[own]
        best, least = None, math.inf
        for order, (dx, dy, box, far) in enumerate(_candidates(x, y, *_size(axes, texts[own]))):
            wrong = sum(map(box.meets, taken)) + (not box.within(frame))
            middle = (x + dx, y + dy)
            nearer = sum(math.dist(middle, p) <= math.dist(middle, (x, y)) for p in centres) - 1
            cost = 100 * wrong + 5 * nearer + sum(map(box.meets, thin)) + 0.1 * order
            if cost < least:
                best, least = PlacedLabel(dx, dy, box, not wrong, far), cost
        assert best is not None  # noqa: S101 - there always are candidates
        placed[own] = best
        taken.append(best.box)
    return [placed[own] for own in range(len(centres))]


def _nearest(own: int, centres: Sequence[tuple[float, float]]) -> float:
    """The distance to the nearest other point; 0 if there is none."""
    others = (other for n, other in enumerate(centres) if n != own)
    return min((math.dist(centres[own], other) for other in others), default=0.0)


def _candidates(
    x: float, y: float, width: float, height: float
) -> Iterator[tuple[float, float, Box, bool]]:
    """For each place of a label, near ones first: dx, dy, box and far, as in `PlacedLabel`."""
    for distance in _DISTANCES:
        for right, up in _DIRECTIONS:
            step = distance if not right or not up else distance * 0.7
            dx, dy = right * (step + width / 2), up * (step + height / 2)
            middle_x, middle_y = x + dx, y + dy
            box = Box(
                middle_x - width / 2,
                middle_y - height / 2,
                middle_x + width / 2,
                middle_y + height / 2,
            )
            yield dx, dy, box, distance > _DISTANCES[0]


def _size(axes: Axes, text: str) -> tuple[float, float]:
    """Width and height of a text as it will be drawn, in points."""
    probe = axes.text(0, 0, text, size=SMALL)
    extent = probe.get_window_extent()
    probe.remove()
    return float(extent.width), float(extent.height)
