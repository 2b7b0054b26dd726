"""Correlations of a measure: at every level, of sentinels, of systems, and without each system."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from calibration.agreement.correlation import spearman
from calibration.agreement.levels import at_levels, group_mean
from calibration.intervals import clustered_mean
from calibration.resampling.bootstrap import CrossedBootstrap
from calibration.resampling.weighted import Statistic
from judge.analysis.agreement.figures import figure, interval, known, of_level
from judge.analysis.agreement.measured import Axes, Measured
from judge.analysis.agreement.record import (
    COEFFICIENTS,
    LEVELS,
    Coefficient,
    Figure,
    Level,
    Sentinel,
    SystemPoint,
    Without,
)

__all__ = ["levels", "sentinels", "system_points", "without_each"]

Floats = NDArray[np.float64]

_RESAMPLED: dict[Coefficient, Statistic] = {"spearman": "spearman", "pearson": "pearson"}


def levels(
    measure: Measured,
    axes: Axes,
    bootstrap: CrossedBootstrap | None,
    target: int,
    confidence: float,
) -> dict[Coefficient, dict[Level, Figure]]:
    """Every coefficient at every level, with the intervals of those that are resampled."""
    found: dict[Coefficient, dict[Level, Figure]] = {}
    for coefficient in COEFFICIENTS:
        values = at_levels(measure.judge, measure.human, axes.system, axes.item, coefficient)
        statistic = None if bootstrap is None else _RESAMPLED.get(coefficient)
        found[coefficient] = {
            level: of_level(
                getattr(values, level),
                None
                if bootstrap is None or statistic is None
                else interval(bootstrap, target, statistic, level, confidence),
            )
            for level in LEVELS
        }
    return found


def sentinels(
    measure: Measured, axes: Axes, length: Floats, *, of_items: bool
) -> tuple[Sentinel, ...]:
    """Spearman of scores that know nothing of the dialogue's worth, on the same dialogues.

    Args:
        measure: whose place they take.
        axes: where the dialogues belong.
        length: (n,) of the replies; left out where none is known.
        of_items: an item is one label, not a character in a scenario.
    """
    human = np.where(measure.both, measure.human, np.nan)
    found = []
    if not np.isnan(length).all():
        found.append(_sentinel("reply length", length, human, axes, "no reply's text is known"))
    groups = {"item mean" if of_items else "character mean": axes.character}
    for name, group in (groups | {"system mean": axes.system}).items():
        few = f"no {name.split()[0]} has 10 rated dialogues"
        found.append(_sentinel(name, group_mean(human, group).values, human, axes, few))
    # The mean human score of a system is what it would be compared with.
    trivial = figure(np.nan, found[-1].levels["systems"].n, reason="it is people's own mean")
    found[-1] = Sentinel("system mean", {**found[-1].levels, "systems": trivial})
    return tuple(found)


def _sentinel(name: str, values: Floats, human: Floats, axes: Axes, none: str) -> Sentinel:
    if np.isnan(values + human).all():
        return Sentinel(name, {level: figure(np.nan, 0, reason=none) for level in LEVELS})
    found = at_levels(values, human, axes.system, axes.item)
    return Sentinel(name, {level: of_level(getattr(found, level)) for level in LEVELS})


def system_points(measure: Measured, axes: Axes) -> tuple[SystemPoint, ...]:
    """The systems that have a dialogue with both scores, by falling human mean, then by name."""
    points = []
    for code, name in enumerate(axes.systems):
        own = measure.both & (axes.system == code)
        if not own.any():
            continue
        judge, human = (
            clustered_mean(side[own], *axes.clusters[:, own])
            for side in (measure.judge, measure.human)
        )
        within = spearman(measure.judge[own], measure.human[own])
        points.append(
            SystemPoint(
                system=name,
                n=judge.n,
                judge=judge.mean,
                judge_error=known(judge.standard_error),
                human=human.mean,
                human_error=known(human.standard_error),
                within=figure(within.value, within.n, reason=within.reason),
            )
        )
    # Rounded, so that means which are equal but for their last bits are in the order of names.
    return tuple(sorted(points, key=lambda point: (-round(point.human, 9), point.system)))


def without_each(
    measure: Measured, axes: Axes, points: tuple[SystemPoint, ...]
) -> tuple[Without, ...]:
    """Spearman without each system, in the order of `points`."""
    found = []
    for point in points:
        rest = measure.both & (axes.system != axes.systems.index(point.system))
        values = at_levels(
            measure.judge[rest], measure.human[rest], axes.system[rest], axes.item[rest]
        )
        found.append(
            Without(
                system=point.system,
                all=of_level(values.all),
                within_item=of_level(values.within_item),
                systems=of_level(values.systems),
            )
        )
    return tuple(found)
