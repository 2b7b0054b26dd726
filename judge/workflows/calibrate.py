"""Fit a judge's scores to human ratings, or to published means of systems."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from judge import calibration_file
from judge.analysis.agreement.data import PairedScores
from judge.analysis.fit_calibration import AUTO
from judge.analysis.fit_calibration import calibrate as calibrate_to_ratings
from judge.analysis.fit_to_published import calibrate_to_published
from judge.analysis.fit_to_table import calibrate_table
from judge.analysis.published import PublishedMeans
from judge.calibration_file import Calibration, MadeWith
from judge.errors import UsageError
from judge.ratings import Scale
from judge.records import write_csv
from judge.report.format import csv_text
from judge.runs import open_run, show_frame
from judge.workflows import Progress, no_progress
from judge.workflows.agree import JudgeList, scores_of_table
from judge.workflows.inputs import (
    RatingsFile,
    RatingsSource,
    published_means,
    usable_ratings,
    usual_table_name,
)
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
        scores: of a table, the CSV of its calibrated scores.
    """

    path: Path
    calibration: Calibration = field(repr=False)
    scores: Path | None = None

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
                chosen = None if fit.calibrator is None else details["rung"]
                rows += [
                    {"metric": metric, **tried, "chosen": tried["rung"] == chosen}
                    for tried in details["ladder"]
                ]
            else:
                numbers = {k: v for k, v in details.items() if not isinstance(v, dict | list)}
                rows.append({"metric": metric, **numbers, "reason": fit.reason})
        return pd.DataFrame(rows)

    def _repr_html_(self) -> str:
        return show_frame(self.to_frame(), f"calibration {self.path}")


def calibrate(
    runs: str | Path | Sequence[str | Path] = (),
    ratings: RatingsSource | None = None,
    *,
    published: str | Path | PublishedMeans | None = None,
    table: str | Path | RatingsFile | None = None,
    judge: str | None = None,
    people: Sequence[str] = (),
    where: Sequence[str] = (),
    judge_scale: str | None = None,
    metrics: Sequence[str] = (),
    candidate: str | None = None,
    confidence: float = 0.9,
    out: str | Path | None = None,
    progress: Progress = no_progress,
) -> CalibrationFit:
    """Fit the scores of runs to human ratings, or to published means, and write the calibration.

    Nothing is drawn at random: the same files give the same numbers.

    Args:
        runs: a run folder, or several that one judge made with one rubric.
        ratings: human ratings of what was judged.
        published: in place of ratings: a CSV of published means, or `paper`.
        table: in place of runs: a table of scores that a judge and people gave to anything.
        judge: of the table; None where it has one judge.
        people, where: of the table, as of `agree`.
        judge_scale: of the table: what the judge's scores may be, as `0-100`; None for the scale of
            people.
        metrics: only these.
        candidate: with ratings: which map. None chooses for each metric the simplest map within
            one standard error of the best, on systems left out.
        confidence: of every interval, between 0 and 1; K systems can give at most K / (K + 1)
            about one dialogue.
        out: the file; None for `calibration.json`, of a table `calibration-TABLE-JUDGE.json`. Of a
            table, the calibrated scores are written beside it, as OUT-scores.csv.
        progress: told how many metrics are done.

    Raises:
        UsageError: options that do not go together, or a metric that was not judged.
        DataError: the ratings cannot be used, or belong to nothing that was judged.
        StoreError: a folder is no run, or the file cannot be written.
    """
    fitting = partial(progress, "calibration")
    if table is not None:
        if run_folders(runs) or ratings is not None or published is not None:
            raise UsageError(
                "--table goes without RUNS, --ratings and --published: it holds scores and ratings",
                hint="judge calibrate --table FILE --judge NAME",
            )
        seen = None if judge_scale is None else Scale.parse(judge_scale, 0, "--judge-scale")
        chosen = _scores_of(table, judge, people, where, metrics, seen)
        return _of_table(chosen, seen, candidate or AUTO, confidence, out, fitting)
    for name in ("judge", "people", "where", "judge_scale"):
        if locals()[name]:
            raise UsageError(f"--{name.replace('_', '-')} goes with --table", hint="leave it out")
    if not run_folders(runs):
        raise UsageError("name run folders, or a table with --table", hint="judge calibrate RUN")
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
            progress=fitting,
        )
    else:
        means = published_means(published)
        assert means is not None  # noqa: S101 - one of the two was given
        fitted = calibrate_to_published(
            *judged, means, made_with, metrics=metrics, confidence=confidence, notes=notes
        )
    path = Path(out or "calibration.json")
    calibration_file.write(path, fitted)
    return CalibrationFit(path, fitted)


def _scores_of(
    table: str | Path | RatingsFile,
    judge: str | None,
    people: Sequence[str],
    where: Sequence[str],
    metrics: Sequence[str],
    judge_scale: Scale | None,
) -> tuple[Path, PairedScores]:
    """The table's path, and what one judge and people said."""
    file = table if isinstance(table, RatingsFile) else RatingsFile(table)
    found = scores_of_table(
        file.path,
        [judge] if judge else [],
        people,
        where,
        file,
        metrics=metrics,
        point="expected",
        judge_scale=judge_scale,
    )
    if isinstance(found, JudgeList):
        names = ", ".join(dict.fromkeys(row.judge for row in found.rows))
        raise UsageError(
            "the table holds several judges: name one with --judge", hint=f"there are {names}"
        )
    return Path(file.path), found[0]


def _of_table(
    table: tuple[Path, PairedScores],
    judge_scale: Scale | None,
    candidate: str,
    confidence: float,
    out: str | Path | None,
    progress: Callable[[int, int], None],
) -> CalibrationFit:
    path, found = table
    usual = usual_table_name("calibration", path, [found.judge])
    target = Path(out or f"{usual}.json")
    beside = target.with_name(f"{target.stem}-scores.csv")
    if path.resolve() in (target.resolve(), beside.resolve()):
        raise UsageError(f"--out {target}: the table would be replaced", hint="name another file")
    source = (path.name, hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "")
    fitted, scores = calibrate_table(
        found,
        source,
        judge_scale=judge_scale,
        candidate=candidate,
        confidence=confidence,
        progress=progress,
    )
    calibration_file.write(target, fitted)
    rows = [["item", "system", "metric", "score", "calibrated", "lower", "upper"]]
    rows += [["" if value is None else str(value) for value in score] for score in scores]
    return CalibrationFit(target, fitted, write_csv(beside, csv_text(rows)))
