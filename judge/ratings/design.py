"""Assigns dialogues to raters: raters share dialogues, and all have equally many.

How strict a rater is can be told apart from how good a dialogue is only among raters who are linked
by dialogues they share. So the shared dialogues are assigned first, each to the raters with the
fewest dialogues so far, and among these to raters who are not linked yet. The dialogues of a single
rater then fill up.
"""

from __future__ import annotations

import itertools
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
    """Which dialogues each rater rates.

    Attributes:
        sheets: for each rater the indices of the dialogues, in the order of the sheet.
        dialogues: how many dialogues are rated.
        shared: how many of them have two raters or more.
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
    """Assign dialogues to raters at random.

    If not all dialogues are rated, whole scenes are chosen (a character in a scenario, with the
    dialogues of all systems), one of every character before a second of any, so that systems can be
    compared within a scene. The numbers of dialogues differ by one at most, nobody rates a dialogue
    twice, and all raters are linked unless nothing is shared.

    Args:
        dialogues: what may be rated.
        raters: how many there are.
        overlap: how many raters a dialogue gets.
        per_rater: the most dialogues of a rater; None to have all dialogues rated.

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
    chosen = rng.permutation(_order_by_scene(dialogues, rng)[:count])
    assigned = _assign(count, shared, copies, raters, rng)
    sheets = tuple(tuple(rng.permutation(chosen[positions]).tolist()) for positions in assigned)
    return Plan(sheets, count, shared)


def _order_by_scene(dialogues: Sequence[Dialogue], rng: np.random.Generator) -> list[int]:
    """Indices scene by scene: one scene of every character, then a second of each, and so on."""
    scenes: dict[str, dict[str, list[int]]] = {}
    for index in rng.permutation(len(dialogues)).tolist():
        dialogue = dialogues[index]
        scenes.setdefault(dialogue.character, {}).setdefault(dialogue.scenario, []).append(index)
    by_character = [list(scenes_of.values()) for scenes_of in scenes.values()]
    rounds = itertools.zip_longest(*by_character, fillvalue=[])
    return [index for one_scene_each in rounds for scene in one_scene_each for index in scene]


def _assign(
    count: int, shared: int, copies: int, raters: int, rng: np.random.Generator
) -> list[list[int]]:
    """For each rater the dialogues, numbered from 0; the first `shared` get `copies` raters."""
    load = np.zeros(raters, dtype=np.int64)
    group = np.arange(raters)  # linked raters have one number
    n_shared = np.zeros((raters, raters), dtype=np.int64)
    assigned: list[list[int]] = [[] for _ in range(raters)]
    for dialogue in range(count):
        chosen: list[int] = []
        for _ in range(copies if dialogue < shared else 1):
            rater = _choose_rater(chosen, load, group, n_shared, rng.random(raters))
            if chosen:
                group[group == group[rater]] = group[chosen[0]]
                n_shared[rater, chosen] += 1
                n_shared[chosen, rater] += 1
            chosen.append(rater)
            load[rater] += 1
            assigned[rater].append(dialogue)
    return assigned


def _choose_rater(
    chosen: list[int],
    load: NDArray[np.int64],
    group: NDArray[np.int64],
    n_shared: NDArray[np.int64],
    draw: NDArray[np.float64],
) -> int:
    """The next rater of a dialogue that has the raters `chosen`.

    It is one with the fewest dialogues; of these one who is not linked with `chosen` yet, then one
    who shares few dialogues with them, then the one with the lowest draw.
    """
    busy = load.copy()
    busy[chosen] = np.iinfo(np.int64).max
    linked = group == group[chosen[0]] if chosen else np.zeros(len(load), dtype=bool)
    return int(np.lexsort((draw, n_shared[chosen].sum(axis=0), linked, busy))[0])
