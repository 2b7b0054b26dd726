"""How far a run agrees with the reference judgments, briefly: `judge agree` gives all of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from judge.analysis.agreement.agreement_records import Estimate, Interval, Level
from judge.analysis.agreement.data import GroupCodes, PairedScores, measure_scores
from judge.analysis.agreement.from_run import scores_from_run
from judge.analysis.agreement.judge_agreement import resample, systems_interval
from judge.analysis.agreement.statistics import correlation
from judge.analysis.results import ReferenceAgreement, ReferenceMeasure, Rho
from judge.ratings import Ratings
from judge.ratings.reference import (
    REFERENCE_RUBRIC,
    REFERENCE_RUBRIC_HASH,
    reference_dialogues,
    reference_ratings,
    reference_scores,
)
from judge.types import Dialogue, Failure, Judgment, Rubric

__all__ = ["RESAMPLES", "agree_with_reference"]

RESAMPLES = 1000
CONFIDENCE = 0.95

_Levels = Mapping[Level, Estimate]


def agree_with_reference(
    judgments: Sequence[Judgment], dialogues: Sequence[Dialogue], rubric: Rubric
) -> ReferenceAgreement | None:
    """The agreement over what has reference judgments in a run; None if nothing has.

    The intervals over all dialogues and within items are of a crossed jackknife, those over
    systems of Bonett and Wright. The same run gives the same numbers.
    """
    held = reference_dialogues(dialogues)
    ratings = reference_ratings(held, rubric.metrics)
    if not ratings.dialogues:
        return None
    known = {(d.system, d.character, d.scenario) for d in held}
    judged = [j for j in judgments if (j.system, j.character, j.scenario) in known]
    if not any(j.metric in ratings.metrics and not isinstance(j.outcome, Failure) for j in judged):
        return None
    scores = scores_from_run(judged, held, rubric, ratings, judge="", provenance={}, notes=())
    groups, measures = GroupCodes.of(scores), measure_scores(scores)
    resampled = resample(measures, groups, RESAMPLES, CONFIDENCE, 0, systems_fixed=False)
    everything = reference_scores(rubric.metrics)
    twice, readings = _between_readings(scores, everything)
    return ReferenceAgreement(
        dialogues=int(np.any([measure.both for measure in measures], axis=0).sum()),
        systems=len(groups.systems),
        of=len(everything.dialogues),
        read_twice=twice,
        rubric=REFERENCE_RUBRIC,
        same_rubric=rubric.hash == REFERENCE_RUBRIC_HASH,
        confidence=CONFIDENCE,
        measures=tuple(
            ReferenceMeasure(
                measure.name,
                int(measure.both.sum()),
                *_rhos(correlation(measure, groups, resampled.get(measure.name)), CONFIDENCE),
                *_rhos(readings[measure.name], None),
            )
            for measure in measures
        ),
    )


def _between_readings(scores: PairedScores, reference: Ratings) -> tuple[int, dict[str, _Levels]]:
    """How many dialogues were read twice; measure -> the first reading beside the second."""
    codes = [reference.metrics.index(metric) for metric in scores.metrics]
    table = np.full((len(reference.raters), len(reference.dialogues), len(scores.metrics)), np.nan)
    for column, code in enumerate(codes):
        of_metric = reference.metric == code
        cells = reference.rater[of_metric], reference.dialogue[of_metric], column
        table[cells] = reference.score[of_metric]
    first, second = table
    both = np.flatnonzero(~np.isnan(first + second).any(axis=1))
    names = [reference.dialogues[row] for row in both.tolist()]
    system, character, scenario = (np.array(labels) for labels in zip(*names, strict=True))
    metrics = len(scores.metrics)
    paired = replace(
        scores,
        system=system,
        character=character,
        scenario=scenario,
        score=first[both],
        probs=None,
        dialogue=np.repeat(np.arange(len(both)), metrics),
        metric=np.tile(np.arange(metrics), len(both)),
        rater=np.zeros(len(both) * metrics, dtype=np.int64),
        rating=second[both].ravel(),
        length=np.full(len(both), np.nan),
    )
    groups = GroupCodes.of(paired)
    return len(both), {m.name: correlation(m, groups, None) for m in measure_scores(paired)}


def _rhos(levels: _Levels, confidence: float | None) -> tuple[Rho, Rho, Rho]:
    systems = levels["systems"]
    interval = None if confidence is None else systems_interval(systems, confidence)
    return (
        _rho(levels["all"], levels["all"].interval),
        _rho(levels["within_item"], levels["within_item"].interval),
        _rho(systems, interval),
    )


def _rho(estimate: Estimate, interval: Interval | None) -> Rho:
    if estimate.value is None or interval is None:
        return Rho(estimate.value, reason=estimate.reason)
    return Rho(estimate.value, interval.lower, interval.upper, interval.reason)
