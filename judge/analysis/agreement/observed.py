"""What a judge and people said of the same things, as arrays: from a run or from a tidy table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from judge.types import Turn

__all__ = ["Observed", "simulated"]


@dataclass(frozen=True, slots=True, eq=False)
class Observed:
    """n dialogues (one system on one item each), M metrics, r human ratings.

    Attributes:
        judge: its name.
        metrics: the M metrics, in the order in which they are reported.
        titles: of metrics, dimensions and, where there is one, `overall`.
        groups: dimension -> its metrics, in order; `complete` are the dimensions all of whose
            metrics are among `metrics`. `whole`: there is an overall score, of all M.
        system, character, scenario: (n,) labels. An item is a character in a scenario; a table
            of items has them as characters and one blank scenario.
        item: what an item is called.
        score: (n, M) the judge's, nan where there is none.
        probs: (n, M, K) the judge's label probabilities, nan rows where there is none; None where
            it gave numbers only.
        cell, metric, rater, rating: (r,) which dialogue, which metric, who (-1 unknown), and what;
            no nan.
        raters: the names of the raters; those that begin with `simulated` are not people.
        scale: metric -> ends of the human scale; `declared`: they were given, not just observed.
        length: (n,) characters of the reply, nan where its text is not known.
        turns, rationales: by dialogue, and by dialogue and metric; as far as they are known.
        pairs: whether raters, and judges of a table, are to be compared with each other.
        others: name -> (n, M) scores of further judges or raters of a table, for `pairs` only.
        provenance, notes, partial: for the report.
        judge_scale: ends of the judge's own scale; None where just its scores are known.
    """

    judge: str
    metrics: tuple[str, ...]
    titles: Mapping[str, str]
    groups: Mapping[str, tuple[str, ...]]
    complete: frozenset[str]
    whole: bool
    system: NDArray[np.str_]
    character: NDArray[np.str_]
    scenario: NDArray[np.str_]
    item: str
    score: NDArray[np.float64]
    probs: NDArray[np.float64] | None
    cell: NDArray[np.int64]
    metric: NDArray[np.int64]
    rater: NDArray[np.int64]
    rating: NDArray[np.float64]
    raters: tuple[str, ...]
    scale: Mapping[str, tuple[float, float]]
    declared: bool
    length: NDArray[np.float64]
    turns: Mapping[int, tuple[Turn, ...]] = field(default_factory=dict)
    rationales: Mapping[tuple[int, int], str] = field(default_factory=dict)
    pairs: bool = False
    others: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    partial: str = ""
    judge_scale: tuple[float, float] | None = None


def simulated(raters: Iterable[str]) -> bool:
    """Whether one of these names is that of a program: it begins with `simulated`."""
    return any(name.casefold().startswith("simulated") for name in raters)
