"""transformers without any sharing: prompts and chats as they are, in padded batches.

The engine `hf-naive` is the reference that faster engines are tested against: no shared prefix, no
packing, the model's own masks, positions and head. Prompts are padded on the right, where a causal
model cannot see it. `generate_replies` is how both engines on transformers reply to chats.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np

from judge.engines.causal import CausalModel
from judge.engines.chat import Chat, ChatPrompt, chat_too_long, seeds_of
from judge.engines.interface import EngineOptions, TokenCount
from judge.engines.tokens import TokenTree
from judge.errors import EngineError
from judge.types import Chats, Failure, LabelRead, PromptTree, Rationale, Reply, Sampling, Seeds

__all__ = ["NaiveHfEngine", "TransformersEngine", "full_prompt_logits", "read_whole_prompts"]

_CHATS = 64
"""The most chats that are replied to at once: each has a cache of its own."""

_SPARE_DRAWS = 2
"""Draws beyond the last token: generation may run on for a step."""


class TransformersEngine:
    """What both engines on transformers have in common. For arguments see `CausalModel`."""

    can_generate = True

    _on_cpu, _on_gpu = 4, 8
    """Default batch sizes."""

    def __init__(self, model: str, options: EngineOptions) -> None:
        self._judge = CausalModel(model, options)
        default = self._on_cpu if self._judge.on_cpu else self._on_gpu
        self.batch_size = options.batch_size or default

    def count(self, tree: PromptTree) -> TokenCount | None:
        """See `Engine.count`; loads the tokenizer only."""
        return self._judge.checkpoint.count(tree)

    def generate(self, chats: Chats, sampling: Sampling, seeds: Seeds = None) -> Iterator[Reply]:
        """See `Engine.generate`; by transformers' own loop."""
        size = min(self.batch_size, _CHATS)
        yield from generate_replies(self._judge, chats, sampling, size, seeds)

    def load(self) -> None:
        """See `Engine.load`."""
        _ = self._judge.model

    def close(self) -> None:
        """See `Engine.close`."""
        self._judge.close()


class NaiveHfEngine(TransformersEngine):
    """The reference: see the module. Asks about `batch_size` dialogues at a time."""

    @cached_property
    def fingerprint(self) -> str:
        """The model's files and the precision it computes in."""
        return f"hf-naive/2/{self._judge.fingerprint}"

    def describe(self) -> Mapping[str, str]:
        """See `Engine.describe`."""
        return {"engine": "hf-naive", **self._judge.describe()}

    def score(self, tree: PromptTree) -> Iterator[LabelRead]:
        """See `Engine.score`; reads `batch_size` dialogues at a time."""
        tokens = self._judge.checkpoint.prompt_tokenizer(tree)
        self._judge.checkpoint.refuse_foreign_ids(tokens)
        for start in range(0, len(tree.items), self.batch_size):
            items = range(start, min(start + self.batch_size, len(tree.items)))
            prompts = [(i, m) for i in items for m in tree.items[i].metrics]
            failures = {(i, m): self._judge.too_long(tokens, i, m) for i, m in prompts}
            fitting = [prompt for prompt in prompts if failures[prompt] is None]
            reads = read_whole_prompts(self._judge, tokens, fitting)
            for item, metric in prompts:
                failure = failures[item, metric]
                yield next(reads) if failure is None else LabelRead(item, metric, failure)

    def write(self, tree: PromptTree) -> Iterator[Rationale]:
        """Refused: the reference reads labels only."""
        del tree
        raise EngineError("the engine hf-naive writes no reasons", hint="use --engine hf")


def read_whole_prompts(
    judge: CausalModel, tokens: TokenTree, prompts: Sequence[tuple[int, str]]
) -> Iterator[LabelRead]:
    """A read for each of `prompts`, item and metric, computed whole."""
    if prompts:
        logits = full_prompt_logits(judge, [tokens.prompt(*prompt) for prompt in prompts])
        yield from judge.read(prompts, judge.torch.stack(logits), tokens.label_ids)


def full_prompt_logits(judge: CausalModel, prompts: Sequence[Sequence[int]]) -> list[Any]:
    """Next-token logits (vocabulary,) after each prompt, in one padded batch if memory allows."""
    run = partial(_padded_logits, judge)
    if judge.rope_follows_length:  # prompts in one batch would change each other
        return [logits for p in prompts for logits in judge.in_halves(run, [p], "prompt")]
    return judge.in_halves(run, prompts, "prompt")


def _padded_logits(judge: CausalModel, prompts: Sequence[Sequence[int]]) -> list[Any]:
    torch = judge.torch
    ids = torch.zeros(len(prompts), max(map(len, prompts)), dtype=torch.long)
    for row, prompt in enumerate(prompts):
        ids[row, : len(prompt)] = torch.tensor(prompt)
    ends, column = torch.tensor([len(p) - 1 for p in prompts]).unique(return_inverse=True)
    logits = judge.logits(ids, ends, use_cache=False)
    return list(logits[torch.arange(len(prompts)), column])


class _NumberedChat(NamedTuple):
    position: int
    prompt: ChatPrompt
    seed: int


def generate_replies(
    judge: CausalModel,
    chats: Sequence[Chat],
    sampling: Sampling,
    batch_size: int,
    seeds: Sequence[int] | None = None,
) -> Iterator[Reply]:
    """See `Engine.generate`; at most `batch_size` chats at once.

    Each chat has draws of its own, made in advance from its seed. So its reply does not depend on
    which chats share its batch, nor on how often memory ran out, except for the rounding of sums.
    """
    framed = judge.checkpoint.chats
    prompts = [framed.prompt(chat, thinking=sampling.thinking) for chat in chats]
    judge.checkpoint.refuse_foreign([prompt.ids for prompt in prompts])
    seeds = seeds_of(chats, sampling) if seeds is None else seeds
    if judge.rope_follows_length:  # chats in one batch would change each other
        batch_size = 1
    window = judge.checkpoint.window
    for start in range(0, len(chats), batch_size):
        batch = range(start, min(start + batch_size, len(chats)))
        failures = {i: chat_too_long(prompts[i], sampling, window) for i in batch}
        fitting = [_NumberedChat(i, prompts[i], seeds[i]) for i in batch if failures[i] is None]
        replies = judge.in_halves(partial(_generate_batch, judge, sampling), fitting, "chat")
        reply_to = {reply.chat: reply for reply in replies}
        for i, failure in failures.items():
            yield reply_to[i] if failure is None else Reply(i, failure)


def _generate_batch(
    judge: CausalModel, sampling: Sampling, chats: Sequence[_NumberedChat]
) -> list[Reply]:
    """The replies to one batch, padded on the left so that all replies begin at one column."""
    torch, transformers = judge.torch, judge.transformers
    width = max(len(chat.prompt.ids) for chat in chats)
    ids = torch.zeros(len(chats), width, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, chat in enumerate(chats):
        length = len(chat.prompt.ids)
        ids[row, width - length :] = torch.tensor(chat.prompt.ids)
        mask[row, width - length :] = 1
    draws = _Draws(judge, sampling, [chat.seed for chat in chats], width)
    ends = judge.ends
    # The settings that a model brings along would change what is drawn.
    judge.model.generation_config = transformers.GenerationConfig(
        eos_token_id=sorted(ends) or None, pad_token_id=0
    )
    sequences = judge.model.generate(
        ids.to(judge.device),
        attention_mask=mask.to(judge.device),
        max_new_tokens=sampling.max_tokens,
        do_sample=False,
        logits_processor=transformers.LogitsProcessorList([draws]),
    )
    framed, replies = judge.checkpoint.chats, []
    for row, chat in enumerate(chats):
        written = sequences[row, width:].tolist()
        end = next((i for i, token in enumerate(written) if token in ends), None)
        reply = framed.reply(chat.position, chat.prompt, written[:end], cut=end is None)
        if not draws.finite[row]:
            reason = "the model's probabilities are not finite; try another --dtype"
            reply = replace(reply, outcome=Failure("not_finite", reason), thought="", cut=False)
        replies.append(reply)
    return replies


class _Draws:
    """A logits processor that leaves each row only the token that was drawn.

    By inversion: a uniform number is looked up in the cumulated probabilities of the `top_p` most
    probable tokens. The greedy search that follows takes the token that is left.
    """

    def __init__(
        self, judge: CausalModel, sampling: Sampling, seeds: Sequence[int], width: int
    ) -> None:
        torch = judge.torch
        count = sampling.max_tokens + _SPARE_DRAWS
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
        rank = (mass <= drawn).sum(-1, keepdim=True).minimum(kept - 1)
        token = order.gather(-1, rank)
        return torch.full_like(scores, -torch.inf).scatter(-1, token, 0.0)
