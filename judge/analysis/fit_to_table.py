"""A calibration of a judge that this program did not run, from a table of its scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from calibration.calibrators import Sample, as_distributions
from calibration.conformal import item_intervals
from judge.analysis.agreement.data import SIMULATED, PairedScores, simulated
from judge.analysis.fit_calibration import AUTO, fit_samples, library_versions
from judge.calibration_file import Calibration, MadeWith
from judge.errors import UsageError
from judge.manifest import utc_now
from judge.ratings import Scale

__all__ = ["TableCalibration", "TableScore", "calibrate_table"]

_MOST_OFF = 0.01
"""The largest share of a judge's scores that may lie off its scale."""

_MOST_LABELS = 20
"""A scale of more whole numbers than this is no rating scale."""


class TableScore(NamedTuple):
    """One score of the judge, on the human scale where its metric has a map."""

    item: str
    system: str
    metric: str
    score: float
    calibrated: float | None
    lower: int | None
    upper: int | None


class TableCalibration(NamedTuple):
    """A calibration, and every score of the judge on the human scale."""

    calibration: Calibration
    scores: tuple[TableScore, ...]


def calibrate_table(
    scores: PairedScores,
    source: tuple[str, str],
    *,
    judge_scale: Scale | None = None,
    candidate: str = AUTO,
    confidence: float = 0.9,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> TableCalibration:
    """Fit a map for every metric of a table that a judge and people have scored.

    Args:
        scores: of one judge, beside people.
        source: name and SHA-256 of the table.
        judge_scale: what the judge's scores may be; None for the scale of people.
        candidate: see `fit_calibration.calibrate`.
        confidence: of every interval.
        progress: told how many metrics are done, of how many.

    Raises:
        UsageError: the scale of people is not one of whole numbers, or more than 1% of the judge's
            scores are off its scale.
    """
    low, high = _scale(scores, judge_scale)
    labels = high - low + 1
    ends = (low, high) if judge_scale is None else (judge_scale.low, judge_scale.high)
    seen = np.interp(scores.score, ends, (low, high))
    on_scale = (scores.score >= ends[0]) & (scores.score <= ends[1])
    of_judge = f"{ends[0]:g}-{ends[1]:g}"
    off = int((~on_scale & ~np.isnan(seen)).sum())
    if off > _MOST_OFF * np.isfinite(seen).sum():
        raise UsageError(
            f"{off:,} of {np.isfinite(seen).sum():,} scores of the judge {scores.judge} are not on "
            f"{of_judge}: they go from {np.nanmin(scores.score):g} to {np.nanmax(scores.score):g}",
            hint="name the judge's own scale: --judge-scale 0-100",
        )
    probs = scores.probs
    if probs is None or probs.shape[2] != labels:
        probs = as_distributions(np.where(on_scale, seen - low + 1, np.nan), labels)
    samples = []
    for column in range(len(scores.metrics)):
        rows = scores.metric == column
        samples.append(
            Sample.of(
                probs,
                column,
                scores.rating[rows] - low + 1,
                scores.dialogue[rows],
                raters=scores.rater[rows],
                groups=scores.system,
            )
        )
    fits = fit_samples(
        samples, (scores.system, scores.character, scores.scenario), candidate, confidence, progress
    )
    notes = [SIMULATED] if simulated(scores.raters) else []
    if off:
        notes.append(f"{off} scores of the judge are not on {of_judge} and were left out.")
    if judge_scale is not None:
        notes.append(f"The judge's scores on {of_judge} were brought to {low}-{high} first.")
    if low != 1:
        notes.append(f"In this file the labels are counted from 1, which stands for {low}.")
    calibration = Calibration(
        kind="ratings",
        made_with=MadeWith(scores.judge, "", "", "", "", "", ""),
        source=source[0],
        sha256=source[1],
        labels=tuple(str(label) for label in range(low, high + 1)),
        metrics=scores.metrics,
        scale=(1, labels),
        confidence=confidence,
        fits=dict(zip(scores.metrics, fits, strict=True)),
        counts={
            "ratings": len(scores.rating),
            "judge_scores": int((~np.isnan(scores.score)).sum()),
            "items_judged": len(scores.score),
            "items_rated": len(np.unique(scores.dialogue)),
            "raters": len(scores.raters),
        },
        notes=(*notes, *scores.notes),
        created=utc_now(),
        versions=library_versions(),
    )
    return TableCalibration(calibration, tuple(_scores(scores, calibration, probs, low)))


def _scale(scores: PairedScores, judge_scale: Scale | None) -> tuple[int, int]:
    """The ends of the scale of all metrics, wide enough for the judge if none was declared."""
    ends = [*scores.scale.values()]
    low, high = min(end[0] for end in ends), max(end[1] for end in ends)
    if not scores.scale_declared and judge_scale is None:
        low = min(low, np.floor(np.nanmin(scores.score)))
        high = max(high, np.ceil(np.nanmax(scores.score)))
    if low != round(low) or high != round(high) or high - low + 1 > _MOST_LABELS or low == high:
        raise UsageError(
            f"people and judge use {low:g} to {high:g}, which is no scale of at most "
            f"{_MOST_LABELS} whole numbers",
            hint="name both scales: --scale 1-5 --judge-scale 0-100",
        )
    return round(low), round(high)


def _scores(
    scores: PairedScores, calibration: Calibration, probs: NDArray[np.float64], low: int
) -> Iterator[TableScore]:
    for column, metric in enumerate(scores.metrics):
        fit = calibration.fits[metric]
        calibrator = fit.load()
        rows = np.flatnonzero(~np.isnan(scores.score[:, column]))
        nothing: Sequence[None] = [None] * len(rows)
        calibrated: Sequence[float | None] = nothing
        ends: tuple[Sequence[int | None], Sequence[int | None]] = (nothing, nothing)
        if calibrator is not None:
            predicted = calibrator.predict(probs[rows])
            calibrated = [_on_scale(value, low) for value in predicted.tolist()]
            if fit.radius is not None:
                interval = item_intervals(predicted, fit.radius, high=calibration.scale[1])
                ends = (_labels(interval.lower, low), _labels(interval.upper, low))
        for row, value, lower, upper in zip(rows.tolist(), calibrated, *ends, strict=True):
            where = (str(scores.character[row]), str(scores.system[row]), metric)
            yield TableScore(*where, float(scores.score[row, column]), value, lower, upper)


def _on_scale(value: float, low: int) -> float | None:
    return None if np.isnan(value) else value + low - 1


def _labels(ends: NDArray[np.float64], low: int) -> list[int | None]:
    return [None if np.isnan(end) else round(end) + low - 1 for end in ends.tolist()]
