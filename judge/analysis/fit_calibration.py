"""A calibration is fitted to human ratings of dialogues that a run has judged."""

from __future__ import annotations

import importlib.metadata
import math
import multiprocessing
import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.calibrators import CANDIDATES, Calibrator, CannotFitError, Ordinal, Sample
from calibration.calibrators.ridge import FOLDS
from calibration.conformal import held_out_coverage, hierarchical_radius, pooled_radius
from calibration.errors_of_fit import reliability_curve
from calibration.selection import FALLS, CandidateErrors, pair_accuracy, select
from calibration.skill import holm, judge_skill
from calibration.unseen_system import system_shifts
from judge import __version__
from judge.analysis.agreement.data import SIMULATED, simulated
from judge.analysis.judgment_table import (
    JudgmentTable,
    chosen_metrics,
    judged_metrics,
    judgment_table,
    metric_notes,
)
from judge.calibration_file import NOTHING, Calibration, Fit, MadeWith
from judge.errors import DataError, UsageError
from judge.manifest import utc_now
from judge.ratings import Ratings, compare, join_ratings
from judge.types import Judgment, Rubric

__all__ = [
    "AUTO",
    "RAW",
    "calibrate",
    "fit_samples",
    "json_values",
    "library_versions",
    "refuse_without_skill",
]

AUTO = "auto"
"""The candidate map is chosen by the one-standard-error rule."""

RAW = "expected"
"""The candidate that leaves the raw score as it is; a calibration is compared with it."""

_MIN_SYSTEMS = 2
"""With fewer systems there is none to hold out, and no map can be chosen."""

_LEVEL, _TOGETHER = 0.05, 0.10
"""Of the test whether the judge adds anything: for each metric, and for all metrics together."""

_PARALLEL_FROM = 30_000
"""With fewer ratings, starting more processes costs more time than it saves."""


def calibrate(
    judgments: Sequence[Judgment],
    rubric: Rubric,
    ratings: Ratings,
    made_with: MadeWith,
    *,
    metrics: Sequence[str] = (),
    candidate: str = AUTO,
    confidence: float = 0.9,
    notes: Sequence[str] = (),
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Calibration:
    """Join ratings to judgments and fit a map for every metric that was judged.

    Where a metric cannot be fitted, its `Fit` gives the reason.

    Args:
        judgments: of one run, or of several with one judge and rubric.
        rubric: the rubric of the judgments.
        ratings: on a scale whose ends are whole numbers.
        made_with: judge, rubric and prompts of the judgments.
        metrics: fit these only. The maps read the distributions of all metrics that were judged.
        candidate: the name of one of `calibration.calibrators.CANDIDATES`, or `AUTO`.
        confidence: of the intervals, between 0 and 1.
        notes: warnings to store before those that are found here.
        progress: told how many metrics are done, of how many.

    Raises:
        UsageError: a metric was not judged, or the ends of the scale are no whole numbers.
        DataError: no rating belongs to anything that was judged.
        StoreError: there are two judgments of one metric of one dialogue.
    """
    table = judgment_table(judgments, judged_metrics(judgments, rubric), len(rubric.labels))
    wanted = chosen_metrics(metrics, table.metrics)
    scale = _scale(ratings)
    counts = _counts(table, ratings)
    samples = [_sample(table, ratings, metric, scale) for metric in wanted]
    crossed = (table.systems, table.characters, table.scenarios)
    fits = fit_samples(samples, crossed, candidate, confidence, progress)
    not_rated = [metric for metric in wanted if metric not in ratings.metrics]
    path, digest = next(iter(ratings.sources.items()))
    return Calibration(
        kind="ratings",
        made_with=made_with,
        source=Path(path).name,
        sha256=digest,
        labels=rubric.labels,
        metrics=table.metrics,
        scale=scale,
        confidence=confidence,
        fits=dict(zip(wanted, fits, strict=True)),
        counts=counts,
        notes=(
            *([SIMULATED] if simulated(ratings.raters) else []),
            *([ratings.incomplete] if ratings.incomplete else []),
            *notes,
            *metric_notes(ratings, table.metrics, not_rated),
        ),
        created=utc_now(),
        versions=library_versions(),
    )


def library_versions() -> dict[str, str]:
    """Versions of this program, of Python and of the libraries that fit."""
    libraries = ("numpy", "scipy", "scikit-learn")
    versions = {library: importlib.metadata.version(library) for library in libraries}
    return {"esrp-judge": __version__, "python": platform.python_version(), **versions}


def json_values(value: Any) -> Any:
    """Arrays and tuples as lists, numbers of numpy as plain ones, NaN and infinity as None."""
    if isinstance(value, Mapping):
        return {str(key): json_values(inner) for key, inner in value.items()}
    if isinstance(value, np.ndarray | list | tuple):
        return [json_values(inner) for inner in value]
    if isinstance(value, np.generic):
        return json_values(value.item())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _scale(ratings: Ratings) -> tuple[int, int]:
    low, high, _ = ratings.scale
    if low != round(low) or high != round(high):
        raise UsageError(
            f"--scale {ratings.scale}: its ends are not whole numbers",
            hint="multiply the ratings until they are",
        )
    return round(low), round(high)


def _counts(table: JudgmentTable, ratings: Ratings) -> dict[str, int]:
    """How many ratings and judge scores were joined, and how many of either were not."""
    dialogues = table.dialogue_ids
    scored = np.argwhere(~np.isnan(table.score)).tolist()
    pairs = {(dialogues[row], table.metrics[column]) for row, column in scored}
    joined = compare(ratings, dialogues, pairs)
    assert joined.judged is not None  # noqa: S101 - judge scores were given
    assert joined.matched is not None  # noqa: S101 - the same
    if not joined.judged:
        raise DataError(
            "no rating in it belongs to a judge score of these runs",
            path=Path(next(iter(ratings.sources))),
            hint=f"the first: {joined.unknown[0]}"
            if joined.unknown
            else f"they rate {', '.join(ratings.metrics)}; judged were {', '.join(table.metrics)}",
        )
    return {
        "ratings": len(ratings),
        "ratings_refused": len(ratings.faults),
        "ratings_used": joined.judged,
        "ratings_without_judge_score": len(ratings) - joined.judged,
        "judge_scores": len(pairs),
        "judge_scores_rated": joined.matched,
        "judge_scores_without_rating": len(pairs) - joined.matched,
        "dialogues_judged": len(dialogues),
        "dialogues_rated": joined.dialogues,
        "raters": len(ratings.raters),
    }


def _sample(table: JudgmentTable, ratings: Ratings, metric: str, scale: tuple[int, int]) -> Sample:
    """The ratings of one metric beside the judge's distributions of all metrics."""
    joined = join_ratings(ratings, table.dialogue_ids, [metric])
    return Sample.of(
        table.probs,
        table.metrics.index(metric),
        ratings.score[joined.both],
        joined.row[joined.both],
        raters=ratings.rater[joined.both].astype(np.int64),
        groups=table.systems,
        scale=scale,
    )


def fit_samples(
    samples: Sequence[Sample],
    crossed: tuple[NDArray[np.str_], NDArray[np.str_], NDArray[np.str_]],
    candidate: str,
    confidence: float,
    progress: Callable[[int, int], None],
) -> list[Fit]:
    """Fit a map to each sample, and keep those for which the judge adds something.

    Args:
        samples: of one metric each, on the same cells.
        crossed: (n,) systems, characters and scenarios of the cells.
        candidate, confidence, progress: see `calibrate`.
    """
    systems, characters, scenarios = crossed
    fit = partial(
        _fit_metric,
        systems=systems,
        characters=characters,
        scenarios=scenarios,
        candidate=candidate,
        confidence=confidence,
    )
    progress(0, len(samples))
    fits = []
    for done in _each(fit, samples):
        fits.append(done)
        progress(len(fits), len(samples))
    return refuse_without_skill(fits)


def _each(fit: Callable[[Sample], Fit], samples: Sequence[Sample]) -> Iterator[Fit]:
    """The fits in their order, by several processes where that saves time."""
    workers = min(os.cpu_count() or 1, len(samples))
    if workers < 2 or sum(len(sample.scores) for sample in samples) < _PARALLEL_FROM:
        yield from map(fit, samples)
        return
    # A forked process can hang if this one has threads, as numpy's linear algebra may.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=spawn) as pool:
        yield from pool.map(fit, samples)


def _fit_metric(
    everything: Sample,
    systems: NDArray[np.str_],
    characters: NDArray[np.str_],
    scenarios: NDArray[np.str_],
    candidate: str,
    confidence: float,
) -> Fit:
    """Choose a candidate, fit it to all ratings, and measure it on systems it has not seen.

    Args:
        everything: the ratings of one metric, with dialogues that lack a score or a rating too.
        systems, characters, scenarios: (n,) names of each dialogue.
        candidate: the name of one, or `AUTO`.
        confidence: of the intervals.
    """
    usable = everything.usable
    system = systems[usable]
    reason = _cannot_fit(everything, system)
    if reason:
        return Fit(None, reason)
    sample = everything.fitting()
    try:
        selection = select(sample)
        chosen = selection.chosen if candidate == AUTO else candidate
        calibrator = (
            selection.calibrator if candidate == AUTO else CANDIDATES[candidate].fit(sample)
        )
    except CannotFitError as error:
        return Fit(None, str(error))
    rows = {row.candidate: row for row in selection.rows}
    if rows[chosen].reason:
        return Fit(None, rows[chosen].reason)
    predicted = selection.out_of_fold[chosen].predicted
    intervals, radius = _item_intervals(sample, predicted, system, confidence)
    # The keys are those of calibration files of format 1.
    details = {
        "rung": chosen,
        "chosen_by": "the one-standard-error rule" if candidate == AUTO else "--rung",
        "rule_chooses": selection.chosen,
        "least_loss": selection.best,
        "rank_invariant": calibrator.rank_invariant,
        "ladder": [_stored_errors(row) for row in selection.rows],
        "pairs": pair_accuracy(CANDIDATES[chosen], sample)._asdict(),
        "pairs_before": pair_accuracy(CANDIDATES[RAW], sample)._asdict(),
        "by_character": _held_out_errors(sample, characters[usable], chosen),
        "by_scenario": _held_out_errors(sample, scenarios[usable], chosen),
        "reliability": {
            when: reliability_curve(selection.out_of_fold[name].predicted, sample.means)._asdict()
            for when, name in (("before", RAW), ("after", chosen))
        },
        "item_intervals": intervals,
        "judged_means": _raw_means(sample, system),
        "ratings": len(sample.scores),
        "dialogues": len(sample.probs),
        "raters": len(np.unique(sample.raters[sample.raters >= 0])),
        "notes": [*_fit_notes(sample, calibrator), *_worse(rows[RAW], rows[chosen])],
    }
    details |= {
        "beats_no_judge": rows[chosen].beats_no_judge,
        "skill": judge_skill(
            selection.out_of_fold[RAW].predicted,
            sample.means,
            system,
            characters[usable],
            scenarios[usable],
        )._asdict(),
    }
    shifts = system_shifts(sample.means - predicted, system)
    return Fit(calibrator.to_dict(), "", shifts, radius, json_values(details))


def refuse_without_skill(fits: Sequence[Fit], joint: float | None = None) -> list[Fit]:
    """Take the map from each metric for which the judge is not shown to add anything.

    The map has to beat no judge on systems left out, and the judge's scores have to be associated
    with people's: p at most .05 for the metric, and at most .10 for all together: after Holm's
    correction for all metrics that were tried, or of a test of all at once. Simulated, a judge of
    noise then gets a map for any of nine metrics in at most 10% of reports.

    Args:
        fits: with `skill` and `beats_no_judge` in the details.
        joint: p-value of a test of all metrics at once, which replaces Holm's correction.
    """
    tried = [fit for fit in fits if "skill" in fit.details or fit.reason == FALLS]
    p = [fit.details.get("skill", {"p": 1.0})["p"] for fit in tried]
    adjusted = holm(p).tolist() if joint is None else [joint] * len(tried)
    together = dict(zip(map(id, tried), adjusted, strict=True))
    kept = []
    for fit in fits:
        why = ""
        if fit.calibrator is not None:
            if not fit.details["beats_no_judge"]:
                why = "no map is shown to beat the mean of the other systems"
            elif fit.details["skill"]["p"] > _LEVEL or together[id(fit)] > _TOGETHER:
                why = "its scores are not shown to rise with the ratings"
        details = {**fit.details, "notes": []}
        kept.append(Fit(None, f"{NOTHING}: {why}", details=details) if why else fit)
    return kept


def _worse(raw: CandidateErrors, chosen: CandidateErrors) -> list[str]:
    """What gets worse where the root mean squared error gets better, in words."""
    if not chosen.rmse < raw.rmse:
        return []
    better = f"the RMSE falls from {raw.rmse:.3f} to {chosen.rmse:.3f}, but the"
    notes = []
    if chosen.mae > raw.mae:
        notes.append(f"{better} MAE rises from {raw.mae:.3f} to {chosen.mae:.3f}")
    if chosen.qwk < raw.qwk:
        notes.append(f"{better} kappa (QWK) falls from {raw.qwk:.3f} to {chosen.qwk:.3f}")
    return notes


def _stored_errors(row: CandidateErrors) -> dict[str, Any]:
    """A row of the table of candidates, as calibration files store it."""
    values = row._asdict()
    return {"rung": values.pop("candidate"), **values}


def _cannot_fit(everything: Sample, systems: NDArray[np.str_]) -> str:
    """Why nothing can be fitted; "" if something can."""
    if not len(everything.scores):
        return "no rating of it belongs to these dialogues"
    if not len(systems):
        return "no dialogue is both judged and rated"
    names = sorted(set(systems.tolist()))
    if len(names) < _MIN_SYSTEMS:
        return (
            f"ratings of one system only ({names[0]}): a fit has to be tried on a system that it "
            "has not seen"
        )
    scores = everything.scores[everything.judged[everything.cells]]
    if np.ptp(scores) == 0:
        return f"every rating is {scores[0]:g}: nothing tells one dialogue from another"
    return ""


def _item_intervals(
    sample: Sample, predicted: NDArray[np.float64], system: NDArray[np.str_], confidence: float
) -> tuple[dict[str, Any], float | None]:
    """Both radii with their measured coverage, and the radius to use; or why there is none."""
    residuals = np.abs(sample.scores - predicted[sample.cells])
    groups = system[sample.cells]
    try:
        pooled = pooled_radius(residuals, groups, confidence)
        hierarchical = hierarchical_radius(residuals, groups, confidence)
        coverage = held_out_coverage(residuals, groups, confidence)
    except ValueError as error:  # too few systems for the confidence, or to hold one out
        return {"reason": str(error)}, None
    facts = {
        "reason": "",
        "pooled": pooled._asdict(),
        "hierarchical": hierarchical._asdict(),
        "held_out_coverage": coverage,
    }
    return facts, pooled.radius


def _held_out_errors(sample: Sample, groups: NDArray[np.str_], candidate: str) -> dict[str, Any]:
    """The errors of one candidate in a cross-validation over other groups than systems.

    Of more groups than `FOLDS`, several are left out at once.
    """
    codes = np.unique(groups, return_inverse=True)[1] % FOLDS
    try:
        rows = select(sample.by(codes), {candidate: CANDIDATES[candidate]}).rows
    except CannotFitError as error:
        return {"reason": str(error)}
    return _stored_errors(rows[-1])


def _raw_means(sample: Sample, system: NDArray[np.str_]) -> dict[str, float]:
    """The mean raw score of each system; outside their range the map has not been tried."""
    labels = np.arange(1, sample.probs.shape[2] + 1)
    scores = sample.probs[:, sample.target] @ labels
    return {name: float(scores[system == name].mean()) for name in np.unique(system).tolist()}


def _fit_notes(sample: Sample, calibrator: Calibrator) -> list[str]:
    notes = []
    given = set(sample.scores.tolist())
    never = [k for k in range(sample.low, sample.high + 1) if k not in given]
    if never and sample.whole_ratings:
        notes.append(f"no one gave {', '.join(map(str, never))}")
    raters = set(sample.raters.tolist())
    if -1 not in raters and len(raters) == 1:
        notes.append("one rater: their severity is part of the scale")
    if isinstance(calibrator, Ordinal) and calibrator.pieces > 1:
        notes.append(
            f"the raters fall into {calibrator.pieces} groups that share no dialogue: their "
            "severities cannot be compared, and are not to be reported"
        )
    return notes
