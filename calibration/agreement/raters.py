"""How well human raters agree with each other, and the ceiling that this sets for a judge."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calibration.agreement.correlation import mid_ranks, spearman, tie_codes
from calibration.arrays import Codes, Floats, codes_of, same_length_iv, scores_iv

__all__ = [
    "AgainstRest",
    "Alpha",
    "Reliability",
    "against_rest",
    "krippendorff_alpha",
    "reliability",
    "spearman_ceiling",
]

AlphaMetric = Literal["nominal", "ordinal", "interval"]

NO_CEILING = "no cell has two raters"

_LEAST_CELLS = 10
"""So many cells a rater needs to be compared with the others."""


class RatedCells(NamedTuple):
    """Ratings in long form, one row each, without those that are NaN.

    Attributes:
        score: (r,) ratings.
        cell: (r,) codes 0, 1, ... of what was rated, without gaps.
        rater: (r,) codes of who rated, all 0 where that is not known.
        raters: labels of the rater codes.
        judge: (r,) the judge's score of each rating's cell, NaN where it has none.
        masked: number of ratings left out because they were NaN.
    """

    score: Floats
    cell: Codes
    rater: Codes
    raters: NDArray[np.generic]
    judge: Floats
    masked: int


class OtherRatings(NamedTuple):
    """For each rating, the other ratings of its cell: mean (NaN if there are none), number."""

    mean: Floats
    number: Codes


class Reliability(NamedTuple):
    """Reliability of the mean ratings of cells; NaN, with a `reason`, where it is undefined.

    Attributes:
        single: r1, the ICC(1) of one rating. Below 0 if raters of a cell agree less than chance.
        mean: reliability of a cell's mean rating, with as many ratings as the cells have.
        ceiling: the highest Pearson correlation with those means that can be expected.
        cells: number of cells rated.
        ratings: number of ratings.
        repeated: number of cells with at least two ratings, which are all that is informative.
        masked: number of ratings that were NaN.
    """

    single: float
    mean: float
    ceiling: float
    cells: int
    ratings: int
    repeated: int
    masked: int
    reason: str = ""


class AgainstRest(NamedTuple):
    """A rater and the judge, each compared with the same other raters.

    Attributes:
        rater: correlation of a rater with the mean of the other raters, averaged over raters;
            NaN, with a `reason`, where it is undefined.
        judge: the same with the judge in that rater's place, on the same cells.
        raters: number of raters averaged over.
        cells: number of cells compared, summed over these raters.
        left_out: raters left out: too few cells that another rated, or a constant side.
        masked: ratings left out: NaN, or of a dialogue without a judge's score.
    """

    rater: float
    judge: float
    raters: int
    cells: int
    left_out: int
    masked: int
    reason: str = ""


class Alpha(NamedTuple):
    """Krippendorff's alpha.

    Attributes:
        value: 1 for perfect agreement, 0 for chance; NaN, with a `reason`, where undefined.
        units: number of cells with at least two ratings, the only ones that count.
        ratings: number of ratings of these cells.
        unpaired: ratings left out because their cell has no other rating.
        masked: ratings left out because they were NaN.
    """

    value: float
    units: int
    ratings: int
    unpaired: int
    masked: int
    reason: str = ""


def rating_rows_iv(
    score: ArrayLike, cell: ArrayLike, rater: ArrayLike | None, judge: ArrayLike | None
) -> RatedCells:
    """The ratings that are not NaN, checked.

    Args:
        score: (r,) ratings.
        cell: (r,) what was rated: labels of any kind, or positions in `judge` if it is given.
        rater: (r,) who rated it; None where that is not known.
        judge: (n,) the judge's scores, NaN where missing.

    Raises:
        ValueError: lengths differ, a score is infinite, a cell is no position in `judge`, or a
            rater has rated a cell twice.
    """
    (scores,) = scores_iv(score=score)
    cells = np.asarray(cell)
    who = np.zeros(scores.shape, dtype=np.int64) if rater is None else np.asarray(rater)
    same_length_iv(score=scores, cell=cells, rater=who)
    kept = ~np.isnan(scores)
    judge_score = np.full(scores.shape, np.nan)
    if judge is not None:
        (judge_scores,) = scores_iv(judge=judge)
        if cells.size:
            last = len(judge_scores) - 1
            integers = np.issubdtype(cells.dtype, np.integer)
            if not integers or cells.min() < 0 or cells.max() > last:
                raise ValueError(f"cell must hold positions in judge, 0..{last}")
            judge_score = judge_scores[cells]
    raters, rater_code = np.unique(who[kept], return_inverse=True)
    code = codes_of(cells[kept])
    if rater is not None and np.unique(code * max(len(raters), 1) + rater_code).size < code.size:
        raise ValueError("a rater has rated the same cell more than once")
    masked = int((~kept).sum())
    return RatedCells(
        scores[kept], code, rater_code.astype(np.int64), raters, judge_score[kept], masked
    )


def other_ratings(score: Floats, cell: Codes) -> OtherRatings:
    """For each rating, the mean and the number of the other ratings of its cell."""
    count = np.bincount(cell)[cell] - 1
    total = np.bincount(cell, score)[cell] - score
    mean = np.full(len(score), np.nan)
    mean[count > 0] = total[count > 0] / count[count > 0]
    return OtherRatings(mean, count.astype(np.int64))


def reliability(score: ArrayLike, cell: ArrayLike) -> Reliability:
    """ICC(1) by one-way analysis of variance, for any number of ratings per cell.

    With G cells of k_i ratings, N ratings in all, and k0 = (N - sum k_i^2 / N) / (G - 1),
    r1 = (MSB - MSW) / (MSB + (k0 - 1) MSW) (Shrout and Fleiss 1979, ICC(1,1); Donner 1986 for
    unequal k), where MSB and MSW are the mean squares between and within cells. The mean of k
    ratings has the error variance (1 - r1) / k, so the reliability of the means is
    r1 / (r1 + (1 - r1) mean(1 / k_i)). Its square root is the ceiling of a Pearson correlation
    with them (Spearman 1904). For rank correlations see `spearman_ceiling`.

    Who rated is not used: different cells may have different raters.

    Args:
        score: (r,) ratings, one row each; NaN is left out.
        cell: (r,) labels of what was rated.

    Raises:
        ValueError: lengths differ, or a score is infinite.
    """
    rows = rating_rows_iv(score, cell, None, None)
    count = np.bincount(rows.cell)
    cells, n, repeated = len(count), len(rows.score), int((count > 1).sum())

    def undefined(reason: str, single: float = math.nan) -> Reliability:
        nan = math.nan
        return Reliability(single, nan, nan, cells, n, repeated, rows.masked, reason)

    if not repeated:
        return undefined(NO_CEILING)
    if cells < 2:
        return undefined("two cells are needed to tell them apart, not 1")
    if not tie_codes(rows.score).any():
        return undefined("all ratings are equal")
    deviation = rows.score - rows.score.mean()
    means = np.bincount(rows.cell, deviation) / count
    between = float(np.sum(count * means**2)) / (cells - 1)
    within = float(np.sum((deviation - means[rows.cell]) ** 2)) / (n - cells)
    k0 = (n - float(np.sum(count**2)) / n) / (cells - 1)
    single = (between - within) / (between + (k0 - 1) * within)
    if single <= 0:
        return undefined("two raters of a cell agree no more than raters of different ones", single)
    mean = single / (single + (1 - single) * float(np.mean(1 / count)))
    return Reliability(single, mean, math.sqrt(mean), cells, n, repeated, rows.masked)


def against_rest(
    judge: ArrayLike, score: ArrayLike, cell: ArrayLike, rater: ArrayLike | None
) -> AgainstRest:
    """How well a rater agrees with the other raters, beside how well the judge does.

    For each rater, over the cells that another rater has rated and the judge has scored: the
    Spearman correlation of the rater with the mean of the other raters, and that of the judge with
    the same mean; then the average over raters. The two numbers can be compared with each other.
    Neither can be compared with a correlation against the mean of all raters, which has less noise.

    Args:
        judge: (n,) scores, NaN where missing.
        score: (r,) ratings, one row each.
        cell: (r,) the position in `judge` of what was rated.
        rater: (r,) who rated it. None where that is not known or the names mean nothing: then
            each rating is compared with the others of its cell, in one correlation over all.

    Raises:
        ValueError: as `rating_rows_iv`.
    """
    rows = rating_rows_iv(score, cell, rater, judge)
    rest = other_ratings(rows.score, rows.cell)
    judged = ~np.isnan(rows.judge)
    used = judged & (rest.number > 0)
    masked = rows.masked + int((~judged).sum())
    correlations: list[tuple[float, float]] = []
    cells = 0
    for code in range(len(rows.raters)):
        own = used & (rows.rater == code)
        if own.sum() < _LEAST_CELLS:
            continue
        of_rater, of_judge = (
            spearman(side[own], rest.mean[own]).value for side in (rows.score, rows.judge)
        )
        if not (math.isnan(of_rater) or math.isnan(of_judge)):
            correlations.append((of_rater, of_judge))
            cells += int(own.sum())
    left_out = len(rows.raters) - len(correlations)
    if not correlations:
        reason = f"no rater has {_LEAST_CELLS} cells, not all equal, that another has rated"
        if not (rest.number > 0).any():
            reason = NO_CEILING
        return AgainstRest(math.nan, math.nan, 0, 0, left_out, masked, reason)
    of_rater, of_judge = np.mean(correlations, axis=0).tolist()
    return AgainstRest(of_rater, of_judge, len(correlations), cells, left_out, masked)


def spearman_ceiling(rater: float, single: float) -> float:
    """The rank correlation with other raters that can be expected of a judge who knows the truth.

    A rater knows the truth with noise, which lowers a correlation by the square root of r1, the
    reliability of one rating (Spearman 1904): the ceiling is `rater` / sqrt(r1), at most 1. For
    ranks this is an approximation; simulated judges that know the truth reach 94 to 102% of it.
    One rater's correlation itself is no ceiling: with three raters of r1 = .3, who reach .32, a
    judge that knows the truth reaches .64.

    Args:
        rater: see `AgainstRest`.
        single: r1, see `Reliability`.

    Returns:
        NaN where either is NaN or not above 0.
    """
    if not (rater > 0 and single > 0):
        return math.nan
    return min(rater / math.sqrt(single), 1.0)


def krippendorff_alpha(
    score: ArrayLike,
    cell: ArrayLike,
    metric: AlphaMetric = "interval",
    judge: ArrayLike | None = None,
) -> Alpha:
    """Krippendorff's alpha = 1 - observed / expected disagreement (Krippendorff 2011).

    With v_ui the m_u ratings of cell u and n ratings in all, the observed disagreement is
    (1/n) sum_u 1/(m_u - 1) sum_{i != j} d^2(v_ui, v_uj), and the expected one is the mean of d^2
    over all n (n - 1) ordered pairs of ratings. d^2 is [v != w] for nominal and (v - w)^2 for
    interval ratings. For ordinal ratings it is (n_v / 2 + the number of ratings between v and w +
    n_w / 2)^2, which is the squared difference of their average ranks: ordinal alpha is interval
    alpha of the ranks.

    Args:
        score: (r,) ratings, one row each; NaN is left out.
        cell: (r,) what was rated: labels, or positions in `judge` if it is given.
        metric: "nominal", "ordinal" or "interval".
        judge: (n,) scores of the cells 0..n - 1, which count as one more rater; NaN where
            missing. Round them with `to_labels` for nominal and ordinal alpha.

    Raises:
        ValueError: as `rating_rows_iv`, or there is no such metric.
    """
    if metric not in ("nominal", "ordinal", "interval"):
        raise ValueError(f"a metric is nominal, ordinal or interval, not {metric}")
    rows = rating_rows_iv(score, cell, None, judge)
    values, units = rows.score, rows.cell
    if judge is not None:
        # Only cells that a person has rated: a score of the judge alone is no unpaired rating.
        rated, first = np.unique(units, return_index=True)
        scored = ~np.isnan(rows.judge[first])
        values = np.concatenate([values, rows.judge[first][scored]])
        units = np.concatenate([units, rated[scored]])
    count = np.bincount(units)[units] if units.size else units
    paired = count > 1
    unpaired = int((~paired).sum())
    values, count = values[paired], count[paired]
    units = codes_of(units[paired])
    n, cells = len(values), int(units.max(initial=-1)) + 1

    def undefined(reason: str) -> Alpha:
        return Alpha(math.nan, cells, n, unpaired, rows.masked, reason)

    if not n:
        return undefined("no cell has two ratings")
    codes = tie_codes(values)
    if not codes.any():
        return undefined("all ratings are equal")
    if metric == "nominal":
        # For one rating, sum_j [v_i != v_j] is the size of its cell less the number of its equals.
        equal = codes_of(units * (codes.max() + 1) + codes)
        observed = float(np.sum((count - np.bincount(equal)[equal]) / (count - 1)))
        expected = float(np.sum(n - np.bincount(codes)[codes])) / (n - 1)
    else:
        scale = mid_ranks(values) if metric == "ordinal" else values - values.mean()
        deviation = scale - (np.bincount(units, scale) / np.bincount(units))[units]
        # sum_{i != j} (v_i - v_j)^2 is 2 m times the sum of squared deviations from the mean.
        observed = float(np.sum(2 * count * deviation**2 / (count - 1)))
        expected = 2 * n * float(np.sum((scale - scale.mean()) ** 2)) / (n - 1)
    return Alpha(1 - observed / expected, cells, n, unpaired, rows.masked)
