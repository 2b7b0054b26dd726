"""Statistics of one measure: the judge's scores against the mean ratings of people."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from calibration.agreement.correlation import spearman, tie_codes
from calibration.agreement.icc import intraclass_correlations
from calibration.agreement.levels import (
    Levels,
    LevelValue,
    held_out_mean_levels,
    level_correlations,
)
from calibration.agreement.pairwise_accuracy import soft_pairwise_accuracy, tie_calibrated_accuracy
from calibration.errors_of_fit import point_errors, quadratic_kappa
from calibration.intervals import clustered_mean
from calibration.resampling.bootstrap import CrossedBootstrap
from calibration.resampling.jackknife import Jackknife
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
from judge.analysis.agreement.data import GroupCodes, MeasureScores, purpose_rng
from judge.analysis.judgment_table import finite_or_none

__all__ = [
    "NO_ORDER",
    "Resamples",
    "confusion",
    "correlation",
    "correlations",
    "errors",
    "estimate",
    "intraclass",
    "jackknife_interval",
    "kappa",
    "left_out_systems",
    "level_estimates",
    "of_a_constant",
    "reliability_curve",
    "sentinels",
    "soft_pairwise",
    "system_points",
]

_SPLIT_ROWS = 40_000
"""About so many dialogues are compared with held-out means; more would only cost time."""

_RESAMPLED: dict[Coefficient, Statistic] = {"spearman": "spearman", "pearson": "pearson"}

_BINS = 10
_MOST_LABELS = 11
"""A confusion matrix of more labels does not fit on a page."""


NO_ORDER = Interval(
    None,
    None,
    "",
    reason="no interval is known that holds for the order of systems that are all there is: "
    "resampled means have more noise than the means themselves",
)
"""In place of one between systems that are fixed."""


class Resamples(NamedTuple):
    """What the intervals of one measure are made of.

    Attributes:
        jackknife: of all levels but the systems.
        bootstrap: of the means of the systems, of several measures.
        target: the position of the measure among them.
        confidence: of the intervals.
    """

    jackknife: Jackknife
    bootstrap: CrossedBootstrap
    target: int
    confidence: float

    def interval(self, statistic: Statistic, level: Level = "all") -> Interval:
        """The interval of a statistic."""
        if level != "systems":
            return jackknife_interval(self.jackknife, statistic, level, self.confidence)
        if self.bootstrap.systems_fixed:
            return NO_ORDER
        ends = self.bootstrap.interval(statistic, level, self.target, confidence=self.confidence)
        return Interval(
            finite_or_none(ends.lower),
            finite_or_none(ends.upper),
            "bootstrap percentile",
            ends.undefined,
            ends.reason,
        )


def jackknife_interval(
    found: Jackknife, statistic: Statistic, level: Level, confidence: float
) -> Interval:
    """The interval of a statistic at a level other than the systems."""
    ends = found.interval(statistic, level, confidence)
    lower, upper = finite_or_none(ends.lower), finite_or_none(ends.upper)
    return Interval(lower, upper, "crossed jackknife", reason=ends.reason)


def estimate(
    value: float,
    n: int,
    *,
    groups: int = 1,
    undefined: int = 0,
    interval: Interval | None = None,
    reason: str = "",
) -> Estimate:
    """The `Estimate` of a value that may be NaN: then without interval, else without reason."""
    if math.isnan(value):
        return Estimate(None, n, groups, undefined, None, reason)
    return Estimate(float(value), n, groups, undefined, interval)


def level_estimates(
    values: Levels, resamples: Resamples | None = None, statistic: Statistic | None = None
) -> dict[Level, Estimate]:
    """A correlation at every level; with intervals if `resamples` have this statistic."""
    intervals: dict[Level, Interval] = {}
    if resamples is not None and statistic is not None:
        intervals = {level: resamples.interval(statistic, level) for level in LEVELS}
    found = {
        level: _level_estimate(getattr(values, level), intervals.get(level)) for level in LEVELS
    }
    if found["systems"].n == 2:  # a coin meets their order half the time, and then has rho 1
        found["systems"] = Estimate(None, 2, reason="two systems have but two orders")
    return found


def correlations(
    measure: MeasureScores, groups: GroupCodes, resamples: Resamples | None
) -> dict[Coefficient, dict[Level, Estimate]]:
    """Every coefficient at every level; Spearman and Pearson with bootstrap intervals."""
    return {
        coefficient: correlation(measure, groups, resamples, coefficient)
        for coefficient in COEFFICIENTS
    }


def correlation(
    measure: MeasureScores,
    groups: GroupCodes,
    resamples: Resamples | None,
    coefficient: Coefficient = "spearman",
) -> dict[Level, Estimate]:
    """One coefficient at every level."""
    values = level_correlations(
        measure.judge, measure.human, groups.system, groups.item, coefficient
    )
    return level_estimates(values, resamples, _RESAMPLED.get(coefficient))


def sentinels(
    measure: MeasureScores,
    groups: GroupCodes,
    length: NDArray[np.float64],
    rng: Callable[[str], np.random.Generator],
) -> tuple[Sentinel, ...]:
    """Spearman of scores that cannot know how good a dialogue is, on the same dialogues.

    Args:
        measure: its judge scores are replaced.
        length: (n,) length of the replies; without this sentinel if all are NaN.
        rng: name of a sentinel -> its random generator.
    """
    human = np.where(measure.both, measure.human, np.nan)
    found = []
    if not np.isnan(length).all():
        found.append(_length_sentinel(length, human, groups))
    of_items = len(groups.clusters) == 1  # then characters stand for items
    for name, group, other in (
        ("item mean" if of_items else "character mean", groups.character, groups.system),
        ("system mean", groups.system, groups.item),
    ):
        values = held_out_mean_levels(
            human,
            group,
            other,
            groups.system,
            groups.item,
            rng(name),
            splits=min(20, max(2, _SPLIT_ROWS // max(len(human), 1))),
        )
        found.append(Sentinel(name, level_estimates(values)))
    # At the level of systems, the mean of half the dialogues would show how reliable people are,
    # not what a score is worth that has read no dialogue.
    levels = found[-1].levels
    trivial = estimate(math.nan, levels["systems"].n, reason="it is people's own mean")
    return (*found[:-1], Sentinel("system mean", {**levels, "systems": trivial}))


def system_points(measure: MeasureScores, groups: GroupCodes) -> tuple[SystemPoint, ...]:
    """The systems that have a dialogue with both scores, by falling human mean, then by name."""
    points = []
    for code, name in enumerate(groups.systems):
        own = measure.both & (groups.system == code)
        if not own.any():
            continue
        judge, human = (
            clustered_mean(side[own], *groups.clusters[:, own])
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
    # Rounded, so that means that differ in their last bits only are in the order of names.
    return tuple(sorted(points, key=lambda point: (-round(point.human, 9), point.system)))


def left_out_systems(
    measure: MeasureScores, groups: GroupCodes, points: tuple[SystemPoint, ...]
) -> tuple[LeftOutSystem, ...]:
    """Spearman without each system, in the order of `points`."""
    found = []
    for point in points:
        rest = measure.both & (groups.system != groups.systems.index(point.system))
        levels = level_estimates(
            level_correlations(
                measure.judge[rest], measure.human[rest], groups.system[rest], groups.item[rest]
            )
        )
        found.append(
            LeftOutSystem(point.system, levels["all"], levels["within_item"], levels["systems"])
        )
    return tuple(found)


def errors(measure: MeasureScores, resamples: Resamples | None) -> dict[str, Estimate]:
    """`rmse`, `mae` and `bias` against the mean ratings of the dialogues, in points."""
    judge, human = measure.paired
    n = len(judge)
    if measure.scale_mismatch or not n:
        reason = measure.scale_mismatch or "no dialogue has both scores"
        return dict.fromkeys(("rmse", "mae", "bias"), estimate(math.nan, n, reason=reason))
    values = point_errors(judge, human)
    mae, bias = (None if resamples is None else resamples.interval(s) for s in ("mae", "bias"))
    return {
        "rmse": estimate(values.rmse, n),
        "mae": estimate(values.mae, n, interval=mae),
        "bias": estimate(values.bias, n, interval=bias),
    }


def soft_pairwise(
    measure: MeasureScores, groups: GroupCodes, seed: int
) -> tuple[Estimate, NDArray[np.float64]]:
    """Soft pairwise accuracy, and the p-values of the pairs of systems by people."""
    found = soft_pairwise_accuracy(
        measure.judge,
        measure.human,
        groups.system,
        groups.item,
        purpose_rng(seed, "soft pairwise accuracy", measure.name),
    )
    value = estimate(found.value, found.pairs, undefined=found.undefined, reason=found.reason)
    return value, found.human


def intraclass(
    measure: MeasureScores, points: Sequence[SystemPoint], confidence: float
) -> dict[str, dict[str, Estimate]]:
    """Intraclass correlations of the judge with people, over dialogues and over system means.

    Only those over systems have intervals, which assume independent rows: dialogues are not.
    """
    tables = {
        "all": np.stack(measure.paired, axis=1),
        "systems": np.array([(point.judge, point.human) for point in points]).reshape(-1, 2),
    }
    return {
        level: dict(_intraclass(rows, measure.scale_mismatch, confidence, level))
        for level, rows in tables.items()
    }


def _intraclass(
    rows: NDArray[np.float64], mismatch: str, confidence: float, level: str
) -> Iterator[tuple[str, Estimate]]:
    found = intraclass_correlations(rows, confidence)
    for name, icc in (
        ("ICC(A,1)", found.absolute),
        ("ICC(C,1)", found.consistency),
        ("ICC(A,k)", found.absolute_mean),
    ):
        interval = Interval(icc.lower, icc.upper, "McGraw-Wong")
        if not math.isfinite(icc.lower + icc.upper):
            interval = Interval(None, None, "McGraw-Wong", reason="too few systems for an interval")
        reason = mismatch or found.reason
        if math.isnan(icc.value):
            reason = reason or "the two sides disagree so much that the estimate lies outside -1..1"
        yield (
            name,
            estimate(
                math.nan if reason else icc.value,
                len(rows),
                interval=interval if level == "systems" else None,
                reason=reason,
            ),
        )


def of_a_constant(
    measure: MeasureScores, groups: GroupCodes, human_p: NDArray[np.float64]
) -> dict[str, Estimate]:
    """What one and the same score for every dialogue gets at best; see `MeasureAgreement`.

    Args:
        human_p: the p-values of pairs of systems by people. Those of a constant judge are .5.
    """
    judge, human = measure.paired
    found = {}
    if len(human) and not measure.scale_mismatch:
        centred = human - human.mean()
        found["mae"] = estimate(float(np.abs(human - np.median(human)).mean()), len(human))
        found["rmse"] = estimate(math.sqrt(float((centred**2).mean())), len(human))
    if len(human_p):
        found["soft_pairwise"] = estimate(1 - float(np.abs(human_p - 0.5).mean()), len(human_p))
    both = measure.both
    ties = tie_calibrated_accuracy(
        np.zeros(len(judge)), human, groups.system[both], groups.item[both]
    )
    if ties.pairs:
        found["pairwise"] = estimate(ties.at_zero, ties.pairs)
    return found


def kappa(measure: MeasureScores) -> Estimate:
    """Quadratic kappa of the rounded judge with single ratings, over all labels of the scale."""
    n = int(measure.used.sum())
    if reason := _no_labels(measure):
        return estimate(math.nan, n, reason=reason)
    value = quadratic_kappa(
        measure.judge[measure.dialogue[measure.used]],
        measure.rating[measure.used],
        int(measure.low),
        int(measure.high),
    )
    return estimate(value.value, value.n, reason=value.reason)


def confusion(measure: MeasureScores) -> tuple[tuple[int, ...], ...]:
    """`[human][judge]` counts of single ratings and the rounded judge; () without labels."""
    size = int(measure.high - measure.low) + 1
    if _no_labels(measure) or not measure.used.any() or size > _MOST_LABELS:
        return ()
    human = (measure.rating[measure.used] - measure.low).astype(np.int64)
    judge = (measure.rounded[measure.dialogue[measure.used]] - measure.low).astype(np.int64)
    counts = np.bincount(human * size + judge, minlength=size**2).reshape(size, size)
    return tuple(map(tuple, counts.tolist()))


def reliability_curve(measure: MeasureScores) -> tuple[Bin, ...]:
    """Ten bins of judge scores with about equally many dialogues; fewer for fewer distinct scores.

    Equal judge scores are in one bin.
    """
    judge, human = measure.paired
    code = tie_codes(judge)
    if code.max(initial=0) >= _BINS:
        count = np.bincount(code)
        middle = np.cumsum(count) - (count + 1) / 2
        code = np.floor(middle * _BINS / len(judge)).astype(np.int64)[code]
    bins = []
    for number in np.unique(code):
        own = code == number
        n = int(own.sum())
        error = float(human[own].std(ddof=1)) / math.sqrt(n) if n > 1 else None
        bins.append(Bin(float(judge[own].mean()), float(human[own].mean()), error, n))
    return tuple(bins)


def _level_estimate(value: LevelValue, interval: Interval | None) -> Estimate:
    return estimate(
        value.value,
        value.n,
        groups=value.groups,
        undefined=value.undefined,
        interval=interval,
        reason=value.reason,
    )


def _length_sentinel(
    length: NDArray[np.float64], human: NDArray[np.float64], groups: GroupCodes
) -> Sentinel:
    if np.isnan(length + human).all():
        unknown = estimate(math.nan, 0, reason="no reply's text is known")
        return Sentinel("reply length", dict.fromkeys(LEVELS, unknown))
    values = level_correlations(length, human, groups.system, groups.item)
    return Sentinel("reply length", level_estimates(values))


def _no_labels(measure: MeasureScores) -> str:
    """Why the scores are not whole labels of one scale; "" if they are."""
    if measure.kind != "metric":
        return "a mean of metrics is no label"
    if measure.scale_mismatch:
        return measure.scale_mismatch
    return "" if measure.whole_labels else "the ratings are not whole labels"
