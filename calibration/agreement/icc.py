"""Intraclass correlations: whether two or more raters give the same rows the same scores."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from calibration.arrays import Floats

__all__ = ["Icc", "IccResult", "intraclass_correlations"]


class Icc(NamedTuple):
    """One coefficient and its interval; NaN where undefined.

    Few rows that disagree can have an estimate outside -1..1, which is undefined here.
    """

    value: float
    lower: float
    upper: float


class IccResult(NamedTuple):
    """Three coefficients of the same scores.

    Attributes:
        absolute: ICC(A,1), absolute agreement of single raters: a rater who is always higher
            loses.
        consistency: ICC(C,1), consistency of single raters: a constant distance costs nothing.
        absolute_mean: ICC(A,k), absolute agreement of the mean of the k raters.
        rows: number of rows that every rater scored.
        raters: k.
        masked: rows left out because a rater's score is missing.
        reason: why there are no values, "" if there are.
    """

    absolute: Icc
    consistency: Icc
    absolute_mean: Icc
    rows: int
    raters: int
    masked: int
    reason: str = ""


def intraclass_correlations(scores: ArrayLike, confidence: float = 0.95) -> IccResult:
    """ICC(A,1), ICC(C,1) and ICC(A,k) of a two-way layout (McGraw and Wong 1996, tables 4 and 7).

    From the mean squares of rows, columns and error of the n x k table, for raters who are a
    sample of all raters. The intervals are theirs too: that of ICC(A,1) by Satterthwaite's
    approximation, that of ICC(A,k) from it by the Spearman-Brown formula. They assume normal and
    independent rows, and are of single rows, not clustered.

    Args:
        scores: (n, k) scores of n rows by k raters, such as the human mean and the judge's mean
            of each system; a row with a NaN is left out.
        confidence: of the intervals, between 0 and 1.

    Raises:
        ValueError: not two-dimensional, fewer than 2 raters, an infinity, or no such confidence.
    """
    table, masked = _scores_iv(scores, confidence)
    n, k = table.shape

    def undefined(reason: str) -> IccResult:
        nothing = Icc(math.nan, math.nan, math.nan)
        return IccResult(nothing, nothing, nothing, n, k, masked, reason)

    if n < 2:
        return undefined("fewer than 2 rows have all scores")
    table = table - table.mean()
    rows, columns = table.mean(axis=1), table.mean(axis=0)
    rest = table - rows[:, None] - columns
    error_df = (n - 1) * (k - 1)
    of_rows = k * float(rows @ rows) / (n - 1)
    of_columns = n * float(columns @ columns) / (k - 1)
    error = float(np.sum(rest**2)) / error_df
    tiny = 1e-12 * max(float(np.sum(table**2)) / (n * k), 1e-300)
    if of_rows <= tiny:
        return undefined("all rows have the same mean")
    if error <= tiny:
        error = 0.0
    if of_columns <= tiny:
        of_columns = 0.0
    tail = (1 + confidence) / 2
    single = _absolute(of_rows, of_columns, error, n, k, tail)
    of_mean = Icc(
        _ratio(of_rows - error, of_rows + (of_columns - error) / n),
        *(_ratio(k * end, 1 + (k - 1) * end) for end in single[1:]),
    )
    return IccResult(
        absolute=_bounded(single),
        consistency=_bounded(_consistency(of_rows, error, n, k, tail)),
        absolute_mean=_bounded(of_mean),
        rows=n,
        raters=k,
        masked=masked,
    )


def _consistency(of_rows: float, error: float, n: int, k: int, tail: float) -> Icc:
    if error == 0:
        return Icc(1.0, 1.0, 1.0)
    ratio, error_df = of_rows / error, (n - 1) * (k - 1)
    low = ratio / float(special.fdtri(n - 1, error_df, tail))
    high = ratio * float(special.fdtri(error_df, n - 1, tail))
    return Icc(*((f - 1) / (f + k - 1) for f in (ratio, low, high)))


def _absolute(of_rows: float, of_columns: float, error: float, n: int, k: int, tail: float) -> Icc:
    value = _ratio(of_rows - error, of_rows + (k - 1) * error + k / n * (of_columns - error))
    if error == 0 and of_columns == 0:
        return Icc(1.0, 1.0, 1.0)
    a = _ratio(k * value, n * (1 - value))
    b = 1 + a * (n - 1)
    spread = (a * of_columns) ** 2 / (k - 1) + (b * error) ** 2 / ((n - 1) * (k - 1))
    df = _ratio((a * of_columns + b * error) ** 2, spread)
    high_f = float(special.fdtri(n - 1, df, tail))
    low_f = float(special.fdtri(df, n - 1, tail))
    others = k * of_columns + (k * n - k - n) * error
    return Icc(
        value,
        _ratio(n * (of_rows - high_f * error), high_f * others + n * of_rows),
        _ratio(n * (low_f * of_rows - error), others + n * low_f * of_rows),
    )


def _bounded(icc: Icc) -> Icc:
    """The coefficient, undefined where noise puts the estimate outside -1..1."""
    return icc if abs(icc.value) <= 1 + 1e-12 else Icc(math.nan, math.nan, math.nan)


def _ratio(above: float, below: float) -> float:
    """The quotient; NaN where the denominator is 0, as it can be for two rows."""
    return above / below if below else math.nan


def _scores_iv(scores: ArrayLike, confidence: float) -> tuple[Floats, int]:
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] < 2:
        raise ValueError(f"scores must be (n, k) with k >= 2, not {table.shape}")
    if np.isinf(table).any():
        raise ValueError("scores must not hold infinities")
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence lies between 0 and 1, not at {confidence}")
    complete = ~np.isnan(table).any(axis=1)
    return table[complete], int((~complete).sum())
