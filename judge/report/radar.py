"""The radar picture: one axis per metric, judged systems solid, published means dashed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from markupsafe import Markup

from judge.analysis import Published, Results, SystemResults

__all__ = ["MOST_LINES", "Line", "Radar", "radar"]

MOST_LINES = 6
"""More lines than this cannot be told apart."""

_T = TypeVar("_T")

_SIZE = (580, 480)
_CENTRE = (290.0, 244.0)
_RADIUS = 166.0
_LEADING = 1.15
_MARKERS = ("circle", "square", "diamond", "triangle", "cross", "ring")


class Line(NamedTuple):
    """One polygon: a value per metric, None where there is none; `colour` counts from 0."""

    name: str
    values: tuple[float | None, ...]
    dashed: bool
    colour: int


class Radar(NamedTuple):
    """The picture, its legend as (key, name) pairs, and what was left out in words."""

    svg: Markup
    legend: tuple[tuple[Markup, str], ...]
    caption: str


def radar(results: Results) -> Radar | None:
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
    legend = tuple((_key(line), line.name) for line in lines)
    return Radar(_svg(lines, titles, top, caption), legend, caption)


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
        shown = _spread(systems, MOST_LINES)
        return [_judged(system, metrics, at) for at, system in enumerate(shown)]
    shown = _spread(systems, MOST_LINES // 2)
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
    for at, name in enumerate(_spread(others, MOST_LINES - len(lines)), start=len(shown)):
        lines.append(_published(published, name, metrics, at))
    return lines


def _spread(ranking: Sequence[_T], most: int) -> list[_T]:
    """At most `most` of a ranking, its ends and evenly between."""
    if len(ranking) <= most:
        return list(ranking)
    if most < 2:
        return list(ranking[:most])
    return [ranking[round(at * (len(ranking) - 1) / (most - 1))] for at in range(most)]


def _judged(system: SystemResults, metrics: Sequence[str], colour: int) -> Line:
    return Line(
        system.system, tuple(system.mean(metric) for metric in metrics), dashed=False, colour=colour
    )


def _published(published: Published, name: str, metrics: Sequence[str], colour: int) -> Line:
    values = tuple(published.mean(name, (metric,)) for metric in metrics)
    return Line(f"{name}, published", values, dashed=True, colour=colour)


def _sum(published: Published, name: str, metrics: Sequence[str]) -> float:
    return math.fsum(published.means[name].get(metric, 0.0) for metric in metrics)


def _svg(lines: Sequence[Line], titles: Sequence[str], top: int, caption: str) -> Markup:
    n = len(titles)
    parts = [
        Markup('<svg class="radar" viewBox="0 0 {} {}" role="img" aria-labelledby="rt rd">').format(
            *_SIZE
        ),
        Markup(
            '<title id="rt">Radar of mean scores by metric</title><desc id="rd">{}</desc>'
        ).format(f"{caption} {_spoken(lines, titles)}"),
    ]
    for ring in range(2, top + 1):
        points = " ".join(_point(axis, n, ring, top) for axis in range(n))
        parts.append(Markup('<polygon class="ring" points="{}"/>').format(points))
    for axis, title in enumerate(titles):
        x, y = _place(axis, n, _RADIUS)
        parts.append(
            Markup('<line class="axis" x1="{}" y1="{}" x2="{:.1f}" y2="{:.1f}"/>').format(
                *_CENTRE, x, y
            )
        )
        parts.append(_label(title, axis, n))
    dashed_first = sorted(lines, key=lambda line: not line.dashed)
    parts += [_polygon(line, n, top) for line in dashed_first]
    for ring in range(1, top + 1):
        x, y = _place(0, n, _RADIUS * (ring - 1) / (top - 1))
        parts.append(
            Markup('<text class="tick" x="{:.1f}" y="{:.1f}">{}</text>').format(x - 5, y + 4, ring)
        )
    return Markup("\n").join([*parts, Markup("</svg>")])


def _spoken(lines: Sequence[Line], titles: Sequence[str]) -> str:
    """The picture in words, for those who do not see it."""
    said = []
    for line in lines:
        values = ", ".join(
            f"{title} {value:.2f}"
            for title, value in zip(titles, line.values, strict=True)
            if value is not None
        )
        said.append(f"{line.name}: {values}.")
    return " ".join(said)


def _place(axis: int, axes: int, radius: float) -> tuple[float, float]:
    """Clockwise from the top."""
    angle = 2 * math.pi * axis / axes
    return _CENTRE[0] + radius * math.sin(angle), _CENTRE[1] - radius * math.cos(angle)


def _point(axis: int, axes: int, value: float, top: int) -> str:
    x, y = _place(axis, axes, _RADIUS * (value - 1) / (top - 1))
    return f"{x:.1f},{y:.1f}"


def _label(title: str, axis: int, axes: int) -> Markup:
    """A title on lines of one word, so that labels beside the rim stay inside the picture."""
    words = title.replace("-", "- ").split()
    x, y = _place(axis, axes, _RADIUS + 16)
    side = math.sin(2 * math.pi * axis / axes)
    anchor = "middle" if abs(side) < 0.45 else "start" if side > 0 else "end"
    # Above the rim a label grows upwards, below it downwards, beside it both ways. Steps are in
    # em, so that a page may set the text larger.
    up = (1 + math.cos(2 * math.pi * axis / axes)) / 2
    first = 0.65 - up * (_LEADING * (len(words) - 1) + 0.35)
    spans = Markup("").join(
        Markup('<tspan x="{:.1f}" dy="{:.2f}em">{}</tspan>').format(
            x, _LEADING if at else first, word
        )
        for at, word in enumerate(words)
    )
    return Markup('<text class="label" y="{:.1f}" text-anchor="{}">{}</text>').format(
        y, anchor, spans
    )


def _polygon(line: Line, axes: int, top: int) -> Markup:
    """Joins neighbouring axes; an axis without a value leaves a gap, not a corner at zero."""
    gaps = [axis for axis, value in enumerate(line.values) if value is None]
    start = gaps[0] if gaps else 0
    steps, pen = "", "M"
    for axis in ((start + step) % axes for step in range(axes)):
        value = line.values[axis]
        steps += "" if value is None else pen + _point(axis, axes, value, top)
        pen = "M" if value is None else "L"
    path = Markup('<path class="line c{}{}" d="{}{}"/>').format(
        line.colour, " dashed" if line.dashed else "", steps, "" if gaps else "Z"
    )
    if line.dashed:
        return path
    marks = Markup("").join(
        _marker(line.colour, *_place(axis, axes, _RADIUS * (value - 1) / (top - 1)))
        for axis, value in enumerate(line.values)
        if value is not None
    )
    return path + marks


def _marker(colour: int, x: float, y: float) -> Markup:
    """A shape for each colour, for those who do not see colours."""
    shape = _MARKERS[colour % len(_MARKERS)]
    r = 3.6
    outlines = {
        "square": f"M{x - r:.1f},{y - r:.1f}h{2 * r}v{2 * r}h{-2 * r}z",
        "diamond": f"M{x:.1f},{y - 5:.1f}l5,5l-5,5l-5,-5z",
        "triangle": f"M{x:.1f},{y - 5:.1f}l5,8.6h-10z",
        "cross": f"M{x - r:.1f},{y - r:.1f}l{2 * r},{2 * r}m0,{-2 * r}l{-2 * r},{2 * r}",
    }
    kind = "open" if shape in ("ring", "cross") else "solid"
    if shape in outlines:
        return Markup('<path class="mark {} c{}" d="{}"/>').format(kind, colour, outlines[shape])
    return Markup('<circle class="mark {} c{}" cx="{:.1f}" cy="{:.1f}" r="{}"/>').format(
        kind, colour, x, y, r
    )


def _key(line: Line) -> Markup:
    mark = Markup("") if line.dashed else _marker(line.colour, 16, 7)
    return (
        Markup('<svg class="key" viewBox="0 0 32 14" width="32" height="14" aria-hidden="true">')
        + Markup('<path class="line c{}{}" d="M1,7H31"/>').format(
            line.colour, " dashed" if line.dashed else ""
        )
        + mark
        + Markup("</svg>")
    )
