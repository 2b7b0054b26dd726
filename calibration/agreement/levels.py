"""Agreement at four levels, means over metrics, and baseline scores to compare a judge with."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from calibration.agreement.correlation import CORRELATIONS, Coefficient, coefficient_iv
from calibration.agreement.groups import group_correlations, rows_iv
from calibration.arrays import Codes, Floats, codes_of, same_length_iv, scores_iv

__all__ = [
    "Composite",
    "LevelValue",
    "Levels",
    "held_out_mean_levels",
    "level_correlations",
    "mean_of_parts",
]


class LevelValue(NamedTuple):
    """A correlation, or the mean of correlations within groups.

    Attributes:
        value: the correlation; NaN, with a `reason`, where it is undefined.
        n: number of pairs: dialogues, or systems at the level of systems.
        groups: number of groups that the mean is taken over; 1 where there is no grouping.
        undefined: groups left out because a side is constant or they have fewer than two pairs.
    """

    value: float
    n: int
    groups: int
    undefined: int
    reason: str = ""


class Levels(NamedTuple):
    """A correlation coefficient at four levels.

    Attributes:
        all: over all dialogues. It also rewards telling systems and characters apart.
        within_item: over the systems within an item (scenario x character), mean over items.
        within_system: over the dialogues of a system, mean over systems.
        systems: over the mean scores of the systems.
        not_rated: dialogues left out because they have only a judge's score.
        not_judged: dialogues left out because they have only a human score.
    """

    all: LevelValue
    within_item: LevelValue
    within_system: LevelValue
    systems: LevelValue
    not_rated: int
    not_judged: int


class Composite(NamedTuple):
    """Means over the parts of each row.

    Attributes:
        values: (n,) means; NaN where a part is missing.
        missing: number of rows without a mean.
        partly: number of those rows that have some parts. Their mean is not taken, because it
            would be a mean over other metrics than in the other rows.
    """

    values: Floats
    missing: int
    partly: int


def level_correlations(
    judge: ArrayLike,
    human: ArrayLike,
    system: ArrayLike,
    item: ArrayLike,
    coefficient: Coefficient = "spearman",
) -> Levels:
    """The correlation of judge and human scores at the four levels (Deutsch et al. 2021, 2023).

    All levels use the dialogues that have both scores, the means of the systems included: both
    sides are averaged over the same dialogues.

    Args:
        judge, human: (n,) scores of each dialogue, NaN where missing. Their scales may differ.
        system, item: (n,) labels, integers or strings.
        coefficient: "spearman", "kendall_b", "kendall_c" or "pearson".

    Raises:
        ValueError: lengths differ, a score is infinite, or there is no such coefficient.
    """
    coefficient_iv(coefficient)
    rows = rows_iv(system, item, judge=judge, human=human)
    x, y = rows.columns
    counts = np.bincount(rows.system)
    means = [np.bincount(rows.system, column) / counts for column in rows.columns]
    no_judge, no_human = (np.isnan(np.asarray(side, dtype=np.float64)) for side in (judge, human))
    return Levels(
        all=_ungrouped(x, y, coefficient),
        within_item=_mean_within(x, y, rows.item, coefficient),
        within_system=_mean_within(x, y, rows.system, coefficient),
        systems=_ungrouped(means[0], means[1], coefficient),
        not_rated=int((no_human & ~no_judge).sum()),
        not_judged=int((no_judge & ~no_human).sum()),
    )


def mean_of_parts(parts: ArrayLike) -> Composite:
    """The mean of each row, such as a dimension's score from its metrics.

    A row that lacks one part has no mean.

    Args:
        parts: (n, p) scores, p >= 1, NaN where missing. A row is a dialogue, or one rater's
            ratings of a dialogue.

    Raises:
        ValueError: not two-dimensional, no part, or an infinity.
    """
    scores = np.asarray(parts, dtype=np.float64)
    if scores.ndim != 2 or not scores.shape[1]:
        raise ValueError(f"parts must be (n, p) with p >= 1, not {scores.shape}")
    if np.isinf(scores).any():
        raise ValueError("parts must not hold infinities")
    gaps = np.isnan(scores).sum(axis=1)
    missing = int((gaps > 0).sum())
    partly = missing - int((gaps == scores.shape[1]).sum())
    return Composite(scores.mean(axis=1), missing, partly)


def held_out_mean_levels(
    human: ArrayLike,
    group: ArrayLike,
    other: ArrayLike,
    system: ArrayLike,
    item: ArrayLike,
    rng: np.random.Generator,
    splits: int = 20,
) -> Levels:
    """How well the mean of a dialogue's group predicts its human score (Spearman's rho).

    A sentinel (Perrella et al. 2024) is a score that cannot depend on what the dialogue says, taken
    in place of the judge. Where it does as well as the judge, that level does not show what the
    judge can do. This sentinel is the mean human score of the dialogue's system, character or item.

    The mean must not contain the rating that it is compared with. If it did, pure noise would
    correlate with people by about 1 / sqrt(group size); if only that rating were left out, the mean
    would fall where the rating rises. So the labels of a second factor are split into random
    halves, and each half of the dialogues gets the means of the other half. Each half is correlated
    with people separately, because the halves have different overall means. The result is the mean
    over halves and splits. It is about 0 where people rate at random.

    A level at which all compared dialogues share one group is undefined: system means within a
    system, item means within an item.

    Args:
        human: (n,) scores of the dialogues, NaN where not rated.
        group: (n,) labels of the groups whose means are the sentinel.
        other: (n,) labels of the factor that is split: items for systems, systems for items.
        system, item: (n,) labels, as in `level_correlations`.
        splits: number of splits.

    Raises:
        ValueError: lengths differ, a score is infinite, or `splits` is below 1.
    """
    (scores,) = scores_iv(human=human)
    labels = [np.asarray(label) for label in (group, other, system, item)]
    same_length_iv(human=scores, group=labels[0], other=labels[1])
    if splits < 1:
        raise ValueError(f"at least 1 split is needed, not {splits}")
    code, halved = (codes_of(label) for label in labels[:2])
    systems, items = labels[2:]
    levels: list[Levels] = []
    for _ in range(splits):
        order = rng.permutation(int(halved.max(initial=-1)) + 1)
        half = np.isin(halved, order[: len(order) // 2])
        for held in (half, ~half):
            rest = ~held & ~np.isnan(scores)
            count = np.bincount(code[rest], minlength=int(code.max(initial=-1)) + 1)
            total = np.bincount(code[rest], scores[rest], minlength=len(count))
            means = np.full(len(count), np.nan)
            np.divide(total, count, out=means, where=count > 0)
            sentinel = means[code[held]]
            levels.append(level_correlations(sentinel, scores[held], systems[held], items[held]))
    return Levels(
        all=_averaged([half_levels.all for half_levels in levels]),
        within_item=_averaged([half_levels.within_item for half_levels in levels]),
        within_system=_averaged([half_levels.within_system for half_levels in levels]),
        systems=_averaged([half_levels.systems for half_levels in levels]),
        not_rated=int(np.isnan(scores).sum()),
        not_judged=0,
    )


def _averaged(values: list[LevelValue]) -> LevelValue:
    """The mean over the halves of all splits in which the correlation is defined."""
    defined = [value for value in values if not math.isnan(value.value)]
    if not defined:
        return LevelValue(math.nan, 0, 0, 0, "no two of them differ in their group's mean")
    n, groups, undefined = (
        # Per split: twice the mean over halves.
        round(2 * float(np.mean([value[field] for value in defined])))
        for field in (1, 2, 3)
    )
    grouped = any(value.groups > 1 for value in defined)
    value = float(np.mean([value.value for value in defined]))
    return LevelValue(value, n, groups if grouped else 1, undefined)


def _ungrouped(x: Floats, y: Floats, coefficient: Coefficient) -> LevelValue:
    correlation = CORRELATIONS[coefficient](x, y)
    return LevelValue(correlation.value, correlation.n, 1, 0, correlation.reason)


def _mean_within(x: Floats, y: Floats, group: Codes, coefficient: Coefficient) -> LevelValue:
    within = group_correlations(x, y, group, coefficient)
    defined = ~np.isnan(within.value)
    groups, undefined = int(defined.sum()), int((~defined).sum())
    if not groups:
        reason = "no group has two pairs that differ on both sides"
        return LevelValue(math.nan, 0, 0, undefined, reason)
    mean = float(within.value[defined].mean())
    return LevelValue(mean, int(within.n[defined].sum()), groups, undefined)
