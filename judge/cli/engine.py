"""The options that say which judge is asked, and how: the same for every command that asks one."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, NamedTuple

import click

from judge.engines import (
    DEFAULT_CUDA,
    ENGINES,
    EngineOptions,
    JudgeSpec,
    default_judge,
    resolve_judge,
)
from judge.errors import UsageError

__all__ = ["Chosen", "chosen_judge", "engine_options"]

_POSITIVE = click.IntRange(min=1)
_OPTIONS = (
    click.option(
        "--judge",
        help="lexical, tiny, mock, a model folder, a hub id, or a server's name of its model.  "
        f"[default: {DEFAULT_CUDA} with CUDA, else the better embedded judge]",
    ),
    click.option(
        "--engine",
        type=click.Choice(sorted(ENGINES)),
        help="The program that asks the judge.  [default: http with --base-url; for a model "
        "vllm, if installed, with CUDA, else hf]",
    ),
    click.option("--base-url", help="Ask a server, such as http://localhost:8000/v1."),
    click.option(
        "--server",
        help="What answers there: vllm, sglang, llama.cpp, ollama or openai.  "
        "[default: found by asking]",
    ),
    click.option("--concurrency", type=_POSITIVE, help="Requests to the server at once."),
    click.option(
        "--samples",
        type=_POSITIVE,
        help="Draw so many answers for each prompt, from a server without probabilities.",
    ),
    click.option("--batch-size", type=_POSITIVE, help="Dialogues judged at once."),
    click.option("--device", help="cpu, cuda, cuda:1, ..."),
    click.option("--dtype", help="float32, bfloat16 or float16."),
    click.option("--quantization", help="Make the weights smaller at load, in the engine's words."),
    click.option("--tensor-parallel", type=_POSITIVE, help="GPUs that share the model."),
    click.option(
        "--gpu-memory",
        type=click.FloatRange(min=0, max=1, min_open=True),
        help="Share of the GPU's memory to use.",
    ),
    click.option(
        "--reproducible",
        is_flag=True,
        default=None,
        help="The same numbers whatever else is in the batch; slower.",
    ),
    click.option("--seed", type=int, default=0, show_default=True, help="For judges that draw."),
)
_NAMES = ("judge", "engine", *(field.name for field in fields(EngineOptions)))


class Chosen(NamedTuple):
    """The judge of a command, the settings of its engine, and whether `--judge` named it."""

    spec: JudgeSpec
    options: EngineOptions
    named: bool


def engine_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command the options, and hands them over as one argument `engine`.

    `chosen_judge` makes a judge of it. A decorator to stand among those of click.
    """

    @functools.wraps(command)
    def collected(*args: Any, **kwargs: Any) -> Any:
        engine = {name: kwargs.pop(name) for name in _NAMES}
        return command(*args, engine=engine, **kwargs)

    for option in reversed(_OPTIONS):
        option(collected)
    return collected


def chosen_judge(engine: Mapping[str, Any]) -> Chosen:
    """The judge that the options name, or the default one.

    Raises:
        UsageError: an engine that cannot ask this judge, or a server and no model.
    """
    name, of_engine = engine["judge"], engine["engine"]
    options = EngineOptions(**{field.name: engine[field.name] for field in fields(EngineOptions)})
    if name is None and (options.base_url is not None or of_engine == "http"):
        raise UsageError(
            "a server is asked for one of its models, and --judge names none",
            hint="add --judge NAME, the name that the server has for the model",
        )
    spec = resolve_judge(name or default_judge(), of_engine, options.base_url)
    return Chosen(spec, options, named=name is not None)
