"""The vLLM engine on a CUDA device, in workers, against transformers on the CPU."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from judge.engines import EngineOptions, open_engine, resolve_judge
from judge.engines.naive import NaiveHfEngine
from judge.engines.worker import WorkerEngine
from judge.errors import EngineError
from judge.types import LabelRead
from tests.unit.engines.small import CHATML, make_tree, save_model

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        importlib.util.find_spec("vllm") is None, reason="vLLM is not installed (extra vllm)"
    ),
]
TEXTS = ["好", "没关系，我陪你。" * 5, "难受" * 40, "", *["再试一次吧" * i for i in range(1, 12)]]
SIZES = {"hidden_size": 128, "head_dim": 64}


class Asked(NamedTuple):
    """What an engine answers, and what it says of itself."""

    reads: list[LabelRead]
    share: float | None
    description: Mapping[str, str]


def ask(folder: Path, engine: str = "vllm", **options: Any) -> Asked:
    memory = {"gpu_memory": 0.3} if engine == "vllm" else {}
    opened = open_engine(resolve_judge(str(folder), engine), EngineOptions(**memory | options))
    assert isinstance(opened, WorkerEngine)
    try:
        reads = list(opened.score(make_tree(TEXTS)))
        return Asked(reads, opened.cached_share, opened.describe())
    finally:
        opened.close()


def values(asked: Asked) -> np.ndarray[Any, Any]:
    return np.array([read.outcome for read in asked.reads], dtype=float)


@pytest.mark.parametrize("architecture", ["Qwen3", "Llama"])
def test_the_gpu_reads_what_transformers_reads(tmp_path: Path, architecture: str) -> None:
    """In float32, to 1e-3 in log-probability; in bfloat16 near it; with what is shared cached."""
    folder = save_model(tmp_path, architecture, template=CHATML, changes=SIZES)
    naive = NaiveHfEngine(str(folder), EngineOptions(device="cpu", dtype="float32"))
    expected = Asked(list(naive.score(make_tree(TEXTS))), None, {})
    exact = ask(folder, dtype="float32")
    assert values(exact) == pytest.approx(values(expected), abs=1e-3)
    assert [r.top_is_label for r in exact.reads] == [r.top_is_label for r in expected.reads]
    assert exact.share is not None
    assert exact.share > 0.5
    near = ask(folder)
    assert near.description["dtype"] == "bfloat16"
    assert near.description["device"].startswith("cuda (NVIDIA")
    assert np.median(np.abs(values(near) - values(exact))) < 0.2


def test_models_one_after_the_other(tmp_path: Path) -> None:
    """Each may take most of the memory, because the one before it has given it back."""
    folder = save_model(tmp_path, "Qwen3", template=CHATML, changes=SIZES)
    torch.cuda.init()
    before = torch.cuda.mem_get_info()[0]
    for engine, options in (
        ("vllm", {"gpu_memory": 0.8}),
        ("hf", {}),
        ("vllm", {"gpu_memory": 0.8}),
    ):
        ask(folder, engine, **options)
        assert torch.cuda.mem_get_info()[0] > 0.98 * before


def test_reproducible_reads_do_not_depend_on_the_batch(tmp_path: Path) -> None:
    """To the last bit, in bfloat16, for dialogues alone and all at once."""
    folder = save_model(tmp_path, "Qwen3", template=CHATML, changes=SIZES)
    alone = ask(folder, reproducible=True, batch_size=1)
    together = ask(folder, reproducible=True, batch_size=64)
    assert alone.reads == together.reads


def test_a_model_that_does_not_fit(tmp_path: Path) -> None:
    """The error names the model's size and what is free."""
    changes = SIZES | {"intermediate_size": 1 << 17}
    folder = save_model(tmp_path, "Llama", template=CHATML, changes=changes)
    with pytest.raises(EngineError, match=r"does not fit: its files have 0\..*free on cuda \(NVID"):
        ask(folder, gpu_memory=0.001)
