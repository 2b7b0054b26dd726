"""`judge doctor`, `runs`, `export` and `merge`: the machine, and what lies on its disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from judge.cli.command import FOLDER_OR_FILE, command, echo_json, option, table
from judge.cli.options import json_option

__all__ = ["doctor", "export", "merge", "runs"]


@command("doctor")
@option("--judge", help="The judge that is to be used: are its weights here, and do they fit?")
@option(
    "--out",
    "folder",
    type=FOLDER_OR_FILE,
    default=Path("runs"),
    show_default=True,
    help="Where run folders are to be made: is there room?",
)
@json_option
@click.pass_context
def doctor(ctx: click.Context, /, judge: str | None, folder: Path, as_json: bool) -> None:
    """Look whether this machine can do the work, and say what to mend.

    Loads no model and fetches nothing. Ends with 1 if something must be mended; a note is about
    what only some work needs.

    \b
    Example:
      judge doctor
      judge doctor --judge models/Qwen3-8B
    """
    from judge.workflows.doctor import examine

    checks = examine(judge, folder=folder)
    if as_json:
        echo_json({"checks": [asdict(check) for check in checks]})
    else:
        for check in checks:
            click.echo(f"{check.state:8}{check.about}: {check.result}")
            if check.hint:
                click.echo(f"        hint: {check.hint}")
    ctx.exit(1 if any(check.state == "problem" for check in checks) else 0)


@command("runs")
@click.argument("folders", nargs=-1, type=FOLDER_OR_FILE)
@json_option
@click.pass_context
def runs(ctx: click.Context, /, folders: Sequence[Path], as_json: bool) -> None:
    """List the run folders in FOLDERS (default: runs) with their size and state, oldest first.

    An unfinished run goes on with the `judge eval` that began it. Ends with 1 if a run cannot be
    read.

    \b
    Example:
      judge runs
      judge runs runs /data/runs --json
    """
    from judge.workflows.export import list_runs

    entries = list_runs(folders or [Path("runs")])
    if as_json:
        echo_json({"runs": [asdict(entry) for entry in entries]})
    elif not entries:
        click.echo("no runs")
    else:
        rows: list[Sequence[Any]] = [
            ("run", "state", "judge", "rubric", "systems", "dialogues", "judgments", "failed", "MB")
        ]
        for e in entries:
            counts = (e.systems, e.dialogues, e.judgments, e.failed)
            known = (e.judge, e.rubric, *counts) if e.state != "unreadable" else ("-",) * 6
            rows.append((e.folder, e.state, *known, f"{e.size / 1e6:.1f}"))
        click.echo(table(rows))
        for entry in entries:
            if entry.reason:
                click.echo(f"unreadable: {entry.reason}")
    ctx.exit(1 if any(entry.reason for entry in entries) else 0)


@command("export")
@click.argument("runs", nargs=-1, required=True, type=FOLDER_OR_FILE)
@option(
    "--out",
    type=FOLDER_OR_FILE,
    required=True,
    metavar="FILE",
    help="The file; its ending is .csv, .jsonl or .parquet.",
)
@option("--dialogues", is_flag=True, help="Write what was judged beside each judgment.")
@json_option
@click.pass_context
def export(
    ctx: click.Context, /, runs: Sequence[Path], out: Path, dialogues: bool, as_json: bool
) -> None:
    """Write the judgments of RUNS, made with one judge and one rubric, as one table.

    One row for each judgment: the expected score, the label mass, the probability of each label,
    and for a failure its reason. Ends with 1 if some judgments could not be made.

    \b
    Example:
      judge export runs/answers-lexical --out judgments.csv
      judge export runs/a runs/b --dialogues --out judgments.parquet
    """
    from judge.workflows import export as workflow

    done = workflow.export(runs, out, dialogues=dialogues)
    if as_json:
        echo_json(asdict(done))
    else:
        click.echo(f"{done.rows} judgments, {done.failed} of them without a score: {done.path}")
    ctx.exit(1 if done.failed else 0)


@command("merge")
@click.argument("runs", nargs=-1, required=True, type=FOLDER_OR_FILE)
@option("--out", type=FOLDER_OR_FILE, required=True, metavar="RUN", help="The new run folder.")
@json_option
@click.pass_context
def merge(ctx: click.Context, /, runs: Sequence[Path], out: Path, as_json: bool) -> None:
    """Join RUNS, made with one judge and one rubric, in one new run folder.

    For runs of one judge on several machines, or of several parts of the dialogues. What two of
    them have must be equal in both. Ends with 1 if some judgments could not be made, or a run is
    not finished.

    \b
    Example:
      judge merge runs/part-1 runs/part-2 --out runs/whole
    """
    from judge.workflows import merge as workflow

    done = workflow.merge(runs, out)
    if as_json:
        echo_json(asdict(done))
    else:
        click.echo(
            f"{done.judgments} judgments of {done.dialogues} dialogues of {done.systems} systems, "
            f"{done.twice} of them in more than one run, {done.failed} without a score: "
            f"{done.folder}"
        )
    ctx.exit(1 if done.failed or not done.finished else 0)
