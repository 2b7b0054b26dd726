"""Pairwise accuracy that lets a judge with fine scores tie as people do."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calibration.agreement._rows import grid, rows_iv
from calibration.agreement.ties import snap, tie_codes

__all__ = ["AccuracyCurve", "TieCalibrated", "accuracy_curve", "tie_calibrated_accuracy"]

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

_NOISE = 1e-12
"""Two accuracies closer than this are one: they are the same sum in another order."""


class AccuracyCurve(NamedTuple):
    """Accuracy at every tie threshold that can make a difference.

    Attributes:
        threshold: (k,) rising from 0, in points of the judge.
        accuracy: (k,) with judge differences up to the threshold taken as ties.
    """

    threshold: Floats
    accuracy: Floats


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


def accuracy_curve(
    judge: ArrayLike, human: ArrayLike, system: ArrayLike, item: ArrayLike
) -> AccuracyCurve:
    """The accuracy of `tie_calibrated_accuracy` at all thresholds; empty if no item has a pair."""
    pairs = _pairs(*grid(rows_iv(system, item, judge, human)))
    return AccuracyCurve(pairs.threshold, _curve(pairs, np.ones(len(pairs.base), dtype=np.bool_)))


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
