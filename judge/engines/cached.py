"""One forward pass for a dialogue, another for all its questions over copies of its cache.

For models that cannot be packed: those that attend to a window only, or that keep a state instead
of keys and values. The cache is the model's own, of transformers. It is only ever copied and
extended, because a window or a state cannot be cut back. Reasons are written in this way by every
model.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from judge.engines.causal import CausalModel, cache_argument
from judge.engines.tokens import TokenTree
from judge.errors import EngineError
from judge.types import LabelRead, Rationale

__all__ = ["CHECKED_TOKENS", "CachedPrompts", "CheckedRationale"]

_PROFILES = 4
"""How many caches of prefix and profile are kept; dialogues come character by character."""

CHECKED_TOKENS = 4
"""How many of the first tokens of a reason keep their log-probability, for a check."""


@dataclass(frozen=True, slots=True)
class CheckedRationale:
    """A reason, and its first tokens with the log-probabilities they were written at.

    `first_tokens` has `CHECKED_TOKENS` pairs, fewer for a shorter reason. The token that ends the
    answer is one of them.
    """

    written: Rationale
    first_tokens: tuple[tuple[int, float], ...]


class CachedPrompts:
    """Reads and writes about the items of a token tree, one dialogue at a time.

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
        self._kept: OrderedDict[tuple[int, ...], Any] = OrderedDict()

    def read(self, tokens: TokenTree, prompts: Mapping[int, Sequence[str]]) -> Iterator[LabelRead]:
        """A read for each metric of each item, in their order.

        Args:
            tokens: the tree.
            prompts: item -> the metrics it is asked.
        """
        for item, metrics in prompts.items():
            run = partial(self._read, tokens, self._dialogue_cache(tokens, item), item)
            yield from self._judge.in_halves(run, metrics, "question")

    def write(
        self, tokens: TokenTree, prompts: Mapping[int, Sequence[str]]
    ) -> Iterator[CheckedRationale]:
        """The reasons, greedily. The branches of `tokens` end where a reason begins."""
        for item, metrics in prompts.items():
            run = partial(self._write, tokens, self._dialogue_cache(tokens, item), item)
            # Only questions of equal length go together, because there can be no padding between
            # a question and its reason.
            by_length: dict[int, list[str]] = {}
            for metric in metrics:
                by_length.setdefault(len(tokens.branches[item][metric]), []).append(metric)
            reasons: dict[str, CheckedRationale] = {}
            for alike in by_length.values():
                batch = self._judge.in_halves(run, alike, "reason")
                reasons |= {reason.written.metric: reason for reason in batch}
            yield from (reasons[metric] for metric in metrics)

    def _read(
        self, tokens: TokenTree, cache: Any, item: int, metrics: Sequence[str]
    ) -> list[LabelRead]:
        logits, _ = self._branch(cache, [tokens.branches[item][metric] for metric in metrics])
        return list(self._judge.read([(item, m) for m in metrics], logits, tokens.label_ids))

    def _write(
        self, tokens: TokenTree, cache: Any, item: int, metrics: Sequence[str]
    ) -> list[CheckedRationale]:
        torch = self._judge.torch
        drafts = [
            _Draft(metric, tokens.source.questions[metric].prefill, tokens.source.rationale)
            for metric in metrics
        ]
        logits, cache = self._branch(cache, [tokens.branches[item][m] for m in metrics])
        decode, ends = self._judge.checkpoint.prompt_tokenizer.decode, self._judge.ends
        while True:
            for row, token in enumerate(logits.argmax(-1).tolist()):
                draft = drafts[row]
                if draft.done:
                    continue
                if len(draft.first) < CHECKED_TOKENS:
                    logprob = logits[row].double().log_softmax(-1)[token]
                    draft.first.append((token, float(logprob)))
                draft.done = token in ends
                if not draft.done:
                    draft.ids.append(token)
                draft.text = decode(draft.ids)
                draft.done |= draft.prefill in draft.text or len(draft.ids) >= draft.limit
            if all(draft.done for draft in drafts):
                return [draft.reason(item) for draft in drafts]
            last = torch.tensor([[draft.ids[-1] if draft.ids else 0] for draft in drafts])
            logits = self._extend(cache, last, torch.tensor([0]))[:, 0]

    def _dialogue_cache(self, tokens: TokenTree, item: int) -> Any:
        """The cache of prefix, profile and dialogue."""
        stem = tokens.prefix + tokens.profile(item)
        if stem not in self._kept:
            prefix = tokens.prefix
            if prefix not in self._kept:
                self._kept[prefix] = self._extended(self._empty(), prefix)
            self._kept.move_to_end(prefix)  # the oldest one is dropped, which it must not be
            self._kept[stem] = self._extended(self._kept[prefix], tokens.profile(item))
            if len(self._kept) > _PROFILES:
                self._kept.popitem(last=False)
        self._kept.move_to_end(stem)
        return self._extended(self._kept[stem], tokens.dialogues[item])

    def _extended(self, cache: Any, ids: Sequence[int]) -> Any:
        """A copy of `cache`, extended by `ids`."""
        cache = copy.deepcopy(cache)
        if ids:
            self._extend(cache, self._judge.torch.tensor([ids]), self._judge.torch.tensor([0]))
        return cache

    def _branch(self, cache: Any, branches: Sequence[Sequence[int]]) -> tuple[Any, Any]:
        """Next-token logits (branches, vocabulary), and the cache with all branches.

        Branches are padded on the right, where nothing reads the padding.
        """
        torch = self._judge.torch
        cache = copy.deepcopy(cache)
        cache.reorder_cache(torch.zeros(len(branches), dtype=torch.long, device=self._judge.device))
        size = max(map(len, branches))
        ids = torch.tensor([[*branch, *[0] * (size - len(branch))] for branch in branches])
        ends, column = torch.tensor([len(b) - 1 for b in branches]).unique(return_inverse=True)
        logits = self._extend(cache, ids, ends)
        return logits[torch.arange(len(branches)), column], cache

    def _extend(self, cache: Any, ids: Any, ends: Any) -> Any:
        """Adds `ids` (rows, length) to `cache`; next-token logits (rows, ends, vocabulary)."""
        return self._judge.logits(ids, ends, use_cache=True, **{self._argument: cache})

    def _empty(self) -> Any:
        judge = self._judge
        return judge.transformers.DynamicCache(config=judge.checkpoint.text_config)


class _Draft:
    """A reason while it is being written: at most `limit` tokens, ending before `prefill`."""

    def __init__(self, metric: str, prefill: str, limit: int) -> None:
        self.metric = metric
        self.prefill = prefill
        self.limit = limit
        self.ids: list[int] = []
        self.first: list[tuple[int, float]] = []
        self.text = ""
        self.done = False

    def reason(self, item: int) -> CheckedRationale:
        """The finished reason."""
        written = Rationale(
            item,
            self.metric,
            self.text.partition(self.prefill)[0].strip(),
            tokens=len(self.ids),
            cut=len(self.ids) >= self.limit and self.prefill not in self.text,
        )
        return CheckedRationale(written, tuple(self.first))
