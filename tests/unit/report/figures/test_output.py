"""A figure as files and inside a page: the same bytes each time, the page's theme, safe text."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import matplotlib as mpl
import pytest

import judge.report
from judge.analysis.agreement.agreement_records import Agreement
from judge.analysis.breakdown import MeanOf
from judge.report.figures import inline, pdf, svg
from judge.report.figures.dots import DotPanel, dot_plot
from judge.report.figures.forest import forest
from judge.report.figures.style import PALETTE, ReportFigure, drawable, short_titles
from judge.report.figures.systems import systems

NAMES = (
    "<script>alert(1)</script>",
    "$x$",
    "a_b",
    "_hidden",
    "\\frac{1}{0}",
    "通义千问",
    "#0072b2",
)
HOSTILE = (*NAMES, "a&b \"c\" 'd'", "two\nlines", "nul\x00esc\x1b", "$unfinished", "x" * 200)


def renamed(agreement: Agreement) -> Agreement:
    """The systems under names that mean something to XML, TeX or matplotlib."""
    names = dict(zip((p.system for p in agreement.measures[0].systems), HOSTILE, strict=False))
    measures = tuple(
        replace(m, systems=tuple(replace(p, system=names[p.system]) for p in m.systems))
        for m in agreement.measures
    )
    return replace(agreement, measures=measures)


@pytest.fixture(scope="module")
def hostile(agreement: Agreement) -> list[ReportFigure]:
    """The figures that show names of systems."""
    other = renamed(agreement)
    names = [point.system for point in other.measures[0].systems]
    means = [MeanOf(1, point.judge) for point in other.measures[0].systems]
    texts = {"marked": "", "title": "Means", "caption": "", "scale": (1, 5)}
    dots = dot_plot(names, [DotPanel("Overall", means)], **texts)  # type: ignore[arg-type]
    return [d for d in (systems(other, "composite"), dots) if d is not None]


def test_the_same_bytes_each_time(agreement: Agreement, drawn: list[ReportFigure]) -> None:
    """Drawn again from the same numbers, or written again, no file differs."""
    first, again = drawn[0], forest(agreement)
    assert again is not None
    assert svg(first) == svg(first) == svg(again)
    assert pdf(first) == pdf(first) == pdf(again)
    assert inline(first) == inline(first) == inline(again)


def test_a_pdf_has_its_fonts_and_no_date(drawn: list[ReportFigure]) -> None:
    """One page, TrueType fonts inside, nothing of when or by what it was made."""
    data = pdf(drawn[0])
    assert data.startswith(b"%PDF")
    assert b"/FontFile2" in data
    assert b"/Type3" not in data
    assert b"CreationDate" not in data
    assert b"Producer" not in data


def test_a_pdf_with_chinese_names_opens_everywhere(hostile: list[ReportFigure]) -> None:
    """No OpenType font is embedded as if it were TrueType: all letters are Type 3 instead."""
    data = pdf(hostile[0])
    assert b"/Type3" in data
    assert b"/FontFile2" not in data


def test_an_svg_file_stands_alone(drawn: list[ReportFigure]) -> None:
    """Letters are paths: it needs no font; there is no date and no request elsewhere."""
    root = ET.fromstring(svg(drawn[0]))
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert "text" not in tags
    assert "date" not in svg(drawn[0])
    links = [v for e in root.iter() for k, v in e.attrib.items() if k.endswith("href")]
    assert all(link.startswith("#") for link in links)


def test_inside_a_page_every_colour_is_the_pages(drawn: list[ReportFigure]) -> None:
    """No colour is left but CSS variables, and no font but the page's."""
    for figure in drawn:
        text = inline(figure)
        assert not re.search(r"#[0-9a-fA-F]{3,8}\b(?!-)", re.sub(r'(href=")#', r"\1", text))
        assert "var(--ink)" in text
        assert "font-family" not in text
        for value in re.findall(r"(?:fill|stroke): ([^;\"]+)", text):
            assert value == "none" or re.fullmatch(r"var\(--(\w+)\)", value)
        assert set(re.findall(r"var\(--(\w+)\)", text)) <= set(PALETTE)


def test_the_palette_is_that_of_the_pages() -> None:
    """Figures have the colours of the light theme and no others, so that files and pages match."""
    folder = Path(judge.report.__file__).parent
    page = (folder / "templates" / "style.css.j2").read_text(encoding="utf-8")
    light = dict(re.findall(r"--(\w+): (#\w{6})", page.split("@")[0]))
    assert light == PALETTE
    look = (folder / "figures" / "look.mplstyle").read_text(encoding="utf-8")
    assert {f"#{colour}" for colour in re.findall(r"color: (\w{6})", look)} <= set(light.values())


def test_several_figures_in_one_page(drawn: list[ReportFigure]) -> None:
    """Ids are unique over all figures, every reference finds its target, no style leaks out."""
    page = ET.fromstring(f"<body>{''.join(map(inline, drawn))}</body>")
    ids = [e.get("id") for e in page.iter() if e.get("id")]
    assert len(ids) == len(set(ids))
    text = ET.tostring(page, encoding="unicode")
    assert set(re.findall(r'href="#([\w-]+)', text)) <= set(ids)
    assert "url(" not in text
    assert page.find(".//style") is None
    assert all(root.get("width") is None and root.get("viewBox") for root in page)
    assert "<?xml" not in text
    assert "<!DOCTYPE" not in text


def test_it_can_be_read_without_eyes(drawn: list[ReportFigure]) -> None:
    """Role, title and the numbers in words; the words on the picture are text."""
    for figure in drawn:
        root = ET.fromstring(inline(figure))
        assert root.get("role") == "img"
        named = [root.find(f"*[@id='{name}']") for name in root.attrib["aria-labelledby"].split()]
        assert [e.text for e in named if e is not None] == [figure.title, figure.words]
        assert next(root.iter("text")).text


def test_a_name_is_text_and_nothing_else(hostile: list[ReportFigure]) -> None:
    """Markup, TeX and underscores in names are shown as they are; control characters are not."""
    for figure in hostile:
        root = ET.fromstring(inline(figure))
        assert root.find(".//script") is None
        shown = " ".join(text.text or "" for text in root.iter("text"))
        for name in (n for n in NAMES if figure.name == "systems"):
            assert name in shown
        assert "\x00" not in shown
        assert "<script" not in inline(figure)
        ET.fromstring(svg(figure))
        assert pdf(figure).startswith(b"%PDF")


def test_a_name_like_a_colour_stays(hostile: list[ReportFigure]) -> None:
    """Only attributes follow the theme: a system called #0072b2 keeps its name."""
    assert "#0072b2" in inline(hostile[0])


def test_without_a_chinese_font_there_is_no_warning(
    agreement: Agreement, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Letters that no font has are drawn as boxes in a file and stay letters in a page."""
    monkeypatch.setattr("judge.report.figures.style._fonts", lambda: ["DejaVu Sans"])
    figure = systems(renamed(agreement), "composite")
    assert figure is not None
    assert "通义千问" in inline(figure)
    assert svg(figure)
    assert pdf(figure)


def test_settings_of_the_user_are_neither_used_nor_changed(
    agreement: Agreement, drawn: list[ReportFigure]
) -> None:
    """Another style makes no other figure, and is still there afterwards."""
    with mpl.rc_context({"font.size": 20, "axes.facecolor": "yellow"}):
        before = mpl.rcParams.copy()
        figure = forest(agreement)
        assert figure is not None
        assert svg(figure) == svg(drawn[0])
        assert mpl.rcParams.copy() == before


def test_matplotlib_waits_until_it_is_needed() -> None:
    """Importing the reports costs no half second for matplotlib, and drawing never asks pyplot."""
    code = """
import io, sys
import judge.report, judge.report.figures
from judge.report.figures.style import look, sheet
print("matplotlib" in sys.modules)
with look():
    sheet(1, 1).savefig(io.BytesIO(), format="pdf")
print("matplotlib" in sys.modules, "matplotlib.pyplot" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "False"]


@pytest.mark.parametrize(
    ("titles", "short"),
    [
        ({"a": "Fluency (流畅性)", "b": "Overall"}, {"a": "Fluency", "b": "Overall"}),
        ({"a": "Hit (top)", "b": "Hit (all)"}, {"a": "Hit (top)", "b": "Hit (all)"}),
    ],
)
def test_titles_are_short_but_different(titles: dict[str, str], short: dict[str, str]) -> None:
    """What stands in brackets goes, unless two titles need it."""
    assert short_titles(titles) == short


def test_a_plain_name() -> None:
    """One line, printable, cut with an ellipsis."""
    assert drawable("a\nb\x00\u202ec") == "a\ufffdb\ufffd\ufffdc"
    assert drawable("") == ""
    assert drawable("x" * 28) == "x" * 28
    assert drawable("x" * 29) == "x" * 27 + "…"
    assert drawable("字" * 14) == "字" * 14
    assert drawable("字" * 15) == "字" * 13 + "…"
