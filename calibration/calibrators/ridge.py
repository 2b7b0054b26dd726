"""Ridge regression on the label distributions of all metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike

from calibration.arrays import Codes, Floats
from calibration.calibrators.base import Calibrator, layout
from calibration.calibrators.sample import CannotFitError, Sample, judged_rows, probs_iv

__all__ = ["Ridge", "filled_cells"]

FLOOR = 1e-3
"""Smaller probabilities are raised to this; differences between their logarithms mean nothing."""


class Standardised(NamedTuple):
    """Features with weighted mean 0 and variance 1.

    Attributes:
        values: (n, p); a missing feature is 0, its mean.
        mean: (p,) that was subtracted.
        per_unit: (p,) 1 / standard deviation; 0 for a feature that does not vary or is always
            missing, which then can have no weight.
    """

    values: Floats
    mean: Floats
    per_unit: Floats


def cumulative_logits(probs: Floats) -> Floats:
    """The logit of P(label > k), k = 1..K - 1, for every metric.

    Both probabilities are raised to `FLOOR` first, so that a label of probability 0 counts as
    finite evidence. On the rated dialogues of LLM-Rubric these logits predicted people better than
    the probabilities did, and equally well for floors of 1e-4 to 3e-3.

    Args:
        probs: (n, metrics, K); nan where a metric was not judged.

    Returns:
        (n, metrics * (K - 1)), metric by metric; nan where a metric was not judged.
    """
    n, metrics, labels = probs.shape
    below = probs @ np.triu(np.ones((labels, labels - 1)))
    logits: Floats = np.log(np.maximum(1 - below, FLOOR) / np.maximum(below, FLOOR))
    return logits.reshape(n, metrics * (labels - 1))


def filled_cells(probs: ArrayLike, target: int) -> int:
    """The number of cells whose target is judged while another metric is not.

    `Ridge` and `Ordinal` use the mean of the fit for what is missing there; tell the user.
    """
    p = probs_iv(probs)
    return int((judged_rows(p, target) & np.isnan(p[:, :, 0]).any(axis=1)).sum())


def standardise(features: Floats, weights: Floats) -> Standardised:
    """Features (n, p) brought to mean 0 and variance 1 under the weights (n,)."""
    seen = ~np.isnan(features)
    total = weights @ seen
    known = np.where(seen, features, 0.0)
    mean = _divide(weights @ known, total)
    centred = np.where(seen, features - mean, 0.0)
    deviation = np.sqrt(_divide(weights @ centred**2, total))
    per_unit = np.where(deviation > 1e-9, _divide(np.ones_like(deviation), deviation), 0.0)
    return Standardised(centred * per_unit, mean, per_unit)


def centred(features: Floats, mean: Floats) -> Floats:
    """Features less their mean in the fit; 0 where missing."""
    return np.nan_to_num(features - mean, nan=0.0)


def _divide(a: Floats, b: Floats) -> Floats:
    return np.divide(a, b, out=np.zeros_like(a), where=b > 0)


PENALTIES: Floats = np.logspace(2, -4, 13)
"""The penalties to choose from. The heaviest comes first, so that it is taken among equals. They
are per rating, for features of variance 1: a penalty of 1 halves the coefficient of a feature that
is uncorrelated with the others."""

FOLDS = 20
"""The highest number of folds; if there are more groups, several share a fold."""


class RidgeFit(NamedTuple):
    """The fit: coefficients (p,) of standardised features and their weighted covariance (p, p)."""

    intercept: float
    coefficients: Floats
    penalty: float
    covariance: Floats


@dataclass(frozen=True)
class Ridge(Calibrator):
    """A linear map of the cumulative logits of every metric, after Hashemi et al. (2024).

    Predictions are clipped to the scale: for a system unlike those of the fit, a linear map of many
    features can be far off, and since ratings lie on the scale, clipping makes no error larger. The
    penalty is chosen within the fit by cross-validation over the groups of the sample.

    Attributes:
        mean: of each feature in the fit; it stands for a missing metric.
        coefficients: of the features less their mean.
        penalty: the chosen one, per rating.
    """

    name: ClassVar[str] = "ridge"

    intercept: float
    mean: tuple[float, ...]
    coefficients: tuple[float, ...]
    penalty: float

    @classmethod
    def _fit(cls, used: Sample) -> Self:
        x = features_of(used)
        fitted = fit_ridge(x.values, used.means, used.counts.astype(np.float64), used.groups)
        return cls(
            **layout(used),
            intercept=fitted.intercept,
            mean=tuple(x.mean.tolist()),
            coefficients=tuple((fitted.coefficients * x.per_unit).tolist()),
            penalty=fitted.penalty,
        )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not len(self.mean) == len(self.coefficients) == self.metrics * (self.labels - 1):
            raise ValueError("a ridge map needs a mean and a coefficient for every feature")

    def _predict(self, probs: Floats) -> Floats:
        x = centred(cumulative_logits(probs), np.array(self.mean))
        predicted: Floats = self.intercept + x @ np.array(self.coefficients)
        return predicted.clip(self.low, self.high)


def features_of(used: Sample) -> Standardised:
    """The standardised features of a sample, weighted by the number of ratings."""
    return standardise(cumulative_logits(used.probs), used.counts.astype(np.float64))


def fit_ridge(x: Floats, y: Floats, weights: Floats, groups: Codes) -> RidgeFit:
    """Weighted ridge regression with the penalty of least cross-validated error.

    Minimises sum_i w_i (y_i - a - x_i'b)^2 + W l |b|^2 with W = sum w and the penalty l. The error
    is the mean squared error within a held-out fold, averaged over the folds. Each fold is
    subtracted from the summed moments, so that the rows are read only once.

    Args:
        x: (n, p) features.
        y: (n,) what to predict.
        weights: (n,) positive.
        groups: (n,) codes; a group is never split between folds.

    Raises:
        CannotFitError: there is only one group.
    """
    codes = np.unique(groups, return_inverse=True)[1] % FOLDS
    folds = [codes == fold for fold in range(codes.max() + 1)]
    if len(folds) < 2:
        raise CannotFitError("the penalty is chosen over groups, and there is only one")
    moments = [_Moments.of(x[fold], y[fold], weights[fold]) for fold in folds]
    total = _Moments(*(np.sum(parts, axis=0) for parts in zip(*moments, strict=True)))
    losses = np.zeros(len(PENALTIES))
    for fold, held in zip(folds, moments, strict=True):
        rest = _Moments(*(a - b for a, b in zip(total, held, strict=True)))
        intercepts, coefficients = _solve(rest, PENALTIES)
        errors = y[fold, None] - intercepts - x[fold] @ coefficients
        losses += np.mean(errors**2, axis=0)
    penalty = PENALTIES[[int(np.argmin(losses))]]
    intercepts, coefficients = _solve(total, penalty)
    return RidgeFit(float(intercepts[0]), coefficients[:, 0], float(penalty[0]), total.covariance)


class _Moments(NamedTuple):
    """Sums over rows of w, w x, w y, w x x' and w x y."""

    w: Floats
    x: Floats
    y: Floats
    xx: Floats
    xy: Floats

    @classmethod
    def of(cls, x: Floats, y: Floats, weights: Floats) -> Self:
        weighted = x * weights[:, None]
        return cls(weights.sum(), weighted.sum(axis=0), weights @ y, weighted.T @ x, weighted.T @ y)

    @property
    def covariance(self) -> Floats:
        return self.xx / self.w - np.outer(self.x, self.x) / self.w**2


def _solve(sums: _Moments, penalties: Floats) -> tuple[Floats, Floats]:
    """(l,) intercepts and (p, l) coefficients for l penalties."""
    x, y = sums.x / sums.w, sums.y / sums.w
    values, vectors = np.linalg.eigh(sums.covariance)
    rotated = vectors.T @ (sums.xy / sums.w - x * y)
    coefficients: Floats = vectors @ (rotated[:, None] / (values[:, None] + penalties))
    return y - x @ coefficients, coefficients
