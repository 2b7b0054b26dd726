"""`judge agree`: how far a judge's scores can be trusted, by human ratings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from judge.cli.agreement_text import show_agreement, show_comparisons, show_overview
from judge.cli.command import FOLDER_OR_FILE, NameList, Progress, command, echo_json, option
from judge.cli.options import (
    TABLE,
    aliases_of,
    confidence_option,
    json_option,
    metrics_option,
    out_option,
    rating_options,
)
from judge.errors import UsageError

__all__ = ["agree", "table_options"]


def table_options(decorated: Any) -> Any:
    """Which rows of a `--table` are people's, and which are left out."""
    people = option(
        "--people",
        type=NameList(),
        default="",
        group=TABLE,
        help="Of --table: the measures that people gave.",
    )
    where = option(
        "--where",
        multiple=True,
        metavar="COLUMN=VALUE",
        group=TABLE,
        help="Of --table: only these rows; COLUMN!=VALUE: only others. Repeatable.",
    )
    return people(where(decorated))


@command("agree")
@click.argument("runs", nargs=-1, type=FOLDER_OR_FILE)
@rating_options(
    "Human ratings of what RUNS judged, in any shape that `judge ratings check` reads; or "
    "`reference`: a strong LLM's scores of 440 public dialogues, which come with the program."
)
@option(
    "--table",
    "tables",
    type=FOLDER_OR_FILE,
    multiple=True,
    group=TABLE,
    help="Instead of RUNS: a table of anything judged, with item, system, dimension, rater, "
    "rater_type and score; or with probabilities p1, p2, ... for score; or with item, system, "
    "measure and score. Repeatable.",
)
@option(
    "--judge", "judges", multiple=True, group=TABLE, help="Of --table: this judge. Twice: compare."
)
@table_options
@metrics_option
@option(
    "--point",
    type=click.Choice(["expected", "argmax"]),
    default="expected",
    show_default=True,
    help="The one number that stands for a judge's probabilities of the labels: their mean, such "
    "as 3.7, or with --point argmax the most probable label, such as 4.",
)
@option(
    "--systems-fixed",
    is_flag=True,
    help="Take the systems as all there is: intervals then say what other dialogues of these "
    "systems would give, not what other systems would; there is none of the order of systems. For "
    "instance where only these few are ever compared.",
)
@option(
    "--resamples",
    type=click.IntRange(min=0),
    default=2000,
    show_default=True,
    help="Of the bootstrap of the systems' means; 0 for no intervals at all.",
)
@confidence_option
@option(
    "--annotators",
    type=click.Choice(["expert", "skilled", "crowd"]),
    help="Who rated, for the alternative annotator test: the judge must come within .2, .15 or .1. "
    " [default: expert where every rater_type says so, else crowd]",
)
@option(
    "--annotators-min-others",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Of that test: how many others must have rated a dialogue for an annotator to be compared "
    "with the judge on it.",
)
@option(
    "--test",
    type=click.Choice(["exchange", "perm-both"]),
    default="exchange",
    show_default=True,
    help="Of two judges. exchange: whether they agree equally well, exchanging whole systems, "
    "characters and scenarios, or items of a table. perm-both, as published: whether they are "
    "interchangeable, which judges that favour different systems are not, however equally good.",
)
@option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    help="The start of every random draw: the same seed gives the same intervals, --seed 1 others "
    "that differ by chance alone.",
)
@out_option(
    "Folder of the report.  [default: RUN/agreement, with --ratings reference "
    "RUN/agreement-reference, of a table agreement-TABLE-JUDGE]"
)
@json_option
def agree(
    runs: Sequence[Path],
    ratings: Path | None,
    tables: Sequence[Path],
    aliases: Sequence[str],
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
      judge agree runs/public --ratings reference
      judge agree runs/public-8b runs/public-32b --ratings ratings.csv --out reports/two
      judge agree --table judged.csv --judge gpt-4
    """
    from judge.ratings.reference import REFERENCE, is_reference
    from judge.workflows import agree as workflow
    from judge.workflows.inputs import RatingsFile

    named = aliases_of(aliases)
    shape = {name: options.pop(name) for name in ("raters", "systems", "mapping")}
    source: RatingsFile | str | None = None
    if is_reference(ratings):
        source = REFERENCE
    elif ratings is not None:
        reading = {n: options[n] for n in ("scale", "step", "sheet", "allow_missing")}
        source = RatingsFile(ratings, named, **reading, **shape)
    raters = shape.pop("raters") if tables else ()
    if any(shape.values()) and not isinstance(source, RatingsFile):
        raise UsageError(
            "--raters, --systems and --mapping go with a file of --ratings, and --raters with "
            "--table too",
            hint="name one",
        )
    with Progress() as progress:
        done = workflow.agree(
            runs,
            source,
            table=tables or None,
            aliases=named,
            raters=raters,
            progress=progress,
            **options,
        )
    match done:
        case workflow.AgreementReport():
            if as_json:
                echo_json({"report": str(done.page), "agreement": done.agreement.to_dict()})
                return
            show_agreement(done.agreement)
            click.echo(f"report: {done.page}")
            click.echo(f"for a paper: {done.tex}")
        case workflow.JudgeComparison():
            if as_json:
                echo_json({"report": str(done.page), "comparisons": done.comparisons.to_dict()})
                return
            show_comparisons(done.comparisons)
            click.echo(f"report: {done.page}")
            click.echo(f"for a paper: {done.tex}")
        case workflow.JudgeList():
            if as_json:
                judges = [asdict(row) for row in done.rows]
                echo_json({"simulated": done.simulated, "judges": judges})
                return
            show_overview(done.rows, done.notes, simulated=done.simulated)
