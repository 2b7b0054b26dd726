"""Prose with citations and formulas in it, for TeX and for plain text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from judge.report.paper import latex, markdown
from judge.report.paper.bibliography import REFERENCES

__all__ = ["Cite", "Formula", "Paragraph", "Part", "cited", "to_latex", "to_markdown"]


class Cite(tuple[str, ...]):
    """A citation of these keys."""

    __slots__ = ()


class Formula(NamedTuple):
    """Mathematics, for TeX and for plain text."""

    tex: str
    plain: str


Part = str | Cite | Formula


class Paragraph(NamedTuple):
    """A paragraph with its head; plain texts, citations and formulas in turn."""

    head: str
    parts: tuple[Part, ...]


def cited(paragraphs: Sequence[Paragraph]) -> tuple[str, ...]:
    """Keys in the order in which they are first cited."""
    parts = (part for paragraph in paragraphs for part in paragraph.parts)
    return tuple(dict.fromkeys(key for part in parts if isinstance(part, Cite) for key in part))


def to_latex(paragraphs: Sequence[Paragraph]) -> str:
    r"""Paragraphs with run-in heads and `\citep`."""
    text = "\n\n".join(
        f"\\paragraph{{{latex.escape(head)}}}\n{''.join(map(_latex, parts))}"
        for head, parts in paragraphs
    )
    return f"{latex.CJK_FALLBACK}\n{text}\n" if r"\judgecjk" in text else f"{text}\n"


def _latex(part: Part) -> str:
    if isinstance(part, Cite):
        return rf"\citep{{{','.join(part)}}}"
    return f"${part.tex}$" if isinstance(part, Formula) else latex.escape(part)


def to_markdown(paragraphs: Sequence[Paragraph]) -> str:
    """Paragraphs with run-in heads and authors with years in brackets."""
    text = (f"**{head}.** {''.join(map(_markdown, parts))}\n" for head, parts in paragraphs)
    return "\n".join(text)


def _markdown(part: Part) -> str:
    if isinstance(part, Cite):
        return f"({'; '.join(REFERENCES[key].short for key in part)})"
    return markdown.escape(part.plain if isinstance(part, Formula) else part)
