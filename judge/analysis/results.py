"""The results of a run: frozen, versioned, and nothing a report would have to compute."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from judge.analysis.published import PublishedMeans
from judge.analysis.reply_diversity import DiversityResults
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
    "MetricScore",
    "Results",
    "SystemAgreement",
    "SystemResults",
]

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


FORMAT = 4
"""The newest format of results.json that this version reads."""

OVERALL = "overall"


@dataclass(frozen=True, slots=True)
class Measure:
    """One metric, dimension or the overall score of one system, over its dialogues.

    Attributes:
        dialogues: how many dialogues were asked about.
        n: how many of them have a score.
        mean: on the label scale; None when nothing was scored.
        standard_error: None, with a reason, when undefined.
        clustered_by: what the standard error is clustered by.
        unscored: why the other dialogues have no score, counted by failure code. A dimension
            counts a dialogue once, under the code of its first missing metric.
        flagged: share of the judgments behind the n scores whose label mass is below .5.
        top_is_label: share of them where the most probable token is a label.
        sampled: how many of them are shares of sampled answers.
    """

    name: str
    kind: Literal["metric", "dimension", "overall"]
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
        """Share of the dialogues asked about that have no score."""
        return 1 - self.n / self.dialogues


@dataclass(frozen=True, slots=True)
class SystemResults:
    """One system: how much of it was judged, and its measures by name in report order."""

    system: str
    dialogues: int
    characters: int
    scenarios: int
    measures: Mapping[str, Measure]

    @property
    def unscored_share(self) -> float:
        """Share of all judgments asked for, over the metrics, that have no score."""
        asked = [measure for measure in self.measures.values() if measure.kind == "metric"]
        scored = sum(measure.n for measure in asked)
        return 1 - scored / sum(measure.dialogues for measure in asked)

    @property
    def sampled(self) -> bool:
        """Whether any score of it is a share of sampled answers."""
        return any(measure.sampled for measure in self.measures.values())

    def mean(self, name: str) -> float | None:
        """The mean of the measure called `name`, or None where there is none."""
        measure = self.measures.get(name)
        return None if measure is None else measure.mean


@dataclass(frozen=True, slots=True)
class JudgedDimension:
    """A dimension and those of its metrics that were asked; `complete` if all were."""

    name: str
    metrics: tuple[str, ...]
    complete: bool


@dataclass(frozen=True, slots=True)
class MetricScore:
    """One metric of one dialogue: its expected score and what it was read from.

    `rationale` is the reason that the judge wrote first, None where it was not asked for one.
    """

    metric: str
    score: float
    p: tuple[float, ...]
    label_mass: float
    reading: Reading = "exact"
    rationale: str | None = None


@dataclass(frozen=True, slots=True)
class ExtremeDialogue:
    """A dialogue with one of the lowest or highest scores; `turns` empty if not at hand."""

    system: str
    character: str
    scenario: str
    score: float
    metrics: tuple[MetricScore, ...]
    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class FailureCount:
    """How many judgments failed with one code, and one of them as an example."""

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
class Results:
    """All that a report says of a run.

    `systems` are ordered by their overall mean, highest first. `titles` name every metric,
    dimension and the overall score for people. `extremes_by` is `overall`, or `asked` where
    the overall score is undefined because not every metric was asked: then the extremes go
    by the mean of those that were. `readings` counts the scores by how they were read: `exact`,
    `truncated` or `sampled`. All means are raw judge scores; `calibration` has those on the human
    scale, None where the run was not calibrated. `diversity` is what was judged and measured over
    many replies, None where that was not asked for. `played` has the systems that played for this
    run, if their dialogues were not recorded ones.
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

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that were asked, in rubric order."""
        return tuple(metric for group in self.groups for metric in group.metrics)

    @property
    def measures(self) -> tuple[str, ...]:
        """Every measure in report order: a dimension, then its metrics; overall last."""
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
        """How many dialogues were judged, over all systems."""
        return sum(system.dialogues for system in self.systems)

    @property
    def signature(self) -> Mapping[str, str]:
        """What the numbers hang on, short enough to stand beside them."""
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
