"""`judge ratings`: human ratings in, sheets for annotators out, filled sheets back in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np

from judge import manifest
from judge.cli.plain import table
from judge.cli.rated import alias
from judge.cli.ratings_print import describe, echo_json, few, show, show_faults
from judge.dialogues import read_dialogues
from judge.errors import StoreError, UsageError
from judge.ratings import (
    DialogueId,
    Form,
    Overlap,
    Scale,
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
from judge.store import Store
from judge.types import Dialogue, Metric

__all__ = ["ratings"]


@click.group()
def ratings() -> None:
    """Check human ratings, write sheets for annotators, collect them.

    \b
    Example:
      judge ratings check ratings.csv
      judge ratings sheet data/chatanime --out sheets --raters 6 --per-rater 100
    """


@ratings.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--run", type=click.Path(path_type=Path), help="Join with what this run judged.")
@click.option("--dialogues", type=click.Path(path_type=Path), help="Join with these dialogues.")
@click.option(
    "--rubric",
    metavar="NAME|FOLDER",
    help="The metrics there are.  [default: those of --run, else esrp]",
)
@click.option("--any-metric", is_flag=True, help="Take every metric as it is named instead.")
@click.option(
    "--alias",
    "aliases",
    metavar="NAME=METRIC",
    multiple=True,
    help="What a metric, or a column such as rater, is called in the file. Repeatable.",
)
@click.option("--scale", metavar="LOW-HIGH", help="What a score may be.  [default: 1-5]")
@click.option("--step", type=float, default=1, show_default=True, help="0.5: half points; 0: any.")
@click.option("--all", "everything", is_flag=True, help="Print every fault, not 20 of a kind.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, with every fault.")
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
    everything: bool,
    as_json: bool,
) -> None:
    """Read ratings and say what can be done with them.

    FILE is a table (.csv, .tsv, .json, .jsonl, .parquet, .xlsx, .ods, or any of them with .gz),
    long (system, character, scenario, metric, rater, score) or wide (a column for each metric).
    Names may be English or Chinese; rater may be missing. Every rating that is refused is listed
    with its row.

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
    metrics = _metrics(run, rubric)
    found = read_ratings(
        file,
        metrics=None if any_metric else metrics,
        aliases=dict(map(alias, aliases)),
        scale=None if scale is None and step == 1 else Scale.parse(scale or "1-5", step),
    )
    expected = () if any_metric else [m.name for m in metrics if m.unit == "dialogue"]
    summary = summarise(found, expected)
    joined = None
    if run is not None:
        joined = compare(found, *_judged(run))
    elif dialogues is not None:
        joined = compare(found, [_cell(d) for d in read_dialogues(dialogues).dialogues])
    faults = [*found.faults, *(joined.unknown if joined else ())]
    if as_json:
        echo_json(describe(found, summary, joined, faults))
    else:
        show(found, summary, joined)
        show_faults(faults, everything=everything)
    ensure_usable(found, joined)
    if faults or summary.unrated:
        ctx.exit(1)


@ratings.command()
@click.argument("dialogues", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="A new folder for the sheets."
)
@click.option("--raters", type=click.IntRange(min=1), required=True, help="How many annotators.")
@click.option(
    "--overlap",
    metavar="SHARE|K",
    help="0.2: a fifth of the dialogues to two raters, the rest to one; 3: each dialogue to three; "
    "1: none shared.  [default: 0.2, with one rater 1]",
)
@click.option(
    "--per-rater",
    type=click.IntRange(min=1),
    help="At most so many dialogues for each.  [default: all dialogues are rated]",
)
@click.option("--seed", type=int, default=0, show_default=True, help="For what is drawn by lot.")
@click.option("--rubric", metavar="NAME|FOLDER", default="esrp", show_default=True, help="The set.")
@click.option("--lang", help="Language of the sheets.  [default: the set's first]")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["xlsx", "csv"]),
    default="xlsx",
    show_default=True,
    help="XLSX has the anchors on a second tab and takes whole numbers of the scale only.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
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
@click.argument("sheets", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--key", type=click.Path(path_type=Path), required=True, help="The key.json of the sheets."
)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Where the ratings go, a .csv."
)
@click.option("--all", "everything", is_flag=True, help="Print every fault, not 20 of a kind.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, with every fault.")
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
        value = describe(found, summary, None, found.faults)
        echo_json({"out": str(out), **value, "absent": absent})
    else:
        show(found, summary, None)
        show_faults(found.faults, everything=everything)
        for rater, items in absent.items():
            click.echo(f"not handed in: {rater}, {len(items)} dialogues ({few(items)})")
        click.echo(f"ratings: {out}")
    if found.faults or absent:
        ctx.exit(1)


def _metrics(run: Path | None, rubric: str | None) -> tuple[Metric, ...]:
    if run is None or rubric is not None:
        return load_rubric(rubric or "esrp").rubric.metrics
    made = manifest.read(run)
    if made is None:
        raise StoreError("no manifest.json", path=run, hint="is this a run folder?")
    return made.rubric.metrics


def _judged(run: Path) -> tuple[set[DialogueId], set[tuple[DialogueId, str]]]:
    with Store(run, create=False) as store:
        judgments = [
            (DialogueId(j.system, j.character, j.scenario), j.metric)
            for j in store.judgments()
            if j.score is not None
        ]
        said = [d for d in store.dialogues() if not is_reply_set(d.scenario)]
        return {_cell(d) for d in said}, set(judgments)


def _cell(dialogue: Dialogue) -> DialogueId:
    return DialogueId(dialogue.system, dialogue.character, dialogue.scenario)
