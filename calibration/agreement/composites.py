"""A score made of several: the mean of a dimension's metrics, or of all."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Composite", "mean_of_parts"]

Floats = NDArray[np.float64]


class Composite(NamedTuple):
    """The mean of the parts of each row.

    Attributes:
        values: (n,) means; NaN where a part is missing.
        missing: rows without a value.
        partly: those of them that have some of the parts. Their mean would be that of other
            metrics than the rest have, so it is not taken.
    """

    values: Floats
    missing: int
    partly: int


def mean_of_parts(parts: ArrayLike) -> Composite:
    """The mean over the parts of each row; a row that lacks one part lacks the mean.

    Args:
        parts: (n, p) scores, p >= 1; a row is a dialogue, or one rater's ratings of one.

    Raises:
        ValueError: not two-dimensional, no part, or an infinity.
    """
    scores = _composite_iv(parts)
    gaps = np.isnan(scores).sum(axis=1)
    missing = int((gaps > 0).sum())
    partly = missing - int((gaps == scores.shape[1]).sum())
    return Composite(scores.mean(axis=1), missing, partly)


def _composite_iv(parts: ArrayLike) -> Floats:
    scores = np.asarray(parts, dtype=np.float64)
    if scores.ndim != 2 or not scores.shape[1]:
        raise ValueError(f"parts must be (n, p) with p >= 1, not {scores.shape}")
    if np.isinf(scores).any():
        raise ValueError("parts must not hold infinities")
    return scores
