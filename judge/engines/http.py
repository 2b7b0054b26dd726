"""A model behind a server with OpenAI's interface, or with a richer one.

Servers that take token ids (vLLM, SGLang, llama.cpp) are asked for the log-probabilities of exactly
the labels, as the engines in this process are. The others are asked for the most probable tokens.
With `samples`, answers are drawn and counted instead, which any server can do. Requests are sent
dialogue by dialogue, so that the server's prefix cache finds what prompts share.

A server cannot prove which weights it has, nor that its numbers do not depend on what else it
computes at the same time. The fingerprint is what it says of itself.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from functools import cached_property
from typing import TypeVar

from judge.engines.chat import FOLDED, fold_system, seeds_of
from judge.engines.interface import EngineOptions, TokenCount
from judge.engines.servers import SERVERS, open_server
from judge.engines.servers.api import Api, TooLong, refuse_malformed
from judge.engines.servers.server import (
    ANSWER_TOKENS,
    Server,
    ServerPrompt,
    prompt_seed,
    refuses_system_role,
)
from judge.errors import EngineError, UsageError
from judge.types import Failure, LabelRead, Message, PromptTree, Rationale, Reply, Sampling

__all__ = ["HttpEngine", "map_in_order"]

_CONNECTIONS = 32
_NOTE = "The weights are what the server says they are: their hash is not known."

_Question = TypeVar("_Question")
_Answer = TypeVar("_Answer")
_OnPrompt = TypeVar("_OnPrompt", LabelRead, Rationale)


class HttpEngine:
    """See the module. Nothing is sent before it is needed.

    Args:
        model: its name on the server.
        options: `base_url` is required; `concurrency` defaults to what the kind of server takes.

    Raises:
        MissingExtraError: httpx2 or tenacity is not installed.
        UsageError: an option that means nothing.
        EngineError: the environment holds a key with characters that no key has.
    """

    can_generate = True

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
        with refuse_malformed():
            return open_server(self._api, self._model, self._options.server)

    @cached_property
    def fingerprint(self) -> str:
        """Kind and version of the server, what it says of the weights, and how it is asked."""
        server = self._server
        parts = ["http/1", server.kind, *server.identity]
        if self._options.samples is not None:
            parts.append(f"{self._options.samples} samples, seed {self._options.seed}")
        return "/".join(filter(None, parts))

    def describe(self) -> Mapping[str, str]:
        """See `Engine.describe`."""
        server = self._server
        stated = {"server_version": server.identity.version, "weights": server.identity.weights}
        samples = self._options.samples
        return {
            "engine": "http",
            "model": server.identity.model,
            "device": "a server",
            "server": server.kind,
            "base_url": self._api.root,
            **{name: value for name, value in stated.items() if value},
            **({} if samples is None else {"samples": str(samples)}),
            **(FOLDED if self._folds else {}),
            "note": _NOTE,
        }

    def count(self, tree: PromptTree) -> TokenCount | None:
        """Tokens of the tree, by the server's tokenizer; None for a server that takes texts."""
        prompt_tokenizer = self._server.prompt_tokenizer
        return None if prompt_tokenizer is None else prompt_tokenizer(tree).count()

    def score(self, tree: PromptTree) -> Iterator[LabelRead]:
        """See `Engine.score`.

        Raises:
            EngineError: also if the server shows no log-probabilities and no samples are drawn.
        """
        sampled = self._options.samples is not None
        if not self._checked and not sampled:
            with refuse_malformed():
                self._server.check()
            self._checked = True
        read = self._read_samples if sampled else self._server.read
        limit = ANSWER_TOKENS if sampled else 1

        def ask(prompt: ServerPrompt) -> LabelRead:
            return self._unless_too_long(prompt, limit, read, LabelRead)

        return self._ask_all(self._prompts(tree), ask)

    def write(self, tree: PromptTree) -> Iterator[Rationale]:
        """See `Engine.write`."""

        def write(prompt: ServerPrompt) -> Rationale:
            text, tokens, cut = self._server.complete(prompt, tree.rationale)[0]
            outcome = text if isinstance(text, Failure) else text.strip()
            return Rationale(prompt.item, prompt.metric, outcome, tokens=tokens, cut=cut)

        def ask(prompt: ServerPrompt) -> Rationale:
            return self._unless_too_long(prompt, tree.rationale, write, Rationale)

        return self._ask_all(self._prompts(tree, write=True), ask)

    def generate(self, chats: Sequence[Sequence[Message]], sampling: Sampling) -> Iterator[Reply]:
        """See `Engine.generate`; token counts are those that the server states."""
        seeds = seeds_of(chats, sampling)

        def ask(index: int) -> Reply:
            try:
                with refuse_malformed():
                    return self._reply(index, chats[index], sampling, seeds[index])
            except TooLong as error:
                return Reply(index, Failure("too_long", str(error)))

        yield from map_in_order(ask, range(len(chats)), self._concurrency)

    def load(self) -> None:
        """The server has loaded the model."""

    def close(self) -> None:
        """The model's memory belongs to the server."""

    @property
    def _concurrency(self) -> int:
        return self._options.concurrency or self._server.concurrency

    def _reply(self, index: int, chat: Sequence[Message], sampling: Sampling, seed: int) -> Reply:
        """The reply to one chat; once a server has refused the system role it gets none again."""
        folds = self._folds
        try:
            sent = fold_system(chat) if folds else chat
            return self._server.reply(index, sent, sampling, seed)
        except EngineError as error:
            if folds or chat[0].role != "system" or not refuses_system_role(error.message):
                raise
        self._folds = True
        return self._server.reply(index, fold_system(chat), sampling, seed)

    def _ask_all(
        self, groups: Sequence[Sequence[ServerPrompt]], ask: Callable[[ServerPrompt], _OnPrompt]
    ) -> Iterator[_OnPrompt]:
        """`ask` of every prompt, in order; the prompts of a group are sent one after the other."""

        def ask_group(group: Sequence[ServerPrompt]) -> list[_OnPrompt]:
            with refuse_malformed():
                return [ask(prompt) for prompt in group]

        for answers in map_in_order(ask_group, groups, self._concurrency):
            yield from answers

    def _prompts(self, tree: PromptTree, *, write: bool = False) -> list[list[ServerPrompt]]:
        """The prompts of the tree: each in a group of its own, or one group a dialogue."""
        prompt_tokenizer = self._server.prompt_tokenizer
        tokens = None if prompt_tokenizer is None else prompt_tokenizer(tree, write=write)
        groups: list[list[ServerPrompt]] = []
        for index, item in enumerate(tree.items):
            shared = tree.profiles[item.dialogue.character] + item.text
            for metric in item.metrics:
                question, reason = tree.questions[metric], item.reasons.get(metric)
                lead = "" if reason is None else f"{reason}\n"
                prompt = ServerPrompt(
                    item=index,
                    metric=metric,
                    labels=tree.labels,
                    prefill=question.prefill,
                    system=tree.system,
                    user=shared + question.text,
                    answer_start="" if write else lead + question.prefill,
                    ids=() if tokens is None else tokens.prompt(index, metric),
                    label_ids=() if tokens is None else tokens.label_ids[metric],
                )
                if self._server.dialogue_in_sequence and groups and groups[-1][0].item == index:
                    groups[-1].append(prompt)
                else:
                    groups.append([prompt])
        return groups

    def _unless_too_long(
        self,
        prompt: ServerPrompt,
        limit: int,
        ask: Callable[[ServerPrompt], _OnPrompt],
        record: type[_OnPrompt],
    ) -> _OnPrompt:
        """`ask(prompt)`, or a failure if the prompt and `limit` tokens do not fit the window."""
        window, length = self._server.window, len(prompt.ids)
        if window is None or length + limit <= window:
            try:
                return ask(prompt)
            except TooLong as error:
                reason = str(error)
        else:
            reason = (
                f"the prompt has {length} tokens and its answer up to {limit}, "
                f"the server's window is {window}"
            )
        return record(prompt.item, prompt.metric, Failure("too_long", reason))

    def _read_samples(self, prompt: ServerPrompt) -> LabelRead:
        """The shares of the labels among drawn answers.

        An answer counts for a label only if it is that label exactly, perhaps after the prefill.
        """
        count, answers = self._options.samples or 0, list[str]()
        first_seed = prompt_seed(prompt, self._options.seed)
        while len(answers) < count:
            drawn = self._server.complete(
                prompt,
                ANSWER_TOKENS,
                count=count - len(answers),
                seed=first_seed + len(answers),
            )
            if not drawn:
                raise EngineError(
                    "the server drew no answer", hint="use another --server, or another model"
                )
            for text, *_ in drawn:
                if isinstance(text, Failure):
                    return LabelRead(prompt.item, prompt.metric, text)
                answers.append(text)
        prefill = prompt.prefill.strip()
        texts = Counter(text.strip().removeprefix(prefill).strip() for text in answers[:count])
        return LabelRead(
            prompt.item,
            prompt.metric,
            tuple(math.log(texts[x] / count) if texts[x] else -math.inf for x in prompt.labels),
            top_is_label=texts.most_common(1)[0][0] in prompt.labels,
            reading="sampled",
        )


def map_in_order(
    ask: Callable[[_Question], _Answer], questions: Sequence[_Question], workers: int
) -> Iterator[_Answer]:
    """`ask` of each question by `workers` threads, begun and returned in the order of `questions`.

    What `ask` raises is raised in the place of its answer, and no question is begun after it. The
    threads are daemons, unlike those of an executor: a program that is interrupted must not wait
    for answers that are still to come.
    """
    answers: list[Future[_Answer]] = [Future() for _ in questions]
    todo = iter(zip(questions, answers, strict=True))
    lock, over = threading.Lock(), threading.Event()

    def work() -> None:
        while not over.is_set():
            with lock:
                question, answer = next(todo, (None, None))
            if question is None or answer is None:
                return
            try:
                answer.set_result(ask(question))
            except BaseException as error:  # noqa: BLE001  it is raised where the answer is wanted
                over.set()  # every question before this one has been begun
                answer.set_exception(error)

    for _ in range(min(workers, len(questions))):
        threading.Thread(target=work, daemon=True).start()
    try:
        for answer in answers:
            yield answer.result()
    finally:
        over.set()
