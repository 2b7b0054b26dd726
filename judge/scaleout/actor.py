"""What runs in the process of a worker: an engine, asked by messages."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from typing import Any, Literal, NamedTuple

from judge import manifest as manifests
from judge.engines import Engine, EngineOptions, JudgeSpec, TokenCount, make_engine
from judge.engines.interface import Batch
from judge.errors import EngineError, JudgeError
from judge.types import PromptTree

__all__ = ["Action", "Raised", "WorkerActor", "WorkerFacts", "refuse_different", "versions"]

Action = Literal["facts", "load", "count", "ask"]

_COMPUTING = ("torch", "transformers", "tokenizers", "vllm")


class WorkerFacts(NamedTuple):
    """What a worker says of itself when it has started.

    Attributes:
        node: the address of its machine, and the beginning of what Ray calls it.
        description: its engine's `describe()`.
    """

    node: str
    pid: int
    versions: Mapping[str, str]
    fingerprint: str
    batch_size: int
    can_generate: bool
    description: Mapping[str, str]


class Raised(NamedTuple):
    """An exception in a worker, as text: not every exception can be sent."""

    message: str
    hint: str | None


class WorkerActor:
    """An engine in a process of its own. Ray makes an actor of this class."""

    def __init__(self, spec: JudgeSpec, options: EngineOptions) -> None:
        self._opening = spec, options
        self._engine: Engine | None = None

    def do(self, action: Action, *arguments: Any) -> Any:
        """What the method for that action returns, or `Raised`."""
        try:
            return getattr(self, f"_{action}")(*arguments)
        except JudgeError as error:
            return Raised(str(error), error.hint)
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not end the worker
            return Raised(f"{type(error).__name__}: {error}", None)

    def _facts(self) -> WorkerFacts:
        engine = self._opened
        ray = importlib.import_module("ray")
        node = ray.get_runtime_context().get_node_id()[:8]
        return WorkerFacts(
            f"{ray.util.get_node_ip_address()}/{node}",
            os.getpid(),
            versions(),
            engine.fingerprint,
            engine.batch_size,
            engine.can_generate,
            dict(engine.describe()),
        )

    def _load(self) -> None:
        self._opened.load()

    def _count(self, tree: PromptTree) -> TokenCount | None:
        return self._opened.count(tree)

    def _ask(self, batch: Batch[Any]) -> list[Any]:
        return list(batch.ask(self._opened))

    @property
    def _opened(self) -> Engine:
        """Opened only when it is asked, so that what is wrong with it can be sent as `Raised`."""
        if self._engine is None:
            self._engine = make_engine(*self._opening)
        return self._engine


@cache
def versions() -> Mapping[str, str]:
    """The versions of everything that computes in this process."""
    found = manifests.environment()
    del found["machine"]
    for package in _COMPUTING:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def refuse_different(
    facts: WorkerFacts, here: Mapping[str, str], first: WorkerFacts | None
) -> None:
    """Refuse a worker that computes with other versions or another judge than the rest.

    Args:
        first: the facts of the first worker; None if this one is it.

    Raises:
        EngineError: it names what differs, and where.
    """
    differing = [
        f"{name} {facts.versions.get(name, 'not installed')}, not {here.get(name, 'not installed')}"
        for name in sorted({*here, *facts.versions})
        if here.get(name) != facts.versions.get(name)
    ]
    if differing:
        raise EngineError(
            f"the node {facts.node} has {'; '.join(differing)}",
            hint="install the same versions on every node and where the command runs",
        )
    if first is not None and first.fingerprint != facts.fingerprint:
        raise EngineError(
            f"the judge on the node {facts.node} is not that on {first.node}: its fingerprint is "
            f"{facts.fingerprint}, not {first.fingerprint}",
            hint="give every node the same model files and the same kind of device",
        )
