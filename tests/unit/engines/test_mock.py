"""The mock judge: draws that mean nothing, but always the same."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from judge.engines import EngineOptions
from judge.engines.mock import MockEngine
from judge.types import Failure, LabelRead, PromptTree, Question, Rationale
from tests.unit.engines.small import METRICS, make_tree

TREE = make_tree([f"text {i}" for i in range(200)])


def read(seed: int = 0, tree: object = TREE) -> list[LabelRead]:
    return list(MockEngine("mock", EngineOptions(seed=seed)).score(tree))  # type: ignore[arg-type]


def test_it_is_deterministic() -> None:
    """Two engines with one seed give the same reads to the last bit."""
    assert read(seed=3) == read(seed=3)


def test_the_seed_changes_every_answer() -> None:
    """Seed 0 is a seed like any other."""
    pairs = list(zip(read(seed=0), read(seed=1), strict=True))
    assert all(one.outcome != other.outcome for one, other in pairs)
    engines = [MockEngine("mock", EngineOptions(seed=seed)) for seed in (0, 1)]
    assert engines[0].fingerprint != engines[1].fingerprint


def test_reads_come_in_the_order_of_the_tree() -> None:
    """One read for each metric of each item."""
    wanted = [(i, metric) for i in range(200) for metric in METRICS]
    assert [(r.item, r.metric) for r in read()] == wanted


def test_a_read_does_not_depend_on_its_batch() -> None:
    """The items alone, and backwards, get what they get together."""
    together = {(r.item, r.metric): r.outcome for r in read()}
    backwards = replace(TREE, items=TREE.items[::-1])
    for r in read(tree=backwards):
        assert r.outcome == together[199 - r.item, r.metric]
    for r in read(tree=replace(TREE, items=TREE.items[7:8])):
        assert r.outcome == together[7, r.metric]


def test_every_segment_of_the_prompt_matters() -> None:
    """Another system text, profile, dialogue, question or prefill is another prompt."""
    one = make_tree(["x"], metrics=["fluency"])
    others = [
        replace(one, system="Another."),
        replace(one, profiles={"Ann": "Another."}),
        replace(one, items=(replace(one.items[0], text="y"),)),
        replace(one, questions={"fluency": Question("fluency", "Another?", "流畅性评分：")}),
        replace(one, questions={"fluency": replace(one.questions["fluency"], prefill="Answer:")}),
        replace(one, labels=("5", "4", "3", "2", "1")),
    ]
    outcomes = [read(tree=tree)[0].outcome for tree in (one, *others)]
    assert len(set(outcomes)) == len(outcomes)


def test_label_mass_is_that_of_a_good_judge() -> None:
    """Between .9 and .99, never 1: what is off the labels has to be kept by those who read it."""
    masses = []
    for r in read():
        assert not isinstance(r.outcome, Failure)
        assert all(math.isfinite(v) for v in r.outcome)
        masses.append(math.fsum(math.exp(v) for v in r.outcome))
        assert r.top_is_label == (math.exp(max(r.outcome)) > 1 - masses[-1])
    assert 0.9 <= min(masses) < 0.91
    assert 0.98 < max(masses) <= 0.99


def test_draws_are_dirichlet() -> None:
    """Over many prompts the shares have the moments of a Dirichlet with concentration .5.

    The mean of a share is .2, its variance .2 x .8 / (5 x .5 + 1).
    """
    p = np.exp(np.array([r.outcome for r in read()], dtype=float))
    shares = p / p.sum(axis=1, keepdims=True)
    assert np.allclose(shares.mean(axis=0), 0.2, atol=0.03)
    assert np.allclose(shares.var(axis=0), 0.2 * 0.8 / 3.5, atol=0.012)


REASONED = replace(TREE, rationale=8)


def write(tree: PromptTree, seed: int = 0) -> list[Rationale]:
    return list(MockEngine("mock", EngineOptions(seed=seed)).write(tree))


def test_reasons_are_deterministic_and_in_order() -> None:
    """One for each metric of each item, alone as together; another seed writes others."""
    written = write(REASONED)
    assert [(w.item, w.metric) for w in written] == [(i, m) for i in range(200) for m in METRICS]
    assert write(REASONED) == written
    alone = write(replace(REASONED, items=REASONED.items[7:8]))
    assert [w.outcome for w in alone] == [w.outcome for w in written if w.item == 7]
    assert [w.outcome for w in write(REASONED, seed=1)] != [w.outcome for w in written]


def test_a_reason_is_words_of_the_dialogue_within_the_limit() -> None:
    """A mark, then a part of the text; what the limit ended is said to be cut."""
    whole = write(replace(TREE, rationale=1000))
    assert {w.cut for w in whole} == {False}
    for long, short in zip(whole, write(REASONED), strict=True):
        assert isinstance(long.outcome, str)
        assert long.outcome[:3] in {"[+]", "[-]"}
        assert long.outcome[3:].strip() in TREE.items[long.item].text
        assert short.outcome == long.outcome[:8].rstrip()
        assert short.cut == (len(long.outcome) > 8)
        assert (long.tokens, short.tokens) == (len(long.outcome), len(short.outcome))
    assert {w.cut for w in write(REASONED)} == {False, True}


def test_the_label_depends_on_the_reason() -> None:
    """What it wrote is part of the prompt that it is read at, in that mode only."""
    one = make_tree(["x"], metrics=["fluency"])
    yes, no = (
        replace(one, rationale=9, items=(replace(one.items[0], reasons={"fluency": why}),))
        for why in ("yes", "no")
    )
    outcomes = [read(tree=tree)[0].outcome for tree in (one, yes, no)]
    assert len(set(outcomes)) == 3


def test_it_has_no_tokens() -> None:
    """Nothing to count."""
    engine = MockEngine("mock", EngineOptions(batch_size=7))
    assert engine.count(TREE) is None
    assert engine.can_generate
    assert engine.batch_size == 7
    assert engine.describe() == {"engine": "mock", "model": "mock", "device": "cpu"}


def test_the_two_with_a_fault_count_length_and_nothing() -> None:
    """A longer reply scores higher with one, every reply the same with the other."""

    def scores(model: str) -> list[float]:
        reads = MockEngine(model, EngineOptions()).score(make_tree(["好", "好" * 150, "好" * 600]))
        found = []
        for r in reads:
            assert not isinstance(r.outcome, Failure)
            p = np.exp(r.outcome)
            assert math.fsum(p) == pytest.approx(1, abs=1e-4)
            found.append(float(p @ np.arange(1, len(p) + 1)))
        return found[:: len(METRICS)]

    short, middle, long = scores("mock-length")
    assert short < middle == pytest.approx(3, abs=1e-3)
    assert middle < long
    assert len(set(scores("mock-constant"))) == 1
