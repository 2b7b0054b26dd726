"""Is one judge closer to people than another, on the same dialogues?"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calibration.agreement.correlation import TOLERANCE, mid_ranks, tie_codes
from calibration.agreement.groups import Rows, cosines, grid, rank_deviations, rows_iv

__all__ = ["ComparisonResult", "exchange_test", "perm_both"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Level = Literal["all", "within_item", "systems"]

_BATCH = 50
"""Exchanges looked at together: enough for one large product, few enough for the cache."""

_ENUMERATED = 12
"""A factor with at most so many groups has all its exchanges looked at, 2,048 of them."""

_Sides = tuple[Floats, Floats, Floats]
_Rho = Callable[[Bools, Bools], _Sides]
"""From (draws, systems) and (draws, items), what is exchanged, to (draws,) rho of either side, and
over how many groups either is a mean."""


class ComparisonResult(NamedTuple):
    """Two judges' correlations with people; nan, with a `reason`, where undefined.

    Attributes:
        first, second: Spearman's rho of either judge.
        difference: first less second.
        p: two-sided.
        n: rows with both judges' and a human score.
        masked: rows left out.
        groups: within items, those in which both judges have a correlation with people: both rhos
            are means over them; at other levels 1. `left_out`: the other items.
        resamples: how many exchanges were looked at, for each factor.
        undefined: those among them that left a constant side; counted as extreme, so that they
            can only make p larger.
        factor: what was exchanged to get this p; "" where undefined.
    """

    first: float
    second: float
    difference: float
    p: float
    n: int
    masked: int
    groups: int
    left_out: int
    resamples: int
    undefined: int
    reason: str = ""
    factor: str = ""


def exchange_test(
    first: ArrayLike,
    second: ArrayLike,
    human: ArrayLike,
    system: ArrayLike,
    item: ArrayLike,
    factors: Mapping[str, ArrayLike],
    rng: np.random.Generator,
    level: Level = "all",
    resamples: int = 1000,
) -> ComparisonResult:
    """Whether two judges correlate equally with people, where either may have tastes of its own.

    The judges are standardised over all rows. If they are equally good, the scores that they give
    to all dialogues of one system can be exchanged as a whole, and so can those of one character
    or one scenario. One factor is exchanged at a time: every subset of its groups where these are
    at most 12, random subsets else; p is the share of exchanges whose difference is at least as
    large as the one observed. The result is the largest p over the factors: a difference is shown
    only if it holds for other systems, and for other characters, and for other scenarios. At the
    level "systems" whole systems alone are exchanged.

    PERM-BOTH (see `perm_both`) exchanges single scores in effect, and so tests whether the judges
    are interchangeable. Equally good judges that favour different systems are not: at nominal 5%
    it rejects them in 30 to 80% of studies at the level of systems.

    Args:
        first, second: (n,) scores of the two judges, on scales of their own; NaN where missing.
        human: (n,) scores, NaN where missing.
        system, item: (n,) labels; a system has at most one row for an item.
        factors: name -> (n,) labels that are the same for all rows of an item, such as characters,
            scenarios or the items themselves. Systems are always a factor.
        rng: draws the exchanges.
        level: "all" dialogues, "within_item" across systems, or "systems"; see `at_levels`.
        resamples: random subsets of each factor.

    Raises:
        ValueError: as `perm_both`, or a factor that differs within an item.
    """
    rows = _compare_iv(first, second, human, system, item, level, resamples)
    kept = ~np.isnan(np.array([first, second, human], dtype=np.float64)).any(axis=0)
    groups = {} if level == "systems" else _groups_iv(factors, kept, rows)
    observed = _observe(rows, level)
    if observed.rho is None:
        return observed.result
    systems, items = observed.shape
    results = []
    for name in ("system", *groups):
        size = systems if name == "system" else int(groups[name].max()) + 1
        subsets = _subsets(size, resamples, rng)
        if name == "system":
            exchanges = (subsets, np.zeros((len(subsets), items), np.bool_))
        else:
            exchanges = (np.zeros((len(subsets), systems), np.bool_), subsets[:, groups[name]])
        batches = (
            (exchanges[0][start : start + _BATCH], exchanges[1][start : start + _BATCH])
            for start in range(0, len(subsets), _BATCH)
        )
        extreme, undefined = _count_extreme(observed, batches)
        exact = size <= _ENUMERATED
        p = extreme / len(subsets) if exact else (1 + extreme) / (1 + len(subsets))
        results.append(
            observed.result._replace(
                p=p, resamples=len(subsets), undefined=undefined, factor=name, reason=""
            )
        )
    return max(results, key=lambda result: result.p)


def perm_both(
    first: ArrayLike,
    second: ArrayLike,
    human: ArrayLike,
    system: ArrayLike,
    item: ArrayLike,
    rng: np.random.Generator,
    level: Level = "all",
    resamples: int = 1000,
) -> ComparisonResult:
    """The PERM-BOTH test of Deutsch, Dror and Roth (2021), for Spearman's rho.

    If the judges are interchangeable, it does not matter whose scores are whose. Both are
    standardised over all rows, then exchanged for randomly drawn systems and for randomly drawn
    items (twice is not at all): the claim is about systems and items like these, not these alone.
    p = (1 + b) / (1 + B), with b of B exchanges at least as far from 0 as the difference observed.
    Within items both rhos are means over the items in which both judges have one, in each exchange
    anew: else a judge that ties all systems in some items has its mean over other items than its
    rival.

    Interchangeable is more than equally good: see `exchange_test`, which keeps its size where the
    judges have tastes of their own.

    Args:
        first, second: (n,) scores of the two judges, on scales of their own; NaN where missing.
        human: (n,) scores, NaN where missing.
        system, item: (n,) labels; a system has at most one row for an item.
        rng: draws the exchanges.
        level: "all" dialogues, "within_item" across systems, or "systems"; see `at_levels`.
        resamples: B.

    Raises:
        ValueError: lengths differ, an infinity, a doubled row, no such level, or resamples < 1.
    """
    rows = _compare_iv(first, second, human, system, item, level, resamples)
    observed = _observe(rows, level)
    if observed.rho is None:
        return observed.result._replace(resamples=resamples)
    sizes = [min(_BATCH, resamples - start) for start in range(0, resamples, _BATCH)]
    systems, items = observed.shape
    extreme, undefined = _count_extreme(
        observed,
        ((rng.random((size, systems)) < 0.5, rng.random((size, items)) < 0.5) for size in sizes),
    )
    return observed.result._replace(
        p=(1 + extreme) / (1 + resamples),
        resamples=resamples,
        undefined=undefined,
        factor="single scores",
        reason="",
    )


class _Observed(NamedTuple):
    """The correlations before any exchange; `rho` is None where one of them is undefined."""

    result: ComparisonResult
    rho: _Rho | None
    shape: tuple[int, int]


def _observe(rows: Rows, level: Level) -> _Observed:
    """Standardise the judges, and correlate them with people as they are."""
    n, nan = rows.columns.shape[1], math.nan
    items = int(rows.item.max(initial=-1)) + 1 if level == "within_item" else 1

    def undefined(reason: str, one: float = nan, other: float = nan) -> _Observed:
        groups = 0 if level == "within_item" else 1
        result = ComparisonResult(
            one, other, nan, nan, n, rows.masked, groups, items - groups, 0, 0, reason
        )
        return _Observed(result, None, (0, 0))

    if n < 2:
        return undefined("fewer than 2 rows have all three scores")
    if not all(tie_codes(judge).any() for judge in rows.columns[:2]):
        return undefined("a judge gives one and the same score to all")
    judges = rows.columns[:2]
    judges -= judges.mean(axis=1, keepdims=True)
    judges /= judges.std(axis=1, keepdims=True)
    table = grid(rows)
    rho = _LEVELS[level](rows, table)
    shape = (table.shape[1], table.shape[2])
    as_it_is = rho(*(np.zeros((1, size), np.bool_) for size in shape))
    one, other, groups = float(as_it_is[0][0]), float(as_it_is[1][0]), int(as_it_is[2][0])
    if math.isnan(one) or math.isnan(other):
        return undefined("a side is constant at this level", one, other)
    result = ComparisonResult(
        one, other, one - other, nan, n, rows.masked, groups, items - groups, 0, 0
    )
    return _Observed(result, rho, shape)


def _count_extreme(
    observed: _Observed, exchanges: Iterable[tuple[Bools, Bools]]
) -> tuple[int, int]:
    """How many exchanges leave a difference at least as large, and how many leave none at all."""
    assert observed.rho is not None  # noqa: S101 - the callers have looked
    bound = abs(observed.result.difference) - TOLERANCE
    extreme = undefined = 0
    for systems, items in exchanges:
        first_rho, second_rho, _ = observed.rho(systems, items)
        gap = np.abs(first_rho - second_rho)
        undefined += int(np.isnan(gap).sum())
        extreme += int((~(gap < bound)).sum())
    return extreme, undefined


def _subsets(size: int, resamples: int, rng: np.random.Generator) -> Bools:
    """(subsets, size) of what is exchanged: all subsets, but for complements, or random ones.

    A subset and its complement leave the same difference, with the sign turned round.
    """
    if size > _ENUMERATED:
        return rng.random((resamples, size)) < 0.5
    return (np.arange(2 ** (size - 1))[:, None] >> np.arange(size) & 1).astype(np.bool_)


def _groups_iv(
    factors: Mapping[str, ArrayLike], kept: Bools, rows: Rows
) -> dict[str, NDArray[np.int64]]:
    """Factor -> (items,) code of each item's group."""
    groups = {}
    for name, labels in factors.items():
        given = np.asarray(labels)
        if given.shape != kept.shape:
            raise ValueError(f"the factor {name} must be (n,) as the scores are, not {given.shape}")
        code = np.unique(given[kept], return_inverse=True)[1].astype(np.int64)
        of_item = np.zeros(int(rows.item.max(initial=-1)) + 1, dtype=np.int64)
        of_item[rows.item] = code
        if (of_item[rows.item] != code).any():
            raise ValueError(f"the factor {name} differs between rows of one item")
        groups[name] = of_item
    return groups


def _over_all(rows: Rows, table: Floats) -> _Rho:
    # Both judges are sorted once; the ranks of any mixture follow from counting what it holds.
    del table
    a, b = tie_codes(rows.columns[:2])
    groups = int(max(a.max(), b.max())) + 1
    middle = (len(a) + 1) / 2
    people = (mid_ranks(rows.columns[2]) - middle)[None]

    def of(codes: NDArray[np.int64]) -> float:
        counts = np.bincount(codes, minlength=groups)
        ranks = (np.cumsum(counts) - (counts - 1) / 2)[codes] - middle
        return float(cosines(ranks[None], people)[0])

    def rho(systems: Bools, items: Bools) -> _Sides:
        swaps = systems[:, rows.system] ^ items[:, rows.item]
        first = [of(np.where(swap, b, a)) for swap in swaps]
        second = [of(np.where(swap, a, b)) for swap in swaps]
        return np.array(first), np.array(second), np.ones(len(swaps))

    return rho


def _within_items(rows: Rows, table: Floats) -> _Rho:
    # A rank is a sum of signs of differences (see `rank_deviations`), and which judge either
    # score of a difference comes from depends on the systems alone: one matrix product for all
    # draws. An item that is exchanged as a whole has the two rhos exchanged.
    del rows
    there = ~np.isnan(table[2].T)
    codes = np.zeros((3, *there.shape), dtype=np.int64)
    codes[:2, there] = tie_codes(table[:2].transpose(0, 2, 1)[:, there])
    codes[2, there] = tie_codes(table[2].T[there])

    def signs(one: int, other: int) -> Floats:
        both = there[:, :, None] & there[:, None, :]
        sign: Floats = np.sign(codes[one][:, :, None] - codes[other][:, None, :]).astype(np.float64)
        sign *= both
        return sign

    people = signs(2, 2).sum(axis=2)
    still = [signs(0, 0), signs(1, 0)]
    turned = [signs(0, 1) - still[0], signs(1, 1) - still[1]]

    def of(systems: Bools) -> Floats:
        """(items, draws) rho with b's score for the systems that are exchanged, else a's."""
        from_a, from_b = (
            stay.sum(axis=2)[:, :, None] + turn @ systems.T.astype(np.float64)
            for stay, turn in zip(still, turned, strict=True)
        )
        ranks = np.where(systems.T, from_b, from_a)
        scale = np.sqrt((ranks**2).sum(axis=1) * (people**2).sum(axis=1)[:, None])
        return _ratio((ranks * people[:, :, None]).sum(axis=1), scale)

    def rho(systems: Bools, items: Bools) -> _Sides:
        one, other = of(systems), of(~systems)
        both = ~np.isnan(one + other)
        groups = both.sum(axis=0, dtype=np.float64)
        first, second = (
            _ratio(np.where(both, np.where(items.T, swapped, kept), 0).sum(axis=0), groups)
            for kept, swapped in ((one, other), (other, one))
        )
        return first, second, groups

    return rho


def _over_systems(rows: Rows, table: Floats) -> _Rho:
    counts = np.bincount(rows.system)
    people = mid_ranks(np.bincount(rows.system, rows.columns[2]) / counts)[None]
    people -= people.mean()
    sums = [np.bincount(rows.system, column) for column in rows.columns[:2]]
    gap = np.nan_to_num(table[1] - table[0])

    def of(systems: Bools, items: Bools) -> Floats:
        moved = items.astype(np.float64) @ gap.T
        means = np.where(systems, sums[1] - moved, sums[0] + moved) / counts
        draws = np.arange(means.size).reshape(means.shape)
        return cosines(rank_deviations(tie_codes(means).ravel(), draws), people)

    def rho(systems: Bools, items: Bools) -> _Sides:
        return of(systems, items), of(~systems, items), np.ones(len(systems))

    return rho


def _ratio(over: Floats, under: Floats) -> Floats:
    """The quotients; nan where there is nothing to divide by."""
    quotient: Floats = np.full(over.shape, np.nan)
    np.divide(over, under, out=quotient, where=under > 0)
    return quotient


_LEVELS: dict[Level, Callable[[Rows, Floats], _Rho]] = {
    "all": _over_all,
    "within_item": _within_items,
    "systems": _over_systems,
}


def _compare_iv(
    first: ArrayLike,
    second: ArrayLike,
    human: ArrayLike,
    system: ArrayLike,
    item: ArrayLike,
    level: str,
    resamples: int,
) -> Rows:
    if level not in _LEVELS:
        raise ValueError(f"a level is one of {', '.join(_LEVELS)}, not {level}")
    if resamples < 1:
        raise ValueError(f"at least one resample is needed, not {resamples}")
    return rows_iv(system, item, first, second, human)
