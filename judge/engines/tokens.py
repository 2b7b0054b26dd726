"""From the text segments of a tree to token ids, once for every engine that takes ids.

Segments are tokenised apart and joined as ids, so that a prefix shared in text is a prefix
shared in token space. The model's own chat template frames them; special tokens that occur in
a dialogue or a profile stay plain text, so that no reply can close its own turn.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from judge.engines.base import TokenCount
from judge.errors import EngineError
from judge.types import PromptTree

__all__ = ["Frame", "TokenTree", "Tokeniser"]

_SYSTEM, _USER = "JUDGE-SYSTEM-TEXT", "JUDGE-USER-TEXT"
_TODAY = re.compile(r"""strftime_now\(\s*(['"])(.*?)\1\s*\)""")
_ANY_DAY = dt.date(2025, 1, 1)


@dataclass(frozen=True, slots=True)
class Frame:
    """What the chat template puts before the system text, before and after the user's."""

    before: str
    between: str
    after: str


@dataclass(frozen=True, slots=True)
class TokenTree:
    """A `PromptTree` in token ids; `label_ids[metric]` in the order of the tree's labels."""

    prefix: tuple[int, ...]
    profiles: Mapping[str, tuple[int, ...]]
    dialogues: Sequence[tuple[int, ...]]
    questions: Mapping[str, tuple[int, ...]]
    label_ids: Mapping[str, tuple[int, ...]]
    source: PromptTree = field(repr=False)

    def prompt(self, item: int, metric: str) -> tuple[int, ...]:
        """All ids of one prompt; the label is the next token."""
        profile = self.profiles[self.source.items[item].dialogue.character]
        return self.prefix + profile + self.dialogues[item] + self.questions[metric]

    def count(self) -> TokenCount:
        """Tokens asked one by one, and with every segment that is asked counted once."""
        naive = longest = dialogues = questions = 0
        characters: set[str] = set()
        for item, dialogue in zip(self.source.items, self.dialogues, strict=True):
            if not item.metrics:
                continue
            characters.add(item.dialogue.character)
            profile = self.profiles[item.dialogue.character]
            shared = len(self.prefix) + len(profile) + len(dialogue)
            asked = [len(self.questions[m]) for m in item.metrics]
            naive += shared * len(asked) + sum(asked)
            dialogues += len(dialogue)
            questions += sum(asked)
            longest = max(longest, shared + max(asked))
        tree = dialogues + questions + sum(len(self.profiles[c]) for c in characters)
        if characters:
            tree += len(self.prefix)
        return TokenCount(prompts=len(self.source), naive=naive, tree=tree, longest=longest)


class Tokeniser:
    """A transformers tokenizer with the frame of its chat template.

    Args:
        tokenizer: any `PreTrainedTokenizerBase`.
        name: the model's name, for messages.

    Raises:
        EngineError: a chat template that does not show what it is given.
    """

    def __init__(self, tokenizer: Any, name: str) -> None:
        self._tokenizer = tokenizer
        self._name = name
        self._frame = _chat_frame(tokenizer, name)
        self._memo: dict[tuple[str, bool], tuple[int, ...]] = {}
        self._labels: dict[tuple[str, tuple[str, ...]], tuple[int, ...]] = {}

    def __call__(self, tree: PromptTree) -> TokenTree:
        """The ids of every segment.

        Raises:
            EngineError: the labels are not single tokens after the stub of a metric.
        """
        frame = self._frame or _plain_frame(tree, self._tokenizer)
        asked = {name: q.text + frame.after + q.stub for name, q in tree.questions.items()}
        return TokenTree(
            prefix=self._ids(frame.before + tree.system + frame.between),
            profiles={n: self._ids(text, plain=True) for n, text in tree.profiles.items()},
            dialogues=tuple(self._encode(item.text, plain=True) for item in tree.items),
            questions={name: self._ids(text) for name, text in asked.items()},
            label_ids={name: self._label_ids(text, tree.labels) for name, text in asked.items()},
            source=tree,
        )

    def _ids(self, text: str, *, plain: bool = False) -> tuple[int, ...]:
        """`_encode`, remembered: for segments that come again with every batch."""
        if (text, plain) not in self._memo:
            self._memo[text, plain] = self._encode(text, plain=plain)
        return self._memo[text, plain]

    def _encode(self, text: str, *, plain: bool = False) -> tuple[int, ...]:
        """Ids of `text` as it stands; `plain` spells special tokens out."""
        ids = self._tokenizer.encode(text, add_special_tokens=False, split_special_tokens=plain)
        return tuple(ids)

    def _label_ids(self, question: str, labels: tuple[str, ...]) -> tuple[int, ...]:
        """ids(question + label) must be ids(question) + [x], with another x for each label."""
        if (question, labels) not in self._labels:
            stem = self._ids(question)
            found = [self._encode(question + label) for label in labels]
            ids = tuple(whole[-1] for whole in found if whole[:-1] == stem)
            if len(set(ids) - {self._tokenizer.unk_token_id}) < len(labels):
                raise EngineError(
                    f"{self._name}: the labels {', '.join(labels)} are not single tokens after "
                    f"{question[-12:]!r}",
                    hint="choose a judge whose tokenizer keeps digits apart, or a rubric with "
                    "other labels",
                )
            self._labels[question, labels] = ids
        return self._labels[question, labels]


def _chat_frame(tokenizer: Any, name: str) -> Frame | None:
    """The frame of the chat template, or None for a tokenizer without one.

    A template that knows no system role gets the system text at the head of the user's turn.
    """
    if tokenizer.chat_template is None:
        return None
    apart = [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": _USER}]
    joined = [{"role": "user", "content": f"{_SYSTEM}\n\n{_USER}"}]
    why = "it does not show the system and the user message, in this order"
    for messages in (apart, joined):
        try:
            text = tokenizer.apply_chat_template(
                messages,
                chat_template=_TODAY.sub(_any_day, tokenizer.get_chat_template()),
                tokenize=False,
                add_generation_prompt=True,
                enable_thinking=False,
            )
        except Exception as error:  # noqa: BLE001  a template is a program and may raise anything
            why = str(error)
            continue
        before, system, rest = text.partition(_SYSTEM)
        between, user, after = rest.partition(_USER)
        if system and user:
            return Frame(before, between, after)
    raise EngineError(
        f"{name}: its chat template cannot be used: {why}",
        hint="choose a chat model whose template shows system and user messages",
    )


def _any_day(call: re.Match[str]) -> str:
    """A fixed day in place of today's: the same prompt has to be the same tomorrow."""
    return repr(_ANY_DAY.strftime(call[2]))


def _plain_frame(tree: PromptTree, tokenizer: Any) -> Frame:
    """For models without a chat template: plain text, blank lines between the parts.

    A set without a system text is a completion prompt as it stands: nothing is put between.
    """
    bos = tokenizer.bos_token or ""
    return Frame(bos, "\n\n", "\n") if tree.system else Frame(bos, "", "")
