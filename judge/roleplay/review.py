"""What became of playing: replies marked and counted, the user compared with recorded ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from judge.played import Mark, Played, Took
from judge.roleplay.imitation import measure_imitation
from judge.roleplay.marks import count_marks, marks
from judge.roleplay.play import PARTS, dialogues
from judge.roleplay.plays import Line, Part, Place, Plays
from judge.roleplay.prompts import RoleplayPrompts
from judge.types import Dialogue, Failure

__all__ = ["review"]

_ROUNDS: tuple[tuple[Part, int], ...] = (("answer1", 1), ("answer2", 2))


def review(
    system: str,
    facts: Mapping[str, str],
    plays: Plays,
    prompts: RoleplayPrompts,
    recorded: Sequence[Dialogue] | None,
) -> Played:
    """Sum up all that was played in a folder.

    Args:
        system: the model's name.
        facts: who played and how, besides what `plays` knows of the writers.
        plays: what was written.
        prompts: the instructions, which know the language and the characters.
        recorded: dialogues whose second questions to compare with those of the same scenes;
            None where they were replayed.
    """
    lines = {part: plays.lines(part) for part in PARTS}
    begun, ended = lines["answer1"], dialogues(system, plays)
    replies = [
        (f"{'/'.join(at)}, round {number}", line.reply)
        for part, number in _ROUNDS
        for at, line in lines[part].items()
    ]
    marked = [(where, marks(reply, prompts.language)) for where, reply in replies]
    counts = count_marks((found for _, found in marked), prompts.language)
    imitation = None
    if recorded is not None:
        like = [d for d in recorded if (d.character, d.scenario) in ended]
        imitation = measure_imitation(list(ended.values()), like, prompts.character).to_dict()
    writers = {"model": plays.writer("answer1", "answer2"), "user": plays.writer("question2")}
    told = {
        f"{who} {name}": text
        for who, of in writers.items()
        for name, text in of.items()
        if name != "model"  # which `facts` names as it was named
    }
    return Played(
        system=system,
        facts={**facts, **told},
        scenes=len(begun),
        dialogues=len(ended),
        replies=len(replies),
        marks={
            mark: Mark(count, next((where for where, found in marked if mark in found), ""))
            for mark, count in counts.items()
        },
        broken=len(begun) - len(ended),
        reasons=_reasons(lines),
        took={part: Took(*plays.spent(part)) for part in PARTS if lines[part]},
        imitation=imitation,
    )


def _reasons(lines: Mapping[Part, Mapping[Place, Line]]) -> dict[str, int]:
    """Why replies failed, and how many did: a reason of each kind, as most have own figures."""
    kinds: dict[str, list[str]] = defaultdict(list)
    for of in lines.values():
        for line in of.values():
            if isinstance(line.reply.outcome, Failure):
                kinds[line.reply.outcome.code].append(line.reply.outcome.reason)
    return {
        reasons[0] if len(set(reasons)) == 1 else f"{reasons[0]}, or alike": len(reasons)
        for reasons in kinds.values()
    }
