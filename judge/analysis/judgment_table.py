"""Judgments as arrays over dialogues and metrics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from judge.errors import StoreError
from judge.rubric.reply_sets import is_reply_set
from judge.types import Failure, Judgment

__all__ = [
    "NOT_JUDGED",
    "Cell",
    "Distributions",
    "JudgmentTable",
    "dialogue_order",
    "distributions",
    "judgment_table",
    "system_means",
]

NOT_JUDGED = "not_judged"
"""The code of a dialogue asked about whose judgment of a metric is not in the run yet."""

Cell = tuple[str, str, str]


def dialogue_order(system: str, character: str, scenario: str) -> tuple[object, ...]:
    """Sort key of a dialogue: system, character, scenario; scenarios that are numbers by value."""
    number = int(scenario) if scenario.isdecimal() else math.inf
    return (system, character, number, scenario)


@dataclass(frozen=True, slots=True)
class JudgmentTable:
    """Judgments as arrays over (dialogues, metrics); nan where there is no score."""

    cells: list[Cell]
    metrics: list[str]
    score: NDArray[np.float64]
    mass: NDArray[np.float64]
    top: NDArray[np.bool_]
    sampled: NDArray[np.bool_]
    code: NDArray[np.object_]

    def rows(self, system: str) -> NDArray[np.int64]:
        """The rows of one system."""
        return np.array([i for i, cell in enumerate(self.cells) if cell[0] == system])

    def columns(self, metrics: Sequence[str]) -> list[int]:
        """The columns of some metrics."""
        return [self.metrics.index(metric) for metric in metrics]


def judgment_table(judgments: Sequence[Judgment], metrics: list[str]) -> JudgmentTable:
    """Rows in the order of `dialogue_order`, columns as `metrics`.

    Raises:
        StoreError: two judgments of the same thing, or one without a number.
    """
    cells = sorted(
        {(j.system, j.character, j.scenario) for j in judgments},
        key=lambda cell: dialogue_order(*cell),
    )
    row_of = {cell: row for row, cell in enumerate(cells)}
    column_of = {metric: column for column, metric in enumerate(metrics)}
    shape = (len(cells), len(metrics))
    score, mass = np.full(shape, np.nan), np.full(shape, np.nan)
    top, sampled = np.zeros(shape, dtype=np.bool_), np.zeros(shape, dtype=np.bool_)
    code = np.full(shape, NOT_JUDGED, dtype=object)
    for j in judgments:
        at = row_of[j.system, j.character, j.scenario], column_of[j.metric]
        what = f"{j.metric} of {j.system}/{j.character}/{j.scenario}"
        if code[at] != NOT_JUDGED:
            raise StoreError(f"two judgments of {what}", hint="export one of the runs alone")
        if isinstance(j.outcome, Failure):
            code[at] = j.outcome.code
            continue
        code[at] = "ok"
        score[at], mass[at] = j.outcome.expected, j.outcome.label_mass
        top[at], sampled[at] = j.outcome.top_is_label, j.outcome.reading == "sampled"
        if math.isnan(score[at]):
            raise StoreError(f"no label has any probability in {what}", hint="judge it again")
    return JudgmentTable(cells, metrics, score, mass, top, sampled, code)


@dataclass(frozen=True, slots=True, eq=False)
class Distributions:
    """n dialogues in the order of `dialogue_order`, M metrics, K labels.

    Attributes:
        cells: (system, character, scenario) of each dialogue.
        metrics: the M metrics.
        probs: (n, M, K), summing to 1 over the labels; nan throughout where there is no score.
    """

    cells: tuple[Cell, ...]
    metrics: tuple[str, ...]
    probs: NDArray[np.float64]

    @property
    def scored(self) -> NDArray[np.bool_]:
        """(n, M) where there is a score."""
        return ~np.isnan(self.probs[:, :, 0])

    @property
    def expected(self) -> NDArray[np.float64]:
        """(n, M) the raw scores, nan where there is none."""
        scores: NDArray[np.float64] = self.probs @ np.arange(1.0, self.probs.shape[2] + 1)
        return scores

    def names(self, way: int) -> NDArray[np.str_]:
        """(n,) the systems (0), characters (1) or scenarios (2)."""
        return np.array([cell[way] for cell in self.cells])


def distributions(
    judgments: Sequence[Judgment], metrics: Sequence[str], labels: int
) -> Distributions:
    """The distributions of some metrics; judgments of other metrics only add their dialogues.

    Sets of replies are no dialogues, and are passed over.

    Raises:
        StoreError: two judgments of the same thing, or one of another number of labels.
    """
    judgments = [j for j in judgments if not is_reply_set(j.scenario)]
    cells = sorted(
        {(j.system, j.character, j.scenario) for j in judgments},
        key=lambda cell: dialogue_order(*cell),
    )
    row_of = {cell: row for row, cell in enumerate(cells)}
    column_of = {metric: column for column, metric in enumerate(metrics)}
    logprobs = np.full((len(cells), len(metrics), labels), np.nan)
    seen = np.zeros(logprobs.shape[:2], dtype=np.bool_)
    for j in judgments:
        if j.metric not in column_of:
            continue
        at = row_of[j.system, j.character, j.scenario], column_of[j.metric]
        what = f"{j.metric} of {j.system}/{j.character}/{j.scenario}"
        if seen[at]:
            raise StoreError(f"two judgments of {what}", hint="name each run once")
        seen[at] = True
        if isinstance(j.outcome, Failure):
            continue
        if len(j.outcome.logprobs) != labels or max(j.outcome.logprobs) == -math.inf:
            raise StoreError(
                f"{what} is no distribution over {labels} labels", hint="judge it again"
            )
        logprobs[at] = j.outcome.logprobs
    # Less the largest, so that no exponential underflows to a distribution of nothing.
    weights = np.exp(logprobs - logprobs.max(axis=2, keepdims=True))
    probs: NDArray[np.float64] = weights / weights.sum(axis=2, keepdims=True)
    return Distributions(tuple(cells), tuple(metrics), probs)


def system_means(judged: Distributions) -> dict[str, NDArray[np.float64]]:
    """System -> (metrics,) mean raw score over its scored dialogues, nan without any."""
    system, scores = judged.names(0), judged.expected
    found = {}
    for name in sorted(set(system.tolist())):
        own = scores[system == name]
        count = (~np.isnan(own)).sum(axis=0)
        mean = np.full(len(count), np.nan)
        np.divide(np.nansum(own, axis=0), count, out=mean, where=count > 0)
        found[name] = mean
    return found
