"""A radar: one axis for each metric, one closed line for each system."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from judge.analysis.agreement.agreement_records import Agreement
from judge.analysis.published import PublishedMeans
from judge.analysis.ranking import HUMAN
from judge.analysis.results import Results, SystemResults
from judge.report.figures.style import (
    PALETTE,
    SINGLE,
    SMALL,
    ReportFigure,
    banners_of,
    drawable,
    finish,
    look,
    sheet,
    short_titles,
    text_width,
)
from judge.report.format import english_title, fixed, short_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

__all__ = ["MOST_LINES", "agreement_radar", "leaderboard_radar", "run_radar"]

MOST_LINES = 6
"""More lines than this cannot be told apart."""

_T = TypeVar("_T")
_WIDTH = 72 * SINGLE
_LARGEST = 84.0
"""The radius in points, if the titles leave so much room."""
_RIM = 1.07
"""How far from the centre the titles stand, in radii."""
_LINE = SMALL + 1
"""The height in points of a line of a title."""
_TITLE = 13
"""How many letters stand on a line of a title."""
_SHAPES = ("o", "s", "D", "^", "X", "v")


class RadarLine(NamedTuple):
    """A system's line: a value for each metric, None if there is none; `colour` from 0."""

    name: str
    values: tuple[float | None, ...]
    dashed: bool
    colour: int


def agreement_radar(agreement: Agreement) -> ReportFigure | None:
    """Means of the judge, solid, and of people, dashed.

    None with fewer than three metrics, or if they are on different scales.
    """
    metrics = [m for m in agreement.measures if m.kind == "metric"]
    one_scale = len({m.scale for m in metrics}) == 1
    if len(metrics) < 3 or not one_scale or any(m.mae.value is None for m in metrics):
        return None
    ranking = list(dict.fromkeys(p.system for m in reversed(agreement.measures) for p in m.systems))
    if not ranking:
        return None
    shown = _spread(ranking, MOST_LINES // 2)
    points = [{point.system: point for point in m.systems} for m in metrics]
    judge, people = [], []
    for colour, system in enumerate(shown):
        of_system = [of_metric.get(system) for of_metric in points]
        judged = tuple(None if point is None else point.judge for point in of_system)
        rated = tuple(None if point is None else point.human for point in of_system)
        name = drawable(system)
        judge.append(RadarLine(f"{name}, judge", judged, dashed=False, colour=colour))
        people.append(RadarLine(f"{name}, people", rated, dashed=True, colour=colour))
    low, top = metrics[0].scale
    caption = (
        f"Mean score by metric, from {low:g} at the centre to {top:g} at the rim: the judge solid, "
        "people dashed."
    )
    if len(shown) < len(ranking):
        caption += (
            f" Drawn are {len(shown)} of the {len(ranking)} systems, spread over the ranking by "
            "people."
        )
    titles = short_titles(agreement.titles)
    return _radar(
        [*judge, *people],
        [titles[m.name] for m in metrics],
        (low, top),
        title="Means of judge and people by metric",
        caption=caption,
        banners=banners_of(agreement),
    )


def run_radar(results: Results) -> ReportFigure | None:
    """Means of the judged systems, solid, and published means, dashed; None below three metrics.

    Of many systems only some are drawn, spread evenly over the ranking: with published means
    at most three judged ones, each in one colour with its published line, else at most six.
    """
    if len(results.metrics) < 3:
        return None
    systems, which = _candidates(results)
    lines = _run_lines(results, systems)
    top = len(results.labels)
    dashed = sum(line.dashed for line in lines)
    judged = len(lines) - dashed
    caption = f"Mean score by metric. The axes run from 1 at the centre to {top} at the rim."
    if judged < len(results.systems):
        caption += f" Drawn are {judged} of the {len(systems)} {which}"
        caption += ", spread evenly over the ranking" if judged < len(systems) else ""
        caption += "; the table above has all."
    if dashed:
        caption += " Dashed lines are published means of human ratings, not this judge's"
        known = 0 if results.published is None else len(results.published.means)
        caption += f": {dashed} of {known} systems." if dashed < known else "."
    titles = [results.titles[metric] for metric in results.metrics]
    return _radar(
        lines,
        [drawable(short_title(title)) for title in titles],
        (1, top),
        title="Radar of mean scores by metric",
        caption=caption,
        words=[caption, *_sentences(lines, titles)],
    )


def _candidates(results: Results) -> tuple[Sequence[SystemResults], str]:
    """The systems to choose from, and what they are called: those with published means, if any."""
    means = {} if results.published is None else results.published.means
    both = [system for system in results.systems if system.system in means]
    if both:
        return both, "systems that have published means"
    return results.systems, "judged systems"


def _run_lines(results: Results, systems: Sequence[SystemResults]) -> list[RadarLine]:
    metrics, published = results.metrics, results.published
    shown = _spread(systems, MOST_LINES if published is None else MOST_LINES // 2)
    lines: list[RadarLine] = []
    for colour, system in enumerate(shown):
        lines.append(_judged(system, metrics, colour))
        if published is not None and system.system in published.means:
            lines.append(_published(published, system.system, metrics, colour))
    if published is None:
        return lines
    judged = {system.system for system in results.systems}
    others = sorted(
        (name for name in published.means if name not in judged),
        key=lambda name: (
            -math.fsum(published.means[name].get(metric, 0.0) for metric in metrics),
            name,
        ),
    )
    for colour, name in enumerate(_spread(others, MOST_LINES - len(lines)), start=len(shown)):
        lines.append(_published(published, name, metrics, colour))
    return lines


def _judged(
    system: SystemResults, metrics: Sequence[str], colour: int, *, dashed: bool = False
) -> RadarLine:
    values = tuple(system.mean(metric) for metric in metrics)
    return RadarLine(drawable(system.system), values, dashed=dashed, colour=colour)


def _published(
    published: PublishedMeans, name: str, metrics: Sequence[str], colour: int
) -> RadarLine:
    values = tuple(published.mean(name, (metric,)) for metric in metrics)
    return RadarLine(f"{drawable(name)}, published", values, dashed=True, colour=colour)


def leaderboard_radar(results: Results) -> ReportFigure | None:
    """Means of models, solid, and of the human fans, dashed; None below three metrics.

    Of many models only some are drawn, spread evenly over the ranking.
    """
    if len(results.metrics) < 3:
        return None
    systems = {system.system: system for system in results.systems}
    has_human = HUMAN in systems
    shown = _spread([name for name in systems if name != HUMAN], MOST_LINES - has_human)
    shown += [HUMAN] if has_human else []
    lines = [
        _judged(systems[name], results.metrics, colour, dashed=name == HUMAN)
        for colour, name in enumerate(shown)
    ]
    top = len(results.labels)
    caption = f"Mean score by metric, from 1 at the centre to {top} at the rim."
    if has_human:
        caption += " Dashed: the human fans."
    if len(shown) < len(systems):
        caption += f" Drawn are {len(shown)} of {len(systems)} systems, spread over the ranking."
    titles = [english_title(metric, results.titles[metric]) for metric in results.metrics]
    return _radar(
        lines,
        [drawable(title) for title in titles],
        (1, top),
        title="Mean scores by metric",
        caption=caption,
        words=[caption, *_sentences(lines, titles)],
    )


def _spread(ranking: Sequence[_T], most: int) -> list[_T]:
    """At most `most` of a ranking: its ends, and the others evenly between them."""
    if len(ranking) <= most:
        return list(ranking)
    if most < 2:
        return list(ranking[:most])
    return [ranking[round(at * (len(ranking) - 1) / (most - 1))] for at in range(most)]


def _radar(
    lines: Sequence[RadarLine],
    titles: Sequence[str],
    scale: tuple[float, float],
    *,
    title: str,
    caption: str,
    words: Sequence[str] | None = None,
    banners: Sequence[str] = (),
) -> ReportFigure:
    """The figure; `titles` and the names of the lines can be drawn as they are."""
    with look():
        return finish(
            _draw(lines, titles, *scale, banners),
            name="radar",
            title=title,
            caption=caption,
            words=_sentences(lines, titles) if words is None else words,
            banners=banners,
        )


def _sentences(lines: Sequence[RadarLine], titles: Sequence[str]) -> list[str]:
    """The values of each line, in a sentence."""
    sentences = []
    for line in lines:
        pairs = zip(titles, line.values, strict=True)
        values = ", ".join(f"{title} {fixed(value)}" for title, value in pairs if value is not None)
        sentences.append(f"{line.name}: {values}.")
    return sentences


def _draw(
    lines: Sequence[RadarLine],
    titles: Sequence[str],
    low: float,
    top: float,
    banners: Sequence[str] = (),
) -> Figure:
    """The axes run from `low` at the centre to `top` at the rim; the legend stands below."""
    n, rings = len(titles), _rings(low, top)
    wrapped = [textwrap.wrap(title, _TITLE) or [""] for title in titles]
    columns = 2 if max(text_width(line.name) for line in lines) < _WIDTH / 2 - 35 else 1
    figure, axes, radius = _sheet(wrapped, -(-len(lines) // columns), banners)
    rule = PALETTE["rule"]
    for ring in rings[1:]:
        corners = [_point(axis, n, _along(ring, low, top)) for axis in range(n + 1)]
        axes.plot(*zip(*corners, strict=True), color=rule, lw=0.6, label="grid")
    for axis, words in enumerate(wrapped):
        x, y = _point(axis, n, 1)
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
    titles: Sequence[Sequence[str]], rows: int, banners: Sequence[str]
) -> tuple[Figure, Axes, float]:
    """A figure as high as needed, its axes in units of the radius, and the radius in points.

    Computed here, because no layout engine makes room for the titles beside the rim.
    """
    n, half = len(titles), _WIDTH / 2
    radius = _LARGEST
    for axis, words in enumerate(titles):
        side = abs(_point(axis, n, _RIM)[0])
        if side > 0.3:
            radius = min(radius, (half - 2 - max(map(text_width, words))) / side)
    radius = max(radius, _LARGEST / 2)
    above = _RIM * radius + max(map(len, titles)) * _LINE
    legend = (rows + 1) * (SMALL + 2.5)
    figure = sheet(SINGLE, (2 * above + legend + 4) / 72, banners)
    figure.set_layout_engine("none")
    height = figure.bbox.height
    axes = figure.add_axes((0, legend / height, 1, 2 * above / height))
    axes.axis("off")
    axes.set_xlim(-half / radius, half / radius)
    axes.set_ylim(-above / radius, above / radius)
    return figure, axes, radius


def _rings(low: float, top: float) -> list[float]:
    """Where the rings are: at every whole label, or at every fifth of a long scale."""
    if top - low == round(top - low) <= 10:
        return [low + step for step in range(round(top - low) + 1)]
    return [low + (top - low) * step / 5 for step in range(6)]


def _along(value: float, low: float, top: float) -> float:
    return (value - low) / (top - low)


def _point(axis: int, axes: int, radius: float) -> tuple[float, float]:
    """The point on an axis at this radius; axes go clockwise from the top."""
    angle = 2 * math.pi * axis / axes
    return radius * math.sin(angle), radius * math.cos(angle)


def _title(axes: Axes, words: Sequence[str], axis: int, n: int) -> None:
    """Beside the rim; each line is a text of its own, because a page sets it in another font."""
    x, y = _point(axis, n, _RIM)
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


def _polygon(axes: Axes, line: RadarLine, low: float, top: float) -> Line2D:
    """Joins neighbouring axes; an axis without a value leaves a gap, not a corner at 0."""
    n = len(line.values)
    corners = [
        (math.nan, math.nan) if value is None else _point(axis, n, _along(value, low, top))
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
