"""What is played: a character, a scenario, and the question that the user begins with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from judge.errors import DataError, UsageError
from judge.types import Dialogue, Turn

__all__ = ["Scene", "blanks", "replayed", "scenes"]


@dataclass(frozen=True, slots=True)
class Scene:
    """One dialogue to be played.

    Attributes:
        question: what the user says first.
        recorded: system -> what the user said next when that system was played.
    """

    character: str
    scenario: str
    question: str
    recorded: Mapping[str, str]


def scenes(dialogues: Iterable[Dialogue]) -> tuple[Scene, ...]:
    """One scene for each character and scenario of recorded dialogues, in their order.

    Where systems were asked in different words, the words that most of them were asked in.

    Raises:
        DataError: there are none, or a dialogue has no question.
    """
    first: dict[tuple[str, str], Counter[str]] = {}
    second: dict[tuple[str, str], dict[str, str]] = {}
    for d in dialogues:
        if not d.turns or not d.turns[0].question.strip():
            raise DataError(f"{d.id} has no first question", hint="give every scenario one")
        cell = (d.character, d.scenario)
        first.setdefault(cell, Counter())[d.turns[0].question] += 1
        of = second.setdefault(cell, {})
        if len(d.turns) > 1 and d.turns[1].question.strip():
            of[d.system] = d.turns[1].question
    if not first:
        raise DataError("there is no question to begin with", hint="judge data fetch")
    return tuple(
        Scene(character, scenario, asked.most_common(1)[0][0], second[character, scenario])
        for (character, scenario), asked in first.items()
    )


def blanks(system: str, played: Sequence[Scene]) -> list[Dialogue]:
    """The scenes as dialogues that nobody has answered yet, to choose among them."""
    return [
        Dialogue(system, scene.character, scene.scenario, (Turn(scene.question, ""),))
        for scene in played
    ]


def replayed(played: Sequence[Scene], system: str) -> dict[tuple[str, str], str]:
    """The recorded second question of each scene in which `system` was asked one.

    Raises:
        UsageError: no scene has one.
    """
    found = {
        (scene.character, scene.scenario): scene.recorded[system]
        for scene in played
        if system in scene.recorded
    }
    if not found:
        known = sorted({name for scene in played for name in scene.recorded})
        raise UsageError(
            f"--user replay:{system}: no recorded question of that system",
            hint=f"there are {', '.join(known) or 'none'}",
        )
    return found
