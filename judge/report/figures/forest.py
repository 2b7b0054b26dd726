"""The Spearman correlation of every measure with people: of a judge, or of two side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from judge.analysis.agreement.agreement_records import Agreement, Level, MeasureAgreement
from judge.analysis.agreement.two_judges import ComparedLevel, ComparedMeasure, Comparisons
from judge.report.agreement_shape import (
    LEVEL_TITLES,
    defined_sentinels,
    jackknife,
    shown_levels,
    unit,
)
from judge.report.agreement_summary import people, rho_and_interval
from judge.report.figures.style import (
    DOUBLE,
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
)
from judge.report.format import fixed, level, p_value, signed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

__all__ = ["forest", "two_forests"]


class _Mark(NamedTuple):
    """How a level is drawn: `rise` is how far above the middle of a row, in rows."""

    level: Level
    name: str
    colour: str
    shape: str
    rise: float


_MARKS = (
    _Mark("all", "over all", PALETTE["c0"], "o", 0.18),
    _Mark("within_item", "within item", PALETTE["c1"], "D", -0.18),
)


def forest(agreement: Agreement) -> ReportFigure | None:
    """One row for each measure, with its intervals, ceiling and best sentinels."""
    marks = [mark for mark in _MARKS if mark.level in shown_levels(agreement)]
    if not marks:
        return None
    titles, rows, banners = short_titles(agreement.titles), _rows(agreement), banners_of(agreement)
    with look():
        figure = sheet(SINGLE, 1.1 - 0.25 * min(rows.values()), banners)
        axes = figure.subplots()
        for measure in agreement.measures:
            if measure.kind != "metric":
                y = rows[measure.name]
                axes.axhspan(y - 0.5, y + 0.5, color=PALETTE["faint"], lw=0, zorder=0)
        axes.axvline(0, color=PALETTE["soft"], lw=0.6)
        drawn = [_level(axes, agreement, rows, mark) for mark in marks]
        handles = [line for points, _ in drawn for line in points]
        handles += next((crosses for _, crosses in drawn if crosses), [])
        handles += _ceilings(axes, agreement, rows)
        _undefined(axes, agreement, rows, marks)
        axes.set_yticks(list(rows.values()), [titles[name] for name in rows])
        for label, measure in zip(axes.get_yticklabels(), agreement.measures, strict=True):
            label.set_fontweight("normal" if measure.kind == "metric" else "bold")
        axes.set_ylim(min(rows.values()) - 0.6, max(rows.values()) + 0.6)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x")
        axes.set_xlabel("Spearman’s ρ with human ratings")
        names = [str(handle.get_label()) for handle in handles]
        figure.legend(handles, names, loc="outside lower center", ncols=2)
        return finish(
            figure,
            name="forest",
            title="Rank correlation of judge and people",
            caption=_caption(agreement, marks),
            words=[_sentence(measure, titles, marks) for measure in agreement.measures],
            banners=banners,
        )


def _rows(agreement: Agreement) -> dict[str, float]:
    """Where each measure stands, downwards from 0, with a gap where the dimension changes."""
    group = {m: name for name, metrics in agreement.groups.items() for m in (*metrics, name)}
    rows: dict[str, float] = {}
    y, before = 1.0, None
    for measure in agreement.measures:
        own = group.get(measure.name)
        y -= 1.0 if before is None or own == before[0] else 1.4
        rows[measure.name] = y
        before = (own,)
    return rows


def _level(
    axes: Axes, agreement: Agreement, rows: dict[str, float], mark: _Mark
) -> tuple[list[Line2D], list[Line2D]]:
    """Draw the estimates of a level and its best sentinels; return both for the legend."""
    points, crosses = [], []
    for measure in agreement.measures:
        y, rho = rows[measure.name] + mark.rise, measure.spearman[mark.level]
        interval, best = rho.interval, _best(measure, mark.level)
        if rho.value is not None:
            points.append((rho.value, y))
            if interval is not None and interval.lower is not None and interval.upper is not None:
                thick = 0.9 if measure.kind == "metric" else 1.6
                axes.hlines(y, interval.lower, interval.upper, color=mark.colour, lw=thick)
        if best is not None:
            crosses.append((best, y))
    size = 4.2 if mark.shape == "o" else 3.6
    dots = _dots(axes, points, mark.shape, color=mark.colour, ms=size, label=mark.name)
    grey = PALETTE["soft"]
    return dots, _dots(axes, crosses, "x", color=grey, ms=3.4, mew=0.9, label="best sentinel")


def _best(measure: MeasureAgreement, at: Level) -> float | None:
    """The highest correlation of a sentinel at a level."""
    values = [sentinel.levels[at].value for sentinel in measure.sentinels]
    return max((value for value in values if value is not None), default=None)


def _ceilings(axes: Axes, agreement: Agreement, rows: dict[str, float]) -> list[Line2D]:
    known = [(m.ceiling.spearman.value, rows[m.name]) for m in agreement.measures]
    ticks = [(value, y) for value, y in known if value is not None]
    ink = PALETTE["ink"]
    return _dots(axes, ticks, "|", color=ink, ms=9, mew=1.3, label="ceiling")


def _dots(
    axes: Axes, points: list[tuple[float, float]], shape: str, **settings: Any
) -> list[Line2D]:
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return axes.plot(xs, ys, ls="", marker=shape, **settings) if points else []


def _undefined(
    axes: Axes, agreement: Agreement, rows: dict[str, float], marks: Sequence[_Mark]
) -> None:
    """An undefined correlation is named at the side, not drawn at 0."""
    for measure in agreement.measures:
        for mark in marks:
            if measure.spearman[mark.level].value is None:
                axes.text(
                    1.02,
                    rows[measure.name] + mark.rise,
                    "undefined",
                    transform=axes.get_yaxis_transform(),
                    va="center",
                    size=SMALL,
                    color=mark.colour,
                )


def _caption(agreement: Agreement, marks: Sequence[_Mark]) -> str:
    levels = {
        "all": f"over all {unit(agreement)}s",
        "within_item": f"within item (one {agreement.item}: the mean over items of ρ over systems)",
    }
    how = " and ".join(levels[mark.level] for mark in marks)
    parts = [f"Spearman’s ρ between the judge’s score and the mean human rating, {how}."]
    if agreement.resamples:
        parts.append(
            f"Bars: {level(agreement.confidence)} intervals of the {jackknife(agreement)}."
        )
    if any(m.ceiling.spearman.value is not None for m in agreement.measures):
        parts.append(
            "Upright tick: the ρ with the mean of all raters but one that can be expected of a "
            "judge who knows the truth."
        )
    names = list(dict.fromkeys(s.name for m in agreement.measures for s in defined_sentinels(m)))
    if names:
        parts.append(
            f"Cross: at the same level, the best of scores that read nothing ({', '.join(names)})."
        )
    titles = short_titles(agreement.titles)
    for measure in agreement.measures:
        for mark in marks:
            rho = measure.spearman[mark.level]
            if rho.value is None:
                why = f"{titles[measure.name]}, {mark.name}: undefined"
                parts.append(f"{why} ({rho.reason})." if rho.reason else f"{why}.")
    return " ".join(parts)


def _sentence(measure: MeasureAgreement, titles: dict[str, str], marks: Sequence[_Mark]) -> str:
    rhos = [(mark.name, measure.spearman[mark.level]) for mark in marks]
    parts = [f"{name} {rho_and_interval(rho.value, rho.interval)}" for name, rho in rhos]
    if measure.ceiling.spearman.value is not None:
        parts.append(f"ceiling {fixed(measure.ceiling.spearman.value)}")
    return f"{titles[measure.name]}: {', '.join(parts)}."


_SIDES = (("c0", "o", 4.2, 0.17), ("c1", "D", 3.6, -0.17))
"""Colour, shape, size and rise, in rows, of either judge."""


def two_forests(comparisons: Comparisons, levels: Sequence[ComparedLevel]) -> ReportFigure | None:
    """A panel for each level: both judges with their intervals, the difference, its adjusted p."""
    rows = {(row.name, row.level): row for row in comparisons.rows}
    measures = list({row.name: row for row in comparisons.rows}.values())
    drawn: list[ComparedLevel] = [at for at in levels if at != "systems"]
    drawn = drawn or list(levels)
    if not drawn:
        return None
    titles, banners = short_titles({m.name: m.title for m in measures}), banners_of(comparisons)
    with look():
        height = 0.75 + 0.25 * len(measures)
        figure = sheet(SINGLE * 1.2 if len(drawn) == 1 else DOUBLE, height, banners)
        every = figure.subplots(1, len(drawn), sharex=True, sharey=True, squeeze=False).ravel()
        for axes, at in zip(every, drawn, strict=True):
            axes.set_title(LEVEL_TITLES[at])
            axes.axvline(0, color=PALETTE["soft"], lw=0.6)
            for y, measure in enumerate(measures):
                if measure.kind != "metric":
                    axes.axhspan(y - 0.5, y + 0.5, color=PALETTE["faint"], lw=0, zorder=0)
                _both(axes, y, rows.get((measure.name, at)))
            axes.tick_params(axis="y", length=0)
            axes.spines["left"].set_visible(False)
            axes.grid(axis="x")
            axes.set_xlabel("Spearman’s ρ")
        every[0].set_yticks(range(len(measures)), [titles[m.name] for m in measures])
        every[0].set_ylim(len(measures) - 0.4, -0.6)
        for label, measure in zip(every[0].get_yticklabels(), measures, strict=True):
            label.set_fontweight("normal" if measure.kind == "metric" else "bold")
        names = (comparisons.first, comparisons.second)
        handles = [
            every[0].plot([], [], ls="", marker=shape, ms=size, color=PALETTE[colour], label=label)
            for (colour, shape, size, _), name in zip(_SIDES, names, strict=True)
            for label in [drawable(name)]
        ]
        figure.legend(
            handles=[h for one in handles for h in one], loc="outside lower center", ncols=2
        )
        return finish(
            figure,
            name="two-judges",
            title=f"Rank correlation of either judge with {people(comparisons)}",
            caption=_caption_of_two(comparisons),
            words=[_sentence_of_two(row, titles) for row in rows.values() if row.level in drawn],
            banners=banners,
        )


def _both(axes: Axes, y: int, row: ComparedMeasure | None) -> None:
    if row is None:
        return
    sides = ((row.first, row.first_interval), (row.second, row.second_interval))
    for (rho, ends), (colour, shape, size, rise) in zip(sides, _SIDES, strict=True):
        if rho is None:
            continue
        if ends is not None and ends.lower is not None and ends.upper is not None:
            axes.hlines(y - rise, ends.lower, ends.upper, color=PALETTE[colour], lw=1)
        axes.plot([rho], [y - rise], ls="", marker=shape, ms=size, color=PALETTE[colour])
    axes.text(
        1.02,
        y,
        _told(row),
        transform=axes.get_yaxis_transform(),
        va="center",
        size=SMALL,
        color=PALETTE["ink" if row.shown else "soft"],
        fontweight="bold" if row.shown else "normal",
    )


def _told(row: ComparedMeasure) -> str:
    """The difference and its adjusted p."""
    if row.difference is None:
        return "undefined"
    if row.adjusted is None:
        return signed(row.difference)
    return f"{signed(row.difference)}, p {p_value(row.adjusted)}"


def _caption_of_two(comparisons: Comparisons) -> str:
    what = f"the mean rating of {unit(comparisons)}s that both have judged"
    parts = [f"Spearman’s ρ between the score of either judge and {what}."]
    if any(row.level == "within_item" and row.first is not None for row in comparisons.rows):
        parts.append("Within item: the mean over items of ρ over systems.")
    if comparisons.resamples:
        parts.append(
            f"Bars: {level(comparisons.confidence)} intervals of the {jackknife(comparisons)}, of "
            "each judge alone: the bars of two judges that differ may overlap, since both judged "
            "the same."
        )
    parts.append(
        f"At the right: {drawable(comparisons.first)} less {drawable(comparisons.second)}, and the "
        "adjusted p of the difference; bold where it is below .05."
    )
    return " ".join(parts)


def _sentence_of_two(row: ComparedMeasure, titles: dict[str, str]) -> str:
    first = rho_and_interval(row.first, row.first_interval)
    second = rho_and_interval(row.second, row.second_interval)
    where = LEVEL_TITLES[row.level].lower()
    return f"{titles[row.name]}, {where}: {first} and {second}; {_told(row)}."
