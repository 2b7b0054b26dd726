"""What judging takes in tokens: of a tree before anything is asked, of reasons once written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from judge.engines.interface import Engine
from judge.errors import EngineError
from judge.types import PromptItem, PromptTree

__all__ = ["Cost", "Plan", "cost", "plan"]


@dataclass(frozen=True, slots=True)
class Plan:
    """Tokens that a tree will take; where reasons are written, at most.

    With reasons every prompt is read twice: for the reason, and with it for the label.

    Attributes:
        longest: of one prompt.
        one_by_one: read, if every prompt were asked for itself.
        shared_once: read, with every shared part read once.
        written: in reasons.
    """

    longest: int
    one_by_one: int
    shared_once: int
    written: int

    @property
    def ratio(self) -> float | None:
        """How many times fewer tokens are read for sharing; None where there is nothing to ask."""
        return self.one_by_one / self.shared_once if self.shared_once else None


@dataclass(frozen=True, slots=True)
class Cost:
    """Tokens read for judgments with reasons, and for the same ones without.

    Attributes:
        read: at most, with every shared part read once for the reasons and once for the labels.
        plain: without reasons; None for a judge that always thinks first and cannot do without.
    """

    read: int
    plain: int | None


def plan(tree: PromptTree, engine: Engine) -> Plan | None:
    """What `tree` will take, or None for an engine without tokens."""
    count = engine.count(tree)
    if count is None:
        return None
    written = tree.rationale * count.prompts
    times = 2 if tree.rationale else 1
    return Plan(
        longest=count.longest + tree.rationale,
        one_by_one=times * count.naive + written,
        shared_once=times * count.tree + written,
        written=written,
    )


def cost(
    reasoned: Sequence[PromptItem], tree: PromptTree, plain: PromptTree, engine: Engine
) -> Cost | None:
    """What reading took, or None for an engine without tokens.

    Args:
        reasoned: the items of the judgments, with the reasons that were written.
        tree: what `reasoned` was asked with.
        plain: the same questions without reasons; its dialogues do not matter.
        engine: the judge.
    """
    bare = tuple(replace(item, reasons={}) for item in reasoned)
    first, second = (engine.count(replace(tree, items=tuple(i))) for i in (bare, reasoned))
    if first is None or second is None:
        return None
    try:
        without = engine.count(replace(plain, profiles=tree.profiles, items=bare))
    except EngineError:
        without = None
    return Cost(first.tree + second.tree, without.tree if without else None)
