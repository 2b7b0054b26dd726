"""Errors of predictions against human ratings: of points, of labels and of distributions."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from calibration.arrays import Codes, Floats, scores_iv

__all__ = [
    "FitMeasure",
    "PointErrors",
    "ReliabilityCurve",
    "nominal_kappa",
    "point_errors",
    "quadratic_kappa",
    "ranked_probability_score",
    "reliability_curve",
    "to_labels",
]


class FitMeasure(NamedTuple):
    """A measure over `n` pairs.

    `value` is NaN, with a `reason`, where it is undefined. `masked` pairs had a NaN on either side
    and were left out.
    """

    value: float
    n: int
    masked: int
    reason: str = ""


class PointErrors(NamedTuple):
    """Errors (prediction less observation) in points of the scale.

    All errors are NaN if `n` is 0. `masked` pairs had a NaN on either side and were left out.
    """

    n: int
    masked: int
    mae: float
    mse: float
    rmse: float
    bias: float


class ReliabilityCurve(NamedTuple):
    """Predictions and observations in bins of rising predictions.

    Attributes:
        predicted, observed: (bins,) means.
        n: (bins,) number of pairs.
        masked: number of pairs left out because of a NaN.
    """

    predicted: Floats
    observed: Floats
    n: Codes
    masked: int


def point_errors(predicted: ArrayLike, observed: ArrayLike) -> PointErrors:
    """Mean absolute, mean squared and root mean squared error, and bias, of (n,) predictions.

    Raises:
        ValueError: the two are not one-dimensional and of one length, or hold an infinity.
    """
    x, y, masked = _pairs_iv(predicted, observed)
    if not x.size:
        return PointErrors(0, masked, *[math.nan] * 4)
    error = x - y
    mse = float(np.mean(error**2))
    return PointErrors(
        n=len(x),
        masked=masked,
        mae=float(np.mean(np.abs(error))),
        mse=mse,
        rmse=math.sqrt(mse),
        bias=float(np.mean(error)),
    )


def quadratic_kappa(predicted: ArrayLike, ratings: ArrayLike, low: int, high: int) -> FitMeasure:
    """Quadratically weighted kappa (Cohen 1968) of ratings and predictions rounded to labels.

    1 - sum (x - y)^2 / (its expectation from the two marginal distributions). Predictions are
    rounded by `to_labels`. Undefined where both sides are the same single label.

    Args:
        predicted: (n,) on the scale low..high, fractions allowed.
        ratings: (n,) labels low..high.

    Raises:
        ValueError: lengths differ, an infinity, or a rating is not a label.
    """
    x, y, masked = _pairs_iv(predicted, ratings)
    if (y != np.round(y)).any() or ((y < low) | (y > high)).any():
        raise ValueError(f"ratings must be whole labels of {low}..{high}")
    if not x.size:
        return FitMeasure(math.nan, 0, masked, "no pairs")
    x = to_labels(x, low, high)
    # The mean of (x - y)^2 over all pairings of the two marginal distributions.
    expected = x.var() + y.var() + (x.mean() - y.mean()) ** 2
    if expected < 1e-12:
        return FitMeasure(math.nan, len(x), masked, "both sides are one and the same label")
    return FitMeasure(1 - float(np.mean((x - y) ** 2)) / float(expected), len(x), masked)


def nominal_kappa(predicted: ArrayLike, ratings: ArrayLike) -> FitMeasure:
    """Cohen's kappa (1960) of categories, coded as numbers: agreement beyond chance.

    Undefined where both sides are the same single category.

    Args:
        predicted, ratings: (n,) codes.
    """
    x, y, masked = _pairs_iv(predicted, ratings)
    if not x.size:
        return FitMeasure(math.nan, 0, masked, "no pairs")
    labels, codes = np.unique(np.concatenate([x, y]), return_inverse=True)
    shares = (np.bincount(side, minlength=len(labels)) / len(x) for side in np.split(codes, 2))
    expected = float(np.prod(list(shares), axis=0).sum())
    if expected > 1 - 1e-12:
        return FitMeasure(math.nan, len(x), masked, "both sides are one and the same label")
    return FitMeasure((float(np.mean(x == y)) - expected) / (1 - expected), len(x), masked)


def ranked_probability_score(distribution: ArrayLike, ratings: ArrayLike, low: int) -> FitMeasure:
    """Mean of sum_k (P(label <= k) - [rating <= k])^2 (Epstein 1969, not divided by K - 1).

    It is in points of the scale and 0 at best. For a forecast that is certain of one label it is
    the absolute error.

    Args:
        distribution: (n, K) probabilities of the labels low..low + K - 1; rows with NaN are left
            out.
        ratings: (n,) labels.

    Raises:
        ValueError: shapes do not match, or a rating is not a label.
    """
    p, y = np.asarray(distribution, dtype=np.float64), np.asarray(ratings, dtype=np.float64)
    if p.ndim != 2 or y.shape != p.shape[:1]:
        raise ValueError(f"a distribution for each rating is needed, not {p.shape} for {y.shape}")
    labels = np.arange(low, low + p.shape[1])
    if not np.isin(y[~np.isnan(y)], labels).all():
        raise ValueError(f"ratings must be whole labels of {labels[0]}..{labels[-1]}")
    kept = ~(np.isnan(p).any(axis=1) | np.isnan(y))
    n, masked = int(kept.sum()), int((~kept).sum())
    if not n:
        return FitMeasure(math.nan, 0, masked, "no pairs")
    error = np.cumsum(p[kept], axis=1) - (y[kept, None] <= labels)
    return FitMeasure(float(np.mean(np.sum(error[:, :-1] ** 2, axis=1))), n, masked)


def reliability_curve(
    predicted: ArrayLike, observed: ArrayLike, bins: int = 10
) -> ReliabilityCurve:
    """Mean prediction and mean observation by bins of predictions; a calibrated map has them equal.

    Bins hold about equally many pairs. Equal predictions share a bin, so there may be fewer bins.

    Args:
        predicted, observed: (n,).
        bins: the highest number of bins.

    Raises:
        ValueError: lengths differ, an infinity, or `bins` is below 1.
    """
    x, y, masked = _pairs_iv(predicted, observed)
    if bins < 1:
        raise ValueError(f"at least one bin is needed, not {bins}")
    values, group, count = np.unique(x, return_inverse=True, return_counts=True)
    middle = np.cumsum(count) - (count + 1) / 2
    bin_of_value = np.floor(middle * bins / max(len(x), 1)).astype(np.int64)
    bin_of = np.unique(bin_of_value, return_inverse=True)[1][group] if values.size else group
    n = np.bincount(bin_of)
    return ReliabilityCurve(
        np.bincount(bin_of, x) / n, np.bincount(bin_of, y) / n, n.astype(np.int64), masked
    )


def to_labels(scores: ArrayLike, low: int, high: int) -> Floats:
    """Scores of any shape as whole labels: halves are rounded up, and NaN stays NaN.

    Scores beyond the scale low..high become its ends.
    """
    labels: Floats = np.clip(np.floor(np.asarray(scores, dtype=np.float64) + 0.5), low, high)
    return labels


def _pairs_iv(predicted: ArrayLike, observed: ArrayLike) -> tuple[Floats, Floats, int]:
    """The pairs without a NaN, and the number of the others."""
    x, y = scores_iv(predicted=predicted, observed=observed)
    kept = ~(np.isnan(x) | np.isnan(y))
    return x[kept], y[kept], int((~kept).sum())
