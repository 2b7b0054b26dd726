"""How well any judge could agree with these ratings, given how well the raters do."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calibration.agreement._ratings import others, ratings_iv
from calibration.agreement.correlation import CORRELATIONS, Coefficient
from calibration.agreement.ties import tie_codes

__all__ = ["AgainstRest", "Reliability", "against_rest", "reliability"]

NO_CEILING = "no ceiling can be known: no cell has two raters"

Floats = NDArray[np.float64]


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
