"""What a rank correlation of a handful of systems can tell: its interval and its p-value."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calibration.agreement.correlation import mid_ranks, spearman
from calibration.intervals import confidence_iv, normal_quantile

__all__ = [
    "PermutationP",
    "RhoInterval",
    "benjamini_yekutieli",
    "bonett_wright",
    "holm",
    "permutation_p",
]

_EXACT = 12
"""Up to this many systems all n! orders are counted: 12 take 0.1 s, each more over twice that."""

Counts = NDArray[np.int64]


class RhoInterval(NamedTuple):
    """A confidence interval of Spearman's rho; nan, with a `reason`, where there is none."""

    lower: float
    upper: float
    width: float
    confidence: float
    reason: str = ""


class PermutationP(NamedTuple):
    """A two-sided p-value of Spearman's rho; nan, with a `reason`, where it is undefined.

    Attributes:
        value: the share of orders at least as far from no correlation.
        rho: the correlation.
        n: pairs.
        exact: whether all n! orders were counted, not a sample of them.
    """

    value: float
    rho: float
    n: int
    exact: bool
    reason: str = ""


def bonett_wright(rho: float, n: int, confidence: float = 0.95) -> RhoInterval:
    """tanh(atanh(rho) +- z sqrt((1 + rho^2 / 2) / (n - 3))) (Bonett and Wright 2000).

    Its width at n = 11 is about 1 for rho .5: eleven systems say little. A perfect rho has no
    interval, since atanh has no value there, and not one of width 0.

    Args:
        rho: Spearman's rho, NaN where undefined.
        n: pairs it is computed over.
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
    """The p-value of Spearman's rho when any order of one side was equally likely.

    Up to 12 pairs all n! orders are counted, ties included, and nothing is drawn: sums of products
    of whole-number ranks (doubled where they tie) are few, and how many orders give each follows
    place by place, for each set of ranks used up so far. Beyond, (1 + b) / (1 + B) with b of B
    random orders at least as far.

    Args:
        x, y: (n,) paired scores; pairs with a NaN are left out.
        rng: draws the orders where they cannot all be counted.
        resamples: B.

    Raises:
        ValueError: as `spearman`, or `resamples` below 1.
    """
    if resamples < 1:
        raise ValueError(f"at least one resample is needed, not {resamples}")
    found = spearman(x, y)
    n = found.n
    if math.isnan(found.value):
        return PermutationP(math.nan, math.nan, n, exact=False, reason=found.reason)
    left, right = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    kept = ~(np.isnan(left) | np.isnan(right))
    a, b = _whole_ranks(left[kept]), _whole_ranks(right[kept])
    # n times the sum of products less its mean over all orders, a whole number.
    centre = int(a.sum()) * int(b.sum())
    observed = abs(n * int(a @ b) - centre)
    if n <= _EXACT:
        orders = _orders(tuple(sorted(a.tolist())), tuple(sorted(b.tolist())))
        far = np.abs(n * np.arange(len(orders)) - centre) >= observed
        return PermutationP(int(orders[far].sum()) / math.factorial(n), found.value, n, exact=True)
    drawn = rng.permuted(np.tile(b, (resamples, 1)), axis=1) @ a
    beyond = int((np.abs(n * drawn - centre) >= observed).sum())
    return PermutationP((1 + beyond) / (1 + resamples), found.value, n, exact=False)


def _whole_ranks(values: NDArray[np.float64]) -> Counts:
    """Ranks moved and stretched to the smallest whole numbers, which leaves rho as it is."""
    ranks = np.rint(2 * mid_ranks(values)).astype(np.int64)
    ranks -= ranks.min()
    whole: Counts = ranks // np.gcd.reduce(ranks)
    return whole


@lru_cache(maxsize=64)
def _orders(a: tuple[int, ...], b: tuple[int, ...]) -> Counts:
    """How many orders of b have each sum of products with a: entry s counts those of sum s."""
    n, largest = len(a), int(np.sort(a) @ np.sort(b))
    sets = np.arange(2**n)
    size = np.array([used.bit_count() for used in range(2**n)])
    counts = np.zeros((2**n, largest + 1), dtype=np.int64)
    counts[0, 0] = 1
    for place in range(n):
        for taken in range(n):
            before = sets[(size == place) & (sets >> taken & 1 == 0)]
            step = a[place] * b[taken]
            counts[before | 1 << taken, step:] += counts[before, : largest + 1 - step]
    full: Counts = counts[-1]
    return full


Floats = NDArray[np.float64]


def holm(p: ArrayLike) -> Floats:
    """Adjusted p-values that hold the chance of any false claim (Holm 1979).

    The i-th smallest of m becomes max_{j <= i} (m - j + 1) p_(j), at most 1.

    Args:
        p: (m,) p-values; a NaN is a test that was not made: it stays NaN and does not count.

    Raises:
        ValueError: not one-dimensional, or a value outside 0..1.
    """
    values = _corrections_iv(p)
    adjusted = np.full(values.shape, np.nan)
    made = np.flatnonzero(~np.isnan(values))
    order = made[np.argsort(values[made], kind="stable")]
    raised = values[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(raised), 1)
    return adjusted


def benjamini_yekutieli(p: ArrayLike) -> Floats:
    """Adjusted p-values that control the false discovery rate under any dependence.

    The i-th smallest of m becomes min_{j >= i} p_(j) (m / j) (1 + 1/2 + ... + 1/m), at most 1
    (Benjamini and Yekutieli 2001). See `holm` for the arguments.
    """
    values = _corrections_iv(p)
    adjusted = np.full(values.shape, np.nan)
    made = np.flatnonzero(~np.isnan(values))
    order = made[np.argsort(values[made], kind="stable")]
    rank = np.arange(1.0, len(order) + 1)
    raised = values[order] * (len(order) / rank) * np.sum(1 / rank)
    adjusted[order] = np.minimum(np.minimum.accumulate(raised[::-1])[::-1], 1)
    return adjusted


def _corrections_iv(p: ArrayLike) -> Floats:
    values = np.asarray(p, dtype=np.float64)
    if values.ndim != 1 or ((values < 0) | (values > 1)).any():
        raise ValueError("p-values must be one-dimensional and lie in 0..1")
    return values
