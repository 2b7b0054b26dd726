"""With no ratings to be had: a line for each metric, from a run's system means to published ones.

A handful of points carries a line and no more. What it cannot say is said in the calibration.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from calibration.calibrators import Linear
from calibration.published_line import published_line
from judge.analysis.fit_calibration import chosen_metrics, judged_metrics, now, plain, versions
from judge.analysis.judgment_table import Distributions, distributions, system_means
from judge.analysis.published import PAPER_NOTE, PAPER_SOURCE, PublishedMeans
from judge.calibration_file import Calibration, Fit, MadeWith
from judge.errors import DataError
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
    """Fit the lines; where there is none, the metric's `Fit` says why.

    Args:
        judgments: of one run, or of several made alike.
        rubric: what they were asked with.
        published: means on the judge's scale.
        made_with: what gave the judgments.
        metrics: fit these only.
        confidence: of the intervals, between 0 and 1.
        notes: what the calibration has to say besides its own.

    Raises:
        UsageError: a metric that was not judged.
        DataError: no system has both means.
        StoreError: two judgments of the same thing.
    """
    labels = len(rubric.labels)
    judged = distributions(judgments, judged_metrics(judgments, rubric), labels)
    means = system_means(judged)
    common = [system for system in means if system in published.means]
    if not common:
        raise DataError(
            f"none of the systems judged ({', '.join(means)}) has published means",
            path=published.source,
            hint=f"there are means of {', '.join(published.means)}",
        )
    wanted = chosen_metrics(metrics, judged.metrics)
    fits = {metric: _fit(judged, means, published, common, metric) for metric in wanted}
    apart = [system for system in means if system not in published.means]
    dialogues = np.isin(judged.names(0), common)
    return Calibration(
        kind="published",
        made_with=made_with,
        source=published.source,
        sha256=published.sha256,
        labels=rubric.labels,
        metrics=judged.metrics,
        scale=(1, labels),
        confidence=confidence,
        fits=fits,
        counts={
            "systems": len(common),
            "systems_without_published_means": len(apart),
            "published_systems_not_judged": len(published.means.keys() - set(means)),
            "dialogues_judged": len(judged.cells),
            "dialogues_used": int(dialogues.sum()),
        },
        notes=(
            f"Fitted to {len(common)} systems: {', '.join(common)}.",
            *LIMITS,
            *([PAPER_NOTE] if published.source == PAPER_SOURCE else []),
            *notes,
        ),
        created=now(),
        versions=versions(),
    )


def _fit(
    judged: Distributions,
    means: Mapping[str, NDArray[np.float64]],
    published: PublishedMeans,
    systems: Sequence[str],
    metric: str,
) -> Fit:
    target = judged.metrics.index(metric)
    x = np.array([means[system][target] for system in systems])
    y = np.array([published.means[system].get(metric, np.nan) for system in systems])
    line = published_line(x, y)
    details = {
        **{name: value for name, value in line._asdict().items() if name != "held_out"},
        "judged_means": {
            system: mean
            for system, mean, other in zip(systems, x, y, strict=True)
            if not np.isnan(mean + other)
        },
        "notes": [],
    }
    if line.reason:
        return Fit(None, line.reason, details=plain(details))
    if line.slope <= 0:
        falls = "the line does not rise: systems that the judge scores higher are rated lower"
        return Fit(None, falls, details=plain(details))
    if line.error_line >= line.error_mean:
        details["notes"] = [
            "no better than the plain mean of the other systems: here the judge adds nothing"
        ]
    elif line.error_line >= min(line.error_raw, line.error_shift):
        details["notes"] = ["a shift, or no map at all, does as well on a system left out"]
    _, count, labels = judged.probs.shape
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
    return Fit(calibrator.to_dict(), "", shifts, None, plain(details))
