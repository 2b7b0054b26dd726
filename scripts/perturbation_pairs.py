"""Training labels and test pairs made by perturbations, for the embedded judges.

Labels are on the scale 1..5. A public dialogue gets 5; a perturbation of level L makes it 5 - L for
the metrics that the perturbation lowers. A metric gets no label where nothing is known about it:
where a perturbation may have hurt it, or where the public dialogue shows nothing that could be
lost, such as advice, comfort, a story of the character's own or a term of the work.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from judge.perturbations import MARKERS, PERTURBATIONS, Perturbation, Pool, has_words
from judge.types import Dialogue

__all__ = ["PerturbationPair", "Split", "clean_targets", "pairs", "perturbed_targets", "split"]

TOP = 5


@dataclass(frozen=True, slots=True)
class Split:
    """Dialogues divided so that some characters and some scenarios are held out completely.

    Attributes:
        characters: the held-out characters, sorted.
        scenarios: the held-out scenarios, sorted.
        train: dialogues with neither a held-out character nor a held-out scenario.
        new_scenarios: characters that `train` has, in held-out scenarios.
        new_characters: held-out characters in any scenario.
    """

    characters: tuple[str, ...]
    scenarios: tuple[str, ...]
    train: tuple[Dialogue, ...]
    new_scenarios: tuple[Dialogue, ...]
    new_characters: tuple[Dialogue, ...]


@dataclass(frozen=True, slots=True)
class PerturbationPair:
    """A dialogue and its perturbed form, which should score lower on `perturbation.lowers`."""

    original: Dialogue
    perturbed: Dialogue
    perturbation: Perturbation
    level: int


def split(
    dialogues: Sequence[Dialogue],
    rng: np.random.Generator,
    *,
    characters: int = 4,
    scenarios: int = 12,
) -> Split:
    """Hold out that many characters and scenarios, drawn at random from the sorted names."""
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
    """The labels of a public dialogue: 5 for each metric on which it has something to lose."""
    return {m: TOP for m in metrics if _shows(dialogue, m, pool)}


def perturbed_targets(
    clean: Mapping[str, int], applied: Sequence[tuple[Perturbation, int]]
) -> dict[str, int]:
    """The labels after `applied` perturbations with their levels; `clean` are the labels before."""
    targets = dict(clean)
    for perturbation, _ in applied:
        for metric in perturbation.blurs:
            targets.pop(metric, None)
    for perturbation, level in applied:
        for metric in perturbation.lowers:
            before = targets.get(metric, TOP)
            if any(metric in other.blurs for other, _ in applied):
                continue
            targets[metric] = min(before, TOP - level)
    return targets


def pairs(
    dialogues: Sequence[Dialogue], pool: Pool, rng: np.random.Generator
) -> Iterator[PerturbationPair]:
    """One pair for each dialogue and each perturbation that applies to it, at a random level."""
    for dialogue in dialogues:
        for perturbation in PERTURBATIONS.values():
            level = int(rng.integers(1, perturbation.max_level + 1))
            perturbed = perturbation(dialogue, level, pool, rng)
            if perturbed is not None:
                yield PerturbationPair(dialogue, perturbed, perturbation, level)


def _shows(dialogue: Dialogue, metric: str, pool: Pool) -> bool:
    if metric in MARKERS:
        return any(MARKERS[metric].search(turn.answer) for turn in dialogue.turns)
    if metric == "character_knowledge":
        return has_words(dialogue, pool.words(dialogue.character, "terms"))
    return True
