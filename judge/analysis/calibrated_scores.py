"""Calibrated scores: the judgments of a run on the human scale of a calibration file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from calibration.arrays import Codes, Floats
from calibration.calibrators import Ordinal, Ridge
from calibration.calibrators.ridge import filled_cells
from calibration.conformal import item_intervals
from calibration.intervals import clustered_mean
from calibration.ppi import RaterShares, label_gap, powered_mean
from calibration.unseen_system import unseen_system_mean
from judge.analysis.fit_calibration import RAW
from judge.analysis.judgment_table import JudgmentTable, judgment_table, system_means
from judge.analysis.results import (
    OVERALL,
    CalibratedMean,
    CalibratedMetric,
    CalibratedResults,
    Results,
    SystemResults,
)
from judge.calibration_file import Calibration, Fit, adds_nothing
from judge.errors import DataError
from judge.ratings import Ratings, join_ratings, mean_ratings
from judge.types import Judgment

__all__ = ["CalibratedScores", "ItemKey", "ItemScore", "apply_calibration"]

_BY_LOT = 0.01
"""A p-value below which rated dialogues do not look drawn by lot."""

ItemKey = tuple[str, str, str, str]
"""System, character, scenario and metric."""


class ItemScore(NamedTuple):
    """One metric of one dialogue on the human scale.

    Attributes:
        score: the expected rating.
        lower, upper: the interval in which one rating should lie, in whole labels; None where the
            calibration has no interval.
    """

    score: float
    lower: int | None
    upper: int | None


class CalibratedScores(NamedTuple):
    """Results with calibrated means, in their order, and calibrated scores of dialogues.

    Attributes:
        items: the calibrated score of each metric of each dialogue.
        overall: system -> character and scenario -> the mean over all metrics, where all have one.
    """

    results: Results
    items: Mapping[ItemKey, ItemScore]
    overall: Mapping[str, Mapping[tuple[str, str], float]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, eq=False)
class _Applied:
    """A calibration applied to the judgments of a run.

    Attributes:
        table: the judgments, with n dialogues and the M metrics of the calibration.
        scores: (n, M) calibrated scores, NaN where there is none.
        human: the ratings of dialogues of systems that the calibration has not seen; None without.
    """

    table: JudgmentTable
    scores: Floats
    calibration: Calibration
    human: _HumanScores | None


@dataclass(frozen=True, slots=True, eq=False)
class _HumanScores:
    """Ratings beside the n dialogues and M metrics of a table.

    Attributes:
        mean: (n, M) mean ratings, NaN where there is none.
        row, column, rater, score: of each single rating; rater -1 is unknown.
    """

    mean: Floats
    row: Codes
    column: Codes
    rater: Codes
    score: Floats

    def shares(self, rows: NDArray[np.bool_], columns: Sequence[int]) -> RaterShares:
        """The ratings of the dialogues `rows` that have one of each of the metrics `columns`."""
        complete = rows & ~np.isnan(self.mean[:, columns]).any(axis=1)
        use = complete[self.row] & np.isin(self.column, columns)
        row, column = self.row[use], self.column[use]
        entry = row * self.mean.shape[1] + column
        count = np.bincount(entry, minlength=self.mean.size)[entry]
        position = np.cumsum(rows) - 1
        weight = 1 / (count * len(columns))
        return RaterShares(position[row], self.rater[use], self.score[use], weight)


def apply_calibration(
    results: Results,
    calibration: Calibration,
    judgments: Sequence[Judgment],
    ratings: Ratings | None = None,
) -> CalibratedScores:
    """Results with every measure on the human scale too, where the calibration has a map for it.

    Args:
        results: of these judgments. Whether the calibration was made for their judge, rubric and
            prompts is not checked here: see `calibration_file.refuse_mismatch`.
        ratings: of some dialogues of systems that the calibration has not seen; they make the
            intervals of these systems narrower.

    Raises:
        DataError: the ratings are on another scale, or of no such system.
    """
    table = judgment_table(judgments, calibration.metrics, len(calibration.labels))
    scores = np.full(table.score.shape, np.nan)
    for column, metric in enumerate(calibration.metrics):
        fit = calibration.fits.get(metric)
        calibrator = None if fit is None else fit.load()
        if calibrator is not None:
            scores[:, column] = calibrator.predict(table.probs)
    human = None if ratings is None else _human_scores(table, calibration, ratings)
    applied = _Applied(table, scores, calibration, human)
    means = {
        system.system: {
            name: _mean(applied, system.system, results.parts(name)) for name in system.measures
        }
        for system in results.systems
    }
    verdict = adds_nothing({metric: fit.reason for metric, fit in calibration.fits.items()})
    notes = (*([verdict] if verdict else []), *calibration.notes, *_notes(applied, means))
    calibrated = CalibratedResults(
        kind=calibration.kind,
        source=calibration.source,
        sha256=calibration.sha256,
        created=calibration.created,
        scale=calibration.scale,
        confidence=calibration.confidence,
        fitted=calibration.systems,
        metrics=tuple(_metric(metric, calibration.fits.get(metric)) for metric in results.metrics),
        means=means,
        labels="" if ratings is None else Path(next(iter(ratings.sources))).name,
        notes=tuple(note for note in notes if note not in results.notes),
    )
    systems = results.systems
    if calibrated.orders:
        systems = tuple(sorted(systems, key=partial(_calibrated_order, calibrated)))
    return CalibratedScores(
        replace(results, systems=systems, calibration=calibrated),
        _items(applied),
        _overall(applied, results.metrics),
    )


def _calibrated_order(calibration: CalibratedResults, system: SystemResults) -> tuple[bool, float]:
    """Highest calibrated overall score first, systems without one last."""
    overall = calibration.mean(system.system, OVERALL)
    mean = None if overall is None else overall.mean
    return mean is None, -(mean or 0)


def _overall(applied: _Applied, metrics: Sequence[str]) -> dict[str, dict[tuple[str, str], float]]:
    """The mean calibrated score of each dialogue that has one of every metric."""
    if not set(metrics) <= set(applied.table.metrics):
        return {}
    scores = applied.scores[:, applied.table.columns(metrics)].mean(axis=1)
    found: dict[str, dict[tuple[str, str], float]] = {}
    for dialogue, score in zip(applied.table.dialogue_ids, scores.tolist(), strict=True):
        if not np.isnan(score):
            system, character, scenario = dialogue
            found.setdefault(system, {})[character, scenario] = score
    return found


def _mean(applied: _Applied, system: str, parts: Sequence[str]) -> CalibratedMean:
    """The calibrated mean of one measure: like raw scores, the mean of its metrics per dialogue."""
    fits = applied.calibration.fits
    if any(part not in fits or fits[part].calibrator is None for part in parts):
        reason = "not all its metrics are calibrated"
        if len(parts) == 1:
            reason = f"no calibration of {parts[0]}"
        return CalibratedMean(0, None, None, None, "new", reason=reason)
    columns = applied.table.columns(parts)
    scores = applied.scores[:, columns].mean(axis=1)
    rows = (applied.table.systems == system) & ~np.isnan(scores)
    n = int(rows.sum())
    if not n:
        return CalibratedMean(0, None, None, None, "new", reason="no dialogue was scored")
    mean = float(scores[rows].mean())
    if any(system in fits[part].shifts for part in parts):
        reason = "no interval for a fitted system: its own human scores are the better evidence"
        return CalibratedMean(n, mean, None, None, "fitted", reason=reason)
    powered = _powered(applied, rows, columns, scores)
    if powered is not None:
        return powered
    # The shifts of a mean of metrics: of each system that all metrics have, the mean shift.
    common = set.intersection(*(set(fits[part].shifts) for part in parts))
    shifts = [float(np.mean([fits[p].shifts[name] for p in parts])) for name in sorted(common)]
    table = applied.table
    ways = [labels[rows] for labels in (table.characters, table.scenarios)]
    ways = [labels for labels in ways if len(np.unique(labels)) > 1]
    error = clustered_mean(scores[rows], *ways).standard_error if ways else np.nan
    if np.isnan(error):
        reason = "too few characters and scenarios to tell how far the mean of a system can be off"
        return CalibratedMean(n, mean, None, None, "new", reason=reason)
    new = unseen_system_mean(mean, shifts, applied.calibration.confidence, standard_error=error)
    if new.reason:
        return CalibratedMean(n, mean, None, None, "new", reason=new.reason)
    return CalibratedMean(n, mean, new.lower, new.upper, "new")


def _powered(
    applied: _Applied, rows: NDArray[np.bool_], columns: Sequence[int], scores: Floats
) -> CalibratedMean | None:
    """The prediction-powered mean, from ratings of the system's own dialogues; None without any."""
    if applied.human is None or np.isnan(applied.human.mean[rows][:, columns]).all():
        return None
    human = applied.human.mean[:, columns].mean(axis=1)[rows]
    powered = powered_mean(
        human,
        scores[rows],
        applied.table.characters[rows],
        applied.table.scenarios[rows],
        confidence=applied.calibration.confidence,
        shares=applied.human.shares(rows, columns),
    )
    n = int(rows.sum())
    if not powered.labelled:
        # The means of its metrics use ratings; a mean without them would contradict those.
        reason = "no dialogue has ratings of all its metrics"
        return CalibratedMean(n, None, None, None, "labelled", reason=reason)
    if powered.reason:
        reason = f"no interval from these ratings: {powered.reason}"
        return CalibratedMean(n, powered.mean, None, None, "labelled", powered.labelled, reason)
    return CalibratedMean(
        n, powered.mean, powered.lower, powered.upper, "labelled", powered.labelled
    )


def _items(applied: _Applied) -> dict[ItemKey, ItemScore]:
    if applied.calibration.kind == "published":
        return {}
    low, high = applied.calibration.scale
    items: dict[ItemKey, ItemScore] = {}
    for column, metric in enumerate(applied.table.metrics):
        fit = applied.calibration.fits.get(metric)
        rows = np.flatnonzero(~np.isnan(applied.scores[:, column]))
        scores = applied.scores[rows, column]
        lower: list[int | None] = [None] * len(rows)
        upper = lower
        if fit is not None and fit.radius is not None:
            ends = item_intervals(scores, fit.radius, low=low, high=high)
            lower, upper = ends.lower.astype(int).tolist(), ends.upper.astype(int).tolist()
        for row, *score in zip(rows.tolist(), scores.tolist(), lower, upper, strict=True):
            items[(*applied.table.dialogue_ids[row], metric)] = ItemScore(*score)
    return items


def _human_scores(table: JudgmentTable, calibration: Calibration, ratings: Ratings) -> _HumanScores:
    """The ratings of dialogues of systems that no map has seen."""
    path = Path(next(iter(ratings.sources)))
    if (ratings.scale.low, ratings.scale.high) != calibration.scale:
        raise DataError(
            f"its scale {ratings.scale} is not that of the calibration, "
            f"{calibration.scale[0]}-{calibration.scale[1]}",
            path=path,
            hint="ratings of new systems have to be on the scale that was calibrated to",
        )
    known = set(calibration.systems)
    joined = join_ratings(ratings, table.dialogue_ids, table.metrics)
    fitted = np.array([dialogue.system in known for dialogue in ratings.dialogues], dtype=np.bool_)
    use = joined.both & ~fitted[ratings.dialogue]
    if not use.any():
        raise DataError(
            "none of its ratings is of a dialogue here whose system the calibration has not seen",
            path=path,
            hint=f"the calibration was fitted to {', '.join(sorted(known))}",
        )
    row, column, score = joined.row[use], joined.column[use], ratings.score[use]
    mean = mean_ratings(row, column, score, table.score.shape)
    return _HumanScores(mean, row, column, ratings.rater[use].astype(np.int64), score)


def _metric(metric: str, fit: Fit | None) -> CalibratedMetric:
    if fit is None:
        return CalibratedMetric(metric, "", reason="the calibration was not made for it")
    calibrator = fit.load()
    if calibrator is None:
        return CalibratedMetric(metric, "", reason=fit.reason)
    details, notes = fit.details, tuple(fit.details.get("notes", ()))
    if "ladder" not in details:  # a line to published means
        return CalibratedMetric(
            metric,
            "line",
            before=details["error_raw"],
            after=details["error_line"],
            keeps_order=True,
            notes=notes,
        )
    candidates: dict[str, Mapping[str, Any]] = {row["rung"]: row for row in details["ladder"]}
    before, after = candidates[RAW], candidates[calibrator.name]
    coverage = details["item_intervals"].get("held_out_coverage")
    if coverage:
        notes = (*notes, f"its intervals for one rating cover least in {_least(coverage)}")
    return CalibratedMetric(
        metric,
        calibrator.name,
        before=before["mae"],
        after=after["mae"],
        bias_before=before["bias"],
        bias_after=after["bias"],
        keeps_order=calibrator.rank_invariant,
        radius=fit.radius,
        coverage=(min(coverage.values()), max(coverage.values())) if coverage else None,
        notes=notes,
    )


def _least(coverage: Mapping[str, float]) -> str:
    worst = min(coverage, key=lambda system: coverage[system])
    return f"{worst} ({coverage[worst]:.0%})"


def _notes(applied: _Applied, means: Mapping[str, Mapping[str, CalibratedMean]]) -> Iterator[str]:
    table, fits = applied.table, applied.calibration.fits
    beyond: dict[str, list[str]] = {}
    for system, raw in system_means(table).items():
        for metric, mean in zip(table.metrics, raw.tolist(), strict=True):
            calibrated = means[system].get(metric)
            if calibrated is None or calibrated.mean is None or calibrated.basis != "new":
                continue
            seen = fits[metric].details["judged_means"].values()
            if not min(seen) <= mean <= max(seen):
                beyond.setdefault(system, []).append(metric)
    if beyond:
        where = "; ".join(f"{system} ({', '.join(metrics)})" for system, metrics in beyond.items())
        yield (
            "A raw mean beyond those of the systems that were fitted, where a calibration is a "
            f"guess: {where}."
        )
    if applied.human is not None:
        yield from _not_by_lot(applied, applied.human.mean)
    for metric, fit in fits.items():
        if not isinstance(fit.load(), Ridge | Ordinal):
            continue
        filled = filled_cells(table.probs, table.metrics.index(metric))
        if filled:
            yield (
                f"{metric}: {filled} dialogues lack another metric that its calibration reads; the "
                "average of the dialogues that were rated stands in."
            )


def _not_by_lot(applied: _Applied, human: Floats) -> Iterator[str]:
    """Systems whose rated dialogues have other judge scores than the rest."""
    table, found = applied.table, []
    for system in np.unique(table.systems).tolist():
        for column, metric in enumerate(table.metrics):
            rows = (table.systems == system) & ~np.isnan(table.score[:, column])
            ways = table.characters[rows], table.scenarios[rows]
            gap = label_gap(~np.isnan(human[rows, column]), table.score[rows, column], *ways)
            if gap.p < _BY_LOT:
                found.append(f"{system}, {metric} ({gap.difference:+.2f})")
    if found:
        yield (
            "The rated dialogues have other judge scores than the unrated ones, so that they do "
            f"not look drawn by lot; these intervals can miss: {'; '.join(found)}."
        )
