"""Ratings in long form, one row each, checked once for every statistic of raters."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Others", "Ratings", "others", "ratings_iv"]

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


class Ratings(NamedTuple):
    """Ratings that have a number.

    Attributes:
        score: (r,).
        cell: (r,) codes 0, 1, ... of what was rated, without gaps.
        rater: (r,) codes of who rated, all 0 where that is not known.
        raters: labels of the rater codes.
        judge: (r,) the judge's score of each rating's cell, NaN where it has none.
        masked: ratings left out because their score was NaN.
    """

    score: Floats
    cell: Codes
    rater: Codes
    raters: NDArray[np.generic]
    judge: Floats
    masked: int


class Others(NamedTuple):
    """What the other ratings of the same cell say: their mean, NaN where there are none."""

    mean: Floats
    number: Codes


def ratings_iv(
    score: ArrayLike, cell: ArrayLike, rater: ArrayLike | None, judge: ArrayLike | None
) -> Ratings:
    """Ratings without NaN; raises ValueError where they do not fit together.

    `cell` holds any labels where `judge` is None, else positions in `judge`.
    """
    scores, cells = np.asarray(score, dtype=np.float64), np.asarray(cell)
    who = np.zeros(scores.shape, dtype=np.int64) if rater is None else np.asarray(rater)
    if scores.ndim != 1 or not scores.shape == cells.shape == who.shape:
        raise ValueError(
            f"score, cell and rater must be (r,) each, not {scores.shape}, {cells.shape} "
            f"and {who.shape}"
        )
    if np.isinf(scores).any():
        raise ValueError("scores must not hold infinities")
    kept = ~np.isnan(scores)
    machine = np.full(scores.shape, np.nan)
    if judge is not None:
        row = np.asarray(judge, dtype=np.float64)
        if row.ndim != 1 or np.isinf(row).any():
            raise ValueError("judge must be (n,) without infinities")
        if cells.size and (
            not np.issubdtype(cells.dtype, np.integer) or cells.min() < 0 or cells.max() >= len(row)
        ):
            raise ValueError(f"cell must hold positions in judge, 0..{len(row) - 1}")
        machine = row[cells] if cells.size else machine
    raters, who_code = np.unique(who[kept], return_inverse=True)
    code = np.unique(cells[kept], return_inverse=True)[1].astype(np.int64)
    if rater is not None and np.unique(code * max(len(raters), 1) + who_code).size < code.size:
        raise ValueError("a rater has rated the same cell more than once")
    return Ratings(
        scores[kept], code, who_code.astype(np.int64), raters, machine[kept], int((~kept).sum())
    )


def others(score: Floats, cell: Codes) -> Others:
    """For each rating the mean and number of the other ratings of its cell."""
    count = np.bincount(cell)[cell] - 1
    total = np.bincount(cell, score)[cell] - score
    mean = np.full(len(score), np.nan)
    mean[count > 0] = total[count > 0] / count[count > 0]
    return Others(mean, count.astype(np.int64))
