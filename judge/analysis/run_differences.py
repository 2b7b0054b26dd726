"""Two judges, rubrics or languages on the same dialogues, without ratings: where they differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from calibration.agreement.correlation import spearman
from calibration.agreement.levels import LevelValue, level_correlations, mean_of_parts
from judge.analysis.judgment_table import JudgmentTable, finite_or_none, judgment_table
from judge.analysis.results import OVERALL, JudgedDimension
from judge.analysis.summary import measure_titles
from judge.errors import RunMismatchError
from judge.rubric.reply_sets import replies_metric
from judge.runs import StoredRun
from judge.types import Dialogue

__all__ = [
    "DialogueDifference",
    "MeasureDifference",
    "RunDifferences",
    "SystemOrder",
    "compare_runs",
]


@dataclass(frozen=True, slots=True)
class MeasureDifference:
    """One metric, or the overall score, as two runs scored it.

    All figures are of the dialogues that both runs scored: descriptions of these, not estimates.
    Correlations are Spearman's; None, with the reason, where undefined.

    Attributes:
        measure: its name; `title` is for readers.
        n: how many dialogues.
        first, second: their means.
        absolute: the mean absolute difference of a dialogue, in points of the scale.
        rho: over all dialogues; `within_item` over the systems of an item, the mean over items;
            `systems` over the means of the systems.
        reason: why there is no correlation over all dialogues, or "".
    """

    measure: str
    title: str
    n: int
    first: float | None = None
    second: float | None = None
    absolute: float | None = None
    rho: float | None = None
    within_item: float | None = None
    systems: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SystemOrder:
    """The overall means of one system, and its place in the order of each run, from 1.

    They are of the dialogues that both runs scored on all common metrics. Systems with the same
    mean share a place.
    """

    system: str
    n: int
    first: float
    second: float
    first_place: int
    second_place: int


@dataclass(frozen=True, slots=True)
class DialogueDifference:
    """One dialogue and metric on which two runs differ: scores, label probabilities, reasons."""

    system: str
    character: str
    scenario: str
    metric: str
    first: float
    second: float
    first_p: tuple[float, ...]
    second_p: tuple[float, ...]
    first_reason: str | None
    second_reason: str | None
    turns: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class RunDifferences:
    """What two runs make of the same dialogues.

    Attributes:
        first, second: label -> text, what each run was made with.
        labels: of the scale.
        dialogues: how many both hold, with the same text.
        only_first, only_second: how many one of them holds alone.
        other_text: how many both hold with different texts; they are left out.
        measures: each common metric, then the overall score if there are two metrics or more.
        systems: in the order of the first run.
        most: the dialogues that differ most, the largest difference first.
    """

    first: Mapping[str, str]
    second: Mapping[str, str]
    labels: tuple[str, ...]
    dialogues: int
    only_first: int
    only_second: int
    other_text: int
    measures: tuple[MeasureDifference, ...]
    systems: tuple[SystemOrder, ...]
    most: tuple[DialogueDifference, ...] = field(repr=False)


def compare_runs(first: StoredRun, second: StoredRun, *, most: int = 30) -> RunDifferences:
    """Compare two runs, dialogue by dialogue.

    Args:
        first, second: judged with any judges and rubrics that have labels and metrics in common.
        most: how many dialogues are listed for each metric.

    Raises:
        RunMismatchError: they have other labels, or no metric or no dialogue in common.
    """
    names, labels = _common_metrics(first, second)
    texts = [{_id(d): d for d in run.dialogues} for run in (first, second)]
    shared = [key for key in texts[0] if key in texts[1]]
    same = {key for key in shared if texts[0][key].turns == texts[1][key].turns}
    if not same:
        raise _mismatch(
            second, "has no dialogue in common with the other run", "judge the same dialogues"
        )
    tables = [_table(run, names, same) for run in (first, second)]
    scores = [table.expected for table in tables]
    both = ~np.isnan(scores[0] + scores[1])
    scores = [np.where(both, values, np.nan) for values in scores]
    titles = measure_titles(
        first.manifest.rubric, [JudgedDimension("", names, complete=True)], overall=True
    )
    columns = [(name, scores[0][:, at], scores[1][:, at]) for at, name in enumerate(names)]
    overall = mean_of_parts(scores[0]).values, mean_of_parts(scores[1]).values
    if len(names) > 1:
        columns.append((OVERALL, *overall))
    return RunDifferences(
        first=first.manifest.provenance,
        second=second.manifest.provenance,
        labels=labels,
        dialogues=len(same),
        only_first=len(texts[0]) - len(shared),
        only_second=len(texts[1]) - len(shared),
        other_text=len(shared) - len(same),
        measures=tuple(
            _measure(name, titles[name], one, two, tables[0]) for name, one, two in columns
        ),
        systems=_order(tables[0], *overall),
        most=tuple(_most(first, second, tables, texts[0], most)),
    )


def _common_metrics(first: StoredRun, second: StoredRun) -> tuple[tuple[str, ...], tuple[str, ...]]:
    rubrics = first.manifest.rubric, second.manifest.rubric
    if len(rubrics[0].labels) != len(rubrics[1].labels):
        scales = " and ".join(f"1 to {len(rubric.labels)}" for rubric in rubrics)
        raise _mismatch(second, f"the scales differ: {scales}", "compare runs with one scale")
    replies = {replies_metric(rubric) for rubric in rubrics}
    judged = [{j.metric for j in run.judgments} - replies for run in (first, second)]
    names = tuple(m.name for m in rubrics[0].metrics if m.name in judged[0] & judged[1])
    if not names:
        raise _mismatch(second, "has no metric in common with the other run", "see judge runs")
    return names, tuple(rubrics[0].labels)


def _mismatch(run: StoredRun, what: str, hint: str) -> RunMismatchError:
    return RunMismatchError(what, path=run.folders[0], hint=hint)


def _id(dialogue: Dialogue) -> tuple[str, str, str]:
    return dialogue.system, dialogue.character, dialogue.scenario


def _table(
    run: StoredRun, names: tuple[str, ...], wanted: set[tuple[str, str, str]]
) -> JudgmentTable:
    judgments = [j for j in run.judgments if (j.system, j.character, j.scenario) in wanted]
    return judgment_table(judgments, names, len(run.manifest.rubric.labels))


def _measure(
    name: str, title: str, one: np.ndarray, two: np.ndarray, table: JudgmentTable
) -> MeasureDifference:
    scored = ~np.isnan(one)
    n = int(scored.sum())
    if not n:
        return MeasureDifference(name, title, 0, reason="no dialogue was scored by both")
    item = np.array([f"{c}\0{s}" for c, s in zip(table.characters, table.scenarios, strict=True)])
    levels = level_correlations(one, two, table.systems, item)
    return MeasureDifference(
        measure=name,
        title=title,
        n=n,
        first=float(one[scored].mean()),
        second=float(two[scored].mean()),
        absolute=float(np.abs(one - two)[scored].mean()),
        rho=finite_or_none(spearman(one, two).value),
        within_item=_value(levels.within_item),
        systems=_value(levels.systems),
        reason=levels.all.reason,
    )


def _value(level: LevelValue) -> float | None:
    return finite_or_none(level.value)


def _order(table: JudgmentTable, one: np.ndarray, two: np.ndarray) -> tuple[SystemOrder, ...]:
    means = []
    for system in sorted(set(table.systems.tolist())):
        rows = (table.systems == system) & ~np.isnan(one)
        if rows.any():
            means.append(
                (system, int(rows.sum()), float(one[rows].mean()), float(two[rows].mean()))
            )
    orders = [
        SystemOrder(
            *entry,
            first_place=1 + sum(other[2] > entry[2] for other in means),
            second_place=1 + sum(other[3] > entry[3] for other in means),
        )
        for entry in means
    ]
    return tuple(sorted(orders, key=lambda order: (order.first_place, order.system)))


def _most(
    first: StoredRun,
    second: StoredRun,
    tables: list[JudgmentTable],
    texts: Mapping[tuple[str, str, str], Dialogue],
    most: int,
) -> list[DialogueDifference]:
    """The `most` of each metric with the largest difference, all together by their size."""
    reasons = [
        {(j.system, j.character, j.scenario, j.metric): j.rationale for j in run.judgments}
        for run in (first, second)
    ]
    expected = [table.expected for table in tables]
    found = []
    for column, metric in enumerate(tables[0].metrics):
        sizes = np.abs(expected[0][:, column] - expected[1][:, column])
        for row in np.argsort(-sizes, kind="stable")[:most].tolist():
            if not sizes[row] > 0:  # also where one of them is missing
                continue
            key = tables[0].dialogue_ids[row]
            one, two = (
                (
                    float(scores[row, column]),
                    tuple(table.probs[row, column].tolist()),
                    reason[*key, metric],
                )
                for scores, table, reason in zip(expected, tables, reasons, strict=True)
            )
            found.append(
                DialogueDifference(
                    system=key.system,
                    character=key.character,
                    scenario=key.scenario,
                    metric=metric,
                    first=one[0],
                    second=two[0],
                    first_p=one[1],
                    second_p=two[1],
                    first_reason=one[2],
                    second_reason=two[2],
                    turns=tuple((t.question, t.answer) for t in texts[tuple(key)].turns),
                )
            )
    return sorted(found, key=lambda d: -abs(d.first - d.second))
