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
    "SentinelScores",
    "group_mean",
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
        reason: why there is no value.
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


class SentinelScores(NamedTuple):
    """Baseline scores that take the judge's place in a comparison with people.

    Attributes:
        values: (n,) the score of each dialogue, NaN where it has none.
        small: number of dialogues without a score because their group has too few ratings.
    """

    values: Floats
    small: int


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


def group_mean(human: ArrayLike, group: ArrayLike, least: int = 10) -> SentinelScores:
    """The mean human score of each dialogue's group: what knowing only the group is worth.

    A sentinel (Perrella et al. 2024) is a score that cannot depend on what the dialogue says: the
    mean of its character, the mean of its system, or the length of the reply. Pass it to
    `level_correlations` in place of the judge. Where the sentinel does as well as the judge, that
    level does not show what the judge can do.

    The mean includes the dialogue itself. Without it, the sentinel would be lower where the
    rating is higher, which gives a correlation of -1 within every group; with it, the sentinel is
    constant within a group, so that correlation is undefined. Each dialogue contributes
    1 / (size of the group) to its own sentinel, therefore `least`.

    Args:
        human: (n,) scores of the dialogues, NaN where not rated.
        group: (n,) labels, such as characters or systems.
        least: the number of rated dialogues that a group needs.

    Raises:
        ValueError: lengths differ, a score is infinite, or `least` is below 1.
    """
    (scores,) = scores_iv(human=human)
    labels = np.asarray(group)
    same_length_iv(human=scores, group=labels)
    if least < 1:
        raise ValueError(f"a group needs at least 1 rated dialogue, not {least}")
    code = codes_of(labels)
    rated = ~np.isnan(scores)
    groups = int(code.max(initial=-1)) + 1
    count = np.bincount(code[rated], minlength=groups)
    total = np.bincount(code[rated], scores[rated], minlength=groups)
    means = np.full(groups, np.nan)
    enough = count >= least
    means[enough] = total[enough] / count[enough]
    return SentinelScores(means[code], int((~enough)[code].sum()))


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
