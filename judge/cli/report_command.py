"""`judge report`, `judge leaderboard` and `judge compare`: over runs that were judged before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from judge.cli.command import FOLDER_OR_FILE, command, echo_json, given_options, option
from judge.cli.options import (
    REPORT,
    calibration_option,
    confidence_option,
    given_ratings,
    json_option,
    out_option,
    published_option,
    rating_options,
)

if TYPE_CHECKING:
    from judge.workflows.report import Report

__all__ = ["NEW_RATINGS", "compare", "leaderboard", "report", "show_report"]

NEW_RATINGS = (
    "With --calibration: ratings of some dialogues of systems that it has not seen. With the "
    "judge's scores they give narrower intervals."
)


@command("report")
@click.argument("runs", nargs=-1, required=True, type=FOLDER_OR_FILE)
@out_option("Folder of the report.  [default: the one run's]")
@published_option
@calibration_option
@rating_options(NEW_RATINGS)
@json_option
@click.pass_context
def report(ctx: click.Context, /, runs: Sequence[Path], as_json: bool, **_: Any) -> None:
    """Write one report over RUNS, folders made with one judge and one rubric.

    Ends with 1 if some judgments could not be made.

    \b
    Example:
      judge report runs/gpt-4.1-lexical
      judge report runs/gpt-4.1-lexical runs/human-lexical --out reports/both
      judge report runs/answers-lexical --calibration calibration.json
    """
    from judge.workflows import report as workflow

    done = workflow.report(runs, **given_options(ctx, REPORT), **given_ratings(ctx))
    show_report(done, as_json=as_json)
    ctx.exit(1 if done.failed else 0)


@command("leaderboard")
@click.argument("runs", nargs=-1, required=True, type=FOLDER_OR_FILE)
@out_option("Folder of the page and its files.", default=Path("leaderboard"), show_default=True)
@calibration_option
@confidence_option
@json_option
@click.pass_context
def leaderboard(ctx: click.Context, /, runs: Sequence[Path], as_json: bool, **_: Any) -> None:
    """Rank the systems of RUNS, folders made with one judge and one rubric.

    Systems that are not shown to differ share a rank. Ends with 1 if some judgments could not be
    made.

    \b
    Example:
      judge leaderboard runs/public-Qwen3-8B runs/mine-Qwen3-8B
      judge leaderboard runs/* --calibration calibration.json --out leaderboards/today
    """
    from judge.cli.terminal import print_table
    from judge.report.leaderboard_page import sentences, terminal_leaderboard
    from judge.workflows import leaderboard as workflow

    done = workflow.leaderboard(runs, **given_options(ctx, REPORT))
    if as_json:
        facts = {"page": str(done.page), "failed": done.failed}
        echo_json({**facts, "leaderboard": done.board.to_dict()})
    else:
        print_table(terminal_leaderboard(done.board))
        for sentence in sentences(done.board):
            click.echo(sentence)
        for note in done.board.notes:
            click.echo(f"note: {note}")
        click.echo(f"leaderboard: {done.page}")
    ctx.exit(1 if done.failed else 0)


@command("compare")
@click.argument("first", type=FOLDER_OR_FILE)
@click.argument("second", type=FOLDER_OR_FILE)
@out_option("Folder of the page and its files.", default=Path("comparison"), show_default=True)
@option(
    "--most",
    type=click.IntRange(min=0),
    default=30,
    show_default=True,
    group=REPORT,
    help="How many dialogues are listed for each metric.",
)
@json_option
def compare(first: Path, second: Path, out: Path, most: int, *, as_json: bool) -> None:
    """Say where two runs over the same dialogues differ: two judges, rubrics or languages.

    Needs no ratings: it shows how far the two agree with each other, not which of them is right
    (`judge agree` compares with people).

    \b
    Example:
      judge compare runs/answers-lexical runs/answers-Qwen3-8B
    """
    from judge.cli.terminal import print_table
    from judge.report.compare_page import difference_sentences, difference_table
    from judge.workflows import report as workflow

    done = workflow.compare(first, second, out=out, most=most)
    if as_json:
        echo_json({"page": str(done.page), "differences": asdict(done.differences)})
        return
    print_table(difference_table(done.differences))
    for sentence in difference_sentences(done.differences):
        click.echo(sentence)
    click.echo(f"comparison: {done.page}")


def show_report(done: Report, *, as_json: bool, **facts: Any) -> None:
    """Print the table of a report, or one JSON object of `facts` and its results."""
    from judge.cli.terminal import print_table
    from judge.report import terminal_table

    if as_json:
        facts |= {"report": str(done.page), "failed": done.failed}
        echo_json({**facts, "results": done.results.to_dict()})
    else:
        print_table(terminal_table(done.results))
        click.echo(f"report: {done.page}")
