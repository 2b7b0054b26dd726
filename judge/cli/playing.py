"""The options of letting a model play: the same for `judge generate` and `judge eval`."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from judge.engines import SERVED
from judge.errors import UsageError
from judge.tables import SUFFIXES

__all__ = ["REPLAY", "is_model", "play_options", "refuse_play_options"]

REPLAY = "replay:"
"""What stands before the system whose recorded second questions are asked."""

_HUB = re.compile(r"[\w.-]+/[\w.-]+")
_FILES = {*SUFFIXES, ".gz"}
_OPTIONS = {"system": "--name", "language": "--play-lang"}
"""Where an option has another name than its parameter."""

_NAMES = (
    "user",
    "model_url",
    "user_url",
    "questions",
    "prompts",
    "language",
    "system",
    "temperature",
    "top_p",
    "max_tokens",
    "thinking",
    "keep_loaded",
)


def play_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command the options, and hands them over as one argument `playing`."""
    options = (
        click.option(
            "--user",
            help="Who asks on after the first answer: a model, openai:NAME, or replay:SYSTEM for "
            "the recorded questions to that system.  [default: the judge, if it is a model]",
        ),
        click.option("--model-url", help="The server of openai: models.  [default: --base-url]"),
        click.option("--user-url", help="The server of an openai: user.  [default: --base-url]"),
        click.option(
            "--questions",
            type=click.Path(path_type=Path),
            help="Dialogues whose first questions are asked.  [default: the public ones]",
        ),
        click.option(
            "--prompts",
            default="roleplay",
            show_default=True,
            help="Instructions for both sides: a shipped set or a folder.",
        ),
        click.option(
            "--play-lang", "language", help="Of the instructions.  [default: their first]"
        ),
        click.option("--name", "system", help="What to call the model.  [default: its own name]"),
        click.option(
            "--temperature",
            type=click.FloatRange(min=0),
            default=0.7,
            show_default=True,
            help="How freely both sides write; 0 is the most probable word each time.",
        ),
        click.option(
            "--top-p",
            type=click.FloatRange(0, 1, min_open=True),
            default=0.95,
            show_default=True,
            help="Draw from the most probable words that together have this share.",
        ),
        click.option(
            "--max-tokens",
            type=click.IntRange(min=1),
            default=512,
            show_default=True,
            help="Most tokens of a reply.",
        ),
        click.option("--thinking", is_flag=True, help="Let models think before they reply."),
        click.option(
            "--keep-loaded",
            is_flag=True,
            help="Hold model and user in memory at once: fewer loads.",
        ),
    )

    @functools.wraps(command)
    def collected(*args: Any, **kwargs: Any) -> Any:
        playing = {name: kwargs.pop(name) for name in _NAMES}
        return command(*args, playing=playing, **kwargs)

    for option in reversed(options):
        option(collected)
    return collected


def is_model(name: str) -> bool:
    """Whether `--model` names a model that can play, not a file of recorded dialogues."""
    path = Path(name)
    if name.startswith(SERVED) or (path / "config.json").is_file():
        return True
    hub = _HUB.fullmatch(name) is not None and path.suffix.lower() not in _FILES
    return hub and not path.exists()


def refuse_play_options(ctx: click.Context, model: str) -> None:
    """Refuse options of playing for recorded dialogues, where they would mean nothing.

    Raises:
        UsageError: one was given.
    """
    for name in _NAMES:
        if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            option = _OPTIONS.get(name, f"--{name.replace('_', '-')}")
            raise UsageError(
                f"{option} goes with a model that plays, and --model {model} is none",
                hint="leave it out; a model is a folder with a config.json, a hub id such as "
                "Qwen/Qwen3-8B, or openai:NAME",
            )
