"""The shared records, and what they compute."""

from __future__ import annotations

import dataclasses
import math

import pytest

from judge import types
from judge.types import (
    Dialogue,
    Dimension,
    Failure,
    Judgment,
    Metric,
    PromptItem,
    PromptTree,
    Rubric,
    ScoreDistribution,
    Turn,
)


def test_every_record_is_frozen_and_slotted() -> None:
    """No record can be changed after it was made, nor given a new attribute."""
    for name in types.__all__:
        cls = getattr(types, name)
        if name in {"Chats", "Reading", "Seeds"}:  # names of types, no records
            continue
        assert cls.__dataclass_params__.frozen, name
        assert "__slots__" in vars(cls), name
    with pytest.raises(dataclasses.FrozenInstanceError):
        Turn("q", "a").answer = "b"  # type: ignore[misc]


def test_dialogue_id() -> None:
    """A dialogue is named by system, character and scenario."""
    assert Dialogue("bot", "路飞", "7", ()).id == "bot/路飞/7"


def test_a_tree_counts_its_prompts() -> None:
    """One prompt for each metric of each item."""
    dialogue = Dialogue("bot", "路飞", "7", (Turn("q", "a"),))
    items = (PromptItem(dialogue, "", ("a", "b")), PromptItem(dialogue, "", ("a",)))
    assert len(PromptTree("", {}, {}, ("1", "2"), items)) == 3
    assert len(PromptTree("", {}, {}, ("1", "2"), ())) == 0


def test_a_rubric_finds_its_metrics() -> None:
    """By name; another name is a KeyError."""
    metric = Metric("fluency", "basic", {"en": "Fluency"})
    rubric = Rubric(
        "r", "1", "en", "", ("1", "2"), (Dimension("basic", {}, ("fluency",)),), (metric,)
    )
    assert rubric.metric("fluency") is metric
    with pytest.raises(KeyError):
        rubric.metric("wit")


def test_a_distribution_by_hand() -> None:
    """Shares (.1, .2, .3, .1, .1) has mass .8, renormalised (1, 2, 3, 1, 1) / 8, mean 23 / 8."""
    raw = tuple(math.log(p) for p in (0.1, 0.2, 0.3, 0.1, 0.1))
    read = ScoreDistribution(raw, top_is_label=True)
    assert read.label_mass == pytest.approx(0.8)
    assert read.p == pytest.approx((0.125, 0.25, 0.375, 0.125, 0.125))
    assert read.expected == pytest.approx(23 / 8)


def test_a_label_may_have_no_probability() -> None:
    """-inf is a probability of exactly 0: it takes no part in the mean."""
    read = ScoreDistribution(
        (-math.inf, math.log(0.25), -math.inf, math.log(0.25), -math.inf), True
    )
    assert read.p == (0.0, 0.5, 0.0, 0.5, 0.0)
    assert read.expected == 3.0


def test_tiny_probabilities_are_renormalised_all_the_same() -> None:
    """Far below the smallest float, two equal labels still share the whole."""
    assert ScoreDistribution((-2000.0, -2000.0), top_is_label=False).p == (0.5, 0.5)


def test_no_measurement_no_number() -> None:
    """A failure has no score; not 0, not the middle of the scale."""
    cell = ("bot", "路飞", "7", "fluency")
    assert Judgment("k", *cell, Failure("too_long", "4,000 tokens")).score is None
    even = ScoreDistribution((math.log(0.5), math.log(0.5)), top_is_label=True)
    assert Judgment("k", *cell, even).score == pytest.approx(1.5)
