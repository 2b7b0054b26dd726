"""From what was observed to everything a report says of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import numpy as np

from calibration.agreement.alt_test import EPSILON
from calibration.resampling.bootstrap import CrossedBootstrap, crossed_bootstrap
from judge.analysis.agreement.disagreements import disagreements
from judge.analysis.agreement.measured import Axes, Measured, measured
from judge.analysis.agreement.measures import Settings, measure_agreement
from judge.analysis.agreement.observed import Observed, simulated
from judge.analysis.agreement.pairs import rater_pairs
from judge.analysis.agreement.record import Agreement
from judge.errors import UsageError

__all__ = ["agree"]

Progress = Callable[[int, int], None]
"""Told how many measures are done, of how many."""


def agree(
    observed: Observed,
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
    settings = Settings(resamples, confidence, seed, systems_fixed, annotators)
    _settings_iv(settings)
    axes, parts = Axes.of(observed), measured(observed)
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


def _settings_iv(settings: Settings) -> None:
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
    parts: Sequence[Measured], axes: Axes, settings: Settings
) -> dict[str, tuple[CrossedBootstrap, int]]:
    """Measure -> its resamples and its column among them; none for a measure without rows.

    What is drawn are the systems, characters and scenarios that a measure has scores of. Measures
    with the same ones, mostly all, are resampled together.
    """
    if not settings.resamples:
        return {}
    ways = (axes.system, axes.character, axes.scenario)
    alike: dict[tuple[bytes, ...], list[Measured]] = {}
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
