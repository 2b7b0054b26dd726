"""Whether a judge's scores say anything of human ratings, tested without a map."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import permutations
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, stdtr

from calibration.arrays import Codes, Floats, Mask, codes_of, finite_iv, same_length_iv

__all__ = ["Skill", "correlation_p", "holm", "judge_skill"]

_FEW = 5
"""A t-test over fewer clusters than this has next to no power."""

_SWEEPS = 10

_EXACT = 7
"""Up to so many systems every order is tried: 5,040."""


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

    Between systems, the correlation of their means (`correlation_p`), in which the tastes of a
    judge for some characters or scenarios cancel.

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
    between = correlation_p(x_means, y_means)
    return Skill(min(1.0, 2 * min(between, within)), between, within)


def correlation_p(x: ArrayLike, y: ArrayLike) -> float:
    """One-sided p-value of a Pearson correlation above 0, by exchanging the K systems.

    Of several metrics it is that of the sum of their correlations, where the systems are exchanged
    in all metrics alike, so that metrics may depend on each other. All K! orders are taken up to
    K = 7. Above, one metric has t with K - 2 degrees of freedom (Pitman 1937), and several have a
    normal distribution with the variance over all orders: the sum over all pairs of metrics of
    r_xx' r_yy' / (K - 1). 1 where there is no correlation: fewer than 3 systems, or constant means.

    Args:
        x, y: (K,) or (K, metrics) means of systems; NaN, where there is none, counts as the mean of
            the others.

    Raises:
        ValueError: shapes differ.
    """
    a, b = (
        np.asarray(values, dtype=np.float64).reshape(len(np.asarray(values)), -1)
        for values in (x, y)
    )
    if a.shape != b.shape:
        raise ValueError(f"as many means are needed, not {a.shape} and {b.shape}")
    missing = np.isnan(a + b)
    a, b = _standardised(a, missing), _standardised(b, missing)
    used = (a != 0).any(axis=0) & (b != 0).any(axis=0)
    a, b, count = a[:, used], b[:, used], len(a)
    if count < 3 or not used.any():
        return 1.0
    total = float((a * b).sum())
    if count <= _EXACT:
        products = a @ b.T
        orders = np.array(list(permutations(range(count))))
        return float(np.mean(products[orders, np.arange(count)].sum(axis=1) >= total - 1e-9))
    if a.shape[1] > 1:
        variance = float(((a.T @ a) * (b.T @ b)).sum()) / (count - 1)
        return float(ndtr(-total / math.sqrt(variance)))
    r = float(np.clip(total, -1 + 1e-15, 1 - 1e-15))
    return float(stdtr(count - 2, -r * math.sqrt((count - 2) / (1 - r * r))))


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


def _standardised(values: Floats, missing: Mask) -> Floats:
    """Deviations from each column's mean, of length 1; 0 where missing or constant."""
    known = np.where(missing, 0.0, values)
    mean = known.sum(axis=0) / np.maximum((~missing).sum(axis=0), 1)
    off = np.where(missing, 0.0, known - mean)
    length = np.linalg.norm(off, axis=0)
    standardised: Floats = np.where(length > 1e-9, off / np.where(length > 1e-9, length, 1), 0.0)
    return standardised


def _means(values: Floats, code: Codes) -> Floats:
    means: Floats = np.bincount(code, values) / np.bincount(code)
    return means


def _rises(code: Codes, products: Floats) -> float:
    """That the mean of the clusters' sums is above 0."""
    sums = np.bincount(code, products).astype(np.float64)
    error = float(np.std(sums, ddof=1)) / math.sqrt(len(sums))
    if error < 1e-12:
        return 0.0 if sums.mean() > 1e-12 else 1.0
    return float(stdtr(len(sums) - 1, -float(sums.mean()) / error))
