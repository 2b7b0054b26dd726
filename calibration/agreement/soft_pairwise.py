"""Soft pairwise accuracy: does the judge tell systems apart with the confidence of the people?"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calibration.agreement._rows import grid, rows_iv
from calibration.agreement.ties import TOLERANCE, snap

__all__ = ["SoftPairwiseAccuracy", "soft_pairwise_accuracy"]

Floats = NDArray[np.float64]


class SoftPairwiseAccuracy(NamedTuple):
    """Soft pairwise accuracy; nan, with a `reason`, where it is undefined.

    Attributes:
        value: 1 - mean |p_human - p_judge|.
        pairs: pairs of systems it is a mean over.
        undefined: pairs without an item in common, left out.
        masked: rows without a judge's or without a human score.
        human, judge: (pairs,) p-values that the first system of a pair is not the better one.
    """

    value: float
    pairs: int
    undefined: int
    masked: int
    human: Floats
    judge: Floats
    reason: str = ""


def soft_pairwise_accuracy(
    judge: ArrayLike,
    human: ArrayLike,
    system: ArrayLike,
    item: ArrayLike,
    rng: np.random.Generator,
    resamples: int = 1000,
) -> SoftPairwiseAccuracy:
    """1 - mean over pairs of systems of |p_human - p_judge| (Thompson et al. 2024).

    p is one-sided, from a permutation test that swaps the two systems' scores item by item, over
    the items on which both systems have both scores. Arrangements as extreme as the observed one
    count half (mid-p): systems with equal scores have p = .5 and not 1, and p of (a, b) is 1 - p
    of (b, a), so that the order of the systems does not matter. Up to log2(`resamples`) items all
    arrangements are looked at, else the observed one and random others, the same for all pairs.

    Args:
        judge, human: (n,) scores, NaN where missing; on scales of their own.
        system, item: (n,) labels; a system has at most one row for an item.
        rng: draws the arrangements.
        resamples: how many.

    Raises:
        ValueError: lengths differ, an infinity, a doubled row, or `resamples` below 1.
    """
    if resamples < 1:
        raise ValueError(f"at least one resample is needed, not {resamples}")
    rows = rows_iv(system, item, judge, human)
    machine, people = grid(rows)
    none = np.empty(0)
    systems, items = machine.shape
    if systems < 2:
        reason = f"two systems are needed, not {systems}"
        return SoftPairwiseAccuracy(math.nan, 0, 0, rows.masked, none, none, reason)
    first, second = np.triu_indices(systems, 1)
    shared = ~np.isnan(machine[first] - machine[second])
    pairs = shared.any(axis=1)
    undefined = int((~pairs).sum())
    if undefined == len(pairs):
        reason = "no two systems have an item in common"
        return SoftPairwiseAccuracy(math.nan, 0, undefined, rows.masked, none, none, reason)
    first, second, shared = first[pairs], second[pairs], shared[pairs]
    flips = _flips(items, rng, resamples)
    p = []
    for side in (people, machine):
        side[~np.isnan(side)] = snap(side[~np.isnan(side)])
        p.append(_mid_p(np.where(shared, side[first] - side[second], 0), flips))
    value = 1 - float(np.mean(np.abs(p[0] - p[1])))
    return SoftPairwiseAccuracy(value, len(first), undefined, rows.masked, p[0], p[1])


def _flips(items: int, rng: np.random.Generator, resamples: int) -> Floats:
    """(arrangements, items) of 1 and -1; the first is the observed one."""
    if items < 62 and 2**items <= resamples:
        bits = np.arange(2**items)[:, None] >> np.arange(items) & 1
    else:
        bits = rng.integers(0, 2, (resamples, items))
        bits[0] = 0
    return (1 - 2 * bits).astype(np.float64)


def _mid_p(differences: Floats, flips: Floats) -> Floats:
    """(pairs,) share of arrangements with a higher sum, and half of those with the same."""
    observed = differences.sum(axis=1)
    off = flips @ differences.T - observed
    noise = TOLERANCE * np.abs(differences).sum(axis=1)
    p: Floats = np.mean(off > noise, axis=0) + np.mean(np.abs(off) <= noise, axis=0) / 2
    return p
