"""Attention of the tokens of a packed pass, part by part: see `judge.engines.packed`.

No part of it waits for the device. On CUDA, in half precision, all parts are one call of PyTorch's
kernel for sequences of several lengths. On the CPU each part is a call of its kernel there; other
devices and precisions have none that gives the log-sum-exp, and compute it in plain steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any

from judge.errors import EngineError

__all__ = ["AttentionPlan", "Layers", "Parts", "attend", "attending"]

_SCORES = 1 << 26
"""How many attention scores `_plain` computes at once."""

Layers = dict[int, tuple[Any, Any]]
"""Layer -> keys and values, (tokens, heads, size)."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Which queries see which keys: those of a part see the keys of the same part.

    Attributes:
        queries: where the parts of the queries begin, and where the last one ends.
        keys: the same of the keys.
        on_device: the two as tensors of int32.
    """

    queries: Sequence[int]
    keys: Sequence[int]
    on_device: tuple[Any, Any]

    @classmethod
    def of(
        cls, on_device: Callable[..., Any], queries: Sequence[int], keys: Sequence[int]
    ) -> Parts | None:
        """From the lengths of the parts; None if no part has keys.

        Parts without keys are left out. If they have queries they have to be the last ones.

        Args:
            on_device: see `CausalModel.on_device`.
            queries: how many queries each part has.
            keys: how many keys it has.
        """
        some = [pair for pair in zip(queries, keys, strict=True) if pair[1]]
        if not some:
            return None
        of_queries, of_keys = ([0, *accumulate(x)] for x in zip(*some, strict=True))
        tensors = on_device(of_queries, "int32"), on_device(of_keys, "int32")
        return cls(of_queries, of_keys, tensors)


@dataclass
class AttentionPlan:
    """What the attention of one forward pass sees, and what it stores.

    Attributes:
        past: keys and values that all tokens see; nothing, if there is no past.
        whole: all tokens, and the past.
        own: each dialogue and each question, and itself.
        back: the questions of each dialogue, and the dialogue. The dialogues come first.
        store: whether to put the keys and values of the pass into `stored`.
        stored: see `store`.
    """

    past: Layers
    whole: Parts | None
    own: Parts
    back: Parts | None
    store: bool = False
    stored: Layers = field(default_factory=dict)


_PLAN: ContextVar[AttentionPlan | None] = ContextVar("plan", default=None)


@contextmanager
def attending(plan: AttentionPlan) -> Iterator[None]:
    """`attend` follows the plan meanwhile."""
    token = _PLAN.set(plan)
    try:
        yield
    finally:
        _PLAN.reset(token)


def attend(
    module: Any,
    query: Any,
    key: Any,
    value: Any,
    attention_mask: Any,
    scaling: float | None = None,
    dropout: float = 0.0,
    **extra: Any,
) -> tuple[Any, None]:
    """Attention of one row, `query` (1, heads, tokens, size): (1, tokens, heads, size).

    To the keys that the plan says; without a plan it is sdpa's, for any number of rows.
    """
    from transformers import AttentionInterface  # noqa: PLC0415 - the extra may not be installed

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
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    query, key, value = (states[0].transpose(0, 1) for states in (query, key, value))
    if plan.store:
        plan.stored[module.layer_idx] = (key.contiguous(), value.contiguous())
    out, lse = _see(plan.own, query, key, value, scale, causal=True)
    if plan.back:
        size = plan.back.keys[-1]  # the dialogues
        some = slice(size, size + plan.back.queries[-1])
        _merge(out[some], lse[some], *_see(plan.back, query[some], key[:size], value[:size], scale))
    if plan.whole:
        _merge(out, lse, *_see(plan.whole, query, *plan.past[module.layer_idx], scale))
    return out[None].contiguous(), None


def _merge(out: Any, lse: Any, other: Any, other_lse: Any) -> None:
    """Puts into `out` (tokens, heads, size) and `lse` (tokens, heads) attention to more keys."""
    out.lerp_(other, (other_lse - lse).sigmoid()[..., None].to(out.dtype))
    lse.copy_(lse.logaddexp(other_lse))


def _see(
    parts: Parts, query: Any, key: Any, value: Any, scale: float, *, causal: bool = False
) -> tuple[Any, Any]:
    """Attention of `query` (tokens, heads, size) to `key`, and the log-sum-exp of the scores.

    The second is (tokens, heads), in float32. With `causal`, keys and queries are the same tokens.
    """
    import torch  # noqa: PLC0415
    from torch.nn.attention import varlen  # noqa: PLC0415

    # All heads alike and a multiple of 8, as the kernels have it.
    width = value.shape[-1]
    size = max(query.shape[-1], width)
    size += -size % 8
    query, key, value = (
        torch.nn.functional.pad(x, (0, size - x.shape[-1])) if x.shape[-1] < size else x
        for x in (query, key, value)
    )
    if _has_varlen(query):
        out, lse = varlen.varlen_attn(
            query,
            key,
            value,
            *parts.on_device,
            *(max(end - start for start, end in pairwise(x)) for x in (parts.queries, parts.keys)),
            return_aux=varlen.AuxRequest(lse=True),
            scale=scale,
            window_size=(-1, 0) if causal else (-1, -1),
            enable_gqa=query.shape[1] != key.shape[1],
        )
        return out[..., :width], lse.T
    flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu  # noqa: SLF001
    one = flash if query.device.type == "cpu" else _plain
    groups = (key.shape[1], query.shape[1] // key.shape[1])
    outs, lses = [], []
    for queries, keys in zip(pairwise(parts.queries), pairwise(parts.keys), strict=True):
        # (heads of keys, heads that share them, tokens, size): the keys are not repeated
        q = query[slice(*queries)].unflatten(1, groups).permute(1, 2, 0, 3)
        k, v = (
            x[slice(*keys)].transpose(0, 1)[:, None].expand(-1, groups[1], -1, -1)
            for x in (key, value)
        )
        out, lse = one(q, k, v, is_causal=causal, scale=scale)
        outs.append(out.permute(2, 0, 1, 3).flatten(1, 2))
        lses.append(lse.permute(2, 0, 1).flatten(1, 2))
    return torch.cat(outs)[..., :width], torch.cat(lses)


def _has_varlen(query: Any) -> bool:
    """Whether PyTorch's kernel for parts of several lengths takes it, as of torch 2.13."""
    import torch  # noqa: PLC0415

    half = query.is_cuda and query.element_size() == 2 and query.shape[-1] <= 256
    return half and torch.cuda.get_device_capability(query.device) >= (8, 0)


def _plain(query: Any, key: Any, value: Any, *, is_causal: bool, scale: float) -> tuple[Any, Any]:
    """Attention (..., tokens, size) and log-sum-exp (..., tokens), for devices without a kernel."""
    import torch  # noqa: PLC0415

    outs, lses = [], []
    rows = max(1, _SCORES // (query[..., 0, 0].numel() * key.shape[-2]))
    for start in range(0, query.shape[-2], rows):
        scores = (query[..., start : start + rows, :] @ key.transpose(-1, -2)).float() * scale
        if is_causal:
            ahead = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device)
            scores = scores.masked_fill(ahead.triu(start + 1), -torch.inf)
        lse = scores.logsumexp(-1)
        outs.append((scores - lse[..., None]).exp().to(value.dtype) @ value)
        lses.append(lse)
    return torch.cat(outs, dim=-2), torch.cat(lses, dim=-1)
