"""Escapes, the methods section and its references."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.analysis.agreement.agreement_records import Agreement
from judge.report.format import english_title
from judge.report.paper import write_comparison_tables, write_paper
from judge.report.paper.latex import escape
from judge.report.paper.methods import methods
from judge.report.paper.references import REFERENCES, to_latex, to_markdown
from judge.report.paper.table import escape_markdown
from tests.unit.report.page_example import agreement
from tests.unit.report.paper.test_compiles import comparisons

REQUIRED = {
    "article": {"author", "title", "journal", "year"},
    "inproceedings": {"author", "title", "booktitle", "year"},
    "techreport": {"author", "title", "institution", "year"},
}


@pytest.mark.parametrize(
    ("text", "tex"),
    [
        ("a_b", r"a\_b"),
        ("50%", r"50\%"),
        ("R&D #1 $2", r"R\&D \#1 \$2"),
        (r"\x", r"\textbackslash{}x"),
        ("{~^}", r"\{\textasciitilde{}\textasciicircum{}\}"),
        ("<b>|", r"\textless{}b\textgreater{}\textbar{}"),
        ("a--b", "a-{}-b"),
        ("[*]", "{[}{*}{]}"),
        ("two\n\nlines\t", "two lines "),
        ("café ï", r"caf\'{e} \"{\i}"),
        ("流畅 x", r"\judgecjk{流畅}{U+6D41 U+7545} x"),
        ("😀", "U+1F600"),
        ("−0.1 ± ρ", r"$-$0.1 $\pm$ $\rho$"),
    ],
)
def test_special_characters_are_escaped(text: str, tex: str) -> None:
    """Each as the TeXbook and the LaTeX manual have it."""
    assert escape(text) == tex


@given(st.text())
def test_escaped_text_does_nothing(text: str) -> None:
    """No command but those that print, no unbalanced brace, no active or comment character."""
    tex = escape(text)
    bare = re.sub(r"\\judgecjk\{[^{}]*\}", "", tex)
    assert bare.isascii()
    assert bare.isprintable()
    commands = re.findall(r"\\([A-Za-z]+)", bare)
    allowed = "text|judge|ldots|times|pm|cdot|leq|geq|approx|surd|rightarrow|circ|allowbreak"
    greek = "alpha|beta|varepsilon|theta|kappa|lambda|mu|pi|rho|sigma|tau|omega"
    letters = "S|ss|ae|AE|o|O|l|L|i|j|u|r|H|v|c"
    for command in commands:
        assert re.match(rf"({allowed}|({greek}|{letters})$)", command), command
    unescaped = re.sub(r"\\[^A-Za-z]", "", bare)
    assert not set(unescaped) & set("%&#_")
    depth = 0
    for character in re.sub(r"\\[{}]", "", bare):
        depth += {"{": 1, "}": -1}.get(character, 0)
        assert depth >= 0
    assert depth == 0


@given(st.text())
def test_markdown_text_is_one_line_without_markup(text: str) -> None:
    """No cell ends early, and no tag opens."""
    plain = escape_markdown(text)
    assert len(plain.splitlines()) <= 1
    assert not re.search(r"(?<!\\)(\\\\)*[|*_`]", re.sub(r"\\[\\|*_`]", "", plain))
    assert "<" not in plain


@pytest.mark.parametrize(
    ("name", "title", "shown"),
    [
        ("fluency", "Fluency (流畅性)", "Fluency"),
        ("fluency", "Fluency（流畅性）", "Fluency"),
        ("speech_style", "说话风格", "Speech style"),
        ("流畅性", "流畅性", "流畅性"),
        ("n", "Naturalness (of the reply)", "Naturalness (of the reply)"),
        ("overall", "Overall", "Overall"),
    ],
)
def test_titles_are_english_as_far_as_there_is_english(name: str, title: str, shown: str) -> None:
    """The part in Chinese is left out; of a title in Chinese alone the name is taken."""
    assert english_title(name, title) == shown


def keys(folder: Path, name: str) -> tuple[set[str], list[str]]:
    """Cited in the methods, and defined in the references."""
    tex = (folder / f"{name}-methods.tex").read_text(encoding="utf-8")
    bib = (folder / f"{name}.bib").read_text(encoding="utf-8")
    cited = {key for group in re.findall(r"\\citep\{([^}]*)\}", tex) for key in group.split(",")}
    return cited, re.findall(r"^@\w+\{(\w+),$", bib, flags=re.MULTILINE)


def test_references_are_those_that_are_cited(computed: Agreement, tmp_path: Path) -> None:
    """No open citation, no reference too many; and each that is known is cited somewhere."""
    write_paper(computed, tmp_path / "computed", {})
    write_paper(agreement(), tmp_path / "chosen", {})
    write_comparison_tables(comparisons(), tmp_path / "two")
    used: set[str] = set()
    for folder, name in (("computed", "agreement"), ("chosen", "agreement"), ("two", "comparison")):
        cited, defined = keys(tmp_path / folder, name)
        assert cited == set(defined)
        assert len(defined) == len(set(defined))
        used |= cited
    assert used == set(REFERENCES)


def test_what_was_not_done_is_not_cited(tmp_path: Path) -> None:
    """No resamples, no bootstrap; no annotator test that could be made, no paper on it."""
    found = agreement()
    measures = tuple(replace(m, annotator_tests=()) for m in found.measures)
    write_paper(replace(found, resamples=0, measures=measures), tmp_path, {})
    cited, _ = keys(tmp_path, "agreement")
    assert not cited & {"owen2007pigeonhole", "owen2012bootstrapping", "calderon2025alternative"}
    assert "qiu2026chatanime" not in cited


@pytest.mark.parametrize("key", REFERENCES)
def test_references_are_complete(key: str) -> None:
    """What BibTeX asks of its kind is there, and the key and the short form have its year."""
    reference = REFERENCES[key]
    assert set(reference.fields) >= REQUIRED[reference.kind]
    year = reference.fields["year"]
    author = reference.fields["author"].split(",")[0]
    assert key.startswith(author.lower() + year)
    assert reference.short.startswith(author)
    assert reference.short.endswith(year)


def test_the_methods_state_every_choice(computed: Agreement) -> None:
    """Levels, units, B, interval, seeds, provenance, epsilon and counts, from the record."""
    text = to_markdown(methods(computed))
    for said in (
        f"{computed.ratings:,} ratings by 4 raters of 1,800 cells",
        "5 systems and 40 items (an item: character and scenario)",
        "The seed of everything drawn is 3.",
        "crossed jackknife: one at a time of the systems, characters and scenarios is left out",
        "B = 50.",
        "intervals are at 95%",
        "model tiny; rubric hash 0123456789ab.",
        "ε = 0.15, for skilled annotators",
        "reply length, character mean, system mean",
        "Ties have mid-ranks",
        "200 dialogues have both scores, and none has just one",
        "counting all orders of the systems",
    ):
        assert said.lower() in text.lower(), said
    assert "drawn by a program" not in text


def test_the_methods_name_what_is_undefined() -> None:
    """With the measures and the reason."""
    text = to_markdown(methods(agreement()))
    assert "ρ over all for Behavioral habit (the judge's score is constant)" in text
    assert "up to 7 were judged but not rated and up to 4 were rated but not judged" in text


def test_the_methods_say_the_same_in_tex_and_markdown(computed: Agreement) -> None:
    """The same heads in the same order."""
    paragraphs = methods(computed)
    heads = [paragraph.head for paragraph in paragraphs]
    assert re.findall(r"\\paragraph\{([^}]*)\}", to_latex(paragraphs)) == heads
    assert re.findall(r"^\*\*(.*)\.\*\*", to_markdown(paragraphs), flags=re.MULTILINE) == heads


def test_simulated_ratings_are_no_people_in_the_methods() -> None:
    """The text itself says it, wherever it is pasted."""
    text = to_markdown(methods(agreement(simulated=True, partial="2 of 9 are missing.")))
    assert "these figures say nothing about people" in text
    assert "The figures are partial: 2 of 9 are missing." in text
