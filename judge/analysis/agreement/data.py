"""What a judge and people said of the same dialogues, and the measures that it is made of."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from calibration.agreement.correlation import TOLERANCE
from calibration.agreement.levels import mean_of_parts
from calibration.errors_of_fit import to_labels
from judge.analysis.agreement.agreement_records import Kind
from judge.ratings import mean_ratings
from judge.types import Turn

__all__ = [
    "OVERALL",
    "GroupCodes",
    "MeasureScores",
    "PairedScores",
    "human_means",
    "measure_scores",
    "simulated",
]


@dataclass(frozen=True, slots=True, eq=False)
class PairedScores:
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


OVERALL = "overall"

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class GroupCodes:
    """Where the n dialogues belong, as codes in the order of the sorted labels.

    Attributes:
        systems: names of the system codes.
        system, character, scenario, item: (n,) codes; an item is a character in a scenario.
        clusters: (ways, n) what standard errors are clustered by; one way where all scenarios
            are blank, as in a table of items.
    """

    systems: tuple[str, ...]
    system: Codes
    character: Codes
    scenario: Codes
    item: Codes
    clusters: Codes

    @classmethod
    def of(cls, observed: PairedScores) -> GroupCodes:
        """The axes of what was observed."""
        names, system = np.unique(observed.system, return_inverse=True)
        character, scenario = (
            np.unique(labels, return_inverse=True)[1]
            for labels in (observed.character, observed.scenario)
        )
        item = np.unique(character * (scenario.max(initial=0) + 1) + scenario, return_inverse=True)
        blank = not (observed.scenario != "").any()
        clusters = np.stack([character] if blank else [character, scenario])
        return cls(tuple(names.tolist()), system, character, scenario, item[1], clusters)


@dataclass(frozen=True, slots=True, eq=False)
class MeasureScores:
    """One measure of n dialogues and r ratings; of a composite, ratings are raters' means.

    Attributes:
        judge, human: (n,) scores, nan where missing.
        rounded: (n,) the judge as if it gave whole labels; of a composite, the mean of such.
        cell, rater, rating: (r,) which dialogue, who (-1 unknown), what.
        low, high: the ends of the human scale.
        whole: the ratings, and the ends, are whole labels.
        off: why the judge's points are not people's points; "" where they are.
        both: (n,) has both scores.
        used: (r,) ratings of these.
    """

    name: str
    kind: Kind
    title: str
    parts: tuple[str, ...]
    judge: Floats
    human: Floats
    rounded: Floats
    cell: Codes
    rater: Codes
    rating: Floats
    low: float
    high: float
    whole: bool
    off: str
    both: NDArray[np.bool_]
    used: NDArray[np.bool_]

    @property
    def points(self) -> tuple[Floats, Floats]:
        """Judge and human scores of the dialogues that have both."""
        return self.judge[self.both], self.human[self.both]


def measure_scores(observed: PairedScores) -> list[MeasureScores]:
    """Metrics group by group, each group followed by its dimension; the overall score last."""
    human = human_means(observed)
    ends = np.array([observed.scale[metric] for metric in observed.metrics])
    rounded = np.stack(
        [
            to_labels(score, math.floor(low), math.ceil(high))
            for score, (low, high) in zip(observed.score.T, ends, strict=True)
        ],
        axis=1,
    )
    return [
        _one(observed, human, rounded, ends, name, kind, parts)
        for name, kind, parts in _names(observed)
    ]


def human_means(observed: PairedScores) -> Floats:
    """(n, M) mean rating of each dialogue and metric, nan where there is none."""
    return mean_ratings(observed.cell, observed.metric, observed.rating, observed.score.shape)


def _names(observed: PairedScores) -> Iterator[tuple[str, Kind, tuple[str, ...]]]:
    grouped = [metric for parts in observed.groups.values() for metric in parts]
    for dimension, parts in observed.groups.items():
        yield from ((metric, "metric", (metric,)) for metric in parts)
        if dimension in observed.complete:
            yield dimension, "dimension", parts
    for metric in observed.metrics:
        if metric not in grouped:
            yield metric, "metric", (metric,)
    if observed.whole:
        yield OVERALL, "overall", observed.metrics


def _one(
    observed: PairedScores,
    human: Floats,
    rounded: Floats,
    ends: Floats,
    name: str,
    kind: Kind,
    parts: tuple[str, ...],
) -> MeasureScores:
    columns = [observed.metrics.index(part) for part in parts]
    judge, people, labels = (
        mean_of_parts(scores[:, columns]).values for scores in (observed.score, human, rounded)
    )
    # The mean of metrics on different scales lies between the means of their ends.
    low, high = ends[columns].mean(axis=0).tolist()
    cell, rater, rating = _ratings(observed, columns)
    both = ~np.isnan(judge + people)
    return MeasureScores(
        name=name,
        kind=kind,
        title=observed.titles.get(name, name),
        parts=parts,
        judge=judge,
        human=people,
        rounded=labels,
        cell=cell,
        rater=rater,
        rating=rating,
        low=low,
        high=high,
        whole=not (np.append(rating, [low, high]) % 1).any(),
        off=next(filter(None, (_off(observed, column) for column in columns)), ""),
        both=both,
        used=both[cell],
    )


def _ratings(observed: PairedScores, columns: list[int]) -> tuple[Codes, Codes, Floats]:
    """Cell, rater and rating; of several metrics, the means of raters who are known and gave all.

    The order is that of cell, rater and rating.
    """
    own = np.isin(observed.metric, columns)
    if len(columns) > 1:
        own &= observed.rater >= 0
    cell, rater, rating = observed.cell[own], observed.rater[own], observed.rating[own]
    if len(columns) > 1:
        people = len(observed.raters)
        who, row = np.unique(cell * people + rater, return_inverse=True)
        table = np.full((len(who), len(observed.metrics)), np.nan)
        table[row, observed.metric[own]] = rating
        means = mean_of_parts(table[:, columns]).values
        kept = ~np.isnan(means)
        cell, rater, rating = who[kept] // people, who[kept] % people, means[kept]
    order = np.lexsort((rating, rater, cell))
    return cell[order], rater[order], rating[order]


def _off(observed: PairedScores, column: int) -> str:
    low, high = scale = observed.scale[observed.metrics[column]]
    own, judge = observed.judge_scale, observed.score[:, column]
    if own is not None and own != scale:
        return f"the judge scores on {own[0]:g}..{own[1]:g}, people on {low:g}..{high:g}"
    slack = TOLERANCE * max(abs(low), abs(high))
    if beyond := int(((judge < low - slack) | (judge > high + slack)).sum()):
        what = "off the scale" if observed.declared else "beyond what people gave, of no set scale,"
        return f"judge scores {what} {low:g}..{high:g}: {beyond:,}"
    return ""
