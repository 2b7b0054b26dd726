"""SGLang's server: takes token ids, gives the log-probabilities of exactly the labels.

Its native `/generate` with `token_ids_logprob` returns the log-probabilities that its `/v1/score`
is computed from, and the most probable token with them. It is asked to be greedy, because any other
temperature would be applied before the log-probabilities are taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, ClassVar, Self, TypeVar

from judge.engines.servers.api import Api
from judge.engines.servers.remote_tokenizer import first_text, hub_prompt_tokenizer, tokenizes
from judge.engines.servers.server import (
    UNCHANGED,
    Completion,
    Identity,
    Server,
    ServerPrompt,
    cut_failure,
    read_by_id,
)
from judge.engines.tokens import PromptTokenizer
from judge.types import LabelRead

__all__ = ["SglangServer"]

_Found = TypeVar("_Found")
_UNCHANGED = {**UNCHANGED, "top_k": -1}


class SglangServer(Server):
    """See the module."""

    kind: ClassVar[str] = "sglang"
    chat_defaults: ClassVar[Mapping[str, Any]] = _UNCHANGED

    @classmethod
    def open(cls, api: Api, model: str, listed: Mapping[str, Any]) -> Self:
        """See `Server.open`."""
        info = api.get("/server_info") or api.get("/get_server_info") or {}
        return cls(api, Identity(info.get("version", ""), model), listed.get("max_model_len"))

    @cached_property
    def prompt_tokenizer(self) -> PromptTokenizer:
        """See `Server.prompt_tokenizer`."""
        return hub_prompt_tokenizer(
            self._api, self.identity.model, "text", skip_special_tokens=False
        )

    def can_tokenize(self) -> bool:
        """See `Server.can_tokenize`."""
        return tokenizes(self._api, first_text(self.identity.model))

    def read(self, prompt: ServerPrompt) -> LabelRead:
        """See `Server.read`."""

        def found(answer: Any) -> LabelRead:
            meta = answer["meta_info"]
            failure = cut_failure(prompt, meta["prompt_tokens"])
            if failure:
                return LabelRead(prompt.item, prompt.metric, failure)
            logprobs = {i: value for value, i, *_ in meta["output_token_ids_logprobs"][0]}
            _, top, *_ = meta["output_token_logprobs"][0]
            return read_by_id(prompt, logprobs, top)

        return self._generate(
            prompt,
            found,
            {"max_new_tokens": 1, "temperature": 0},
            return_logprob=True,
            logprob_start_len=-1,  # those of the prompt itself would bypass the prefix cache
            token_ids_logprob=list(prompt.label_ids),
        )

    def complete(
        self, prompt: ServerPrompt, limit: int, *, count: int = 1, seed: int | None = None
    ) -> list[Completion]:
        """See `Server.complete`; one answer a request, which the prefix cache makes cheap."""
        del count
        greedy = {"temperature": 0, "stop": [prompt.prefill.strip()]}
        drawn = {"temperature": 1.0, "sampling_seed": seed}
        settings = {"max_new_tokens": limit, **(greedy if seed is None else drawn)}

        def found(answer: Any) -> list[Completion]:
            meta = answer["meta_info"]
            text = cut_failure(prompt, meta["prompt_tokens"]) or str(answer["text"])
            cut = meta["finish_reason"]["type"] == "length"
            return [Completion(text, meta["completion_tokens"], cut)]

        return self._generate(prompt, found, settings)

    def _generate(
        self,
        prompt: ServerPrompt,
        found: Callable[[Any], _Found],
        sampling: Mapping[str, Any],
        **settings: Any,
    ) -> _Found:
        body = {
            "input_ids": list(prompt.ids),
            "sampling_params": {**_UNCHANGED, **sampling},
            "stream": False,
            **settings,
        }
        return self._api.post("/generate", body, found)
