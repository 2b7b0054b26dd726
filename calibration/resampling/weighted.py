"""Four agreement statistics at four levels, for one judge and target, under many weights at once.

Every column that is summed is rounded to a grid, a power of two, so coarse that no sum exceeds 2^53
steps. So sums are exact, in any order and on any number of threads. For millions of rows the grid
is finer than 1e-9 of the largest value.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from calibration.agreement.correlation import tie_codes
from calibration.arrays import Codes, Floats, Mask, codes_of
from calibration.resampling.ranks import Counts, GroupedRanks, cubed, ranks_of_few, rho

__all__ = ["LEVELS", "STATISTICS", "Level", "Statistic"]

Statistic = Literal["spearman", "pearson", "mae", "bias"]
Level = Literal["all", "within_item", "within_system", "systems"]

STATISTICS: tuple[Statistic, ...] = get_args(Statistic)
"""Rank correlation, linear correlation, mean |judge - human|, mean (judge - human)."""

LEVELS: tuple[Level, ...] = get_args(Level)
"""Over all rows; within an item (character x scenario) across systems, mean over items; within a
system, mean over systems; over the means of systems."""


class Sums(NamedTuple):
    """Weighted sums over the rows of each group, each (groups, b).

    `x` and `y` are less a centre; `error` is the sum of x - y, `absolute` that of |x - y|.
    """

    n: Floats
    x: Floats
    y: Floats
    xx: Floats
    yy: Floats
    xy: Floats
    error: Floats
    absolute: Floats

    @property
    def pearson(self) -> Floats:
        """Pearson's r; a rounding error where a side is constant, which the ranks can tell."""
        n, x, y = self.n, self.x, self.y
        x_square, y_square = n * self.xx - x * x, n * self.yy - y * y
        return rho(n * self.xy - x * y, np.maximum(x_square, 0), np.maximum(y_square, 0))

    @property
    def mae(self) -> Floats:
        """Mean of |x - y|; NaN where there is no row."""
        return _ratio(self.absolute, self.n)

    @property
    def bias(self) -> Floats:
        """Mean of x - y; NaN where there is no row."""
        return _ratio(self.error, self.n)


class Moments:
    """The rows of each group summed once by source of weight; `sums` then applies weights.

    Args:
        x, y: (n,) finite values.
        group: (n,) codes below `groups`.
        source: (n,) which weight applies to a row, below `sources`.
        shape: groups, sources.
        centre: (n,) codes; x and y are taken less their mean over the rows of a code, so that
            little is lost to cancellation.
        total: the largest sum of the weights of all rows.

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
        self.x_centre = _ratio(np.bincount(centre, x, 1).astype(np.float64), rows)
        self.y_centre = _ratio(np.bincount(centre, y, 1).astype(np.float64), rows)
        columns = _terms(x, y, self.x_centre[centre], self.y_centre[centre])
        position = group * shape[1] + source
        self._table = np.stack([
            np.bincount(position, _on_grid(column, _largest(column), total), math.prod(shape))
            for column in columns
        ]).reshape(-1, shape[1])  # fmt: skip

    def sums(self, weights: Floats) -> Sums:
        """Sums under every column of `weights` (sources, b)."""
        return Sums(*(self._table @ weights).reshape(len(Sums._fields), self._shape[0], -1))


class Weights(NamedTuple):
    """Counts of b resamples, and their third powers: of rows (n, b), (items, b), (systems, b)."""

    row: Counts
    item: Counts
    system: Counts
    row_cubes: Floats
    item_cubes: Floats
    system_cubes: Floats


class Design(NamedTuple):
    """The system and the item of each of the n rows.

    Attributes:
        system, item: (n,) codes.
        character, scenario: (items,) codes.
        sizes: the number of systems, characters and scenarios.
        repeats: the largest number of rows with the same system and item.
    """

    system: Codes
    item: Codes
    character: Codes
    scenario: Codes
    sizes: tuple[int, int, int]
    repeats: int

    @property
    def total(self) -> int:
        """The largest sum of the weights of all rows."""
        return self.repeats * math.prod(self.sizes)

    @property
    def systems(self) -> int:
        """The number of systems."""
        return self.sizes[0]

    @property
    def items(self) -> int:
        """The number of items."""
        return len(self.character)

    @property
    def counts(self) -> type[np.signedinteger[Any]]:
        """An integer type that can hold the square of `total`."""
        return np.int32 if self.total**2 < 2**31 else np.int64

    @classmethod
    def of(cls, *labels: NDArray[np.generic]) -> Design:
        """From the (n,) labels of system, character and scenario."""
        system, character, scenario = (codes_of(label) for label in labels)
        sizes = (int(system.max()) + 1, int(character.max()) + 1, int(scenario.max()) + 1)
        items, item = np.unique(character * sizes[2] + scenario, return_inverse=True)
        repeats = int(np.bincount(item * sizes[0] + system).max())
        return cls(system, item, items // sizes[2], items % sizes[2], sizes, repeats)

    def weights(self, system: Codes, character: Codes, scenario: Codes) -> Weights:
        """From the counts (b, systems), (b, characters), (b, scenarios) of b resamples."""
        of_system, of_character, of_scenario = (
            np.ascontiguousarray(counts.T, dtype=self.counts)
            for counts in (system, character, scenario)
        )
        of_item = of_character[self.character] * of_scenario[self.scenario]
        system_cubes, item_cubes = cubed(of_system), cubed(of_item)
        return Weights(
            of_system[self.system] * of_item[self.item],
            of_item,
            of_system,
            system_cubes[self.system] * item_cubes[self.item],
            item_cubes,
            system_cubes,
        )


class Values(NamedTuple):
    """(statistics, levels, b) values, and (levels, b) numbers of groups without a correlation."""

    statistics: Floats
    undefined: Codes


class WeightedAgreement:
    """Scores of a judge and of people, sorted and summed once; `values` applies weights.

    Args:
        x, y: (n,) scores of the judge and of people; anything in rows that are not `kept`.
        design: the system and item of each row.
        kept: (n,) the rows to compare.

    Attributes:
        groups: (levels,) the number of groups that have rows.
    """

    def __init__(self, x: Floats, y: Floats, design: Design, kept: Mask) -> None:
        x, y, system, item = x[kept], y[kept], design.system[kept], design.item[kept]
        zeros, row = np.zeros_like(item), np.flatnonzero(kept)
        by_item, by_system = (design.items, design.systems), (design.systems, design.items)
        self._total = design.total
        codes = tie_codes(x), tie_codes(y)
        self._rank_all = GroupedRanks(*codes, zeros, row, (1, len(kept)), design.counts)
        self._rank_item = GroupedRanks(*codes, item, system, by_item, design.counts)
        self._rank_system = GroupedRanks(*codes, system, item, by_system, design.counts)
        most = design.repeats * design.systems
        self._item = Moments(x, y, item, system, by_item, centre=item, total=most)
        # With one centre for all rows, the sums of the systems add up to those of all rows.
        self._system = Moments(x, y, system, item, by_system, centre=zeros, total=design.total)
        columns = _terms(x, y, self._system.x_centre, self._system.y_centre)
        self._largest = [_largest(column) for column in columns]
        groups = (min(len(x), 1), len(np.unique(item)), len(np.unique(system)), min(len(x), 1))
        self.groups = np.array(groups)

    def values(self, weights: Weights, *, means_only: bool = False) -> Values:
        """All statistics at all levels, under each of the b weights.

        With `means_only`, at the level of systems; NaN elsewhere, without the time that takes.
        """
        item, system = weights.item.astype(np.float64), weights.system.astype(np.float64)
        in_system = self._system.sums(item)
        if means_only:
            nothing = np.full((len(STATISTICS), len(LEVELS), system.shape[1]), np.nan)
            nothing[:, -1] = self._of_means(in_system, system)
            return Values(nothing, np.zeros(nothing.shape[1:], dtype=np.int64))
        in_item = self._item.sums(system)
        overall = Sums(*((part * system).sum(axis=0, keepdims=True) for part in in_system))
        ranks = [
            self._rank_all.spearman(weights.row, weights.row_cubes),
            self._rank_item.spearman(weights.system, weights.system_cubes),
            self._rank_system.spearman(weights.item, weights.item_cubes),
        ]
        of_means = self._of_means(in_system, system)
        statistics = [
            [value[0] for value in _statistics(ranks[0], overall)],
            self._mean_over_groups(_statistics(ranks[1], in_item), item),
            self._mean_over_groups(_statistics(ranks[2], in_system), system),
            of_means,
        ]
        # Groups without rows have no correlation either, but they are not counted as undefined.
        undefined = [
            np.isnan(rank).sum(axis=0) - (len(rank) - groups)
            for rank, groups in zip([*ranks, of_means[0][None]], self.groups, strict=True)
        ]
        return Values(np.array(statistics).swapaxes(0, 1), np.array(undefined))

    def _mean_over_groups(self, of_groups: Iterable[Floats], weight: Floats) -> list[Floats]:
        """(b,) each: weighted means over the groups where a statistic is defined."""
        means = []
        error = self._largest[-1]
        for of_group, largest in zip(of_groups, (1, 1, error, error), strict=True):
            known = ~np.isnan(of_group)
            value = _on_grid(np.where(known, of_group, 0), largest, self._total)
            total = (value * weight).sum(axis=0)
            means.append(_ratio(total, (weight * known).sum(axis=0)))
        return means

    def _of_means(self, sums: Sums, weight: Floats) -> list[Floats]:
        """(b,) each: the statistics of the system means, each as often as its system was drawn."""
        weight = weight * (sums.n > 0)
        centres = self._system.x_centre, self._system.y_centre
        x, y = (
            np.where(weight > 0, _ratio(part, sums.n), 0) + centre
            for part, centre in zip((sums.x, sums.y), centres, strict=True)
        )
        rank_x, rank_y = (ranks_of_few(side, weight) for side in (x, y))
        product, x_square, y_square = (
            (weight * term).sum(axis=0, keepdims=True)
            for term in (rank_x * rank_y, rank_x**2, rank_y**2)
        )
        rank = rho(product, x_square, y_square)
        of_means = Sums(*(
            (weight * _on_grid(term, largest, self._total)).sum(axis=0, keepdims=True)
            for term, largest in zip(_terms(x, y, *centres), self._largest, strict=True)
        ))  # fmt: skip
        return [value[0] for value in _statistics(rank, of_means)]


def _statistics(rank: Floats, sums: Sums) -> tuple[Floats, Floats, Floats, Floats]:
    """(groups, b) each; a side whose ranks are constant has no Pearson correlation either."""
    return rank, np.where(np.isnan(rank), np.nan, sums.pearson), sums.mae, sums.bias


def _terms(x: Floats, y: Floats, x_centre: Floats, y_centre: Floats) -> Sums:
    """What each row adds to the sums."""
    a, b = x - x_centre, y - y_centre
    return Sums(np.ones_like(x), a, b, a * a, b * b, a * b, x - y, np.abs(x - y))


def _on_grid(values: Floats, largest: float, total: float) -> Floats:
    """Values of size up to `largest`, rounded so that sums with weights up to `total` are exact."""
    if not largest:
        return values
    step = 2.0 ** (math.ceil(math.log2(largest * total)) - 52)
    return np.rint(values / step) * step


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    """The quotient; NaN where the denominator is 0."""
    out = np.full_like(numerator, np.nan)
    return np.divide(numerator, denominator, out=out, where=denominator > 0)


def _largest(values: Floats) -> float:
    return float(np.abs(values).max(initial=0))
