"""SGLang's server: token ids in, log-probabilities of exactly the labels out.

Its native `/generate` with `token_ids_logprob` gives what `/v1/score` is made of, and the most
probable token beside it. Greedy, so that the log-probabilities are those of the model's own
distribution: other temperatures are applied before they are taken.
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

__all__ = ["SglangServer"]

_AS_IT_IS = {
    "top_p": 1.0,
    "top_k": -1,
    "min_p": 0.0,
    "repetition_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
}
"""Nothing that changes the distribution: a model may bring defaults of its own."""


class SglangServer:
    """See the module."""

    kind: ClassVar[str] = "sglang"
    exact: ClassVar[bool] = True
    together: ClassVar[bool] = False

    def __init__(self, api: Api, identity: Identity, window: int | None) -> None:
        self._api = api
        self.identity = identity
        self.window = window
        self.workers = 32

    @classmethod
    def open(cls, api: Api, model: str, listed: Mapping[str, Any]) -> SglangServer:
        """See `Server.open`."""
        info = api.get("/server_info") or api.get("/get_server_info") or {}
        return cls(api, Identity(info.get("version", ""), model), listed.get("max_model_len"))

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
        asked = {"model": self.identity.model, "tokens": list(ids), "skip_special_tokens": False}
        return str(self._api.post("/detokenize", asked)["text"])

    def check(self) -> None:
        """It always shows them."""

    def read(self, asked: ServerPrompt) -> LabelRead:
        """See `Server.read`."""
        answer = self._generate(
            asked,
            {"max_new_tokens": 1, "temperature": 0},
            return_logprob=True,
            logprob_start_len=-1,  # none of the prompt's, which would bypass the prefix cache
            token_ids_logprob=list(asked.label_ids),
        )
        told = answer["meta_info"]
        short = read_whole(asked, told["prompt_tokens"])
        if short:
            return LabelRead(asked.item, asked.metric, short)
        logprobs = {i: value for value, i, *_ in told["output_token_ids_logprobs"][0]}
        _, top, *_ = told["output_token_logprobs"][0]
        return label_read(asked, logprobs, top)

    def draw(self, asked: ServerPrompt, count: int, seed: int) -> Sequence[str]:
        """See `Server.draw`; one at a time, which the prefix cache makes cheap."""
        del count
        sampling = {"max_new_tokens": DRAWN, "temperature": 1.0, "sampling_seed": seed}
        return [self._generate(asked, sampling)["text"]]

    def write(self, asked: ServerPrompt, limit: int) -> Rationale:
        """See `Server.write`."""
        sampling = {"max_new_tokens": limit, "temperature": 0, "stop": [asked.prefill.strip()]}
        answer = self._generate(asked, sampling)
        told = answer["meta_info"]
        return Rationale(
            asked.item,
            asked.metric,
            read_whole(asked, told["prompt_tokens"]) or answer["text"].strip(),
            tokens=told["completion_tokens"],
            cut=told["finish_reason"]["type"] == "length",
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

    def _generate(self, asked: ServerPrompt, sampling: Mapping[str, Any], **wanted: Any) -> Any:
        body = {
            "input_ids": list(asked.ids),
            "sampling_params": {**_AS_IT_IS, **sampling},
            "stream": False,
            **wanted,
        }
        return self._api.post("/generate", body)
