"""What was read: ratings, tables of judges' scores, and the faults of either."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from judge.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "FAULT_KINDS",
    "DialogueId",
    "Fault",
    "IntArray",
    "JudgedTable",
    "Point",
    "Ratings",
    "Scale",
]

IntArray = NDArray[np.int32]

FAULT_KINDS = (
    "no_name",
    "unknown_metric",
    "empty",
    "not_a_number",
    "no_distribution",
    "off_scale",
    "off_step",
    "duplicate",
    "conflict",
    "unknown_item",
)
"""Why a score is refused. `duplicate`: a copy of one that is kept. `conflict`: the same rater gave
the same thing two scores; nobody can know which of them is meant, so both are refused.
`no_distribution`: label probabilities that are negative, all 0, or more than 1 together.
`unknown_item`: a row of a sheet whose id the key does not have."""

Point = Literal["expected", "argmax"]
"""The score that label probabilities become: their mean, or the most probable label (of several
the lowest)."""


class DialogueId(NamedTuple):
    """What was rated. `character` is blank in a table of items.

    `scenario` is blank where many replies were rated together.
    """

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
    def parse(cls, text: str, step: float = 1.0, option: str = "--scale") -> Self:
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
            stepped = f" --step {step:g}" if step else ""
            raise UsageError(
                f"{option} {text}{stepped}: it is no scale",
                hint=f"LOW-HIGH, such as {option} 1-5{stepped and ', or --scale 1-5 --step 0.5'}",
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
    """One score that was refused: the file, the line or row (see `Table.lines`) and the reason."""

    path: Path
    row: int
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.row}: {self.text}"


@dataclass(frozen=True, slots=True, eq=False)
class Ratings:
    """The n ratings that can be used, sorted by dialogue, metric, rater and score.

    That order, and with it every array except `row` and `file`, does not depend on the order of
    the rows in the file.

    Attributes:
        dialogues: what was rated, sorted; `dialogue` (n,) indexes it.
        metrics: those with a rating, in the rubric's order; `metric` (n,) indexes it.
        raters: those with a name, sorted; `rater` (n,) indexes it, -1 where no rater is named.
        score: (n,) on `scale`, never NaN.
        row: (n,) line or row in the file, see `Table.lines`.
        file: (n,) index into `sources`.
        scale: what a score may be; `scale_given` says whether the user chose it.
        faults: every rating that was refused, in the order of file and row.
        off_scale: score -> how often it was given, for the scores that are not on the scale.
        off_step: the same for scores between the steps of the scale.
        lost: metric -> how many scores of it were refused that should have been there.
        excluded: rater_type (`llm`, `crowd`, ...) -> rows excluded because no person gave them.
        sources: path -> SHA-256 (hex) of its bytes.
        notes: how the file was read where that could be otherwise, as sentences.
        incomplete: says of how many scores the figures lack, where the user goes on without them.
        annotators: what all raters are by rater_type, `expert` or `crowd`; else "".
    """

    dialogues: tuple[DialogueId, ...]
    metrics: tuple[str, ...]
    raters: tuple[str, ...]
    dialogue: IntArray
    metric: IntArray
    rater: IntArray
    score: NDArray[np.float64]
    row: IntArray
    file: IntArray
    scale: Scale
    scale_given: bool
    faults: tuple[Fault, ...]
    off_scale: Mapping[float, int]
    excluded: Mapping[str, int]
    unread: tuple[str, ...]
    sources: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    off_step: Mapping[float, int] = field(default_factory=dict)
    lost: Mapping[str, int] = field(default_factory=dict)
    incomplete: str = ""
    annotators: str = ""

    def __len__(self) -> int:
        return len(self.score)

    def to_frame(self) -> pd.DataFrame:
        """The ratings as a pandas table; `rater` is "" where no rater is named.

        It has the columns system, character, scenario, metric, rater and score.
        """
        import pandas as pd  # noqa: PLC0415 - slow to import

        ids = np.array(self.dialogues, dtype=np.object_).reshape(-1, 3)[self.dialogue]
        return pd.DataFrame(
            {
                **dict(zip(DialogueId._fields, ids.T, strict=True)),
                "metric": np.array(self.metrics, dtype=np.object_)[self.metric],
                "rater": np.array([*self.raters, ""], dtype=np.object_)[self.rater],
                "score": self.score,
            }
        )


@dataclass(frozen=True, slots=True, eq=False)
class JudgedTable:
    """The n scores that can be used of tables with people and judges, in the order of the rows.

    Attributes:
        items, systems, dimensions, raters: names, in the order in which they first stand there;
            `item`, `system`, `dimension`, `rater` (n,) index them. The one system of a table
            without a column of systems is "".
        dimension: -1 for a measure, which is a judge of every dimension.
        rater: -1 for a person who is not named.
        judged: (n,) whether it is a judge's score, else a person's rating.
        score: (n,) never NaN; `point` says how probabilities became a score.
        probs: (n, K) probabilities of `labels`, NaN in rows without; None if no row has any. They
            sum to what the file says, not to 1.
        sources: path -> SHA-256 (hex) of its bytes.
        where: the filters that were applied, as texts.
        refused: reason -> how many rows were; `faults` are the first 1,000 of them.
        lost: (rater, dimension) -> how many rows were refused that should have been there; "" for a
            name that is missing.
        incomplete: says how many rows the figures lack, where the user goes on without them.
        annotators: what all people are by rater_type, `expert` or `crowd`; else "".
        categories: the labels, where no score is a number: `score` then has codes of them.
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
    lost: Mapping[tuple[str, str], int] = field(default_factory=dict)
    incomplete: str = ""
    annotators: str = ""
    categories: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.score)
