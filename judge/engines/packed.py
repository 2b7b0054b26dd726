"""One forward pass for a dialogue and all its questions, over a prefix and a profile that are kept.

A row of the batch is `[question 1 | ... | question m | dialogue]`. The positions say that every
question follows the dialogue. The mask lets a question see the prefix, the profile, the dialogue
and itself, and nothing else. The order within a row is free, so the questions stand first: they
then end, and their labels are read, at the same columns in every row, however long its dialogue.

The model's own attention is replaced by `_attend`, through the interface that transformers has for
this. So the keys and values of prefix and profile are stored here, once, and no cache is cut or
copied.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from judge.engines.causal import CausalModel
from judge.engines.tokens import TokenTree
from judge.errors import EngineError
from judge.types import LabelRead

__all__ = ["PackedPrompts"]

_NAME = "judge_packed"
_PROFILES = 64
"""How many profiles are kept; dialogues come character by character."""

_TOKENS_AT_ONCE = 8192
"""Enough to keep a GPU busy; one dialogue keeps a CPU busy."""

_Layers = dict[int, tuple[Any, Any]]
"""Layer -> keys and values, (1, heads, tokens, size)."""


@dataclass
class _Plan:
    """What the attention of one forward pass sees besides its own tokens, and what it stores.

    Attributes:
        shared: keys and values that every row sees.
        own: those that row i alone sees.
        mask: (rows, 1, tokens, past + tokens), added to the attention scores. Without it attention
            is causal, and there is no past.
        store: whether to put the keys and values of the pass into `stored`.
        stored: see `store`.
        stacked: the results of `mask_of`.
    """

    shared: _Layers
    own: Sequence[_Layers]
    mask: Any = None
    store: bool = False
    stored: _Layers = field(default_factory=dict)
    stacked: dict[int, Any] = field(default_factory=dict)

    def mask_of(self, groups: int) -> Any:
        """The mask, repeated for the `groups` heads that are stacked along the tokens."""
        if groups not in self.stacked:
            self.stacked[groups] = self.mask.repeat(1, 1, groups, 1)
        return self.stacked[groups]


_PLAN: ContextVar[_Plan | None] = ContextVar("plan", default=None)


class PackedPrompts:
    """Reads label probabilities for the items of a token tree, several dialogues at once.

    Args:
        judge: a model whose layers all have full attention, through transformers' interface.
    """

    def __init__(self, judge: CausalModel) -> None:
        self._judge = judge
        self._prefix: tuple[tuple[int, ...], _Layers] | None = None
        self._profiles: OrderedDict[tuple[int, ...], _Layers] = OrderedDict()

    def read(self, tokens: TokenTree, prompts: Mapping[int, Sequence[str]]) -> Iterator[LabelRead]:
        """A read for each metric of each item, in any order.

        Args:
            tokens: the tree.
            prompts: item -> the metrics it is asked.
        """
        by_length = sorted(prompts, key=lambda item: (tokens.length(item), item))
        rows = self._rows(max(map(tokens.length, prompts)) - len(tokens.prefix))
        for start in range(0, len(by_length), rows):
            batch = by_length[start : start + rows]
            yield from self._judge.in_halves(
                lambda items: self._read(tokens, {i: prompts[i] for i in items}), batch, "dialogue"
            )

    def _rows(self, length: int) -> int:
        """How many dialogues of `length` tokens go together: 1 on a CPU, else as memory allows."""
        judge = self._judge
        if judge.on_cpu:
            return 1
        config = judge.checkpoint.text_config
        width = 16 * config.hidden_size + 3 * (getattr(config, "intermediate_size", None) or 0)
        free, _ = judge.torch.cuda.mem_get_info(judge.device)
        fit = int(0.5 * free / (4 * width * length))
        return max(1, min(fit, _TOKENS_AT_ONCE // length))

    def _read(self, tokens: TokenTree, prompts: Mapping[int, Sequence[str]]) -> list[LabelRead]:
        torch = self._judge.torch
        rows = [_Row.of(tokens, item, metrics) for item, metrics in prompts.items()]
        own = [self._profile(tokens, item) for item in prompts]
        lengths = [len(tokens.profile(item)) for item in prompts]
        ids, positions, mask = self._inputs(rows, len(tokens.prefix), lengths)
        ends = torch.tensor(sorted({end for row in rows for end in row.ends.values()}))
        with self._attending(_Plan(self._shared(tokens), own, mask)):
            logits = self._judge.logits(ids, ends, position_ids=positions, use_cache=False)
        column_of = {int(end): column for column, end in enumerate(ends)}
        return [
            self._judge.read(row.item, metric, row_logits[column_of[end]], tokens.label_ids[metric])
            for row, row_logits in zip(rows, logits, strict=True)
            for metric, end in row.ends.items()
        ]

    def _inputs(
        self, rows: Sequence[_Row], prefix: int, profiles: Sequence[int]
    ) -> tuple[Any, Any, Any]:
        """Ids and positions (rows, tokens), and the mask (rows, 1, tokens, past + tokens)."""
        judge, torch = self._judge, self._judge.torch
        size, widest = max(len(row.ids) for row in rows), max(profiles)
        size += -(prefix + widest + size) % 8  # otherwise the kernels of a GPU copy the mask

        def padded(lists: Sequence[Sequence[int]], filler: int) -> Any:
            return torch.tensor([[*ids, *[filler] * (size - len(ids))] for ids in lists])

        ids = padded([row.ids for row in rows], 0)
        # Part 0 is the dialogue, parts 1 to m are the questions, and padding (-1) sees itself only.
        part = padded([row.part for row in rows], -1)
        start = torch.tensor(profiles)[:, None] + prefix
        positions = padded([row.positions for row in rows], 0) + start
        query, key = part[:, :, None], part[:, None, :]
        earlier = torch.ones(size, size, dtype=torch.bool).tril()
        sees = (query == key) & earlier | (query > 0) & (key == 0)
        past = torch.arange(prefix + widest)[None] < start
        sees = torch.cat([past[:, None, :].expand(-1, size, -1), sees], dim=-1)
        mask = torch.zeros(sees.shape, dtype=judge.model.dtype)
        mask.masked_fill_(~sees, torch.finfo(mask.dtype).min)
        return ids, positions.to(judge.device), mask[:, None].to(judge.device)

    def _shared(self, tokens: TokenTree) -> _Layers:
        """Keys and values of the prefix."""
        if self._prefix is None or self._prefix[0] != tokens.prefix:
            self._profiles.clear()
            self._prefix = (tokens.prefix, self._store(tokens.prefix, {}, 0))
        return self._prefix[1]

    def _profile(self, tokens: TokenTree, item: int) -> _Layers:
        """Keys and values of the profile of the item's character."""
        shared, ids = self._shared(tokens), tokens.profile(item)
        if ids not in self._profiles:
            self._profiles[ids] = self._store(ids, shared, len(tokens.prefix))
            if len(self._profiles) > _PROFILES:
                self._profiles.popitem(last=False)
        self._profiles.move_to_end(ids)
        return self._profiles[ids]

    def _store(self, ids: Sequence[int], shared: _Layers, start: int) -> _Layers:
        """Keys and values of `ids`, which follow the `start` tokens of `shared`."""
        torch, judge = self._judge.torch, self._judge
        if not ids:
            return {}
        size = len(ids)
        mask = torch.full((size, size), torch.finfo(judge.model.dtype).min).triu(1)
        mask = torch.cat([torch.zeros(size, start), mask], dim=-1)
        mask = mask.to(judge.model.dtype).to(judge.device)[None, None] if start else None
        plan = _Plan(shared, [{}], mask, store=True)
        positions = torch.arange(start, start + size, device=judge.device)[None]
        with self._attending(plan):
            judge.logits(
                torch.tensor([ids]), torch.tensor([0]), position_ids=positions, use_cache=False
            )
        layers = judge.checkpoint.text_config.num_hidden_layers
        if plan.stored.keys() != set(range(layers)):
            raise EngineError(
                f"only {len(plan.stored)} of its {layers} layers use transformers' attention "
                "interface",
                path=judge.checkpoint.folder,
                hint="use --engine hf-naive",
            )
        return plan.stored

    @contextmanager
    def _attending(self, plan: _Plan) -> Iterator[None]:
        _ = self._ready
        token = _PLAN.set(plan)
        try:
            yield
        finally:
            _PLAN.reset(token)

    @cached_property
    def _ready(self) -> None:
        """Makes the model attend by `_attend`, which without a plan does what sdpa does."""
        transformers = self._judge.transformers
        transformers.AttentionInterface.register(_NAME, _attend)
        transformers.AttentionMaskInterface.register(
            _NAME, transformers.AttentionMaskInterface()["sdpa"]
        )
        self._judge.model.set_attn_implementation(_NAME)


@dataclass(frozen=True, slots=True)
class _Row:
    """One dialogue with its questions.

    Attributes:
        item: the position of the dialogue in the tree.
        ids: all tokens.
        part: for each token 0 if it belongs to the dialogue, or the number of its question.
        positions: for each token its position in the prompt, counted from the dialogue.
        ends: metric -> the column where its question ends.
    """

    item: int
    ids: list[int]
    part: list[int]
    positions: list[int]
    ends: dict[str, int]

    @classmethod
    def of(cls, tokens: TokenTree, item: int, metrics: Sequence[str]) -> _Row:
        dialogue = tokens.dialogues[item]
        row = cls(item, [], [], [], {})
        for number, metric in enumerate(metrics, start=1):
            branch = tokens.branches[item][metric]
            row._add(branch, number, len(dialogue))
            row.ends[metric] = len(row.ids) - 1
        row._add(dialogue, 0, 0)
        return row

    def _add(self, ids: Sequence[int], part: int, position: int) -> None:
        self.ids.extend(ids)
        self.part.extend([part] * len(ids))
        self.positions.extend(range(position, position + len(ids)))


def _attend(
    module: Any,
    query: Any,
    key: Any,
    value: Any,
    attention_mask: Any,
    scaling: float | None = None,
    dropout: float = 0.0,
    **extra: Any,
) -> tuple[Any, None]:
    """Attention of `query` (rows, heads, tokens, size) to the keys of the plan and to its own.

    Heads that share keys are stacked along the tokens, so that the keys need not be repeated.
    """
    import torch  # noqa: PLC0415 - this module is imported where torch may be missing
    from transformers import AttentionInterface  # noqa: PLC0415

    plan = _PLAN.get()
    if plan is None:
        sdpa = AttentionInterface()["sdpa"]
        fallback: tuple[Any, None] = sdpa(
            module, query, key, value, attention_mask, scaling=scaling, dropout=dropout, **extra
        )
        return fallback
    for term in ("softcap", "s_aux", "position_bias", "sliding_window"):
        if extra.get(term) is not None:
            raise EngineError(
                f"a {type(module).__name__} with {term} cannot be packed",
                hint="use --engine hf-naive",
            )
    layer, attend = module.layer_idx, torch.nn.functional.scaled_dot_product_attention
    if plan.store:
        plan.stored[layer] = (key, value)
    rows, heads, tokens, size = query.shape
    groups = heads // key.shape[1]
    if plan.mask is None:
        out = attend(query, key, value, is_causal=True, scale=scaling, enable_gqa=groups > 1)
    else:
        query = query.reshape(rows, key.shape[1], groups * tokens, size)
        key = torch.cat([*_past(plan, layer, 0, rows), key], dim=2)
        value = torch.cat([*_past(plan, layer, 1, rows), value], dim=2)
        out = attend(query, key, value, attn_mask=plan.mask_of(groups), scale=scaling)
    return out.reshape(rows, heads, tokens, -1).transpose(1, 2).contiguous(), None


def _past(plan: _Plan, layer: int, which: int, rows: int) -> list[Any]:
    """Keys (`which` 0) or values (1) of the prefix and of each row's profile, padded alike."""
    from torch.nn.utils.rnn import pad_sequence  # noqa: PLC0415

    pieces = []
    if plan.shared:
        pieces.append(plan.shared[layer][which].expand(rows, -1, -1, -1))
    some = next((layers for layers in plan.own if layers), None)
    if some is not None:
        nothing = some[layer][which][:, :, :0]
        own = [layers[layer][which] if layers else nothing for layers in plan.own]
        rows_first = pad_sequence([row[0].transpose(0, 1) for row in own], batch_first=True)
        pieces.append(rows_first.transpose(1, 2))
    return pieces
