"""`judge data`: fetch the public dialogues, check a dialogue file of one's own."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import click

from judge import chatanime as released
from judge.cli.command import FOLDER_OR_FILE, Group, echo_json, option, table
from judge.cli.options import json_option
from judge.dialogues import SystemSummary, read_dialogues, summarise

__all__ = ["data"]

HEADER = (
    "system",
    "characters",
    "scenarios",
    "dialogues",
    "rounds",
    "empty replies",
    "reply length",
    "released file",
)


@click.group(cls=Group)
def data() -> None:
    """Get and check dialogues.

    \b
    Example:
      judge data fetch
      judge data check data/chatanime
    """


@data.command()
@option(
    "--to",
    type=FOLDER_OR_FILE,
    help="Folder for the files.  [default: chatanime in $JUDGE_DATA, else in data]",
)
@option(
    "--archive",
    type=FOLDER_OR_FILE,
    help="A zip of the repository downloaded by hand, instead of the network.",
)
@json_option
def fetch(to: Path | None, archive: Path | None, as_json: bool) -> None:
    """Download the public ChatAnime dialogues and check them.

    The 11 files come from one fixed commit, and each must have its known SHA-256; files that
    are already right are left alone.

    \b
    Example:
      judge data fetch --to data/chatanime
      judge data fetch --archive ~/Downloads/ChatAnime.zip
    """
    folder = released.data_root() / "chatanime" if to is None else to
    progress = _show_progress if sys.stderr.isatty() else None
    try:
        report = released.fetch(folder, archive=archive, progress=progress)
    finally:
        if progress is not None:
            click.echo(err=True)  # ends the line that the progress was written on
    if as_json:
        echo_json(report._asdict())
        return
    for word, names in (
        ("written", report.written),
        ("replaced", report.replaced),
        ("already right", report.kept),
    ):
        if names:
            click.echo(f"{word}: {', '.join(names)}")
    count = len(report.written + report.replaced + report.kept)
    click.echo(f"{count} files with the right SHA-256 in {report.folder}")


@data.command()
@click.argument("path", type=FOLDER_OR_FILE)
@json_option
@click.pass_context
def check(ctx: click.Context, path: Path, as_json: bool) -> None:
    """Read dialogues and say what is there.

    PATH is a ChatAnime file, a table (.csv, .tsv, .txt, .json, .jsonl, .parquet, .xlsx) with the
    columns system, character, scenario, round, question, answer, a file of chats (messages or
    conversations), or a folder of such files; docs/formats.md shows them all. Ends with 1 if there
    are empty replies: they cannot be judged, and will be counted as failures.

    \b
    Example:
      judge data check data/chatanime/gpt-4.1.json
    """
    found = read_dialogues(path)
    systems = summarise(found.dialogues)
    origin = {name: _origin(name, digest) for name, digest in found.sources.items()}
    if as_json:
        rows = [
            {**asdict(s), "sha256": found.sources[s.system], "release": origin[s.system]}
            for s in systems
        ]
        echo_json({"path": str(path), "systems": rows, "notes": found.notes})
    else:
        click.echo(table([HEADER, *(_cells(s, origin[s.system]) for s in systems)]))
        for note in found.notes:
            click.echo(f"note: {note}")
        click.echo("reply length: median (shortest-longest) of the non-empty replies, characters")
    if any(system.empty_replies for system in systems):
        ctx.exit(1)


def _origin(system: str, digest: str) -> str | None:
    """How a system's file compares with the released one of its name; None without one."""
    expected = released.FILES.get(f"{system}.json")
    if expected is None:
        return None
    return "same" if digest == expected else "different"


def _cells(row: SystemSummary, origin: str | None) -> tuple[str, ...]:
    counts = (row.characters, row.scenarios, row.dialogues, row.rounds, row.empty_replies)
    length = "-" if row.median is None else f"{row.median:g} ({row.shortest}-{row.longest})"
    return (row.system, *map(str, counts), length, origin or "-")


def _show_progress(received: int, expected: int | None) -> None:
    of = "" if expected is None else f" of {expected / 1e6:.1f}"
    click.echo(f"\r{received / 1e6:.1f}{of} MB", nl=False, err=True)
