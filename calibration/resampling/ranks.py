"""Spearman's rho of many groups under many integer weights at once, in whole numbers.

A row of weight w counts as w equal rows. Nothing is sorted again for new weights: the sorted unique
values of a group stay, and only the counts on them change. If a value occurs c times among N, then
r, its average rank less the mean rank, doubled, is (the number of values below) - (the number of
values above). This whole number starts at c - N and grows, from one value to the next, by the
counts of both. And sum c r^2 = (N^3 - sum c^3) / 3. So the running sums of counts are the weighted
mid-ranks, and the result is that of ranking the replicated rows.

Whole numbers are exact in whatever order they are added, here for up to 200,000 rows, at which sums
of products of ranks reach 2^53.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from calibration.agreement.correlation import codes_of_sorted
from calibration.arrays import Codes, Floats

__all__ = ["Counts", "GroupedRanks", "cubed", "ranks_of_few", "rho"]

Counts = NDArray[np.integer[Any]]

_STRIP = 40
"""Number of values in a strip: more mean more steps of a running sum, fewer mean more strips."""


class GroupedRanks:
    """Rows in groups, sorted once; `spearman` then applies weights.

    Args:
        x, y: (n,) whole numbers from 0 in the order of the values, equal where these tie.
        group: (n,) codes; correlations are within a group.
        source: (n,) which weight applies to a row.
        shape: the number of groups and of weights.
        counts: an integer type that can hold the square of the largest total of a group.
    """

    def __init__(
        self,
        x: Codes,
        y: Codes,
        group: Codes,
        source: Codes,
        shape: tuple[int, int],
        counts: DTypeLike,
    ) -> None:
        groups, sources = shape
        wide, high = x.max(initial=0) + 1, y.max(initial=0) + 1
        # Rows of a group with the same x and y become one point: few, where both are labels.
        points, point = np.unique((group * wide + x) * high + y, return_inverse=True)
        x_key = points // high
        of_point = x_key // wide
        self._x = _Side(x_key, of_point, groups)
        self._y = _Side(of_point * high + points % high, of_point, groups)
        # Where no two scores of the judge tie, points are stored in the order of its values.
        self._tied = self._x.values < len(x)
        stored = np.arange(len(points)) if self._tied else self._x.row
        rows = len(points) if self._tied else self._x.rows
        self._points = _Adder(stored[point], source, (rows, sources), counts)
        self._to_x = _Adder(self._x.row, stored, (self._x.rows, rows), counts)
        self._to_y = _Adder(self._y.row, stored, (self._y.rows, rows), counts)
        self._groups = _Adder(group, source, shape, np.float64)

    def spearman(self, weights: Counts, cubes: Floats) -> Floats:
        """Spearman's rho of every group under every weight, (groups, b).

        NaN where it is undefined: one side is constant, or there are fewer than two rows.

        Args:
            weights: (sources, b) counts.
            cubes: (sources, b) their third powers.
        """
        points = self._points(weights)
        x, y = self._to_x(points) if self._tied else points, self._to_y(points)
        x_rank, total = self._x.ranks(x)
        y_rank, _ = self._y.ranks(y)
        points = points * (x_rank[self._x.row] if self._tied else x_rank)
        product = self._y.by_group(y_rank * self._to_y(points).astype(np.float64))
        x_cubes = self._x.by_group(cubed(x)) if self._tied else self._groups(cubes)
        y_cubes, total_cubed = self._y.by_group(cubed(y)), cubed(total)
        return rho(product, (total_cubed - x_cubes) / 3, (total_cubed - y_cubes) / 3)


class _Side:
    """The unique values of one side, in rising order within groups, stored for fast running sums.

    Each group is cut into strips of one length, the last of which is filled up. `row` (points,) is
    the row where the value of a point is stored: first come the first values of all strips, then
    the second ones, and so on.
    """

    def __init__(self, key: Codes, group_of_point: Codes, groups: int) -> None:
        keys, first, value = np.unique(key, return_index=True, return_inverse=True)
        group = group_of_point[first]
        sizes = np.bincount(group, minlength=groups)
        self._length = int(np.clip(sizes.max(initial=1), 1, _STRIP))
        per_group = np.maximum(-(-sizes // self._length), 1)
        self._ends = np.cumsum(per_group)
        position = np.arange(len(keys)) - (np.cumsum(sizes) - sizes)[group]
        strip = (self._ends - per_group)[group] + position // self._length
        strips = int(self._ends[-1])
        row = position % self._length * strips + strip
        self._of_strip = np.repeat(np.arange(groups), per_group)
        self.values, self.rows, self.row = len(keys), self._length * strips, row[value]
        self.by_group = _Adder(group, row, (groups, self.rows), np.float64)

    def ranks(self, counts: Counts) -> tuple[Counts, Counts]:
        """(rows, b) doubled centred ranks, and (groups, b) totals, from (rows, b) counts."""
        strips = counts.reshape(self._length, -1, counts.shape[1])
        ranks = np.empty_like(strips)
        ranks[0] = strips[0]
        for i in range(1, self._length):
            np.add(strips[i - 1], strips[i], out=ranks[i])
            ranks[i] += ranks[i - 1]
        of_strip = (ranks[-1] + strips[-1]) // 2
        if len(self._ends) == len(of_strip):
            ranks -= of_strip
            return ranks.reshape(counts.shape), of_strip
        below = np.cumsum(of_strip, axis=0, dtype=counts.dtype)
        total = below[self._ends - 1]
        start = np.vstack([np.zeros_like(total[:1]), total[:-1]])
        total = total - start
        below -= of_strip
        ranks += 2 * (below - start[self._of_strip]) - total[self._of_strip]
        return ranks.reshape(counts.shape), total


class _Adder:
    """Adds the rows `source` of its argument to the rows `to` of its result."""

    def __init__(self, to: Codes, source: Codes, shape: tuple[int, int], dtype: DTypeLike) -> None:
        hits = np.bincount(to, minlength=shape[0])
        self._matrix = None
        if hits.max(initial=0) == 1:  # nothing to add: the result is a copy of some rows
            self._empty = np.flatnonzero(hits == 0)
            self._source = np.zeros(shape[0], dtype=np.int64)
            self._source[to] = source
            return
        from scipy import sparse  # noqa: PLC0415 - slow to import, and few commands resample

        starts = np.concatenate([[0], np.cumsum(hits)])
        columns = source[np.argsort(to, kind="stable")]
        ones = np.ones(len(to), dtype=dtype)
        self._matrix = sparse.csr_array((ones, columns, starts), shape=shape)

    def __call__(self, rows: NDArray[Any]) -> NDArray[Any]:
        if self._matrix is not None:
            added: NDArray[Any] = self._matrix @ rows
            return added
        out = rows[self._source]
        out[self._empty] = 0
        return out


def cubed(counts: Counts) -> Floats:
    """Third powers; `**` would use the general power function, which is twenty times as slow."""
    values = counts.astype(np.float64)
    return values * values * values


def rho(product: Floats, x_square: Floats, y_square: Floats) -> Floats:
    """A correlation: product / sqrt(x_square y_square), within -1..1; NaN where that is 0 / 0."""
    scale = np.sqrt(x_square * y_square)
    out = np.full_like(scale, np.nan)
    np.divide(product, scale, out=out, where=scale > 0)
    return np.clip(out, -1, 1, out=out)


def ranks_of_few(values: Floats, weights: Floats) -> Floats:
    """(n, b) doubled centred ranks of (n, b) values, each column with its own (n, b) weights.

    Values tie as in `tie_codes`. All pairs are compared, so n should be small: systems.
    """
    order = np.argsort(values, axis=0, kind="stable")
    codes = np.empty_like(order)
    np.put_along_axis(codes, order, codes_of_sorted(np.take_along_axis(values, order, 0)), 0)
    ranks = np.zeros_like(values)
    for code, weight in zip(codes, weights, strict=True):
        ranks += weight * np.sign(codes - code)
    return ranks
