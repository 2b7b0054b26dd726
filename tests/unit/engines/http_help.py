"""Engines that ask the servers of a test."""

from __future__ import annotations

from typing import Any

from judge.engines import EngineOptions
from judge.engines.http import HttpEngine
from judge.types import Failure, LabelRead
from tests.unit.engines.recorded import documented
from tests.unit.engines.recorded.wire import Wire

DOCUMENTED = {"sglang": documented.sglang, "ollama": documented.ollama, "openai": documented.openai}
"""Servers that answer as their documentation says."""


def engine(wire: Wire, model: str = "toy", **options: Any) -> HttpEngine:
    return HttpEngine(model, EngineOptions(base_url=wire.url, **options))


def values(reads: list[LabelRead]) -> list[tuple[float, ...]]:
    for read in reads:
        assert not isinstance(read.outcome, Failure), read.outcome
    return [read.outcome for read in reads if not isinstance(read.outcome, Failure)]
