"""The scores of a judge and the ratings of people on the same dialogues, measure by measure."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from calibration.agreement.correlation import TOLERANCE
from calibration.agreement.levels import mean_of_parts
from calibration.arrays import Codes, Floats
from calibration.errors_of_fit import to_labels
from judge.analysis.results import OVERALL, MeasureKind
from judge.ratings import mean_ratings
from judge.types import Turn

__all__ = [
    "GroupCodes",
    "MeasureScores",
    "PairedScores",
    "human_means",
    "measure_scores",
    "purpose_rng",
    "simulated",
]


@dataclass(frozen=True, slots=True, eq=False)
class PairedScores:
    """Judge scores and human ratings: n dialogues, M metrics, r ratings.

    Attributes:
        metrics: the M metrics, in report order.
        titles: of metrics, dimensions and, if there is one, the overall score.
        groups: dimension -> its metrics, in report order.
        complete: the dimensions all of whose metrics are among `metrics`.
        has_overall: whether there is an overall score, the mean of all M metrics.
        system, character, scenario: (n,) names. An item is a character in a scenario. A table of
            items has the items as characters, and one blank scenario.
        item: what an item is called in reports.
        score: (n, M) of the judge; NaN where there is none.
        probs: (n, M, K) the judge's label probabilities, NaN where there are none; None if it gave
            numbers only.
        dialogue, metric, rater: (r,) indices of each rating; the rater is -1 where unknown.
        rating: (r,) finite.
        raters: names; those that begin with `simulated` are programs.
        scale: metric -> lower and upper end of the human scale.
        scale_declared: whether the ends were given by the user, or observed in the ratings.
        length: (n,) characters of the replies; NaN where the text is not known.
        turns: dialogue -> its text, where known.
        rationales: (dialogue, metric) -> the judge's reason, where known.
        compare_raters: whether raters, and the judges of a table, are compared with each other.
        other_judges: name -> (n, M) scores of other judges of a table, for that comparison.
        provenance, notes, partial: see `Agreement`.
        annotators: what the raters are, `expert` or `crowd`; "" where that is not known.
        categories: the labels, where they are no numbers: scores are then codes of them.
        judge_scale: ends of the judge's own scale; None if only its scores are known.
    """

    judge: str
    metrics: tuple[str, ...]
    titles: Mapping[str, str]
    groups: Mapping[str, tuple[str, ...]]
    complete: frozenset[str]
    has_overall: bool
    system: NDArray[np.str_]
    character: NDArray[np.str_]
    scenario: NDArray[np.str_]
    item: str
    score: Floats
    probs: Floats | None
    dialogue: Codes
    metric: Codes
    rater: Codes
    rating: Floats
    raters: tuple[str, ...]
    scale: Mapping[str, tuple[float, float]]
    scale_declared: bool
    length: Floats
    turns: Mapping[int, tuple[Turn, ...]] = field(default_factory=dict)
    rationales: Mapping[tuple[int, int], str] = field(default_factory=dict)
    compare_raters: bool = False
    other_judges: Mapping[str, Floats] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    partial: str = ""
    judge_scale: tuple[float, float] | None = None
    annotators: str = ""
    categories: tuple[str, ...] = ()

    @property
    def rater_names(self) -> list[str]:
        """The raters who gave any of the ratings."""
        return [self.raters[code] for code in np.unique(self.rater[self.rater >= 0]).tolist()]


def purpose_rng(seed: int, *purpose: str) -> np.random.Generator:
    """A random generator for one purpose: its draws do not depend on other computations."""
    return np.random.default_rng([seed, *(zlib.crc32(text.encode()) for text in purpose)])


SIMULATED = "SIMULATED RATINGS: not people."
"""What everything must say first that rests on ratings drawn by a program."""


def simulated(raters: Iterable[str]) -> bool:
    """Whether a rater is a program: its name begins with `simulated`."""
    return any(name.casefold().startswith("simulated") for name in raters)


@dataclass(frozen=True, slots=True, eq=False)
class GroupCodes:
    """The groups of the n dialogues, as codes in the order of the sorted names.

    Attributes:
        systems: the name of each system code.
        system, character, scenario, item: (n,) codes; an item is a character in a scenario.
        clusters: (1 or 2, n) what standard errors are clustered by: character and scenario, or
            only the former where all scenarios are blank, as in a table of items.
    """

    systems: tuple[str, ...]
    system: Codes
    character: Codes
    scenario: Codes
    item: Codes
    clusters: Codes

    @classmethod
    def of(cls, scores: PairedScores) -> GroupCodes:
        """The groups of the dialogues of some scores."""
        names, system = np.unique(scores.system, return_inverse=True)
        character, scenario = (
            np.unique(labels, return_inverse=True)[1]
            for labels in (scores.character, scores.scenario)
        )
        item = np.unique(character * (scenario.max(initial=0) + 1) + scenario, return_inverse=True)
        blank = not (scores.scenario != "").any()
        clusters = np.stack([character] if blank else [character, scenario])
        return cls(tuple(names.tolist()), system, character, scenario, item[1], clusters)


@dataclass(frozen=True, slots=True, eq=False)
class MeasureScores:
    """One measure of n dialogues, with r ratings: a metric, or a composite of several.

    The ratings of a composite are each the mean of one rater's ratings of all its metrics.

    Attributes:
        parts: the metrics of a composite; of a metric, itself.
        judge, human: (n,) scores; NaN where there is none.
        rounded: (n,) the judge's scores as whole labels; of a composite, the mean of such.
        dialogue, rater, rating: (r,) the ratings, in this order; the rater is -1 where unknown.
        low, high: ends of the human scale.
        whole_labels: whether the ratings, and the ends of the scale, are whole numbers.
        scale_mismatch: why the judge's points are not those of the human scale; "" if they are.
        both: (n,) whether a dialogue has both scores.
        used: (r,) whether a rating is of such a dialogue.
    """

    name: str
    kind: MeasureKind
    title: str
    parts: tuple[str, ...]
    judge: Floats
    human: Floats
    rounded: Floats
    dialogue: Codes
    rater: Codes
    rating: Floats
    low: float
    high: float
    whole_labels: bool
    scale_mismatch: str
    both: NDArray[np.bool_]
    used: NDArray[np.bool_]

    @property
    def paired(self) -> tuple[Floats, Floats]:
        """Judge and human scores of the dialogues that have both."""
        return self.judge[self.both], self.human[self.both]


def measure_scores(scores: PairedScores) -> list[MeasureScores]:
    """All measures: dimension by dimension its metrics and then itself; the overall score last."""
    human = human_means(scores)
    ends = np.array([scores.scale[metric] for metric in scores.metrics])
    rounded = np.stack(
        [
            to_labels(column, math.floor(low), math.ceil(high))
            for column, (low, high) in zip(scores.score.T, ends, strict=True)
        ],
        axis=1,
    )
    return [
        _measure(scores, human, rounded, ends, name, kind, parts)
        for name, kind, parts in _measure_names(scores)
    ]


def human_means(scores: PairedScores) -> Floats:
    """(n, M) mean rating of each dialogue and metric; NaN where there is none."""
    return mean_ratings(scores.dialogue, scores.metric, scores.rating, scores.score.shape)


def _measure_names(scores: PairedScores) -> Iterator[tuple[str, MeasureKind, tuple[str, ...]]]:
    """Name, kind and metrics of each measure."""
    grouped = [metric for parts in scores.groups.values() for metric in parts]
    for dimension, parts in scores.groups.items():
        yield from ((metric, "metric", (metric,)) for metric in parts)
        if dimension in scores.complete:
            yield dimension, "dimension", parts
    for metric in scores.metrics:
        if metric not in grouped:
            yield metric, "metric", (metric,)
    if scores.has_overall:
        yield OVERALL, "overall", scores.metrics


def _measure(
    scores: PairedScores,
    human: Floats,
    rounded: Floats,
    ends: Floats,
    name: str,
    kind: MeasureKind,
    parts: tuple[str, ...],
) -> MeasureScores:
    columns = [scores.metrics.index(part) for part in parts]
    judge, people, labels = (
        mean_of_parts(values[:, columns]).values for values in (scores.score, human, rounded)
    )
    # The mean of metrics on different scales lies between the means of their ends.
    low, high = ends[columns].mean(axis=0).tolist()
    dialogue, rater, rating = _measure_ratings(scores, columns)
    both = ~np.isnan(judge + people)
    mismatches = (_scale_mismatch(scores, column) for column in columns)
    return MeasureScores(
        name=name,
        kind=kind,
        title=scores.titles.get(name, name),
        parts=parts,
        judge=judge,
        human=people,
        rounded=labels,
        dialogue=dialogue,
        rater=rater,
        rating=rating,
        low=low,
        high=high,
        whole_labels=not (np.append(rating, [low, high]) % 1).any(),
        scale_mismatch=next(filter(None, mismatches), ""),
        both=both,
        used=both[dialogue],
    )


def _measure_ratings(scores: PairedScores, columns: list[int]) -> tuple[Codes, Codes, Floats]:
    """Dialogue, rater and rating of each rating of a measure, sorted by these three.

    A composite has the means of the known raters who rated all its metrics of a dialogue.
    """
    own = np.isin(scores.metric, columns)
    if len(columns) > 1:
        own &= scores.rater >= 0
    dialogue, rater, rating = scores.dialogue[own], scores.rater[own], scores.rating[own]
    if len(columns) > 1:
        n_raters = len(scores.raters)
        pairs, row = np.unique(dialogue * n_raters + rater, return_inverse=True)
        table = np.full((len(pairs), len(scores.metrics)), np.nan)
        table[row, scores.metric[own]] = rating
        means = mean_of_parts(table[:, columns]).values
        kept = ~np.isnan(means)
        dialogue, rater, rating = pairs[kept] // n_raters, pairs[kept] % n_raters, means[kept]
    order = np.lexsort((rating, rater, dialogue))
    return dialogue[order], rater[order], rating[order]


def _scale_mismatch(scores: PairedScores, column: int) -> str:
    """Why a metric's judge scores are not points of the human scale; "" if they are."""
    low, high = scale = scores.scale[scores.metrics[column]]
    own, judge = scores.judge_scale, scores.score[:, column]
    if own is not None and own != scale:
        return f"the judge scores on {own[0]:g}..{own[1]:g}, people on {low:g}..{high:g}"
    slack = TOLERANCE * max(abs(low), abs(high))
    if beyond := int(((judge < low - slack) | (judge > high + slack)).sum()):
        outside = "off the scale"
        if not scores.scale_declared:
            outside = "beyond what people gave, of no set scale,"
        return f"judge scores {outside} {low:g}..{high:g}: {beyond:,}"
    return ""
