"""The page, the tables and the files, as a reader or a program meets them."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from judge.analysis.breakdown import break_down
from judge.analysis.published import PublishedMeans
from judge.analysis.ranking import leaderboard
from judge.analysis.results import Results
from judge.analysis.summary import summarize
from judge.errors import StoreError
from judge.report import ReportFiles, render_html, terminal_table, write_report
from judge.report.format import fixed, share
from judge.types import Dialogue, Failure, Judgment, Rubric, Turn
from tests.unit.stored import reread

Make = Callable[..., Judgment]

METRICS = ("fluency", "sense", "style")
EVIL = "<script>alert('x')</script>"
VOID = {"meta", "link", "br", "img", "hr", "input"}


class Page(HTMLParser):
    """Tags, attributes and visible text; fails on a tag that is not closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember it."""
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An SVG shape: opened and closed at once."""
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        """It closes what was opened last."""
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Text between tags."""
        self.text += data


@pytest.fixture
def judgments(judged: Make) -> list[Judgment]:
    """Four systems on a grid of two characters and two scenarios, with one failure."""
    js = [
        judged(f"{system}/{character}/{scenario}", metric, base + 0.25 * (scenario == "10"))
        for system, base in {"one": 2, "two-2.5-preview": 3, "three": 3.5, "four": 1}.items()
        for character in ("路飞", "b")
        for scenario in ("2", "10")
        for metric in METRICS
    ]
    js[0] = judged("one/路飞/2", "fluency", Failure("too_long", f"does not fit, {EVIL}"))
    return js


def drawn(
    judgments: list[Judgment], rubric: Rubric, published: PublishedMeans | None = None
) -> Results:
    """Their results, with a dialogue and notes that try to break out of the page."""
    dialogues = [
        Dialogue(j.system, j.character, j.scenario, (Turn(EVIL, f"a & b {EVIL}"),))
        for j in judgments
    ]
    return summarize(
        judgments,
        rubric,
        dialogues=dialogues,
        provenance={"judge": f"tiny {EVIL}", "seed": "0", "device": "cpu"},
        notes=[EVIL],
        published=published,
    )


def published() -> PublishedMeans:
    """Three systems in common with the judged ones, one not judged."""
    means = {"one": 3.0, "three": 4.0, "four": 2.0, "elsewhere": 3.3}
    return PublishedMeans("means.csv", {s: dict.fromkeys(METRICS, x) for s, x in means.items()})


def rendered(results: Results, judgments: list[Judgment]) -> str:
    """Its page, with ranks where there is an overall score."""
    board = leaderboard(results, judgments) if "overall" in results.titles else None
    return render_html(results, break_down(results, judgments), board)


def written(results: Results, folder: Path, judgments: list[Judgment]) -> ReportFiles:
    """Its files."""
    breakdown = break_down(results, judgments)
    return write_report(results, folder, judgments=judgments, breakdown=breakdown)


@pytest.mark.parametrize("systems", [1, 4])
@pytest.mark.parametrize("compared", [False, True])
def test_the_page_asks_nobody_and_runs_nothing(
    judgments: list[Judgment], rubric: Rubric, systems: int, compared: bool
) -> None:
    """Well-formed, no script, nothing to load from elsewhere; hostile text stays text."""
    some = [j for j in judgments if systems == 4 or j.system == "one"]
    html = rendered(drawn(some, rubric, published=published() if compared else None), some)
    page = Page(html)
    assert not {"script", "link", "img", "iframe", "object", "base"} & set(page.tags)
    names = {name for name, _ in page.attributes}
    assert not {"src", "srcset", "action"} & names
    # A drawing refers to its own parts, a number to the page of dialogues beside this one.
    links = [str(value).partition("#")[0] for name, value in page.attributes if name == "href"]
    assert set(links) <= {"", "dialogues.html"}
    assert not [name for name in names if name.startswith("on")]
    assert "url(" not in html
    assert "@import" not in html
    assert page.text.count(EVIL) >= 4


def test_the_page_says_what_it_should(judgments: list[Judgment], rubric: Rubric) -> None:
    """Title, signature, notes, verdict, every metric, failures and the method are there."""
    text = Page(rendered(drawn(judgments, rubric, published=published()), judgments)).text
    for part in (
        "4 systems, 16 dialogues judged",
        "small 1.2.0 zh 01234567",
        "Character knowledge (角色知识)",
        "Role (角色)",
        "too_long",
        "three has the highest mean",
        "published human means",
        "By character",
        "By scenario",
        "How these numbers were made",
        "Cameron, Gelbach and Miller 2011",
        "order of only 3 systems",
        "n=3",
    ):
        assert part in text


def test_an_undefined_error_is_a_dash_with_its_reason(rubric: Rubric, judged: Make) -> None:
    """One character: the page says why there is no standard error, and shows none."""
    js = [judged("s/a/1", "style", 3)]
    text = Page(rendered(summarize(js, rubric), js)).text
    assert "only one character and one scenario" in text
    assert re.search(r"Style \(风格\)\s*3\.00\s*–", text)


def test_scores_csv(judgments: list[Judgment], rubric: Rubric, tmp_path: Path) -> None:
    """The exact columns, in order of system, character, scenario by number, metric by rubric."""
    files = written(drawn(judgments, rubric), tmp_path, judgments)
    with files.scores.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert ",".join(rows[0]) == (
        "system,character,scenario,metric,score,label_mass,p1,p2,p3,p4,p5,status,reason,"
        "reading,rationale,calibrated,lower,upper"
    )
    assert [(r["system"], r["character"], r["scenario"], r["metric"]) for r in rows[:4]] == [
        ("four", "b", "2", "fluency"),
        ("four", "b", "2", "sense"),
        ("four", "b", "2", "style"),
        ("four", "b", "10", "fluency"),
    ]
    assert len(rows) == len(judgments)
    assert [rows[3][name] for name in ("score", "label_mass", "p1", "p2", "p3", "status")] == [
        "1.250000",
        "1.000000",
        "0.750000",
        "0.250000",
        "0.000000",
        "ok",
    ]
    failed = [row for row in rows if row["status"] != "ok"]
    assert [(r["status"], r["score"], r["label_mass"], r["p1"], r["p5"]) for r in failed] == [
        ("too_long", "", "", "", "")
    ]
    assert failed[0]["reason"] == f"does not fit, {EVIL}"


def test_scores_csv_says_how_and_why(rubric: Rubric, judged: Make, tmp_path: Path) -> None:
    """The reading of each score, the reason of each judgment, line breaks and all."""
    js = [
        judged("s/a/1", "style", 3, reading="sampled", reason="“a”,\n“b”"),
        judged("s/a/2", "style", 3, reading="truncated"),
        judged("s/a/3", "style", Failure("too_long", "x"), reason="why"),
    ]
    files = written(summarize(js, rubric), tmp_path, js)
    with files.scores.open(encoding="utf-8-sig", newline="") as file:
        rows = [(r["status"], r["reading"], r["rationale"]) for r in csv.DictReader(file)]
    assert rows == [
        ("ok", "sampled", "“a”,\n“b”"),
        ("ok", "truncated", ""),
        ("too_long", "", "why"),
    ]


@pytest.mark.parametrize("systems", [1, 2])
def test_sampled_scores_are_marked(rubric: Rubric, judged: Make, systems: int) -> None:
    """In the page and on the terminal, at the means, at the scores and with their number."""
    js = [judged(f"s{i}/a/1", "style", 3, reading="sampled") for i in range(systems)]
    results = summarize(js, rubric)
    text = Page(rendered(results, js)).text
    assert "Mean, sampled" in text
    assert f"Sampled: {systems} of {systems} scores" in text
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(terminal_table(results))
    table, _, signature = console.export_text().partition("rubric: ")
    assert table.count("sampled") == systems
    assert f"sampled: {systems} of {systems}" in signature
    js = [judged("s/a/1", "style", 3)]
    assert "sampled" not in rendered(summarize(js, rubric), js)


def test_the_same_judgments_give_the_same_bytes(
    judgments: list[Judgment], rubric: Rubric, tmp_path: Path
) -> None:
    """Judgments in another order write identical files."""
    backwards = judgments[::-1]
    a = written(drawn(judgments, rubric), tmp_path / "a", judgments)
    b = written(drawn(backwards, rubric), tmp_path / "b", backwards)
    for one, other in zip(a, b, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_results_json_reads_back(judgments: list[Judgment], rubric: Rubric, tmp_path: Path) -> None:
    """`results.json` holds the results."""
    results = drawn(judgments, rubric, published=published())
    files = written(results, tmp_path, judgments)
    assert reread(json.loads(files.results.read_text(encoding="utf-8")), Results, 5) == results


def test_a_folder_that_cannot_be_written_is_an_error(
    judgments: list[Judgment], rubric: Rubric, tmp_path: Path
) -> None:
    """A file where the folder should be is named, with a hint."""
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(StoreError, match="cannot be written") as caught:
        written(drawn(judgments, rubric), blocked, judgments)
    assert caught.value.path is not None
    assert caught.value.hint


@pytest.mark.parametrize("systems", [1, 4])
def test_the_terminal_table_fits_80_columns(
    judgments: list[Judgment], rubric: Rubric, systems: int
) -> None:
    """Every metric and mean can be read, and no line is longer than the terminal."""
    some = [j for j in judgments if systems == 4 or j.system == "three"]
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(terminal_table(drawn(some, rubric)))
    text = console.export_text()
    assert "Character knowledge (角色知识)" in text
    assert "3.62" in text
    assert "…" not in text
    rows = [line for line in text.splitlines() if "Character knowledge" in line]
    if systems == 4:
        assert [len(re.findall(r"\d\.\d\d ±\d\.\d\d", line)) for line in rows] == [4]
    assert all(cell_len(line.rstrip()) <= 80 for line in text.splitlines())


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0, "0%"), (1, "100%"), (0.5, "50.0%"), (1e-5, "<0.1%"), (0.99999, ">99.9%")],
)
def test_shares_never_round_to_nothing_or_all(value: float | None, text: str) -> None:
    """A share reads 0% or 100% only if it is."""
    assert share(value) == text


@pytest.mark.parametrize(("value", "text"), [(None, "–"), (3.844, "3.84"), (-0.001, "0.00")])
def test_numbers_read_as_people_write_them(value: float | None, text: str) -> None:
    """A dash for what is missing, no negative zero."""
    assert fixed(value) == text
