"""The dialogues of a probe: a sample and every altered form of it, each with its own name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from judge.analysis.ranking import HUMAN
from judge.baits import BAITS, shuffled
from judge.dialogues import select
from judge.perturbations import PERTURBATIONS, Perturbation, Pool
from judge.types import Dialogue

__all__ = ["CLEAN", "FANS", "REPEATED", "SHUFFLED", "ProbeSet", "draw_probe_set", "levels"]

CLEAN, REPEATED, FANS, SHUFFLED = "clean", "repeated", "fans", "shuffled"


@dataclass(frozen=True, slots=True)
class ProbeSet:
    """A sample and its altered forms.

    Attributes:
        fans: further unaltered ones, of human fans where there are any, for the known answers.
        altered: variant -> position in `sample`, or in `fans` for `SHUFFLED` -> altered form. A
            variant is a bait, or a perturbation and a level: `emoji`, `off_topic@2`.
    """

    sample: tuple[Dialogue, ...]
    fans: tuple[Dialogue, ...]
    altered: Mapping[str, Mapping[int, Dialogue]]

    def variants(self) -> Iterator[tuple[str, Mapping[int, Dialogue]]]:
        """Every variant that is judged, the unaltered ones first."""
        yield CLEAN, dict(enumerate(self.sample))
        yield REPEATED, dict(enumerate(self.sample))
        yield FANS, dict(enumerate(self.fans))
        yield from self.altered.items()

    def dialogues(self, *only: str) -> tuple[Dialogue, ...]:
        """What is judged, all or of some variants; each system is called `VARIANT/SYSTEM`."""
        return tuple(
            replace(dialogue, system=f"{variant}/{dialogue.system}")
            for variant, forms in self.variants()
            if not only or variant in only
            for dialogue in forms.values()
        )


def levels(perturbation: Perturbation) -> tuple[int, ...]:
    """The strengths that are probed: three, or two where there are only two."""
    top = perturbation.max_level
    return tuple(sorted({1, max(1, top // 2), top}))


def draw_probe_set(
    dialogues: Sequence[Dialogue], pool: Pool, metrics: Sequence[str], *, limit: int, seed: int
) -> ProbeSet:
    """Draw a sample that is spread over systems, characters and scenarios, and alter it.

    Every alteration of a dialogue has draws of its own, so that none depends on the others; the
    strengths of a perturbation begin with the same draws.

    Args:
        dialogues: to draw from; those with a blank reply are left out.
        pool: donors of foreign sentences and words.
        metrics: that are judged; perturbations that lower only others are left out.
        limit: dialogues of the sample, and as many at most of human fans.

    Raises:
        UsageError: there is no dialogue, or `limit` is below 1.
    """
    whole = [d for d in dialogues if d.turns and all(turn.answer.strip() for turn in d.turns)]
    sample = _spread(whole, limit, seed)
    fans = _spread([d for d in whole if d.system == HUMAN], limit, seed) or sample
    altered: dict[str, dict[int, Dialogue]] = {}

    def keep(variant: str, at: int, form: Dialogue | None) -> None:
        if form is not None:
            altered.setdefault(variant, {})[at] = form

    for name, perturbation in PERTURBATIONS.items():
        if perturbation.lowers and not set(perturbation.lowers) & set(metrics):
            continue
        for level in levels(perturbation):
            for at, d in enumerate(sample):
                keep(f"{name}@{level}", at, perturbation(d, level, pool, _draws(seed, name, d)))
    for name, bait in BAITS.items():
        for at, d in enumerate(sample):
            keep(name, at, bait(d, pool, _draws(seed, name, d)))
    for at, d in enumerate(fans):
        keep(SHUFFLED, at, shuffled(d, _draws(seed, SHUFFLED, d)))
    return ProbeSet(sample, fans, altered)


def _spread(dialogues: Sequence[Dialogue], limit: int, seed: int) -> tuple[Dialogue, ...]:
    """`limit` dialogues, each of another scene as far as possible, the systems drawn by lot.

    Systems are not compared here, so that no scene is needed of all of them.
    """
    scenes: dict[tuple[str, str], list[Dialogue]] = {}
    for d in dialogues:
        scenes.setdefault((d.character, d.scenario), []).append(d)
    one_each = [
        own[int(_draws(seed, "system", own[0]).integers(len(own)))] for own in scenes.values()
    ]
    if len(one_each) < limit:  # few scenes: let each have several systems
        return select(dialogues, limit=limit, seed=seed) if dialogues else ()
    return select(one_each, limit=limit, seed=seed)


def _draws(seed: int, name: str, dialogue: Dialogue) -> np.random.Generator:
    digest = hashlib.sha256("\0".join((str(seed), name, dialogue.id)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))
