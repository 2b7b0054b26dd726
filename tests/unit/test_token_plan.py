"""Numbers of tokens, counted by hand: every character is one token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from judge.engines import EngineOptions, TokenCount
from judge.engines.mock import MockEngine
from judge.engines.tokens import Frame, PromptTokenizer
from judge.token_plan import RationaleCost, TokenPlan, plan_tokens, rationale_cost
from judge.types import Dialogue, PromptItem, PromptTree, Question, Turn


class Letters:
    """Characters as ids, for the prompt tokenizer that every engine has."""

    unknown = None

    def encode(self, text: str, *, plain: bool) -> Sequence[int]:
        del plain
        return [ord(character) for character in text]

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(map(chr, ids))


class Counting(MockEngine):
    """The mock, with tokens; `thinks` makes it begin every answer with a thought."""

    def __init__(self, *, thinks: bool = False) -> None:
        super().__init__("mock", EngineOptions())
        frame = Frame("", "", "<think>") if thinks else Frame("", "", "")
        self._prompt_tokenizer = PromptTokenizer(Letters(), frame, "", "letters")

    def count(self, tree: PromptTree) -> TokenCount | None:
        return self._prompt_tokenizer(tree).count()


def item(scenario: str, *metrics: str, **reasons: str) -> PromptItem:
    """A dialogue of 6 tokens."""
    dialogue = Dialogue("bot", "c", scenario, (Turn("q", "a"),))
    return PromptItem(dialogue, "d" * 6, metrics, reasons)


def tree(*items: PromptItem, question: int, rationale: int = 0) -> PromptTree:
    """System text 100, profile 10, prefill 3; questions of so many tokens."""
    return PromptTree(
        system="s" * 100,
        profiles={"c": "p" * 10},
        questions={m: Question(m, "q" * question, "xx:") for m in ("x", "y")},
        labels=("1", "2"),
        items=items,
        rationale=rationale,
    )


def test_a_plan_of_plain_prompts() -> None:
    """Three prompts of 100 + 10 + 6 + 4 + 3; shared: 100 + 10 + 2 x 6 + 3 x 7."""
    found = plan_tokens(tree(item("1", "x", "y"), item("2", "x"), question=4), Counting())
    assert found == TokenPlan(longest=123, one_by_one=369, shared_once=143, written=0)
    assert found.ratio == pytest.approx(369 / 143)


def test_a_plan_with_reasons() -> None:
    """At most twice the prompts, with a line break before the prefill, and every reason read once.

    Three prompts of 100 + 10 + 6 + 7 + 4; shared: 100 + 10 + 2 x 6 + 3 x 11; reasons of 50.
    """
    asked = tree(item("1", "x", "y"), item("2", "x"), question=7, rationale=50)
    assert plan_tokens(asked, Counting()) == TokenPlan(
        longest=127 + 50, one_by_one=2 * 381 + 150, shared_once=2 * 155 + 150, written=150
    )


def test_nothing_to_ask_has_no_ratio() -> None:
    """Without prompts nothing is read, and the ratio is None."""
    found = plan_tokens(tree(question=4), Counting())
    assert found == TokenPlan(0, 0, 0, 0)
    assert found.ratio is None


def test_what_reasons_took() -> None:
    """Read for the reasons, read for the labels, and read by the plain mode for the same.

    For the reasons 100 + 10 + 2 x 6 + 3 x (7 + 4) = 155; for the labels the reasons of 5, 8 and 1
    come to it. Plain: 143 as above.
    """
    made = (item("1", "x", "y", x="r" * 5, y="r" * 8), item("2", "x", x="r"))
    asked = tree(question=7, rationale=50)
    asked = replace(asked, items=made)
    assert rationale_cost(made, asked, tree(question=4), Counting()) == RationaleCost(
        read=155 + 169, plain=143
    )


def test_a_judge_that_always_thinks_has_no_plain_mode() -> None:
    """What judging without rationales would read is unknown, so it is None."""
    made = (item("1", "x", x="r" * 5),)
    asked = tree(*made, question=7, rationale=50)
    found = rationale_cost(made, asked, tree(question=4), Counting(thinks=True))
    assert found is not None
    assert found.plain is None


def test_an_engine_without_tokens_has_no_figures() -> None:
    """Neither a plan nor a cost."""
    engine = MockEngine("mock", EngineOptions())
    made = (item("1", "x", x="r"),)
    asked = tree(*made, question=7, rationale=50)
    assert plan_tokens(asked, engine) is None
    assert rationale_cost(made, asked, tree(question=4), engine) is None
