"""How a model of transformers replies to chats: in batches, each chat with draws of its own.

The draws of a chat are made before, from its seed. So a reply does not depend on which chats share
its batch, nor on how often memory ran out, but for the rounding of sums.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from judge.engines.causal import CausalModel
from judge.engines.chat import Chat, Prompt, seeds_of, too_long
from judge.types import Failure, Reply, Sampling

__all__ = ["replies"]

_MARGIN = 2
"""Draws beyond the last token: generation may run on for a step."""


class _Asked(NamedTuple):
    chat: int
    prompt: Prompt
    seed: int


def replies(
    judge: CausalModel, chats: Sequence[Chat], sampling: Sampling, rows: int
) -> Iterator[Reply]:
    """See `Engine.generate`; at most `rows` chats at once."""
    framed = judge.checkpoint.chats
    prompts = [framed.prompt(chat, thinking=sampling.thinking) for chat in chats]
    judge.checkpoint.refuse_foreign([prompt.ids for prompt in prompts])
    seeds = seeds_of(chats, sampling)
    if judge.rope_follows_length:  # chats in one batch would change each other
        rows = 1
    for start in range(0, len(chats), rows):
        batch = range(start, min(start + rows, len(chats)))
        failures = {at: too_long(prompts[at], sampling, judge.checkpoint.window) for at in batch}
        asked = [_Asked(at, prompts[at], seeds[at]) for at in batch if failures[at] is None]
        written = judge.in_halves(partial(_written, judge, sampling), asked, "chat")
        of_chat = {reply.chat: reply for reply in written}
        for at, failure in failures.items():
            yield of_chat[at] if failure is None else Reply(at, failure)


def _written(judge: CausalModel, sampling: Sampling, asked: Sequence[_Asked]) -> list[Reply]:
    """The replies of one batch, padded on the left: what is written stands behind all prompts."""
    torch, transformers = judge.torch, judge.transformers
    width = max(len(one.prompt.ids) for one in asked)
    ids = torch.zeros(len(asked), width, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, one in enumerate(asked):
        length = len(one.prompt.ids)
        ids[row, width - length :] = torch.tensor(one.prompt.ids)
        mask[row, width - length :] = 1
    draws = _Draws(judge, sampling, [one.seed for one in asked], width)
    ends = judge.ends
    # The settings that a model brings along would change what is drawn.
    judge.model.generation_config = transformers.GenerationConfig(
        eos_token_id=sorted(ends) or None, pad_token_id=0
    )
    whole = judge.model.generate(
        ids.to(judge.device),
        attention_mask=mask.to(judge.device),
        max_new_tokens=sampling.max_tokens,
        do_sample=False,
        logits_processor=transformers.LogitsProcessorList([draws]),
    )
    framed, found = judge.checkpoint.chats, []
    for row, one in enumerate(asked):
        written = whole[row, width:].tolist()
        end = next((at for at, token in enumerate(written) if token in ends), None)
        reply = framed.reply(one.chat, one.prompt, written[:end], cut=end is None)
        if not draws.finite[row]:
            reason = "the model's probabilities are not finite; try another --dtype"
            reply = replace(reply, outcome=Failure("not_finite", reason), thought="", cut=False)
        found.append(reply)
    return found


class _Draws:
    """Leaves of each row's next-token scores the token that is drawn.

    By inversion: a uniform number in the cumulated probabilities of the `top_p` most probable
    tokens. The greedy search that follows takes what is left.
    """

    def __init__(
        self, judge: CausalModel, sampling: Sampling, seeds: Sequence[int], width: int
    ) -> None:
        torch = judge.torch
        count = sampling.max_tokens + _MARGIN
        uniform = np.stack([np.random.default_rng(seed).random(count) for seed in seeds])
        self._torch = torch
        self._uniform = torch.tensor(uniform, dtype=torch.float32, device=judge.device)
        self._sampling = sampling
        self._width = width
        self.finite = torch.ones(len(seeds), dtype=torch.bool, device=judge.device)

    def __call__(self, ids: Any, scores: Any) -> Any:
        """Scores (rows, vocabulary) after `ids` (rows, length)."""
        torch, sampling = self._torch, self._sampling
        self.finite &= scores.amax(-1).isfinite()
        if sampling.temperature == 0:
            return scores
        p, order = (scores.float() / sampling.temperature).softmax(-1).sort(-1, descending=True)
        mass = p.cumsum(-1)
        kept = (mass - p < sampling.top_p).sum(-1, keepdim=True).clamp(min=1)
        share = mass.gather(-1, kept - 1)
        drawn = self._uniform[:, ids.shape[1] - self._width, None] * share
        place = (mass <= drawn).sum(-1, keepdim=True).minimum(kept - 1)
        token = order.gather(-1, place)
        return torch.full_like(scores, -torch.inf).scatter(-1, token, 0.0)
