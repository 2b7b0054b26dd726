"""Does the user simulator stay in its role? Its questions beside those that were recorded.

Nothing here is a verdict: each figure stands beside the same figure of recorded questions, which
is what a user of the public dialogues looks like.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from judge.errors import StoreError
from judge.roleplay.marks import share_of_language
from judge.types import Character, Dialogue

__all__ = ["FORMAT", "Asking", "Imitation", "Share", "in_voice", "measure", "measure_imitation"]

FORMAT = 1
"""The newest `format` of a stored `Imitation` that this version reads."""


@dataclass(frozen=True, slots=True)
class Share:
    """A share in [0, 1] of `n` texts, None of none."""

    share: float | None
    n: int


@dataclass(frozen=True, slots=True)
class Asking:
    """How the second questions of some dialogues are asked.

    Attributes:
        n: dialogues with a second question.
        length, quartiles: the mean and the three quartiles of their characters, None without any.
        question_mark: those with a question mark.
        in_voice: those in the character's voice, of those whose character has a profile in their
            own writing: an English text has no Chinese catchphrase to betray it.
        overlap: mean share of a question's character bigrams that occur in the answer before it;
            None where none has another to compare with: see `taken_up`.
        overlap_by_chance: the same in the answers of the other characters to the same first
            question: what the common topic alone brings about.
        taken_up: how probable it is that a question overlaps more with the answer before it than
            with another character's, ties counted half; 0.5 if it does not react to it at all.
            `n` is of the questions with another character's answer to compare with.
    """

    n: int
    length: float | None
    quartiles: tuple[float, float, float] | None
    question_mark: Share
    in_voice: Share
    overlap: float | None
    overlap_by_chance: float | None
    taken_up: Share


@dataclass(frozen=True, slots=True)
class Imitation:
    """The simulator's questions beside the recorded ones.

    Attributes:
        simulated, recorded: how each are asked.
        longer: Cliff's delta of the lengths in [-1, 1]: how much more often a simulated question
            is longer than a recorded one than shorter. None without either.
        answers_in_voice: recorded answers that `in_voice` finds to be in the character's voice,
            which all of them are: how much of it is found.
    """

    simulated: Asking
    recorded: Asking
    longer: float | None
    answers_in_voice: Share

    def to_dict(self) -> dict[str, object]:
        """What `from_dict` reads, of types that JSON has."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Imitation:
        """What `to_dict` wrote.

        Raises:
            StoreError: it is of a newer format, or not what `to_dict` writes.
        """
        if data.get("format") != FORMAT:
            raise StoreError(
                f"a check of the user of format {data.get('format')!r}, which this version cannot "
                "read",
                hint="upgrade esrp-judge",
            )
        try:
            return cls(
                simulated=_asking(data["simulated"]),
                recorded=_asking(data["recorded"]),
                longer=data["longer"],
                answers_in_voice=Share(**data["answers_in_voice"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError(
                f"a damaged check of the user: {error!r}", hint="play into a new folder"
            ) from error


def _asking(data: Mapping[str, Any]) -> Asking:
    shares = {key: Share(**data[key]) for key in ("question_mark", "in_voice", "taken_up")}
    quartiles = data["quartiles"]
    return Asking(
        **{**data, **shares, "quartiles": None if quartiles is None else tuple(quartiles)}
    )


def measure_imitation(
    simulated: Sequence[Dialogue],
    recorded: Sequence[Dialogue],
    character: Callable[[str], Character],
) -> Imitation:
    """Compare the second questions of played dialogues with those of recorded ones.

    Args:
        simulated: dialogues whose second questions the simulator wrote.
        recorded: dialogues to compare with, such as those of the public systems in the same
            scenarios. In both, a dialogue without a second question is left out.
        character: the profile of a name.
    """
    answers = (
        (turn.answer, turn.question, character(d.character))
        for d in recorded
        for turn in d.turns
        if turn.answer.strip()
    )
    return Imitation(
        simulated=measure(simulated, character),
        recorded=measure(recorded, character),
        longer=_cliff(_lengths(simulated), _lengths(recorded)),
        answers_in_voice=_voices(answers),
    )


def measure(dialogues: Sequence[Dialogue], character: Callable[[str], Character]) -> Asking:
    """The figures of the second questions of some dialogues, of one or more systems."""
    asked = _asked(dialogues)
    lengths = _lengths(dialogues)
    said = ((d.turns[1].question, d.turns[0].answer, character(d.character)) for d in asked)
    own, other, more = _overlaps(asked)
    return Asking(
        n=len(asked),
        length=_mean(lengths),
        quartiles=_quartiles(lengths),
        question_mark=_share(bool(re.search("[?？]", d.turns[1].question)) for d in asked),
        in_voice=_voices(said),
        overlap=_mean(own),
        overlap_by_chance=_mean(other),
        taken_up=Share(_mean(more), len(more)),
    )


def in_voice(text: str, before: str, character: Character) -> bool:
    """Whether `text` gives itself away as the character's, by its profile.

    It does if the character's name is set before it as a speaker's; or if it brings up a
    catchphrase or a term of the character that the message `before` it did not have, and does not
    call the character by name. People rarely speak of themselves by name, and a friend who uses
    the character's words has mostly just heard them.
    """
    called = {*character.names.values(), *character.address}
    speakers = (re.escape(name) for name in (character.name, *called))
    if any(re.match(rf"\W*{speaker}\W*[:：]", text) for speaker in speakers):
        return True
    if any(name in text for name in called):
        return False
    words = chain(character.catchphrases, character.terms)
    return any(word in text and word not in before for word in words)


def _voices(said: Iterable[tuple[str, str, Character]]) -> Share:
    """Of (text, message before, character), the share in voice."""
    chinese: dict[str, bool | None] = {}  # whether the profile is
    found = []
    for text, before, character in said:
        if character.name not in chinese:
            words = " ".join((*character.catchphrases, *character.terms))
            chinese[character.name] = _chinese(words)
        writings = {_chinese(text), chinese[character.name]} - {None}
        if character.known and len(writings) < 2:
            found.append(in_voice(text, before, character))
    return _share(found)


def _chinese(text: str) -> bool | None:
    share = share_of_language(text, "zh")
    return None if share is None else share > 0.5


def _asked(dialogues: Iterable[Dialogue]) -> list[Dialogue]:
    return [d for d in dialogues if len(d.turns) > 1 and d.turns[1].question.strip()]


def _lengths(dialogues: Iterable[Dialogue]) -> list[int]:
    return [len(d.turns[1].question.strip()) for d in _asked(dialogues)]


def _overlaps(asked: Sequence[Dialogue]) -> tuple[list[float], list[float], list[float]]:
    """For each question that can be compared: with its answer, with others', how often more."""
    groups: dict[tuple[str, str], list[Dialogue]] = defaultdict(list)
    for d in asked:
        groups[d.system, d.scenario].append(d)
    own, other, more = [], [], []
    for group in groups.values():
        answers = [_bigrams(d.turns[0].answer) for d in group]
        for index, d in enumerate(group):
            question = _bigrams(d.turns[1].question)
            if len(group) < 2 or not question:
                continue
            shared = np.array([len(question & answer) for answer in answers])
            rest = np.delete(shared, index)
            own.append(float(shared[index] / len(question)))
            other.append(float(rest.mean() / len(question)))
            more.append(float(_half_ties(shared[index] - rest).mean()))
    return own, other, more


def _bigrams(text: str) -> frozenset[str]:
    """Pairs of neighbours within a run of letters and digits, case apart."""
    runs = re.findall(r"\w+", text.casefold())
    return frozenset(run[i : i + 2] for run in runs for i in range(len(run) - 1))


def _quartiles(values: Sequence[int]) -> tuple[float, float, float] | None:
    if not values:
        return None
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75)).tolist()
    return low, middle, high


def _half_ties(difference: NDArray[np.int64]) -> NDArray[np.float64]:
    return (np.sign(difference) + 1) / 2


def _cliff(one: Sequence[int], other: Sequence[int]) -> float | None:
    """P(one > other) - P(one < other) over all pairs (Cliff 1993)."""
    if not one or not other:
        return None
    ordered = np.sort(other)
    below = np.searchsorted(ordered, one, "left")
    above = len(ordered) - np.searchsorted(ordered, one, "right")
    return float((below - above).mean() / len(ordered))


def _share(values: Iterable[bool]) -> Share:
    found = list(values)
    return Share(_mean(found), len(found))


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None
