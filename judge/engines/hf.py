"""transformers, with every prompt token computed once.

The prefix is computed once a run and the profile once a character. Then a dialogue and all its
questions go through the model together. How that is done depends on the model's configuration:

- `packed`: every layer attends to all earlier tokens. The dialogue and its questions form one
  sequence; see `judge.engines.packed`.
- `cached`: some layers attend to a window, or keep a state. The dialogue is computed once, and its
  cache is copied for every question; see `judge.engines.cached`.
- `whole`: positions depend on the length of the prompt, or there is no cache that can be copied.
  Nothing can be shared, and every prompt is computed whole.

The first dialogue of a packed or cached run is also computed whole, and the beginning of the first
reason once more without a cache. A model that then answers differently is refused.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Literal

from judge.engines.cached import CachedPrompts, CheckedRationale
from judge.engines.causal import CausalModel, cache_argument
from judge.engines.interface import EngineOptions
from judge.engines.naive import TransformersEngine, full_prompt_logits, read_whole_prompts
from judge.engines.packed import PackedPrompts, tokens_at_once
from judge.engines.tokens import TokenTree
from judge.errors import EngineError
from judge.types import Failure, LabelRead, PromptTree, Rationale

__all__ = ["HfEngine", "Route", "route"]

Route = Literal["packed", "cached", "whole"]
"""How a model is asked: see the module."""

_RECORDED: Mapping[Route, str] = {"packed": "packed", "cached": "copied", "whole": "whole"}
"""Its name in fingerprints and manifests: a stored run goes on only under an equal fingerprint."""

_FULL = "full_attention"
_ONE_BY_ONE = {"mamba", "falcon_mamba", "jamba"}
"""These continue from a kept state only one token at a time (transformers 5.23)."""

_TOLERANCE = {"float32": 0.01, "bfloat16": 1.0, "float16": 0.25}
"""The largest difference in log-probability that rounding may explain, by precision."""


class HfEngine(TransformersEngine):
    """See the module, and for `model` and `options` see `CausalModel`.

    `batch_size` is how many dialogues the engine is given at once: on a GPU by default those of
    four characters of the public data. How many of them go through the model together is `budget`.
    `way` is how the model is asked; None decides by the configuration.
    """

    _on_cpu, _on_gpu = 8, 240

    def __init__(self, model: str, options: EngineOptions, way: Route | None = None) -> None:
        super().__init__(model, options)
        self._chosen = way
        self._reading_verified = self._writing_verified = False

    @cached_property
    def way(self) -> Route:
        """How the model is asked."""
        return self._chosen or route(self._judge)

    @cached_property
    def budget(self) -> int:
        """How many tokens go through a packed model at once; 0 for one dialogue at a time."""
        if self.way != "packed" or not self._judge.device.startswith("cuda"):
            return 0
        config = self._judge.checkpoint.text_config
        return tokens_at_once(
            self._judge.torch.cuda.mem_get_info(self._judge.device)[1],
            sum(path.stat().st_size for path in self._judge.checkpoint.weights),
            config.hidden_size,
            getattr(config, "intermediate_size", None) or 0,
        )

    @cached_property
    def fingerprint(self) -> str:
        """The way it is asked, the model's files and the precision it computes in."""
        at_once = f"-{self.budget}" * bool(self.budget)
        return f"hf/3/{_RECORDED[self.way]}{at_once}/{self._judge.fingerprint}"

    def describe(self) -> Mapping[str, str]:
        """See `Engine.describe`."""
        at_once = {"tokens at once": str(self.budget)} if self.budget else {}
        return {"engine": "hf", "way": _RECORDED[self.way], **at_once, **self._judge.describe()}

    def score(self, tree: PromptTree) -> Iterator[LabelRead]:
        """See `Engine.score`."""
        tokens = self._judge.checkpoint.prompt_tokenizer(tree)
        self._judge.checkpoint.refuse_foreign_ids(tokens)
        prompts: dict[int, list[str]] = {}
        reads = {}
        for item, metric in _item_metrics(tree):
            failure = self._judge.too_long(tokens, item, metric)
            if failure is None:
                prompts.setdefault(item, []).append(metric)
            else:
                reads[item, metric] = LabelRead(item, metric, failure)
        if prompts:
            self._verify_reading(tokens, prompts)
            reads |= {(read.item, read.metric): read for read in self._read(tokens, prompts)}
        for item, metric in _item_metrics(tree):
            yield reads[item, metric]

    def write(self, tree: PromptTree) -> Iterator[Rationale]:
        """See `Engine.write`; by copies of the cache, however labels are read."""
        tokens = self._judge.checkpoint.prompt_tokenizer(tree, write=True)
        self._judge.checkpoint.refuse_foreign_ids(tokens)
        if self.way == "whole":
            raise EngineError(
                f"{self._judge.checkpoint.name} has no cache that reasons could be written from",
                hint="leave out --rationale, or use --engine vllm",
            )
        for index, item in enumerate(tree.items):
            metrics: list[str] = []
            written = {}
            for metric in item.metrics:
                failure = self._judge.too_long(tokens, index, metric, tree.rationale)
                if failure is None:
                    metrics.append(metric)
                else:
                    written[metric] = Rationale(index, metric, failure)
            if metrics:
                reasons = list(self._cached.write(tokens, {index: metrics}))
                self._verify_writing(tokens, reasons[0])
                written |= {reason.written.metric: reason.written for reason in reasons}
            yield from (written[metric] for metric in item.metrics)

    def close(self) -> None:
        """See `Engine.close`."""
        for name in ("_packed", "_cached"):  # they hold keys and values
            self.__dict__.pop(name, None)
        super().close()

    def _read(self, tokens: TokenTree, prompts: Mapping[int, Sequence[str]]) -> Iterator[LabelRead]:
        """A read for each metric of each item: `prompts` maps items to metrics."""
        match self.way:
            case "packed":
                yield from self._packed.read(tokens, prompts)
            case "cached":
                yield from self._cached.read(tokens, prompts)
            case "whole":
                for item, metrics in prompts.items():
                    asked = [(item, metric) for metric in metrics]
                    yield from read_whole_prompts(self._judge, tokens, asked)

    def _verify_reading(self, tokens: TokenTree, prompts: Mapping[int, Sequence[str]]) -> None:
        """Raises an EngineError if the first prompt, computed whole, has another answer."""
        if self._reading_verified or self.way == "whole":
            return
        item = min(prompts)
        reads = {read.metric: read for read in self._read(tokens, {item: prompts[item]})}
        (whole,) = read_whole_prompts(self._judge, tokens, [(item, prompts[item][0])])
        shared = reads[whole.metric].outcome
        if not isinstance(whole.outcome, Failure) and not isinstance(shared, Failure):
            pairs = zip(whole.outcome, shared, strict=True)
            difference = max(abs(a - b) for a, b in pairs)
            if difference > self._tolerance:
                raise EngineError(
                    f"the model answers differently (by {difference:.2g} in log-probability) where "
                    "prompts share what they have in common",
                    path=self._judge.checkpoint.folder,
                    hint="use --engine hf-naive, and please report the model",
                )
        self._reading_verified = True

    def _verify_writing(self, tokens: TokenTree, reason: CheckedRationale) -> None:
        """Raises an EngineError if a reason does not begin as the whole prompt would make it begin.

        The log-probabilities of its first tokens are computed once more, without a cache. They are
        compared within what rounding explains. The most probable tokens themselves are not
        compared: where two are nearly as probable, rounding may exchange them.
        """
        if self._writing_verified or not reason.first_tokens:
            return
        ids, logprobs = zip(*reason.first_tokens, strict=True)
        prompt = tokens.prompt(reason.written.item, reason.written.metric)
        rows = full_prompt_logits(self._judge, [prompt + ids[:n] for n in range(len(ids))])
        whole = [float(row.double().log_softmax(-1)[i]) for row, i in zip(rows, ids, strict=True)]
        difference = max(abs(a - b) for a, b in zip(whole, logprobs, strict=True))
        if difference > self._tolerance:
            raise EngineError(
                f"the model writes differently (by {difference:.2g} in log-probability) where "
                "reasons share the dialogue that they are about",
                path=self._judge.checkpoint.folder,
                hint="leave out --rationale, or use --engine vllm, and please report the model",
            )
        self._writing_verified = True

    @property
    def _tolerance(self) -> float:
        # Quantized weights are multiplied with activations that may be rounded to 8 bits.
        return _TOLERANCE["bfloat16" if self._judge.quantization else self._judge.dtype]

    @cached_property
    def _packed(self) -> PackedPrompts:
        return PackedPrompts(self._judge, self.budget)

    @cached_property
    def _cached(self) -> CachedPrompts:
        return CachedPrompts(self._judge)


def route(judge: CausalModel) -> Route:
    """How a model of this configuration can be asked: see the module."""
    config = judge.checkpoint.text_config
    cls = judge.transformers.MODEL_FOR_CAUSAL_LM_MAPPING.get(type(config), None)
    if cls is None or judge.rope_follows_length or config.model_type in _ONE_BY_ONE:
        return "whole"
    kinds = getattr(config, "layer_types", None)
    window = getattr(config, "sliding_window", None) if kinds is None else None
    full = set(kinds or [_FULL]) == {_FULL} and window is None
    positions = "position_ids" in inspect.signature(cls.forward).parameters
    if full and positions and cls._supports_attention_backend:
        return "packed"
    return "cached" if cache_argument(cls) else "whole"


def _item_metrics(tree: PromptTree) -> Iterator[tuple[int, str]]:
    return ((index, metric) for index, item in enumerate(tree.items) for metric in item.metrics)
