"""The dialogues with the lowest and the highest scores, to be read by people."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from judge.analysis.results import Extreme, MetricScore
from judge.analysis.table import Cell, Table
from judge.types import Dialogue, Failure, Judgment

__all__ = ["extreme_dialogues"]


def extreme_dialogues(
    table: Table, judgments: Sequence[Judgment], dialogues: Iterable[Dialogue], most: int
) -> tuple[tuple[Extreme, ...], tuple[Extreme, ...]]:
    """The `most` lowest, lowest first, and the `most` highest, highest first.

    Only dialogues with every metric scored take part; equal scores go in the order of ids.
    No dialogue is in both lists, so few dialogues make short lists.
    """
    scores = [round(float(score), 10) for score in table.score.mean(axis=1)]
    order = sorted((s, row) for row, s in enumerate(scores) if not math.isnan(s))
    low = [row for _, row in order[: min(most, len(order) // 2)]]
    down = sorted((-s, row) for s, row in order if row not in low)
    high = [row for _, row in down[:most]]
    wanted = {table.cells[row] for row in (*low, *high)}
    scored: dict[Cell, dict[str, MetricScore]] = {cell: {} for cell in wanted}
    for j in judgments:
        cell, read = (j.system, j.character, j.scenario), j.outcome
        if cell in wanted and not isinstance(read, Failure):
            scored[cell][j.metric] = MetricScore(
                j.metric, read.expected, read.p, read.label_mass, read.reading, j.rationale
            )
    turns = {
        cell: d.turns for d in dialogues if (cell := (d.system, d.character, d.scenario)) in wanted
    }

    def show(row: int) -> Extreme:
        cell = table.cells[row]
        metrics = tuple(scored[cell][metric] for metric in table.metrics)
        return Extreme(*cell, scores[row], metrics, turns.get(cell, ()))

    return tuple(map(show, low)), tuple(map(show, high))
