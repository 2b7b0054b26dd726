"""What became of playing: replies marked and counted, the user compared with recorded ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from judge.played import Mark, Played, Took
from judge.roleplay.imitation import measure_imitation
from judge.roleplay.marks import count_marks, marks
from judge.roleplay.play import place
from judge.roleplay.plays import Line, Part, Place, Spent
from judge.roleplay.prompts import RoleplayPrompts
from judge.roleplay.scenes import Scene
from judge.types import Dialogue, Failure

__all__ = ["review"]

_ROUNDS: tuple[tuple[Part, int], ...] = (("answer1", 1), ("answer2", 2))


def review(
    system: str,
    facts: Mapping[str, str],
    scenes: Sequence[Scene],
    played: Sequence[Dialogue],
    lines: Mapping[Part, Mapping[Place, Line]],
    spent: Mapping[Part, Spent],
    prompts: RoleplayPrompts,
    *,
    recorded: Sequence[Dialogue],
    broken: int,
) -> Played:
    """Sum up what `play` wrote.

    Args:
        system: the model's name.
        facts: what made it.
        scenes: what was to be played.
        played: the dialogues that came of it.
        lines, spent: of every part.
        prompts: the instructions, which know the language and the characters.
        recorded: dialogues whose second questions to compare with; none where they were replayed.
        broken: scenes without a second question.
    """
    chosen = {place(scene) for scene in scenes}
    replies = [
        (f"{'/'.join(at)}, round {number}", line.reply)
        for part, number in _ROUNDS
        for at, line in lines[part].items()
        if at in chosen
    ]
    marked = [(where, marks(reply, prompts.language)) for where, reply in replies]
    counts = count_marks((found for _, found in marked), prompts.language)
    failures = Counter(
        line.reply.outcome.reason
        for of in lines.values()
        for at, line in of.items()
        if at in chosen and isinstance(line.reply.outcome, Failure)
    )
    like = [d for d in recorded if (d.character, d.scenario) in chosen]
    imitation = measure_imitation(played, like, prompts.character) if recorded else None
    return Played(
        system=system,
        facts=facts,
        scenes=len(scenes),
        dialogues=len(played),
        replies=len(replies),
        marks={
            mark: Mark(count, next((where for where, found in marked if mark in found), ""))
            for mark, count in counts.items()
        },
        broken=broken,
        reasons=dict(failures.most_common()),
        took={part: Took(*took) for part, took in spent.items()},
        imitation=None if imitation is None else imitation.to_dict(),
    )
