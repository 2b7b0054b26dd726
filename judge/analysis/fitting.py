"""One metric calibrated to human ratings: the rung, how well it does, and how sure it is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.calibrators import CANDIDATES, Calibrator, CannotFitError, Ordinal, Sample
from calibration.conformal import guaranteed_radius, held_out_coverage, pooled_radius
from calibration.errors_of_fit import reliability_curve
from calibration.selection import CandidateErrors, Selection, pair_accuracy, select
from calibration.unseen_system import system_shifts
from judge.calibration_file import Fit

__all__ = ["AUTO", "RAW", "Rated", "fit_metric", "plain"]

AUTO = "auto"
"""The rung is chosen by the one-standard-error rule."""

RAW = "expected"
"""The rung that is the raw score: what a calibration is compared with."""

_LEAST = 2
"""Fewer systems than this leave none to choose by."""


@dataclass(frozen=True, slots=True, eq=False)
class Rated:
    """The ratings of one metric beside the judge's distributions of all metrics.

    Attributes:
        probs: (n, metrics, labels) of all dialogues judged.
        target: the metric's position.
        scores, cells, raters: (ratings,) on the scale; which dialogue; who, -1 unknown.
        system, character, scenario: (n,) names.
        scale: the ends of the human scale.
    """

    probs: NDArray[np.float64]
    target: int
    scores: NDArray[np.float64]
    cells: NDArray[np.int64]
    raters: NDArray[np.int64]
    system: NDArray[np.str_]
    character: NDArray[np.str_]
    scenario: NDArray[np.str_]
    scale: tuple[int, int]


def fit_metric(rated: Rated, rung: str, confidence: float) -> Fit:
    """Choose a rung, fit it to all ratings, and measure it on systems it has not seen.

    Args:
        rated: the ratings of one metric.
        rung: the name of one, or `AUTO`.
        confidence: of the intervals.
    """
    whole = Sample.of(
        rated.probs,
        rated.target,
        rated.scores,
        rated.cells,
        raters=rated.raters,
        groups=rated.system,
        scale=rated.scale,
    )
    usable = whole.usable
    system = rated.system[usable]
    reason = _too_little(whole, system)
    if reason:
        return Fit(None, reason)
    sample = whole.fitting()
    try:
        selection = select(sample)
        chosen = selection.chosen if rung == AUTO else rung
        calibrator = selection.calibrator if rung == AUTO else CANDIDATES[rung].fit(sample)
    except CannotFitError as error:
        return Fit(None, str(error))
    ladder = {row.candidate: row for row in selection.rows}
    if ladder[chosen].reason:
        return Fit(None, ladder[chosen].reason)
    predicted = selection.out_of_fold[chosen].predicted
    intervals, radius = _item_intervals(sample, predicted, system, confidence)
    of_rung = {chosen: CANDIDATES[chosen]}
    details = {
        "rung": chosen,
        "chosen_by": "the one-standard-error rule" if rung == AUTO else "--rung",
        "rule_chooses": selection.chosen,
        "least_loss": selection.best,
        "rank_invariant": calibrator.rank_invariant,
        "ladder": [_errors_of(row) for row in selection.rows],
        "pairs": pair_accuracy(CANDIDATES[chosen], sample)._asdict(),
        "pairs_before": pair_accuracy(CANDIDATES[RAW], sample)._asdict(),
        "by_character": _held_out(sample, rated.character[usable], of_rung),
        "by_scenario": _held_out(sample, rated.scenario[usable], of_rung),
        "reliability": _reliability(sample, selection, chosen),
        "item_intervals": intervals,
        "judged_means": _raw_means(sample, system),
        "ratings": len(sample.scores),
        "dialogues": len(sample.probs),
        "raters": len(np.unique(sample.raters[sample.raters >= 0])),
        "notes": list(_notes(sample, calibrator)),
    }
    shifts = system_shifts(sample.means - predicted, system)
    return Fit(calibrator.to_dict(), "", shifts, radius, plain(details))


def plain(value: Any) -> Any:
    """Numbers, texts, lists and mappings for JSON; nan, which JSON has not, becomes None."""
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, np.ndarray | list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _errors_of(row: CandidateErrors) -> dict[str, Any]:
    """A row of the table of candidates, as calibration files store it."""
    values = row._asdict()
    return {"rung": values.pop("candidate"), **values}


def _too_little(whole: Sample, systems: NDArray[np.str_]) -> str:
    """Why nothing can be learnt, "" if something can."""
    if not len(whole.scores):
        return "no rating of it belongs to these dialogues"
    if not len(systems):
        return "no dialogue is both judged and rated"
    found = sorted(set(systems.tolist()))
    if len(found) < _LEAST:
        return (
            f"ratings of one system only ({found[0]}): a fit has to be tried on a system that it "
            "has not seen"
        )
    scores = whole.scores[whole.judged[whole.cells]]
    if np.ptp(scores) == 0:
        return f"every rating is {scores[0]:g}: nothing tells one dialogue from another"
    return ""


def _item_intervals(
    sample: Sample, predicted: NDArray[np.float64], system: NDArray[np.str_], confidence: float
) -> tuple[dict[str, Any], float | None]:
    """Both radii, the coverage that was measured, and the radius to use; or why there is none."""
    residuals = np.abs(sample.scores - predicted[sample.cells])
    of = system[sample.cells]
    try:
        pooled = pooled_radius(residuals, of, confidence)
        guaranteed = guaranteed_radius(residuals, of, confidence)
        coverage = held_out_coverage(residuals, of, confidence)
    except ValueError as error:  # too few systems for the confidence, or to hold one out
        return {"reason": str(error)}, None
    facts = {
        "reason": "",
        "pooled": pooled._asdict(),
        "guaranteed": guaranteed._asdict(),
        "held_out_coverage": coverage,
    }
    return facts, pooled.radius


def _held_out(
    sample: Sample, groups: NDArray[np.str_], of_rung: Mapping[str, type[Calibrator]]
) -> dict[str, Any]:
    """The errors of the chosen rung with other groups held out."""
    try:
        return _errors_of(select(sample.by(groups), of_rung).rows[0])
    except CannotFitError as error:
        return {"reason": str(error)}


def _reliability(sample: Sample, selection: Selection, chosen: str) -> dict[str, Any]:
    means = sample.means
    return {
        when: reliability_curve(selection.out_of_fold[rung].predicted, means)._asdict()
        for when, rung in (("before", RAW), ("after", chosen))
    }


def _raw_means(sample: Sample, system: NDArray[np.str_]) -> dict[str, float]:
    """The mean raw score of each system: beyond them a map is not tried."""
    labels = np.arange(1, sample.probs.shape[2] + 1)
    scores = sample.probs[:, sample.target] @ labels
    return {name: float(scores[system == name].mean()) for name in np.unique(system).tolist()}


def _notes(sample: Sample, calibrator: Calibrator) -> list[str]:
    notes = []
    given = set(sample.scores.tolist())
    never = [k for k in range(sample.low, sample.high + 1) if k not in given]
    if never and sample.whole:
        notes.append(f"no one gave {', '.join(map(str, never))}")
    raters = set(sample.raters.tolist())
    if -1 not in raters and len(raters) == 1:
        notes.append("one rater: their severity is part of the scale")
    if isinstance(calibrator, Ordinal) and calibrator.pieces > 1:
        notes.append(
            f"the raters fall into {calibrator.pieces} groups that share no dialogue: their "
            "severities cannot be compared, and are not to be reported"
        )
    if calibrator.learns and not calibrator.rank_invariant and calibrator.name == "linear":
        notes.append("the line does not rise: where the judge scores higher, people score lower")
    return notes
