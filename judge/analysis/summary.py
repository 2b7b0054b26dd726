"""Judgments in, `Results` out: means with their standard errors, and what has no score."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from calibration.agreement.correlation import spearman
from calibration.intervals import ClusteredMean, clustered_mean
from judge.analysis.judgment_table import (
    NOT_JUDGED,
    Cell,
    JudgmentTable,
    dialogue_order,
    judgment_table,
)
from judge.analysis.published import PublishedMeans
from judge.analysis.reply_diversity import DiversityResults, dialogue_judgments
from judge.analysis.results import (
    OVERALL,
    ExtremeDialogue,
    FailureCount,
    JudgedDimension,
    Measure,
    MetricScore,
    Results,
    SystemAgreement,
    SystemResults,
)
from judge.errors import StoreError
from judge.roleplay.playing_summary import PlayingSummary
from judge.types import Dialogue, Failure, Judgment, Reading, Rubric

__all__ = ["FLAG_BELOW", "LEAST_SYSTEMS", "extreme_dialogues", "summarize"]

FLAG_BELOW = 0.5
"""Label mass below which a judgment is flagged."""

LEAST_SYSTEMS = 3
"""Fewer systems than this have no order worth a correlation."""

_WAYS = ("character", "scenario")


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
    """Means, standard errors and everything else that a report says.

    A dimension's score of a dialogue is the mean of its metrics, the overall score the mean
    of all metrics; a dialogue that misses any part misses the whole. A dimension appears if
    all its metrics were asked, the overall score if all metrics of the rubric were.

    Args:
        judgments: of any number of systems, at most one per dialogue and metric, any order. Those
            of sets of replies are passed over: see `diversity`.
        rubric: what they were asked with.
        dialogues: where the text of the extreme dialogues is taken from, as far as it goes.
        provenance: what made the run, for the signature and the footer.
        notes: warnings to show at the top.
        published: system means to set beside.
        extremes: how many dialogues with the lowest and with the highest scores to show.
        diversity: what was judged and measured over many replies.
        played: how systems played whose dialogues were not recorded ones.

    Raises:
        StoreError: there are no judgments, two of the same thing, one that the rubric does
            not know, or one whose distribution is not a number.
    """
    judgments = dialogue_judgments(judgments, rubric)
    groups = rubric_groups(judgments, rubric)
    metrics = [metric for group in groups for metric in group.metrics]
    table = judgment_table(judgments, metrics)
    full = all(group.complete for group in groups) and len(groups) == len(rubric.dimensions)
    parts: dict[str, tuple[str, ...]] = {}
    for group in groups:
        parts |= {group.name: group.metrics} if group.complete else {}
        parts |= {metric: (metric,) for metric in group.metrics}
    parts |= {OVERALL: tuple(metrics)} if full else {}
    systems = _systems(table, parts, {group.name for group in groups})
    low, high = extreme_dialogues(table, judgments, dialogues, extremes)
    readings = _readings(judgments)
    return Results(
        rubric=rubric.name,
        rubric_version=rubric.version,
        rubric_hash=rubric.hash,
        language=rubric.language,
        labels=rubric.labels,
        titles=rubric_titles(rubric, groups, full=full),
        groups=groups,
        systems=systems,
        failures=_failures(judgments, systems),
        extremes_by="overall" if full else "asked",
        lowest=low,
        highest=high,
        published=published,
        agreement=_agreement(systems, parts, published),
        provenance=dict(provenance or {}),
        notes=(*notes, *_reading_notes(readings), *_own_notes(table, metrics, published)),
        readings=readings,
        diversity=diversity,
        played=tuple(played),
    )


def rubric_groups(judgments: Sequence[Judgment], rubric: Rubric) -> tuple[JudgedDimension, ...]:
    if not judgments:
        raise StoreError("the run holds no judgments", hint="make some first: judge eval --help")
    asked = {judgment.metric for judgment in judgments}
    groups = []
    for dimension in rubric.dimensions:
        of_it = tuple(metric for metric in dimension.metrics if metric in asked)
        if of_it:
            groups.append(JudgedDimension(dimension.name, of_it, of_it == dimension.metrics))
    unknown = asked.difference(*(group.metrics for group in groups))
    if unknown:
        names = ", ".join(sorted(unknown))
        raise StoreError(
            f"{names} was judged, which no dimension of the rubric {rubric.name} has",
            hint="summarise the run with the rubric it was made with",
        )
    return tuple(groups)


def _systems(
    table: JudgmentTable, parts: Mapping[str, tuple[str, ...]], dimensions: set[str]
) -> tuple[SystemResults, ...]:
    results = []
    for system in sorted({cell[0] for cell in table.cells}):
        rows = table.rows(system)
        judged = {
            metric
            for metric in table.metrics
            if (table.code[rows][:, table.columns([metric])] != NOT_JUDGED).any()
        }
        measures = {
            name: _measure(table, rows, name, of_it, dimensions)
            for name, of_it in parts.items()
            if judged.issuperset(of_it)
        }
        characters, scenarios = ({table.cells[row][way] for row in rows} for way in (1, 2))
        results.append(SystemResults(system, len(rows), len(characters), len(scenarios), measures))
    return tuple(sorted(results, key=_rank))


def _rank(result: SystemResults) -> tuple[bool, float, str]:
    """Highest overall mean first; without one, by the mean of what was asked."""
    measures = result.measures
    chosen = [measures[OVERALL]] if OVERALL in measures else list(measures.values())
    means = [measure.mean for measure in chosen if measure.mean is not None]
    undefined = not means or len(means) < len(chosen)
    return undefined, -math.fsum(means) / max(len(means), 1), result.system


def _measure(
    table: JudgmentTable,
    rows: NDArray[np.int64],
    name: str,
    parts: tuple[str, ...],
    dimensions: set[str],
) -> Measure:
    columns = table.columns(parts)
    scores = table.score[rows][:, columns].mean(axis=1)
    scored = ~np.isnan(scores)
    codes = table.code[rows[~scored]][:, columns]
    first_missing = Counter(next(code for code in row if code != "ok") for row in codes)
    cells = [table.cells[row] for row in rows[scored]]
    result = clustered_mean(
        scores[scored], [cell[1] for cell in cells], [cell[2] for cell in cells]
    )
    mass, top = table.mass[rows[scored]][:, columns], table.top[rows[scored]][:, columns]
    kind: Literal["metric", "dimension", "overall"] = "metric"
    if name == OVERALL:
        kind = "overall"
    elif name in dimensions:
        kind = "dimension"
    defined = math.isfinite(result.standard_error)
    return Measure(
        name=name,
        kind=kind,
        dialogues=len(rows),
        n=result.n,
        mean=result.mean if result.n else None,
        standard_error=result.standard_error if defined else None,
        clustered_by=tuple(_WAYS[way] for way in result.used),
        standard_error_reason=_why_undefined(result),
        unscored=dict(sorted(first_missing.items())),
        flagged=float((mass < FLAG_BELOW).mean()) if result.n else None,
        top_is_label=float(top.mean()) if result.n else None,
        sampled=int(table.sampled[rows[scored]][:, columns].sum()),
    )


def _why_undefined(result: ClusteredMean) -> str:
    if result.n == 0:
        return "no dialogue was scored"
    few = [way for way, groups in zip(_WAYS, result.groups, strict=True) if groups < 2]
    return f"only one {' and one '.join(few)}" if few else result.reason


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
    for code, found in failed.items():
        _, reason, example = min(found)
        counts.append(FailureCount(code, len(found), reason, example))
    metrics = [m for system in systems for m in system.measures.values() if m.kind == "metric"]
    if missing := sum(metric.unscored.get(NOT_JUDGED, 0) for metric in metrics):
        reason = "not judged yet: the run was interrupted, or asked for less"
        counts.append(FailureCount(NOT_JUDGED, missing, reason, ""))
    return tuple(sorted(counts, key=lambda failure: (-failure.count, failure.code)))


def _agreement(
    systems: Sequence[SystemResults],
    parts: Mapping[str, tuple[str, ...]],
    published: PublishedMeans | None,
) -> tuple[SystemAgreement, ...]:
    if published is None:
        return ()
    rows = []
    for name, of_it in parts.items():
        pairs = [
            (ours, theirs)
            for system in systems
            if (ours := system.mean(name)) is not None
            and (theirs := published.mean(system.system, of_it)) is not None
        ]
        if len(pairs) < LEAST_SYSTEMS:
            reason = f"only {len(pairs)} of at least {LEAST_SYSTEMS} systems in common"
            rows.append(SystemAgreement(name, None, len(pairs), reason))
            continue
        found = spearman(*zip(*pairs, strict=True))
        rho = None if math.isnan(found.value) else found.value
        rows.append(SystemAgreement(name, rho, found.n, found.reason))
    return tuple(rows)


def rubric_titles(
    rubric: Rubric, groups: Sequence[JudgedDimension], *, full: bool
) -> dict[str, str]:
    asked = {metric for group in groups for metric in group.metrics}
    asked |= {group.name for group in groups}
    known = {dimension.name: dimension.titles for dimension in rubric.dimensions}
    known |= {metric.name: metric.titles for metric in rubric.metrics}
    titles = {name: _title(name, known[name], rubric.language) for name in known if name in asked}
    return titles | ({OVERALL: "Overall"} if full else {})


def _title(name: str, titles: Mapping[str, str], language: str) -> str:
    """`Fluency (流畅性)`: in English, then as the judge was asked."""
    english = titles.get("en", name.replace("_", " ").capitalize())
    asked = titles.get(language, english)
    return english if asked == english else f"{english} ({asked})"


def _readings(judgments: Sequence[Judgment]) -> dict[Reading, int]:
    counts = Counter(j.outcome.reading for j in judgments if not isinstance(j.outcome, Failure))
    return dict(sorted(counts.items()))


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


def _own_notes(
    table: JudgmentTable, metrics: Sequence[str], published: PublishedMeans | None
) -> tuple[str, ...]:
    notes = []
    asked: dict[str, set[tuple[str, str]]] = {}
    for system, character, scenario in table.cells:
        asked.setdefault(system, set()).add((character, scenario))
    if any(cells != next(iter(asked.values())) for cells in asked.values()):
        notes.append(
            "The systems were not judged on the same characters and scenarios: "
            "their means differ for that reason too."
        )
    if published is not None:
        named = {metric for row in published.means.values() for metric in row}
        if not named.intersection(metrics):
            notes.append(f"{published.source} holds none of the metrics that were judged.")
    return tuple(notes)


def extreme_dialogues(
    table: JudgmentTable, judgments: Sequence[Judgment], dialogues: Iterable[Dialogue], most: int
) -> tuple[tuple[ExtremeDialogue, ...], tuple[ExtremeDialogue, ...]]:
    """The `most` lowest, lowest first, and the `most` highest, highest first.

    Only dialogues with every metric scored take part; equal scores go in the order of ids.
    No dialogue is in both lists, so few dialogues make short lists.
    """
    scores = [round(float(score), 10) for score in table.score.mean(axis=1)]
    order = sorted((s, row) for row, s in enumerate(scores) if not math.isnan(s))
    low = [row for _, row in order[: min(most, len(order) // 2)]]
    down = sorted((-s, row) for s, row in order if row not in low)
    high = [row for _, row in down[:most]]
    wanted = {table.cells[row] for row in (*low, *high)}
    scored: dict[Cell, dict[str, MetricScore]] = {cell: {} for cell in wanted}
    for j in judgments:
        cell, read = (j.system, j.character, j.scenario), j.outcome
        if cell in wanted and not isinstance(read, Failure):
            scored[cell][j.metric] = MetricScore(
                j.metric, read.expected, read.p, read.label_mass, read.reading, j.rationale
            )
    turns = {
        cell: d.turns for d in dialogues if (cell := (d.system, d.character, d.scenario)) in wanted
    }

    def show(row: int) -> ExtremeDialogue:
        cell = table.cells[row]
        metrics = tuple(scored[cell][metric] for metric in table.metrics)
        return ExtremeDialogue(*cell, scores[row], metrics, turns.get(cell, ()))

    return tuple(map(show, low)), tuple(map(show, high))
