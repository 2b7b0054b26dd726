"""Perturbations: released replies made worse, in a named way and by a graded amount.

The replies of the public dialogues are assumed to be good. A `Perturbation` makes a dialogue worse
for the metrics in `lowers`, by a level from 1 (slight) to its `max_level`. It may or may not hurt
the metrics in `blurs`, and it leaves all others as they were. A judge can therefore be trained or
tested without human ratings: it should give the perturbed dialogue a lower score.

Every perturbation takes a `numpy.random.Generator` and is a pure function of its arguments. It
returns None where it cannot be applied, for instance where a reply tells no story that could be
cut. The patterns and the inserted sentences are Chinese.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from judge.types import Character, Dialogue, Turn

__all__ = ["MARKERS", "PERTURBATIONS", "Perturbation", "Pool", "has_words", "sentences"]

LEVELS = 4
"""How many levels most perturbations have. Level L corresponds to the label 5 - L."""

BASIC = ("fluency", "coherency", "consistency")
ROLE = ("character_knowledge", "speech_style", "behavioral_habit")
SUPPORT = ("emotional_value", "experience_sharing", "demand_matching")

MARKERS: Mapping[str, re.Pattern[str]] = {
    "emotional_value": re.compile(
        "我懂|理解|担心|加油|没关系|辛苦|难受|了不起|太好了|恭喜|陪|难过|心疼|相信你|支持你|"
        "放心|开心|委屈|不容易|厉害|真棒|很棒|替你|别急|高兴|温暖|努力"
    ),
    "experience_sharing": re.compile(
        "以前|小时候|当年|曾经|有一次|那时|那会儿|当初|经历过|我也有过|我也会|记得|从前|遇到过"
    ),
    "demand_matching": re.compile(
        "试试|试着|不如|不妨|要不|建议|可以|最好|应该|先把|先去|记得|方法|办法|多练|下次"
    ),
}
"""For each metric, the words by which a Chinese sentence is recognised as comfort, a story of the
speaker's own, or advice."""

_SENTENCE = re.compile(r"[^。！？!?…～~\n]+[。！？!?…～~\n]*|[。！？!?…～~\n]+")
_SCRAMBLED = (0.04, 0.09, 0.18, 0.35)
_NEUTRAL = ("那个人", "那件事", "那里", "那个")
_COLD = (
    "这点小事有什么好说的。",
    "随便你吧，与我何干。",
    "你自己的问题，自己想办法。",
    "又来抱怨，听着就烦。",
    "别指望我安慰你。",
    "这都做不好，怪谁呢。",
)
_ASSISTANT = (
    "作为一个人工智能助手，我没有个人经历。",
    "我是一个语言模型，只能提供一般性的信息。",
    "以下是几点建议，供您参考。",
    "感谢您的提问，希望以上内容对您有所帮助。",
)
_NEGATIONS = tuple(
    (re.compile(positive), negative)
    for positive, negative in (
        ("不(喜欢|会|能|是|可以|要|想|用|怕)", r"\1"),
        ("没有", "有"),
        ("也有", "从来没有"),
        ("(喜欢|可以|想要|害怕)", r"不\1"),
        ("(?<![机社学])会(?![议场员])", "不会"),
        ("(?<![可才功智])能(?![力量])", "不能"),
        ("(?<![但可还总老要于])是", "不是"),
        ("有", "没有"),
        ("(?<![重需主只不])要(?![求是])", "不要"),
    )
)
"""How `_negate` turns a sentence into its opposite: (pattern, replacement). The first that matches
is used."""


class Pool:
    """The dialogues and profiles from which a perturbation takes foreign sentences and words.

    Args:
        dialogues: donors. A perturbation takes only from dialogues of the same system, so that the
            style of writing stays the same.
        characters: profiles by the character names that the dialogues use.
    """

    def __init__(self, dialogues: Sequence[Dialogue], characters: Mapping[str, Character]) -> None:
        self._by_scenario: dict[tuple[str, str], list[Dialogue]] = {}
        self._by_character: dict[tuple[str, str], list[Dialogue]] = {}
        for d in dialogues:
            self._by_scenario.setdefault((d.system, d.scenario), []).append(d)
            self._by_character.setdefault((d.system, d.character), []).append(d)
        self._characters = dict(characters)

    def other_character(self, d: Dialogue, rng: np.random.Generator) -> Dialogue | None:
        """A random dialogue of the same system and scenario with another character, or None."""
        donors = self._by_scenario.get((d.system, d.scenario), [])
        return _pick([x for x in donors if x.character != d.character], rng)

    def other_scenario(self, d: Dialogue, rng: np.random.Generator) -> Dialogue | None:
        """A random dialogue of the same system and character in another scenario, or None."""
        donors = self._by_character.get((d.system, d.character), [])
        return _pick([x for x in donors if x.scenario != d.scenario], rng)

    def words(self, character: str, kind: str) -> tuple[str, ...]:
        """The character's own `terms` or `catchphrases`, longest first; empty if unknown."""
        profile = self._characters.get(character)
        return () if profile is None else _longest_first(getattr(profile, kind))

    def foreign_words(self, character: str, kind: str) -> tuple[str, ...]:
        """The `terms` or `catchphrases` of characters from other works.

        Words that contain one of the character's own words, or are part of one, are left out.
        """
        own = self.words(character, kind)
        work = self._characters[character].work if character in self._characters else {}
        return tuple(
            word
            for name, c in self._characters.items()
            if name != character and not (work and c.work == work)
            for word in getattr(c, kind)
            if not any(word in mine or mine in word for mine in own)
        )


@dataclass(frozen=True, slots=True)
class Perturbation:
    """One way to make a dialogue worse. Questions, names and the number of rounds stay the same.

    Attributes:
        lowers: the metrics whose scores should fall.
        apply: the function that perturbs; its second argument is the level as a share of
            `max_level`, in (0, 1].
        max_level: the highest level.
    """

    name: str
    lowers: tuple[str, ...]
    blurs: tuple[str, ...]
    apply: Callable[[Dialogue, float, Pool, np.random.Generator], Dialogue | None]
    max_level: int = LEVELS

    def __call__(
        self, dialogue: Dialogue, level: int, pool: Pool, rng: np.random.Generator
    ) -> Dialogue | None:
        """`dialogue` perturbed at `level` in 1..max_level; None if the perturbation does not apply.

        It does not apply to a dialogue with a blank reply.

        Raises:
            ValueError: `level` is outside that range.
        """
        if not 1 <= level <= self.max_level:
            raise ValueError(f"level {level} of {self.name} is not in 1..{self.max_level}")
        if not all(turn.answer.strip() for turn in dialogue.turns):
            return None
        worse = self.apply(dialogue, level / self.max_level, pool, rng)
        return None if worse is None or worse == dialogue else worse


def sentences(text: str) -> list[str]:
    """The sentences of a reply with their final punctuation; joined they give the reply again."""
    return _SENTENCE.findall(text)


def has_words(dialogue: Dialogue, words: Sequence[str]) -> bool:
    """Whether any of `words` occurs in the replies of `dialogue`."""
    return any(word in turn.answer for turn in dialogue.turns for word in words)


def _longest_first(words: Sequence[str]) -> tuple[str, ...]:
    """Sorted by length, so that a regular expression matches 影分身 before 分身."""
    return tuple(sorted(words, key=lambda w: (-len(w), w)))


def _pick(donors: Sequence[Dialogue], rng: np.random.Generator) -> Dialogue | None:
    return donors[int(rng.integers(len(donors)))] if donors else None


def _amount(share: float, of: int) -> int | None:
    """How many of `of` elements are closest to `share` of them.

    None if the closest number misses `share` by more than half a level: otherwise the same text
    could be the result of two levels.
    """
    count = round(share * of)
    return count if of and abs(count / of - share) <= 1 / (2 * LEVELS) else None


def _with_answers(dialogue: Dialogue, answers: Sequence[str]) -> Dialogue:
    turns = tuple(
        Turn(turn.question, answer if answer.strip() else "嗯。")
        for turn, answer in zip(dialogue.turns, answers, strict=True)
    )
    return replace(dialogue, turns=turns)


def _answers(dialogue: Dialogue) -> list[str]:
    return [turn.answer for turn in dialogue.turns]


def _scramble(
    dialogue: Dialogue, share: float, _: Pool, rng: np.random.Generator, *, how: str
) -> Dialogue:
    """Swap with the next character, double or drop 4, 9, 18 or 35 % of the characters, by level."""
    rate = _SCRAMBLED[round(share * LEVELS) - 1]

    def scramble(text: str) -> str:
        out: list[str] = []
        i = 0
        while i < len(text):
            hit = rng.random() < rate
            if hit and how == "swap" and i + 1 < len(text):
                out += [text[i + 1], text[i]]
                i += 2
                continue
            out += [text[i]] * (1 if not hit or how == "swap" else 2 if how == "double" else 0)
            i += 1
        return "".join(out)

    return _with_answers(dialogue, [scramble(a) for a in _answers(dialogue)])


def _blend(own: Sequence[str], other: Sequence[str], count: int, rng: np.random.Generator) -> str:
    """The sentences `own`, `count` consecutive ones replaced by sentences of `other`."""
    start = int(rng.integers(len(own) - count + 1))
    offset = int(rng.integers(max(1, len(other) - count + 1)))
    return "".join([*own[:start], *other[offset : offset + count], *own[start + count :]])


def _from_donor(
    dialogue: Dialogue,
    share: float,
    pool: Pool,
    rng: np.random.Generator,
    *,
    scenario: bool,
    first_round: int = 0,
) -> Dialogue | None:
    """Replace sentences by those of a dialogue in another scenario, or with another character."""
    donor = pool.other_scenario(dialogue, rng) if scenario else pool.other_character(dialogue, rng)
    if donor is None or len(donor.turns) < len(dialogue.turns):
        return None
    answers, foreign = _answers(dialogue), _answers(donor)
    if share >= 1:
        return _with_answers(dialogue, answers[:first_round] + foreign[first_round : len(answers)])
    split = [sentences(a) for a in answers]
    counts = [0 if i < first_round else round(share * len(own)) for i, own in enumerate(split)]
    total = sum(len(own) for own in split[first_round:])
    if not sum(counts) or abs(sum(counts) / total - share) > 1 / (2 * LEVELS):
        return None
    return _with_answers(
        dialogue,
        [
            _blend(own, sentences(foreign[i]), count, rng) if count else "".join(own)
            for i, (own, count) in enumerate(zip(split, counts, strict=True))
        ],
    )


def _negate(sentence: str) -> str:
    """The opposite of `sentence` if a pattern matches, else the sentence called untrue."""
    for pattern, replacement in _NEGATIONS:
        turned, count = pattern.subn(replacement, sentence, count=1)
        if count:
            return turned
    return "才不是什么" + sentence


def _deny(dialogue: Dialogue, share: float, _: Pool, rng: np.random.Generator) -> Dialogue | None:
    """Make the last reply deny sentences of the first one."""
    if len(dialogue.turns) < 2:
        return None
    first = [s for s in sentences(dialogue.turns[0].answer) if len(s) > 5 and s[-1] not in "?？"]
    count = _amount(share, len(first))
    if not count:
        return None
    chosen = sorted(rng.choice(len(first), size=count, replace=False).tolist())
    denied = [_negate(first[i]) for i in chosen]
    last = sentences(dialogue.turns[-1].answer)
    keep = last[: max(1, len(last) - count)]
    where = int(rng.integers(len(keep) + 1))
    answers = _answers(dialogue)
    answers[-1] = "".join([*keep[:where], *denied, *keep[where:]])
    return _with_answers(dialogue, answers)


def _replace_words(
    dialogue: Dialogue,
    share: float,
    pool: Pool,
    rng: np.random.Generator,
    *,
    kind: str,
    foreign: bool,
) -> Dialogue | None:
    """Replace a `share` of the character's own words in the replies.

    With `foreign`, by words of characters from other works; else a term by a vague noun, and a
    catchphrase by nothing.
    """
    own = pool.words(dialogue.character, kind)
    if not own or not has_words(dialogue, own):
        return None
    pattern = re.compile("|".join(re.escape(word) for word in own))
    neutral = _NEUTRAL if kind == "terms" else ("",)
    choices = pool.foreign_words(dialogue.character, kind) if foreign else neutral
    hits = sum(len(pattern.findall(a)) for a in _answers(dialogue))
    count = _amount(share, hits)
    if not count or not choices:
        return None
    doomed = set(rng.permutation(hits)[:count].tolist())
    seen = iter(range(hits))

    def replacement(match: re.Match[str]) -> str:
        return choices[int(rng.integers(len(choices)))] if next(seen) in doomed else match.group()

    return _with_answers(dialogue, [pattern.sub(replacement, a) for a in _answers(dialogue)])


def _cut(
    dialogue: Dialogue,
    share: float,
    _: Pool,
    rng: np.random.Generator,
    *,
    marker: re.Pattern[str],
    keep_marked: bool = False,
) -> Dialogue | None:
    """Delete a `share` of the sentences that match `marker`; with `keep_marked`, of the others."""
    split = [sentences(a) for a in _answers(dialogue)]
    marked = [
        (i, j)
        for i, parts in enumerate(split)
        for j, part in enumerate(parts)
        if bool(marker.search(part)) != keep_marked
    ]
    count = _amount(share, len(marked))
    if not count:
        return None
    doomed = {marked[k] for k in rng.choice(len(marked), size=count, replace=False).tolist()}
    kept = [
        "".join(part for j, part in enumerate(parts) if (i, j) not in doomed)
        for i, parts in enumerate(split)
    ]
    return _with_answers(dialogue, kept) if all(k.strip() for k in kept) else None


def _insert(
    dialogue: Dialogue, share: float, _: Pool, rng: np.random.Generator, *, lines: Sequence[str]
) -> Dialogue | None:
    """Replace one to four sentences, by level, with as many of `lines`."""
    count = round(share * LEVELS)
    split = [sentences(a) for a in _answers(dialogue)]
    positions = [(i, j) for i, parts in enumerate(split) for j in range(len(parts))]
    if len(positions) <= count:
        return None
    chosen = rng.permutation(len(lines))[:count].tolist()
    targets = rng.permutation(len(positions))[:count].tolist()
    for k, target in zip(chosen, targets, strict=True):
        i, j = positions[target]
        split[i][j] = lines[k]
    return _with_answers(dialogue, ["".join(parts) for parts in split])


_EVERY_MARK = re.compile("|".join(m.pattern for m in MARKERS.values()))

PERTURBATIONS: Mapping[str, Perturbation] = {
    d.name: d
    for d in (
        Perturbation("swap_characters", ("fluency",), (*BASIC[1:], *ROLE, *SUPPORT),
                     partial(_scramble, how="swap")),
        Perturbation("double_characters", ("fluency",), (*BASIC[1:], *ROLE, *SUPPORT),
                     partial(_scramble, how="double")),
        Perturbation("drop_characters", ("fluency",), (*BASIC[1:], *ROLE, *SUPPORT),
                     partial(_scramble, how="drop")),
        Perturbation("off_topic", ("coherency", "demand_matching"),
                     ("consistency", "emotional_value", "experience_sharing",
                      "character_knowledge"),
                     partial(_from_donor, scenario=True)),
        Perturbation("deny_first", ("consistency",), ("coherency", "fluency", *ROLE, *SUPPORT),
                     _deny),
        Perturbation("second_from_other", ("consistency",), ("coherency", *ROLE, *SUPPORT),
                     partial(_from_donor, scenario=False, first_round=1)),
        Perturbation("other_character", ROLE, ("coherency", "consistency", *SUPPORT),
                     partial(_from_donor, scenario=False)),
        Perturbation("neutral_terms", ("character_knowledge",), (*BASIC, *ROLE[1:], *SUPPORT),
                     partial(_replace_words, kind="terms", foreign=False), max_level=2),
        Perturbation("foreign_terms", ("character_knowledge",), (*BASIC, *ROLE[1:], *SUPPORT),
                     partial(_replace_words, kind="terms", foreign=True)),
        Perturbation("neutral_speech", ("speech_style",),
                     (*BASIC, "character_knowledge", "behavioral_habit", *SUPPORT),
                     partial(_replace_words, kind="catchphrases", foreign=False), max_level=2),
        Perturbation("foreign_speech", ("speech_style",),
                     (*BASIC, "character_knowledge", "behavioral_habit", *SUPPORT),
                     partial(_replace_words, kind="catchphrases", foreign=True)),
        Perturbation("assistant_voice", ROLE, (*BASIC, *SUPPORT),
                     partial(_insert, lines=_ASSISTANT)),
        Perturbation("cold", ("emotional_value",), (*BASIC, *ROLE, *SUPPORT[1:]),
                     partial(_insert, lines=_COLD)),
        Perturbation("cut_comfort", ("emotional_value",), (*BASIC, *ROLE, *SUPPORT[1:]),
                     partial(_cut, marker=MARKERS["emotional_value"])),
        Perturbation("cut_story", ("experience_sharing",),
                     (*BASIC, *ROLE, "emotional_value", "demand_matching"),
                     partial(_cut, marker=MARKERS["experience_sharing"])),
        Perturbation("cut_advice", ("demand_matching",), (*BASIC, *ROLE, *SUPPORT[:2]),
                     partial(_cut, marker=MARKERS["demand_matching"])),
        Perturbation("cut_rest", (), ("coherency", "consistency", *ROLE),
                     partial(_cut, marker=_EVERY_MARK, keep_marked=True), max_level=2),
    )
}  # fmt: skip
"""Every perturbation by name. `cut_rest` lowers no metric, it only makes replies shorter: a judge
whose scores fall after it is biased towards long replies."""
