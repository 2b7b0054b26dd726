"""The dialogues on which judge and people differ most, to be read by people."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from calibration.agreement.correlation import tie_codes
from judge.analysis.agreement.measured import Measured
from judge.analysis.agreement.observed import Observed
from judge.analysis.agreement.record import Disagreement
from judge.analysis.table import Cell, dialogue_order

__all__ = ["MOST", "disagreements"]

MOST = 40
"""Dialogues of each metric."""

Floats = NDArray[np.float64]


def disagreements(observed: Observed, measures: Sequence[Measured]) -> tuple[Disagreement, ...]:
    """By metric in the order of `measures`, largest gap first, equal ones in that of dialogues."""
    return tuple(
        shown
        for measure in measures
        if measure.kind == "metric"
        for shown in _of_metric(observed, measure)
    )


def _of_metric(observed: Observed, measure: Measured) -> list[Disagreement]:
    rows = np.flatnonzero(measure.both)
    judge, human = measure.points
    if measure.off:
        if not (tie_codes(judge).any() and tie_codes(human).any()):
            return []
        judge, human = _standardised(judge), _standardised(human)
    gap = judge - human
    # Gaps that tie but for their last bits are in the order of dialogues, whatever the machine.
    size = tie_codes(np.abs(gap))
    least = np.sort(size)[-MOST:].min(initial=np.iinfo(np.int64).max)
    largest = sorted(
        np.flatnonzero(size >= least).tolist(),
        key=lambda i: (-size[i], dialogue_order(*_cell(observed, int(rows[i])))),
    )
    return [_show(observed, measure, int(rows[i]), float(gap[i])) for i in largest[:MOST]]


def _show(observed: Observed, measure: Measured, row: int, gap: float) -> Disagreement:
    column = observed.metrics.index(measure.name)
    first, last = np.searchsorted(measure.cell, [row, row + 1])
    ratings = zip(measure.rater[first:last].tolist(), measure.rating[first:last], strict=True)
    p = () if observed.probs is None else tuple(observed.probs[row, column].tolist())
    return Disagreement(
        *_cell(observed, row),
        metric=measure.name,
        judge=float(measure.judge[row]),
        human=float(measure.human[row]),
        gap=gap,
        p=p,
        ratings=tuple(
            (observed.raters[rater] if rater >= 0 else "", float(rating))
            for rater, rating in ratings
        ),
        turns=observed.turns.get(row, ()),
        rationale=observed.rationales.get((row, column)),
    )


def _cell(observed: Observed, row: int) -> Cell:
    return str(observed.system[row]), str(observed.character[row]), str(observed.scenario[row])


def _standardised(values: Floats) -> Floats:
    scaled: Floats = (values - values.mean()) / values.std()
    return scaled
