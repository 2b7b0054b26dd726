"""A figure as bytes: SVG and PDF for a paper, and SVG for inside a page.

The same figure gives the same bytes every time: no dates, no random ids.
"""

from __future__ import annotations

import io
import re
from collections.abc import Collection, Iterator, Mapping
from xml.etree import ElementTree as ET

from markupsafe import Markup

from judge.report.figures.style import PALETTE, Drawn, is_square, look

__all__ = ["inline", "pdf", "svg"]

_NOTHING = {
    "svg": dict.fromkeys(("Date", "Creator", "Format", "Type")),
    "pdf": dict.fromkeys(("CreationDate", "Creator", "Producer")),
}
_VARIABLES = {colour: f"var(--{name})" for name, colour in PALETTE.items()}
_COLOUR = re.compile("|".join(_VARIABLES))
_FONT = re.compile(r"font-family:[^;]*;?\s*")
_LONG = re.compile(r"\d+\.\d{3,}(?![\w-])")
_REM = 0.11
"""Of the page for a point of the figure: its smallest text is then as large as a small print."""


def svg(drawn: Drawn) -> str:
    """A whole SVG file, its letters drawn as paths so that it looks the same everywhere."""
    return _written(drawn, "svg").decode()


def pdf(drawn: Drawn) -> bytes:
    """A PDF of one page with its fonts embedded: TrueType, or where a name is Chinese Type 3.

    Chinese fonts mostly are OpenType with PostScript outlines, which matplotlib cannot embed as
    TrueType: not every program shows such a PDF (github.com/matplotlib/matplotlib/issues/20870).
    """
    texts = drawn.figure.findobj(lambda artist: hasattr(artist, "get_text"))
    square = any(is_square(letter) for text in texts for letter in text.get_text())  # type: ignore[attr-defined]
    return _written(drawn, "pdf", **{"pdf.fonttype": 3 if square else 42})


def _written(drawn: Drawn, kind: str, **settings: object) -> bytes:
    file = io.BytesIO()
    with look(**settings):
        drawn.figure.savefig(file, format=kind, metadata=_NOTHING[kind])
    return file.getvalue()


def inline(drawn: Drawn) -> Markup:
    """An `<svg>` element that takes its colours and its font from the page around it.

    The page has to define the CSS variables `--paper`, `--ink` and so on of `PALETTE`. Text stays
    text, ids begin with the name of the figure.
    """
    # The tree was written by matplotlib a line above, which escapes every text.
    root = ET.fromstring(_written(drawn, "svg", **{"svg.fonttype": "none"}))  # noqa: S314
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]  # HTML knows the namespaces without being told
    for parent in list(root.iter()):
        for child in list(parent):
            # A style would speak to the whole page. Nothing reaches out of its axes to be clipped.
            if child.tag in ("style", "clipPath"):
                parent.remove(child)
    used = {value for e in root.iter() for key, value in e.attrib.items() if key.endswith("href")}
    for element in root.iter():
        element.tail = None
        if element.tag != "text":
            element.text = None
        element.attrib = dict(_adapted(element.attrib, drawn.name, used))
    width = float(root.attrib["viewBox"].split()[2])
    root.attrib = {
        "class": "figure",
        "viewBox": root.attrib["viewBox"],
        "role": "img",
        "aria-labelledby": f"{drawn.name}-title {drawn.name}-desc",
        "style": f"width: 100%; max-width: {width * _REM:.1f}rem; height: auto; "
        "stroke-linejoin: round; stroke-linecap: butt",
    }
    for at, (tag, text) in enumerate((("title", drawn.title), ("desc", drawn.words))):
        element = ET.Element(tag, {"id": f"{drawn.name}-{tag}"})
        element.text = text
        root.insert(at, element)
    return Markup(ET.tostring(root, encoding="unicode"))  # noqa: S704 - serialised, so escaped


def _adapted(
    attributes: Mapping[str, str], prefix: str, used: Collection[str]
) -> Iterator[tuple[str, str]]:
    """The attributes of an element inside a page; only ids that are referred to remain."""
    for name, value in attributes.items():
        key = name.rpartition("}")[2]
        if key == "id":
            if f"#{value}" in used:
                yield key, f"{prefix}-{value}"
        elif key == "href":
            yield key, f"#{prefix}-{value.removeprefix('#')}"
        elif key == "style":
            themed = _COLOUR.sub(lambda found: _VARIABLES[found.group()], _FONT.sub("", value))
            yield key, themed.rstrip("; ")
        elif key != "clip-path":
            yield key, _LONG.sub(lambda found: f"{float(found.group()):.2f}", value)
