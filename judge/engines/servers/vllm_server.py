"""vLLM's server: token ids in, log-probabilities of exactly the labels out.

`logprob_token_ids` (vLLM 0.32) names the tokens whose log-probabilities are wanted, whatever their
rank. Older servers ignore it and show the most probable tokens: labels that are not among them
make the read a truncated one. The texts of the prompts are made ids by the server's own tokenizer,
so that what is shared in text is shared in its prefix cache.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

from judge.engines.servers.api import Api, understood
from judge.engines.servers.chat import reply_of, settings, shown, switched
from judge.engines.servers.remote_tokenizer import hub_prompt_tokenizer
from judge.engines.servers.server import (
    DRAWN,
    Identity,
    ServerPrompt,
    label_read,
    read_whole,
    refuse_other,
)
from judge.engines.tokens import PromptTokenizer
from judge.types import LabelRead, Message, Rationale, Reply, Sampling

__all__ = ["VllmServer"]

_AS_IT_IS = {
    "top_p": 1,
    "top_k": 0,
    "min_p": 0,
    "repetition_penalty": 1,
    "presence_penalty": 0,
    "frequency_penalty": 0,
}
"""Nothing that changes the distribution: a model may bring defaults of its own."""

_TOP = 20
_ID = "token_id:"


class VllmServer:
    """See the module."""

    kind: ClassVar[str] = "vllm"
    exact: ClassVar[bool] = True
    together: ClassVar[bool] = False

    def __init__(self, api: Api, identity: Identity, window: int | None) -> None:
        self._api = api
        self.identity = identity
        self.window = window
        self.workers = 32

    @classmethod
    def open(cls, api: Api, model: str, listed: Mapping[str, Any]) -> VllmServer:
        """See `Server.open`."""
        version = (api.get("/version") or {}).get("version", "")
        return cls(api, Identity(version, model), listed.get("max_model_len"))

    @cached_property
    def prompt_tokenizer(self) -> PromptTokenizer:
        """The server's."""
        return hub_prompt_tokenizer(self._tokenize, self._text, self.identity.model)

    @understood()
    def _tokenize(self, **asked: Any) -> Sequence[int]:
        answer = self._api.post("/tokenize", {"model": self.identity.model, **asked})
        ids: list[int] = answer["tokens"]
        return ids

    @understood()
    def _text(self, ids: Sequence[int]) -> str:
        asked = {"model": self.identity.model, "tokens": list(ids)}
        return str(self._api.post("/detokenize", asked)["prompt"])

    def check(self) -> None:
        """It always shows them."""

    def read(self, asked: ServerPrompt) -> LabelRead:
        """See `Server.read`."""
        answer = self._complete(
            asked,
            max_tokens=1,
            temperature=0,
            logprobs=_TOP,
            logprob_token_ids=list(asked.label_ids),
            return_tokens_as_token_ids=True,
        )
        short = read_whole(asked, answer["usage"]["prompt_tokens"])
        if short:
            return LabelRead(asked.item, asked.metric, short)
        shown = answer["choices"][0]["logprobs"]
        logprobs = {_id(token): value for token, value in shown["top_logprobs"][0].items()}
        return label_read(asked, logprobs, _id(shown["tokens"][0]))

    def draw(self, asked: ServerPrompt, count: int, seed: int) -> Sequence[str]:
        """See `Server.draw`."""
        answer = self._complete(asked, max_tokens=DRAWN, temperature=1, n=count, seed=seed)
        return [choice["text"] for choice in answer["choices"]]

    def write(self, asked: ServerPrompt, limit: int) -> Rationale:
        """See `Server.write`."""
        answer = self._complete(
            asked, max_tokens=limit, temperature=0, stop=[asked.prefill.strip()]
        )
        choice, used = answer["choices"][0], answer["usage"]
        return Rationale(
            asked.item,
            asked.metric,
            read_whole(asked, used["prompt_tokens"]) or choice["text"].strip(),
            tokens=used["completion_tokens"],
            cut=choice["finish_reason"] == "length",
        )

    def reply(self, place: int, chat: Sequence[Message], sampling: Sampling, seed: int) -> Reply:
        """See `Server.reply`."""
        body = {
            "model": self.identity.model,
            "messages": shown(chat),
            "max_tokens": sampling.max_tokens,
            **_AS_IT_IS,
            **settings(sampling, seed),
            **switched(sampling),
        }
        answer = self._api.post("/v1/chat/completions", body)
        refuse_other(answer, self.identity)
        return reply_of(place, answer)

    def _complete(self, asked: ServerPrompt, **settings: Any) -> Any:
        body = {"model": self.identity.model, "prompt": list(asked.ids), **_AS_IT_IS, **settings}
        answer = self._api.post("/v1/completions", body)
        refuse_other(answer, self.identity)
        return answer


def _id(token: str) -> int:
    return int(token.removeprefix(_ID))
