"""Chats as token ids, and replies out of what a model wrote: for the local engines.

The model's own chat template frames a chat. The template is given placeholders instead of the
texts, and the texts are tokenized separately from what stands around them: special tokens in a text
stay plain text, so that no message can close its own turn. For a template that knows no system
role, the system text goes at the head of the first turn.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal, NamedTuple

from judge.engines.tokens import PromptTokenizer, dateless_template
from judge.errors import EngineError
from judge.limits import bounded, refuse_long
from judge.types import Failure, Message, Reply, Sampling

__all__ = [
    "FOLDED",
    "THINKING",
    "ChatPrompt",
    "Chats",
    "chat_too_long",
    "fold_system",
    "make_reply",
    "seeds_of",
]

FOLDED = {"system_role": "folded into the first turn"}
"""What the manifest says of a model whose template refuses the system role."""
THINKING = "enable_thinking"
"""The variable of chat templates that switches thinking on and off."""

_BEGIN_THOUGHT, _END_THOUGHT = "<think>", "</think>"
_PLACEHOLDER = "JUDGE-MESSAGE-{}-TEXT"
_PLACEHOLDERS = re.compile(_PLACEHOLDER.format(r"(\d+)"))
_NAMES = {"user": "User", "assistant": "Assistant"}
_NEXT_TURN, _ANSWER = "\nUser:", "Assistant:"
_HALF_CHARACTER = "\ufffd"

Chat = Sequence[Message]
Role = Literal["system", "user", "assistant"]
Roles = tuple[Role, ...]


class ChatPrompt(NamedTuple):
    """A chat as ids; `thinks` if the template has begun the reply with a thought."""

    ids: tuple[int, ...]
    thinks: bool


class _ChatFrame(NamedTuple):
    """The ids that the template gives, with the positions of the messages between them."""

    parts: tuple[tuple[int, ...] | int, ...]
    thinks: bool
    folded: bool = False


class Chats:
    """Turns chats into prompts for one model, and what the model writes into replies.

    Args:
        prompt_tokenizer: the same tokenizer, for segments.
        name: the model's name, for messages.
    """

    def __init__(self, tokenizer: Any, prompt_tokenizer: PromptTokenizer, name: str) -> None:
        self._tokenizer = tokenizer
        self._prompt_tokenizer = prompt_tokenizer
        self._name = name
        self._plain = tokenizer.chat_template is None
        self._frames: dict[tuple[Roles, bool], _ChatFrame] = {}

    def describe(self) -> Mapping[str, str]:
        """What the manifest says of the template; empty for one that knows all roles."""
        if self._plain:
            return {"chat_template": "none: plain text"}
        return FOLDED if self._frame(("system", "user"), thinking=False).folded else {}

    def prompt(self, chat: Chat, *, thinking: bool) -> ChatPrompt:
        """The ids of a chat, up to where the reply begins.

        Raises:
            EngineError: the chat template does not show the messages it is given.
        """
        frame = self._frame(tuple(message.role for message in chat), thinking=thinking)
        ids: list[int] = []
        for part in frame.parts:
            ids += part if isinstance(part, tuple) else self._text_ids(chat[part])
        return ChatPrompt(tuple(ids), frame.thinks)

    def reply(self, index: int, prompt: ChatPrompt, ids: Sequence[int], *, cut: bool) -> Reply:
        """The reply to the chat at position `index`.

        Args:
            index: the position of the chat in its batch.
            ids: what it wrote, without the token that ends a reply.
            cut: there is no such token, because the limit was reached.
        """
        decode = self._prompt_tokenizer.decode
        text = decode([token for token in ids if token not in self._special_ids])
        if cut:  # perhaps in the middle of a character
            text = text.rstrip(_HALF_CHARACTER)
        if self._plain:  # a model without turns goes on with the next one
            text, next_turn, _ = text.partition(_NEXT_TURN)
            cut = cut and not next_turn
        reply = make_reply(index, text, in_thought=prompt.thinks)
        return replace(reply, tokens=len(ids), prompt_tokens=len(prompt.ids), cut=cut)

    @property
    def stop(self) -> str | None:
        """The text that ends a reply, for a model without a token that does."""
        return _NEXT_TURN if self._plain else None

    @cached_property
    def _special_ids(self) -> set[int]:
        """Special tokens, which are no text; the marks of a thought are kept."""
        added = getattr(self._tokenizer, "added_tokens_decoder", {})
        ids = {token for token, entry in added.items() if entry.special}
        ids.update(self._tokenizer.all_special_ids)
        marks, decode = (_BEGIN_THOUGHT, _END_THOUGHT), self._prompt_tokenizer.decode
        return {token for token in ids if decode([token]) not in marks}

    def _text_ids(self, message: Message) -> tuple[int, ...]:
        return self._prompt_tokenizer.encode(message.text.strip(), plain=True)

    def _frame(self, roles: Roles, *, thinking: bool) -> _ChatFrame:
        if (roles, thinking) not in self._frames:
            make = self._plain_frame if self._plain else self._template_frame
            self._frames[roles, thinking] = make(roles, thinking=thinking)
        return self._frames[roles, thinking]

    def _template_frame(self, roles: Roles, *, thinking: bool) -> _ChatFrame:
        """By the template; tried again without a system message if it does not show that."""
        chat = [Message(role, _PLACEHOLDER.format(i)) for i, role in enumerate(roles)]
        why = "it does not show every message once"
        for attempt in [chat, fold_system(chat)] if roles[0] == "system" else [chat]:
            try:
                with bounded():
                    text = self._tokenizer.apply_chat_template(
                        [{"role": message.role, "content": message.text} for message in attempt],
                        chat_template=dateless_template(self._tokenizer),
                        tokenize=False,
                        add_generation_prompt=True,
                        **{THINKING: thinking},
                    )
                refuse_long(text)
            except Exception as error:  # noqa: BLE001  a template may raise anything
                why = str(error)
                continue
            pieces = _PLACEHOLDERS.split(text)
            order = [int(position) for position in pieces[1::2]]
            if sorted(order) == list(range(len(roles))):
                thinks = pieces[-1].rfind(_BEGIN_THOUGHT) > pieces[-1].rfind(_END_THOUGHT)
                folded = attempt is not chat
                return self._tokenized(pieces[::2], order, thinks=thinks, folded=folded)
        raise EngineError(
            f"{self._name}: its chat template cannot be used: {why}",
            hint="choose a chat model whose template shows user and assistant messages",
        )

    def _plain_frame(self, roles: Roles, *, thinking: bool) -> _ChatFrame:
        """For a model without a template: the names of the roles before what they say."""
        del thinking
        begin = self._tokenizer.bos_token or ""
        lines = [*(f"{_NAMES[role]}: " if role in _NAMES else "" for role in roles), _ANSWER]
        breaks = [begin, *("\n\n" if role == "system" else "\n" for role in roles)]
        pieces = [line_break + line for line_break, line in zip(breaks, lines, strict=True)]
        return self._tokenized(pieces, range(len(roles)), thinks=False)

    def _tokenized(
        self, pieces: Sequence[str], order: Sequence[int], *, thinks: bool, folded: bool = False
    ) -> _ChatFrame:
        """The frame of texts with the messages in this order between them."""
        encode = self._prompt_tokenizer.encode
        parts: list[tuple[int, ...] | int] = [encode(pieces[0])]
        for message, piece in zip(order, pieces[1:], strict=True):
            parts += [message, encode(piece)]
        return _ChatFrame(tuple(parts), thinks, folded)


def fold_system(chat: Chat) -> list[Message]:
    """The chat with its system text at the head of the first turn."""
    if not chat or chat[0].role != "system":
        return list(chat)
    system, first, *rest = chat
    return [replace(first, text=f"{system.text}\n\n{first.text}"), *rest]


def make_reply(index: int, text: str, *, in_thought: bool = False, thought: str = "") -> Reply:
    """The reply in what a model wrote, with its thought separated.

    Args:
        index: the position of the chat in its batch.
        text: what it wrote. After a thought that never ends there is no reply.
        in_thought: the text begins inside a thought. That is also assumed of a text that ends a
            thought before it begins one.
        thought: a thought that a server has separated already.
    """
    inner, spoken = _split_thought(_without_surrogates(text), in_thought=in_thought)
    thoughts = filter(None, (_without_surrogates(thought).strip(), inner.strip()))
    return Reply(index, spoken.strip(), "\n".join(thoughts))


def _without_surrogates(text: str) -> str:
    """`text` with a mark for each lone surrogate, which JSON can express and UTF-8 cannot."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _split_thought(text: str, *, in_thought: bool) -> tuple[str, str]:
    """The thought and the rest."""
    before, begin, rest = text.partition(_BEGIN_THOUGHT)
    in_thought = in_thought or _END_THOUGHT in before
    if in_thought and before.strip():
        before, rest = "", text
    elif not begin and not in_thought:
        return "", text
    inner, _, after = rest.partition(_END_THOUGHT)
    return inner, before + after


def seeds_of(chats: Sequence[Chat], sampling: Sampling) -> list[int]:
    """A seed of 31 bits for each chat.

    It depends on the chat and on how often the same chat came before it, but on no other chat: a
    chat gets the same reply whichever other chats are in its batch.
    """
    seen: Counter[str] = Counter()
    seeds = []
    for chat in chats:
        text = "\0".join(f"{message.role}\0{message.text}" for message in chat)
        key = f"{sampling.seed}\0{seen[text]}\0{text}"
        seen[text] += 1
        seeds.append(int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") >> 1)
    return seeds


def chat_too_long(prompt: ChatPrompt, sampling: Sampling, window: int | None) -> Failure | None:
    """The failure for a chat that may not fit into the window with its reply, if so."""
    length, most = len(prompt.ids), sampling.max_tokens
    if window is None or length + most <= window:
        return None
    reason = (
        f"the chat has {length} tokens and its reply up to {most}, the model's window is {window}"
    )
    return Failure("too_long", reason)
