"""A line from a judge's system means to published ones, for when there are no ratings."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from calibration.arrays import Floats, scores_iv

__all__ = ["PublishedLine", "published_line"]

_LEAST = 3
"""A line needs two points, and one system is left out in turn."""

_ROUNDING = 1e-9
"""Means closer than this are equal; they were only summed in another order."""


class PublishedLine(NamedTuple):
    """published = intercept + slope judged, over systems, with leave-one-out errors.

    All errors are mean absolute errors over the n systems, in points of the scale.

    Attributes:
        n: number of systems with both means.
        slope, intercept: of the least-squares line through all of them.
        pearson: their correlation; NaN where the published means are constant.
        error_raw: of the judge's means as they are.
        error_shift: of judged + constant, each system predicted from the others.
        error_line: of the line, each system predicted from the others.
        error_mean: of the mean of the other systems. A judge that is no better adds nothing.
        held_out: (length of the input) published mean less the prediction of the line through the
            others, NaN where a mean is missing: the shifts that `unseen_system_mean` takes.
    """

    n: int
    slope: float
    intercept: float
    pearson: float
    error_raw: float
    error_shift: float
    error_line: float
    error_mean: float
    held_out: Floats
    reason: str = ""


def published_line(judged: ArrayLike, published: ArrayLike) -> PublishedLine:
    """The least-squares line of one metric, with its leave-one-system-out error.

    Leaving out system i changes its residual e_i to e_i / (1 - h_i), with the leverage
    h_i = 1/n + (x_i - mean)^2 / sum (x - mean)^2. For the shift and for the mean, h_i = 1/n.

    Args:
        judged: (K,) the judge's mean of each system; NaN where there is none.
        published: (K,) the published means; NaN where there is none.

    Raises:
        ValueError: not one-dimensional and of one length, or a mean is infinite.
    """
    x, y = scores_iv(judged=judged, published=published)
    kept = ~(np.isnan(x) | np.isnan(y))
    held_out = np.full(len(x), np.nan)
    n = int(kept.sum())

    def undefined(reason: str) -> PublishedLine:
        nan = math.nan
        return PublishedLine(n, nan, nan, nan, nan, nan, nan, nan, held_out, reason)

    if n < _LEAST:
        return undefined(f"a line needs at least {_LEAST} systems with both means, not {n}")
    x, y = x[kept], y[kept]
    dx, dy = x - x.mean(), y - y.mean()
    if any(np.ptp(np.delete(x, i)) < _ROUNDING for i in range(n)):
        return undefined("without one system the judge gives all others the same mean")
    sxx, sxy, syy = float(dx @ dx), float(dx @ dy), float(dy @ dy)
    slope = sxy / sxx
    leverage = 1 / n + dx**2 / sxx
    held_out[kept] = (dy - slope * dx) / (1 - leverage)

    def mean_absolute(errors: Floats) -> float:
        return float(np.abs(errors).mean())

    return PublishedLine(
        n=n,
        slope=slope,
        intercept=float(y.mean()) - slope * float(x.mean()),
        pearson=sxy / math.sqrt(sxx * syy) if syy else math.nan,
        error_raw=mean_absolute(y - x),
        error_shift=mean_absolute(dy - dx) * n / (n - 1),
        error_line=mean_absolute(held_out[kept]),
        error_mean=mean_absolute(dy) * n / (n - 1),
        held_out=held_out,
    )
