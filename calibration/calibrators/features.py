"""What a judge's distributions over all metrics look like to a linear model."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from calibration.calibrators.sample import Floats, judged_rows, probs_iv

__all__ = ["FLOOR", "Standardised", "cumulative_logits", "filled_cells", "standardise"]

FLOOR = 1e-3
"""Less probability than this says nothing about people, and its logarithm would say a lot."""


class Standardised(NamedTuple):
    """Features (n, p) with weighted mean 0 and variance 1, and how they came to be so.

    A missing feature stands at its mean, 0. `per_unit` (p,) is 1 / standard deviation, 0 for a
    feature that does not vary or was never seen: it can have no weight.
    """

    values: Floats
    mean: Floats
    per_unit: Floats


def cumulative_logits(probs: Floats) -> Floats:
    """The logit of P(label > k), k = 1..K - 1, for every metric.

    Both probabilities are raised to `FLOOR` first: a label without any probability is evidence,
    but a finite one. On the rated dialogues of LLM-Rubric these logits predicted people better
    than the probabilities did, and equally well with floors of 1e-4 to 3e-3.

    Args:
        probs: (n, metrics, K); nan where a metric was not judged.

    Returns:
        (n, metrics * (K - 1)), metric by metric; nan where a metric was not judged.
    """
    n, metrics, labels = probs.shape
    below = probs @ np.triu(np.ones((labels, labels - 1)))
    logits: Floats = np.log(np.maximum(1 - below, FLOOR) / np.maximum(below, FLOOR))
    return logits.reshape(n, metrics * (labels - 1))


def filled_cells(probs: ArrayLike, target: int) -> int:
    """How many cells have their target judged and another metric not.

    Ridge and ordinal take the mean of the fit for what is missing there: a caller should tell.
    """
    p = probs_iv(probs)
    return int((judged_rows(p, target) & np.isnan(p[:, :, 0]).any(axis=1)).sum())


def standardise(features: Floats, weights: Floats) -> Standardised:
    """Features (n, p) made comparable; weights (n,)."""
    seen = ~np.isnan(features)
    total = weights @ seen
    known = np.where(seen, features, 0.0)
    mean = _divide(weights @ known, total)
    centred = np.where(seen, features - mean, 0.0)
    deviation = np.sqrt(_divide(weights @ centred**2, total))
    per_unit = np.where(deviation > 1e-9, _divide(np.ones_like(deviation), deviation), 0.0)
    return Standardised(centred * per_unit, mean, per_unit)


def centred(features: Floats, mean: Floats) -> Floats:
    """Features less the mean of the fit, 0 where missing."""
    return np.nan_to_num(features - mean, nan=0.0)


def _divide(a: Floats, b: Floats) -> Floats:
    return np.divide(a, b, out=np.zeros_like(a), where=b > 0)
