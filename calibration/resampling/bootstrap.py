"""The crossed bootstrap of agreement at four levels, and intervals from it."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calibration.arrays import Codes, Floats, confidence_iv
from calibration.resampling.weighted import (
    LEVELS,
    STATISTICS,
    Design,
    Level,
    Statistic,
    WeightedAgreement,
)

__all__ = [
    "BootstrapInterval",
    "CrossedBootstrap",
    "crossed_bootstrap",
    "percentile_interval",
]

Labels = NDArray[np.generic]


class CrossedWeights(NamedTuple):
    """How often each level of a factor was drawn: (B, systems), (B, characters), (B, scenarios).

    The weight of a row is the product of the counts of its system, character and scenario.
    """

    system: Codes
    character: Codes
    scenario: Codes


class BootstrapInterval(NamedTuple):
    """An estimate and its bootstrap interval.

    Attributes:
        estimate: the statistic on the data; NaN if undefined.
        lower, upper: the ends; NaN where there is no interval, and `reason` says why.
        resamples: B.
        undefined: number of resamples without a value.
        reason: why there is no interval, or how many resamples it leaves out.
    """

    estimate: float
    lower: float
    upper: float
    confidence: float
    resamples: int
    undefined: int
    reason: str = ""


class CrossedBootstrap(NamedTuple):
    """Statistics of J judges and T targets, on the data and on B resamples; NaN where undefined.

    Attributes:
        estimate: (J, 4, 4, T) by `STATISTICS` and `LEVELS`, on the rows as they are.
        replicates: (B, J, 4, 4, T) the same on every resample.
        n: (T,) number of rows compared.
        masked: (T,) number of rows left out because a score of people or of a judge is NaN.
        groups: (4, T) for each level, the number of groups with rows: 1, items, systems, and 1.
        undefined_groups: (J, 4, T) how many of those have no correlation because one side is
            constant; they are left out of the mean.
        sizes: the number of systems, characters and scenarios.
    """

    estimate: Floats
    replicates: Floats
    n: Codes
    masked: Codes
    groups: Codes
    undefined_groups: Codes
    sizes: tuple[int, int, int]
    systems_fixed: bool

    def interval(
        self,
        statistic: Statistic,
        level: Level = "systems",
        target: int = 0,
        judge: int = 0,
        *,
        confidence: float = 0.95,
    ) -> BootstrapInterval:
        """The percentile interval of a judge's statistic.

        Of other levels than the systems' means, take `crossed_jackknife`: the noise of single rows
        counts seven times in a crossed bootstrap, and within items percentiles lie too low.
        """
        place = judge, STATISTICS.index(statistic), LEVELS.index(level), target
        return percentile_interval(
            float(self.estimate[place]), self.replicates[:, *place], confidence=confidence
        )


def crossed_bootstrap(
    judged: ArrayLike,
    human: ArrayLike,
    system: ArrayLike,
    character: ArrayLike,
    scenario: ArrayLike,
    rng: np.random.Generator,
    *,
    resamples: int = 2000,
    systems_fixed: bool = False,
    means_only: bool = False,
    chunk: int = 32,
    threads: int = 1,
) -> CrossedBootstrap:
    """Resample systems, characters and scenarios, and compute all statistics at all levels.

    In the mean over groups, a group counts as often as it was drawn. The same seed gives the same
    bytes for any `chunk` and `threads`: everything is drawn first, and sums are exact.

    Args:
        judged: (n, T) or (J, n, T) scores of one or more judges; NaN where missing.
        human: (n, T) scores; NaN where missing. A row is used for a target if people and all
            judges have a score there, so that judges are compared on the same rows.
        system, character, scenario: (n,) labels, integers or strings. An item is a character in a
            scenario; data without characters pass their items as characters, and one scenario.
            Rows with the same three labels, such as several ratings, are drawn together.
        resamples: B.
        systems_fixed: whether each system is in every resample once, because these systems are
            all that the claim is about.
        means_only: leave the replicates of all levels but the systems NaN, which takes less time.
        chunk: resamples computed at once. More need more memory, and are not faster once they
            exceed the processor's cache.
        threads: chunks computed at once.

    Raises:
        ValueError: shapes do not match, no rows, infinities, labels that are NaN, or `resamples`,
            `chunk` or `threads` below 1.
    """
    x, y, labels = _crossed_bootstrap_iv(
        judged, human, (system, character, scenario), min(chunk, threads)
    )
    design = Design.of(*labels)
    drawn = crossed_weights(rng, design.sizes, resamples, systems_fixed=systems_fixed)
    kept = ~(np.isnan(y) | np.isnan(x).any(axis=0))
    n = kept.sum(axis=0)
    judges, _, targets = x.shape
    pairs = list(np.ndindex(judges, targets))
    agreements = [WeightedAgreement(x[j, :, t], y[:, t], design, kept[:, t]) for j, t in pairs]
    estimate = np.empty((judges, len(STATISTICS), len(LEVELS), targets))
    replicates = np.empty((resamples, *estimate.shape))
    groups = np.empty((len(LEVELS), targets), dtype=np.int64)
    undefined = np.empty((judges, len(LEVELS), targets), dtype=np.int64)

    unit = design.weights(*(np.ones((1, size), dtype=np.int64) for size in design.sizes))
    for (j, t), agreement in zip(pairs, agreements, strict=True):
        on_data = agreement.values(unit)
        estimate[j, :, :, t] = on_data.statistics[..., 0]
        groups[:, t], undefined[j, :, t] = agreement.groups, on_data.undefined[:, 0]

    def resample(start: int) -> None:
        part = slice(start, start + chunk)
        weights = design.weights(*(counts[part] for counts in drawn))
        for (j, t), agreement in zip(pairs, agreements, strict=True):
            statistics = agreement.values(weights, means_only=means_only).statistics
            replicates[part, j, :, :, t] = np.moveaxis(statistics, -1, 0)

    with ThreadPoolExecutor(threads) as pool:
        # `list` raises here what a thread has raised.
        list(pool.map(resample, range(0, resamples, chunk)))
    return CrossedBootstrap(
        estimate, replicates, n, len(y) - n, groups, undefined, design.sizes, systems_fixed
    )


def crossed_weights(
    rng: np.random.Generator,
    sizes: tuple[int, int, int],
    resamples: int,
    *,
    systems_fixed: bool = False,
) -> CrossedWeights:
    """The crossed ("pigeonhole") bootstrap: each factor is drawn with replacement, independently.

    After Owen (2007) and Owen and Eckles (2012): the counts of each factor are multinomial, and
    the weight of a row is the product of its counts. The variance of the resamples is never too
    small if the factors are large; at worst the noise of single rows counts seven times.

    Args:
        rng: draws all counts before anything is computed, so that the result does not depend on
            how the computation is divided later.
        sizes: the number of systems, characters and scenarios.
        resamples: B.
        systems_fixed: whether each system is in every resample once.

    Raises:
        ValueError: a size or the number of resamples is below 1.
    """
    if min(*sizes, resamples) < 1:
        raise ValueError(f"at least 1 is needed of each, not {resamples} resamples of {sizes}")
    fixed = (systems_fixed, False, False)
    return CrossedWeights(*(
        np.ones((resamples, size), dtype=np.int64)
        if keep
        else rng.multinomial(size, np.full(size, 1 / size), size=resamples)
        for size, keep in zip(sizes, fixed, strict=True)
    ))  # fmt: skip


def percentile_interval(
    estimate: float, replicates: ArrayLike, *, confidence: float = 0.95
) -> BootstrapInterval:
    """The quantiles (1 - confidence) / 2 and (1 + confidence) / 2 of the resamples.

    Resamples without a value (NaN) are left out and counted, and the reason says so. If they are
    more than 1 - confidence of all, the ends would depend on their unknown values, and there is no
    interval. There is none of width 0 either, where all resamples agree, for instance on a perfect
    correlation: that does not show how far the estimate may be off.

    Args:
        estimate: the statistic on the data.
        replicates: (B,) the statistic on every resample, NaN where undefined.
        confidence: between 0 and 1.

    Raises:
        ValueError: no resamples, or a confidence not between 0 and 1.
    """
    interval, known = _without_ends(estimate, replicates, confidence)
    if known is None:
        return interval
    ends = np.quantile(known, [(1 - confidence) / 2, (1 + confidence) / 2])
    return interval._replace(lower=float(ends[0]), upper=float(ends[1]))


def _without_ends(
    estimate: float, replicates: ArrayLike, confidence: float
) -> tuple[BootstrapInterval, Floats | None]:
    """The interval without its ends, and the values to compute them from; None if it has none."""
    values = np.asarray(replicates, dtype=np.float64)
    if values.ndim != 1 or not values.size:
        raise ValueError(f"resamples must be (B,) with B at least 1, not {values.shape}")
    confidence_iv(confidence)
    known = values[~np.isnan(values)]
    undefined = len(values) - len(known)
    reason = f"undefined in {undefined} of {len(values)} resamples" if undefined else ""
    # The factor allows for rounding: 1 - .95 is slightly more than .05.
    too_many = undefined > (1 - confidence) * len(values) * (1 + 1e-9)
    has_ends = not (too_many or math.isnan(estimate))
    if math.isnan(estimate):
        reason = "undefined on the data"
    elif has_ends and known.min() == known.max():
        has_ends, reason = False, "all resamples have one and the same value"
    interval = BootstrapInterval(
        estimate, math.nan, math.nan, confidence, len(values), undefined, reason
    )
    return interval, known if has_ends else None


def _crossed_bootstrap_iv(
    judged: ArrayLike, human: ArrayLike, labels: tuple[ArrayLike, ...], at_once: int
) -> tuple[Floats, Floats, tuple[Labels, ...]]:
    x, y = np.asarray(judged, dtype=np.float64), np.asarray(human, dtype=np.float64)
    x = x[None] if x.ndim == 2 else x
    if y.ndim != 2 or x.ndim != 3 or x.shape[1:] != y.shape:
        raise ValueError(
            f"human must be (n, T) and judged (n, T) or (J, n, T), not {y.shape} and {x.shape}"
        )
    if not x.size:
        raise ValueError("at least one row, one target and one judge are needed")
    if np.isinf(x).any() or np.isinf(y).any():
        raise ValueError("scores must not hold infinities")
    names = tuple(np.asarray(label) for label in labels)
    for name in names:
        if name.shape != y.shape[:1]:
            raise ValueError(f"a label is needed for each of {len(y)} rows, not {name.shape}")
        if name.dtype.kind == "f" and np.isnan(name).any():
            raise ValueError("labels of systems, characters and scenarios must not be nan")
    if at_once < 1:
        raise ValueError(f"chunk and threads must be at least 1, not {at_once}")
    return x, y, names
