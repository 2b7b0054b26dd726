"""Rows of scores with their system and item, checked once for every statistic that needs them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Rows", "grid", "rows_iv"]

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
