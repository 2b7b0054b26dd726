"""One forward pass for a dialogue, another for all its questions over copies of its cache.

For models that cannot be packed: those that attend to a window only, or keep a state instead of
keys and values. The cache is the model's own, of transformers, and is only ever copied and
extended: a window or a state cannot be cut back. Also how a reason is written, by any model.
"""

from __future__ import annotations

import copy
import inspect
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from judge.engines.causal import CausalModel
from judge.engines.tokens import TokenTree
from judge.types import LabelRead, Written

__all__ = ["Copied"]

_PROFILES = 4
"""Caches of prefix and profile kept at once; dialogues come character by character."""


class Copied:
    """Reads the items of a token tree, one dialogue at a time.

    Args:
        judge: a model whose cache transformers can copy.
    """

    def __init__(self, judge: CausalModel) -> None:
        self._judge = judge
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

    def write(self, tokens: TokenTree, asked: Mapping[int, Sequence[str]]) -> Iterator[Written]:
        """The reasons, greedily. `tokens` has branches that end where they begin."""
        for item, metrics in asked.items():
            cache = self._dialogue(tokens, item)
            by_length: dict[int, list[str]] = {}
            for metric in metrics:
                by_length.setdefault(len(tokens.branches[item][metric]), []).append(metric)
            written: dict[str, Written] = {}
            # Equal lengths, for a cache has no room for padding between question and reason.
            for alike in by_length.values():

                def run(
                    metrics: Sequence[str], item: int = item, cache: Any = cache
                ) -> list[Written]:
                    return self._write(tokens, cache, item, metrics)

                reasons = self._judge.in_halves(run, alike, "reason")
                written |= {reason.metric: reason for reason in reasons}
            yield from (written[metric] for metric in metrics)

    def _write(
        self, tokens: TokenTree, cache: Any, item: int, metrics: Sequence[str]
    ) -> list[Written]:
        torch, tree = self._judge.torch, tokens.source
        stubs = [tree.questions[metric].stub for metric in metrics]
        logits, cache = self._branch(cache, [tokens.branches[item][m] for m in metrics])
        found: list[list[int]] = [[] for _ in metrics]
        texts = ["" for _ in metrics]
        done = [False for _ in metrics]
        while True:
            for row, token in enumerate(torch.stack(list(logits)).argmax(-1).tolist()):
                if not done[row]:
                    done[row] = token in self._judge.ends
                    found[row] += [] if done[row] else [token]
                    texts[row] = self._judge.checkpoint.tokeniser.decode(found[row])
                    done[row] |= stubs[row] in texts[row] or len(found[row]) >= tree.rationale
            if all(done):
                break
            last = torch.tensor([[ids[-1] if ids else 0] for ids in found])
            logits = self._extend(cache, last, torch.tensor([0]))[:, 0]
        return [
            Written(
                item,
                metric,
                text.partition(stub)[0].strip(),
                tokens=len(ids),
                cut=len(ids) >= tree.rationale and stub not in text,
            )
            for metric, stub, text, ids in zip(metrics, stubs, texts, found, strict=True)
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
        return self._judge.logits(ids, ends, use_cache=True, **{self._keyword: cache})

    def _empty(self) -> Any:
        judge = self._judge
        return judge.transformers.DynamicCache(config=judge.checkpoint.text_config)

    @cached_property
    def _keyword(self) -> str:
        names = inspect.signature(self._judge.model.forward).parameters
        return "past_key_values" if "past_key_values" in names else "cache_params"
