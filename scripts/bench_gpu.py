#!/usr/bin/env python3
"""How near the engine `hf` comes to what a device can do, on random weights of a real size.

    python scripts/bench_gpu.py                          # Qwen3-8B's sizes, bfloat16, CUDA
    python scripts/bench_gpu.py --size 32M --device cpu --dtype float32 --dialogues 20   # a try

Throughput only: random weights answer nonsense in the time that trained ones take. The floor is the
tree's arithmetic at the rate that the device reaches in one large matrix product; the figure for
118,800 judgments is extrapolated, and says so. The last line is one JSON object with --json.
"""

from __future__ import annotations

import importlib.metadata
import json
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

import click
import torch
import transformers
from bench_engine import dialogues

from judge.engines import EMBEDDED, EngineOptions
from judge.engines.hf import HfEngine
from judge.rubric import load_rubric

SIZES: dict[str, dict[str, Any]] = {
    "32M": {
        "hidden_size": 512, "intermediate_size": 1536, "num_hidden_layers": 8,
        "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 64,
    },
    "8B": {
        "hidden_size": 4096, "intermediate_size": 12288, "num_hidden_layers": 36,
        "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128,
    },
}  # fmt: skip
"""Those of Qwen3-8B's config.json, and a small one."""

ALL = 13_200 * 9


def matrix_rate(device: str, dtype: Any) -> float:
    """Floating-point operations a second of the best of some large matrix products."""
    size = 8192 if device.startswith("cuda") else 1024
    one = torch.randn(size, size, device=device, dtype=dtype)
    best = float("inf")
    for _ in range(10):
        _wait(device)
        start = time.perf_counter()
        one @ one
        _wait(device)
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def save_model(folder: Path, sizes: dict[str, Any], device: str, dtype: Any) -> Any:
    """A random Qwen3 with the embedded judge's tokenizer; its configuration."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(EMBEDDED["tiny"].model)
    config = transformers.Qwen3Config(
        vocab_size=151_936 if sizes["hidden_size"] > 1000 else len(tokenizer),
        max_position_embeddings=1 << 13,
        bos_token_id=None,
        eos_token_id=None,
        **sizes,
    )
    torch.manual_seed(0)
    with torch.device(device):
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=dtype)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return config


def operations(config: Any, read: int, attended: int, labels: int) -> float:
    """Of a forward pass: two for each weight and token, four for each pair in attention.

    `read` tokens go through the layers, `attended` pairs of tokens see each other, and `labels`
    positions go through the head.
    """
    wide, heads, size = config.hidden_size, config.num_attention_heads, config.head_dim
    attention = wide * size * (2 * heads + 2 * config.num_key_value_heads)
    weights = config.num_hidden_layers * (attention + 3 * wide * config.intermediate_size)
    pairs = 4.0 * attended * heads * size * config.num_hidden_layers
    return float(2.0 * weights * read + pairs + 2.0 * labels * wide * config.vocab_size)


@click.command()
@click.option("--size", type=click.Choice(list(SIZES)), default="8B", show_default=True)
@click.option("--device", default="cuda", show_default=True)
@click.option("--dtype", default="bfloat16", show_default=True)
@click.option("--dialogues", "number", type=int, default=1000, show_default=True)
@click.option("--data", type=click.Path(path_type=Path), default=Path("../shared/data"))
@click.option("--json", "as_json", is_flag=True, help="End with one JSON object on one line.")
def main(size: str, device: str, dtype: str, number: int, data: Path, *, as_json: bool) -> None:
    """Time the packed way on one model and print its share of the device's matrix rate."""
    transformers.logging.disable_progress_bar()
    precision = getattr(torch, dtype)
    with tempfile.TemporaryDirectory() as folder:
        config = save_model(Path(folder), SIZES[size], device, precision)
        engine = HfEngine(folder, EngineOptions(device=device, dtype=dtype))
        tree = load_rubric("esrp").tree(tuple(islice(dialogues(data), number)))
        tokens = engine._judge.checkpoint.prompt_tokenizer(tree)  # noqa: SLF001
        count = tokens.count()
        list(engine.score(load_rubric("esrp").tree(tuple(islice(dialogues(data), 16)))))
        _wait(device)
        start = time.perf_counter()
        reads = list(engine.score(tree))
        _wait(device)
        seconds = time.perf_counter() - start
    attended = 0
    for item, dialogue in enumerate(tokens.dialogues):
        before = len(tokens.prefix) + len(tokens.profile(item))
        own, branches = len(dialogue), [len(b) for b in tokens.branches[item].values()]
        attended += own * before + own * own // 2
        attended += sum(b * (before + own) + b * b // 2 for b in branches)
    needed = operations(config, count.tree, attended, count.prompts)
    rate = matrix_rate(device, precision)
    found = {
        "device": torch.cuda.get_device_name(device) if device.startswith("cuda") else device,
        "size": size,
        "dtype": dtype,
        **{n: importlib.metadata.version(n) for n in ("torch", "transformers")},
        "dialogues": number,
        "judgments": len(reads),
        "seconds": round(seconds, 2),
        "prompts_per_second": round(len(reads) / seconds, 1),
        "tokens_per_second": round(count.tree / seconds, 1),
        "matrix_teraflops": round(rate / 1e12, 3),
        "share_of_matrix_rate": round(needed / seconds / rate, 3),
        "extrapolated_minutes_118800": round(ALL / len(reads) * seconds / 60, 2),
    }
    click.echo("\n".join(f"{name}: {value}" for name, value in found.items()))
    if as_json:
        click.echo(json.dumps(found))


if __name__ == "__main__":
    main()
