"""Ollama: texts in, the 20 most probable tokens out.

The prefill is the beginning of the answer, which Ollama continues. A prompt that does not fit is
refused rather than cut (`truncate`), and the window is set, because the one it chooses by itself
depends on the machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from judge.engines.chat import reply
from judge.engines.servers.api import Api
from judge.engines.servers.chat import settings, shown
from judge.engines.servers.server import DRAWN, Identity, ServerPrompt, refuse_other
from judge.engines.servers.text import TOP, messages, no_logprobs, spelt_read
from judge.errors import EngineError
from judge.types import LabelRead, Message, Rationale, Reply, Sampling

__all__ = ["OllamaServer"]

_WINDOW = 8192
_AS_IT_IS = {
    "top_k": 0,
    "top_p": 1,
    "min_p": 0,
    "typical_p": 1,
    "repeat_penalty": 1,
    "presence_penalty": 0,
    "frequency_penalty": 0,
}
"""Nothing that changes the distribution: a model may bring defaults of its own."""


class OllamaServer:
    """See the module."""

    kind: ClassVar[str] = "ollama"
    exact: ClassVar[bool] = False
    together: ClassVar[bool] = True
    prompt_tokenizer: None = None
    window: None = None
    workers: int = 4

    def __init__(self, api: Api, identity: Identity) -> None:
        self._api = api
        self.identity = identity
        self._can_think = True

    @classmethod
    def open(cls, api: Api, model: str, listed: Mapping[str, Any]) -> OllamaServer:
        """See `Server.open`; `listed` is the model's entry of /api/tags."""
        version = (api.get("/api/version") or {}).get("version", "")
        return cls(api, Identity(version, model, listed.get("digest", "")))

    def check(self) -> None:
        """See `Server.check`."""
        chat = messages("", "1 + 1 =")
        if not self._chat(chat, logprobs=True, top_logprobs=1, num_predict=1).get("logprobs"):
            raise no_logprobs(self.identity.model)

    def read(self, asked: ServerPrompt) -> LabelRead:
        """See `Server.read`."""
        answer = self._ask(asked, logprobs=True, top_logprobs=TOP, num_predict=1, temperature=0)
        shown = answer.get("logprobs") or [{"top_logprobs": []}]
        return spelt_read(asked, shown[0]["top_logprobs"])

    def draw(self, asked: ServerPrompt, count: int, seed: int) -> Sequence[str]:
        """See `Server.draw`; one at a time, which the prefix cache makes cheap."""
        del count
        answer = self._ask(asked, num_predict=DRAWN, temperature=1, seed=seed)
        return [answer["message"]["content"]]

    def write(self, asked: ServerPrompt, limit: int) -> Rationale:
        """See `Server.write`."""
        answer = self._ask(asked, num_predict=limit, temperature=0, stop=[asked.prefill.strip()])
        return Rationale(
            asked.item,
            asked.metric,
            answer["message"]["content"].strip(),
            tokens=answer.get("eval_count", 0),
            cut=answer.get("done_reason") == "length",
        )

    def reply(self, place: int, chat: Sequence[Message], sampling: Sampling, seed: int) -> Reply:
        """See `Server.reply`; by Ollama's own interface: OpenAI's would cut a long chat unseen."""
        wanted = {"num_predict": sampling.max_tokens, **settings(sampling, seed)}
        think = sampling.thinking and self._can_think
        try:
            answer = self._chat(shown(chat), think=think, **wanted)
        except EngineError as error:
            if not think or "thinking" not in error.message:
                raise
            self._can_think = False
            answer = self._chat(shown(chat), **wanted)
        said = answer["message"]
        found = reply(place, said["content"], thought=said.get("thinking") or "")
        return replace(
            found,
            tokens=answer.get("eval_count", 0),
            prompt_tokens=answer.get("prompt_eval_count", 0),
            cut=answer.get("done_reason") == "length",
        )

    def _ask(self, asked: ServerPrompt, **settings: Any) -> Any:
        return self._chat(messages(asked.system, asked.user, asked.answer_start), **settings)

    def _chat(
        self,
        chat: Sequence[Mapping[str, str]],
        *,
        logprobs: bool = False,
        top_logprobs: int = 0,
        think: bool = False,
        **options: Any,
    ) -> Any:
        body: dict[str, Any] = {
            "model": self.identity.model,
            "messages": chat,
            "stream": False,
            "think": think,
            "truncate": False,
            "shift": False,
            "options": {"num_ctx": _WINDOW, **_AS_IT_IS, **options},
        }
        if logprobs:
            body |= {"logprobs": True, "top_logprobs": top_logprobs}
        answer = self._api.post("/api/chat", body)
        refuse_other(answer, self.identity)
        return answer
