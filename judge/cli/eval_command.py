"""`judge eval`: read dialogues, judge them, report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

from judge.cli.casting import judge_beside
from judge.cli.engine import Chosen, chosen_judge, engine_options
from judge.cli.eval_print import announce, reasons, say_done, show_plan, show_scenes
from judge.cli.given import Given, live_dialogues, recorded_dialogues, refuse_other
from judge.cli.playing import is_model, play_options, refuse_play_options
from judge.cli.progress import Progress
from judge.cli.report_command import (
    calibration_option,
    draw,
    human_scale,
    new_ratings,
    published_means,
    published_option,
    show,
)
from judge.cli.stage import stage
from judge.engines import Engine, JudgeSpec, open_engine
from judge.errors import UsageError
from judge.manifest import Manifest
from judge.pipeline import refuse_rationale, run
from judge.rubric import RubricSet, load_rubric, replies_metric, replies_tree
from judge.scoring import prompts_hash
from judge.store import Store
from judge.types import Dialogue, PromptTree

__all__ = ["evaluate"]

RATIONALE_TOKENS = 512


@click.command(name="eval")
@click.option(
    "--model",
    "models",
    multiple=True,
    required=True,
    help="A model to let play: a folder, a hub id, or openai:NAME. Or recorded dialogues: a "
    "ChatAnime JSON file, a folder of them, or a table (.csv, .tsv, .jsonl, .parquet, .xlsx). "
    "Dialogues may be given several times.",
)
@play_options
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
    models: tuple[str, ...],
    playing: Mapping[str, Any],
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
    """Let a model play, judge it on nine metrics and write a report.

    Recorded dialogues are judged as they are. Can be stopped at any time: the same command goes on
    where it stopped, and run again it asks nothing twice. Ends with 1 if some replies or judgments
    could not be made.

    \b
    Example:
      judge eval --model Qwen/Qwen3-4B --judge Qwen/Qwen3-8B
      judge eval --model openai:mine --base-url http://localhost:8000/v1 --user replay:human
      judge eval --model answers.json --judge Qwen/Qwen3-8B --limit 100 --out runs/trial
      judge eval --model answers.json --judge Qwen/Qwen3-8B --calibration calibration.json
      judge eval --model answers.json --judge Qwen/Qwen3-8B --rationale --dry-run
    """
    _refuse_alone("--tokens-per-second", tokens_per_second, "--dry-run", dry_run)
    _refuse_alone("--rationale-tokens", rationale_tokens, "--rationale", rationale)
    means = published_means(published)
    live = _plays(ctx, models)
    asked = judge_beside(engine, models[0], playing) if live else chosen_judge(engine)
    rubric = load_rubric(rubric_name or asked.spec.rubric, lang)
    most = (rationale_tokens or RATIONALE_TOKENS) if rationale else 0
    judge = open_engine(asked.spec, asked.options)
    if rationale:
        refuse_rationale(judge)
    wanted: dict[str, Any] = {
        "characters": _split(characters),
        "scenarios": _split(scenarios),
        "limit": limit,
    }
    if live:
        given = live_dialogues(stage(models[0], playing, engine, asked, **wanted))
    else:
        given = recorded_dialogues([Path(model) for model in models], wanted)
    named = _of_dialogues(_split(metrics), rubric)
    tree = rubric.tree(given.dialogues, named, rationale=most)
    if dry_run and given.stage:
        show_scenes(given.stage, tree, as_json=as_json)
    elif dry_run:
        show_plan(tree, judge, asked.spec, tokens_per_second, as_json=as_json)
    if dry_run:
        return
    folder = out or Path("runs") / f"{given.name}-{Path(asked.spec.name).name}"
    manifest = Manifest.begin(
        rubric=rubric.rubric,
        judge=_facts(asked, judge, most),
        prompts=prompts_hash(rubric.tree((), rationale=most)),
        data={d.system: given.sources.get(d.system, "") for d in given.dialogues},
        options={
            "model": list(models),
            "metrics": list(tree.questions),
            "characters": characters,
            "scenarios": scenarios,
            "limit": limit,
            # An address may hold a password: the engine says where it asked.
            **{k: v for k, v in asdict(asked.options).items() if v is not None and k != "base_url"},
            "batch_size": judge.batch_size,
        },
        notes=_notes(asked.spec, rubric, given.dialogues),
    )
    human = human_scale(calibration, rated, manifest)
    announce(manifest, len(given.dialogues), folder, given=asked.named)
    if given.stage:
        refuse_other(folder, manifest)  # before hours of playing, not after
        given = given.perform(folder)
        manifest = replace(
            manifest, data=given.sources, options={**manifest.options, **given.facts}
        )
        tree = rubric.tree(given.dialogues, named, rationale=most)
    sets = _sets(rubric, given, _split(metrics), asked)
    with Store(folder) as store:
        with Progress("judging") as progress:
            done = run(tree, judge, store, manifest, progress, sets)
        with store.transaction():  # another process may be at the same run
            parts = (store.judgments(), store.dialogues(), means, folder, human)
            drawn = draw(done.manifest, *parts, given.played)
    say_done(done.outcome, judge, drawn.failed)
    spent = reasons(done.outcome, tree, rubric.tree((), named), judge)
    spent |= {"made": done.outcome.made, "reused": done.outcome.reused}
    show(drawn, as_json=as_json, run=str(folder), **spent)
    ctx.exit(1 if drawn.failed or any(one.incomplete for one in given.played) else 0)


def _refuse_alone(option: str, value: object, needed: str, there: bool) -> None:
    if value is not None and not there:
        raise UsageError(f"{option} goes with {needed}", hint="add it, or leave both out")


def _of_dialogues(metrics: Sequence[str], rubric: RubricSet) -> list[str]:
    """Those that judge a dialogue. None would mean all, which nobody asked for."""
    found = [metric for metric in metrics if metric != replies_metric(rubric.rubric)]
    if metrics and not found:
        raise UsageError(
            f"--metrics {metrics[0]}: it is judged over many replies, beside metrics of dialogues",
            hint=f"name one more, such as --metrics fluency,{metrics[0]}",
        )
    return found


def _sets(
    rubric: RubricSet, given: Given, metrics: Sequence[str], asked: Chosen
) -> PromptTree | None:
    """The sets of replies to be judged, None where that was not asked for or cannot be.

    Of a part of the dialogues other sets would be drawn than of all.
    """
    metric = replies_metric(rubric.rubric)
    wanted = metric is not None and (not metrics or metric in metrics)
    if not wanted or not given.whole or asked.spec.engine == "lexical":
        return None
    return replies_tree(rubric, given.dialogues, seed=asked.options.seed)


def _plays(ctx: click.Context, models: Sequence[str]) -> bool:
    """Whether `--model` names a model that is to play.

    Raises:
        UsageError: several of them, or options of playing without one.
    """
    live = [model for model in models if is_model(model)]
    if live and len(models) > 1:
        raise UsageError(
            f"--model {live[0]} is a model that plays, and it plays alone",
            hint="evaluate every model by itself; `judge leaderboard` puts them in one table",
        )
    if not live:
        refuse_play_options(ctx, models[0])
    return bool(live)


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
