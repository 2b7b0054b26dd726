"""Is one judge closer to people than another, on the same dialogues?"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calibration.agreement.correlation import TOLERANCE, mid_ranks, tie_codes
from calibration.agreement.groups import Rows, cosines, grid, rank_deviations, rows_iv

__all__ = ["PermBothResult", "perm_both"]

Floats = NDArray[np.float64]
Level = Literal["all", "within_item", "systems"]

_BATCH = 50
"""Exchanges looked at together: enough for one large product, few enough for the cache."""


class PermBothResult(NamedTuple):
    """Two judges' correlations with people; nan, with a `reason`, where undefined.

    Attributes:
        first, second: Spearman's rho of either judge.
        difference: first less second.
        p: two-sided.
        n: rows with both judges' and a human score.
        masked: rows left out.
        groups: within items, those in which both judges have a correlation with people: both rhos
            are means over them; at other levels 1. `left_out`: the other items.
        resamples: B, how many exchanges were drawn.
        undefined: those among them that left a constant side; counted as extreme, so that they
            can only make p larger.
    """

    first: float
    second: float
    difference: float
    p: float
    n: int
    masked: int
    groups: int
    left_out: int
    resamples: int
    undefined: int
    reason: str = ""


def perm_both(
    first: ArrayLike,
    second: ArrayLike,
    human: ArrayLike,
    system: ArrayLike,
    item: ArrayLike,
    rng: np.random.Generator,
    level: Level = "all",
    resamples: int = 1000,
) -> PermBothResult:
    """The PERM-BOTH test of Deutsch, Dror and Roth (2021), for Spearman's rho.

    If the judges are equally good, it does not matter whose scores are whose. Both are
    standardised over all rows, then exchanged for randomly drawn systems and for randomly drawn
    items (twice is not at all): the claim is about systems and items like these, not these alone.
    p = (1 + b) / (1 + B), with b of B exchanges at least as far from 0 as the difference found.
    Within items both rhos are means over the items in which both judges have one, in each exchange
    anew: else a judge that ties all systems in some items has its mean over other items than its
    rival.

    Args:
        first, second: (n,) scores of the two judges, on scales of their own; NaN where missing.
        human: (n,) scores, NaN where missing.
        system, item: (n,) labels; a system has at most one row for an item.
        rng: draws the exchanges.
        level: "all" dialogues, "within_item" across systems, or "systems"; see `at_levels`.
        resamples: B.

    Raises:
        ValueError: lengths differ, an infinity, a doubled row, no such level, or resamples < 1.
    """
    rows = _compare_iv(first, second, human, system, item, level, resamples)
    n, nan = rows.columns.shape[1], math.nan
    items = int(rows.item.max(initial=-1)) + 1 if level == "within_item" else 1

    def undefined(reason: str, one: float = nan, other: float = nan) -> PermBothResult:
        groups = 0 if level == "within_item" else 1
        return PermBothResult(
            one, other, nan, nan, n, rows.masked, groups, items - groups, resamples, 0, reason
        )

    if n < 2:
        return undefined("fewer than 2 rows have all three scores")
    if not all(tie_codes(judge).any() for judge in rows.columns[:2]):
        return undefined("a judge gives one and the same score to all")
    judges = rows.columns[:2]
    judges -= judges.mean(axis=1, keepdims=True)
    judges /= judges.std(axis=1, keepdims=True)
    table = grid(rows)
    rho = _LEVELS[level](rows, table)
    shape = table.shape[1:]
    as_found = rho(*(np.zeros((1, k), np.bool_) for k in shape))
    one, other, groups = float(as_found[0][0]), float(as_found[1][0]), int(as_found[2][0])
    if math.isnan(one) or math.isnan(other):
        return undefined("a side is constant at this level", one, other)
    beyond = lost = 0
    for start in range(0, resamples, _BATCH):
        draws = min(_BATCH, resamples - start)
        first_rho, second_rho, _ = rho(*(rng.random((draws, k)) < 0.5 for k in shape))
        gap = np.abs(first_rho - second_rho)
        lost += int(np.isnan(gap).sum())
        beyond += int((~(gap < abs(one - other) - TOLERANCE)).sum())
    p = (1 + beyond) / (1 + resamples)
    return PermBothResult(
        one, other, one - other, p, n, rows.masked, groups, items - groups, resamples, lost
    )


Bools = NDArray[np.bool_]
_Sides = tuple[Floats, Floats, Floats]
_Rho = Callable[[Bools, Bools], _Sides]
"""From (draws, systems) and (draws, items), what is exchanged, to (draws,) rho of either side, and
over how many groups either is a mean."""


def _over_all(rows: Rows, table: Floats) -> _Rho:
    # Both judges are sorted once; the ranks of any mixture follow from counting what it holds.
    del table
    a, b = tie_codes(rows.columns[:2])
    groups = int(max(a.max(), b.max())) + 1
    middle = (len(a) + 1) / 2
    people = (mid_ranks(rows.columns[2]) - middle)[None]

    def of(codes: NDArray[np.int64]) -> float:
        counts = np.bincount(codes, minlength=groups)
        ranks = (np.cumsum(counts) - (counts - 1) / 2)[codes] - middle
        return float(cosines(ranks[None], people)[0])

    def rho(systems: Bools, items: Bools) -> _Sides:
        swaps = systems[:, rows.system] ^ items[:, rows.item]
        first = [of(np.where(swap, b, a)) for swap in swaps]
        second = [of(np.where(swap, a, b)) for swap in swaps]
        return np.array(first), np.array(second), np.ones(len(swaps))

    return rho


def _within_items(rows: Rows, table: Floats) -> _Rho:
    # A rank is a sum of signs of differences (see `rank_deviations`), and which judge either
    # score of a difference comes from depends on the systems alone: one matrix product for all
    # draws. An item that is exchanged as a whole has the two rhos exchanged.
    del rows
    there = ~np.isnan(table[2].T)
    codes = np.zeros((3, *there.shape), dtype=np.int64)
    codes[:2, there] = tie_codes(table[:2].transpose(0, 2, 1)[:, there])
    codes[2, there] = tie_codes(table[2].T[there])

    def signs(one: int, other: int) -> Floats:
        both = there[:, :, None] & there[:, None, :]
        sign: Floats = np.sign(codes[one][:, :, None] - codes[other][:, None, :]).astype(np.float64)
        sign *= both
        return sign

    people = signs(2, 2).sum(axis=2)
    still = [signs(0, 0), signs(1, 0)]
    turned = [signs(0, 1) - still[0], signs(1, 1) - still[1]]

    def of(systems: Bools) -> Floats:
        """(items, draws) rho with b's score for the systems that are exchanged, else a's."""
        from_a, from_b = (
            stay.sum(axis=2)[:, :, None] + turn @ systems.T.astype(np.float64)
            for stay, turn in zip(still, turned, strict=True)
        )
        ranks = np.where(systems.T, from_b, from_a)
        scale = np.sqrt((ranks**2).sum(axis=1) * (people**2).sum(axis=1)[:, None])
        return _ratio((ranks * people[:, :, None]).sum(axis=1), scale)

    def rho(systems: Bools, items: Bools) -> _Sides:
        one, other = of(systems), of(~systems)
        both = ~np.isnan(one + other)
        groups = both.sum(axis=0, dtype=np.float64)
        first, second = (
            _ratio(np.where(both, np.where(items.T, swapped, kept), 0).sum(axis=0), groups)
            for kept, swapped in ((one, other), (other, one))
        )
        return first, second, groups

    return rho


def _over_systems(rows: Rows, table: Floats) -> _Rho:
    counts = np.bincount(rows.system)
    people = mid_ranks(np.bincount(rows.system, rows.columns[2]) / counts)[None]
    people -= people.mean()
    sums = [np.bincount(rows.system, column) for column in rows.columns[:2]]
    gap = np.nan_to_num(table[1] - table[0])

    def of(systems: Bools, items: Bools) -> Floats:
        moved = items.astype(np.float64) @ gap.T
        means = np.where(systems, sums[1] - moved, sums[0] + moved) / counts
        draws = np.arange(means.size).reshape(means.shape)
        return cosines(rank_deviations(tie_codes(means).ravel(), draws), people)

    def rho(systems: Bools, items: Bools) -> _Sides:
        return of(systems, items), of(~systems, items), np.ones(len(systems))

    return rho


def _ratio(over: Floats, under: Floats) -> Floats:
    """The quotients; nan where there is nothing to divide by."""
    quotient: Floats = np.full(over.shape, np.nan)
    np.divide(over, under, out=quotient, where=under > 0)
    return quotient


_LEVELS: dict[Level, Callable[[Rows, Floats], _Rho]] = {
    "all": _over_all,
    "within_item": _within_items,
    "systems": _over_systems,
}


def _compare_iv(
    first: ArrayLike,
    second: ArrayLike,
    human: ArrayLike,
    system: ArrayLike,
    item: ArrayLike,
    level: str,
    resamples: int,
) -> Rows:
    if level not in _LEVELS:
        raise ValueError(f"a level is one of {', '.join(_LEVELS)}, not {level}")
    if resamples < 1:
        raise ValueError(f"at least one resample is needed, not {resamples}")
    return rows_iv(system, item, first, second, human)
