"""Agreement in points of the scale: only for a judge that scores on that scale."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calibration.agreement.correlation import TOLERANCE
from calibration.errors_of_fit import Measure, point_errors, quadratic_kappa

__all__ = ["ScaleAgreement", "scale_agreement", "to_labels"]

Floats = NDArray[np.float64]


class ScaleAgreement(NamedTuple):
    """How far a judge's points are from the raters'.

    Attributes:
        mae: mean absolute error, in points.
        bias: mean of judge less human, in points.
        kappa: quadratically weighted, with all labels of the scale.
        beyond: judge scores off the scale; with any, all three are undefined.
    """

    mae: Measure
    bias: Measure
    kappa: Measure
    beyond: int


def scale_agreement(judge: ArrayLike, human: ArrayLike, low: int, high: int) -> ScaleAgreement:
    """Mean absolute error, signed bias and quadratic kappa of a judge.

    A judge that scores on another range has no error in points of this one: all three are
    undefined. Kappa is for single ratings, not for means of several: where any human score is a
    fraction, it alone is undefined. It rounds the judge as `to_labels` does.

    Args:
        judge: (n,) scores, NaN where missing.
        human: (n,) ratings low..high, NaN where missing; a dialogue with several ratings has
            several rows.
        low, high: ends of the scale.

    Raises:
        ValueError: lengths differ, an infinity, or a human score off the scale.
    """
    x, y = _scale_iv(judge, human, low, high)
    slack = TOLERANCE * max(abs(low), abs(high))
    beyond = int(((x < low - slack) | (x > high + slack)).sum())
    errors = point_errors(x, y)
    n, masked = errors.n, errors.masked
    if beyond or not n:
        reason = f"{beyond} judge scores are off the scale {low}..{high}" if beyond else "no pairs"
        undefined = Measure(math.nan, n, masked, reason)
        return ScaleAgreement(undefined, undefined, undefined, beyond)
    if (y[~np.isnan(y)] % 1).any():
        kappa = Measure(math.nan, n, masked, "human scores are not whole labels")
    else:
        kappa = quadratic_kappa(x, y, low, high)
    return ScaleAgreement(
        Measure(errors.mae, n, masked), Measure(errors.bias, n, masked), kappa, beyond
    )


def to_labels(scores: ArrayLike, low: int, high: int) -> Floats:
    """Whole labels: halves rounded up, the ends of the scale kept, NaN left NaN.

    Args:
        scores: of any shape.
        low, high: ends of the scale.
    """
    labels: Floats = np.clip(np.floor(np.asarray(scores, dtype=np.float64) + 0.5), low, high)
    return labels


def _scale_iv(judge: ArrayLike, human: ArrayLike, low: int, high: int) -> tuple[Floats, Floats]:
    x, y = np.asarray(judge, dtype=np.float64), np.asarray(human, dtype=np.float64)
    if ((y < low) | (y > high)).any():
        raise ValueError(f"human scores must lie on the scale {low}..{high}")
    return x, y
