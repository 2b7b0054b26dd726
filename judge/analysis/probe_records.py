"""What a probe found, as it is stored: a report only formats it and computes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from judge.records import plain_record

__all__ = [
    "FORMAT",
    "AlteredCell",
    "BaitFinding",
    "KnownAnswer",
    "LabelsUsed",
    "MeanShift",
    "MetricSensitivity",
    "ProbeFinding",
    "ProbeRecord",
    "ProbeRequirement",
    "Rescored",
    "SensitivityRow",
]

FORMAT = 1
"""The newest format of probe.json that this version reads."""

Expectation = Literal["steady", "falls"]


@dataclass(frozen=True, slots=True)
class MeanShift:
    """A mean over pairs with its interval. None, with a reason, where undefined.

    Attributes:
        n: the pairs that it rests on.
        value: a share in [0, 1], points of the scale, or a ratio, as its place says.
        lower, upper: the ends of the interval.
        reason: why something is missing, or what to know of the interval.
    """

    n: int
    value: float | None
    lower: float | None
    upper: float | None
    reason: str = ""

    @property
    def above_chance(self) -> bool:
        """Of a share: whether its interval lies above one half."""
        return self.lower is not None and self.lower > 0.5


@dataclass(frozen=True, slots=True)
class SensitivityRow:
    """One perturbation and one metric that it lowers.

    Attributes:
        perturbation, metric: their names.
        auc: strength -> how often the damaged form scores lower, ties one half.
        dose: how often the stronger of two neighbouring strengths scores lower, ties one half.
    """

    perturbation: str
    metric: str
    auc: Mapping[str, MeanShift]
    dose: MeanShift


@dataclass(frozen=True, slots=True)
class MetricSensitivity:
    """A metric over all perturbations that lower it.

    Attributes:
        metric: its name.
        auc: over all their strengths: what `--require` compares.
        dose: over all their neighbouring strengths.
    """

    metric: str
    auc: MeanShift
    dose: MeanShift


@dataclass(frozen=True, slots=True)
class AlteredCell:
    """What one alteration does to one measure.

    Attributes:
        alteration: of a perturbation (its strongest form) or of a bait, the name.
        measure: a metric, or `overall`.
        shift: mean of altered less unaltered score, in points.
        standardised: the same over the standard deviation of the unaltered scores; None where
            that is 0.
        target: whether the measure should fall.
    """

    alteration: str
    measure: str
    shift: MeanShift
    standardised: float | None
    target: bool


@dataclass(frozen=True, slots=True)
class BaitFinding:
    """One bait and one measure that must not rise (`steady`), or that must fall (`falls`).

    Attributes:
        bait, title, source: see `judge.baits.Bait`.
        measure: a metric, or `overall`.
        expected: what it should do.
        shift: in points.
        flips: the share of judgments whose most probable label changed.
        gained: the share of judgments whose score rose by a point or more.
        equivalent: whether the interval lies within the margin on both sides of 0.
        resisted: `steady`: True if the interval lies below the margin, False if it reaches the
            margin and lies above 0. `falls`: True if it lies below 0, False if it lies above minus
            the margin. None if that is open.
    """

    bait: str
    title: str
    source: str
    measure: str
    expected: Expectation
    shift: MeanShift
    flips: float | None
    gained: float | None
    equivalent: bool
    resisted: bool | None


@dataclass(frozen=True, slots=True)
class KnownAnswer:
    """Two replies of which one is known to be better.

    Attributes:
        name: `other_character` or `shuffled`.
        metrics: on which.
        auc: how often the worse one scores lower, ties one half, over these metrics.
        by_metric: the same for each of them.
        of: whose replies.
    """

    name: str
    metrics: tuple[str, ...]
    auc: MeanShift
    by_metric: Mapping[str, MeanShift]
    of: str


@dataclass(frozen=True, slots=True)
class Rescored:
    """The unaltered dialogues scored once more, in another way.

    Attributes:
        name: what was different.
        shift: of the overall score, in points.
        rms: root mean square difference of all scores, in points.
        rho: Spearman's rho of both, the mean over metrics; None where undefined.
        flips: the share of judgments whose most probable label changed.
        reason: why it was not done; then all else is None.
    """

    name: str
    shift: MeanShift | None = None
    rms: float | None = None
    rho: float | None = None
    flips: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class LabelsUsed:
    """How one metric's labels are used for the unaltered dialogues.

    Attributes:
        metric: its name.
        n: dialogues with a score.
        mean, sd: of the scores, in points.
        mass: mean label mass; `low_mass` is the share of judgments in which it is below one half.
        shares: how often each label is the most probable one.
        effective: exp of the entropy of the shares, from 1 to K labels.
        tied: the share of pairs of dialogues with the same score.
    """

    metric: str
    n: int
    mean: float | None
    sd: float | None
    mass: float | None
    low_mass: float | None
    shares: tuple[float, ...]
    effective: float | None
    tied: float | None


@dataclass(frozen=True, slots=True)
class ProbeFinding:
    """Everything about one judge with one rubric.

    Attributes:
        name: of both, as reports call them.
        judge, rubric: their names; the rubric with version, language and the start of its hash.
        fingerprint: of the judge.
        folder: where its judgments are, relative to the record.
        sensitivity: by metric.
        rows: by perturbation and metric.
        cells: by alteration and measure.
        specificity: perturbation -> fall of its targets less the mean absolute shift of all other
            metrics, in points, in its strongest form.
        halo: fall of the other metrics over fall of the targets: 0 if only the damaged metrics
            fall, 1 if all fall alike.
        baits: by bait and measure.
        known: by pair.
        rescored: by way.
        labels: by metric.
        length_points: what a doubling of the length does to the overall score, in points.
        length_explained: how much of the shifts of all altered replies follows from their length,
            in [0, 1].
        failed: judgments that could not be made, of `asked`.
        note: the warning of the judge.
    """

    name: str
    judge: str
    rubric: str
    fingerprint: str
    folder: str
    sensitivity: tuple[MetricSensitivity, ...]
    rows: tuple[SensitivityRow, ...]
    cells: tuple[AlteredCell, ...]
    specificity: Mapping[str, float | None]
    halo: MeanShift
    baits: tuple[BaitFinding, ...]
    known: tuple[KnownAnswer, ...]
    rescored: tuple[Rescored, ...]
    labels: tuple[LabelsUsed, ...]
    length_points: float | None
    length_explained: float | None
    asked: int
    failed: int
    note: str = ""

    @property
    def seen(self) -> list[str]:
        """The metrics on which damage is seen: their intervals lie above chance."""
        return [row.metric for row in self.sensitivity if row.auc.above_chance]

    @property
    def taken(self) -> list[BaitFinding]:
        """What buys points that it must not buy."""
        return [b for b in self.baits if b.expected == "steady" and b.resisted is False]

    @property
    def counts_length(self) -> bool:
        """Whether padding buys points, and most shifts follow from the length."""
        padded = any(b.bait == "length_padding" for b in self.taken)
        return padded and (self.length_explained or 0) >= 0.5


@dataclass(frozen=True, slots=True)
class ProbeRequirement:
    """A threshold of `--require`, and whether it was met.

    Attributes:
        text: as it was given, such as `fluency>=.8`.
        of: the name of the finding.
        value: what was found; None where it is unknown, which does not meet it.
        met: whether.
    """

    text: str
    of: str
    value: float | None
    met: bool


@dataclass(frozen=True, slots=True)
class ProbeRecord:
    """One probe: one judge, or several judges and rubrics on the same altered dialogues.

    Attributes:
        findings: by judge and rubric.
        titles: metric -> its title.
        labels: of the scale.
        groups: dimension -> its metrics, of those that were asked about.
        dialogues: of the sample, with so many `systems`, `characters` and `scenarios`.
        altered: how many altered dialogues were judged too.
        source: where the dialogues are from.
        confidence, resamples, seed: of the intervals and of all draws.
        margin: of the tests of equivalence, in points.
        requirements: thresholds that were asked for.
        provenance: what else is worth knowing.
        notes: warnings.
    """

    findings: tuple[ProbeFinding, ...]
    titles: Mapping[str, str]
    labels: tuple[str, ...]
    groups: Mapping[str, tuple[str, ...]]
    dialogues: int
    systems: int
    characters: int
    scenarios: int
    altered: int
    source: str
    confidence: float
    resamples: int
    seed: int
    margin: float
    requirements: tuple[ProbeRequirement, ...]
    provenance: Mapping[str, str]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The record as dicts, lists, texts and numbers."""
        return plain_record(self, format=FORMAT)
