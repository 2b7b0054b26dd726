"""Agreement in points of the human scale, for a judge that scores on it; and the curve."""

from __future__ import annotations

import math

import numpy as np

from calibration.agreement.correlation import tie_codes
from calibration.errors_of_fit import point_errors, quadratic_kappa
from calibration.resampling.bootstrap import CrossedBootstrap
from judge.analysis.agreement.figures import figure, interval
from judge.analysis.agreement.measured import Measured
from judge.analysis.agreement.record import Bin, Figure

__all__ = ["confusion", "curve", "errors", "kappa"]

_BINS = 10
_LABELS = 11
"""A confusion matrix of more labels fits on no page."""


def errors(
    measure: Measured, bootstrap: CrossedBootstrap | None, target: int, confidence: float
) -> dict[str, Figure]:
    """`rmse`, `mae` and `bias` against the mean ratings of the dialogues."""
    judge, human = measure.points
    n = len(judge)
    if measure.off or not n:
        nothing = figure(math.nan, n, reason=measure.off or "no dialogue has both scores")
        return dict.fromkeys(("rmse", "mae", "bias"), nothing)
    found = point_errors(judge, human)
    mae, bias = (
        None if bootstrap is None else interval(bootstrap, target, name, "all", confidence)
        for name in ("mae", "bias")
    )
    return {
        "rmse": figure(found.rmse, n),
        "mae": figure(found.mae, n, interval=mae),
        "bias": figure(found.bias, n, interval=bias),
    }


def kappa(measure: Measured) -> Figure:
    """Quadratic kappa of the rounded judge with single ratings, labels fixed to the scale."""
    n = int(measure.used.sum())
    if reason := _no_labels(measure):
        return figure(math.nan, n, reason=reason)
    found = quadratic_kappa(
        measure.judge[measure.cell[measure.used]],
        measure.rating[measure.used],
        int(measure.low),
        int(measure.high),
    )
    return figure(found.value, found.n, reason=found.reason)


def confusion(measure: Measured) -> tuple[tuple[int, ...], ...]:
    """`[human][judge]` counts of single ratings and the rounded judge; () without labels."""
    size = int(measure.high - measure.low) + 1
    if _no_labels(measure) or not measure.used.any() or size > _LABELS:
        return ()
    human = (measure.rating[measure.used] - measure.low).astype(np.int64)
    judge = (measure.rounded[measure.cell[measure.used]] - measure.low).astype(np.int64)
    counts = np.bincount(human * size + judge, minlength=size**2).reshape(size, size)
    return tuple(map(tuple, counts.tolist()))


def _no_labels(measure: Measured) -> str:
    if measure.kind != "metric":
        return "a mean of metrics is no label"
    if measure.off:
        return measure.off
    return "" if measure.whole else "the ratings are not whole labels"


def curve(measure: Measured) -> tuple[Bin, ...]:
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
