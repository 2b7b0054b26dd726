"""How the engine `vllm` has vLLM built: its arguments, its hashes of blocks, and why it failed."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from judge.engines.adapter import Adapter
from judge.engines.checkpoint import first_line
from judge.engines.interface import EngineOptions
from judge.errors import EngineError

__all__ = ["OTHER_ENGINE", "SharedHashes", "hash_once", "llm_arguments", "load_error"]

_CPU_CACHE_BYTES = 4 * 2**30
"""For keys and values on the CPU, where vLLM would take nearly all of the memory."""
_DEFAULT_WINDOW = 32768
"""Tokens that a prompt may have if the model sets no limit, as models with a state do."""
_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""What `max_lora_rank` may be, in vLLM 0.24 to 0.33."""
OTHER_ENGINE = "VLLM_LOGGING_LEVEL=INFO shows what vLLM did; --engine hf can ask more models"
"""What to do where vLLM cannot go on."""


def llm_arguments(
    folder: Path,
    window: int | None,
    dtype: str,
    options: EngineOptions,
    adapter: Adapter | None = None,
    *,
    cpu: bool,
) -> dict[str, Any]:
    """The arguments of `vllm.LLM` for the weights in `folder` of a model with this window.

    Raises:
        EngineError: the rank of the adapter is larger than vLLM allows.
    """
    arguments: dict[str, Any] = {
        "model": str(folder),
        "runner": "generate",
        "dtype": dtype,
        "quantization": options.quantization,
        "tensor_parallel_size": options.tensor_parallel or 1,
        "seed": options.seed,
        # -1: the model's window, or as much of it as fits into the memory.
        "max_model_len": -1 if window else _DEFAULT_WINDOW,
        "enable_prefix_caching": True,
        "logprobs_mode": "raw_logprobs",
        "language_model_only": True,  # no pictures are given to a model that can see
        "use_tqdm_on_load": False,
        "trust_remote_code": bool(options.trust_remote_code),
    }
    if adapter is not None:
        fitting = [rank for rank in _RANKS if rank >= adapter.rank]
        if not fitting:
            raise EngineError(
                f"--adapter: its rank is {adapter.rank}, vLLM takes {_RANKS[-1]} at most",
                path=adapter.folder,
                hint="merge it into the model",
            )
        arguments |= {"enable_lora": True, "max_lora_rank": fitting[0]}
    if options.gpu_memory is not None:
        arguments["gpu_memory_utilization"] = options.gpu_memory
    elif cpu and not os.environ.get("VLLM_CPU_KVCACHE_SPACE"):
        arguments["kv_cache_memory_bytes"] = _CPU_CACHE_BYTES
    if cpu:
        # No kernels are compiled. Blocks of 128 tokens, vLLM's default, would share less.
        arguments |= {"enforce_eager": True, "block_size": 32}
    return arguments


def hash_once(llm: Any) -> None:
    """Let an `LLM` in this process hash the blocks that a prompt shares with the last one once.

    vLLM looks blocks of tokens up by the hash of the block and all before it, which takes a third
    of a millisecond of Python for each prompt of 3,500 tokens. Questions about one dialogue follow
    each other, so nearly all of these hashes were just computed: where the tokens are the same,
    they are taken from there. A vLLM that is built otherwise hashes by itself as before.
    """
    core: Any = getattr(llm.llm_engine.engine_core, "engine_core", None)
    hasher: Any = getattr(core, "request_block_hasher", None)
    settings = inspect.getclosurevars(hasher).nonlocals if inspect.isfunction(hasher) else {}
    size, lookahead = settings.get("hash_block_size"), settings.get("num_hash_lookahead_tokens")
    if size and not lookahead and len(settings) == 2 + (lookahead is not None):  # 0.24 to 0.33
        core.request_block_hasher = SharedHashes(hasher, size)


class SharedHashes:
    """In place of vLLM's function that hashes the blocks of a request that are not hashed yet.

    Only for requests that differ in nothing but their tokens: no pictures, one adapter at most.
    """

    def __init__(self, hasher: Callable[[Any], list[Any]], size: int) -> None:
        self._hasher, self._size = hasher, size
        self._ids: Sequence[int] = ()
        self._hashes: Sequence[Any] = ()

    def __call__(self, request: Any) -> list[Any]:
        """The missing hashes; those known from before are put into the request."""
        if request.block_hashes:
            return self._hasher(request)
        ids = request.all_token_ids
        request.block_hashes.extend(self._hashes[: self._shared_blocks(ids)])
        rest = self._hasher(request)
        self._ids, self._hashes = ids[:], [*request.block_hashes, *rest]
        return rest

    def _shared_blocks(self, ids: Sequence[int]) -> int:
        """How many blocks at the beginning are those of the last request, by bisection."""
        size, low, high = self._size, 0, min(len(self._hashes), len(ids) // self._size)
        while low < high:
            middle = (low + high + 1) // 2
            if ids[low * size : middle * size] == self._ids[low * size : middle * size]:
                low = middle
            else:
                high = middle - 1
        return low


def load_error(error: Exception, folder: Path, size: int, free: int, device: str) -> EngineError:
    """The error for a model that did not load.

    Args:
        error: what vLLM raised.
        folder: where the weights are.
        size: bytes of their files for each device.
        free: bytes that were free before.
    """
    reason = _reason(error)
    if "memory" in reason.lower():
        return EngineError(
            f"the model does not fit: its files have {size / 2**30:.1f} GiB for each device, "
            f"{free / 2**30:.1f} GiB were free on {device}: {reason}",
            path=folder,
            hint="use a smaller model, --quantization fp8, more GPUs with --tensor-parallel, or "
            "another --gpu-memory; other programs may hold memory too",
        )
    return EngineError(f"vLLM cannot load this model: {reason}", path=folder, hint=OTHER_ENGINE)


def _reason(error: Exception) -> str:
    """The message of an error; of pydantic's, whose first line only counts them, the first."""
    errors = getattr(error, "errors", None)
    if not callable(errors):
        return first_line(error)
    first = errors()[0]
    location = "".join(f"{name}: " for name in first["loc"])
    return f"{location}{first['msg']}".replace("Value error, ", "").splitlines()[0]
