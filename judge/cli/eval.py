"""`judge eval`: read dialogues, judge them, report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from judge.cli.engine import Chosen, chosen_judge, engine_options
from judge.cli.progress import Progress
from judge.cli.report import (
    calibration_option,
    draw,
    human_scale,
    new_ratings,
    published_means,
    published_option,
    show,
)
from judge.cost import cost, plan
from judge.dialogues import read_dialogues, select
from judge.engines import Engine, JudgeSpec, open_engine
from judge.errors import UsageError
from judge.manifest import Manifest
from judge.pipeline import Outcome, refuse_rationale, run
from judge.rubric import RubricSet, load_rubric
from judge.scoring import prompts_hash
from judge.store import Store
from judge.types import Dialogue, PromptTree

__all__ = ["evaluate"]

RATIONALE_TOKENS = 512


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
@engine_options
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
@click.option("--rationale", is_flag=True, help="Let the judge write its reason before it scores.")
@click.option(
    "--rationale-tokens",
    type=click.IntRange(min=1),
    help=f"Most tokens of a reason.  [default: {RATIONALE_TOKENS}]",
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Run folder.  [default: runs/MODEL-JUDGE]"
)
@published_option
@calibration_option
@new_ratings
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
    engine: Mapping[str, Any],
    rubric_name: str | None,
    lang: str | None,
    metrics: str,
    characters: str,
    scenarios: str,
    limit: int | None,
    rationale: bool,
    rationale_tokens: int | None,
    out: Path | None,
    published: Path | None,
    calibration: Path | None,
    rated: Mapping[str, Any],
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
      judge eval --model answers.json --judge Qwen/Qwen3-8B --calibration calibration.json
      judge eval --model answers.json --judge Qwen/Qwen3-8B --rationale --dry-run
    """
    if tokens_per_second is not None and not dry_run:
        raise UsageError(
            "--tokens-per-second goes with --dry-run", hint="add it, or leave both out"
        )
    if rationale_tokens is not None and not rationale:
        raise UsageError(
            "--rationale-tokens goes with --rationale", hint="add it, or leave both out"
        )
    means = published_means(published)
    dialogues, sources = _read(models)
    chosen = select(
        dialogues, characters=_split(characters), scenarios=_split(scenarios), limit=limit
    )
    asked = chosen_judge(engine)
    spec = asked.spec
    rubric = load_rubric(rubric_name or spec.rubric, lang)
    most = (rationale_tokens or RATIONALE_TOKENS) if rationale else 0
    judge = open_engine(spec, asked.options)
    if rationale:
        refuse_rationale(judge)
    tree = rubric.tree(chosen, _split(metrics), rationale=most)
    if dry_run:
        _show_plan(tree, judge, spec, tokens_per_second, as_json=as_json)
        return
    folder = out or Path("runs") / f"{models[0].resolve().stem}-{Path(spec.name).name}"
    manifest = Manifest(
        rubric=rubric.rubric,
        judge=_facts(asked, judge, most),
        prompts=prompts_hash(rubric.tree((), rationale=most)),
        data={d.system: sources[d.system] for d in chosen},
        options={
            "model": [str(model) for model in models],
            "metrics": list(tree.questions),
            "characters": characters,
            "scenarios": scenarios,
            "limit": limit,
            # An address may hold a password: the engine says where it asked.
            **{k: v for k, v in asdict(asked.options).items() if v is not None and k != "base_url"},
            "batch_size": judge.batch_size,
        },
        notes=_notes(spec, rubric, chosen),
    )
    human = human_scale(calibration, rated, manifest)
    _announce(manifest, len(chosen), folder, given=asked.named)
    with Store(folder) as store:
        with Progress("judging") as progress:
            done = run(tree, judge, store, manifest, progress)
        with store.transaction():  # another process may be at the same run
            drawn = draw(done.manifest, store.judgments(), store.dialogues(), means, folder, human)
    made, reused = done.outcome.made, done.outcome.reused
    click.echo(
        f"{made} judgments made, {reused} were there; {drawn.failed} could not be made", err=True
    )
    share = getattr(judge, "cached_share", None)  # of vLLM, which finds shared prompts by itself
    if share is not None:
        click.echo(f"{share:.1%} of the prompt tokens were found in the cache", err=True)
    reasons = _reasons(done.outcome, tree, rubric.tree((), _split(metrics)), judge)
    show(drawn, as_json=as_json, run=str(folder), made=made, reused=reused, **reasons)
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


def _facts(asked: Chosen, judge: Engine, rationale: int) -> dict[str, str]:
    """What the manifest says of the judge."""
    facts = {"name": asked.spec.name, "seed": str(asked.options.seed)}
    facts |= {"fingerprint": judge.fingerprint, **judge.describe()}
    if rationale:
        facts["rationale"] = f"at most {rationale} tokens"
    return facts


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


def _reasons(
    outcome: Outcome, tree: PromptTree, plain: PromptTree, judge: Engine
) -> dict[str, object]:
    """What the reasons written now took, said on stderr and given back; nothing without any."""
    if not outcome.reasoned:
        return {}
    facts: dict[str, object] = {"tokens_written": outcome.written, "reasons_cut": outcome.cut}
    line = f"with reasons: {outcome.written} tokens written"
    spent = cost(outcome.reasoned, tree, plain, judge)
    if spent is not None:
        facts |= {"tokens_read_at_most": spent.read, "tokens_read_without": spent.plain}
        line += f", at most {spent.read} read"
        if spent.plain is not None:
            line += f"; without: {spent.plain} read"
    click.echo(line, err=True)
    if outcome.cut:
        click.echo(f"{outcome.cut} reasons were cut at {tree.rationale} tokens", err=True)
    return facts


def _show_plan(
    tree: PromptTree, judge: Engine, spec: JudgeSpec, rate: float | None, *, as_json: bool
) -> None:
    """What `--dry-run` says; times in seconds at `rate` tokens a second."""
    facts: dict[str, object] = {
        "judge": spec.name,
        "dialogues": len(tree.items),
        "prompts": len(tree),
    }
    tokens = plan(tree, judge)
    if tokens is not None:
        facts["longest_prompt"] = tokens.longest
        ways = {"one_by_one": tokens.one_by_one, "shared_parts_once": tokens.shared_once}
        facts |= {f"tokens_{way}": read for way, read in ways.items()}
        facts["ratio"] = None if tokens.ratio is None else round(tokens.ratio, 1)
        if tree.rationale:
            facts["tokens_written_at_most"] = tokens.written
        if rate is not None:
            facts |= {f"seconds_{way}": round(read / rate, 1) for way, read in ways.items()}
    if as_json:
        click.echo(json.dumps(facts, ensure_ascii=False))
        return
    for name, value in facts.items():
        click.echo(f"{name.replace('_', ' ') + ':':28} {value}")
    if tokens is None:
        click.echo("no estimate of time: this judge counts no tokens")
    elif rate is None:
        click.echo("for an estimate of time give --tokens-per-second")
    if tokens is not None and tree.rationale:
        click.echo(
            "with reasons every prompt is read twice, and the reasons once more: tokens and times "
            "are of reading, at most; the writing comes on top and is slower"
        )
