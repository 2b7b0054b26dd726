"""A calibration fitted to human ratings of what a run has judged."""

from __future__ import annotations

import importlib.metadata
import math
import multiprocessing
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.calibrators import CANDIDATES, Calibrator, CannotFitError, Ordinal, Sample
from calibration.conformal import guaranteed_radius, held_out_coverage, pooled_radius
from calibration.errors_of_fit import reliability_curve
from calibration.selection import CandidateErrors, Selection, pair_accuracy, select
from calibration.unseen_system import system_shifts
from judge import __version__
from judge.analysis.judgment_table import Distributions, distributions
from judge.analysis.reply_diversity import dialogue_judgments
from judge.calibration_file import Calibration, Fit, MadeWith
from judge.errors import DataError, UsageError
from judge.ratings import Cell, Ratings, compare, join_ratings
from judge.types import Judgment, Rubric

__all__ = [
    "AUTO",
    "RAW",
    "RatedMetric",
    "calibrate",
    "chosen_metrics",
    "fit_metric",
    "judged_metrics",
    "now",
    "plain",
    "versions",
]

AUTO = "auto"
"""The rung is chosen by the one-standard-error rule."""

RAW = "expected"
"""The rung that is the raw score: what a calibration is compared with."""

_LEAST = 2
"""Fewer systems than this leave none to choose by."""

_PARALLEL_FROM = 30_000
"""With fewer ratings than this a second process costs more than it saves."""


def calibrate(
    judgments: Sequence[Judgment],
    rubric: Rubric,
    ratings: Ratings,
    made_with: MadeWith,
    *,
    metrics: Sequence[str] = (),
    rung: str = AUTO,
    confidence: float = 0.9,
    notes: Sequence[str] = (),
) -> Calibration:
    """Join, and fit every metric that was judged; where one cannot be fitted, its `Fit` says why.

    Args:
        judgments: of one run, or of several made alike.
        rubric: what they were asked with.
        ratings: on a scale whose ends are whole numbers.
        made_with: what gave the judgments.
        metrics: fit these only. The maps read the distributions of all that were judged.
        rung: the name of one, or `AUTO`.
        confidence: of the intervals, between 0 and 1.
        notes: what the calibration has to say besides its own.

    Raises:
        UsageError: a metric that was not judged, or a scale that does not fit.
        DataError: no rating belongs to anything that was judged.
        StoreError: two judgments of the same thing.
    """
    judged = distributions(judgments, judged_metrics(judgments, rubric), len(rubric.labels))
    wanted = chosen_metrics(metrics, judged.metrics)
    scale = _scale(ratings)
    counts = _counts(judged, ratings)
    rated = [_rated(judged, ratings, metric, scale) for metric in wanted]
    fits = dict(zip(wanted, _fit_all(rated, rung, confidence), strict=True))
    path, digest = next(iter(ratings.sources.items()))
    return Calibration(
        kind="ratings",
        made_with=made_with,
        source=Path(path).name,
        sha256=digest,
        labels=rubric.labels,
        metrics=judged.metrics,
        scale=scale,
        confidence=confidence,
        fits=fits,
        counts=counts,
        notes=(*notes, *_notes(judged, ratings, wanted)),
        created=now(),
        versions=versions(),
    )


def judged_metrics(judgments: Sequence[Judgment], rubric: Rubric) -> tuple[str, ...]:
    """The metrics of dialogues that were judged, in the rubric's order."""
    asked = {judgment.metric for judgment in dialogue_judgments(judgments, rubric)}
    return tuple(metric.name for metric in rubric.metrics if metric.name in asked)


def chosen_metrics(wanted: Sequence[str], judged: Sequence[str]) -> tuple[str, ...]:
    """Those of `judged` that are wanted; all if none is named.

    Raises:
        UsageError: one that was not judged.
    """
    unknown = [metric for metric in wanted if metric not in judged]
    if unknown:
        raise UsageError(
            f"--metrics: {', '.join(unknown)} was not judged",
            hint=f"there are {', '.join(judged)}",
        )
    return tuple(metric for metric in judged if not wanted or metric in wanted)


def now() -> str:
    """The time in ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def versions() -> dict[str, str]:
    """Of this program, of Python and of the libraries that fit."""
    libraries = ("numpy", "scipy", "scikit-learn")
    found = {library: importlib.metadata.version(library) for library in libraries}
    return {"esrp-judge": __version__, "python": platform.python_version(), **found}


def _scale(ratings: Ratings) -> tuple[int, int]:
    low, high, _ = ratings.scale
    if low != round(low) or high != round(high):
        raise UsageError(
            f"--scale {ratings.scale}: its ends are not whole numbers",
            hint="multiply the ratings until they are",
        )
    return round(low), round(high)


def _counts(judged: Distributions, ratings: Ratings) -> dict[str, int]:
    """What was joined, and what was not, from either side."""
    cells = [Cell(*cell) for cell in judged.cells]
    scored = judged.scored
    pairs = {(cells[row], judged.metrics[column]) for row, column in np.argwhere(scored).tolist()}
    joined = compare(ratings, cells, pairs)
    assert joined.judged is not None  # noqa: S101 - judge scores were given
    assert joined.matched is not None  # noqa: S101 - the same
    if not joined.judged:
        raise DataError(
            "no rating in it belongs to a judge score of these runs",
            path=Path(next(iter(ratings.sources))),
            hint=f"the first: {joined.unknown[0]}"
            if joined.unknown
            else f"they rate {', '.join(ratings.metrics)}; judged were {', '.join(judged.metrics)}",
        )
    return {
        "ratings": len(ratings),
        "ratings_refused": len(ratings.faults),
        "ratings_used": joined.judged,
        "ratings_without_judge_score": len(ratings) - joined.judged,
        "judge_scores": len(pairs),
        "judge_scores_rated": joined.matched,
        "judge_scores_without_rating": len(pairs) - joined.matched,
        "dialogues_judged": len(cells),
        "dialogues_rated": joined.dialogues,
        "raters": len(ratings.raters),
    }


def _rated(
    judged: Distributions, ratings: Ratings, metric: str, scale: tuple[int, int]
) -> RatedMetric:
    joined = join_ratings(ratings, judged.cells, [metric])
    use = joined.both
    system, character, scenario = map(judged.names, range(3))
    return RatedMetric(
        probs=judged.probs,
        target=judged.metrics.index(metric),
        scores=ratings.score[use],
        cells=joined.row[use],
        raters=ratings.rater[use].astype(np.int64),
        system=system,
        character=character,
        scenario=scenario,
        scale=scale,
    )


def _fit_all(rated: Sequence[RatedMetric], rung: str, confidence: float) -> list[Fit]:
    fit = partial(fit_metric, rung=rung, confidence=confidence)
    workers = min(os.cpu_count() or 1, len(rated))
    if workers < 2 or sum(len(one.scores) for one in rated) < _PARALLEL_FROM:
        return [fit(one) for one in rated]
    # Forking a process that has threads, as numpy's may, can hang.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=spawn) as pool:
        return list(pool.map(fit, rated))


def _notes(judged: Distributions, ratings: Ratings, wanted: Sequence[str]) -> Iterator[str]:
    strange = [metric for metric in ratings.metrics if metric not in judged.metrics]
    if strange:
        yield f"Rated, but not judged: {', '.join(strange)}."
    unrated = [metric for metric in wanted if metric not in ratings.metrics]
    if unrated:
        yield f"Judged, but not rated: {', '.join(unrated)}."
    if ratings.aside:
        rows = ", ".join(f"{kind or 'blank'} {n}" for kind, n in ratings.aside.items())
        yield f"Left aside, as no person gave them (rater_type): {rows}."


@dataclass(frozen=True, slots=True, eq=False)
class RatedMetric:
    """The ratings of one metric beside the judge's distributions of all metrics.

    Attributes:
        probs: (n, metrics, labels) of all dialogues judged.
        target: the metric's position.
        scores, cells, raters: (ratings,) on the scale; which dialogue; who, -1 unknown.
        system, character, scenario: (n,) names.
        scale: the ends of the human scale.
    """

    probs: NDArray[np.float64]
    target: int
    scores: NDArray[np.float64]
    cells: NDArray[np.int64]
    raters: NDArray[np.int64]
    system: NDArray[np.str_]
    character: NDArray[np.str_]
    scenario: NDArray[np.str_]
    scale: tuple[int, int]


def fit_metric(rated: RatedMetric, rung: str, confidence: float) -> Fit:
    """Choose a rung, fit it to all ratings, and measure it on systems it has not seen.

    Args:
        rated: the ratings of one metric.
        rung: the name of one, or `AUTO`.
        confidence: of the intervals.
    """
    whole = Sample.of(
        rated.probs,
        rated.target,
        rated.scores,
        rated.cells,
        raters=rated.raters,
        groups=rated.system,
        scale=rated.scale,
    )
    usable = whole.usable
    system = rated.system[usable]
    reason = _too_little(whole, system)
    if reason:
        return Fit(None, reason)
    sample = whole.fitting()
    try:
        selection = select(sample)
        chosen = selection.chosen if rung == AUTO else rung
        calibrator = selection.calibrator if rung == AUTO else CANDIDATES[rung].fit(sample)
    except CannotFitError as error:
        return Fit(None, str(error))
    ladder = {row.candidate: row for row in selection.rows}
    if ladder[chosen].reason:
        return Fit(None, ladder[chosen].reason)
    predicted = selection.out_of_fold[chosen].predicted
    intervals, radius = _item_intervals(sample, predicted, system, confidence)
    of_rung = {chosen: CANDIDATES[chosen]}
    details = {
        "rung": chosen,
        "chosen_by": "the one-standard-error rule" if rung == AUTO else "--rung",
        "rule_chooses": selection.chosen,
        "least_loss": selection.best,
        "rank_invariant": calibrator.rank_invariant,
        "ladder": [_errors_of(row) for row in selection.rows],
        "pairs": pair_accuracy(CANDIDATES[chosen], sample)._asdict(),
        "pairs_before": pair_accuracy(CANDIDATES[RAW], sample)._asdict(),
        "by_character": _held_out(sample, rated.character[usable], of_rung),
        "by_scenario": _held_out(sample, rated.scenario[usable], of_rung),
        "reliability": _reliability(sample, selection, chosen),
        "item_intervals": intervals,
        "judged_means": _raw_means(sample, system),
        "ratings": len(sample.scores),
        "dialogues": len(sample.probs),
        "raters": len(np.unique(sample.raters[sample.raters >= 0])),
        "notes": list(_fit_notes(sample, calibrator)),
    }
    shifts = system_shifts(sample.means - predicted, system)
    return Fit(calibrator.to_dict(), "", shifts, radius, plain(details))


def plain(value: Any) -> Any:
    """Numbers, texts, lists and mappings for JSON; nan, which JSON has not, becomes None."""
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, np.ndarray | list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _errors_of(row: CandidateErrors) -> dict[str, Any]:
    """A row of the table of candidates, as calibration files store it."""
    values = row._asdict()
    return {"rung": values.pop("candidate"), **values}


def _too_little(whole: Sample, systems: NDArray[np.str_]) -> str:
    """Why nothing can be learnt, "" if something can."""
    if not len(whole.scores):
        return "no rating of it belongs to these dialogues"
    if not len(systems):
        return "no dialogue is both judged and rated"
    found = sorted(set(systems.tolist()))
    if len(found) < _LEAST:
        return (
            f"ratings of one system only ({found[0]}): a fit has to be tried on a system that it "
            "has not seen"
        )
    scores = whole.scores[whole.judged[whole.cells]]
    if np.ptp(scores) == 0:
        return f"every rating is {scores[0]:g}: nothing tells one dialogue from another"
    return ""


def _item_intervals(
    sample: Sample, predicted: NDArray[np.float64], system: NDArray[np.str_], confidence: float
) -> tuple[dict[str, Any], float | None]:
    """Both radii, the coverage that was measured, and the radius to use; or why there is none."""
    residuals = np.abs(sample.scores - predicted[sample.cells])
    of = system[sample.cells]
    try:
        pooled = pooled_radius(residuals, of, confidence)
        guaranteed = guaranteed_radius(residuals, of, confidence)
        coverage = held_out_coverage(residuals, of, confidence)
    except ValueError as error:  # too few systems for the confidence, or to hold one out
        return {"reason": str(error)}, None
    facts = {
        "reason": "",
        "pooled": pooled._asdict(),
        "guaranteed": guaranteed._asdict(),
        "held_out_coverage": coverage,
    }
    return facts, pooled.radius


def _held_out(
    sample: Sample, groups: NDArray[np.str_], of_rung: Mapping[str, type[Calibrator]]
) -> dict[str, Any]:
    """The errors of the chosen rung with other groups held out."""
    try:
        return _errors_of(select(sample.by(groups), of_rung).rows[0])
    except CannotFitError as error:
        return {"reason": str(error)}


def _reliability(sample: Sample, selection: Selection, chosen: str) -> dict[str, Any]:
    means = sample.means
    return {
        when: reliability_curve(selection.out_of_fold[rung].predicted, means)._asdict()
        for when, rung in (("before", RAW), ("after", chosen))
    }


def _raw_means(sample: Sample, system: NDArray[np.str_]) -> dict[str, float]:
    """The mean raw score of each system: beyond them a map is not tried."""
    labels = np.arange(1, sample.probs.shape[2] + 1)
    scores = sample.probs[:, sample.target] @ labels
    return {name: float(scores[system == name].mean()) for name in np.unique(system).tolist()}


def _fit_notes(sample: Sample, calibrator: Calibrator) -> list[str]:
    notes = []
    given = set(sample.scores.tolist())
    never = [k for k in range(sample.low, sample.high + 1) if k not in given]
    if never and sample.whole:
        notes.append(f"no one gave {', '.join(map(str, never))}")
    raters = set(sample.raters.tolist())
    if -1 not in raters and len(raters) == 1:
        notes.append("one rater: their severity is part of the scale")
    if isinstance(calibrator, Ordinal) and calibrator.pieces > 1:
        notes.append(
            f"the raters fall into {calibrator.pieces} groups that share no dialogue: their "
            "severities cannot be compared, and are not to be reported"
        )
    if calibrator.learns and not calibrator.rank_invariant and calibrator.name == "linear":
        notes.append("the line does not rise: where the judge scores higher, people score lower")
    return notes
