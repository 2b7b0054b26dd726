"""From what an estimator returns to what the record holds: nan becomes None with its reason."""

from __future__ import annotations

import math

from calibration.agreement.levels import LevelValue
from calibration.resampling.bootstrap import CrossedBootstrap
from calibration.resampling.weighted import Level, Statistic
from judge.analysis.agreement.record import Figure, Interval

__all__ = ["figure", "interval", "known", "of_level"]


def known(value: float) -> float | None:
    """The number, None for nan."""
    return None if math.isnan(value) else float(value)


def figure(
    value: float,
    n: int,
    *,
    groups: int = 1,
    undefined: int = 0,
    interval: Interval | None = None,
    reason: str = "",
) -> Figure:
    """A `Figure`; an undefined one has no interval, and a defined one no reason."""
    if math.isnan(value):
        return Figure(None, n, groups, undefined, None, reason)
    return Figure(float(value), n, groups, undefined, interval)


def of_level(found: LevelValue, interval: Interval | None = None) -> Figure:
    """A correlation at one level."""
    return figure(
        found.value,
        found.n,
        groups=found.groups,
        undefined=found.undefined,
        interval=interval,
        reason=found.reason,
    )


def interval(
    bootstrap: CrossedBootstrap, target: int, statistic: Statistic, level: Level, confidence: float
) -> Interval:
    """What the resamples say of one statistic of one target."""
    found = bootstrap.interval(statistic, level, target, confidence=confidence)
    return Interval(
        known(found.lower),
        known(found.upper),
        f"bootstrap {found.method}",
        found.undefined,
        found.reason,
    )
