"""`judge generate`: let a model play, and keep what was said."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from judge.cli.engine import model_options
from judge.cli.playing import is_model, play_options
from judge.cli.stage import stage
from judge.errors import UsageError

__all__ = ["generate"]


@click.command()
@click.option("--model", required=True, help="A model folder, a hub id, or openai:NAME.")
@play_options
@model_options
@click.option("--characters", default="", help="Only these: names or parts, separated by commas.")
@click.option("--scenarios", default="", help="Only these, such as 1-12,15.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    help="Only so many dialogues, spread over the characters.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Run folder.  [default: runs/MODEL]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def generate(
    ctx: click.Context,
    model: str,
    playing: Mapping[str, Any],
    engine: Mapping[str, Any],
    characters: str,
    scenarios: str,
    limit: int | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Let a model play the characters, two rounds in every scenario.

    Writes dialogues.jsonl, all that was played in the run folder, which `judge eval` judges. Can
    be stopped at any time: the same command goes on where it stopped, and run again it writes
    nothing twice. Ends with 1 if some replies are empty or could not be made.

    \b
    Example:
      judge generate --model Qwen/Qwen3-8B --user Qwen/Qwen3-32B
      judge generate --model openai:my-model --base-url http://localhost:8000/v1 --limit 20
      judge generate --model ./my-model --user replay:human --out runs/mine
    """
    if not is_model(model):
        raise UsageError(
            f"--model {model}: neither a model folder, nor a hub id, nor openai:NAME",
            hint="a model folder has a config.json; recorded dialogues are judged by `judge eval`",
        )
    ready = stage(
        model,
        playing,
        engine,
        None,
        characters=_split(characters),
        scenarios=_split(scenarios),
        limit=limit,
    )
    folder = out or Path("runs") / ready.system
    click.echo(f"{ready.system} plays {len(ready.chosen)} scenes, run folder {folder}", err=True)
    found, played = ready.perform(folder)
    path = folder / "dialogues.jsonl"
    if as_json:
        facts = {"dialogues": str(path), "n": len(found.dialogues), "played": played.to_dict()}
        click.echo(json.dumps(facts, ensure_ascii=False))
    else:
        for line in played.lines():
            click.echo(line)
        click.echo(f"dialogues: {path}")
    ctx.exit(1 if played.incomplete else 0)


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
