"""One forward pass for many dialogues and all their questions, over a past that is kept.

The tokens of a pass form one row: its dialogues one after the other, then all their questions. The
position ids say that a dialogue follows the profile, and a question its dialogue. The dialogues of
a pass are about one character, so that all tokens have one past: the prefix and the profile. Each
token attends

1. to the past, in one call for all tokens, so that its keys are not copied for each dialogue;
2. to itself and the earlier tokens of its own dialogue or question;
3. if it belongs to a question, to the dialogue that the question is about.

The three are merged by the log-sum-exp of their scores, which is exact (Dao et al. 2022, arXiv
2205.14135). So nothing is padded, and there are no masks. `attend` replaces the model's own
attention, through the interface that transformers has for this. On a GPU the next pass is laid out
and begun while the last one is computed, and the answers of a pass are copied back once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import accumulate, chain
from typing import Any

from judge.engines.attention import AttentionPlan, Layers, Parts, attend, attending
from judge.engines.causal import CausalModel, PendingReads
from judge.engines.tokens import TokenTree
from judge.errors import EngineError
from judge.types import LabelRead

__all__ = ["PackedPrompts", "passes", "tokens_at_once"]

_NAME = "judge_packed"
_PROFILES = 64
"""How many profiles are kept; dialogues come character by character."""

_FEWEST, _MOST = 1 << 11, 1 << 16
"""Limits of `tokens_at_once`."""

_Segments = Sequence[tuple[int, Sequence[int]]]
"""The position of the first token, and the ids, of each dialogue or question."""


class PackedPrompts:
    """Reads label probabilities for the items of a token tree, many dialogues at once.

    Args:
        judge: a model whose layers all have full attention, through transformers' interface.
        budget: how many tokens go through the model at once; 0 for one dialogue at a time.
    """

    def __init__(self, judge: CausalModel, budget: int) -> None:
        self._judge = judge
        self._budget = budget
        self._prefix: tuple[tuple[int, ...], Layers] | None = None
        self._profiles: OrderedDict[tuple[int, ...], Layers] = OrderedDict()
        self._past: tuple[tuple[int, ...], Layers] | None = None

    def read(self, tokens: TokenTree, prompts: Mapping[int, Sequence[str]]) -> Iterator[LabelRead]:
        """A read for each metric of each item, in any order.

        Args:
            tokens: the tree.
            prompts: item -> the metrics it is asked.
        """

        def begin(items: Sequence[int]) -> list[PendingReads]:
            return [self._begin(tokens, {i: prompts[i] for i in items})]

        judge, pending = self._judge, list[PendingReads]()
        lengths = {
            i: len(tokens.dialogues[i]) + sum(len(tokens.branches[i][m]) for m in prompts[i])
            for i in prompts
        }
        for items in passes(lengths, {i: tokens.profile(i) for i in prompts}, self._budget):
            before, pending = pending, judge.in_halves(begin, items, "dialogue")
            yield from chain.from_iterable(map(judge.finish_reading, before))
        yield from chain.from_iterable(map(judge.finish_reading, pending))

    def _begin(self, tokens: TokenTree, prompts: Mapping[int, Sequence[str]]) -> PendingReads:
        """The reads for items with one profile."""
        judge = self._judge
        items = sorted(prompts, key=lambda item: not tokens.dialogues[item])  # see `Parts.of`
        asked = [(item, metric) for item in items for metric in prompts[item]]
        dialogues = [tokens.dialogues[item] for item in items]
        questions = [tokens.branches[item][metric] for item, metric in asked]
        start = len(tokens.prefix) + len(tokens.profile(items[0]))
        segments = [(start, ids) for ids in dialogues]
        segments += [
            (start + len(tokens.dialogues[item]), ids)
            for (item, _), ids in zip(asked, questions, strict=True)
        ]
        ends = list(accumulate(len(ids) for _, ids in segments))[len(items) :]
        back = self._parts(
            [sum(len(tokens.branches[item][m]) for m in prompts[item]) for item in items],
            list(map(len, dialogues)),
        )
        plan = self._plan(segments, self._past_of(tokens, items[0]), start, back)
        logits = self._run(segments, [end - 1 for end in ends], plan)
        return judge.begin_reading(asked, logits, tokens.label_ids)

    def _plan(
        self, segments: _Segments, past: Layers, start: int, back: Parts | None = None
    ) -> AttentionPlan:
        """What `segments` see after the `start` tokens of the `past`."""
        lengths = [len(ids) for _, ids in segments]
        whole, own = self._parts([sum(lengths)], [start]), self._parts(lengths, lengths)
        assert own is not None, "every pass has a token"  # noqa: S101 - for mypy
        return AttentionPlan(past, whole, own, back)

    def _parts(self, queries: Sequence[int], keys: Sequence[int]) -> Parts | None:
        return Parts.of(self._judge.on_device, queries, keys)

    def _run(self, segments: _Segments, ends: Sequence[int], plan: AttentionPlan) -> Any:
        """Next-token logits (ends, vocabulary) after the tokens at `ends` of all segments."""
        judge, mask = self._judge, self._mask
        with attending(plan):
            return judge.logits(
                judge.on_device([[i for _, ids in segments for i in ids]]),
                judge.on_device(ends),
                position_ids=judge.on_device(
                    [[at for start, ids in segments for at in range(start, start + len(ids))]]
                ),
                attention_mask=mask,
                use_cache=False,
            )[0]

    def _past_of(self, tokens: TokenTree, item: int) -> Layers:
        """Keys and values of the prefix and the item's profile, one after the other."""
        shared, own = self._shared(tokens), self._profile(tokens, item)
        if not own:
            return shared
        ids = tokens.prefix + tokens.profile(item)
        if self._past is None or self._past[0] != ids:
            self._past = None  # the memory of the last one is needed
            cat = self._judge.torch.cat
            parts = [shared, own] if shared else [own]
            joined = {i: tuple(map(cat, zip(*(p[i] for p in parts), strict=True))) for i in own}
            self._past = ids, joined
        return self._past[1]

    def _shared(self, tokens: TokenTree) -> Layers:
        """Keys and values of the prefix."""
        if self._prefix is None or self._prefix[0] != tokens.prefix:
            self._profiles.clear()
            self._prefix = (tokens.prefix, self._store(tokens.prefix, {}, 0))
        return self._prefix[1]

    def _profile(self, tokens: TokenTree, item: int) -> Layers:
        """Keys and values of the profile of the item's character."""
        shared, ids = self._shared(tokens), tokens.profile(item)
        if ids not in self._profiles:
            self._profiles[ids] = self._store(ids, shared, len(tokens.prefix))
            if len(self._profiles) > _PROFILES:
                self._profiles.popitem(last=False)
        self._profiles.move_to_end(ids)
        return self._profiles[ids]

    def _store(self, ids: Sequence[int], past: Layers, start: int) -> Layers:
        """Keys and values of `ids`, which follow the `start` tokens of the `past`."""
        if not ids:
            return {}
        segments = [(start, ids)]
        plan = replace(self._plan(segments, past, start), store=True)
        self._run(segments, [0], plan)
        checkpoint = self._judge.checkpoint
        layers = checkpoint.text_config.num_hidden_layers
        if plan.stored.keys() != set(range(layers)):
            raise EngineError(
                f"only {len(plan.stored)} of its {layers} layers use transformers' attention "
                "interface",
                path=checkpoint.folder,
                hint="use --engine hf-naive",
            )
        return plan.stored

    @cached_property
    def _mask(self) -> Any:
        """A mask that nothing reads; makes the model attend by `attend`.

        As it has four dimensions, transformers builds none of its own.
        """
        judge, interface = self._judge, self._judge.transformers.AttentionMaskInterface
        judge.transformers.AttentionInterface.register(_NAME, attend)
        interface.register(
            _NAME, interface()["sdpa"]
        )  # without a plan `attend` does what sdpa does
        judge.model.set_attn_implementation(_NAME)
        return judge.torch.zeros(1, 1, 1, 1, dtype=judge.model.dtype, device=judge.device)


def passes(
    lengths: Mapping[int, int], profiles: Mapping[int, Sequence[int]], budget: int
) -> list[list[int]]:
    """The items that go through the model together, in order.

    They have one profile, and `budget` tokens at most, or are one item. So what is computed
    together depends on what is asked, and on nothing else.

    Args:
        lengths: item -> the tokens of its dialogue and its questions.
        profiles: item -> its profile.
        budget: a number of tokens.
    """
    by_profile: dict[tuple[int, ...], list[int]] = {}
    for item in lengths:
        by_profile.setdefault(tuple(profiles[item]), []).append(item)
    cut: list[list[int]] = []
    for items in by_profile.values():
        room = -1
        for item in items:
            room -= lengths[item]
            if room < 0:
                cut.append([])
                room = budget - lengths[item]
            cut[-1].append(item)
    return cut


def tokens_at_once(total: int, weights: int, hidden: int, intermediate: int) -> int:
    """How many tokens go through a model at once on a GPU: a power of two, 2,048 to 65,536.

    The numbers depend on it in their last digits, so it follows from what is the same in every run:
    not from what happens to be free, but from the size of the memory. Half of what the weights
    leave is for the intermediate results of a layer, of which a token needs about 16 times the
    hidden and 3 times the intermediate size, at 4 bytes.

    Args:
        total: bytes of the device's memory.
        weights: bytes of the weights.
        hidden: numbers that stand for a token between the layers.
        intermediate: the size of the middle of the feed-forward blocks.
    """
    fit = (total - weights) // 2 // (4 * (16 * hidden + 3 * intermediate))
    return min(max(1 << max(fit, 1).bit_length() - 1, _FEWEST), _MOST)
