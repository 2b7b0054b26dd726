"""`judge report`: one report over the judgments of one or more runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import click
from rich.console import Console

from judge import manifest as manifests
from judge.analysis import Published, Results, read_published, summarise
from judge.data import data_root
from judge.errors import StoreError, UsageError
from judge.manifest import Manifest
from judge.report import terminal_table, write_report
from judge.store import Store
from judge.types import Dialogue, Failure, Judgment

__all__ = ["Drawn", "draw", "published_means", "published_option", "report", "show"]

published_option = click.option(
    "--published",
    type=click.Path(path_type=Path),
    help="CSV of published means (system, metric, mean) to set beside.  "
    "[default: that of $JUDGE_DATA, if there]",
)


class Drawn(NamedTuple):
    """A report that was written: what it says, its page, and how many judgments failed."""

    results: Results
    page: Path
    failed: int


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder of the report.  [default: the one run's]"
)
@published_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def report(
    ctx: click.Context,
    runs: tuple[Path, ...],
    out: Path | None,
    published: Path | None,
    as_json: bool,
) -> None:
    """Write one report over RUNS, folders made with one judge and one rubric.

    Ends with 1 if some judgments could not be made.

    \b
    Example:
      judge report runs/gpt-4.1-lexical
      judge report runs/gpt-4.1-lexical runs/human-lexical --out reports/both
    """
    if out is None and len(runs) > 1:
        raise UsageError(
            "several runs need --out, the folder of their common report",
            hint="for instance --out reports/all",
        )
    means = published_means(published)
    manifest, judgments, dialogues = _gather(runs)
    drawn = draw(manifest, judgments, dialogues, means, out or runs[0])
    show(drawn, as_json=as_json)
    ctx.exit(1 if drawn.failed else 0)


def published_means(asked: Path | None) -> Published | None:
    """The means of the file asked for, or else of the one beside the public data, if there."""
    beside = data_root() / "published" / "chatanime_figure1.csv"
    if asked is None and not beside.is_file():
        return None
    return read_published(asked or beside)


def draw(
    manifest: Manifest,
    judgments: Sequence[Judgment],
    dialogues: Sequence[Dialogue],
    published: Published | None,
    folder: Path,
) -> Drawn:
    """Sum up and write the report into `folder`."""
    results = summarise(
        judgments,
        manifest.rubric,
        dialogues=dialogues,
        provenance=manifest.provenance,
        notes=manifest.notices,
        published=published,
    )
    files = write_report(results, folder, judgments=judgments)
    failed = sum(isinstance(judgment.outcome, Failure) for judgment in judgments)
    return Drawn(results, files.html, failed)


def show(drawn: Drawn, *, as_json: bool, **facts: object) -> None:
    """Print the table, or one JSON object of `facts` and the results."""
    if as_json:
        facts |= {"report": str(drawn.page), "failed": drawn.failed}
        click.echo(json.dumps({**facts, "results": drawn.results.to_dict()}, ensure_ascii=False))
    else:
        Console().print(terminal_table(drawn.results))
        click.echo(f"report: {drawn.page}")


def _gather(runs: Sequence[Path]) -> tuple[Manifest, list[Judgment], list[Dialogue]]:
    """One manifest for all, and everything that was judged."""
    merged: Manifest | None = None
    judgments: list[Judgment] = []
    dialogues: list[Dialogue] = []
    for run in runs:
        manifest = manifests.read(run)
        if manifest is None:
            raise StoreError(
                "this is no run folder: it has no manifest.json",
                path=run,
                hint="name the folder that `judge eval` wrote",
            )
        if merged is not None:
            manifests.refuse_mismatch(run, manifest, merged)
        merged = manifest if merged is None else manifests.merge(merged, manifest)
        with Store(run, create=False) as store:
            judgments += store.judgments()
            dialogues += store.dialogues()
    assert merged is not None  # noqa: S101 - click demands at least one run
    return merged, judgments, dialogues
