"""Pearson's r, mean absolute error and bias of many groups under many integer weights at once.

Every column that is summed lies on a grid of a power of two, so coarse that no sum exceeds 2^53
steps: sums are exact, in whatever order, on whichever number of threads. The grid is finer than
1e-9 of the largest value for millions of rows.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from calibration.resampling.ranks import rho

__all__ = ["Moments", "Sums", "on_grid", "ratio", "terms"]

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


class Sums(NamedTuple):
    """Weighted sums over the rows of a group, each (groups, b); x and y less a centre.

    `error` is the sum of x - y and `off` that of |x - y|.
    """

    n: Floats
    x: Floats
    y: Floats
    xx: Floats
    yy: Floats
    xy: Floats
    error: Floats
    off: Floats

    @property
    def pearson(self) -> Floats:
        """Pearson's r. What it gives for a constant side is rounding noise: ranks know better."""
        n, x, y = self.n, self.x, self.y
        x_square, y_square = n * self.xx - x * x, n * self.yy - y * y
        return rho(n * self.xy - x * y, np.maximum(x_square, 0), np.maximum(y_square, 0))

    @property
    def mae(self) -> Floats:
        """Mean of |x - y|; nan where there is no row."""
        return ratio(self.off, self.n)

    @property
    def bias(self) -> Floats:
        """Mean of x - y; nan where there is no row."""
        return ratio(self.error, self.n)


class Moments:
    """Rows in groups, added up once for each weight; `sums` takes the weights.

    Args:
        x, y: (n,) finite values.
        group: (n,) codes below `groups`.
        source: (n,) which weight a row has, below `sources`.
        shape: groups, sources.
        centre: (n,) codes; sums of x, y and their products are of values less their mean over the
            rows of one code, so that little cancels.
        total: what the weights of all rows add up to at most.

    Attributes:
        x_centre, y_centre: (codes,) those means.
    """

    def __init__(
        self,
        x: Floats,
        y: Floats,
        group: Codes,
        source: Codes,
        shape: tuple[int, int],
        *,
        centre: Codes,
        total: float,
    ) -> None:
        self._shape = shape
        rows = np.bincount(centre, minlength=1).astype(np.float64)
        self.x_centre = ratio(np.bincount(centre, x, 1).astype(np.float64), rows)
        self.y_centre = ratio(np.bincount(centre, y, 1).astype(np.float64), rows)
        columns = terms(x, y, self.x_centre[centre], self.y_centre[centre])
        cell = group * shape[1] + source
        self._table = np.stack([
            np.bincount(cell, on_grid(column, _largest(column), total), math.prod(shape))
            for column in columns
        ]).reshape(-1, shape[1])  # fmt: skip

    def sums(self, weights: Floats) -> Sums:
        """Sums under every column of `weights` (sources, b)."""
        return Sums(*(self._table @ weights).reshape(len(Sums._fields), self._shape[0], -1))


def terms(x: Floats, y: Floats, x_centre: Floats, y_centre: Floats) -> Sums:
    """What each row adds."""
    a, b = x - x_centre, y - y_centre
    return Sums(np.ones_like(x), a, b, a * a, b * b, a * b, x - y, np.abs(x - y))


def on_grid(values: Floats, largest: float, total: float) -> Floats:
    """`values`, at most `largest` in size, so rounded that sums of weight `total` are exact."""
    if not largest:
        return values
    step = 2.0 ** (math.ceil(math.log2(largest * total)) - 52)
    return np.rint(values / step) * step


def ratio(part: Floats, whole: Floats) -> Floats:
    """Quotient of the two; nan where whole is 0."""
    out = np.full_like(part, np.nan)
    return np.divide(part, whole, out=out, where=whole > 0)


def _largest(values: Floats) -> float:
    return float(np.abs(values).max(initial=0))
