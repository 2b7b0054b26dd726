"""The columns of all files as they grow, before a row is refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from judge.errors import DataError
from judge.ratings.record import IntArray
from judge.ratings.tidy.coding import Coder
from judge.ratings.tidy.rows import Block
from judge.ratings.values import parse_id, parse_name

__all__ = ["Columns", "Draft"]


class Columns(NamedTuple):
    """(n,) each.

    Attributes:
        codes: item, system, dimension, rater, rater_type -> numbers that its coder gave.
        score, fault, row: as in a block; `file` is its number.
        judged: rows of probabilities; `measure`: rows whose dimension may be a judge's name.
        probs: (n, K), None without any.
    """

    codes: dict[str, IntArray]
    score: NDArray[np.float64]
    fault: NDArray[np.int8]
    row: IntArray
    file: NDArray[np.int16]
    judged: NDArray[np.bool_]
    measure: NDArray[np.bool_]
    probs: NDArray[np.float64] | None


class Draft:
    """Takes block after block.

    Attributes:
        coders: of each column of names.
        headings: of all files.
        read: files that have rows; `with_system` those that have systems.
        unread: headings that mean nothing.
        labels: of the probabilities; () as long as there are none.
        text: row -> what stood in place of its score.
        unused: scores beside probabilities.
    """

    def __init__(self, paths: Sequence[Path], *, measures: bool) -> None:
        self.paths = tuple(paths)
        self.coders = {
            "item": Coder(parse_id),
            "system": Coder(parse_name),
            "dimension": Coder(parse_name),
            "rater": Coder(parse_id),
            "rater_type": Coder(parse_name),
        }
        self.headings: dict[str, None] = {}
        self.read: set[int] = set()
        self.with_system: set[int] = set()
        self.unread: dict[str, None] = {}
        self.labels: tuple[int, ...] = ()
        self.text: dict[int, str] = {}
        self.unused = 0
        self._measures = measures
        self._parts: list[Columns] = []
        self._size = 0

    def add(self, block: Block, number: int) -> None:
        """One more block of file `number`.

        Raises:
            DataError: its probabilities are of other labels than those before.
        """
        columns, labels, unread = block.headings
        self.read.add(number)
        self.headings |= dict.fromkeys((*columns.values(), *labels.values(), *unread))
        self.unread |= dict.fromkeys(unread)
        if "system" in columns:
            self.with_system.add(number)
        if labels and tuple(labels) != (self.labels or tuple(labels)):
            raise DataError(
                f"probabilities of the labels {min(labels)}-{max(labels)}, "
                f"after others of {self.labels[0]}-{self.labels[-1]}",
                path=self.paths[number],
                hint="report on judges with other labels apart",
            )
        self.labels = self.labels or tuple(labels)
        n = len(block.row)
        measure = self._measures and not columns.keys() & {"rater", "rater_type"}
        self._parts.append(
            Columns(
                {c: coder.codes(block.values.get(c, [""] * n)) for c, coder in self.coders.items()},
                block.score,
                block.fault,
                block.row,
                np.full(n, number, dtype=np.int16),
                block.judged,
                ~block.judged & measure,
                block.probs,
            )
        )
        self.unused += block.unused
        self.text |= {self._size + i: text for i, text in block.text.items()}
        self._size += n

    def __len__(self) -> int:
        return self._size

    def columns(self) -> Columns:
        """All blocks in one; at least one has been added. The draft gives them away."""
        parts, self._parts = self._parts, []
        probs = None
        if self.labels:
            nothing = (np.full((len(p.row), len(self.labels)), np.nan) for p in parts)
            probs = np.concatenate(
                [gap if p.probs is None else p.probs for p, gap in zip(parts, nothing, strict=True)]
            )
        return Columns(
            {c: np.concatenate([p.codes[c] for p in parts]) for c in self.coders},
            np.concatenate([p.score for p in parts]),
            np.concatenate([p.fault for p in parts]),
            np.concatenate([p.row for p in parts]),
            np.concatenate([p.file for p in parts]),
            np.concatenate([p.judged for p in parts]),
            np.concatenate([p.measure for p in parts]),
            probs,
        )
