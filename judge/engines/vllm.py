"""vLLM, offline: its prefix cache computes what prompts share once.

vLLM keeps the keys and values of every full block of tokens it has computed. Prompts are given to
it dialogue by dialogue, so that the questions about a dialogue find all but their own tokens there.
The cache is emptied before each tree. In bfloat16 a prompt reads a little differently (by some
hundredths of a nat) when its prefix comes from the cache, and the reads of a tree must not depend
on what was asked before it.

The next-token log-probabilities are those of exactly the labels under the full distribution
(`logprob_token_ids`). The most probable tokens need not contain a label, and an answer that is
constrained to the labels has lost their mass.
"""

from __future__ import annotations

import gc
import importlib
import importlib.metadata
import logging
import math
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from judge.engines.adapter import read_adapter
from judge.engines.causal import DTYPES
from judge.engines.chat import seeds_of
from judge.engines.checkpoint import Checkpoint, first_line, import_extra, refuse_unknown
from judge.engines.interface import EngineOptions, TokenCount
from judge.engines.tokens import TokenTree
from judge.engines.vllm_core import OTHER_ENGINE, hash_once, llm_arguments, load_error
from judge.errors import EngineError
from judge.types import Chats, Failure, LabelRead, PromptTree, Rationale, Reply, Sampling, Seeds

__all__ = ["VllmEngine"]

_ENVIRONMENT = {
    # With the engine in this process, errors arrive as exceptions, and which prompts are computed
    # together depends on the prompts alone and not on how fast they arrive.
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",  # its default, stdout, is for our own output
    "VLLM_NO_USAGE_STATS": "1",  # nothing about a run leaves the machine
    "TORCH_CPP_LOG_LEVEL": "ERROR",
}
_INVARIANT = "VLLM_BATCH_INVARIANT"
_LESS_MEMORY = "let it take less memory, as --gpu-memory 0.8, or lower --batch-size"

_log = logging.getLogger(__name__)


class VllmEngine:
    """See the module.

    Args:
        model: a folder or a hub id.
        options: `dtype` defaults to float32 on the CPU and bfloat16 elsewhere; `quantization` is
            any method that vLLM knows, by default what the model's config.json says; on the CPU
            `gpu_memory` is a share of the main memory; `reproducible` needs kernels that vLLM has
            for some GPUs only.

    Raises:
        MissingExtraError: vLLM is not installed.
        EngineError: there is no device that vLLM can use, or an option that vLLM does not know or
            the device cannot satisfy.
    """

    can_generate = True

    def __init__(self, model: str, options: EngineOptions) -> None:
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        # For what vLLM logs before it has set up its own logging.
        logging.getLogger("vllm").setLevel(os.environ["VLLM_LOGGING_LEVEL"].upper())
        import_extra("transformers").logging.set_verbosity_error()
        with warnings.catch_warnings(action="ignore"):
            self._vllm: Any = import_extra("vllm", "vllm")
            self._platform: Any = importlib.import_module("vllm.platforms").current_platform
        self._checkpoint = Checkpoint(model, trust_code=bool(options.trust_remote_code))
        self._options = options
        if not self._platform.device_type:
            raise EngineError(
                "vLLM finds no device that it can use",
                hint="check the driver of the GPU, or use --engine hf",
            )
        self._on_cpu: bool = self._platform.is_cpu()
        if self._on_cpu:  # the little that vLLM still compiles there would need a C++ compiler
            importlib.import_module("torch._dynamo.config").disable = True  # type: ignore[attr-defined]
        self._dtype = options.dtype or ("float32" if self._on_cpu else "bfloat16")
        refuse_unknown("dtype", self._dtype, DTYPES)
        if options.quantization is not None:
            methods = importlib.import_module("vllm.model_executor.layers.quantization")
            refuse_unknown("quantization", options.quantization, methods.QUANTIZATION_METHODS)
        self._reproducible = bool(options.reproducible) or os.environ.get(_INVARIANT, "0") != "0"
        if self._reproducible:
            old = self._platform.is_cuda() and not self._platform.has_device_capability(80)
            if self._on_cpu or old:
                raise EngineError(
                    f"--reproducible: vLLM cannot do that on this device ({self._device})",
                    hint="leave it out; NVIDIA GPUs of compute capability 8.0 and newer can",
                )
            os.environ[_INVARIANT] = "1"  # vLLM reads it when it loads the weights
        self._adapter = None if options.adapter is None else read_adapter(options.adapter)
        self.batch_size = options.batch_size or (32 if self._on_cpu else 256)
        self._prompt_tokens = self._cached_tokens = 0

    @cached_property
    def fingerprint(self) -> str:
        """The version of vLLM, every option that changes an answer, and the model's files."""
        parts = (
            self._vllm.__version__,
            self._dtype,
            self._options.quantization or "as-stored",
            self._options.tensor_parallel or 1,
            "reproducible" if self._reproducible else "fast",
            self._checkpoint.sha256,
            *([f"adapter-{self._adapter.sha256}"] if self._adapter else []),
        )
        return "vllm/1/" + "/".join(map(str, parts))

    @property
    def cached_share(self) -> float | None:
        """The share of all prompt tokens so far that were in the cache; None before the first."""
        return self._cached_tokens / self._prompt_tokens if self._prompt_tokens else None

    def describe(self) -> Mapping[str, str]:
        """See `Engine.describe`."""
        options = self._options
        return {
            "engine": "vllm",
            "model": self._checkpoint.name,
            "device": self._device,
            "dtype": self._dtype,
            **({"quantization": options.quantization} if options.quantization else {}),
            **({"adapter": options.adapter} if options.adapter else {}),
            "tensor_parallel": str(options.tensor_parallel or 1),
            "reproducible": "yes" if self._reproducible else "no",
            "prefix_caching": "on, emptied before each batch",
            "vllm": self._vllm.__version__,
            **{n: importlib.metadata.version(n) for n in ("torch", "transformers")},
            **self._checkpoint.chats.describe(),
        }

    def count(self, tree: PromptTree) -> TokenCount | None:
        """See `Engine.count`; loads the tokenizer only."""
        return self._checkpoint.count(tree)

    def score(self, tree: PromptTree) -> Iterator[LabelRead]:
        """See `Engine.score`; a prompt that fills the window has no room for its answer."""
        tokens = self._checkpoint.prompt_tokenizer(tree)
        sampling = {
            metric: self._vllm.SamplingParams(
                max_tokens=1, temperature=0, logprob_token_ids=list(ids), detokenize=False
            )
            for metric, ids in tokens.label_ids.items()
        }
        for item, metric, answer in self._ask(tokens, sampling, answer_tokens=1):
            if isinstance(answer, Failure):
                yield LabelRead(item, metric, answer)
            else:
                yield _label_read(item, metric, answer, tokens.label_ids[metric])

    def write(self, tree: PromptTree) -> Iterator[Rationale]:
        """See `Engine.write`."""
        prompt_tokenizer = self._checkpoint.prompt_tokenizer
        tokens = prompt_tokenizer(tree, write=True)
        sampling = {
            metric: self._vllm.SamplingParams(
                max_tokens=tree.rationale,
                temperature=0,
                stop=[question.prefill],
                skip_special_tokens=False,
            )
            for metric, question in tree.questions.items()
        }
        for item, metric, answer in self._ask(tokens, sampling, answer_tokens=tree.rationale):
            if isinstance(answer, Failure):
                yield Rationale(item, metric, answer)
                continue
            ids = _written_ids(answer)
            text = prompt_tokenizer.decode(ids).partition(tree.questions[metric].prefill)[0].strip()
            cut = answer.finish_reason == "length"
            yield Rationale(item, metric, text, tokens=len(ids), cut=cut)

    def generate(self, chats: Chats, sampling: Sampling, seeds: Seeds = None) -> Iterator[Reply]:
        """See `Engine.generate`; all chats at once, because vLLM makes its own batches."""
        framed = self._checkpoint.chats
        prompts = [framed.prompt(chat, thinking=sampling.thinking) for chat in chats]
        self._checkpoint.refuse_foreign([prompt.ids for prompt in prompts])
        if prompts:
            self._llm.reset_prefix_cache()
        failures = [self._too_long(len(p.ids), sampling.max_tokens) for p in prompts]
        fitting = [i for i, failure in enumerate(failures) if failure is None]
        seeds = seeds_of(chats, sampling) if seeds is None else seeds
        settings = [
            self._vllm.SamplingParams(
                max_tokens=sampling.max_tokens,
                temperature=sampling.temperature,
                top_p=sampling.top_p,
                seed=seeds[i],
                stop=framed.stop,
                detokenize=framed.stop is not None,
            )
            for i in fitting
        ]
        completions = self._generate([list(prompts[i].ids) for i in fitting], settings)
        answers = dict(zip(fitting, completions, strict=True))
        for i, failure in enumerate(failures):
            if failure is not None:
                yield Reply(i, failure)
                continue
            cut = answers[i].finish_reason == "length"
            yield framed.reply(i, prompts[i], _written_ids(answers[i]), cut=cut)

    def load(self) -> None:
        """See `Engine.load`."""
        _ = self._llm

    def close(self) -> None:
        """Ends what vLLM started; all of the memory comes back with the end of this process."""
        if "_llm" in self.__dict__:
            self.__dict__.pop("_llm").llm_engine.engine_core.shutdown()
            gc.collect()  # the model is part of reference cycles

    def _ask(
        self, tokens: TokenTree, sampling: Mapping[str, Any], *, answer_tokens: int
    ) -> Iterator[tuple[int, str, Any]]:
        """(item, metric, vLLM's completion or a Failure) for every prompt, in the tree's order."""
        self._checkpoint.refuse_foreign_ids(tokens)
        items = tokens.source.items
        if items:
            self._llm.reset_prefix_cache()
        for start in range(0, len(items), self.batch_size):
            batch = range(start, min(start + self.batch_size, len(items)))
            prompts = [(i, metric) for i in batch for metric in items[i].metrics]
            ids = [list(tokens.prompt(*prompt)) for prompt in prompts]
            failures = [self._too_long(len(prompt_ids), answer_tokens) for prompt_ids in ids]
            fitting = [n for n, failure in enumerate(failures) if failure is None]
            completions = self._generate(
                [ids[n] for n in fitting], [sampling[prompts[n][1]] for n in fitting]
            )
            answers = dict(zip(fitting, completions, strict=True))
            for n, (item, metric) in enumerate(prompts):
                yield item, metric, failures[n] or answers[n]

    def _generate(self, prompts: Sequence[list[int]], sampling: Sequence[Any]) -> list[Any]:
        try:
            with warnings.catch_warnings(action="ignore"):
                outputs = self._llm.generate(
                    [{"prompt_token_ids": prompt} for prompt in prompts],
                    list(sampling),
                    use_tqdm=False,
                    lora_request=self._lora_request,
                )
        except Exception as error:  # vLLM, torch and the kernels each have their own errors
            reason = first_line(error)
            raise EngineError(
                f"vLLM gave up on {len(prompts)} prompts: {reason}",
                hint=_LESS_MEMORY if "memory" in reason.lower() else OTHER_ENGINE,
            ) from error
        self._prompt_tokens += sum(map(len, prompts))
        self._cached_tokens += sum(output.num_cached_tokens or 0 for output in outputs)
        _log.debug("%d of %d tokens were cached", self._cached_tokens, self._prompt_tokens)
        return [output.outputs[0] for output in outputs]

    @cached_property
    def _lora_request(self) -> Any:
        """What tells vLLM to use the adapter, if there is one."""
        if self._adapter is None:
            return None
        request = importlib.import_module("vllm.lora.request").LoRARequest
        return request("adapter", 1, str(self._adapter.folder))

    def _too_long(self, length: int, answer_tokens: int) -> Failure | None:
        room: int = self._llm.model_config.max_model_len
        window = self._checkpoint.window or room
        if length + answer_tokens > window:
            reason = (
                f"the prompt has {length} tokens and {answer_tokens} for the answer, "
                f"the model's window is {window}"
            )
            return Failure("too_long", reason)
        if length + answer_tokens > room:
            raise EngineError(
                f"a prompt of {length} tokens and {answer_tokens} for the answer does not fit: "
                f"vLLM takes {room} here",
                hint="give it more memory with --gpu-memory, or use --engine hf: vLLM also stops "
                "where the model would change its positions (longrope)",
            )
        return None

    @cached_property
    def _llm(self) -> Any:
        weights = self._checkpoint.weights
        self._checkpoint.refuse_missing_weights()
        arguments = llm_arguments(
            weights[0].parent,
            self._checkpoint.window,
            self._dtype,
            self._options,
            self._adapter,
            cpu=self._on_cpu,
        )
        size = sum(path.stat().st_size for path in weights) // arguments["tensor_parallel_size"]
        free = self._free_memory()
        try:
            with warnings.catch_warnings(action="ignore"):
                llm = self._vllm.LLM(**arguments)
        except Exception as error:  # as in `_generate`; pydantic's for an argument
            raise load_error(error, weights[0].parent, size, free, self._device) from error
        hash_once(llm)
        return llm

    @property
    def _device(self) -> str:
        kind, name = self._platform.device_type, self._platform.get_device_name()
        return kind if self._on_cpu else f"{kind} ({name})"

    def _free_memory(self) -> int:
        """How many bytes are free on the device."""
        if self._on_cpu:
            return int(importlib.import_module("psutil").virtual_memory().available)
        return int(importlib.import_module("torch").accelerator.get_memory_info()[0])


def _written_ids(answer: Any) -> list[int]:
    """The ids of a completion, without the token that ended it."""
    ids = list(answer.token_ids)
    by_token = answer.finish_reason == "stop" and not isinstance(answer.stop_reason, str)
    return ids[:-1] if by_token else ids


def _label_read(item: int, metric: str, answer: Any, label_ids: Sequence[int]) -> LabelRead:
    logprobs = answer.logprobs[0]
    labels = tuple(float(logprobs[label].logprob) for label in label_ids)
    if not all(map(math.isfinite, labels)):
        reason = "the model's probabilities are not finite; try another --dtype"
        return LabelRead(item, metric, Failure("not_finite", reason))
    return LabelRead(item, metric, labels, top_is_label=answer.token_ids[0] in label_ids)
