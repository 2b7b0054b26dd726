"""The results of a run, as they are stored: a report only formats them and computes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from judge.analysis.published import PublishedMeans
from judge.analysis.reply_diversity import DiversityResults
from judge.calibration_file import CalibrationKind, adds_nothing
from judge.records import plain_record
from judge.roleplay.playing_summary import PlayingSummary
from judge.types import Reading, Turn

__all__ = [
    "FORMAT",
    "OVERALL",
    "Basis",
    "CalibratedMean",
    "CalibratedMetric",
    "CalibratedResults",
    "ExtremeDialogue",
    "FailureCount",
    "JudgedDimension",
    "Measure",
    "MeasureKind",
    "MetricScore",
    "ReferenceAgreement",
    "ReferenceMeasure",
    "Results",
    "Rho",
    "SystemAgreement",
    "SystemResults",
]

Basis = Literal["new", "fitted", "labelled"]
"""What an interval comes from. `new`: the errors of held-out systems; the calibration was fitted
without this system. `labelled`: also ratings of some of its own dialogues, which no map has seen.
`fitted`: the calibration was fitted to this system's human scores, so that there is no interval."""


MeasureKind = Literal["metric", "dimension", "overall"]


@dataclass(frozen=True, slots=True)
class CalibratedMean:
    """One measure of one system on the human scale.

    Attributes:
        n: how many dialogues it is the mean of.
        mean: None, with a reason, where undefined.
        lower, upper: the interval; None, with a reason, where there is none.
        basis: what the interval comes from.
        labelled: how many of the dialogues have ratings that were used.
        reason: why the mean or the interval is missing.
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
    """How one metric was calibrated. Errors are those of held-out systems, in points of the scale.

    Attributes:
        metric: its name.
        map: the name of the fitted map; "", with a `reason`, where there is none.
        before, after: mean absolute error of the raw and of the calibrated scores.
        bias_before, bias_after: mean of score minus rating.
        keeps_order: whether the map rises with the raw score, so that it reverses no order.
        radius: half the width of the interval for one rating of a dialogue.
        coverage: lowest and highest share of a held-out system's ratings within such intervals.
        reason: why there is no map.
        notes: warnings.
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
    """The calibration that was applied, and every system's measures on the human scale.

    Attributes:
        kind: fitted to ratings of dialogues, or to published means of systems.
        source, sha256: name and hash of the file that it was fitted to.
        created: when, in ISO 8601.
        scale: lower and upper end of the human scale.
        confidence: of every interval.
        fitted: the systems that it was fitted to.
        metrics: how each metric was calibrated.
        means: system -> measure -> its mean on the human scale.
        labels: name of the file of ratings of new systems that was used too; "" without one.
        notes: warnings.
    """

    kind: CalibrationKind
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
        """The file it was fitted to, with the beginning of its hash."""
        return f"{self.source} {self.sha256[:8]}"

    def mean(self, system: str, measure: str) -> CalibratedMean | None:
        """A measure of a system, or None where it has none."""
        return self.means.get(system, {}).get(measure)

    @property
    def orders(self) -> bool:
        """Whether the systems are in the order of their calibrated overall scores."""
        overall = (measures.get(OVERALL) for measures in self.means.values())
        return any(mean is not None and mean.mean is not None for mean in overall)

    @property
    def verdict(self) -> str:
        """For which metrics the judge adds nothing; "" for none. The first of the notes."""
        return adds_nothing({metric.metric: metric.reason for metric in self.metrics})

    @property
    def missing(self) -> tuple[str, ...]:
        """The reasons why means or intervals are missing, each once."""
        rows = [mean for measures in self.means.values() for mean in measures.values()]
        return tuple(sorted({row.reason for row in rows if row.reason}))


FORMAT = 5
"""The newest format of results.json that this version reads."""

OVERALL = "overall"


@dataclass(frozen=True, slots=True)
class Measure:
    """One metric, dimension or the overall score of one system, over its dialogues.

    Attributes:
        dialogues: how many there are.
        n: how many of them have a score.
        mean: on the label scale; None where n is 0.
        standard_error: None, with a reason, where undefined.
        clustered_by: `character`, `scenario` or both.
        unscored: code of a failure -> how many dialogues have no score for it. A composite counts
            a dialogue once, under the code of its first missing metric.
        flagged: share of the judgments behind the n scores whose label mass is below .5.
        top_is_label: share of these judgments where the most probable token is a label.
        sampled: how many of these judgments are shares of sampled answers.
    """

    name: str
    kind: MeasureKind
    dialogues: int
    n: int
    mean: float | None
    standard_error: float | None
    clustered_by: tuple[str, ...]
    standard_error_reason: str
    unscored: Mapping[str, int]
    flagged: float | None
    top_is_label: float | None
    sampled: int = 0

    @property
    def unscored_share(self) -> float:
        """Share of the dialogues that have no score."""
        return 1 - self.n / self.dialogues


@dataclass(frozen=True, slots=True)
class SystemResults:
    """One system: how many dialogues it has, and name -> measure in report order."""

    system: str
    dialogues: int
    characters: int
    scenarios: int
    measures: Mapping[str, Measure]

    @property
    def unscored_share(self) -> float:
        """Share of its dialogues and metrics that have no score."""
        metrics = [measure for measure in self.measures.values() if measure.kind == "metric"]
        scored = sum(measure.n for measure in metrics)
        return 1 - scored / sum(measure.dialogues for measure in metrics)

    @property
    def sampled(self) -> bool:
        """Whether any of its scores is a share of sampled answers."""
        return any(measure.sampled for measure in self.measures.values())

    def mean(self, name: str) -> float | None:
        """The mean of a measure, or None where there is none."""
        measure = self.measures.get(name)
        return None if measure is None else measure.mean


@dataclass(frozen=True, slots=True)
class JudgedDimension:
    """A dimension with those of its metrics that were judged; `complete` if all were."""

    name: str
    metrics: tuple[str, ...]
    complete: bool


@dataclass(frozen=True, slots=True)
class MetricScore:
    """One metric of one dialogue: the expected score and the label probabilities `p` behind it.

    `rationale` is the reason that the judge wrote first; None if it was not asked for one.
    """

    metric: str
    score: float
    p: tuple[float, ...]
    label_mass: float
    reading: Reading = "exact"
    rationale: str | None = None


@dataclass(frozen=True, slots=True)
class ExtremeDialogue:
    """A dialogue with one of the lowest or highest scores; `turns` is () where not known."""

    system: str
    character: str
    scenario: str
    score: float
    metrics: tuple[MetricScore, ...]
    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class FailureCount:
    """How many judgments failed with one code; reason and name of the first of them."""

    code: str
    count: int
    reason: str
    example: str


@dataclass(frozen=True, slots=True)
class SystemAgreement:
    """Spearman's rho of the judge's and the published system means of one measure."""

    measure: str
    rho: float | None
    n: int
    reason: str


@dataclass(frozen=True, slots=True)
class Rho:
    """A Spearman correlation with its interval; None, with a `reason`, where undefined."""

    value: float | None
    lower: float | None = None
    upper: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ReferenceMeasure:
    """How far the judge agrees with the reference on one measure.

    Attributes:
        measure: its name.
        n: how many dialogues have both scores.
        over_all, within_item, systems: Spearman's rho over all dialogues, as the mean over items
            (a character in a scenario), and of the means of the systems.
        readings_all, readings_within_item, readings_systems: the same of the reference's two
            readings of one dialogue with each other, without intervals.
    """

    measure: str
    n: int
    over_all: Rho
    within_item: Rho
    systems: Rho
    readings_all: Rho
    readings_within_item: Rho
    readings_systems: Rho


@dataclass(frozen=True, slots=True)
class ReferenceAgreement:
    """How far the judge agrees with the reference judgments that ship with the program.

    Attributes:
        dialogues, systems: of this run that have reference judgments.
        of: how many dialogues the reference has; `read_twice` of them in two readings.
        rubric: that of the reference; `same_rubric` says whether this run was asked by it.
        confidence: of the intervals.
        measures: in report order.
    """

    dialogues: int
    systems: int
    of: int
    read_twice: int
    rubric: str
    same_rubric: bool
    confidence: float
    measures: tuple[ReferenceMeasure, ...]


@dataclass(frozen=True, slots=True)
class Results:
    """All that a report shows of a run. All means are raw judge scores, except in `calibration`.

    Attributes:
        rubric, rubric_version, rubric_hash, language: of the rubric set.
        labels: of the judge's scale, in order.
        titles: metric, dimension or overall score -> its title.
        groups: the judged dimensions, in report order.
        systems: highest overall mean first.
        failures: most frequent code first.
        extremes_by: what the extreme dialogues are sorted by: the overall score, or where not every
            metric was judged the mean of those that were (`asked`).
        lowest, highest: the extreme dialogues.
        published: published means beside the judge's; None without.
        agreement: Spearman's rho of system means with the published ones, by measure.
        provenance: what made the run, as label -> text.
        notes: warnings.
        readings: how probabilities were read (see `judge.types.Reading`) -> how many scores.
        calibration: the means on the human scale; None if the run was not calibrated.
        diversity: response diversity; None if it was neither judged nor measured.
        played: summaries of the systems that played in this run.
        reference: agreement with the reference judgments; None where the run holds none of their
            dialogues.
    """

    rubric: str
    rubric_version: str
    rubric_hash: str
    language: str
    labels: tuple[str, ...]
    titles: Mapping[str, str]
    groups: tuple[JudgedDimension, ...]
    systems: tuple[SystemResults, ...]
    failures: tuple[FailureCount, ...]
    extremes_by: Literal["overall", "asked"]
    lowest: tuple[ExtremeDialogue, ...]
    highest: tuple[ExtremeDialogue, ...]
    published: PublishedMeans | None
    agreement: tuple[SystemAgreement, ...]
    provenance: Mapping[str, str]
    notes: tuple[str, ...]
    readings: Mapping[Reading, int] = field(default_factory=dict)
    calibration: CalibratedResults | None = None
    diversity: DiversityResults | None = None
    played: tuple[PlayingSummary, ...] = ()
    reference: ReferenceAgreement | None = None

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that were asked, in rubric order."""
        return tuple(metric for group in self.groups for metric in group.metrics)

    @property
    def measures(self) -> tuple[str, ...]:
        """All measures in report order: each dimension, then its metrics; overall last."""
        names: list[str] = []
        for group in self.groups:
            names += [*([group.name] if group.complete else []), *group.metrics]
        return (*names, OVERALL) if OVERALL in self.titles else tuple(names)

    def parts(self, measure: str) -> tuple[str, ...]:
        """The metrics that a measure is the mean of."""
        for group in self.groups:
            if group.name == measure:
                return group.metrics
        return self.metrics if measure == OVERALL else (measure,)

    @property
    def dialogues(self) -> int:
        """How many dialogues all systems have together."""
        return sum(system.dialogues for system in self.systems)

    @property
    def signature(self) -> Mapping[str, str]:
        """What the numbers depend on, short enough to be shown beside them."""
        facts = ("judge", "seed", "rationale")
        known = {key: self.provenance[key] for key in facts if key in self.provenance}
        rubric = f"{self.rubric} {self.rubric_version} {self.language} {self.rubric_hash[:8]}"
        total = sum(self.readings.values())
        read = {str(k): f"{n} of {total}" for k, n in self.readings.items() if k != "exact"}
        scores = "raw judge scores"
        if self.calibration is not None:
            scores += f", and calibrated ones ({self.calibration.title})"
        return {**known, "rubric": rubric, "n": str(self.dialogues), **read, "scores": scores}

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, with the version of the format."""
        return plain_record(self, format=FORMAT)
