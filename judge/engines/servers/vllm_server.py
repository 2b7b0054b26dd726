"""vLLM's server: takes token ids, gives the log-probabilities of exactly the labels.

`logprob_token_ids` (vLLM 0.32) names the tokens whose log-probabilities are wanted, whatever their
rank. Older servers ignore it and show the most probable tokens: a read that lacks a label is then
marked as truncated. The server's own tokenizer turns the prompts into ids, segment by segment, so
that prompts that share text also share entries of its prefix cache.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Self

from judge.engines.servers.api import Api
from judge.engines.servers.remote_tokenizer import hub_prompt_tokenizer
from judge.engines.servers.server import (
    TOP_TOKENS,
    UNCHANGED,
    Completion,
    Identity,
    Server,
    ServerPrompt,
    cut_failure,
    read_by_id,
    refuse_other_model,
)
from judge.engines.tokens import PromptTokenizer
from judge.types import LabelRead, Message, Reply, Sampling

__all__ = ["VllmServer"]

_UNCHANGED = {**UNCHANGED, "top_k": 0}

_ID = "token_id:"


class VllmServer(Server):
    """See the module."""

    kind: ClassVar[str] = "vllm"

    @classmethod
    def open(cls, api: Api, model: str, listed: Mapping[str, Any]) -> Self:
        """See `Server.open`."""
        version = (api.get("/version") or {}).get("version", "")
        return cls(api, Identity(version, model), listed.get("max_model_len"))

    @cached_property
    def prompt_tokenizer(self) -> PromptTokenizer:
        """See `Server.prompt_tokenizer`."""
        return hub_prompt_tokenizer(self._api, self.identity.model, "prompt")

    def read(self, prompt: ServerPrompt) -> LabelRead:
        """See `Server.read`."""
        answer = self._post(
            prompt,
            max_tokens=1,
            temperature=0,
            logprobs=TOP_TOKENS,
            logprob_token_ids=list(prompt.label_ids),
            return_tokens_as_token_ids=True,
        )
        failure = cut_failure(prompt, answer["usage"]["prompt_tokens"])
        if failure:
            return LabelRead(prompt.item, prompt.metric, failure)
        shown = answer["choices"][0]["logprobs"]
        logprobs = {_token_id(token): value for token, value in shown["top_logprobs"][0].items()}
        return read_by_id(prompt, logprobs, _token_id(shown["tokens"][0]))

    def complete(
        self, prompt: ServerPrompt, limit: int, *, count: int = 1, seed: int | None = None
    ) -> list[Completion]:
        """See `Server.complete`."""
        greedy = {"temperature": 0, "stop": [prompt.prefill.strip()]}
        drawn = {"temperature": 1, "n": count, "seed": seed}
        answer = self._post(prompt, max_tokens=limit, **(greedy if seed is None else drawn))
        usage = answer["usage"]
        failure = cut_failure(prompt, usage["prompt_tokens"])
        return [
            Completion(
                failure or choice["text"],
                usage["completion_tokens"],
                choice["finish_reason"] == "length",
            )
            for choice in answer["choices"]
        ]

    def reply(self, index: int, chat: Sequence[Message], sampling: Sampling, seed: int) -> Reply:
        """See `Server.reply`."""
        return self._chat_reply(index, chat, sampling, seed, _UNCHANGED)

    def _post(self, prompt: ServerPrompt, **settings: Any) -> Any:
        body = {"model": self.identity.model, "prompt": list(prompt.ids), **_UNCHANGED, **settings}
        answer = self._api.post("/v1/completions", body)
        refuse_other_model(answer, self.identity)
        return answer


def _token_id(token: str) -> int:
    return int(token.removeprefix(_ID))
