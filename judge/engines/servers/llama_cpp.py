"""llama.cpp's server: token ids in, the most probable tokens out, with their ids.

It shows the n most probable tokens with their log-probabilities under the whole distribution,
before any sampler. Where a label is not among the first few hundred, all of the vocabulary is asked
for: the prompt is in the cache by then. Each of its slots has a cache of its own, so that the
prompts of a dialogue go one after the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar
from urllib.parse import quote

from judge.engines.servers.api import Api, understood
from judge.engines.servers.chat import reply_of, settings, shown, switched
from judge.engines.servers.remote_tokenizer import (
    TEMPLATE,
    Messages,
    RemoteEncoder,
    remote_prompt_tokenizer,
)
from judge.engines.servers.server import (
    DRAWN,
    Identity,
    ServerPrompt,
    label_read,
    read_whole,
    refuse_other,
)
from judge.engines.tokens import PromptTokenizer
from judge.types import Failure, LabelRead, Message, Rationale, Reply, Sampling

__all__ = ["LlamaCppServer"]

_TOP = 256
_CERTAIN = 1e4
_WANTED = (
    "model",
    "content",
    "completion_probabilities",
    "tokens_evaluated",
    "tokens_predicted",
    "truncated",
    "stop_type",
)
"""Of the answer; the rest of it is many times as long."""
_TO_REPLY = {"samplers": ["temperature", "top_p"], "cache_prompt": True}
"""And no sampler that nobody asked for; the share is one of the heated distribution."""


class LlamaCppServer:
    """See the module."""

    kind: ClassVar[str] = "llama.cpp"
    exact: ClassVar[bool] = True
    together: ClassVar[bool] = True

    def __init__(
        self, api: Api, identity: Identity, names: Sequence[str], vocabulary: int, workers: int
    ) -> None:
        self._api = api
        self._names = names
        self._vocabulary = vocabulary
        self.identity = identity
        self.workers = workers
        self.window: int | None = None

    @classmethod
    def open(cls, api: Api, model: str, listed: Mapping[str, Any]) -> LlamaCppServer:
        """See `Server.open`."""
        props = api.get(f"/props?model={quote(model, safe='')}") or {}
        meta = listed.get("meta") or {}
        mark = "-".join(str(meta[k]) for k in ("n_params", "size", "ftype") if k in meta)
        identity = Identity(props.get("build_info", ""), model, mark)
        names = (*listed.get("aliases", ()), props.get("model_path", model))
        server = cls(api, identity, names, meta.get("n_vocab", 0), props.get("total_slots") or 1)
        server.window = props.get("default_generation_settings", {}).get("n_ctx")
        return server

    @cached_property
    def prompt_tokenizer(self) -> PromptTokenizer:
        """The server's; it spells special tokens out where it is told to."""
        encoder = RemoteEncoder(self._ids, self._text, self._plain_ids)
        bare, begun = self._ids("a"), self._ids("a", add_special=True)
        # The server takes this token out of the text that its template gives.
        begin = self._text(begun[: -len(bare)]) if begun[-len(bare) :] == bare != begun else ""
        return remote_prompt_tokenizer(encoder, self._render, begin, self.identity.model)

    @understood()
    def _ids(self, text: str, **how: bool) -> list[int]:
        asked = {"model": self.identity.model, "content": text, "parse_special": True, **how}
        ids: list[int] = self._api.post("/tokenize", asked)["tokens"]
        return ids

    def _plain_ids(self, text: str) -> list[int]:
        return self._ids(text, parse_special=False)

    @understood()
    def _text(self, ids: Sequence[int]) -> str:
        asked = {"model": self.identity.model, "tokens": list(ids)}
        return str(self._api.post("/detokenize", asked)["content"])

    @understood()
    def _render(self, messages: Messages) -> str:
        asked = {
            "model": self.identity.model,
            "messages": messages,
            "chat_template_kwargs": TEMPLATE,
        }
        return str(self._api.post("/apply-template", asked)["prompt"])

    def check(self) -> None:
        """It always shows them."""

    def read(self, asked: ServerPrompt) -> LabelRead:
        """See `Server.read`."""
        read = self._read(asked, _TOP)
        whole = not isinstance(read.outcome, Failure) and read.reading == "exact"
        return read if whole or self._vocabulary <= _TOP else self._read(asked, self._vocabulary)

    def _read(self, asked: ServerPrompt, top: int) -> LabelRead:
        answer = self._complete(
            asked,
            n_predict=1,
            n_probs=top,
            post_sampling_probs=False,
            temperature=0,
            # A label is generated whatever the judge would say: the server keeps back a token that
            # is part of a character, and its probabilities too. They are taken before this bias.
            logit_bias=[[asked.label_ids[0], _CERTAIN]],
        )
        short = _short(asked, answer)
        if short:
            return LabelRead(asked.item, asked.metric, short)
        shown = answer["completion_probabilities"][0]["top_logprobs"]
        logprobs = {token["id"]: token["logprob"] for token in shown}
        return label_read(asked, logprobs, shown[0]["id"])

    def draw(self, asked: ServerPrompt, count: int, seed: int) -> Sequence[str]:
        """See `Server.draw`; one at a time, which the prefix cache makes cheap."""
        del count
        return [self._complete(asked, n_predict=DRAWN, temperature=1, seed=seed)["content"]]

    def write(self, asked: ServerPrompt, limit: int) -> Rationale:
        """See `Server.write`."""
        answer = self._complete(asked, n_predict=limit, temperature=0, stop=[asked.prefill.strip()])
        return Rationale(
            asked.item,
            asked.metric,
            _short(asked, answer) or answer["content"].strip(),
            tokens=answer["tokens_predicted"],
            cut=answer["stop_type"] == "limit",
        )

    def reply(self, place: int, chat: Sequence[Message], sampling: Sampling, seed: int) -> Reply:
        """See `Server.reply`."""
        body = {
            "model": self.identity.model,
            "messages": shown(chat),
            "max_tokens": sampling.max_tokens,
            **_TO_REPLY,
            **settings(sampling, seed),
            **switched(sampling),
        }
        answer = self._api.post("/v1/chat/completions", body)
        refuse_other(answer, self.identity, self._names)
        return reply_of(place, answer)

    def _complete(self, asked: ServerPrompt, **settings: Any) -> Any:
        body = {
            "model": self.identity.model,
            "prompt": list(asked.ids),
            "cache_prompt": True,
            "response_fields": _WANTED,
            "samplers": ["temperature"],  # and none that changes the distribution
            **settings,
        }
        answer = self._api.post("/completion", body)
        refuse_other(answer, self.identity, self._names)
        return answer


def _short(asked: ServerPrompt, answer: Mapping[str, Any]) -> Failure | None:
    """Why the prompt was not read as it was sent."""
    short = read_whole(asked, answer["tokens_evaluated"])
    if short is None and answer["truncated"]:
        short = Failure("too_long", "the server cut the prompt, or had no room for the answer")
    return short
