"""Which dialogues are rated, and by whom: raters that overlap, with loads that are equal.

A severity can be told from a dialogue's worth only among raters who are linked by dialogues that
they share. So the shared dialogues are dealt first, each time to those with the least to do and
among them to those not linked yet; the others fill up the loads.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from judge.errors import UsageError
from judge.types import Dialogue

__all__ = ["Overlap", "Plan", "plan_sheets"]


class Overlap(NamedTuple):
    """A `share` of the dialogues goes to `copies` raters each, every other dialogue to one."""

    copies: int = 2
    share: float = 0.2

    @classmethod
    def parse(cls, text: str) -> Self:
        """`2`: every dialogue to two raters. `0.2` or `20%`: a fifth of them to two.

        Raises:
            UsageError: neither a whole number from 1 on nor a share from 0 to 1.
        """
        if re.fullmatch(r"[1-9][0-9]{0,3}", text):
            return cls(int(text), float(text != "1"))
        match = re.fullmatch(r"([0-9]*\.?[0-9]+)(%?)", text)
        share = float(match[1]) / (100 if match[2] else 1) if match else -1.0
        if not 0 <= share <= 1:
            raise UsageError(
                f"--overlap {text}: neither a number of raters nor a share of the dialogues",
                hint="--overlap 2 (two raters for each), or --overlap 0.2 (two for a fifth)",
            )
        return cls(2, share)


@dataclass(frozen=True, slots=True)
class Plan:
    """For each rater the dialogues to rate, as indices, in the order of the sheet.

    `dialogues` is how many are rated at all, `shared` how many by two raters or more.
    """

    sheets: tuple[tuple[int, ...], ...]
    dialogues: int
    shared: int


def plan_sheets(
    dialogues: Sequence[Dialogue],
    *,
    raters: int,
    overlap: Overlap,
    per_rater: int | None,
    rng: np.random.Generator,
) -> Plan:
    """Deal dialogues to raters.

    Scenes, (character, scenario) with the replies of all systems, are taken whole and in turns
    over the characters, so that systems can be compared within a scene. Loads differ by one at
    most, nobody rates a dialogue twice, and all raters are linked, unless nothing is shared.

    Args:
        dialogues: what may be rated.
        raters: how many there are.
        overlap: how many raters a dialogue gets.
        per_rater: at most so many dialogues each; None for all dialogues.
        rng: where the draws come from.

    Raises:
        UsageError: too few dialogues for so many raters, or too few of them shared to link them.
    """
    copies, share = overlap
    if copies > raters:
        raise UsageError(
            f"--overlap: {copies} raters for a dialogue, and there are {raters}",
            hint="take more --raters, or --overlap 1 for none",
        )
    room = None if per_rater is None else per_rater * raters
    count = len(dialogues)
    while room is not None and count + (copies - 1) * round(share * count) > room:
        count -= 1
    shared = round(share * count) if copies > 1 else 0
    if count + (copies - 1) * shared < raters:
        raise UsageError(
            f"--raters {raters}: there are not enough dialogues to give each of them one",
            hint="take fewer --raters or more --per-rater",
        )
    if share and (copies - 1) * shared < raters - 1:
        raise UsageError(
            f"--overlap: {shared} shared dialogues cannot link {raters} raters",
            hint="raise --overlap or --per-rater; --overlap 1 is for ratings without severities",
        )
    chosen = rng.permutation(_in_turns(dialogues, rng)[:count])
    hands = _deal(count, shared, copies, raters, rng)
    sheets = tuple(tuple(rng.permutation(chosen[hand]).tolist()) for hand in hands)
    return Plan(sheets, count, shared)


def _in_turns(dialogues: Sequence[Dialogue], rng: np.random.Generator) -> list[int]:
    """Indices, scene by scene: one scene of every character, then another of each."""
    scenes: dict[str, dict[str, list[int]]] = {}
    for index in rng.permutation(len(dialogues)).tolist():
        dialogue = dialogues[index]
        scenes.setdefault(dialogue.character, {}).setdefault(dialogue.scenario, []).append(index)
    characters = [list(of_one.values()) for of_one in scenes.values()]
    turns = range(max(map(len, characters), default=0))
    return [i for turn in turns for mine in characters if turn < len(mine) for i in mine[turn]]


def _deal(
    count: int, shared: int, copies: int, raters: int, rng: np.random.Generator
) -> list[list[int]]:
    load = np.zeros(raters, dtype=np.int64)
    piece = np.arange(raters)
    together = np.zeros((raters, raters), dtype=np.int64)
    hands: list[list[int]] = [[] for _ in range(raters)]
    for item in range(count):
        chosen: list[int] = []
        for _ in range(copies if item < shared else 1):
            rater = _next(chosen, load, piece, together, rng.random(raters))
            if chosen:
                piece[piece == piece[rater]] = piece[chosen[0]]
                together[rater, chosen] += 1
                together[chosen, rater] += 1
            chosen.append(rater)
            load[rater] += 1
            hands[rater].append(item)
    return hands


def _next(
    chosen: list[int],
    load: NDArray[np.int64],
    piece: NDArray[np.int64],
    together: NDArray[np.int64],
    draw: NDArray[np.float64],
) -> int:
    """The rater with the least to do; then not linked yet, then rarely together, then by lot."""
    busy = load.copy()
    busy[chosen] = np.iinfo(np.int64).max
    linked = piece == piece[chosen[0]] if chosen else np.zeros(len(load), dtype=bool)
    return int(np.lexsort((draw, together[chosen].sum(axis=0), linked, busy))[0])
