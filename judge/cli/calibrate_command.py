"""`judge calibrate`: from the judge's scores to the human scale."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from judge.cli.agree_command import table_options
from judge.cli.command import FOLDER_OR_FILE, Progress, command, echo_json, given_options, option
from judge.cli.command import table as text_table
from judge.cli.options import (
    JUDGE,
    RATINGS,
    REPORT,
    TABLE,
    aliases_of,
    given_ratings,
    json_option,
    metrics_option,
    out_option,
    rating_options,
)

if TYPE_CHECKING:
    from judge.calibration_file import Calibration, Fit

__all__ = ["CANDIDATES", "calibrate"]

CANDIDATES = ("mode", "expected", "shift", "linear", "isotonic", "ridge", "ordinal")
"""The maps of `calibration.calibrators`, which is not loaded to show help."""


@command("calibrate")
@click.argument("runs", nargs=-1, type=FOLDER_OR_FILE)
@rating_options("Human ratings of what RUNS judged, in any shape that `judge ratings check` reads.")
@option(
    "--published",
    type=FOLDER_OR_FILE,
    group=REPORT,
    help="Without ratings: a CSV of published means (system, metric, mean), or `paper` for those "
    "that Figure 1 of arXiv 2508.06388 shows of six systems.",
)
@option(
    "--table",
    type=FOLDER_OR_FILE,
    group=TABLE,
    help="Instead of RUNS: a table of anything judged, as `judge agree --table` reads it, with the "
    "scores of judges and of people. The calibrated scores are written beside --out, as "
    "OUT-scores.csv.",
)
@option("--judge", metavar="NAME", group=TABLE, help="Of --table: this judge.")
@table_options
@option(
    "--judge-scale",
    metavar="LOW-HIGH",
    group=TABLE,
    help="Of --table: what the judge's scores may be, such as 0-100, where that is not the scale "
    "of people. They are brought to theirs by a straight line before anything is fitted.",
)
@metrics_option
@option(
    "--rung",
    "candidate",
    group=REPORT,
    type=click.Choice(["auto", *CANDIDATES]),
    help="Which map. auto: the simplest within one standard error of the best on systems left "
    "out.  [default: auto]",
)
@option(
    "--confidence",
    group=REPORT,
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.9,
    show_default=True,
    help="Of every interval. K systems can give at most K/(K+1) about one dialogue.",
)
@out_option(
    "The file, for --calibration of `judge eval` and `judge report`.  [default: calibration.json, "
    "of a table calibration-TABLE-JUDGE.json]"
)
@json_option
@click.pass_context
def calibrate(
    ctx: click.Context, /, runs: Sequence[Path], table: Path | None, as_json: bool, **_: Any
) -> None:
    """Fit the scores of RUNS to human ratings, or to published means.

    RUNS are folders made with one judge and one rubric. For each metric several maps are tried on
    systems left out, from the simplest to the richest, and the simplest good one is taken. Nothing
    is drawn at random: the same files give the same numbers.

    Ends with 1 if a metric could not be calibrated or a rating was refused.

    \b
    Example:
      judge calibrate runs/public --ratings ratings.csv
      judge calibrate runs/a runs/b --ratings survey.xlsx --alias 打分人=rater --metrics fluency
      judge calibrate runs/public --published paper --out paper.json
      judge calibrate --table judged.csv --judge gpt-4 --scale 1-5 --out gpt-4.json
    """
    from judge.workflows import calibrate as workflow
    from judge.workflows.inputs import RatingsFile

    given = given_options(ctx, JUDGE, REPORT, TABLE)
    given.pop("table", None)
    if table is None:
        given |= given_ratings(ctx)
    else:
        reading = given_options(ctx, RATINGS)
        ratings, aliases = reading.pop("ratings", None), aliases_of(reading.pop("aliases", ()))
        given |= {"ratings": ratings, "table": RatingsFile(table, aliases, **reading)}
    with Progress() as progress:
        done = workflow.calibrate(runs, progress=progress, **given)
    if as_json:
        echo_json({"out": str(done.path), **done.calibration.to_dict()})
    else:
        _show(done.calibration)
        click.echo(f"calibration: {done.path}")
        if done.scores is not None:
            click.echo(f"calibrated scores: {done.scores}")
    ctx.exit(0 if done.complete else 1)


def _show(found: Calibration) -> None:
    """Print the verdict, what was joined, the tables of rungs or lines, and what to know."""
    from judge.calibration_file import adds_nothing

    verdict = adds_nothing({metric: fit.reason for metric, fit in found.fits.items()})
    if verdict:
        click.echo(verdict)
    made = found.made_with
    rubric = f"rubric {made.rubric} {made.version} {made.language} {made.rubric_hash[:8]}; "
    click.echo(
        f"judge {made.judge}, {rubric if made.rubric else ''}{found.kind} {found.source} "
        f"{found.sha256[:8]}"
    )
    for name, count in found.counts.items():
        click.echo(f"{name.replace('_', ' ') + ':':32} {count}")
    fitted = {metric: fit for metric, fit in found.fits.items() if fit.calibrator is not None}
    if found.kind == "ratings":
        tried = {metric: fit for metric, fit in found.fits.items() if fit.details}
        if tried:
            _show_ladder(tried)
        if fitted:
            _show_chosen(fitted, found.confidence, of_table=not found.made_with.rubric_hash)
    with_line = {metric: fit for metric, fit in found.fits.items() if fit.details}
    if found.kind == "published" and with_line:
        _show_lines(with_line)
    click.echo()
    for text, metrics in _to_know(found.fits).items():
        click.echo(f"{text}: {', '.join(metrics)}")
    for note in found.notes:
        click.echo(f"note: {note}")


def _to_know(fits: Mapping[str, Fit]) -> dict[str, list[str]]:
    """What is said of some metrics, each text once."""
    said: dict[str, list[str]] = {}
    for metric, fit in fits.items():
        why = [] if fit.calibrator is not None else [f"not calibrated, {fit.reason}"]
        for text in (*why, *fit.details.get("notes", ())):
            said.setdefault(text, []).append(metric)
    return said


def _show_ladder(fitted: Mapping[str, Fit]) -> None:
    rungs = [row["rung"] for row in next(iter(fitted.values())).details["ladder"]]
    rows: list[tuple[str, ...]] = [("metric", *rungs)]
    reasons: dict[str, None] = {}
    for metric, fit in fitted.items():
        cells = []
        for row in fit.details["ladder"]:
            taken = fit.calibrator is not None and row["rung"] == fit.details["rung"]
            chosen = "*" if taken else ""
            cells.append(chosen + _number(row["rmse"]))
            if row["reason"]:
                reasons[f"{metric}, {row['rung']}: {row['reason']}"] = None
        rows.append((metric, *cells))
    by = next(iter(fitted.values())).details["chosen_by"]
    click.echo(
        f"\nroot mean squared error on systems left out; * taken, by {by};\n"
        "no judge: the mean of the other systems, which a map has to beat"
    )
    click.echo(text_table(rows))
    for reason in reasons:
        click.echo(f"- {reason}")


def _show_chosen(fitted: Mapping[str, Fit], confidence: float, *, of_table: bool) -> None:
    """The raw score and the chosen rung, each tried on what was left out."""
    errors: list[tuple[str, ...]] = [("metric", "rung", "MAE", "bias", "QWK")]
    what, factors = ("item", ("item",)) if of_table else ("dialogue", ("character", "scenario"))
    left_out = " and on ".join(f"{factor}s" for factor in factors)
    others: list[tuple[str, ...]] = [("metric", "pairs", "order", *factors, "rating")]
    for metric, fit in fitted.items():
        errors.append((metric, fit.details["rung"], *_errors(fit.details)))
        others.append((metric, *_others(fit.details, of_table=of_table)))
    click.echo("\nraw > calibrated, on systems left out")
    click.echo(text_table(errors))
    click.echo(
        "\npairs: of systems in the right order, both left out; rank-invariant: the map rises\n"
        f"and changes no rank correlation of {what}s; MAE on {left_out} left\n"
        f"out; half the {confidence:.0%} interval for one rating, and how many ratings of each\n"
        "system left out it covered"
    )
    click.echo(text_table(others))
    why = {fit.details["item_intervals"]["reason"] for fit in fitted.values()} - {""}
    for reason in sorted(why):
        click.echo(f"no interval for a single {what}: {reason}")


def _errors(details: Mapping[str, Any]) -> Iterator[str]:
    rungs = {row["rung"]: row for row in details["ladder"]}
    before, after = rungs["expected"], rungs[details["rung"]]
    for name in ("mae", "bias", "qwk"):
        yield f"{_number(before[name])} > {_number(after[name])}"


def _others(details: Mapping[str, Any], *, of_table: bool) -> Iterator[str]:
    values = (details[name]["value"] for name in ("pairs_before", "pairs"))
    yield " > ".join("-" if value is None else f"{value:.2f}" for value in values)
    yield "rank-invariant" if details["rank_invariant"] else "may change"
    for way in ("by_character",) if of_table else ("by_character", "by_scenario"):
        yield _number(details[way].get("mae"))
    intervals = details["item_intervals"]
    if intervals["reason"]:
        yield "-"
    else:
        coverage = intervals["held_out_coverage"]
        shares = [100 * share for share in coverage.values()]
        worst = min(coverage, key=lambda system: coverage[system])
        radius = intervals["pooled"]["radius"]
        yield f"{radius:.2f} {min(shares):.0f}-{max(shares):.0f}%, least {worst}"


def _show_lines(fits: Mapping[str, Fit]) -> None:
    rows: list[tuple[str, ...]] = [
        ("metric", "n", "slope", "intercept", "r", "p", "raw", "shift", "line", "mean of others")
    ]
    for metric, fit in fits.items():
        line = fit.details
        errors = (line[f"error_{way}"] for way in ("raw", "shift", "line", "mean"))
        p = line.get("skill", {"p": None})["p"]
        numbers = (line["slope"], line["intercept"], line["pearson"], p)
        rows.append((metric, str(line["n"]), *map(_number, numbers), *map(_number, errors)))
    click.echo("\npublished = intercept + slope x judged, over systems; r: their correlation,")
    click.echo("p: how often exchanged systems have as high a one;")
    click.echo("then mean absolute errors, all but the raw one of systems left out")
    click.echo(text_table(rows))


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
