"""Ollama: takes texts, shows the 20 most probable tokens.

The prefill is sent as the beginning of the answer, which Ollama continues. `truncate` tells it to
refuse a prompt that does not fit rather than to cut it. The window is set explicitly, because the
one that Ollama chooses depends on the machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self, TypeVar

from judge.engines.chat import make_reply
from judge.engines.servers.api import Api
from judge.engines.servers.faults import RefusedError
from judge.engines.servers.server import (
    TOP_TOKENS,
    Completion,
    Identity,
    Server,
    ServerPrompt,
    chat_messages,
    message_text,
    no_logprobs_error,
    prompt_messages,
    read_by_text,
    sampling_settings,
)
from judge.types import LabelRead, Message, Reply, Sampling

__all__ = ["OllamaServer"]

_Found = TypeVar("_Found")
_WINDOW = 8192
_UNCHANGED = {
    "top_k": 0,
    "top_p": 1,
    "min_p": 0,
    "typical_p": 1,
    "repeat_penalty": 1,
    "presence_penalty": 0,
    "frequency_penalty": 0,
}
"""Leaves the distribution as it is: a model may bring defaults of its own that would change it."""


class OllamaServer(Server):
    """See the module."""

    kind: ClassVar[str] = "ollama"
    dialogue_in_sequence: ClassVar[bool] = True
    concurrency: int = 4
    _can_think: bool = True

    @classmethod
    def open(cls, api: Api, model: str, listed: Mapping[str, Any]) -> Self:
        """See `Server.open`; `listed` is the model's entry of /api/tags."""
        version = (api.get("/api/version") or {}).get("version", "")
        return cls(api, Identity(version, model, listed.get("digest", "")))

    def check(self) -> None:
        """See `Server.check`."""
        messages = prompt_messages("", "1 + 1 =")
        shows = self._chat(
            messages,
            lambda answer: bool(answer.get("logprobs")),
            logprobs=True,
            top_logprobs=1,
            num_predict=1,
        )
        if not shows:
            raise no_logprobs_error(self.identity.model)

    def read(self, prompt: ServerPrompt) -> LabelRead:
        """See `Server.read`."""

        def found(answer: Any) -> LabelRead:
            if not answer.get("logprobs"):
                raise ValueError("it has no log-probabilities")
            return read_by_text(prompt, answer["logprobs"][0]["top_logprobs"])

        settings = {"logprobs": True, "top_logprobs": TOP_TOKENS}
        return self._ask(prompt, found, num_predict=1, temperature=0, **settings)

    def complete(
        self, prompt: ServerPrompt, limit: int, *, count: int = 1, seed: int | None = None
    ) -> list[Completion]:
        """See `Server.complete`; one answer a request, which the prefix cache makes cheap."""
        del count
        greedy = {"temperature": 0, "stop": [prompt.prefill.strip()]}
        drawn = {"temperature": 1, "seed": seed}

        def found(answer: Any) -> list[Completion]:
            cut = answer.get("done_reason") == "length"
            text = message_text(answer["message"])
            return [Completion(text, answer.get("eval_count") or 0, cut)]

        return self._ask(prompt, found, num_predict=limit, **(greedy if seed is None else drawn))

    def reply(self, index: int, chat: Sequence[Message], sampling: Sampling, seed: int) -> Reply:
        """See `Server.reply`.

        By Ollama's own interface: the one it has in OpenAI's format cuts a long chat silently.
        """
        options = {"num_predict": sampling.max_tokens, **sampling_settings(sampling, seed)}
        think = sampling.thinking and self._can_think

        def found(answer: Any) -> Reply:
            message = answer["message"]
            return replace(
                make_reply(index, message_text(message), thought=message.get("thinking") or ""),
                tokens=answer.get("eval_count") or 0,
                prompt_tokens=answer.get("prompt_eval_count") or 0,
                cut=answer.get("done_reason") == "length",
            )

        try:
            return self._chat(chat_messages(chat), found, think=think, **options)
        except RefusedError as error:
            if not think or not error.mentions("thinking"):
                raise
            self._can_think = False
            return self._chat(chat_messages(chat), found, **options)

    def _ask(self, prompt: ServerPrompt, found: Callable[[Any], _Found], **settings: Any) -> _Found:
        messages = prompt_messages(prompt.system, prompt.user, prompt.answer_start)
        return self._chat(messages, found, **settings)

    def _chat(
        self,
        messages: Sequence[Mapping[str, str]],
        found: Callable[[Any], _Found],
        *,
        logprobs: bool = False,
        top_logprobs: int = 0,
        think: bool = False,
        **options: Any,
    ) -> _Found:
        body: dict[str, Any] = {
            "model": self.identity.model,
            "messages": messages,
            "stream": False,
            "think": think,
            "truncate": False,
            "shift": False,
            "options": {"num_ctx": _WINDOW, **_UNCHANGED, **options},
        }
        if logprobs:
            body |= {"logprobs": True, "top_logprobs": top_logprobs}
        return self._api.post("/api/chat", body, self._named(found))
