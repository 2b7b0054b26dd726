"""People among themselves, and the judge as one of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

import numpy as np

from calibration.agreement.alt_test import EPSILON, alt_test
from calibration.agreement.raters import Alpha, against_rest, krippendorff_alpha, reliability
from judge.analysis.agreement.figures import figure, known
from judge.analysis.agreement.measured import Measured
from judge.analysis.agreement.record import AnnotatorTest, Ceiling, Figure

__all__ = ["alphas", "annotator_tests", "ceiling"]


def alphas(measure: Measured) -> tuple[Figure, Figure]:
    """Krippendorff's alpha among people, and with the judge as one more of them."""
    people = _alpha(krippendorff_alpha(measure.rating, measure.cell))
    if measure.off:
        return people, figure(math.nan, 0, reason=measure.off)
    return people, _alpha(krippendorff_alpha(measure.rating, measure.cell, judge=measure.judge))


def _alpha(found: Alpha) -> Figure:
    value, reason = found.value, found.reason
    # Of a single cell, what is observed is what is expected: alpha is 0 whatever was rated.
    if found.units == 1 and not reason:
        value, reason = math.nan, "only one dialogue has two ratings"
    return figure(value, found.ratings, groups=found.units, reason=reason)


def annotator_tests(measure: Measured, annotators: str) -> tuple[AnnotatorTest, ...]:
    """On the judge's scores as they are, and as if it gave whole labels."""
    return tuple(_tests(measure, EPSILON[annotators]))


def _tests(measure: Measured, epsilon: float) -> Iterator[AnnotatorTest]:
    scores: Literal["continuous", "rounded"]
    named = measure.rater >= 0
    for scores, judge in (("continuous", measure.judge), ("rounded", measure.rounded)):
        nobody = "no rater is named" if measure.kind == "metric" else "nobody named rated all parts"
        reason = measure.off or ("" if named.any() else nobody)
        if scores == "rounded" and measure.kind == "metric" and not measure.whole:
            reason = reason or "the ratings are not whole labels"
        if reason:
            yield AnnotatorTest(scores, epsilon, None, None, 0, 0, (0, 0), None, reason)
            continue
        found = alt_test(
            judge, measure.rating[named], measure.cell[named], measure.rater[named], epsilon
        )
        items = found.items.tolist()
        yield AnnotatorTest(
            scores=scores,
            epsilon=epsilon,
            winning_rate=known(found.winning_rate),
            advantage=known(found.advantage),
            annotators=len(items),
            replaced=int(found.replaced.sum()),
            items=(min(items, default=0), max(items, default=0)),
            passed=found.passed,
            reason=found.reason,
        )


def ceiling(measure: Measured, pearson: Figure) -> Ceiling:
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
        figure(value, rest.cells, groups=rest.raters, undefined=rest.left_out, reason=rest.reason)
        for value in (rest.rater, rest.judge)
    )
    of_cells = reliability(measure.rating, measure.cell)
    single, mean, highest = (
        figure(value, of_cells.ratings, groups=of_cells.cells, reason=of_cells.reason)
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


def _share(part: Figure, whole: Figure, above: float = 0) -> float | None:
    """Divided by something near 0 it would be noise, however large."""
    if part.value is None or whole.value is None or part.value < 0 or whole.value <= above:
        return None
    return part.value / whole.value
