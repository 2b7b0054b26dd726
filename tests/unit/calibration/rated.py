"""SIMULATED judges and raters for the tests of calibration; measured nowhere."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from calibration.calibrators import Sample, as_distributions

Floats = NDArray[np.float64]


def sharp(scores: Floats, spread: float = 0.7) -> Floats:
    """Distributions over 1..5 around scores of any shape: a discretised normal."""
    weights = np.exp(-(((np.arange(1, 6) - scores[..., None]) / spread) ** 2) / 2)
    return weights / weights.sum(axis=-1, keepdims=True)


def rated(
    rng: np.random.Generator,
    *,
    systems: int = 6,
    cells: int = 20,
    metrics: int = 3,
    ratings: int = 1,
    raters: int = 5,
    judge_noise: float = 0.5,
    signal: float = 1.0,
) -> Sample:
    """Systems of different quality; what is right in a metric also shows in the other metrics."""
    system = np.repeat(np.arange(systems), cells)
    n = len(system)
    truth = 3.4 + rng.normal(0, 0.3, systems)[system] + rng.normal(0, 0.5, n)
    seen = 3.4 + signal * (truth[:, None] - 3.4) + rng.normal(0, judge_noise, (n, metrics))
    rows = np.repeat(np.arange(n), ratings)
    who = rng.integers(0, raters, len(rows))
    severity = rng.normal(0, 0.3, raters)
    scores = np.clip(np.rint(truth[rows] - severity[who] + rng.normal(0, 0.5, len(rows))), 1, 5)
    return Sample.of(sharp(seen), 0, scores, rows, raters=who, groups=system)


def plain(scores: list[float], ratings: list[float], groups: list[str], labels: int = 5) -> Sample:
    """One metric, one rating for each score of the judge."""
    probs = as_distributions(np.array(scores)[:, None], labels)
    return Sample.of(probs, 0, ratings, np.arange(len(ratings)), groups=groups)
