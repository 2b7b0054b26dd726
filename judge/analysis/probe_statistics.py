"""From the judgments of a probe to its findings."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from calibration.agreement.correlation import spearman
from calibration.arrays import Codes, Floats
from calibration.probing import PairMean, PairResamples, label_use, length_effect, lowered
from judge.analysis.probe_records import (
    AlteredCell,
    BaitFinding,
    Expectation,
    KnownAnswer,
    LabelsUsed,
    MeanShift,
    MetricSensitivity,
    ProbeFinding,
    Rescored,
    SensitivityRow,
)
from judge.analysis.probe_set import CLEAN, FANS, REPEATED, SHUFFLED, ProbeSet, levels
from judge.analysis.ranking import HUMAN
from judge.baits import ALL, BAITS, Bait
from judge.perturbations import PERTURBATIONS, ROLE, Perturbation
from judge.types import Dialogue, Failure, Judgment

__all__ = ["MARGIN", "JudgedAs", "ProbeDesign", "find"]

MARGIN = 0.2
"""Shifts within so many points on both sides of 0 count as none."""

_LOW_MASS = 0.5
_SHUFFLED_METRICS = ("coherency", "fluency")


class JudgedAs(NamedTuple):
    """What a finding is of; see `ProbeFinding`."""

    name: str
    judge: str
    rubric: str
    fingerprint: str
    folder: str
    note: str


@dataclass(frozen=True, slots=True)
class ProbeDesign:
    """What all findings of a probe share.

    Attributes:
        metrics: that were judged, in the order of reports.
    """

    probe_set: ProbeSet
    metrics: tuple[str, ...]
    confidence: float
    resamples: int
    seed: int

    def resampler(self, dialogues: Sequence[Dialogue]) -> PairResamples:
        """Resamples of these dialogues."""
        return PairResamples(
            [d.character for d in dialogues],
            [d.scenario for d in dialogues],
            np.random.default_rng(self.seed),
            resamples=self.resamples,
            confidence=self.confidence,
        )


class _Scores(NamedTuple):
    """Of one variant: (n, M + 1) scores, overall last; (n, M) top labels, -1 where none."""

    score: Floats
    top: Codes


def find(
    design: ProbeDesign,
    judged: JudgedAs,
    judgments: Sequence[Judgment],
    others: Mapping[str, Sequence[Judgment] | str],
) -> ProbeFinding:
    """Everything that the judgments of one judge with one rubric say.

    Args:
        design: what was judged.
        judged: by whom.
        others: another way of scoring the sample -> its judgments of `CLEAN`, or why there are
            none.
    """
    return _Finder(design, judgments).finding(judged, others)


class _Finder:
    def __init__(self, design: ProbeDesign, judgments: Sequence[Judgment]) -> None:
        self.design, self.judgments = design, judgments
        self.metrics = design.metrics
        self.resamples = design.resampler(design.probe_set.sample)
        self.scores = dict(_tables(design, judgments))
        self.clean = self.scores[CLEAN]
        self.sd = [_sd(column) for column in self.clean.score.T]
        self.perturbations = {
            name: p
            for name, p in PERTURBATIONS.items()
            if any(f"{name}@{level}" in self.scores for level in levels(p))
        }

    def finding(
        self, judged: JudgedAs, others: Mapping[str, Sequence[Judgment] | str]
    ) -> ProbeFinding:
        rows, sensitivity = self._sensitivity()
        points, explained = self._length()
        return ProbeFinding(
            name=judged.name,
            judge=judged.judge,
            rubric=judged.rubric,
            fingerprint=judged.fingerprint,
            folder=judged.folder,
            sensitivity=sensitivity,
            rows=rows,
            cells=tuple(self._cells()),
            specificity={name: self._specificity(name) for name in self._targeted()},
            halo=self._halo(),
            baits=tuple(self._baits()),
            known=tuple(self._known()),
            rescored=tuple(self._rescored(others)),
            labels=tuple(self._labels()),
            length_points=points,
            length_explained=explained,
            asked=len(self.judgments),
            failed=sum(isinstance(j.outcome, Failure) for j in self.judgments),
            note=judged.note,
        )

    # Sensitivity

    def _targeted(self) -> dict[str, Perturbation]:
        return {n: p for n, p in self.perturbations.items() if set(p.lowers) & set(self.metrics)}

    def _strengths(self, name: str) -> list[str]:
        variants = (f"{name}@{level}" for level in levels(self.perturbations[name]))
        return [variant for variant in variants if variant in self.scores]

    def _sensitivity(self) -> tuple[tuple[SensitivityRow, ...], tuple[MetricSensitivity, ...]]:
        rows: list[SensitivityRow] = []
        aucs: dict[str, list[Floats]] = {metric: [] for metric in self.metrics}
        doses: dict[str, list[Floats]] = {metric: [] for metric in self.metrics}
        for name, perturbation in self._targeted().items():
            strengths = self._strengths(name)
            for metric in filter(self.metrics.__contains__, perturbation.lowers):
                at = self.metrics.index(metric)
                forms = [self.scores[variant].score[:, at] for variant in strengths]
                shares = [lowered(self.clean.score[:, at], form) for form in forms]
                steps = [lowered(weak, strong) for weak, strong in pairwise(forms)]
                aucs[metric] += shares
                doses[metric] += steps
                names = (variant.partition("@")[2] for variant in strengths)
                auc = {n: self._pooled([own]) for n, own in zip(names, shares, strict=True)}
                rows.append(SensitivityRow(name, metric, auc, self._pooled(steps)))
        by_metric = tuple(
            MetricSensitivity(metric, self._pooled(aucs[metric]), self._pooled(doses[metric]))
            for metric in self.metrics
        )
        return tuple(rows), by_metric

    def _pooled(self, parts: Sequence[Floats], resamples: PairResamples | None = None) -> MeanShift:
        """The mean of the shares of several alterations or metrics, (n,) each."""
        if not parts:
            return MeanShift(0, None, None, None, "nothing that was judged concerns it")
        rows = np.tile(np.arange(len(parts[0])), len(parts))
        mean = (resamples or self.resamples).mean(np.concatenate(parts), rows, share=True)
        return _shift(mean)

    def _mean(self, values: Floats) -> MeanShift:
        return _shift(self.resamples.mean(values))

    # Discrimination

    def _cells(self) -> Iterator[AlteredCell]:
        strongest = {name: self._strengths(name)[-1] for name in self.perturbations}
        variants = strongest | {name: name for name in BAITS if name in self.scores}
        for name, variant in variants.items():
            known = PERTURBATIONS.get(name)
            targets = known.lowers if known else BAITS[name].falls
            shifts = self.scores[variant].score - self.clean.score
            for measure, column, sd in zip((*self.metrics, ALL), shifts.T, self.sd, strict=True):
                shift = self._mean(column)
                scaled = shift.value / sd if sd and shift.value is not None else None
                yield AlteredCell(name, measure, shift, scaled, measure in targets)

    def _specificity(self, name: str) -> float | None:
        """In points; None where a mean is missing or no metric is left out."""
        shifts = self.scores[self._strengths(name)[-1]].score - self.clean.score
        known = shifts[~np.isnan(shifts).any(axis=1), :-1]
        target = np.array([metric in self.perturbations[name].lowers for metric in self.metrics])
        if target.all() or not len(known):
            return None
        means = known.mean(axis=0)
        return float(-means[target].mean() - np.abs(means[~target]).mean())

    def _halo(self) -> MeanShift:
        parts, wholes = [], []
        for name, perturbation in self._targeted().items():
            target = np.array([metric in perturbation.lowers for metric in self.metrics])
            if target.all():
                continue
            fall = (self.clean.score - self.scores[self._strengths(name)[-1]].score)[:, :-1]
            parts.append(fall[:, ~target].mean(axis=1))
            wholes.append(fall[:, target].mean(axis=1))
        if not parts:
            return MeanShift(0, None, None, None, "no damage leaves a metric out")
        part, whole = np.concatenate(parts), np.concatenate(wholes)
        both = np.where(np.isnan(part), np.nan, whole)
        rows = np.tile(np.arange(len(self.clean.score)), len(parts))
        return _shift(self.resamples.ratio(part, both, rows))

    # Baits

    def _baits(self) -> Iterator[BaitFinding]:
        for name, bait in BAITS.items():
            for expected, measures in (("steady", bait.steady), ("falls", bait.falls)):
                for measure in measures:
                    if measure == ALL or measure in self.metrics:
                        yield self._bait(name, bait, measure, expected)  # type: ignore[arg-type]

    def _bait(self, name: str, bait: Bait, measure: str, expected: Expectation) -> BaitFinding:
        facts = name, bait.title, bait.source, measure, expected
        after = self.scores.get(name)
        if after is None:
            shift = MeanShift(0, None, None, None, "it applies to no dialogue of the sample")
            return BaitFinding(*facts, shift, None, None, equivalent=False, resisted=None)
        every = measure == ALL
        columns = list(range(len(self.metrics))) if every else [self.metrics.index(measure)]
        gain = after.score - self.clean.score
        shift = self._mean(gain[:, -1 if every else columns[0]])
        known = gain[:, columns][~np.isnan(gain[:, columns])]
        inside = shift.lower is not None and shift.upper is not None
        return BaitFinding(
            *facts,
            shift,
            flips=_flips(self.clean.top[:, columns], after.top[:, columns]),
            gained=float((known >= 1).mean()) if known.size else None,
            equivalent=inside and max(-(shift.lower or 0), shift.upper or 0) < MARGIN,
            resisted=_resisted(shift, expected),
        )

    def _length(self) -> tuple[float | None, float | None]:
        """What a doubling of the length does, over all alterations that leave something."""
        sample = self.design.probe_set.sample
        shifts: list[float] = []
        before: list[int] = []
        after: list[int] = []
        for variant, forms in self.design.probe_set.altered.items():
            bait = BAITS.get(variant)
            if variant == SHUFFLED or (bait is not None and bait.replaces):
                continue
            change = self.scores[variant].score[:, -1] - self.clean.score[:, -1]
            shifts += [float(change[at]) for at in forms]
            before += [_length(sample[at]) for at in forms]
            after += [_length(form) for form in forms.values()]
        return tuple(map(_known, length_effect(shifts, before, after)))  # type: ignore[return-value]

    # Known answers and reliability

    def _known(self) -> Iterator[KnownAnswer]:
        last = f"other_character@{PERTURBATIONS['other_character'].max_level}"
        if last in self.scores:
            yield self._answer(
                "other_character",
                ROLE,
                self.clean,
                self.scores[last],
                self.resamples,
                "all systems",
            )
        fans = self.design.probe_set.fans
        if SHUFFLED in self.scores:
            of = "human fans" if fans[0].system == HUMAN else "all systems"
            pair = self.scores[FANS], self.scores[SHUFFLED]
            yield self._answer(
                "shuffled", _SHUFFLED_METRICS, *pair, self.design.resampler(fans), of
            )

    def _answer(
        self,
        name: str,
        metrics: Sequence[str],
        right: _Scores,
        wrong: _Scores,
        resamples: PairResamples,
        of: str,
    ) -> KnownAnswer:
        columns = {m: self.metrics.index(m) for m in metrics if m in self.metrics}
        shares = {m: lowered(right.score[:, at], wrong.score[:, at]) for m, at in columns.items()}
        each = {m: self._pooled([share], resamples) for m, share in shares.items()}
        pooled = self._pooled(list(shares.values()), resamples)
        return KnownAnswer(name, tuple(shares), pooled, each, of)

    def _rescored(self, others: Mapping[str, Sequence[Judgment] | str]) -> Iterator[Rescored]:
        yield self._compared("the same once more", self.scores[REPEATED])
        for name, other in others.items():
            if isinstance(other, str):
                yield Rescored(name, reason=other)
            else:
                yield self._compared(name, dict(_tables(self.design, other))[CLEAN])

    def _compared(self, name: str, other: _Scores) -> Rescored:
        difference = other.score - self.clean.score
        squares = difference[:, :-1][~np.isnan(difference[:, :-1])] ** 2
        pairs = zip(self.clean.score.T[:-1], other.score.T[:-1], strict=True)
        rhos = [rho for a, b in pairs if not math.isnan(rho := spearman(a, b).value)]
        return Rescored(
            name,
            self._mean(difference[:, -1]),
            rms=math.sqrt(squares.mean()) if squares.size else None,
            rho=sum(rhos) / len(rhos) if rhos else None,
            flips=_flips(self.clean.top, other.top),
        )

    def _labels(self) -> Iterator[LabelsUsed]:
        for metric, sd in zip(self.metrics, self.sd, strict=False):
            outcomes = [
                j.outcome
                for j in self.judgments
                if j.metric == metric
                and j.system.startswith(f"{CLEAN}/")
                and not isinstance(j.outcome, Failure)
            ]
            if not outcomes:
                yield LabelsUsed(metric, 0, None, sd, None, None, (), None, None)
                continue
            use = label_use([outcome.p for outcome in outcomes])
            mass = np.array([outcome.label_mass for outcome in outcomes])
            yield LabelsUsed(
                metric,
                len(outcomes),
                mean=float(np.mean([outcome.expected for outcome in outcomes])),
                sd=sd,
                mass=float(mass.mean()),
                low_mass=float((mass < _LOW_MASS).mean()),
                shares=tuple(use.shares.tolist()),
                effective=use.effective,
                tied=_known(use.tied),
            )


def _tables(design: ProbeDesign, judgments: Sequence[Judgment]) -> Iterator[tuple[str, _Scores]]:
    """Every variant with its scores; NaN where a form or a judgment is missing."""
    found = {(j.system, j.character, j.scenario, j.metric): j for j in judgments}
    for variant, forms in design.probe_set.variants():
        base = design.probe_set.fans if variant in {FANS, SHUFFLED} else design.probe_set.sample
        score = np.full((len(base), len(design.metrics)), np.nan)
        top = np.full(score.shape, -1, dtype=np.int64)
        for at, d in forms.items():
            for column, metric in enumerate(design.metrics):
                j = found.get((f"{variant}/{d.system}", d.character, d.scenario, metric))
                if j is not None and not isinstance(j.outcome, Failure):
                    score[at, column] = j.outcome.expected
                    top[at, column] = int(np.argmax(j.outcome.p))
        yield variant, _Scores(np.column_stack([score, score.mean(axis=1)]), top)


def _resisted(shift: MeanShift, expected: Expectation) -> bool | None:
    if shift.lower is None or shift.upper is None:
        return None
    if expected == "steady":
        return True if shift.upper < MARGIN else False if shift.lower > 0 else None
    return True if shift.upper < 0 else False if shift.lower > -MARGIN else None


def _flips(before: Codes, after: Codes) -> float | None:
    both = (before >= 0) & (after >= 0)
    return float((before != after)[both].mean()) if both.any() else None


def _length(dialogue: Dialogue) -> int:
    return sum(len(turn.answer) for turn in dialogue.turns)


def _sd(values: Floats) -> float | None:
    known = values[~np.isnan(values)]
    if len(known) < 2:
        return None
    return float(known.std(ddof=1)) if np.ptp(known) else 0.0


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _shift(mean: PairMean) -> MeanShift:
    value, lower, upper = map(_known, (mean.value, mean.lower, mean.upper))
    return MeanShift(mean.n, value, lower, upper, mean.reason)
