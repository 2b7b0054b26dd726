"""A causal language model of transformers on one device: what the hf engines share."""

from __future__ import annotations

import gc
import importlib.metadata
import inspect
import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from judge.engines.adapter import merged, read_adapter
from judge.engines.checkpoint import Checkpoint, first_line, import_extra, refuse_unknown
from judge.engines.interface import EngineOptions
from judge.engines.tokens import TokenTree
from judge.errors import EngineError
from judge.types import Failure, LabelRead

__all__ = ["CausalModel", "PendingReads", "cache_argument"]

DTYPES = ("float32", "bfloat16", "float16")
_CACHE_ARGUMENTS = ("cache", "past_key_values", "cache_params")
"""The names that `forward` has had for its cache: the first since transformers 5.24."""
_log = logging.getLogger(__name__)
_Part = TypeVar("_Part")
_Read = TypeVar("_Read")


@dataclass(frozen=True, slots=True)
class PendingReads:
    """What is read of some prompts, on the device, where it may still be computed.

    Attributes:
        prompts: item and metric of each.
        table: (prompts, labels + 1) of float64: the log-probabilities of the labels, and 1 if the
            most probable token is a label, else 0.
    """

    prompts: tuple[tuple[int, str], ...]
    table: Any


class CausalModel:
    """A model, the device it computes on and its precision; it loads when first used.

    Args:
        model: a folder, a hub id or a GGUF file.
        options: `device` defaults to cuda where there is one, `dtype` to bfloat16 there and
            float32 on the CPU; `quantization` is 4bit or 8bit, by bitsandbytes. Weights that are
            stored quantized need no option. An `adapter` is merged into the weights when they load.

    Raises:
        MissingExtraError: torch, transformers or bitsandbytes is not installed.
        EngineError: an option that torch does not know or this machine cannot satisfy.
    """

    def __init__(self, model: str, options: EngineOptions) -> None:
        self.torch: Any = import_extra("torch")
        self.transformers: Any = import_extra("transformers")
        self.transformers.logging.set_verbosity_error()
        self.transformers.logging.disable_progress_bar()
        self.checkpoint = Checkpoint(model, trust_code=bool(options.trust_remote_code))
        self.device = options.device or ("cuda" if self.torch.cuda.is_available() else "cpu")
        self.on_cpu = self.device.startswith("cpu")
        self.dtype = options.dtype or ("float32" if self.on_cpu else "bfloat16")
        self.quantization = options.quantization
        self.adapter = None if options.adapter is None else read_adapter(options.adapter)
        if self.adapter and self.quantization:
            raise EngineError(
                "--adapter: it cannot be added to weights that --quantization has rounded",
                hint="leave one of them out",
            )
        refuse_unknown("dtype", self.dtype, DTYPES)
        refuse_unknown("quantization", self.quantization, ("4bit", "8bit"))
        if self.quantization:
            if self.checkpoint.gguf:
                raise EngineError(
                    f"--quantization {self.quantization}: {model} is read as it is",
                    hint="leave it out, or name a folder with safetensors",
                )
            for package in ("bitsandbytes", "accelerate"):
                import_extra(package, extra="bnb")
        try:
            self.torch.zeros(1, device=self.device).tolist()
        except Exception as error:  # torch raises another error for each kind of missing device
            raise EngineError(
                f"--device {self.device}: {first_line(error)}",
                hint="choose cpu, or cuda where torch has CUDA and a GPU; cuda:1 is the second GPU",
            ) from error

    @property
    def fingerprint(self) -> str:
        """The precision it computes in, and hashes of the files of the model and its adapter."""
        precision = "-".join(filter(None, (self.dtype, self.quantization)))
        adapter = f"/adapter-{self.adapter.sha256}" if self.adapter else ""
        return f"{precision}/{self.checkpoint.sha256}{adapter}"

    def describe(self) -> dict[str, str]:
        """What the manifest says of the model and where it computes."""
        device = self.device
        if device.startswith("cuda"):
            device = f"{device} ({self.torch.cuda.get_device_name(device)})"
        packages = ["torch", "transformers"] + ["bitsandbytes"] * bool(self.quantization)
        return {
            "model": self.checkpoint.name,
            "device": device,
            "dtype": self.dtype,
            **({"quantization": self.quantization} if self.quantization else {}),
            **({"adapter": str(self.adapter.folder)} if self.adapter else {}),
            **{n: importlib.metadata.version(n) for n in packages},
            **self.checkpoint.chats.describe(),
        }

    def too_long(
        self, tokens: TokenTree, item: int, metric: str, rationale: int = 0
    ) -> Failure | None:
        """The failure for a prompt that does not fit into the window with its reason, if so."""
        length, window = len(tokens.prompt(item, metric)), self.checkpoint.window
        if window is None or length + rationale <= window:
            return None
        room = f" and {rationale} for the reason" if rationale else ""
        reason = f"the prompt has {length} tokens{room}, the model's window is {window}"
        return Failure("too_long", reason)

    @cached_property
    def ends(self) -> set[int]:
        """The tokens that end an answer."""
        configured = self.model.generation_config.eos_token_id
        ends = configured if isinstance(configured, list) else [configured]
        return {i for i in (*ends, self.checkpoint.tokenizer.eos_token_id) if i is not None}

    @cached_property
    def rope_follows_length(self) -> bool:
        """Whether rotary position embeddings depend on the length of the longest row of a batch."""
        rope = str(getattr(self.checkpoint.text_config, "rope_parameters", None))
        return "longrope" in rope or "'dynamic'" in rope

    def logits(self, ids: Any, ends: Any, **inputs: Any) -> Any:
        """Next-token logits (rows, ends, vocabulary) of `ids` (rows, length) at positions `ends`.

        The logits at every position would fill the memory: most models can leave the others out.
        """
        can_select = "logits_to_keep" in inspect.signature(self.model.forward).parameters
        ends = ends.to(self.device, non_blocking=True)
        with self.torch.inference_mode():
            logits = self.model(
                input_ids=ids.to(self.device, non_blocking=True),
                **({"logits_to_keep": ends} if can_select else {}),
                **inputs,
            ).logits
        return logits if can_select else logits[:, ends]

    def begin_reading(
        self,
        prompts: Sequence[tuple[int, str]],
        logits: Any,
        label_ids: Mapping[str, Sequence[int]],
    ) -> PendingReads:
        """Computes what `finish_reading` copies back; on a GPU it returns before that is done.

        Args:
            prompts: item and metric of each row.
            logits: next-token logits (rows, vocabulary).
            label_ids: metric -> the ids of the labels.
        """
        torch = self.torch
        labels = self.on_device([label_ids[metric] for _, metric in prompts])
        top = logits.amax(-1, keepdim=True)
        # The labels are computed in double precision, and all other tokens in single precision:
        # a whole vocabulary of doubles fills the memory. As both parts of the sum are positive, the
        # labels of a confident judge still have no mass above 1.
        scores = logits.gather(-1, labels).double() - top.double()
        others = (logits.float() - top.float()).scatter_(-1, labels, -torch.inf).exp_()
        total = others.sum(-1, dtype=torch.float64) + scores.exp().sum(-1)
        top_is_label = (logits.argmax(-1, keepdim=True) == labels).any(-1, keepdim=True)
        table = torch.cat([scores - total.log()[:, None], top_is_label.double()], dim=-1)
        return PendingReads(tuple(prompts), table)

    def finish_reading(self, pending: PendingReads) -> Iterator[LabelRead]:
        """A read for each prompt; everything is copied back at once."""
        for (item, metric), row in zip(pending.prompts, pending.table.tolist(), strict=True):
            *logprobs, top_is_label = row
            if all(map(math.isfinite, logprobs)):
                yield LabelRead(item, metric, tuple(logprobs), top_is_label=bool(top_is_label))
            else:
                reason = "the model's probabilities are not finite; try another --dtype"
                yield LabelRead(item, metric, Failure("not_finite", reason))

    def read(
        self,
        prompts: Sequence[tuple[int, str]],
        logits: Any,
        label_ids: Mapping[str, Sequence[int]],
    ) -> Iterator[LabelRead]:
        """The labels' log-probabilities: see `begin_reading`."""
        return self.finish_reading(self.begin_reading(prompts, logits, label_ids))

    def on_device(self, numbers: Sequence[Any], dtype: str = "int64") -> Any:
        """A tensor of `numbers` on the device; a GPU is not waited for."""
        made = self.torch.tensor(numbers, dtype=getattr(self.torch, dtype))
        if self.device.startswith("cuda"):
            made = made.pin_memory()
        return made.to(self.device, non_blocking=True)

    def in_halves(
        self, run: Callable[[Sequence[_Part]], list[_Read]], parts: Sequence[_Part], unit: str
    ) -> list[_Read]:
        """`run(parts)`; where memory runs out, of one half after the other.

        Args:
            run: computes all parts at once.
            parts: what is computed.
            unit: what a part is called in messages.

        Raises:
            EngineError: a single part does not fit.
        """
        try:
            return run(parts) if parts else []
        except RuntimeError as error:
            if not self._out_of_memory(error):
                raise
            if len(parts) == 1:
                raise EngineError(
                    f"one {unit} does not fit on {self.device}",
                    hint="use a smaller judge, or a device with more memory",
                ) from error
        # Outside the handler, whose traceback keeps the tensors that filled the memory alive.
        half = len(parts) // 2
        _log.warning("out of memory with %d %ss at once, going on with %d", len(parts), unit, half)
        return self.in_halves(run, parts[:half], unit) + self.in_halves(run, parts[half:], unit)

    def _out_of_memory(self, error: RuntimeError) -> bool:
        """Whether memory ran out: CUDA has an error class for it, the CPU only a message."""
        return isinstance(error, self.torch.OutOfMemoryError) or "allocate memory" in str(error)

    @cached_property
    def model(self) -> Any:
        """The loaded model.

        Raises:
            EngineError: it cannot be loaded, lacks weights, or is not causal.
        """
        torch = self.torch
        folder = self.checkpoint.weights[0].parent
        smaller = {}
        if self.quantization:
            smaller["device_map"] = {"": self.device}
            smaller["quantization_config"] = self.transformers.BitsAndBytesConfig(
                **{f"load_in_{self.quantization}": True},
                bnb_4bit_compute_dtype=getattr(torch, self.dtype),
            )
        try:
            model, report = self.transformers.AutoModelForCausalLM.from_pretrained(
                folder,
                dtype=getattr(torch, self.dtype),
                use_safetensors=True,
                output_loading_info=True,
                **self.checkpoint.loading,
                **smaller,
            )
            model = (model if smaller else model.to(self.device)).eval()
            looks_ahead = self._looks_ahead(model)
        except torch.OutOfMemoryError as error:
            raise EngineError(
                self._no_room(),
                hint="use a smaller model, --quantization 4bit or 8bit, or --device cpu",
            ) from error
        except Exception as error:  # safetensors, torch and transformers each have their own errors
            self.checkpoint.refuse_code(error)
            raise EngineError(
                f"the weights cannot be loaded: {first_line(error)}",
                path=self.checkpoint.weights[0] if self.checkpoint.gguf else folder,
                hint="one causal language model is needed: a folder with config.json and "
                "*.safetensors, or a GGUF file of a kind that transformers reads",
            ) from error
        if report["missing_keys"]:  # transformers fills them with random numbers
            raise EngineError(
                f"the weights lack {min(report['missing_keys'])} of a {type(model).__name__}",
                path=folder,
                hint="choose a causal language model, not a classifier or an embedding model",
            )
        if self.adapter:
            model = merged(self.adapter, model)
        if looks_ahead:
            raise EngineError(
                f"this {type(model).__name__} is not causal: what follows changes what came before",
                path=folder,
                hint="choose a causal language model, not an encoder such as BERT",
            )
        return model

    def close(self) -> None:
        """Free the memory of the weights; they load again when they are used again."""
        if self.__dict__.pop("model", None) is not None:
            gc.collect()  # the modules of a model refer to each other
            if self.device.startswith("cuda"):
                self.torch.cuda.empty_cache()

    def _no_room(self) -> str:
        need = sum(path.stat().st_size for path in self.checkpoint.weights) / 2**30
        free, total = (n / 2**30 for n in self.torch.cuda.mem_get_info(self.device))
        return (
            f"{self.checkpoint.name} does not fit on {self.device} in {self.dtype}: its files have "
            f"{need:.1f} GiB, {free:.1f} of {total:.1f} GiB are free"
        )

    def _looks_ahead(self, model: Any) -> bool:
        """Whether the second token changes the logits after the first."""
        ids = self.torch.tensor([[0, 1], [0, 2]], device=self.device)
        with self.torch.inference_mode():
            logits = model(input_ids=ids, use_cache=False).logits[:, 0].float()
        rounding = self.torch.finfo(model.dtype).eps ** 0.5 * logits[0].std()
        return bool((logits[0] - logits[1]).abs().max() > rounding)


def cache_argument(model_class: type) -> str | None:
    """The argument of `forward` that takes a cache, or None if none has a known name.

    A cache passed under any other name would end up in `**kwargs` of most models and be ignored:
    the model would answer as if it had not read what is in the cache.
    """
    names = inspect.signature(model_class.forward).parameters  # type: ignore[attr-defined]
    return next((name for name in _CACHE_ARGUMENTS if name in names), None)
