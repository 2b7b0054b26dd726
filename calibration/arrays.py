"""Array types and checks of input that several statistics share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "Codes",
    "Floats",
    "Mask",
    "codes_of",
    "confidence_iv",
    "finite_iv",
    "same_length_iv",
    "scores_iv",
]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Codes = NDArray[np.int64]
"""Whole numbers: the codes of labels (0, 1, ... without gaps), positions or counts."""


def codes_of(labels: ArrayLike) -> Codes:
    """The position of each label among the sorted distinct labels."""
    codes: Codes = np.unique(np.asarray(labels), return_inverse=True)[1].astype(np.int64)
    return codes


def same_length_iv(**columns: NDArray[Any]) -> None:
    """Raises ValueError unless all columns are one-dimensional and of one length."""
    shapes = [column.shape for column in columns.values()]
    if len(shapes[0]) != 1 or len(set(shapes)) > 1:
        raise ValueError(
            f"{', '.join(columns)} must be one-dimensional and of one length, "
            f"not {', '.join(map(str, shapes))}"
        )


def scores_iv(**columns: ArrayLike) -> list[Floats]:
    """The columns as numbers; NaN is allowed and stands for a missing score.

    Raises:
        ValueError: a column is not one-dimensional, lengths differ, or a score is infinite.
    """
    scores = {name: np.asarray(column, dtype=np.float64) for name, column in columns.items()}
    same_length_iv(**scores)
    for name, column in scores.items():
        if np.isinf(column).any():
            raise ValueError(f"{name} must not hold infinities")
    return list(scores.values())


def finite_iv(name: str, values: ArrayLike) -> Floats:
    """The values as numbers; raises ValueError where one is NaN or infinite."""
    numbers = np.asarray(values, dtype=np.float64)
    if not np.isfinite(numbers).all():
        raise ValueError(f"{name} must be finite: leave missing ones out and count them")
    return numbers


def confidence_iv(confidence: float) -> None:
    """Raises ValueError unless the confidence lies between 0 and 1."""
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence lies between 0 and 1, not at {confidence}")
