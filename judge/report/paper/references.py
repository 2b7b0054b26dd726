"""Paragraphs with citations and formulas, written as LaTeX or Markdown, and what they cite.

The entries that can be cited are in `references.bib`, beside this module.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from importlib.resources import files
from typing import NamedTuple

from judge.report.format import environment
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
    "render_paragraphs",
    "to_latex",
    "to_markdown",
]

_ENTRY = re.compile(r"^@(\w+)\{(\w+),\n(.*?)^\}\n", re.DOTALL | re.MULTILINE)
_FIELD = re.compile(r"^  (\w+) = \{(.*)\},$", re.MULTILINE)
_MARKUP = re.compile(r"\[(?:(@[^\]]+)|\$(\d+))\]")

# What begins markup is hidden in values while the text is taken apart.
_HIDDEN = str.maketrans("[#", "\ue000\ue001")
_SHOWN = str.maketrans("\ue000\ue001", "[#")


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


def render_paragraphs(template: str, **context: object) -> tuple[Paragraph, ...]:
    """Render a template of `templates/` into paragraphs; those without text are left out.

    In the template `# Head` begins a paragraph, `[@key; @other]` cites two entries, and
    `math(tex, plain)` gives a formula. Line breaks are spaces. What looks like markup in a value
    of the context is plain text.
    """
    formulas: list[Formula] = []

    def value(item: object) -> str:
        if isinstance(item, Formula):
            formulas.append(item)
            return f"[${len(formulas) - 1}]"
        return str(item).translate(_HIDDEN)

    templates = environment(html=False, finalize=value)
    text = templates.get_template(template).render(math=Formula, **context)
    paragraphs = []
    for part in re.split(r"^# ", text, flags=re.MULTILINE)[1:]:
        head, _, body = part.partition("\n")
        parts = tuple(_parts(re.sub(r"\s+", " ", body).strip(), formulas))
        if any(parts):
            paragraphs.append(Paragraph(head, parts))
    return tuple(paragraphs)


def _parts(text: str, formulas: Sequence[Formula]) -> Iterator[Part]:
    end = 0
    for markup in _MARKUP.finditer(text):
        yield text[end : markup.start()].translate(_SHOWN)
        keys, number = markup.groups()
        yield Cite(key.strip(" @") for key in keys.split(";")) if keys else formulas[int(number)]
        end = markup.end()
    yield text[end:].translate(_SHOWN)


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
