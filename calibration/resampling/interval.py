"""The interval that resamples give, and what it says when some of them have no value."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t as student

__all__ = ["BootstrapInterval", "Method", "corrected_interval", "percentile_interval"]

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
    half = float(student.ppf((1 + confidence) / 2, levels - 1)) * float(found.known.std())
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
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence lies between 0 and 1, not at {confidence}")
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
