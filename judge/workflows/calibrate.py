"""Fit a judge's scores to human ratings, or to published means of systems."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from judge import calibration_file
from judge.analysis.fit_calibration import AUTO
from judge.analysis.fit_calibration import calibrate as calibrate_to_ratings
from judge.analysis.fit_to_published import calibrate_to_published
from judge.analysis.published import PublishedMeans
from judge.calibration_file import Calibration, MadeWith
from judge.errors import UsageError
from judge.runs import open_run, show_frame
from judge.workflows.inputs import RatingsSource, published_means, usable_ratings
from judge.workflows.report import run_folders

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CalibrationFit", "calibrate"]


@dataclass(frozen=True, slots=True)
class CalibrationFit:
    """A calibration that was fitted and written.

    Attributes:
        path: the file, for `calibration` of `evaluate`, `report` and `leaderboard`.
        calibration: what is in it.
    """

    path: Path
    calibration: Calibration = field(repr=False)

    @property
    def complete(self) -> bool:
        """Whether every metric was fitted and no rating was refused."""
        fitted = all(fit.calibrator is not None for fit in self.calibration.fits.values())
        return fitted and not self.calibration.counts.get("ratings_refused")

    def to_frame(self) -> pd.DataFrame:
        """What was tried for each metric, with errors on systems that were left out.

        Fitted to ratings: one row for each metric and candidate map, with `chosen`. Fitted to
        published means: one row for each metric, with its line. `reason` says why there is none.
        """
        import pandas as pd

        rows: list[dict[str, object]] = []
        for metric, fit in self.calibration.fits.items():
            details = fit.details
            if "ladder" in details:
                rows += [
                    {"metric": metric, **tried, "chosen": tried["rung"] == details["rung"]}
                    for tried in details["ladder"]
                ]
            else:
                numbers = {k: v for k, v in details.items() if not isinstance(v, dict | list)}
                rows.append({"metric": metric, **numbers, "reason": fit.reason})
        return pd.DataFrame(rows)

    def _repr_html_(self) -> str:
        return show_frame(self.to_frame(), f"calibration {self.path}")


def calibrate(
    runs: str | Path | Sequence[str | Path],
    ratings: RatingsSource | None = None,
    *,
    published: str | Path | PublishedMeans | None = None,
    metrics: Sequence[str] = (),
    candidate: str | None = None,
    confidence: float = 0.9,
    out: str | Path = "calibration.json",
) -> CalibrationFit:
    """Fit the scores of runs to human ratings, or to published means, and write the calibration.

    Nothing is drawn at random: the same files give the same numbers.

    Args:
        runs: a run folder, or several that one judge made with one rubric.
        ratings: human ratings of what was judged.
        published: in place of ratings: a CSV of published means, or `paper`.
        metrics: only these.
        candidate: with ratings: which map. None chooses for each metric the simplest map within
            one standard error of the best, on systems left out.
        confidence: of every interval, between 0 and 1; K systems can give at most K / (K + 1)
            about one dialogue.
        out: the file.

    Raises:
        UsageError: options that do not go together, or a metric that was not judged.
        DataError: the ratings cannot be used, or belong to nothing that was judged.
        StoreError: a folder is no run, or the file cannot be written.
    """
    if (ratings is None) == (published is None):
        raise UsageError(
            "a calibration takes --ratings or --published, one of them",
            hint="--ratings ratings.csv; where there are none, --published paper",
        )
    if published is not None and candidate is not None:
        raise UsageError("--rung goes with --ratings", hint="published means carry a line only")
    run = open_run(*run_folders(runs))
    manifest, rubric = run.manifest, run.manifest.rubric
    made_with = MadeWith.of(manifest.judge, rubric, manifest.prompts)
    judged = (run.judgments, rubric)
    notes = manifest.notices
    if ratings is not None:
        judged_metrics = dict.fromkeys(judgment.metric for judgment in run.judgments)
        usable = usable_ratings(ratings, rubric.metrics, metrics or list(judged_metrics))
        fitted = calibrate_to_ratings(
            *judged,
            usable,
            made_with,
            metrics=metrics,
            candidate=candidate or AUTO,
            confidence=confidence,
            notes=notes,
        )
    else:
        means = published_means(published)
        assert means is not None  # noqa: S101 - one of the two was given
        fitted = calibrate_to_published(
            *judged, means, made_with, metrics=metrics, confidence=confidence, notes=notes
        )
    path = Path(out)
    calibration_file.write(path, fitted)
    return CalibrationFit(path, fitted)
