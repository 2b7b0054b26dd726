"""The page of all dialogues in a real browser, over as many as the public data have."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from judge.analysis.summary import summarize
from judge.ratings import read_ratings
from judge.report.dialogues_page import dialogue_link, render_dialogues
from judge.types import (
    Dialogue,
    Dimension,
    Failure,
    Judgment,
    Metric,
    Rubric,
    ScoreDistribution,
    Turn,
)

Tab = Any
"""Of conftest.py."""

METRICS = ("fluency", "sense", "style")
RUBRIC = Rubric(
    name="small",
    version="1.0.0",
    language="en",
    hash="0123456789abcdef" * 4,
    labels=("1", "2", "3", "4", "5"),
    dimensions=(Dimension("talk", {"en": "Talk"}, METRICS),),
    metrics=tuple(Metric(name, "talk", {"en": name.capitalize()}) for name in METRICS),
)
EVIL = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'>"
SYSTEMS = ("human", EVIL, *(f"model-{k}" for k in range(9)))
CHARACTERS = ("路飞 & Co", "a/b=c#d", *(f"c{k}" for k in range(18)))
SCENARIOS = tuple(str(k) for k in range(1, 61))
TURNED = "right \u202eto left\u202c"


class Row(NamedTuple):
    """What the page should know of a dialogue; a score is None where there is none."""

    system: str
    character: str
    scenario: str
    scores: tuple[float | None, ...]
    flagged: tuple[bool, ...]

    @property
    def overall(self) -> float | None:
        """The mean of all metrics, if all have a score."""
        known = [score for score in self.scores if score is not None]
        return sum(known) / 3 if len(known) == 3 else None


class Made(NamedTuple):
    """The page and what it is of."""

    path: Path
    rows: list[Row]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """13,200 dialogues; a few are flagged, failed, rated, or have reasons."""
    rng = np.random.default_rng(0)
    rows, judgments, dialogues = [], [], []
    shares = rng.dirichlet(np.ones(5), size=(len(SYSTEMS) * 1200, 3))
    names = [(s, c, n) for s in SYSTEMS for c in CHARACTERS for n in SCENARIOS]
    for at, name in enumerate(names):
        scores: list[float | None] = []
        for metric, p in zip(METRICS, shares[at], strict=True):
            mass = 0.25 if (at % 500, metric) == (7, "sense") else 1.0
            outcome: ScoreDistribution | Failure = ScoreDistribution(
                tuple(math.log(x * mass) for x in p.tolist()), top_is_label=True
            )
            if at % 1000 == 3 and metric == "style":
                outcome = Failure("too_long", f"does not fit {EVIL}")
            scores.append(None if isinstance(outcome, Failure) else outcome.expected)
            reason = f"because {EVIL} {TURNED}" if at == 0 else None
            judgments.append(Judgment(f"{at} {metric}", *name, metric, outcome, reason))
        flagged = (False, at % 500 == 7, False)
        rows.append(Row(*name, tuple(scores), flagged))
        turns = tuple(Turn(f"question {k} {name[2]}", f"answer {k} {at}") for k in (1, 2))
        dialogues.append(Dialogue(*name, turns if at else (Turn(EVIL, TURNED), *turns[1:])))
    folder = tmp_path_factory.mktemp("page")
    ratings = folder / "ratings.csv"
    ratings.write_text(
        "system,character,scenario,metric,rater,score\n"
        "human,c0,1,fluency,a,4\nhuman,c0,1,fluency,b,1\n",
        encoding="utf-8",
    )
    page = render_dialogues(
        summarize(judgments[::-1], RUBRIC),
        judgments[::-1],
        dialogues,
        items={},
        beside={"People": read_ratings(ratings, metrics=RUBRIC.metrics)},
    )
    path = folder / "dialogues.html"
    path.write_text(page, encoding="utf-8", newline="\n")
    return Made(path, rows)


@pytest.fixture
def opened(tab: Tab, made: Made) -> Callable[..., Tab]:
    """`opened(width=1280, dark=False, fragment="")`: the page from disk, when it is unpacked."""

    def open_it(**how: Any) -> Tab:
        tab.open(made.path, **how)
        tab.run(READY)
        return tab

    return open_it


READY = """(async () => {
    while (document.documentElement.dataset.ready === undefined)
        await new Promise((done) => setTimeout(done, 5));
})()"""
LINES = "[...document.querySelectorAll('.row')]"
STATUS = "document.getElementById('status').textContent"
DETAIL = "document.getElementById('detail')"
SETTLED = "new Promise((done) => setTimeout(done, 60))"


def choose(tab: Tab, **chosen: str) -> None:
    """Fill in the form, as a person would."""
    tab.run(f"""{{
        const form = document.getElementById("filter");
        for (const [name, value] of Object.entries({json.dumps(chosen)}))
            form.elements[name].value = value;
        form.dispatchEvent(new Event("input", {{bubbles: true}}));
    }}""")


def complaints(tab: Tab) -> list[Any]:
    """Errors, warnings and words on the console."""
    return list(tab.events("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"))


def test_all_are_there_and_few_are_drawn(opened: Callable[..., Tab], made: Made) -> None:
    """The list is as high as 13,200 rows, and draws those in view; its end can be reached.

    Nothing but the page is asked for, and the console stays empty.
    """
    tab = opened()
    assert tab.run(STATUS) == "13,200 of 13,200 dialogues"
    assert 10 < tab.run(f"{LINES}.length") < 60
    ordered = sorted(row.overall for row in made.rows if row.overall is not None)
    scores = f"{LINES}.map((line) => line.querySelector('b').textContent)"
    assert tab.run(scores)[:8] == [f"{score:.2f}" for score in ordered[:8]]
    tab.run("document.getElementById('list').scrollTop = 1e9")
    tab.run(SETTLED)
    missing = sum(row.overall is None for row in made.rows)
    assert missing == 14
    assert tab.run(scores)[-missing:] == ["–"] * missing
    assert tab.run(f"{LINES}.at(-1).getAttribute('aria-posinset')") == "13200"
    assert tab.run(f"{LINES}.length") < 60
    asked = [event["request"]["url"] for event in tab.events("Network.requestWillBeSent")]
    assert [url.rsplit("/", 1)[-1] for url in asked] == ["dialogues.html"]
    assert complaints(tab) == []
    assert tab.run("fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'refused')") == "refused"


def test_filters_agree_with_the_data(opened: Callable[..., Tab], made: Made) -> None:
    """System, character, scenario, metric, score, flag and failure, alone and together."""
    tab = opened()

    def score(row: Row, metric: str) -> float | None:
        return row.scores[int(metric)] if metric else row.overall

    for chosen in (
        {"system": EVIL},
        {"character": "a/b=c#d", "scenario": "17"},
        {"from": "4.2"},
        {"to": "1.5", "metric": "1"},
        {"from": "3", "to": "3.1", "system": "human"},
        {"show": "flagged"},
        {"show": "flagged", "metric": "0"},
        {"show": "failed"},
        {"show": "too_long", "metric": "2", "scenario": "4"},
    ):
        empty = dict.fromkeys(
            ("system", "character", "scenario", "metric", "from", "to", "show"), ""
        )
        choose(tab, **(empty | chosen))
        want = empty | chosen
        metric = want["metric"]
        columns = [int(metric)] if metric else [0, 1, 2]
        hits = [
            row
            for row in made.rows
            if want["system"] in ("", row.system)
            and want["character"] in ("", row.character)
            and want["scenario"] in ("", row.scenario)
            and (not want["from"] or (score(row, metric) or 0) >= float(want["from"]))
            and (not want["to"] or (score(row, metric) or 9) <= float(want["to"]))
            and (want["show"] != "flagged" or any(row.flagged[c] for c in columns))
            and (
                want["show"] not in ("failed", "too_long")
                or any(row.scores[c] is None for c in columns)
            )
        ]
        assert tab.run(STATUS) == f"{len(hits):,} of 13,200 dialogues", chosen
    tab.run("document.querySelector('#filter [type=reset]').click()")
    tab.run(SETTLED)
    assert tab.run(STATUS) == "13,200 of 13,200 dialogues"


def test_sorting(opened: Callable[..., Tab], made: Made) -> None:
    """Highest first, by a single metric, by a name, and by the distance from people."""
    tab = opened()
    scores = f"{LINES}.slice(0, 5).map((line) => line.querySelector('b').textContent)"
    choose(tab, sort="high", metric="2")
    highest = sorted((row.scores[2] or 0 for row in made.rows), reverse=True)[:5]
    assert tab.run(scores) == [f"{score:.2f}" for score in highest]
    choose(tab, sort="scenario", metric="")
    places = f"{LINES}.slice(0, 5).map((line) => line.querySelector('small').textContent)"
    assert all(place.endswith(", 1") for place in tab.run(places))
    choose(tab, sort="People", metric="0")
    assert tab.run(places)[0] == "c0, 1"


def test_a_link_can_be_sent(opened: Callable[..., Tab], made: Made) -> None:
    """What is chosen is in the address, and the address brings it back; so do those of reports."""
    link = dialogue_link(system=EVIL, character="a/b=c#d")
    tab = opened(fragment=link.removeprefix("dialogues.html"))
    assert tab.run(STATUS) == "60 of 13,200 dialogues"
    choose(tab, system="human", scenario="9", metric="1", sort="high")
    tab.run(f"{LINES}[0].click()")
    tab.run(SETTLED)
    tab.run(f"""{{ const select = {DETAIL}.querySelector("select");
        select.value = "model-3"; select.dispatchEvent(new Event("change")); }}""")
    tab.run(SETTLED)
    before = tab.run(f"[location.hash, {STATUS}, {DETAIL}.innerText]")
    elsewhere = made.path.with_name("elsewhere.html")
    elsewhere.write_text("<!doctype html><title>another page</title>", encoding="utf-8")
    tab.open(elsewhere)
    again = opened(fragment=before[0])
    again.run(SETTLED)
    assert again.run(f"[location.hash, {STATUS}, {DETAIL}.innerText]") == before
    assert "model-3" in before[2]
    tab.open(elsewhere)
    lost = opened(fragment="#system=nobody")
    assert "the link asks for the system nobody, which is not here" in lost.run(STATUS)


def test_two_systems_side_by_side(opened: Callable[..., Tab], made: Made) -> None:
    """Both rounds, every metric with its distribution, and people's scores where there are any."""
    tab = opened(fragment="#open=human%2Fc0%2F1&beside=model-8")
    tab.run(SETTLED)
    sides = tab.run(f"[...{DETAIL}.querySelectorAll('article')].map((one) => one.innerText)")
    assert len(sides) == 2
    at = {(row.system, row.character, row.scenario): n for n, row in enumerate(made.rows)}
    for system, side in zip(("human", "model-8"), sides, strict=True):
        row = at[system, "c0", "1"]
        for text in ("question 1 1", f"answer 1 {row}", "question 2 1", f"answer 2 {row}"):
            assert text in side
        for title, score in zip(METRICS, made.rows[row].scores, strict=True):
            assert title.capitalize() in side
            assert f"{score:.2f}" in side
    assert "People" in sides[0]
    assert "2.50" in sides[0]  # the mean of 4 and 1
    assert "People" not in sides[1]
    assert tab.run(f"{DETAIL}.querySelectorAll('.bar').length") == 6
    assert tab.run(f"{DETAIL}.querySelector('.bar').children.length") == 5


def test_text_of_others_stays_text(opened: Callable[..., Tab]) -> None:
    """Tags in names, replies, reasons and failures are shown; marks that turn text are written."""
    link = dialogue_link(system="human", character=CHARACTERS[0], scenario="1")
    tab = opened(fragment=link.removeprefix("dialogues.html"))
    tab.run(SETTLED)
    tab.run(f"for (const more of {DETAIL}.querySelectorAll('details')) more.open = true")
    words = tab.run(f"{DETAIL}.querySelector('article').innerText")
    assert words.count(EVIL) == 4  # a question and three reasons
    assert "\u202e" not in words
    assert "\\u202e" in words
    choose(tab, system="", character="", scenario="", show="too_long")
    tab.run(f"{LINES}[0].click()")
    tab.run(SETTLED)
    assert f"✕ too_long: does not fit {EVIL}" in tab.run(f"{DETAIL}.innerText")
    assert tab.run("window.hacked === undefined && !document.querySelector('img')")
    assert tab.run("document.querySelectorAll('script:not([type])').length") == 1
    assert complaints(tab) == []


def test_the_keyboard_moves_through_the_list(opened: Callable[..., Tab]) -> None:
    """An arrow chooses the next dialogue and opens it."""
    tab = opened()
    tab.run("document.getElementById('list').focus()")
    for place in ("1", "2"):
        tab.press("ArrowDown")
        tab.run(SETTLED)
        chosen = "document.querySelector('.row[aria-selected=true]')"
        assert tab.run(f"{chosen}.getAttribute('aria-posinset')") == place
        assert tab.run(f"{chosen}.id") == tab.run(
            "document.getElementById('list').getAttribute('aria-activedescendant')"
        )
        assert tab.run(f"{DETAIL}.querySelectorAll('article').length") == 1


@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_shows_list_filters_and_dialogue(opened: Callable[..., Tab], *, dark: bool) -> None:
    """At 360 pixels nothing is cut off at the side, and the theme is the reader's."""
    tab = opened(width=360, dark=dark, fragment="#open=human%2Fc0%2F1&beside=model-8")
    tab.run(SETTLED)
    assert tab.run("document.documentElement.scrollWidth") <= 360
    for part in ("#filter select[name=show]", "#list", "#detail article", ".bar"):
        assert tab.run(f"document.querySelector({json.dumps(part)}).checkVisibility()")
    paper = tab.run("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(21, 23, 26)" if dark else "rgb(255, 255, 255)")
