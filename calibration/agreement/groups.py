"""Scores arranged by system and item, and correlations within each of many groups at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calibration.agreement.correlation import CORRELATIONS, Coefficient, coefficient_iv, tie_codes
from calibration.arrays import Codes, Floats, codes_of, same_length_iv, scores_iv

__all__ = ["GroupCorrelations", "group_correlations"]

Signs = NDArray[np.int8]

_SMALL = 64
"""Up to this size, groups are compared pair by pair: 1,200 groups of 11 take a few milliseconds."""


class Rows(NamedTuple):
    """The rows on which every column has a number.

    Attributes:
        columns: (columns, n) scores.
        system, item: (n,) codes 0, 1, ... without gaps.
        masked: rows left out because a column had a NaN.
    """

    columns: Floats
    system: Codes
    item: Codes
    masked: int


class GroupCorrelations(NamedTuple):
    """One entry for each group, in the order of the sorted labels.

    Attributes:
        label: (groups,) as given.
        value: (groups,) NaN where a group has fewer than two pairs or a constant side.
        n: (groups,) pairs without a NaN.
    """

    label: NDArray[np.generic]
    value: Floats
    n: Codes


def rows_iv(system: ArrayLike, item: ArrayLike, **columns: ArrayLike) -> Rows:
    """The rows without a NaN.

    Args:
        system, item: (n,) labels, integers or strings.
        columns: (n,) scores each; their names appear in error messages.

    Raises:
        ValueError: lengths differ, or a score is infinite.
    """
    scores = np.stack(scores_iv(**columns))
    labels = np.asarray(system), np.asarray(item)
    same_length_iv(scores=scores[0], system=labels[0], item=labels[1])
    kept = ~np.isnan(scores).any(axis=0)
    system_code, item_code = (codes_of(label[kept]) for label in labels)
    return Rows(scores[:, kept], system_code, item_code, int((~kept).sum()))


def grid(rows: Rows) -> Floats:
    """(columns, systems, items) scores, NaN where a system has no row for an item.

    Raises:
        ValueError: two rows have the same system and item.
    """
    shape = (int(rows.system.max(initial=-1)) + 1, int(rows.item.max(initial=-1)) + 1)
    position = rows.system * shape[1] + rows.item
    if np.unique(position).size < position.size:
        raise ValueError("a system has more than one row for the same item")
    table = np.full((len(rows.columns), shape[0] * shape[1]), np.nan)
    table[:, position] = rows.columns
    return table.reshape(len(rows.columns), *shape)


def group_correlations(
    x: ArrayLike, y: ArrayLike, group: ArrayLike, coefficient: Coefficient = "spearman"
) -> GroupCorrelations:
    """The correlation of x and y within each group.

    Args:
        x, y: (n,) paired scores; pairs with a NaN are left out.
        group: (n,) labels, integers or strings.
        coefficient: "spearman", "kendall_b", "kendall_c" or "pearson".

    Raises:
        ValueError: lengths differ, a score is infinite, or there is no such coefficient.
    """
    left, right = scores_iv(x=x, y=y)
    names = np.asarray(group)
    same_length_iv(x=left, group=names)
    coefficient_iv(coefficient)
    labels, code = np.unique(names, return_inverse=True)
    kept = ~(np.isnan(left) | np.isnan(right))
    left, right, code = left[kept], right[kept], code[kept]
    sizes = np.bincount(code, minlength=len(labels))
    if sizes.max(initial=0) <= _SMALL:
        value = _small_groups(left, right, _members(code, len(labels)), coefficient)
    else:
        value = np.full(len(labels), np.nan)
        groups = np.split(np.argsort(code, kind="stable"), np.cumsum(sizes)[:-1])
        for position, members in enumerate(groups):
            value[position] = CORRELATIONS[coefficient](left[members], right[members]).value
    return GroupCorrelations(labels, value, sizes.astype(np.int64))


def rank_deviations(codes: Codes, members: Codes) -> Floats:
    """Twice the average rank of each member within its group, less the group's mean.

    A rank is the number of members below and half the number of ties: the row sum of `_signs`.

    Args:
        codes: (n,) `tie_codes` of the scores.
        members: (groups, m) positions in `codes`; -1 fills up smaller groups.

    Returns:
        (groups, m), 0 where a member is missing.
    """
    deviations: Floats = _signs(codes, members).sum(axis=2, dtype=np.float64)
    return deviations


def cosines(a: Floats, b: Floats) -> Floats:
    """(groups,) the cosine of each row of deviations; NaN where a row is all zero."""
    scale = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    defined = scale > 0
    value = np.full(len(a), np.nan)
    value[defined] = np.clip((a * b).sum(axis=1)[defined] / scale[defined], -1, 1)
    return value


def _members(code: Codes, groups: int) -> Codes:
    """(groups, largest) the positions of each group's members; -1 fills up smaller groups."""
    sizes = np.bincount(code, minlength=groups)
    order = np.argsort(code, kind="stable")
    rank_in_group = np.arange(len(code)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    members = np.full((groups, int(sizes.max(initial=0))), -1, dtype=np.int64)
    members[code[order], rank_in_group] = order
    return members


def _signs(codes: Codes, members: Codes) -> Signs:
    """(groups, m, m) sign of the difference of every two members; 0 where one is missing."""
    of_member = codes[members]
    present = members >= 0
    both = present[:, :, None] & present[:, None, :]
    higher = of_member[:, :, None] > of_member[:, None, :]
    # A position of -1 reads some other member's code; `both` removes that comparison again.
    sign: Signs = (higher.astype(np.int8) - higher.transpose(0, 2, 1).astype(np.int8)) * both
    return sign


def _small_groups(x: Floats, y: Floats, members: Codes, coefficient: Coefficient) -> Floats:
    """(groups,) coefficients of groups that are small enough to compare all pairs."""
    a, b = tie_codes(x), tie_codes(y)
    if coefficient == "spearman":
        return cosines(rank_deviations(a, members), rank_deviations(b, members))
    if coefficient == "pearson":
        return _small_pearson(x, y, a, b, members)
    x_signs, y_signs = _signs(a, members), _signs(b, members)
    difference = np.einsum("gij,gij->g", x_signs, y_signs, dtype=np.float64)
    if coefficient == "kendall_b":
        # Tau-b is the cosine of the two matrices of signs (Daniels 1944).
        untied = [np.abs(s).sum(axis=(1, 2), dtype=np.float64) for s in (x_signs, y_signs)]
        scale = np.sqrt(untied[0] * untied[1])
    else:
        fewest = np.minimum(_distinct(x_signs, members), _distinct(y_signs, members))
        sizes = (members >= 0).sum(axis=1)
        scale = sizes**2 * (fewest - 1) / np.maximum(fewest, 1)
    value = np.full(len(members), np.nan)
    defined = scale > 0
    value[defined] = difference[defined] / scale[defined]
    return value


def _small_pearson(x: Floats, y: Floats, a: Codes, b: Codes, members: Codes) -> Floats:
    present = members >= 0
    sizes = np.maximum(present.sum(axis=1), 1)[:, None]
    deviations = []
    for values, codes in ((x, a), (y, b)):
        of_member = np.where(present, values[members], 0)
        mean = of_member.sum(axis=1, keepdims=True) / sizes
        deviation = np.where(present, of_member - mean, 0)
        # In a group whose values all tie, only rounding errors are left.
        deviation[~_signs(codes, members).any(axis=(1, 2))] = 0
        deviations.append(deviation)
    return cosines(*deviations)


def _distinct(sign: Signs, members: Codes) -> Codes:
    """(groups,) the number of distinct values in each group."""
    present = members >= 0
    equal = (sign == 0) & present[:, :, None] & present[:, None, :]
    first = present & ~np.tril(equal, -1).any(axis=2)
    distinct: Codes = first.sum(axis=1)
    return distinct
