"""Response diversity in the results: what was judged, what was measured, what is missing."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from calibration.diversity import DiversitySettings
from judge.analysis.judgment_table import judged_metrics, judgment_table
from judge.analysis.published import read_published_diversity
from judge.analysis.reply_diversity import (
    DiversityResults,
    PublishedDiversity,
    Segmenter,
    summarize_diversity,
    word_segmenter,
)
from judge.analysis.results import Results
from judge.analysis.summary import summarize
from judge.dialogues import read_dialogues, select
from judge.errors import DataError, StoreError, UsageError
from judge.report.format import environment
from judge.report.scores_table import scores_csv
from judge.types import Dialogue, Failure, Judgment, Metric, Rubric, Turn
from tests.unit.stored import reread

Make = Callable[..., Judgment]
SMALL = DiversitySettings(characters=6, words=2, bytes=6, replies=2, draws=2)
SCORED = (("same", 4), ("other", 2))
LONG = Failure("too_long", "does not fit")
WORDS = Segmenter("blanks 1", str.split)


@pytest.fixture
def varied(rubric: Rubric) -> Rubric:
    """The small rubric, with a metric of many replies."""
    metric = Metric("variety", "", {"en": "Variety", "zh": "花样"}, "replies")
    return replace(rubric, metrics=(*rubric.metrics, metric))


def said(system: str, character: str, *texts: str) -> list[Dialogue]:
    return [
        Dialogue(system, character, str(n), (Turn("q", text),))
        for n, text in enumerate(texts, start=1)
    ]


def sets(system: str, character: str, draws: int = 1, k: int = 2) -> list[Dialogue]:
    return [
        Dialogue(system, character, f"replies, draw {n}", (Turn("q", "abc def"),) * k)
        for n in range(1, draws + 1)
    ]


def of(
    judgments: list[Judgment], dialogues: list[Dialogue], rubric: Rubric, **options: object
) -> DiversityResults:
    return summarize_diversity(judgments, dialogues, rubric, settings=SMALL, **options)  # type: ignore[arg-type]


def test_judged_by_hand(varied: Rubric, judged: Make) -> None:
    """Characters with (2, 3) and (4, 5): mean 3.5, cluster sums -2 and 2, V = 2 * 8 / 16 = 1."""
    js = [
        judged(f"s/{c}/replies, draw {n}", "variety", score)
        for (c, n), score in zip(
            (("a", 1), ("a", 2), ("b", 1), ("b", 2)), (2, 3, 4, 5), strict=True
        )
    ]
    (system,) = of(js, sets("s", "a", 2) + sets("s", "b", 2), varied).systems
    found = system.judged
    assert (found.asked, found.n, found.characters) == (4, 4, 2)
    assert found.mean == pytest.approx(3.5)
    assert found.standard_error == pytest.approx(1)
    assert (found.unscored, found.flagged, found.reason) == ({}, 0, "")


def test_what_has_no_score_is_counted(varied: Rubric, judged: Make) -> None:
    """A failed set and one not reached yet are no numbers; one character has no error."""
    js = [
        judged("s/a/replies, draw 1", "variety", 4, mass=0.3),
        judged("s/a/replies, draw 2", "variety", LONG),
    ]
    (system,) = of(js, sets("s", "a", 3), varied).systems
    found = system.judged
    assert (found.asked, found.n, found.mean) == (3, 1, pytest.approx(4))
    assert found.unscored == {"not_judged": 1, "too_long": 1}
    assert (found.standard_error, found.flagged) == (None, 1)
    assert found.reason == "no standard error from one character"


def test_without_judgments_there_is_a_reason(rubric: Rubric, varied: Rubric, judged: Make) -> None:
    """A rubric without the metric, no sets, sets without a score: each says so."""
    texts = said("s", "a", "abc def", "ghi jkl")
    cases = [
        (rubric, [], texts, "the rubric small has no metric of many replies"),
        (varied, [], texts, "no set of replies was judged"),
        (
            varied,
            [judged("s/a/replies, draw 1", "variety", LONG)],
            texts + sets("s", "a"),
            "no set of replies has a score",
        ),
    ]
    for asked, js, dialogues, reason in cases:
        found = of(js, dialogues, asked)
        assert found.systems[0].judged.mean is None
        assert found.systems[0].judged.reason == reason
        assert not found.judged
        assert f"Judged: {reason}" in found.missing
        assert found.systems[0].measured["distinct_1"].mean == 1


def test_sets_are_measured_once(varied: Rubric) -> None:
    """The replies of a set are those of the dialogues: they are not counted again."""
    texts = said("s", "a", "abc def", "ghi jkl")
    alone, both = of([], texts, varied), of([], texts + sets("s", "a"), varied)
    assert both.systems[0].replies == 2
    assert both.systems[0].measured == alone.systems[0].measured
    assert (alone.replies, both.replies) == (None, 2)


def test_measured_within_each_character(varied: Rubric) -> None:
    """The mean of the characters' figures: 2 of 6 letters as one, 6 of 6 as the other."""
    texts = said("s", "a", "ababab", "ababab") + said("s", "b", "abcdef", "abcdef")
    found = of([], texts, varied).systems[0]
    assert (found.characters, found.replies) == (2, 4)
    figure = found.measured["distinct_1"]
    assert (figure.mean, figure.spread) == (pytest.approx((1 / 3 + 1) / 2), 0)
    assert figure.standard_error == pytest.approx(1 / 3)
    assert found.measured["repeated_openings"].mean == 1


def test_words_need_a_segmenter(varied: Rubric) -> None:
    """Its name is among the settings; without one there are characters only."""
    texts = said("s", "a", "abc def", "abc def")
    bare, worded = of([], texts, varied), of([], texts, varied, segmenter=WORDS)
    assert bare.systems[0].measured["distinct_1_words"].reason == "there is no word segmenter"
    assert "distinct_1_words" not in bare.measures
    assert worded.systems[0].measured["distinct_1_words"].mean == 1
    assert worded.settings.segmenter == "blanks 1"


def test_the_segmenter_of_the_extra() -> None:
    """It names its version, and tells Chinese words apart."""
    pytest.importorskip("rjieba")
    found = word_segmenter()
    assert found is not None
    assert found.name.startswith("rjieba ")
    assert found.cut("我们去海边") == ["我们", "去", "海边"]


def test_without_the_extra_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing package is no error."""
    monkeypatch.setitem(sys.modules, "rjieba", None)
    assert word_segmenter() is None


def test_a_system_without_replies_at_hand(varied: Rubric, judged: Make) -> None:
    """Judgments without the dialogues still count; the measures have a reason."""
    found = of([judged("s/a/replies, draw 1", "variety", 4)], [], varied)
    assert found.systems[0].judged.mean == pytest.approx(4)
    assert {f.reason for f in found.systems[0].measured.values()} == {"no replies at hand"}
    assert found.measures == ()


def test_unlike_systems_are_noted(varied: Rubric) -> None:
    """Other scenarios make other diversity."""
    alike = said("s", "a", "abc def") + said("t", "a", "ghi jkl")
    assert of([], alike, varied).notes == ()
    unlike = alike + said("t", "b", "ghi jkl")
    assert "not all played the same characters" in of([], unlike, varied).notes[0]


def test_missing_figures_name_their_systems(varied: Rubric) -> None:
    """A reason that all share stands once; another one names whose it is."""
    found = of([], said("s", "a", "abc def", "abcdef") + said("t", "a", "ab", "cde"), varied)
    assert "Judged: no set of replies was judged" in found.missing
    assert "t: Distinct characters: a: only 5 of 6 characters" in found.missing


def test_what_cannot_be_set_side_by_side(varied: Rubric, judged: Make) -> None:
    """Sets of two sizes, two judgments of one set, and settings below nothing."""
    with pytest.raises(StoreError, match="sets of 2 and of 3 replies"):
        of([], sets("s", "a") + sets("t", "a", k=3), varied)
    with pytest.raises(StoreError, match="two judgments of one set of replies of s"):
        of([judged("s/a/replies, draw 1", "variety", 4)] * 2, [], varied)
    with pytest.raises(UsageError, match="draws must be at least 1") as caught:
        summarize_diversity([], said("s", "a", "x"), varied, settings=replace(SMALL, draws=0))
    assert caught.value.hint


def test_the_nine_metrics_do_not_mix_with_it(varied: Rubric, judged: Make) -> None:
    """Judged sets change no mean, no count and no calibration of the dialogues."""
    of_dialogues = [judged(f"s/{c}/{n}", "style", 2 + n) for c in "ab" for n in (1, 2)]
    both = [*of_dialogues, judged("s/a/replies, draw 1", "variety", 5)]
    both.append(judged("s/a/replies, draw 2", "variety", LONG))
    assert summarize(both, varied) == summarize(of_dialogues, varied)
    assert judged_metrics(both, varied) == ("style",)
    assert (
        judgment_table(both, ["style"], 5).dialogue_ids
        == judgment_table(of_dialogues, ["style"], 5).dialogue_ids
    )
    with pytest.raises(StoreError, match="no judgments"):
        summarize(both[4:], varied)


def test_scores_csv_has_the_sets(varied: Rubric, judged: Make) -> None:
    """A row each, after the dialogues of their character, with no scenario of their own."""
    js = [judged("s/a/replies, draw 1", "variety", 5), judged("s/a/1", "style", 3)]
    rows = scores_csv(js, summarize(js, varied)).splitlines()[1:]
    assert [row.split(",5.0")[0] for row in rows][1] == 's,a,"replies, draw 1",variety'
    assert rows[0].startswith("s,a,1,style,3.000000")


def test_json_round_trip(varied: Rubric, judged: Make) -> None:
    """Diversity is what it was after a way through JSON, which has no NaN."""
    js = [judged("s/a/replies, draw 1", "variety", 4), judged("s/a/1", "style", 3)]
    bars = PublishedDiversity("bars.csv", {"s": 0.5}, "0f")
    found = of(js, said("s", "a", "abc def", "abc"), varied, segmenter=WORDS, bars=bars, seed=3)
    results = summarize(js, varied, diversity=found)
    data = json.loads(json.dumps(results.to_dict(), allow_nan=False))
    assert reread(data, Results, 5) == results
    assert results.diversity == found
    assert (found.systems[0].bar, found.bars, found.seed) == (0.5, "bars.csv", 3)


def test_results_of_format_3_read(varied: Rubric, judged: Make) -> None:
    """They know no diversity."""
    results = summarize([judged("s/a/1", "style", 3)], varied)
    data = json.loads(json.dumps(results.to_dict())) | {"format": 3}
    del data["diversity"]
    assert reread(data, Results, 5) == results


def test_the_table_of_a_report(varied: Rubric, judged: Make) -> None:
    """Every system has a row, a missing figure a dash, and names are escaped."""
    texts = said("<s>", "a", "abc def", "abcdef") + said("t", "a", "ab", "cde")
    js = [judged("<s>/a/replies, draw 1", "variety", 4)]
    bars = PublishedDiversity("bars.csv", {"<s>": 0.5})
    found = of(js, texts + sets("<s>", "a"), varied, bars=bars)
    page = environment().from_string(
        '{% from "_diversity.j2" import diversity_table, diversity_words %}'
        "{{ diversity_table(d) }}{{ diversity_words(d) }}"
    )
    text = page.render(d=found)
    assert "&lt;s&gt;" in text
    assert "<s>" not in text
    first, second = text.split("<tbody>")[1].split("</tbody>")[0].split("</tr>")[:2]
    assert "4.00" in first
    assert "0.50" in first
    assert second.count("–") > 3
    assert "sets of 2 replies" in text
    assert "Distinct pairs of characters" in text


def test_the_most_varied_stand_first(varied: Rubric, judged: Make) -> None:
    """By the first measure, of which `same` has the least; by the judge once it judged any."""
    texts = [
        *said("same", "a", "aaa", "aaa"),
        *said("void", "a", " ", ""),
        *said("other", "a", "abc", "def"),
    ]
    measured = of([], texts, varied)
    assert [s.system for s in measured.most_varied_first] == ["other", "same", "void"]
    js = [judged(f"{name}/a/replies, draw 1", "variety", score) for name, score in SCORED]
    both = of(js, texts + sets("same", "a") + sets("other", "a"), varied)
    assert [s.system for s in both.most_varied_first] == ["same", "other", "void"]


# Published bars


def test_bars_are_read(tmp_path: Path) -> None:
    """Comments are passed over; the hash is of the bytes."""
    path = tmp_path / "bars.csv"
    path.write_text("# a figure\nsystem,relative_height\nhuman,1.00\n\nx, 0.7\n", encoding="utf-8")
    bars = read_published_diversity(path)
    assert (bars.source, bars.heights) == ("bars.csv", {"human": 1.0, "x": 0.7})
    assert len(bars.sha256) == 64


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", None, "no column system, relative_height"),
        ("system,mean\nx,1\n", None, "no column relative_height"),
        ("system,relative_height\n", None, "holds no rows"),
        ("# c\nsystem,relative_height\nx,1\nx,0.5\n", 4, "second relative_height for x"),
        ("system,relative_height\nx\n", 2, "'' is not a number from 0 to 1"),
        ("system,relative_height\n,1\n", 2, "names no system"),
        ("system,relative_height\nx,tall\n", 2, "'tall' is not a number from 0 to 1"),
        ("system,relative_height\nx,1.2\n", 2, "'1.2' is not a number from 0 to 1"),
        ("system,relative_height\nx,nan\n", 2, "'nan' is not a number from 0 to 1"),
    ],
)
def test_bars_that_are_none(tmp_path: Path, text: str, line: int | None, message: str) -> None:
    """The file and the line are named."""
    path = tmp_path / "bars.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message) as caught:
        read_published_diversity(path)
    assert (caught.value.path, caught.value.line) == (path, line)
    assert caught.value.hint


def test_a_file_of_bars_that_is_not_there(tmp_path: Path) -> None:
    """A missing file is the user's mistake."""
    with pytest.raises(DataError, match="cannot be read"):
        read_published_diversity(tmp_path / "none.csv")


def test_public_replies_are_measured(judge_data: Path, varied: Rubric) -> None:
    """Two released characters of two systems, at the usual budgets: every figure is defined."""
    texts = []
    for system in ("human", "gpt-4.1"):
        everything = read_dialogues(judge_data / "chatanime" / f"{system}.json").dialogues
        names = list(dict.fromkeys(d.character for d in everything))[:2]
        texts += select(everything, characters=names)
    found = summarize_diversity([], texts, varied)
    for system in found.systems:
        assert (system.characters, system.replies) == (2, 240)
        figures = {k: f for k, f in system.measured.items() if "words" not in k}
        assert all(f.mean is not None and math.isfinite(f.mean) for f in figures.values())
        assert all(f.spread is not None and f.spread > 0 for f in figures.values())
