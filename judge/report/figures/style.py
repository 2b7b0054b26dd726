"""How every figure looks, and how it is written: as SVG, as PDF, and as SVG inside a page.

The same figure gives the same bytes every time: no dates, no random ids.
"""

from __future__ import annotations

import functools
import io
import itertools
import re
import textwrap
import unicodedata
import warnings
from bisect import bisect
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from markupsafe import Markup

from judge.analysis.agreement.agreement_records import Agreement
from judge.analysis.agreement.two_judges import Comparisons
from judge.report.agreement_summary import warnings_of
from judge.report.format import short_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "DOUBLE",
    "LINE",
    "PALETTE",
    "SINGLE",
    "SMALL",
    "ReportFigure",
    "banners_of",
    "drawable",
    "finish",
    "inline",
    "is_square",
    "lay_out",
    "look",
    "panels",
    "pdf",
    "sheet",
    "short_titles",
    "subtitle",
    "svg",
    "text_width",
]


def _light_theme() -> dict[str, str]:
    css = (files("judge.report") / "templates" / "style.css.j2").read_text("utf-8")
    return dict(re.findall(r"--(\w+): (#\w{6})", css.partition("@media")[0]))


PALETTE = _light_theme()
"""The colours of the pages' light theme by the names of its CSS variables.

Those of systems are Okabe and Ito's, darkened where they would be too faint on white.
"""

SINGLE = 3.3
DOUBLE = 6.9
"""Widths in inches of a figure in one column of a paper and across both columns."""

SMALL = 7.0
"""The size in points of the smallest text."""

LINE = 11 / 72
"""The least height in inches of a line of text."""

_STYLE = Path(__file__).with_name("look.mplstyle")
_CHINESE = (
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "Microsoft YaHei",
    "PingFang SC",
    "Hiragino Sans GB",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "SimHei",
    "Arial Unicode MS",
)
_LONGEST = 28
"""Where names are cut, in columns: a Latin letter takes one, a Chinese letter two."""


@dataclass(frozen=True, slots=True, eq=False)
class ReportFigure:
    """A figure with its texts.

    Attributes:
        name: of its files, without a suffix.
        title, caption: plain text.
        words: its numbers in sentences, for readers who cannot see it.
        figure: its layout is final; pyplot does not know it.
    """

    name: str
    title: str
    caption: str
    words: str
    figure: Figure


@contextmanager
def look(**more: Any) -> Iterator[None]:
    """Set matplotlib up to make or write a figure, whatever the user's matplotlibrc says.

    Only one thread at a time may use it, because matplotlib's settings are those of the process.
    """
    from matplotlib import style  # noqa: PLC0415 - half a second, needed for reports only

    settings = {"font.family": _fonts(), **more}
    with warnings.catch_warnings(), style.context(["default", str(_STYLE), settings]):
        # Without a Chinese font a name is drawn as boxes; a page uses the fonts of its reader.
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .*missing from")
        yield


@functools.cache
def _fonts() -> list[str]:
    """The font that comes with matplotlib, and the first Chinese font that is installed."""
    from matplotlib.font_manager import fontManager  # noqa: PLC0415 - as above

    installed = set(fontManager.get_font_names())
    return ["DejaVu Sans", *[name for name in _CHINESE if name in installed][:1]]


def banners_of(agreement: Agreement | Comparisons) -> list[str]:
    """What a figure and its caption must say first: whose ratings, partial data."""
    partial = [f"PARTIAL: {drawable(agreement.partial, 300)}"] if agreement.partial else []
    return [*warnings_of(agreement), *partial]


def sheet(width: float, height: float, banners: Sequence[str] = ()) -> Figure:
    """An empty figure, in inches; lines for `banners` at its top are added to its height.

    One point of the figure is one unit of its SVG.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - as above

    # A bold letter is about .68 em wide.
    letters = int(width * 72 / (0.68 * 7.5))
    lines = [
        line
        for banner in banners
        for line in textwrap.wrap(banner, letters, max_lines=2, placeholder=" …")
    ]
    height += len(lines) * LINE
    figure = Figure(figsize=(width, height), dpi=72, layout="constrained")
    if lines:
        figure.suptitle("\n".join(lines), x=0.01, ha="left", color=PALETTE["c1"])
    return figure


def panels(
    titles: Sequence[str], *, x: str, y: str, columns: int, height: float, banners: Sequence[str]
) -> tuple[Figure, list[Axes]]:
    """A figure with one panel for each title, each `height` inches high; labels at the edges."""
    count = len(titles)
    columns = min(columns, count)
    rows = -(-count // columns)
    figure = sheet(SINGLE if columns == 1 else DOUBLE, rows * height, banners)
    every = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in every[count:]:
        axes.remove()
    for axes, title in zip(every, titles, strict=False):
        axes.set_title(title)
    for axes in every[:count:columns]:
        axes.set_ylabel(y)
    for axes in every[max(0, count - columns) : count]:
        axes.set_xlabel(x)
    return figure, list(every[:count])


def subtitle(axes: Axes, text: str) -> None:
    """A line between the title of a panel and its axes."""
    axes.set_title(axes.get_title(loc="left"), pad=14)
    axes.annotate(text, (0, 1), (0, 4), "axes fraction", "offset points", color=PALETTE["soft"])


def lay_out(figure: Figure) -> None:
    """Compute where everything stands, without drawing."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)


def finish(
    figure: Figure,
    *,
    name: str,
    title: str,
    caption: str,
    words: Sequence[str],
    banners: Sequence[str] = (),
) -> ReportFigure:
    """Lay out the figure for good, so that all its files show the same picture."""
    lay_out(figure)
    # With any layout engine, even "none", matplotlib draws a figure twice for each file it writes.
    figure.set_layout_engine(None)
    return ReportFigure(
        name, title, " ".join([*banners, caption]), " ".join([*banners, *words]), figure
    )


def drawable(name: str, most: int = _LONGEST) -> str:
    """A name on one line, cut after `most` columns, without characters that XML forbids.

    A Chinese letter takes two columns, any other one. What cannot be printed is replaced.
    """
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)
    ends = list(itertools.accumulate(1 + is_square(letter) for letter in text))
    return text if not ends or ends[-1] <= most else f"{text[: bisect(ends, most - 1)]}…"


def short_titles(titles: Mapping[str, str]) -> dict[str, str]:
    """Titles without what stands in brackets, unless two of them would then be the same."""
    short = {name: short_title(title) for name, title in titles.items()}
    seen = list(short.values())
    return {
        name: drawable(short[name] if seen.count(short[name]) == 1 else titles[name])
        for name in titles
    }


def text_width(text: str) -> float:
    """About how wide a line of the smallest text is, in points."""
    return SMALL * sum(1 if is_square(letter) else 0.62 for letter in text)


def is_square(letter: str) -> bool:
    """Whether a letter is as wide as a Chinese one."""
    return unicodedata.east_asian_width(letter) in "WF"


_NOTHING = {
    "svg": dict.fromkeys(("Date", "Creator", "Format", "Type")),
    "pdf": dict.fromkeys(("CreationDate", "Creator", "Producer")),
}
_VARIABLES = {colour: f"var(--{name})" for name, colour in PALETTE.items()}
_COLOUR = re.compile("|".join(_VARIABLES))
_FONT = re.compile(r"font-family:[^;]*;?\s*")
_LONG = re.compile(r"\d+\.\d{3,}(?![\w-])")
_REM = 0.11
"""How many rem a point of a figure takes on a page: its smallest text is then as large as notes."""


def svg(figure: ReportFigure) -> str:
    """A whole SVG file, with letters as paths, so that it looks the same everywhere."""
    return _written(figure, "svg").decode()


def pdf(figure: ReportFigure) -> bytes:
    """A PDF of one page with its fonts embedded, as TrueType, or as Type 3 if a text is Chinese.

    Most Chinese fonts are OpenType with PostScript outlines, which matplotlib cannot embed as
    TrueType: not every program shows such a PDF (github.com/matplotlib/matplotlib/issues/20870).
    """
    texts = figure.figure.findobj(lambda artist: hasattr(artist, "get_text"))
    square = any(is_square(letter) for text in texts for letter in text.get_text())  # type: ignore[attr-defined]
    return _written(figure, "pdf", **{"pdf.fonttype": 3 if square else 42})


def _written(figure: ReportFigure, kind: str, **settings: object) -> bytes:
    file = io.BytesIO()
    with look(**settings):
        figure.figure.savefig(file, format=kind, metadata=_NOTHING[kind])
    return file.getvalue()


def inline(figure: ReportFigure) -> Markup:
    """An `<svg>` element that takes its colours and its font from the page around it.

    The page must define the CSS variables of `PALETTE`: `--paper`, `--ink` and so on. Text stays
    text, and every id begins with the name of the figure.
    """
    # matplotlib wrote this XML, and escapes every text.
    root = ET.fromstring(_written(figure, "svg", **{"svg.fonttype": "none"}))  # noqa: S314
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]  # HTML knows the namespaces without being told
    for parent in list(root.iter()):
        for child in list(parent):
            # A style would apply to the whole page. Nothing needs clipping: all is inside its axes.
            if child.tag in ("style", "clipPath"):
                parent.remove(child)
    used = {value for e in root.iter() for key, value in e.attrib.items() if key.endswith("href")}
    for element in root.iter():
        element.tail = None
        if element.tag != "text":
            element.text = None
        element.attrib = dict(_adapted(element.attrib, figure.name, used))
    width = float(root.attrib["viewBox"].split()[2])
    root.attrib = {
        "class": "figure",
        "viewBox": root.attrib["viewBox"],
        "role": "img",
        "aria-labelledby": f"{figure.name}-title {figure.name}-desc",
        "style": f"width: 100%; max-width: {width * _REM:.1f}rem; height: auto; "
        "stroke-linejoin: round; stroke-linecap: butt",
    }
    for position, (tag, text) in enumerate((("title", figure.title), ("desc", figure.words))):
        element = ET.Element(tag, {"id": f"{figure.name}-{tag}"})
        element.text = text
        root.insert(position, element)
    return Markup(ET.tostring(root, encoding="unicode"))  # noqa: S704 - serialised, so escaped


def _adapted(
    attributes: Mapping[str, str], prefix: str, used: Collection[str]
) -> Iterator[tuple[str, str]]:
    """The attributes an element has inside a page; only ids that something refers to remain."""
    for name, value in attributes.items():
        key = name.rpartition("}")[2]
        if key == "id":
            if f"#{value}" in used:
                yield key, f"{prefix}-{value}"
        elif key == "href":
            yield key, f"#{prefix}-{value.removeprefix('#')}"
        elif key == "style":
            themed = _COLOUR.sub(lambda colour: _VARIABLES[colour.group()], _FONT.sub("", value))
            yield key, themed.rstrip("; ")
        elif key != "clip-path":
            yield key, _LONG.sub(lambda number: f"{float(number.group()):.2f}", value)
