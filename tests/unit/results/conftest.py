"""A small rubric, judgments with chosen scores, and the results of both."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from judge.types import Dimension, Failure, Judgment, Metric, Reading, Rubric, ScoreDistribution

Make = Callable[..., Judgment]


@pytest.fixture
def rubric() -> Rubric:
    """Two dimensions, of two metrics and of one."""
    return Rubric(
        name="small",
        version="1.2.0",
        language="zh",
        hash="0123456789abcdef" * 4,
        labels=("1", "2", "3", "4", "5"),
        dimensions=(
            Dimension("talk", {"en": "Talk", "zh": "对话"}, ("fluency", "sense")),
            Dimension("role", {"en": "Role", "zh": "角色"}, ("style",)),
        ),
        metrics=(
            Metric("fluency", "talk", {"en": "Fluency", "zh": "流畅性"}),
            Metric("sense", "talk", {"en": "Character knowledge", "zh": "角色知识"}),
            Metric("style", "role", {"en": "Style", "zh": "风格"}),
        ),
    )


@pytest.fixture
def judged() -> Make:
    """`judged("system/character/scenario", metric, score or Failure, mass=1.0, top=True)`.

    And how it was read, and the judge's reason.
    """

    def make(
        who: str,
        metric: str,
        score: float | Failure,
        *,
        mass: float = 1.0,
        top: bool = True,
        reading: Reading = "exact",
        reason: str | None = None,
    ) -> Judgment:
        system, character, scenario = who.split("/")
        outcome: ScoreDistribution | Failure
        if isinstance(score, Failure):
            outcome = score
        else:
            outcome = replace(_between(score, mass, top=top), reading=reading)
        return Judgment(f"{who} {metric}", system, character, scenario, metric, outcome, reason)

    return make


def _between(score: float, mass: float, *, top: bool) -> ScoreDistribution:
    """All probability on the two labels around `score`, in the shares that make it the mean."""
    below = min(int(score), 4)
    p = [0.0] * 5
    p[below - 1], p[below] = below + 1 - score, score - below
    return ScoreDistribution(tuple(math.log(x * mass) if x else -math.inf for x in p), top)
