"""Judgments as arrays over dialogues and metrics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from judge.errors import StoreError
from judge.types import Failure, Judgment

__all__ = ["NOT_JUDGED", "Cell", "Table", "dialogue_order", "tabulate"]

NOT_JUDGED = "not_judged"
"""The code of a dialogue asked about whose judgment of a metric is not in the run yet."""

Cell = tuple[str, str, str]


def dialogue_order(system: str, character: str, scenario: str) -> tuple[object, ...]:
    """Sort key of a dialogue: system, character, scenario; scenarios that are numbers by value."""
    number = int(scenario) if scenario.isdecimal() else math.inf
    return (system, character, number, scenario)


@dataclass(frozen=True, slots=True)
class Table:
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


def tabulate(judgments: Sequence[Judgment], metrics: list[str]) -> Table:
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
    return Table(cells, metrics, score, mass, top, sampled, code)
