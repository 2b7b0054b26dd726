"""Between which ratings a dialogue should lie, when no one has rated its system.

Both radii are quantiles of the absolute residuals of held-out systems (leave-one-system-out), each
system with the same weight. They differ in what they promise of a system never seen:

- `guaranteed_radius` covers at least as often as asked, whatever the systems are like. The price:
  for all it knows the new system is worse than any other, so that with 11 systems nominal 90%
  takes the 98.2% quantile, and covers about that often where systems differ little.
- `pooled_radius` takes the quantile as asked. It covers as often as asked where dialogues differ
  much more than systems do, and too seldom where it is the other way round; no theorem helps.
  `held_out_coverage` measures which it is.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calibration.arrays import confidence_iv

__all__ = [
    "ConfidenceTooHighError",
    "ItemIntervals",
    "ItemRadius",
    "guaranteed_radius",
    "held_out_coverage",
    "highest_confidence",
    "item_intervals",
    "pooled_radius",
]

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

_ROUNDING = 1e-9
"""Sums of weights, and distances of scores, that are closer than this are equal."""


class ConfidenceTooHighError(ValueError):
    """More confidence is asked than so few systems can give; the message says how much they can."""


class ItemRadius(NamedTuple):
    """Half the width of an interval for one rating of a dialogue of a new system.

    Attributes:
        radius: in points of the scale.
        confidence: as asked.
        level: which quantile of the residuals it is, each system weighing the same.
        systems: K, how many systems the residuals come from.
        n: how many residuals.
    """

    radius: float
    confidence: float
    level: float
    systems: int
    n: int


class ItemIntervals(NamedTuple):
    """The lowest and the highest rating of each interval, both (n,); nan where the score is nan."""

    lower: Floats
    upper: Floats


def highest_confidence(systems: int) -> float:
    """1 - 1 / (K + 1): once in K + 1 times a new system is worse than all K others."""
    return systems / (systems + 1)


def guaranteed_radius(
    residuals: ArrayLike, systems: ArrayLike, confidence: float = 0.9
) -> ItemRadius:
    """Hierarchical conformal prediction (Lee, Barber and Willett 2023).

    The `confidence` quantile of sum_k sum_i delta(s_ki) / ((K + 1) n_k) + delta_inf / (K + 1). For
    exchangeable systems the coverage is at least `confidence`, and at most
    confidence + (1 + 1 / min_k n_k) / (K + 1) where no residuals tie: what the new system's own
    residuals, had they been known, could take away from the mass put at infinity.

    Args:
        residuals: (n,) |rating - calibrated score|, of fits that have not seen its system. A
            residual of a mean of ratings instead makes this an interval for such a mean.
        systems: (n,) the system of each, integers or strings.
        confidence: above 0, at most `highest_confidence`.

    Raises:
        ConfidenceTooHighError: above that, only the whole scale would keep the promise.
        ValueError: fewer than 2 systems, a residual that is negative or not finite, unequal
            lengths, or a confidence not between 0 and 1.
    """
    s, code = _radius_iv(residuals, systems, confidence)
    return _radius(s, code, confidence, confidence / highest_confidence(int(code.max()) + 1))


def pooled_radius(residuals: ArrayLike, systems: ArrayLike, confidence: float = 0.9) -> ItemRadius:
    """The `confidence` quantile of sum_k sum_i delta(s_ki) / (K n_k) (Dunn et al. 2023).

    Args and errors as for `guaranteed_radius`: what the guarantee cannot give, a few systems
    cannot show either.
    """
    s, code = _radius_iv(residuals, systems, confidence)
    return _radius(s, code, confidence, confidence)


def held_out_coverage(
    residuals: ArrayLike, systems: ArrayLike, confidence: float = 0.9
) -> dict[str, float]:
    """For each system, the share of its residuals within the `pooled_radius` of the others.

    Raises:
        ValueError: as `pooled_radius`, or fewer than 3 systems.
    """
    s, code = _radius_iv(residuals, systems, confidence)
    names = np.unique(np.asarray(systems))
    if len(names) < 3:
        raise ValueError(f"holding out one system takes at least 3, not {len(names)}")
    shares = {}
    for held, name in enumerate(names):
        others = code != held
        # The codes of the others have a gap now; weights of a system without residuals are no harm.
        radius = _radius(s[others], code[others], confidence, confidence).radius
        shares[str(name)] = float((s[~others] <= radius + _ROUNDING).mean())
    return shares


def item_intervals(
    scores: ArrayLike, radius: float, *, low: int = 1, high: int = 5
) -> ItemIntervals:
    """The whole-number ratings within `radius` of each score: ceil(f - r) to floor(f + r).

    A rating is a whole number, so this covers exactly the ratings that f +- r covers. (Rounding
    outward instead adds up to a point on either side and covers nearly always.) Where no whole
    number is that near, the nearest one stands; ends are clipped to the scale.

    Args:
        scores: (n,) calibrated scores; nan stays nan.
        radius: as in `ItemRadius`, not negative.
        low, high: the ends of the scale.

    Raises:
        ValueError: scores not one-dimensional or infinite, a negative radius, or low >= high.
    """
    f = _item_intervals_iv(scores, radius, low, high)
    lower, upper = np.ceil(f - radius - _ROUNDING), np.floor(f + radius + _ROUNDING)
    none = lower > upper
    lower[none] = upper[none] = np.rint(f[none])
    return ItemIntervals(np.clip(lower, low, high), np.clip(upper, low, high))


def _radius_iv(residuals: ArrayLike, systems: ArrayLike, confidence: float) -> tuple[Floats, Codes]:
    s, labels = np.asarray(residuals, dtype=np.float64), np.asarray(systems)
    if s.ndim != 1 or labels.shape != s.shape:
        raise ValueError(
            f"residuals and systems must be one-dimensional and of one length, "
            f"not {s.shape} and {labels.shape}"
        )
    if not np.isfinite(s).all() or (s < 0).any():
        raise ValueError("residuals must be finite and not negative: |rating - calibrated score|")
    confidence_iv(confidence)
    names, code = np.unique(labels, return_inverse=True)
    if len(names) < 2:
        raise ValueError(f"residuals of at least 2 systems are needed, not of {len(names)}")
    if confidence > (most := highest_confidence(len(names))) + _ROUNDING:
        raise ConfidenceTooHighError(
            f"{len(names)} systems can give at most {most:.1%} confidence about a dialogue of "
            f"another one, not {confidence:.1%}: once in {len(names) + 1} times a new system is "
            f"worse than all of them"
        )
    return s, code.astype(np.int64)


def _radius(s: Floats, code: Codes, confidence: float, level: float) -> ItemRadius:
    """The weighted quantile: the least residual with at least `level` of the weight at or below."""
    counts = np.bincount(code)
    order = np.argsort(s)
    weight = np.cumsum(1.0 / counts[code[order]])
    systems = int((counts > 0).sum())
    place = int(np.searchsorted(weight, (level - _ROUNDING) * systems))
    return ItemRadius(float(s[order[min(place, len(s) - 1)]]), confidence, level, systems, len(s))


def _item_intervals_iv(scores: ArrayLike, radius: float, low: int, high: int) -> Floats:
    f = np.asarray(scores, dtype=np.float64)
    if f.ndim != 1 or np.isinf(f).any():
        raise ValueError("scores must be one-dimensional and hold no infinities")
    if not radius >= 0:
        raise ValueError(f"a radius is not negative: {radius}")
    if low >= high:
        raise ValueError(f"the scale must rise: {low} to {high}")
    return f
