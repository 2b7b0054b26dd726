"""P-values corrected for how many were looked at."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

__all__ = ["benjamini_yekutieli", "holm"]

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
    """Adjusted p-values that hold the rate of false claims, however the tests depend on each other.

    Benjamini and Yekutieli (2001). See `holm` for the arguments.
    """
    values = _corrections_iv(p)
    adjusted = np.full(values.shape, np.nan)
    made = ~np.isnan(values)
    if made.any():
        adjusted[made] = stats.false_discovery_control(values[made], method="by")
    return adjusted


def _corrections_iv(p: ArrayLike) -> Floats:
    values = np.asarray(p, dtype=np.float64)
    if values.ndim != 1 or ((values < 0) | (values > 1)).any():
        raise ValueError("p-values must be one-dimensional and lie in 0..1")
    return values
