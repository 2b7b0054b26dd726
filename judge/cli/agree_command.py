"""`judge agree`: how far a judge's scores can be trusted, by human ratings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np

from judge.analysis.agreement import (
    Comparisons,
    PairedScores,
    Point,
    agree,
    compare_judges,
    overview,
    scores_from_run,
    scores_from_table,
    simulated,
    table_judges,
)
from judge.cli.agree_print import show, show_comparisons, show_overview
from judge.cli.progress import Progress
from judge.cli.rated import alias, rated_file, rating_options
from judge.errors import UsageError
from judge.ratings import Ratings, Scale, read_judged_table
from judge.report.agreement_page import write_agreement, write_comparisons
from judge.runs import group_by_judge, open_run

__all__ = ["agree_run"]

_Path = click.Path(path_type=Path)


class _Choices(NamedTuple):
    """What to compute, the same for runs and for tables."""

    metrics: tuple[str, ...]
    point: Point
    resamples: int
    confidence: float
    seed: int
    systems_fixed: bool
    annotators: str


@click.command(name="agree")
@click.argument("runs", nargs=-1, type=_Path)
@rating_options("Human ratings of what RUNS judged, in any shape that `judge ratings check` reads.")
@click.option(
    "--table",
    "tables",
    type=_Path,
    multiple=True,
    help="Instead of RUNS: a table of anything judged, with item, system, dimension, rater, "
    "rater_type and score; or with probabilities p1, p2, ... for score; or with item, system, "
    "measure and score. Repeatable.",
)
@click.option("--judge", "judges", multiple=True, help="Of --table: this judge. Twice: compare.")
@click.option("--people", default="", help="Of --table: the measures that people gave.")
@click.option(
    "--where",
    multiple=True,
    metavar="COLUMN=VALUE",
    help="Of --table: only these rows; COLUMN!=VALUE: only others. Repeatable.",
)
@click.option("--metrics", default="", help="Only these, separated by commas.")
@click.option(
    "--point",
    type=click.Choice(["expected", "argmax"]),
    default="expected",
    show_default=True,
    help="The score of a distribution: its mean, or its most probable label.",
)
@click.option("--systems-fixed", is_flag=True, help="These systems are all there is.")
@click.option(
    "--resamples",
    type=click.IntRange(min=0),
    default=2000,
    show_default=True,
    help="Of the bootstrap; 0 for no intervals.",
)
@click.option(
    "--confidence",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.95,
    show_default=True,
    help="Of every interval.",
)
@click.option(
    "--annotators",
    type=click.Choice(["expert", "skilled", "crowd"]),
    default="crowd",
    show_default=True,
    help="Who rated, for the alternative annotator test: the judge must come within .2, .15 or .1.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of everything drawn.")
@click.option("--out", type=_Path, help="Folder of the report.  [default: RUN/agreement]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def agree_run(
    runs: tuple[Path, ...],
    rated: Mapping[str, Any],
    tables: tuple[Path, ...],
    judges: tuple[str, ...],
    people: str,
    where: tuple[str, ...],
    out: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Compare the scores of RUNS with human ratings, and write a report for a paper.

    RUNS are folders made with one judge and one rubric, or with two: then the two are compared.
    The report is a page, LaTeX with tables and a paragraph on methods, Markdown, CSV, and every
    figure as SVG and PDF.

    \b
    Example:
      judge agree runs/public --ratings ratings.csv
      judge agree runs/public-8b runs/public-32b --ratings ratings.csv --out reports/two
      judge agree --table scores.csv --judge gpt-4 --out reports/table
    """
    options["metrics"] = tuple(_split(options["metrics"]))
    choices = _Choices(**options)
    if bool(runs) == bool(tables):
        raise UsageError(
            "name run folders or --table, one of them",
            hint="judge agree RUN --ratings FILE, or judge agree --table FILE",
        )
    if tables:
        observed = _of_tables(tables, rated, judges, _split(people), where, choices, as_json)
        folder = out or Path("agreement")
    else:
        if judges or people or where:
            raise UsageError("--judge, --people and --where go with --table", hint="leave them out")
        observed = _of_runs(runs, rated, choices)
        if out is None and len(runs) > 1:
            raise UsageError(
                "several runs need --out, the folder of their common report",
                hint="for instance --out reports/agreement",
            )
        folder = out or runs[0] / "agreement"
    if len(observed) == 2:
        _compare(observed, folder, choices, as_json=as_json)
    elif observed:
        _report(observed[0], folder, choices, as_json=as_json)


def _report(observed: PairedScores, folder: Path, choices: _Choices, *, as_json: bool) -> None:
    with Progress("agreement") as progress:
        found = agree(
            observed,
            resamples=choices.resamples,
            confidence=choices.confidence,
            seed=choices.seed,
            systems_fixed=choices.systems_fixed,
            annotators=choices.annotators,
            progress=progress,
        )
    files = write_agreement(found, folder)
    if as_json:
        facts = {"report": str(files.html), "agreement": found.to_dict()}
        click.echo(json.dumps(facts, ensure_ascii=False, allow_nan=False))
        return
    show(found)
    click.echo(f"report: {files.html}")
    click.echo(f"for a paper: {files.tex}")


def _compare(
    observed: Sequence[PairedScores], folder: Path, choices: _Choices, *, as_json: bool
) -> None:
    found: Comparisons = compare_judges(observed[0], observed[1], seed=choices.seed)
    files = write_comparisons(found, folder)
    if as_json:
        facts = {"files": [str(file) for file in files], "comparisons": found.to_dict()}
        click.echo(json.dumps(facts, ensure_ascii=False, allow_nan=False))
        return
    show_comparisons(found)
    click.echo(f"tables: {', '.join(map(str, files))}")


def _of_runs(
    runs: Sequence[Path], rated: Mapping[str, Any], choices: _Choices
) -> list[PairedScores]:
    """What each judge said of what was rated: of one judge or of two."""
    if rated["ratings"] is None:
        raise UsageError(
            "agreement needs human ratings: name their file with --ratings",
            hint="without ratings there is nothing to agree with; `judge ratings sheet` writes "
            "sheets for people to fill in",
        )
    groups = group_by_judge(runs)
    if len(groups) > 2:
        raise UsageError(
            f"RUNS are of {len(groups)} judges or rubrics; two can be compared",
            hint="name runs of one, or of two",
        )
    observed = []
    ratings: Ratings | None = None
    for group in groups:
        run = open_run(*group)
        manifest = run.manifest
        ratings = ratings or rated_file(rated, manifest.rubric.metrics)
        assert ratings is not None  # noqa: S101 - the option was given
        observed.append(
            scores_from_run(
                run.judgments,
                run.dialogues,
                manifest.rubric,
                ratings,
                judge=manifest.judge["name"],
                provenance=manifest.provenance,
                notes=manifest.notices,
                metrics=choices.metrics,
                point=choices.point,
            )
        )
    return observed


def _of_tables(
    tables: Sequence[Path],
    rated: Mapping[str, Any],
    judges: Sequence[str],
    people: Sequence[str],
    where: Sequence[str],
    choices: _Choices,
    as_json: bool,
) -> list[PairedScores]:
    """What the named judges said; nothing where all are only listed."""
    if rated["ratings"] is not None:
        raise UsageError(
            "--ratings goes with RUNS; a --table holds the ratings itself",
            hint="name both files with --table",
        )
    if len(judges) > 2:
        raise UsageError(
            f"{' '.join(f'--judge {name}' for name in judges)}: two can be compared",
            hint="name one, or two; none lists them all",
        )
    tidy = read_judged_table(
        tables,
        aliases=dict(map(alias, rated["aliases"])),
        where=list(map(_condition, where)),
        people=people,
        judges=judges,
        point=choices.point,
    )
    known = table_judges(tidy)
    if not judges and len(known) > 1:
        found = overview(tidy, metrics=choices.metrics)
        people_of = (tidy.raters[code] for code in np.unique(tidy.rater[~tidy.judged]) if code >= 0)
        drawn = simulated(people_of)
        if as_json:
            facts = {"simulated": drawn, "judges": [asdict(row) for row in found]}
            click.echo(json.dumps(facts, ensure_ascii=False, allow_nan=False))
        else:
            show_overview(found, tidy.notes, simulated=drawn)
        return []
    scale = None if rated["scale"] is None else Scale.parse(rated["scale"], rated["step"])
    return [
        scores_from_table(tidy, judge, metrics=choices.metrics, scale=scale)
        for judge in judges or known
    ]


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _condition(text: str) -> tuple[str, str]:
    """COLUMN=VALUE or COLUMN!=VALUE, taken apart; the column of the second keeps its mark."""
    column, sign, value = text.partition("=")
    if not (sign and column.strip("! ") and value.strip()):
        raise UsageError(
            f"--where {text}: it is not COLUMN=VALUE",
            hint="--where split=real, --where system!=Human",
        )
    return column.strip(), value.strip()
