"""What `judge eval` says besides its report."""

from __future__ import annotations

import json
from pathlib import Path

import click

from judge.cli.stage import Stage
from judge.engines import Engine, JudgeSpec
from judge.manifest import Manifest
from judge.pipeline import JudgingOutcome, plan_tokens, rationale_cost
from judge.roleplay.playing_summary import PlayingSummary
from judge.types import PromptTree

__all__ = ["announce", "reasons", "say_done", "say_played", "show_plan", "show_scenes"]


def announce(manifest: Manifest, dialogues: int, folder: Path, *, given: bool) -> None:
    """Say on stderr who judges what by which rubric, and what to know of it."""
    rubric = manifest.rubric
    click.echo(
        f"judge {manifest.judge['name']}{'' if given else ' (no --judge given)'}, "
        f"rubric {rubric.name} {rubric.version} {rubric.language} {rubric.hash[:8]}, "
        f"{dialogues} dialogues, run folder {folder}",
        err=True,
    )
    for note in manifest.notes:
        click.echo(f"note: {note}", err=True)


def say_played(played: PlayingSummary) -> None:
    """Say on stderr how a model has played."""
    for line in played.lines():
        click.echo(line, err=True)


def say_done(outcome: JudgingOutcome, judge: Engine, failed: int) -> None:
    """Say on stderr what was done now."""
    click.echo(
        f"{outcome.made} judgments made, {outcome.reused} were there; {failed} could not be made",
        err=True,
    )
    share = getattr(judge, "cached_share", None)  # of vLLM, which finds shared prompts by itself
    if share is not None:
        click.echo(f"{share:.1%} of the prompt tokens were found in the cache", err=True)


def reasons(
    outcome: JudgingOutcome, tree: PromptTree, plain: PromptTree, judge: Engine
) -> dict[str, object]:
    """What the reasons written now took, said on stderr and given back; nothing without any."""
    if not outcome.with_reasons:
        return {}
    facts: dict[str, object] = {
        "tokens_written": outcome.tokens_written,
        "reasons_cut": outcome.rationales_cut,
    }
    line = f"with reasons: {outcome.tokens_written} tokens written"
    spent = rationale_cost(outcome.with_reasons, tree, plain, judge)
    if spent is not None:
        facts |= {"tokens_read_at_most": spent.read, "tokens_read_without": spent.plain}
        line += f", at most {spent.read} read"
        if spent.plain is not None:
            line += f"; without: {spent.plain} read"
    click.echo(line, err=True)
    if outcome.rationales_cut:
        click.echo(
            f"{outcome.rationales_cut} reasons were cut at {tree.rationale} tokens", err=True
        )
    return facts


def show_scenes(ready: Stage, tree: PromptTree, *, as_json: bool) -> None:
    """What `--dry-run` says of a model that is to play: its answers are not there to be counted."""
    scenes = len(ready.chosen)
    facts = {"model": ready.system, "scenes": scenes, "replies": 2 * scenes, "prompts": len(tree)}
    if as_json:
        click.echo(json.dumps(facts, ensure_ascii=False))
        return
    for name, value in facts.items():
        click.echo(f"{name + ':':28} {value}")
    click.echo("no estimate of tokens: they depend on what the model will say")


def show_plan(
    tree: PromptTree, judge: Engine, spec: JudgeSpec, rate: float | None, *, as_json: bool
) -> None:
    """What `--dry-run` says; times in seconds at `rate` tokens a second."""
    facts: dict[str, object] = {
        "judge": spec.name,
        "dialogues": len(tree.items),
        "prompts": len(tree),
    }
    tokens = plan_tokens(tree, judge)
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
