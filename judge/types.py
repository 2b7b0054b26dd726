"""The vocabulary of the project: the records that all other modules share.

    system       who answers: a language model, or `human`
    character    whom the system plays, with a profile of traits, speech and habits
    scenario     what the user is worried about; it has the same number for every system
    dialogue     what one system said as one character in one scenario
    turn, round  one question of the user and the system's answer
    metric       one quality that is judged, such as fluency
    dimension    a group of metrics whose mean is reported too
    rubric       what the judge is told about the metrics, in one language
    label        one step of the scale, such as "4"; a scale has labels 1 to K
    judge        the language model that rates dialogues
    engine       the program that asks a model: transformers, vLLM, an HTTP server, ...
    prompt       what the judge reads about one metric of one dialogue
    prefill      the beginning of the judge's answer, which the label follows
    rationale    the reason that a judge may write before the label
    label mass   the total probability of the labels, before they are renormalised
    score        the mean of the renormalised label distribution
    judgment     the score distribution of one metric of one dialogue, or a failure
    failure      why something could not be judged or written; it is counted and never a number
    rating       a score that a person gave (see `judge.ratings`)
    run          all judgments of one judge with one rubric, in one run folder

All records are immutable. Nothing here reads files or computes beyond its own fields.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

__all__ = [
    "Character",
    "Chats",
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
    "Rationale",
    "Reading",
    "Reply",
    "Rubric",
    "Sampling",
    "ScoreDistribution",
    "Seeds",
    "Turn",
]

Reading = Literal["exact", "truncated", "sampled"]
"""How the probabilities of the labels were obtained.

`exact`: from the full next-token distribution. `truncated`: from the most probable tokens only; a
label that is not among them counts as probability 0, so the label mass is a lower bound. `sampled`:
as shares of sampled answers."""


# Dialogues


@dataclass(frozen=True, slots=True)
class Turn:
    """One round of a dialogue.

    Attributes:
        question: what the user said.
        answer: what the system said as the character; "" if it said nothing.
    """

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Dialogue:
    """What one system said as one character in one scenario.

    Attributes:
        system: who answered, such as `gpt-4.1` or `human`.
        character: the character's name as the data set spells it.
        scenario: the scenario's id, such as "17".
        turns: the rounds in order.
    """

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
    """The profile of a character. Without a profile all fields but `name` are empty.

    Attributes:
        name: the name that the dialogues use.
        known: whether there is a profile.
        names: language -> the character's full name.
        work: language -> the work that the character is from.
        traits: what the character is like.
        speech: how the character speaks.
        habits: how the character behaves.
        people: who matters to the character.
        address: forms by which others call the character.
        catchphrases: phrases typical of the character.
        terms: names and things from the work.
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


# Rubrics


@dataclass(frozen=True, slots=True)
class Metric:
    """One quality that is judged.

    Attributes:
        name: its identifier, such as `speech_style`.
        dimension: the name of its dimension; "" if `unit` is `replies`.
        titles: language -> its title in that language.
        unit: what is judged at once: a `dialogue`, or a set of `replies` of one system as one
            character.
    """

    name: str
    dimension: str
    titles: Mapping[str, str]
    unit: Literal["dialogue", "replies"] = "dialogue"


@dataclass(frozen=True, slots=True)
class Dimension:
    """A group of metrics whose mean is reported beside them.

    Attributes:
        name: its identifier, such as `role_playing`.
        titles: language -> its title in that language.
        metrics: the names of its metrics.
    """

    name: str
    titles: Mapping[str, str]
    metrics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rubric:
    """What a rubric set declares, in one of its languages.

    Attributes:
        name: of the rubric set, such as `esrp`.
        version: of the rubric set.
        language: of the prompts.
        hash: SHA-256 (hex) over all files that the prompts are made of: runs with the same hash
            asked the same questions.
        labels: of the scale, from the worst to the best.
        dimensions: in the order of reports.
        metrics: in the order of reports.
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


# Prompts


@dataclass(frozen=True, slots=True)
class Question:
    """The last segment of a prompt, and the beginning of the judge's answer.

    Attributes:
        metric: the name of the metric.
        text: what the judge is asked.
        prefill: how the judge's answer begins; the label follows it directly.
    """

    metric: str
    text: str
    prefill: str


@dataclass(frozen=True, slots=True)
class PromptItem:
    """One dialogue (or reply set) in a prompt tree.

    Attributes:
        dialogue: what is judged.
        text: the dialogue as a segment of the prompt.
        metrics: the names of the metrics that are asked about it.
        reasons: metric -> the rationale that the judge wrote, with which its answer begins.
    """

    dialogue: Dialogue
    text: str
    metrics: tuple[str, ...]
    reasons: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PromptTree:
    """All prompts of a run as segments of text, from the most shared to the least shared.

    The prompt about metric m of item i consists of `system`, `profiles[i.dialogue.character]`,
    `i.text` and `questions[m].text`. The judge's answer begins with `questions[m].prefill`; if
    there is a rationale, with `i.reasons[m]`, a line break and the prefill. Segments are kept apart
    so that an engine can tokenize and compute each shared segment once.

    Attributes:
        system: the system text, which all prompts share.
        profiles: character -> the segment about the character.
        questions: metric -> the question.
        labels: of the scale, from the worst to the best.
        items: the dialogues.
        rationale: the maximum number of tokens that the judge may write as a rationale; 0 for
            none. If it is positive, the questions ask for a rationale.
    """

    system: str
    profiles: Mapping[str, str]
    questions: Mapping[str, Question]
    labels: tuple[str, ...]
    items: tuple[PromptItem, ...]
    rationale: int = 0

    def __len__(self) -> int:
        """The number of prompts."""
        return sum(len(item.metrics) for item in self.items)


# What engines return


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a judgment or a reply could not be made. It is stored and counted, not raised.

    Attributes:
        code: a stable short name, such as `too_long`, `empty_reply` or `no_label_mass`.
        reason: a sentence for people.
    """

    code: str
    reason: str

    @property
    def passing(self) -> bool:
        """Whether another attempt may succeed: a server was in trouble."""
        return self.code in {"no_answer", "unreadable"}


@dataclass(frozen=True, slots=True)
class LabelRead:
    """The log-probabilities of the labels that an engine read for one prompt.

    Attributes:
        item: the position of the item in the tree.
        metric: the name of the metric.
        outcome: the natural logarithms of the labels' probabilities in the full next-token
            distribution, not renormalised, in the order of `PromptTree.labels`; or why there are
            none.
        top_is_label: whether the most probable token is a label.
        reading: how the probabilities were obtained.
    """

    item: int
    metric: str
    outcome: tuple[float, ...] | Failure
    top_is_label: bool = False
    reading: Reading = "exact"


@dataclass(frozen=True, slots=True)
class Rationale:
    """The reason that a judge wrote about one prompt before its label was read.

    Attributes:
        item: the position of the item in the tree.
        metric: the name of the metric.
        outcome: the text, or why there is none.
        tokens: how many tokens it has.
        cut: whether `PromptTree.rationale` ended it.
    """

    item: int
    metric: str
    outcome: str | Failure
    tokens: int = 0
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a chat. A chat is a sequence of messages whose last one is the user's."""

    role: Literal["system", "user", "assistant"]
    text: str


Chats = Sequence[Sequence[Message]]
"""Chats that a model is to answer."""

Seeds = Sequence[int] | None
"""The seed of each chat; None for those that follow from the chats themselves."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a model samples its replies.

    Attributes:
        max_tokens: the maximum length of a reply in tokens, including what the model thinks first.
        temperature: 0 always takes the most probable token.
        top_p: sample from the most probable tokens whose probabilities together reach this share.
        seed: of the random draws. Local engines give the same replies to the same chats.
        thinking: let a model that can think do so before it replies.
    """

    max_tokens: int = 512
    temperature: float = 0.7
    top_p: float = 0.95
    seed: int = 0
    thinking: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model wrote to one of several chats.

    Attributes:
        chat: the position of the chat.
        outcome: the reply without the model's thoughts and without surrounding white space, which
            may be ""; or why there is none.
        thought: what the model thought first; "" if it did not.
        tokens: the number of tokens written, including the thought; 0 if it is not known.
        prompt_tokens: the number of tokens read; 0 if it is not known.
        cut: whether `Sampling.max_tokens` ended the reply. If it ended the thought, the reply is
            empty.
    """

    chat: int
    outcome: str | Failure
    thought: str = ""
    tokens: int = 0
    prompt_tokens: int = 0
    cut: bool = False


# Judgments


@dataclass(frozen=True, slots=True)
class ScoreDistribution:
    """The judge's probabilities of the labels 1 to K for one metric of one dialogue.

    Attributes:
        logprobs: natural logarithms, not renormalised: their exponentials sum to `label_mass`.
        top_is_label: whether the most probable token was a label.
        reading: how the probabilities were obtained.
    """

    logprobs: tuple[float, ...]
    top_is_label: bool
    reading: Reading = "exact"

    @property
    def label_mass(self) -> float:
        """The total probability of the labels before renormalising, in (0, 1]."""
        return math.fsum(math.exp(value) for value in self.logprobs)

    @property
    def p(self) -> tuple[float, ...]:
        """The probabilities renormalised over the labels; they sum to 1."""
        top = max(self.logprobs)
        weights = [math.exp(value - top) for value in self.logprobs]
        total = math.fsum(weights)
        return tuple(weight / total for weight in weights)

    @property
    def expected(self) -> float:
        """The score: the mean of `p` over the labels 1 to K (Wang et al., arXiv 2503.03064)."""
        return math.fsum(k * p for k, p in enumerate(self.p, start=1))


@dataclass(frozen=True, slots=True)
class Judgment:
    """The judgment of one metric of one dialogue.

    Attributes:
        key: SHA-256 (hex) of the judge and the prompt.
        system: of the dialogue.
        character: of the dialogue.
        scenario: of the dialogue.
        metric: the name of the metric.
        outcome: the probabilities of the labels, or why there are none.
        rationale: the reason that the judge wrote first; None if it was not asked for one.
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
        """The expected score on the scale 1 to K; None if the judgment failed."""
        return None if isinstance(self.outcome, Failure) else self.outcome.expected
