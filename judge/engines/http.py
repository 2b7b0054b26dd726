"""A model behind a server with OpenAI's interface, or with a richer one.

Servers that take token ids (vLLM, SGLang, llama.cpp) are asked for the log-probabilities of exactly
the labels, as the local engines are. The others are asked for the most probable tokens.
With `samples`, answers are drawn and counted instead, which any server can do. Requests are sent
dialogue by dialogue, so that the server's prefix cache finds what prompts share.

What a server refuses for one prompt is a failure of that prompt. Only where it answers nothing at
all any more, also no harmless question, is there an error.

A server cannot prove which weights it has, nor that its numbers do not depend on what else it
computes at the same time. The fingerprint is what it says of itself.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TypeVar

from judge.engines.chat import FOLDED, fold_system, make_reply, seeds_of
from judge.engines.interface import Answer, EngineOptions, TokenCount
from judge.engines.servers import SERVERS, open_server
from judge.engines.servers.api import Api
from judge.engines.servers.arrivals import as_they_come, in_order
from judge.engines.servers.faults import GaveUpError, RefusedError, refuse_malformed
from judge.engines.servers.server import (
    ANSWER_TOKENS,
    Server,
    ServerPrompt,
    label_in,
    prompt_seed,
    refuses_system_role,
)
from judge.engines.tokens import TokenTree
from judge.errors import EngineError, UsageError
from judge.types import (
    Chats,
    Failure,
    LabelRead,
    Message,
    PromptItem,
    PromptTree,
    Rationale,
    Reply,
    Sampling,
    Seeds,
)

__all__ = ["HttpEngine"]

_CONNECTIONS = 32
_THOUGHT_TOKENS = 2048
"""Most tokens of a drawn answer of a model that thinks first."""
_HARMLESS = "1 + 1 ="
_NOTE = "The weights are what the server says they are: their hash is not known."

_Question = TypeVar("_Question")
_Result = TypeVar("_Result")


class HttpEngine:
    """See the module. Nothing is sent before it is needed.

    Args:
        model: its name on the server.
        options: `base_url` is required; `concurrency` defaults to what the kind of server takes.

    Raises:
        MissingExtraError: httpx2 is not installed.
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
        self._api = Api(options.base_url, options.concurrency or _CONNECTIONS, options.retry_for)
        self._checked = False
        self._folds = False
        self._answer_tokens = ANSWER_TOKENS
        self._probing = threading.Lock()
        self.batch_size = options.batch_size or 32

    @cached_property
    def _server(self) -> Server:
        with refuse_malformed():
            server = open_server(self._api, self._model, self._options.server)
        if self._options.accept_model_name is not None:
            server.accepted.add(self._options.accept_model_name)
        return server

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
        if prompt_tokenizer is None:
            return None
        return replace(prompt_tokenizer(tree).count(), window=self._server.window)

    def score(self, tree: PromptTree) -> Iterator[LabelRead]:
        """See `Engine.score`.

        Raises:
            EngineError: also if the server shows no log-probabilities and no samples are drawn.
        """
        return in_order(self._ask_all(tree, self._reader(), write=False), _names(tree), _name)

    def write(self, tree: PromptTree) -> Iterator[Rationale]:
        """See `Engine.write`."""
        return in_order(self._ask_all(tree, self._writer(tree), write=True), _names(tree), _name)

    def judge_each(self, tree: PromptTree) -> Iterator[Answer]:
        """See `OneByOne.judge_each`."""
        read = self._reader()
        if not tree.rationale:
            for found in self._ask_all(tree, read, write=False):
                yield Answer(found)
            return
        write = self._writer(tree)

        def both(prompt: ServerPrompt) -> Answer:
            reason = write(prompt)
            if isinstance(reason.outcome, Failure):
                return Answer(LabelRead(reason.item, reason.metric, reason.outcome), reason)
            item = tree.items[prompt.item]
            reasoned = replace(
                item, metrics=(prompt.metric,), reasons={prompt.metric: reason.outcome}
            )
            again = _Prompts(tree, prompt.item, reasoned, self._server)
            return Answer(read(again.prompt(prompt.metric)), reason)

        yield from self._ask_all(tree, both, write=True)

    def generate(self, chats: Chats, sampling: Sampling, seeds: Seeds = None) -> Iterator[Reply]:
        """See `Engine.generate`; token counts are those that the server states."""
        replies = self.reply_each(chats, sampling, seeds)
        return in_order(replies, range(len(chats)), lambda reply: reply.chat)

    def reply_each(self, chats: Chats, sampling: Sampling, seeds: Seeds = None) -> Iterator[Reply]:
        """See `OneByOne.reply_each`."""
        drawn = seeds_of(chats, sampling) if seeds is None else seeds
        harmless = [Message("user", _HARMLESS)]

        def ask(index: int) -> Iterable[Reply]:
            found = self._or_failure(
                lambda: self._reply(index, chats[index], sampling, drawn[index]),
                lambda: self._server.reply(index, harmless, sampling, drawn[index]),
            )
            return [Reply(index, found) if isinstance(found, Failure) else found]

        return self._each(ask, range(len(chats)))

    def load(self) -> None:
        """The server has loaded the model."""

    def close(self) -> None:
        """The model's memory belongs to the server."""

    def _each(
        self, ask: Callable[[_Question], Iterable[_Result]], questions: Sequence[_Question]
    ) -> Iterator[_Result]:
        concurrency = self._options.concurrency or self._server.concurrency
        self._api.pace.begin(concurrency)
        return as_they_come(ask, questions, concurrency, self._api.pace)

    def _reply(self, index: int, chat: Sequence[Message], sampling: Sampling, seed: int) -> Reply:
        """The reply to one chat; once a server has refused the system role it gets none again."""
        if not self._folds and chat[0].role == "system":
            try:
                with self._api.giving_up(refuses_system_role):
                    return self._server.reply(index, chat, sampling, seed)
            except (RefusedError, GaveUpError) as error:
                if not refuses_system_role(error.said):
                    raise
            self._folds = True
        sent = fold_system(chat) if self._folds else chat
        return self._server.reply(index, sent, sampling, seed)

    def _reader(self) -> Callable[[ServerPrompt], LabelRead]:
        """Reads the labels of one prompt.

        Raises:
            EngineError: the server shows no log-probabilities and no samples are drawn.
        """
        sampled = self._options.samples is not None
        if not self._checked and not sampled:
            self._server.check()
            self._checked = True
        ask = self._read_samples if sampled else self._server.read

        def read(prompt: ServerPrompt) -> LabelRead:
            found = self._fitting(prompt, self._answer_tokens if sampled else 1, ask)
            if isinstance(found, Failure):
                return LabelRead(prompt.item, prompt.metric, found)
            return found

        return read

    def _writer(self, tree: PromptTree) -> Callable[[ServerPrompt], Rationale]:
        """Writes the reason to one prompt."""

        def ask(prompt: ServerPrompt) -> Rationale:
            text, tokens, cut = self._server.complete(prompt, tree.rationale)[0]
            outcome = text if isinstance(text, Failure) else text.strip()
            return Rationale(prompt.item, prompt.metric, outcome, tokens=tokens, cut=cut)

        def write(prompt: ServerPrompt) -> Rationale:
            found = self._fitting(prompt, tree.rationale, ask)
            if isinstance(found, Failure):
                return Rationale(prompt.item, prompt.metric, found)
            return found

        return write

    def _ask_all(
        self, tree: PromptTree, ask: Callable[[ServerPrompt], _Result], *, write: bool
    ) -> Iterator[_Result]:
        """`ask` of every prompt of the tree; with `dialogue_in_sequence` one dialogue at a time."""
        server = self._server
        server.prompt_tokenizer  # noqa: B018  made once, before there are threads
        groups: list[tuple[_Prompts, tuple[str, ...]]] = []
        for index, item in enumerate(tree.items):
            prompts = _Prompts(tree, index, item, server, write=write)
            if server.dialogue_in_sequence:
                groups.append((prompts, item.metrics))
            else:
                groups += [(prompts, (metric,)) for metric in item.metrics]

        def ask_group(group: tuple[_Prompts, tuple[str, ...]]) -> Iterator[_Result]:
            prompts, metrics = group
            for metric in metrics:
                yield ask(prompts.prompt(metric))

        return self._each(ask_group, groups)

    def _fitting(
        self, prompt: ServerPrompt, limit: int, ask: Callable[[ServerPrompt], _Result]
    ) -> _Result | Failure:
        """`ask(prompt)`, or a failure: also if the prompt and `limit` tokens do not fit."""
        window, length = self._server.window, len(prompt.ids)
        if window is not None and length + limit > window:
            return Failure(
                "too_long",
                f"the prompt has {length} tokens and its answer up to {limit}, "
                f"the server's window is {window}",
            )

        def ask_harmless() -> _Result:
            tokenizer = self._server.prompt_tokenizer
            ids = () if tokenizer is None else tokenizer.encode(_HARMLESS)
            return ask(replace(prompt, system="", user=_HARMLESS, answer_start="", ids=ids))

        return self._or_failure(lambda: ask(prompt), ask_harmless)

    def _or_failure(
        self, ask: Callable[[], _Result], ask_harmless: Callable[[], object]
    ) -> _Result | Failure:
        """What `ask` gives, or why the server does not answer it though it answers other questions.

        Raises:
            EngineError: it answers no other question either.
        """
        try:
            return ask()
        except RefusedError as error:
            if error.code != "refused":
                return Failure(error.code, error.said)
            if error.status != 401 and self._answers_others(error.sent, ask_harmless):
                return Failure(error.code, error.said)
            raise
        except GaveUpError as error:
            if self._answers_others(error.sent, ask_harmless):
                return Failure(error.code, error.said)
            raise

    def _answers_others(self, since: float, ask_harmless: Callable[[], object]) -> bool:
        """Whether the server has answered something since then, or answers a harmless question."""
        with self._probing:
            if self._api.pace.last_answer >= since:
                return True
            try:
                with self._api.giving_up(lambda _: True):
                    ask_harmless()
            except EngineError:
                return False
            return True

    def _read_samples(self, prompt: ServerPrompt) -> LabelRead:
        """The shares of the labels among drawn answers.

        An answer counts for a label if it names that label and no other; what the model thought
        before is set aside.
        """
        count, answers = self._options.samples or 0, list[str]()
        first_seed = prompt_seed(prompt, self._options.seed)
        while len(answers) < count:
            limit = self._answer_tokens
            drawn = self._server.complete(
                prompt, limit, count=count - len(answers), seed=first_seed + len(answers)
            )
            if not drawn:
                raise EngineError(
                    "the server drew no answer", hint="use another --server, or another model"
                )
            for text, _, cut in drawn:
                if isinstance(text, Failure):
                    return LabelRead(prompt.item, prompt.metric, text)
                said = make_reply(0, text)
                if cut and said.thought and not said.outcome and limit < _THOUGHT_TOKENS:
                    self._answer_tokens = _THOUGHT_TOKENS  # this judge thinks: let it finish
                    break
                answers.append(str(said.outcome))
        return _shares(prompt, answers[:count])


class _Prompts:
    """The prompts about one item, each wanted once; made when the first of them is."""

    def __init__(
        self, tree: PromptTree, index: int, item: PromptItem, server: Server, *, write: bool = False
    ) -> None:
        self._tree, self._index, self._item, self._server = tree, index, item, server
        self._write = write
        self._lock = threading.Lock()
        self._left = len(item.metrics)

    def prompt(self, metric: str) -> ServerPrompt:
        """The prompt about one metric."""
        tree, item = self._tree, self._item
        with self._lock:
            tokens = self._tokens
            self._left -= 1
            if not self._left:  # the ids of a whole run would fill the memory
                del self._tokens
        question, reason = tree.questions[metric], item.reasons.get(metric)
        lead = "" if reason is None else f"{reason}\n"
        return ServerPrompt(
            item=self._index,
            metric=metric,
            labels=tree.labels,
            prefill=question.prefill,
            system=tree.system,
            user=tree.profiles[item.dialogue.character] + item.text + question.text,
            answer_start="" if self._write else lead + question.prefill,
            ids=() if tokens is None else tokens.prompt(0, metric),
            label_ids=() if tokens is None else tokens.label_ids[metric],
        )

    @cached_property
    def _tokens(self) -> TokenTree | None:
        tokenizer, name = self._server.prompt_tokenizer, self._item.dialogue.character
        if tokenizer is None:
            return None
        profiles = {name: self._tree.profiles[name]}
        alone = replace(self._tree, items=(self._item,), profiles=profiles)
        return tokenizer(alone, write=self._write)


def _shares(prompt: ServerPrompt, answers: Sequence[str]) -> LabelRead:
    labels = [label_in(text, prompt.labels, prompt.prefill) for text in answers]
    counts = Counter(
        ("", text.strip()) if label is None else (label, "")
        for label, text in zip(labels, answers, strict=True)
    )
    found = [counts[label, ""] for label in prompt.labels]
    if not any(found):
        said = next(filter(None, answers), "")[:80]
        such = f"such as {said!r}" if said else "they are empty, but for thoughts"
        reason = f"none of {len(answers)} answers names one label: {such}"
        return LabelRead(prompt.item, prompt.metric, Failure("no_label_mass", reason))
    return LabelRead(
        prompt.item,
        prompt.metric,
        tuple(math.log(n / len(answers)) if n else -math.inf for n in found),
        top_is_label=counts.most_common(1)[0][0][0] != "",
        reading="sampled",
    )


def _names(tree: PromptTree) -> Iterator[tuple[int, str]]:
    return ((i, metric) for i, item in enumerate(tree.items) for metric in item.metrics)


def _name(answer: LabelRead | Rationale) -> tuple[int, str]:
    return answer.item, answer.metric
