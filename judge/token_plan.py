"""How many tokens judging takes, counted before it or after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from judge.engines.interface import Engine
from judge.errors import EngineError
from judge.types import PromptItem, PromptTree

__all__ = ["RationaleCost", "TokenPlan", "plan_tokens", "rationale_cost"]


@dataclass(frozen=True, slots=True)
class TokenPlan:
    """How many tokens judging a tree will take.

    With rationales these are upper bounds, and every prompt counts twice: it is read once to write
    the rationale, and once with it to read the label.

    Attributes:
        longest: tokens of the longest prompt.
        one_by_one: tokens read if every prompt were asked alone.
        shared_once: tokens read if every shared part is read once.
        written: tokens of rationales.
    """

    longest: int
    one_by_one: int
    shared_once: int
    written: int
    window: int | None = None

    @property
    def ratio(self) -> float | None:
        """How many times fewer tokens sharing reads; None if there is nothing to ask."""
        return self.one_by_one / self.shared_once if self.shared_once else None


@dataclass(frozen=True, slots=True)
class RationaleCost:
    """Tokens read for judgments with rationales, and for the same judgments without.

    Attributes:
        read: an upper bound: every shared part read once for the rationales and once for the
            labels.
        plain: without rationales; None for a judge that always thinks first.
    """

    read: int
    plain: int | None


def plan_tokens(tree: PromptTree, engine: Engine) -> TokenPlan | None:
    """How many tokens `tree` will take; None for an engine that has no tokens."""
    count = engine.count(tree)
    if count is None:
        return None
    written = tree.rationale * count.prompts
    passes = 2 if tree.rationale else 1
    return TokenPlan(
        longest=count.longest + tree.rationale,
        one_by_one=passes * count.naive + written,
        shared_once=passes * count.tree + written,
        written=written,
        window=count.window,
    )


def rationale_cost(
    with_reasons: Sequence[PromptItem], tree: PromptTree, plain: PromptTree, engine: Engine
) -> RationaleCost | None:
    """How many tokens were read for judgments with rationales; None for an engine without tokens.

    Args:
        with_reasons: the items of the judgments with their rationales.
        tree: the tree that they were asked with.
        plain: a tree with the same questions without rationales; its items do not matter.
    """
    bare = tuple(replace(item, reasons={}) for item in with_reasons)
    first = engine.count(replace(tree, items=bare))
    second = engine.count(replace(tree, items=tuple(with_reasons)))
    if first is None or second is None:
        return None
    try:
        without = engine.count(replace(plain, profiles=tree.profiles, items=bare))
    except EngineError:
        without = None
    return RationaleCost(first.tree + second.tree, without.tree if without else None)
