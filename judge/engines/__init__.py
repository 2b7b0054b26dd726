"""The engines, named in a table and imported only when asked for.

A *judge* is what the user names with `--judge`: one of the embedded ones, a local model folder
or a hub id. An *engine* is the program that asks it.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, replace
from pathlib import Path

from judge.engines.base import Capabilities, Engine, EngineOptions, TokenCount
from judge.errors import UsageError

__all__ = [
    "DEFAULT_CUDA",
    "DEFAULT_EMBEDDED",
    "EMBEDDED",
    "ENGINES",
    "Capabilities",
    "Engine",
    "EngineOptions",
    "JudgeSpec",
    "TokenCount",
    "cuda_available",
    "default_judge",
    "open_engine",
    "resolve_judge",
]

ENGINES = {
    "hf": ("judge.engines.hf", "HfEngine"),
    "lexical": ("judge.engines.lexical", "LexicalEngine"),
    "mock": ("judge.engines.mock", "MockEngine"),
}
"""Name -> module and class. A class is built with (model, options)."""

_EMBEDDED_FOLDER = Path(__file__).parent.parent / "embedded"


@dataclass(frozen=True, slots=True)
class JudgeSpec:
    """A judge by name: which engine asks which model with which rubric set by default.

    `note` is what every report made with this judge has to say first; empty for none.
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
_WITHOUT_TORCH = {"lexical", "mock"}
_MEANINGLESS = "The mock judge draws its scores from a hash: they mean nothing."
EMBEDDED = {
    "tiny": JudgeSpec("tiny", "hf", str(_EMBEDDED_FOLDER / "tiny"), "tiny", _TRY_ONLY),
    "lexical": JudgeSpec(
        "lexical", "lexical", str(_EMBEDDED_FOLDER / "lexical.npz"), "tiny", _TRY_ONLY
    ),
    "mock": JudgeSpec("mock", "mock", "mock", "esrp", _MEANINGLESS),
}
DEFAULT_EMBEDDED = "lexical"
DEFAULT_CUDA = "Qwen/Qwen3-8B"


def cuda_available() -> bool:
    """Whether torch is installed and sees a CUDA device."""
    try:
        torch = importlib.import_module("torch")
    except (ImportError, OSError):  # OSError: one of torch's libraries does not load
        return False
    return bool(torch.cuda.is_available())


def default_judge() -> str:
    """An 8B model where there is a CUDA device, else the better embedded judge."""
    return DEFAULT_CUDA if cuda_available() else DEFAULT_EMBEDDED


def resolve_judge(name: str, engine: str | None = None) -> JudgeSpec:
    """The judge called `name`: embedded, a folder, a hub id, or a file of the engine's own.

    Raises:
        UsageError: an engine that does not exist or cannot ask this judge.
    """
    if engine is not None and engine not in ENGINES:
        raise UsageError(
            f"--engine {engine}: no such engine", hint=f"choose from {', '.join(ENGINES)}"
        )
    spec = EMBEDDED.get(name, JudgeSpec(name, "hf", name, "esrp"))
    if engine == "lexical" and name not in EMBEDDED:
        spec = replace(EMBEDDED["lexical"], name=name, model=name)
    if engine is not None and engine != spec.engine:
        raise UsageError(
            f"--engine {engine} cannot ask the judge {name}",
            hint=f"leave out --engine, or use --engine {spec.engine}",
        )
    return spec


def open_engine(spec: JudgeSpec, options: EngineOptions) -> Engine:
    """The engine of `spec`, its module imported now.

    Raises:
        MissingExtraError: an optional dependency is not installed.
        EngineError: there is no such model, or no such device.
        UsageError: an option that means nothing to this engine.
    """
    for option in ("device", "dtype"):
        if spec.engine in _WITHOUT_TORCH and getattr(options, option) is not None:
            raise UsageError(
                f"--{option} means nothing to the judge {spec.name}, which runs without torch",
                hint=f"leave out --{option}, or choose another judge",
            )
    module, cls = ENGINES[spec.engine]
    engine: Engine = getattr(importlib.import_module(module), cls)(spec.model, options)
    return engine
