"""Chats as token ids and what a model wrote as replies: for the engines in this process.

The model's own chat template frames a chat. It is shown marks in place of the texts, and the texts
are tokenized apart from what stands around the marks: special tokens in a text stay plain text,
so that nobody closes his own turn. A template that knows no system role gets the system text at
the head of the first turn.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal, NamedTuple

from judge.engines.tokens import PromptTokenizer, lasting_template
from judge.errors import EngineError
from judge.types import Failure, Message, Reply, Sampling

__all__ = [
    "FOLDED",
    "THINKING",
    "Chats",
    "Prompt",
    "fold",
    "reply",
    "seeds_of",
    "too_long",
]

FOLDED = {"system_role": "folded into the first turn"}
"""What the manifest says of a model whose template refuses the system role."""
THINKING = "enable_thinking"
"""What templates call the switch."""

_BEGIN, _END = "<think>", "</think>"
_MARK = "JUDGE-MESSAGE-{}-TEXT"
_MARKS = re.compile(_MARK.format(r"(\d+)"))
_NAMES = {"user": "User", "assistant": "Assistant"}
_NEXT, _ANSWER = "\nUser:", "Assistant:"
_BROKEN = "\ufffd"

Chat = Sequence[Message]
Role = Literal["system", "user", "assistant"]
Roles = tuple[Role, ...]


class Prompt(NamedTuple):
    """A chat as ids; `thinks` where the template has begun the reply with a thought."""

    ids: tuple[int, ...]
    thinks: bool


class _Frame(NamedTuple):
    """Ids that the template gives, and between them the positions of the messages."""

    parts: tuple[tuple[int, ...] | int, ...]
    thinks: bool
    folded: bool = False


class Chats:
    """What makes prompts of chats for one model, and replies of what it writes.

    Args:
        tokenizer: of transformers.
        prompt_tokenizer: the same one, for segments.
        name: the model's name, for messages.
    """

    def __init__(self, tokenizer: Any, prompt_tokenizer: PromptTokenizer, name: str) -> None:
        self._tokenizer = tokenizer
        self._prompt_tokenizer = prompt_tokenizer
        self._name = name
        self._plain = tokenizer.chat_template is None
        self._frames: dict[tuple[Roles, bool], _Frame] = {}

    def describe(self) -> Mapping[str, str]:
        """What the manifest says of the template: nothing of one that knows all roles."""
        if self._plain:
            return {"chat_template": "none: plain text"}
        return FOLDED if self._frame(("system", "user"), thinking=False).folded else {}

    def prompt(self, chat: Chat, *, thinking: bool) -> Prompt:
        """The ids of a chat, up to where the reply begins.

        Raises:
            EngineError: the chat template does not show what it is given.
        """
        frame = self._frame(tuple(message.role for message in chat), thinking=thinking)
        ids: list[int] = []
        for part in frame.parts:
            ids += part if isinstance(part, tuple) else self._text(chat[part])
        return Prompt(tuple(ids), frame.thinks)

    def reply(self, chat: int, prompt: Prompt, ids: Sequence[int], *, cut: bool) -> Reply:
        """The reply to the chat at this position.

        Args:
            chat: its position.
            prompt: what the model read.
            ids: what it wrote, without the token that ends it.
            cut: there is none, for the limit was reached.
        """
        text = self._prompt_tokenizer.decode([token for token in ids if token not in self._special])
        if cut:  # perhaps within a character
            text = text.rstrip(_BROKEN)
        if self._plain:  # a model that knows no turns goes on with the next one
            text, over, _ = text.partition(_NEXT)
            cut = cut and not over
        found = reply(chat, text, begun=prompt.thinks)
        return replace(found, tokens=len(ids), prompt_tokens=len(prompt.ids), cut=cut)

    @property
    def stop(self) -> str | None:
        """The text that ends a reply, for a model without a token that does."""
        return _NEXT if self._plain else None

    @cached_property
    def _special(self) -> set[int]:
        """Tokens that are no text."""
        added = getattr(self._tokenizer, "added_tokens_decoder", {})
        ids = {token for token, what in added.items() if what.special}
        ids.update(self._tokenizer.all_special_ids)
        return {
            token for token in ids if self._prompt_tokenizer.decode([token]) not in (_BEGIN, _END)
        }

    def _text(self, message: Message) -> tuple[int, ...]:
        return self._prompt_tokenizer.encode(message.text.strip(), plain=True)

    def _frame(self, roles: Roles, *, thinking: bool) -> _Frame:
        if (roles, thinking) not in self._frames:
            make = self._lines if self._plain else self._framed
            self._frames[roles, thinking] = make(roles, thinking=thinking)
        return self._frames[roles, thinking]

    def _framed(self, roles: Roles, *, thinking: bool) -> _Frame:
        """By the template, which is asked again without a system message if it does not show it."""
        chat = [Message(role, _MARK.format(at)) for at, role in enumerate(roles)]
        why = "it does not show every message once"
        for shown in [chat, fold(chat)] if roles[0] == "system" else [chat]:
            try:
                text = self._tokenizer.apply_chat_template(
                    [{"role": message.role, "content": message.text} for message in shown],
                    chat_template=lasting_template(self._tokenizer),
                    tokenize=False,
                    add_generation_prompt=True,
                    **{THINKING: thinking},
                )
            except Exception as error:  # noqa: BLE001  a template may raise anything
                why = str(error)
                continue
            pieces = _MARKS.split(text)
            places = [int(at) for at in pieces[1::2]]
            if sorted(places) == list(range(len(roles))):
                thinks = pieces[-1].rfind(_BEGIN) > pieces[-1].rfind(_END)
                folded = shown is not chat
                return self._tokenized(pieces[::2], places, thinks=thinks, folded=folded)
        raise EngineError(
            f"{self._name}: its chat template cannot be used: {why}",
            hint="choose a chat model whose template shows user and assistant messages",
        )

    def _lines(self, roles: Roles, *, thinking: bool) -> _Frame:
        """For a model without a template: the names of the roles before what they say."""
        del thinking
        begin = self._tokenizer.bos_token or ""
        lines = [*(f"{_NAMES[role]}: " if role in _NAMES else "" for role in roles), _ANSWER]
        breaks = [begin, *("\n\n" if role == "system" else "\n" for role in roles)]
        pieces = [broken + line for broken, line in zip(breaks, lines, strict=True)]
        return self._tokenized(pieces, range(len(roles)), thinks=False)

    def _tokenized(
        self, pieces: Sequence[str], places: Sequence[int], *, thinks: bool, folded: bool = False
    ) -> _Frame:
        parts: list[tuple[int, ...] | int] = [self._prompt_tokenizer.encode(pieces[0])]
        for at, piece in zip(places, pieces[1:], strict=True):
            parts += [at, self._prompt_tokenizer.encode(piece)]
        return _Frame(tuple(parts), thinks, folded)


def fold(chat: Chat) -> list[Message]:
    """The chat with its system text at the head of the first turn."""
    if not chat or chat[0].role != "system":
        return list(chat)
    system, first, *rest = chat
    return [replace(first, text=f"{system.text}\n\n{first.text}"), *rest]


def reply(chat: int, text: str, *, begun: bool = False, thought: str = "") -> Reply:
    """The reply in what a model wrote, its thought apart.

    Args:
        chat: the position of the chat.
        text: what it wrote. A thought that does not end leaves nothing after it.
        begun: it was within a thought already. So it was where it ends one that it did not begin.
        thought: what a server has told apart.
    """
    inner, spoken = _apart(_whole(text), begun=begun)
    thoughts = filter(None, (_whole(thought).strip(), inner.strip()))
    return Reply(chat, spoken.strip(), "\n".join(thoughts))


def _whole(text: str) -> str:
    """`text` with a mark for each half character, which JSON can say and no file can hold."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _apart(text: str, *, begun: bool) -> tuple[str, str]:
    """The thought and what is said."""
    before, found, rest = text.partition(_BEGIN)
    begun = begun or _END in before
    if begun and before.strip():
        before, rest = "", text
    elif not found and not begun:
        return "", text
    inner, _, after = rest.partition(_END)
    return inner, before + after


def seeds_of(chats: Sequence[Chat], sampling: Sampling) -> list[int]:
    """A seed of 31 bits for each chat.

    It depends on the chat, and on how often the same chat came before, but on no other chat: the
    replies to some of them are those to all of them.
    """
    seen: Counter[str] = Counter()
    seeds = []
    for chat in chats:
        text = "\0".join(f"{message.role}\0{message.text}" for message in chat)
        key = f"{sampling.seed}\0{seen[text]}\0{text}"
        seen[text] += 1
        seeds.append(int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") >> 1)
    return seeds


def too_long(prompt: Prompt, sampling: Sampling, window: int | None) -> Failure | None:
    """Why a chat cannot be replied to, if it and its reply may be longer than the window."""
    length, more = len(prompt.ids), sampling.max_tokens
    if window is None or length + more <= window:
        return None
    reason = (
        f"the chat has {length} tokens and its reply up to {more}, the model's window is {window}"
    )
    return Failure("too_long", reason)
