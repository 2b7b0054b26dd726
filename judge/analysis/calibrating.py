"""A run's judgments and human ratings become a calibration file."""

from __future__ import annotations

import importlib.metadata
import multiprocessing
import os
import platform
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np

from judge import __version__
from judge.analysis.distributions import Distributions, distributions
from judge.analysis.diversity import of_dialogues
from judge.analysis.fitting import AUTO, Rated, fit_metric
from judge.calibration_file import Calibration, Fit, MadeWith
from judge.errors import DataError, UsageError
from judge.ratings import Cell, Ratings, compare, join_ratings
from judge.types import Judgment, Rubric

__all__ = ["calibrate", "chosen_metrics", "judged_metrics", "now", "versions"]

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
    asked = {judgment.metric for judgment in of_dialogues(judgments, rubric)}
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


def _rated(judged: Distributions, ratings: Ratings, metric: str, scale: tuple[int, int]) -> Rated:
    joined = join_ratings(ratings, judged.cells, [metric])
    use = joined.both
    system, character, scenario = map(judged.names, range(3))
    return Rated(
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


def _fit_all(rated: Sequence[Rated], rung: str, confidence: float) -> list[Fit]:
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
