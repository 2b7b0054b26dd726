"""The page of an agreement as text: its parts, its numbers, its escapes.

Its script is tested in a browser, in tests/browser.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from markupsafe import Markup

from judge.analysis.agreement.agreement_records import Agreement, Disagreement
from judge.report.agreement_page import SHOWN, render_agreement
from judge.report.format import Footnotes, signed
from judge.types import Turn
from tests.unit.report.page_example import CONSTANT, EVIL, agreement, disagreements, measure

VOID = {"meta", "link", "br", "img", "hr", "input"}
APART = {"dt", "dd", "th", "td", "p", "li", "summary"}


class Page(HTMLParser):
    """Tags, attributes and text of a page; fails on a tag that is not closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag
        self.text += " " if tag in APART else ""

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] not in ("style", "script"):
            self.text += data

    @property
    def said(self) -> str:
        """The text with single blanks."""
        return re.sub(r"\s+", " ", self.text)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every such tag."""
        return [attributes for name, attributes in self.tags if name == tag]


def rows(html: str) -> list[list[str]]:
    """The headline table: a list of cell texts per row, white space made single."""
    table = html[html.index('class="comparison sortable"') :]
    body = table[table.index("<tbody>") : table.index("</tbody>")]
    return [
        [re.sub(r"<[^>]*>", " ", cell).split() for cell in re.findall(r"<t[hd].*?</t[hd]>", row)]
        for row in re.findall(r"<tr.*?</tr>", body, re.DOTALL)
    ]


def test_the_parts_are_there() -> None:
    """Title, signature, notes, every measure, figures and provenance; well-formed, one script."""
    figure = ("Forest", Markup('<svg viewBox="0 0 1 1"></svg>'), "a caption of & own")
    page = Page(render_agreement(agreement(), [figure]))
    for part in (
        "How far tiny agrees with people",
        "rubric small 1.2.0 zh",
        "1,040 ratings by 5 raters of 120 dialogues (3 systems, 40 items)",
        "resamples 2,000",
        "3 ratings match no dialogue",
        "Character knowledge (角色知识)",
        "Forest",
        "a caption of & own",
        "Alternative annotator test",
        "Raters with each other 1 pair",
        "Each system, and ρ of the others without it",
        "Made with model tiny/0",
    ):
        assert part in page.said, part
    assert len(page.all("svg")) == 1
    assert len(page.all("script")) == 1
    targets = {at["href"] for at in page.all("a")}
    assert targets <= {f"#{at['id']}" for _, at in page.tags if "id" in at}


def test_it_works_without_figures_and_without_disagreements() -> None:
    """Neither is needed, and no empty section is left."""
    page = Page(render_agreement(replace(agreement(), disagreements=())))
    assert page.all("svg") == []
    assert "#figures" not in {at["href"] for at in page.all("a")}
    assert "There is nothing to show" in page.said
    assert page.all("select") == []


def test_nothing_to_compare_is_said() -> None:
    """An agreement without a measure is a page that says so."""
    empty = replace(agreement(), measures=(), disagreements=(), pairs=())
    assert "There is nothing to compare" in Page(render_agreement(empty)).said


def test_numbers_are_those_of_the_record() -> None:
    """The row of a metric, by hand: numbers to two places with intervals, sortable as they are."""
    html = render_agreement(agreement())
    fluency = next(row for row in rows(html) if row[0] == ["Fluency", "(流畅性)"])
    assert fluency[1:] == [
        ["0.31", "[0.22,", "0.40]"],
        ["0.21", "[0.12,", "0.30]"],
        ["0.26", "[0.17,", "0.35]"],
        ["0.51", "[0.42,", "0.60]"],
        ["1.11", "[−0.20,", "0.91]"],
        ["0.87", "[0.82,", "0.92]", "constant", "1.40"],
        ["−0.04", "[−0.09,", "0.01]"],
        ["0.31"],
        ["0.80"],
        ["39%"],
        ["120"],
    ]
    assert 'data-value="0.31"' in html


def test_the_groups_come_as_the_record_has_them() -> None:
    """Each dimension before its metrics, also one that is only a heading; overall last."""
    titles = [" ".join(row[0]) for row in rows(render_agreement(agreement()))]
    assert [title.split(" (")[0] for title in titles] == [
        "Talk",
        "Fluency",
        "Character knowledge",
        "Role",
        "Speech style",
        "lone",
        "Behavioral habit",
        "Overall",
    ]


def test_the_undefined_is_a_dash_with_its_reason() -> None:
    """Never 0, never sortable as a number; the reason is in its title and in a note below."""
    html = render_agreement(agreement())
    habit = next(row for row in rows(html) if row[0][0] == "Behavioral")
    dash = ["–", "undefined,", "note", "1"]
    assert [place for place, cell in enumerate(habit) if cell == dash] == [
        1,
        2,
        3,
        4,
        5,
        6,
        7,
        8,
        10,
    ]
    assert f'title="undefined: {Markup.escape(CONSTANT)}"' in html
    assert f'<li value="1">{Markup.escape(CONSTANT)}</li>' in html
    row = html[html.index('data-value="Behavioral habit') :]
    row = row[: row.index("</tr>")]
    assert re.findall(r'<td[^>]*data-value="([^"]*)"', row) == ["0.8", "120"]


def test_a_reason_has_one_mark_in_a_table() -> None:
    """Marks count from 1 in the order of first use."""
    notes = Footnotes()
    assert [notes.mark(reason) for reason in ("a", "b", "a", "")] == [1, 2, 1, 3]
    assert list(notes) == [(1, "a"), (2, "b"), (3, "no reason was recorded")]


@pytest.mark.parametrize("simulated", [False, True])
@pytest.mark.parametrize("partial", ["", "12 dialogues are missing"])
def test_what_is_not_the_whole_truth_is_said_first(simulated: bool, partial: str) -> None:
    """Simulated and partial have a banner before the title, on paper too; else there is none."""
    html = render_agreement(agreement(simulated=simulated, partial=partial))
    page = Page(html)
    head = re.sub(r"<[^>]*>", "", html[html.index("<body>") : html.index("<h1>")])
    assert ("SIMULATED RATINGS: not people" in head) is simulated
    assert ("@top-center" in html) is simulated
    assert html.count("<title>SIMULATED: ") == simulated
    assert ("agrees with simulated ratings" in page.said) is simulated
    assert (f"PARTIAL: {partial}" in head) is bool(partial)
    assert (len([at for at in page.all("div") if at.get("class") == "banner"])) == bool(
        simulated or partial
    )


def test_hostile_text_stays_text() -> None:
    """Wherever it comes in, it has no tag and no attribute, and every letter of it is shown."""
    found = agreement(text=EVIL, partial=EVIL)
    evil = replace(
        found,
        titles={name: f"{title} {EVIL}" for name, title in found.titles.items()},
        measures=tuple(replace(m, title=f"{m.title} {EVIL}") for m in found.measures),
        disagreements=tuple(
            replace(d, system=EVIL, character=EVIL, ratings=((EVIL, 3.0),))
            for d in found.disagreements
        ),
    )
    html = render_agreement(evil)
    page = Page(html)
    plain = Page(render_agreement(agreement()))
    assert len(page.all("script")) == 1
    assert not {"img", "link", "iframe", "object", "base"} & {name for name, _ in page.tags}
    names = {name for _, attributes in page.tags for name in attributes}
    assert names == {name for _, attributes in plain.tags for name in attributes}
    assert not [name for name in names if name.startswith("on") or name in ("src", "action")]
    assert page.text.count(EVIL) > 54 * 6


def test_the_policy_allows_this_script_only() -> None:
    """The hash in the policy is that of the script in the page (CSP level 2); nothing is loaded."""
    html = render_agreement(agreement())
    script = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script[0].encode()).digest()).decode()
    (policy,) = [
        at["content"]
        for at in Page(html).all("meta")
        if at.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy is not None
    assert policy.split("; ")[:2] == ["default-src 'none'", f"script-src 'sha256-{digest}'"]
    assert "innerHTML" not in html
    assert "url(" not in html
    assert "@import" not in html


def test_without_script_the_largest_gaps_are_seen() -> None:
    """All are there by falling gap, the first 25 are not hidden."""
    html = render_agreement(agreement())
    articles = Page(html).all("article")
    assert len(articles) == 54
    assert ["hidden" in one for one in articles] == [False] * SHOWN + [True] * (54 - SHOWN)
    gaps = re.findall(r'"score">[+−](\d\.\d\d)<', html)
    assert len(gaps) == 54
    assert gaps == sorted(gaps, reverse=True)


def test_a_dialogue_has_its_numbers_and_its_text() -> None:
    """Gap, scores, each rating, the probabilities, the turns and the reason."""
    one = Disagreement(
        system="s",
        character="路飞",
        scenario="7",
        metric="fluency",
        judge=4.5,
        human=2.25,
        gap=2.25,
        p=(0, 0, 0.1, 0.3, 0.6),
        ratings=(("r1", 2.0), ("", 2.5)),
        turns=(Turn("你好", "嗯"),),
        rationale="",
    )
    html = render_agreement(replace(agreement(), disagreements=(one,)))
    said = Page(html[html.index("<article") : html.index("</article>") + 10]).said
    assert said.split() == [
        *("+2.25", "Fluency", "s", "as", "路飞,", "scenario", "7", "你好", "嗯"),
        *("Judge", "4.50", "Mean", "rating", "2.25", "r1", "2", "unnamed", "rater", "2.5"),
        *("Labels", "The", "judge’s", "reason", "(nothing", "written)"),
    ]
    assert 'aria-label="1: 0%, 2: 0%, 3: 10.0%, 4: 30.0%, 5: 60.0%"' in html


def test_a_gap_between_ranges_is_in_deviations() -> None:
    """Where gap is not the difference it says SD and draws no judge on the scale of people."""
    one = replace(disagreements(1)[0], judge=77.0, gap=-1.5, turns=(), ratings=(), p=())
    html = render_agreement(replace(agreement(), disagreements=(one,)))
    article = html[html.index("<article") : html.index("</article>")]
    assert "−1.50 SD" in article
    assert "The text is not at hand." in article
    assert article.count('<i class="open"') == 1
    assert '<i style="left' not in article


def test_a_table_of_items_has_no_characters() -> None:
    """Where an item is what a table calls so, the page does too."""
    html = render_agreement(replace(agreement(), item="story"))
    assert "<label>Story <select" in html
    assert "gpt-4.1, story 路飞" in Page(html).said


def test_the_summary_says_what_the_record_does() -> None:
    """Sentences of the example, written out by hand."""
    said = Page(render_agreement(agreement())).said.replace("\u00a0", " ")
    for sentence in (
        (
            "Over 120 dialogues of 3 systems, the judge’s overall score and the mean human rating "
            "correlate at ρ = 0.44 (95% interval 0.35 to 0.53)."
        ),
        "it is 0.34 (95% interval 0.25 to 0.43).",
        (
            "Over the 3 systems, ρ = 0.64; the 95% interval of Bonett and Wright, −0.20 to 0.91, "
            "is 1.11 wide (for the order of means over so many dialogues), and the permutation "
            "test gives p = 0.500."
        ),
        (
            "At least as good as the judge without reading the dialogue: reply length within an "
            "item (0.35 against 0.34); system mean over systems (1.00 against 0.64)."
        ),
        "The judge’s scores lie 0.09 points above those of people on average, and 0.86 points off",
        "; one and the same score for everything would be 1.40 points off.",
        (
            "Of the 2 metrics, out of 4, where that is defined, it is weakest on Fluency (ρ = 0.21 "
            "within an item) and strongest on Character knowledge (0.52)."
        ),
        "it reaches from −10% (Speech style) to 77% (Character knowledge).",
        (
            "The alternative annotator test (ε = 0.15, for skilled annotators) is passed on 0 of 7 "
            "measures with continuous scores and on 6 of 6 measures with rounded scores; 1 test "
            "could not be run."
        ),
    ):
        assert sentence in said, sentence


def only(name: str, rho: float | None) -> Agreement:
    """The example with one measure."""
    return replace(agreement(), measures=(measure(name, rho),), disagreements=())


def test_the_summary_of_one_measure() -> None:
    """It stands for itself; where it is undefined each sentence gives the reason, no number."""
    said = Page(render_agreement(only("style", 0.6))).said.replace("\u00a0", " ")
    assert "the judge’s score for Speech style and the mean human rating correlate" in said
    assert f"Within the same character and scenario it is undefined: {CONSTANT}." in said
    assert "it reaches 75% on Speech style." in said
    said = Page(render_agreement(only("fluency", None))).said
    assert f"correlate at an undefined ρ ({CONSTANT})" in said
    assert f"The order of the systems cannot be compared: {CONSTANT}." in said
    assert f"Errors in points cannot be given: {CONSTANT}." in said
    assert "How near it comes to a perfect judge is not known" in said


def test_no_overall_score_is_made_up() -> None:
    """Several measures and no overall one: the mean over the metrics stands for them.

    The two have .31 and .62 over all, .51 and .82 over systems: by hand .465 and .665.
    """
    found = agreement()
    some = replace(found, measures=found.measures[:2], disagreements=())
    said = Page(render_agreement(some)).said
    words = r"On average over 2 metrics, .*? at ρ\s=\s(\S+) over all, .*? (\S+) over systems"
    means = re.search(words, said)
    assert means is not None
    assert [float(mean) for mean in means.groups()] == pytest.approx([0.465, 0.665], abs=0.0051)
    assert "The headline at four levels" not in said


def test_intervals_not_asked_for_are_said() -> None:
    """0 resamples: the page does not speak of intervals that are not there."""
    said = Page(render_agreement(replace(agreement(), resamples=0))).said
    assert "No intervals were asked for" in said
    assert "resamples none" in said
    assert "In brackets" not in said


def test_a_signed_number() -> None:
    """A plus for what prints above 0, a true minus below, neither for what prints as 0."""
    assert [signed(x) for x in (0.35, -0.35, 0.001, -0.001, None)] == [
        *("+0.35", "−0.35", "0.00", "0.00", "–"),
    ]


def test_many_dialogues_stay_small() -> None:
    """360 long dialogues of Chinese text, as many as nine metrics have, fit into 3 MB."""
    long = Turn("我今天很难过。" * 15, "别担心，我在这里。" * 20)
    (some,) = disagreements(1)[:1]
    many = tuple(replace(some, turns=(long, long), scenario=str(n)) for n in range(360))
    html = render_agreement(replace(agreement(), disagreements=many))
    assert len(html.encode()) < 3_000_000
