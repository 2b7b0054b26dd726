"""The first words of a report, the means behind them, and the plot that shows them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from scipy import stats

from judge.analysis.breakdown import Breakdown, break_down
from judge.analysis.ranking import leaderboard
from judge.analysis.results import Results, SystemAgreement
from judge.analysis.summary import summarize
from judge.report import render_html
from judge.report.figures.dots import systems_plot
from judge.report.run_page import HeatMap
from judge.report.verdict import standing_sentences, trust_sentences
from judge.types import Failure, Judgment, Rubric
from tests.unit.report.page_example import agreement

Make = Callable[..., Judgment]
METRICS = ("fluency", "sense", "style")


@pytest.fixture
def scored(judged: Make) -> Callable[..., list[Judgment]]:
    """`scored({system: base}, characters=8, scenarios=8)`: harder scenarios score lower."""

    def make(bases: dict[str, float], characters: int = 8, scenarios: int = 8) -> list[Judgment]:
        return [
            judged(f"{system}/c{c}/{s}", metric, base + 0.1 * (c % 3) - 0.05 * s)
            for system, base in bases.items()
            for c in range(characters)
            for s in range(scenarios)
            for metric in METRICS
        ]

    return make


def told(judgments: list[Judgment], rubric: Rubric) -> list[str]:
    """What the report says of them first."""
    results = summarize(judgments, rubric)
    board = leaderboard(results, judgments) if "overall" in results.titles else None
    return standing_sentences(results, break_down(results, judgments), board)


def test_who_is_ahead_and_by_how_much(
    scored: Callable[..., list[Judgment]], rubric: Rubric
) -> None:
    """`good` is exactly 1 above `fair` in every scene, which equals `same` and the fans."""
    lead, open_pairs, people = told(scored({"fair": 3, "good": 4, "human": 3, "same": 3}), rubric)
    # 3.8625 = 4 + .1 (0+1+2+0+1+2+0+1)/8 - .05 (0+...+7)/8
    assert lead.startswith("good has the highest mean, 3.91 of 5 overall (95% interval ")
    assert lead.endswith(
        "It is 1.00 ahead of fair (1.00 to 1.00), and shown to be better than every other system."
    )
    assert open_pairs == (
        "Cannot be told apart, 3 of 6 pairs: fair and human; fair and same; human and same."
    )
    assert people.startswith("The human fans (human) have rank 2")


def test_a_lead_that_is_not_shown(scored: Callable[..., list[Judgment]], rubric: Rubric) -> None:
    """Two equal systems: neither is better, whatever their order."""
    lead, open_pairs = told(scored({"a": 3, "b": 3}), rubric)
    assert lead.endswith(
        "It is 0.00 ahead of b (0.00 to 0.00), which can be chance, and not shown to be better "
        "than any other system."
    )
    assert open_pairs == "Cannot be told apart, 1 of 1 pair: a and b."


def test_too_few_scenes_are_not_ranked(
    scored: Callable[..., list[Judgment]], rubric: Rubric
) -> None:
    """The means are told, and why there is no rank."""
    lead, why = told(scored({"a": 4, "b": 2}, characters=2, scenarios=2), rubric)
    assert lead.startswith("a has the highest mean, ")
    assert "; b has 2.0" in lead
    assert why.startswith("Too few scenarios to rank: 2 characters and 2 scenarios")


def test_one_system_and_none(judged: Make, rubric: Rubric) -> None:
    """One is told alone; without a scored dialogue, or a metric of three, there is no mean."""
    one = [judged("a/c/1", metric, 3) for metric in METRICS]
    assert told(one, rubric) == ["a has 3.00 of 5 overall."]
    none = [judged("a/c/1", metric, Failure("too_long", "x")) for metric in METRICS]
    assert told(none, rubric) == ["No dialogue has an overall score."]
    (why,) = told(one[:2], rubric)
    assert why.startswith("No overall score: ")
    assert why.endswith("Fluency, Character knowledge.")


def test_what_is_known_of_people(scored: Callable[..., list[Judgment]], rubric: Rubric) -> None:
    """Nothing, which is said; or an order, which few systems make doubtful."""
    results = summarize(scored({"a": 4}), rubric)
    (nothing,) = trust_sentences(results)
    assert "not known from this run" in nothing
    known = replace(results, agreement=(SystemAgreement("overall", 0.26, 6, ""),))
    (order,) = trust_sentences(known)
    assert "6 systems" in order
    assert "ρ = 0.26" in order
    assert "can be chance" in order


def test_what_judge_agree_found_comes_first(
    scored: Callable[..., list[Judgment]], rubric: Rubric
) -> None:
    """Agreement with people is told; that with simulated ratings is named so and is not theirs."""
    results = summarize(scored({"a": 4}), rubric)
    (found,) = trust_sentences(results, agreement(simulated=False))
    assert found.startswith("By `judge agree`: ")
    assert "mean human rating" in found
    drawn, nothing = trust_sentences(results, agreement(simulated=True))
    assert drawn.startswith("SIMULATED RATINGS: not people. By `judge agree`: ")
    assert "not known from this run" in nothing


@pytest.fixture
def broken_down(scored: Callable[..., list[Judgment]], rubric: Rubric) -> tuple[Results, Breakdown]:
    """Two systems on eight characters and four scenarios."""
    judgments = scored({"a": 4, "human": 3}, scenarios=4)
    results = summarize(judgments, rubric)
    return results, break_down(results, judgments)


def test_means_of_characters_and_scenarios(broken_down: tuple[Results, Breakdown]) -> None:
    """By hand: a character is .1 c off, a scenario .05 s; scenarios are in the order of numbers."""
    found = broken_down[1]
    assert list(found.scenarios) == ["0", "1", "2", "3"]
    # The mean of -.05 s over four scenarios is -.075, that of .1 (c % 3) over eight is .0875.
    assert found.characters["c1"]["a"].mean == pytest.approx(4 + 0.1 - 0.075)
    assert found.scenarios["3"]["human"].mean == pytest.approx(3 + 0.0875 - 0.15)
    assert found.scenarios["3"]["human"].n == 8
    overall = found.measures["overall"]["a"]
    assert overall.mean == pytest.approx(4 + 0.0875 - 0.075)
    assert list(found.measures) == ["overall", "talk", "role"]
    assert overall.lower is not None
    # Of the scenarios alone, whose effects are 0, -.05, -.1 and -.15: the larger clustering here.
    error = stats.sem([0.05 * s for s in range(4)])
    assert overall.mean - overall.lower >= stats.t.ppf(0.975, 3) * error - 1e-9


def test_the_heat_map_begins_with_what_is_lowest(broken_down: tuple[Results, Breakdown]) -> None:
    """Rows from the lowest mean up, the lowest cell in words, and no colour in the middle."""
    found = HeatMap.of("scenario", broken_down[1].scenarios)
    assert list(found.rows) == ["3", "2", "1", "0"]
    # (4 + 3) / 2 + .0875 - .15, and the same without the .15.
    assert found.words == (
        "Lowest: 3 (3.44); highest: 0 (3.59). The lowest single mean is that of human in "
        "scenario 3: 2.94."
    )
    assert found.share(found.middle) == "0%"
    assert found.share(2.9375) == "50%"
    assert found.link("我 &", "a=b") == ("dialogues.html#system=a%3Db&scenario=%E6%88%91+%26")


def test_the_plot_has_every_system_and_marks_the_fans(
    broken_down: tuple[Results, Breakdown],
) -> None:
    """A dot at each mean, rows in the order of the results, a line at the mean of the fans."""
    results, found = broken_down
    picture = systems_plot(results, found)
    assert picture is not None
    overall = picture.figure.axes[0]
    assert [label.get_text() for label in overall.get_yticklabels()] == ["a", "human"]
    dots = [line for line in overall.lines if line.get_marker() in ("o", "D")]
    assert [(float(d.get_xdata()[0]), d.get_ydata()[0], d.get_marker()) for d in dots] == [
        (pytest.approx(4.0125), 0, "o"),
        (pytest.approx(3.0125), 1, "D"),
    ]
    (upright,) = [line for line in overall.lines if line not in dots]
    assert upright.get_xdata()[0] == pytest.approx(3.0125)
    assert "human fans" in picture.caption
    page = render_html(results, found, None, [picture])
    assert page.count("<svg") == 1
    alone = [system for system in results.systems if system.system == "a"]
    assert systems_plot(replace(results, systems=tuple(alone)), found) is None
