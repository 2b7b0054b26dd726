"""The files of a paper: LaTeX to paste or to compile, Markdown, CSV and BibTeX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from judge.analysis.agreement.comparison_record import Comparisons
from judge.analysis.agreement.record import Agreement
from judge.records import write_text
from judge.report.agreement_summary import people
from judge.report.paper.bibliography import bibtex
from judge.report.paper.comparison import comparison_csv, comparison_methods, comparison_table
from judge.report.paper.document import document
from judge.report.paper.latex import latex_table
from judge.report.paper.markdown import escape, markdown_table
from judge.report.paper.methods import methods
from judge.report.paper.prose import Paragraph, cited, to_latex, to_markdown
from judge.report.paper.table import Table, marks, pages
from judge.report.paper.tables import agreement_tables
from judge.report.paper.tidy import agreement_csv

__all__ = ["write_comparison_tables", "write_paper"]


def write_paper(agreement: Agreement, folder: Path, figures: Mapping[str, str]) -> list[Path]:
    """Write `agreement.tex`, `.bib`, `.md`, `.csv`, `agreement-methods.tex` and `tables/*.tex`.

    `agreement.tex` compiles as it is; every file it reads can be pasted alone.

    Args:
        agreement: what is reported.
        folder: where to; made if need be.
        figures: name -> caption of the pictures `figures/<name>.pdf` in the same folder.

    Returns:
        The files, `agreement.tex` first.

    Raises:
        StoreError: a file cannot be written.
    """
    csv = write_text(folder / "agreement.csv", agreement_csv(agreement))
    title = f"Agreement of {agreement.judge} with {people(agreement)}"
    tables, words = agreement_tables(agreement), methods(agreement)
    files = _write(
        folder, "agreement", title, marks(agreement), agreement.notes, tables, words, figures
    )
    return [*files, csv]


def write_comparison_tables(comparisons: Comparisons, folder: Path) -> list[Path]:
    """Write `comparison.tex`, `.bib`, `.md`, `.csv` and the files that the first one reads.

    Raises:
        StoreError: a file cannot be written.
    """
    csv = write_text(folder / "comparison.csv", comparison_csv(comparisons))
    title = f"{comparisons.first} and {comparisons.second} against the same ratings"
    table, words = comparison_table(comparisons), comparison_methods(comparisons)
    return [*_write(folder, "comparison", title, table.marks, (), [table], words), csv]


def _write(
    folder: Path,
    name: str,
    title: str,
    first: Sequence[str],
    notes: Sequence[str],
    tables: Sequence[Table],
    words: Sequence[Paragraph],
    figures: Mapping[str, str] = MappingProxyType({}),
) -> list[Path]:
    drawn = {f"tables/{part.name}": latex_table(part) for whole in tables for part in pages(whole)}
    whole = document(
        title,
        first,
        notes,
        f"{name}-methods",
        list(drawn),
        {f"figures/{figure}.pdf": caption for figure, caption in figures.items()},
        bib=name,
    )
    main, *rest = map(markdown_table, tables)
    text = [
        f"# {escape(title)}\n",
        *(f"**{escape(mark)}**\n" for mark in first),
        *(f"{escape(note)}\n" for note in notes),
        main,
        f"## Methods\n\n{to_markdown(words)}",
        *(["## Further tables\n", *rest] if rest else []),
    ]
    return [
        write_text(folder / f"{name}.tex", whole),
        write_text(folder / f"{name}-methods.tex", to_latex(words)),
        *(write_text(folder / f"{file}.tex", table) for file, table in drawn.items()),
        write_text(folder / f"{name}.bib", bibtex(cited(words))),
        write_text(folder / f"{name}.md", "\n".join(text)),
    ]
