"""The scores of tidy tables as columns, and how many were refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from judge.ratings.record import Fault, IntArray
from judge.ratings.tidy.rows import Point

__all__ = ["JudgedTable"]


@dataclass(frozen=True, slots=True, eq=False)
class JudgedTable:
    """The n scores that can be used, in the order of the files and their rows.

    Attributes:
        items, systems, dimensions, raters: names, in the order in which they first stand there;
            `item`, `system`, `dimension`, `rater` (n,) index them. The one system of a table
            without systems is a blank.
        dimension: -1 for a measure, which is a judge of every dimension.
        rater: -1 for a person who is not named.
        judged: (n,) whether it is a judge's score, else a person's rating.
        score: (n,) never nan; of probabilities what `point` makes of them.
        probs: (n, K) probabilities of `labels`, nan in rows without; None if no row has any. They
            sum to what the file says, not to 1.
        sources: path -> SHA-256 (hex) of its bytes.
        where: the filters, as texts.
        refused: reason -> how many rows were; `faults` are the first 1,000 of them.
        notes: what to tell beside every number.
    """

    items: tuple[str, ...]
    systems: tuple[str, ...]
    dimensions: tuple[str, ...]
    raters: tuple[str, ...]
    item: IntArray
    system: IntArray
    dimension: IntArray
    rater: IntArray
    judged: NDArray[np.bool_]
    score: NDArray[np.float64]
    probs: NDArray[np.float64] | None
    labels: tuple[int, ...]
    point: Point
    sources: Mapping[str, str]
    where: tuple[str, ...]
    refused: Mapping[str, int]
    faults: tuple[Fault, ...]
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.score)
