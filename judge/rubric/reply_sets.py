"""Prompts about a set of replies of one system as one character, instead of one dialogue.

A reply set is stored as a `Dialogue` whose turns are the replies that were drawn and whose scenario
names the draw, such as "replies, draw 1". It is therefore judged, stored and found like a dialogue.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from judge.errors import UsageError
from judge.rubric.render import RubricSet
from judge.types import Dialogue, PromptTree, Rubric, Turn

__all__ = ["draw_replies", "is_reply_set", "replies_metric", "replies_tree"]

_PREFIX = "replies, draw "


def is_reply_set(scenario: str) -> bool:
    """Whether `scenario` names a reply set instead of a scenario."""
    return scenario.startswith(_PREFIX)


def replies_metric(rubric: Rubric) -> str | None:
    """The name of the metric that judges reply sets, or None if the rubric has none."""
    return next((m.name for m in rubric.metrics if m.unit == "replies"), None)


def replies_tree(
    rubric_set: RubricSet, dialogues: Iterable[Dialogue], *, k: int = 10, draws: int = 3, seed: int
) -> PromptTree:
    """The prompts for the metric that judges `k` replies of one system as one character at once.

    The tree is sorted by character, so that the engine reads each profile once. A system with fewer
    than `k` dialogues as a character has no reply set for that character.

    Args:
        rubric_set: has a metric of unit `replies`.
        dialogues: the replies are drawn from them, in any order; reply sets among them are skipped.
        k: the number of replies in a set, at least 2.
        draws: the number of sets for each system and character.

    Raises:
        UsageError: the rubric set has no such metric, or `k`, `draws` or `seed` is too small.
        RubricError: a template cannot be rendered.
    """
    name = replies_metric(rubric_set.rubric)
    if name is None:
        raise UsageError(
            f"the rubric set {rubric_set.rubric.name} has no metric that judges sets of replies",
            hint="choose a rubric set that has one: `judge rubrics show --set` shows the units",
        )
    sets = list(draw_replies(dialogues, k=k, draws=draws, seed=seed))
    return rubric_set.reply_sets_tree(sets, rubric_set.rubric.metric(name))


def draw_replies(
    dialogues: Iterable[Dialogue], *, k: int, draws: int, seed: int
) -> Iterator[Dialogue]:
    """Reply sets of `k` replies, each as a `Dialogue`, in the order of character, system and draw.

    A set has at most one reply of a dialogue, from a random round, and no blank reply. A draw
    depends only on the seed, the character and the number of the draw, so systems with the same
    scenarios get the same scenarios and rounds. A system with fewer than `k` dialogues as a
    character has no set for that character.

    Raises:
        UsageError: `k`, `draws` or `seed` is too small.
    """
    if k < 2 or draws < 1 or seed < 0:
        raise UsageError(
            f"{draws} draws of {k} replies by the seed {seed}: there must be at least 1 draw of 2 "
            "replies, and a seed from 0",
            hint="10 replies and 3 draws are the default",
        )
    replies_of: dict[str, dict[str, dict[str, list[Turn]]]] = {}  # character -> system -> scenario
    for d in dialogues:
        replies = [turn for turn in d.turns if turn.answer.strip()]
        if replies and not is_reply_set(d.scenario):
            replies_of.setdefault(d.character, {}).setdefault(d.system, {})[d.scenario] = replies
    for character, systems in replies_of.items():
        for system, scenarios in systems.items():
            if len(scenarios) < k:
                continue
            in_order = [scenarios[name] for name in sorted(scenarios)]
            for draw in range(1, draws + 1):
                rng = _generator(seed, character, draw)
                turns = tuple(_draw(in_order, k, rng))
                yield Dialogue(system, character, f"{_PREFIX}{draw}", turns)


def _draw(scenarios: Sequence[Sequence[Turn]], k: int, rng: np.random.Generator) -> Iterator[Turn]:
    """One reply from each of `k` random scenarios."""
    rounds = rng.random(len(scenarios))
    for i in rng.permutation(len(scenarios))[:k].tolist():
        yield scenarios[i][int(rounds[i] * len(scenarios[i]))]


def _generator(seed: int, character: str, draw: int) -> np.random.Generator:
    """A generator of its own for each character and draw, so that draws do not affect others."""
    name = int.from_bytes(hashlib.sha256(character.encode()).digest()[:8], "big")
    return np.random.default_rng([seed, name, draw])
