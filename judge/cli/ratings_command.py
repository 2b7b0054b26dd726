"""`judge ratings`: human ratings in, sheets for annotators out, filled sheets back in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import click
import numpy as np

from judge.cli.command import FOLDER_OR_FILE, Group, echo_json, option, table
from judge.cli.options import aliases_of, json_option, shape_options
from judge.dialogues import read_dialogues
from judge.errors import UsageError
from judge.ratings import (
    Comparison,
    DialogueId,
    Fault,
    Form,
    Overlap,
    Ratings,
    Scale,
    Summary,
    compare,
    ensure_usable,
    plan_sheets,
    read_key,
    read_ratings,
    summarise,
    write_sheets,
    write_table,
)
from judge.ratings import collect as collect_sheets
from judge.rubric import is_reply_set, load_rubric
from judge.runs import StoredRun, open_run
from judge.types import Dialogue

__all__ = ["ratings"]

_SHOWN = 20
"""Faults of one kind that are printed; --json and --all give every one."""

_COLUMNS = 12
"""Scores that still make columns of a table."""


@click.group(cls=Group)
def ratings() -> None:
    """Check human ratings, write sheets for annotators, collect them.

    \b
    Example:
      judge ratings check ratings.csv
      judge ratings sheet data/chatanime --out sheets --raters 6 --per-rater 100
    """


@ratings.command()
@click.argument("file", type=FOLDER_OR_FILE)
@option("--run", type=FOLDER_OR_FILE, help="Join with what this run judged.")
@option("--dialogues", type=FOLDER_OR_FILE, help="Join with these dialogues.")
@option(
    "--rubric",
    metavar="NAME|FOLDER",
    help="The metrics there are.  [default: those of --run, else esrp]",
)
@option("--any-metric", is_flag=True, help="Take every metric as it is named instead.")
@option(
    "--alias",
    "aliases",
    metavar="NAME=METRIC",
    multiple=True,
    help="What a metric, or a column such as rater, is called in the file. Repeatable.",
)
@option("--scale", metavar="LOW-HIGH", help="What a score may be.  [default: 1-5]")
@option(
    "--step",
    type=float,
    default=1,
    show_default=True,
    help="Distance of two neighbouring scores of the scale: --step 0.5 takes half points too, "
    "--step 0 any number.",
)
@shape_options
@option("--all", "everything", is_flag=True, help="Print every fault, not 20 of a kind.")
@option("--json", "as_json", is_flag=True, help="Print one JSON object, with every fault.")
@click.pass_context
def check(
    ctx: click.Context,
    file: Path,
    run: Path | None,
    dialogues: Path | None,
    rubric: str | None,
    any_metric: bool,
    aliases: Sequence[str],
    scale: str | None,
    step: float,
    sheet: str | None,
    raters: tuple[str, ...],
    systems: tuple[str, ...],
    mapping: Path | None,
    everything: bool,
    as_json: bool,
) -> None:
    """Read ratings and say what can be done with them.

    FILE is a table (.csv, .tsv, .txt, .json, .jsonl, .parquet, .xlsx, .ods, or any of them with
    .gz): long (system, character, scenario, metric, rater, score), wide (a column for each metric,
    or for each metric and rater), or an export of Label Studio or Argilla; docs/formats.md shows
    them all. Names may be English or Chinese; rater may be missing. Every rating that is refused is
    listed with its row.

    Ends with 0 if all can be used, 1 if some were refused or a metric has none, 2 if the file
    cannot be used.

    \b
    Example:
      judge ratings check ratings.csv --run runs/gpt-4.1-tiny
      judge ratings check survey.xlsx --alias 打分人=rater --alias 流畅度=fluency
    """
    if run is not None and dialogues is not None:
        raise UsageError(
            "--run and --dialogues", hint="a run holds its dialogues: name one of them"
        )
    stored = None if run is None else open_run(run)
    if stored is None or rubric is not None:
        metrics = load_rubric(rubric or "esrp").rubric.metrics
    else:
        metrics = stored.manifest.rubric.metrics
    found = read_ratings(
        file,
        metrics=None if any_metric else metrics,
        aliases=aliases_of(aliases),
        scale=None if scale is None and step == 1 else Scale.parse(scale or "1-5", step),
        sheet=sheet,
        raters=raters,
        systems=systems,
        mapping=mapping,
    )
    expected = () if any_metric else [m.name for m in metrics if m.unit == "dialogue"]
    summary = summarise(found, expected)
    joined = _compared(found, stored, dialogues)
    faults = [*found.faults, *(joined.unknown if joined else ())]
    if as_json:
        echo_json(_describe(found, summary, joined, faults))
    else:
        _show(found, summary, joined)
        _show_faults(faults, everything=everything)
    ensure_usable(found, joined)
    if faults or summary.unrated:
        ctx.exit(1)


@ratings.command()
@click.argument("dialogues", type=FOLDER_OR_FILE)
@option("--out", type=FOLDER_OR_FILE, required=True, help="A new folder for the sheets.")
@option("--raters", type=click.IntRange(min=1), required=True, help="How many annotators.")
@option(
    "--overlap",
    metavar="SHARE|K",
    help="0.2: a fifth of the dialogues to two raters, the rest to one; 3: each dialogue to three; "
    "1: none shared.  [default: 0.2, with one rater 1]",
)
@option(
    "--per-rater",
    type=click.IntRange(min=1),
    help="At most so many dialogues for each.  [default: all dialogues are rated]",
)
@option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    help="The start of every random draw: the same seed deals the same sheets, --seed 1 others.",
)
@option("--rubric", metavar="NAME|FOLDER", default="esrp", show_default=True, help="The set.")
@option("--lang", help="Language of the sheets.  [default: the set's first]")
@option(
    "--format",
    "kind",
    type=click.Choice(["xlsx", "csv"]),
    default="xlsx",
    show_default=True,
    help="XLSX has the anchors on a second tab and takes whole numbers of the scale only.",
)
@json_option
def sheet(
    dialogues: Path,
    out: Path,
    raters: int,
    overlap: str | None,
    per_rater: int | None,
    seed: int,
    rubric: str,
    lang: str | None,
    kind: str,
    as_json: bool,
) -> None:
    """Write blinded, shuffled sheets, one for each annotator.

    Give away the folder OUT/sheets; OUT/key.json says which row is which system, and `judge
    ratings collect` needs it. The same dialogues, options and seed give the same bytes.

    \b
    Example:
      judge ratings sheet data/chatanime --out sheets --raters 6 --per-rater 100 --overlap 0.25
    """
    loaded = load_rubric(rubric, lang)
    found = read_dialogues(dialogues)
    rng = np.random.default_rng(seed)
    plan = plan_sheets(
        found.dialogues,
        raters=raters,
        overlap=Overlap.parse(overlap or ("0.2" if raters > 1 else "1")),
        per_rater=per_rater,
        rng=rng,
    )
    form = Form(
        metrics=loaded.dialogue_metrics,
        anchors={m.name: loaded.describe(m) or "" for m in loaded.dialogue_metrics},
        language=loaded.rubric.language,
        scale=Scale(1, len(loaded.rubric.labels)),
        rubric=loaded.rubric.hash,
    )
    paths = write_sheets(
        out,
        found.dialogues,
        plan,
        form,
        kind="csv" if kind == "csv" else "xlsx",
        seed=seed,
        sources=found.sources,
        rng=rng,
    )
    counts = [len(rows) for rows in plan.sheets]
    if as_json:
        echo_json(
            {
                "key": str(out / "key.json"),
                "sheets": {str(p): n for p, n in zip(paths, counts, strict=True)},
                "dialogues": plan.dialogues,
                "shared": plan.shared,
                "seed": seed,
            }
        )
        return
    click.echo(table([("sheet", "dialogues"), *zip(paths, counts, strict=True)]))
    click.echo(f"{plan.dialogues} dialogues, {plan.shared} of them rated more than once")
    if not plan.shared and raters > 1:
        click.echo("nothing is shared: how strict each rater is cannot be known from these sheets")
    click.echo(f"give away {out / 'sheets'}, keep {out / 'key.json'}")


@ratings.command()
@click.argument("sheets", nargs=-1, required=True, type=FOLDER_OR_FILE)
@option("--key", type=FOLDER_OR_FILE, required=True, help="The key.json of the sheets.")
@option("--out", type=FOLDER_OR_FILE, required=True, help="Where the ratings go, a .csv.")
@option("--all", "everything", is_flag=True, help="Print every fault, not 20 of a kind.")
@option("--json", "as_json", is_flag=True, help="Print one JSON object, with every fault.")
@click.pass_context
def collect(
    ctx: click.Context,
    sheets: tuple[Path, ...],
    key: Path,
    out: Path,
    everything: bool,
    as_json: bool,
) -> None:
    """Read filled sheets back into one table of ratings.

    Ends with 1 if a score is missing or cannot be used, or a row has not come back.

    \b
    Example:
      judge ratings collect sheets/sheets/*.xlsx --key sheets/key.json --out ratings.csv
    """
    if out.resolve() in {path.resolve() for path in (*sheets, key)}:
        raise UsageError(f"--out {out}: it is one of the files to read", hint="choose another")
    if out.suffix.lower() != ".csv":
        raise UsageError(f"--out {out}: ratings are written as .csv", hint="end it in .csv")
    found, absent = collect_sheets(sheets, read_key(key))
    ensure_usable(found)
    write_table(out, found)
    summary = summarise(found)
    if as_json:
        value = _describe(found, summary, None, found.faults)
        echo_json({"out": str(out), **value, "absent": absent})
    else:
        _show(found, summary, None)
        _show_faults(found.faults, everything=everything)
        for rater, items in absent.items():
            click.echo(f"not handed in: {rater}, {len(items)} dialogues ({_few(items)})")
        click.echo(f"ratings: {out}")
    if found.faults or absent:
        ctx.exit(1)


def _compared(found: Ratings, run: StoredRun | None, dialogues: Path | None) -> Comparison | None:
    """The ratings beside what a run judged, or beside dialogues; None where neither is named."""
    if run is not None:
        said = (d for d in run.dialogues if not is_reply_set(d.scenario))
        scored = {
            (DialogueId(j.system, j.character, j.scenario), j.metric)
            for j in run.judgments
            if j.score is not None
        }
        return compare(found, {_id_of(d) for d in said}, scored)
    if dialogues is not None:
        return compare(found, [_id_of(d) for d in read_dialogues(dialogues).dialogues])
    return None


def _id_of(dialogue: Dialogue) -> DialogueId:
    return DialogueId(dialogue.system, dialogue.character, dialogue.scenario)


def _show(found: Ratings, summary: Summary, joined: Comparison | None) -> None:
    """Print the counts."""
    for path, digest in found.sources.items():
        click.echo(f"{path}  sha256 {digest}")
    click.echo(f"{summary.ratings} ratings of {summary.cells} dialogues, scale {found.scale}")
    for line in _raters(summary):
        click.echo(line)
    if summary.metrics:
        click.echo(f"\n{table(_metric_rows(summary))}\n")
    if summary.unrated:
        click.echo(f"no rating of: {', '.join(summary.unrated)}")
    for note in found.notes:
        click.echo(f"note: {note}")
    if found.unread:
        click.echo(f"columns not read: {', '.join(found.unread)}")
    for kind, count in found.excluded.items():
        click.echo(f"left aside, rater_type {kind or 'blank'}: {count} rows")
    if joined is not None:
        click.echo(f"dialogues there: {joined.known}, {joined.dialogues} of them rated")
        click.echo(f"ratings of them: {joined.rated} of {summary.ratings}")
    if joined is not None and joined.judged is not None:
        click.echo(f"ratings that have a judge score: {joined.judged} of {summary.ratings}")
        click.echo(f"judge scores that have a rating: {joined.matched} of {joined.judgments}")


def _show_faults(faults: Iterable[Fault], *, everything: bool) -> None:
    """Print how many faults there are of each kind, and the first or all of them."""
    kinds: dict[str, list[Fault]] = {}
    for fault in faults:
        kinds.setdefault(fault.kind, []).append(fault)
    for kind, members in kinds.items():
        click.echo(f"{kind.replace('_', ' ')}: {len(members)}")
        shown = members if everything else members[:_SHOWN]
        for fault in shown:
            click.echo(f"  {fault}")
        if len(shown) < len(members):
            click.echo(f"  and {len(members) - len(shown)} more; --all lists them")


def _describe(
    found: Ratings, summary: Summary, joined: Comparison | None, faults: Sequence[Fault]
) -> dict[str, object]:
    """The same as a value for JSON, with every fault."""
    comparison = None
    if joined is not None:
        comparison = {k: v for k, v in asdict(joined).items() if k != "unknown"}
    return {
        "sources": found.sources,
        "scale": found.scale._asdict(),
        **asdict(summary),
        "off_scale": found.off_scale,
        "aside": found.excluded,
        "unread": found.unread,
        "notes": found.notes,
        "comparison": comparison,
        "faults": [fault._asdict() for fault in faults],
    }


def _few(values: Sequence[object]) -> str:
    """The first values of a list that may be long."""
    return ", ".join(map(str, values[:6])) + (", ..." if len(values) > 6 else "")


def _raters(summary: Summary) -> Iterator[str]:
    if summary.ratings_per_rater:
        least, median, most = summary.ratings_per_rater
        yield f"raters: {summary.raters}, {least}-{most} ratings each (median {median:g})"
    if summary.unnamed:
        yield f"ratings without a rater: {summary.unnamed}"
    if summary.repeats:
        yield f"of them beside another of the same: {summary.repeats}, which may be copies"
    if summary.overlap is not None:
        counts = ", ".join(f"{k}: {n}" for k, n in summary.raters_per_cell.items())
        yield f"ratings per dialogue and metric: {counts} (overlap {summary.overlap:.1%})"
    if len(summary.pieces) > 1:
        yield (
            f"the raters fall into {len(summary.pieces)} groups that share no dialogue "
            f"({_few(summary.pieces)} raters): severities cannot be compared between them"
        )
    elif summary.raters > 1:
        yield "the raters are connected by dialogues that they share"


def _metric_rows(summary: Summary) -> list[tuple[object, ...]]:
    labels = sorted({label for metric in summary.metrics for label in metric.scores})
    if len(labels) > _COLUMNS:  # any number is a score
        labels = []
    head = ("metric", "ratings", "dialogues", "raters", "groups")
    return [
        (*head, *(f"{label:g}" for label in labels)),
        *(
            (
                *(m.name, m.ratings, m.cells, m.raters, "-" if m.pieces is None else m.pieces),
                *(m.scores.get(label, 0) for label in labels),
            )
            for m in summary.metrics
        ),
    ]
