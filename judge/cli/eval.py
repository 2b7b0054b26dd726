"""`judge eval`: read dialogues, judge them, report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from judge.cli.progress import Progress
from judge.cli.report import draw, published_means, published_option, show
from judge.dialogues import read_dialogues, select
from judge.engines import (
    DEFAULT_CUDA,
    ENGINES,
    Engine,
    EngineOptions,
    JudgeSpec,
    default_judge,
    open_engine,
    resolve_judge,
)
from judge.errors import UsageError
from judge.manifest import Manifest
from judge.pipeline import run
from judge.rubric import RubricSet, load_rubric
from judge.scoring import prompts_hash
from judge.store import Store
from judge.types import Dialogue, PromptTree

__all__ = ["evaluate"]


@click.command(name="eval")
@click.option(
    "--model",
    "models",
    type=click.Path(path_type=Path),
    multiple=True,
    required=True,
    help="Recorded dialogues of the model: a ChatAnime JSON file, a folder of them, or a table "
    "(.jsonl, .csv, .tsv, .parquet). May be given several times.",
)
@click.option(
    "--judge",
    "judge_name",
    help="lexical, tiny, mock, a model folder or a hub id.  "
    f"[default: {DEFAULT_CUDA} with CUDA, else the better embedded judge]",
)
@click.option("--engine", type=click.Choice(sorted(ENGINES)), help="How the judge is asked.")
@click.option("--rubric", "rubric_name", help="A shipped set or a folder.  [default: the judge's]")
@click.option("--lang", help="Language of the rubric.  [default: its first]")
@click.option("--metrics", default="", help="Only these, separated by commas.")
@click.option("--characters", default="", help="Only these: names or parts, separated by commas.")
@click.option("--scenarios", default="", help="Only these, such as 1-12,15.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    help="Only so many dialogues, spread over systems and characters.",
)
@click.option("--batch-size", type=click.IntRange(min=1), help="Dialogues judged at once.")
@click.option("--device", help="cpu, cuda, cuda:1, ...")
@click.option("--dtype", help="float32, bfloat16 or float16.")
@click.option("--seed", type=int, default=0, show_default=True, help="For judges that draw.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Run folder.  [default: runs/MODEL-JUDGE]"
)
@published_option
@click.option("--dry-run", is_flag=True, help="Count prompts and tokens; judge and write nothing.")
@click.option(
    "--tokens-per-second",
    type=click.FloatRange(min=0, min_open=True),
    help="What the judge reads on your machine, for the time that --dry-run estimates.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def evaluate(
    ctx: click.Context,
    models: tuple[Path, ...],
    judge_name: str | None,
    engine: str | None,
    rubric_name: str | None,
    lang: str | None,
    metrics: str,
    characters: str,
    scenarios: str,
    limit: int | None,
    batch_size: int | None,
    device: str | None,
    dtype: str | None,
    seed: int,
    out: Path | None,
    published: Path | None,
    dry_run: bool,
    tokens_per_second: float | None,
    as_json: bool,
) -> None:
    """Judge a model's dialogues on nine metrics and write a report.

    Can be stopped at any time: the same command goes on where it stopped, and run again it
    asks nothing twice. Ends with 1 if some judgments could not be made.

    \b
    Example:
      judge eval --model answers.json
      judge eval --model answers.json --judge Qwen/Qwen3-8B --limit 100 --out runs/trial
    """
    if tokens_per_second is not None and not dry_run:
        raise UsageError(
            "--tokens-per-second goes with --dry-run", hint="add it, or leave both out"
        )
    means = published_means(published)
    dialogues, sources = _read(models)
    chosen = select(
        dialogues, characters=_split(characters), scenarios=_split(scenarios), limit=limit
    )
    spec = resolve_judge(judge_name or default_judge(), engine)
    rubric = load_rubric(rubric_name or spec.rubric, lang)
    tree = rubric.tree(chosen, _split(metrics))
    judge = open_engine(spec, EngineOptions(batch_size, device, dtype, seed))
    if dry_run:
        _show_plan(tree, judge, spec, tokens_per_second, as_json=as_json)
        return
    folder = out or Path("runs") / f"{models[0].resolve().stem}-{Path(spec.name).name}"
    manifest = Manifest(
        rubric=rubric.rubric,
        judge={
            "name": spec.name,
            "seed": str(seed),
            "fingerprint": judge.fingerprint,
            **judge.describe(),
        },
        prompts=prompts_hash(rubric.tree(())),
        data={d.system: sources[d.system] for d in chosen},
        options={
            "model": [str(model) for model in models],
            "metrics": list(tree.questions),
            "characters": characters,
            "scenarios": scenarios,
            "limit": limit,
            "batch_size": judge.batch_size,
        },
        notes=_notes(spec, rubric, chosen),
    )
    _announce(manifest, len(chosen), folder, given=judge_name is not None)
    with Store(folder) as store:
        with Progress("judging") as progress:
            done = run(tree, judge, store, manifest, progress)
        with store.transaction():  # another process may be at the same run
            drawn = draw(done.manifest, store.judgments(), store.dialogues(), means, folder)
    made, reused = done.outcome.made, done.outcome.reused
    click.echo(
        f"{made} judgments made, {reused} were there; {drawn.failed} could not be made", err=True
    )
    show(drawn, as_json=as_json, run=str(folder), made=made, reused=reused)
    ctx.exit(1 if drawn.failed else 0)


def _read(models: Sequence[Path]) -> tuple[tuple[Dialogue, ...], Mapping[str, str]]:
    """The dialogues of all files, and the SHA-256 of the file of each system."""
    dialogues: list[Dialogue] = []
    sources: dict[str, str] = {}
    for path in models:
        found = read_dialogues(path)
        twice = sources.keys() & found.sources.keys()
        if twice:
            raise UsageError(
                f"--model {path}: the system {', '.join(sorted(twice))} was given before",
                hint="give every system once; a system is named by its file, or in its table",
            )
        dialogues += found.dialogues
        sources |= found.sources
    return tuple(dialogues), sources


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _notes(spec: JudgeSpec, rubric: RubricSet, dialogues: Sequence[Dialogue]) -> tuple[str, ...]:
    names = dict.fromkeys(d.character for d in dialogues)
    strangers = [name for name in names if not rubric.character(name).known]
    notes = [spec.note] if spec.note else []
    if strangers:
        notes.append(f"Judged without a profile: {', '.join(strangers)}.")
    return tuple(notes)


def _announce(manifest: Manifest, dialogues: int, folder: Path, *, given: bool) -> None:
    rubric = manifest.rubric
    click.echo(
        f"judge {manifest.judge['name']}{'' if given else ' (no --judge given)'}, "
        f"rubric {rubric.name} {rubric.version} {rubric.language} {rubric.hash[:8]}, "
        f"{dialogues} dialogues, run folder {folder}",
        err=True,
    )
    for note in manifest.notes:
        click.echo(f"note: {note}", err=True)


def _show_plan(
    tree: PromptTree, judge: Engine, spec: JudgeSpec, rate: float | None, *, as_json: bool
) -> None:
    """What `--dry-run` says; times in seconds at `rate` tokens a second."""
    count = judge.count(tree)
    plan: dict[str, object] = {
        "judge": spec.name,
        "dialogues": len(tree.items),
        "prompts": len(tree),
    }
    if count is not None:
        plan["longest_prompt"] = count.longest
        for way, tokens in (("one_by_one", count.naive), ("shared_parts_once", count.tree)):
            plan[f"tokens_{way}"] = tokens
            if rate is not None:
                plan[f"seconds_{way}"] = round(tokens / rate, 1)
    if as_json:
        click.echo(json.dumps(plan, ensure_ascii=False))
        return
    for name, value in plan.items():
        click.echo(f"{name.replace('_', ' ') + ':':28} {value}")
    if count is None:
        click.echo("no estimate of time: this judge counts no tokens")
    elif rate is None:
        click.echo("for an estimate of time give --tokens-per-second")
