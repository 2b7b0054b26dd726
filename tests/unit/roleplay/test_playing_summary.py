"""The summary of playing: counting, writing, reading and showing it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from judge.errors import StoreError
from judge.roleplay import PlayingSummary, Transcript, parts_of, summarize_playing
from judge.roleplay.playing_summary import (
    FILE_NAME,
    FORMAT,
    FlagCount,
    read_playing_summary,
    write_playing_summary,
)
from judge.roleplay.transcript import TranscriptLine, Usage
from judge.roleplay.user_fidelity import measure_user_fidelity
from judge.types import Character, Dialogue, Failure, Reply, Turn
from tests.unit.roleplay.wire import PROMPTS

PARTS = parts_of(2)

SUMMARY = PlayingSummary(
    system="me",
    facts={"model": "me", "seed": "0"},
    scenes=5,
    dialogues=3,
    replies=7,
    marks={
        "failed": FlagCount(0),
        "cut": FlagCount(2, "小明/2, round 1"),
        "as_user": FlagCount(1, "小明/1, round 2"),
    },
    broken=2,
    reasons={"the chat is too long": 3},
    took={
        "answer1": Usage(2.0, 60, 20),
        "question2": Usage(1.0, 0, 0),
        "answer2": Usage(0.5, 9, 8),
    },
    imitation=measure_user_fidelity([], [], Character),
)


def test_a_way_through_a_file(tmp_path: Path) -> None:
    """What is written can be read back; without a file there is no summary."""
    assert read_playing_summary(tmp_path) is None
    write_playing_summary(tmp_path, SUMMARY)
    assert read_playing_summary(tmp_path) == SUMMARY
    write_playing_summary(tmp_path, replace(SUMMARY, imitation=None))
    assert read_playing_summary(tmp_path) == replace(SUMMARY, imitation=None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"format": 1}',
        json.dumps({**SUMMARY.to_dict(), "marks": {"cut": 3}}),
        json.dumps({**SUMMARY.to_dict(), "imitation": {"format": 1, "simulated": {}}}),
    ],
)
def test_an_unreadable_file(tmp_path: Path, text: str) -> None:
    """The error names the file and says how to write it anew."""
    (tmp_path / FILE_NAME).write_text(text, encoding="utf-8")
    with pytest.raises(StoreError) as caught:
        read_playing_summary(tmp_path)
    assert FILE_NAME in str(caught.value)
    assert caught.value.hint


def test_a_newer_format(tmp_path: Path) -> None:
    newer = {**SUMMARY.to_dict(), "format": FORMAT + 1, "more": 1}
    (tmp_path / FILE_NAME).write_text(json.dumps(newer), encoding="utf-8")
    with pytest.raises(StoreError, match=f"format {FORMAT + 1}") as caught:
        read_playing_summary(tmp_path)
    assert caught.value.hint == "upgrade esrp-judge"


def test_what_is_told() -> None:
    """Counts are shown unchanged; a rate belongs to one part, and needs counted tokens."""
    assert SUMMARY.lines() == [
        "me: 3 of 5 scenes played",
        "2 left out: without another question, or not gone on with",
        "cut: 2 of 7 replies, such as 小明/2, round 1",
        "as user: 1 of 7 replies, such as 小明/1, round 2",
        "3 times: the chat is too long",
        "first answers: 2.0 s of writing, 20 tokens, 10.0 tokens/s",
        "second questions: 1.0 s of writing",
        "second answers: 0.5 s of writing, 8 tokens, 16.0 tokens/s",
    ]


def test_sums() -> None:
    """All seconds, but only the tokens of answers; None if nobody counted tokens."""
    assert (SUMMARY.seconds, SUMMARY.tokens) == (3.5, 28)
    assert replace(SUMMARY, took={"answer1": Usage(1.0, 0, 0)}).tokens is None


@pytest.mark.parametrize(
    ("broken", "name", "incomplete"),
    [(0, "cut", False), (0, "refusal", False), (1, "cut", True), (0, "empty", True),
     (0, "failed", True)],
)  # fmt: skip
def test_what_is_incomplete(broken: int, name: str, incomplete: bool) -> None:
    """An unfinished scene, an empty or a failed reply; not the other flags."""
    found = replace(
        SUMMARY,
        broken=broken,
        marks={name: FlagCount(1, "x"), "failed": FlagCount(name == "failed")},
    )
    assert found.incomplete is incomplete


# Counting

FACTS = {"model": "me"}
RECORDED = [
    Dialogue("x", "小明", scenario, (Turn("难过。", "嗯。"), Turn("你呢？", "好。")))
    for scenario in "129"
]


def line(outcome: str | Failure, asked: str = "难过。", **facts: Any) -> TranscriptLine:
    return TranscriptLine("k", asked, Reply(0, outcome, **facts))


def written(folder: Path) -> Transcript:
    """Five scenes: three played to their end, one of them by a failed answer; two unfinished."""
    transcript = Transcript(folder)
    answers = {
        ("小明", "1"): line("没关系，我陪你。", tokens=6, prompt_tokens=30),
        ("小明", "2"): line("抱抱，慢慢来就好。", tokens=4, prompt_tokens=30, cut=True),
        ("小明", "3"): line(Failure("too_long", "the chat has 90 tokens")),
        ("小明", "4"): line("没关系，我在。", tokens=5, thought="想想。"),
        ("小明", "5"): line("没关系，我在。", tokens=5),
    }
    asked = {
        ("小明", "1"): line("真的吗？", tokens=2),
        ("小明", "2"): line("你会来吗？", tokens=3),
        ("小明", "4"): line(Failure("too_long", "the chat has 95 tokens")),
    }
    again = {
        ("小明", "1"): line("用户：我好多了，谢谢你。", "真的吗？", tokens=7),
        ("小明", "2"): line("……", "你会来吗？", tokens=1),
    }
    for part, lines, seconds in zip(PARTS, (answers, asked, again), (2.0, 1.0, 0.5), strict=True):
        transcript.add(part, lines, seconds, {"model": "hidden", "device": part})
    return transcript


def test_everything_is_counted(tmp_path: Path) -> None:
    """By hand, for five scenes with seven answers and three questions."""
    with written(tmp_path) as transcript:
        found = summarize_playing("me", FACTS, transcript, PROMPTS, RECORDED)
    assert (found.system, found.scenes, found.dialogues, found.broken) == ("me", 5, 3, 2)
    assert found.replies == 7
    marks = {name: (mark.replies, mark.example) for name, mark in found.marks.items()}
    assert marks == {
        "failed": (1, "小明/3, round 1"),
        "empty": (1, "小明/2, round 2"),
        "cut": (1, "小明/2, round 1"),
        "thinking": (1, "小明/4, round 1"),
        "refusal": (0, ""),
        "as_user": (1, "小明/1, round 2"),
        "other_language": (0, ""),
    }
    assert found.reasons == {"the chat has 90 tokens, or alike": 2}
    assert found.took == {
        "answer1": Usage(2.0, 60, 20),
        "question2": Usage(1.0, 0, 5),
        "answer2": Usage(0.5, 0, 8),
    }
    assert found.facts == {
        "model": "me",
        "model device": "answer1 | answer2",
        "user device": "question2",
    }
    assert found.incomplete


def test_the_user_beside_recorded_ones(tmp_path: Path) -> None:
    """Only questions of finished scenes are compared; none if they are recorded ones."""
    with written(tmp_path) as transcript:
        found = summarize_playing("me", FACTS, transcript, PROMPTS, RECORDED)
        replayed = summarize_playing("me", FACTS, transcript, PROMPTS, None)
    imitation = found.imitation
    assert imitation is not None
    assert (imitation.simulated.n, imitation.recorded.n) == (2, 2)
    assert imitation.simulated.length == (4 + 5) / 2
    assert imitation.recorded.length == 3
    assert replayed.imitation is None
    assert replayed.marks == found.marks
