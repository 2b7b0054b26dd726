"""The nouns of the program: frozen records that every floor above shares.

A *system* is who answers, an LLM or `human`. A *dialogue* is what one system said as one
character in one scenario. A *metric* is one thing that is judged, on a scale of whole-number
labels. A *judgment* is one metric of one dialogue: a distribution over the labels, or a
failure with its reason. Nothing here reads, writes or computes beyond its own fields.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = [
    "Character",
    "Dialogue",
    "Dimension",
    "Failure",
    "Judgment",
    "LabelRead",
    "Message",
    "Metric",
    "PromptItem",
    "PromptTree",
    "Question",
    "Reading",
    "Reply",
    "Rubric",
    "Sampling",
    "ScoreDistribution",
    "Turn",
    "Written",
]

Reading = Literal["exact", "truncated", "sampled"]
"""How label probabilities were got. `exact`: from the full next-token distribution. `truncated`:
from the most probable tokens only; a label that is not among them has no number and counts as 0, so
that the label mass is a lower bound. `sampled`: shares of sampled answers."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One round: what the user said and what the system answered in character."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Dialogue:
    """One system as one character in one scenario."""

    system: str
    character: str
    scenario: str
    turns: tuple[Turn, ...]

    @property
    def id(self) -> str:
        """`system/character/scenario`, unique within a data set."""
        return f"{self.system}/{self.character}/{self.scenario}"


@dataclass(frozen=True, slots=True)
class Character:
    """What a rubric set knows of a character; `known` is False when it has no profile.

    `name` is the name the dialogues use; every other field is empty for an unknown character.
    """

    name: str
    known: bool = False
    names: Mapping[str, str] = field(default_factory=dict)
    work: Mapping[str, str] = field(default_factory=dict)
    traits: str = ""
    speech: str = ""
    habits: str = ""
    people: str = ""
    address: tuple[str, ...] = ()
    catchphrases: tuple[str, ...] = ()
    terms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Metric:
    """One thing that is judged.

    `unit` is what is judged at once: a `dialogue`, or the `replies` of one system as one
    character. `titles` maps a language to the metric's name in it.
    """

    name: str
    dimension: str
    titles: Mapping[str, str]
    unit: Literal["dialogue", "replies"] = "dialogue"


@dataclass(frozen=True, slots=True)
class Dimension:
    """A group of metrics whose mean is reported beside them."""

    name: str
    titles: Mapping[str, str]
    metrics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rubric:
    """Which rubric set, in which language, asked for what.

    `hash` is a SHA-256 over every file the prompts are made of, so that two runs with one
    hash asked the same questions.
    """

    name: str
    version: str
    language: str
    hash: str
    labels: tuple[str, ...]
    dimensions: tuple[Dimension, ...]
    metrics: tuple[Metric, ...]

    def metric(self, name: str) -> Metric:
        """The metric called `name`; KeyError if there is none."""
        for metric in self.metrics:
            if metric.name == name:
                return metric
        raise KeyError(name)


@dataclass(frozen=True, slots=True)
class Question:
    """The last segment of a prompt: what is asked, and the start of the judge's answer.

    The score label follows `prefill` immediately.
    """

    metric: str
    text: str
    prefill: str


@dataclass(frozen=True, slots=True)
class PromptItem:
    """One dialogue in the tree and the metrics still to be asked about it.

    `reasons` maps a metric to the judge's own reason, which its answer begins with.
    """

    dialogue: Dialogue
    text: str
    metrics: tuple[str, ...]
    reasons: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PromptTree:
    """All prompts of a run as text segments, from most shared to least.

    The prompt for metric m of item i reads `system`, `profiles[i.dialogue.character]`,
    `i.text`, `questions[m].text`, and the judge's answer begins with `questions[m].prefill`; or
    with `i.reasons[m]`, a line break and the prefill. Segments are kept apart so that an engine can
    tokenize each once and share prefixes.

    `rationale` is 0, or the most tokens that the judge may write of a reason before the labels are
    read: the questions then ask for it.
    """

    system: str
    profiles: Mapping[str, str]
    questions: Mapping[str, Question]
    labels: tuple[str, ...]
    items: tuple[PromptItem, ...]
    rationale: int = 0

    def __len__(self) -> int:
        return sum(len(item.metrics) for item in self.items)


@dataclass(frozen=True, slots=True)
class Failure:
    """A judgment that could not be made. Data, not an exception: it is stored and counted.

    `code` is a stable short name (`too_long`, `empty_reply`, `no_label_mass`), `reason` a
    sentence for people.
    """

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class LabelRead:
    """What an engine read for one prompt of the tree.

    `logprobs` are natural-log probabilities of the labels under the full next-token
    distribution, not renormalised, in the order of `PromptTree.labels`; or why there are none.
    """

    item: int
    metric: str
    outcome: tuple[float, ...] | Failure
    top_is_label: bool = False
    reading: Reading = "exact"


@dataclass(frozen=True, slots=True)
class Written:
    """The reason that a judge wrote for one prompt of the tree, before any label was read.

    `tokens` is how many it wrote, `cut` whether the limit of the tree ended it.
    """

    item: int
    metric: str
    outcome: str | Failure
    tokens: int = 0
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a chat. A chat is a sequence of them that ends with the user's."""

    role: Literal["system", "user", "assistant"]
    text: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a model writes its replies.

    Attributes:
        max_tokens: most tokens of a reply, its thought included.
        temperature: 0 is greedy.
        top_p: the replies are drawn from the most probable tokens that together have this share.
        seed: of the draws; engines in this process give the same replies to the same chats.
        thinking: let a model that can think do so before it replies.
    """

    max_tokens: int = 512
    temperature: float = 0.7
    top_p: float = 0.95
    seed: int = 0
    thinking: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model wrote to one chat of a sequence, or why it could not.

    Attributes:
        chat: the position of the chat.
        outcome: the reply, without a thought and without white space around it; "" if it is empty.
        thought: what the model thought first, "" where it did not.
        tokens: written, the thought included; 0 where that is not known.
        prompt_tokens: read; 0 where that is not known.
        cut: `Sampling.max_tokens` ended it. A thought that was cut leaves an empty reply.
    """

    chat: int
    outcome: str | Failure
    thought: str = ""
    tokens: int = 0
    prompt_tokens: int = 0
    cut: bool = False


@dataclass(frozen=True, slots=True)
class ScoreDistribution:
    """The judge's belief over the labels 1..K of one metric of one dialogue.

    `logprobs` are raw (their exponentials sum to `label_mass` <= 1).
    """

    logprobs: tuple[float, ...]
    top_is_label: bool
    reading: Reading = "exact"

    @property
    def label_mass(self) -> float:
        """Total probability of the labels before renormalising, in [0, 1]."""
        return math.fsum(math.exp(value) for value in self.logprobs)

    @property
    def p(self) -> tuple[float, ...]:
        """Probabilities renormalised over the labels; they sum to 1."""
        top = max(self.logprobs)
        weights = [math.exp(value - top) for value in self.logprobs]
        total = math.fsum(weights)
        return tuple(weight / total for weight in weights)

    @property
    def expected(self) -> float:
        """The mean of `p` over the labels 1..K: the score (arXiv 2503.03064)."""
        return math.fsum(k * p for k, p in enumerate(self.p, start=1))


@dataclass(frozen=True, slots=True)
class Judgment:
    """One metric of one dialogue, judged.

    `key` is the hash of what was asked, `rationale` the reason that the judge wrote first, if it
    was asked for one.
    """

    key: str
    system: str
    character: str
    scenario: str
    metric: str
    outcome: ScoreDistribution | Failure
    rationale: str | None = None

    @property
    def score(self) -> float | None:
        """The expected score on the label scale, or None: no measurement, no number."""
        return None if isinstance(self.outcome, Failure) else self.outcome.expected
