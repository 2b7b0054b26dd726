"""How far a judge agrees with people: every statistic of every measure."""

from __future__ import annotations

import math
import os
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from calibration.agreement.alt_test import EPSILON
from calibration.agreement.pairwise_accuracy import soft_pairwise_accuracy, tie_calibrated_accuracy
from calibration.agreement.small_sample import bonett_wright, permutation_p
from calibration.resampling.bootstrap import CrossedBootstrap, crossed_bootstrap
from judge.analysis.agreement.agreement_records import (
    Agreement,
    Estimate,
    Interval,
    MeasureAgreement,
    PairwiseAccuracy,
)
from judge.analysis.agreement.data import (
    GroupCodes,
    MeasureScores,
    PairedScores,
    measure_scores,
    simulated,
)
from judge.analysis.agreement.rater_statistics import (
    alphas,
    annotator_tests,
    ceiling,
    disagreements,
    rater_pairs,
)
from judge.analysis.agreement.statistics import (
    confusion,
    curve,
    errors,
    estimate,
    kappa,
    levels,
    sentinels,
    system_points,
    without_each,
)
from judge.analysis.judgment_table import finite_or_none
from judge.errors import UsageError

__all__ = ["AgreementSettings", "agree", "measure_agreement"]


@dataclass(frozen=True, slots=True)
class AgreementSettings:
    """What was asked for; see `Agreement`."""

    resamples: int
    confidence: float
    seed: int
    systems_fixed: bool
    annotators: str

    def rng(self, *purpose: str) -> np.random.Generator:
        """A generator of its own for each purpose: no draw depends on what else is computed."""
        return np.random.default_rng([self.seed, *(zlib.crc32(text.encode()) for text in purpose)])


def measure_agreement(
    observed: PairedScores,
    measure: MeasureScores,
    axes: GroupCodes,
    settings: AgreementSettings,
    bootstrap: CrossedBootstrap | None = None,
    target: int = 0,
) -> MeasureAgreement:
    """One measure in full.

    Args:
        observed: where the measure is from.
        measure: its scores and ratings.
        axes: where its dialogues belong.
        settings: what was asked for.
        bootstrap: resamples; None where there are none.
        target: the column of the measure among them.
    """
    values = levels(measure, axes, bootstrap, target, settings.confidence)
    points = system_points(measure, axes)
    permuted = permutation_p(
        [point.judge for point in points],
        [point.human for point in points],
        settings.rng("permutation", measure.name),
    )
    human, with_judge = alphas(measure)
    blank = len(axes.clusters) == 1
    return MeasureAgreement(
        name=measure.name,
        kind=measure.kind,
        title=measure.title,
        parts=measure.parts,
        scale=(measure.low, measure.high),
        scale_declared=observed.declared,
        n=int(measure.both.sum()),
        not_rated=int((~np.isnan(measure.judge) & ~measure.both).sum()),
        not_judged=int((~np.isnan(measure.human) & ~measure.both).sum()),
        ratings=int(measure.used.sum()),
        levels=values,
        bonett_wright=_bonett_wright(values["spearman"]["systems"], settings.confidence),
        permutation_p=estimate(permuted.value, permuted.n, reason=permuted.reason),
        permutation_exact=permuted.exact,
        **errors(measure, bootstrap, target, settings.confidence),
        kappa=kappa(measure),
        alpha_human=human,
        alpha_with_judge=with_judge,
        soft_pairwise=_soft_pairwise(measure, axes, settings),
        pairwise=_pairwise(measure, axes),
        annotator_tests=annotator_tests(measure, settings.annotators),
        ceiling=ceiling(measure, values["pearson"]["all"]),
        sentinels=sentinels(
            measure,
            axes,
            observed.length,
            lambda name: settings.rng("sentinel", measure.name, name),
            of_items=blank,
        ),
        confusion=confusion(measure),
        curve=curve(measure),
        systems=points,
        without=without_each(measure, axes, points),
    )


def _bonett_wright(rho: Estimate, confidence: float) -> Interval:
    value = math.nan if rho.value is None else rho.value
    found = bonett_wright(value, rho.n, confidence)
    return Interval(
        finite_or_none(found.lower),
        finite_or_none(found.upper),
        "Bonett-Wright",
        reason=found.reason,
    )


def _soft_pairwise(
    measure: MeasureScores, axes: GroupCodes, settings: AgreementSettings
) -> Estimate:
    found = soft_pairwise_accuracy(
        measure.judge,
        measure.human,
        axes.system,
        axes.item,
        settings.rng("soft pairwise accuracy", measure.name),
    )
    return estimate(found.value, found.pairs, undefined=found.undefined, reason=found.reason)


def _pairwise(measure: MeasureScores, axes: GroupCodes) -> PairwiseAccuracy:
    found = tie_calibrated_accuracy(measure.judge, measure.human, axes.system, axes.item)
    return PairwiseAccuracy(
        accuracy=estimate(found.value, found.pairs, reason=found.reason),
        at_zero=finite_or_none(found.at_zero),
        threshold=finite_or_none(found.threshold),
        tied=found.tied,
    )


Progress = Callable[[int, int], None]
"""Told how many measures are done, of how many."""


def agree(
    observed: PairedScores,
    *,
    resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
    systems_fixed: bool = False,
    annotators: str = "crowd",
    progress: Progress | None = None,
) -> Agreement:
    """How far the judge agrees with people.

    The same seed gives the same bytes, and the numbers of a measure do not depend on which other
    measures there are, nor on the order of the rows.

    Args:
        observed: what judge and people said.
        resamples: of the crossed bootstrap; 0 for no intervals.
        confidence: of every interval, between 0 and 1.
        seed: of the resamples, permutations and arrangements.
        systems_fixed: these systems are all there is.
        annotators: `expert`, `skilled` or `crowd`: what the annotator test holds them for.
        progress: told of every measure.

    Raises:
        UsageError: an option that makes no sense.
    """
    settings = AgreementSettings(resamples, confidence, seed, systems_fixed, annotators)
    _settings_iv(settings)
    axes, parts = GroupCodes.of(observed), measure_scores(observed)
    resampled = _resample(parts, axes, settings)
    found = []
    for done, measure in enumerate(parts):
        if progress is not None:
            progress(done, len(parts))
        bootstrap, target = resampled.get(measure.name, (None, 0))
        found.append(measure_agreement(observed, measure, axes, settings, bootstrap, target))
    if progress is not None:
        progress(len(parts), len(parts))
    both = np.any([measure.both for measure in parts], axis=0)
    cell = observed.cell * len(observed.metrics) + observed.metric
    rated = np.unique(cell, return_counts=True)[1]
    raters = {observed.raters[code] for code in np.unique(observed.rater[observed.rater >= 0])}
    return Agreement(
        judge=observed.judge,
        provenance=dict(observed.provenance),
        simulated=simulated(raters),
        partial=observed.partial,
        notes=observed.notes,
        item=observed.item,
        systems=len(np.unique(axes.system[both])),
        items=len(np.unique(axes.item[both])),
        raters=len(raters),
        ratings=len(observed.rating),
        cells=len(rated),
        cells_repeated=int((rated > 1).sum()),
        resamples=resamples,
        confidence=confidence,
        seed=seed,
        systems_fixed=systems_fixed,
        epsilon=EPSILON[annotators],
        annotators=annotators,
        titles=dict(observed.titles),
        groups=dict(observed.groups),
        measures=tuple(found),
        pairs=rater_pairs(observed),
        disagreements=disagreements(observed, parts),
    )


def _settings_iv(settings: AgreementSettings) -> None:
    if settings.resamples < 0:
        raise UsageError(
            f"--resamples {settings.resamples}: it cannot be negative",
            hint="--resamples 2000, or 0 for no intervals",
        )
    if not 0 < settings.confidence < 1:
        raise UsageError(
            f"--confidence {settings.confidence:g}: it lies between 0 and 1",
            hint="--confidence 0.95",
        )
    if settings.seed < 0:
        raise UsageError(f"--seed {settings.seed}: it cannot be negative", hint="--seed 0")
    if settings.annotators not in EPSILON:
        raise UsageError(
            f"--annotators {settings.annotators}: there are {', '.join(EPSILON)}",
            hint="--annotators crowd",
        )


def _resample(
    parts: Sequence[MeasureScores], axes: GroupCodes, settings: AgreementSettings
) -> dict[str, tuple[CrossedBootstrap, int]]:
    """Measure -> its resamples and its column among them; none for a measure without rows.

    What is drawn are the systems, characters and scenarios that a measure has scores of. Measures
    with the same ones, mostly all, are resampled together.
    """
    if not settings.resamples:
        return {}
    ways = (axes.system, axes.character, axes.scenario)
    alike: dict[tuple[bytes, ...], list[MeasureScores]] = {}
    for measure in parts:
        if measure.both.any():
            there = tuple(np.unique(way[measure.both]).tobytes() for way in ways)
            alike.setdefault(there, []).append(measure)
    found: dict[str, tuple[CrossedBootstrap, int]] = {}
    for group in alike.values():
        rows = np.any([measure.both for measure in group], axis=0)
        bootstrap = crossed_bootstrap(
            np.stack([measure.judge[rows] for measure in group], axis=1),
            np.stack([measure.human[rows] for measure in group], axis=1),
            axes.system[rows],
            axes.character[rows],
            axes.scenario[rows],
            settings.rng("bootstrap"),
            resamples=settings.resamples,
            systems_fixed=settings.systems_fixed,
            threads=os.cpu_count() or 1,
        )
        found |= {measure.name: (bootstrap, target) for target, measure in enumerate(group)}
    return found
