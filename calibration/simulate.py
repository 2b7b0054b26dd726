"""SIMULATED ratings and judge scores in the shape of the study; nothing here was measured.

They say nothing about any person, system or judge. They answer what needs a known truth: whether an
interval covers as often as it promises. Any number from here must be shown as simulated.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from calibration.arrays import Codes, Floats

__all__ = ["HUMAN", "JUDGE", "Shape", "Simulated", "Spread", "simulate"]


@dataclass(frozen=True)
class Spread:
    """Standard deviations of crossed random effects, in points of the scale.

    `system_character` is an interaction: how well a system does on a character beyond what both do
    elsewhere. `dialogue` is the rest, different for every dialogue.
    """

    system: float
    character: float
    scenario: float
    system_character: float
    system_scenario: float
    dialogue: float


HUMAN = Spread(0.25, 0.20, 0.15, 0.15, 0.10, 0.45)
"""What people see. The spread of systems is that of the published means; the rest is assumed."""

JUDGE = Spread(0.15, 0.12, 0.10, 0.12, 0.08, 0.35)
"""The judge's errors; assumed, of the size of an LLM judge that agrees moderately."""


@dataclass(frozen=True)
class Shape:
    """Sizes of the design and the other assumptions.

    Attributes:
        systems, characters, scenarios: sizes of the crossed design; one dialogue for each
            combination.
        metrics: number of metrics.
        raters: number of people that raters are drawn from.
        per_cell: smallest and largest number of ratings of a dialogue on a metric; uniform.
        mean: of the human scores before rounding; high, so that many ratings are the top label.
        severity, noise: standard deviations of a rater's severity and of a single rating.
        slope, offset: the judge's score is offset + mean + slope (what people see - mean) + error.
        sharpness: standard deviation of the judge's label distribution.
        shared: the share of every variance that all metrics have in common, 0 to 1.
    """

    systems: int = 11
    characters: int = 20
    scenarios: int = 60
    metrics: int = 1
    raters: int = 12
    per_cell: tuple[int, int] = (1, 3)
    mean: float = 4.0
    severity: float = 0.25
    noise: float = 0.50
    slope: float = 0.8
    offset: float = -0.3
    sharpness: float = 0.45
    shared: float = 0.5


class Simulated(NamedTuple):
    """SIMULATED data: n dialogues, M metrics, R ratings.

    Attributes:
        system, character, scenario: (n,) codes from 0, every combination once.
        seen: (n, M) what people see, before a rater's severity, noise and rounding.
        probs: (n, M, 5) the judge's label distributions.
        cell, rater, metric: (R,) codes: which dialogue, who rated it, on which metric.
        human: (R,) the ratings, whole numbers 1 to 5.
        severity: (raters,) what each rater subtracts, in points of the scale.
    """

    system: Codes
    character: Codes
    scenario: Codes
    seen: Floats
    probs: Floats
    cell: Codes
    rater: Codes
    metric: Codes
    human: Codes
    severity: Floats


def simulate(
    rng: np.random.Generator,
    shape: Shape | None = None,
    *,
    human: Spread = HUMAN,
    judge: Spread = JUDGE,
) -> Simulated:
    """SIMULATED ratings and label distributions with known effects.

    What people see in a dialogue is `mean` + crossed normal effects of the spread `human`. A rating
    is that, less the rater's severity, plus noise, rounded and clipped to 1..5. A dialogue is rated
    on every metric by different raters. The judge sees offset + mean + slope (what people see -
    mean) + crossed effects of the spread `judge`; its label distribution is a normal one around
    that, cut at the half points.

    Raises:
        ValueError: a size is below 1, or fewer raters than a dialogue may need.
    """
    shape = shape or Shape()
    _simulate_iv(shape, human, judge)
    sizes = (shape.systems, shape.characters, shape.scenarios)
    system, character, scenario = (axis.ravel() for axis in np.indices(sizes))
    seen = shape.mean + _crossed(rng, human, shape)
    centre = shape.offset + shape.mean + shape.slope * (seen - shape.mean)
    centre += _crossed(rng, judge, shape)

    low, high = shape.per_cell
    counts = rng.integers(low, high + 1, len(system))
    dialogue = np.repeat(np.arange(len(system)), counts)
    turn = np.arange(len(dialogue)) - np.repeat(np.cumsum(counts) - counts, counts)
    first = rng.integers(shape.raters, size=len(system))
    # All raters of a dialogue are less than `raters` positions apart, so nobody rates it twice.
    step = rng.integers(1, max(1, (shape.raters - 1) // max(1, high - 1)) + 1, len(system))
    person = (first[dialogue] + turn * step[dialogue]) % shape.raters
    severity = rng.normal(0, shape.severity, shape.raters)
    noise = rng.normal(0, shape.noise, (len(dialogue), shape.metrics))
    impression = seen[dialogue] - severity[person, None] + noise
    return Simulated(
        system,
        character,
        scenario,
        seen,
        _binned(centre, shape.sharpness),
        np.repeat(dialogue, shape.metrics),
        np.repeat(person, shape.metrics),
        np.tile(np.arange(shape.metrics), len(dialogue)),
        np.clip(np.rint(impression), 1, 5).astype(np.int64).ravel(),
        severity,
    )


def _simulate_iv(shape: Shape, *spreads: Spread) -> None:
    low, high = shape.per_cell
    if min(shape.systems, shape.characters, shape.scenarios, shape.metrics, low) < 1:
        raise ValueError("every size of the simulated design must be at least 1")
    if not low <= high <= shape.raters:
        raise ValueError(
            f"{low} to {high} ratings of a dialogue cannot come from {shape.raters} raters"
        )
    deviations = [getattr(spread, field.name) for spread in spreads for field in fields(spread)]
    if min(*deviations, shape.severity, shape.noise) < 0 or shape.sharpness <= 0:
        raise ValueError("standard deviations must not be negative, and the sharpness positive")
    if not 0 <= shape.shared <= 1:
        raise ValueError(f"the shared part of a variance lies in 0 to 1, not {shape.shared}")


def _crossed(rng: np.random.Generator, spread: Spread, shape: Shape) -> Floats:
    """(n, M): the sum of all effects on each dialogue."""
    systems, characters, scenarios = shape.systems, shape.characters, shape.scenarios
    total = np.zeros((systems, characters, scenarios, shape.metrics))
    for deviation, levels in [
        (spread.system, (systems, 1, 1)),
        (spread.character, (1, characters, 1)),
        (spread.scenario, (1, 1, scenarios)),
        (spread.system_character, (systems, characters, 1)),
        (spread.system_scenario, (systems, 1, scenarios)),
        (spread.dialogue, (systems, characters, scenarios)),
    ]:
        common = rng.normal(0, deviation * np.sqrt(shape.shared), (*levels, 1))
        own = rng.normal(0, deviation * np.sqrt(1 - shape.shared), (*levels, shape.metrics))
        total += common + own
    return total.reshape(-1, shape.metrics)


def _binned(centre: Floats, deviation: float) -> Floats:
    """(n, M, 5): a normal distribution around each centre, cut at 1.5, 2.5, 3.5 and 4.5."""
    below = ndtr((np.arange(1.5, 5) - centre[..., None]) / deviation)
    probs: Floats = np.diff(below, axis=-1, prepend=0.0, append=1.0)
    return probs
