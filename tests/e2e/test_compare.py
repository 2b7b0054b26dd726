"""`judge compare` of two runs: figures with known answers, and what cannot be compared."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from scipy.stats import spearmanr

if TYPE_CHECKING:
    from tests.e2e.conftest import Program

Recorded = Callable[..., Path]
PLACE = ("system", "character", "scenario", "metric")


@pytest.fixture
def runs(judge: Program, recorded: Recorded) -> tuple[str, str]:
    """`mock` and `lexical` over two systems of six dialogues each."""
    models = ("--model", recorded("one", n=3), "--model", recorded("two", n=3, replies={2: "哦。"}))
    for name in ("mock", "lexical"):
        judge("eval", *models, "--judge", name, "--rubric", "esrp", "--out", name)
    return "mock", "lexical"


def test_the_figures_are_those_of_the_two_tables(judge: Program, runs: tuple[str, str]) -> None:
    """Means, differences and ρ are recomputed from the exported tables with SciPy."""
    done = judge("compare", *runs, "--json", "--out", "page")
    facts = json.loads(done.out)["differences"]
    assert facts["dialogues"] == 12
    scores = []
    for run in runs:
        judge("export", run, "--out", f"{run}.jsonl")
        lines = (judge.folder / f"{run}.jsonl").read_text(encoding="utf-8").splitlines()
        scores.append({tuple(map(row.get, PLACE)): row["score"] for row in map(json.loads, lines)})
    assert len(facts["measures"]) == 10
    for measure in facts["measures"][:-1]:
        places = [place for place in scores[0] if place[3] == measure["measure"]]
        one, two = ([table[place] for place in places] for table in scores)
        assert measure["n"] == len(places) == 12
        assert measure["first"] == pytest.approx(sum(one) / 12, abs=1e-9)
        assert measure["second"] == pytest.approx(sum(two) / 12, abs=1e-9)
        sizes = [abs(a - b) for a, b in zip(one, two, strict=True)]
        assert measure["absolute"] == pytest.approx(sum(sizes) / 12, abs=1e-9)
        assert measure["rho"] == pytest.approx(spearmanr(one, two).statistic, abs=1e-9)
        most = [e for e in facts["most"] if e["metric"] == measure["measure"]]
        assert abs(most[0]["first"] - most[0]["second"]) == pytest.approx(max(sizes), abs=1e-9)
    assert {s["system"] for s in facts["systems"]} == {"one", "two"}


def test_a_run_agrees_with_itself(judge: Program, runs: tuple[str, str]) -> None:
    """No difference, ρ 1 wherever it is defined, no dialogue in the list, no place changed."""
    done = judge("compare", runs[1], runs[1], "--json")
    facts = json.loads(done.out)["differences"]
    assert facts["most"] == []
    for measure in facts["measures"]:
        assert measure["absolute"] == 0
        for level in ("rho", "within_item", "systems"):
            assert measure[level] is None or measure[level] == pytest.approx(1)
    said = judge("compare", runs[1], runs[1]).out
    assert "Every score is the same in both." in said
    assert "0 of 2 systems change their place" in said


def test_the_page_shows_both_and_escapes(judge: Program, recorded: Recorded) -> None:
    """What was said stands on the page as text; the order on the terminal is that of the rubric."""
    path = recorded("x", n=1, replies={1: "<script>alert(1)</script>"})
    for name in ("mock", "lexical"):
        judge("eval", "--model", path, "--judge", name, "--rubric", "esrp", "--out", name)
    out = judge("compare", "mock", "lexical", "--out", "page").out
    assert out.index("Fluency") < out.index("Demand matching") < out.index("Overall")
    page = (judge.folder / "page" / "compare.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script" not in page


def test_what_cannot_be_compared(judge: Program, recorded: Recorded) -> None:
    """Other dialogues, other texts, no run: each is said, and nothing is written."""
    judge("eval", "--model", recorded("a", n=1), "--judge", "mock", "--out", "first")
    judge("eval", "--model", recorded("b", n=1), "--judge", "mock", "--out", "other")
    message, _ = judge.mistake("compare", "first", "other")
    assert "no dialogue in common" in message
    changed = recorded("a", n=2, replies={1: "改了。"})
    judge("eval", "--model", changed, "--judge", "mock", "--out", "changed")
    assert "no dialogue in common" in judge.mistake("compare", "first", "changed")[0]
    judge.mistake("compare", "first", "nowhere")
    assert not (judge.folder / "comparison").exists()
