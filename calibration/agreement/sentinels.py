"""Sentinels: scores that know nothing of a dialogue's worth, which a judge must beat."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Sentinel", "group_mean"]

Floats = NDArray[np.float64]


class Sentinel(NamedTuple):
    """A row of scores to be compared with people in the judge's place.

    Attributes:
        values: (n,) the score of each dialogue, NaN where it has none.
        small: dialogues of groups with too few ratings to have a mean of their own.
    """

    values: Floats
    small: int


def group_mean(human: ArrayLike, group: ArrayLike, least: int = 10) -> Sentinel:
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
    return Sentinel(means[code], int((~enough)[code].sum()))


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
