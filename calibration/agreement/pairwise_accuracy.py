"""How often a judge orders two systems as people do: on single items, and on the whole."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from calibration.agreement.correlation import TOLERANCE, snap, tie_codes
from calibration.agreement.groups import grid, rows_iv
from calibration.arrays import Codes, Floats, Mask

__all__ = [
    "SoftPairwiseAccuracy",
    "TieCalibrated",
    "soft_pairwise_accuracy",
    "tie_calibrated_accuracy",
]

_NOISE = 1e-12
"""Accuracies closer than this are equal: they are the same sum in another order."""


class TieCalibrated(NamedTuple):
    """Tie-calibrated pairwise accuracy; NaN, with a `reason`, where it is undefined.

    Attributes:
        value: accuracy, each pair of systems with the threshold that is best for the others.
        at_zero: accuracy when only equal judge scores count as ties.
        threshold: the best threshold for all systems, in points of the judge; for new systems.
        pairs: number of pairs of dialogues compared.
        tied: number of those pairs that people tied.
        masked: rows left out because the judge's or the human score is missing.
    """

    value: float
    at_zero: float
    threshold: float
    pairs: int
    tied: int
    masked: int
    reason: str = ""


class SoftPairwiseAccuracy(NamedTuple):
    """Soft pairwise accuracy; NaN, with a `reason`, where it is undefined.

    Attributes:
        value: 1 - mean |p_human - p_judge|.
        pairs: number of pairs of systems averaged over.
        undefined: pairs left out because they have no item in common.
        masked: rows left out because the judge's or the human score is missing.
        human, judge: (pairs,) p-values that the first system of a pair is not the better one.
    """

    value: float
    pairs: int
    undefined: int
    masked: int
    human: Floats
    judge: Floats
    reason: str = ""


class _Pairs(NamedTuple):
    """Pairs of dialogues on one item, sorted by rising difference of the judge's scores.

    Attributes:
        first, second: (pairs,) codes of the two systems.
        base: (pairs,) weight of a pair if the judge is right without a threshold, else 0.
        step: (pairs,) by how much the accuracy rises when the judge ties the pair.
        end: (k,) the number of pairs up to each distinct difference.
        threshold: (k,) those differences, from 0.
        tied: number of pairs that people tied.
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
    """The share of pairs of systems that the judge orders, or ties, as people do.

    This is acc_eq of Deutsch et al. (2023). A pair is right if both sides tie it or both order it
    in the same way; the mean is taken over the pairs of an item, then over items. Judge scores tie
    when they differ by at most a threshold, and all thresholds are evaluated exactly. The
    published measure takes the threshold that is best on the same data. Here each pair of systems
    gets the one that is best on the pairs without either of the two, so that no threshold has
    seen the pairs it is applied to. Of equally good thresholds the lowest is taken.

    Args:
        judge, human: (n,) scores, NaN where missing. Their scales may differ.
        system, item: (n,) labels; a system has at most one row per item.

    Raises:
        ValueError: lengths differ, a score is infinite, or a system has two rows for an item.
    """
    rows = rows_iv(system, item, judge=judge, human=human)
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
    for a, b in zip(*np.triu_indices(table.shape[1], 1), strict=True):
        held_out = (pairs.first == a) & (pairs.second == b)
        if not held_out.any():
            continue
        rest = (pairs.first != a) & (pairs.first != b)
        rest &= (pairs.second != a) & (pairs.second != b)
        if not rest.any():
            reason = "no two other systems share an item, to choose the threshold on"
            return TieCalibrated(nan, at_zero, threshold, n, pairs.tied, rows.masked, reason)
        tied = held_out[: pairs.end[_best(_curve(pairs, rest))]]
        total += float(pairs.base[held_out].sum() + pairs.step[: len(tied)][tied].sum())
    return TieCalibrated(total, at_zero, threshold, n, pairs.tied, rows.masked)


def soft_pairwise_accuracy(
    judge: ArrayLike,
    human: ArrayLike,
    system: ArrayLike,
    item: ArrayLike,
    rng: np.random.Generator,
    resamples: int = 1000,
) -> SoftPairwiseAccuracy:
    """Whether the judge tells systems apart with the same confidence as people do.

    SPA = 1 - the mean over pairs of systems of |p_human - p_judge| (Thompson et al. 2024). p is
    the one-sided p-value of a permutation test that swaps the two systems' scores item by item,
    over the items on which both systems have both scores. Permutations as extreme as the observed
    one count half (mid-p). So systems with equal scores have p = .5 instead of 1, and p of (a, b)
    is 1 - p of (b, a): the order of the systems does not matter. Up to log2(`resamples`) items all
    permutations are evaluated; beyond that, the observed one and random others, the same for all
    pairs.

    Args:
        judge, human: (n,) scores, NaN where missing. Their scales may differ.
        system, item: (n,) labels; a system has at most one row per item.
        resamples: number of permutations.

    Raises:
        ValueError: lengths differ, a score is infinite, a system has two rows for an item, or
            `resamples` is below 1.
    """
    if resamples < 1:
        raise ValueError(f"at least one resample is needed, not {resamples}")
    rows = rows_iv(system, item, judge=judge, human=human)
    judge_table, human_table = grid(rows)
    empty = np.empty(0)
    systems, items = judge_table.shape
    if systems < 2:
        reason = f"two systems are needed, not {systems}"
        return SoftPairwiseAccuracy(math.nan, 0, 0, rows.masked, empty, empty, reason)
    first, second = np.triu_indices(systems, 1)
    shared = ~np.isnan(judge_table[first] - judge_table[second])
    pairs = shared.any(axis=1)
    undefined = int((~pairs).sum())
    if undefined == len(pairs):
        reason = "no two systems have an item in common"
        return SoftPairwiseAccuracy(math.nan, 0, undefined, rows.masked, empty, empty, reason)
    first, second, shared = first[pairs], second[pairs], shared[pairs]
    flips = _flips(items, rng, resamples)
    p = []
    for side in (human_table, judge_table):
        side[~np.isnan(side)] = snap(side[~np.isnan(side)])
        p.append(_mid_p(np.where(shared, side[first] - side[second], 0), flips))
    value = 1 - float(np.mean(np.abs(p[0] - p[1])))
    return SoftPairwiseAccuracy(value, len(first), undefined, rows.masked, p[0], p[1])


def _pairs(judge: Floats, human: Floats) -> _Pairs:
    """All pairs of two (systems, items) tables that are NaN in the same places."""
    first, second = np.triu_indices(len(judge), 1)
    present = ~np.isnan(judge)
    shared = present[first] & present[second]
    pair, item = np.nonzero(shared)
    judge, human = judge.copy(), human.copy()
    judge[present], human[present] = snap(judge[present]), snap(human[present])
    a, b = first[pair], second[pair]
    judge_difference = judge[a, item] - judge[b, item]
    human_sign = np.sign(human[a, item] - human[b, item])
    of_item = shared.sum(axis=0)
    weight = 1.0 / (of_item[item] * max(int((of_item > 0).sum()), 1))
    concordant = (np.sign(judge_difference) == human_sign) & (human_sign != 0)
    # A leading 0 makes the threshold 0 one of those that are evaluated.
    size = np.abs(np.concatenate([[0.0], judge_difference]))
    code = tie_codes(size)[1:]
    order = np.argsort(code, kind="stable")
    thresholds = np.zeros(int(code.max(initial=0)) + 1)
    np.maximum.at(thresholds, code, size[1:])
    return _Pairs(
        a[order],
        b[order],
        (weight * concordant)[order],
        (weight * (human_sign == 0) - weight * concordant)[order],
        np.searchsorted(code[order], np.arange(len(thresholds)), side="right"),
        thresholds if code.size else np.empty(0),
        int((human_sign == 0).sum()),
    )


def _curve(pairs: _Pairs, used: Mask) -> Floats:
    """(k,) the weight of the used pairs that are right, at each threshold."""
    steps = np.concatenate([[0.0], np.cumsum(np.where(used, pairs.step, 0))])
    right: Floats = pairs.base[used].sum() + steps[pairs.end][: len(pairs.threshold)]
    return right


def _best(curve: Floats) -> int:
    """The position of the lowest threshold with the highest accuracy."""
    return int(np.argmax(curve >= curve.max() - _NOISE))


def _flips(items: int, rng: np.random.Generator, resamples: int) -> Floats:
    """(permutations, items) of 1 and -1; the first row is the observed order."""
    if items < 62 and 2**items <= resamples:
        bits = np.arange(2**items)[:, None] >> np.arange(items) & 1
    else:
        bits = rng.integers(0, 2, (resamples, items))
        bits[0] = 0
    return (1 - 2 * bits).astype(np.float64)


def _mid_p(differences: Floats, flips: Floats) -> Floats:
    """(pairs,) the share of permutations with a higher sum, and half of those with the same."""
    observed = differences.sum(axis=1)
    excess = flips @ differences.T - observed
    noise = TOLERANCE * np.abs(differences).sum(axis=1)
    p: Floats = np.mean(excess > noise, axis=0) + np.mean(np.abs(excess) <= noise, axis=0) / 2
    return p
