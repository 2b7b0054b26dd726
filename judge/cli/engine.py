"""The options that say which judge is asked, and how: the same for every command that asks one."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
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

__all__ = ["Chosen", "chosen_judge", "engine_options", "model_options", "options_of"]

_POSITIVE = click.IntRange(min=1)
_OPTIONS = {
    "judge": click.option(
        "--judge",
        help="lexical, tiny, mock, a model folder, a hub id, or openai:NAME for a model on a "
        f"server.  [default: {DEFAULT_CUDA} with CUDA, else the better embedded judge]",
    ),
    "engine": click.option(
        "--engine",
        type=click.Choice(sorted(ENGINES)),
        help="The program that asks the model.  [default: http with --base-url, else vllm, if "
        "installed, with CUDA, else hf]",
    ),
    "base_url": click.option("--base-url", help="Ask a server, such as http://localhost:8000/v1."),
    "server": click.option(
        "--server",
        help="What answers there: vllm, sglang, llama.cpp, ollama or openai.  "
        "[default: found by asking]",
    ),
    "concurrency": click.option(
        "--concurrency", type=_POSITIVE, help="Requests to the server at once."
    ),
    "samples": click.option(
        "--samples",
        type=_POSITIVE,
        help="Draw so many answers for each prompt, from a server without probabilities.",
    ),
    "batch_size": click.option("--batch-size", type=_POSITIVE, help="Dialogues at once."),
    "device": click.option("--device", help="cpu, cuda, cuda:1, ..."),
    "dtype": click.option("--dtype", help="float32, bfloat16 or float16."),
    "quantization": click.option(
        "--quantization", help="Make the weights smaller at load, in the engine's words."
    ),
    "tensor_parallel": click.option(
        "--tensor-parallel", type=_POSITIVE, help="GPUs that share the model."
    ),
    "gpu_memory": click.option(
        "--gpu-memory",
        type=click.FloatRange(min=0, max=1, min_open=True),
        help="Share of the GPU's memory to use.",
    ),
    "reproducible": click.option(
        "--reproducible",
        is_flag=True,
        default=None,
        help="The same numbers whatever else is in the batch; slower.",
    ),
    "seed": click.option(
        "--seed", type=int, default=0, show_default=True, help="Of all that is drawn."
    ),
}
_FIELDS = [field.name for field in fields(EngineOptions)]
_ASKED_FOR_LABELS = {"judge", "samples"}
"""What means nothing to a model that only writes."""


class Chosen(NamedTuple):
    """The judge of a command, the settings of its engine, and whether `--judge` named it."""

    spec: JudgeSpec
    options: EngineOptions
    named: bool


def engine_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command the options, and hands them over as one argument `engine`.

    `chosen_judge` makes a judge of it. A decorator to stand among those of click.
    """
    return _collected(command, list(_OPTIONS))


def model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """As `engine_options`, for a command that asks no judge; `options_of` reads `engine`."""
    return _collected(command, [name for name in _OPTIONS if name not in _ASKED_FOR_LABELS])


def _collected(command: Callable[..., Any], names: Sequence[str]) -> Callable[..., Any]:
    @functools.wraps(command)
    def collected(*args: Any, **kwargs: Any) -> Any:
        engine = {name: kwargs.pop(name) for name in names}
        return command(*args, engine=engine, **kwargs)

    for name, option in reversed(_OPTIONS.items()):
        if name in names:
            option(collected)
    return collected


def options_of(engine: Mapping[str, Any]) -> EngineOptions:
    """The settings of an engine, of those that a command has."""
    return EngineOptions(**{name: engine[name] for name in _FIELDS if name in engine})


def chosen_judge(engine: Mapping[str, Any]) -> Chosen:
    """The judge that the options name, or the default one.

    Raises:
        UsageError: an engine that cannot ask this judge, or a server and no model.
    """
    name, of_engine = engine["judge"], engine["engine"]
    options = options_of(engine)
    if name is None and (options.base_url is not None or of_engine == "http"):
        raise UsageError(
            "a server is asked for one of its models, and --judge names none",
            hint="add --judge NAME, the name that the server has for the model",
        )
    spec = resolve_judge(name or default_judge(), of_engine, options.base_url)
    return Chosen(spec, options, named=name is not None)
