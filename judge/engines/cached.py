"""One forward pass for a dialogue, another for all its questions over copies of its cache.

For models that cannot be packed: those that attend to a window only, or keep a state instead of
keys and values. The cache is the model's own, of transformers, and is only ever copied and
extended: a window or a state cannot be cut back. Also how a reason is written, by any model.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from judge.engines.causal import CausalModel, cache_argument
from judge.engines.tokens import TokenTree
from judge.errors import EngineError
from judge.types import LabelRead, Rationale

__all__ = ["CHECKED_TOKENS", "Cached", "Reason"]

_PROFILES = 4
"""Caches of prefix and profile kept at once; dialogues come character by character."""

CHECKED_TOKENS = 4
"""How many of the first tokens of a reason carry their log-probability, for a check."""


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason, and its first tokens with the log-probabilities they were written at.

    `first_tokens` has `CHECKED_TOKENS` pairs, or fewer for a shorter reason; the token that ends
    the answer is one of them.
    """

    written: Rationale
    first_tokens: tuple[tuple[int, float], ...]


class Cached:
    """Reads the items of a token tree, one dialogue at a time.

    Args:
        judge: a model whose cache transformers can copy.

    Raises:
        EngineError: the model has no argument for a cache under any name that is known here.
    """

    def __init__(self, judge: CausalModel) -> None:
        self._judge = judge
        argument = cache_argument(type(judge.model))
        if argument is None:
            raise EngineError(
                f"a {type(judge.model).__name__} takes no cache under a name that this version of "
                "judge knows",
                path=judge.checkpoint.folder,
                hint="use --engine hf-naive without --rationale, or --engine vllm",
            )
        self._argument = argument
        self._stems: OrderedDict[tuple[int, ...], Any] = OrderedDict()

    def read(self, tokens: TokenTree, asked: Mapping[int, Sequence[str]]) -> Iterator[LabelRead]:
        """A read for each metric of each item, in their order."""
        for item, metrics in asked.items():
            cache = self._dialogue(tokens, item)

            def run(
                metrics: Sequence[str], item: int = item, cache: Any = cache
            ) -> list[LabelRead]:
                branches = [tokens.branches[item][metric] for metric in metrics]
                rows = self._branch(cache, branches)[0]
                return [
                    self._judge.read(item, metric, row, tokens.label_ids[metric])
                    for metric, row in zip(metrics, rows, strict=True)
                ]

            yield from self._judge.in_halves(run, metrics, "question")

    def write(self, tokens: TokenTree, asked: Mapping[int, Sequence[str]]) -> Iterator[Reason]:
        """The reasons, greedily. `tokens` has branches that end where they begin."""
        for item, metrics in asked.items():
            cache = self._dialogue(tokens, item)
            by_length: dict[int, list[str]] = {}
            for metric in metrics:
                by_length.setdefault(len(tokens.branches[item][metric]), []).append(metric)
            written: dict[str, Reason] = {}
            # Equal lengths, for a cache has no room for padding between question and reason.
            for alike in by_length.values():

                def run(
                    metrics: Sequence[str], item: int = item, cache: Any = cache
                ) -> list[Reason]:
                    return self._write(tokens, cache, item, metrics)

                reasons = self._judge.in_halves(run, alike, "reason")
                written |= {reason.written.metric: reason for reason in reasons}
            yield from (written[metric] for metric in metrics)

    def _write(
        self, tokens: TokenTree, cache: Any, item: int, metrics: Sequence[str]
    ) -> list[Reason]:
        torch, tree = self._judge.torch, tokens.source
        prefills = [tree.questions[metric].prefill for metric in metrics]
        logits, cache = self._branch(cache, [tokens.branches[item][m] for m in metrics])
        found: list[list[int]] = [[] for _ in metrics]
        texts = ["" for _ in metrics]
        done = [False for _ in metrics]
        first: list[list[tuple[int, float]]] = [[] for _ in metrics]
        while True:
            stacked = torch.stack(list(logits))
            for row, token in enumerate(stacked.argmax(-1).tolist()):
                if not done[row]:
                    if len(first[row]) < CHECKED_TOKENS:
                        logprob = stacked[row].double().log_softmax(-1)[token]
                        first[row].append((token, float(logprob)))
                    done[row] = token in self._judge.ends
                    found[row] += [] if done[row] else [token]
                    texts[row] = self._judge.checkpoint.prompt_tokenizer.decode(found[row])
                    done[row] |= prefills[row] in texts[row] or len(found[row]) >= tree.rationale
            if all(done):
                break
            last = torch.tensor([[ids[-1] if ids else 0] for ids in found])
            logits = self._extend(cache, last, torch.tensor([0]))[:, 0]
        return [
            Reason(
                Rationale(
                    item,
                    metric,
                    text.partition(prefill)[0].strip(),
                    tokens=len(ids),
                    cut=len(ids) >= tree.rationale and prefill not in text,
                ),
                tuple(start),
            )
            for metric, prefill, text, ids, start in zip(
                metrics, prefills, texts, found, first, strict=True
            )
        ]

    def _dialogue(self, tokens: TokenTree, item: int) -> Any:
        """The cache of prefix, profile and dialogue."""
        stem = tokens.prefix + tokens.profile(item)
        if stem not in self._stems:
            prefix = tokens.prefix
            if prefix not in self._stems:
                self._stems[prefix] = self._after(self._empty(), prefix)
            self._stems.move_to_end(prefix)  # or it would be the first to go, and be made again
            self._stems[stem] = self._after(self._stems[prefix], tokens.profile(item))
            if len(self._stems) > _PROFILES:
                self._stems.popitem(last=False)
        self._stems.move_to_end(stem)
        return self._after(self._stems[stem], tokens.dialogues[item])

    def _after(self, cache: Any, ids: Sequence[int]) -> Any:
        """A copy of `cache`, extended by `ids`."""
        cache = copy.deepcopy(cache)
        if ids:
            self._extend(cache, self._judge.torch.tensor([ids]), self._judge.torch.tensor([0]))
        return cache

    def _branch(self, cache: Any, branches: Sequence[Sequence[int]]) -> tuple[list[Any], Any]:
        """Next-token logits (vocabulary,) after each branch, and the cache of all of them.

        Padding stands on the right, where nothing reads it.
        """
        torch = self._judge.torch
        cache = copy.deepcopy(cache)
        cache.reorder_cache(torch.zeros(len(branches), dtype=torch.long, device=self._judge.device))
        size = max(map(len, branches))
        ids = torch.tensor([[*branch, *[0] * (size - len(branch))] for branch in branches])
        ends, place = torch.tensor([len(b) - 1 for b in branches]).unique(return_inverse=True)
        logits = self._extend(cache, ids, ends)
        return list(logits[torch.arange(len(branches)), place]), cache

    def _extend(self, cache: Any, ids: Any, ends: Any) -> Any:
        """Puts `ids` into `cache`; next-token logits (rows, ends, vocabulary)."""
        return self._judge.logits(ids, ends, use_cache=True, **{self._argument: cache})

    def _empty(self) -> Any:
        judge = self._judge
        return judge.transformers.DynamicCache(config=judge.checkpoint.text_config)
