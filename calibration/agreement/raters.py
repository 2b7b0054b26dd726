"""How well any judge could agree with these ratings, given how well the raters do."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calibration.agreement.correlation import CORRELATIONS, Coefficient, mid_ranks, tie_codes

__all__ = [
    "AgainstRest",
    "Alpha",
    "Others",
    "RatingRows",
    "Reliability",
    "against_rest",
    "krippendorff_alpha",
    "others",
    "ratings_iv",
    "reliability",
]

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


class RatingRows(NamedTuple):
    """Ratings that have a number.

    Attributes:
        score: (r,).
        cell: (r,) codes 0, 1, ... of what was rated, without gaps.
        rater: (r,) codes of who rated, all 0 where that is not known.
        raters: labels of the rater codes.
        judge: (r,) the judge's score of each rating's cell, NaN where it has none.
        masked: ratings left out because their score was NaN.
    """

    score: Floats
    cell: Codes
    rater: Codes
    raters: NDArray[np.generic]
    judge: Floats
    masked: int


class Others(NamedTuple):
    """What the other ratings of the same cell say: their mean, NaN where there are none."""

    mean: Floats
    number: Codes


def ratings_iv(
    score: ArrayLike, cell: ArrayLike, rater: ArrayLike | None, judge: ArrayLike | None
) -> RatingRows:
    """Ratings without NaN; raises ValueError where they do not fit together.

    `cell` holds any labels where `judge` is None, else positions in `judge`.
    """
    scores, cells = np.asarray(score, dtype=np.float64), np.asarray(cell)
    who = np.zeros(scores.shape, dtype=np.int64) if rater is None else np.asarray(rater)
    if scores.ndim != 1 or not scores.shape == cells.shape == who.shape:
        raise ValueError(
            f"score, cell and rater must be (r,) each, not {scores.shape}, {cells.shape} "
            f"and {who.shape}"
        )
    if np.isinf(scores).any():
        raise ValueError("scores must not hold infinities")
    kept = ~np.isnan(scores)
    machine = np.full(scores.shape, np.nan)
    if judge is not None:
        row = np.asarray(judge, dtype=np.float64)
        if row.ndim != 1 or np.isinf(row).any():
            raise ValueError("judge must be (n,) without infinities")
        if cells.size and (
            not np.issubdtype(cells.dtype, np.integer) or cells.min() < 0 or cells.max() >= len(row)
        ):
            raise ValueError(f"cell must hold positions in judge, 0..{len(row) - 1}")
        machine = row[cells] if cells.size else machine
    raters, who_code = np.unique(who[kept], return_inverse=True)
    code = np.unique(cells[kept], return_inverse=True)[1].astype(np.int64)
    if rater is not None and np.unique(code * max(len(raters), 1) + who_code).size < code.size:
        raise ValueError("a rater has rated the same cell more than once")
    return RatingRows(
        scores[kept], code, who_code.astype(np.int64), raters, machine[kept], int((~kept).sum())
    )


def others(score: Floats, cell: Codes) -> Others:
    """For each rating the mean and number of the other ratings of its cell."""
    count = np.bincount(cell)[cell] - 1
    total = np.bincount(cell, score)[cell] - score
    mean = np.full(len(score), np.nan)
    mean[count > 0] = total[count > 0] / count[count > 0]
    return Others(mean, count.astype(np.int64))


NO_CEILING = "no ceiling can be known: no cell has two raters"


class Reliability(NamedTuple):
    """Reliability of cell means; nan, with a `reason`, where it is undefined.

    Attributes:
        single: r1, ICC(1) of one rating; below 0 where raters of a cell agree less than chance.
        mean: reliability of the mean of a cell's ratings, as many as there are.
        ceiling: the highest Pearson correlation with those means, in expectation.
        cells: cells rated.
        ratings: ratings of them.
        repeated: cells with at least two, on which all of this rests.
        masked: ratings that were NaN.
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
    """A rater and the judge, each against the same other raters; nan with a `reason`.

    Attributes:
        rater: mean over raters of the correlation of a rater with the mean of the others.
        judge: the same with the judge in that rater's place, on the same cells.
        raters: raters they are means over.
        cells: cells compared, summed over these raters.
        left_out: raters with too few cells that another rated, or a constant side.
        masked: ratings left out, for being NaN or of a dialogue without a judge's score.
    """

    rater: float
    judge: float
    raters: int
    cells: int
    left_out: int
    masked: int
    reason: str = ""


def reliability(score: ArrayLike, cell: ArrayLike) -> Reliability:
    """ICC(1) by one-way analysis of variance, for any number of ratings a cell.

    With G cells of k_i ratings, N in all, and k0 = (N - sum k_i^2 / N) / (G - 1), r1 = (MSB - MSW)
    / (MSB + (k0 - 1) MSW) (Shrout and Fleiss 1979, ICC(1,1); Donner 1986 for unequal k). A cell
    mean of k ratings has error variance (1 - r1) / k, so that the means are reliable by r1 / (r1 +
    (1 - r1) mean(1 / k_i)), and the ceiling of a Pearson correlation is the square root of that
    (Spearman 1904). It is no ceiling for a rank correlation; see `against_rest`.

    Who rated is not used: raters may differ from cell to cell.

    Args:
        score: (r,) ratings, one row each; NaN ones are left out.
        cell: (r,) labels of what was rated.

    Raises:
        ValueError: lengths differ, or an infinity.
    """
    given = ratings_iv(score, cell, None, None)
    count = np.bincount(given.cell)
    cells, n, repeated = len(count), len(given.score), int((count > 1).sum())

    def undefined(reason: str, single: float = math.nan) -> Reliability:
        nan = math.nan
        return Reliability(single, nan, nan, cells, n, repeated, given.masked, reason)

    if not repeated:
        return undefined(NO_CEILING)
    if cells < 2:
        return undefined("two cells are needed to tell them apart, not 1")
    if not tie_codes(given.score).any():
        return undefined("all ratings are equal")
    off = given.score - given.score.mean()
    means = np.bincount(given.cell, off) / count
    between = float(np.sum(count * means**2)) / (cells - 1)
    within = float(np.sum((off - means[given.cell]) ** 2)) / (n - cells)
    k0 = (n - float(np.sum(count**2)) / n) / (cells - 1)
    single = (between - within) / (between + (k0 - 1) * within)
    if single <= 0:
        return undefined("two raters of a cell agree no more than raters of different ones", single)
    mean = single / (single + (1 - single) * float(np.mean(1 / count)))
    return Reliability(single, mean, math.sqrt(mean), cells, n, repeated, given.masked)


def against_rest(
    judge: ArrayLike,
    score: ArrayLike,
    cell: ArrayLike,
    rater: ArrayLike | None,
    coefficient: Coefficient = "spearman",
    least_cells: int = 10,
) -> AgainstRest:
    """What a rater reaches against the others, beside what the judge reaches against them.

    For each rater, over the cells that another has rated and the judge has scored: the correlation
    of the rater, and of the judge, with the mean of the other raters; then the mean over raters.
    The two numbers can be compared with each other. Neither can with a correlation against the
    mean of all raters, which holds less noise.

    Args:
        judge: (n,) scores, NaN where missing.
        score: (r,) ratings, one row each.
        cell: (r,) the position in `judge` of what was rated.
        rater: (r,) who rated it; None where that is not known, or means nothing: then each rating
            is set against the others of its cell, all in one correlation.
        coefficient: "spearman", "kendall_b", "kendall_c" or "pearson".
        least_cells: cells a rater needs.

    Raises:
        ValueError: lengths differ, infinities, a cell that is no position, a doubled rating, or
            no such coefficient.
    """
    if coefficient not in CORRELATIONS:
        raise ValueError(f"a coefficient is one of {', '.join(CORRELATIONS)}, not {coefficient}")
    given = ratings_iv(score, cell, rater, judge)
    rest = others(given.score, given.cell)
    there = ~np.isnan(given.judge)
    used = there & (rest.number > 0)
    masked = given.masked + int((~there).sum())
    found: list[tuple[float, float]] = []
    cells = 0
    for one in range(len(given.raters)):
        own = used & (given.rater == one)
        if own.sum() < least_cells:
            continue
        sides = [
            CORRELATIONS[coefficient](side[own], rest.mean[own]).value
            for side in (given.score, given.judge)
        ]
        if not any(map(math.isnan, sides)):
            found.append((sides[0], sides[1]))
            cells += int(own.sum())
    left_out = len(given.raters) - len(found)
    if not found:
        reason = f"no rater has {least_cells} cells, not all equal, that another has rated"
        if not (rest.number > 0).any():
            reason = NO_CEILING
        return AgainstRest(math.nan, math.nan, 0, 0, left_out, masked, reason)
    human, machine = np.mean(found, axis=0)
    return AgainstRest(float(human), float(machine), len(found), cells, left_out, masked)


Metric = Literal["nominal", "ordinal", "interval"]


class Alpha(NamedTuple):
    """Krippendorff's alpha; nan, with a `reason`, where it is undefined.

    Attributes:
        value: 1 for perfect agreement, 0 for that of chance.
        units: cells with at least two ratings, the only ones that tell anything.
        ratings: ratings of these cells.
        unpaired: ratings that stand alone in their cell.
        masked: ratings that were NaN.
    """

    value: float
    units: int
    ratings: int
    unpaired: int
    masked: int
    reason: str = ""


def krippendorff_alpha(
    score: ArrayLike,
    cell: ArrayLike,
    metric: Metric = "interval",
    judge: ArrayLike | None = None,
) -> Alpha:
    """1 - observed / expected disagreement (Krippendorff 2011).

    With v_ui the m_u ratings of unit u and n ratings in all, the disagreement observed is
    (1/n) sum_u 1/(m_u - 1) sum_{i != j} d^2(v_ui, v_uj), and the one expected is the mean of d^2
    over all n (n - 1) ordered pairs. d^2 is [v != w] for nominal and (v - w)^2 for interval
    ratings. For ordinal ones it is (n_v / 2 + those between + n_w / 2)^2, which is the squared
    difference of their average ranks: ordinal alpha is interval alpha of the ranks.

    Args:
        score: (r,) ratings, one row each; NaN ones are left out.
        cell: (r,) what was rated: labels, or positions in `judge` if there is one.
        metric: "nominal", "ordinal" or "interval".
        judge: (n,) scores of one more rater for the cells 0..n - 1, NaN where it has none. Round
            them first (`to_labels`) for nominal and ordinal ratings.

    Raises:
        ValueError: lengths differ, infinities, or no such metric.
    """
    values, units, masked = _alpha_iv(score, cell, metric, judge)
    count = np.bincount(units)[units] if units.size else units
    paired = count > 1
    unpaired = int((~paired).sum())
    values, count = values[paired], count[paired]
    units = np.unique(units[paired], return_inverse=True)[1]
    n, cells = len(values), int(units.max(initial=-1)) + 1

    def undefined(reason: str) -> Alpha:
        return Alpha(math.nan, cells, n, unpaired, masked, reason)

    if not n:
        return undefined("no cell has two ratings")
    codes = tie_codes(values)
    if not codes.any():
        return undefined("all ratings are equal")
    if metric == "nominal":
        # sum over i != j of [v_i != v_j] is, for each rating, its cell's size less its like.
        like = np.unique(units * (codes.max() + 1) + codes, return_inverse=True)[1]
        observed = float(np.sum((count - np.bincount(like)[like]) / (count - 1)))
        expected = float(np.sum(n - np.bincount(codes)[codes])) / (n - 1)
    else:
        scale = mid_ranks(values) if metric == "ordinal" else values - values.mean()
        off = scale - (np.bincount(units, scale) / np.bincount(units))[units]
        # sum over i != j of (v_i - v_j)^2 is 2 m times the squared deviations from the mean.
        observed = float(np.sum(2 * count * off**2 / (count - 1)))
        expected = 2 * n * float(np.sum((scale - scale.mean()) ** 2)) / (n - 1)
    return Alpha(1 - observed / expected, cells, n, unpaired, masked)


def _alpha_iv(
    score: ArrayLike, cell: ArrayLike, metric: str, judge: ArrayLike | None
) -> tuple[Floats, Codes, int]:
    if metric not in ("nominal", "ordinal", "interval"):
        raise ValueError(f"a metric is nominal, ordinal or interval, not {metric}")
    given = ratings_iv(score, cell, None, judge)
    if judge is None:
        return given.score, given.cell, given.masked
    # A cell only the judge has scored stays unpaired, but it is no rating that stands alone.
    _, first = np.unique(given.cell, return_index=True)
    row = given.judge[first]
    there = ~np.isnan(row)
    values = np.concatenate([given.score, row[there]])
    cells = np.concatenate([given.cell, given.cell[first][there]])
    return values, cells, given.masked
