"""What every kind of server offers, and what several kinds have in common.

A server reads label probabilities, draws answers, writes reasons and replies to chats. Some servers
take token ids, others take texts: a `ServerPrompt` holds one prompt in both forms.
"""

from __future__ import annotations

import hashlib
import math
import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, Self, TypeVar

from judge.engines.chat import THINKING, make_reply
from judge.engines.servers.api import Api
from judge.engines.tokens import PromptTokenizer
from judge.errors import EngineError
from judge.types import Failure, LabelRead, Message, Reply, Sampling

__all__ = [
    "ANSWER_TOKENS",
    "TOP_TOKENS",
    "UNCHANGED",
    "Completion",
    "Identity",
    "Server",
    "ServerPrompt",
    "chat_messages",
    "content_filter_failure",
    "cut_failure",
    "label_in",
    "message_text",
    "message_thought",
    "no_logprobs_error",
    "openai_reply",
    "prompt_messages",
    "prompt_seed",
    "read_by_id",
    "read_by_text",
    "refuse_broken",
    "refuses_system_role",
    "sampling_settings",
    "until",
]

ANSWER_TOKENS = 32
"""Most tokens of a drawn answer: it may repeat the prefill before the label."""
UNCHANGED = {
    "top_p": 1,
    "min_p": 0,
    "repetition_penalty": 1,
    "presence_penalty": 0,
    "frequency_penalty": 0,
}
"""Leaves the distribution as it is: a model may bring defaults of its own that would change it."""
TOP_TOKENS = 20
"""The interfaces of OpenAI and Ollama show at most this many of the most probable tokens."""

_EDITION = re.compile(r"(-\d{4}-?\d{2}-?\d{2}|:latest)$")
"""What providers add to a model's name to say which edition of it has answered."""

_Found = TypeVar("_Found")
_NUMBER = re.compile(r"[-−]?\d+(?:[.,]\d+)?")
_MARKS = "*_`#\"'“”‘’「」[]()<>:：。.!！ \t\r\n"
_BLANKS = " \t\r\n\u2581"
_NO_SYSTEM = re.compile(
    r"system (role|message|prompt)|\brole.{0,30}\bsystem|roles must alternate|only user",
    re.IGNORECASE,
)
_LIKE_SPECIAL = re.compile(r"(?<=<)(?=[|｜]?/?\w[\w▁ ]{0,40}[|｜]?>)|(?<=\[)(?=/?[A-Z_]{2,40}\])")
_ZERO_WIDTH_SPACE = "\u200b"


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
    """What a server says of itself and its model; `weights` distinguishes weights if possible."""

    version: str
    model: str
    weights: str = ""


class Completion(NamedTuple):
    """An answer: its text or why there is none, its tokens, and whether the limit ended it."""

    text: str | Failure
    tokens: int = 0
    cut: bool = False


class Server(ABC):
    """One model on one server.

    Attributes:
        kind: the key in `SERVERS`.
        dialogue_in_sequence: the prompts of one dialogue have to be sent one after the other,
            because their shared prefix is cached only in the slot that computed the last of them.
        chat_defaults: in place of the settings that a model may bring along.
        concurrency: how many requests the server takes at once.
        identity: see `Identity`.
        window: the most tokens that a prompt and its answer may have together, if known.
        accepted: other names under which the model may answer.
    """

    kind: ClassVar[str]
    dialogue_in_sequence: ClassVar[bool] = False
    chat_defaults: ClassVar[Mapping[str, Any]] = {}
    concurrency: int = 32

    def __init__(self, api: Api, identity: Identity, window: int | None = None) -> None:
        self._api = api
        self.identity = identity
        self.window = window
        self.accepted: set[str] = set()

    @classmethod
    @abstractmethod
    def open(cls, api: Api, model: str, listed: Mapping[str, Any]) -> Self:
        """The server of `model`; `listed` is the model's entry in the server's list."""

    @cached_property
    def prompt_tokenizer(self) -> PromptTokenizer | None:
        """Turns prompts into ids; None for a server that takes texts."""
        return None

    def can_tokenize(self) -> bool:
        """Whether the server turns texts into ids, where it has to; a gateway may hide that."""
        return True

    def check(self) -> None:  # noqa: B027  most kinds always show log-probabilities
        """Refuse a server that shows no log-probabilities.

        Raises:
            EngineError: it shows none.
        """

    @abstractmethod
    def read(self, prompt: ServerPrompt) -> LabelRead:
        """The log-probabilities of the labels."""

    @abstractmethod
    def complete(
        self, prompt: ServerPrompt, limit: int, *, count: int = 1, seed: int | None = None
    ) -> Sequence[Completion]:
        """Answers of at most `limit` tokens.

        With a seed, between one and `count` answers that are drawn at temperature 1. Without, one
        greedy answer that ends before the prefill.
        """

    def reply(self, index: int, chat: Sequence[Message], sampling: Sampling, seed: int) -> Reply:
        """The model's reply to `chat`, which is number `index` of its batch.

        So it is of a server that has OpenAI's chat interface and applies the chat template.
        """
        body = {
            "model": self.identity.model,
            "messages": chat_messages(chat),
            "max_tokens": sampling.max_tokens,
            **self.chat_defaults,
            **sampling_settings(sampling, seed),
            "chat_template_kwargs": {THINKING: sampling.thinking},
        }
        found = self._named(lambda answer: openai_reply(index, answer))
        return self._api.post("/v1/chat/completions", body, found)

    def _named(self, found: Callable[[Any], _Found]) -> Callable[[Any], _Found]:
        """`found`, of answers of this model alone."""

        def checked(answer: Any) -> _Found:
            self._refuse_other_model(answer)
            return found(answer)

        return checked

    def _refuse_other_model(self, answer: Mapping[str, Any]) -> None:
        """Refuse an answer that names another model than the one that was asked.

        Raises:
            EngineError: another model has answered.
        """
        name, asked = answer.get("model"), self.identity.model
        if name and not (name in self.accepted or _same_model(str(name), asked)):
            raise EngineError(
                f"the model {name} answered, {asked} was asked",
                hint="see which model the server serves: answers of two models must not be mixed; "
                f"if it is the same model, add --accept-model-name {name}",
            )


def read_by_id(prompt: ServerPrompt, logprobs: Mapping[int, float], top: int | None) -> LabelRead:
    """The read of a server that identifies tokens by id.

    Args:
        logprobs: natural-log probabilities of the tokens that the server showed.
        top: the most probable token.
    """
    missing = [label not in logprobs for label in prompt.label_ids]
    if all(missing):
        return _no_label_shown(prompt, len(logprobs))
    return LabelRead(
        prompt.item,
        prompt.metric,
        tuple(_number(logprobs.get(label, -math.inf)) for label in prompt.label_ids),
        top_is_label=top in prompt.label_ids,
        reading="truncated" if any(missing) else "exact",
    )


def read_by_text(prompt: ServerPrompt, shown: Sequence[Mapping[str, Any]]) -> LabelRead:
    """The read of a server that shows its most probable tokens as texts: always a truncated one.

    A label may be shown in several spellings, with a blank before it or a line break after it:
    their probabilities are summed. A label that is not shown counts as 0, so that the label mass is
    a lower bound.

    Args:
        shown: the most probable tokens, each with `token`, `logprob` and perhaps `bytes`.
    """
    mass = dict.fromkeys(prompt.labels, 0.0)
    for token in shown:
        text = _token_text(token)
        if text in mass:
            mass[text] += math.exp(_number(token["logprob"]))
    if not any(mass.values()):
        return _no_label_shown(prompt, len(shown))
    return LabelRead(
        prompt.item,
        prompt.metric,
        tuple(math.log(p) if p else -math.inf for p in mass.values()),
        top_is_label=_token_text(max(shown, key=lambda token: _number(token["logprob"]))) in mass,
        reading="truncated",
    )


def _no_label_shown(prompt: ServerPrompt, count: int) -> LabelRead:
    reason = f"none of the labels is among the {count} tokens that the server showed"
    return LabelRead(prompt.item, prompt.metric, Failure("labels_not_shown", reason))


def _token_text(token: Mapping[str, Any]) -> str:
    spelling = token.get("bytes")
    if spelling and isinstance(spelling, list):
        return bytes(spelling).decode(errors="replace").strip(_BLANKS)
    return str(token["token"]).strip(_BLANKS)


def _number(value: Any) -> float:
    """A log-probability; ValueError for what is none: it must not become a score."""
    number = float(value)
    if math.isnan(number):
        raise ValueError("a log-probability is not a number")
    return number


def no_logprobs_error(model: str, said: str = "") -> EngineError:
    """The error for a server that shows no log-probabilities at all; `said` are its words."""
    return EngineError(
        f"the server shows no log-probabilities of {model}{said and ': '}{said}",
        hint="count drawn answers instead, with --samples 20, or use a server that shows them",
    )


def _same_model(name: str, asked: str) -> bool:
    """Whether two names differ only by a provider in front, an edition's date, or case."""
    one, two = (_EDITION.sub("", text.lower()) for text in (name, asked))
    if "/" in one and "/" in two:
        return one.removeprefix("models/") == two.removeprefix("models/")
    return one.rpartition("/")[2] == two.rpartition("/")[2]


def cut_failure(prompt: ServerPrompt, count: Any) -> Failure | None:
    """The failure for a prompt of which the server read fewer tokens than were sent, if it did.

    Args:
        prompt: the prompt that was sent as ids.
        count: how many tokens the server says it read; None if it does not say.

    Raises:
        EngineError: the server read more, so it adds tokens of its own.
    """
    sent = len(prompt.ids)
    if count is None or count == sent:
        return None
    if count > sent:
        raise EngineError(
            f"the server read {count} tokens where {sent} were sent",
            hint="it adds tokens of its own: use another version of it, or --engine hf",
        )
    return Failure("too_long", f"the server read {count} of the prompt's {sent} tokens")


def prompt_seed(prompt: ServerPrompt, seed: int) -> int:
    """A seed of 31 bits for one prompt: different prompts draw independently of each other."""
    text = f"{seed}\0{prompt.system}\0{prompt.user}\0{prompt.answer_start}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1


def prompt_messages(system: str, user: str, answer_start: str = "") -> list[dict[str, str]]:
    """A prompt in OpenAI's format; `answer_start` becomes an assistant message to be continued."""
    messages = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": user})
    return messages + ([{"role": "assistant", "content": answer_start}] if answer_start else [])


def chat_messages(chat: Sequence[Message]) -> list[dict[str, str]]:
    """A chat in OpenAI's format.

    A server reads special tokens inside a text as special, and cannot be told not to. So whatever
    looks like one gets a zero-width space inside, and stays text.
    """
    return [
        {"role": m.role, "content": _LIKE_SPECIAL.sub(_ZERO_WIDTH_SPACE, m.text.strip())}
        for m in chat
    ]


def sampling_settings(sampling: Sampling, seed: int) -> dict[str, Any]:
    """The settings of a draw, all but the limit, under the names of OpenAI's interface."""
    return {"temperature": sampling.temperature, "top_p": sampling.top_p, "seed": seed}


def openai_reply(index: int, answer: Mapping[str, Any]) -> Reply:
    """The reply in an answer of OpenAI's chat interface, to the chat at position `index`."""
    choice, usage = answer["choices"][0], answer.get("usage") or {}
    refuse_broken(choice)
    message = choice["message"]
    thought = message_thought(message)
    failure = content_filter_failure(choice)
    text = message_text(message) or message.get("refusal") or ""
    reply = Reply(index, failure) if failure else make_reply(index, text, thought=thought)
    return replace(
        reply,
        tokens=usage.get("completion_tokens") or 0,
        prompt_tokens=usage.get("prompt_tokens") or 0,
        cut=choice.get("finish_reason") == "length",
    )


def until(text: str, stop: str) -> str:
    """`text` up to `stop`: a server may have gone on after it."""
    return text.partition(stop)[0] if stop else text


def message_text(message: Mapping[str, Any]) -> str:
    """What a message says, also where it comes in parts; "" if it says nothing."""
    content = message.get("content") or ""
    if isinstance(content, list):
        return "".join(part["text"] for part in content if part.get("type") == "text")
    return str(content)


def message_thought(message: Mapping[str, Any]) -> str:
    """What a server has separated as the thought: there are two names for it."""
    return str(message.get("reasoning_content") or message.get("reasoning") or "")


def refuse_broken(choice: Mapping[str, Any]) -> None:
    """ValueError for an answer that broke off: a gateway says so in the answer itself."""
    if choice.get("finish_reason") == "error" or choice.get("error"):
        raise ValueError(f"it broke off: {choice.get('error') or 'finish_reason is error'}")


def content_filter_failure(choice: Mapping[str, Any]) -> Failure | None:
    """The failure for an answer that the server's own filter stopped, if it did."""
    if choice.get("finish_reason") != "content_filter":
        return None
    return Failure("filtered", "the server's content filter stopped the answer")


def refuses_system_role(message: str) -> bool:
    """Whether a server's refusal is about the system role, which some templates do not know."""
    return bool(_NO_SYSTEM.search(message))


def label_in(text: str, labels: Sequence[str], prefill: str) -> str | None:
    """The one label that `text` names; None if it names none or several.

    "4", "4.", "**4**", "４" and "评分：4分" name 4. "4/5" and "4, not 3" name two labels, and 4.5
    none. Labels that are no numbers have to stand alone.

    Args:
        labels: of the scale.
        prefill: what the answer may begin with.
    """
    plain = unicodedata.normalize("NFKC", text).strip()
    plain = plain.removeprefix(unicodedata.normalize("NFKC", prefill).strip()).strip(_MARKS)
    if plain in labels:
        return plain
    if not all(label.isdecimal() for label in labels):
        return None
    named = set(_NUMBER.findall(plain))
    (only,) = named if len(named) == 1 else (None,)
    return only if only in labels else None
