"""Paragraphs with citations and formulas, written as LaTeX or Markdown, and what they cite.

The entries that can be cited are in `references.bib`, beside this module.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from importlib.resources import files
from typing import NamedTuple

from judge.report.paper import latex
from judge.report.paper.table import escape_markdown

__all__ = [
    "REFERENCES",
    "Cite",
    "Formula",
    "Paragraph",
    "Part",
    "Reference",
    "bibtex",
    "cited",
    "prose",
    "to_latex",
    "to_markdown",
]

_ENTRY = re.compile(r"^@(\w+)\{(\w+),\n(.*?)^\}\n", re.DOTALL | re.MULTILINE)
_FIELD = re.compile(r"^  (\w+) = \{(.*)\},$", re.MULTILINE)
_MARKUP = re.compile(r"\[(@[^\]]+)\]|\{(\w+)\}")


class Reference(NamedTuple):
    """An entry of the bibliography: its BibTeX source, its kind and its fields."""

    source: str
    kind: str
    fields: dict[str, str]

    @property
    def short(self) -> str:
        """`Bonett and Wright, 2000` or `Deutsch et al., 2023`: how plain text cites it."""
        names = [author.partition(",")[0] for author in self.fields["author"].split(" and ")]
        authors = f"{names[0]} et al." if len(names) > 2 else " and ".join(names)
        return f"{authors}, {self.fields['year']}"


def _entries() -> Iterator[tuple[str, Reference]]:
    text = (files("judge.report.paper") / "references.bib").read_text("utf-8")
    for entry in _ENTRY.finditer(text):
        kind, key, fields = entry.groups()
        yield key, Reference(entry.group(), kind, dict(_FIELD.findall(fields)))


REFERENCES: dict[str, Reference] = dict(_entries())


def bibtex(keys: Iterable[str]) -> str:
    """The BibTeX entries of these keys, each once, in alphabetical order."""
    return "\n".join(REFERENCES[key].source for key in sorted(set(keys)))


class Cite(tuple[str, ...]):
    """A citation of the entries with these keys."""

    __slots__ = ()


class Formula(NamedTuple):
    """A formula, as LaTeX and as plain text."""

    tex: str
    plain: str


Part = str | Cite | Formula


class Paragraph(NamedTuple):
    """A paragraph and the heading at its start; its parts are joined without spaces."""

    head: str
    parts: tuple[Part, ...]


def prose(text: str, **values: str | Formula) -> Iterator[Part]:
    """Split a text into plain parts, citations and formulas.

    Args:
        text: `[@key; @other]` cites two entries, as in Pandoc's Markdown, and `{name}` stands for
            the value of that name.
        values: put in as they are; what looks like markup in a value is not markup.
    """
    end = 0
    for markup in _MARKUP.finditer(text):
        yield text[end : markup.start()]
        keys, name = markup.groups()
        yield values[name] if name else Cite(key.strip(" @") for key in keys.split(";"))
        end = markup.end()
    yield text[end:]


def cited(paragraphs: Sequence[Paragraph]) -> tuple[str, ...]:
    """The keys that are cited, in the order in which they first are."""
    parts = (part for paragraph in paragraphs for part in paragraph.parts)
    return tuple(dict.fromkeys(key for part in parts if isinstance(part, Cite) for key in part))


def to_latex(paragraphs: Sequence[Paragraph]) -> str:
    r"""Each paragraph as `\paragraph`, citations as `\citep`."""
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
    """Each paragraph with a bold heading, citations as authors and years in brackets."""
    text = (f"**{head}.** {''.join(map(_markdown, parts))}\n" for head, parts in paragraphs)
    return "\n".join(text)


def _markdown(part: Part) -> str:
    if isinstance(part, Cite):
        return f"({'; '.join(REFERENCES[key].short for key in part)})"
    return escape_markdown(part.plain if isinstance(part, Formula) else part)
