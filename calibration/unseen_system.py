"""How sure the calibrated mean of a system is that nobody has rated."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from calibration.arrays import confidence_iv, finite_iv, same_length_iv
from calibration.intervals import t_quantile

__all__ = ["UnseenSystemMean", "system_shifts", "unseen_system_mean"]


class UnseenSystemMean(NamedTuple):
    """An interval around the calibrated mean of an unseen system.

    Attributes:
        mean: the calibrated mean, the centre of the interval.
        lower, upper: its ends, not clipped to the scale; NaN, with a `reason`, where undefined.
        shift: the root mean square of the shifts of the held-out systems.
        systems: K, the number of held-out systems.
    """

    mean: float
    lower: float
    upper: float
    shift: float
    systems: int
    confidence: float
    reason: str = ""


def system_shifts(residuals: ArrayLike, systems: ArrayLike) -> dict[str, float]:
    """System -> D_s, the mean of its ratings less its calibrated scores.

    Args:
        residuals: (n,) rating less calibrated score, each from a fit that has not seen its system.
        systems: (n,) the system of each residual, integers or strings.

    Raises:
        ValueError: lengths differ, or a residual is not finite.
    """
    values, labels = finite_iv("residuals", residuals), np.asarray(systems)
    same_length_iv(residuals=values, systems=labels)
    names, code, counts = np.unique(labels, return_inverse=True, return_counts=True)
    means = np.bincount(code, values, len(names)) / counts
    return {str(name): float(mean) for name, mean in zip(names, means, strict=True)}


def unseen_system_mean(
    calibrated_mean: float,
    shifts: ArrayLike,
    confidence: float = 0.9,
    *,
    standard_error: float = 0.0,
) -> UnseenSystemMean:
    """Calibrated mean +- t_{K-1} sqrt(mean of D_s^2 + SE^2), with D_s the held-out shifts.

    D_s is how far the human mean of a system was from what a calibration without that system
    predicted, which is the error to expect for an unseen system. mean(D) is not added: for a
    calibration that fits its own level it is about 0, and what is left of it makes the interval
    wider.

    There is no factor sqrt(1 + 1/K), because D_s already contains the error of the calibration.
    Let the systems differ by d_s, independent and normal, and let the calibration learn their
    mean. Without s, D_s = K / (K - 1) (d_s - mean d), while the error for the unseen system is
    d - mean d. Its exact half-width t_{K-1} SD(d) sqrt(1 + 1/K) then equals
    t_{K-1} sqrt(mean D^2) sqrt(1 - 1/K^2), which is this one to within 0.4% at K = 11.
    SD(D) sqrt(1 + 1/K) would count the error twice, and 90% would cover 92.6%.

    SE is how far the calibrated mean can be from that over all dialogues there could be: without
    it, nominal 90% covers 79% where 8 dialogues were judged (simulated).

    No design of a study guarantees this. It holds if the unseen system is drawn from where the
    others came from, which only ratings of its own can check.

    Args:
        calibrated_mean: the mean of the unseen system's calibrated scores.
        shifts: (K,) D_s of each held-out system, finite.
        confidence: between 0 and 1.
        standard_error: SE, of the calibrated mean, clustered by character and scenario.

    Raises:
        ValueError: not finite, a negative standard error, shifts not one-dimensional, or a
            confidence not between 0 and 1.
    """
    d = np.asarray(shifts, dtype=np.float64)
    if d.ndim != 1 or not np.isfinite(d).all() or not math.isfinite(calibrated_mean):
        raise ValueError("the mean and the one-dimensional shifts must be finite")
    if not 0 <= standard_error < math.inf:
        raise ValueError(f"a standard error must be finite and not negative: {standard_error}")
    confidence_iv(confidence)
    if len(d) < 2:
        nan = math.nan
        reason = f"shifts of at least 2 held-out systems are needed, not of {len(d)}"
        return UnseenSystemMean(calibrated_mean, nan, nan, nan, len(d), confidence, reason)
    shift = math.sqrt(float(d @ d) / len(d))
    half = t_quantile(confidence, len(d) - 1) * math.hypot(shift, standard_error)
    return UnseenSystemMean(
        calibrated_mean, calibrated_mean - half, calibrated_mean + half, shift, len(d), confidence
    )
