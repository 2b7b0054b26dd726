"""A judge that draws its scores, and its reasons, from a hash of the prompt.

It is deterministic, needs nothing, and exercises the whole way from prompt to report. Its
scores and reasons mean nothing.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from judge.engines.interface import Capabilities, EngineOptions, TokenCount
from judge.errors import EngineError
from judge.types import LabelRead, Message, PromptItem, PromptTree, Rationale, Reply, Sampling

__all__ = ["MockEngine"]


class MockEngine:
    """See the module. `options.seed` changes every answer."""

    capabilities = Capabilities(exact_label_ids=True, token_prompts=False, generate=True)

    def __init__(self, model: str, options: EngineOptions) -> None:
        self.fingerprint = f"mock/{options.seed}"
        self.batch_size = options.batch_size or 64
        self._model = model

    def describe(self) -> Mapping[str, str]:
        """What stands in the manifest."""
        return {"engine": "mock", "model": self._model, "device": "cpu"}

    def count(self, tree: PromptTree) -> TokenCount | None:
        """The mock has no tokens."""
        del tree
        return None

    def score(self, tree: PromptTree) -> Iterator[LabelRead]:
        """Dirichlet draws, seeded by the prompt; 1% to 10% of the mass is off the labels."""
        for index, item in enumerate(tree.items):
            for metric in item.metrics:
                reason = [item.reasons.get(metric, "")] if tree.rationale else []
                prefill = tree.questions[metric].prefill
                rng = self._draws(tree, item, metric, prefill, *tree.labels, *reason)
                mass = rng.uniform(0.9, 0.99)
                p = rng.dirichlet(np.full(len(tree.labels), 0.5)) + 1e-9
                p = mass * p / p.sum()
                yield LabelRead(
                    item=index,
                    metric=metric,
                    outcome=tuple(math.log(x) for x in p.tolist()),
                    top_is_label=bool(p.max() > 1 - mass),
                )

    def write(self, tree: PromptTree) -> Iterator[Rationale]:
        """A mark and some words of the dialogue, drawn; a character is a token here."""
        for index, item in enumerate(tree.items):
            for metric in item.metrics:
                rng = self._draws(tree, item, metric, "reason")
                start, length = int(rng.integers(len(item.text) + 1)), int(rng.integers(4, 40))
                whole = f"[{rng.choice(['+', '-'])}] {item.text[start : start + length]}".strip()
                reason = whole[: tree.rationale].rstrip()
                yield Rationale(index, metric, reason, len(reason), cut=reason != whole)

    def generate(self, chats: Sequence[Sequence[Message]], sampling: Sampling) -> Iterator[Reply]:
        """It writes reasons only: what it played would be judged as if somebody had said it."""
        del chats, sampling
        raise EngineError(
            "the mock judge writes no replies", hint="name a language model to play and to ask"
        )

    def load(self) -> None:
        """There is nothing to load."""

    def close(self) -> None:
        """It holds nothing."""

    def _draws(
        self, tree: PromptTree, item: PromptItem, metric: str, *more: str
    ) -> np.random.Generator:
        profile = tree.profiles[item.dialogue.character]
        prompt = (self.fingerprint, tree.system, profile, item.text, tree.questions[metric].text)
        digest = hashlib.sha256("\0".join((*prompt, *more)).encode()).digest()
        return np.random.default_rng(int.from_bytes(digest[:8], "big"))
