"""Correlations and errors of one measure: of the judge's scores with people's."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from calibration.agreement.correlation import spearman, tie_codes
from calibration.agreement.levels import LevelValue, held_out_mean_levels, level_correlations
from calibration.errors_of_fit import point_errors, quadratic_kappa
from calibration.intervals import clustered_mean
from calibration.resampling.bootstrap import CrossedBootstrap
from calibration.resampling.weighted import Statistic
from judge.analysis.agreement.agreement_records import (
    COEFFICIENTS,
    LEVELS,
    Bin,
    Coefficient,
    Estimate,
    Interval,
    LeftOutSystem,
    Level,
    Sentinel,
    SystemPoint,
)
from judge.analysis.agreement.data import GroupCodes, MeasureScores
from judge.analysis.judgment_table import finite_or_none

__all__ = [
    "confusion",
    "curve",
    "errors",
    "estimate",
    "interval",
    "kappa",
    "levels",
    "of_level",
    "sentinels",
    "system_points",
    "without_each",
]


def estimate(
    value: float,
    n: int,
    *,
    groups: int = 1,
    undefined: int = 0,
    interval: Interval | None = None,
    reason: str = "",
) -> Estimate:
    """A `Estimate`; an undefined one has no interval, and a defined one no reason."""
    if math.isnan(value):
        return Estimate(None, n, groups, undefined, None, reason)
    return Estimate(float(value), n, groups, undefined, interval)


def of_level(found: LevelValue, interval: Interval | None = None) -> Estimate:
    """A correlation at one level."""
    return estimate(
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
        finite_or_none(found.lower),
        finite_or_none(found.upper),
        f"bootstrap {found.method}",
        found.undefined,
        found.reason,
    )


Floats = NDArray[np.float64]

_SPLIT_ROWS = 40_000
"""About so many dialogues are compared with held-out means; more would only cost time."""

_RESAMPLED: dict[Coefficient, Statistic] = {"spearman": "spearman", "pearson": "pearson"}


def levels(
    measure: MeasureScores,
    axes: GroupCodes,
    bootstrap: CrossedBootstrap | None,
    target: int,
    confidence: float,
) -> dict[Coefficient, dict[Level, Estimate]]:
    """Every coefficient at every level, with the intervals of those that are resampled."""
    found: dict[Coefficient, dict[Level, Estimate]] = {}
    for coefficient in COEFFICIENTS:
        values = level_correlations(
            measure.judge, measure.human, axes.system, axes.item, coefficient
        )
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
    measure: MeasureScores,
    axes: GroupCodes,
    length: Floats,
    rng: Callable[[str], np.random.Generator],
    *,
    of_items: bool,
) -> tuple[Sentinel, ...]:
    """Spearman of scores that know nothing of the dialogue's worth, on the same dialogues.

    Args:
        measure: whose place they take.
        axes: where the dialogues belong.
        length: (n,) of the replies; left out where none is known.
        rng: the generator for the sentinel of a name.
        of_items: an item is one label, not a character in a scenario.
    """
    human = np.where(measure.both, measure.human, np.nan)
    found = []
    if not np.isnan(length).all():
        found.append(_length_sentinel(length, human, axes))
    groups = {"item mean" if of_items else "character mean": (axes.character, axes.system)}
    groups["system mean"] = (axes.system, axes.item)
    for name, (group, other) in groups.items():
        values = held_out_mean_levels(
            human,
            group,
            other,
            axes.system,
            axes.item,
            rng(name),
            splits=min(20, max(2, _SPLIT_ROWS // max(len(human), 1))),
        )
        found.append(Sentinel(name, {level: of_level(getattr(values, level)) for level in LEVELS}))
    # Of systems, the mean of half of the dialogues tells how reliable people are, not what a
    # score is worth that has read none.
    reason = "it is people's own mean"
    trivial = estimate(np.nan, found[-1].levels["systems"].n, reason=reason)
    found[-1] = Sentinel("system mean", {**found[-1].levels, "systems": trivial})
    return tuple(found)


def _length_sentinel(length: Floats, human: Floats, axes: GroupCodes) -> Sentinel:
    if np.isnan(length + human).all():
        unknown = estimate(np.nan, 0, reason="no reply's text is known")
        return Sentinel("reply length", dict.fromkeys(LEVELS, unknown))
    found = level_correlations(length, human, axes.system, axes.item)
    return Sentinel("reply length", {level: of_level(getattr(found, level)) for level in LEVELS})


def system_points(measure: MeasureScores, axes: GroupCodes) -> tuple[SystemPoint, ...]:
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
                judge_error=finite_or_none(judge.standard_error),
                human=human.mean,
                human_error=finite_or_none(human.standard_error),
                within=estimate(within.value, within.n, reason=within.reason),
            )
        )
    # Rounded, so that means which are equal but for their last bits are in the order of names.
    return tuple(sorted(points, key=lambda point: (-round(point.human, 9), point.system)))


def without_each(
    measure: MeasureScores, axes: GroupCodes, points: tuple[SystemPoint, ...]
) -> tuple[LeftOutSystem, ...]:
    """Spearman without each system, in the order of `points`."""
    found = []
    for point in points:
        rest = measure.both & (axes.system != axes.systems.index(point.system))
        values = level_correlations(
            measure.judge[rest], measure.human[rest], axes.system[rest], axes.item[rest]
        )
        found.append(
            LeftOutSystem(
                system=point.system,
                all=of_level(values.all),
                within_item=of_level(values.within_item),
                systems=of_level(values.systems),
            )
        )
    return tuple(found)


_BINS = 10
_LABELS = 11
"""A confusion matrix of more labels fits on no page."""


def errors(
    measure: MeasureScores, bootstrap: CrossedBootstrap | None, target: int, confidence: float
) -> dict[str, Estimate]:
    """`rmse`, `mae` and `bias` against the mean ratings of the dialogues."""
    judge, human = measure.points
    n = len(judge)
    if measure.off or not n:
        nothing = estimate(math.nan, n, reason=measure.off or "no dialogue has both scores")
        return dict.fromkeys(("rmse", "mae", "bias"), nothing)
    found = point_errors(judge, human)
    mae, bias = (
        None if bootstrap is None else interval(bootstrap, target, name, "all", confidence)
        for name in ("mae", "bias")
    )
    return {
        "rmse": estimate(found.rmse, n),
        "mae": estimate(found.mae, n, interval=mae),
        "bias": estimate(found.bias, n, interval=bias),
    }


def kappa(measure: MeasureScores) -> Estimate:
    """Quadratic kappa of the rounded judge with single ratings, labels fixed to the scale."""
    n = int(measure.used.sum())
    if reason := _no_labels(measure):
        return estimate(math.nan, n, reason=reason)
    found = quadratic_kappa(
        measure.judge[measure.cell[measure.used]],
        measure.rating[measure.used],
        int(measure.low),
        int(measure.high),
    )
    return estimate(found.value, found.n, reason=found.reason)


def confusion(measure: MeasureScores) -> tuple[tuple[int, ...], ...]:
    """`[human][judge]` counts of single ratings and the rounded judge; () without labels."""
    size = int(measure.high - measure.low) + 1
    if _no_labels(measure) or not measure.used.any() or size > _LABELS:
        return ()
    human = (measure.rating[measure.used] - measure.low).astype(np.int64)
    judge = (measure.rounded[measure.cell[measure.used]] - measure.low).astype(np.int64)
    counts = np.bincount(human * size + judge, minlength=size**2).reshape(size, size)
    return tuple(map(tuple, counts.tolist()))


def _no_labels(measure: MeasureScores) -> str:
    if measure.kind != "metric":
        return "a mean of metrics is no label"
    if measure.off:
        return measure.off
    return "" if measure.whole else "the ratings are not whole labels"


def curve(measure: MeasureScores) -> tuple[Bin, ...]:
    """Ten bins of about equally many dialogues, fewer where there are fewer scores.

    Equal judge scores share a bin.
    """
    judge, human = measure.points
    code = tie_codes(judge)
    if code.max(initial=0) >= _BINS:
        count = np.bincount(code)
        middle = np.cumsum(count) - (count + 1) / 2
        code = np.floor(middle * _BINS / len(judge)).astype(np.int64)[code]
    bins = []
    for one in np.unique(code):
        own = code == one
        n = int(own.sum())
        error = float(human[own].std(ddof=1)) / math.sqrt(n) if n > 1 else None
        bins.append(Bin(float(judge[own].mean()), float(human[own].mean()), error, n))
    return tuple(bins)
