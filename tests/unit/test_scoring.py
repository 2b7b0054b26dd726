"""From what an engine read to a judgment, by hand."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace

import pytest

from judge.scoring import blank_reply_failure, make_judgment, prompt_keys, prompts_hash
from judge.types import (
    Dialogue,
    Failure,
    LabelRead,
    PromptItem,
    PromptTree,
    Question,
    ScoreDistribution,
    Turn,
)

DIALOGUE = Dialogue("bot", "路飞", "7", (Turn("累了。", "睡吧。"), Turn("嗯。", "乖。")))


def tree() -> PromptTree:
    return PromptTree(
        system="S",
        profiles={"路飞": "P"},
        questions={"fluency": Question("fluency", "Q", "A:"), "wit": Question("wit", "W", "A:")},
        labels=("1", "2"),
        items=(PromptItem(DIALOGUE, "说", ("fluency", "wit")),),
    )


def read(*logprobs: float) -> LabelRead:
    return LabelRead(0, "fluency", logprobs, top_is_label=True)


def test_a_key_by_hand() -> None:
    """SHA-256 over judge, system, labels, profile, dialogue, question and prefill.

    Each is a netstring without its comma: its length in bytes, a colon, the text.
    """
    asked = "4:mock1:S1:11:21:P3:说1:Q2:A:"
    assert prompt_keys(tree(), "mock")[0, "fluency"] == hashlib.sha256(asked.encode()).hexdigest()
    assert list(prompt_keys(tree(), "mock")) == [(0, "fluency"), (0, "wit")]


def test_the_hash_of_the_prompts_by_hand() -> None:
    """System text, labels, and the questions with their names; nothing of any dialogue."""
    asked = "1:S1:11:2" + "7:fluency1:Q2:A:" + "3:wit1:W2:A:"
    assert prompts_hash(tree()) == hashlib.sha256(asked.encode()).hexdigest()


def test_reasons_are_part_of_what_is_asked() -> None:
    """The token limit of rationales follows the labels; without rationales nothing is added."""
    reasoned = replace(tree(), rationale=64)
    asked = "4:mock1:S1:11:212:rationale 641:P3:说1:Q2:A:"
    assert prompt_keys(reasoned, "mock")[0, "fluency"] == hashlib.sha256(asked.encode()).hexdigest()
    shared = "1:S1:11:212:rationale 64" + "7:fluency1:Q2:A:" + "3:wit1:W2:A:"
    assert prompts_hash(reasoned) == hashlib.sha256(shared.encode()).hexdigest()


def test_how_it_was_read_and_why_go_through() -> None:
    """The reading goes into the distribution; the rationale into the judgment or failure."""
    sampled = replace(read(-1.0, -2.0), reading="sampled")
    made = make_judgment(sampled, DIALOGUE, "key", "because")
    assert made.outcome == ScoreDistribution((-1.0, -2.0), True, "sampled")
    assert made.rationale == "because"
    failed = make_judgment(
        LabelRead(0, "fluency", Failure("too_long", "x")), DIALOGUE, "key", "why"
    )
    assert (failed.score, failed.rationale) == (None, "why")


def test_a_read_becomes_a_judgment() -> None:
    """Its names come from the dialogue and the read; the log-probabilities are not changed."""
    made = make_judgment(read(-1.0, -2.0), DIALOGUE, "key")
    assert (made.key, made.system, made.character) == ("key", "bot", "路飞")
    assert (made.scenario, made.metric) == ("7", "fluency")
    assert made.outcome == ScoreDistribution((-1.0, -2.0), top_is_label=True)


def test_a_failed_read_stays_a_failure() -> None:
    """Code and reason are not changed, and there is no score."""
    failure = Failure("too_long", "9,000 tokens")
    made = make_judgment(LabelRead(0, "fluency", failure), DIALOGUE, "key")
    assert (made.outcome, made.score) == (failure, None)


@pytest.mark.parametrize(
    ("logprobs", "code", "reason"),
    [
        ((-math.inf, -math.inf), "no_label_mass", "0.0e+00"),
        ((-800.0, -900.0), "no_label_mass", "0.0e+00"),
        ((math.log(4e-13), math.log(5e-13)), "no_label_mass", "9.0e-13"),
        ((math.nan, -1.0), "not_probabilities", "nan, -1"),
        ((math.inf, -1.0), "not_probabilities", "inf, -1"),
        ((800.0, 3.0), "not_probabilities", "800, 3"),
        ((math.log(0.7), math.log(0.7)), "not_probabilities", "sum to 1.4"),
    ],
)
def test_no_number_is_made_of_what_is_no_answer(
    logprobs: tuple[float, ...], code: str, reason: str
) -> None:
    """Labels with almost no probability, and numbers that cannot be probabilities."""
    outcome = make_judgment(read(*logprobs), DIALOGUE, "key").outcome
    assert isinstance(outcome, Failure)
    assert outcome.code == code
    assert reason in outcome.reason


@pytest.mark.parametrize(
    "logprobs",
    [
        (math.log(4e-12), math.log(5e-12)),
        (-math.inf, -0.5),
        (0.0, -math.inf),
        (math.log(0.5) + 1e-4, math.log(0.5) + 1e-4),
    ],
)
def test_what_is_an_answer_is_kept_as_it_is(logprobs: tuple[float, ...]) -> None:
    """A small mass, a label with probability 0, and a sum of 1 up to rounding are valid."""
    assert make_judgment(read(*logprobs), DIALOGUE, "key").outcome == ScoreDistribution(
        logprobs, True
    )


@pytest.mark.parametrize("blank", ["", " ", "\n\t", "\u3000"])
def test_a_blank_reply_has_nothing_to_judge(blank: str) -> None:
    """White space of any kind is a blank reply; the failure names the round."""
    turns = (Turn("累了。", "睡吧。"), Turn("嗯。", blank))
    assert blank_reply_failure(Dialogue("bot", "路飞", "7", turns)) == Failure(
        "empty_reply", "the reply of round 2 is empty"
    )


def test_a_blank_question_is_no_failure() -> None:
    """Replies are judged, and there is one."""
    assert blank_reply_failure(Dialogue("bot", "路飞", "7", (Turn("", "睡吧。"),))) is None
