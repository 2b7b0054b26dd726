"""Two judges beside each other: the Spearman correlation of every measure, and what p says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from judge.analysis.agreement.two_judges import ComparedLevel, ComparedMeasure, Comparisons
from judge.report.agreement_shape import LEVEL_TITLES, bootstrap, unit
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
from judge.report.format import count, level, p_value, signed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["two_forests"]

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
                _row(axes, y, rows.get((measure.name, at)))
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
            caption=_caption(comparisons),
            words=[_sentence(row, titles) for row in rows.values() if row.level in drawn],
            banners=banners,
        )


def _row(axes: Axes, y: int, row: ComparedMeasure | None) -> None:
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


def _caption(comparisons: Comparisons) -> str:
    what = f"the mean rating of {unit(comparisons)}s that both have judged"
    parts = [f"Spearman’s ρ between the score of either judge and {what}."]
    if any(row.level == "within_item" and row.first is not None for row in comparisons.rows):
        parts.append("Within item: the mean over items of ρ over systems.")
    if comparisons.resamples:
        parts.append(
            f"Bars: {level(comparisons.confidence)} intervals of the {bootstrap(comparisons)}, "
            f"B = {count(comparisons.resamples)}, of each judge alone: the bars of two judges that "
            "differ may overlap, since both judged the same."
        )
    parts.append(
        f"At the right: {drawable(comparisons.first)} less {drawable(comparisons.second)}, and the "
        "adjusted p of the difference; bold where it is below .05."
    )
    return " ".join(parts)


def _sentence(row: ComparedMeasure, titles: dict[str, str]) -> str:
    first = rho_and_interval(row.first, row.first_interval)
    second = rho_and_interval(row.second, row.second_interval)
    where = LEVEL_TITLES[row.level].lower()
    return f"{titles[row.name]}, {where}: {first} and {second}; {_told(row)}."
