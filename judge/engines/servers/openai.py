"""Any other server with OpenAI's interface: takes chats, shows the 20 most probable tokens.

Such a server does not continue an answer that has begun, so the prefill stands at the end of the
user's message.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from judge.engines.servers.api import Api
from judge.engines.servers.server import (
    TOP_TOKENS,
    Completion,
    Identity,
    Server,
    ServerPrompt,
    chat_messages,
    content_filter_failure,
    no_logprobs_error,
    openai_reply,
    prompt_messages,
    read_by_text,
    refuse_other_model,
    sampling_settings,
)
from judge.errors import EngineError
from judge.types import LabelRead, Message, Reply, Sampling

__all__ = ["OpenAiServer"]

_DATE_SUFFIX = re.compile(r"-\d{4}-\d{2}-\d{2}$")
"""OpenAI adds a date to a model's name to say which edition of it has answered."""

_NEWER_LIMIT = "max_completion_tokens"
"""What newer models of OpenAI call `max_tokens`."""


class OpenAiServer(Server):
    """See the module."""

    kind: ClassVar[str] = "openai"
    _limit: str = "max_tokens"

    @classmethod
    def open(cls, api: Api, model: str, listed: Mapping[str, Any]) -> Self:
        """See `Server.open`; such a server says nothing of its version."""
        del listed
        return cls(api, Identity("", model))

    def check(self) -> None:
        """See `Server.check`."""
        messages = prompt_messages("", "1 + 1 =")
        answer = self._chat(messages, max_tokens=1, logprobs=True, top_logprobs=1)
        if not (answer["choices"][0].get("logprobs") or {}).get("content"):
            raise no_logprobs_error(self.identity.model)

    def read(self, prompt: ServerPrompt) -> LabelRead:
        """See `Server.read`."""
        answer = self._ask(
            prompt, max_tokens=1, temperature=0, logprobs=True, top_logprobs=TOP_TOKENS
        )
        choice = answer["choices"][0]
        failure = content_filter_failure(choice)
        if failure is not None:
            return LabelRead(prompt.item, prompt.metric, failure)
        positions = (choice.get("logprobs") or {}).get("content") or [{"top_logprobs": []}]
        return read_by_text(prompt, positions[0]["top_logprobs"])

    def complete(
        self, prompt: ServerPrompt, limit: int, *, count: int = 1, seed: int | None = None
    ) -> list[Completion]:
        """See `Server.complete`; a drawn answer that was filtered counts as an empty one."""
        greedy = {"temperature": 0, "stop": [prompt.prefill.strip()]}
        drawn = {"temperature": 1, "top_p": 1, "n": count, "seed": seed}
        answer = self._ask(prompt, max_tokens=limit, **(greedy if seed is None else drawn))
        tokens = (answer.get("usage") or {}).get("completion_tokens", 0)
        return [
            Completion(
                (content_filter_failure(choice) if seed is None else None)
                or choice["message"]["content"]
                or "",
                tokens,
                choice.get("finish_reason") == "length",
            )
            for choice in answer["choices"]
        ]

    def reply(self, index: int, chat: Sequence[Message], sampling: Sampling, seed: int) -> Reply:
        """See `Server.reply`."""
        messages, settings = chat_messages(chat), sampling_settings(sampling, seed)
        try:
            answer = self._chat(messages, **{self._limit: sampling.max_tokens}, **settings)
        except EngineError as error:
            if _NEWER_LIMIT not in error.message:
                raise
            self._limit = _NEWER_LIMIT
            answer = self._chat(messages, **{_NEWER_LIMIT: sampling.max_tokens}, **settings)
        return openai_reply(index, answer)

    def _ask(self, prompt: ServerPrompt, **settings: Any) -> Any:
        user = f"{prompt.user}\n{prompt.answer_start}" if prompt.answer_start else prompt.user
        return self._chat(prompt_messages(prompt.system, user), **settings)

    def _chat(self, messages: Sequence[Mapping[str, str]], **settings: Any) -> Any:
        body = {"model": self.identity.model, "messages": messages, **settings}
        answer = self._api.post(f"{self._api.v1}/chat/completions", body)
        date = _DATE_SUFFIX.search(str(answer.get("model", "")))
        dated = self.identity.model + (date[0] if date else "")
        refuse_other_model(answer, self.identity, [dated])
        return answer
