"""`judge eval`: read dialogues, judge them, report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import click

from judge import manifest as manifests
from judge.cli.engine import Chosen, chosen_judge, engine_options, options_of
from judge.cli.eval_print import announce, reasons, say_done, show_plan, show_scenes
from judge.cli.playing import (
    SERVED,
    is_model,
    on_server,
    play_options,
    refuse_play_options,
)
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
from judge.cli.stage import Stage, stage
from judge.dialogues import read_dialogues, select
from judge.engines import EMBEDDED, Engine, JudgeSpec, open_engine
from judge.errors import UsageError
from judge.manifest import Manifest
from judge.pipeline import refuse_rationale, run, score
from judge.played import Played
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
    "ChatAnime JSON file, a folder of them, or a table (.jsonl, .csv, .tsv, .parquet); these may "
    "be given several times.",
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
    asked = chosen_judge(_for_the_judge(engine, models, playing) if live else engine)
    rubric = load_rubric(rubric_name or asked.spec.rubric, lang)
    most = (rationale_tokens or RATIONALE_TOKENS) if rationale else 0
    judge = open_engine(asked.spec, asked.options)
    if rationale:
        refuse_rationale(judge)
    wanted = {"characters": _split(characters), "scenarios": _split(scenarios), "limit": limit}
    if live:
        ready = stage(
            models[0], playing, options_of(engine), engine["engine"], _as_user(asked), **wanted
        )
        given = _Given(ready.system, ready.blanks, {}, ready.whole, ready)
    else:
        given = _recorded([Path(model) for model in models], wanted)
    named = [m for m in _split(metrics) if m != replies_metric(rubric.rubric)]
    tree = rubric.tree(given.dialogues, named, rationale=most)
    if dry_run and given.stage:
        show_scenes(given.stage, tree, as_json=as_json)
    elif dry_run:
        show_plan(tree, judge, asked.spec, tokens_per_second, as_json=as_json)
    if dry_run:
        return
    folder = out or Path("runs") / f"{given.name}-{Path(asked.spec.name).name}"
    manifest = Manifest(
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
            **({"played": dict(given.stage.facts)} if given.stage else {}),
        },
        notes=_notes(asked.spec, rubric, given.dialogues),
    )
    human = human_scale(calibration, rated, manifest)
    announce(manifest, len(given.dialogues), folder, given=asked.named)
    played: Played | None = None
    if given.stage:
        _refuse_other(folder, manifest)  # before hours of playing, not after
        found, played = given.stage.perform(folder)
        given = given._replace(dialogues=found.dialogues)
        manifest = replace(manifest, data=found.sources)
        tree = rubric.tree(given.dialogues, named, rationale=most)
    sets = _sets(rubric, given, _split(metrics), asked)
    with Store(folder) as store:
        with Progress("judging") as progress:
            done = run(tree, judge, store, manifest, progress)
        if sets is not None:
            with Progress("judging sets of replies") as progress:
                score(sets, judge, store, progress)
        with store.transaction():  # another process may be at the same run
            parts = (store.judgments(), store.dialogues(), means, folder, human)
            drawn = draw(done.manifest, *parts, [played] if played else [])
    say_done(done.outcome, judge, drawn.failed)
    spent = reasons(done.outcome, tree, rubric.tree((), named), judge)
    spent |= {"made": done.outcome.made, "reused": done.outcome.reused}
    show(drawn, as_json=as_json, run=str(folder), **spent)
    ctx.exit(1 if drawn.failed or (played is not None and played.incomplete) else 0)


def _refuse_alone(option: str, value: object, needed: str, there: bool) -> None:
    if value is not None and not there:
        raise UsageError(f"{option} goes with {needed}", hint="add it, or leave both out")


class _Given(NamedTuple):
    """What `--model` names: dialogues, or scenes to be played, which are dialogues to come.

    `whole` says whether no dialogue of its characters is left out.
    """

    name: str
    dialogues: tuple[Dialogue, ...]
    sources: Mapping[str, str]
    whole: bool
    stage: Stage | None = None


def _recorded(models: Sequence[Path], wanted: Mapping[str, Any]) -> _Given:
    dialogues, sources = _read(models)
    chosen = select(dialogues, **wanted)
    whole = len(chosen) == len(select(dialogues, characters=wanted["characters"]))
    return _Given(models[0].resolve().stem, chosen, sources, whole)


def _sets(
    rubric: RubricSet, given: _Given, metrics: Sequence[str], asked: Chosen
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


def _refuse_other(folder: Path, manifest: Manifest) -> None:
    there = manifests.read(folder)
    if there is not None:
        manifests.refuse_mismatch(folder, there, manifest)


def _for_the_judge(
    engine: Mapping[str, Any], models: Sequence[str], playing: Mapping[str, Any]
) -> Mapping[str, Any]:
    """The options of the judge: a server that only the players are on is none of its business."""
    named = engine["judge"] is not None and on_server(engine["judge"])
    if named or engine["engine"] == "http" or not on_server(*models, playing["user"]):
        return engine
    return {**engine, "base_url": None, "server": None, "concurrency": None}


def _as_user(asked: Chosen) -> str | None:
    """The judge as a model that can ask on; None for an embedded one, which cannot write."""
    if asked.spec.name in EMBEDDED or asked.spec.engine == "lexical":
        return None
    return f"{SERVED}{asked.spec.model}" if asked.spec.engine == "http" else asked.spec.model


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
