"""Laws of keys and of distributions."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from judge.scoring import make_judgment, prompt_keys
from judge.types import (
    Dialogue,
    LabelRead,
    PromptItem,
    PromptTree,
    Question,
    ScoreDistribution,
    Turn,
)

# Few letters and the marks of the encoding itself, so that near-collisions are drawn.
texts = st.text("ab1:2", max_size=4)
Asked = tuple[str, str, tuple[str, ...], str, str, str, str]
asked = st.tuples(texts, texts, st.lists(texts, max_size=3).map(tuple), texts, texts, texts, texts)


def tree(question: Asked, *, who: str = "bot", before: int = 0) -> PromptTree:
    """A tree that asks `question` of its last item, after `before` other items."""
    _, system, labels, profile, text, words, prefill = question
    dialogue = Dialogue(who, "c", "1", (Turn("q", "a"),))
    others = tuple(PromptItem(dialogue, f"other {n}", ("x", "m")) for n in range(before))
    return PromptTree(
        system=system,
        profiles={"c": profile, "d": "another"},
        questions={"x": Question("x", "?", "!"), "m": Question("m", words, prefill)},
        labels=labels,
        items=(*others, PromptItem(dialogue, text, ("m",))),
    )


def key(question: Asked, **kwargs: object) -> str:
    built = tree(question, **kwargs)  # type: ignore[arg-type]
    return prompt_keys(built, question[0])[len(built.items) - 1, "m"]


@given(asked, asked)
def test_keys_are_equal_only_for_equal_questions(one: Asked, other: Asked) -> None:
    """However the same letters are cut into segments and labels, another cut is another key."""
    assert (key(one) == key(other)) == (one == other)


@given(asked, st.integers(0, 6), texts)
def test_any_one_change_changes_the_key(one: Asked, part: int, new: str) -> None:
    """Judge, system text, labels, profile, dialogue, question, prefill: each of them counts."""
    changed = list(one)
    changed[part] = (*one[2], new) if part == 2 else new
    assume(tuple(changed) != one)
    assert key(tuple(changed)) != key(one)  # type: ignore[arg-type]


@given(asked, asked, st.integers(1, 12), st.integers(0, 12))
def test_reasons_make_other_keys(one: Asked, other: Asked, most: int, less: int) -> None:
    """An answer with a reason is never taken for one without, or with a longer one."""
    assume(most != less)
    (reasoned,) = prompt_keys(replace(tree(one), rationale=most), one[0]).values()
    (different,) = prompt_keys(replace(tree(other), rationale=less), other[0]).values()
    assert reasoned != different


@given(asked, st.text(max_size=4), st.integers(0, 3))
def test_nothing_else_changes_the_key(one: Asked, who: str, before: int) -> None:
    """Who is judged, the other dialogues and metrics asked about: none of it is the question."""
    assert key(one, who=who, before=before) == key(one)


logprobs = st.lists(st.floats(-700, 0), min_size=2, max_size=5)


@given(logprobs, st.floats(-600, 600))
def test_only_ratios_make_the_score(values: list[float], shift: float) -> None:
    """Shares sum to 1, the mean lies on the scale, a constant added to all changes neither."""
    one = ScoreDistribution(tuple(values), top_is_label=True)
    other = ScoreDistribution(tuple(value + shift for value in values), top_is_label=True)
    assert math.fsum(one.p) == pytest.approx(1, abs=1e-12)
    assert 1 <= one.expected <= len(values)
    assert other.p == pytest.approx(one.p, abs=1e-9)
    assert other.expected == pytest.approx(one.expected, abs=1e-9)


@given(logprobs, st.integers(1, 6))
def test_more_probability_higher_up_is_a_higher_score(values: list[float], at: int) -> None:
    """Turned round, the distribution has the mirrored mean; a likelier top label no lower one."""
    one = ScoreDistribution(tuple(values), top_is_label=True)
    turned = ScoreDistribution(tuple(values[::-1]), top_is_label=True)
    assert turned.expected == pytest.approx(len(values) + 1 - one.expected)
    raised = (*values[:-1], values[-1] + at)
    assert ScoreDistribution(raised, top_is_label=True).expected >= one.expected - 1e-12


@given(st.lists(st.floats() | st.floats(-40, 0.01) | st.just(-math.inf), min_size=1, max_size=5))
def test_every_read_is_a_sound_score_or_none(values: list[float]) -> None:
    """Whatever an engine hands over, a score is within the scale and its mass within [0, 1]."""
    dialogue = Dialogue("bot", "c", "1", (Turn("q", "a"),))
    made = make_judgment(LabelRead(0, "m", tuple(values)), dialogue, "k")
    if isinstance(made.outcome, ScoreDistribution):
        assert 1 <= made.outcome.expected <= len(values)
        assert 1e-12 <= made.outcome.label_mass <= 1.001
        assert made.outcome.logprobs == tuple(values)
    else:
        assert made.score is None
        total = math.fsum(math.exp(v) if v < 1 else math.inf for v in values)
        assert not 1e-12 <= total <= 1 + 1e-9
