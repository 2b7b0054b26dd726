"""The reference engine on a CUDA device."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from judge.engines import EngineOptions, attention, default_judge
from judge.engines.hf import HfEngine
from judge.errors import EngineError
from judge.types import LabelRead
from tests.unit.engines.small import ARCHITECTURES, CHATML, METRICS, make_tree, save_model

pytestmark = pytest.mark.gpu

TEXTS = ["好", "没关系，我陪你。" * 5, "难受" * 40, ""]


def read(folder: Path, **options: Any) -> list[LabelRead]:
    return list(HfEngine(str(folder), EngineOptions(**options)).score(make_tree(TEXTS)))


def values(reads: list[LabelRead]) -> np.ndarray[Any, Any]:
    return np.array([r.outcome for r in reads], dtype=float)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_gpu_reads_what_the_cpu_reads(tmp_path: Path, architecture: str) -> None:
    """In float32, to 1e-3 in log-probability: other kernels, the same model."""
    folder = save_model(tmp_path, architecture, template=CHATML)
    on_gpu = read(folder, device="cuda", dtype="float32")
    on_cpu = read(folder, device="cpu", dtype="float32")
    assert values(on_gpu) == pytest.approx(values(on_cpu), abs=1e-3)
    assert [r.top_is_label for r in on_gpu] == [r.top_is_label for r in on_cpu]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_half_precision_is_near(tmp_path: Path, architecture: str, dtype: str) -> None:
    """And is not taken for a model that looks ahead."""
    folder = save_model(tmp_path, architecture)
    exact = values(read(folder, device="cpu", dtype="float32"))
    near = values(read(folder, device="cuda", dtype=dtype))
    assert np.median(np.abs(near - exact)) < 0.2


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("heads", [2, 6])
def test_the_kernel_does_what_plain_steps_do(heads: int, causal: bool) -> None:
    """For parts of several lengths, keys shared by heads, and a size that has to be padded."""
    torch.manual_seed(0)
    lengths = [3, 1, 130, 40]
    size = {"device": "cuda", "dtype": torch.bfloat16}
    query = torch.randn(sum(lengths), heads, 20, **size)
    key, value = torch.randn(2, sum(lengths), 2, 20, **size)
    parts = attention.Parts.of(
        lambda numbers, dtype: torch.tensor(numbers, device="cuda", dtype=getattr(torch, dtype)),
        lengths,
        lengths,
    )
    assert parts is not None
    assert attention._has_varlen(query)
    by_kernel = attention._see(parts, query, key, value, 0.3, causal=causal)
    in_steps = attention._see(parts, *(x.float() for x in (query, key, value)), 0.3, causal=causal)
    for one, other, most in zip(by_kernel, in_steps, (0.03, 0.01), strict=True):
        assert one.shape == other.shape
        assert (one.float() - other).abs().max() < most


def test_without_options_it_takes_the_gpu(tmp_path: Path) -> None:
    """In bfloat16, and says so; the same tree gives the same bits twice."""
    folder = save_model(tmp_path, "Qwen3")
    described = HfEngine(str(folder), EngineOptions()).describe()
    assert described["device"].startswith("cuda (NVIDIA")
    assert described["dtype"] == "bfloat16"
    assert default_judge() == "Qwen/Qwen3-8B"
    assert read(folder) == read(folder)


def test_a_gpu_that_is_not_there(tmp_path: Path) -> None:
    """The option is named."""
    with pytest.raises(EngineError, match="--device cuda:99: "):
        HfEngine(str(tmp_path), EngineOptions(device="cuda:99"))


def test_when_memory_runs_out_batches_are_halved(tmp_path: Path) -> None:
    """For real, with 1 GB of the device's memory: every prompt is read as with all of it.

    Where not even one dialogue fits, the error says so.
    """
    changes = {"intermediate_size": 32768, "num_hidden_layers": 1}
    folder = save_model(tmp_path, "Llama", window=1 << 17, changes=changes)
    options = EngineOptions(batch_size=16, device="cuda", dtype="float32")
    tree = make_tree(["没考好" * 15 * i for i in range(1, 17)])
    engine = HfEngine(str(folder), options)
    free = values(list(engine.score(tree)))
    sizes: list[int] = []
    logits = engine._judge.logits

    def watched(ids: Any, ends: Any, **kwargs: Any) -> Any:
        sizes.append(len(ends))
        return logits(ids, ends, **kwargs)

    engine._judge.logits = watched  # type: ignore[method-assign]
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(1e9 / torch.cuda.mem_get_info()[1])
    try:
        tight = values(list(engine.score(tree)))
        with pytest.raises(EngineError, match="one dialogue does not fit on cuda"):
            list(engine.score(make_tree(["没考好" * 10000])))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert sizes[:2] == [16 * len(METRICS), 8 * len(METRICS)]
    assert tight == pytest.approx(free, abs=1e-3)


def test_a_model_that_does_not_fit(tmp_path: Path) -> None:
    """The error names the model, the device and what would help."""
    folder = save_model(
        tmp_path, "Llama", changes={"intermediate_size": 1 << 16, "hidden_size": 256}
    )
    engine = HfEngine(str(folder), EngineOptions(device="cuda", dtype="float32"))
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(1e8 / torch.cuda.mem_get_info()[1])
    try:
        with pytest.raises(EngineError, match="does not fit on cuda in float32") as caught:
            list(engine.score(make_tree(TEXTS)))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert caught.value.hint is not None
    assert "--device cpu" in caught.value.hint
