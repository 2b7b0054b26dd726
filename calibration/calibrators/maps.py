"""The rungs that look at one score of the judge: mode, expected, shift, linear, isotonic."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Self

import numpy as np

from calibration.calibrators.base import Calibrator, layout
from calibration.calibrators.sample import CannotFitError, Floats, Sample

__all__ = ["Expected", "Isotonic", "Linear", "Mode", "Shift"]


@dataclass(frozen=True)
class _Raw(Calibrator):
    """The judge as it is: nothing is fitted."""

    learns: ClassVar[bool] = False

    @classmethod
    def _fit(cls, used: Sample) -> Self:
        return cls(**layout(used))

    @property
    def _same_scale(self) -> bool:
        return (self.low, self.high) == (1, self.labels)


@dataclass(frozen=True)
class Mode(_Raw):
    """The most probable label, what a tool that reads one digit gets; the lower one on a tie."""

    rung: ClassVar[str] = "mode"

    def _predict(self, probs: Floats) -> Floats:
        modes: Floats = probs[:, self.target].argmax(axis=1) + 1.0
        return modes

    def _distribution(self, probs: Floats) -> Floats | None:
        if not self._same_scale:
            return None
        certain: Floats = np.eye(self.labels)[probs[:, self.target].argmax(axis=1)]
        return certain


@dataclass(frozen=True)
class Expected(_Raw):
    """The mean of the label distribution (arXiv 2503.03064)."""

    rung: ClassVar[str] = "expected"

    def _rises(self) -> bool:
        return True

    def _predict(self, probs: Floats) -> Floats:
        return _expected(probs, self.target)

    def _distribution(self, probs: Floats) -> Floats | None:
        return probs[:, self.target] if self._same_scale else None


@dataclass(frozen=True)
class Shift(Calibrator):
    """The expected score plus the mean difference to the ratings."""

    rung: ClassVar[str] = "shift"

    offset: float

    @classmethod
    def _fit(cls, used: Sample) -> Self:
        x, y, weights = _pairs(used)
        return cls(**layout(used), offset=float(np.average(y - x, weights=weights)))

    def _rises(self) -> bool:
        return True

    def _predict(self, probs: Floats) -> Floats:
        return _expected(probs, self.target) + self.offset


@dataclass(frozen=True)
class Linear(Calibrator):
    """The least-squares line of the ratings on the expected score."""

    rung: ClassVar[str] = "linear"

    slope: float
    intercept: float

    @classmethod
    def _fit(cls, used: Sample) -> Self:
        x, y, weights = _pairs(used)
        if np.ptp(x) < 1e-12:
            raise CannotFitError("all expected scores are equal: no line goes through them")
        x_mean, y_mean = np.average(x, weights=weights), np.average(y, weights=weights)
        x_off = x - x_mean
        slope = float(weights @ (x_off * (y - y_mean)) / (weights @ x_off**2))
        return cls(**layout(used), slope=slope, intercept=float(y_mean - slope * x_mean))

    def _rises(self) -> bool:
        return self.slope > 0

    def _predict(self, probs: Floats) -> Floats:
        return self.slope * _expected(probs, self.target) + self.intercept


@dataclass(frozen=True)
class Isotonic(Calibrator):
    """The best rising map of the expected score; flat beyond the scores that it has seen.

    Attributes:
        x, y: the corners of the map, joined by straight lines.
    """

    rung: ClassVar[str] = "isotonic"

    x: tuple[float, ...]
    y: tuple[float, ...]

    @classmethod
    def _fit(cls, used: Sample) -> Self:
        x, y, weights = _pairs(used)
        # Loaded for a fit only: it takes a second, and a fitted map does without.
        isotonic = importlib.import_module("sklearn.isotonic")
        # "auto" would let a judge that disagrees with people be turned upside down.
        fitted = isotonic.IsotonicRegression(increasing=True, out_of_bounds="clip")
        fitted.fit(x, y, weights)
        return cls(
            **layout(used),
            x=tuple(fitted.X_thresholds_.tolist()),
            y=tuple(fitted.y_thresholds_.tolist()),
        )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.x or len(self.x) != len(self.y):
            raise ValueError("an isotonic map needs as many x as y, and at least one")
        if any(a >= b for a, b in pairwise(self.x)) or any(a > b for a, b in pairwise(self.y)):
            raise ValueError("the corners of an isotonic map must rise")

    def _rises(self) -> bool:
        return self.y[0] < self.y[-1]

    def _predict(self, probs: Floats) -> Floats:
        return np.interp(_expected(probs, self.target), self.x, self.y)


def _pairs(used: Sample) -> tuple[Floats, Floats, Floats]:
    """Expected scores, mean ratings and numbers of ratings."""
    return _expected(used.probs, used.target), used.means, used.counts.astype(np.float64)


def _expected(probs: Floats, target: int) -> Floats:
    scores: Floats = probs[:, target] @ np.arange(1.0, probs.shape[2] + 1)
    return scores
