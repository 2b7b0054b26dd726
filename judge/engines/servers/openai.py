"""Any other server with OpenAI's interface: chats in, the 20 most probable tokens out.

Such a server does not continue an answer that was begun, so that the prefill stands at the end of
the user's message.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from judge.engines.servers.api import Api
from judge.engines.servers.chat import filtered, reply_of, settings, shown
from judge.engines.servers.server import DRAWN, Identity, ServerPrompt, refuse_other
from judge.engines.servers.text import TOP, messages, no_logprobs, spelt_read
from judge.errors import EngineError
from judge.types import LabelRead, Message, Rationale, Reply, Sampling

__all__ = ["OpenAiServer"]

_DATED = re.compile(r"-\d{4}-\d{2}-\d{2}$")
"""What OpenAI adds to the name of a model to say which edition of it has answered."""

_NEWER = "max_completion_tokens"


class OpenAiServer:
    """See the module."""

    kind: ClassVar[str] = "openai"
    exact: ClassVar[bool] = False
    together: ClassVar[bool] = False
    prompt_tokenizer: None = None
    window: None = None
    workers: int = 32

    def __init__(self, api: Api, identity: Identity) -> None:
        self._api = api
        self.identity = identity
        self._limit = "max_tokens"

    @classmethod
    def open(cls, api: Api, model: str, listed: Mapping[str, Any]) -> OpenAiServer:
        """See `Server.open`."""
        del listed
        return cls(api, Identity("", model))

    def check(self) -> None:
        """See `Server.check`."""
        choice = self._chat(messages("", "1 + 1 ="), max_tokens=1, logprobs=True, top_logprobs=1)[
            "choices"
        ][0]
        if not (choice.get("logprobs") or {}).get("content"):
            raise no_logprobs(self.identity.model)

    def read(self, asked: ServerPrompt) -> LabelRead:
        """See `Server.read`."""
        choice = self._ask(asked, max_tokens=1, temperature=0, logprobs=True, top_logprobs=TOP)[
            "choices"
        ][0]
        if (failure := filtered(choice)) is not None:
            return LabelRead(asked.item, asked.metric, failure)
        shown = (choice.get("logprobs") or {}).get("content") or [{"top_logprobs": []}]
        return spelt_read(asked, shown[0]["top_logprobs"])

    def draw(self, asked: ServerPrompt, count: int, seed: int) -> Sequence[str]:
        """See `Server.draw`."""
        answer = self._ask(asked, max_tokens=DRAWN, temperature=1, top_p=1, n=count, seed=seed)
        return [choice["message"]["content"] or "" for choice in answer["choices"]]

    def write(self, asked: ServerPrompt, limit: int) -> Rationale:
        """See `Server.write`."""
        answer = self._ask(asked, max_tokens=limit, temperature=0, stop=[asked.prefill.strip()])
        choice = answer["choices"][0]
        return Rationale(
            asked.item,
            asked.metric,
            filtered(choice) or (choice["message"]["content"] or "").strip(),
            tokens=(answer.get("usage") or {}).get("completion_tokens", 0),
            cut=choice["finish_reason"] == "length",
        )

    def reply(self, place: int, chat: Sequence[Message], sampling: Sampling, seed: int) -> Reply:
        """See `Server.reply`; newer models of OpenAI know the limit by another name only."""
        wanted = settings(sampling, seed)
        try:
            answer = self._chat(shown(chat), **{self._limit: sampling.max_tokens}, **wanted)
        except EngineError as error:
            if _NEWER not in error.message:
                raise
            self._limit = _NEWER
            answer = self._chat(shown(chat), **{_NEWER: sampling.max_tokens}, **wanted)
        return reply_of(place, answer)

    def _ask(self, asked: ServerPrompt, **settings: Any) -> Any:
        user = f"{asked.user}\n{asked.answer_start}" if asked.answer_start else asked.user
        return self._chat(messages(asked.system, user), **settings)

    def _chat(self, chat: Sequence[Mapping[str, str]], **settings: Any) -> Any:
        body = {"model": self.identity.model, "messages": chat, **settings}
        answer = self._api.post(f"{self._api.v1}/chat/completions", body)
        refuse_other(answer, self.identity, [self.identity.model + _date(answer)])
        return answer


def _date(answer: Mapping[str, Any]) -> str:
    found = _DATED.search(str(answer.get("model", "")))
    return found[0] if found else ""
