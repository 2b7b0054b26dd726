"""The ordinal calibrator: a cumulative logit model of human ratings with rater severity."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

from calibration.arrays import Codes, Floats
from calibration.calibrators.base import Calibrator, layout
from calibration.calibrators.ridge import centred, cumulative_logits, features_of, fit_ridge
from calibration.calibrators.sample import CannotFitError, Sample

__all__ = ["Ordinal"]

LOGISTIC_VARIANCE = np.pi**2 / 3

_CONVERGED = 1e-3
"""The largest slope allowed at the end, in coordinates where the curvature is about 1. The
penalised log-likelihood is then within about 1e-6 of its maximum."""


class CumulativeLogit(NamedTuple):
    """logit P(y <= k) = thresholds[k] - (x'coefficients - severities[rater])."""

    thresholds: Floats
    coefficients: Floats
    severities: Floats


@dataclass(frozen=True, eq=False)
class Posterior:
    """The penalised likelihood of ratings y in 0..J - 1, for J >= 2 labels that all occur.

    Its parameters are one vector: the lowest threshold, the logarithms of the J - 2 gaps between
    thresholds (which keeps the thresholds in order), p coefficients and R severities.

    Attributes:
        x: (n, p) features of the cells.
        y, cells, raters: (ratings,) codes; rater -1 is unknown and has severity 0.
        raters_count: R.
        penalty, severity_penalty: half of each times the sum of squares is added to the loss.
    """

    x: Floats
    y: Codes
    cells: Codes
    raters: Codes
    raters_count: int
    penalty: float
    severity_penalty: float

    def unpack(self, parameters: Floats) -> CumulativeLogit:
        """The parameters by name."""
        labels, features = int(self.y.max()) + 1, self.x.shape[1]
        gaps: Floats = np.exp(parameters[1 : labels - 1])
        thresholds = parameters[0] + np.concatenate([[0.0], np.cumsum(gaps)])
        rest = parameters[labels - 1 :]
        return CumulativeLogit(thresholds, rest[:features], rest[features:])

    def loss(self, parameters: Floats) -> tuple[float, Floats]:
        """The negative penalised log-likelihood and its gradient.

        With u and l the upper and lower threshold of a rating less its linear predictor, and s
        the logistic function, P(y) = s(u) - s(l) = s(u) s(-l) (1 - exp(l - u)). The last factor
        depends only on the label, so that no digits are lost to cancellation.
        """
        theta, b, severity = self.unpack(parameters)
        # An unknown rater, -1, reads the 0 at the end.
        eta = (self.x @ b)[self.cells] - np.append(severity, 0.0)[self.raters]
        upper = np.append(theta, np.inf)[self.y] - eta
        lower = np.concatenate([[-np.inf], theta])[self.y] - eta
        gaps, count = np.diff(theta), np.bincount(self.y)
        value = (
            _softplus(-upper).sum()
            + _softplus(lower).sum()
            - count[1:-1] @ np.log(-np.expm1(-gaps))
            + self.penalty / 2 * (b @ b)
            + self.severity_penalty / 2 * (severity @ severity)
        )
        above, below = expit(upper), expit(lower)
        # by_theta[k]: threshold k is the upper one of label k and the lower one of label k + 1.
        by_theta = np.bincount(self.y, below)[1:] - np.bincount(self.y, 1 - above)[:-1]
        by_eta = 1 - above - below
        by_gap = np.cumsum(by_theta[::-1])[::-1][1:] + count[1:-1] * np.exp(-gaps) / np.expm1(-gaps)
        by_cell = np.bincount(self.cells, by_eta, minlength=len(self.x))
        slots = np.where(self.raters < 0, self.raters_count, self.raters)
        by_rater = np.bincount(slots, by_eta, minlength=self.raters_count + 1)[:-1]
        gradient = np.concatenate(
            [
                [by_theta.sum()],
                by_gap * gaps,
                self.x.T @ by_cell + self.penalty * b,
                self.severity_penalty * severity - by_rater,
            ]
        )
        return float(value), gradient


def fit_cumulative_logit(
    posterior: Posterior, covariance: Floats, start: Floats
) -> CumulativeLogit:
    """The mode of the posterior, by L-BFGS in coordinates where its curvature is about 1.

    Args:
        covariance: (p, p) of the features over the ratings; their mean must be 0.
        start: (p,) coefficients to start from.

    Raises:
        CannotFitError: the search did not converge.
    """
    from scipy.optimize import minimize  # noqa: PLC0415 - slow to import, and only a fit needs it

    count = np.bincount(posterior.y)
    below = np.cumsum(count)[:-1] / count.sum()
    theta = np.log(below / (1 - below))
    theta *= np.sqrt(1 + start @ covariance @ start / LOGISTIC_VARIANCE)
    severity = np.zeros(posterior.raters_count)
    origin = np.concatenate([theta[:1], np.log(np.diff(theta)), start, severity])
    to_main, to_severity, scale = _coordinates(posterior, covariance, theta)
    main = len(to_main)

    def parameters(z: Floats) -> Floats:
        step = to_main @ z[:main]
        moved: Floats = np.concatenate([step, scale * z[main:] - to_severity @ step])
        return origin + moved

    def loss(z: Floats) -> tuple[float, Floats]:
        value, gradient = posterior.loss(parameters(z))
        of_main, of_severity = gradient[:main], gradient[main:]
        of_z = to_main.T @ (of_main - to_severity.T @ of_severity)
        return value, np.concatenate([of_z, scale * of_severity])

    options = {"gtol": _CONVERGED / 10, "ftol": 1e-13, "maxiter": 1000}
    result = minimize(loss, np.zeros_like(origin), jac=True, method="L-BFGS-B", options=options)
    if not np.abs(result.jac).max() < _CONVERGED:
        raise CannotFitError(f"the search for the ordinal model did not converge: {result.message}")
    return posterior.unpack(parameters(result.x))


def _coordinates(
    posterior: Posterior, covariance: Floats, theta: Floats
) -> tuple[Floats, Floats, Floats]:
    """Matrices that turn a curvature of about 1 into that of the posterior at its start.

    The information on the thresholds is that of the model without features, H; one rating carries
    H[0, 0] / n about its linear predictor. The severities come first in the Cholesky factor. Their
    block is diagonal there, so that any number of raters is cheap.

    Returns:
        (m, m) for thresholds and coefficients; (raters, m) for how far the severities move in the
        opposite direction when those move; (raters,) for the severities themselves.
    """
    from scipy.sparse import coo_array  # noqa: PLC0415 - as in `fit_cumulative_logit`

    y, n, known = posterior.y, len(posterior.y), posterior.raters >= 0
    cut, features = len(theta), posterior.x.shape[1]
    share = np.bincount(y) / n
    cumulative = np.cumsum(share)[:-1]
    density = np.diag(cumulative * (1 - cumulative))
    of_label = np.diff(density, axis=0, prepend=0.0, append=0.0)
    of_parameter = np.tril(np.ones((cut, cut)))
    of_parameter[:, 1:] *= np.diff(theta)
    of_label = of_label @ of_parameter
    h = n * of_label.T @ (of_label / share[:, None])
    per_rating = h[0, 0] / n

    ratings = np.bincount(posterior.raters[known], minlength=posterior.raters_count)
    by_rater = coo_array(
        (np.ones(int(known.sum())), (posterior.raters[known], posterior.cells[known])),
        shape=(posterior.raters_count, len(posterior.x)),
    )
    information = np.zeros((cut + features, cut + features))
    information[:cut, :cut] = h
    information[cut:, cut:] = n * per_rating * covariance
    information[cut:, cut:] += (posterior.penalty + 1e-9 * n) * np.eye(features)
    crossed = np.hstack(
        [np.outer(ratings / n, h[0]), -per_rating * (by_rater.tocsr() @ posterior.x)]
    )
    severity = ratings * per_rating + posterior.severity_penalty + 1e-9
    to_severity = crossed / severity[:, None]
    factor = np.linalg.cholesky(information - crossed.T @ to_severity)
    return np.linalg.inv(factor).T, to_severity, 1 / np.sqrt(severity)


def _softplus(values: Floats) -> Floats:
    """log(1 + exp(values)), also for large and infinite values."""
    softplus: Floats = np.maximum(values, 0) + np.log1p(np.exp(-np.abs(values)))
    return softplus


SEVERITY_SD = 1.0
"""The expected spread of severities, in logits: the L2 penalty on them is 1 / SD^2."""


@dataclass(frozen=True)
class Ordinal(Calibrator):
    """Cumulative logit with rater severity: logit P(y <= k) = theta_k - (x'b - s_rater).

    The features are those of `Ridge`. So is the penalty on b, converted to the logit scale: a ridge
    penalty of W l on squared errors of variance v is a prior of variance v / (W l), and the latent
    error of a logit has variance pi^2 / 3. Predictions are for a rater of severity 0, the mean of
    the known raters. Severities depend on who rated what: if every rater saw other systems, they
    cannot be separated from the systems.

    Attributes:
        used: the labels that occurred; the others get no probability.
        thresholds: one fewer than `used`, rising.
        mean, coefficients: of the features.
        severities: of each rater by index; 0 for a rater without ratings.
        penalty: the chosen one, per rating, on the scale of `Ridge`.
        pieces: number of connected parts of the graph of raters and cells. Only within a part can
            severities be compared without relying on the model.
    """

    name: ClassVar[str] = "ordinal"

    used: tuple[int, ...]
    thresholds: tuple[float, ...]
    mean: tuple[float, ...]
    coefficients: tuple[float, ...]
    severities: tuple[float, ...]
    penalty: float
    pieces: int

    @classmethod
    def _fit(cls, used: Sample) -> Self:
        if not used.whole_ratings:
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
        """(n,) the expected rating of each row of `probs` by the given rater; -1 is severity 0.

        Raises:
            ValueError: a rater that was not in the fit.
        """
        p, rater = self._probs_iv(probs), np.asarray(raters)
        if rater.shape != (len(p),) or not np.issubdtype(rater.dtype, np.integer):
            raise ValueError(f"raters must be {len(p)} integers")
        if rater.size and not -1 <= rater.min() <= rater.max() < len(self.severities):
            raise ValueError(f"raters must be in -1..{len(self.severities) - 1}")
        # Features of a target that was not judged are at their mean, which is no prediction.
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
        """(n, used labels) probabilities for raters of the given severities (n,)."""
        x = centred(cumulative_logits(probs), np.array(self.mean))
        eta = x @ np.array(self.coefficients) - severity
        below = expit(np.array(self.thresholds) - eta[:, None])
        return np.diff(below, axis=1, prepend=0.0, append=1.0)


def _pieces(used: Sample) -> int:
    """The number of connected parts of the graph of known raters and the cells they rated."""
    from scipy.sparse import coo_array  # noqa: PLC0415 - as in `fit_cumulative_logit`
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415 - likewise

    known = used.raters >= 0
    raters = np.unique(used.raters[known], return_inverse=True)[1]
    cells = np.unique(used.cells[known], return_inverse=True)[1] + len(np.unique(raters))
    if not known.any():
        return 0
    size = int(cells.max()) + 1
    graph = coo_array((np.ones(len(raters)), (raters, cells)), shape=(size, size))
    return int(connected_components(graph, directed=False)[0])
