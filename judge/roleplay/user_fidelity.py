"""How closely the user simulator behaves like recorded users.

Every statistic of the simulated questions stands beside the same statistic of recorded questions,
which show what a user of the public dialogues does. There is no threshold and no verdict.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal

import numpy as np

from judge.roleplay.reply_flags import share_of_language
from judge.types import Character, Dialogue

__all__ = [
    "QuestionStatistics",
    "Share",
    "UserFidelity",
    "in_voice",
    "measure_user_fidelity",
    "question_statistics",
]


@dataclass(frozen=True, slots=True)
class Share:
    """A share in [0, 1] of `n` texts; None if there are no texts."""

    share: float | None
    n: int


@dataclass(frozen=True, slots=True)
class QuestionStatistics:
    """Statistics of the second questions of some dialogues.

    Attributes:
        n: dialogues with a second question.
        length: mean length in characters; None without questions.
        quartiles: the three quartiles of the length; None without questions.
        question_mark: the share with a question mark.
        in_voice: the share written in the voice of the character instead of the user's (see
            `in_voice`), among questions in the script of the character's profile: an English
            question cannot contain a Chinese catchphrase.
        overlap: the mean share of a question's character bigrams that occur in the answer before
            it, over the questions that `taken_up` counts; None without any.
        overlap_by_chance: the same with the answers of other characters to the same first
            question, which is the overlap that the common topic alone produces.
        taken_up: the probability that a question overlaps more with the answer before it than with
            another character's answer, ties counted as one half; 0.5 if questions do not react to
            the answer. `n` counts the questions for which there is another character's answer.
    """

    n: int
    length: float | None
    quartiles: tuple[float, float, float] | None
    question_mark: Share
    in_voice: Share
    overlap: float | None
    overlap_by_chance: float | None
    taken_up: Share


@dataclass(frozen=True, slots=True, kw_only=True)
class UserFidelity:
    """The simulator's questions beside recorded ones.

    Attributes:
        simulated: statistics of the simulated questions.
        recorded: statistics of the recorded questions.
        longer: Cliff's delta of the lengths, in [-1, 1]: the probability that a simulated question
            is longer than a recorded one, minus the probability that it is shorter. None if
            either has no questions.
        answers_in_voice: the share of recorded answers that `in_voice` recognises. All of them
            are in the character's voice, so this is the recall of `in_voice`.
        format: the version of this record where it is stored.
    """

    format: Literal[1] = 1
    simulated: QuestionStatistics
    recorded: QuestionStatistics
    longer: float | None
    answers_in_voice: Share


def measure_user_fidelity(
    simulated: Sequence[Dialogue],
    recorded: Sequence[Dialogue],
    character: Callable[[str], Character],
) -> UserFidelity:
    """Compare the second questions of played dialogues with those of recorded ones.

    Args:
        simulated: dialogues whose second questions the simulator wrote.
        recorded: dialogues to compare with, such as those of the public systems in the same
            scenarios. Dialogues without a second question are left out of both.
        character: gives the profile of a character by its name.
    """
    answers = (
        (turn.answer, turn.question, character(d.character))
        for d in recorded
        for turn in d.turns
        if turn.answer.strip()
    )
    return UserFidelity(
        simulated=question_statistics(simulated, character),
        recorded=question_statistics(recorded, character),
        longer=_cliff(_lengths(simulated), _lengths(recorded)),
        answers_in_voice=_share_in_voice(answers),
    )


def question_statistics(
    dialogues: Sequence[Dialogue], character: Callable[[str], Character]
) -> QuestionStatistics:
    """Statistics of the second questions of dialogues of one or more systems."""
    with_question = _with_second_question(dialogues)
    lengths = _lengths(dialogues)
    questions = (
        (d.turns[1].question, d.turns[0].answer, character(d.character)) for d in with_question
    )
    own, other, more = _overlaps(with_question)
    return QuestionStatistics(
        n=len(with_question),
        length=_mean(lengths),
        quartiles=_quartiles(lengths),
        question_mark=_share(bool(re.search("[?？]", d.turns[1].question)) for d in with_question),
        in_voice=_share_in_voice(questions),
        overlap=_mean(own),
        overlap_by_chance=_mean(other),
        taken_up=Share(_mean(more), len(more)),
    )


def in_voice(text: str, before: str, character: Character) -> bool:
    """Whether `text` is recognisably written in the voice of the character.

    It is if it begins with the character's name as the speaker. It also is if it contains a
    catchphrase or a term of the character that the message `before` it does not contain, and does
    not mention the character by name: a text with the name is usually about the character, and a
    user who repeats the character's words has usually just read them.
    """
    names = {*character.names.values(), *character.address}
    speakers = (re.escape(name) for name in (character.name, *names))
    if any(re.match(rf"\W*{speaker}\W*[:：]", text) for speaker in speakers):
        return True
    if any(name in text for name in names):
        return False
    words = chain(character.catchphrases, character.terms)
    return any(word in text and word not in before for word in words)


def _share_in_voice(texts: Iterable[tuple[str, str, Character]]) -> Share:
    """The share in voice of (text, message before, character) with text and profile in one script.

    A text or profile whose script is unknown is compared with any.
    """
    profile_is_chinese: dict[str, bool | None] = {}
    results = []
    for text, before, character in texts:
        if character.name not in profile_is_chinese:
            words = " ".join((*character.catchphrases, *character.terms))
            profile_is_chinese[character.name] = _is_chinese(words)
        scripts = {_is_chinese(text), profile_is_chinese[character.name]} - {None}
        if character.known and len(scripts) < 2:
            results.append(in_voice(text, before, character))
    return _share(results)


def _is_chinese(text: str) -> bool | None:
    share = share_of_language(text, "zh")
    return None if share is None else share > 0.5


def _with_second_question(dialogues: Iterable[Dialogue]) -> list[Dialogue]:
    return [d for d in dialogues if len(d.turns) > 1 and d.turns[1].question.strip()]


def _lengths(dialogues: Iterable[Dialogue]) -> list[int]:
    return [len(d.turns[1].question.strip()) for d in _with_second_question(dialogues)]


def _overlaps(dialogues: Sequence[Dialogue]) -> tuple[list[float], list[float], list[float]]:
    """For each second question with another character's answer to compare with, three numbers.

    The overlap with its own answer, the mean overlap with the answers of the other characters, and
    the share of these that it exceeds (see `QuestionStatistics.taken_up`).
    """
    groups: dict[tuple[str, str], list[Dialogue]] = defaultdict(list)
    for d in dialogues:
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
            closer = (np.sign(shared[index] - rest) + 1) / 2  # a tie counts as one half
            more.append(float(closer.mean()))
    return own, other, more


def _bigrams(text: str) -> frozenset[str]:
    """Pairs of adjacent letters or digits, in lower case."""
    runs = re.findall(r"\w+", text.casefold())
    return frozenset(run[i : i + 2] for run in runs for i in range(len(run) - 1))


def _quartiles(values: Sequence[int]) -> tuple[float, float, float] | None:
    if not values:
        return None
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75)).tolist()
    return low, middle, high


def _cliff(first: Sequence[int], second: Sequence[int]) -> float | None:
    """P(first > second) - P(first < second) over all pairs (Cliff 1993)."""
    if not first or not second:
        return None
    ordered = np.sort(second)
    below = np.searchsorted(ordered, first, "left")
    above = len(ordered) - np.searchsorted(ordered, first, "right")
    return float((below - above).mean() / len(ordered))


def _share(values: Iterable[bool]) -> Share:
    results = list(values)
    return Share(_mean(results), len(results))


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None
