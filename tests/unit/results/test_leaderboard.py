"""The leaderboard: order, ranks, what is not shown, and how it is drawn."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
from rich.console import Console

from judge.analysis.ranking import Leaderboard, SystemCost, leaderboard
from judge.analysis.results import CalibratedMean, CalibratedResults, Results
from judge.analysis.summary import summarize
from judge.errors import StoreError
from judge.report.leaderboard_page import (
    leaderboard_csv,
    leaderboard_table,
    render_leaderboard,
    sentences,
    terminal_leaderboard,
)
from judge.report.paper.latex import latex_table
from judge.report.paper.table import markdown_table
from judge.types import Failure, Judgment, Rubric

Make = Callable[..., Judgment]
Cells = Mapping[tuple[str, str], float | Failure]
METRICS = ("fluency", "sense", "style")


def grid(level: float, hard: float = 0.0, wobble: float = 0.0) -> dict[tuple[str, str], float]:
    """9 characters x 16 scenarios: later scenarios are harder, and every second cell wobbles."""
    return {
        (f"c{c}", str(s)): level - hard * (s // 4) + wobble * (-1) ** (c + s)
        for c in range(9)
        for s in range(16)
    }


@pytest.fixture
def judgments(judged: Make) -> Callable[..., list[Judgment]]:
    """Judgments of systems with one score for all metrics of a cell."""

    def make(systems: Mapping[str, Cells], metrics: tuple[str, ...] = METRICS) -> list[Judgment]:
        return [
            judged(f"{system}/{character}/{scenario}", metric, score)
            for system, cells in systems.items()
            for (character, scenario), score in cells.items()
            for metric in metrics
        ]

    return make


@pytest.fixture
def board(judgments: Callable[..., list[Judgment]], rubric: Rubric) -> Callable[..., Leaderboard]:
    def make(systems: Mapping[str, Cells], **options: object) -> Leaderboard:
        made = judgments(systems)
        return leaderboard(summarize(made, rubric), made, **options)  # type: ignore[arg-type]

    return make


Board = Callable[..., Leaderboard]


def test_a_small_difference_is_shown_where_all_share_what_is_hard(board: Board) -> None:
    """Scenarios differ by 2 points and systems by .2, always.

    Their intervals overlap, and still one is better.
    """
    found = board({"a": grid(4.2, 0.5, 0.01), "b": grid(4.0, 0.5)})
    a, b = found.standings
    assert (a.system, a.rank, b.rank) == ("a", 1, 2)
    assert b.upper is not None
    assert a.lower is not None
    assert b.upper > a.lower
    (pair,) = found.pairs
    assert pair.difference == pytest.approx(0.2)
    assert (pair.n, pair.better) == (144, "a")


def test_what_is_not_shown_to_differ_shares_a_rank(board: Board) -> None:
    """`b` wobbles around `a` by a point: nobody can tell them apart, and `c` is far below both."""
    found = board({"c": grid(1.5, 0.01), "b": grid(4.0, wobble=1.0), "a": grid(4.0625)})
    assert [(s.system, s.rank, s.first, s.last) for s in found.standings] == [
        ("a", 1, 1, 2),
        ("b", 1, 1, 2),
        ("c", 3, 3, 3),
    ]
    assert found.shown("c") == (["a", "b"], [])
    assert found.shown("a") == ([], ["c"])
    assert found.pair_confidence == pytest.approx(1 - 0.05 / 3)
    assert [row[1].split(maxsplit=1)[1] for row in rows_of(render_leaderboard(found))] == [
        "none shown to be better; 1 cannot be told apart",
        "none shown to be better; 1 cannot be told apart",
        "2 shown to be better",
    ]


def test_why_a_rank_is_not_the_first_of_its_range(board: Board) -> None:
    """`b` is below `a`, who is known to be worse than the best; of `b` that is not known.

    It wobbles, so nobody tells it from the others; its rank is still not before that of `a`.
    """
    found = board({"best": grid(3.12), "a": grid(3.1), "b": grid(3.09, wobble=1.0)})
    assert [(s.system, s.rank, s.first, s.last) for s in found.standings] == [
        ("best", 1, 1, 2),
        ("a", 2, 2, 3),
        ("b", 2, 1, 3),
    ]
    assert (
        "2 cannot be told apart; not ranked before a, whose mean is higher"
        in (rows_of(render_leaderboard(found))[2][1])
    )


def test_the_same_scores_are_a_tie(board: Board) -> None:
    """Two that score alike in every cell have a difference of exactly 0, and one rank."""
    found = board({"a": grid(3.7, 0.1), "b": grid(3.7, 0.1)})
    assert (found.pairs[0].difference, found.pairs[0].lower, found.pairs[0].better) == (0, 0, None)
    assert [s.rank for s in found.standings] == [1, 1]


def test_a_system_without_scores_has_no_rank(board: Board) -> None:
    """It comes last and has reasons for numbers; the others are ranked without it."""
    broken = dict.fromkeys(grid(1), Failure("empty_reply", "nothing was said"))
    found = board({"void": broken, "a": grid(4, 0.1)})
    a, void = found.standings
    assert (a.rank, a.first, a.last) == (1, 1, 1)
    assert (void.system, void.rank, void.mean, void.lower) == ("void", None, None, None)
    assert (void.n, void.dialogues, void.unscored) == (0, 144, 1)
    assert void.reason == "no dialogue was scored"
    assert found.pairs == ()


def test_one_character_shows_nothing(board: Board) -> None:
    """How characters vary cannot be seen in one: no interval, and no rank."""
    one = {cell: score for cell, score in grid(4, 0.1).items() if cell[0] == "c0"}
    other = {cell: score - 2 for cell, score in one.items()}
    found = board({"a": one, "b": other})
    assert found.pairs == ()
    assert [(s.rank, s.first, s.last, s.lower) for s in found.standings] == [(None,) * 4] * 2
    assert {s.reason for s in found.standings} == {"only one character"}


@pytest.mark.parametrize(("characters", "scenarios"), [(7, 16), (8, 7)])
def test_too_few_scenarios_give_no_rank(board: Board, characters: int, scenarios: int) -> None:
    """Below 8 of either there is a mean with its interval, but no number that looks like a claim.

    A copy under another name shares no first rank, and a model far below is not "2".
    """
    some = {c: x for c, x in grid(4).items() if int(c[0][1:]) < characters}
    some = {c: x for c, x in some.items() if int(c[1]) < scenarios}
    low = {cell: score - 2 for cell, score in some.items()}
    found = board({"a": some, "copy": some, "random": low})
    assert [s.system for s in found.standings] == ["a", "copy", "random"]
    assert all(s.rank is None and s.lower is not None for s in found.standings)
    why = (
        f"too few scenarios to rank: {characters} characters and {scenarios} scenarios, where it "
        "takes 8 of each"
    )
    assert {s.reason for s in found.standings} == {why}
    assert sentences(found) == [f"T{why[1:]}."]
    assert why in render_leaderboard(found)


def test_a_calibrated_board_is_of_calibrated_scores(
    judgments: Callable[..., list[Judgment]], rubric: Rubric
) -> None:
    """A map that turns two systems round turns the order, the ranks and the differences round."""
    made = judgments({"a": grid(4, 0.1), "b": grid(3, 0.1, 0.01)})
    raw = summarize(made, rubric)
    scenes = {"a": grid(2.5, 0.1), "b": grid(3.5, 0.1, 0.01)}
    means = {
        name: {"overall": CalibratedMean(144, mean, None, None, "fitted", reason="fitted")}
        for name, mean in (("a", 2.35), ("b", 3.35))
    }
    calibration = CalibratedResults(
        "ratings", "r.csv", "0" * 64, "", (1, 5), 0.9, ("a", "b"), (), means
    )
    found = leaderboard(replace(raw, calibration=calibration), made, calibrated=scenes)
    assert found.of_calibrated
    assert [(s.system, s.rank) for s in found.standings] == [("b", 1), ("a", 2)]
    assert found.pairs[0].difference == pytest.approx(1.0)
    assert found.standings[0].mean == pytest.approx(2.85)
    assert "Order, ranks and differences are of calibrated scores." in render_leaderboard(found)


def test_systems_on_other_dialogues(board: Board) -> None:
    """Without one in common nothing is shown; else only common ones count.

    It is said where they contradict the means.
    """
    easy, hard = (
        {cell: score for cell, score in grid(4.5, 0.7).items() if (int(cell[1]) < 8) == first}
        for first in (True, False)
    )
    apart = board({"a": easy, "b": hard})
    assert (apart.pairs[0].n, apart.pairs[0].difference) == (0, None)
    assert [s.rank for s in apart.standings] == [1, 1]
    better = {cell: score + 0.1 for cell, score in grid(4.5, 0.7).items()}
    found = board({"only the easy ones": easy, "all": better})
    assert [s.system for s in found.standings] == ["only the easy ones", "all"]
    assert found.pairs[0].difference == pytest.approx(-0.1)
    assert (found.pairs[0].n, found.pairs[0].better) == (72, "all")
    assert found.notes[-1] == (
        "only the easy ones has a higher mean than all, which is better on the 72 dialogues that "
        "both have: their means are over different ones."
    )


def test_without_an_overall_score(judgments: Callable[..., list[Judgment]], rubric: Rubric) -> None:
    """Where a metric is missing everywhere there is no order; where it is for one, no rank."""
    part = judgments({"a": grid(4)}, ("fluency", "sense"))
    with pytest.raises(StoreError, match="only fluency, sense were judged") as caught:
        leaderboard(summarize(part, rubric), part)
    assert caught.value.hint is not None
    assert "without --metrics" in caught.value.hint
    both = part + judgments({"b": grid(3)})
    found = leaderboard(summarize(both, rubric), both)
    assert [(s.system, s.rank) for s in found.standings] == [("b", 1), ("a", None)]
    assert found.standings[1].reason == "not all metrics were judged"
    assert found.standings[1].dimensions.keys() == {"talk"}


# ReportFigure


@pytest.fixture
def full(judgments: Callable[..., list[Judgment]], rubric: Rubric) -> tuple[Leaderboard, Results]:
    """Three systems, one of them people and one with markup for a name; some costs are known."""
    broken = Failure("empty_reply", "nothing was said")
    made = judgments(
        {
            "human": grid(3.0, 0.1),
            "<b>&_": grid(4.0, 0.1, 0.05),
            "void": dict.fromkeys(grid(1), broken),
        }
    )
    results = summarize(made, rubric, provenance={"judge": "j"})
    costs = {"<b>&_": SystemCost(1234, 56.75, 7.25), "human": SystemCost(judging=61.0)}
    return leaderboard(results, made, costs=costs), results


def rows_of(page: str) -> list[list[str]]:
    """The texts of the cells of the first table's body, reasons and small print in them."""
    body = page.split("<tbody>")[1].partition("</tbody>")[0]
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in body.split("<tr")[1:]]
    return [[re.sub("<[^>]*>", " ", cell).strip() for cell in row] for row in cells]


def test_the_page(full: tuple[Leaderboard, Results]) -> None:
    """Every system with rank, scores and costs; a dash with its reason for what is unknown."""
    page = render_leaderboard(full[0])
    first, human, void = rows_of(page)
    assert first[1].split(maxsplit=1) == ["&lt;b&gt;&amp;_", "none shown to be better"]
    assert human[1].split(maxsplit=1) == ["human", "1 shown to be better"]
    assert first[0].split() == ["1", "could", "be", "1"]
    assert first[-3:] == ["1,234", "57", "7.2"]
    assert human[0].startswith("2")
    assert human[-1] == "61"
    assert human[-2].startswith("–")
    assert void[0].startswith("–")
    assert "<b>&_" not in page
    assert "its dialogues were recorded: nobody measured the writing" in page
    assert "no dialogue was scored" in page
    assert 'src="' not in page
    assert "http" not in page.replace("http-equiv", "")


def test_costs_that_nobody_knows_have_no_column(board: Board) -> None:
    """Nor is there a zero."""
    page = render_leaderboard(board({"a": grid(4, 0.1)}))
    assert "Tokens written" not in page
    assert "What the systems took is not known" in page


def test_where_the_human_fans_stand(full: tuple[Leaderboard, Results], board: Board) -> None:
    """In words, with how many are shown to be better and worse."""
    assert sentences(full[0])[-1] == (
        "The human fans (human) have rank 2. Shown to be better than they: 1 system; worse: none; "
        "not told apart: none."
    )
    alike = board({"a": grid(4, wobble=0.5), "human": grid(4)})
    lead, pairs, fans = sentences(alike)
    assert lead.startswith("a has the highest mean, ")
    assert lead.endswith("which can be chance, and not shown to be better than any other system.")
    assert pairs == "Cannot be told apart, 1 of 1 pair: a and human."
    assert fans == (
        "The human fans (human) have rank 1, and could have any from 1 to 2. Shown to be better "
        "than they: no system; worse: none; not told apart: 1."
    )


def test_the_table_for_programs(full: tuple[Leaderboard, Results]) -> None:
    """CSV: what is unknown is empty; JSON: null, with the version of the format."""
    rows = list(csv.DictReader(io.StringIO(leaderboard_csv(full[0]))))
    assert [row["system"] for row in rows] == ["<b>&_", "human", "void"]
    assert [row["tokens"] for row in rows] == ["1234", "", ""]
    assert rows[0]["writing_seconds"] == "56.8"
    assert float(rows[1]["overall"]) == pytest.approx(2.85)
    assert (rows[2]["rank"], rows[2]["overall"], rows[2]["unscored"]) == ("", "", "1.000000")
    data = json.loads(json.dumps(full[0].to_dict(), allow_nan=False))
    assert data["format"] == 1
    assert data["standings"][2]["rank"] is None


def test_the_table_for_papers_and_terminals(full: tuple[Leaderboard, Results]) -> None:
    """LaTeX and Markdown from one table; 80 columns suffice for the terminal."""
    table = leaderboard_table(full[0])
    assert r"\textless{}b\textgreater{}\&\_" in latex_table(table)
    markdown = markdown_table(table)
    assert "&lt;b&gt;&amp;\\_" in markdown
    assert "no dialogue was scored" in markdown
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(terminal_leaderboard(full[0]))
    text = console.export_text()
    assert "…" not in text
    assert "<b>&_" in text


def test_calibrated_scores_stand_beside(
    judgments: Callable[..., list[Judgment]], rubric: Rubric
) -> None:
    """Calibrated means have a column, and an interval that does not exist is a dash."""
    made = judgments({"a": grid(4, 0.1), "b": grid(3, 0.1)})
    found = leaderboard(summarize(made, rubric), made)
    means = (
        CalibratedMean(20, 2.5, 2.25, 2.75, "new"),
        CalibratedMean(20, 3.5, None, None, "fitted", reason="no interval for a fitted system"),
    )
    shown = replace(
        found,
        calibration="ratings.csv 01234567",
        calibration_confidence=0.9,
        standings=tuple(
            replace(row, calibrated=mean) for row, mean in zip(found.standings, means, strict=True)
        ),
    )
    page = render_leaderboard(shown)
    a, b = rows_of(page)
    assert "2.50 2.25 to 2.75" in re.sub(" +", " ", a[5])
    assert "3.50" in b[5]
    assert "no interval for a fitted system" in page
    assert "with its 90% interval" in page
    assert [
        row["calibrated_lower"] for row in csv.DictReader(io.StringIO(leaderboard_csv(shown)))
    ] == [
        "2.250000",
        "",
    ]
    assert "Calibrated on ratings.csv 01234567." in markdown_table(leaderboard_table(shown))
