"""Correlation coefficients, and the rule that decides which scores tie."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from calibration.arrays import Codes, Floats, finite_iv, scores_iv

__all__ = [
    "CORRELATIONS",
    "TOLERANCE",
    "Coefficient",
    "Correlation",
    "kendall_b",
    "kendall_c",
    "pearson",
    "spearman",
    "tie_codes",
]

Coefficient = Literal["spearman", "kendall_b", "kendall_c", "pearson"]

TOLERANCE = 1e-9
"""Two neighbouring values tie if their difference is at most this share of the larger one.

Rounding errors are far smaller: the mean of n scores is off by about n * 1e-16 of its size, which
is 1e-11 for 100,000 scores. Real differences are larger: two different means of whole labels 1..5
over n and over m ratings are at least 1 / (n m) apart, more than 5 * 1e-9 as long as n and m are
below 14,000. The tolerance is relative, so a judge on a scale of 0..1 or 0..1000 ties exactly as
one on 1..5 does. Differences are compared instead of rounding the values, because rounding would
separate two equal means that lie on either side of a rounding boundary.
"""

_FLOOR = 1e-14
"""Values closer than this share of the largest value tie too: terms that cancel leave such noise
around 0."""


class Correlation(NamedTuple):
    """A correlation coefficient.

    Attributes:
        value: the coefficient; NaN, with a `reason`, where it is undefined.
        n: pairs used.
        masked: pairs left out because one of the two scores was NaN.
    """

    value: float
    n: int
    masked: int
    reason: str = ""


def tie_codes(values: ArrayLike) -> Codes:
    """Dense ranks: 0 for the lowest value, and one more for each distinct higher value.

    Args:
        values: finite numbers, of any shape.

    Returns:
        Integers of the shape of `values`, equal where the values tie (see `TOLERANCE`).

    Raises:
        ValueError: a value is not finite.
    """
    numbers = finite_iv("values", values)
    order = np.argsort(numbers, axis=None, kind="stable")
    codes = np.empty(numbers.size, dtype=np.int64)
    codes[order] = codes_of_sorted(numbers.ravel()[order])
    return codes.reshape(numbers.shape)


def codes_of_sorted(ordered: Floats) -> Codes:
    """The `tie_codes` of finite numbers (n, ...) that are sorted along the first axis."""
    size = np.abs(ordered)
    slack = TOLERANCE * np.maximum(size[1:], size[:-1])
    np.maximum(slack, _FLOOR * size.max(axis=0, initial=0), out=slack)
    codes = np.zeros(ordered.shape, dtype=np.int64)
    np.cumsum(np.diff(ordered, axis=0) > slack, axis=0, out=codes[1:])
    return codes


def mid_ranks(values: ArrayLike) -> Floats:
    """Ranks 1..n of (n,) finite values; values that tie share the mean of their ranks.

    Raises:
        ValueError: a value is not finite.
    """
    codes = tie_codes(values)
    counts = np.bincount(codes)
    ranks: Floats = (np.cumsum(counts) - (counts - 1) / 2)[codes]
    return ranks


def snap(values: ArrayLike) -> Floats:
    """The values, of any shape, with all that tie set to the lowest of them.

    The difference of two snapped values is exactly 0 where they tie.

    Raises:
        ValueError: a value is not finite.
    """
    numbers, codes = np.asarray(values, dtype=np.float64), tie_codes(values)
    lowest = np.full(int(codes.max(initial=-1)) + 1, np.inf)
    np.minimum.at(lowest, codes.ravel(), numbers.ravel())
    snapped: Floats = lowest[codes]
    return snapped


def spearman(x: ArrayLike, y: ArrayLike) -> Correlation:
    """Spearman's rho: the Pearson correlation of average ranks (Spearman 1904).

    For all four coefficients: pairs with a NaN are left out and counted, and values tie as
    `tie_codes` decides, because two means of the same numbers that were summed in another order
    differ in their last bits. Where all values of one side tie, there is no correlation.

    Args:
        x, y: (n,) paired scores, each on any scale.

    Raises:
        ValueError: the two are not one-dimensional and of one length, or hold an infinity.
    """
    return _correlation(x, y, lambda a, b: _cosine(mid_ranks(a), mid_ranks(b)))


def pearson(x: ArrayLike, y: ArrayLike) -> Correlation:
    """Pearson's r, the linear correlation of the values (Pearson 1895). See `spearman`."""
    return _correlation(x, y, _cosine)


def kendall_b(x: ArrayLike, y: ArrayLike) -> Correlation:
    """Kendall's tau-b: (C - D) / sqrt((pairs not tied in x) (pairs not tied in y)) (Kendall 1945).

    C is the number of concordant pairs (both sides order the two rows in the same way) and D that
    of discordant pairs. See `spearman` for arguments and ties.
    """
    return _correlation(x, y, lambda a, b: _kendall(a, b, "b"))


def kendall_c(x: ArrayLike, y: ArrayLike) -> Correlation:
    """Stuart's tau-c: 2 (C - D) / (n^2 (m - 1) / m) (Stuart 1953).

    m is the number of distinct values of the side that has fewer. Unlike tau-b, it can reach 1
    when one side has more distinct values than the other. See `spearman` for arguments and ties.
    """
    return _correlation(x, y, lambda a, b: _kendall(a, b, "c"))


CORRELATIONS: dict[Coefficient, Callable[[ArrayLike, ArrayLike], Correlation]] = {
    "spearman": spearman,
    "kendall_b": kendall_b,
    "kendall_c": kendall_c,
    "pearson": pearson,
}


def coefficient_iv(coefficient: str) -> None:
    """Raises ValueError unless it is the name of a coefficient in `CORRELATIONS`."""
    if coefficient not in CORRELATIONS:
        raise ValueError(f"a coefficient is one of {', '.join(CORRELATIONS)}, not {coefficient}")


def _correlation(
    x: ArrayLike, y: ArrayLike, coefficient: Callable[[Floats, Floats], float]
) -> Correlation:
    left, right = scores_iv(x=x, y=y)
    kept = ~(np.isnan(left) | np.isnan(right))
    n, masked = int(kept.sum()), int((~kept).sum())
    if n < 2:
        return Correlation(math.nan, n, masked, "fewer than 2 pairs")
    left, right = left[kept], right[kept]
    if not tie_codes(left).any() or not tie_codes(right).any():
        return Correlation(math.nan, n, masked, "one side is constant")
    # Rounding errors may carry a perfect correlation beyond 1.
    return Correlation(max(-1.0, min(1.0, coefficient(left, right))), n, masked)


def _cosine(left: Floats, right: Floats) -> float:
    a, b = left - left.mean(), right - right.mean()
    return float(a @ b) / math.sqrt(float(a @ a) * float(b @ b))


def _kendall(left: Floats, right: Floats, variant: Literal["b", "c"]) -> float:
    a, b = tie_codes(left), tie_codes(right)
    n, labels = len(a), min(int(a.max()), int(b.max())) + 1
    pairs = n * (n - 1) // 2
    tied_a, tied_b = _tied_pairs(a), _tied_pairs(b)
    if a.max() < b.max():  # `_inversions` is faster for fewer distinct values
        a, b = b, a
    tied_both = _tied_pairs(np.unique(a * labels + b, return_inverse=True)[1])
    # Rows that tie in `a` are sorted by `b`, so they add no inversions.
    discordant = _inversions(b[np.lexsort((b, a))])
    difference = pairs - tied_a - tied_b + tied_both - 2 * discordant
    if variant == "b":
        return difference / math.sqrt(pairs - tied_a) / math.sqrt(pairs - tied_b)
    return 2 * difference / (n**2 * (labels - 1) / labels)


def _tied_pairs(codes: Codes) -> int:
    counts = np.bincount(codes)
    return int((counts * (counts - 1) // 2).sum())


def _inversions(codes: Codes) -> int:
    """The number of pairs i < j with codes[i] > codes[j].

    Of two different numbers, the larger has a 1 at the highest bit in which they differ. So for
    each bit, among the numbers that agree in all higher bits, every 1 that stands before a 0 is
    an inversion.
    """
    inversions = 0
    for bit in range(int(codes.max()).bit_length()):
        higher_bits = codes >> (bit + 1)
        order = np.argsort(higher_bits, kind="stable")
        higher_bits, ones = higher_bits[order], codes[order] >> bit & 1
        ones_before = np.cumsum(ones) - ones
        ones_before -= ones_before[np.searchsorted(higher_bits, higher_bits)]
        inversions += int(ones_before[ones == 0].sum())
    return inversions
