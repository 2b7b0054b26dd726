"""Krippendorff's alpha: agreement beyond chance of any number of raters, with gaps."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calibration.agreement._ratings import ratings_iv
from calibration.agreement.ties import mid_ranks, tie_codes

__all__ = ["Alpha", "krippendorff_alpha"]

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Metric = Literal["nominal", "ordinal", "interval"]


class Alpha(NamedTuple):
    """Krippendorff's alpha; nan, with a `reason`, where it is undefined.

    Attributes:
        value: 1 for perfect agreement, 0 for that of chance.
        units: cells with at least two ratings, the only ones that tell anything.
        ratings: ratings of these cells.
        unpaired: ratings that stand alone in their cell.
        masked: ratings that were NaN.
    """

    value: float
    units: int
    ratings: int
    unpaired: int
    masked: int
    reason: str = ""


def krippendorff_alpha(
    score: ArrayLike,
    cell: ArrayLike,
    metric: Metric = "interval",
    judge: ArrayLike | None = None,
) -> Alpha:
    """1 - observed / expected disagreement (Krippendorff 2011).

    With v_ui the m_u ratings of unit u and n ratings in all, the disagreement observed is
    (1/n) sum_u 1/(m_u - 1) sum_{i != j} d^2(v_ui, v_uj), and the one expected is the mean of d^2
    over all n (n - 1) ordered pairs. d^2 is [v != w] for nominal and (v - w)^2 for interval
    ratings. For ordinal ones it is (n_v / 2 + those between + n_w / 2)^2, which is the squared
    difference of their average ranks: ordinal alpha is interval alpha of the ranks.

    Args:
        score: (r,) ratings, one row each; NaN ones are left out.
        cell: (r,) what was rated: labels, or positions in `judge` if there is one.
        metric: "nominal", "ordinal" or "interval".
        judge: (n,) scores of one more rater for the cells 0..n - 1, NaN where it has none. Round
            them first (`to_labels`) for nominal and ordinal ratings.

    Raises:
        ValueError: lengths differ, infinities, or no such metric.
    """
    values, units, masked = _alpha_iv(score, cell, metric, judge)
    count = np.bincount(units)[units] if units.size else units
    paired = count > 1
    unpaired = int((~paired).sum())
    values, count = values[paired], count[paired]
    units = np.unique(units[paired], return_inverse=True)[1]
    n, cells = len(values), int(units.max(initial=-1)) + 1

    def undefined(reason: str) -> Alpha:
        return Alpha(math.nan, cells, n, unpaired, masked, reason)

    if not n:
        return undefined("no cell has two ratings")
    codes = tie_codes(values)
    if not codes.any():
        return undefined("all ratings are equal")
    if metric == "nominal":
        # sum over i != j of [v_i != v_j] is, for each rating, its cell's size less its like.
        like = np.unique(units * (codes.max() + 1) + codes, return_inverse=True)[1]
        observed = float(np.sum((count - np.bincount(like)[like]) / (count - 1)))
        expected = float(np.sum(n - np.bincount(codes)[codes])) / (n - 1)
    else:
        scale = mid_ranks(values) if metric == "ordinal" else values - values.mean()
        off = scale - (np.bincount(units, scale) / np.bincount(units))[units]
        # sum over i != j of (v_i - v_j)^2 is 2 m times the squared deviations from the mean.
        observed = float(np.sum(2 * count * off**2 / (count - 1)))
        expected = 2 * n * float(np.sum((scale - scale.mean()) ** 2)) / (n - 1)
    return Alpha(1 - observed / expected, cells, n, unpaired, masked)


def _alpha_iv(
    score: ArrayLike, cell: ArrayLike, metric: str, judge: ArrayLike | None
) -> tuple[Floats, Codes, int]:
    if metric not in ("nominal", "ordinal", "interval"):
        raise ValueError(f"a metric is nominal, ordinal or interval, not {metric}")
    given = ratings_iv(score, cell, None, judge)
    if judge is None:
        return given.score, given.cell, given.masked
    # A cell only the judge has scored stays unpaired, but it is no rating that stands alone.
    _, first = np.unique(given.cell, return_index=True)
    row = given.judge[first]
    there = ~np.isnan(row)
    values = np.concatenate([given.score, row[there]])
    cells = np.concatenate([given.cell, given.cell[first][there]])
    return values, cells, given.masked
