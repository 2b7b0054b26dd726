"""The report of two judges: its answer in words, its page and its figure.

The scores are made up.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from judge.analysis.agreement.agreement_records import Interval
from judge.analysis.agreement.two_judges import ComparedMeasure, Comparisons
from judge.report.two_judges_page import comparison_sentences, write_comparisons
from tests.unit.report.page_example import EVIL

ENDS = Interval(0.2, 0.7, "bootstrap percentile")


def measure(name: str, first: float, second: float, adjusted: float) -> ComparedMeasure:
    kind, correction = ("overall", "none") if name == "overall" else ("metric", "Holm")
    return ComparedMeasure(
        *(name, kind, name.title(), "all", first, second, first - second, adjusted, adjusted),  # type: ignore[arg-type]
        *(correction, 120, 1, 0, 0),  # type: ignore[arg-type]
        factor="system",
        exchanges=1000,
        first_interval=ENDS,
        second_interval=ENDS,
    )


def comparisons(*rows: ComparedMeasure, first: str = "A") -> Comparisons:
    return Comparisons(
        *(first, "B", 120, (3, 0), 1000, 0, False, rows),
        test="exchange",
        factors=("system", "item"),
        item="item",
        systems=4,
        resamples=50,
    )


@pytest.mark.parametrize(
    ("first", "second", "p", "answer"),
    [
        (0.6, 0.4, 0.01, "A agrees better with people than B (adjusted p = 0.010)."),
        (0.4, 0.6, 0.0002, "B agrees better with people than A (adjusted p < 0.001)."),
        (0.6, 0.4, 0.05, "A and B are not shown to agree differently with people"),
    ],
)
def test_the_answer(first: float, second: float, p: float, answer: str) -> None:
    """Better is who has the higher rho, if the adjusted p is below .05; else nothing is claimed."""
    found = comparisons(measure("tone", 0.5, 0.5, 1.0), measure("overall", first, second, p))
    lead, *rest = comparison_sentences(found)
    assert lead.startswith(answer)
    assert f"A {first:.2f} (0.20 to 0.70), B {second:.2f} (0.20 to 0.70)" in lead
    assert rest[0] == "Over all: a difference is shown on none of 1 metric."
    assert "Left out, for only one has judged them: 3 outputs of A and 0 of B." in rest
    open_question = "That no difference is shown does not mean that there is none."
    assert (open_question in rest) == (p == 0.05)
    by_name = comparison_sentences(replace(found, test="perm-both"))[0]
    assert "better" not in by_name
    assert by_name.startswith("A and B are not ")


def test_without_an_overall_score() -> None:
    """The metrics on which a difference is shown are counted, and both rhos averaged."""
    found = comparisons(measure("tone", 0.6, 0.2, 0.01), measure("wit", 0.4, 0.3, 0.2))
    assert comparison_sentences(found)[0] == (
        "A and B are shown to agree differently with people on 1 of 2 metrics over all: "
        "Spearman’s ρ is 0.50 and 0.25 on average over 2 metrics."
    )


def test_the_page_is_safe_and_speaks_of_the_data(tmp_path: Path) -> None:
    """A judge's name is text; a table has outputs and items, no dialogues or characters."""
    found = comparisons(measure("tone", 0.6, 0.2, 0.01), first=EVIL)
    files = write_comparisons(found, tmp_path)
    page = files.html.read_text("utf-8")
    assert EVIL not in page
    assert "<script" not in page
    assert "<b>+0.40</b>" in page
    said = re.sub("(?s)<style.*?</style>", "", page) + (tmp_path / "comparison.md").read_text()
    for false in ("dialogue", "character", "scenario"):
        assert false not in said, false
    assert "120 outputs of 4 systems" in said
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    write_comparisons(found, tmp_path)
    assert before == {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    assert tmp_path / "figures" / "two-judges.svg" in before


def test_nothing_to_compare(tmp_path: Path) -> None:
    """The reason is the answer, and there is no figure."""
    row = measure("tone", 0.5, 0.4, 0.5)
    none = dict.fromkeys(
        ("first", "second", "difference", "p", "adjusted", "first_interval", "second_interval")
    )
    found = comparisons(replace(row, **none, reason="a side is constant"))
    assert comparison_sentences(found) == ["Nothing can be compared: a side is constant."]
    page = write_comparisons(found, tmp_path).html.read_text("utf-8")
    assert "Nothing can be compared" in page
    assert not (tmp_path / "figures").exists()
