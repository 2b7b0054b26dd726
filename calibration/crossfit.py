"""Predictions for groups that a fit has not seen, one left out or two."""

from __future__ import annotations

import math
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from calibration.calibrators import Calibrator, CannotFitError, Sample

__all__ = ["OutOfFold", "PairAccuracy", "crossfit", "pair_accuracy"]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_DECIMALS = 10
"""Means are compared rounded to this many decimals, so that true ties tie."""


class OutOfFold(NamedTuple):
    """Predictions of every cell by a fit that saw nothing of its group.

    Attributes:
        predicted: (n,); nan where the target was not judged or the fit failed.
        distribution: (n, labels of the human scale) likewise; None where the rung gives points.
        reason: why a fit failed, "" when none did.
    """

    predicted: Floats
    distribution: Floats | None
    reason: str = ""


class PairAccuracy(NamedTuple):
    """How often the calibrated means of two unseen groups are in the order of the human means.

    Attributes:
        value: share of the pairs in the right order, a tie on either side counting half; nan,
            with a `reason`, when undefined.
        pairs: number of pairs compared.
        ties: pairs with a tie on either side.
        unusable: groups without a cell that is both judged and rated, in no pair.
        reason: why there is no value.
    """

    value: float
    pairs: int
    ties: int
    unusable: int
    reason: str = ""


def crossfit(rung: type[Calibrator], sample: Sample) -> OutOfFold:
    """Leave one group out, for each group of the sample.

    Use the predictions within a group, or as item errors. Never rank the groups by them: where
    a fit learns only a mean, the mean without the best group is the lowest, and a judge without
    any signal gets a correlation of -1 with people. `pair_accuracy` is for that.

    Args:
        rung: which rung to fit.
        sample: with the groups to leave out, `sample.by(characters)` for other ones.
    """
    predicted = np.full(len(sample.probs), np.nan)
    columns = sample.high - sample.low + 1
    distribution: Floats | None = np.full((len(sample.probs), columns), np.nan)
    reason = ""
    for group in np.unique(sample.groups):
        held = sample.groups == group
        try:
            fitted = rung.fit(sample.take(~held))
        except CannotFitError as error:
            reason = reason or str(error)
            continue
        predicted[held] = fitted.predict(sample.probs[held])
        known = fitted.distribution(sample.probs[held])
        if distribution is not None and known is not None:
            distribution[held] = known
        else:
            distribution = None
    return OutOfFold(predicted, distribution, reason)


def pair_accuracy(rung: type[Calibrator], sample: Sample) -> PairAccuracy:
    """Leave two groups out, for each pair, and compare the order of their means.

    Both means come from one fit that saw neither, so that a judge without signal gets one half.
    The means are over the cells that are both judged and rated.

    Args:
        rung: which rung to fit.
        sample: with the systems as groups.
    """
    groups = np.unique(sample.groups)
    usable = sample.usable
    means = sample.means
    rated = [group for group in groups if (usable & (sample.groups == group)).any()]
    unusable = len(groups) - len(rated)
    points, ties = [], 0
    for a, b in combinations(rated, 2):
        first, second = sample.groups == a, sample.groups == b
        try:
            fitted = rung.fit(sample.take(~(first | second)))
        except CannotFitError as error:
            return PairAccuracy(math.nan, 0, 0, unusable, f"without two groups: {error}")
        first, second = first & usable, second & usable
        mine = fitted.predict(sample.probs[first]).mean()
        mine -= fitted.predict(sample.probs[second]).mean()
        theirs = means[first].mean() - means[second].mean()
        signs = np.sign(np.round([mine, theirs], _DECIMALS))
        ties += int((signs == 0).any())
        points.append((1 + float(signs.prod())) / 2)
    if not points:
        return PairAccuracy(math.nan, 0, 0, unusable, "fewer than 2 groups")
    return PairAccuracy(float(np.mean(points)), len(points), ties, unusable)
