"""A whole document to compile and to read, from which an author pastes what is wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from judge.report.paper.latex import FITTED, escape

__all__ = ["document"]

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
