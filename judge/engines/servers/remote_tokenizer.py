"""A server's tokenizer and chat template, used by requests."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from judge.engines.servers.api import Api
from judge.engines.servers.faults import GaveUpError, RefusedError
from judge.engines.tokens import Frame, Messages, PromptTokenizer, frame_of
from judge.errors import EngineError

__all__ = [
    "TEMPLATE_VARIABLES",
    "RemoteEncoder",
    "begin_token",
    "first_text",
    "hub_prompt_tokenizer",
    "read_ids",
    "remote_prompt_tokenizer",
    "tokenizes",
]

TEMPLATE_VARIABLES = {"enable_thinking": False, "date_string": "01 Jan 2025"}
"""No thought before the label, and the same date every day: equal prompts stay equal."""

_MAY_BEGIN_SPECIAL = re.compile(r"(?<=[<\[｜])")
_REMEMBERED = 4096

Encode = Callable[[str], Sequence[int]]
Decode = Callable[[Sequence[int]], str]


class RemoteEncoder:
    """An `Encoder` whose texts are encoded by a server; the last 4096 answers are kept.

    Args:
        encode: ids of a text in which special tokens are read as such; nothing is put before it.
        decode: the text of ids, special tokens included.
        encode_plain: ids of a text in which special tokens are spelt out, if the server can do
            that. Otherwise the text is cut after every character that special tokens begin with,
            and its parts are encoded separately: none of them can contain a special token.
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
        """Whether the tokenizer puts a blank before each text: see `PromptTokenizer`."""
        apart = [*self._encode("a"), *self._encode("b")]
        return self.decode(apart) != self.decode(self._encode("ab"))


def read_ids(answer: Any) -> list[int]:
    """The ids in an answer of `/tokenize`."""
    ids: list[int] = list(answer["tokens"])
    return ids


def first_text(model: str) -> dict[str, Any]:
    """The first question to the tokenizer of vLLM or SGLang."""
    return {"model": model, "prompt": "a", "add_special_tokens": False}


def tokenizes(api: Api, body: Mapping[str, Any]) -> bool:
    """Whether `/tokenize` answers: a gateway in front of the server may hide it."""
    try:
        api.post("/tokenize", body, read_ids)
    except (RefusedError, GaveUpError) as error:
        if isinstance(error, RefusedError) and error.status == 401:
            raise
        return False
    return True


def begin_token(bare: Sequence[int], extended: Sequence[int], decode: Decode) -> str:
    """The text of the token that begins every prompt, or "" if there is none.

    Args:
        extended: the ids of the same text with what the tokenizer puts before it.
        decode: the text of ids.
    """
    bare, extended = list(bare), list(extended)
    return decode(extended[: -len(bare)]) if extended[-len(bare) :] == bare != extended else ""


def hub_prompt_tokenizer(api: Api, model: str, text_key: str, **detokenize: Any) -> PromptTokenizer:
    """The prompt tokenizer of a server with a Hugging Face tokenizer: vLLM's and SGLang's.

    Args:
        model: the model's name.
        text_key: what the answer of `/detokenize` calls the text.
        detokenize: more fields for requests to `/detokenize`.

    Raises:
        EngineError: as `remote_prompt_tokenizer`.
    """

    def tokenize(**fields: Any) -> list[int]:
        return api.post("/tokenize", {"model": model, **fields}, read_ids)

    def decode(ids: Sequence[int]) -> str:
        body = {"model": model, "tokens": list(ids), **detokenize}
        return api.post("/detokenize", body, lambda answer: str(answer[text_key]))

    def encode(text: str) -> list[int]:
        return tokenize(prompt=text, add_special_tokens=False)

    def render(messages: Messages) -> str | None:
        try:
            ids = tokenize(
                messages=messages, add_special_tokens=False, chat_template_kwargs=TEMPLATE_VARIABLES
            )
        except EngineError as error:
            if "default chat template" in error.message:  # the model has none of its own
                return None
            raise
        return decode(ids)

    begin = begin_token(encode("a"), tokenize(prompt="a", add_special_tokens=True), decode)
    return remote_prompt_tokenizer(RemoteEncoder(encode, decode), render, begin, model)


def remote_prompt_tokenizer(
    encoder: RemoteEncoder, render: Callable[[Messages], str | None], begin: str, model: str
) -> PromptTokenizer:
    """The prompt tokenizer of a server's model.

    Args:
        encoder: its tokenizer.
        render: the text that its chat template makes of messages; None if it has no template.
        begin: the text of the token that begins every prompt, or "".
        model: the model's name, for messages.

    Raises:
        EngineError: a chat template that does not show the messages it is given.
    """
    frame = frame_of(render, model)
    if frame is not None and not frame.before.startswith(begin):
        frame = Frame(begin + frame.before, frame.between, frame.after)
    return PromptTokenizer(encoder, frame, begin, model)
