"""The figures of the agreement report, each drawn once and given out as SVG, PDF and HTML."""

from __future__ import annotations

from judge.analysis.agreement import Agreement
from judge.report.figures.forest import forest
from judge.report.figures.radar import radar
from judge.report.figures.reliability import confusion, reliability
from judge.report.figures.style import Drawn, inline, pdf, svg
from judge.report.figures.systems import systems

__all__ = ["Drawn", "figures", "inline", "pdf", "svg"]


def figures(agreement: Agreement) -> list[Drawn]:
    """Every figure that has something to show, in the order in which they are read.

    Not for several threads at once: matplotlib's settings are those of the process.
    """
    drawn = [
        forest(agreement),
        reliability(agreement),
        systems(agreement, "composite"),
        systems(agreement, "metric"),
        radar(agreement),
        confusion(agreement),
    ]
    return [one for one in drawn if one is not None]
