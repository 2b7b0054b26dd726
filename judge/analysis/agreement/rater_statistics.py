"""People among themselves, the judge as one of them, and where judge and people differ most."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from calibration.agreement.alt_test import EPSILON, alt_test
from calibration.agreement.correlation import spearman, tie_codes
from calibration.agreement.raters import Alpha, against_rest, krippendorff_alpha, reliability
from judge.analysis.agreement.agreement_records import (
    AltTest,
    Ceiling,
    Disagreement,
    Estimate,
    RaterPair,
)
from judge.analysis.agreement.data import MeasureScores, PairedScores
from judge.analysis.agreement.statistics import estimate
from judge.analysis.judgment_table import DialogueId, dialogue_order, finite_or_none

__all__ = [
    "MOST_DISAGREEMENTS",
    "MOST_RATERS",
    "alphas",
    "annotator_tests",
    "ceiling",
    "disagreements",
    "rater_pairs",
]


def alphas(measure: MeasureScores) -> tuple[Estimate, Estimate]:
    """Krippendorff's alpha among people, and with the judge as one more of them."""
    people = _alpha(krippendorff_alpha(measure.rating, measure.cell))
    if measure.off:
        return people, estimate(math.nan, 0, reason=measure.off)
    return people, _alpha(krippendorff_alpha(measure.rating, measure.cell, judge=measure.judge))


def _alpha(found: Alpha) -> Estimate:
    value, reason = found.value, found.reason
    # Of a single cell, what is observed is what is expected: alpha is 0 whatever was rated.
    if found.units == 1 and not reason:
        value, reason = math.nan, "only one dialogue has two ratings"
    return estimate(value, found.ratings, groups=found.units, reason=reason)


def annotator_tests(measure: MeasureScores, annotators: str) -> tuple[AltTest, ...]:
    """On the judge's scores as they are, and as if it gave whole labels."""
    return tuple(_tests(measure, EPSILON[annotators]))


def _tests(measure: MeasureScores, epsilon: float) -> Iterator[AltTest]:
    scores: Literal["continuous", "rounded"]
    named = measure.rater >= 0
    for scores, judge in (("continuous", measure.judge), ("rounded", measure.rounded)):
        nobody = "no rater is named" if measure.kind == "metric" else "nobody named rated all parts"
        reason = measure.off or ("" if named.any() else nobody)
        if scores == "rounded" and measure.kind == "metric" and not measure.whole:
            reason = reason or "the ratings are not whole labels"
        if reason:
            yield AltTest(scores, epsilon, None, None, 0, 0, (0, 0), None, reason)
            continue
        found = alt_test(
            judge, measure.rating[named], measure.cell[named], measure.rater[named], epsilon
        )
        items = found.items.tolist()
        yield AltTest(
            scores=scores,
            epsilon=epsilon,
            winning_rate=finite_or_none(found.winning_rate),
            advantage=finite_or_none(found.advantage),
            annotators=len(items),
            replaced=int(found.replaced.sum()),
            items=(min(items, default=0), max(items, default=0)),
            passed=found.passed,
            reason=found.reason,
        )


def ceiling(measure: MeasureScores, pearson: Estimate) -> Ceiling:
    """A rater and the judge, each against the same others; and how reliable the ratings are.

    Args:
        measure: of all ratings, those of dialogues without a judge's score too.
        pearson: the judge's over all dialogues.
    """
    named = measure.rater >= 0
    # Where nobody is named, each rating stands against the others of its dialogue.
    use = named if named.any() else np.ones_like(named)
    rest = against_rest(
        measure.judge,
        measure.rating[use],
        measure.cell[use],
        measure.rater[use] if named.any() else None,
    )
    rater, judge = (
        estimate(value, rest.cells, groups=rest.raters, undefined=rest.left_out, reason=rest.reason)
        for value in (rest.rater, rest.judge)
    )
    of_cells = reliability(measure.rating, measure.cell)
    single, mean, highest = (
        estimate(value, of_cells.ratings, groups=of_cells.cells, reason=of_cells.reason)
        for value in (of_cells.single, of_cells.mean, of_cells.ceiling)
    )
    return Ceiling(
        rater=rater,
        judge=judge,
        share=_share(judge, rater, above=2 / math.sqrt(max(rest.cells / max(rest.raters, 1), 1))),
        single=single,
        mean=mean,
        pearson=highest,
        pearson_share=_share(pearson, highest),
        repeated=of_cells.repeated,
        cells=of_cells.cells,
    )


def _share(part: Estimate, whole: Estimate, above: float = 0) -> float | None:
    """Divided by something near 0 it would be noise, however large."""
    if part.value is None or whole.value is None or part.value < 0 or whole.value <= above:
        return None
    return part.value / whole.value


MOST_RATERS = 12
"""Pairs of more raters than this, other judges among them, fill a table that nobody reads."""


def rater_pairs(observed: PairedScores) -> tuple[RaterPair, ...]:
    """Every two of the judge, the other judges and the raters, metric by metric; () if too many."""
    raters = np.unique(observed.rater[observed.rater >= 0]).tolist()
    if not observed.pairs or len(raters) + len(observed.others) > MOST_RATERS:
        return ()
    found = []
    for column, metric in enumerate(observed.metrics):
        scores = {observed.judge: observed.score[:, column]}
        scores |= {name: other[:, column] for name, other in observed.others.items()}
        for rater in raters:
            own = (observed.rater == rater) & (observed.metric == column)
            scores[observed.raters[rater]] = row = np.full(len(observed.score), np.nan)
            row[observed.cell[own]] = observed.rating[own]
        for first, second in combinations(scores, 2):
            rho = spearman(scores[first], scores[second])
            pair = estimate(rho.value, rho.n, reason=rho.reason)
            found.append(RaterPair(metric, first, second, pair))
    return tuple(found)


MOST_DISAGREEMENTS = 40
"""Dialogues of each metric."""

Floats = NDArray[np.float64]


def disagreements(
    observed: PairedScores, measures: Sequence[MeasureScores]
) -> tuple[Disagreement, ...]:
    """By metric in the order of `measures`, largest gap first, equal ones in that of dialogues."""
    return tuple(
        shown
        for measure in measures
        if measure.kind == "metric"
        for shown in _of_metric(observed, measure)
    )


def _of_metric(observed: PairedScores, measure: MeasureScores) -> list[Disagreement]:
    rows = np.flatnonzero(measure.both)
    judge, human = measure.points
    if measure.off:
        if not (tie_codes(judge).any() and tie_codes(human).any()):
            return []
        judge, human = _standardised(judge), _standardised(human)
    gap = judge - human
    # Gaps that tie but for their last bits are in the order of dialogues, whatever the machine.
    size = tie_codes(np.abs(gap))
    least = np.sort(size)[-MOST_DISAGREEMENTS:].min(initial=np.iinfo(np.int64).max)
    largest = sorted(
        np.flatnonzero(size >= least).tolist(),
        key=lambda i: (-size[i], dialogue_order(*_cell(observed, int(rows[i])))),
    )
    return [
        _show(observed, measure, int(rows[i]), float(gap[i])) for i in largest[:MOST_DISAGREEMENTS]
    ]


def _show(observed: PairedScores, measure: MeasureScores, row: int, gap: float) -> Disagreement:
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


def _cell(observed: PairedScores, row: int) -> DialogueId:
    return str(observed.system[row]), str(observed.character[row]), str(observed.scenario[row])


def _standardised(values: Floats) -> Floats:
    scaled: Floats = (values - values.mean()) / values.std()
    return scaled
