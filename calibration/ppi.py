"""The mean of a system's human scores when some of its dialogues are rated and all are judged."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr

from calibration.arrays import Codes, Floats, Mask, confidence_iv, finite_iv, scores_iv
from calibration.intervals import (
    ROUNDING,
    cluster_codes_iv,
    cluster_variance,
    intersect,
    t_quantile,
)

__all__ = ["LabelGap", "PoweredMean", "RaterShares", "label_gap", "powered_mean"]


class RaterShares(NamedTuple):
    """The ratings that make up the human scores, each (ratings,).

    Attributes:
        cell: which dialogue it is of.
        rater: who gave it, from 0; -1 is unknown.
        score: the rating.
        weight: its share in the human score of the dialogue; the shares of a dialogue sum to 1.
    """

    cell: Codes
    rater: Codes
    score: Floats
    weight: Floats


class LabelGap(NamedTuple):
    """How far the judge's scores of labelled dialogues lie above those of the unlabelled ones.

    Attributes:
        difference: of the means; NaN where either is missing.
        p: two-sided, of no difference but by lot; NaN where it is undefined.
    """

    difference: float
    p: float


class PoweredMean(NamedTuple):
    """A prediction-powered mean and its interval.

    Attributes:
        mean: theta; NaN if nothing is rated.
        lower, upper: the ends, not clipped to the scale; NaN, with a `reason`, where undefined.
        standard_error: in points of the scale.
        weight: lambda, how much of the judge is used; 0 gives the mean of the ratings alone.
        labelled, unlabelled: n and N, the number of dialogues with and without a human score.
        clusters: for each clustering, the number of clusters that hold a labelled dialogue.
    """

    mean: float
    lower: float
    upper: float
    standard_error: float
    weight: float
    labelled: int
    unlabelled: int
    clusters: tuple[int, ...]
    df: int
    confidence: float
    reason: str = ""


def powered_mean(
    human: ArrayLike,
    judged: ArrayLike,
    *clusters: ArrayLike,
    confidence: float = 0.9,
    shares: RaterShares | None = None,
) -> PoweredMean:
    """PPI++ (Angelopoulos, Duchi and Zrnic 2023) with cluster-robust errors.

    theta = lambda mean_U(f) + mean_L(y - lambda f) over the unlabelled dialogues U and the labelled
    ones L, with lambda = Cov_L(y, f) / ((1 + n/N) Var(f)) clipped to [0, 1]. theta is unbiased for
    any lambda, so lambda is estimated from dialogues and not from the means of the few clusters: a
    slope through four cluster means follows their noise, and 90% intervals then cover 84%
    (simulated).

    theta is linear in its terms psi_i = (y_i - lambda f_i - mean) / n in L and
    lambda (f_i - mean) / N in U, so V = G / (G - 1) sum_g (sum_{i in g} psi_i)^2, where G counts
    the clusters that hold a label. Two clusterings give V_1 + V_2 - V_12 (Cameron, Gelbach and
    Miller 2011), or the larger of V_1 and V_2 if that is more. t has G - 1 degrees of freedom, with
    the G of the clustering that has the larger V. Pass both clusterings, characters and scenarios:
    all dialogues of a character share its effect and all of a scenario share another, however the
    labels were drawn. One clustering misses the other effect: 90% covers 74% when 15 scenarios were
    labelled and only scenarios are given (simulated). With labels of four or five characters 90%
    covers 92%, because the unlabelled part is known better than G - 1 suggests.

    Raters differ in severity, and what one of them gave is shared by all their dialogues. Where all
    are known (`shares`), V gets the term V_r - V_0, if it is above 0: V_r from the sums of each
    rater's parts of psi, and V_0 from the single ratings, whose noise is in V already. t then has
    at most raters - 1 degrees of freedom. Without it, with a severity of standard deviation .25,
    90% covers 60% with 3 raters and 78% with 12 (simulated).

    The mean is that over the characters, scenarios and raters of which these are samples. The
    labelled dialogues, characters or scenarios must have been chosen at random, not because they
    were easy.

    Args:
        human: (n + N,) human scores of the dialogues, NaN where there is none.
        judged: (n + N,) the judge's scores of all, from a fit that has not seen these labels.
        clusters: one or two arrays (n + N,) of cluster labels, integers or strings.
        confidence: between 0 and 1.
        shares: the ratings behind `human`.

    Raises:
        ValueError: lengths differ, infinities, a judge's score is missing, not one or two
            clusterings, or a confidence not between 0 and 1.
    """
    y, f = scores_iv(human=human, judged=judged)
    finite_iv("judged", f)
    codes = cluster_codes_iv(clusters, len(y))
    confidence_iv(confidence)
    known = ~np.isnan(y)
    n, rest = int(known.sum()), int((~known).sum())
    groups = tuple(len(np.unique(code[known])) for code in codes)
    weight = _weight(y[known], f, known)
    error = y[known] - weight * f[known]
    mean = float(error.mean()) if n else math.nan
    psi = np.zeros(len(y))
    if n:
        psi[known] = (error - mean) / n
    if n and rest and weight:
        other = f[~known]
        psi[~known] = weight * (other - other.mean()) / rest
        mean += weight * float(other.mean())

    def undefined(reason: str) -> PoweredMean:
        nan = math.nan
        return PoweredMean(mean, nan, nan, nan, weight, n, rest, groups, 0, confidence, reason)

    if not n:
        return undefined("no dialogue has a human score")
    if min(groups) < 2:
        short = groups.index(min(groups)) + 1
        return undefined(f"clustering {short} has fewer than 2 clusters with a human score")
    # G counts only clusters with a label: they are few, and most of the variance is theirs.
    one_way = [
        cluster_variance(psi, code, count) for code, count in zip(codes, groups, strict=True)
    ]
    variance = larger = max(one_way)
    if len(codes) == 2:
        both = intersect(*codes)
        two_way = sum(one_way) - cluster_variance(psi, both, len(np.unique(both[known])))
        variance = max(larger, two_way)
    if psi.any() and variance <= ROUNDING * float(psi @ psi):
        return undefined("the deviations cancel out within every cluster")
    df = groups[one_way.index(larger)] - 1
    if shares is not None and (shares.rater >= 0).all():
        raters = np.unique(shares.rater, return_inverse=True)[1]
        count = int(raters.max()) + 1
        if count < 2:
            return undefined("one rater: how far raters differ is not known")
        parts = shares.weight * (shares.score - weight * f[shares.cell] - error.mean()) / n
        variance += max(0.0, cluster_variance(parts, raters) - float(parts @ parts))
        df = min(df, count - 1)
    standard_error = math.sqrt(variance)
    half = t_quantile(confidence, df) * standard_error
    return PoweredMean(
        mean, mean - half, mean + half, standard_error, weight, n, rest, groups, df, confidence
    )


def label_gap(labelled: ArrayLike, judged: ArrayLike, *clusters: ArrayLike) -> LabelGap:
    """Whether dialogues were labelled where the judge's scores are high or low.

    The difference of means, tested by t with the variance and the degrees of freedom of
    `powered_mean`, so that whole characters or scenarios may be labelled. A prediction-powered mean
    holds for labels drawn by lot; labels chosen where the judge is high make it miss.

    Args:
        labelled: (n,) true or false.
        judged: (n,) finite scores.
        clusters: one or two arrays (n,) of cluster labels.

    Raises:
        ValueError: lengths differ, a score is not finite, or not one or two clusterings.
    """
    known, f = np.asarray(labelled, dtype=np.bool_), finite_iv("judged", judged)
    codes = cluster_codes_iv(clusters, len(f))
    if known.all() or not known.any():
        return LabelGap(math.nan, math.nan)
    high, low = float(f[known].mean()), float(f[~known].mean())
    psi = np.where(known, (f - high) / known.sum(), (low - f) / (~known).sum())
    groups = [len(np.unique(code[known])) for code in codes]
    if min(groups) < 2:
        return LabelGap(high - low, math.nan)
    one_way = [cluster_variance(psi, code, g) for code, g in zip(codes, groups, strict=True)]
    variance = max(*one_way, float(psi @ psi))
    if variance <= 0:
        return LabelGap(high - low, math.nan)
    t = (high - low) / math.sqrt(variance)
    return LabelGap(high - low, 2 * float(stdtr(min(groups) - 1, -abs(t))))


def _weight(y: Floats, f: Floats, known: Mask) -> float:
    """Lambda; 0 where there is nothing to predict or too little to estimate it from."""
    n, rest = len(y), len(f) - len(y)
    if n < 2 or rest == 0 or np.ptp(f) == 0:
        return 0.0
    covariance = float(np.cov(y, f[known])[0, 1])
    return float(np.clip(covariance / ((1 + n / rest) * float(np.var(f, ddof=1))), 0, 1))
