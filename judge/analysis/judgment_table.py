"""The judgments of a run as arrays over dialogues and metrics."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from judge.errors import StoreError, UsageError
from judge.ratings import DialogueId, Ratings, list_counts
from judge.rubric.reply_sets import is_reply_set, replies_metric
from judge.types import Failure, Judgment, Rubric, ScoreDistribution

__all__ = [
    "FLAG_BELOW",
    "NOT_JUDGED",
    "JudgmentTable",
    "chosen_metrics",
    "dialogue_judgments",
    "dialogue_order",
    "finite_or_none",
    "judged_metrics",
    "judgment_table",
    "metric_notes",
    "system_means",
]

NOT_JUDGED = "not_judged"
"""The code of a dialogue and metric that the run has no judgment of."""

FLAG_BELOW = 0.5
"""A judgment whose label mass is below this is flagged."""


@dataclass(frozen=True, slots=True, eq=False)
class JudgmentTable:
    """Judgments of n dialogues and M metrics, with K labels.

    Attributes:
        dialogue_ids: of the n rows, in the order of `dialogue_order`.
        systems, characters, scenarios: (n,) their parts.
        metrics: of the M columns.
        probs: (n, M, K) label probabilities that sum to 1; NaN where there is no score.
        score: (n, M) expected scores; NaN where there is none.
        mass: (n, M) label mass; NaN where there is no score.
        top: (n, M) whether the most probable token is a label.
        sampled: (n, M) whether the probabilities are shares of sampled answers.
        code: (n, M) `ok`, the code of a failure, or `NOT_JUDGED`.
    """

    dialogue_ids: tuple[DialogueId, ...]
    systems: NDArray[np.str_]
    characters: NDArray[np.str_]
    scenarios: NDArray[np.str_]
    metrics: tuple[str, ...]
    probs: NDArray[np.float64]
    score: NDArray[np.float64]
    mass: NDArray[np.float64]
    top: NDArray[np.bool_]
    sampled: NDArray[np.bool_]
    code: NDArray[np.object_]

    @property
    def expected(self) -> NDArray[np.float64]:
        """(n, M) the expected scores, as the matrix product of `probs` and the labels 1..K."""
        scores: NDArray[np.float64] = self.probs @ np.arange(1.0, self.probs.shape[2] + 1)
        return scores

    def columns(self, metrics: Sequence[str]) -> list[int]:
        """The columns of some metrics."""
        return [self.metrics.index(metric) for metric in metrics]


def finite_or_none(value: float) -> float | None:
    """The number as results store it: None for NaN."""
    return None if math.isnan(value) else float(value)


def dialogue_order(system: str, character: str, scenario: str) -> tuple[object, ...]:
    """Sort key of a dialogue: system, character, scenario; scenarios that are numbers by value."""
    number = int(scenario) if scenario.isdecimal() else math.inf
    return (system, character, number, scenario)


def dialogue_judgments(judgments: Iterable[Judgment], rubric: Rubric) -> list[Judgment]:
    """The judgments of dialogues, without those of sets of replies (response diversity)."""
    metric = replies_metric(rubric)
    return [judgment for judgment in judgments if judgment.metric != metric]


def judged_metrics(judgments: Iterable[Judgment], rubric: Rubric) -> tuple[str, ...]:
    """The metrics that dialogues were judged on, in the rubric's order."""
    judged = {judgment.metric for judgment in dialogue_judgments(judgments, rubric)}
    return tuple(metric.name for metric in rubric.metrics if metric.name in judged)


def chosen_metrics(wanted: Sequence[str], judged: Sequence[str]) -> tuple[str, ...]:
    """Those of the judged metrics that are wanted, in their order; all if `wanted` is empty.

    Raises:
        UsageError: a wanted metric was not judged.
    """
    unknown = [metric for metric in wanted if metric not in judged]
    if unknown:
        raise UsageError(
            f"--metrics: {', '.join(unknown)} was not judged", hint=f"there are {', '.join(judged)}"
        )
    return tuple(metric for metric in judged if not wanted or metric in wanted)


def metric_notes(
    ratings: Ratings, judged: Collection[str], not_rated: Sequence[str]
) -> Iterator[str]:
    """Notes on metrics that were only rated or only judged, and on scores that no person gave."""
    yield from ratings.notes
    if ratings.scale_given and ratings.off_scale:
        yield f"Off the scale {ratings.scale}, set aside: {list_counts(ratings.off_scale)}."
    if not_judged := [metric for metric in ratings.metrics if metric not in judged]:
        yield f"Rated, but not judged: {', '.join(not_judged)}."
    if not_rated:
        yield f"Judged, but not rated: {', '.join(not_rated)}."
    if ratings.excluded:
        rows = ", ".join(f"{kind or 'blank'} {n:,}" for kind, n in ratings.excluded.items())
        yield f"Left aside, as no person gave them (rater_type): {rows}."


def judgment_table(
    judgments: Sequence[Judgment], metrics: Sequence[str], labels: int
) -> JudgmentTable:
    """The table of some metrics.

    Judgments of other metrics add their dialogues as rows and nothing else. Those of sets of
    replies are ignored.

    Args:
        judgments: of any systems, in any order.
        metrics: the columns.
        labels: K, how many labels each judgment has probabilities of.

    Raises:
        StoreError: there are two judgments of one metric of one dialogue, or one that is no
            distribution over K labels.
    """
    judgments = [judgment for judgment in judgments if not is_reply_set(judgment.scenario)]
    dialogue_ids = sorted(
        {DialogueId(j.system, j.character, j.scenario) for j in judgments},
        key=lambda dialogue: dialogue_order(*dialogue),
    )
    row_of: dict[tuple[str, ...], int] = {key: row for row, key in enumerate(dialogue_ids)}
    column_of = {metric: column for column, metric in enumerate(metrics)}
    shape = (len(dialogue_ids), len(metrics))
    logprobs = np.full((*shape, labels), np.nan)
    score, mass = np.full(shape, np.nan), np.full(shape, np.nan)
    top, sampled = np.zeros(shape, dtype=np.bool_), np.zeros(shape, dtype=np.bool_)
    code = np.full(shape, NOT_JUDGED, dtype=object)
    entries: list[tuple[int, int]] = []
    outcomes: list[ScoreDistribution] = []
    for j in judgments:
        if j.metric not in column_of:
            continue
        entry = row_of[j.system, j.character, j.scenario], column_of[j.metric]
        if code[entry] != NOT_JUDGED:
            raise StoreError(f"two judgments of {_name(j)}", hint="name each run once")
        if isinstance(j.outcome, Failure):
            code[entry] = j.outcome.code
            continue
        _distribution_iv(j, j.outcome, labels)
        code[entry] = "ok"
        entries.append(entry)
        outcomes.append(j.outcome)
    if outcomes:
        used = tuple(np.array(entries).T)
        logprobs[used] = [outcome.logprobs for outcome in outcomes]
        score[used] = [outcome.expected for outcome in outcomes]
        mass[used] = [outcome.label_mass for outcome in outcomes]
        top[used] = [outcome.top_is_label for outcome in outcomes]
        sampled[used] = [outcome.reading == "sampled" for outcome in outcomes]
    # The largest is subtracted so that no exponential underflows to a distribution of zeros.
    weights = np.exp(logprobs - logprobs.max(axis=2, keepdims=True))
    probs: NDArray[np.float64] = weights / weights.sum(axis=2, keepdims=True)
    systems, characters, scenarios = (
        np.array([key[part] for key in dialogue_ids], dtype=np.str_) for part in range(3)
    )
    return JudgmentTable(
        dialogue_ids=tuple(dialogue_ids),
        systems=systems,
        characters=characters,
        scenarios=scenarios,
        metrics=tuple(metrics),
        probs=probs,
        score=score,
        mass=mass,
        top=top,
        sampled=sampled,
        code=code,
    )


def _distribution_iv(judgment: Judgment, outcome: ScoreDistribution, labels: int) -> None:
    if len(outcome.logprobs) != labels:
        raise StoreError(
            f"{_name(judgment)} is no distribution over {labels} labels", hint="judge it again"
        )
    if max(outcome.logprobs) == -math.inf:
        raise StoreError(
            f"no label has any probability in {_name(judgment)}", hint="judge it again"
        )


def _name(judgment: Judgment) -> str:
    return f"{judgment.metric} of {judgment.system}/{judgment.character}/{judgment.scenario}"


def system_means(table: JudgmentTable) -> dict[str, NDArray[np.float64]]:
    """System -> (M,) mean expected score over its scored dialogues; NaN where there is none."""
    systems, scores = table.systems, table.expected
    means = {}
    for name in sorted(set(systems.tolist())):
        of_system = scores[systems == name]
        count = (~np.isnan(of_system)).sum(axis=0)
        mean = np.full(len(count), np.nan)
        np.divide(np.nansum(of_system, axis=0), count, out=mean, where=count > 0)
        means[name] = mean
    return means
