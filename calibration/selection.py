"""Cross-validation of calibrators over groups such as systems, and the choice among candidates."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations
from typing import NamedTuple

import numpy as np

from calibration.arrays import Codes, Floats
from calibration.calibrators import CANDIDATES, Calibrator, CannotFitError, NoJudge, Sample
from calibration.errors_of_fit import point_errors, quadratic_kappa, ranked_probability_score

__all__ = [
    "FALLS",
    "CandidateErrors",
    "OutOfFold",
    "PairAccuracy",
    "Selection",
    "crossfit",
    "pair_accuracy",
    "select",
]

FALLS = "it falls: where the judge scores higher, people score lower"
"""The reason of a candidate that is not eligible."""

_DECIMALS = 10
"""Means are rounded to this many decimals before they are compared, so that true ties tie."""


class OutOfFold(NamedTuple):
    """Predictions of every cell by a fit that has not seen its group.

    Attributes:
        predicted: (n,); NaN where the target was not judged or the fit failed.
        distribution: (n, labels of the human scale) likewise; None for a kind of calibrator that
            predicts points only.
        reason: why a fit failed, "" if none did.
    """

    predicted: Floats
    distribution: Floats | None
    reason: str = ""


class PairAccuracy(NamedTuple):
    """How often the calibrated means of two unseen groups are in the order of the human means.

    Attributes:
        value: share of the pairs in the right order, where a tie on either side counts half; NaN,
            with a `reason`, where it is undefined.
        pairs: number of pairs compared.
        ties: number of pairs with a tie on either side.
        unusable: number of groups left out because no cell is both judged and rated.
    """

    value: float
    pairs: int
    ties: int
    unusable: int
    reason: str = ""


class CandidateErrors(NamedTuple):
    """The errors of one candidate on held-out groups: computed within each group, then averaged.

    Attributes:
        loss: mean squared error against the mean rating of each cell; decides the choice.
        standard_error: of `loss`, from its spread over groups.
        excess: `loss` less that of the best candidate.
        excess_error: standard error of `excess`, from the differences in each group.
        gain: the loss of no judge, which predicts the mean rating of the other groups, less `loss`.
        gain_error: standard error of `gain`, from the differences in each group.
        mae, rmse, bias: against the mean rating of each cell; `rmse` is the root of `loss`.
        qwk: quadratically weighted kappa with single ratings, over the groups where it is defined.
        rps: ranked probability score with single ratings; NaN for a candidate that predicts points.
        groups, cells: how many groups and cells were predicted and compared.
        rank_invariant: whether the candidate, fitted to all groups, rises with the expected score.
    """

    candidate: str
    loss: float = math.nan
    standard_error: float = math.nan
    excess: float = math.nan
    excess_error: float = math.nan
    gain: float = math.nan
    gain_error: float = math.nan
    mae: float = math.nan
    rmse: float = math.nan
    bias: float = math.nan
    qwk: float = math.nan
    rps: float = math.nan
    groups: int = 0
    cells: int = 0
    rank_invariant: bool = False
    reason: str = ""

    @property
    def beats_no_judge(self) -> bool:
        """Whether it has less loss than no judge, by more than one standard error."""
        return self.gain > self.gain_error


class Selection(NamedTuple):
    """The errors of all candidates, and the choice.

    Attributes:
        rows: no judge, then one for each candidate, from the simplest to the most flexible.
        best: name of the candidate with the least loss, no judge aside.
        chosen: name of the simplest candidate within one standard error of the best, no judge
            aside. Candidates that learn nothing are equally simple; of those the one with the
            smaller loss is taken. Whether it beats no judge stands in its row.
        calibrator: the chosen candidate, fitted to all groups.
        out_of_fold: the held-out predictions of no judge and of every candidate.
    """

    rows: tuple[CandidateErrors, ...]
    best: str
    chosen: str
    calibrator: Calibrator
    out_of_fold: Mapping[str, OutOfFold]


def crossfit(candidate: type[Calibrator], sample: Sample) -> OutOfFold:
    """Predict each group of the sample by a fit to all other groups.

    Use the predictions to compare cells within a group or to measure errors, but never to rank the
    groups: where a fit learns only a mean, that mean is lowest when the best group is left out, so
    a judge without any signal gets a correlation of -1 with people. To compare groups use
    `pair_accuracy`.

    Args:
        sample: with the groups to leave out; for other groups use `sample.by(characters)`.
    """
    predicted = np.full(len(sample.probs), np.nan)
    columns = sample.high - sample.low + 1
    distribution: Floats | None = np.full((len(sample.probs), columns), np.nan)
    reason = ""
    for group in np.unique(sample.groups):
        held = sample.groups == group
        try:
            fitted = candidate.fit(sample.take(~held))
        except CannotFitError as error:
            reason = reason or str(error)
            continue
        predicted[held] = fitted.predict(sample.probs[held])
        of_group = fitted.distribution(sample.probs[held])
        if distribution is not None and of_group is not None:
            distribution[held] = of_group
        else:
            distribution = None
    return OutOfFold(predicted, distribution, reason)


def pair_accuracy(candidate: type[Calibrator], sample: Sample) -> PairAccuracy:
    """Leave out each pair of groups, and compare the order of their means.

    Both means come from one fit that has seen neither group, so that a judge without signal gets
    one half. The means are over the cells that are both judged and rated.
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
            fitted = candidate.fit(sample.take(~(first | second)))
        except CannotFitError as error:
            return PairAccuracy(math.nan, 0, 0, unusable, f"without two groups: {error}")
        first, second = first & usable, second & usable
        calibrated = fitted.predict(sample.probs[first]).mean()
        calibrated -= fitted.predict(sample.probs[second]).mean()
        human = means[first].mean() - means[second].mean()
        signs = np.sign(np.round([calibrated, human], _DECIMALS))
        ties += int((signs == 0).any())
        points.append((1 + float(signs.prod())) / 2)
    if not points:
        return PairAccuracy(math.nan, 0, 0, unusable, "fewer than 2 groups")
    return PairAccuracy(float(np.mean(points)), len(points), ties, unusable)


def select(sample: Sample, candidates: Mapping[str, type[Calibrator]] = CANDIDATES) -> Selection:
    """Cross-validate every candidate over the groups of the sample and choose one.

    The loss is the squared error, which the mean human rating minimises and most candidates are
    fitted by. It is averaged within each held-out group and then over groups, because a calibrator
    is used for a new system, and each system counts once. The choice follows the one-standard-error
    rule (Breiman et al. 1984) with the standard error of the difference from the best candidate:
    how hard a group is to predict is common to all candidates and does not tell them apart. A
    candidate that falls with the judge's score is not eligible.

    Args:
        sample: with at least two usable groups.
        candidates: from the simplest to the most flexible.

    Raises:
        CannotFitError: fewer than two groups have a cell that is both judged and rated, or no
            candidate could be fitted.
    """
    groups = np.unique(sample.groups[sample.usable])
    if len(groups) < 2:
        raise CannotFitError(
            "choosing by what a fit has not seen needs two groups with cells both judged and rated"
        )
    fitted: dict[str, Calibrator] = {}
    losses: dict[str, Floats] = {}
    rows: dict[str, CandidateErrors] = {}
    baseline = crossfit(NoJudge, sample)
    baseline_row, of_baseline = _errors(NoJudge.name, baseline, sample, groups)
    predictions = {name: crossfit(candidate, sample) for name, candidate in candidates.items()}
    for name, candidate in candidates.items():
        try:
            if predictions[name].reason:
                raise CannotFitError(predictions[name].reason)
            fitted[name] = candidate.fit(sample)
            if fitted[name].falls(sample.probs):
                raise CannotFitError(FALLS)
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
            gain=float(np.mean(of_baseline - loss)),
            gain_error=_standard_error(of_baseline - loss),
        )
    within = [name for name in losses if rows[name].excess <= rows[name].excess_error]
    raw = [name for name in within if not candidates[name].learns]
    chosen = min(raw, key=lambda name: rows[name].loss) if raw else within[0]
    return Selection(
        (baseline_row, *rows.values()),
        best,
        chosen,
        fitted[chosen],
        {NoJudge.name: baseline, **predictions},
    )


def _errors(
    name: str, predictions: OutOfFold, sample: Sample, groups: Codes
) -> tuple[CandidateErrors, Floats]:
    """The row of a candidate, and its loss in each group."""
    means, whole_ratings = sample.means, sample.whole_ratings
    group_of_rating = sample.groups[sample.cells]
    points, kappas, scores = [], [], []
    for group in groups:
        cells, rows = sample.groups == group, group_of_rating == group
        ratings, rated = sample.scores[rows], sample.cells[rows]
        points.append(point_errors(predictions.predicted[cells], means[cells]))
        if not whole_ratings:
            continue
        predicted = predictions.predicted[rated]
        kappas.append(quadratic_kappa(predicted, ratings, sample.low, sample.high).value)
        if predictions.distribution is not None:
            distribution = predictions.distribution[rated]
            scores.append(ranked_probability_score(distribution, ratings, sample.low).value)
    loss = np.array([errors.mse for errors in points])
    row = CandidateErrors(
        candidate=name,
        loss=float(loss.mean()),
        standard_error=_standard_error(loss),
        mae=_mean([errors.mae for errors in points]),
        rmse=math.sqrt(loss.mean()),
        bias=_mean([errors.bias for errors in points]),
        qwk=_mean([value for value in kappas if not math.isnan(value)]),
        rps=_mean(scores),
        groups=len(groups),
        cells=sum(errors.n for errors in points),
    )
    return row, loss


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else math.nan


def _standard_error(values: Floats) -> float:
    return float(np.std(values, ddof=1)) / math.sqrt(len(values))
