"""What a model played, what is wrong with its replies, and what writing took: `played.json`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from judge.records import plain_record, read_record_if_present, write_record
from judge.roleplay.playing import parts_of, played_dialogues
from judge.roleplay.prompts import RoleplayPrompts
from judge.roleplay.reply_flags import count_flags, flag_reply
from judge.roleplay.transcript import Part, SceneId, Transcript, TranscriptLine, Usage, round_of
from judge.roleplay.user_fidelity import UserFidelity, measure_user_fidelity
from judge.types import Dialogue, Failure

__all__ = [
    "FILE_NAME",
    "FORMAT",
    "FlagCount",
    "PlayingSummary",
    "part_title",
    "read_playing_summary",
    "summarize_playing",
    "write_playing_summary",
]

FORMAT = 1
"""The newest format of played.json that this version reads."""

FILE_NAME = "played.json"

_ORDINALS = ("first", "second", "third", "fourth", "fifth")


def part_title(part: Part) -> str:
    """A part of a dialogue in words, such as `first answers`."""
    number = round_of(part)
    what = part.removesuffix(str(number))
    if number <= len(_ORDINALS):
        return f"{_ORDINALS[number - 1]} {what}s"
    return f"{what}s of round {number}"


@dataclass(frozen=True, slots=True)
class FlagCount:
    """How many replies have a flag.

    Attributes:
        replies: their number.
        example: the first of them, as `character/scenario, round`; "" if there is none.
    """

    replies: int
    example: str = ""


@dataclass(frozen=True, slots=True)
class PlayingSummary:
    """All that one model played in one run folder.

    Attributes:
        system: the model's name.
        facts: who played and who asked, with which instructions and settings.
        scenes: scenes with a first answer.
        dialogues: scenes that were played to their end.
        replies: answers of the model.
        marks: flag -> the replies that have it (see `judge.roleplay.reply_flags`).
        broken: scenes that were not played to their end, for instance because a question of the
            user failed.
        reasons: why replies or questions failed -> how many did for this reason.
        took: part -> the time and tokens that writing it took.
        imitation: how closely the user simulator behaves like recorded users, in its second
            questions; None where there are none, or where they were recorded ones.
    """

    system: str
    facts: Mapping[str, str]
    scenes: int
    dialogues: int
    replies: int
    marks: Mapping[str, FlagCount]
    broken: int
    reasons: Mapping[str, int] = field(default_factory=dict)
    took: Mapping[str, Usage] = field(default_factory=dict)
    imitation: UserFidelity | None = None

    @property
    def incomplete(self) -> bool:
        """Whether a reply is empty or failed, or a scene was not played to its end."""
        bad = sum(self.marks[flag].replies for flag in ("empty", "failed") if flag in self.marks)
        return self.broken > 0 or bad > 0

    @property
    def seconds(self) -> float:
        """How long all writing took, the user's questions included."""
        return sum(usage.seconds for usage in self.took.values())

    @property
    def tokens(self) -> int | None:
        """How many tokens the model's answers have; None where nobody counted them."""
        return sum(usage.tokens for usage in self.of_answers) or None

    @property
    def of_answers(self) -> tuple[Usage, ...]:
        """What writing the answers of each round took."""
        return tuple(usage for part, usage in self.took.items() if part.startswith("answer"))

    def lines(self) -> list[str]:
        """The summary as lines of text for a terminal."""
        lines = [f"{self.system}: {self.dialogues} of {self.scenes} scenes played"]
        if self.broken:
            lines.append(f"{self.broken} left out: without another question, or not gone on with")
        lines += [
            f"{flag.replace('_', ' ')}: {count.replies} of {self.replies} replies, "
            f"such as {count.example}"
            for flag, count in self.marks.items()
            if count.replies
        ]
        lines += [f"{count} times: {reason}" for reason, count in self.reasons.items()]
        for part, usage in self.took.items():
            line = f"{part_title(part)}: {usage.seconds:.1f} s of writing"
            if usage.tokens and usage.seconds:
                line += f", {usage.tokens} tokens, {usage.tokens / usage.seconds:.1f} tokens/s"
            lines.append(line)
        return lines

    def to_dict(self) -> dict[str, Any]:
        """The content of played.json."""
        return plain_record(self, format=FORMAT)


def read_playing_summary(folder: Path) -> PlayingSummary | None:
    """The summary in a run folder; None where no model played.

    Raises:
        StoreError: it cannot be read.
    """
    return read_record_if_present(
        folder / FILE_NAME,
        PlayingSummary,
        newest=FORMAT,
        kind="summary of playing",
        hint="run the same `judge generate` or `judge eval` again: it writes the file anew",
    )


def write_playing_summary(folder: Path, summary: PlayingSummary) -> None:
    """Write the summary into a run folder.

    Raises:
        StoreError: the folder cannot be written.
    """
    write_record(folder / FILE_NAME, summary, format=FORMAT)


def summarize_playing(
    system: str,
    facts: Mapping[str, str],
    transcript: Transcript,
    prompts: RoleplayPrompts,
    recorded: Sequence[Dialogue] | None,
    rounds: int = 2,
) -> PlayingSummary:
    """Summarise all that was played in a folder.

    Args:
        system: the model's name.
        facts: who played and how. The descriptions of the engines are added from `transcript`.
        prompts: the instructions, for their language and characters.
        recorded: recorded dialogues. The second questions of those in the scenes that were played
            are compared with the simulated ones. None where the second questions were recorded.
        rounds: of a dialogue.
    """
    parts = parts_of(rounds)
    lines = {part: transcript.lines(part) for part in parts}
    begun, finished = lines["answer1"], played_dialogues(system, transcript, rounds)
    flags_of_replies = [
        (f"{'/'.join(scene_id)}, round {number}", flag_reply(line.reply, prompts.language))
        for number in range(1, rounds + 1)
        for scene_id, line in lines[f"answer{number}"].items()
    ]
    counts = count_flags((flags for _, flags in flags_of_replies), prompts.language)
    fidelity = None
    if recorded is not None and rounds > 1:
        same_scenes = [d for d in recorded if (d.character, d.scenario) in finished]
        fidelity = measure_user_fidelity(list(finished.values()), same_scenes, prompts.character)
    engines = {"model": transcript.engine(*parts[::2]), "user": transcript.engine(*parts[1::2])}
    engine_facts = {
        f"{role} {name}": text
        for role, description in engines.items()
        for name, text in description.items()
        if name != "model"  # `facts` has the name that the user gave
    }
    return PlayingSummary(
        system=system,
        facts={**facts, **engine_facts},
        scenes=len(begun),
        dialogues=len(finished),
        replies=len(flags_of_replies),
        marks={
            flag: FlagCount(
                count, next((reply for reply, flags in flags_of_replies if flag in flags), "")
            )
            for flag, count in counts.items()
        },
        broken=len(begun) - len(finished),
        reasons=_failure_reasons(lines),
        took={part: transcript.usage(part) for part in parts if lines[part]},
        imitation=fidelity,
    )


def _failure_reasons(lines: Mapping[Part, Mapping[SceneId, TranscriptLine]]) -> dict[str, int]:
    """Why replies failed -> how many did.

    Reasons of one kind differ in their numbers, so failures are counted by their code and shown by
    the first reason.
    """
    kinds: dict[str, list[str]] = defaultdict(list)
    for lines_of_part in lines.values():
        for line in lines_of_part.values():
            if isinstance(line.reply.outcome, Failure):
                kinds[line.reply.outcome.code].append(line.reply.outcome.reason)
    return {
        reasons[0] if len(set(reasons)) == 1 else f"{reasons[0]}, or alike": len(reasons)
        for reasons in kinds.values()
    }
