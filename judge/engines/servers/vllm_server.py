"""vLLM's server: takes token ids, gives the log-probabilities of exactly the labels.

`logprob_token_ids` (vLLM 0.32) names the tokens whose log-probabilities are wanted, whatever their
rank. Older servers ignore it and show the most probable tokens: a read that lacks a label is then
marked as truncated. The server's own tokenizer turns the prompts into ids, segment by segment, so
that prompts that share text also share entries of its prefix cache.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, ClassVar, Self, TypeVar

from judge.engines.servers.api import Api
from judge.engines.servers.faults import RefusedError
from judge.engines.servers.remote_tokenizer import first_text, hub_prompt_tokenizer, tokenizes
from judge.engines.servers.server import (
    TOP_TOKENS,
    UNCHANGED,
    Completion,
    Identity,
    Server,
    ServerPrompt,
    cut_failure,
    read_by_id,
    read_by_text,
    refuse_broken,
)
from judge.engines.tokens import PromptTokenizer
from judge.types import Failure, LabelRead

__all__ = ["VllmServer"]

_UNCHANGED = {**UNCHANGED, "top_k": 0}

_ID = "token_id:"
_FEWEST = 5
_log = logging.getLogger(__name__)
_Found = TypeVar("_Found")


class VllmServer(Server):
    """See the module."""

    kind: ClassVar[str] = "vllm"
    chat_defaults: ClassVar[Mapping[str, Any]] = _UNCHANGED
    _top: int = TOP_TOKENS
    _takes_labels: bool = True

    @classmethod
    def open(cls, api: Api, model: str, listed: Mapping[str, Any]) -> Self:
        """See `Server.open`."""
        version = (api.get("/version") or {}).get("version", "")
        return cls(api, Identity(version, model), listed.get("max_model_len"))

    @cached_property
    def prompt_tokenizer(self) -> PromptTokenizer:
        """See `Server.prompt_tokenizer`."""
        return hub_prompt_tokenizer(self._api, self.identity.model, "prompt")

    def can_tokenize(self) -> bool:
        """See `Server.can_tokenize`."""
        return tokenizes(self._api, first_text(self.identity.model))

    def read(self, prompt: ServerPrompt) -> LabelRead:
        """See `Server.read`."""

        def found(answer: Any) -> LabelRead:
            failure = _cut_failure(prompt, answer)
            if failure:
                return LabelRead(prompt.item, prompt.metric, failure)
            logprobs = answer["choices"][0]["logprobs"]
            shown, top = logprobs["top_logprobs"][0], logprobs["tokens"][0]
            if not all(token.startswith(_ID) for token in shown):  # older servers show texts
                return read_by_text(prompt, [{"token": t, "logprob": p} for t, p in shown.items()])
            return read_by_id(prompt, {_token_id(t): p for t, p in shown.items()}, _token_id(top))

        while True:
            labels = {"logprob_token_ids": list(prompt.label_ids)} if self._takes_labels else {}
            top = self._top
            try:
                return self._post(
                    prompt,
                    found,
                    max_tokens=1,
                    temperature=0,
                    logprobs=top,
                    **labels,
                    return_tokens_as_token_ids=True,
                )
            except RefusedError as error:
                if error.status not in {400, 422} or not self._learn(error, top):
                    raise

    def _learn(self, error: RefusedError, top: int) -> bool:
        """Whether the refusal says that fewer tokens may be asked for, or not the labels' own."""
        if error.mentions("logprob_token_ids"):
            self._takes_labels, before = False, self._takes_labels
            return before
        if not error.mentions("logprobs") or top <= _FEWEST:
            return False
        self._top = min(self._top, max(_FEWEST, top // 2))  # 20, 10, 5
        _log.info("the server is asked for the %d most probable tokens only", self._top)
        return True

    def complete(
        self, prompt: ServerPrompt, limit: int, *, count: int = 1, seed: int | None = None
    ) -> list[Completion]:
        """See `Server.complete`."""
        greedy = {"temperature": 0, "stop": [prompt.prefill.strip()]}
        drawn = {"temperature": 1, "n": count, "seed": seed}

        def found(answer: Any) -> list[Completion]:
            failure = _cut_failure(prompt, answer)
            tokens = (answer.get("usage") or {}).get("completion_tokens") or 0
            return [
                Completion(failure or str(choice["text"]), tokens, _is_cut(choice))
                for choice in answer["choices"]
            ]

        settings = greedy if seed is None else drawn
        return self._post(prompt, found, max_tokens=limit, **settings)

    def _post(
        self, prompt: ServerPrompt, found: Callable[[Any], _Found], **settings: Any
    ) -> _Found:
        body = {"model": self.identity.model, "prompt": list(prompt.ids), **_UNCHANGED, **settings}
        return self._api.post("/v1/completions", body, self._named(found))


def _cut_failure(prompt: ServerPrompt, answer: Any) -> Failure | None:
    return cut_failure(prompt, (answer.get("usage") or {}).get("prompt_tokens"))


def _is_cut(choice: Any) -> bool:
    refuse_broken(choice)
    return bool(choice["finish_reason"] == "length")


def _token_id(token: str) -> int:
    return int(token.removeprefix(_ID))
