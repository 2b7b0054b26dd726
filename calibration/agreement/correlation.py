"""Correlations that say when they are undefined."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "CORRELATIONS",
    "TOLERANCE",
    "Coefficient",
    "Correlation",
    "codes_of_sorted",
    "kendall_b",
    "kendall_c",
    "mid_ranks",
    "pearson",
    "snap",
    "spearman",
    "tie_codes",
]

TOLERANCE = 1e-9
"""Sorted neighbours closer than this share of themselves are one value.

Noise is far below it: a mean of n scores is off by about n * 1e-16 of its size, 1e-11 for 100,000.
True differences are above it: sums of whole labels 1..5 over n and over m ratings that differ at
all have means at least 1 / (n m) apart, more than 5 * 1e-9 while n and m are below 14,000. The
measure is relative, so that a judge on 0..1 or on 0..1000 ties as one on 1..5 does, and a measure
that spans many powers of ten keeps its small values apart. Gaps are compared, not roundings: a
rounding would still separate two equal means on either side of a half.
"""

_FLOOR = 1e-14
"""So are neighbours closer than this share of the largest: noise where terms cancel to about 0."""

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


def tie_codes(values: ArrayLike) -> Codes:
    """Dense ranks: 0 for the lowest value, one more for each that is truly higher.

    Args:
        values: finite numbers, of any shape.

    Returns:
        Integers of the shape of `values`; equal where the values tie.

    Raises:
        ValueError: a value is not finite.
    """
    flat = _ties_iv(values)
    order = np.argsort(flat, axis=None, kind="stable")
    codes = np.empty(flat.size, dtype=np.int64)
    codes[order] = codes_of_sorted(flat.ravel()[order])
    return codes.reshape(flat.shape)


def codes_of_sorted(ordered: Floats) -> Codes:
    """Dense ranks of finite numbers (n, ...) that rise along the first axis."""
    size = np.abs(ordered)
    slack = TOLERANCE * np.maximum(size[1:], size[:-1])
    np.maximum(slack, _FLOOR * size.max(axis=0, initial=0), out=slack)
    codes = np.zeros(ordered.shape, dtype=np.int64)
    np.cumsum(np.diff(ordered, axis=0) > slack, axis=0, out=codes[1:])
    return codes


def mid_ranks(values: ArrayLike) -> Floats:
    """Ranks 1..n of n values; those that tie share the mean of their ranks.

    Args:
        values: (n,) finite.

    Raises:
        ValueError: a value is not finite.
    """
    codes = tie_codes(values)
    counts = np.bincount(codes)
    ranks: Floats = (np.cumsum(counts) - (counts - 1) / 2)[codes]
    return ranks


def snap(values: ArrayLike) -> Floats:
    """The values with every tied group at its lowest: their differences are 0 or real.

    Args:
        values: finite, of any shape.

    Raises:
        ValueError: a value is not finite.
    """
    flat, codes = np.asarray(values, dtype=np.float64), tie_codes(values)
    lowest = np.full(int(codes.max(initial=-1)) + 1, np.inf)
    np.minimum.at(lowest, codes.ravel(), flat.ravel())
    snapped: Floats = lowest[codes]
    return snapped


def _ties_iv(values: ArrayLike) -> Floats:
    flat = np.asarray(values, dtype=np.float64)
    if not np.isfinite(flat).all():
        raise ValueError("values must be finite: leave missing ones out and count them")
    return flat


Coefficient = Literal["spearman", "kendall_b", "kendall_c", "pearson"]


class Correlation(NamedTuple):
    """A correlation over `n` pairs; `value` is nan, with a `reason`, where it is undefined.

    `masked` pairs had a NaN on either side and were left out.
    """

    value: float
    n: int
    masked: int
    reason: str = ""


def spearman(x: ArrayLike, y: ArrayLike) -> Correlation:
    """Spearman's rho: the Pearson correlation of average ranks (Spearman 1904).

    Pairs with a NaN are left out and counted, for all four coefficients, and values tie as
    `ties.tie_codes` decides: two means of the same numbers, summed in different orders, differ
    in their last bits and have to tie. A side whose values all tie has no correlation.

    Args:
        x, y: (n,) paired scores, each on any scale.

    Raises:
        ValueError: the sides are not one-dimensional and of one length, or hold an infinity.
    """
    return _correlation(x, y, lambda a, b: _cosine(mid_ranks(a), mid_ranks(b)))


def pearson(x: ArrayLike, y: ArrayLike) -> Correlation:
    """Pearson's r, the correlation of the values themselves (Pearson 1895). See `spearman`."""
    return _correlation(x, y, _cosine)


def kendall_b(x: ArrayLike, y: ArrayLike) -> Correlation:
    """Kendall's tau-b: (C - D) / sqrt((pairs not tied in x) (pairs not tied in y)) (Kendall 1945).

    C and D count the pairs of rows that both sides order alike, and oppositely. See `spearman`.
    """
    return _correlation(x, y, lambda a, b: _kendall(a, b, "b"))


def kendall_c(x: ArrayLike, y: ArrayLike) -> Correlation:
    """Stuart's tau-c: 2 (C - D) / (n^2 (m - 1) / m) (Stuart 1953).

    m is the smaller number of distinct values; unlike tau-b it can reach 1 when one side has more
    labels than the other. See `spearman` for the arguments.
    """
    return _correlation(x, y, lambda a, b: _kendall(a, b, "c"))


CORRELATIONS: dict[Coefficient, Callable[[ArrayLike, ArrayLike], Correlation]] = {
    "spearman": spearman,
    "kendall_b": kendall_b,
    "kendall_c": kendall_c,
    "pearson": pearson,
}


def _correlation(
    x: ArrayLike, y: ArrayLike, coefficient: Callable[[Floats, Floats], float]
) -> Correlation:
    left, right = _correlation_iv(x, y)
    kept = ~(np.isnan(left) | np.isnan(right))
    n, masked = int(kept.sum()), int((~kept).sum())
    if n < 2:
        return Correlation(math.nan, n, masked, "fewer than 2 pairs")
    left, right = left[kept], right[kept]
    if not tie_codes(left).any() or not tie_codes(right).any():
        return Correlation(math.nan, n, masked, "one side is constant")
    # Rounding may carry a perfect correlation past 1.
    return Correlation(max(-1.0, min(1.0, coefficient(left, right))), n, masked)


def _correlation_iv(x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
    left, right = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if left.ndim != 1 or left.shape != right.shape:
        raise ValueError(
            f"x and y must be one-dimensional and of one length, not {left.shape} and {right.shape}"
        )
    if np.isinf(left).any() or np.isinf(right).any():
        raise ValueError("x and y must not hold infinities")
    return left, right


def _cosine(left: Floats, right: Floats) -> float:
    a, b = left - left.mean(), right - right.mean()
    return float(a @ b) / math.sqrt(float(a @ a) * float(b @ b))


def _kendall(left: Floats, right: Floats, variant: Literal["b", "c"]) -> float:
    a, b = tie_codes(left), tie_codes(right)
    n, labels = len(a), min(int(a.max()), int(b.max())) + 1
    pairs = n * (n - 1) // 2
    tied_a, tied_b = _tied_pairs(a), _tied_pairs(b)
    if a.max() < b.max():  # fewer values take fewer bits to count
        a, b = b, a
    tied_both = _tied_pairs(np.unique(a * labels + b, return_inverse=True)[1])
    # Within a tie of `a`, `b` rises: such pairs are not discordant.
    discordant = _falling_pairs(b[np.lexsort((b, a))])
    difference = pairs - tied_a - tied_b + tied_both - 2 * discordant
    if variant == "b":
        return difference / math.sqrt(pairs - tied_a) / math.sqrt(pairs - tied_b)
    return 2 * difference / (n**2 * (labels - 1) / labels)


def _tied_pairs(codes: Codes) -> int:
    counts = np.bincount(codes)
    return int((counts * (counts - 1) // 2).sum())


def _falling_pairs(codes: Codes) -> int:
    """How many pairs stand in falling order: the inversions of a sequence of whole numbers.

    The higher of two different numbers is the one with a 1 at the highest bit that differs. So,
    bit by bit, among the numbers whose higher bits are equal, the ones that stand before a zero
    are counted.
    """
    falling = 0
    for bit in range(int(codes.max()).bit_length()):
        higher = codes >> (bit + 1)
        order = np.argsort(higher, kind="stable")
        higher, one = higher[order], codes[order] >> bit & 1
        ones_before = np.cumsum(one) - one
        ones_before -= ones_before[np.searchsorted(higher, higher)]
        falling += int(ones_before[one == 0].sum())
    return falling
