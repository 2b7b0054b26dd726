"""One measure: everything that is said of how the judge agrees with people on it."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass

import numpy as np

from calibration.agreement.pairwise_accuracy import soft_pairwise_accuracy, tie_calibrated_accuracy
from calibration.agreement.small_sample import bonett_wright, permutation_p
from calibration.resampling.bootstrap import CrossedBootstrap
from judge.analysis.agreement.correlations import levels, sentinels, system_points, without_each
from judge.analysis.agreement.figures import figure, known
from judge.analysis.agreement.measured import Axes, Measured
from judge.analysis.agreement.observed import Observed
from judge.analysis.agreement.people import alphas, annotator_tests, ceiling
from judge.analysis.agreement.points import confusion, curve, errors, kappa
from judge.analysis.agreement.record import (
    Figure,
    Interval,
    MeasureAgreement,
    Pairwise,
)

__all__ = ["Settings", "measure_agreement"]


@dataclass(frozen=True, slots=True)
class Settings:
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
    observed: Observed,
    measure: Measured,
    axes: Axes,
    settings: Settings,
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
        permutation_p=figure(permuted.value, permuted.n, reason=permuted.reason),
        permutation_exact=permuted.exact,
        **errors(measure, bootstrap, target, settings.confidence),
        kappa=kappa(measure),
        alpha_human=human,
        alpha_with_judge=with_judge,
        soft_pairwise=_soft_pairwise(measure, axes, settings),
        pairwise=_pairwise(measure, axes),
        annotator_tests=annotator_tests(measure, settings.annotators),
        ceiling=ceiling(measure, values["pearson"]["all"]),
        sentinels=sentinels(measure, axes, observed.length, of_items=blank),
        confusion=confusion(measure),
        curve=curve(measure),
        systems=points,
        without=without_each(measure, axes, points),
    )


def _bonett_wright(rho: Figure, confidence: float) -> Interval:
    value = math.nan if rho.value is None else rho.value
    found = bonett_wright(value, rho.n, confidence)
    return Interval(known(found.lower), known(found.upper), "Bonett-Wright", reason=found.reason)


def _soft_pairwise(measure: Measured, axes: Axes, settings: Settings) -> Figure:
    found = soft_pairwise_accuracy(
        measure.judge,
        measure.human,
        axes.system,
        axes.item,
        settings.rng("soft pairwise accuracy", measure.name),
    )
    return figure(found.value, found.pairs, undefined=found.undefined, reason=found.reason)


def _pairwise(measure: Measured, axes: Axes) -> Pairwise:
    found = tie_calibrated_accuracy(measure.judge, measure.human, axes.system, axes.item)
    return Pairwise(
        accuracy=figure(found.value, found.pairs, reason=found.reason),
        at_zero=known(found.at_zero),
        threshold=known(found.threshold),
        tied=found.tied,
    )
