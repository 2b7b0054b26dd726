"""`judge calibrate`: from the judge's scores to the human scale."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from calibration.calibrators import CANDIDATES
from judge import calibration_file
from judge.analysis import AUTO, calibrate, calibrate_to_published
from judge.calibration_file import MadeWith
from judge.cli.calibrate_print import show
from judge.cli.rated import rated_file, rating_options
from judge.cli.report_command import means_of
from judge.errors import UsageError
from judge.runs import open_run

__all__ = ["calibrate_run"]


@click.command(name="calibrate")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@rating_options("Human ratings of what RUNS judged, in any shape that `judge ratings check` reads.")
@click.option(
    "--published",
    type=click.Path(path_type=Path),
    help="Without ratings: a CSV of published means (system, metric, mean), or `paper` for those "
    "that Figure 1 of arXiv 2508.06388 shows of six systems.",
)
@click.option("--metrics", default="", help="Only these, separated by commas.")
@click.option(
    "--rung",
    type=click.Choice([AUTO, *CANDIDATES]),
    help="Which map. auto: the simplest within one standard error of the best on systems left "
    "out.  [default: auto]",
)
@click.option(
    "--confidence",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.9,
    show_default=True,
    help="Of every interval. K systems can give at most K/(K+1) about one dialogue.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default="calibration.json",
    show_default=True,
    help="The file, for --calibration of `judge eval` and `judge report`.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def calibrate_run(
    ctx: click.Context,
    runs: tuple[Path, ...],
    rated: Mapping[str, Any],
    published: Path | None,
    metrics: str,
    rung: str | None,
    confidence: float,
    out: Path,
    as_json: bool,
) -> None:
    """Fit the scores of RUNS to human ratings, or to published means.

    RUNS are folders made with one judge and one rubric. For each metric every rung of a ladder of
    maps is tried on systems left out, and the simplest good one is taken. Nothing is drawn by lot:
    the same files give the same numbers.

    Ends with 1 if a metric could not be calibrated or a rating was refused.

    \b
    Example:
      judge calibrate runs/public --ratings ratings.csv
      judge calibrate runs/a runs/b --ratings survey.xlsx --alias 打分人=rater --metrics fluency
      judge calibrate runs/public --published paper --out paper.json
    """
    if (rated["ratings"] is None) == (published is None):
        raise UsageError(
            "a calibration takes --ratings or --published, one of them",
            hint="--ratings ratings.csv; where there are none, --published paper",
        )
    if published is not None and rung is not None:
        raise UsageError("--rung goes with --ratings", hint="published means carry a line only")
    found_runs = open_run(*runs)
    manifest, judgments = found_runs.manifest, found_runs.judgments
    rubric = manifest.rubric
    ratings = rated_file(rated, rubric.metrics)
    made_with = MadeWith.of(manifest.judge, rubric, manifest.prompts)
    options: dict[str, Any] = {
        "metrics": [part.strip() for part in metrics.split(",") if part.strip()],
        "confidence": confidence,
        "notes": manifest.notices,
    }
    if published is not None:
        means = means_of(published)
        found = calibrate_to_published(judgments, rubric, means, made_with, **options)
    else:
        assert ratings is not None  # noqa: S101 - one of the two was given
        found = calibrate(judgments, rubric, ratings, made_with, candidate=rung or AUTO, **options)
    calibration_file.write(out, found)
    if as_json:
        click.echo(json.dumps({"out": str(out), **found.to_dict()}, ensure_ascii=False))
    else:
        show(found)
        click.echo(f"calibration: {out}")
    unfitted = any(fit.calibrator is None for fit in found.fits.values())
    ctx.exit(1 if unfitted or found.counts.get("ratings_refused") else 0)
