"""Which rung to take: the simplest that is as good as the best on groups it has not seen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from calibration.calibrators import CANDIDATES, Calibrator, CannotFitError, Sample
from calibration.errors_of_fit import (
    point_errors,
    quadratic_kappa,
    ranked_probability_score,
)

__all__ = [
    "CandidateErrors",
    "OutOfFold",
    "PairAccuracy",
    "Selection",
    "crossfit",
    "pair_accuracy",
    "select",
]

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


class CandidateErrors(NamedTuple):
    """The errors of one rung on held-out groups, each computed within a group, then averaged.

    Attributes:
        candidate: its name.
        loss: mean squared error against the mean rating of each cell: what is chosen by.
        standard_error: of `loss`, from its spread over groups.
        excess: `loss` less that of the best rung.
        excess_error: standard error of `excess`, from the differences in each group.
        mae, rmse, bias: against the mean rating of each cell; `rmse` is the root of `loss`.
        qwk: quadratically weighted kappa with each rating; over the groups where it is defined.
        rps: ranked probability score with each rating; nan for a rung that gives points.
        groups, cells: how many were predicted and compared.
        rank_invariant: whether the rung, fitted to all, rises with the expected score.
        reason: why there are no numbers.
    """

    candidate: str
    loss: float = math.nan
    standard_error: float = math.nan
    excess: float = math.nan
    excess_error: float = math.nan
    mae: float = math.nan
    rmse: float = math.nan
    bias: float = math.nan
    qwk: float = math.nan
    rps: float = math.nan
    groups: int = 0
    cells: int = 0
    rank_invariant: bool = False
    reason: str = ""


class Selection(NamedTuple):
    """The whole table and the choice.

    Attributes:
        rows: one for each rung, from the simplest to the richest.
        best: name of the rung with the least loss.
        chosen: name of the simplest rung within one standard error of it; rungs that learn
            nothing are equally simple, and the one with the lesser loss is taken.
        calibrator: the chosen rung, fitted to all groups.
        out_of_fold: the held-out predictions of every rung.
    """

    rows: tuple[CandidateErrors, ...]
    best: str
    chosen: str
    calibrator: Calibrator
    out_of_fold: Mapping[str, OutOfFold]


def select(sample: Sample, ladder: Mapping[str, type[Calibrator]] = CANDIDATES) -> Selection:
    """Cross-validate every rung over the groups of the sample and choose one.

    The loss is the squared error, which a human mean minimises and every rung but the raw ones
    and the ordinal one is fitted by; within a held-out group, then averaged, because the use is
    a new system and each of them counts once. The rule is that of one standard error (Breiman
    et al. 1984), with the standard error of the difference from the best rung: how hard the
    groups are to predict is common to all rungs and says nothing about which one is better.

    Args:
        sample: two usable groups at least.
        ladder: the rungs, from the simplest to the richest.

    Raises:
        CannotFitError: fewer than two groups have a cell that is both judged and rated, or no
            rung could be fitted.
    """
    groups = np.unique(sample.groups[sample.usable])
    if len(groups) < 2:
        raise CannotFitError(
            "choosing by what a fit has not seen needs two groups with cells both judged and rated"
        )
    fitted: dict[str, Calibrator] = {}
    losses: dict[str, Floats] = {}
    rows: dict[str, CandidateErrors] = {}
    predictions = {name: crossfit(rung, sample) for name, rung in ladder.items()}
    for name, rung in ladder.items():
        try:
            if predictions[name].reason:
                raise CannotFitError(predictions[name].reason)
            fitted[name] = rung.fit(sample)
        except CannotFitError as error:
            rows[name] = CandidateErrors(name, reason=str(error))
            continue
        row, losses[name] = _errors(name, predictions[name], sample, groups)
        rows[name] = row._replace(rank_invariant=fitted[name].rank_invariant)
    if not losses:
        raise CannotFitError("; ".join(f"{row.candidate}: {row.reason}" for row in rows.values()))
    best = min(losses, key=lambda name: rows[name].loss)
    for name, loss in losses.items():
        rows[name] = rows[name]._replace(
            excess=float(np.mean(loss - losses[best])),
            excess_error=_standard_error(loss - losses[best]),
        )
    within = [name for name in losses if rows[name].excess <= rows[name].excess_error]
    raw = [name for name in within if not ladder[name].learns]
    chosen = min(raw, key=lambda name: rows[name].loss) if raw else within[0]
    return Selection(tuple(rows.values()), best, chosen, fitted[chosen], predictions)


def _errors(
    name: str, found: OutOfFold, sample: Sample, groups: NDArray[np.int64]
) -> tuple[CandidateErrors, Floats]:
    """The row of a rung, and its loss in each group."""
    means, whole = sample.means, sample.whole
    by_rating = sample.groups[sample.cells]
    points, kappas, scores = [], [], []
    for group in groups:
        cells, rows = sample.groups == group, by_rating == group
        ratings, rated = sample.scores[rows], sample.cells[rows]
        points.append(point_errors(found.predicted[cells], means[cells]))
        if not whole:
            continue
        kappas.append(
            quadratic_kappa(found.predicted[rated], ratings, sample.low, sample.high).value
        )
        if found.distribution is not None:
            scores.append(
                ranked_probability_score(found.distribution[rated], ratings, sample.low).value
            )
    loss = np.array([one.mse for one in points])
    row = CandidateErrors(
        candidate=name,
        loss=float(loss.mean()),
        standard_error=_standard_error(loss),
        mae=_mean([one.mae for one in points]),
        rmse=math.sqrt(loss.mean()),
        bias=_mean([one.bias for one in points]),
        qwk=_mean([value for value in kappas if not math.isnan(value)]),
        rps=_mean(scores),
        groups=len(groups),
        cells=sum(one.n for one in points),
    )
    return row, loss


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else math.nan


def _standard_error(values: Floats) -> float:
    return float(np.std(values, ddof=1)) / math.sqrt(len(values))
