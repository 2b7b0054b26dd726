"""The table of engines; each is imported only when it is used.

A *judge* is what the user names with `--judge`: an embedded judge, a local model folder or GGUF
file, a hub id or a model on a server. An *engine* is the program that asks it.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from judge.engines.interface import GGUF, Engine, EngineOptions, TokenCount
from judge.errors import UsageError

__all__ = [
    "DEFAULT_CUDA",
    "EMBEDDED",
    "ENGINES",
    "GGUF",
    "LOCAL",
    "SERVED",
    "Engine",
    "EngineEntry",
    "EngineOptions",
    "JudgeSpec",
    "TokenCount",
    "cuda_available",
    "default_judge",
    "make_engine",
    "open_engine",
    "own_options",
    "refuse_unused",
    "resolve_judge",
]

SERVED = "openai:"
"""The prefix of a model's name that says that it is on a server."""

_ON_TORCH = {"device", "dtype", "quantization", "adapter", "trust_remote_code"}
_COMMON = {"batch_size", "seed"}


@dataclass(frozen=True, slots=True)
class EngineEntry:
    """The class of an engine, which is made with (model, options), and the options it uses.

    `batch_size` and `seed` go with every engine.
    """

    module: str
    cls: str
    options: frozenset[str] = frozenset()


ENGINES = {
    "hf": EngineEntry("judge.engines.hf", "HfEngine", frozenset(_ON_TORCH)),
    "hf-naive": EngineEntry("judge.engines.naive", "NaiveHfEngine", frozenset(_ON_TORCH)),
    "vllm": EngineEntry(
        "judge.engines.vllm",
        "VllmEngine",
        frozenset(
            {
                *("dtype", "quantization", "trust_remote_code"),
                *("adapter", "tensor_parallel", "gpu_memory", "reproducible"),
            }
        ),
    ),
    "http": EngineEntry(
        "judge.engines.http",
        "HttpEngine",
        frozenset(
            {"base_url", "server", "concurrency", "samples", "retry_for", "accept_model_name"}
        ),
    ),
    "lexical": EngineEntry("judge.engines.lexical", "LexicalEngine"),
    "mock": EngineEntry("judge.engines.mock", "MockEngine"),
}
LOCAL = ("hf", "hf-naive", "vllm")
"""The engines that ask a model on this machine."""
_FOR_MODELS = (*LOCAL, "http")
"""The engines that can ask any causal language model."""

_EMBEDDED_FOLDER = Path(__file__).parent.parent / "embedded"


@dataclass(frozen=True, slots=True)
class JudgeSpec:
    """A judge: which engine asks which model, and with which rubric set by default.

    `note` is the warning that every report made with this judge begins with, or "".
    """

    name: str
    engine: str
    model: str
    rubric: str
    note: str = ""


_TRY_ONLY = (
    "This judge is embedded for trying the tool and for tests. It learnt from damaged dialogues, "
    "never from human ratings: its scores are not for publishing."
)
_STAND_IN = (
    "This judge is embedded for trying the tool and for quick looks. It is a stand-in, fitted to a "
    "strong LLM's scores of 440 public dialogues of eleven systems, never to human ratings: its "
    "scores are not for publishing. With their system and character left out, it orders the "
    "answers to one item as that LLM does at a rank correlation of .54 (mean of nine metrics)."
)
_MEANINGLESS = "The mock judge draws its scores from a hash: they mean nothing."
_BAD = "This judge exists to be caught by `judge probe`: its scores mean nothing. It counts {}."
EMBEDDED = {
    "tiny": JudgeSpec("tiny", "hf", str(_EMBEDDED_FOLDER / "tiny"), "tiny", _TRY_ONLY),
    "lexical": JudgeSpec(
        "lexical", "lexical", str(_EMBEDDED_FOLDER / "lexical.npz"), "tiny", _STAND_IN
    ),
    "mock": JudgeSpec("mock", "mock", "mock", "esrp", _MEANINGLESS),
    "mock-length": JudgeSpec("mock-length", "mock", "mock-length", "esrp", _BAD.format("length")),
    "mock-constant": JudgeSpec(
        "mock-constant", "mock", "mock-constant", "esrp", _BAD.format("nothing at all")
    ),
}
DEFAULT_EMBEDDED = "lexical"
DEFAULT_CUDA = "Qwen/Qwen3-8B"


def cuda_available() -> bool:
    """Whether torch is installed and sees a CUDA device."""
    try:
        torch = importlib.import_module("torch")
    except (ImportError, OSError):  # OSError: a shared library of torch cannot be loaded
        return False
    return bool(torch.cuda.is_available())


def default_judge() -> str:
    """An 8B model if there is a CUDA device, else the better embedded judge."""
    return DEFAULT_CUDA if cuda_available() else DEFAULT_EMBEDDED


def resolve_judge(
    name: str, engine: str | None = None, base_url: str | None = None, device: str | None = None
) -> JudgeSpec:
    """The judge called `name`: embedded, a folder, a hub id, a server's model, or a file.

    Without `engine`, `openai:NAME` or a `base_url` choose http. Any other model is asked by the
    faster one that can: by vLLM if it is installed and there is a CUDA device (392 prompts/s on an
    H200, where transformers reached 267: docs/performance.md), else by transformers, also on a
    `device` that was named, which vLLM cannot be told.

    Raises:
        UsageError: an engine that does not exist or cannot ask this judge.
    """
    if engine is not None and engine not in ENGINES:
        raise UsageError(
            f"--engine {engine}: no such engine", hint=f"choose from {', '.join(ENGINES)}"
        )
    if name.startswith(SERVED):
        return _server_judge(name.removeprefix(SERVED), engine)
    if engine is None and base_url is not None:
        engine = "http"
    if name in EMBEDDED:
        spec = EMBEDDED[name]
    elif engine == "lexical":
        spec = replace(EMBEDDED["lexical"], name=name, model=name)
    else:
        chosen = "hf" if engine or device or name.endswith(GGUF) else _default_engine()
        spec = JudgeSpec(name, chosen, name, "esrp")
    able: tuple[str, ...] = _FOR_MODELS if spec.engine in _FOR_MODELS else (spec.engine,)
    if name.endswith(GGUF):  # vLLM needs a plugin for it; a server may call its model so
        able = tuple(one for one in able if one != "vllm")
    if engine is not None and engine not in able:
        raise UsageError(
            f"--engine {engine} cannot ask the judge {name}",
            hint=f"leave out --engine, or use --engine {' or '.join(able)}",
        )
    return spec if engine is None else replace(spec, engine=engine)


def _server_judge(name: str, engine: str | None) -> JudgeSpec:
    if not name:
        raise UsageError(
            f"{SERVED} names no model", hint=f"write {SERVED}NAME, as the server calls the model"
        )
    if engine not in {None, "http"}:
        raise UsageError(
            f"--engine {engine} cannot ask {SERVED}{name}, which is on a server",
            hint="leave out --engine",
        )
    return JudgeSpec(name, "http", name, "esrp")


def _default_engine() -> str:
    installed = importlib.util.find_spec("vllm") is not None
    return "vllm" if installed and cuda_available() else "hf"


def open_engine(spec: JudgeSpec, options: EngineOptions) -> Engine:
    """The engine of `spec`; vllm, and transformers on CUDA, in a process of its own.

    The environment variable `JUDGE_WORKER` decides for all engines but http if it is 1 (each in a
    process of its own) or 0 (none).

    Raises:
        MissingExtraError: an optional dependency is not installed.
        EngineError: there is no such model, or no such device.
        UsageError: an option that means nothing to this engine.
    """
    refuse_unused(options, [spec])
    if _apart(spec, options):
        engine: Engine = importlib.import_module("judge.engines.worker").WorkerEngine(spec, options)
        return engine
    return make_engine(spec, options)


def _apart(spec: JudgeSpec, options: EngineOptions) -> bool:
    """Whether the engine of `spec` gets a process of its own."""
    wanted = os.environ.get("JUDGE_WORKER", "")
    if spec.engine == "http" or wanted in {"0", "1"}:
        return spec.engine != "http" and wanted == "1"
    if spec.engine in {"hf", "hf-naive"}:
        return options.device.startswith("cuda") if options.device else cuda_available()
    return spec.engine == "vllm"


def make_engine(spec: JudgeSpec, options: EngineOptions) -> Engine:
    """The engine of `spec` in this process; its module is imported now.

    Raises:
        JudgeError: as `open_engine`.
    """
    entry = ENGINES[spec.engine]
    engine: Engine = getattr(importlib.import_module(entry.module), entry.cls)(spec.model, options)
    return engine


def own_options(spec: JudgeSpec, options: EngineOptions) -> EngineOptions:
    """The options that the engine of `spec` uses; the others are set to their defaults."""
    known = ENGINES[spec.engine].options | _COMMON
    return EngineOptions(**{name: getattr(options, name) for name in known})


def refuse_unused(options: EngineOptions, specs: Sequence[JudgeSpec]) -> None:
    """Refuse an option that none of the engines of `specs` uses.

    Raises:
        UsageError: there is such an option.
    """
    known = _COMMON.union(*(ENGINES[spec.engine].options for spec in specs))
    for option in fields(options):
        if getattr(options, option.name) is not None and option.name not in known:
            able = [name for name, entry in ENGINES.items() if option.name in entry.options]
            engines = [f"the engine {spec.engine}, which asks {spec.name}" for spec in specs]
            raise UsageError(
                f"--{option.name.replace('_', '-')} means nothing to "
                f"{', nor to '.join(dict.fromkeys(engines))}",
                hint=f"leave it out; it goes with {', '.join(able)}",
            )
