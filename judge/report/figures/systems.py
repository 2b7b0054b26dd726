"""Each system's mean by the judge and by people, for each measure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from judge.analysis.agreement import Agreement
from judge.analysis.agreement.record import MeasureAgreement, SystemPoint
from judge.report.figures.labels import place
from judge.report.figures.style import (
    LINE,
    PALETTE,
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

__all__ = ["systems"]

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
