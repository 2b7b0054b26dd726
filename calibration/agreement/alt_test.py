"""The alternative annotator test: may the judge stand in for one of the annotators?"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr

from calibration.agreement.correlation import TOLERANCE
from calibration.agreement.raters import others, ratings_iv
from calibration.agreement.small_sample import benjamini_yekutieli

__all__ = ["EPSILON", "AltTestResult", "alt_test"]

EPSILON = {"expert": 0.2, "skilled": 0.15, "crowd": 0.1}
"""What an annotator of each kind is allowed to be better by: the price of asking them."""

_LEVEL = 0.05

Floats = NDArray[np.float64]


class AltTestResult(NamedTuple):
    """The result of the test; `winning_rate` is nan, with a `reason`, where it is refused.

    Attributes:
        winning_rate: omega, the share of annotators the judge may replace; passed from .5 on.
        advantage: rho, the mean over annotators of how often the judge is at least as close.
        epsilon: as given.
        annotators: (a,) labels of those with enough items.
        items: (a,) on how many items each was tested.
        advantages: (a,) how often the judge is at least as close to the rest as the annotator.
        p: (a,) one-sided p-values, uncorrected.
        replaced: (a,) whether the judge wins against this annotator.
        too_few: annotators left out for too few items.
        masked: ratings left out, for being NaN or of a dialogue without a judge's score.
    """

    winning_rate: float
    advantage: float
    epsilon: float
    annotators: NDArray[np.generic]
    items: NDArray[np.int64]
    advantages: Floats
    p: Floats
    replaced: NDArray[np.bool_]
    too_few: int
    masked: int
    reason: str = ""

    @property
    def passed(self) -> bool | None:
        """Whether omega reaches one half; None where the test was refused."""
        return None if math.isnan(self.winning_rate) else self.winning_rate >= 0.5


def alt_test(
    judge: ArrayLike,
    score: ArrayLike,
    cell: ArrayLike,
    rater: ArrayLike,
    epsilon: float,
    *,
    least_others: int = 2,
    least_items: int = 30,
    least_annotators: int = 3,
) -> AltTestResult:
    """The alternative annotator test of Calderon, Reichart and Dror (2025).

    Each annotator h in turn is set against the judge f. On every item of h with enough other
    ratings, the closer one in root mean squared error to these wins, W_f and W_h; both do when
    they are equally close. A one-sided t-test asks whether the mean of W_h - W_f is below
    `epsilon`, at .05 after Benjamini and Yekutieli. omega is the share of annotators for whom it
    is, rho the mean of W_f. Where W_h - W_f never varies, p is 0 or 1, as the limit of t has it.

    With m the mean of the others, the squared errors of f and h differ by (f - h)(f + h - 2 m):
    no error is computed, and equally close is decided on numbers of the size of the scores.

    Whole-number raters and a judge with fractions are not on equal terms: a fraction can be
    closer to the mean of the others than any label, and it never ties. So give both the scores
    and their `to_labels`, and report both.

    Args:
        judge: (n,) scores of the dialogues on the raters' scale, NaN where missing.
        score: (r,) ratings, one row each.
        cell: (r,) the position in `judge` of what was rated.
        rater: (r,) who rated it; at most once a cell.
        epsilon: see `EPSILON`.
        least_others: other raters an item needs; the authors' code takes 1.
        least_items: items an annotator needs.
        least_annotators: annotators the test needs.

    Raises:
        ValueError: lengths differ, infinities, a cell that is no position, a doubled rating, or
            a bound that makes no sense.
    """
    if not 0 <= epsilon < 1 or least_others < 1 or least_items < 2 or least_annotators < 1:
        raise ValueError("epsilon lies in 0..1, and at least 1 other, 2 items, 1 annotator are due")
    given = ratings_iv(score, cell, rater, judge)
    human, machine = given.score, given.judge
    rest = others(human, given.cell)
    there = ~np.isnan(machine)
    used = there & (rest.number >= least_others)
    gap = np.full(len(human), np.nan)
    gap[used] = ((machine - human) * (machine + human - 2 * rest.mean))[used]
    noise = TOLERANCE * float(np.max(np.abs(np.append(human, machine[there])), initial=0)) ** 2
    judge_wins, human_wins = gap <= noise, gap >= -noise

    items = np.bincount(given.rater[used], minlength=len(given.raters))
    enough = np.flatnonzero(items >= least_items)
    advantages, p = np.empty(len(enough)), np.empty(len(enough))
    for position, annotator in enumerate(enough):
        own = used & (given.rater == annotator)
        advantages[position] = judge_wins[own].mean()
        p[position] = _below(human_wins[own].astype(float) - judge_wins[own], epsilon)
    replaced = benjamini_yekutieli(p) <= _LEVEL
    refused = len(enough) < least_annotators
    return AltTestResult(
        winning_rate=math.nan if refused else float(replaced.mean()),
        advantage=math.nan if refused else float(advantages.mean()),
        epsilon=epsilon,
        annotators=given.raters[enough],
        items=items[enough].astype(np.int64),
        advantages=advantages,
        p=p,
        replaced=replaced,
        too_few=len(items) - len(enough),
        masked=given.masked + int((~there).sum()),
        reason=f"{least_annotators} annotators with {least_items} items that "
        f"{least_others} others rated are needed, not {len(enough)}"
        if refused
        else "",
    )


def _below(values: Floats, bound: float) -> float:
    """One-sided p-value of the t-test that the mean is below the bound."""
    mean, spread = float(values.mean()), float(values.std(ddof=1))
    if spread == 0:
        return 0.0 if mean < bound else 1.0
    return float(stdtr(len(values) - 1, (mean - bound) / spread * math.sqrt(len(values))))
