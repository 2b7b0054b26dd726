"""Inference from few systems and many tests: intervals, exact p-values and corrections."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from calibration.agreement.correlation import mid_ranks, spearman
from calibration.arrays import Codes, Floats, confidence_iv
from calibration.intervals import normal_quantile

__all__ = [
    "PermutationP",
    "RhoInterval",
    "benjamini_yekutieli",
    "bonett_wright",
    "holm",
    "permutation_p",
]

_EXACT = 12
"""Up to this many systems all n! orders are counted: 12 take 0.1 s, and each more over twice that.
"""


class RhoInterval(NamedTuple):
    """A confidence interval of Spearman's rho; NaN, with a `reason`, where there is none."""

    lower: float
    upper: float
    width: float
    confidence: float
    reason: str = ""


class PermutationP(NamedTuple):
    """A two-sided p-value of Spearman's rho.

    Attributes:
        value: the share of orders with a correlation at least as far from 0; NaN, with a
            `reason`, where it is undefined.
        rho: the correlation.
        n: number of pairs.
        exact: whether all n! orders were counted instead of a random sample.
    """

    value: float
    rho: float
    n: int
    exact: bool
    reason: str = ""


def bonett_wright(rho: float, n: int, confidence: float = 0.95) -> RhoInterval:
    """tanh(atanh(rho) +- z sqrt((1 + rho^2 / 2) / (n - 3))) (Bonett and Wright 2000).

    For n = 11 and rho = .5 the interval is about 1 wide: eleven systems say little. A perfect rho
    has no interval, because atanh is infinite there; an interval of width 0 would be wrong.

    Args:
        rho: Spearman's rho, NaN where undefined.
        n: number of pairs it is computed from.
        confidence: between 0 and 1.

    Raises:
        ValueError: rho outside -1..1, or a confidence not between 0 and 1.
    """
    confidence_iv(confidence)
    if abs(rho) > 1:
        raise ValueError(f"rho lies in -1..1, not at {rho}")
    reason = ""
    if math.isnan(rho):
        reason = "rho is undefined"
    elif n < 4:
        reason = f"4 pairs are needed, not {n}"
    elif abs(rho) > 1 - 1e-12:
        reason = "the interval has no value at a perfect rho"
    if reason:
        return RhoInterval(math.nan, math.nan, math.nan, confidence, reason)
    half = normal_quantile(confidence) * math.sqrt((1 + rho**2 / 2) / (n - 3))
    lower, upper = math.tanh(math.atanh(rho) - half), math.tanh(math.atanh(rho) + half)
    return RhoInterval(lower, upper, upper - lower, confidence)


def permutation_p(
    x: ArrayLike, y: ArrayLike, rng: np.random.Generator, resamples: int = 9999
) -> PermutationP:
    """The p-value of Spearman's rho if every order of one side were equally likely.

    Up to 12 pairs all n! orders are counted exactly, ties included, and nothing is drawn: the
    sums of products of whole-number ranks (doubled where they tie) take few values, and how many
    orders give each sum is counted step by step over sets of ranks. Beyond 12 pairs it is
    (1 + b) / (1 + B), where b of B random orders are at least as far from 0.

    Args:
        x, y: (n,) paired scores; pairs with a NaN are left out.
        rng: draws the orders where they are not all counted.
        resamples: B.

    Raises:
        ValueError: as `spearman`, or `resamples` below 1.
    """
    if resamples < 1:
        raise ValueError(f"at least one resample is needed, not {resamples}")
    rho = spearman(x, y)
    n = rho.n
    if math.isnan(rho.value):
        return PermutationP(math.nan, math.nan, n, exact=False, reason=rho.reason)
    left, right = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    kept = ~(np.isnan(left) | np.isnan(right))
    a, b = _whole_ranks(left[kept]), _whole_ranks(right[kept])
    # n times (the sum of products less its mean over all orders) is a whole number.
    centre = int(a.sum()) * int(b.sum())
    observed = abs(n * int(a @ b) - centre)
    if n <= _EXACT:
        orders = _orders(tuple(sorted(a.tolist())), tuple(sorted(b.tolist())))
        extreme = np.abs(n * np.arange(len(orders)) - centre) >= observed
        return PermutationP(
            int(orders[extreme].sum()) / math.factorial(n), rho.value, n, exact=True
        )
    drawn = rng.permuted(np.tile(b, (resamples, 1)), axis=1) @ a
    beyond = int((np.abs(n * drawn - centre) >= observed).sum())
    return PermutationP((1 + beyond) / (1 + resamples), rho.value, n, exact=False)


def holm(p: ArrayLike) -> Floats:
    """Adjusted p-values that control the chance of any false rejection (Holm 1979).

    The i-th smallest of m becomes max_{j <= i} (m - j + 1) p_(j), at most 1.

    Args:
        p: (m,) p-values. NaN is a test that was not made: it stays NaN and does not count.

    Raises:
        ValueError: not one-dimensional, or a value outside 0..1.
    """
    values = _p_values_iv(p)
    adjusted = np.full(values.shape, np.nan)
    order = _order(values)
    raised = values[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(raised), 1)
    return adjusted


def benjamini_yekutieli(p: ArrayLike) -> Floats:
    """Adjusted p-values that control the false discovery rate under any dependence.

    The i-th smallest of m becomes min_{j >= i} p_(j) (m / j) (1 + 1/2 + ... + 1/m), at most 1
    (Benjamini and Yekutieli 2001). See `holm` for the arguments.
    """
    values = _p_values_iv(p)
    adjusted = np.full(values.shape, np.nan)
    order = _order(values)
    rank = np.arange(1.0, len(order) + 1)
    raised = values[order] * (len(order) / rank) * np.sum(1 / rank)
    adjusted[order] = np.minimum(np.minimum.accumulate(raised[::-1])[::-1], 1)
    return adjusted


def _p_values_iv(p: ArrayLike) -> Floats:
    values = np.asarray(p, dtype=np.float64)
    if values.ndim != 1 or ((values < 0) | (values > 1)).any():
        raise ValueError("p-values must be one-dimensional and lie in 0..1")
    return values


def _order(values: Floats) -> Codes:
    """The positions of the values that are not NaN, from the smallest value to the largest."""
    known = np.flatnonzero(~np.isnan(values))
    order: Codes = known[np.argsort(values[known], kind="stable")]
    return order


def _whole_ranks(values: Floats) -> Codes:
    """Ranks shifted and scaled to the smallest whole numbers, which leaves rho unchanged."""
    ranks = np.rint(2 * mid_ranks(values)).astype(np.int64)
    ranks -= ranks.min()
    whole: Codes = ranks // np.gcd.reduce(ranks)
    return whole


@lru_cache(maxsize=64)
def _orders(a: tuple[int, ...], b: tuple[int, ...]) -> Codes:
    """Entry s: how many orders of b have the sum of products s with a.

    counts[set, s] is the number of ways to assign the ranks of b in `set` (a bit mask) to the
    first ranks of a, one each, with the sum s.
    """
    n, largest = len(a), int(np.sort(a) @ np.sort(b))
    sets = np.arange(2**n)
    size = np.array([members.bit_count() for members in range(2**n)])
    counts = np.zeros((2**n, largest + 1), dtype=np.int64)
    counts[0, 0] = 1
    for i in range(n):
        for j in range(n):
            before = sets[(size == i) & (sets >> j & 1 == 0)]
            step = a[i] * b[j]
            counts[before | 1 << j, step:] += counts[before, : largest + 1 - step]
    full: Codes = counts[-1]
    return full
