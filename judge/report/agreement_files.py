"""The files of an agreement: a page for people, LaTeX for a paper, figures, tables, JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from judge.analysis.agreement import Agreement, Comparisons
from judge.records import write_bytes, write_text
from judge.report.agreement_page import render_agreement
from judge.report.figures import figures, inline, pdf, svg
from judge.report.paper import write_comparison_tables, write_paper

__all__ = ["AgreementFiles", "write_agreement", "write_comparisons"]


class AgreementFiles(NamedTuple):
    """Where the report lies."""

    html: Path
    tex: Path
    json: Path


def write_agreement(agreement: Agreement, folder: Path) -> AgreementFiles:
    """Write `agreement.html`, `.json`, `.tex`, `.bib`, `.md`, `.csv`, `tables/` and `figures/`.

    The same agreement gives the same bytes.

    Raises:
        StoreError: the folder cannot be written.
    """
    drawn = figures(agreement)
    for figure in drawn:
        write_text(folder / "figures" / f"{figure.name}.svg", svg(figure))
        write_bytes(folder / "figures" / f"{figure.name}.pdf", pdf(figure))
    write_paper(agreement, folder, {figure.name: figure.caption for figure in drawn})
    page = render_agreement(agreement, [(one.title, inline(one), one.caption) for one in drawn])
    files = AgreementFiles(
        folder / "agreement.html", folder / "agreement.tex", folder / "agreement.json"
    )
    write_text(files.html, page)
    write_text(files.json, _json(agreement.to_dict()))
    return files


def write_comparisons(comparisons: Comparisons, folder: Path) -> list[Path]:
    """Write the comparison of two judges as `comparison.json`, `.tex`, `.md` and `.csv`.

    Raises:
        StoreError: the folder cannot be written.
    """
    file = folder / "comparison.json"
    write_text(file, _json(comparisons.to_dict()))
    return [file, *write_comparison_tables(comparisons, folder)]


def _json(data: object) -> str:
    return json.dumps(data, ensure_ascii=False, allow_nan=False, indent=1) + "\n"
