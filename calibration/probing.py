"""What altered replies say of a judge: shares, shifts and ratios over pairs, with intervals.

A pair is a dialogue and an altered form of it. Pairs that share a character or a scenario resemble
each other, so intervals come from the crossed bootstrap over both (Owen 2007).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betaincinv

from calibration.agreement.correlation import TOLERANCE
from calibration.arrays import Codes, Floats, codes_of, confidence_iv, same_length_iv
from calibration.resampling.bootstrap import crossed_weights, percentile_interval

__all__ = ["LEAST", "LabelUse", "LengthEffect", "PairMean", "PairResamples", "label_use",
           "length_effect", "lowered"]  # fmt: skip

LEAST = 8
"""The dialogues that an interval takes: resamples of fewer vary too little."""


class PairMean(NamedTuple):
    """A mean over pairs, or a ratio of two, with its interval.

    Attributes:
        n: the pairs that it rests on.
        value: NaN if there are none, or the ratio is undefined.
        lower, upper: the ends; NaN, with a `reason`, where there is no interval.
    """

    n: int
    value: float
    lower: float
    upper: float
    reason: str = ""


class LabelUse(NamedTuple):
    """Which labels a judge uses for unaltered dialogues.

    Attributes:
        shares: (K,) how often each label is the most probable one; they sum to 1.
        effective: exp of the entropy of `shares`: 1 if always the same label, K if all equally.
        tied: the share of pairs of dialogues with the same score; NaN with fewer than two.
    """

    shares: Floats
    effective: float
    tied: float


class LengthEffect(NamedTuple):
    """How far the change of a score follows from the change of the length.

    Attributes:
        points: per doubling of the length, by least squares; NaN where lengths do not change.
        explained: r squared, in [0, 1]; NaN where scores or lengths do not change.
    """

    points: float
    explained: float


class PairResamples:
    """B crossed resamples of n dialogues: characters and scenarios drawn with replacement.

    Args:
        character, scenario: (n,) labels.
        resamples: B.
        confidence: of the intervals.

    Raises:
        ValueError: no dialogues, other lengths, or a confidence not between 0 and 1.
    """

    def __init__(
        self,
        character: ArrayLike,
        scenario: ArrayLike,
        rng: np.random.Generator,
        *,
        resamples: int = 2000,
        confidence: float = 0.95,
    ) -> None:
        confidence_iv(confidence)
        first, second = codes_of(character), codes_of(scenario)
        same_length_iv(character=first, scenario=second)
        if not first.size:
            raise ValueError("at least one dialogue is needed")
        sizes = (1, int(first.max()) + 1, int(second.max()) + 1)
        drawn = crossed_weights(rng, sizes, resamples, systems_fixed=True)
        self._codes = first, second
        self._weights = (drawn.character[:, first] * drawn.scenario[:, second]).astype(np.float64)
        self._confidence = confidence

    def mean(
        self, values: ArrayLike, dialogue: ArrayLike | None = None, *, share: bool = False
    ) -> PairMean:
        """The mean of a number for each pair.

        There is none with pairs of fewer than `LEAST` dialogues: of four, an interval of noise lay
        above 0 in 6% of simulations, in place of 2.5%.

        Where all numbers are the same, resamples cannot vary. The interval of a share of 0 or 1 is
        then that of Clopper and Pearson (1934). Its trials are the characters, or the scenarios if
        those are fewer, or a third of the dialogues if that is more, since the crossed bootstrap
        counts their noise three times. Of any other number it has no width. `reason` says so.

        Args:
            values: (m,) NaN where a pair has none.
            dialogue: (m,) the position of each pair's dialogue; the pairs are the n dialogues
                where it is left out.
            share: whether the values are those of `lowered`, in [0, 1], and the mean a share.
        """
        y, rows = self._pairs(values, dialogue)
        if not y.size:
            return PairMean(0, math.nan, math.nan, math.nan, "no pairs")
        value = float(y.mean()) if np.ptp(y) else float(y[0])
        if not np.ptp(y):
            return self._all_alike(value, rows, share=share)
        if len(np.unique(rows)) < LEAST:
            reason = f"an interval takes {LEAST} dialogues"
            return PairMean(len(y), value, math.nan, math.nan, reason)
        replicates = _ratios(self._weights[:, rows] @ y, self._weights[:, rows].sum(axis=1))
        return self._interval(len(y), value, replicates)

    def ratio(self, parts: ArrayLike, wholes: ArrayLike, dialogue: ArrayLike | None = None
    ) -> PairMean:  # fmt: skip
        """Sum of `parts` over sum of `wholes`, both (m,); as `mean` for the rest.

        Undefined, with NaN, where the interval of the mean of `wholes` does not lie above 0.
        """
        whole, rows = self._pairs(wholes, dialogue)
        part, _ = self._pairs(np.where(np.isnan(wholes), np.nan, parts), dialogue)
        if len(part) != len(whole):
            raise ValueError("a pair with a whole needs a part")
        if not self.mean(wholes, dialogue).lower > 0:
            nan = math.nan
            return PairMean(len(whole), nan, nan, nan, "nothing was shown to fall")
        weights = self._weights[:, rows]
        replicates = _ratios(weights @ part, weights @ whole)
        return self._interval(len(whole), float(part.sum() / whole.sum()), replicates)

    def _pairs(self, values: ArrayLike, dialogue: ArrayLike | None) -> tuple[Floats, Codes]:
        y = np.asarray(values, dtype=np.float64)
        count = self._weights.shape[1]
        rows = np.arange(count) if dialogue is None else np.asarray(dialogue, dtype=np.int64)
        same_length_iv(values=y, dialogue=rows)
        if np.isinf(y).any() or (rows.size and not 0 <= rows.min() <= rows.max() < count):
            raise ValueError(f"finite numbers of dialogues 0 to {count - 1} are needed")
        known = ~np.isnan(y)
        return y[known], rows[known]

    def _interval(self, n: int, value: float, replicates: Floats) -> PairMean:
        found = percentile_interval(value, replicates, confidence=self._confidence)
        known = replicates[~np.isnan(replicates)]
        if len(known) == len(replicates) and np.ptp(known) <= TOLERANCE * abs(value):
            return PairMean(n, value, value, value, "all resamples have one and the same value")
        return PairMean(n, value, found.lower, found.upper, found.reason)

    def _all_alike(self, value: float, rows: Codes, *, share: bool) -> PairMean:
        if not share or value not in {0.0, 1.0}:
            return PairMean(len(rows), value, value, value, "all pairs have the same value")
        levels = min(len(np.unique(codes[rows])) for codes in self._codes)
        trials = max(levels, math.ceil(len(np.unique(rows)) / 3))
        end = float(betaincinv(trials, 1, (1 - self._confidence) / 2))
        ends = (end, 1.0) if value else (0.0, 1 - end)
        reason = f"all pairs agree: the interval is that of {trials} trials"
        return PairMean(len(rows), value, *ends, reason)


def lowered(clean: ArrayLike, altered: ArrayLike) -> Floats:
    """For each pair: 1 if the altered form has the lower score, 1/2 if both tie, 0 if the higher.

    Its mean is P(altered scores lower), the area under the ROC curve of paired scores. Scores tie
    as in `calibration.agreement.correlation`. NaN where a score is.

    Args:
        clean, altered: of one shape, scores on one scale.
    """
    first, second = np.asarray(clean, dtype=np.float64), np.asarray(altered, dtype=np.float64)
    difference = first - second
    tied = np.abs(difference) <= TOLERANCE * np.maximum(np.abs(first), np.abs(second))
    share = np.where(tied, 0.5, (difference > 0).astype(np.float64))
    return np.where(np.isnan(difference), np.nan, share)


def label_use(probabilities: ArrayLike) -> LabelUse:
    """How a judge spreads (n, K) label probabilities, n at least 1, over the K labels."""
    p = np.asarray(probabilities, dtype=np.float64)
    shares = np.bincount(p.argmax(axis=1), minlength=p.shape[1]) / len(p)
    used = shares[shares > 0]
    scores = p @ np.arange(1, p.shape[1] + 1)
    first, second = np.triu_indices(len(p), 1)
    ties = lowered(scores[first], scores[second]) == 0.5
    tied = float(ties.mean()) if len(ties) else math.nan
    return LabelUse(shares, float(np.exp(-(used * np.log(used)).sum())), tied)


def length_effect(shift: ArrayLike, before: ArrayLike, after: ArrayLike) -> LengthEffect:
    """The least-squares line through the origin of shifts on log2 of after / before.

    Through the origin, because a reply whose length stays should not change its score; r squared
    is therefore 1 - residual over total sum of squares, neither centred.

    Args:
        shift: (m,) points, NaN where unknown.
        before, after: (m,) lengths above 0.
    """
    y = np.asarray(shift, dtype=np.float64)
    x = np.log2(np.asarray(after, dtype=np.float64) / np.asarray(before, dtype=np.float64))
    same_length_iv(shift=y, length=x)
    known = ~np.isnan(y)
    y, x = y[known], x[known]
    if not x.any():
        return LengthEffect(math.nan, math.nan)
    points = float(x @ y / (x @ x))
    explained = float((x @ y) ** 2 / ((x @ x) * (y @ y))) if y.any() else math.nan
    return LengthEffect(points, explained)


def _ratios(parts: Floats, wholes: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(wholes == 0, np.nan, parts / wholes)
