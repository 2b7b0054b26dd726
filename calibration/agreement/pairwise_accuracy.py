"""Pairwise accuracy that lets a judge with fine scores tie as people do."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calibration.agreement.correlation import TOLERANCE, snap, tie_codes
from calibration.agreement.groups import grid, rows_iv

__all__ = [
    "SoftPairwiseAccuracy",
    "TieCalibrated",
    "soft_pairwise_accuracy",
    "tie_calibrated_accuracy",
]

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

_NOISE = 1e-12
"""Two accuracies closer than this are one: they are the same sum in another order."""


class TieCalibrated(NamedTuple):
    """Tie-calibrated pairwise accuracy; nan, with a `reason`, where it is undefined.

    Attributes:
        value: each pair of systems judged with the threshold that was best for the others.
        at_zero: with only equal judge scores taken as ties.
        threshold: the best one for all systems, in points of the judge; for use on new ones.
        pairs: pairs of dialogues compared.
        tied: how many of them the people tied.
        masked: rows without a judge's or without a human score.
    """

    value: float
    at_zero: float
    threshold: float
    pairs: int
    tied: int
    masked: int
    reason: str = ""


class _Pairs(NamedTuple):
    """Pairs of dialogues on one item, by rising judge difference.

    `base` is the weight of a pair judged right at no threshold, `step` what is won when it ties;
    `end` are the positions of the last pair of each distinct difference, `threshold` its value.
    """

    first: Codes
    second: Codes
    base: Floats
    step: Floats
    end: Codes
    threshold: Floats
    tied: int


def tie_calibrated_accuracy(
    judge: ArrayLike, human: ArrayLike, system: ArrayLike, item: ArrayLike
) -> TieCalibrated:
    """Pairs of systems on an item ordered, or tied, as people do (Deutsch et al. 2023, acc_eq).

    A pair is right if both sides tie it or both order it the same way; the mean is taken over the
    pairs of an item, then over items. Judge scores tie when they differ by at most a threshold.
    All thresholds are evaluated exactly. Where the published measure takes the best one on the
    same data, here each pair of systems gets the one that is best on the pairs without either of
    the two: the threshold has not seen what it is judged on. Of equally good ones the lowest.

    Args:
        judge, human: (n,) scores, NaN where missing; on scales of their own.
        system, item: (n,) labels; a system has at most one row for an item.

    Raises:
        ValueError: lengths differ, an infinity, or a doubled row.
    """
    rows = rows_iv(system, item, judge, human)
    table = grid(rows)
    pairs = _pairs(*table)
    n, nan = len(pairs.base), math.nan
    if not n:
        reason = "no item has two systems"
        return TieCalibrated(nan, nan, nan, 0, 0, rows.masked, reason)
    curve = _curve(pairs, np.ones(n, dtype=np.bool_))
    threshold = float(pairs.threshold[_best(curve)])
    at_zero = float(curve[0])
    total = 0.0
    for one, other in zip(*np.triu_indices(table.shape[1], 1), strict=True):
        held_out = (pairs.first == one) & (pairs.second == other)
        if not held_out.any():
            continue
        rest = (pairs.first != one) & (pairs.first != other)
        rest &= (pairs.second != one) & (pairs.second != other)
        if not rest.any():
            reason = "no two other systems share an item, to choose the threshold on"
            return TieCalibrated(nan, at_zero, threshold, n, pairs.tied, rows.masked, reason)
        tied = held_out[: pairs.end[_best(_curve(pairs, rest))]]
        total += float(pairs.base[held_out].sum() + pairs.step[: len(tied)][tied].sum())
    return TieCalibrated(total, at_zero, threshold, n, pairs.tied, rows.masked)


def _pairs(machine: Floats, people: Floats) -> _Pairs:
    first, second = np.triu_indices(len(machine), 1)
    there = ~np.isnan(machine)
    shared = there[first] & there[second]
    pair, item = np.nonzero(shared)
    machine, people = machine.copy(), people.copy()
    machine[there], people[there] = snap(machine[there]), snap(people[there])
    a, b = first[pair], second[pair]
    judged = machine[a, item] - machine[b, item]
    rated = np.sign(people[a, item] - people[b, item])
    of_item = shared.sum(axis=0)
    weight = 1.0 / (of_item[item] * max(int((of_item > 0).sum()), 1))
    concordant = (np.sign(judged) == rated) & (rated != 0)
    # Zero stands first, so that no threshold at all is always among those looked at.
    size = np.abs(np.concatenate([[0.0], judged]))
    code = tie_codes(size)[1:]
    order = np.argsort(code, kind="stable")
    thresholds = np.zeros(int(code.max(initial=0)) + 1)
    np.maximum.at(thresholds, code, size[1:])
    return _Pairs(
        a[order],
        b[order],
        (weight * concordant)[order],
        (weight * (rated == 0) - weight * concordant)[order],
        np.searchsorted(code[order], np.arange(len(thresholds)), side="right"),
        thresholds if code.size else np.empty(0),
        int((rated == 0).sum()),
    )


def _curve(pairs: _Pairs, used: NDArray[np.bool_]) -> Floats:
    """(thresholds,) the weight of the used pairs that are right."""
    steps = np.concatenate([[0.0], np.cumsum(np.where(used, pairs.step, 0))])
    right: Floats = pairs.base[used].sum() + steps[pairs.end][: len(pairs.threshold)]
    return right


def _best(curve: Floats) -> int:
    return int(np.argmax(curve >= curve.max() - _NOISE))


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
