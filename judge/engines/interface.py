"""What every engine is: something that reads label probabilities for the prompts of a tree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from judge.types import LabelRead, Message, PromptTree, Rationale, Reply, Sampling

__all__ = ["Capabilities", "Engine", "EngineOptions", "TokenCount"]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine can do.

    `exact_label_ids`: log-probabilities of exactly the labels, from the full next-token
    distribution. `token_prompts`: prompts are token ids, so that tokens can be counted.
    `generate`: it can write: a reason before it is asked for the label, and replies to chats.
    """

    exact_label_ids: bool
    token_prompts: bool
    generate: bool = False


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """Settings of an engine that a user may choose; None leaves the choice to the engine.

    Attributes:
        batch_size: dialogues judged at once.
        seed: matters to engines that draw.
        device: a torch device name.
        dtype: float32, bfloat16 or float16.
        quantization: how the weights are made smaller at load; the engine says which it knows.
        tensor_parallel: GPUs that share the model.
        gpu_memory: share of the GPU's memory that may be used, in (0, 1].
        reproducible: the same numbers whatever else is in the batch, at the cost of speed.
        base_url: address of an OpenAI-compatible server, as `http://localhost:8000/v1`.
        server: which program answers there; found by asking it otherwise.
        concurrency: requests under way at once.
        samples: answers drawn for each prompt, where a server shows no probabilities.
    """

    batch_size: int | None = None
    seed: int = 0
    device: str | None = None
    dtype: str | None = None
    quantization: str | None = None
    tensor_parallel: int | None = None
    gpu_memory: float | None = None
    reproducible: bool | None = None
    base_url: str | None = None
    server: str | None = None
    concurrency: int | None = None
    samples: int | None = None


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

    def write(self, tree: PromptTree) -> Iterator[Rationale]:
        """The judge's reason for each metric of each item, in the tree's order.

        Greedy; at most `tree.rationale` tokens; ends before the prefill, should the judge come to
        write it, and is stripped. The engine is asked only if it can `generate`.

        Raises:
            EngineError: as `score`.
        """
        ...

    def generate(self, chats: Sequence[Sequence[Message]], sampling: Sampling) -> Iterator[Reply]:
        """The model's reply to each chat, in order. All of them are one batch.

        The replies depend on nothing but the chats and `sampling`, on a server as far as it keeps
        to seeds. Special tokens in a text stay plain text, so that nobody closes his own turn.
        The engine is asked only if it can `generate`.

        Raises:
            EngineError: as `score`; a chat that does not fit the window is a `Failure`.
        """
        ...

    def load(self) -> None:
        """Load the model now rather than when it is asked, so that asking can be timed.

        Raises:
            EngineError: it cannot be loaded.
        """
        ...

    def close(self) -> None:
        """Give back the memory that the model holds; it loads again when it is used again."""
        ...
