"""How a model gets into vLLM and out of it again: arguments, checks before, and what went wrong."""

from __future__ import annotations

import gc
import importlib
import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from judge.engines.checkpoint import Checkpoint, first_line, import_extra
from judge.engines.interface import EngineOptions
from judge.errors import EngineError

__all__ = ["LESS_MEMORY", "OTHERWISE", "llm_arguments", "load_error", "refuse_gaps", "unload"]

_CPU_CACHE = 4 * 2**30
"""Bytes for keys and values on the CPU, where vLLM would take nearly all of the memory."""
_ENDLESS = 32768
"""Tokens that a prompt may have where the model, one with a state, sets no limit."""
LESS_MEMORY = "let it take less memory, as --gpu-memory 0.8, or lower --batch-size"
OTHERWISE = "VLLM_LOGGING_LEVEL=INFO shows what vLLM did; --engine hf can ask more models"

_NUMBER = re.compile(r"\d+")


def llm_arguments(
    folder: Path, window: int | None, dtype: str, options: EngineOptions, *, cpu: bool
) -> dict[str, Any]:
    """The arguments of `vllm.LLM` for the weights in `folder` of a model with this window."""
    arguments: dict[str, Any] = {
        "model": str(folder),
        "runner": "generate",
        "dtype": dtype,
        "quantization": options.quantization,
        "tensor_parallel_size": options.tensor_parallel or 1,
        "seed": options.seed,
        # The model's window, or what the memory holds of it.
        "max_model_len": -1 if window else _ENDLESS,
        "enable_prefix_caching": True,
        "logprobs_mode": "raw_logprobs",
        "language_model_only": True,  # a model that also sees is given no pictures
        "use_tqdm_on_load": False,
    }
    if options.gpu_memory is not None:
        arguments["gpu_memory_utilization"] = options.gpu_memory
    elif cpu and not os.environ.get("VLLM_CPU_KVCACHE_SPACE"):
        arguments["kv_cache_memory_bytes"] = _CPU_CACHE
    if cpu:
        # No kernels are compiled; and blocks of 128 tokens, its default, would share less.
        arguments |= {"enforce_eager": True, "block_size": 32}
    return arguments


def refuse_gaps(checkpoint: Checkpoint) -> None:
    """Raises an EngineError if weights are missing.

    vLLM 0.32 does so for some of them only: with others it computes from whatever stands in the
    memory, or from zeros, and all labels get the same probability.
    """
    torch, transformers = import_extra("torch"), import_extra("transformers")
    try:
        with torch.device("meta"):  # names without numbers
            model = transformers.AutoModelForCausalLM.from_config(checkpoint.text_config)
        stored: set[str] = set()
        for path in checkpoint.weights:
            with import_extra("safetensors").safe_open(path, framework="pt") as file:
                stored.update(file.keys())
    except Exception:  # noqa: BLE001  vLLM says better what is wrong, or knows the model
        return
    head = model.get_output_embeddings()
    tied = head is None or head.weight is model.get_input_embeddings().weight
    heads = [] if tied else [name for name, part in model.named_modules() if part is head]
    found = gaps({name for name, _ in model.named_parameters()}, stored, heads)
    if found:
        raise EngineError(
            f"the weights lack {found[0]} of a {type(model).__name__}",
            path=checkpoint.weights[0].parent,
            hint="choose a causal language model, not a classifier or an embedding model",
        )


def gaps(expected: Collection[str], stored: Collection[str], heads: Collection[str]) -> list[str]:
    """The weights that are missing in a checkpoint, as far as names can tell.

    Weights may be stored under other names, joined or quantized. So one is missing only if others
    are stored under names that differ from its own in numbers alone, as of another layer; or if it
    belongs to one of the modules `heads` and nothing of that module is stored.
    """
    kinds = {_NUMBER.sub("#", name) for name in stored}
    alike = {name for name in expected if _NUMBER.sub("#", name) in kinds} - set(stored)
    bare = {head for head in heads if not any(f".{head}." in f".{name}" for name in stored)}
    return sorted(alike | {name for name in expected if name.rpartition(".")[0] in bare})


def unload(llm: Any, platform: Any) -> None:
    """Give back the memory of an `LLM` that nobody else refers to.

    An engine in this process outlives its last reference (vLLM issue 21073): it has to be shut
    down, and the next one must not be given the memory pool of its CUDA graphs.
    """
    llm.llm_engine.engine_core.shutdown()
    del llm
    gc.collect()  # what this finds lets go of the model
    if hasattr(type(platform), "_global_graph_pool"):
        type(platform)._global_graph_pool = None  # noqa: SLF001  there is no other way
    importlib.import_module("vllm.distributed").cleanup_dist_env_and_memory()


def load_error(error: Exception, folder: Path, size: int, free: int, device: str) -> EngineError:
    """What to tell of a model that did not load.

    Args:
        error: what vLLM raised.
        folder: where the weights are.
        size: bytes of their files, for each device.
        free: bytes that were free before.
        device: its name.
    """
    said = _said(error)
    if "memory" in said.lower():
        return EngineError(
            f"the model does not fit: its files have {size / 2**30:.1f} GiB for each device, "
            f"{free / 2**30:.1f} GiB were free on {device}: {said}",
            path=folder,
            hint="use a smaller model, --quantization fp8, more GPUs with --tensor-parallel, or "
            "another --gpu-memory; other programs may hold memory too",
        )
    return EngineError(f"vLLM cannot load this model: {said}", path=folder, hint=OTHERWISE)


def _said(error: Exception) -> str:
    """What an error says. The first line of pydantic's only counts them."""
    errors = getattr(error, "errors", None)
    if not callable(errors):
        return first_line(error)
    fault = errors()[0]
    place = "".join(f"{name}: " for name in fault["loc"])
    return f"{place}{fault['msg']}".replace("Value error, ", "").splitlines()[0]
