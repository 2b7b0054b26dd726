"""What results say of calibrated scores, beside the raw ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = ["Basis", "CalibratedMean", "CalibratedMetric", "CalibratedResults"]

Basis = Literal["new", "fitted", "labelled"]
"""What an interval is made of. `new`: the errors that held-out systems had; the system was not
among those that were fitted. `labelled`: ratings of some of its own dialogues, which no map has
seen. `fitted`: its own human scores made the calibration, so that there is no interval."""


@dataclass(frozen=True, slots=True)
class CalibratedMean:
    """One measure of one system on the human scale.

    Attributes:
        n: dialogues behind it.
        mean: None, with a reason, where there is none.
        lower, upper: None, with a reason, where there is no interval.
        basis: what the interval is made of.
        labelled: how many of the dialogues have ratings that it used.
        reason: why something is missing.
    """

    n: int
    mean: float | None
    lower: float | None
    upper: float | None
    basis: Basis
    labelled: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class CalibratedMetric:
    """How one metric was calibrated; errors are of systems left out, in points of the scale.

    Attributes:
        metric: which.
        map: the rung of the ladder, or `line`; "" with a `reason` where there is none.
        before, after: mean absolute error of the raw scores and of the calibrated ones.
        bias_before, bias_after: mean of score less rating.
        keeps_order: whether the map rises with the raw score, so that it turns no order round.
        radius: half the width of the interval for one rating of a dialogue.
        coverage: least and most share of a held-out system's ratings within such an interval.
        reason: why there is no map.
        notes: what else to know.
    """

    metric: str
    map: str
    before: float | None = None
    after: float | None = None
    bias_before: float | None = None
    bias_after: float | None = None
    keeps_order: bool = False
    radius: float | None = None
    coverage: tuple[float, float] | None = None
    reason: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CalibratedResults:
    """The calibration that was used, and every system's measures under it.

    Attributes:
        kind: `ratings` or `published` means.
        source, sha256: the file that it was fitted to.
        created: when.
        scale: the ends of the human scale.
        confidence: of every interval.
        fitted: the systems that it was fitted to.
        metrics: how each was calibrated.
        means: system -> measure -> its mean on the human scale.
        labels: the file of ratings of new systems that was used too, "" without one.
        notes: what to know.
    """

    kind: Literal["ratings", "published"]
    source: str
    sha256: str
    created: str
    scale: tuple[int, int]
    confidence: float
    fitted: tuple[str, ...]
    metrics: tuple[CalibratedMetric, ...]
    means: Mapping[str, Mapping[str, CalibratedMean]]
    labels: str = ""
    notes: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """What the numbers hang on, short."""
        return f"{self.source} {self.sha256[:8]}"

    def mean(self, system: str, measure: str) -> CalibratedMean | None:
        """The measure of a system, or None where it has none."""
        return self.means.get(system, {}).get(measure)

    @property
    def missing(self) -> tuple[str, ...]:
        """Why means or intervals are missing, each reason once."""
        rows = [mean for of_it in self.means.values() for mean in of_it.values()]
        return tuple(sorted({row.reason for row in rows if row.reason}))
