"""One axis per metric, one closed line per system: who is good at what."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from judge.analysis import PublishedMeans, Results, SystemResults
from judge.analysis.agreement import Agreement
from judge.report.figures.style import (
    PALETTE,
    SINGLE,
    SMALL,
    Drawn,
    finish,
    look,
    marks_of,
    plain,
    sheet,
    short_titles,
    wide,
)
from judge.report.format import fixed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

__all__ = ["MOST_LINES", "Line", "draw", "radar", "run_radar", "spoken", "spread"]

MOST_LINES = 6
"""More lines than this cannot be told apart."""

_T = TypeVar("_T")
_WIDTH = 72 * SINGLE
_LARGEST = 84.0
"""Points of the radius, if the titles leave so much."""
_RIM = 1.07
"""How far out the titles stand, in radii; a line of them takes `_LINE` points."""
_LINE = SMALL + 1
_TITLE = 13
"""Letters on a line of a title."""
_SHAPES = ("o", "s", "D", "^", "X", "v")


class Line(NamedTuple):
    """One polygon: a value per metric, None where there is none; `colour` counts from 0."""

    name: str
    values: tuple[float | None, ...]
    dashed: bool
    colour: int


def radar(agreement: Agreement) -> Drawn | None:
    """Means of judge and people; None with fewer than three metrics, or on several scales."""
    metrics = [m for m in agreement.measures if m.kind == "metric"]
    one_scale = len({m.scale for m in metrics}) == 1
    if len(metrics) < 3 or not one_scale or any(m.mae.value is None for m in metrics):
        return None
    ranking = list(dict.fromkeys(p.system for m in reversed(agreement.measures) for p in m.systems))
    if not ranking:
        return None
    shown = spread(ranking, MOST_LINES // 2)
    by_system = [{p.system: p for p in m.systems} for m in metrics]
    lines = []
    for colour, system in enumerate(shown):
        points = [points.get(system) for points in by_system]
        judge = tuple(None if p is None else p.judge for p in points)
        human = tuple(None if p is None else p.human for p in points)
        lines.append(Line(f"{plain(system)}, judge", judge, dashed=False, colour=colour))
        lines.append(Line(f"{plain(system)}, people", human, dashed=True, colour=colour))
    lines.sort(key=lambda line: line.dashed)
    titles = [short_titles(agreement.titles)[m.name] for m in metrics]
    (low, top), marks = metrics[0].scale, marks_of(agreement)
    caption = (
        f"Mean score by metric, from {low:g} at the centre to {top:g} at the rim: the judge solid, "
        "people dashed."
    )
    if len(shown) < len(ranking):
        caption += (
            f" Drawn are {len(shown)} of the {len(ranking)} systems, spread over the ranking by "
            "people."
        )
    with look():
        return finish(
            draw(lines, titles, low, top, marks),
            name="radar",
            title="Means of judge and people by metric",
            caption=caption,
            words=spoken(lines, titles),
            marks=marks,
        )


def spread(ranking: Sequence[_T], most: int) -> list[_T]:
    """At most `most` of a ranking, its ends and evenly between."""
    if len(ranking) <= most:
        return list(ranking)
    if most < 2:
        return list(ranking[:most])
    return [ranking[round(at * (len(ranking) - 1) / (most - 1))] for at in range(most)]


def spoken(lines: Sequence[Line], titles: Sequence[str]) -> list[str]:
    """The picture in words, a sentence for each line."""
    said = []
    for line in lines:
        pairs = zip(titles, line.values, strict=True)
        values = ", ".join(f"{title} {fixed(value)}" for title, value in pairs if value is not None)
        said.append(f"{line.name}: {values}.")
    return said


def draw(
    lines: Sequence[Line],
    titles: Sequence[str],
    low: float,
    top: float,
    marks: Sequence[str] = (),
) -> Figure:
    """The axes run from `low` at the centre to `top`; the legend stands below."""
    n, rings = len(titles), _rings(low, top)
    wrapped = [textwrap.wrap(title, _TITLE) or [""] for title in titles]
    columns = 2 if max(wide(line.name) for line in lines) < _WIDTH / 2 - 35 else 1
    figure, axes, radius = _sheet(wrapped, -(-len(lines) // columns), marks)
    rule = PALETTE["rule"]
    for ring in rings[1:]:
        corners = [_place(axis, n, _along(ring, low, top)) for axis in range(n + 1)]
        axes.plot(*zip(*corners, strict=True), color=rule, lw=0.6, label="grid")
    for axis, words in enumerate(wrapped):
        x, y = _place(axis, n, 1)
        axes.plot([0, x], [0, y], color=rule, lw=0.6, label="grid")
        _title(axes, words, axis, n)
    for ring in rings:
        height = _along(ring, low, top)
        label = axes.text(-3 / radius, height, f"{ring:g}", color=PALETTE["soft"], zorder=4)
        label.set(ha="right", va="center_baseline")
    figure.legend(
        [_polygon(axes, line, low, top) for line in lines],
        [line.name for line in lines],
        loc="lower center",
        ncols=columns,
        handlelength=2.6,
    )
    return figure


def _sheet(
    titles: Sequence[Sequence[str]], rows: int, marks: Sequence[str]
) -> tuple[Figure, Axes, float]:
    """A figure just high enough, its axes in units of the radius, and the radius in points.

    The titles are beside the rim, where no layout engine gives room to them.
    """
    n, half = len(titles), _WIDTH / 2
    radius = _LARGEST
    for axis, words in enumerate(titles):
        side = abs(_place(axis, n, _RIM)[0])
        if side > 0.3:
            radius = min(radius, (half - 2 - max(map(wide, words))) / side)
    radius = max(radius, _LARGEST / 2)
    above = _RIM * radius + max(map(len, titles)) * _LINE
    legend = (rows + 1) * (SMALL + 2.5)
    figure = sheet(SINGLE, (2 * above + legend + 4) / 72, marks)
    figure.set_layout_engine("none")
    height = figure.bbox.height
    axes = figure.add_axes((0, legend / height, 1, 2 * above / height))
    axes.axis("off")
    axes.set_xlim(-half / radius, half / radius)
    axes.set_ylim(-above / radius, above / radius)
    return figure, axes, radius


def _rings(low: float, top: float) -> list[float]:
    """The whole labels, or fifths of a long scale."""
    if top - low == round(top - low) <= 10:
        return [low + step for step in range(round(top - low) + 1)]
    return [low + (top - low) * step / 5 for step in range(6)]


def _along(value: float, low: float, top: float) -> float:
    return (value - low) / (top - low)


def _place(axis: int, axes: int, radius: float) -> tuple[float, float]:
    """Clockwise from the top."""
    angle = 2 * math.pi * axis / axes
    return radius * math.sin(angle), radius * math.cos(angle)


def _title(axes: Axes, words: Sequence[str], axis: int, n: int) -> None:
    """Beside the rim; each line a text of its own, since a page sets it in another font."""
    x, y = _place(axis, n, _RIM)
    # Above the rim a title grows upwards, below it downwards, beside it both ways.
    up = (1 + math.cos(2 * math.pi * axis / n)) / 2
    for line, text in enumerate(words):
        axes.annotate(
            text,
            (x, y),
            (0, _LINE * (up * (len(words) - 1) - line)),
            textcoords="offset points",
            ha="center" if abs(x) < 0.3 else "left" if x > 0 else "right",
            va="bottom" if up > 0.8 else "top" if up < 0.2 else "center",
        )


def _polygon(axes: Axes, line: Line, low: float, top: float) -> Line2D:
    """Joins neighbouring axes; an axis without a value leaves a gap, not a corner at zero."""
    n = len(line.values)
    corners = [
        (math.nan, math.nan) if value is None else _place(axis, n, _along(value, low, top))
        for axis, value in enumerate(line.values)
    ]
    corners.append(corners[0])
    return axes.plot(
        *zip(*corners, strict=True),
        color=PALETTE[f"c{line.colour}"],
        ls=(0, (4, 2.2)) if line.dashed else "-",
        lw=1 if line.dashed else 1.3,
        marker="." if line.dashed else _SHAPES[line.colour % len(_SHAPES)],
        ms=2 if line.dashed else 3.4,
        zorder=2 if line.dashed else 3,
        label=line.name,
    )[0]


def run_radar(results: Results) -> Drawn | None:
    """Draw the means; None if there are fewer than three axes.

    Of many systems only some are drawn, spread evenly over the ranking: with published means
    at most three judged ones, each in one colour with its published line, else at most six.
    """
    if len(results.metrics) < 3:
        return None
    systems, which = _candidates(results)
    lines = _lines(results, systems)
    top = len(results.labels)
    drawn = sum(not line.dashed for line in lines)
    caption = f"Mean score by metric. The axes run from 1 at the centre to {top} at the rim."
    if drawn < len(results.systems):
        caption += f" Drawn are {drawn} of the {len(systems)} {which}"
        caption += ", spread evenly over the ranking" if drawn < len(systems) else ""
        caption += "; the table above has all."
    if any(line.dashed for line in lines):
        caption += " Dashed lines are published means of human ratings, not this judge's"
        known = 0 if results.published is None else len(results.published.means)
        dashed = sum(line.dashed for line in lines)
        caption += f": {dashed} of {known} systems." if dashed < known else "."
    titles = [results.titles[metric] for metric in results.metrics]
    short = [plain(title.split(" (")[0]) for title in titles]
    with look():
        return finish(
            draw(lines, short, 1, top),
            name="radar",
            title="Radar of mean scores by metric",
            caption=caption,
            words=[caption, *spoken(lines, titles)],
        )


def _candidates(results: Results) -> tuple[Sequence[SystemResults], str]:
    """The systems to choose from, and what they are called: those that can be compared, if any."""
    means = {} if results.published is None else results.published.means
    both = [system for system in results.systems if system.system in means]
    if both:
        return both, "systems that have published means"
    return results.systems, "judged systems"


def _lines(results: Results, systems: Sequence[SystemResults]) -> list[Line]:
    metrics, published = results.metrics, results.published
    if published is None:
        shown = spread(systems, MOST_LINES)
        return [_judged(system, metrics, at) for at, system in enumerate(shown)]
    shown = spread(systems, MOST_LINES // 2)
    lines: list[Line] = []
    for at, system in enumerate(shown):
        lines.append(_judged(system, metrics, at))
        if system.system in published.means:
            lines.append(_published(published, system.system, metrics, at))
    judged = {system.system for system in results.systems}
    others = sorted(
        (name for name in published.means if name not in judged),
        key=lambda name: (-_sum(published, name, metrics), name),
    )
    for at, name in enumerate(spread(others, MOST_LINES - len(lines)), start=len(shown)):
        lines.append(_published(published, name, metrics, at))
    return lines


def _judged(system: SystemResults, metrics: Sequence[str], colour: int) -> Line:
    return Line(
        plain(system.system),
        tuple(system.mean(metric) for metric in metrics),
        dashed=False,
        colour=colour,
    )


def _published(published: PublishedMeans, name: str, metrics: Sequence[str], colour: int) -> Line:
    values = tuple(published.mean(name, (metric,)) for metric in metrics)
    return Line(f"{plain(name)}, published", values, dashed=True, colour=colour)


def _sum(published: PublishedMeans, name: str, metrics: Sequence[str]) -> float:
    return math.fsum(published.means[name].get(metric, 0.0) for metric in metrics)
