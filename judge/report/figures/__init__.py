"""The figures of the reports, and how a figure is written as SVG, as PDF and in HTML."""

from __future__ import annotations

from pathlib import Path

from judge.analysis.agreement.agreement_records import Agreement
from judge.records import write_bytes, write_text
from judge.report.figures.forest import forest
from judge.report.figures.reliability import confusion, reliability
from judge.report.figures.style import ReportFigure, inline, pdf, svg
from judge.report.figures.systems import systems

__all__ = ["ReportFigure", "figures", "inline", "pdf", "svg", "write_figure"]


def figures(agreement: Agreement) -> list[ReportFigure]:
    """Every figure of an agreement that has something to show, in the order of the report.

    Only one thread at a time may draw, because matplotlib's settings are those of the process.
    """
    drawn = [
        forest(agreement),
        systems(agreement, "composite"),
        reliability(agreement),
        systems(agreement, "metric"),
        confusion(agreement),
    ]
    return [figure for figure in drawn if figure is not None]


def write_figure(figure: ReportFigure, folder: Path) -> list[Path]:
    """Write it into `figures/` of the folder of a report, as SVG and as PDF; return both paths.

    Raises:
        StoreError: the folder cannot be written.
    """
    name = folder / "figures" / figure.name
    return [
        write_text(name.with_suffix(".svg"), svg(figure)),
        write_bytes(name.with_suffix(".pdf"), pdf(figure)),
    ]
