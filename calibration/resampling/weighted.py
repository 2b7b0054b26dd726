"""One judge and one target: four statistics at four levels, under many weights at once."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from calibration.agreement.correlation import tie_codes
from calibration.resampling.ranks import GroupedRanks, cubed, ranks_of_few, rho

__all__ = [
    "LEVELS",
    "STATISTICS",
    "Design",
    "Level",
    "Moments",
    "Statistic",
    "Sums",
    "WeightedAgreement",
    "Weights",
    "on_grid",
    "ratio",
    "terms",
]

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


Flags = NDArray[np.bool_]
Counts = NDArray[np.integer[Any]]
Statistic = Literal["spearman", "pearson", "mae", "bias"]
Level = Literal["all", "within_item", "within_system", "systems"]

STATISTICS: tuple[Statistic, ...] = get_args(Statistic)
"""Rank correlation, linear correlation, mean |judge - human|, mean judge - human."""

LEVELS: tuple[Level, ...] = get_args(Level)
"""All rows; mean over items (character x scenario), within each across systems; mean over systems,
within each; means of systems."""


class Weights(NamedTuple):
    """Counts of b resamples, and their third powers.

    Each is (n, b) of rows, (items, b) or (systems, b).
    """

    row: Counts
    item: Counts
    system: Counts
    row_cubes: Floats
    item_cubes: Floats
    system_cubes: Floats


class Design(NamedTuple):
    """Where the n rows belong.

    Attributes:
        system, item: (n,) codes.
        character, scenario: (items,) codes.
        sizes: how many systems, characters and scenarios.
        doubled: how many rows the fullest cell has.
    """

    system: Codes
    item: Codes
    character: Codes
    scenario: Codes
    sizes: tuple[int, int, int]
    doubled: int

    @property
    def total(self) -> int:
        """What the weights of all rows add up to at most."""
        return self.doubled * math.prod(self.sizes)

    @property
    def systems(self) -> int:
        """How many systems."""
        return self.sizes[0]

    @property
    def items(self) -> int:
        """How many items."""
        return len(self.character)

    @property
    def counts(self) -> type[np.signedinteger[Any]]:
        """Integers that hold the square of `total`."""
        return np.int32 if self.total**2 < 2**31 else np.int64

    @classmethod
    def of(cls, *labels: NDArray[np.generic]) -> Design:
        """From the (n,) labels of system, character and scenario."""
        system, character, scenario = (_codes(label) for label in labels)
        sizes = (int(system.max()) + 1, int(character.max()) + 1, int(scenario.max()) + 1)
        cells, item = np.unique(character * sizes[2] + scenario, return_inverse=True)
        doubled = int(np.bincount(item * sizes[0] + system).max())
        return cls(system, item, cells // sizes[2], cells % sizes[2], sizes, doubled)

    def weights(self, system: Codes, character: Codes, scenario: Codes) -> Weights:
        """From the counts (b, systems), (b, characters), (b, scenarios) of b resamples."""
        one, two, three = (
            np.ascontiguousarray(counts.T, dtype=self.counts)
            for counts in (system, character, scenario)
        )
        item = two[self.character] * three[self.scenario]
        one_cubes, item_cubes = cubed(one), cubed(item)
        return Weights(
            one[self.system] * item[self.item],
            item,
            one,
            one_cubes[self.system] * item_cubes[self.item],
            item_cubes,
            one_cubes,
        )


class Values(NamedTuple):
    """(statistics, levels, b); and (levels, b) how many groups have no correlation."""

    statistics: Floats
    undefined: Codes


class WeightedAgreement:
    """Scores sorted and added up once; `values` takes the weights.

    Args:
        x, y: (n,) scores of the judge and of people; rows where not `kept` may hold anything.
        design: where the rows belong.
        kept: (n,) the rows to compare.

    Attributes:
        groups: (levels,) how many groups have rows.
    """

    def __init__(self, x: Floats, y: Floats, design: Design, kept: Flags) -> None:
        x, y, system, item = x[kept], y[kept], design.system[kept], design.item[kept]
        one, row = np.zeros_like(item), np.flatnonzero(kept)
        by_item, by_system = (design.items, design.systems), (design.systems, design.items)
        self._total = design.total
        codes = tie_codes(x), tie_codes(y)
        self._rank_all = GroupedRanks(*codes, one, row, (1, len(kept)), design.counts)
        self._rank_item = GroupedRanks(*codes, item, system, by_item, design.counts)
        self._rank_system = GroupedRanks(*codes, system, item, by_system, design.counts)
        most = design.doubled * design.systems
        self._item = Moments(x, y, item, system, by_item, centre=item, total=most)
        # One centre for all, so that the sums of systems add up to those of all rows.
        self._system = Moments(x, y, system, item, by_system, centre=one, total=design.total)
        moved = terms(x, y, self._system.x_centre, self._system.y_centre)
        self._largest = [float(np.abs(term).max(initial=0)) for term in moved]
        groups = (min(len(x), 1), len(np.unique(item)), len(np.unique(system)), min(len(x), 1))
        self.groups = np.array(groups)

    def values(self, weights: Weights) -> Values:
        """Every statistic at every level, for each of the b weightings."""
        item, system = weights.item.astype(np.float64), weights.system.astype(np.float64)
        in_system, in_item = self._system.sums(item), self._item.sums(system)
        everything = Sums(*((part * system).sum(axis=0, keepdims=True) for part in in_system))
        ranks = [
            self._rank_all.spearman(weights.row, weights.row_cubes),
            self._rank_item.spearman(weights.system, weights.system_cubes),
            self._rank_system.spearman(weights.item, weights.item_cubes),
        ]
        means = self._of_means(in_system, system)
        found = [
            [value[0] for value in _by_group(ranks[0], everything)],
            self._means(_by_group(ranks[1], in_item), item),
            self._means(_by_group(ranks[2], in_system), system),
            means,
        ]
        # Groups without rows have no correlation either, but nobody asked for one.
        undefined = [
            np.isnan(rank).sum(axis=0) - (len(rank) - groups)
            for rank, groups in zip([*ranks, means[0][None]], self.groups, strict=True)
        ]
        return Values(np.array(found).swapaxes(0, 1), np.array(undefined))

    def _means(self, of_groups: Iterable[Floats], weight: Floats) -> list[Floats]:
        """(b,) each: weighted means over the groups where a statistic is defined."""
        means = []
        error = self._largest[-1]
        for of_group, largest in zip(of_groups, (1, 1, error, error), strict=True):
            known = ~np.isnan(of_group)
            value = on_grid(np.where(known, of_group, 0), largest, self._total)
            total = (value * weight).sum(axis=0)
            means.append(ratio(total, (weight * known).sum(axis=0)))
        return means

    def _of_means(self, sums: Sums, weight: Floats) -> list[Floats]:
        """(b,) each: the statistics of the systems' means, a system as often as it was drawn."""
        weight = weight * (sums.n > 0)
        centres = self._system.x_centre, self._system.y_centre
        x, y = (
            np.where(weight > 0, ratio(part, sums.n), 0) + centre
            for part, centre in zip((sums.x, sums.y), centres, strict=True)
        )
        rank_x, rank_y = (ranks_of_few(side, weight) for side in (x, y))
        product, x_square, y_square = (
            (weight * term).sum(axis=0, keepdims=True)
            for term in (rank_x * rank_y, rank_x**2, rank_y**2)
        )
        rank = rho(product, x_square, y_square)
        of_means = Sums(*(
            (weight * on_grid(term, largest, self._total)).sum(axis=0, keepdims=True)
            for term, largest in zip(terms(x, y, *centres), self._largest, strict=True)
        ))  # fmt: skip
        return [value[0] for value in _by_group(rank, of_means)]


def _by_group(rank: Floats, sums: Sums) -> tuple[Floats, Floats, Floats, Floats]:
    """(groups, b) each; what is constant by ranks has no Pearson correlation either."""
    return rank, np.where(np.isnan(rank), np.nan, sums.pearson), sums.mae, sums.bias


def _codes(labels: NDArray[np.generic]) -> Codes:
    codes: Codes = np.unique(labels, return_inverse=True)[1].astype(np.int64)
    return codes
