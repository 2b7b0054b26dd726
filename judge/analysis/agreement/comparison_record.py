"""Two judges side by side: frozen, versioned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from judge.analysis.agreement.record import Kind
from judge.records import plain_record

__all__ = ["COMPARED", "FORMAT", "Compared", "ComparedLevel", "Comparisons", "Correction"]

FORMAT = 1
"""The newest format of a comparison that this version reads."""

ComparedLevel = Literal["all", "within_item", "systems"]
COMPARED: tuple[ComparedLevel, ...] = ("all", "within_item", "systems")

Correction = Literal["Benjamini-Yekutieli", "Holm", "none"]


@dataclass(frozen=True, slots=True)
class Compared:
    """One measure at one level; None, with a `reason`, where a number is undefined.

    Attributes:
        first, second: Spearman's rho of either judge; `difference` is first less second.
        p: two-sided, of PERM-BOTH (Deutsch, Dror and Roth 2021).
        adjusted: p corrected, over the metrics or over the dimensions, as `correction` says.
        n: dialogues with both judges' and a human score.
        groups: of the level `within_item`, the items in which people and both judges tell systems
            apart, over which both rhos are means; else 1. `left_out`: the other items.
        undefined: exchanges that left a constant side; counted as extreme.
    """

    name: str
    kind: Kind
    title: str
    level: ComparedLevel
    first: float | None
    second: float | None
    difference: float | None
    p: float | None
    adjusted: float | None
    correction: Correction
    n: int
    groups: int
    left_out: int
    undefined: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Comparisons:
    """Two judges on the same dialogues, against the same ratings.

    Attributes:
        first, second: their names.
        dialogues: in common; `dropped` those of the first and of the second that are not.
        exchanges, seed: of the permutation test.
        simulated: some ratings were drawn by a program. Every page says so.
        rows: measure by measure, level by level.
        partial: what of either run is not there yet; "" if all is.
        notes: what is to be known of either.
    """

    first: str
    second: str
    dialogues: int
    dropped: tuple[int, int]
    exchanges: int
    seed: int
    simulated: bool
    rows: tuple[Compared, ...]
    partial: str = ""
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, with the version of the format."""
        return plain_record(self, format=FORMAT)
