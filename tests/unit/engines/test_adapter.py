"""What is taken for a LoRA adapter."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from judge.engines.adapter import read_adapter
from judge.errors import EngineError


def write(folder: Path, weights: bytes = b"w", **config: object) -> str:
    folder.mkdir(exist_ok=True)
    whole = {"peft_type": "LORA", "r": 8, "lora_alpha": 16, "bias": "none"} | config
    (folder / "adapter_config.json").write_text(json.dumps(whole), encoding="utf-8")
    (folder / "adapter_model.safetensors").write_bytes(weights)
    return str(folder)


def test_rank_and_hash(tmp_path: Path) -> None:
    """The largest rank of all modules; the hash changes with either file, not with the place."""
    plain = read_adapter(write(tmp_path / "a"))
    assert (plain.folder, plain.rank) == (tmp_path / "a", 8)
    assert read_adapter(write(tmp_path / "b")).sha256 == plain.sha256
    ranks = read_adapter(write(tmp_path / "c", rank_pattern={"q_proj": 32, "k_proj": 2}))
    assert ranks.rank == 32
    other = read_adapter(write(tmp_path / "d", weights=b"x"))
    assert len({plain.sha256, ranks.sha256, other.sha256}) == 3


def test_what_is_none(tmp_path: Path) -> None:
    """The file at fault is named, and what can be used."""
    bare = tmp_path / "bare"
    write(bare)
    (bare / "adapter_model.safetensors").rename(bare / "adapter_model.bin")
    broken = tmp_path / "broken"
    write(broken)
    (broken / "adapter_config.json").write_text("{", encoding="utf-8")
    for folder, message, hint in (
        (str(tmp_path / "none"), "adapter_config.json cannot be read: No such file", "PEFT"),
        (str(bare), "adapter_model.safetensors cannot be read: No such file", "pickled"),
        (str(broken), "adapter_config.json cannot be read: Input data was truncated", "PEFT"),
        (write(tmp_path / "type", peft_type="IA3"), "peft_type IA3 and rank 8", "merge others"),
        (write(tmp_path / "rank", rank_pattern={"q": 0}), "peft_type LORA and rank 0", "rank 1"),
        (write(tmp_path / "text", r="8"), "adapter_config.json cannot be read: Expected", "PEFT"),
    ):
        with pytest.raises(EngineError, match=f"--adapter: .*{message}") as caught:
            read_adapter(folder)
        assert caught.value.path == Path(folder)
        assert hint in str(caught.value.hint)
