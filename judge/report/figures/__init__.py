"""The figures of the agreement report, and how a figure is written as SVG, as PDF and in HTML."""

from __future__ import annotations

from judge.analysis.agreement.agreement_records import Agreement
from judge.report.figures.forest import forest
from judge.report.figures.radar import agreement_radar
from judge.report.figures.reliability import confusion, reliability
from judge.report.figures.style import ReportFigure, inline, pdf, svg
from judge.report.figures.systems import systems

__all__ = ["ReportFigure", "figures", "inline", "pdf", "svg"]


def figures(agreement: Agreement) -> list[ReportFigure]:
    """Every figure that has something to show, in the order of the report.

    Only one thread at a time may draw, because matplotlib's settings are those of the process.
    """
    drawn = [
        forest(agreement),
        systems(agreement, "composite"),
        reliability(agreement),
        systems(agreement, "metric"),
        agreement_radar(agreement),
        confusion(agreement),
    ]
    return [figure for figure in drawn if figure is not None]
