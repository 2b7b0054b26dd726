"""Whether a judge's scores say anything of human ratings, tested without a map."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr

from calibration.arrays import Codes, Floats, codes_of, finite_iv, same_length_iv

__all__ = ["Skill", "holm", "judge_skill"]

_FEW = 5
"""A t-test over fewer clusters than this has next to no power."""

_SWEEPS = 10


class Skill(NamedTuple):
    """One-sided p-values of no association between judge and people.

    Attributes:
        p: twice the smaller of the other two (Bonferroni), at most 1.
        between: of the correlation of the systems' means.
        within: of the covariance within systems; the largest over all clusterings.
    """

    p: float
    between: float
    within: float


def judge_skill(
    judged: ArrayLike, human: ArrayLike, systems: ArrayLike, *crossed: ArrayLike
) -> Skill:
    """Test whether dialogues that the judge scores higher are rated higher.

    Between systems, the Pearson correlation of their means with t on K - 2 degrees of freedom,
    which is close to exchanging the systems (Pitman 1937) and allows one system to be far off. The
    tastes of a judge for some characters or scenarios cancel in these means.

    Within systems, the products of the deviations from the system's means are summed in each
    cluster, and the mean of these sums is tested by t on clusters - 1 degrees of freedom: once
    with the systems as clusters, and once with each of `crossed`. The largest p counts, because a
    judge's taste for some characters can meet people's by chance in all systems alike. Fewer than
    five clusters are too few for t: their means are taken out of the deviations instead. Where all
    are too few, single dialogues are tested.

    Args:
        judged, human: (n,) of each dialogue.
        systems: (n,) labels.
        crossed: (n,) labels of characters, scenarios or items.

    Raises:
        ValueError: lengths differ, or a number is not finite.
    """
    x, y = finite_iv("judged", judged), finite_iv("human", human)
    labels = [np.asarray(labels) for labels in (systems, *crossed)]
    same_length_iv(judged=x, human=y, systems=labels[0])
    codes = [codes_of(one) for one in labels]
    many = [code for code in codes if code.max(initial=0) + 1 >= _FEW]
    few = [code for code in codes[1:] if code.max(initial=0) + 1 < _FEW]
    products = _deviations(x, [codes[0], *few]) * _deviations(y, [codes[0], *few])
    within = max(_rises(code, products) for code in many or [np.arange(len(x))])
    x_means, y_means = (_means(values, codes[0]) for values in (x, y))
    between = _correlates(x_means, y_means)
    return Skill(min(1.0, 2 * min(between, within)), between, within)


def holm(p: ArrayLike) -> Floats:
    """P-values adjusted by Holm (1979), so that all claims below a level hold together."""
    values = finite_iv("p", p)
    order = np.argsort(values, kind="stable")
    stepped = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted


def _deviations(values: Floats, codes: Sequence[Codes]) -> Floats:
    """From the means of every clustering, taken out in turn until they are all about 0."""
    for _ in range(1 if len(codes) == 1 else _SWEEPS):
        for code in codes:
            values = values - _means(values, code)[code]
    return values


def _means(values: Floats, code: Codes) -> Floats:
    means: Floats = np.bincount(code, values) / np.bincount(code)
    return means


def _correlates(x: Floats, y: Floats) -> float:
    dx, dy = x - x.mean(), y - y.mean()
    spread = math.sqrt(float(dx @ dx) * float(dy @ dy))
    if len(x) < 3 or spread < 1e-12:
        return 1.0
    r = float(np.clip(dx @ dy / spread, -1 + 1e-15, 1 - 1e-15))
    return float(stdtr(len(x) - 2, -r * math.sqrt((len(x) - 2) / (1 - r * r))))


def _rises(code: Codes, products: Floats) -> float:
    """That the mean of the clusters' sums is above 0."""
    sums = np.bincount(code, products).astype(np.float64)
    error = float(np.std(sums, ddof=1)) / math.sqrt(len(sums))
    if error < 1e-12:
        return 0.0 if sums.mean() > 1e-12 else 1.0
    return float(stdtr(len(sums) - 1, -float(sums.mean()) / error))
