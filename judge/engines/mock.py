"""A judge that draws its scores, and its reasons, from a hash of the prompt.

It is deterministic, needs nothing, and exercises every step from the prompt to the report. Its
scores and reasons mean nothing. Two more judges of this kind are known to be bad in one way, so
that a probe of judges can be tested: `mock-length` counts characters, `mock-constant` always says
the same.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping

import numpy as np

from judge.engines.interface import EngineOptions, TokenlessEngine
from judge.types import LabelRead, PromptItem, PromptTree, Rationale

__all__ = ["MockEngine"]


class MockEngine(TokenlessEngine):
    """See the module. `options.seed` changes every answer of the one that draws."""

    can_generate = True

    def __init__(self, model: str, options: EngineOptions) -> None:
        self.fingerprint = f"{model}/{options.seed}"
        self.batch_size = options.batch_size or 64
        self._model = model

    def describe(self) -> Mapping[str, str]:
        """See `Engine.describe`."""
        return {"engine": "mock", "model": self._model, "device": "cpu"}

    def score(self, tree: PromptTree) -> Iterator[LabelRead]:
        """Dirichlet draws, seeded by the prompt; 1% to 10% of the mass is off the labels."""
        for index, item in enumerate(tree.items):
            for metric in item.metrics:
                if self._model != "mock":
                    yield LabelRead(index, metric, self._of_a_rule(tree, item), top_is_label=True)
                    continue
                reason = [item.reasons.get(metric, "")] if tree.rationale else []
                prefill = tree.questions[metric].prefill
                rng = self._generator(tree, item, metric, prefill, *tree.labels, *reason)
                mass = rng.uniform(0.9, 0.99)
                p = rng.dirichlet(np.full(len(tree.labels), 0.5)) + 1e-9
                p = mass * p / p.sum()
                yield LabelRead(
                    item=index,
                    metric=metric,
                    outcome=tuple(math.log(x) for x in p.tolist()),
                    top_is_label=bool(p.max() > 1 - mass),
                )

    def _of_a_rule(self, tree: PromptTree, item: PromptItem) -> tuple[float, ...]:
        """All mass on the two labels around the score of `mock-length` or `mock-constant`.

        A reply of 150 characters is in the middle of the scale.
        """
        length = sum(len(turn.answer) for turn in item.dialogue.turns)
        typical = 150 * len(item.dialogue.turns)
        share = length / (length + typical) if self._model == "mock-length" else 0.75
        score = share * (len(tree.labels) - 1)
        masses = (max(1 - abs(score - label), 1e-6) for label in range(len(tree.labels)))
        return tuple(math.log(mass / (1 + 1e-5)) for mass in masses)

    def write(self, tree: PromptTree) -> Iterator[Rationale]:
        """A drawn sign and some words of the dialogue; each character counts as a token."""
        for index, item in enumerate(tree.items):
            for metric in item.metrics:
                rng = self._generator(tree, item, metric, "reason")
                start, length = int(rng.integers(len(item.text) + 1)), int(rng.integers(4, 40))
                full = f"[{rng.choice(['+', '-'])}] {item.text[start : start + length]}".strip()
                reason = full[: tree.rationale].rstrip()
                yield Rationale(index, metric, reason, len(reason), cut=reason != full)

    def _generator(
        self, tree: PromptTree, item: PromptItem, metric: str, *more: str
    ) -> np.random.Generator:
        """A generator that is seeded by the prompt and by `more`."""
        profile = tree.profiles[item.dialogue.character]
        prompt = (self.fingerprint, tree.system, profile, item.text, tree.questions[metric].text)
        digest = hashlib.sha256("\0".join((*prompt, *more)).encode()).digest()
        return np.random.default_rng(int.from_bytes(digest[:8], "big"))
