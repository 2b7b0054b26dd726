"""Whether one judge agrees better with people than another, on the same dialogues."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from calibration.agreement.correlation import TOLERANCE, mid_ranks, tie_codes
from calibration.agreement.groups import Rows, cosines, grid, rank_deviations, rows_iv
from calibration.arrays import Codes, Floats, Mask, codes_of

__all__ = ["ComparisonResult", "exchange_test", "perm_both"]

ComparedLevel = Literal["all", "within_item", "systems"]

_BATCH = 50
"""Exchanges computed together: enough for one large matrix product that still fits the cache."""

_ENUMERATED = 12
"""For a factor with at most so many groups, all exchanges are evaluated: 2,048 of them."""

_Rhos = tuple[Floats, Floats, Floats]
_Correlate = Callable[[Mask, Mask], _Rhos]
"""From the (draws, systems) and (draws, items) that are exchanged to (draws,) each: rho of the
first judge, rho of the second, and the number of groups that both are averaged over."""


class ComparisonResult(NamedTuple):
    """The correlations of two judges with people; NaN, with a `reason`, where undefined.

    Attributes:
        first, second: Spearman's rho of each judge.
        difference: first less second.
        n: number of rows with the scores of both judges and of people.
        masked: number of rows left out.
        groups: within items, the number of items in which both judges have a correlation, over
            which both rhos are averaged; 1 at the other levels.
        left_out: within items, the number of the other items.
        resamples: number of exchanges evaluated, for each factor.
        undefined: number of exchanges that left a side constant. They count as extreme, so they
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
    level: ComparedLevel = "all",
    resamples: int = 1000,
) -> ComparisonResult:
    """Whether two judges correlate equally with people, although each may favour some systems.

    The judges are standardised over all rows. If they are equally good, all scores that they give
    to the dialogues of one system can be exchanged together, and so can those of one character or
    of one scenario. One factor is exchanged at a time, unless it has a single group: every subset
    of its groups if there are at most 12, else random subsets. p is the share of exchanges whose
    difference is at least as large as the observed one. The result is that of the factor with the
    largest p: a difference counts only if it holds for other systems, for other characters and for
    other scenarios. At the level "systems" only whole systems are exchanged.

    PERM-BOTH (see `perm_both`) in effect exchanges single scores, so it tests whether the judges
    are interchangeable. Equally good judges that favour different systems are not, and it
    calls them different far more often than its nominal level; docs/agreement.md has figures.

    Args:
        first, second: (n,) scores of the two judges, NaN where missing. Their scales may differ.
        human: (n,) scores, NaN where missing.
        system, item: (n,) labels; a system has at most one row per item.
        factors: name -> (n,) labels that are the same for all rows of an item, such as characters,
            scenarios or the items themselves. Systems are always a factor.
        level: "all" dialogues, "within_item" across systems, or "systems"; see
            `level_correlations`.
        resamples: number of random subsets of each factor.

    Raises:
        ValueError: as `perm_both`, or a factor differs within an item.
    """
    rows = _compare_iv(first, second, human, system, item, level, resamples)
    scores = np.array([first, second, human], dtype=np.float64)
    kept: Mask = np.asarray(~np.isnan(scores).any(axis=0))
    groups = {} if level == "systems" else _groups_iv(factors, kept, rows)
    observed = _observe(rows, level)
    if observed.correlate is None:
        return observed.result
    systems, items = observed.shape
    results = []
    for name in ("system", *groups):
        size = systems if name == "system" else int(groups[name].max()) + 1
        if size < 2:
            continue
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
    if not results:
        return observed.result._replace(reason="no factor has two groups to exchange")
    return max(results, key=lambda result: result.p)


def perm_both(
    first: ArrayLike,
    second: ArrayLike,
    human: ArrayLike,
    system: ArrayLike,
    item: ArrayLike,
    rng: np.random.Generator,
    level: ComparedLevel = "all",
    resamples: int = 1000,
) -> ComparisonResult:
    """The PERM-BOTH test of Deutsch, Dror and Roth (2021), for Spearman's rho.

    If the judges are interchangeable, it does not matter which judge a score comes from. Both are
    standardised over all rows, then exchanged for randomly drawn systems and for randomly drawn
    items (a row that is exchanged twice stays as it is). So the claim is about systems and items
    like these, not only about these. p = (1 + b) / (1 + B), where in b of B exchanges the
    difference is at least as far from 0 as the observed one.

    Within items, both rhos are averaged over the items in which both judges have one, anew for
    each exchange. Otherwise a judge that ties all systems of some items would be averaged over
    other items than its rival.

    To be interchangeable is more than to be equally good: see `exchange_test`, which keeps its
    size where the judges favour different systems.

    Args:
        first, second: (n,) scores of the two judges, NaN where missing. Their scales may differ.
        human: (n,) scores, NaN where missing.
        system, item: (n,) labels; a system has at most one row per item.
        level: "all" dialogues, "within_item" across systems, or "systems"; see
            `level_correlations`.
        resamples: B.

    Raises:
        ValueError: lengths differ, a score is infinite, a system has two rows for an item, there
            is no such level, or `resamples` is below 1.
    """
    rows = _compare_iv(first, second, human, system, item, level, resamples)
    observed = _observe(rows, level)
    if observed.correlate is None:
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
    """The result before any exchange; `correlate` is None where a correlation is undefined."""

    result: ComparisonResult
    correlate: _Correlate | None
    shape: tuple[int, int]


def _observe(rows: Rows, level: ComparedLevel) -> _Observed:
    """Standardise the judges, and correlate their own scores with those of people."""
    n, nan = rows.columns.shape[1], math.nan
    items = int(rows.item.max(initial=-1)) + 1 if level == "within_item" else 1

    def undefined(reason: str, rho_first: float = nan, rho_second: float = nan) -> _Observed:
        groups = 0 if level == "within_item" else 1
        result = ComparisonResult(
            rho_first, rho_second, nan, nan, n, rows.masked, groups, items - groups, 0, 0, reason
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
    correlate = _LEVELS[level](rows, table)
    shape = (table.shape[1], table.shape[2])
    observed = correlate(*(np.zeros((1, size), np.bool_) for size in shape))
    rho_first, rho_second, groups = (float(values[0]) for values in observed)
    if math.isnan(rho_first) or math.isnan(rho_second):
        return undefined("a side is constant at this level", rho_first, rho_second)
    result = ComparisonResult(
        first=rho_first,
        second=rho_second,
        difference=rho_first - rho_second,
        p=nan,
        n=n,
        masked=rows.masked,
        groups=int(groups),
        left_out=items - int(groups),
        resamples=0,
        undefined=0,
    )
    return _Observed(result, correlate, shape)


def _count_extreme(observed: _Observed, exchanges: Iterable[tuple[Mask, Mask]]) -> tuple[int, int]:
    """How many exchanges have a difference at least as large, and how many have none at all."""
    assert observed.correlate is not None  # noqa: S101 - the callers have checked
    bound = abs(observed.result.difference) - TOLERANCE
    extreme = undefined = 0
    for systems, items in exchanges:
        firsts, seconds, _ = observed.correlate(systems, items)
        distance = np.abs(firsts - seconds)
        undefined += int(np.isnan(distance).sum())
        extreme += int((~(distance < bound)).sum())
    return extreme, undefined


def _subsets(size: int, resamples: int, rng: np.random.Generator) -> Mask:
    """(subsets, size) of what is exchanged: all subsets but for complements, or random ones.

    A subset and its complement give the same difference with opposite signs.
    """
    if size > _ENUMERATED:
        return rng.random((resamples, size)) < 0.5
    return (np.arange(2 ** (size - 1))[:, None] >> np.arange(size) & 1).astype(np.bool_)


def _groups_iv(factors: Mapping[str, ArrayLike], kept: Mask, rows: Rows) -> dict[str, Codes]:
    """Factor -> (items,) the code of each item's group."""
    groups = {}
    for name, labels in factors.items():
        given = np.asarray(labels)
        if given.shape != kept.shape:
            raise ValueError(f"the factor {name} must be (n,) as the scores are, not {given.shape}")
        code = codes_of(given[kept])
        of_item = np.zeros(int(rows.item.max(initial=-1)) + 1, dtype=np.int64)
        of_item[rows.item] = code
        if (of_item[rows.item] != code).any():
            raise ValueError(f"the factor {name} differs between rows of one item")
        groups[name] = of_item
    return groups


def _over_all(rows: Rows, table: Floats) -> _Correlate:
    # Both judges are sorted together, once. The ranks of any mixture of their scores then follow
    # from counting how often it holds each value.
    del table
    a, b = tie_codes(rows.columns[:2])
    values = int(max(a.max(), b.max())) + 1
    middle = (len(a) + 1) / 2
    human = (mid_ranks(rows.columns[2]) - middle)[None]

    def rho(codes: Codes) -> float:
        counts = np.bincount(codes, minlength=values)
        ranks = (np.cumsum(counts) - (counts - 1) / 2)[codes] - middle
        return float(cosines(ranks[None], human)[0])

    def correlate(systems: Mask, items: Mask) -> _Rhos:
        swaps = systems[:, rows.system] ^ items[:, rows.item]
        first = [rho(np.where(swap, b, a)) for swap in swaps]
        second = [rho(np.where(swap, a, b)) for swap in swaps]
        return np.array(first), np.array(second), np.ones(len(swaps))

    return correlate


def _within_items(rows: Rows, table: Floats) -> _Correlate:
    # A rank is a sum of signs of differences (see `rank_deviations`). Which judge each score of a
    # difference comes from depends only on the systems that are exchanged, so that one matrix
    # product serves all draws. Where a whole item is exchanged, its two rhos are.
    del rows
    present = ~np.isnan(table[2].T)
    codes = np.zeros((3, *present.shape), dtype=np.int64)
    codes[:2, present] = tie_codes(table[:2].transpose(0, 2, 1)[:, present])
    codes[2, present] = tie_codes(table[2].T[present])

    def signs(of: int, against: int) -> Floats:
        """(items, systems, systems) sign of the scores of one side less those of another."""
        both = present[:, :, None] & present[:, None, :]
        difference = codes[of][:, :, None] - codes[against][:, None, :]
        sign: Floats = np.sign(difference).astype(np.float64)
        sign *= both
        return sign

    human = signs(2, 2).sum(axis=2)
    against_a = [signs(0, 0), signs(1, 0)]
    change = [signs(0, 1) - against_a[0], signs(1, 1) - against_a[1]]

    def rho(systems: Mask) -> Floats:
        """(items, draws) rho with b's scores for the systems that are exchanged, a's for others."""
        ranks_of_a, ranks_of_b = (
            base.sum(axis=2)[:, :, None] + turn @ systems.T.astype(np.float64)
            for base, turn in zip(against_a, change, strict=True)
        )
        ranks = np.where(systems.T, ranks_of_b, ranks_of_a)
        scale = np.sqrt((ranks**2).sum(axis=1) * (human**2).sum(axis=1)[:, None])
        return _ratio((ranks * human[:, :, None]).sum(axis=1), scale)

    def correlate(systems: Mask, items: Mask) -> _Rhos:
        direct, exchanged = rho(systems), rho(~systems)
        both = ~np.isnan(direct + exchanged)
        groups = both.sum(axis=0, dtype=np.float64)
        first, second = (
            _ratio(np.where(both, np.where(items.T, swapped, kept), 0).sum(axis=0), groups)
            for kept, swapped in ((direct, exchanged), (exchanged, direct))
        )
        return first, second, groups

    return correlate


def _over_systems(rows: Rows, table: Floats) -> _Correlate:
    counts = np.bincount(rows.system)
    human = mid_ranks(np.bincount(rows.system, rows.columns[2]) / counts)[None]
    human -= human.mean()
    sums = [np.bincount(rows.system, column) for column in rows.columns[:2]]
    gap = np.nan_to_num(table[1] - table[0])

    def rho(systems: Mask, items: Mask) -> Floats:
        moved = items.astype(np.float64) @ gap.T
        means = np.where(systems, sums[1] - moved, sums[0] + moved) / counts
        members = np.arange(means.size).reshape(means.shape)
        return cosines(rank_deviations(tie_codes(means).ravel(), members), human)

    def correlate(systems: Mask, items: Mask) -> _Rhos:
        return rho(systems, items), rho(~systems, items), np.ones(len(systems))

    return correlate


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    """The quotients; NaN where the denominator is 0."""
    quotient: Floats = np.full(numerator.shape, np.nan)
    np.divide(numerator, denominator, out=quotient, where=denominator > 0)
    return quotient


_LEVELS: dict[ComparedLevel, Callable[[Rows, Floats], _Correlate]] = {
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
    return rows_iv(system, item, first=first, second=second, human=human)
