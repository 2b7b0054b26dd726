"""A dot plot: the mean of every system with its interval, a panel for each measure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from judge.analysis.breakdown import Breakdown, MeanOf
from judge.analysis.ranking import HUMAN
from judge.analysis.results import Results
from judge.report.figures.style import (
    DOUBLE,
    PALETTE,
    SINGLE,
    ReportFigure,
    drawable,
    finish,
    look,
    sheet,
)
from judge.report.format import english_title, fixed, level

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["DotPanel", "dot_plot", "systems_plot"]

_ROW = 0.17
"""The height in inches of the row of a system."""


class DotPanel(NamedTuple):
    """One measure: its title, and the mean of each system of the plot; None where it has none."""

    title: str
    means: Sequence[MeanOf | None]


def systems_plot(
    results: Results, breakdown: Breakdown, *, narrow: bool = False
) -> ReportFigure | None:
    """The overall score and the dimensions of at least two systems; None for a single one."""
    systems = [system.system for system in results.systems]
    if len(systems) < 2:
        return None
    low, high = breakdown.scale
    which = "Calibrated means on the human" if breakdown.human_scale else "Mean raw scores on the"
    caption = (
        f"{which} scale from {low:g} to {high:g}, of which the axis shows the part where the "
        f"systems are. Bars: {level(breakdown.confidence)} intervals"
    )
    if breakdown.human_scale:
        caption += "; a system that the calibration was fitted to has none"
    caption += ". Diamond and dashed line: the human fans." if HUMAN in systems else "."
    return dot_plot(
        systems,
        [
            DotPanel(english_title(name, results.titles[name]), [means.get(s) for s in systems])
            for name, means in breakdown.measures.items()
        ],
        marked=HUMAN,
        title="Means of the systems",
        caption=caption,
        scale=breakdown.scale,
        narrow=narrow,
    )


def dot_plot(
    systems: Sequence[str],
    panels: Sequence[DotPanel],
    *,
    marked: str,
    title: str,
    caption: str,
    scale: tuple[float, float],
    narrow: bool = False,
) -> ReportFigure:
    """One row for each system, from the top, and one panel for each measure.

    Args:
        systems: their names, in the order of the rows.
        panels: at least one; all have the same axis.
        marked: the system whose row is shaded, and whose means are drawn as upright lines.
        scale: its lowest and highest possible value; the axis does not go beyond.
        narrow: whether the panels stand below each other, for a column of a paper or a phone.
    """
    with look():
        height = _ROW * len(systems) + 0.5
        figure = sheet(SINGLE if narrow else DOUBLE, height * (len(panels) if narrow else 1))
        rows, columns = (len(panels), 1) if narrow else (1, len(panels))
        every = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for axes, panel in zip(every, panels, strict=True):
            _panel(axes, panel, systems, marked)
        first = every[0]
        first.set_yticks(range(len(systems)), [drawable(name) for name in systems])
        first.set_ylim(len(systems) - 0.4, -0.6)
        first.set_xlim(*_ends(panels, scale))
        first.locator_params(axis="x", nbins=5, steps=(1, 2, 5, 10))
        return finish(
            figure,
            name="dots-narrow" if narrow else "dots",
            title=title,
            caption=caption,
            words=[_sentence(panel, systems) for panel in panels],
        )


def _panel(axes: Axes, panel: DotPanel, systems: Sequence[str], marked: str) -> None:
    axes.set_title(panel.title)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelbottom=True)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    for row, (system, found) in enumerate(zip(systems, panel.means, strict=True)):
        human = system == marked
        colour = PALETTE["c1" if human else "c0"]
        if human:
            axes.axhspan(row - 0.5, row + 0.5, color=PALETTE["faint"], lw=0, zorder=0)
        if found is None or found.mean is None:
            continue
        if human:
            axes.axvline(found.mean, color=colour, lw=0.7, ls=(0, (2, 2)), zorder=1)
        if found.lower is not None and found.upper is not None:
            axes.hlines(row, found.lower, found.upper, color=colour, lw=1.4)
        axes.plot([found.mean], [row], ls="", marker="D" if human else "o", ms=4, color=colour)


def _ends(panels: Sequence[DotPanel], scale: tuple[float, float]) -> tuple[float, float]:
    """From a little below the lowest value that is drawn to a little above the highest."""
    values = [
        end
        for panel in panels
        for found in panel.means
        if found is not None
        for end in (found.mean, found.lower, found.upper)
        if end is not None
    ]
    low, high = min(values, default=scale[0]), max(values, default=scale[1])
    room = max(0.04 * (high - low), 0.02 * (scale[1] - scale[0]))
    return max(scale[0], low - room), min(scale[1], high + room)


def _sentence(panel: DotPanel, systems: Sequence[str]) -> str:
    told = ", ".join(
        f"{drawable(system)} {_told(found)}"
        for system, found in zip(systems, panel.means, strict=True)
        if found is not None and found.mean is not None
    )
    return f"{panel.title}: {told}."


def _told(found: MeanOf) -> str:
    if found.lower is None or found.upper is None:
        return fixed(found.mean)
    return f"{fixed(found.mean)} ({fixed(found.lower)} to {fixed(found.upper)})"
