"""Intervals for single ratings of a dialogue whose system nobody has rated.

Both radii here are quantiles of the absolute residuals of held-out systems (leave-one-system-out),
each system with the same weight. They differ in what they promise for an unseen system:

- `hierarchical_radius` allows for an unseen system that is worse than all others: with 11 systems,
  nominal 90% takes the 98.2% quantile, and covers about that often where systems differ little.
- `pooled_radius` takes the quantile as asked. It covers as often as asked where dialogues differ
  much more than systems do, and too seldom in the opposite case. `held_out_coverage` measures
  which case it is.

What is proven and what is not: the theorem of Lee, Barber and Willett (2023) gives
`hierarchical_radius` at least the nominal coverage for exchangeable systems, if the map was fitted
to none of the systems whose residuals are taken. Here each residual is of a map that has not seen
its system but has seen the others, and the interval stands around a map that has seen them all: a
jackknife, for which no theorem is claimed. Simulations cover as often as the theorem says.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from calibration.arrays import Codes, Floats, codes_of, confidence_iv, same_length_iv

__all__ = [
    "ConfidenceTooHighError",
    "ItemIntervals",
    "ItemRadius",
    "held_out_coverage",
    "hierarchical_radius",
    "item_intervals",
    "pooled_radius",
]

_ROUNDING = 1e-9
"""Sums of weights, and distances of scores, that are closer than this are equal."""


class ConfidenceTooHighError(ValueError):
    """So few systems cannot give this confidence; the message says how much they can give."""


class ItemRadius(NamedTuple):
    """Half the width of an interval for one rating of a dialogue of an unseen system.

    Attributes:
        radius: in points of the scale.
        level: which quantile of the residuals it is, each system with the same weight.
        systems: K, the number of systems that the residuals come from.
        n: number of residuals.
    """

    radius: float
    confidence: float
    level: float
    systems: int
    n: int


class ItemIntervals(NamedTuple):
    """The lowest and highest rating of each interval, both (n,); NaN where the score is NaN."""

    lower: Floats
    upper: Floats


def highest_confidence(systems: int) -> float:
    """1 - 1 / (K + 1): in 1 of K + 1 cases an unseen system is worse than all K others."""
    return systems / (systems + 1)


def hierarchical_radius(
    residuals: ArrayLike, systems: ArrayLike, confidence: float = 0.9
) -> ItemRadius:
    """Hierarchical conformal prediction (Lee, Barber and Willett 2023).

    The `confidence` quantile of sum_k sum_i delta(s_ki) / ((K + 1) n_k) + delta_inf / (K + 1). For
    exchangeable systems and a map that was fitted to none of them the coverage is at least
    `confidence`, and at most confidence + (1 + 1 / min_k n_k) / (K + 1) if no residuals tie: by
    that much the residuals of the unseen system, if they were known, could reduce the mass at
    infinity.

    Args:
        residuals: (n,) |rating - calibrated score| from fits that have not seen the system. With
            residuals of mean ratings, the interval is one for such a mean.
        systems: (n,) the system of each residual, integers or strings.
        confidence: above 0, at most `highest_confidence`.

    Raises:
        ConfidenceTooHighError: above that, only the whole scale would keep the promise.
        ValueError: fewer than 2 systems, a residual is negative or not finite, lengths differ, or
            a confidence not between 0 and 1.
    """
    s, code = _radius_iv(residuals, systems, confidence)
    return _radius(s, code, confidence, confidence / highest_confidence(int(code.max()) + 1))


def pooled_radius(residuals: ArrayLike, systems: ArrayLike, confidence: float = 0.9) -> ItemRadius:
    """The `confidence` quantile of sum_k sum_i delta(s_ki) / (K n_k) (Dunn et al. 2023).

    Arguments and errors are those of `hierarchical_radius`: a confidence that cannot be guaranteed
    cannot be measured with so few systems either.
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
        radius = _radius(s[others], code[others], confidence, confidence).radius
        shares[str(name)] = float((s[~others] <= radius + _ROUNDING).mean())
    return shares


def item_intervals(
    scores: ArrayLike, radius: float, *, low: int = 1, high: int = 5
) -> ItemIntervals:
    """The whole-number ratings within `radius` of each score: ceil(f - r) to floor(f + r).

    A rating is a whole number, so this covers exactly the ratings that f +- r covers. (Rounding
    outward adds up to a point on either side and covers nearly always.) Where no whole number is
    within the radius, the nearest one is taken. Ends are clipped to the scale.

    Args:
        scores: (n,) calibrated scores; NaN stays NaN.
        radius: as in `ItemRadius`, not negative.
        low, high: the ends of the scale.

    Raises:
        ValueError: scores not one-dimensional or infinite, a negative radius, or low >= high.
    """
    f = np.asarray(scores, dtype=np.float64)
    if f.ndim != 1 or np.isinf(f).any():
        raise ValueError("scores must be one-dimensional and hold no infinities")
    if not radius >= 0:
        raise ValueError(f"a radius is not negative: {radius}")
    if low >= high:
        raise ValueError(f"the scale must rise: {low} to {high}")
    lower, upper = np.ceil(f - radius - _ROUNDING), np.floor(f + radius + _ROUNDING)
    none = lower > upper
    lower[none] = upper[none] = np.rint(f[none])
    return ItemIntervals(np.clip(lower, low, high), np.clip(upper, low, high))


def _radius_iv(residuals: ArrayLike, systems: ArrayLike, confidence: float) -> tuple[Floats, Codes]:
    s, labels = np.asarray(residuals, dtype=np.float64), np.asarray(systems)
    same_length_iv(residuals=s, systems=labels)
    if not np.isfinite(s).all() or (s < 0).any():
        raise ValueError("residuals must be finite and not negative: |rating - calibrated score|")
    confidence_iv(confidence)
    code = codes_of(labels)
    count = int(code.max(initial=-1)) + 1
    if count < 2:
        raise ValueError(f"residuals of at least 2 systems are needed, not of {count}")
    if confidence > (most := highest_confidence(count)) + _ROUNDING:
        raise ConfidenceTooHighError(
            f"{count} systems can give at most {most:.1%} confidence about a dialogue of another "
            f"one, not {confidence:.1%}: in 1 of {count + 1} cases an unseen system is worse than "
            "all of them"
        )
    return s, code


def _radius(s: Floats, code: Codes, confidence: float, level: float) -> ItemRadius:
    """The weighted quantile: the least residual with at least `level` of the weight at or below."""
    counts = np.bincount(code)
    order = np.argsort(s)
    weight = np.cumsum(1.0 / counts[code[order]])
    systems = int((counts > 0).sum())
    position = int(np.searchsorted(weight, (level - _ROUNDING) * systems))
    radius = float(s[order[min(position, len(s) - 1)]])
    return ItemRadius(radius, confidence, level, systems, len(s))
