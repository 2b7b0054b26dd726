"""The files for a paper: LaTeX to paste or to compile, Markdown, CSV and BibTeX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from judge.analysis.agreement.agreement_records import Agreement
from judge.analysis.agreement.two_judges import Comparisons
from judge.records import write_csv, write_text
from judge.report.agreement_summary import people
from judge.report.format import environment
from judge.report.paper.agreement_csv import agreement_csv
from judge.report.paper.agreement_tables import agreement_tables
from judge.report.paper.comparison import comparison_csv, comparison_methods, comparison_table
from judge.report.paper.latex import FITTED, escape, latex_table
from judge.report.paper.methods import methods
from judge.report.paper.references import Paragraph, bibtex, cited, to_latex, to_markdown
from judge.report.paper.table import PaperTable, banners, escape_markdown, markdown_table, pages

__all__ = ["write_comparison_tables", "write_paper"]


def write_paper(agreement: Agreement, folder: Path, figures: Mapping[str, str]) -> list[Path]:
    """Write `agreement.tex`, `.bib`, `.md`, `.csv`, `agreement-methods.tex` and `tables/*.tex`.

    `agreement.tex` compiles as it is, and every file that it reads can be pasted alone.

    Args:
        folder: where to write; made if it does not exist.
        figures: the caption of each figure by its name; `figures/<name>.pdf` lies in `folder`.

    Returns:
        The files, `agreement.tex` first.

    Raises:
        StoreError: a file cannot be written.
    """
    csv = write_csv(folder / "agreement.csv", agreement_csv(agreement))
    written = _write(
        folder,
        "agreement",
        f"Agreement of {agreement.judge} with {people(agreement)}",
        agreement_tables(agreement),
        methods(agreement),
        banners=banners(agreement),
        notes=agreement.notes,
        figures=figures,
    )
    return [*written, csv]


def write_comparison_tables(
    comparisons: Comparisons, folder: Path, figures: Mapping[str, str] = MappingProxyType({})
) -> list[Path]:
    """Write `comparison.tex`, `.bib`, `.md`, `.csv` and the files that the first one reads.

    Args:
        folder: where to write; made if it does not exist.
        figures: the caption of each figure by its name, as in `write_paper`.

    Raises:
        StoreError: a file cannot be written.
    """
    csv = write_csv(folder / "comparison.csv", comparison_csv(comparisons))
    written = _write(
        folder,
        "comparison",
        f"{comparisons.first} and {comparisons.second} against the same ratings",
        [comparison_table(comparisons)],
        comparison_methods(comparisons),
        banners=banners(comparisons),
        notes=comparisons.notes,
        figures=figures,
    )
    return [*written, csv]


def _write(
    folder: Path,
    name: str,
    title: str,
    tables: Sequence[PaperTable],
    paragraphs: Sequence[Paragraph],
    *,
    banners: Sequence[str],
    notes: Sequence[str] = (),
    figures: Mapping[str, str] = MappingProxyType({}),
) -> list[Path]:
    """All files but the CSV."""
    latex = {f"tables/{page.name}": latex_table(page) for table in tables for page in pages(table)}
    captions = {f"figures/{figure}.pdf": caption for figure, caption in figures.items()}
    main, *further = map(markdown_table, tables)
    markdown = [
        f"# {escape_markdown(title)}\n",
        *(f"**{escape_markdown(banner)}**\n" for banner in banners),
        *(f"{escape_markdown(note)}\n" for note in notes),
        main,
        f"## Methods\n\n{to_markdown(paragraphs)}",
        *(["## Further tables\n", *further] if further else []),
    ]
    document = _document(
        name=name, title=title, tables=list(latex), captions=captions, banners=banners, notes=notes
    )
    return [
        write_text(folder / f"{name}.tex", document),
        write_text(folder / f"{name}-methods.tex", to_latex(paragraphs)),
        *(write_text(folder / f"{file}.tex", table) for file, table in latex.items()),
        write_text(folder / f"{name}.bib", bibtex(cited(paragraphs))),
        write_text(folder / f"{name}.md", "\n".join(markdown)),
    ]


def _document(**context: object) -> str:
    """A whole LaTeX document that reads the other files; `|latex` escapes plain text."""
    templates = environment(
        html=False,
        variable_start_string="<<",
        variable_end_string=">>",
        block_start_string="<%",
        block_end_string="%>",
    )
    templates.filters["latex"] = escape
    return templates.get_template("paper.tex.j2").render(fitted=FITTED, **context)
