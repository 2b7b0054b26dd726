"""Scenes from recorded dialogues."""

from __future__ import annotations

from pathlib import Path

import pytest

from judge.dialogues import read_dialogues
from judge.errors import DataError, UsageError
from judge.roleplay import (
    Scene,
    recorded_questions,
    scenes_from_dialogues,
    unanswered_dialogues,
)
from judge.types import Dialogue, Turn


def said(system: str, *questions: str, character: str = "A", scenario: str = "1") -> Dialogue:
    return Dialogue(system, character, scenario, tuple(Turn(q, "好。") for q in questions))


def test_one_scene_for_each_character_and_scenario() -> None:
    """In the order of the dialogues, with each system's second question."""
    found = scenes_from_dialogues(
        [
            said("x", "早。", "然后呢？", scenario="2"),
            said("x", "晚。"),
            said("y", "早。", "所以呢？", scenario="2"),
            said("y", "晚。", " "),
        ]
    )
    assert found == (
        Scene("A", "2", "早。", {"x": ("然后呢？",), "y": ("所以呢？",)}),
        Scene("A", "1", "晚。", {}),
    )


def test_the_words_of_most_systems() -> None:
    """The most frequent first question is taken."""
    (found,) = scenes_from_dialogues([said("x", "早"), said("y", "早。"), said("z", "早。")])
    assert found.question == "早。"


@pytest.mark.parametrize("dialogues", [[], [said("x", " ")], [Dialogue("x", "A", "1", ())]])
def test_nothing_to_begin_with(dialogues: list[Dialogue]) -> None:
    with pytest.raises(DataError, match=r"first question|no question"):
        scenes_from_dialogues(dialogues)


def test_blanks_are_the_scenes_unanswered() -> None:
    """They are dialogues, so that scenes can be selected like dialogues."""
    (blank,) = unanswered_dialogues("me", [Scene("A", "1", "早。", {})])
    assert blank == Dialogue("me", "A", "1", (Turn("早。", ""),))


def test_recorded_questions_of_one_system() -> None:
    """Scenes without a question are left out; the error for an unknown system lists the known."""
    found = scenes_from_dialogues(
        [said("x", "早。", "然后呢？"), said("y", "早。"), said("y", "晚。", scenario="2")]
    )
    assert recorded_questions(found, "x") == {("A", "1"): ("然后呢？",)}
    with pytest.raises(UsageError, match="replay:y: no recorded question") as caught:
        recorded_questions(found, "y")
    assert caught.value.hint == "choose from x"


def test_recorded_questions_for_more_rounds() -> None:
    """Only scenes with enough of them; the error says how many rounds there are."""
    found = scenes_from_dialogues(
        [said("x", "早。", "二？", "三？"), said("x", "晚。", "二？", scenario="2")]
    )
    assert recorded_questions(found, "x", 3) == {("A", "1"): ("二？", "三？")}
    assert len(recorded_questions(found, "x")) == 2
    with pytest.raises(UsageError, match="--rounds 4: the recorded dialogues of x have 3 at most"):
        recorded_questions(found, "x", 4)


def test_the_public_dialogues(judge_data: Path) -> None:
    """Each character in each scenario is one scene, with a second question for every system."""
    dialogues = read_dialogues(judge_data / "chatanime").dialogues
    found = scenes_from_dialogues(dialogues)
    systems = {d.system for d in dialogues}
    assert len(found) == len({(d.character, d.scenario) for d in dialogues})
    assert len(found) * len(systems) == len(dialogues)
    for system in systems:
        assert len(recorded_questions(found, system)) == len(found)
