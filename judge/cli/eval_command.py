"""`judge eval` and `judge generate`: let a model play, and judge what was said."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from judge.cli.command import (
    FOLDER_OR_FILE,
    Progress,
    command,
    echo_json,
    given_options,
    option,
    write_config,
)
from judge.cli.options import (
    ENGINE,
    GIVEN,
    JUDGE,
    PLAYING,
    REPORT,
    SERVER,
    calibration_option,
    characters_file_option,
    engine_options,
    given_cluster,
    given_ratings,
    json_option,
    judge_option,
    metrics_option,
    out_option,
    play_options,
    published_option,
    rating_options,
    retry_failed_option,
    selection_options,
)
from judge.cli.report_command import NEW_RATINGS, show_report
from judge.errors import UsageError

if TYPE_CHECKING:
    from judge.workflows.evaluate import EvaluationPlan

__all__ = ["evaluate", "generate"]


@command("eval")
@option(
    "--model",
    "models",
    multiple=True,
    required=True,
    group=GIVEN,
    help="A model to let play: a folder, a hub id, a GGUF file, or openai:NAME. Or recorded "
    "dialogues: a ChatAnime JSON file, a folder of them, a table (.csv, .tsv, .jsonl, .parquet, "
    ".xlsx), or `reference`: the 440 public dialogues that a strong LLM has scored, to check a "
    "judge. Dialogues may be given several times.",
)
@selection_options
@characters_file_option
@judge_option
@option(
    "--rubric",
    group=JUDGE,
    help="A shipped set, such as esrp@1.2.0, or a folder.  [default: the judge's]",
)
@option("--lang", "language", group=JUDGE, help="Language of the rubric.  [default: its first]")
@metrics_option
@option(
    "--rationale",
    is_flag=True,
    group=JUDGE,
    help="Let the judge write its reason before it scores.",
)
@option(
    "--rationale-tokens",
    type=click.IntRange(min=1),
    group=JUDGE,
    help="Most tokens of a reason.  [default: 512]",
)
@engine_options
@retry_failed_option
@play_options
@out_option("Run folder.  [default: runs/MODEL-JUDGE]")
@published_option
@calibration_option
@rating_options(NEW_RATINGS)
@option("--dry-run", is_flag=True, help="Count prompts and tokens; judge and write nothing.")
@option(
    "--tokens-per-second",
    type=click.FloatRange(min=0, min_open=True),
    help="What the judge reads on your machine, for the time that --dry-run estimates.",
)
@option(
    "--save-config",
    type=FOLDER_OR_FILE,
    metavar="FILE",
    help="Write the options given here to a TOML file, for --config, and go on.",
)
@json_option
@click.pass_context
def evaluate(
    ctx: click.Context,
    /,
    models: Sequence[str],
    rationale: bool,
    rationale_tokens: int | None,
    dry_run: bool,
    tokens_per_second: float | None,
    save_config: Path | None,
    as_json: bool,
    **_: Any,
) -> None:
    """Let a model play, judge it on nine metrics and write a report.

    Recorded dialogues are judged as they are. Can be stopped at any time: the same command goes on
    where it stopped, and run again it asks nothing twice. Ends with 1 if some replies or judgments
    could not be made.

    \b
    Example:
      judge eval --model Qwen/Qwen3-4B --judge Qwen/Qwen3-8B
      judge eval --model openai:mine --base-url http://localhost:8000/v1 --user replay:human
      judge eval --model reference --judge Qwen/Qwen3-8B
      judge eval --model answers.json --judge Qwen/Qwen3-8B --limit 100 --out runs/trial
      judge eval --model answers.json --judge Qwen/Qwen3-8B --calibration calibration.json
      judge eval --model answers.json --judge Qwen/Qwen3-8B --rationale --dry-run
      judge eval --model answers.json --judge Qwen/Qwen3-8B --workers 8
      judge eval --config options.toml --out runs/again
    """
    from judge.workflows import evaluate as workflow

    _refuse_alone("--tokens-per-second", tokens_per_second, "--dry-run", dry_run)
    _refuse_alone("--rationale-tokens", rationale_tokens, "--rationale", rationale)
    if save_config is not None:
        write_config(ctx, save_config)
    asked = given_options(ctx, GIVEN, JUDGE, ENGINE, SERVER, PLAYING)
    del asked["models"]
    if rationale:
        asked["rationale"] = asked.pop("rationale_tokens", True)
    asked |= given_cluster(ctx)
    if dry_run:
        asked.pop("retry_failed", None)
        plan = workflow.plan_evaluation(models, **asked)
        _show_plan(plan, tokens_per_second, as_json=as_json)
        return
    asked |= {**given_options(ctx, REPORT), **given_ratings(ctx)}
    with Progress() as progress:
        done = workflow.evaluate(models, progress=progress, **asked)
    facts = {**done.reasons, "made": done.made, "reused": done.reused}
    show_report(done, as_json=as_json, run=str(done.folder), **facts)
    ctx.exit(0 if done.complete else 1)


@command("generate")
@option(
    "--model",
    required=True,
    group=GIVEN,
    help="A model folder, a hub id, a GGUF file, or openai:NAME.",
)
@selection_options
@characters_file_option
@play_options
@engine_options
@retry_failed_option
@out_option("Run folder.  [default: runs/MODEL]")
@json_option
@click.pass_context
def generate(ctx: click.Context, /, model: str, as_json: bool, **_: Any) -> None:
    """Let a model play the characters in every scenario.

    Writes dialogues.jsonl, all that was played in the run folder, which `judge eval` judges. Can
    be stopped at any time: the same command goes on where it stopped, and run again it writes
    nothing twice. Ends with 1 if some replies are empty or could not be made.

    \b
    Example:
      judge generate --model Qwen/Qwen3-8B --user Qwen/Qwen3-32B
      judge generate --model openai:my-model --base-url http://localhost:8000/v1 --limit 20
      judge generate --model ./my-model --user replay:human --out runs/mine
      judge generate --model Qwen/Qwen3-8B --user replay:human --ray-address auto
    """
    from judge.workflows import generate as workflow

    asked = given_options(ctx, GIVEN, ENGINE, SERVER, PLAYING, REPORT) | given_cluster(ctx)
    del asked["model"]
    with Progress() as progress:
        done = workflow.generate(model, progress=progress, **asked)
    if as_json:
        facts = {"dialogues": str(done.path), "n": len(done.dialogues)}
        echo_json({**facts, "played": done.played.to_dict()})
    else:
        for line in done.played.lines():
            click.echo(line)
        click.echo(f"dialogues: {done.path}")
    ctx.exit(1 if done.played.incomplete else 0)


def _refuse_alone(name: str, value: object, needed: str, there: bool) -> None:
    if value is not None and not there:
        raise UsageError(f"{name} goes with {needed}", hint="add it, or leave both out")


def _show_plan(plan: EvaluationPlan, rate: float | None, *, as_json: bool) -> None:
    """What `--dry-run` says; times in seconds at `rate` tokens a second."""
    tokens, facts = plan.tokens, _facts_of_plan(plan)
    if tokens is not None and rate is not None:
        ways = {"one_by_one": tokens.one_by_one, "shared_parts_once": tokens.shared_once}
        facts |= {f"seconds_{way}": round(read / rate, 1) for way, read in ways.items()}
    if as_json:
        echo_json(facts)
        return
    for name, value in facts.items():
        click.echo(f"{name.replace('_', ' ') + ':':28} {value}")
    if plan.model is not None:
        click.echo("no estimate of tokens: they depend on what the model will say")
    elif tokens is None:
        click.echo("no estimate of time: this judge counts no tokens")
    elif rate is None:
        click.echo("for an estimate of time give --tokens-per-second")
    if tokens is not None and tokens.window is not None and tokens.longest > tokens.window:
        click.echo(
            f"warning: the model's window is {tokens.window} tokens: prompts that are longer fail"
        )
    if tokens is not None and plan.rationale:
        click.echo(
            "with reasons every prompt is read twice, and the reasons once more: tokens and times "
            "are of reading, at most; the writing comes on top and is slower"
        )


def _facts_of_plan(plan: EvaluationPlan) -> dict[str, object]:
    if plan.model is not None:  # its answers are not there to be counted
        facts = {"model": plan.model, "scenes": plan.dialogues, "replies": plan.replies}
        return {**facts, "prompts": plan.prompts}
    facts = {"judge": plan.judge, "dialogues": plan.dialogues, "prompts": plan.prompts}
    if plan.tokens is None:
        return facts
    tokens = plan.tokens
    facts |= {
        "longest_prompt": tokens.longest,
        **({} if tokens.window is None else {"window": tokens.window}),
        "tokens_one_by_one": tokens.one_by_one,
        "tokens_shared_parts_once": tokens.shared_once,
        "ratio": None if tokens.ratio is None else round(tokens.ratio, 1),
    }
    return {**facts, "tokens_written_at_most": tokens.written} if plan.rationale else facts
