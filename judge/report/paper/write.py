"""The files of a paper: LaTeX to paste or to compile, Markdown, CSV and BibTeX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from judge.analysis.agreement.agreement_records import Agreement
from judge.analysis.agreement.two_judges import Comparisons
from judge.records import write_text
from judge.report.agreement_summary import people
from judge.report.paper.agreement_csv import agreement_csv
from judge.report.paper.agreement_tables import agreement_tables
from judge.report.paper.comparison import comparison_csv, comparison_methods, comparison_table
from judge.report.paper.latex import FITTED, escape, latex_table
from judge.report.paper.methods import methods
from judge.report.paper.references import Paragraph, bibtex, cited, to_latex, to_markdown
from judge.report.paper.table import Table, escape_markdown, markdown_table, marks, pages

__all__ = ["document", "write_comparison_tables", "write_paper"]


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
        f"# {escape_markdown(title)}\n",
        *(f"**{escape_markdown(mark)}**\n" for mark in first),
        *(f"{escape_markdown(note)}\n" for note in notes),
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


_PREAMBLE = r"""% Compile with: pdflatex agreement && bibtex agreement && pdflatex agreement (twice)
\documentclass[10pt,a4paper]{article}
\usepackage[margin=2.5cm]{geometry}
\usepackage{booktabs,siunitx,graphicx,caption}
\usepackage[round]{natbib}
\usepackage{url}
\captionsetup{font=small,labelfont=bf}
% Chinese is set with CJKutf8 and its font gbsn where they are installed, and as code points
% where not.
\IfFileExists{c70gbsn.fd}{\usepackage{CJKutf8}}{}
\DeclareRobustCommand{\judgecjk}[2]{%
  \ifdefined\CJKfamily\begin{CJK*}{UTF8}{gbsn}#1\end{CJK*}\else#2\fi}
\renewcommand{\topfraction}{.95}
\renewcommand{\floatpagefraction}{.8}
\setcounter{topnumber}{4}
\setcounter{totalnumber}{6}
\setcounter{dbltopnumber}{4}
\makeatletter
\setlength{\@fptop}{0pt}
\setlength{\@fpsep}{18pt}
\setlength{\@fpbot}{0pt plus 1fil}
\makeatother
\emergencystretch=2em
"""


def document(
    title: str,
    marks: Sequence[str],
    notes: Sequence[str],
    main: str,
    tables: Sequence[str],
    figures: Mapping[str, str],
    *,
    bib: str,
) -> str:
    """LaTeX that puts the files together.

    Args:
        title: plain text.
        marks: what has to be said first.
        notes: what has to be said as well.
        main: the file of the methods.
        tables: files, without suffix.
        figures: files of pictures, each with its caption in plain text, which says itself
            what has to be said first.
        bib: the file of the references, without suffix.
    """
    warning = "".join(rf"\textbf{{{escape(mark)}}}\par " for mark in marks)
    inputs = "\n".join(rf"\input{{{table}}}" for table in tables)
    floats = "\n".join(_figure(file, caption) for file, caption in figures.items())
    return "\n".join(
        [
            f"{_PREAMBLE}\\title{{{escape(title)}}}",
            r"\author{}",
            r"\date{}",
            r"\begin{document}",
            r"\maketitle",
            *([rf"\begin{{center}}\large {warning}\end{{center}}"] if warning else []),
            *(rf"\noindent {escape(note)}\par" for note in notes),
            r"\section{Methods}",
            rf"\input{{{main}}}",
            r"\bibliographystyle{plainnat}",
            rf"\bibliography{{{bib}}}",
            r"\clearpage",
            r"\section{Tables}",
            inputs,
            *([r"\clearpage", r"\section{Figures}", floats] if figures else []),
            r"\end{document}",
            "",
        ]
    )


def _figure(file: str, caption: str) -> str:
    return "\n".join(
        [
            r"\begin{figure*}[!htbp]",
            r"  \centering",
            rf"  {FITTED}{{\includegraphics{{{file}}}}}",
            rf"  \caption{{{escape(caption)}}}",
            r"\end{figure*}",
        ]
    )
