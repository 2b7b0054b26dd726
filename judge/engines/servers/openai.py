"""Any other server with OpenAI's interface: takes chats, shows the most probable tokens.

Such a server does not continue an answer that has begun, so the prefill stands at the end of the
user's message. What a server does not take is found by asking: how many tokens it shows, what it
calls the limit of an answer, and which settings it refuses.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self, TypeVar

from judge.engines.servers.api import Api
from judge.engines.servers.faults import RefusedError
from judge.engines.servers.server import (
    TOP_TOKENS,
    Completion,
    Identity,
    Server,
    ServerPrompt,
    chat_messages,
    content_filter_failure,
    message_text,
    message_thought,
    no_logprobs_error,
    openai_reply,
    prompt_messages,
    read_by_text,
    refuse_broken,
    sampling_settings,
    until,
)
from judge.types import LabelRead, Message, Reply, Sampling

__all__ = ["OpenAiServer"]

_log = logging.getLogger(__name__)

_LIMIT, _NEWER_LIMIT = "max_tokens", "max_completion_tokens"
"""Newer models of OpenAI know the limit by another name."""
_ANY_LIMIT = r"max_(completion_|output_|new_)?tokens"
_SMALLEST_LIMIT = 16
"""Some servers take no smaller one."""
_HARMLESS = prompt_messages("", "1 + 1 =")
_FEWER_TOKENS = (TOP_TOKENS, 10, 5)
_OPTIONAL = ("temperature", "top_p", "seed", "stop", "n")
_BAD_REQUEST = {400, 422}

_Found = TypeVar("_Found")


class OpenAiServer(Server):
    """See the module."""

    kind: ClassVar[str] = "openai"

    def __init__(self, api: Api, identity: Identity, window: int | None = None) -> None:
        super().__init__(api, identity, window)
        self._limit = _LIMIT
        self._least = 1
        self._top = TOP_TOKENS
        self._without: set[str] = set()

    @classmethod
    def open(cls, api: Api, model: str, listed: Mapping[str, Any]) -> Self:
        """See `Server.open`; such a server says nothing of its version."""
        del listed
        return cls(api, Identity("", model))

    def check(self) -> None:
        """See `Server.check`; also finds out how many tokens the server shows."""
        refusal: RefusedError | None = None
        for top in _FEWER_TOKENS:
            try:
                shows = self._shows(top) or self._shows(top)  # once may be a fault that passes
            except RefusedError as error:
                if refusal is None:
                    self._refuse_unless_without(error)
                    refusal = error
                continue
            if not shows:
                raise no_logprobs_error(self.identity.model)
            self._top = top
            if top < TOP_TOKENS:
                _log.info("the server shows the %d most probable tokens only", top)
            return
        raise no_logprobs_error(self.identity.model, "" if refusal is None else refusal.said)

    def _shows(self, top: int) -> bool:
        """Whether the server shows tokens, asked for so many."""
        return self._chat(
            _HARMLESS,
            lambda answer: bool(_shown(answer["choices"][0])),
            max_tokens=1,
            logprobs=True,
            top_logprobs=top,
        )

    def _refuse_unless_without(self, refusal: RefusedError) -> None:
        """Raise `refusal`, unless the same is answered without log-probabilities."""
        if refusal.status == 401:
            raise refusal
        try:
            self._chat(_HARMLESS, lambda _: None, max_tokens=1)
        except RefusedError:
            raise refusal from None

    def read(self, prompt: ServerPrompt) -> LabelRead:
        """See `Server.read`."""

        def found(answer: Any) -> LabelRead:
            choice = answer["choices"][0]
            refuse_broken(choice)
            failure = content_filter_failure(choice)
            if failure is not None:
                return LabelRead(prompt.item, prompt.metric, failure)
            shown = _shown(choice)
            if not shown:
                raise ValueError("it has no log-probabilities")
            return read_by_text(prompt, shown)

        settings = {"max_tokens": 1, "temperature": 0, "logprobs": True, "top_logprobs": self._top}
        return self._ask(prompt, found, **settings)

    def complete(
        self, prompt: ServerPrompt, limit: int, *, count: int = 1, seed: int | None = None
    ) -> list[Completion]:
        """See `Server.complete`; a drawn answer that was filtered counts as an empty one."""
        stop = prompt.prefill.strip()
        greedy = {"temperature": 0, "stop": [stop]}
        drawn = {"temperature": 1, "top_p": 1, "n": count, "seed": seed}

        def found(answer: Any) -> list[Completion]:
            tokens = (answer.get("usage") or {}).get("completion_tokens") or 0
            return [completion(choice, tokens) for choice in answer["choices"]]

        def completion(choice: Any, tokens: int) -> Completion:
            refuse_broken(choice)
            failure = content_filter_failure(choice) if seed is None else None
            text, cut = message_text(choice["message"]), choice.get("finish_reason") == "length"
            thought = message_thought(choice["message"])
            if seed is None:
                text = until(text, stop)
            elif thought:
                text = f"<think>{thought}" + (f"</think>{text}" if text else "")
            return Completion(failure or text, tokens, cut)

        return self._ask(prompt, found, max_tokens=limit, **(greedy if seed is None else drawn))

    def reply(self, index: int, chat: Sequence[Message], sampling: Sampling, seed: int) -> Reply:
        """See `Server.reply`."""
        settings = {"max_tokens": sampling.max_tokens, **sampling_settings(sampling, seed)}
        return self._chat(chat_messages(chat), lambda a: openai_reply(index, a), **settings)

    def _ask(self, prompt: ServerPrompt, found: Callable[[Any], _Found], **settings: Any) -> _Found:
        user = f"{prompt.user}\n{prompt.answer_start}" if prompt.answer_start else prompt.user
        return self._chat(prompt_messages(prompt.system, user), found, **settings)

    def _chat(
        self,
        messages: Sequence[Mapping[str, str]],
        found: Callable[[Any], _Found],
        *,
        max_tokens: int,
        **settings: Any,
    ) -> _Found:
        while True:
            body = {
                "model": self.identity.model,
                "messages": messages,
                self._limit: max(max_tokens, self._least),
                **{k: value for k, value in settings.items() if k not in self._without},
            }
            try:
                return self._api.post(f"{self._api.v1}/chat/completions", body, self._named(found))
            except RefusedError as error:
                if error.status not in _BAD_REQUEST or not self._learn(error, body):
                    raise

    def _learn(self, error: RefusedError, body: Mapping[str, Any]) -> bool:
        """Whether the refusal says that something in `body` is not taken, so that it can change."""
        if _LIMIT in body and error.mentions(_NEWER_LIMIT):
            self._limit = _NEWER_LIMIT
            return True
        limit = body.get(_LIMIT) or body.get(_NEWER_LIMIT) or 0
        if limit < _SMALLEST_LIMIT and error.mentions(_ANY_LIMIT):
            self._least = _SMALLEST_LIMIT
            return True
        for name in _OPTIONAL:
            if name in body and error.mentions(rf"(?<!\w){name}(?!\w)"):
                if name not in self._without:
                    _log.info("the server takes no %s from us: it is left out", name)
                self._without.add(name)
                return True
        return False


def _shown(choice: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The tokens at the first position, in the present or the older shape; empty without any."""
    logprobs = choice.get("logprobs") or {}
    if logprobs.get("content"):
        shown: Sequence[Mapping[str, Any]] = logprobs["content"][0].get("top_logprobs") or ()
        return shown
    older = (logprobs.get("top_logprobs") or [None])[0] or {}
    return [{"token": token, "logprob": value} for token, value in older.items()]
