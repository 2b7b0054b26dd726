"""The interface and storage of calibrators, and those that use only the expected score."""

from __future__ import annotations

import importlib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from calibration.arrays import Floats
from calibration.calibrators.sample import CannotFitError, Sample, judged_rows, probs_iv

__all__ = ["VERSION", "Calibrator", "Expected", "Isotonic", "Linear", "Mode", "NoJudge", "Shift"]

VERSION = 1
"""Version of what `to_dict` returns; other versions are refused."""


@dataclass(frozen=True)
class Calibrator(ABC):
    """A fitted map from label distributions to the human scale of one metric.

    Attributes:
        name: the name of the kind of map.
        learns: whether anything is fitted.
        target: position of the metric that is predicted.
        metrics, labels: the numbers of metrics and labels of the distributions it was fitted to.
        low, high: the ends of the human scale.
    """

    name: ClassVar[str]
    learns: ClassVar[bool] = True

    target: int
    metrics: int
    labels: int
    low: int
    high: int

    @classmethod
    def fit(cls, sample: Sample) -> Self:
        """The calibrator fitted to the usable cells of a sample.

        Raises:
            CannotFitError: the sample does not determine it; the message says why.
        """
        return cls._fit(sample.fitting())

    @property
    def rank_invariant(self) -> bool:
        """Whether it is a rising map of the expected score, which keeps every order.

        Isotonic regression rises weakly: it may tie scores that differ, but reverses none.
        """
        return self._rises()

    @classmethod
    @abstractmethod
    def _fit(cls, used: Sample) -> Self:
        """The calibrator fitted to a sample of at least one cell, all of them usable."""

    def falls(self, probs: ArrayLike) -> bool:
        """Whether its predictions for these distributions fall with the judge's expected score."""
        p = self._probs_iv(probs)
        p = p[judged_rows(p, self.target)]
        score, predicted = _expected(p, self.target), self._predict(p)
        products = (score - score.mean()) @ (predicted - predicted.mean())
        return bool(products < -1e-9 * len(p))

    def _rises(self) -> bool:
        return False

    @abstractmethod
    def _predict(self, probs: Floats) -> Floats:
        """(n,) predictions for distributions whose target was judged."""

    def _distribution(self, probs: Floats) -> Floats | None:  # noqa: ARG002 - most kinds have none
        """(n, labels of the human scale) distributions, or None if this kind predicts points."""
        return None

    def predict(self, probs: ArrayLike) -> Floats:
        """The expected human score for distributions (n, metrics, labels).

        A map that keeps the order is not clipped to the scale, because clipping makes ties.

        Returns:
            (n,); NaN where the target was not judged.

        Raises:
            ValueError: the distributions have another shape than those of the fit.
        """
        p = self._probs_iv(probs)
        judged = judged_rows(p, self.target)
        predicted = np.full(len(p), np.nan)
        predicted[judged] = self._predict(p[judged])
        return predicted

    def distribution(self, probs: ArrayLike) -> Floats | None:
        """The distribution of a human rating over low..high, if this kind predicts one.

        Returns:
            (n, high - low + 1), NaN where the target was not judged; None for a kind that
            predicts points only.
        """
        p = self._probs_iv(probs)
        judged = judged_rows(p, self.target)
        known = self._distribution(p[judged])
        if known is None:
            return None
        distribution = np.full((len(p), self.high - self.low + 1), np.nan)
        distribution[judged] = known
        return distribution

    def to_dict(self) -> dict[str, Any]:
        """Plain data that JSON keeps to the last bit; `from_dict` reads it."""
        parameters = {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
        }
        return {"rung": self.name, "version": VERSION, **parameters}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The calibrator that `to_dict` wrote.

        Raises:
            ValueError: another kind or version, or a field is missing, unknown or impossible.
        """
        if data.get("rung") != cls.name:
            raise ValueError(f"this is no {cls.name!r} calibrator but {data.get('rung')!r}")
        if data.get("version") != VERSION:
            raise ValueError(
                f"calibrator of version {data.get('version')!r}; this program reads {VERSION}"
            )
        kinds = {field.name: str(field.type) for field in fields(cls)}
        odd = sorted(set(kinds) ^ (set(data) - {"rung", "version"}))
        if odd:
            raise ValueError(f"missing or unknown in a {cls.name!r} calibrator: {', '.join(odd)}")
        return cls(**{name: _READ[kind](name, data[name]) for name, kind in kinds.items()})

    def __post_init__(self) -> None:
        if not (0 <= self.target < self.metrics and self.labels >= 2 and self.low < self.high):
            raise ValueError("target, metrics, labels, low and high do not fit together")

    def _probs_iv(self, probs: ArrayLike) -> Floats:
        p = probs_iv(probs)
        if p.shape[1:] != (self.metrics, self.labels):
            raise ValueError(
                f"fitted to {self.metrics} metrics with {self.labels} labels, "
                f"not to {p.shape[1]} with {p.shape[2]}"
            )
        return p


def layout(sample: Sample) -> dict[str, int]:
    """The fields that all calibrators share, from the sample they are fitted to."""
    _, metrics, labels = sample.probs.shape
    return {
        "target": sample.target,
        "metrics": metrics,
        "labels": labels,
        "low": sample.low,
        "high": sample.high,
    }


def _int(name: str, value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError(f"{name} must be a whole number, not {value!r}")


def _float(name: str, value: Any) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and math.isfinite(value):
        return float(value)
    raise ValueError(f"{name} must be a finite number, not {value!r}")


def _many(read: Callable[[str, Any], Any]) -> Callable[[str, Any], tuple[Any, ...]]:
    def read_all(name: str, value: Any) -> tuple[Any, ...]:
        if isinstance(value, list | tuple):
            return tuple(read(name, entry) for entry in value)
        raise ValueError(f"{name} must be a list, not {value!r}")

    return read_all


# How to read a parameter, by the annotation of its field.
_READ: Mapping[str, Callable[[str, Any], Any]] = {
    "int": _int,
    "float": _float,
    "tuple[int, ...]": _many(_int),
    "tuple[float, ...]": _many(_float),
}


@dataclass(frozen=True)
class _Raw(Calibrator):
    """The judge's own score; nothing is fitted."""

    learns: ClassVar[bool] = False

    @classmethod
    def _fit(cls, used: Sample) -> Self:
        return cls(**layout(used))

    @property
    def _same_scale(self) -> bool:
        return (self.low, self.high) == (1, self.labels)


@dataclass(frozen=True)
class NoJudge(Calibrator):
    """The mean rating of the fit, the same for every dialogue: what a map has to be better than."""

    name: ClassVar[str] = "no judge"

    mean: float

    @classmethod
    def _fit(cls, used: Sample) -> Self:
        return cls(**layout(used), mean=float(used.scores.mean()))

    def _predict(self, probs: Floats) -> Floats:
        return np.full(len(probs), self.mean)


@dataclass(frozen=True)
class Mode(_Raw):
    """The most probable label, which a tool that reads one digit gets; on a tie the lower one."""

    name: ClassVar[str] = "mode"

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
    """The mean of the label distribution (Wang et al. 2025, arXiv 2503.03064)."""

    name: ClassVar[str] = "expected"

    def _rises(self) -> bool:
        return True

    def _predict(self, probs: Floats) -> Floats:
        return _expected(probs, self.target)

    def _distribution(self, probs: Floats) -> Floats | None:
        return probs[:, self.target] if self._same_scale else None


@dataclass(frozen=True)
class Shift(Calibrator):
    """The expected score plus the mean difference between ratings and expected scores."""

    name: ClassVar[str] = "shift"

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

    name: ClassVar[str] = "linear"

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
    """The best rising map of the expected score, constant beyond the scores of the fit.

    Attributes:
        x, y: the corners of the map, which straight lines connect.
    """

    name: ClassVar[str] = "isotonic"

    x: tuple[float, ...]
    y: tuple[float, ...]

    @classmethod
    def _fit(cls, used: Sample) -> Self:
        x, y, weights = _pairs(used)
        # Imported here because it takes a second, and only a fit needs it.
        isotonic = importlib.import_module("sklearn.isotonic")
        # "auto" would reverse a judge that disagrees with people.
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
    """Expected scores, mean ratings and numbers of ratings of the cells."""
    return _expected(used.probs, used.target), used.means, used.counts.astype(np.float64)


def _expected(probs: Floats, target: int) -> Floats:
    scores: Floats = probs[:, target] @ np.arange(1.0, probs.shape[2] + 1)
    return scores
