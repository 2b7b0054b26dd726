"""The agreement of one judge with people, as it is stored: a report only formats it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from judge.analysis.results import MeasureKind
from judge.ratings.reference import REFERENCE_NOTE
from judge.records import plain_record
from judge.types import Turn

__all__ = [
    "COEFFICIENTS",
    "FORMAT",
    "LEVELS",
    "Agreement",
    "AltFloor",
    "AltTest",
    "Bin",
    "Ceiling",
    "Coefficient",
    "Disagreement",
    "Estimate",
    "Interval",
    "LeftOutSystem",
    "Level",
    "MeasureAgreement",
    "PairwiseAccuracy",
    "RaterPair",
    "Sentinel",
    "SystemPoint",
    "no_share",
]

FORMAT = 2
"""The newest format of agreement.json that this version reads."""

Level = Literal["all", "within_item", "within_system", "systems"]
"""Deutsch et al. (2021): all dialogues; those of each item or system, averaged; system means."""

LEVELS: tuple[Level, ...] = get_args(Level)

Coefficient = Literal["spearman", "kendall_b", "kendall_c", "pearson"]
COEFFICIENTS: tuple[Coefficient, ...] = get_args(Coefficient)


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval; both ends None, with a `reason`, where it is not defined.

    Attributes:
        lower, upper: the ends, in the unit of the estimate.
        method: `crossed jackknife`, `bootstrap percentile` (between systems), `Bonett-Wright` or
            `McGraw-Wong`; older files also have `bootstrap corrected`.
        undefined: how many resamples were left out because the statistic is undefined in them.
    """

    lower: float | None
    upper: float | None
    method: str
    undefined: int = 0
    reason: str = ""

    @property
    def width(self) -> float | None:
        """Upper minus lower end."""
        return None if self.lower is None or self.upper is None else self.upper - self.lower


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimate; `value` is None, with a `reason`, where it is undefined.

    Attributes:
        n: how many dialogues, systems, ratings or pairs it is computed from (see where it is used).
        groups: how many groups it is a mean over; 1 without grouping.
        undefined: how many groups were left out because a side is constant in them.
        interval: None for an estimate that never has one.
    """

    value: float | None
    n: int
    groups: int = 1
    undefined: int = 0
    interval: Interval | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PairwiseAccuracy:
    """Tie-calibrated pairwise accuracy (Deutsch et al. 2023).

    Attributes:
        accuracy: with tie thresholds that were chosen on other systems; n counts pairs.
        at_zero: with a threshold of 0.
        threshold: the best one over all systems, in points of the judge; None where undefined.
        tied: how many pairs have equal human scores.
    """

    accuracy: Estimate
    at_zero: float | None
    threshold: float | None
    tied: int


@dataclass(frozen=True, slots=True)
class AltFloor:
    """The alternative annotator test of a judge that gives one and the same score to everything.

    Attributes:
        name: `most frequent label` or `mean rating`.
        score: that score.
        winning_rate, advantage, passed: as of `AltTest`, with the same epsilon.
    """

    name: str
    score: float
    winning_rate: float
    advantage: float
    passed: bool


@dataclass(frozen=True, slots=True)
class AltTest:
    """The alternative annotator test (Calderon et al. 2025).

    Attributes:
        scores: the judge's expected scores (`continuous`), or these `rounded` to labels.
        epsilon: how much better annotators may be and still be replaced.
        winning_rate: omega, the share of the annotators that the judge may replace.
        advantage: rho, the mean over annotators of how often the judge is at least as close to the
            other annotators.
        annotators: how many were tested; the judge may replace `replaced` of them.
        items: fewest and most items that an annotator was tested on; (0, 0) without any.
        passed: whether omega >= .5; None where it could not be tested.
        floors: the same test of judges that have read nothing.
        left_out: the annotators who have too few items, and how many they have.
        cells: how many dialogues they were tested on.
    """

    scores: Literal["continuous", "rounded"]
    epsilon: float
    winning_rate: float | None
    advantage: float | None
    annotators: int
    replaced: int
    items: tuple[int, int]
    passed: bool | None
    reason: str = ""
    floors: tuple[AltFloor, ...] = ()
    left_out: tuple[tuple[str, int], ...] = ()
    cells: int = 0

    @property
    def verdict(self) -> str:
        """`passed` is a claim, so it is said only where no floor passes."""
        if self.passed is None:
            return "not tested"
        if self.passed and any(floor.passed for floor in self.floors):
            return "no claim"
        return "passed" if self.passed else "not passed"


def no_share(part: Estimate, ceiling: Estimate) -> str:
    """Why the judge's correlation is not given as a share of a ceiling."""
    if part.value is None or ceiling.value is None:
        return ceiling.reason or part.reason
    if part.value < 0:
        return "the judge's correlation is below 0"
    return "the ceiling is not clearly above 0"


@dataclass(frozen=True, slots=True)
class Ceiling:
    """How well people agree among themselves, as a ceiling for the judge.

    Attributes:
        rater: mean Spearman of one rater with the mean of the others; n counts dialogues.
        judge: the judge's Spearman with the mean of the same others.
        share: judge / spearman; None where either is undefined, the judge's is below 0, or the
            rater's is at most two standard errors of a null correlation, 2 / sqrt(dialogues per
            rater). In files of format 1 it is judge / rater.
        single: ICC(1), the reliability of one rating.
        mean: the reliability of the mean rating of a dialogue, with as many ratings as there are.
        pearson: sqrt(mean), the highest Pearson correlation that a judge can have with these means.
        pearson_share: the judge's Pearson over all dialogues / `pearson`; None where either is
            undefined or the judge's is below 0.
        repeated: how many of the `cells` (rated dialogues) have at least two ratings.
        spearman: rater / sqrt(single), the highest Spearman with these others that can be expected
            of a judge; not in files of format 1.
    """

    rater: Estimate
    judge: Estimate
    share: float | None
    single: Estimate
    mean: Estimate
    pearson: Estimate
    pearson_share: float | None
    repeated: int
    cells: int
    spearman: Estimate = Estimate(None, 0, reason="not known of format 1")

    @property
    def share_reason(self) -> str:
        """Why there is no `share`; "" where there is one."""
        return "" if self.share is not None else no_share(self.judge, self.spearman)


@dataclass(frozen=True, slots=True)
class Sentinel:
    """A score that does not depend on what the dialogue says (Perrella et al. 2024).

    Attributes:
        name: `reply length`, `character mean`, `item mean` or `system mean`.
        levels: Spearman with people at each level.
    """

    name: str
    levels: Mapping[Level, Estimate]


@dataclass(frozen=True, slots=True)
class Bin:
    """Dialogues with similar judge scores: a point of the reliability curve.

    Attributes:
        judge, human: mean scores.
        error: standard error of `human`; None for a single dialogue.
        n: how many dialogues.
    """

    judge: float
    human: float
    error: float | None
    n: int


@dataclass(frozen=True, slots=True)
class SystemPoint:
    """One system, over its n dialogues that have both scores.

    Attributes:
        judge, human: mean scores.
        judge_error, human_error: standard errors, clustered by character and scenario; None where
            undefined.
        within: Spearman within the system.
    """

    system: str
    n: int
    judge: float
    judge_error: float | None
    human: float
    human_error: float | None
    within: Estimate


@dataclass(frozen=True, slots=True)
class LeftOutSystem:
    """Spearman at the levels that compare systems, with one system left out."""

    system: str
    all: Estimate
    within_item: Estimate
    systems: Estimate


@dataclass(frozen=True, slots=True)
class MeasureAgreement:
    """One metric, dimension or the overall score.

    Attributes:
        parts: the metrics that it is the mean of; of a metric, itself.
        scale: lower and upper end of the human scale.
        scale_declared: whether the user gave them, or they were observed.
        n: how many dialogues have a judge's and a human score. All statistics but alpha,
            reliability and ceilings are computed from these.
        not_rated, not_judged: how many dialogues have only one of the two. A composite counts a
            dialogue here if any of its parts is missing.
        ratings: how many human ratings the n dialogues have; of a composite, rater means.
        levels: every coefficient at every level. Spearman and Pearson have intervals.
        bonett_wright: interval of Spearman of the systems (Bonett and Wright 2000), for the order
            of means over as many dialogues of ten systems or more.
        permutation_p: permutation test of Spearman of the systems.
        permutation_exact: whether it went through all permutations.
        rmse, mae, bias: of the judge against the mean rating of a dialogue, in points; undefined
            where the judge scores on another scale. MAE and bias have intervals.
        kappa: quadratic kappa of the rounded judge with single ratings, over all labels.
        alpha_human: Krippendorff's alpha (interval) of people; n counts ratings, groups dialogues.
        alpha_with_judge: the same with the judge as one more rater.
        soft_pairwise: soft pairwise accuracy (Thompson et al. 2024); n counts pairs of systems.
        confusion: `[human][judge]` counts of single ratings and the rounded judge, from the low end
            of the scale; empty for composites, ratings with fractions and other scales.
        curve: the reliability curve, by rising judge score.
        systems: by falling human mean.
        without: each system left out once, in the order of `systems`.
        constant: what a judge that gives one and the same score to everything has: `mae` of the
            median of the human scores, `rmse` of their mean, `soft_pairwise`, and `pairwise`
            accuracy if it ties all. Kappa and alpha are 0 for such a judge, correlations undefined.
        icc: `all` dialogues or `systems` -> intraclass correlations of the judge with the mean of
            people (McGraw and Wong 1996): `ICC(A,1)`, `ICC(C,1)`, `ICC(A,k)`, with k = 2 sides.
        equal: of categories, the share of ratings that are the judge's label.
    """

    name: str
    kind: MeasureKind
    title: str
    parts: tuple[str, ...]
    scale: tuple[float, float]
    scale_declared: bool
    n: int
    not_rated: int
    not_judged: int
    ratings: int
    levels: Mapping[Coefficient, Mapping[Level, Estimate]]
    bonett_wright: Interval
    permutation_p: Estimate
    permutation_exact: bool
    rmse: Estimate
    mae: Estimate
    bias: Estimate
    kappa: Estimate
    alpha_human: Estimate
    alpha_with_judge: Estimate
    soft_pairwise: Estimate
    pairwise: PairwiseAccuracy
    annotator_tests: tuple[AltTest, ...]
    ceiling: Ceiling
    sentinels: tuple[Sentinel, ...]
    confusion: tuple[tuple[int, ...], ...]
    curve: tuple[Bin, ...]
    systems: tuple[SystemPoint, ...]
    without: tuple[LeftOutSystem, ...]
    constant: Mapping[str, Estimate] = field(default_factory=dict)
    icc: Mapping[str, Mapping[str, Estimate]] = field(default_factory=dict)
    equal: Estimate | None = None

    @property
    def spearman(self) -> Mapping[Level, Estimate]:
        """Spearman's rho at every level."""
        return self.levels["spearman"]


@dataclass(frozen=True, slots=True)
class RaterPair:
    """Spearman of two raters, people or judges, on the dialogues that both have rated."""

    measure: str
    first: str
    second: str
    spearman: Estimate


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A dialogue on which judge and people differ much in one metric.

    Attributes:
        human: mean rating.
        gap: judge minus human, in points; where the two are on different scales, in standard
            deviations of each side.
        p: the judge's probability of each label; () where it gave a number only.
        ratings: the (rater, rating) pairs behind `human`.
        turns: the text of the dialogue; () where it is not known.
    """

    system: str
    character: str
    scenario: str
    metric: str
    judge: float
    human: float
    gap: float
    p: tuple[float, ...]
    ratings: tuple[tuple[str, float], ...]
    turns: tuple[Turn, ...] = ()
    rationale: str | None = None


@dataclass(frozen=True, slots=True)
class Agreement:
    """All that a report on one judge shows.

    Attributes:
        judge: its name.
        provenance: label -> text: model, rubric, prompts, programs, the file of ratings, ...
        simulated: whether some ratings were drawn by a program. Every page says so.
        partial: which judgments of the run are still missing; "" if none. Every page says so.
        notes: warnings, such as on ratings that were refused or belong to nothing.
        item: what an item is: `character and scenario`, one of them where the other is the same
            for all, or `item` in a table.
        systems, items, raters, ratings: how many there are.
        cells: how many pairs of dialogue and metric are rated; `cells_repeated` of them more than
            once.
        resamples, confidence, seed, systems_fixed: of the intervals; 0 resamples: there are none.
        epsilon: of the alternative annotator test, for `annotators`: expert, skilled or crowd.
        annotators_min_others: of that test, how many others must have rated a dialogue.
        titles: measure -> title.
        groups: dimension -> its metrics, in report order. A dimension that lacks a metric is in
            `groups` but is no measure.
        measures: metrics dimension by dimension, each followed by the dimension; overall last.
        pairs: raters compared with each other, if they are few.
        categories: the labels, where they are no numbers; kappa and alpha are then nominal.
        disagreements: metric by metric in the order of the measures, largest gap first.
    """

    judge: str
    provenance: Mapping[str, str]
    simulated: bool
    partial: str
    notes: tuple[str, ...]
    item: str
    systems: int
    items: int
    raters: int
    ratings: int
    cells: int
    cells_repeated: int
    resamples: int
    confidence: float
    seed: int
    systems_fixed: bool
    epsilon: float
    annotators: str
    titles: Mapping[str, str]
    groups: Mapping[str, tuple[str, ...]]
    measures: tuple[MeasureAgreement, ...]
    pairs: tuple[RaterPair, ...] = ()
    disagreements: tuple[Disagreement, ...] = field(default=(), repr=False)
    annotators_min_others: int = 2
    categories: tuple[str, ...] = ()

    @property
    def reference(self) -> bool:
        """Whether the ratings are the reference judgments: a strong LLM's. Every page says so."""
        return REFERENCE_NOTE in self.notes

    def measure(self, name: str) -> MeasureAgreement:
        """The measure called `name`; KeyError if there is none."""
        for measure in self.measures:
            if measure.name == name:
                return measure
        raise KeyError(name)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, with the version of the format."""
        return plain_record(self, format=FORMAT)
