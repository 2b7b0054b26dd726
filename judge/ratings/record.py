"""Ratings as columns: what was read, and what was refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from judge.errors import UsageError

__all__ = ["KINDS", "Cell", "Fault", "IntArray", "Ratings", "Scale"]

IntArray = NDArray[np.int32]

KINDS = (
    "no_name",
    "unknown_metric",
    "empty",
    "not_a_number",
    "off_scale",
    "off_step",
    "duplicate",
    "conflict",
    "unknown_item",
)
"""Why a rating is refused. `duplicate`: a copy of one that is kept. `conflict`: the same rater gave
the same thing two scores; which of them is meant cannot be known, so that both are refused."""


class Cell(NamedTuple):
    """What was rated. `character` is blank in a table of items, `scenario` for many replies."""

    system: str
    character: str
    scenario: str


_STEPS = {1.0: "", 0.0: ", any number"}


class Scale(NamedTuple):
    """`low`, `low + step`, ..., `high`; every number between the ends if `step` is 0."""

    low: float = 1.0
    high: float = 5.0
    step: float = 1.0

    @classmethod
    def parse(cls, text: str, step: float = 1.0) -> Self:
        """`1-5`, `0-4`, `-3-3`.

        Raises:
            UsageError: not two numbers with a step that leads from one to the other.
        """
        match = re.fullmatch(r"\s*(-?[0-9.]+)\s*-\s*(-?[0-9.]+)\s*", text)
        try:
            scale = cls(float(match[1]), float(match[2]), step) if match else cls(0, 0, 0)
        except ValueError:
            scale = cls(0, 0, 0)
        steps = (scale.high - scale.low) / step if step > 0 else 0.0
        if scale.low >= scale.high or step < 0 or abs(steps - round(steps)) > 1e-9:
            raise UsageError(
                f"--scale {text} --step {step:g}: it is no scale",
                hint="LOW-HIGH, such as --scale 1-5, or --scale 1-5 --step 0.5",
            )
        return scale

    @property
    def labels(self) -> tuple[float, ...]:
        """All scores there are; empty if every number is one."""
        if not self.step:
            return ()
        count = round((self.high - self.low) / self.step) + 1
        return tuple(self.low + k * self.step for k in range(count))

    def __str__(self) -> str:
        """As `1-5`, with the step if it is not 1."""
        steps = _STEPS.get(self.step, f" in steps of {self.step:g}")
        return f"{self.low:g}-{self.high:g}{steps}"


class Fault(NamedTuple):
    """One rating that was refused: the file, the row (the heading is row 1) and the reason."""

    path: Path
    row: int
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.row}: {self.text}"


@dataclass(frozen=True, slots=True, eq=False)
class Ratings:
    """The n ratings that can be used, in the order of cell, metric, rater and score.

    That order, and with it every array but `row` and `file`, does not depend on the order of the
    rows that were read.

    Attributes:
        cells: what was rated, sorted; `cell` (n,) indexes it.
        metrics: those with a rating, in the rubric's order; `metric` (n,) indexes it.
        raters: those with a name, sorted; `rater` (n,) indexes it, -1 where no rater is named.
        score: (n,) on `scale`, never NaN.
        row: (n,) row in the file; the heading is row 1.
        file: (n,) index into `sources`.
        scale: what a score may be; `scale_given` says whether the user chose it.
        faults: every rating that was refused, in the order of file and row.
        off_scale: score -> how often it was given, for the scores that are not on the scale.
        aside: kind of rater (`llm`, `crowd`, ...) -> rows left aside because no person gave them.
        unread: the columns that mean nothing here.
        sources: path -> SHA-256 (hex) of its bytes.
    """

    cells: tuple[Cell, ...]
    metrics: tuple[str, ...]
    raters: tuple[str, ...]
    cell: IntArray
    metric: IntArray
    rater: IntArray
    score: NDArray[np.float64]
    row: IntArray
    file: IntArray
    scale: Scale
    scale_given: bool
    faults: tuple[Fault, ...]
    off_scale: Mapping[float, int]
    aside: Mapping[str, int]
    unread: tuple[str, ...]
    sources: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.score)
