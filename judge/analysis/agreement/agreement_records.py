"""How far one judge agrees with people: frozen, versioned, nothing left for a report to compute."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from judge.records import plain_record
from judge.types import Turn

__all__ = [
    "COEFFICIENTS",
    "FORMAT",
    "LEVELS",
    "Agreement",
    "AltTest",
    "Bin",
    "Ceiling",
    "Coefficient",
    "Disagreement",
    "Estimate",
    "Interval",
    "Kind",
    "LeftOutSystem",
    "Level",
    "MeasureAgreement",
    "PairwiseAccuracy",
    "RaterPair",
    "Sentinel",
    "SystemPoint",
    "no_share",
]

FORMAT = 1
"""The newest format of agreement.json that this version reads."""

Level = Literal["all", "within_item", "within_system", "systems"]
LEVELS: tuple[Level, ...] = ("all", "within_item", "within_system", "systems")

Coefficient = Literal["spearman", "kendall_b", "kendall_c", "pearson"]
COEFFICIENTS: tuple[Coefficient, ...] = ("spearman", "kendall_b", "kendall_c", "pearson")

Kind = Literal["metric", "dimension", "overall"]


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a number may lie; both ends None, with a `reason`, where that is not known.

    Attributes:
        lower, upper: the ends, in the unit of the number.
        method: `bootstrap percentile`, `bootstrap corrected` or `Bonett-Wright`.
        undefined: resamples in which the number did not exist; left out.
    """

    lower: float | None
    upper: float | None
    method: str
    undefined: int = 0
    reason: str = ""

    @property
    def width(self) -> float | None:
        """Upper less lower end."""
        return None if self.lower is None or self.upper is None else self.upper - self.lower


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number and what it rests on; `value` is None, with a `reason`, where it is undefined.

    Attributes:
        n: dialogues, systems, ratings or pairs behind it, as its place says.
        groups: over how many groups it is a mean; 1 where there is no grouping.
        undefined: groups left out because a side is constant in them.
        interval: None where none is meant to be.
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
        accuracy: with the tie threshold chosen on the other systems; n counts pairs.
        at_zero: the same with a threshold of 0.
        threshold: the best one for all systems together, in points of the judge; None where
            undefined.
        tied: pairs that people tie.
    """

    accuracy: Estimate
    at_zero: float | None
    threshold: float | None
    tied: int


@dataclass(frozen=True, slots=True)
class AltTest:
    """The alternative annotator test (Calderon et al. 2025) of one way to read the judge.

    Attributes:
        scores: `continuous`, the judge's expectations, or `rounded` to labels.
        epsilon: by how much people may be better and still be replaced.
        winning_rate: omega, share of the annotators that the judge may replace.
        advantage: rho, the mean over annotators of how often the judge is at least as close.
        annotators: tested; `replaced` of them the judge may replace.
        items: fewest and most items an annotator was tested on; (0, 0) where none was.
        passed: omega >= .5; None where it could not be tested.
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


def no_share(part: Estimate, whole: Estimate) -> str:
    """Why one of two correlations is no share of the other."""
    if part.value is None or whole.value is None:
        return whole.reason or part.reason
    if part.value < 0:
        return "the judge's correlation is below 0"
    return "the ceiling is not clearly above 0"


@dataclass(frozen=True, slots=True)
class Ceiling:
    """What people reach among themselves.

    Attributes:
        rater: mean Spearman of one rater with the mean of the others; n counts cells.
        judge: the judge's Spearman with the mean of the same others.
        share: judge / rater; None where either is undefined, the judge's is below 0, or the
            rater's no more than two standard errors of a null correlation, 2 / sqrt(cells each).
        single: ICC(1), reliability of one rating.
        mean: reliability of the mean rating of a cell, at the numbers of ratings that there are.
        pearson: the highest Pearson correlation that a judge can have with these means,
            sqrt(mean).
        pearson_share: the judge's Pearson over all dialogues / `pearson`; None where either is
            undefined or the judge's is below 0.
        repeated: cells with at least two ratings, of `cells`.
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

    @property
    def share_reason(self) -> str:
        """Why there is no `share`; "" where there is one."""
        return "" if self.share is not None else no_share(self.judge, self.rater)


@dataclass(frozen=True, slots=True)
class Sentinel:
    """A score that cannot have read the dialogue (Perrella et al. 2024), in the judge's place.

    Attributes:
        name: `reply length`, `character mean`, `system mean`, ...
        levels: its Spearman at each level.
    """

    name: str
    levels: Mapping[Level, Estimate]


@dataclass(frozen=True, slots=True)
class Bin:
    """Dialogues with like judge scores: a point of the reliability curve.

    Attributes:
        judge, human: mean scores.
        error: standard error of `human` over the dialogues; None for a single one.
        n: dialogues.
    """

    judge: float
    human: float
    error: float | None
    n: int


@dataclass(frozen=True, slots=True)
class SystemPoint:
    """One system, by its dialogues that have both scores.

    Attributes:
        judge, human: mean scores; `judge_error`, `human_error` their standard errors, clustered
            by character and scenario; None where undefined.
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
    """Spearman at the levels that need several systems, with one system left out."""

    system: str
    all: Estimate
    within_item: Estimate
    systems: Estimate


@dataclass(frozen=True, slots=True)
class MeasureAgreement:
    """One metric, dimension or the overall score.

    Attributes:
        parts: the metrics it is the mean of; of a metric, itself.
        scale: ends of the human scale, and whether they were declared or just observed.
        n: dialogues with a judge's and a human score; all figures but alpha, reliability and
            ceilings rest on them.
        not_rated, not_judged: dialogues that have just one of the two; a composite counts a
            dialogue here whatever part it lacks.
        ratings: human ratings of these n dialogues; of a composite, raters' means of all parts.
        levels: every coefficient at every level. Spearman and Pearson carry bootstrap intervals.
        bonett_wright: the interval of Spearman of the systems that needs no resampling.
        permutation_p: of Spearman of the systems; `permutation_exact` if by all orders.
        rmse, mae, bias: of the judge against the mean rating of a dialogue, in points; undefined
            where the judge scores on another range. MAE and bias carry bootstrap intervals.
        kappa: quadratic, of the rounded judge against single ratings, labels fixed to the scale.
        alpha_human: Krippendorff's, interval, among people; n counts ratings, groups cells.
        alpha_with_judge: the same with the judge as one more rater.
        soft_pairwise: soft pairwise accuracy (Thompson et al. 2024); n counts pairs of systems.
        confusion: `[human][judge]` counts over single ratings with the judge rounded, from the low
            end of the scale; empty for composites, fractions and other ranges.
        curve: the reliability curve, by rising judge score.
        systems: by falling human mean.
        without: leave-one-system-out, ordered as `systems`.
    """

    name: str
    kind: Kind
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

    @property
    def spearman(self) -> Mapping[Level, Estimate]:
        """The headline: Spearman's rho at every level."""
        return self.levels["spearman"]


@dataclass(frozen=True, slots=True)
class RaterPair:
    """Spearman of two raters, people or judges, on what both have rated."""

    measure: str
    first: str
    second: str
    spearman: Estimate


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A dialogue on which judge and people differ much in one metric.

    Attributes:
        human: mean rating; `ratings` are the (rater, rating) pairs behind it, in order.
        p: the judge's probability of each label; () where it gave a number only.
        gap: judge less human, in points; where the two are on different ranges, in standard
            deviations of either side.
        turns: the dialogue; () where its text is not known.
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
    """Everything a report on one judge says.

    Attributes:
        judge: its name.
        provenance: what made it, as (what, value) texts: model, rubric with version and hash,
            prompts, language, programs, ratings file with its SHA-256, seed, B.
        simulated: some ratings were drawn by a program. Every page says so.
        partial: "" or what of the run is still missing. Every page says so.
        notes: warnings and counts to show at the top: what matched nothing, what was refused.
        item: what an item is, `character and scenario` or the table's `item`.
        systems, items, raters: how many; `ratings` human ratings in all that were used.
        cells_repeated: rated cells (dialogue x metric) with two or more raters, of `cells`.
        resamples, confidence, seed, systems_fixed: of the bootstrap; 0 resamples: none was asked.
        epsilon: of the annotator test; `annotators` says what for: expert, skilled, crowd.
        titles: a title for each measure; `groups` maps a dimension to its metrics, in order. A
            dimension whose metrics are not all there is in `groups` but is no measure.
        measures: metrics group by group, each followed by its dimension; overall last.
        pairs: raters against each other, where they are few.
        disagreements: by metric in the order of the measures, largest gap first.
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

    def measure(self, name: str) -> MeasureAgreement:
        """The measure called `name`; KeyError if there is none."""
        for measure in self.measures:
            if measure.name == name:
                return measure
        raise KeyError(name)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, with the version of the format."""
        return plain_record(self, format=FORMAT)
