"""The radar of a run: one axis per metric, judged systems solid, published means dashed."""

from __future__ import annotations

import math
from collections.abc import Sequence

from judge.analysis import Published, Results, SystemResults
from judge.report.figures.radar import MOST_LINES, Line, draw, spoken, spread
from judge.report.figures.style import Drawn, finish, look, plain

__all__ = ["radar"]


def radar(results: Results) -> Drawn | None:
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


def _published(published: Published, name: str, metrics: Sequence[str], colour: int) -> Line:
    values = tuple(published.mean(name, (metric,)) for metric in metrics)
    return Line(f"{plain(name)}, published", values, dashed=True, colour=colour)


def _sum(published: Published, name: str, metrics: Sequence[str]) -> float:
    return math.fsum(published.means[name].get(metric, 0.0) for metric in metrics)
