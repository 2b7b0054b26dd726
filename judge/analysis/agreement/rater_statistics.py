"""Statistics of single raters: people among themselves, and the judge beside or instead of one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import combinations
from typing import Literal

import numpy as np

from calibration.agreement.alt_test import EPSILON, AltTestResult, alt_test
from calibration.agreement.correlation import snap, spearman, tie_codes
from calibration.agreement.raters import (
    Alpha,
    against_rest,
    krippendorff_alpha,
    reliability,
    spearman_ceiling,
)
from calibration.arrays import Codes, Floats
from judge.analysis.agreement.agreement_records import (
    AltFloor,
    AltTest,
    Ceiling,
    Disagreement,
    Estimate,
    RaterPair,
)
from judge.analysis.agreement.data import MeasureScores, PairedScores
from judge.analysis.agreement.statistics import estimate
from judge.analysis.judgment_table import dialogue_order, finite_or_none

__all__ = [
    "MOST_DISAGREEMENTS",
    "MOST_RATERS",
    "alpha_estimate",
    "alphas",
    "alt_tests",
    "ceiling",
    "disagreements",
    "rater_pairs",
]

MOST_RATERS = 12
"""More raters, other judges included, are not compared in pairs: the table would be too long."""

MOST_DISAGREEMENTS = 40
"""So many dialogues are kept for each metric."""


def alphas(measure: MeasureScores) -> tuple[Estimate, Estimate]:
    """Krippendorff's alpha among people, and with the judge as one more rater."""
    people = alpha_estimate(krippendorff_alpha(measure.rating, measure.dialogue))
    if measure.scale_mismatch:
        return people, estimate(math.nan, 0, reason=measure.scale_mismatch)
    with_judge = krippendorff_alpha(measure.rating, measure.dialogue, judge=measure.judge)
    return people, alpha_estimate(with_judge)


def alt_tests(
    measure: MeasureScores,
    raters: Sequence[str],
    annotators: str,
    least_others: int,
    *,
    categories: bool = False,
) -> Iterator[AltTest]:
    """The alternative annotator test of the judge's scores, and of these rounded to labels.

    Beside each stands the test of judges that give everything one and the same score.

    Args:
        raters: names of the rater codes.
        annotators: `expert`, `skilled` or `crowd`.
        least_others: how many others must have rated a dialogue.
        categories: the scores are codes of categories: one test, by accuracy.
    """
    epsilon = EPSILON[annotators]
    named = measure.rater >= 0
    ratings = measure.rating[named], measure.dialogue[named], measure.rater[named]
    floors: tuple[AltFloor, ...] | None = None
    kinds: tuple[Literal["continuous", "rounded"], ...] = ("continuous", "rounded")
    for kind, judge in zip(kinds, (measure.judge, measure.rounded), strict=True):
        if categories and kind == "continuous":
            continue
        nobody = "no rater is named" if measure.kind == "metric" else "nobody named rated all parts"
        reason = measure.scale_mismatch or ("" if named.any() else nobody)
        if kind == "rounded" and measure.kind == "metric" and not measure.whole_labels:
            reason = reason or "the ratings are not whole labels"
        if reason:
            yield AltTest(kind, epsilon, None, None, 0, 0, (0, 0), None, reason)
            continue
        run = partial(alt_test, epsilon=epsilon, categories=categories, least_others=least_others)
        test = run(judge, *ratings)
        if floors is None and not test.reason:
            floors = tuple(_alt_floors(measure, ratings, run))[: 1 if categories else 2]
        items = test.items.tolist()
        yield AltTest(
            scores=kind,
            epsilon=epsilon,
            winning_rate=finite_or_none(test.winning_rate),
            advantage=finite_or_none(test.advantage),
            annotators=len(items),
            replaced=int(test.replaced.sum()),
            items=(min(items, default=0), max(items, default=0)),
            passed=test.passed,
            reason=test.reason,
            floors=floors or (),
            left_out=tuple(
                (raters[code], n)
                for code, n in zip(
                    test.left_out.tolist(), test.left_out_items.tolist(), strict=True
                )
            ),
            cells=test.cells,
        )


def _alt_floors(
    measure: MeasureScores, ratings: tuple[Floats, Codes, Codes], run: Callable[..., AltTestResult]
) -> Iterator[AltFloor]:
    """The test of the most frequent rating and of the mean rating, in place of the judge's scores.

    Of equally frequent ratings, the one nearest to the mean is taken.
    """
    given = measure.rating[measure.used]
    mean = float(given.mean())
    values, counts = np.unique(snap(given), return_counts=True)
    most = values[counts == counts.max()]
    for name, score in (
        ("most frequent label", float(most[np.argmin(np.abs(most - mean))])),
        ("mean rating", mean),
    ):
        constant = np.where(np.isnan(measure.judge), np.nan, score)
        test = run(constant, *ratings)
        yield AltFloor(name, score, test.winning_rate, test.advantage, bool(test.passed))


def ceiling(measure: MeasureScores, pearson: Estimate) -> Ceiling:
    """One rater, and the judge, each against the mean of the other raters, and both ceilings.

    Args:
        measure: all ratings count, also those of dialogues without a judge's score.
        pearson: of the judge over all dialogues.
    """
    named = measure.rater >= 0
    # Where nobody is named, each rating is compared with the others of its dialogue.
    use = named if named.any() else np.ones_like(named)
    rest = against_rest(
        measure.judge,
        measure.rating[use],
        measure.dialogue[use],
        measure.rater[use] if named.any() else None,
    )
    rater, judge = (
        estimate(value, rest.cells, groups=rest.raters, undefined=rest.left_out, reason=rest.reason)
        for value in (rest.rater, rest.judge)
    )
    reliable = reliability(measure.rating, measure.dialogue)
    single, mean, highest = (
        estimate(value, reliable.ratings, groups=reliable.cells, reason=reliable.reason)
        for value in (reliable.single, reliable.mean, reliable.ceiling)
    )
    ceiling_of_rho = spearman_ceiling(rest.rater, reliable.single)
    why = rest.reason or reliable.reason or "one rater does not agree with the others"
    spearman = estimate(ceiling_of_rho, rest.cells, groups=rest.raters, reason=why)
    clear = rest.rater > 2 / math.sqrt(max(rest.cells / max(rest.raters, 1), 1))
    return Ceiling(
        rater=rater,
        judge=judge,
        share=_share(judge, spearman) if clear else None,
        single=single,
        mean=mean,
        pearson=highest,
        pearson_share=_share(pearson, highest),
        repeated=reliable.repeated,
        cells=reliable.cells,
        spearman=spearman,
    )


def rater_pairs(scores: PairedScores) -> tuple[RaterPair, ...]:
    """Spearman of every two of the judge, other judges and raters, by metric; () if too many."""
    raters = np.unique(scores.rater[scores.rater >= 0]).tolist()
    if not scores.compare_raters or len(raters) + len(scores.other_judges) > MOST_RATERS:
        return ()
    pairs = []
    for column, metric in enumerate(scores.metrics):
        by_name = {scores.judge: scores.score[:, column]}
        by_name |= {name: score[:, column] for name, score in scores.other_judges.items()}
        for rater in raters:
            own = (scores.rater == rater) & (scores.metric == column)
            by_name[scores.raters[rater]] = ratings = np.full(len(scores.score), np.nan)
            ratings[scores.dialogue[own]] = scores.rating[own]
        for first, second in combinations(by_name, 2):
            rho = spearman(by_name[first], by_name[second])
            value = estimate(rho.value, rho.n, reason=rho.reason)
            pairs.append(RaterPair(metric, first, second, value))
    return tuple(pairs)


def disagreements(
    scores: PairedScores, measures: Sequence[MeasureScores]
) -> tuple[Disagreement, ...]:
    """The dialogues on which judge and people differ most, metric by metric, largest gap first.

    Equal gaps are in the order of the dialogues.
    """
    return tuple(
        disagreement
        for measure in measures
        if measure.kind == "metric"
        for disagreement in _metric_disagreements(scores, measure)
    )


def _metric_disagreements(scores: PairedScores, measure: MeasureScores) -> list[Disagreement]:
    rows = np.flatnonzero(measure.both)
    judge, human = measure.paired
    if measure.scale_mismatch:
        if not (tie_codes(judge).any() and tie_codes(human).any()):
            return []
        judge, human = ((side - side.mean()) / side.std() for side in (judge, human))
    gap = judge - human
    # Gaps that differ in their last bits only are equal, so that every machine gives one order.
    size = tie_codes(np.abs(gap))
    least = np.sort(size)[-MOST_DISAGREEMENTS:].min(initial=np.iinfo(np.int64).max)
    largest = sorted(
        np.flatnonzero(size >= least).tolist(),
        key=lambda i: (-size[i], dialogue_order(*_dialogue_id(scores, int(rows[i])))),
    )
    return [
        _disagreement(scores, measure, int(rows[i]), float(gap[i]))
        for i in largest[:MOST_DISAGREEMENTS]
    ]


def _disagreement(
    scores: PairedScores, measure: MeasureScores, row: int, gap: float
) -> Disagreement:
    column = scores.metrics.index(measure.name)
    first, last = np.searchsorted(measure.dialogue, [row, row + 1])
    ratings = zip(measure.rater[first:last].tolist(), measure.rating[first:last], strict=True)
    return Disagreement(
        *_dialogue_id(scores, row),
        metric=measure.name,
        judge=float(measure.judge[row]),
        human=float(measure.human[row]),
        gap=gap,
        p=() if scores.probs is None else tuple(scores.probs[row, column].tolist()),
        ratings=tuple(
            (scores.raters[rater] if rater >= 0 else "", float(rating)) for rater, rating in ratings
        ),
        turns=scores.turns.get(row, ()),
        rationale=scores.rationales.get((row, column)),
    )


def _dialogue_id(scores: PairedScores, row: int) -> tuple[str, str, str]:
    return str(scores.system[row]), str(scores.character[row]), str(scores.scenario[row])


def alpha_estimate(alpha: Alpha) -> Estimate:
    """The estimate of an alpha, which is undefined for a single unit."""
    value, reason = alpha.value, alpha.reason
    # With a single unit, observed and expected disagreement are equal: alpha is 0 for any ratings.
    if alpha.units == 1 and not reason:
        value, reason = math.nan, "only one dialogue has two ratings"
    return estimate(value, alpha.ratings, groups=alpha.units, reason=reason)


def _share(part: Estimate, total: Estimate) -> float | None:
    """`part` / `total`; None where either is undefined or below 0."""
    if part.value is None or total.value is None or part.value < 0 or total.value <= 0:
        return None
    return part.value / total.value
