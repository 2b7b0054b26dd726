"""One agreement, four questions: over all dialogues, within an item, within a system, systems."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calibration.agreement.correlation import CORRELATIONS, Coefficient
from calibration.agreement.groups import Rows, by_group, rows_iv

__all__ = [
    "Composite",
    "LevelValue",
    "Levels",
    "SentinelScores",
    "at_levels",
    "group_mean",
    "mean_of_parts",
    "system_means",
]

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


class Composite(NamedTuple):
    """The mean of the parts of each row.

    Attributes:
        values: (n,) means; NaN where a part is missing.
        missing: rows without a value.
        partly: those of them that have some of the parts. Their mean would be that of other
            metrics than the rest have, so it is not taken.
    """

    values: Floats
    missing: int
    partly: int


def mean_of_parts(parts: ArrayLike) -> Composite:
    """The mean over the parts of each row; a row that lacks one part lacks the mean.

    Args:
        parts: (n, p) scores, p >= 1; a row is a dialogue, or one rater's ratings of one.

    Raises:
        ValueError: not two-dimensional, no part, or an infinity.
    """
    scores = _composite_iv(parts)
    gaps = np.isnan(scores).sum(axis=1)
    missing = int((gaps > 0).sum())
    partly = missing - int((gaps == scores.shape[1]).sum())
    return Composite(scores.mean(axis=1), missing, partly)


def _composite_iv(parts: ArrayLike) -> Floats:
    scores = np.asarray(parts, dtype=np.float64)
    if scores.ndim != 2 or not scores.shape[1]:
        raise ValueError(f"parts must be (n, p) with p >= 1, not {scores.shape}")
    if np.isinf(scores).any():
        raise ValueError("parts must not hold infinities")
    return scores


class SentinelScores(NamedTuple):
    """A row of scores to be compared with people in the judge's place.

    Attributes:
        values: (n,) the score of each dialogue, NaN where it has none.
        small: dialogues of groups with too few ratings to have a mean of their own.
    """

    values: Floats
    small: int


def group_mean(human: ArrayLike, group: ArrayLike, least: int = 10) -> SentinelScores:
    """Everyone's mean human score in the group: what knowing the system alone is worth.

    A sentinel (Perrella et al. 2024) is a score that cannot have read the dialogue: the mean of
    its character, the mean of its system, the length of the reply (any row of numbers will do,
    and needs no help from here). Give it to `at_levels` as if it were the judge: where it does as
    well, that level does not show what the judge can do.

    The mean includes the dialogue itself. Leaving it out would make the sentinel fall where the
    rating rises, a correlation of -1 within every group; as it is, it is constant there, thus
    undefined. A dialogue's own share is 1 / (size of the group), hence `least`.

    Args:
        human: (n,) scores of the dialogues, NaN where not rated.
        group: (n,) labels, such as characters or systems.
        least: rated dialogues a group needs.

    Raises:
        ValueError: lengths differ, an infinity, or `least` below 1.
    """
    scores, code = _sentinel_iv(human, group, least)
    rated = ~np.isnan(scores)
    groups = int(code.max(initial=-1)) + 1
    count = np.bincount(code[rated], minlength=groups)
    means = np.full(groups, np.nan)
    enough = count >= least
    total = np.bincount(code[rated], scores[rated], minlength=groups)
    means[enough] = total[enough] / count[enough]
    return SentinelScores(means[code], int((~enough)[code].sum()))


def _sentinel_iv(
    human: ArrayLike, group: ArrayLike, least: int
) -> tuple[Floats, NDArray[np.int64]]:
    scores, labels = np.asarray(human, dtype=np.float64), np.asarray(group)
    if scores.ndim != 1 or scores.shape != labels.shape:
        raise ValueError(f"human and group must be (n,) each, not {scores.shape}, {labels.shape}")
    if np.isinf(scores).any():
        raise ValueError("human scores must not hold infinities")
    if least < 1:
        raise ValueError(f"a group needs at least 1 rated dialogue, not {least}")
    return scores, np.unique(labels, return_inverse=True)[1].astype(np.int64)
