"""Turns the text segments of a prompt tree into token ids, for every engine that takes ids.

Segments are tokenized separately and joined as ids, so that a prefix that is shared as text is also
shared as tokens. The model's own chat template frames them. Special tokens that occur in a dialogue
or a profile stay plain text, so that no reply can close its own turn.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from judge.engines.interface import TokenCount
from judge.errors import EngineError
from judge.limits import bounded, refuse_long
from judge.types import PromptItem, PromptTree

__all__ = [
    "Encoder",
    "Frame",
    "Messages",
    "PromptTokenizer",
    "TokenTree",
    "dateless_template",
    "frame_of",
    "local_prompt_tokenizer",
]

_SYSTEM, _USER = "JUDGE-SYSTEM-TEXT", "JUDGE-USER-TEXT"
_TODAY = re.compile(r"""strftime_now\(\s*(['"])(.*?)\1\s*\)""")
_FIXED_DATE = dt.date(2025, 1, 1)
_BREAK = "\n"
_THINKING, _THOUGHT = "<think>", "</think>"

Messages = Sequence[Mapping[str, str]]
"""A chat in OpenAI's format: `role` and `content` of each message."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What the chat template puts before the system text, between it and the user's, and after."""

    before: str
    between: str
    after: str

    @property
    def thinks(self) -> bool:
        """Whether the template has opened a thought where the judge's answer begins."""
        return self.after.rfind(_THINKING) > self.after.rfind(_THOUGHT)


class Encoder(Protocol):
    """Turns text into ids: a tokenizer on this machine, or that of a server."""

    @property
    def unknown(self) -> int | None:
        """The id for characters that the vocabulary lacks, if there is one."""
        ...

    def encode(self, text: str, *, plain: bool) -> Sequence[int]:
        """The ids of `text`, with nothing put before it; `plain` spells special tokens out."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """The text of `ids`."""
        ...


@dataclass(frozen=True, slots=True)
class TokenTree:
    """A `PromptTree` in token ids.

    Attributes:
        profiles: character -> ids of its profile.
        dialogues: ids of each item's dialogue.
        branches: `branches[item][metric]` follows the dialogue: the question, the reason if there
            is one, and the prefill.
        label_ids: metric -> one id for each label, in the order of the tree's labels.
    """

    prefix: tuple[int, ...]
    profiles: Mapping[str, tuple[int, ...]]
    dialogues: Sequence[tuple[int, ...]]
    branches: Sequence[Mapping[str, tuple[int, ...]]]
    label_ids: Mapping[str, tuple[int, ...]]
    source: PromptTree = field(repr=False)

    def profile(self, item: int) -> tuple[int, ...]:
        """The ids of the profile of the item's character."""
        return self.profiles[self.source.items[item].dialogue.character]

    def prompt(self, item: int, metric: str) -> tuple[int, ...]:
        """All ids of one prompt; the label is the token that follows."""
        shared = self.prefix + self.profile(item) + self.dialogues[item]
        return shared + self.branches[item][metric]

    def length(self, item: int) -> int:
        """How many tokens the item's longest prompt has."""
        shared = len(self.prefix) + len(self.profile(item)) + len(self.dialogues[item])
        return shared + max(map(len, self.branches[item].values()), default=0)

    def count(self) -> TokenCount:
        """See `TokenCount`; segments of which no prompt is asked do not count."""
        naive = longest = dialogues = branches = 0
        characters: set[str] = set()
        for index, item in enumerate(self.source.items):
            lengths = [len(branch) for branch in self.branches[index].values()]
            if not lengths:
                continue
            characters.add(item.dialogue.character)
            dialogue = len(self.dialogues[index])
            shared = len(self.prefix) + len(self.profile(index)) + dialogue
            naive += shared * len(lengths) + sum(lengths)
            dialogues += dialogue
            branches += sum(lengths)
            longest = max(longest, self.length(index))
        tree = dialogues + branches + sum(len(self.profiles[c]) for c in characters)
        if characters:
            tree += len(self.prefix)
        return TokenCount(prompts=len(self.source), naive=naive, tree=tree, longest=longest)


class PromptTokenizer:
    """Turns prompt trees into token trees for one model.

    Args:
        encoder: text to ids.
        frame: what the model's chat template puts around the texts; None if it has no template.
        begin: the text of the token that begins a prompt without a frame, or "".
        name: the model's name, for messages.
    """

    def __init__(self, encoder: Encoder, frame: Frame | None, begin: str, name: str) -> None:
        self._encoder = encoder
        self._frame = frame
        self._begin = begin
        self._name = name
        self._remembered: dict[tuple[str, bool], tuple[int, ...]] = {}
        self._labels: dict[tuple[str, tuple[str, ...]], tuple[int, ...]] = {}
        # Tokenizers of the SentencePiece kind put a blank before a text. If a line break stands
        # first, the blank goes before it, and the ids of the break can be cut away.
        self._guard: tuple[int, ...] | None = None
        if any(self.encode(_BREAK + x) != self.encode(_BREAK) + self.encode(x) for x in "a你"):
            self._guard = self.encode(_BREAK)

    def __call__(self, tree: PromptTree, *, write: bool = False) -> TokenTree:
        """The ids of every segment; with `write` the branches end where a reason begins.

        Raises:
            EngineError: the labels are not single tokens after the prefill of a metric, or the
                chat template opens a thought and no reason is asked for, so that no label could be
                read.
        """
        frame = self._frame or _plain_frame(tree, self._begin)
        if frame.thinks and not tree.rationale:
            raise EngineError(
                f"{self._name} begins every answer with a thought: there is no label to read yet",
                hint="let it think first, with --rationale",
            )
        asks = {name: q.text + frame.after for name, q in tree.questions.items()}
        prefills = {name: q.prefill for name, q in tree.questions.items()}
        if tree.rationale:
            close = f"\n{_THOUGHT}\n\n" if frame.thinks else "\n"
            prefills = {name: close + prefill for name, prefill in prefills.items()}
        else:  # with no reason between them, question and prefill are one segment
            prefills = {name: asks[name] + prefill for name, prefill in prefills.items()}
            asks = dict.fromkeys(asks, "")

        def branch(item: PromptItem, metric: str) -> tuple[int, ...]:
            ask = self._ids(asks[metric])
            if write:
                return ask
            reason = item.reasons.get(metric, "").removesuffix(_THOUGHT)
            return ask + self.encode(reason, plain=True) + self._ids(prefills[metric])

        return TokenTree(
            prefix=self._ids(frame.before + tree.system + frame.between),
            profiles={n: self._ids(text, plain=True) for n, text in tree.profiles.items()},
            dialogues=tuple(self.encode(item.text, plain=True) for item in tree.items),
            branches=tuple({m: branch(item, m) for m in item.metrics} for item in tree.items),
            label_ids={name: self._label_ids(text, tree.labels) for name, text in prefills.items()},
            source=tree,
        )

    def decode(self, ids: Sequence[int]) -> str:
        """The text of `ids`."""
        return self._encoder.decode(ids)

    def _ids(self, text: str, *, plain: bool = False) -> tuple[int, ...]:
        """`encode`, remembered: for segments that every batch contains."""
        if (text, plain) not in self._remembered:
            self._remembered[text, plain] = self.encode(text, plain=plain)
        return self._remembered[text, plain]

    def encode(self, text: str, *, plain: bool = False) -> tuple[int, ...]:
        """The ids of a segment; `plain` spells special tokens out."""
        if not text:
            return ()
        if self._guard is None:
            return tuple(self._encoder.encode(text, plain=plain))
        ids = tuple(self._encoder.encode(_BREAK + text, plain=plain))
        length = len(self._guard)
        if ids[:length] != self._guard:
            raise EngineError(
                f"{self._name}: its tokenizer gives a text other ids after a line break",
                hint="choose a judge with another tokenizer",
            )
        return ids[length:]

    def _label_ids(self, prefill: str, labels: tuple[str, ...]) -> tuple[int, ...]:
        """The ids of the labels after `prefill`: each has to be a single token of its own."""
        if (prefill, labels) not in self._labels:
            stem = self._ids(prefill)
            labelled = [self.encode(prefill + label) for label in labels]
            ids = tuple(encoded[-1] for encoded in labelled if encoded[:-1] == stem)
            if len(set(ids) - {self._encoder.unknown}) < len(labels):
                raise EngineError(
                    f"{self._name}: the labels {', '.join(labels)} are not single tokens after "
                    f"{prefill[-12:]!r}",
                    hint="choose a judge whose tokenizer keeps digits apart, or a rubric with "
                    "other labels",
                )
            self._labels[prefill, labels] = ids
        return self._labels[prefill, labels]


class _LocalEncoder:
    """A tokenizer of transformers."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self.unknown: int | None = tokenizer.unk_token_id

    def encode(self, text: str, *, plain: bool) -> Sequence[int]:
        ids: list[int] = self._tokenizer.encode(
            text, add_special_tokens=False, split_special_tokens=plain
        )
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        text: str = self._tokenizer.decode(
            list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        return text


def local_prompt_tokenizer(tokenizer: Any, name: str) -> PromptTokenizer:
    """The prompt tokenizer for a tokenizer of transformers and its chat template.

    Raises:
        EngineError: a chat template that does not show the messages it is given.
    """

    def render(messages: Messages) -> str | None:
        if tokenizer.chat_template is None:
            return None
        try:
            with bounded():
                text: str = tokenizer.apply_chat_template(
                    messages,
                    chat_template=dateless_template(tokenizer),
                    tokenize=False,
                    add_generation_prompt=True,
                    enable_thinking=False,
                )
            refuse_long(text)
        except Exception as error:  # a template is a program and may raise anything
            raise EngineError(str(error)) from error
        return text

    begin = tokenizer.bos_token or ""
    return PromptTokenizer(_LocalEncoder(tokenizer), frame_of(render, name), begin, name)


def frame_of(render: Callable[[Messages], str | None], name: str) -> Frame | None:
    """What a chat template puts around the texts; None for a model without a template.

    For a template that knows no system role, the system text goes at the head of the user's turn.

    Args:
        render: the template's text for messages, or None if there is no template. An EngineError
            says that the template refuses the messages.
        name: the model's name, for messages.

    Raises:
        EngineError: the template does not show the texts it is given.
    """
    apart = [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": _USER}]
    joined = [{"role": "user", "content": f"{_SYSTEM}\n\n{_USER}"}]
    why = "it does not show the system and the user message, in this order"
    for messages in (apart, joined):
        try:
            text = render(messages)
        except EngineError as error:
            why = error.message
            continue
        if text is None:
            return None
        before, system, rest = text.partition(_SYSTEM)
        between, user, after = rest.partition(_USER)
        if system and user:
            return Frame(before, between, after)
    raise EngineError(
        f"{name}: its chat template cannot be used: {why}",
        hint="choose a chat model whose template shows system and user messages",
    )


def dateless_template(tokenizer: Any) -> str:
    """The chat template with a fixed date in place of today's: prompts are the same every day."""
    return _TODAY.sub(_fixed_date, tokenizer.get_chat_template())


def _fixed_date(call: re.Match[str]) -> str:
    return repr(_FIXED_DATE.strftime(call[2]))


def _plain_frame(tree: PromptTree, begin: str) -> Frame:
    """For models without a chat template: plain text with blank lines between the parts.

    A rubric set without a system text is a completion prompt already: nothing is put between.
    """
    return Frame(begin, "\n\n", "\n") if tree.system else Frame(begin, "", "")
