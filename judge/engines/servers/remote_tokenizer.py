"""A server's tokenizer and chat template, asked over the wire."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from judge.engines.tokens import Frame, PromptTokenizer
from judge.errors import EngineError

__all__ = [
    "TEMPLATE",
    "Messages",
    "RemoteEncoder",
    "hub_prompt_tokenizer",
    "remote_prompt_tokenizer",
]

TEMPLATE = {"enable_thinking": False, "date_string": "01 Jan 2025"}
"""What the template is told: no thoughts before the label, and the same day every day."""

_SYSTEM, _USER = "JUDGE-SYSTEM-TEXT", "JUDGE-USER-TEXT"
_MAY_BEGIN_SPECIAL = re.compile(r"(?<=[<\[｜])")
_REMEMBERED = 4096

Encode = Callable[[str], Sequence[int]]
Decode = Callable[[Sequence[int]], str]
Messages = Sequence[Mapping[str, str]]


class RemoteEncoder:
    """An `Encoder` whose texts go to a server and are remembered.

    Args:
        encode: ids of a text in which special tokens are read as such, nothing put before it.
        decode: the text of ids, special tokens included.
        encode_plain: ids of a text in which special tokens are spelt out, where the server can do
            that. Otherwise such a text is cut behind every character that special tokens begin
            with, and its parts are encoded apart: none of them can hold a special token.
    """

    unknown: int | None = None

    def __init__(self, encode: Encode, decode: Decode, encode_plain: Encode | None = None) -> None:
        self._encode = lru_cache(_REMEMBERED)(lambda text: tuple(encode(text)))
        self._plain = lru_cache(_REMEMBERED)(lambda text: tuple((encode_plain or self._cut)(text)))
        self.decode = decode

    def encode(self, text: str, *, plain: bool) -> Sequence[int]:
        """See `Encoder.encode`."""
        return self._plain(text) if plain else self._encode(text)

    def _cut(self, text: str) -> list[int]:
        first, *rest = _MAY_BEGIN_SPECIAL.split(text)
        ids = list(self._encode(first)) if first else []
        guard = "\n" if rest and self._adds_blanks() else ""
        for part in rest:
            ids += self._encode(guard + part)[len(self._encode(guard)) if guard else 0 :]
        return ids

    def _adds_blanks(self) -> bool:
        """Whether a blank is put before each text: see `PromptTokenizer`."""
        apart = [*self._encode("a"), *self._encode("b")]
        return self.decode(apart) != self.decode(self._encode("ab"))


def hub_prompt_tokenizer(
    tokenize: Callable[..., Sequence[int]], decode: Decode, name: str
) -> PromptTokenizer:
    """The prompt tokenizer of a server that has a tokenizer of the Hugging Face kind.

    Args:
        tokenize: ids of `prompt` or of `messages`, as vLLM's and SGLang's `/tokenize` take them.
        decode: the text of ids, special tokens included.
        name: the model's name, for messages.

    Raises:
        EngineError: as `remote_prompt_tokenizer`.
    """

    def ids(text: str) -> Sequence[int]:
        return tokenize(prompt=text, add_special_tokens=False)

    def render(messages: Messages) -> str | None:
        try:
            found = tokenize(
                messages=messages, add_special_tokens=False, chat_template_kwargs=TEMPLATE
            )
        except EngineError as error:
            if "default chat template" in error.message:  # the model has none of its own
                return None
            raise
        return decode(found)

    bare, begun = list(ids("a")), list(tokenize(prompt="a", add_special_tokens=True))
    begin = decode(begun[: -len(bare)]) if begun[-len(bare) :] == bare != begun else ""
    return remote_prompt_tokenizer(RemoteEncoder(ids, decode), render, begin, name)


def remote_prompt_tokenizer(
    encoder: RemoteEncoder, render: Callable[[Messages], str | None], begin: str, name: str
) -> PromptTokenizer:
    """The prompt tokenizer of a server's model.

    Args:
        encoder: its tokenizer.
        render: its chat template's text for messages; None if it has no template.
        begin: the text of the token that begins every prompt, or nothing.
        name: the model's name, for messages.

    Raises:
        EngineError: a chat template that does not show what it is given.
    """
    return PromptTokenizer(encoder, _frame(render, begin, name), begin, name)


def _frame(render: Callable[[Messages], str | None], begin: str, name: str) -> Frame | None:
    """What the template puts around the texts.

    A template that knows no system role gets the system text at the head of the user's turn.
    """
    apart = [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": _USER}]
    joined = [{"role": "user", "content": f"{_SYSTEM}\n\n{_USER}"}]
    why = "it does not show the system and the user message, in this order"
    for messages in (apart, joined):
        try:
            text = render(messages)
        except EngineError as error:
            why = error.message
            continue
        if text is None:
            return None
        before, system, rest = text.partition(_SYSTEM)
        between, user, after = rest.partition(_USER)
        if system and user:
            return Frame(before if before.startswith(begin) else begin + before, between, after)
    raise EngineError(
        f"{name}: its chat template cannot be used: {why}",
        hint="choose a chat model whose template shows system and user messages",
    )
