"""How a model played: what was written, what was wrong with it, what it took."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from judge.errors import StoreError
from judge.records import write_text

__all__ = ["FORMAT", "NAME", "TITLES", "Mark", "Played", "Took", "read", "write"]

FORMAT = 1
"""The newest format of played.json that this version reads."""

NAME = "played.json"

TITLES: Mapping[str, str] = {
    "answer1": "first answers",
    "question2": "second questions",
    "answer2": "second answers",
}
"""What the parts of playing are called."""

_ANSWERS = ("answer1", "answer2")


@dataclass(frozen=True, slots=True)
class Mark:
    """One thing that replies may have wrong.

    Attributes:
        replies: how many have it.
        example: the first of them, as `character/scenario, round`; "" without any.
    """

    replies: int
    example: str = ""


@dataclass(frozen=True, slots=True)
class Took:
    """What writing has taken: seconds without loading; tokens 0 where nobody counted them."""

    seconds: float
    prompt_tokens: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Played:
    """One model in one run: all that it has played there.

    Attributes:
        system: the model's name.
        facts: who played, who asked, by which instructions, with which settings.
        scenes: begun; `dialogues` of them were played to their end.
        replies: answers of the model.
        marks: mark -> how many replies have it.
        broken: scenes that are left out: without a second question, or not gone on with.
        reasons: why replies or questions failed, with how many did.
        took: part -> what it took.
        imitation: the user's questions beside recorded ones (see `judge.roleplay.imitation`);
            None where they were replayed.
    """

    system: str
    facts: Mapping[str, str]
    scenes: int
    dialogues: int
    replies: int
    marks: Mapping[str, Mark]
    broken: int
    reasons: Mapping[str, int] = field(default_factory=dict)
    took: Mapping[str, Took] = field(default_factory=dict)
    imitation: Mapping[str, Any] | None = None

    @property
    def incomplete(self) -> bool:
        """Whether a reply is empty or failed, or a scene has no second question."""
        bad = sum(self.marks[name].replies for name in ("empty", "failed") if name in self.marks)
        return self.broken > 0 or bad > 0

    @property
    def seconds(self) -> float:
        """Of all writing, the user's included."""
        return sum(took.seconds for took in self.took.values())

    @property
    def tokens(self) -> int | None:
        """Written by the model in its answers; None where nobody counted."""
        return sum(self.took[part].tokens for part in _ANSWERS if part in self.took) or None

    def lines(self) -> list[str]:
        """What to say of it on a terminal."""
        said = [f"{self.system}: {self.dialogues} of {self.scenes} scenes played"]
        if self.broken:
            said.append(f"{self.broken} left out: without a second question, or not gone on with")
        said += [
            f"{mark.replace('_', ' ')}: {found.replies} of {self.replies} replies, "
            f"such as {found.example}"
            for mark, found in self.marks.items()
            if found.replies
        ]
        said += [f"{count} times: {reason}" for reason, count in self.reasons.items()]
        for part, took in self.took.items():
            line = f"{TITLES[part]}: {took.seconds:.1f} s of writing"
            if took.tokens and took.seconds:
                line += f", {took.tokens} tokens, {took.tokens / took.seconds:.1f} tokens/s"
            said.append(line)
        return said

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts and numbers for JSON, with the version of the format."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Played:
        """What `to_dict` gave, after a way through JSON.

        Raises:
            StoreError: the format is newer than this program, or there is no version.
        """
        if data.get("format") not in range(1, FORMAT + 1):
            raise StoreError(
                f"{NAME} has format {data.get('format')}; this program reads up to {FORMAT}",
                hint="upgrade esrp-judge",
            )
        fields = {key: value for key, value in data.items() if key != "format"}
        fields["marks"] = {name: Mark(**mark) for name, mark in data["marks"].items()}
        fields["took"] = {part: Took(**took) for part, took in data["took"].items()}
        return cls(**fields)


def read(folder: Path) -> Played | None:
    """What stands beside the run in `folder`; None where nobody played.

    Raises:
        StoreError: it cannot be read.
    """
    path = folder / NAME
    try:
        return Played.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise StoreError(
            f"not readable: {error}",
            path=path,
            hint="run the same `judge generate` or `judge eval` again: it writes it anew",
        ) from error


def write(folder: Path, played: Played) -> None:
    """Write it whole or not at all.

    Raises:
        StoreError: the folder cannot be written.
    """
    text = json.dumps(played.to_dict(), ensure_ascii=False, indent=1) + "\n"
    write_text(folder / NAME, text)
