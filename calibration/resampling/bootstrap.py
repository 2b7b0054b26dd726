"""Agreement at four levels, and what the crossed bootstrap says of it."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calibration.resampling.interval import (
    BootstrapInterval,
    Method,
    corrected_interval,
    percentile_interval,
)
from calibration.resampling.levels import LEVELS, STATISTICS, Agreement, Design, Level, Statistic
from calibration.resampling.weights import crossed_weights

__all__ = ["CrossedBootstrap", "crossed_bootstrap"]

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Labels = NDArray[np.generic]


class CrossedBootstrap(NamedTuple):
    """J judges, T targets, B resamples; nan where a statistic is undefined.

    Attributes:
        estimate: (J, 4, 4, T) by `STATISTICS` and `LEVELS`, on the rows as they are.
        replicates: (B, J, 4, 4, T) the same of every resample.
        n, masked: (T,) rows compared, and rows left out for a nan of the human or of any judge.
        groups: (4, T) at each level, how many groups have rows: 1, items, systems, and 1.
        undefined_groups: (J, 4, T) those of them that have no correlation, one side being constant;
            they are not in the mean.
        sizes: how many systems, characters and scenarios.
        systems_fixed: as asked.
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
        level: Level,
        target: int = 0,
        judge: int = 0,
        *,
        less: int | None = None,
        confidence: float = 0.95,
        method: Method | None = None,
    ) -> BootstrapInterval:
        """The interval of one statistic of one judge; or of its difference from judge `less`.

        Unless told otherwise it is made of percentiles, and corrected for few systems only where
        percentiles fail: for correlations within items, unless systems are fixed. What covered of
        nominal 95%, in 900 SIMULATED data sets of 11 x 20 x 60, percentiles | corrected:

            statistic        spearman     pearson      mae          bias
            all              95 | 98      95 | 98      95 | 98      94 | 97
            within_item      61 | 99      77 | 99      95 | 98      94 | 98
            within_system    100 | 100    99 | 100     95 | 98      94 | 97
            systems          100 | 99     97 | 96      95 | 97      94 | 97

        More than 95 comes of the noise of single dialogues, which the crossed bootstrap counts up
        to three times. For Spearman's rho of the systems the interval of Bonett and Wright covered
        97 and is a tenth narrower. With `systems_fixed`, percentiles cover 95 to 99 (300 sets).
        """
        statistics, levels = STATISTICS.index(statistic), LEVELS.index(level)
        estimate = float(self.estimate[judge, statistics, levels, target])
        replicates = self.replicates[:, judge, statistics, levels, target]
        if less is not None:
            estimate -= float(self.estimate[less, statistics, levels, target])
            replicates = replicates - self.replicates[:, less, statistics, levels, target]
        correlation = statistic in {"spearman", "pearson"}
        few = correlation and level == "within_item" and not self.systems_fixed
        resampled = [size for size in self.sizes[self.systems_fixed :] if size > 1]
        method = method or ("corrected" if few else "percentile")
        if method == "percentile" or not resampled:
            return percentile_interval(estimate, replicates, confidence=confidence)
        reach = (1.0 if less is None else 2.0) if correlation else math.inf
        return corrected_interval(
            estimate, replicates, min(resampled), confidence=confidence, reach=reach
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
    chunk: int = 16,
    threads: int = 1,
) -> CrossedBootstrap:
    """Resample systems, characters and scenarios; compute every statistic at every level.

    A level's mean over groups takes a group as often as it was drawn. The same seed gives the same
    bytes whatever `chunk` and `threads` are: all draws come first, and sums are exact.

    Args:
        judged: (n, T) or (J, n, T) scores of one or more judges; nan where missing.
        human: (n, T) scores; nan where missing. A row counts for a target where the human and all
            judges have it, so that judges are compared on the same rows.
        system, character, scenario: (n,) labels, integers or strings. An item is a character in a
            scenario; data without characters give their items as characters and one scenario.
            Several rows of one cell, ratings for instance, are drawn together.
        rng: draws the resamples.
        resamples: B.
        systems_fixed: these systems are all there is: each once in every resample.
        chunk: resamples computed at once; more memory, and not faster beyond the processor's cache.
        threads: chunks computed at once.

    Raises:
        ValueError: shapes that do not match, no rows, infinities, labels that are nan, or
            `resamples`, `chunk` or `threads` below 1.
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
    table = [Agreement(x[j, :, t], y[:, t], design, kept[:, t]) for j, t in pairs]
    estimate = np.empty((judges, len(STATISTICS), len(LEVELS), targets))
    replicates = np.empty((resamples, *estimate.shape))
    groups = np.empty((len(LEVELS), targets), dtype=np.int64)
    undefined = np.empty((judges, len(LEVELS), targets), dtype=np.int64)

    once = design.weights(*(np.ones((1, size), dtype=np.int64) for size in design.sizes))
    for (j, t), agreement in zip(pairs, table, strict=True):
        found = agreement.values(once)
        estimate[j, :, :, t] = found.statistics[..., 0]
        groups[:, t], undefined[j, :, t] = agreement.groups, found.undefined[:, 0]

    def resample(start: int) -> None:
        part = slice(start, start + chunk)
        weights = design.weights(*(counts[part] for counts in drawn))
        for (j, t), agreement in zip(pairs, table, strict=True):
            found = agreement.values(weights).statistics
            replicates[part, j, :, :, t] = np.moveaxis(found, -1, 0)

    with ThreadPoolExecutor(threads) as pool:
        # A list, so that what a thread raises is raised here.
        list(pool.map(resample, range(0, resamples, chunk)))
    return CrossedBootstrap(
        estimate, replicates, n, len(y) - n, groups, undefined, design.sizes, systems_fixed
    )


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
