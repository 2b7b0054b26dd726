"""transformers, asked the straightforward way: every prompt whole, in padded batches.

It is the reference that faster engines are tested against: no shared prefix, no packing, the
model's own masks, positions and head. Padding stands on the right, where a causal model cannot
see it. Weights load at the first `score`; counting tokens needs the tokenizer alone.
"""

from __future__ import annotations

import importlib.metadata
import inspect
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from judge.engines.base import Capabilities, EngineOptions, TokenCount
from judge.engines.checkpoint import Checkpoint, first_line, import_extra
from judge.engines.tokens import TokenTree
from judge.errors import EngineError
from judge.types import Failure, LabelRead, PromptTree

__all__ = ["HfEngine"]

DTYPES = ("float32", "bfloat16", "float16")


class HfEngine:
    """A causal language model of transformers, on the CPU or one GPU.

    Args:
        model: a folder or a hub id.
        options: `device` defaults to cuda where there is one, `dtype` to bfloat16 there and
            float32 on the CPU.

    Raises:
        MissingExtraError: torch or transformers is not installed.
        EngineError: a dtype or device that torch does not know or this machine does not have.
    """

    capabilities = Capabilities(exact_label_ids=True, token_prompts=True)

    def __init__(self, model: str, options: EngineOptions) -> None:
        self._torch: Any = import_extra("torch")
        self._transformers: Any = import_extra("transformers")
        self._transformers.logging.set_verbosity_error()
        self._transformers.logging.disable_progress_bar()
        self._checkpoint = Checkpoint(model)
        self._device = options.device or ("cuda" if self._torch.cuda.is_available() else "cpu")
        on_cpu = self._device.startswith("cpu")
        self._dtype = options.dtype or ("float32" if on_cpu else "bfloat16")
        if self._dtype not in DTYPES:
            raise EngineError(
                f"--dtype {self._dtype}: unknown", hint=f"choose from {', '.join(DTYPES)}"
            )
        try:
            self._torch.zeros(1, device=self._device).tolist()
        except Exception as error:  # torch has another error for each kind of missing device
            raise EngineError(
                f"--device {self._device}: {first_line(error)}",
                hint="choose cpu, or cuda where torch has CUDA and a GPU; cuda:1 is the second GPU",
            ) from error
        self.batch_size = options.batch_size or (4 if on_cpu else 8)

    @cached_property
    def fingerprint(self) -> str:
        """The files of the model and the precision it computes in."""
        return f"hf/1/{self._dtype}/{self._checkpoint.sha256}"

    def describe(self) -> Mapping[str, str]:
        """What stands in the manifest."""
        device = self._device
        if device.startswith("cuda"):
            device = f"{device} ({self._torch.cuda.get_device_name(device)})"
        return {
            "engine": "hf",
            "model": self._checkpoint.name,
            "device": device,
            "dtype": self._dtype,
            **{n: importlib.metadata.version(n) for n in ("torch", "transformers")},
        }

    def count(self, tree: PromptTree) -> TokenCount | None:
        """Tokens of the tree; loads the tokenizer only."""
        return self._checkpoint.tokeniser(tree).count()

    def score(self, tree: PromptTree) -> Iterator[LabelRead]:
        """See `Engine.score`; reads `batch_size` dialogues at a time."""
        tokens = self._checkpoint.tokeniser(tree)
        for start in range(0, len(tree.items), self.batch_size):
            items = range(start, min(start + self.batch_size, len(tree.items)))
            yield from self._read(tokens, [(i, m) for i in items for m in tree.items[i].metrics])

    def _read(self, tokens: TokenTree, asked: Sequence[tuple[int, str]]) -> Iterator[LabelRead]:
        prompts = [tokens.prompt(i, m) for i, m in asked]
        self._refuse_foreign_ids(prompts, tokens)
        window = getattr(self._checkpoint.text_config, "max_position_embeddings", None)
        fits = [window is None or len(prompt) <= window for prompt in prompts]
        rows = iter(self._logprobs([p for p, fit in zip(prompts, fits, strict=True) if fit]))
        for (item, metric), prompt, fit in zip(asked, prompts, fits, strict=True):
            if fit:
                yield _label_read(item, metric, next(rows), tokens.label_ids[metric])
            else:
                reason = f"the prompt has {len(prompt)} tokens, the model's window is {window}"
                yield LabelRead(item, metric, Failure("too_long", reason))

    def _refuse_foreign_ids(self, prompts: Sequence[Sequence[int]], tokens: TokenTree) -> None:
        size = getattr(self._checkpoint.text_config, "vocab_size", None)
        top = max(map(max, (*prompts, *tokens.label_ids.values())), default=0)
        if size is not None and top >= size:
            raise EngineError(
                f"the tokenizer gives the token {top}, the model knows {size} tokens",
                path=self._checkpoint.folder,
                hint="put the tokenizer that the model was trained with into the folder",
            )

    def _logprobs(self, prompts: Sequence[Sequence[int]]) -> list[Any]:
        """Next-token log-probabilities (vocabulary,) of each prompt.

        All in one batch, or in halves of halves where memory runs out.
        """
        if not prompts:
            return []
        if len(prompts) == 1 or not self._alone:
            try:
                return self._forward(prompts)
            except RuntimeError as error:
                if not _out_of_memory(self._torch, error):
                    raise
                if len(prompts) == 1:
                    raise EngineError(
                        f"one prompt of {len(prompts[0])} tokens does not fit on {self._device}",
                        hint="use a smaller judge, or a device with more memory",
                    ) from error
        # Outside the handler: the traceback holds the tensors that filled the memory.
        half = len(prompts) // 2
        return self._logprobs(prompts[:half]) + self._logprobs(prompts[half:])

    @cached_property
    def _alone(self) -> bool:
        """Whether prompts in one batch change each other: longrope follows the longest."""
        return "longrope" in str(getattr(self._checkpoint.text_config, "rope_parameters", None))

    def _forward(self, prompts: Sequence[Sequence[int]]) -> list[Any]:
        torch = self._torch
        ids = torch.zeros(len(prompts), max(map(len, prompts)), dtype=torch.long)
        for row, prompt in enumerate(prompts):
            ids[row, : len(prompt)] = torch.tensor(prompt)
        ends, place = torch.tensor([len(p) - 1 for p in prompts]).unique(return_inverse=True)
        ends = ends.to(self._device)
        # Logits of a whole prompt would fill the memory: most models can leave them out.
        can = "logits_to_keep" in inspect.signature(self._model.forward).parameters
        with torch.inference_mode():
            logits = self._model(
                input_ids=ids.to(self._device),
                use_cache=False,
                **({"logits_to_keep": ends} if can else {}),
            ).logits
            if not can:
                logits = logits[:, ends]
            last = logits[torch.arange(len(prompts)), place]
            # In double precision, or the labels of a sure judge have more than all of the mass.
            return list(last.cpu().double().log_softmax(-1))

    @cached_property
    def _model(self) -> Any:
        torch = self._torch
        folder = self._checkpoint.weights[0].parent
        try:
            model, report = self._transformers.AutoModelForCausalLM.from_pretrained(
                folder,
                dtype=getattr(torch, self._dtype),
                use_safetensors=True,
                output_loading_info=True,
            )
            model = model.to(self._device).eval()
        except torch.OutOfMemoryError as error:
            raise EngineError(
                f"{self._checkpoint.name} does not fit on {self._device} in {self._dtype}",
                hint="use a smaller model, --dtype bfloat16, or --device cpu",
            ) from error
        except Exception as error:  # safetensors, torch and transformers raise their own
            raise EngineError(
                f"the weights cannot be loaded: {first_line(error)}",
                path=folder,
                hint="the folder needs the config.json and *.safetensors of one causal language "
                "model",
            ) from error
        if report["missing_keys"]:  # transformers has filled them with random numbers
            raise EngineError(
                f"the weights lack {min(report['missing_keys'])} of a {type(model).__name__}",
                path=folder,
                hint="choose a causal language model, not a classifier or an embedding model",
            )
        if self._looks_ahead(model):
            raise EngineError(
                f"this {type(model).__name__} is not causal: what follows changes what came before",
                path=folder,
                hint="choose a causal language model, not an encoder such as BERT",
            )
        return model

    def _looks_ahead(self, model: Any) -> bool:
        """Whether the second token changes what the model says after the first."""
        ids = self._torch.tensor([[0, 1], [0, 2]], device=self._device)
        with self._torch.inference_mode():
            one, other = model(input_ids=ids, use_cache=False).logits[:, 0].float()
        rounding = self._torch.finfo(model.dtype).eps ** 0.5 * one.std()
        return bool((one - other).abs().max() > rounding)


def _label_read(item: int, metric: str, logprobs: Any, label_ids: Sequence[int]) -> LabelRead:
    labels = logprobs[list(label_ids)]
    if not bool(labels.isfinite().all()):
        reason = "the model's probabilities are not finite; try another --dtype"
        return LabelRead(item, metric, Failure("not_finite", reason))
    top = int(logprobs.argmax())
    return LabelRead(item, metric, tuple(labels.tolist()), top_is_label=top in label_ids)


def _out_of_memory(torch: Any, error: RuntimeError) -> bool:
    """CUDA has an error of its own for it, the CPU only a text."""
    return isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error)
