"""llama.cpp's server: takes token ids, shows the most probable tokens with their ids.

Their log-probabilities are under the whole distribution, before any sampler. If a label is not
among the first few hundred, the whole vocabulary is asked for: the prompt is in the cache by then.
Each slot of the server has a cache of its own, so the prompts of a dialogue are sent one after the
other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Self, TypeVar
from urllib.parse import quote

from judge.engines.servers.api import Api
from judge.engines.servers.remote_tokenizer import (
    TEMPLATE_VARIABLES,
    RemoteEncoder,
    begin_token,
    read_ids,
    remote_prompt_tokenizer,
    tokenizes,
)
from judge.engines.servers.server import (
    Completion,
    Identity,
    Server,
    ServerPrompt,
    cut_failure,
    read_by_id,
)
from judge.engines.tokens import Messages, PromptTokenizer
from judge.types import Failure, LabelRead

__all__ = ["LlamaCppServer"]

_Found = TypeVar("_Found")
_TOP = 256
_CERTAIN = 1e4
_FIELDS = (
    "model",
    "content",
    "completion_probabilities",
    "tokens_evaluated",
    "tokens_predicted",
    "truncated",
    "stop_type",
)
"""The part of an answer that is used; the rest is many times as long."""


class LlamaCppServer(Server):
    """See the module."""

    kind: ClassVar[str] = "llama.cpp"
    dialogue_in_sequence: ClassVar[bool] = True
    chat_defaults: ClassVar[Mapping[str, Any]] = {
        "samplers": ["temperature", "top_p"],  # no other ones, and in this order
        "cache_prompt": True,
    }
    _vocabulary: int = 0

    @classmethod
    def open(cls, api: Api, model: str, listed: Mapping[str, Any]) -> Self:
        """See `Server.open`."""
        props = api.get(f"/props?model={quote(model, safe='')}") or {}
        meta = listed.get("meta") or {}
        weights = "-".join(str(meta[k]) for k in ("n_params", "size", "ftype") if k in meta)
        window = props.get("default_generation_settings", {}).get("n_ctx")
        server = cls(api, Identity(props.get("build_info", ""), model, weights), window)
        server.concurrency = props.get("total_slots") or 1
        server.accepted |= {*listed.get("aliases", ()), props.get("model_path", model)}
        server._vocabulary = meta.get("n_vocab", 0)
        return server

    @cached_property
    def prompt_tokenizer(self) -> PromptTokenizer:
        """See `Server.prompt_tokenizer`; this server can spell special tokens out."""
        encoder = RemoteEncoder(self._ids, self._text, self._plain_ids)
        # The server takes this token out of the text that its template gives.
        begin = begin_token(self._ids("a"), self._ids("a", add_special=True), self._text)
        return remote_prompt_tokenizer(encoder, self._render, begin, self.identity.model)

    def can_tokenize(self) -> bool:
        """See `Server.can_tokenize`."""
        return tokenizes(self._api, self._text_body("a"))

    def _text_body(self, text: str, **options: bool) -> dict[str, Any]:
        return {"model": self.identity.model, "content": text, "parse_special": True, **options}

    def _ids(self, text: str, **options: bool) -> list[int]:
        return self._api.post("/tokenize", self._text_body(text, **options), read_ids)

    def _plain_ids(self, text: str) -> list[int]:
        return self._ids(text, parse_special=False)

    def _text(self, ids: Sequence[int]) -> str:
        body = {"model": self.identity.model, "tokens": list(ids)}
        return self._api.post("/detokenize", body, lambda answer: str(answer["content"]))

    def _render(self, messages: Messages) -> str:
        body = {
            "model": self.identity.model,
            "messages": messages,
            "chat_template_kwargs": TEMPLATE_VARIABLES,
        }
        return self._api.post("/apply-template", body, lambda answer: str(answer["prompt"]))

    def read(self, prompt: ServerPrompt) -> LabelRead:
        """See `Server.read`."""
        read = self._read(prompt, _TOP)
        complete = not isinstance(read.outcome, Failure) and read.reading == "exact"
        return (
            read if complete or self._vocabulary <= _TOP else self._read(prompt, self._vocabulary)
        )

    def _read(self, prompt: ServerPrompt, top: int) -> LabelRead:
        def found(answer: Any) -> LabelRead:
            failure = _cut_failure(prompt, answer)
            if failure:
                return LabelRead(prompt.item, prompt.metric, failure)
            shown = answer["completion_probabilities"][0]["top_logprobs"]
            logprobs = {token["id"]: token["logprob"] for token in shown}
            return read_by_id(prompt, logprobs, shown[0]["id"])

        return self._post(
            prompt,
            found,
            n_predict=1,
            n_probs=top,
            post_sampling_probs=False,
            temperature=0,
            # The server holds back a token that is only part of a character, and its probabilities
            # with it. So a label is made to be generated, by a bias that is added after the
            # probabilities are taken.
            logit_bias=[[prompt.label_ids[0], _CERTAIN]],
        )

    def complete(
        self, prompt: ServerPrompt, limit: int, *, count: int = 1, seed: int | None = None
    ) -> list[Completion]:
        """See `Server.complete`; one answer a request, which the prefix cache makes cheap."""
        del count
        greedy = {"temperature": 0, "stop": [prompt.prefill.strip()]}
        drawn = {"temperature": 1, "seed": seed}

        def found(answer: Any) -> list[Completion]:
            text = _cut_failure(prompt, answer) or str(answer["content"])
            return [Completion(text, answer["tokens_predicted"], answer["stop_type"] == "limit")]

        settings = greedy if seed is None else drawn
        return self._post(prompt, found, n_predict=limit, **settings)

    def _post(
        self, prompt: ServerPrompt, found: Callable[[Any], _Found], **settings: Any
    ) -> _Found:
        body = {
            "model": self.identity.model,
            "prompt": list(prompt.ids),
            "cache_prompt": True,
            "response_fields": _FIELDS,
            "samplers": ["temperature"],  # no other one, for it would change the distribution
            **settings,
        }
        return self._api.post("/completion", body, self._named(found))


def _cut_failure(prompt: ServerPrompt, answer: Mapping[str, Any]) -> Failure | None:
    failure = cut_failure(prompt, answer["tokens_evaluated"])
    if failure is None and answer["truncated"]:
        failure = Failure("too_long", "the server cut the prompt, or had no room for the answer")
    return failure
