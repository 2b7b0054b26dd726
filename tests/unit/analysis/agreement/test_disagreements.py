"""Where judge and people differ most: which dialogues, in which order, with what beside them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from judge.analysis.agreement.judge_agreement import agree
from judge.types import Turn
from tests.unit.analysis.agreement.seen import METRICS, drawn, table


def test_forty_of_each_metric_by_falling_gap() -> None:
    """The plain way: sort all gaps."""
    observed = drawn()
    found = agree(observed, resamples=0).disagreements
    assert [row.metric for row in found] == [metric for metric in METRICS for _ in range(40)]
    mean = np.array([
        observed.rating[(observed.dialogue == row) & (observed.metric == 0)].mean()
        for row in range(120)
    ])  # fmt: skip
    gaps = np.sort(np.abs(observed.score[:, 0] - mean))[::-1][:40]
    assert [abs(row.gap) for row in found[:40]] == pytest.approx(gaps)
    assert all(row.gap == pytest.approx(row.judge - row.human) for row in found)


def test_equal_gaps_go_in_the_order_of_dialogues() -> None:
    """Scenario 2 before 10; one gap is .30000000000000004 and no larger for it."""
    scenarios = [str(k) for k in (10, 9, 2, 1)]
    observed = table(
        {"m": [3.3, 3.3, 1.1 + 2.2, 5]},
        [(0, "m", "a", 3), (1, "m", "a", 3), (2, "m", "a", 3), (3, "m", "a", 4)],
        systems=["s"] * 4,
        scenario=np.array(scenarios),
    )
    found = agree(observed, resamples=0).disagreements
    assert [row.scenario for row in found] == ["1", "2", "9", "10"]


def test_all_that_is_known_stands_beside() -> None:
    """Who rated what, in order; the probabilities, the text and the judge's reason."""
    observed = table(
        {"m": [1, 2]},
        [(0, "m", "b", 5), (0, "m", "a", 4), (0, "m", "", 5), (1, "m", "a", 2)],
        probs=np.array([[[0.75, 0.25]], [[0.5, 0.5]]]),
        turns={0: (Turn("why?", "so"),)},
        rationales={(0, 0): "it is short"},
    )
    first, second = agree(observed, resamples=0).disagreements
    assert first.ratings == (("", 5.0), ("a", 4.0), ("b", 5.0))
    assert (first.p, first.turns, first.rationale) == (
        (0.75, 0.25),
        (Turn("why?", "so"),),
        "it is short",
    )
    assert (second.turns, second.rationale, second.gap) == ((), None, 0)


def test_on_another_range_gaps_are_in_standard_deviations() -> None:
    """By hand: judge 10, 20, 60 has z -.926, -.463, 1.389; people 5, 1, 3 have 1.225, -1.225, 0."""
    observed = table({"m": [10, 20, 60]}, [(0, "m", "a", 5), (1, "m", "a", 1), (2, "m", "a", 3)])
    found = agree(observed, resamples=0).disagreements
    assert [row.system for row in found] == ["s00", "s02", "s01"]
    assert [row.gap for row in found] == pytest.approx([-2.1506, 1.3887, 0.7618], abs=1e-4)


def test_a_constant_side_on_another_range_has_no_gap() -> None:
    """It has no standard deviation; on the same range there are points to count."""
    ratings = [(0, "m", "a", 5.0), (1, "m", "a", 1.0)]
    assert not agree(table({"m": [10, 10]}, ratings), resamples=0).disagreements
    assert len(agree(table({"m": [4, 4]}, ratings), resamples=0).disagreements) == 2


def test_dialogues_without_both_scores_cannot_disagree() -> None:
    """An unrated dialogue is not shown."""
    observed = table({"m": [1, 2, 5]}, [(0, "m", "a", 1), (2, "m", "a", 1)])
    score = observed.score.copy()
    score[2] = np.nan
    found = agree(replace(observed, score=score), resamples=0).disagreements
    assert [row.system for row in found] == ["s00"]
