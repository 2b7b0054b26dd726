"""What every engine is: something that reads label probabilities for the prompts of a tree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from judge.types import LabelRead, PromptTree

__all__ = ["Capabilities", "Engine", "EngineOptions", "TokenCount"]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine can do.

    `exact_label_ids`: log-probabilities of exactly the labels, from the full next-token
    distribution. `token_prompts`: prompts are token ids, so that tokens can be counted.
    """

    exact_label_ids: bool
    token_prompts: bool


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """Settings of an engine that a user may choose; None leaves the choice to the engine.

    `batch_size` is in dialogues. `device` is a torch device name, `dtype` one of float32,
    bfloat16, float16. `seed` matters to engines that draw.
    """

    batch_size: int | None = None
    device: str | None = None
    dtype: str | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True)
class TokenCount:
    """Tokens of a tree: asked one by one, and with every shared segment counted once."""

    prompts: int
    naive: int
    tree: int
    longest: int


class Engine(Protocol):
    """A judge, loaded or ready to load."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        ...

    @property
    def fingerprint(self) -> str:
        """A name of the weights, the tokenizer and every setting that changes an answer.

        Equal fingerprints, equal answers.
        """
        ...

    @property
    def batch_size(self) -> int:
        """How many dialogues it likes to be given at once."""
        ...

    def describe(self) -> Mapping[str, str]:
        """Model, device, precision and package versions, for the manifest."""
        ...

    def count(self, tree: PromptTree) -> TokenCount | None:
        """Tokens the tree needs, or None for an engine without tokens; loads no weights."""
        ...

    def score(self, tree: PromptTree) -> Iterator[LabelRead]:
        """One read for each metric of each item, in the tree's order.

        The reads of a tree depend on nothing but the tree.

        Raises:
            EngineError: the model cannot be loaded or asked at all. What concerns one prompt
                only is a `Failure` in its read.
        """
        ...
