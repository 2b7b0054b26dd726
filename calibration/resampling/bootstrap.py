"""Agreement at four levels, and what the crossed bootstrap says of it."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calibration.arrays import confidence_iv
from calibration.intervals import t_quantile
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
    "CrossedWeights",
    "Method",
    "corrected_interval",
    "crossed_bootstrap",
    "crossed_weights",
    "percentile_interval",
]

Codes = NDArray[np.int64]


class CrossedWeights(NamedTuple):
    """Counts: (B, systems), (B, characters), (B, scenarios). A row weighs the product of its."""

    system: Codes
    character: Codes
    scenario: Codes


def crossed_weights(
    rng: np.random.Generator,
    sizes: tuple[int, int, int],
    resamples: int,
    *,
    systems_fixed: bool = False,
) -> CrossedWeights:
    """The crossed ("pigeonhole") bootstrap: every factor is drawn with replacement, on its own.

    After Owen (2007) and Owen and Eckles (2012): counts of each factor are multinomial, and a row
    weighs the product of its factors' counts. Its variance is never too small for large factors; at
    worst it counts the noise of single rows three times.

    Args:
        rng: draws all counts before anything is computed, so that how the work is cut up later
            changes nothing.
        sizes: how many systems, characters and scenarios.
        resamples: B.
        systems_fixed: every system once in every resample: these systems are all there is.

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


Floats = NDArray[np.float64]
Method = Literal["percentile", "corrected"]


class BootstrapInterval(NamedTuple):
    """An estimate and how far resamples let it be off.

    Attributes:
        estimate: the statistic on the data; nan if undefined.
        lower, upper: ends; nan where there is no interval, and `reason` says why.
        confidence: as asked.
        method: how the ends were found.
        resamples: B, of which `undefined` had no value.
        reason: why there is no interval, or how many resamples it leaves out.
    """

    estimate: float
    lower: float
    upper: float
    confidence: float
    method: Method
    resamples: int
    undefined: int
    reason: str = ""


def percentile_interval(
    estimate: float, replicates: ArrayLike, *, confidence: float = 0.95
) -> BootstrapInterval:
    """Quantiles (1 - confidence) / 2 and (1 + confidence) / 2 of the resamples.

    Resamples without a value (nan) are left out and counted, and the reason names them. Where they
    are more than 1 - confidence of all, what they would have been decides where the ends are:
    there is no interval. Nor is there one of width 0 where all resamples say the same, as when a
    correlation is perfect: that tells nothing of how far it may be off.

    Args:
        estimate: the statistic on the data.
        replicates: (B,) the statistic on every resample, nan where undefined.
        confidence: between 0 and 1.

    Raises:
        ValueError: no resamples, or a confidence not between 0 and 1.
    """
    found = _checked("percentile", estimate, replicates, confidence)
    if found.known is None:
        return found.interval
    ends = np.quantile(found.known, [(1 - confidence) / 2, (1 + confidence) / 2])
    return found.interval._replace(lower=float(ends[0]), upper=float(ends[1]))


def corrected_interval(
    estimate: float,
    replicates: ArrayLike,
    levels: int,
    *,
    confidence: float = 0.95,
    reach: float = math.inf,
) -> BootstrapInterval:
    """(2 estimate - mean of resamples) +- t_{m-1} sqrt(m / (m - 1)) SD of resamples.

    For few levels m of what was resampled. A resample of 11 systems has but 7 different ones, and a
    rank correlation over fewer systems is nearer to 0: percentiles lie too low, by the bias that
    is subtracted here. And they are too narrow, by sqrt((m - 1) / m) in the spread of m draws and
    by the normal quantile where t is due: for a mean that only systems move, 95% then is
    P(|t_10| < 1.96 sqrt(10 / 11)) = 91%. Undefined resamples as in `percentile_interval`.

    Args:
        estimate, replicates, confidence: as for `percentile_interval`.
        levels: m, the fewest levels of a factor that was resampled, at least 2.
        reach: what the statistic can be at most, either way; ends are cut there.

    Raises:
        ValueError: as `percentile_interval`, or fewer than 2 levels.
    """
    if levels < 2:
        raise ValueError(f"at least 2 levels must have been resampled, not {levels}")
    found = _checked("corrected", estimate, replicates, confidence)
    if found.known is None:
        return found.interval
    half = t_quantile(confidence, levels - 1) * float(found.known.std())
    half *= math.sqrt(levels / (levels - 1))
    centre = 2 * estimate - float(found.known.mean())
    lower, upper = np.clip([centre - half, centre + half], -reach, reach).tolist()
    return found.interval._replace(lower=lower, upper=upper)


class _Checked(NamedTuple):
    """An interval without ends, and the values to find them from; None if there are to be none."""

    interval: BootstrapInterval
    known: Floats | None


def _checked(method: Method, estimate: float, replicates: ArrayLike, confidence: float) -> _Checked:
    values = np.asarray(replicates, dtype=np.float64)
    if values.ndim != 1 or not values.size:
        raise ValueError(f"resamples must be (B,) with B at least 1, not {values.shape}")
    confidence_iv(confidence)
    known = values[~np.isnan(values)]
    undefined = len(values) - len(known)
    reason = f"undefined in {undefined} of {len(values)} resamples" if undefined else ""
    # A hair above, for 1 - .95 is not .05.
    many = undefined > (1 - confidence) * len(values) * (1 + 1e-9)
    ends = not (many or math.isnan(estimate))
    if math.isnan(estimate):
        reason = "undefined on the data"
    elif ends and known.min() == known.max():
        ends, reason = False, "all resamples have one and the same value"
    interval = BootstrapInterval(
        estimate, math.nan, math.nan, confidence, method, len(values), undefined, reason
    )
    return _Checked(interval, known if ends else None)


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
    table = [WeightedAgreement(x[j, :, t], y[:, t], design, kept[:, t]) for j, t in pairs]
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
