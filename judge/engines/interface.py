"""What every engine is: something that reads label probabilities for the prompts of a tree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, Self, TypeVar, runtime_checkable

from judge.errors import EngineError
from judge.types import Chats, Failure, LabelRead, PromptTree, Rationale, Reply, Sampling, Seeds

__all__ = [
    "GGUF",
    "Answer",
    "Batch",
    "Engine",
    "EngineOptions",
    "OneByOne",
    "Team",
    "TokenCount",
    "TokenlessEngine",
]

_Answers = TypeVar("_Answers")
_Answers_co = TypeVar("_Answers_co", covariant=True)

GGUF = ".gguf"
"""The ending of files that are a model with its tokenizer, as llama.cpp has them."""


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """Settings of an engine that a user may choose; None leaves the choice to the engine.

    Attributes:
        batch_size: how many dialogues are judged at once.
        seed: for engines that draw.
        device: the name of a torch device.
        dtype: float32, bfloat16 or float16.
        quantization: how the weights are made smaller when they are loaded; each engine has its
            own list of methods.
        adapter: the folder of a LoRA adapter of the judge.
        tensor_parallel: how many GPUs share the model.
        gpu_memory: the share of the GPU's memory that may be used, in (0, 1].
        reproducible: the same numbers whatever else is in the batch, at the cost of speed.
        trust_remote_code: run Python files that the model brings. They can do whatever you can.
        base_url: address of an OpenAI-compatible server, such as `http://localhost:8000/v1`.
        server: which program answers there; without it the engine asks the server.
        concurrency: how many requests are under way at once.
        samples: how many answers are drawn for each prompt, for a server without probabilities.
        retry_for: seconds for which a request is repeated that fails in a passing way.
        accept_model_name: another name under which the server may answer for the model.
    """

    batch_size: int | None = None
    seed: int = 0
    device: str | None = None
    dtype: str | None = None
    quantization: str | None = None
    adapter: str | None = None
    tensor_parallel: int | None = None
    gpu_memory: float | None = None
    reproducible: bool | None = None
    trust_remote_code: bool | None = None
    base_url: str | None = None
    server: str | None = None
    concurrency: int | None = None
    samples: int | None = None
    retry_for: float | None = None
    accept_model_name: str | None = None


@dataclass(frozen=True, slots=True)
class TokenCount:
    """How many tokens the prompts of a tree have.

    Attributes:
        prompts: how many prompts there are.
        naive: tokens of all prompts, each counted in full.
        tree: tokens if every shared segment is counted once.
        longest: tokens of the longest prompt.
        window: the most tokens that a prompt may have; None where that is not known.
    """

    prompts: int
    naive: int
    tree: int
    longest: int
    window: int | None = None


class Engine(Protocol):
    """A model and the program that asks it; the model may still have to be loaded."""

    @property
    def can_generate(self) -> bool:
        """Whether it can write: reasons before labels, and replies to chats."""
        ...

    @property
    def fingerprint(self) -> str:
        """Identifies the weights, the tokenizer and every setting that changes an answer.

        Engines with equal fingerprints give equal answers.
        """
        ...

    @property
    def batch_size(self) -> int:
        """How many dialogues it should be given at once."""
        ...

    def describe(self) -> Mapping[str, str]:
        """Model, device, precision and package versions, for the manifest."""
        ...

    def count(self, tree: PromptTree) -> TokenCount | None:
        """The tokens of the tree, or None for an engine without tokens; loads no weights."""
        ...

    def score(self, tree: PromptTree) -> Iterator[LabelRead]:
        """One read for each metric of each item, in the tree's order.

        The reads of a tree depend on nothing but the tree.

        Raises:
            EngineError: the model cannot be loaded or cannot be asked at all. What concerns a
                single prompt is a `Failure` in its read.
        """
        ...

    def write(self, tree: PromptTree) -> Iterator[Rationale]:
        """The judge's reason for each metric of each item, in the tree's order.

        Reasons are greedy and have at most `tree.rationale` tokens. A reason ends before the
        prefill, should the judge write it, and white space around it is removed. Only called if
        the engine `can_generate`.

        Raises:
            EngineError: as `score`.
        """
        ...

    def generate(self, chats: Chats, sampling: Sampling, seeds: Seeds = None) -> Iterator[Reply]:
        """The model's reply to each chat, in order; all chats are one batch.

        The replies depend on nothing but the chats and `sampling`; on a server, as far as it
        respects seeds. Special tokens in a text stay plain text, so that no message can close its
        own turn. Only called if the engine `can_generate`. `seeds` has the seed of each chat;
        without it they are those of `judge.engines.chat.seeds_of`.

        Raises:
            EngineError: as `score`. A chat that does not fit into the window is a `Failure`.
        """
        ...

    def load(self) -> None:
        """Load the model now rather than when it is first asked, so that asking can be timed.

        Raises:
            EngineError: it cannot be loaded.
        """
        ...

    def close(self) -> None:
        """Free the memory that the model takes; it loads again when it is asked again."""
        ...


class Answer(NamedTuple):
    """The read of one prompt, and the reason that was written before, if one was wanted."""

    read: LabelRead
    rationale: Rationale | None = None


@runtime_checkable
class OneByOne(Protocol):
    """An engine whose answers depend on nothing but their own prompts.

    So it may be asked everything at once, and each answer is kept as soon as it comes.
    """

    def judge_each(self, tree: PromptTree) -> Iterator[Answer]:
        """One answer for each metric of each item, in the order in which they come.

        If the tree asks for reasons, the reason is written first and the labels are read after it.

        Raises:
            EngineError: as `Engine.score`; the answers before it are good.
        """
        ...

    def reply_each(self, chats: Chats, sampling: Sampling, seeds: Seeds = None) -> Iterator[Reply]:
        """As `Engine.generate`, in the order in which the replies come.

        Raises:
            EngineError: as `Engine.score`; the replies before it are good.
        """
        ...


class Batch(Protocol[_Answers_co]):
    """What an engine is asked at once. It can be sent to the process that has the engine."""

    @property
    def lane(self) -> str:
        """Batches of one lane, asked one after the other, share the most."""
        ...

    def ask(self, engine: Engine) -> Iterator[_Answers_co]:
        """The answers: all of them, or some as they come."""
        ...

    def parts(self) -> Sequence[Self]:
        """A batch for each of its dialogues."""
        ...

    def failed(self, failure: Failure) -> _Answers_co:
        """The answers if none of the batch can be had."""
        ...


@runtime_checkable
class Team(Protocol):
    """Several equal engines, or one in another process, that are asked while we do other things."""

    def ask_all(self, batches: Sequence[Batch[_Answers]]) -> Iterator[_Answers]:
        """The answers of all batches, in the order in which they come.

        Raises:
            EngineError: as `Engine.score`; the answers before it are good.
        """
        ...


class TokenlessEngine:
    """The methods that engines without a language model have in common."""

    can_generate = False

    def describe(self) -> Mapping[str, str]:
        """See `Engine.describe`."""
        raise NotImplementedError

    def count(self, tree: PromptTree) -> None:
        """None: it has no tokens."""
        del tree

    def generate(self, chats: Chats, sampling: Sampling, seeds: Seeds = None) -> Iterator[Reply]:
        """Refused: it cannot play a character.

        Raises:
            EngineError: always.
        """
        del chats, sampling, seeds
        name = self.describe()["engine"]
        raise EngineError(
            f"the {name} judge writes no replies", hint="name a language model to play and to ask"
        )

    def load(self) -> None:
        """There is nothing to load."""

    def close(self) -> None:
        """There is nothing to free."""
