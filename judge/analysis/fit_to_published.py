"""A calibration without ratings: a line from the judge's system means to published ones.

A handful of system means determines a line and no more. The notes of the calibration say what it
does not tell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from calibration.calibrators import Linear
from calibration.published_line import published_line
from calibration.skill import correlation_p
from judge.analysis.fit_calibration import json_values, library_versions, refuse_without_skill
from judge.analysis.judgment_table import (
    JudgmentTable,
    chosen_metrics,
    judged_metrics,
    judgment_table,
    system_means,
)
from judge.analysis.published import PAPER_NOTE, PAPER_SOURCE, PublishedMeans
from judge.calibration_file import Calibration, Fit, MadeWith
from judge.errors import DataError
from judge.manifest import utc_now
from judge.types import Judgment, Rubric

__all__ = ["LIMITS", "calibrate_to_published"]

LIMITS = (
    "Nothing is known of single dialogues: only means of systems are mapped.",
    "The order of the systems by a metric stays the judge's: a rising line changes no order.",
    "The published means take part with whatever error they have.",
)


def calibrate_to_published(
    judgments: Sequence[Judgment],
    rubric: Rubric,
    published: PublishedMeans,
    made_with: MadeWith,
    *,
    metrics: Sequence[str] = (),
    confidence: float = 0.9,
    notes: Sequence[str] = (),
) -> Calibration:
    """Fit a line for every metric; where there is none, the metric's `Fit` gives the reason.

    A line is kept where the judge is shown to add something: its error on systems left out is less
    than that of the mean of the others, and exchanging the systems seldom gives as high a
    correlation, of this metric and of all metrics together.

    Arguments and errors are those of `fit_calibration.calibrate`, with `published` means on the
    judge's scale instead of ratings.
    """
    labels = len(rubric.labels)
    table = judgment_table(judgments, judged_metrics(judgments, rubric), labels)
    means = system_means(table)
    common = [system for system in means if system in published.means]
    if not common:
        raise DataError(
            f"none of the systems judged ({', '.join(means)}) has published means",
            path=published.source,
            hint=f"there are means of {', '.join(published.means)}",
        )
    wanted = chosen_metrics(metrics, table.metrics)
    lines = [_fit(table, means, published, common, metric) for metric in wanted]
    joint = correlation_p(*_all_means(table, means, published, common, wanted))
    fits = dict(zip(wanted, refuse_without_skill(lines, joint), strict=True))
    not_published = [system for system in means if system not in published.means]
    return Calibration(
        kind="published",
        made_with=made_with,
        source=published.source,
        sha256=published.sha256,
        labels=rubric.labels,
        metrics=table.metrics,
        scale=(1, labels),
        confidence=confidence,
        fits=fits,
        counts={
            "systems": len(common),
            "systems_without_published_means": len(not_published),
            "published_systems_not_judged": len(published.means.keys() - set(means)),
            "dialogues_judged": len(table.dialogue_ids),
            "dialogues_used": int(np.isin(table.systems, common).sum()),
        },
        notes=(
            f"Fitted to {len(common)} systems: {', '.join(common)}.",
            *LIMITS,
            *([PAPER_NOTE] if published.source == PAPER_SOURCE else []),
            *notes,
        ),
        created=utc_now(),
        versions=library_versions(),
    )


def _all_means(
    table: JudgmentTable,
    means: Mapping[str, NDArray[np.float64]],
    published: PublishedMeans,
    systems: Sequence[str],
    metrics: Sequence[str],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(systems, metrics) the judge's means and the published ones, NaN where there is none."""
    columns = [table.metrics.index(metric) for metric in metrics]
    judged = np.array([means[system][columns] for system in systems])
    of_system = [published.means[system] for system in systems]
    return judged, np.array([[row.get(metric, np.nan) for metric in metrics] for row in of_system])


def _fit(
    table: JudgmentTable,
    means: Mapping[str, NDArray[np.float64]],
    published: PublishedMeans,
    systems: Sequence[str],
    metric: str,
) -> Fit:
    target = table.metrics.index(metric)
    x = np.array([means[system][target] for system in systems])
    y = np.array([published.means[system].get(metric, np.nan) for system in systems])
    line = published_line(x, y)
    details = {
        **{name: value for name, value in line._asdict().items() if name != "held_out"},
        "judged_means": {
            system: mean
            for system, mean, human in zip(systems, x, y, strict=True)
            if not np.isnan(mean + human)
        },
        "notes": [],
    }
    if line.reason:
        return Fit(None, line.reason, details=json_values(details))
    both = ~np.isnan(x + y)
    details["skill"] = {"p": correlation_p(x[both], y[both])}
    details["beats_no_judge"] = line.error_line < line.error_mean
    if line.slope <= 0:
        reason = "the line does not rise: systems that the judge scores higher are rated lower"
        return Fit(None, reason, details=json_values(details))
    if line.error_line >= min(line.error_raw, line.error_shift):
        details["notes"] = ["a shift, or no map at all, does as well on a system left out"]
    _, count, labels = table.probs.shape
    calibrator = Linear(
        target=target,
        metrics=count,
        labels=labels,
        low=1,
        high=labels,
        slope=line.slope,
        intercept=line.intercept,
    )
    shifts = {
        system: float(error)
        for system, error in zip(systems, line.held_out, strict=True)
        if not np.isnan(error)
    }
    return Fit(calibrator.to_dict(), "", shifts, None, json_values(details))
