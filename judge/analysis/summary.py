"""The results of a run: means with standard errors from its judgments, and what has no score."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from calibration.agreement.correlation import spearman
from calibration.intervals import clustered_mean
from judge.analysis.judgment_table import (
    FLAG_BELOW,
    NOT_JUDGED,
    JudgmentTable,
    dialogue_judgments,
    dialogue_order,
    finite_or_none,
    judgment_table,
)
from judge.analysis.published import PublishedMeans
from judge.analysis.reply_diversity import DiversityResults
from judge.analysis.results import (
    OVERALL,
    ExtremeDialogue,
    FailureCount,
    JudgedDimension,
    Measure,
    MeasureKind,
    MetricScore,
    Results,
    SystemAgreement,
    SystemResults,
)
from judge.errors import StoreError
from judge.roleplay.playing_summary import PlayingSummary
from judge.types import Dialogue, Failure, Judgment, Reading, Rubric

__all__ = ["MIN_SYSTEMS", "judged_dimensions", "measure_titles", "summarize", "undefined_reason"]

MIN_SYSTEMS = 3
"""With fewer systems their order is not correlated with a published one."""

_CLUSTERS = ("character", "scenario")


def summarize(
    judgments: Sequence[Judgment],
    rubric: Rubric,
    *,
    dialogues: Iterable[Dialogue] = (),
    provenance: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
    published: PublishedMeans | None = None,
    extremes: int = 5,
    diversity: DiversityResults | None = None,
    played: Sequence[PlayingSummary] = (),
) -> Results:
    """Means, standard errors and everything else that a report shows.

    In each dialogue, the score of a dimension is the mean of its metrics, and the overall score the
    mean of all metrics; a dialogue that lacks a metric has neither. A dimension is in the results
    if all its metrics were judged, the overall score if all metrics of the rubric were.

    Args:
        judgments: of any number of systems, at most one for each dialogue and metric, in any order.
            Those of sets of replies are ignored: see `diversity`.
        dialogues: the texts of the extreme dialogues are taken from these, where they are there.
        provenance: what made the run, for the signature and the footer.
        notes: warnings to show at the top.
        published: system means to show beside the judge's.
        extremes: how many dialogues with the lowest and with the highest scores to show.
        played: summaries of the systems that played in this run.

    Raises:
        StoreError: there are no judgments, two of one metric of one dialogue, one of a metric that
            the rubric does not have, or one that is no distribution over the labels.
    """
    judgments = dialogue_judgments(judgments, rubric)
    groups = judged_dimensions(judgments, rubric)
    metrics = [metric for group in groups for metric in group.metrics]
    table = judgment_table(judgments, metrics, len(rubric.labels))
    complete = all(group.complete for group in groups) and len(groups) == len(rubric.dimensions)
    parts: dict[str, tuple[str, ...]] = {}
    for group in groups:
        parts |= {group.name: group.metrics} if group.complete else {}
        parts |= {metric: (metric,) for metric in group.metrics}
    parts |= {OVERALL: tuple(metrics)} if complete else {}
    systems = _systems(table, parts, {group.name for group in groups})
    lowest, highest = _extreme_dialogues(table, judgments, dialogues, extremes)
    readings = Counter(j.outcome.reading for j in judgments if not isinstance(j.outcome, Failure))
    return Results(
        rubric=rubric.name,
        rubric_version=rubric.version,
        rubric_hash=rubric.hash,
        language=rubric.language,
        labels=rubric.labels,
        titles=measure_titles(rubric, groups, overall=complete),
        groups=groups,
        systems=systems,
        failures=_failures(judgments, systems),
        extremes_by="overall" if complete else "asked",
        lowest=lowest,
        highest=highest,
        published=published,
        agreement=_published_agreement(systems, parts, published),
        provenance=dict(provenance or {}),
        notes=(*notes, *_reading_notes(readings), *_result_notes(table, published)),
        readings=dict(sorted(readings.items())),
        diversity=diversity,
        played=tuple(played),
    )


def judged_dimensions(judgments: Sequence[Judgment], rubric: Rubric) -> tuple[JudgedDimension, ...]:
    """The dimensions that any judgment belongs to, with their judged metrics, in rubric order.

    Raises:
        StoreError: there are no judgments, or a metric that no dimension of the rubric has.
    """
    if not judgments:
        raise StoreError("the run holds no judgments", hint="make some first: judge eval --help")
    judged = {judgment.metric for judgment in judgments}
    groups = []
    for dimension in rubric.dimensions:
        metrics = tuple(metric for metric in dimension.metrics if metric in judged)
        if metrics:
            groups.append(JudgedDimension(dimension.name, metrics, metrics == dimension.metrics))
    unknown = judged.difference(*(group.metrics for group in groups))
    if unknown:
        names = ", ".join(sorted(unknown))
        raise StoreError(
            f"{names} was judged, which no dimension of the rubric {rubric.name} has",
            hint="summarise the run with the rubric it was made with",
        )
    return tuple(groups)


def measure_titles(
    rubric: Rubric, groups: Sequence[JudgedDimension], *, overall: bool
) -> dict[str, str]:
    """Titles of the judged metrics and their dimensions, and of the overall score if there is one.

    A title is in English, followed by the name in the language of the rubric: `Fluency (流畅性)`.
    """
    names = {metric for group in groups for metric in group.metrics}
    names |= {group.name for group in groups}
    translations = {dimension.name: dimension.titles for dimension in rubric.dimensions}
    translations |= {metric.name: metric.titles for metric in rubric.metrics}
    titles = {}
    for name, in_language in translations.items():
        if name in names:
            english = in_language.get("en", name.replace("_", " ").capitalize())
            original = in_language.get(rubric.language, english)
            titles[name] = english if original == english else f"{english} ({original})"
    return titles | ({OVERALL: "Overall"} if overall else {})


def undefined_reason(groups: Sequence[int], reason: str) -> str:
    """Why a standard error over characters and scenarios is undefined.

    Args:
        groups: how many characters and scenarios there are.
        reason: what the estimator says, if it is not that there is only one of either.
    """
    single = [name for name, count in zip(_CLUSTERS, groups, strict=True) if count < 2]
    return f"only one {' and one '.join(single)}" if single else reason


def _systems(
    table: JudgmentTable, parts: Mapping[str, tuple[str, ...]], dimensions: set[str]
) -> tuple[SystemResults, ...]:
    results = []
    systems = table.systems
    for system in sorted(set(systems.tolist())):
        rows = np.flatnonzero(systems == system)
        judged = {
            metric
            for metric in table.metrics
            if (table.code[rows][:, table.columns([metric])] != NOT_JUDGED).any()
        }
        measures = {
            name: _measure(table, rows, name, metrics, dimensions)
            for name, metrics in parts.items()
            if judged.issuperset(metrics)
        }
        characters = len(np.unique(table.characters[rows]))
        scenarios = len(np.unique(table.scenarios[rows]))
        results.append(SystemResults(system, len(rows), characters, scenarios, measures))
    return tuple(sorted(results, key=_rank))


def _rank(result: SystemResults) -> tuple[bool, float, str]:
    """Sort key: highest overall mean first; without one, the mean of all judged measures."""
    measures = result.measures
    chosen = [measures[OVERALL]] if OVERALL in measures else list(measures.values())
    means = [measure.mean for measure in chosen if measure.mean is not None]
    undefined = not means or len(means) < len(chosen)
    return undefined, -math.fsum(means) / max(len(means), 1), result.system


def _measure(
    table: JudgmentTable,
    rows: NDArray[np.int64],
    name: str,
    metrics: tuple[str, ...],
    dimensions: set[str],
) -> Measure:
    columns = table.columns(metrics)
    scores = table.score[rows][:, columns].mean(axis=1)
    scored = ~np.isnan(scores)
    codes = table.code[rows[~scored]][:, columns]
    first_missing = Counter(next(code for code in row if code != "ok") for row in codes)
    used = rows[scored]
    mean = clustered_mean(
        scores[scored], table.characters[used].tolist(), table.scenarios[used].tolist()
    )
    mass, top = table.mass[used][:, columns], table.top[used][:, columns]
    kind: MeasureKind = "metric"
    if name == OVERALL:
        kind = "overall"
    elif name in dimensions:
        kind = "dimension"
    defined = math.isfinite(mean.standard_error)
    reason = undefined_reason(mean.groups, mean.reason) if mean.n else "no dialogue was scored"
    return Measure(
        name=name,
        kind=kind,
        dialogues=len(rows),
        n=mean.n,
        mean=mean.mean if mean.n else None,
        standard_error=mean.standard_error if defined else None,
        clustered_by=tuple(_CLUSTERS[cluster] for cluster in mean.used),
        standard_error_reason=reason,
        unscored=dict(sorted(first_missing.items())),
        flagged=float((mass < FLAG_BELOW).mean()) if mean.n else None,
        top_is_label=float(top.mean()) if mean.n else None,
        sampled=int(table.sampled[used][:, columns].sum()),
    )


def _failures(
    judgments: Sequence[Judgment], systems: Sequence[SystemResults]
) -> tuple[FailureCount, ...]:
    failed: dict[str, list[tuple[tuple[object, ...], str, str]]] = {}
    for j in judgments:
        if isinstance(j.outcome, Failure):
            order = (*dialogue_order(j.system, j.character, j.scenario), j.metric)
            example = f"{j.system}/{j.character}/{j.scenario} {j.metric}"
            failed.setdefault(j.outcome.code, []).append((order, j.outcome.reason, example))
    counts = []
    for code, failures in failed.items():
        _, reason, example = min(failures)
        counts.append(FailureCount(code, len(failures), reason, example))
    metrics = [m for system in systems for m in system.measures.values() if m.kind == "metric"]
    if missing := sum(metric.unscored.get(NOT_JUDGED, 0) for metric in metrics):
        reason = "not judged yet: the run was interrupted, or asked for less"
        counts.append(FailureCount(NOT_JUDGED, missing, reason, ""))
    return tuple(sorted(counts, key=lambda failure: (-failure.count, failure.code)))


def _published_agreement(
    systems: Sequence[SystemResults],
    parts: Mapping[str, tuple[str, ...]],
    published: PublishedMeans | None,
) -> tuple[SystemAgreement, ...]:
    if published is None:
        return ()
    rows = []
    for name, metrics in parts.items():
        pairs = [
            (judged, human)
            for system in systems
            if (judged := system.mean(name)) is not None
            and (human := published.mean(system.system, metrics)) is not None
        ]
        if len(pairs) < MIN_SYSTEMS:
            reason = f"only {len(pairs)} of at least {MIN_SYSTEMS} systems in common"
            rows.append(SystemAgreement(name, None, len(pairs), reason))
            continue
        rho = spearman(*zip(*pairs, strict=True))
        rows.append(SystemAgreement(name, finite_or_none(rho.value), rho.n, rho.reason))
    return tuple(rows)


def _reading_notes(readings: Mapping[Reading, int]) -> Iterator[str]:
    total = sum(readings.values())
    if sampled := readings.get("sampled"):
        yield (
            f"Sampled: {sampled} of {total} scores are shares of sampled answers, because the "
            "server shows no probabilities. They vary from draw to draw."
        )
    if truncated := readings.get("truncated"):
        yield (
            f"Truncated: {truncated} of {total} scores were read from the most probable tokens "
            "only. A label that was not among them counts as 0, so the label mass is a lower bound."
        )


_SAME, _NEARLY_ALL, _ENOUGH = 0.05, 0.95, 20
"""A judge that gives such a share of so many scores within so little tells nothing apart."""


def _result_notes(table: JudgmentTable, published: PublishedMeans | None) -> Iterator[str]:
    scenes: dict[str, set[tuple[str, str]]] = {}
    for system, character, scenario in table.dialogue_ids:
        scenes.setdefault(system, set()).add((character, scenario))
    if any(own != next(iter(scenes.values())) for own in scenes.values()):
        yield (
            "The systems were not judged on the same characters and scenarios: "
            "their means differ for that reason too."
        )
    same = []
    for name, scores in zip(table.metrics, table.score.T, strict=True):
        known = scores[~np.isnan(scores)]
        if len(known) >= _ENOUGH:
            middle = np.median(known)
            if np.mean(np.abs(known - middle) <= _SAME) >= _NEARLY_ALL:
                same.append(f"{name} ({middle:.2f})")
    if same:
        yield (
            f"The judge gives nearly the same score to everything ({_NEARLY_ALL:.0%} within "
            f"{_SAME:g} of the middle), so that it tells nothing apart: {', '.join(same)}."
        )
    if published is not None:
        named = {metric for row in published.means.values() for metric in row}
        if not named.intersection(table.metrics):
            yield f"{published.source} holds none of the metrics that were judged."


def _extreme_dialogues(
    table: JudgmentTable, judgments: Sequence[Judgment], dialogues: Iterable[Dialogue], most: int
) -> tuple[tuple[ExtremeDialogue, ...], tuple[ExtremeDialogue, ...]]:
    """The `most` lowest, lowest first, and the `most` highest, highest first.

    Only dialogues with a score of every metric take part; equal scores are in the order of the
    dialogues. No dialogue is in both lists, so that few dialogues make short lists.
    """
    scores = [round(float(score), 10) for score in table.score.mean(axis=1)]
    rising = sorted((score, row) for row, score in enumerate(scores) if not math.isnan(score))
    low = [row for _, row in rising[: min(most, len(rising) // 2)]]
    falling = sorted((-score, row) for score, row in rising if row not in low)
    high = [row for _, row in falling[:most]]
    shown: set[tuple[str, str, str]] = {table.dialogue_ids[row] for row in (*low, *high)}
    metrics: dict[tuple[str, str, str], dict[str, MetricScore]] = {
        dialogue: {} for dialogue in shown
    }
    for j in judgments:
        dialogue, outcome = (j.system, j.character, j.scenario), j.outcome
        if dialogue in shown and not isinstance(outcome, Failure):
            metrics[dialogue][j.metric] = MetricScore(
                j.metric,
                outcome.expected,
                outcome.p,
                outcome.label_mass,
                outcome.reading,
                j.rationale,
            )
    turns = {
        dialogue: d.turns
        for d in dialogues
        if (dialogue := (d.system, d.character, d.scenario)) in shown
    }

    def show(row: int) -> ExtremeDialogue:
        dialogue = table.dialogue_ids[row]
        in_order = tuple(metrics[dialogue][metric] for metric in table.metrics)
        return ExtremeDialogue(*dialogue, scores[row], in_order, turns.get(dialogue, ()))

    return tuple(map(show, low)), tuple(map(show, high))
