"""One agreement, four questions: over all dialogues, within an item, within a system, systems."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calibration.agreement._rows import Rows, rows_iv
from calibration.agreement.correlation import CORRELATIONS, Coefficient
from calibration.agreement.groups import by_group

__all__ = ["LevelValue", "Levels", "at_levels", "system_means"]

Floats = NDArray[np.float64]


class LevelValue(NamedTuple):
    """A correlation, or the mean of one over groups; nan, with a `reason`, where undefined.

    Attributes:
        value: the correlation.
        n: pairs it rests on: dialogues, or systems at the level of systems.
        groups: over how many groups it is a mean; 1 where there is no grouping.
        undefined: groups left out, with a constant side or fewer than two pairs.
        reason: why there is no value.
    """

    value: float
    n: int
    groups: int
    undefined: int
    reason: str = ""


class Levels(NamedTuple):
    """A coefficient at four levels.

    Attributes:
        all: over all dialogues. Rewards telling systems and characters apart, too.
        within_item: over systems within an item, scenario x character; mean over items.
        within_system: over dialogues within a system; mean over systems.
        systems: over the means of the systems.
        not_rated: dialogues with a judge's score and no human one, left out.
        not_judged: dialogues with a human score and no judge's one, left out.
    """

    all: LevelValue
    within_item: LevelValue
    within_system: LevelValue
    systems: LevelValue
    not_rated: int
    not_judged: int


def at_levels(
    judge: ArrayLike,
    human: ArrayLike,
    system: ArrayLike,
    item: ArrayLike,
    coefficient: Coefficient = "spearman",
) -> Levels:
    """A correlation of judge and human scores at the four levels (Deutsch et al. 2021, 2023).

    All levels, the means of systems included, rest on the dialogues that have both scores, so
    that no side is averaged over dialogues the other has not seen.

    Args:
        judge, human: (n,) scores of each dialogue, NaN where missing; on scales of their own.
        system, item: (n,) labels, integers or strings.
        coefficient: "spearman", "kendall_b", "kendall_c" or "pearson".

    Raises:
        ValueError: lengths differ, an infinity, or no such coefficient.
    """
    if coefficient not in CORRELATIONS:
        raise ValueError(f"a coefficient is one of {', '.join(CORRELATIONS)}, not {coefficient}")
    rows = rows_iv(system, item, judge, human)
    x, y = rows.columns
    means = system_means(rows)
    no_judge, no_human = (np.isnan(np.asarray(side, dtype=np.float64)) for side in (judge, human))
    return Levels(
        all=_one(x, y, coefficient),
        within_item=_mean_within(x, y, rows.item, coefficient),
        within_system=_mean_within(x, y, rows.system, coefficient),
        systems=_one(means[0], means[1], coefficient),
        not_rated=int((no_human & ~no_judge).sum()),
        not_judged=int((no_judge & ~no_human).sum()),
    )


def system_means(rows: Rows) -> Floats:
    """(columns, systems) means of the columns over each system's rows."""
    counts = np.bincount(rows.system)
    return np.stack([np.bincount(rows.system, column) / counts for column in rows.columns])


def _one(x: Floats, y: Floats, coefficient: Coefficient) -> LevelValue:
    found = CORRELATIONS[coefficient](x, y)
    return LevelValue(found.value, found.n, 1, 0, found.reason)


def _mean_within(
    x: Floats, y: Floats, group: NDArray[np.int64], coefficient: Coefficient
) -> LevelValue:
    found = by_group(x, y, group, coefficient)
    defined = ~np.isnan(found.value)
    groups, undefined = int(defined.sum()), int((~defined).sum())
    if not groups:
        reason = "no group has two pairs that differ on both sides"
        return LevelValue(math.nan, 0, 0, undefined, reason)
    mean = float(found.value[defined].mean())
    return LevelValue(mean, int(found.n[defined].sum()), groups, undefined)
