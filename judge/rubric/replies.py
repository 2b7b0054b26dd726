"""Prompts about many replies of one system as one character, instead of one dialogue.

A set of replies is judged as a dialogue of its own kind: its turns are the replies drawn, its
scenario says which draw it is. So it is asked, kept and found again as any dialogue is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from judge.errors import UsageError
from judge.rubric.sets import RubricSet
from judge.types import Dialogue, PromptItem, PromptTree, Rubric, Turn

__all__ = ["draw_replies", "is_draw", "replies_metric", "replies_tree"]

_DRAW = "replies, draw "


def is_draw(scenario: str) -> bool:
    """Whether a scenario is the name of a set of replies and not of a scenario."""
    return scenario.startswith(_DRAW)


def replies_metric(rubric: Rubric) -> str | None:
    """The metric that judges sets of replies, or None where the rubric has none."""
    return next((m.name for m in rubric.metrics if m.unit == "replies"), None)


def replies_tree(
    rubric_set: RubricSet, dialogues: Iterable[Dialogue], *, k: int = 10, draws: int = 3, seed: int
) -> PromptTree:
    """The prompts for the metric that judges `k` replies of one system as one character at once.

    The tree has a system text of its own, so it is asked after that of the dialogues. Characters
    come one after the other, all systems under each, so that a profile is read once. A system has
    nothing in the tree for a character with too few dialogues: see `draw_replies`.

    Args:
        rubric_set: with a metric of unit `replies`.
        dialogues: what the replies are drawn from, in any order; sets of replies are passed over.
        k: replies of a set, at least 2.
        draws: sets for each system and character.
        seed: of the draws.

    Raises:
        UsageError: the rubric set has no such metric, or k, draws or seed are too small.
        RubricError: a template that does not render.
    """
    name = replies_metric(rubric_set.rubric)
    if name is None:
        raise UsageError(
            f"the rubric set {rubric_set.rubric.name} has no metric of many replies",
            hint="choose one that has: `judge rubrics show` names the unit of every metric",
        )
    metric = rubric_set.rubric.metric(name)
    sets = list(draw_replies(dialogues, k=k, draws=draws, seed=seed))
    characters = {d.character: rubric_set.character(d.character) for d in sets}
    return PromptTree(
        system=rubric_set.render(
            "replies_system",
            rubric=rubric_set.rubric,
            metric=metric,
            language=rubric_set.rubric.language,
        ),
        profiles={n: rubric_set.render("profile", character=c) for n, c in characters.items()},
        questions={name: rubric_set.question(metric)},
        labels=rubric_set.rubric.labels,
        items=tuple(
            PromptItem(
                dialogue=d,
                text=rubric_set.render(
                    "replies",
                    replies=[turn.answer for turn in d.turns],
                    character=characters[d.character],
                ),
                metrics=(name,),
            )
            for d in sets
        ),
    )


def draw_replies(
    dialogues: Iterable[Dialogue], *, k: int, draws: int, seed: int
) -> Iterator[Dialogue]:
    """Sets of k replies, each as a `Dialogue`, by character, system and draw.

    A set has at most one reply of a dialogue, any round of it, and no blank one. The draws depend
    on the seed, the character and the number of the draw, not on what else is there; where
    two systems have the same scenarios, theirs are of the same scenarios and rounds. A system with
    fewer than k dialogues as a character has no set of it.

    Raises:
        UsageError: k, draws or seed are too small.
    """
    if k < 2 or draws < 1 or seed < 0:
        raise UsageError(
            f"{draws} draws of {k} replies by the seed {seed}: there must be at least 1 draw of 2 "
            "replies, and a seed from 0",
            hint="10 replies and 3 draws are the default",
        )
    found: dict[str, dict[str, dict[str, list[Turn]]]] = {}
    for d in dialogues:
        replies = [turn for turn in d.turns if turn.answer.strip()]
        if replies and not is_draw(d.scenario):
            found.setdefault(d.character, {}).setdefault(d.system, {})[d.scenario] = replies
    for character, systems in found.items():
        for system, scenarios in systems.items():
            if len(scenarios) < k:
                continue
            in_order = [scenarios[name] for name in sorted(scenarios)]
            for draw in range(1, draws + 1):
                rng = _stream(seed, character, draw)
                turns = tuple(_draw(in_order, k, rng))
                yield Dialogue(system, character, f"{_DRAW}{draw}", turns)


def _draw(scenarios: Sequence[Sequence[Turn]], k: int, rng: np.random.Generator) -> Iterator[Turn]:
    """One reply of each of k scenarios."""
    rounds = rng.random(len(scenarios))
    for at in rng.permutation(len(scenarios))[:k].tolist():
        yield scenarios[at][int(rounds[at] * len(scenarios[at]))]


def _stream(seed: int, character: str, draw: int) -> np.random.Generator:
    """Its own for each character and draw: what else is drawn does not matter."""
    name = int.from_bytes(hashlib.sha256(character.encode()).digest()[:8], "big")
    return np.random.default_rng([seed, name, draw])
