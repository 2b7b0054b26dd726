"""The correlation within each of many groups, at the cost of one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calibration.agreement.correlation import CORRELATIONS, Coefficient, tie_codes

__all__ = ["GroupCorrelations", "Rows", "by_group", "grid", "rows_iv"]

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


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


def rows_iv(system: ArrayLike, item: ArrayLike, *columns: ArrayLike) -> Rows:
    """Rows without a NaN; raises ValueError for unequal lengths and infinities."""
    scores = [np.asarray(column, dtype=np.float64) for column in columns]
    labels = [np.asarray(system), np.asarray(item)]
    shapes = [array.shape for array in (*scores, *labels)]
    if len(shapes[0]) != 1 or len(set(shapes)) > 1:
        raise ValueError(f"scores, system and item must be (n,) each, not {shapes}")
    if any(np.isinf(column).any() for column in scores):
        raise ValueError("scores must not hold infinities")
    stacked = np.stack(scores)
    kept = ~np.isnan(stacked).any(axis=0)
    codes = [np.unique(label[kept], return_inverse=True)[1].astype(np.int64) for label in labels]
    return Rows(stacked[:, kept], codes[0], codes[1], int((~kept).sum()))


def grid(rows: Rows) -> Floats:
    """(columns, systems, items) scores, NaN where a system has no row for an item.

    Raises:
        ValueError: two rows have the same system and item.
    """
    shape = (int(rows.system.max(initial=-1)) + 1, int(rows.item.max(initial=-1)) + 1)
    cell = rows.system * shape[1] + rows.item
    if np.unique(cell).size < cell.size:
        raise ValueError("a system has more than one row for the same item")
    table = np.full((len(rows.columns), shape[0] * shape[1]), np.nan)
    table[:, cell] = rows.columns
    return table.reshape(len(rows.columns), *shape)


Signs = NDArray[np.int8]

_SMALL = 64
"""Groups up to this size are compared pair by pair: 1,200 groups of 11 in a few milliseconds."""


class GroupCorrelations(NamedTuple):
    """One entry for each group, in the order of the sorted labels.

    Attributes:
        label: (groups,) as given.
        value: (groups,) nan where a group has fewer than two pairs or a constant side.
        n: (groups,) pairs without a NaN.
    """

    label: NDArray[np.generic]
    value: Floats
    n: Codes


def by_group(
    x: ArrayLike, y: ArrayLike, group: ArrayLike, coefficient: Coefficient = "spearman"
) -> GroupCorrelations:
    """A correlation of x and y within each group.

    Args:
        x, y: (n,) paired scores; pairs with a NaN are left out.
        group: (n,) labels, integers or strings.
        coefficient: "spearman", "kendall_b", "kendall_c" or "pearson".

    Raises:
        ValueError: lengths differ, an infinity, or no such coefficient.
    """
    left, right, labels = _by_group_iv(x, y, group, coefficient)
    names, code = np.unique(labels, return_inverse=True)
    kept = ~(np.isnan(left) | np.isnan(right))
    left, right, code = left[kept], right[kept], code[kept]
    sizes = np.bincount(code, minlength=len(names))
    value = np.full(len(names), np.nan)
    index = pad(code, len(names)) if sizes.max(initial=0) <= _SMALL else None
    if index is not None:
        value = small_groups(left, right, index, coefficient)
    else:
        order = np.split(np.argsort(code, kind="stable"), np.cumsum(sizes)[:-1])
        for position, members in enumerate(order):
            value[position] = CORRELATIONS[coefficient](left[members], right[members]).value
    return GroupCorrelations(names, value, sizes.astype(np.int64))


def pad(code: Codes, groups: int) -> Codes:
    """(groups, largest) positions of each group's members, -1 where it has no more."""
    sizes = np.bincount(code, minlength=groups)
    order = np.argsort(code, kind="stable")
    place = np.arange(len(code)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    index = np.full((groups, int(sizes.max(initial=0))), -1, dtype=np.int64)
    index[code[order], place] = order
    return index


def signs(codes: Codes, index: Codes) -> Signs:
    """(groups, m, m) sign of the difference of every two members; 0 where one is missing."""
    of_group = codes[index]
    there = index >= 0
    both = there[:, :, None] & there[:, None, :]
    higher = of_group[:, :, None] > of_group[:, None, :]
    # A padded member is compared as if it were another one; `both` takes that out again.
    sign: Signs = (higher.astype(np.int8) - higher.transpose(0, 2, 1).astype(np.int8)) * both
    return sign


def rank_deviations(codes: Codes, index: Codes) -> Floats:
    """(groups, m) twice the average rank within the group, less its mean; 0 where missing.

    A member's rank is how many are below it and half of how many tie: the row sum of the signs.
    """
    deviations: Floats = signs(codes, index).sum(axis=2, dtype=np.float64)
    return deviations


def cosines(a: Floats, b: Floats) -> Floats:
    """(groups,) cosine of each row of deviations; nan where a row is all zero."""
    scale = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    defined = scale > 0
    value = np.full(len(a), np.nan)
    value[defined] = np.clip((a * b).sum(axis=1)[defined] / scale[defined], -1, 1)
    return value


def small_groups(x: Floats, y: Floats, index: Codes, coefficient: Coefficient) -> Floats:
    """(groups,) coefficients of the padded groups."""
    a, b = tie_codes(x), tie_codes(y)
    if coefficient == "spearman":
        return cosines(rank_deviations(a, index), rank_deviations(b, index))
    if coefficient == "pearson":
        return _small_pearson(x, y, a, b, index)
    over, under = signs(a, index), signs(b, index)
    difference = np.einsum("gij,gij->g", over, under, dtype=np.float64)
    if coefficient == "kendall_b":
        # Daniels (1944): tau-b is the cosine of the two matrices of signs.
        untied = [np.abs(s).sum(axis=(1, 2), dtype=np.float64) for s in (over, under)]
        scale = np.sqrt(untied[0] * untied[1])
    else:
        fewest = np.minimum(_distinct(over, index), _distinct(under, index))
        sizes = (index >= 0).sum(axis=1)
        scale = sizes**2 * (fewest - 1) / np.maximum(fewest, 1)
    value = np.full(len(index), np.nan)
    defined = scale > 0
    value[defined] = difference[defined] / scale[defined]
    return value


def _small_pearson(x: Floats, y: Floats, a: Codes, b: Codes, index: Codes) -> Floats:
    there = index >= 0
    sizes = np.maximum(there.sum(axis=1), 1)[:, None]
    deviations = []
    for values, codes in ((x, a), (y, b)):
        of_group = np.where(there, values[index], 0)
        off = np.where(there, of_group - of_group.sum(axis=1, keepdims=True) / sizes, 0)
        # The noise left over from taking a constant off itself is no variation.
        off[~signs(codes, index).any(axis=(1, 2))] = 0
        deviations.append(off)
    return cosines(*deviations)


def _distinct(sign: Signs, index: Codes) -> Codes:
    there = index >= 0
    equal = (sign == 0) & there[:, :, None] & there[:, None, :]
    first = there & ~np.tril(equal, -1).any(axis=2)
    distinct: Codes = first.sum(axis=1)
    return distinct


def _by_group_iv(
    x: ArrayLike, y: ArrayLike, group: ArrayLike, coefficient: str
) -> tuple[Floats, Floats, NDArray[np.generic]]:
    left, right = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    labels = np.asarray(group)
    if left.ndim != 1 or not left.shape == right.shape == labels.shape:
        raise ValueError(
            f"x, y and group must be (n,) each, not {left.shape}, {right.shape}, {labels.shape}"
        )
    if np.isinf(left).any() or np.isinf(right).any():
        raise ValueError("x and y must not hold infinities")
    if coefficient not in CORRELATIONS:
        raise ValueError(f"a coefficient is one of {', '.join(CORRELATIONS)}, not {coefficient}")
    return left, right, labels
