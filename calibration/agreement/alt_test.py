"""The alternative annotator test: may the judge replace one of the annotators?"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr

from calibration.agreement.correlation import TOLERANCE
from calibration.agreement.raters import other_ratings, rating_rows_iv
from calibration.agreement.small_sample import benjamini_yekutieli
from calibration.arrays import Codes, Floats, Mask

__all__ = ["EPSILON", "AltTestResult", "alt_test"]

EPSILON = {"expert": 0.2, "skilled": 0.15, "crowd": 0.1}
"""By how much an annotator of each kind may be better than the judge: what asking them costs."""

_LEVEL = 0.05


class AltTestResult(NamedTuple):
    """The result of the test.

    Attributes:
        winning_rate: omega, the share of annotators whom the judge may replace. The test is
            passed from .5 on. NaN, with a `reason`, where there are too few annotators.
        advantage: rho, how often the judge is at least as close to the other annotators as the
            annotator it replaces, averaged over annotators.
        annotators: (a,) labels of the annotators with enough items.
        items: (a,) number of items on which each was tested.
        advantages: (a,) for each annotator, how often the judge is at least as close.
        p: (a,) one-sided p-values, uncorrected.
        replaced: (a,) whether the judge may replace this annotator.
        left_out: labels of the annotators who have too few items.
        left_out_items: how many items each of these has.
        cells: number of items on which any annotator was tested.
        masked: ratings left out: NaN, or of a dialogue without a judge's score.
    """

    winning_rate: float
    advantage: float
    epsilon: float
    annotators: NDArray[np.generic]
    items: Codes
    advantages: Floats
    p: Floats
    replaced: Mask
    left_out: NDArray[np.generic]
    left_out_items: Codes
    cells: int
    masked: int
    reason: str = ""

    @property
    def passed(self) -> bool | None:
        """Whether omega is at least one half; None where there is no omega."""
        return None if math.isnan(self.winning_rate) else self.winning_rate >= 0.5


def alt_test(
    judge: ArrayLike,
    score: ArrayLike,
    cell: ArrayLike,
    rater: ArrayLike,
    epsilon: float,
    *,
    categories: bool = False,
    least_others: int = 1,
    least_items: int = 30,
    least_annotators: int = 3,
) -> AltTestResult:
    """The alternative annotator test of Calderon, Reichart and Dror (2025).

    Each annotator h is compared with the judge f on the items that h and enough others rated. On
    an item, the one with the smaller root mean squared error to the other ratings wins (W_f or
    W_h is 1); both win if they are equally close. A one-sided t-test asks whether the mean of
    W_h - W_f is below `epsilon`, at level .05 with the correction of Benjamini and Yekutieli.
    omega is the share of annotators for whom it is, rho the mean of W_f. Where W_h - W_f does not
    vary, p is 0 or 1, which is the limit of the t-test.

    With m the mean of the other ratings, the squared errors of f and h differ by
    (f - h)(f + h - 2 m). This is computed instead of the errors, so that "equally close" is
    decided on numbers of the size of the scores.

    Whole-number ratings and a judge with fractions are not compared on equal terms: a fraction
    can be closer to the mean of the others than any label, and it never ties. Run the test both
    on the scores and on their `to_labels`, and report both.

    Args:
        judge: (n,) scores of the dialogues on the raters' scale, NaN where missing.
        score: (r,) ratings, one row each.
        cell: (r,) the position in `judge` of what was rated.
        rater: (r,) who rated it, at most once per cell.
        epsilon: see `EPSILON`.
        categories: scores are codes of labels without order. The one who agrees with more of the
            others wins, in place of the one with the smaller error.
        least_others: number of other raters that an item needs; 1 as in the authors' code.
        least_items: number of items that an annotator needs.
        least_annotators: number of annotators that the test needs.

    Raises:
        ValueError: as `rating_rows_iv`, or a bound that makes no sense.
    """
    if not 0 <= epsilon < 1 or least_others < 1 or least_items < 2 or least_annotators < 1:
        raise ValueError(
            "epsilon must lie in 0..1; at least 1 other rater, 2 items and 1 annotator are needed"
        )
    rows = rating_rows_iv(score, cell, rater, judge)
    rest = other_ratings(rows.score, rows.cell)
    judged = ~np.isnan(rows.judge)
    used = judged & (rest.number >= least_others)
    difference = np.full(len(rows.score), np.nan)
    if categories:
        alike = _equal_ratings(rows.score, rows.cell, rows.score) - 1
        worse = alike - _equal_ratings(rows.judge, rows.cell, rows.score)
        worse += rows.judge == rows.score  # the annotator is none of the others
    else:
        worse = (rows.judge - rows.score) * (rows.judge + rows.score - 2 * rest.mean)
    difference[used] = worse[used]
    scores = np.append(rows.score, rows.judge[judged])
    noise = TOLERANCE * float(np.max(np.abs(scores), initial=0)) ** 2
    judge_wins, human_wins = difference <= noise, difference >= -noise

    items = np.bincount(rows.rater[used], minlength=len(rows.raters))
    enough = np.flatnonzero(items >= least_items)
    few = np.flatnonzero(items < least_items)
    advantages, p = np.empty(len(enough)), np.empty(len(enough))
    for position, annotator in enumerate(enough):
        own = used & (rows.rater == annotator)
        advantages[position] = judge_wins[own].mean()
        p[position] = _p_below(human_wins[own].astype(float) - judge_wins[own], epsilon)
    replaced = benjamini_yekutieli(p) <= _LEVEL
    reason = ""
    if len(rows.raters) < least_annotators:
        reason = f"{least_annotators} annotators are needed, not {len(rows.raters)}"
    elif len(enough) < least_annotators:
        others = "another" if least_others == 1 else f"{least_others} others"
        reason = (
            f"{least_annotators} annotators with {least_items} items that {others} rated are "
            f"needed; of {len(rows.raters)}, {len(enough)} have so many"
        )
    return AltTestResult(
        winning_rate=math.nan if reason else float(replaced.mean()),
        advantage=math.nan if reason else float(advantages.mean()),
        epsilon=epsilon,
        annotators=rows.raters[enough],
        items=items[enough].astype(np.int64),
        advantages=advantages,
        p=p,
        replaced=replaced,
        left_out=rows.raters[few],
        left_out_items=items[few].astype(np.int64),
        cells=len(np.unique(rows.cell[used & np.isin(rows.rater, enough)])),
        masked=rows.masked + int((~judged).sum()),
        reason=reason,
    )


def _equal_ratings(label: Floats, cell: Codes, score: Floats) -> Floats:
    """For each row, how many ratings of its cell are `label`."""
    labels, codes = np.unique(np.concatenate([label, score]), return_inverse=True)
    wanted, given = (cell * len(labels) + code for code in np.split(codes, 2))
    equal: Floats = np.bincount(given, minlength=int(wanted.max(initial=0)) + 1)[wanted].astype(
        np.float64
    )
    return equal


def _p_below(values: Floats, bound: float) -> float:
    """The p-value of a one-sided t-test that the mean is below the bound."""
    mean, deviation = float(values.mean()), float(values.std(ddof=1))
    if deviation == 0:
        return 0.0 if mean < bound else 1.0
    return float(stdtr(len(values) - 1, (mean - bound) / deviation * math.sqrt(len(values))))
