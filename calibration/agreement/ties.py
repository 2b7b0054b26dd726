"""Which scores are equal when arithmetic has left noise in their last bits."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["TOLERANCE", "codes_of_sorted", "mid_ranks", "snap", "tie_codes"]

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
