"""What is said of a play: replies counted and marked, the user beside recorded ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from judge.played import Took
from judge.roleplay import PARTS, Imitation, Plays, review
from judge.roleplay.plays import Line
from judge.types import Dialogue, Failure, Reply, Turn
from tests.unit.roleplay.wire import PROMPTS

FACTS = {"model": "me"}
RECORDED = [
    Dialogue("x", "小明", scenario, (Turn("难过。", "嗯。"), Turn("你呢？", "好。")))
    for scenario in "129"
]


def line(outcome: str | Failure, asked: str = "难过。", **facts: Any) -> Line:
    return Line("k", asked, Reply(0, outcome, **facts))


def written(folder: Path) -> Plays:
    """Five scenes: two to their end, one of a failed answer, a mute user, one not gone on with."""
    plays = Plays(folder)
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
        plays.add(part, lines, seconds, {"model": "hidden", "device": part})
    return plays


def test_everything_is_counted(tmp_path: Path) -> None:
    """By hand: of five scenes, seven answers and three questions."""
    with written(tmp_path) as plays:
        found = review("me", FACTS, plays, PROMPTS, RECORDED)
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
        "answer1": Took(2.0, 60, 20),
        "question2": Took(1.0, 0, 5),
        "answer2": Took(0.5, 0, 8),
    }
    assert found.facts == {
        "model": "me",
        "model device": "answer1 | answer2",
        "user device": "question2",
    }
    assert found.incomplete


def test_the_user_beside_recorded_ones(tmp_path: Path) -> None:
    """Those of the same scenes that were played to their end; none where they were replayed."""
    with written(tmp_path) as plays:
        found = review("me", FACTS, plays, PROMPTS, RECORDED)
        replayed = review("me", FACTS, plays, PROMPTS, None)
    assert found.imitation is not None
    imitation = Imitation.from_dict(found.imitation)
    assert (imitation.simulated.n, imitation.recorded.n) == (2, 2)
    assert imitation.simulated.length == (4 + 5) / 2
    assert imitation.recorded.length == 3
    assert replayed.imitation is None
    assert replayed.marks == found.marks
