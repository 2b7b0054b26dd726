"""transformers, asked the straightforward way: every prompt whole, in padded batches.

It is the reference that faster engines are tested against: no shared prefix, no packing, the
model's own masks, positions and head. Padding stands on the right, where a causal model cannot
see it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from judge.engines.causal import CausalModel
from judge.engines.interface import Capabilities, EngineOptions, TokenCount
from judge.engines.replies import replies
from judge.errors import EngineError
from judge.types import LabelRead, Message, PromptTree, Rationale, Reply, Sampling

__all__ = ["NaiveHfEngine", "whole_prompts"]


class NaiveHfEngine:
    """See the module.

    Args:
        model: a folder or a hub id.
        options: see `CausalModel`; `batch_size` is 4 dialogues on the CPU, 8 on a GPU.

    Raises:
        MissingExtraError: torch or transformers is not installed.
        EngineError: an option that torch does not know or this machine cannot do.
    """

    capabilities = Capabilities(exact_label_ids=True, token_prompts=True, generate=True)

    def __init__(self, model: str, options: EngineOptions) -> None:
        self._judge = CausalModel(model, options)
        self.batch_size = options.batch_size or (4 if self._judge.on_cpu else 8)

    @cached_property
    def fingerprint(self) -> str:
        """The files of the model and the precision it computes in."""
        return f"hf-naive/1/{self._judge.fingerprint}"

    def describe(self) -> Mapping[str, str]:
        """What stands in the manifest."""
        return {"engine": "hf-naive", **self._judge.describe()}

    def count(self, tree: PromptTree) -> TokenCount | None:
        """Tokens of the tree; loads the tokenizer only."""
        return self._judge.checkpoint.prompt_tokenizer(tree).count()

    def score(self, tree: PromptTree) -> Iterator[LabelRead]:
        """See `Engine.score`; reads `batch_size` dialogues at a time."""
        tokens = self._judge.checkpoint.prompt_tokenizer(tree)
        self._judge.checkpoint.refuse_foreign_ids(tokens)
        for start in range(0, len(tree.items), self.batch_size):
            items = range(start, min(start + self.batch_size, len(tree.items)))
            asked = [(i, m) for i in items for m in tree.items[i].metrics]
            failures = {(i, m): self._judge.too_long(tokens, i, m) for i, m in asked}
            fit = [place for place in asked if failures[place] is None]
            rows = dict(
                zip(fit, whole_prompts(self._judge, [tokens.prompt(*p) for p in fit]), strict=True)
            )
            for item, metric in asked:
                failure = failures[item, metric]
                yield (
                    self._judge.read(item, metric, rows[item, metric], tokens.label_ids[metric])
                    if failure is None
                    else LabelRead(item, metric, failure)
                )

    def write(self, tree: PromptTree) -> Iterator[Rationale]:
        """The reference reads labels only."""
        del tree
        raise EngineError("the engine hf-naive writes no reasons", hint="use --engine hf")

    def generate(self, chats: Sequence[Sequence[Message]], sampling: Sampling) -> Iterator[Reply]:
        """See `Engine.generate`."""
        yield from replies(self._judge, chats, sampling, self.batch_size)

    def load(self) -> None:
        """See `Engine.load`."""
        _ = self._judge.model

    def close(self) -> None:
        """See `Engine.close`."""
        self._judge.close()


def whole_prompts(judge: CausalModel, prompts: Sequence[Sequence[int]]) -> list[Any]:
    """Next-token logits (vocabulary,) of each prompt, in one padded batch where memory allows."""
    if judge.rope_follows_length:  # prompts in one batch would change each other
        return [row for p in prompts for row in judge.in_halves(_padded(judge), [p], "prompt")]
    return judge.in_halves(_padded(judge), prompts, "prompt")


def _padded(judge: CausalModel) -> Any:
    torch = judge.torch

    def run(prompts: Sequence[Sequence[int]]) -> list[Any]:
        ids = torch.zeros(len(prompts), max(map(len, prompts)), dtype=torch.long)
        for row, prompt in enumerate(prompts):
            ids[row, : len(prompt)] = torch.tensor(prompt)
        ends, place = torch.tensor([len(p) - 1 for p in prompts]).unique(return_inverse=True)
        logits = judge.logits(ids, ends, use_cache=False)
        return list(logits[torch.arange(len(prompts)), place])

    return run
