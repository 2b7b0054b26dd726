"""From a judge's means of systems to published means, when there are no ratings to be had."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["PublishedLine", "published_line"]

Floats = NDArray[np.float64]

_LEAST = 3
"""Leaving one out must leave the two points that a line needs."""

_ROUNDING = 1e-9
"""Means closer than this are equal: they were summed in another order."""


class PublishedLine(NamedTuple):
    """published = intercept + slope judged, over systems, and what leaving one out says of it.

    All errors are mean absolute ones over the n systems, in points of the scale.

    Attributes:
        n: systems with both means.
        slope, intercept: of the least-squares line through all of them.
        pearson: their correlation; nan where the published means are constant.
        error_raw: of the judge's means as they are.
        error_shift: of judged + constant, each system predicted from the others.
        error_line: of the line, each system predicted from the others.
        error_mean: of the plain mean of the others. A judge that cannot beat it adds nothing.
        held_out: (n,) published mean less what the line through the others says, nan elsewhere
            (length of the input): the shifts that `newsystem.unseen_system_mean` takes.
        reason: why there is no line.
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
    """The least-squares line of one metric, with leave-one-system-out error.

    Leaving out system i changes its residual e_i to e_i / (1 - h_i), with leverage h_i = 1/n +
    (x_i - mean)^2 / sum (x - mean)^2; h_i = 1/n for the shift and for the plain mean.

    Args:
        judged: (K,) the judge's mean of each system; nan where there is none.
        published: (K,) the published means; nan where there is none.

    Raises:
        ValueError: not one-dimensional and of one length, or infinities.
    """
    x, y = _published_line_iv(judged, published)
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

    def error(values: Floats) -> float:
        return float(np.abs(values).mean())

    return PublishedLine(
        n,
        slope,
        float(y.mean()) - slope * float(x.mean()),
        sxy / math.sqrt(sxx * syy) if syy else math.nan,
        error(y - x),
        error(dy - dx) * n / (n - 1),
        error(held_out[kept]),
        error(dy) * n / (n - 1),
        held_out,
    )


def _published_line_iv(judged: ArrayLike, published: ArrayLike) -> tuple[Floats, Floats]:
    x, y = np.asarray(judged, dtype=np.float64), np.asarray(published, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(
            f"judged and published must be one-dimensional and of one length, "
            f"not {x.shape} and {y.shape}"
        )
    if np.isinf(x).any() or np.isinf(y).any():
        raise ValueError("means must not hold infinities")
    return x, y
