"""What every kind of server is: something that reads labels, draws answers and writes reasons.

Some take token ids and some take texts; `ServerPrompt` holds one prompt as both would have it.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

from judge.engines.servers.api import Api
from judge.engines.tokens import PromptTokenizer
from judge.errors import EngineError
from judge.types import Failure, LabelRead, Message, Rationale, Reply, Sampling

__all__ = [
    "DRAWN",
    "Identity",
    "Server",
    "ServerPrompt",
    "label_read",
    "read_whole",
    "refuse_other",
    "seed_of",
]

DRAWN = 32
"""Tokens that a drawn answer may have: a label, or the prefill again and a label."""


@dataclass(frozen=True, slots=True)
class ServerPrompt:
    """One prompt of a tree.

    For servers that take ids: `ids`, and `label_ids` in the order of `labels`; both are empty for
    the others. For servers that take texts: `system`, `user`, and `answer_start`, the beginning of
    the judge's answer. The label follows `prefill`.
    """

    item: int
    metric: str
    labels: tuple[str, ...]
    prefill: str
    system: str
    user: str
    answer_start: str
    ids: tuple[int, ...] = ()
    label_ids: tuple[int, ...] = ()


class Identity(NamedTuple):
    """What a server says of itself and of the model; `mark` tells weights apart where it can."""

    version: str
    model: str
    mark: str = ""


class Server(Protocol):
    """One server and one model of it.

    `exact`: every label has its probability under the full distribution. `workers`: requests that
    it takes at once. `together`: the prompts of a dialogue go one after the other, because what
    they share is found only where the last of them was computed.
    """

    kind: ClassVar[str]
    exact: ClassVar[bool]
    together: ClassVar[bool]
    workers: int
    identity: Identity

    @classmethod
    def open(cls, api: Api, model: str, listed: Mapping[str, Any]) -> Server:
        """The server of `model`, which /v1/models lists as `listed`."""
        ...

    @property
    def prompt_tokenizer(self) -> PromptTokenizer | None:
        """What makes ids of texts, for a server that takes ids."""
        ...

    @property
    def window(self) -> int | None:
        """The most tokens of a prompt and its answer, where it is known."""
        ...

    def check(self) -> None:
        """Raises an EngineError if the server shows no log-probabilities."""
        ...

    def read(self, asked: ServerPrompt) -> LabelRead:
        """The log-probabilities of the labels."""
        ...

    def draw(self, asked: ServerPrompt, count: int, seed: int) -> Sequence[str]:
        """One to `count` answers, drawn at temperature 1."""
        ...

    def write(self, asked: ServerPrompt, limit: int) -> Rationale:
        """What the judge writes before the prefill, greedy, of at most `limit` tokens."""
        ...

    def reply(self, place: int, chat: Sequence[Message], sampling: Sampling, seed: int) -> Reply:
        """The model's reply to the chat at this position."""
        ...


def label_read(asked: ServerPrompt, logprobs: Mapping[int, float], top: int | None) -> LabelRead:
    """The read of a server that tells tokens by id; `top` is the most probable one."""
    there = [i in logprobs for i in asked.label_ids]
    if not any(there):
        reason = f"none of the labels is among the {len(logprobs)} tokens that the server showed"
        return LabelRead(asked.item, asked.metric, Failure("labels_not_shown", reason))
    return LabelRead(
        asked.item,
        asked.metric,
        tuple(float(logprobs.get(i, -math.inf)) for i in asked.label_ids),
        top_is_label=top in asked.label_ids,
        reading="exact" if all(there) else "truncated",
    )


def refuse_other(answer: Mapping[str, Any], identity: Identity, names: Sequence[str] = ()) -> None:
    """Raises an EngineError if another model than ours has answered."""
    name = answer.get("model", identity.model)
    if name not in (identity.model, *names):
        raise EngineError(
            f"the model {name} answered, {identity.model} was asked",
            hint="see what the server serves; answers of two models do not mix",
        )


def read_whole(asked: ServerPrompt, counted: Any) -> Failure | None:
    """Why a prompt was not read as it was sent, by the server's own count of its tokens.

    Raises:
        EngineError: the server adds tokens of its own.
    """
    sent = len(asked.ids)
    if counted is None or counted == sent:
        return None
    if counted > sent:
        raise EngineError(
            f"the server read {counted} tokens where {sent} were sent",
            hint="it adds tokens of its own: another version of it, or --engine hf",
        )
    return Failure("too_long", f"the server read {counted} of the prompt's {sent} tokens")


def seed_of(asked: ServerPrompt, seed: int) -> int:
    """A seed for one prompt, 31 bits, so that no two prompts are drawn alike."""
    text = f"{seed}\0{asked.system}\0{asked.user}\0{asked.answer_start}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1
