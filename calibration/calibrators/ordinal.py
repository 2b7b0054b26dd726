"""The ordinal rung: the distribution of a human rating, less who gave it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.special import expit

from calibration.calibrators.base import Calibrator, layout
from calibration.calibrators.cumulative import (
    LOGISTIC_VARIANCE,
    Posterior,
    fit_cumulative_logit,
)
from calibration.calibrators.features import centred, cumulative_logits
from calibration.calibrators.ridge import features_of, fit_ridge
from calibration.calibrators.sample import CannotFitError, Floats, Sample

__all__ = ["SEVERITY_SD", "Ordinal"]

SEVERITY_SD = 1.0
"""How far raters are expected to differ, in logits: the L2 penalty on severities is 1 / SD^2."""


@dataclass(frozen=True)
class Ordinal(Calibrator):
    """Cumulative logit with rater severity: logit P(y <= k) = theta_k - (x'b - s_rater).

    The features are those of ridge. So is the penalty on b, brought to the logit scale: a ridge
    penalty of W l on squared errors of variance v is a prior of variance v / (W l), and the
    latent error of a logit has variance pi^2 / 3. Predictions are for a rater of severity 0, the
    mean of the known raters. Severities lean on who rated what: where every rater saw other
    systems, they cannot be told from the systems.

    Attributes:
        used: the labels that occurred; the others get no probability.
        thresholds: one less than `used`, rising.
        mean, coefficients: of the features.
        severities: of each rater by index, 0 for one without ratings.
        penalty: the chosen one, per rating, on ridge's scale.
        pieces: how many parts the graph of raters and cells has. Severities are comparable
            without the model only within one part.
    """

    rung: ClassVar[str] = "ordinal"

    used: tuple[int, ...]
    thresholds: tuple[float, ...]
    mean: tuple[float, ...]
    coefficients: tuple[float, ...]
    severities: tuple[float, ...]
    penalty: float
    pieces: int

    @classmethod
    def _fit(cls, used: Sample) -> Self:
        if not used.whole:
            raise CannotFitError("the ordinal model needs ratings that are whole labels")
        labels, y = np.unique(used.scores.astype(np.int64), return_inverse=True)
        if len(labels) < 2:
            raise CannotFitError(f"all ratings are {labels[0]}")
        x = features_of(used)
        counts = used.counts.astype(np.float64)
        linear = fit_ridge(x.values, used.means, counts, used.groups)
        left = used.scores - (linear.intercept + x.values @ linear.coefficients)[used.cells]
        to_logits = np.sqrt(LOGISTIC_VARIANCE / np.maximum(np.mean(left**2), 0.05))
        fitted = fit_cumulative_logit(
            Posterior(
                x=x.values,
                y=y.astype(np.int64),
                cells=used.cells,
                raters=used.raters,
                raters_count=int(used.raters.max()) + 1,
                penalty=len(y) * linear.penalty / LOGISTIC_VARIANCE,
                severity_penalty=1 / SEVERITY_SD**2,
            ),
            linear.covariance,
            start=linear.coefficients * to_logits,
        )
        return cls(
            **layout(used),
            used=tuple(labels.tolist()),
            thresholds=tuple(fitted.thresholds.tolist()),
            mean=tuple(x.mean.tolist()),
            coefficients=tuple((fitted.coefficients * x.per_unit).tolist()),
            severities=tuple(fitted.severities.tolist()),
            penalty=linear.penalty,
            pieces=_pieces(used),
        )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not len(self.mean) == len(self.coefficients) == self.metrics * (self.labels - 1):
            raise ValueError("an ordinal map needs a mean and a coefficient for every feature")
        if len(self.used) < 2 or len(self.used) != len(self.thresholds) + 1:
            raise ValueError("an ordinal map needs two labels or more, and one threshold less")
        if any(a >= b for a, b in (*pairwise(self.used), *pairwise(self.thresholds))):
            raise ValueError("labels and thresholds must rise")
        if self.used[0] < self.low or self.used[-1] > self.high:
            raise ValueError("labels must lie on the scale")

    def rating_of(self, probs: ArrayLike, raters: ArrayLike) -> Floats:
        """The rating to expect from a given rater (n,) for each row of `probs`; -1 is severity 0.

        Raises:
            ValueError: a rater that the fit did not know.
        """
        p, rater = self._probs_iv(probs), np.asarray(raters)
        if rater.shape != (len(p),) or not np.issubdtype(rater.dtype, np.integer):
            raise ValueError(f"raters must be {len(p)} integers")
        if rater.size and not -1 <= rater.min() <= rater.max() < len(self.severities):
            raise ValueError(f"raters must be in -1..{len(self.severities) - 1}")
        # Where the target was not judged, its features are at their mean: that is no prediction.
        missing = np.isnan(p[:, self.target, 0])
        shares = self._shares(p, np.append(self.severities, 0.0)[rater])
        return np.where(missing, np.nan, shares @ np.array(self.used))

    def _predict(self, probs: Floats) -> Floats:
        predicted: Floats = self._shares(probs, np.zeros(len(probs))) @ np.array(self.used)
        return predicted

    def _distribution(self, probs: Floats) -> Floats | None:
        full = np.zeros((len(probs), self.high - self.low + 1))
        full[:, np.array(self.used) - self.low] = self._shares(probs, np.zeros(len(probs)))
        return full

    def _shares(self, probs: Floats, severity: Floats) -> Floats:
        """(n, used labels) probabilities for raters of given severity (n,)."""
        x = centred(cumulative_logits(probs), np.array(self.mean))
        eta = x @ np.array(self.coefficients) - severity
        below = expit(np.array(self.thresholds) - eta[:, None])
        return np.diff(below, axis=1, prepend=0.0, append=1.0)


def _pieces(used: Sample) -> int:
    """Connected parts of the graph whose edges are the ratings, between known raters and cells."""
    known = used.raters >= 0
    raters = np.unique(used.raters[known], return_inverse=True)[1]
    cells = np.unique(used.cells[known], return_inverse=True)[1] + len(np.unique(raters))
    if not known.any():
        return 0
    size = int(cells.max()) + 1
    graph = coo_array((np.ones(len(raters)), (raters, cells)), shape=(size, size))
    return int(connected_components(graph, directed=False)[0])
