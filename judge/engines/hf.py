"""transformers, with every prompt token computed once.

The prefix is computed once a run and the profile once a character; then a dialogue and all its
questions go through the model together. How depends on the model, and is read off its
configuration:

- `packed`: the model attends to everything that came before. The dialogue and its questions are
  one sequence; see `judge.engines.packed`.
- `cached`: it attends to a window, or keeps a state. The dialogue is computed once and its cache
  copied for every question; see `judge.engines.cached`.
- `whole`: its positions depend on the length of the prompt, or it has no cache that can be copied.
  Nothing can be shared: prompts are asked whole.

The first dialogue of a packed or cached run is also asked whole, and the beginning of the first
reason is computed once more without a cache. A model that then answers otherwise is refused.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Literal

from judge.engines.cached import Cached, Reason
from judge.engines.causal import CausalModel, cache_argument
from judge.engines.interface import Capabilities, EngineOptions, TokenCount
from judge.engines.naive import whole_prompts
from judge.engines.packed import Packed
from judge.engines.replies import replies
from judge.engines.tokens import TokenTree
from judge.errors import EngineError
from judge.types import Failure, LabelRead, Message, PromptTree, Rationale, Reply, Sampling

__all__ = ["HfEngine", "Route", "route"]

Route = Literal["packed", "cached", "whole"]
"""How a model is asked: see the module."""

_RECORDED: Mapping[Route, str] = {"packed": "packed", "cached": "copied", "whole": "whole"}
"""What fingerprints and manifests call it: stored runs go on only under an equal fingerprint."""

_FULL = "full_attention"
_ONE_BY_ONE = {"mamba", "falcon_mamba", "jamba"}
"""These take up a kept state only if the tokens that follow come one by one (transformers 5.23)."""

_DIFFERENT = {"float32": 0.01, "bfloat16": 1.0, "float16": 0.25}
"""A difference in log-probability that the order of sums does not explain, by precision.

8-bit weights meet activations that are rounded to 8 bits too.
"""


class HfEngine:
    """See the module.

    Args:
        model: a folder or a hub id.
        options: see `CausalModel`. `batch_size` is how many dialogues are kept at once; how many
            of them go through the model together follows from the free memory.
        way: how the model is asked; None reads it off the configuration.

    Raises:
        MissingExtraError: torch or transformers is not installed.
        EngineError: an option that torch does not know or this machine cannot do.
    """

    capabilities = Capabilities(exact_label_ids=True, token_prompts=True, generate=True)

    def __init__(self, model: str, options: EngineOptions, way: Route | None = None) -> None:
        self._judge = CausalModel(model, options)
        self._given = way
        self._proven = self._proven_writing = False
        self.batch_size = options.batch_size or (8 if self._judge.on_cpu else 64)

    @cached_property
    def way(self) -> Route:
        """How the model is asked."""
        return self._given or route(self._judge)

    @cached_property
    def fingerprint(self) -> str:
        """The way it is asked, the files of the model and the precision it computes in."""
        return f"hf/2/{_RECORDED[self.way]}/{self._judge.fingerprint}"

    def describe(self) -> Mapping[str, str]:
        """What stands in the manifest."""
        return {"engine": "hf", "way": _RECORDED[self.way], **self._judge.describe()}

    def count(self, tree: PromptTree) -> TokenCount | None:
        """Tokens of the tree; loads the tokenizer only."""
        return self._judge.checkpoint.prompt_tokenizer(tree).count()

    def score(self, tree: PromptTree) -> Iterator[LabelRead]:
        """See `Engine.score`."""
        tokens = self._judge.checkpoint.prompt_tokenizer(tree)
        self._judge.checkpoint.refuse_foreign_ids(tokens)
        asked: dict[int, list[str]] = {}
        reads = {}
        for item, metric in _places(tree):
            failure = self._judge.too_long(tokens, item, metric)
            if failure is None:
                asked.setdefault(item, []).append(metric)
            else:
                reads[item, metric] = LabelRead(item, metric, failure)
        if asked:
            self._prove(tokens, asked)
            reads |= {(read.item, read.metric): read for read in self._read(tokens, asked)}
        for place in _places(tree):
            yield reads[place]

    def write(self, tree: PromptTree) -> Iterator[Rationale]:
        """See `Engine.write`; by copies of the cache, whatever the way labels are read."""
        tokens = self._judge.checkpoint.prompt_tokenizer(tree, write=True)
        self._judge.checkpoint.refuse_foreign_ids(tokens)
        if self.way == "whole":
            raise EngineError(
                f"{self._judge.checkpoint.name} has no cache that reasons could be written from",
                hint="leave out --rationale, or use --engine vllm",
            )
        for index, item in enumerate(tree.items):
            asked: list[str] = []
            reasons = {}
            for metric in item.metrics:
                failure = self._judge.too_long(tokens, index, metric, more=tree.rationale)
                if failure is None:
                    asked.append(metric)
                else:
                    reasons[metric] = Rationale(index, metric, failure)
            if asked:
                written = list(self._cached.write(tokens, {index: asked}))
                self._prove_writing(tokens, written[0])
                reasons |= {reason.written.metric: reason.written for reason in written}
            yield from (reasons[metric] for metric in item.metrics)

    def generate(self, chats: Sequence[Sequence[Message]], sampling: Sampling) -> Iterator[Reply]:
        """See `Engine.generate`; by transformers' own loop, whatever the way labels are read."""
        yield from replies(self._judge, chats, sampling, self.batch_size)

    def load(self) -> None:
        """See `Engine.load`."""
        _ = self._judge.model

    def close(self) -> None:
        """See `Engine.close`."""
        for kept in ("_packed", "_cached"):
            self.__dict__.pop(kept, None)
        self._judge.close()

    def _read(self, tokens: TokenTree, asked: Mapping[int, Sequence[str]]) -> Iterator[LabelRead]:
        match self.way:
            case "packed":
                yield from self._packed.read(tokens, asked)
            case "cached":
                yield from self._cached.read(tokens, asked)
            case "whole":
                yield from self._whole(tokens, asked)

    def _whole(self, tokens: TokenTree, asked: Mapping[int, Sequence[str]]) -> Iterator[LabelRead]:
        for item, metrics in asked.items():
            rows = whole_prompts(self._judge, [tokens.prompt(item, m) for m in metrics])
            for metric, row in zip(metrics, rows, strict=True):
                yield self._judge.read(item, metric, row, tokens.label_ids[metric])

    def _prove(self, tokens: TokenTree, asked: Mapping[int, Sequence[str]]) -> None:
        """Raises an EngineError if the first prompt, asked whole, is answered otherwise."""
        if self._proven or self.way == "whole":
            return
        item = min(asked)
        reads = {read.metric: read for read in self._read(tokens, {item: asked[item]})}
        (whole,) = self._whole(tokens, {item: asked[item][:1]})
        shared = reads[whole.metric].outcome
        if not isinstance(whole.outcome, Failure) and not isinstance(shared, Failure):
            pairs = zip(whole.outcome, shared, strict=True)
            off = max(abs(one - other) for one, other in pairs)
            if off > self._tolerance:
                raise EngineError(
                    f"the model answers otherwise (by {off:.2g} in log-probability) where prompts "
                    "share what they have in common",
                    path=self._judge.checkpoint.folder,
                    hint="use --engine hf-naive, and please report the model",
                )
        self._proven = True

    def _prove_writing(self, tokens: TokenTree, reason: Reason) -> None:
        """Raises an EngineError if the first tokens of a reason are not those of the whole prompt.

        Each token's log-probability is computed once more, without a cache. It is compared within
        the rounding of the precision: the most probable token itself may be another one where two
        are nearly as probable.
        """
        if self._proven_writing or not reason.first_tokens:
            return
        ids, written_at = zip(*reason.first_tokens, strict=True)
        prompt = tokens.prompt(reason.written.item, reason.written.metric)
        rows = whole_prompts(self._judge, [prompt + ids[:n] for n in range(len(ids))])
        pairs = zip(rows, ids, written_at, strict=True)
        off = max(abs(float(row.double().log_softmax(-1)[i]) - at) for row, i, at in pairs)
        if off > self._tolerance:
            raise EngineError(
                f"the model writes otherwise (by {off:.2g} in log-probability) where reasons "
                "share the dialogue that they are about",
                path=self._judge.checkpoint.folder,
                hint="leave out --rationale, or use --engine vllm, and please report the model",
            )
        self._proven_writing = True

    @property
    def _tolerance(self) -> float:
        return _DIFFERENT["bfloat16" if self._judge.quantization else self._judge.dtype]

    @cached_property
    def _packed(self) -> Packed:
        return Packed(self._judge)

    @cached_property
    def _cached(self) -> Cached:
        return Cached(self._judge)


def route(judge: CausalModel) -> Route:
    """How a model of this configuration can be asked."""
    config = judge.checkpoint.text_config
    cls = judge.transformers.MODEL_FOR_CAUSAL_LM_MAPPING.get(type(config), None)
    if cls is None or judge.rope_follows_length or config.model_type in _ONE_BY_ONE:
        return "whole"
    arguments = inspect.signature(cls.forward).parameters
    kinds = getattr(config, "layer_types", None)
    window = getattr(config, "sliding_window", None) if kinds is None else None
    full = set(kinds or [_FULL]) == {_FULL} and window is None
    if full and cls._supports_attention_backend and "position_ids" in arguments:
        return "packed"
    return "cached" if cache_argument(cls) else "whole"


def _places(tree: PromptTree) -> Iterator[tuple[int, str]]:
    return ((index, metric) for index, item in enumerate(tree.items) for metric in item.metrics)
