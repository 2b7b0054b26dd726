"""A run's judgments beside human ratings, and what of either has no counterpart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from judge.analysis.agreement.data import PairedScores
from judge.analysis.judgment_table import (
    DialogueId,
    chosen_metrics,
    dialogue_order,
    judged_metrics,
    judgment_table,
)
from judge.analysis.summary import judged_dimensions, measure_titles
from judge.errors import DataError
from judge.ratings import Ratings, join_ratings
from judge.rubric import is_reply_set
from judge.types import Dialogue, Failure, Judgment, Rubric

__all__ = ["Point", "scores_from_run"]

Point = Literal["expected", "argmax"]
"""How a distribution is read: its mean, or its most probable label (of equal ones the lowest)."""

_CHECK = "name the ratings of this run; `judge ratings check` shows what is in the file"

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


def scores_from_run(
    judgments: Sequence[Judgment],
    dialogues: Sequence[Dialogue],
    rubric: Rubric,
    ratings: Ratings,
    *,
    judge: str,
    provenance: Mapping[str, str],
    notes: Sequence[str],
    metrics: Sequence[str] = (),
    point: Point = "expected",
) -> PairedScores:
    """The dialogues of a run, with the ratings that belong to them; sets of replies are left out.

    A metric that nobody has rated is left out, and the dimension it belongs to with it.

    Args:
        judgments: of one run, or of several made alike.
        dialogues: all that the run asks about, judged already or not.
        rubric: what they were asked with.
        ratings: of the same dialogues, as far as they go.
        judge: its name.
        provenance: what made the run.
        notes: what the report has to say besides its own.
        metrics: these only.
        point: how a distribution is read as a score.

    Raises:
        UsageError: a metric that was not judged.
        DataError: no rating belongs to anything that was judged.
        StoreError: two judgments of the same thing, or one that the rubric does not know.
    """
    judgments = [j for j in judgments if not is_reply_set(j.scenario)]
    dialogues = [d for d in dialogues if not is_reply_set(d.scenario)]
    wanted = chosen_metrics(metrics, judged_metrics(judgments, rubric))
    unrated = tuple(metric for metric in wanted if metric not in ratings.metrics)
    asked = [j for j in judgments if j.metric in wanted and j.metric not in unrated]
    if not asked:
        raise _no_match(judgments, ratings)
    groups = judged_dimensions(asked, rubric)
    names = tuple(metric for group in groups for metric in group.metrics)
    table = judgment_table(asked, names, len(rubric.labels))
    cells = sorted(
        {*table.dialogue_ids, *((d.system, d.character, d.scenario) for d in dialogues)},
        key=lambda cell: dialogue_order(*cell),
    )
    row_of: dict[tuple[str, ...], int] = {cell: row for row, cell in enumerate(cells)}
    probs = np.full((len(cells), *table.probs.shape[1:]), np.nan)
    probs[[row_of[cell] for cell in table.dialogue_ids]] = table.probs
    joined = join_ratings(ratings, cells, names)
    rows, columns, own = joined.row, joined.column, joined.both
    if np.isnan(probs[rows[own], columns[own], 0]).all():
        raise _no_match(judgments, ratings)
    full = all(group.complete for group in groups) and len(groups) == len(rubric.dimensions)
    path, digest = next(iter(ratings.sources.items()))
    text_of = {(d.system, d.character, d.scenario): d.turns for d in dialogues}
    turns = {row: text_of[cell] for row, cell in enumerate(cells) if cell in text_of}
    length = np.full(len(cells), np.nan)
    length[list(turns)] = [sum(len(turn.answer) for turn in said) for said in turns.values()]
    column_of = {name: column for column, name in enumerate(names)}
    system, character, scenario = (np.array(labels) for labels in zip(*cells, strict=True))
    return PairedScores(
        judge=judge,
        metrics=names,
        titles=measure_titles(rubric, groups, overall=full),
        groups={group.name: group.metrics for group in groups},
        complete=frozenset(group.name for group in groups if group.complete),
        whole=full,
        system=system,
        character=character,
        scenario=scenario,
        item="character and scenario",
        score=_scores(probs, point),
        probs=probs,
        cell=rows[own],
        metric=columns[own],
        rater=ratings.rater[own].astype(np.int64),
        rating=ratings.score[own],
        raters=ratings.raters,
        scale=dict.fromkeys(names, (ratings.scale.low, ratings.scale.high)),
        declared=True,
        length=length,
        turns=turns,
        rationales={
            (row_of[j.system, j.character, j.scenario], column_of[j.metric]): j.rationale
            for j in asked
            if j.rationale is not None
        },
        pairs=True,
        provenance={
            **provenance,
            "ratings": Path(path).name,
            "ratings SHA-256": digest,
            "score": "expected label" if point == "expected" else "most probable label",
        },
        notes=(
            *notes,
            *_metric_notes(ratings, judgments, unrated),
            *_row_notes(ratings, cells, rows, probs, own),
            *_failure_notes(asked),
        ),
        partial=_partial(asked, cells, len(names)),
        judge_scale=(1.0, float(len(rubric.labels))),
    )


def _scores(probs: Floats, point: Point) -> Floats:
    labels = np.arange(1.0, probs.shape[2] + 1)
    if point == "expected":
        scores: Floats = probs @ labels
        return scores
    there = ~np.isnan(probs[:, :, 0])
    return np.where(there, labels[probs.argmax(axis=2)], np.nan)


def _no_match(judgments: Sequence[Judgment], ratings: Ratings) -> DataError:
    """Nothing was both rated and judged; an example of either side."""
    path = Path(next(iter(ratings.sources)))
    if not len(ratings):
        return DataError("it holds no rating that can be used", path=path, hint=_CHECK)
    first = "/".join(ratings.dialogues[0])
    j = min(judgments, key=lambda j: dialogue_order(j.system, j.character, j.scenario))
    return DataError(
        "no rating in it belongs to anything that was judged: it rates for instance "
        f"{ratings.metrics[0]} of {first}, and {j.metric} of {j.system}/{j.character}/{j.scenario} "
        "was judged",
        path=path,
        hint=_CHECK,
    )


def _metric_notes(
    ratings: Ratings, judgments: Sequence[Judgment], unrated: Sequence[str]
) -> Iterator[str]:
    judged = {judgment.metric for judgment in judgments}
    if strange := [metric for metric in ratings.metrics if metric not in judged]:
        yield f"Rated, but not judged: {', '.join(strange)}."
    if unrated:
        yield f"Judged, but not rated: {', '.join(unrated)}."
    if ratings.faults:
        kinds = Counter(fault.kind.replace("_", " ") for fault in ratings.faults)
        counts = ", ".join(f"{kind} {n:,}" for kind, n in kinds.most_common())
        yield f"Ratings refused: {len(ratings.faults):,} ({counts})."
    if ratings.excluded:
        rows = ", ".join(f"{kind or 'blank'} {n:,}" for kind, n in ratings.excluded.items())
        yield f"Left aside, as no person gave them (rater_type): {rows}."


def _row_notes(
    ratings: Ratings,
    cells: Sequence[DialogueId],
    rows: Codes,
    probs: Floats,
    own: NDArray[np.bool_],
) -> Iterator[str]:
    """Dialogues that have just one of the two, whatever the metric."""
    scored = ~np.isnan(probs[:, :, 0]).all(axis=1)
    strange = np.unique(ratings.dialogue[rows < 0])
    missing = np.setdiff1d(rows[own], np.flatnonzero(scored))
    if len(strange):
        example = "/".join(ratings.dialogues[strange[0]])
        yield f"Rated dialogues that the run does not hold: {len(strange):,}, such as {example}."
    if len(missing):
        example = "/".join(cells[missing[0]])
        yield f"Rated dialogues that have no judge's score: {len(missing):,}, such as {example}."
    unrated = np.setdiff1d(np.flatnonzero(scored), rows[own])
    if len(unrated):
        example = "/".join(cells[unrated[0]])
        yield f"Judged dialogues that nobody rated: {len(unrated):,}, such as {example}."


def _failure_notes(judgments: Sequence[Judgment]) -> Iterator[str]:
    codes = Counter(j.outcome.code for j in judgments if isinstance(j.outcome, Failure))
    if codes:
        counts = ", ".join(f"{code} {n:,}" for code, n in codes.most_common())
        yield f"Judgments that could not be made: {codes.total():,} ({counts})."


def _partial(judgments: Sequence[Judgment], cells: Sequence[DialogueId], metrics: int) -> str:
    """What of the run is not there yet; "" if all is. A system may be asked about less."""
    asked: dict[str, set[str]] = {}
    for judgment in judgments:
        asked.setdefault(judgment.system, set()).add(judgment.metric)
    expected = sum(len(asked[system]) if system in asked else metrics for system, _, _ in cells)
    missing = expected - len(judgments)
    return f"{missing:,} of {expected:,} judgments are not there yet." if missing else ""
