"""A judge behind a server with OpenAI's interface, or a richer one.

Servers that take token ids (vLLM, SGLang, llama.cpp) are asked for the log-probabilities of exactly
the labels, as the engines in this process are; the others for the most probable tokens. With
`samples` answers are drawn and counted instead, which any server can do. Requests go out dialogue
by dialogue, so that the server's prefix cache finds what prompts share.

A server cannot prove which weights it has, nor that it reads the same in tomorrow's company: the
fingerprint is what it says of itself.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TypeVar

from judge.engines.chat import FOLDED, fold, seeds_of
from judge.engines.interface import Capabilities, EngineOptions, TokenCount
from judge.engines.servers import SERVERS, open_server
from judge.engines.servers.api import Api, TooLong, understood
from judge.engines.servers.chat import refuses_system
from judge.engines.servers.server import DRAWN, Server, ServerPrompt, seed_of
from judge.engines.servers.workers import in_order
from judge.errors import EngineError, UsageError
from judge.types import Failure, LabelRead, Message, PromptTree, Rationale, Reply, Sampling

__all__ = ["HttpEngine"]

_CONNECTIONS = 32
_WORD = "The weights are what the server says they are: their hash is not known."

_Answer = TypeVar("_Answer", LabelRead, Rationale)


class HttpEngine:
    """See the module; nothing is asked before it is needed.

    Args:
        model: as the server calls it.
        options: `base_url` is needed; `concurrency` defaults to what the kind of server takes.

    Raises:
        MissingExtraError: httpx2 or tenacity is not installed.
        UsageError: an option that means nothing.
        EngineError: the key in the environment is none.
    """

    def __init__(self, model: str, options: EngineOptions) -> None:
        if options.base_url is None:
            raise UsageError(
                f"{model} is a model on a server, and no address was given",
                hint="add --base-url http://localhost:8000/v1",
            )
        if options.server is not None and options.server not in SERVERS:
            raise UsageError(
                f"--server {options.server}: unknown", hint=f"choose from {', '.join(SERVERS)}"
            )
        for option in ("concurrency", "samples"):
            value = getattr(options, option)
            if value is not None and value < 1:
                raise UsageError(
                    f"--{option} {value}: at least 1", hint="leave it out, or raise it"
                )
        self._model = model
        self._options = options
        self._api = Api(options.base_url, options.concurrency or _CONNECTIONS)
        self._checked = False
        self._folds = False
        self.batch_size = options.batch_size or 32

    @cached_property
    def _server(self) -> Server:
        with understood():
            return open_server(self._api, self._model, self._options.server)

    @property
    def capabilities(self) -> Capabilities:
        """What the server can do."""
        tokens = self._server.prompt_tokenizer is not None
        exact = self._server.exact and self._options.samples is None
        return Capabilities(exact_label_ids=exact, token_prompts=tokens, generate=True)

    @cached_property
    def fingerprint(self) -> str:
        """The kind and version of the server, its word for the weights, and how it is asked."""
        server = self._server
        parts = ["http/1", server.kind, *server.identity]
        if self._options.samples is not None:
            parts.append(f"{self._options.samples} samples, seed {self._options.seed}")
        return "/".join(filter(None, parts))

    def describe(self) -> Mapping[str, str]:
        """What stands in the manifest."""
        server = self._server
        told = {"server_version": server.identity.version, "weights": server.identity.mark}
        samples = self._options.samples
        return {
            "engine": "http",
            "model": server.identity.model,
            "device": "a server",
            "server": server.kind,
            "base_url": self._api.root,
            **{name: value for name, value in told.items() if value},
            **({} if samples is None else {"samples": str(samples)}),
            **(FOLDED if self._folds else {}),
            "note": _WORD,
        }

    def count(self, tree: PromptTree) -> TokenCount | None:
        """Tokens of the tree, by the server's tokenizer; None if it takes texts."""
        prompt_tokenizer = self._server.prompt_tokenizer
        return None if prompt_tokenizer is None else prompt_tokenizer(tree).count()

    def score(self, tree: PromptTree) -> Iterator[LabelRead]:
        """See `Engine.score`.

        Raises:
            EngineError: also where the server shows no log-probabilities and none are counted.
        """
        counted = self._options.samples is not None
        if not self._checked and not counted:
            with understood():
                self._server.check()
            self._checked = True

        def ask(asked: ServerPrompt) -> LabelRead:
            failure = self._too_long(asked, DRAWN if counted else 1)
            if failure is not None:
                return LabelRead(asked.item, asked.metric, failure)
            try:
                return self._count(asked) if counted else self._server.read(asked)
            except TooLong as error:
                return LabelRead(asked.item, asked.metric, Failure("too_long", str(error)))

        return self._each(self._prompts(tree), ask)

    def write(self, tree: PromptTree) -> Iterator[Rationale]:
        """See `Engine.write`."""

        def ask(asked: ServerPrompt) -> Rationale:
            failure = self._too_long(asked, tree.rationale)
            if failure is not None:
                return Rationale(asked.item, asked.metric, failure)
            try:
                return self._server.write(asked, tree.rationale)
            except TooLong as error:
                return Rationale(asked.item, asked.metric, Failure("too_long", str(error)))

        return self._each(self._prompts(tree, write=True), ask)

    def generate(self, chats: Sequence[Sequence[Message]], sampling: Sampling) -> Iterator[Reply]:
        """See `Engine.generate`; the server's word is taken for what it counts."""
        seeds = seeds_of(chats, sampling)

        def ask(place: int) -> Reply:
            try:
                with understood():
                    return self._reply(place, chats[place], sampling, seeds[place])
            except TooLong as error:
                return Reply(place, Failure("too_long", str(error)))

        workers = self._options.concurrency or self._server.workers
        yield from in_order(ask, range(len(chats)), workers)

    def load(self) -> None:
        """The server has done it."""

    def close(self) -> None:
        """The model's memory is the server's."""

    def _reply(self, place: int, chat: Sequence[Message], sampling: Sampling, seed: int) -> Reply:
        """Of a server that refuses the system role, without one: it is not offered again."""
        folds = self._folds
        try:
            sent = fold(chat) if folds else chat
            return self._server.reply(place, sent, sampling, seed)
        except EngineError as error:
            if folds or chat[0].role != "system" or not refuses_system(error.message):
                raise
        self._folds = True
        return self._server.reply(place, fold(chat), sampling, seed)

    def _each(
        self, prompts: Sequence[Sequence[ServerPrompt]], ask: Callable[[ServerPrompt], _Answer]
    ) -> Iterator[_Answer]:
        """`ask` of every prompt, in order; the prompts of one group go one after the other."""

        def group(asked: Sequence[ServerPrompt]) -> list[_Answer]:
            with understood():
                return [ask(one) for one in asked]

        workers = self._options.concurrency or self._server.workers
        for answers in in_order(group, prompts, workers):
            yield from answers

    def _prompts(self, tree: PromptTree, *, write: bool = False) -> list[list[ServerPrompt]]:
        """The prompts of the tree: those of a dialogue in one group, or each in its own."""
        prompt_tokenizer = self._server.prompt_tokenizer
        tokens = None if prompt_tokenizer is None else prompt_tokenizer(tree, write=write)
        groups: list[list[ServerPrompt]] = []
        for index, item in enumerate(tree.items):
            shared = tree.profiles[item.dialogue.character] + item.text
            for metric in item.metrics:
                question, reason = tree.questions[metric], item.reasons.get(metric)
                answer_start = (
                    question.prefill if reason is None else f"{reason}\n{question.prefill}"
                )
                asked = ServerPrompt(
                    item=index,
                    metric=metric,
                    labels=tree.labels,
                    prefill=question.prefill,
                    system=tree.system,
                    user=shared + question.text,
                    answer_start="" if write else answer_start,
                    ids=() if tokens is None else tokens.prompt(index, metric),
                    label_ids=() if tokens is None else tokens.label_ids[metric],
                )
                if self._server.together and groups and groups[-1][0].item == index:
                    groups[-1].append(asked)
                else:
                    groups.append([asked])
        return groups

    def _too_long(self, asked: ServerPrompt, more: int) -> Failure | None:
        window = self._server.window
        if window is None or len(asked.ids) + more <= window:
            return None
        reason = (
            f"the prompt has {len(asked.ids)} tokens and its answer up to {more}, "
            f"the server's window is {window}"
        )
        return Failure("too_long", reason)

    def _count(self, asked: ServerPrompt) -> LabelRead:
        """Shares of drawn answers; one that is not exactly a label counts for none."""
        wanted, answers = self._options.samples or 0, list[str]()
        first = seed_of(asked, self._options.seed)
        while len(answers) < wanted:
            drawn = self._server.draw(asked, wanted - len(answers), first + len(answers))
            if not drawn:
                raise EngineError(
                    "the server drew no answer", hint="another --server, or another model"
                )
            answers += drawn
        prefill = asked.prefill.strip()
        said = Counter(text.strip().removeprefix(prefill).strip() for text in answers[:wanted])
        return LabelRead(
            asked.item,
            asked.metric,
            tuple(math.log(said[x] / wanted) if said[x] else -math.inf for x in asked.labels),
            top_is_label=said.most_common(1)[0][0] in asked.labels,
            reading="sampled",
        )
