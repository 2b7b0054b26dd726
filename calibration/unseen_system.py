"""How sure the calibrated mean of a system is that no one has rated."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calibration.arrays import confidence_iv
from calibration.intervals import t_quantile

__all__ = ["UnseenSystemMean", "system_shifts", "unseen_system_mean"]

Floats = NDArray[np.float64]


class UnseenSystemMean(NamedTuple):
    """An interval around the calibrated mean of a new system.

    Attributes:
        mean: the calibrated mean, the centre of the interval.
        lower, upper: its ends, not clipped to the scale; nan, with a `reason`, when undefined.
        shift: the root mean square of the held-out systems' shifts.
        systems: K, how many systems were held out.
        confidence: as asked.
        reason: why there is no interval.
    """

    mean: float
    lower: float
    upper: float
    shift: float
    systems: int
    confidence: float
    reason: str = ""


def system_shifts(residuals: ArrayLike, systems: ArrayLike) -> dict[str, float]:
    """D_s, the mean of rating less calibrated score of each held-out system, by its name.

    Args:
        residuals: (n,) signed, each from a fit that has not seen its system.
        systems: (n,) the system of each, integers or strings.

    Raises:
        ValueError: unequal lengths, or a residual that is not finite.
    """
    e, labels = np.asarray(residuals, dtype=np.float64), np.asarray(systems)
    if e.ndim != 1 or labels.shape != e.shape:
        raise ValueError(
            f"residuals and systems must be one-dimensional and of one length, "
            f"not {e.shape} and {labels.shape}"
        )
    if not np.isfinite(e).all():
        raise ValueError("residuals must be finite: leave missing ones out and count them")
    names, code, counts = np.unique(labels, return_inverse=True, return_counts=True)
    means = np.bincount(code, e, len(names)) / counts
    return {str(name): float(mean) for name, mean in zip(names, means, strict=True)}


def unseen_system_mean(
    calibrated_mean: float, shifts: ArrayLike, confidence: float = 0.9
) -> UnseenSystemMean:
    """Calibrated mean +- t_{K-1} sqrt(mean of D_s^2), with D_s the shifts of held-out systems.

    D_s is how far the human mean of a system lay from what a calibration without it said: the
    very error to expect of a new system. No mean(D) is added: for a calibration that sets its own
    level it is about 0, and what is left of it widens the interval here.

    There is no factor sqrt(1 + 1/K) because D_s holds the error of the calibration already. Let
    systems differ by d_s, iid normal, and the calibration learn their mean: without s, D_s =
    K / (K - 1) (d_s - mean d), while the new system errs by d - mean d. The exact half-width
    t_{K-1} SD(d) sqrt(1 + 1/K) is then t_{K-1} sqrt(mean D^2) sqrt(1 - 1/K^2), this one but for
    0.4% at K = 11. SD(D) sqrt(1 + 1/K) would count that error twice, and 90% cover 92.6%.

    Nothing about the design of a study guarantees this: it holds if the new system is another
    draw from where the others came from, and only labels of its own can check that.

    Args:
        calibrated_mean: the mean of the new system's calibrated scores.
        shifts: (K,) D_s of each held-out system, finite.
        confidence: between 0 and 1.

    Raises:
        ValueError: not finite, shifts not one-dimensional, or a confidence not between 0 and 1.
    """
    d = np.asarray(shifts, dtype=np.float64)
    if d.ndim != 1 or not np.isfinite(d).all() or not math.isfinite(calibrated_mean):
        raise ValueError("the mean and the one-dimensional shifts must be finite")
    confidence_iv(confidence)
    if len(d) < 2:
        nan = math.nan
        reason = f"shifts of at least 2 held-out systems are needed, not of {len(d)}"
        return UnseenSystemMean(calibrated_mean, nan, nan, nan, len(d), confidence, reason)
    shift = math.sqrt(float(d @ d) / len(d))
    half = t_quantile(confidence, len(d) - 1) * shift
    return UnseenSystemMean(
        calibrated_mean, calibrated_mean - half, calibrated_mean + half, shift, len(d), confidence
    )
