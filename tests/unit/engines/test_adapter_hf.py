"""LoRA adapters in hf: the weights are those of the formula, and what does not fit is refused."""

from __future__ import annotations

import json
import shutil
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from judge.engines import EngineOptions
from judge.engines.hf import HfEngine
from judge.engines.naive import NaiveHfEngine
from judge.errors import EngineError, MissingExtraError
from tests.unit.engines.small import CHATML, make_tree, save_model, shared_model

TREE = make_tree(["没关系，我陪你。", "难受"])


@pytest.fixture(scope="module")
def base() -> Path:
    return shared_model("Qwen3", template=CHATML)


def save_adapter(base: Path, folder: Path, seed: int = 0, **settings: Any) -> Path:
    """A random adapter for the model of `base`, written by peft."""
    model = transformers.AutoModelForCausalLM.from_pretrained(base)
    torch.manual_seed(seed)
    known = {"r": 4, "lora_alpha": 6, "target_modules": ["q_proj", "down_proj"]} | settings
    with warnings.catch_warnings(action="ignore"):  # peft uses a name that transformers deprecates
        adapted = peft.get_peft_model(model, peft.LoraConfig(task_type="CAUSAL_LM", **known))
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:  # peft begins with zeros
            torch.nn.init.normal_(weight, std=0.3)
    adapted.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def adapter(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_adapter(base, tmp_path_factory.mktemp("adapter"))


def options(adapter: Path | None, **more: Any) -> EngineOptions:
    return EngineOptions(device="cpu", adapter=None if adapter is None else str(adapter), **more)


def values(reads: Any) -> np.ndarray[Any, Any]:
    return np.array([read.outcome for read in reads])


@pytest.mark.parametrize(
    ("settings", "scales"),
    [
        ({}, {"q_proj": 6 / 4, "down_proj": 6 / 4}),
        ({"use_rslora": True}, {"q_proj": 6 / 4**0.5, "down_proj": 6 / 4**0.5}),
        (
            {"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"down_proj": 1}},
            {"q_proj": 6 / 2, "down_proj": 1 / 4},
        ),
    ],
    ids=["plain", "rslora", "patterns"],
)
def test_the_weights_are_those_of_the_formula(
    base: Path, tmp_path: Path, settings: dict[str, Any], scales: dict[str, float]
) -> None:
    """W + (alpha / r) B A, computed here from the two files (Hu et al. 2021, arXiv 2106.09685)."""
    adapter = save_adapter(base, tmp_path / "adapter", **settings)
    by_hand = shutil.copytree(base, tmp_path / "merged")
    weights = load_file(by_hand / "model.safetensors")
    parts = load_file(adapter / "adapter_model.safetensors")
    for name in [name for name in parts if "lora_A" in name]:
        place = name.removeprefix("base_model.model.").replace("lora_A.", "")
        scale = scales[place.split(".")[-2]]
        weights[place] += scale * parts[name.replace("lora_A", "lora_B")] @ parts[name]
    save_file(weights, by_hand / "model.safetensors", metadata={"format": "pt"})
    expected = values(NaiveHfEngine(str(by_hand), options(None)).score(TREE))
    for engine in (HfEngine, NaiveHfEngine):
        reads = values(engine(str(base), options(adapter)).score(TREE))
        assert reads == pytest.approx(expected, abs=1e-4)
    assert abs(values(HfEngine(str(base), options(None)).score(TREE)) - expected).max() > 0.01


def test_the_adapter_is_part_of_what_made_the_numbers(
    base: Path, adapter: Path, tmp_path: Path
) -> None:
    """Its hash is in the fingerprint and the manifest, wherever it lies."""
    moved = shutil.copytree(adapter, tmp_path / "moved")
    other = save_adapter(base, tmp_path / "other", seed=1)
    plain, first, again, second = (
        HfEngine(str(base), options(folder)) for folder in (None, adapter, moved, other)
    )
    assert first.fingerprint == again.fingerprint
    assert len({plain.fingerprint, first.fingerprint, second.fingerprint}) == 3
    assert first.fingerprint.startswith(plain.fingerprint)
    assert first.describe()["adapter"] == str(adapter)
    assert "adapter" not in plain.describe()


def lacks_a_matrix(folder: Path) -> None:
    weights = load_file(folder / "adapter_model.safetensors")
    weights.pop(min(weights))
    save_file(weights, folder / "adapter_model.safetensors")


def has_one_too_many(folder: Path) -> None:
    weights = load_file(folder / "adapter_model.safetensors")
    weights["base_model.model.model.layers.9.self_attn.q_proj.lora_A.weight"] = torch.zeros(4, 32)
    save_file(weights, folder / "adapter_model.safetensors")


def is_not_finite(folder: Path) -> None:
    weights = load_file(folder / "adapter_model.safetensors")
    weights[min(weights)][0, 0] = torch.nan
    save_file(weights, folder / "adapter_model.safetensors")


def config_of(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "adapter_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


WRONG: dict[str, tuple[Callable[[Path], None], str]] = {
    "other modules": (config_of(target_modules=["c_attn"]), "does not fit the Qwen3ForCausalLM"),
    "another rank": (config_of(r=8), "does not fit the Qwen3ForCausalLM"),
    "a matrix less": (lacks_a_matrix, "in one of them only"),
    "a matrix more": (has_one_too_many, "in one of them only"),
    "not finite": (is_not_finite, "does not fit the Qwen3ForCausalLM: NaNs"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_used_is_refused(
    base: Path, adapter: Path, tmp_path: Path, name: str
) -> None:
    """With the folder and what to do; nothing is judged by half an adapter."""
    spoil, message = WRONG[name]
    folder = shutil.copytree(adapter, tmp_path / "adapter")
    spoil(folder)
    with pytest.raises(EngineError, match=message) as caught:
        HfEngine(str(base), options(folder)).load()
    assert caught.value.path == folder
    assert caught.value.hint


def test_an_adapter_of_a_larger_model_is_refused(adapter: Path, tmp_path: Path) -> None:
    """The message has the first of the sizes that differ."""
    larger = save_model(tmp_path / "larger", "Qwen3", changes={"hidden_size": 64})
    with pytest.raises(EngineError, match=r"does not fit the Qwen3ForCausalLM: .*size mismatch"):
        HfEngine(str(larger), options(adapter)).load()


def test_what_it_needs_and_what_it_does_not_go_with(
    base: Path, adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The extra is named; rounded weights and adapters exclude each other."""
    with pytest.raises(EngineError, match=r"--adapter: .* --quantization"):
        HfEngine(str(base), options(adapter, quantization="4bit"))
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(MissingExtraError) as caught:
        HfEngine(str(base), options(adapter)).load()
    assert "esrp-judge[lora]" in str(caught.value.hint)
