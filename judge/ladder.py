"""Examples and pairs made by damage: what an embedded judge learns from and is tested on.

Targets are labels on the 1..5 scale: a released dialogue is a 5, damage of level L makes it a
5 - L for the metrics that the damage lowers. A metric about which nothing is known has no
target: one that a damage may have hurt, or one whose matter (an own story, advice, comfort, a
term of the work) the released dialogue does not show in the first place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from judge.damage import DAMAGES, MARKERS, Damage, Pool, has_words
from judge.types import Dialogue

__all__ = ["Pair", "Split", "clean_targets", "damaged_targets", "pairs", "split"]

TOP = 5


@dataclass(frozen=True, slots=True)
class Split:
    """Whole characters and whole scenarios held out.

    `train` has neither; `new_scenarios` are held-out scenarios of known characters,
    `new_characters` held-out characters in any scenario.
    """

    characters: tuple[str, ...]
    scenarios: tuple[str, ...]
    train: tuple[Dialogue, ...]
    new_scenarios: tuple[Dialogue, ...]
    new_characters: tuple[Dialogue, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """A dialogue and its damaged twin, which should score lower on `damage.lowers`."""

    good: Dialogue
    bad: Dialogue
    damage: Damage
    level: int


def split(
    dialogues: Sequence[Dialogue],
    rng: np.random.Generator,
    *,
    characters: int = 4,
    scenarios: int = 12,
) -> Split:
    """Hold out `characters` and `scenarios`, drawn from the sorted names."""
    names = sorted({d.character for d in dialogues})
    numbers = sorted({d.scenario for d in dialogues})
    out_characters = {names[i] for i in rng.permutation(len(names))[:characters]}
    out_scenarios = {numbers[i] for i in rng.permutation(len(numbers))[:scenarios]}
    known = [d for d in dialogues if d.character not in out_characters]
    return Split(
        characters=tuple(sorted(out_characters)),
        scenarios=tuple(sorted(out_scenarios)),
        train=tuple(d for d in known if d.scenario not in out_scenarios),
        new_scenarios=tuple(d for d in known if d.scenario in out_scenarios),
        new_characters=tuple(d for d in dialogues if d.character in out_characters),
    )


def clean_targets(dialogue: Dialogue, metrics: Sequence[str], pool: Pool) -> dict[str, int]:
    """The labels of a released dialogue: 5 wherever there is something to lose."""
    return {m: TOP for m in metrics if _shows(dialogue, m, pool)}


def damaged_targets(
    clean: Mapping[str, int], applied: Sequence[tuple[Damage, int]]
) -> dict[str, int]:
    """The labels after damages of given levels; `clean` are those before."""
    targets = dict(clean)
    for damage, _ in applied:
        for metric in damage.blurs:
            targets.pop(metric, None)
    for damage, level in applied:
        for metric in damage.lowers:
            before = targets.get(metric, TOP)
            if any(metric in other.blurs for other, _ in applied):
                continue
            targets[metric] = min(before, TOP - level)
    return targets


def pairs(dialogues: Sequence[Dialogue], pool: Pool, rng: np.random.Generator) -> Iterator[Pair]:
    """One pair for each dialogue and damage, at a random level; where it bites."""
    for dialogue in dialogues:
        for damage in DAMAGES.values():
            level = int(rng.integers(1, damage.max_level + 1))
            bad = damage(dialogue, level, pool, rng)
            if bad is not None:
                yield Pair(dialogue, bad, damage, level)


def _shows(dialogue: Dialogue, metric: str, pool: Pool) -> bool:
    if metric in MARKERS:
        return any(MARKERS[metric].search(turn.answer) for turn in dialogue.turns)
    if metric == "character_knowledge":
        return has_words(dialogue, pool.words(dialogue.character, "terms"))
    return True
