"""Rank correlation that says when it is undefined."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["DECIMALS", "Correlation", "spearman"]

DECIMALS = 10
"""Values are rounded to this many decimals before ranking, so that true ties tie."""

Floats = NDArray[np.float64]


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

    Pairs with a NaN are left out and counted. Both sides are rounded to `DECIMALS` decimals
    before ranking: two means of the same numbers, summed in different orders, differ in their
    last bits and have to tie. Scores are therefore expected on a scale of order 1.

    Args:
        x, y: (n,) paired scores.

    Raises:
        ValueError: the sides are not one-dimensional and of one length, or hold an infinity.
    """
    left, right = _spearman_iv(x, y)
    kept = ~(np.isnan(left) | np.isnan(right))
    n, masked = int(kept.sum()), int((~kept).sum())
    if n < 2:
        return Correlation(math.nan, n, masked, "fewer than 2 pairs")
    a, b = _centred_ranks(left[kept]), _centred_ranks(right[kept])
    scale = math.sqrt(float(a @ a) * float(b @ b))
    if scale == 0:
        return Correlation(math.nan, n, masked, "one side is constant")
    return Correlation(max(-1.0, min(1.0, float(a @ b) / scale)), n, masked)


def _spearman_iv(x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
    left, right = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if left.ndim != 1 or left.shape != right.shape:
        raise ValueError(
            f"x and y must be one-dimensional and of one length, not {left.shape} and {right.shape}"
        )
    if np.isinf(left).any() or np.isinf(right).any():
        raise ValueError("x and y must not hold infinities")
    return left, right


def _centred_ranks(values: Floats) -> Floats:
    """Average ranks less their mean, (n + 1) / 2; a tied group shares the mean of its ranks."""
    _, group, counts = np.unique(
        np.round(values, DECIMALS), return_inverse=True, return_counts=True
    )
    ranks: Floats = (np.cumsum(counts) - (counts - 1) / 2)[group] - (len(values) + 1) / 2
    return ranks
