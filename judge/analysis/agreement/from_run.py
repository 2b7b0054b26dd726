"""The scores of a run beside human ratings, with notes on whatever has no counterpart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calibration.arrays import Codes, Floats
from judge.analysis.agreement.data import PairedScores
from judge.analysis.judgment_table import (
    chosen_metrics,
    dialogue_order,
    judged_metrics,
    judgment_table,
    metric_notes,
)
from judge.analysis.summary import judged_dimensions, measure_titles
from judge.errors import DataError
from judge.ratings import DialogueId, Point, Ratings, join_ratings
from judge.rubric import is_reply_set
from judge.types import Dialogue, Failure, Judgment, Rubric

__all__ = ["scores_from_run"]

_CHECK = "name the ratings of this run; `judge ratings check` shows what is in the file"


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
    """The judge's scores of a run's dialogues, with the ratings of the same dialogues.

    Left out are sets of replies, metrics that nobody has rated, and the dimensions of these.

    Args:
        judgments: of one run, or of several with one judge and rubric.
        dialogues: all dialogues of the run, whether they have been judged or not.
        ratings: of any of these dialogues.
        notes: warnings to show before those that are found here.
        metrics: these only; () for all.
        point: the score of a distribution: its mean, or its most probable label.

    Raises:
        UsageError: a metric was not judged.
        DataError: no rating belongs to anything that was judged.
        StoreError: there are two judgments of one metric of one dialogue, or one of a metric that
            the rubric does not have.
    """
    judgments = [j for j in judgments if not is_reply_set(j.scenario)]
    dialogues = [d for d in dialogues if not is_reply_set(d.scenario)]
    wanted = chosen_metrics(metrics, judged_metrics(judgments, rubric))
    not_rated = tuple(metric for metric in wanted if metric not in ratings.metrics)
    used = [j for j in judgments if j.metric in wanted and j.metric not in not_rated]
    if not used:
        raise _no_match(judgments, ratings)
    groups = judged_dimensions(used, rubric)
    names = tuple(metric for group in groups for metric in group.metrics)
    table = judgment_table(used, names, len(rubric.labels))
    turns_of = {DialogueId(d.system, d.character, d.scenario): d.turns for d in dialogues}
    ids = sorted({*table.dialogue_ids, *turns_of}, key=lambda dialogue: dialogue_order(*dialogue))
    row_of: dict[tuple[str, ...], int] = {key: row for row, key in enumerate(ids)}
    probs = np.full((len(ids), *table.probs.shape[1:]), np.nan)
    probs[[row_of[dialogue] for dialogue in table.dialogue_ids]] = table.probs
    joined = join_ratings(ratings, ids, names)
    rows, columns, own = joined.row, joined.column, joined.both
    if np.isnan(probs[rows[own], columns[own], 0]).all():
        raise _no_match(judgments, ratings)
    complete = all(group.complete for group in groups) and len(groups) == len(rubric.dimensions)
    path, digest = next(iter(ratings.sources.items()))
    turns = {row: turns_of[dialogue] for row, dialogue in enumerate(ids) if dialogue in turns_of}
    length = np.full(len(ids), np.nan)
    length[list(turns)] = [sum(len(turn.answer) for turn in text) for text in turns.values()]
    system, character, scenario = (np.array(labels) for labels in zip(*ids, strict=True))
    return PairedScores(
        judge=judge,
        metrics=names,
        titles=measure_titles(rubric, groups, overall=complete),
        groups={group.name: group.metrics for group in groups},
        complete=frozenset(group.name for group in groups if group.complete),
        has_overall=complete,
        system=system,
        character=character,
        scenario=scenario,
        item=_item(ids),
        score=_scores(probs, point),
        probs=probs,
        dialogue=rows[own],
        metric=columns[own],
        rater=ratings.rater[own].astype(np.int64),
        rating=ratings.score[own],
        raters=ratings.raters,
        scale=dict.fromkeys(names, (ratings.scale.low, ratings.scale.high)),
        scale_declared=True,
        length=length,
        turns=turns,
        rationales={
            (row_of[j.system, j.character, j.scenario], names.index(j.metric)): j.rationale
            for j in used
            if j.rationale is not None
        },
        compare_raters=True,
        provenance={
            **provenance,
            "ratings": Path(path).name,
            "ratings SHA-256": digest,
            "score": "expected label" if point == "expected" else "most probable label",
        },
        notes=(
            *notes,
            *metric_notes(ratings, {j.metric for j in judgments}, not_rated),
            *_notes(ratings, ids, rows, probs, own, used),
        ),
        partial=" ".join(filter(None, (ratings.incomplete, _partial(used, ids, len(names))))),
        judge_scale=(1.0, float(len(rubric.labels))),
        annotators=ratings.annotators,
    )


def _scores(probs: Floats, point: Point) -> Floats:
    labels = np.arange(1.0, probs.shape[2] + 1)
    if point == "expected":
        scores: Floats = probs @ labels
        return scores
    return np.where(~np.isnan(probs[:, :, 0]), labels[probs.argmax(axis=2)], np.nan)


def _no_match(judgments: Sequence[Judgment], ratings: Ratings) -> DataError:
    """The error that nothing was both rated and judged, with an example of either."""
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


def _notes(
    ratings: Ratings,
    ids: Sequence[DialogueId],
    rows: Codes,
    probs: Floats,
    own: NDArray[np.bool_],
    judgments: Sequence[Judgment],
) -> Iterator[str]:
    """Notes on refused ratings, dialogues that were only rated or only judged, and failures."""
    if ratings.faults:
        kinds = Counter(fault.kind.replace("_", " ") for fault in ratings.faults)
        counts = ", ".join(f"{kind} {n:,}" for kind, n in kinds.most_common())
        yield f"Ratings refused: {len(ratings.faults):,} ({counts})."
    scored = ~np.isnan(probs[:, :, 0]).all(axis=1)
    unknown = np.unique(ratings.dialogue[rows < 0])
    missing = np.setdiff1d(rows[own], np.flatnonzero(scored))
    if len(unknown):
        example = "/".join(ratings.dialogues[unknown[0]])
        yield f"Rated dialogues that the run does not hold: {len(unknown):,}, such as {example}."
    if len(missing):
        example = "/".join(ids[missing[0]])
        yield f"Rated dialogues that have no judge's score: {len(missing):,}, such as {example}."
    unrated = np.setdiff1d(np.flatnonzero(scored), rows[own])
    if len(unrated):
        example = "/".join(ids[unrated[0]])
        yield f"Judged dialogues that nobody rated: {len(unrated):,}, such as {example}."
    codes = Counter(j.outcome.code for j in judgments if isinstance(j.outcome, Failure))
    if codes:
        counts = ", ".join(f"{code} {n:,}" for code, n in codes.most_common())
        yield f"Judgments that could not be made: {codes.total():,} ({counts})."


def _item(ids: Sequence[DialogueId]) -> str:
    """What tells the dialogues of one system apart: character, scenario, or both."""
    varies = {"character": {i.character for i in ids}, "scenario": {i.scenario for i in ids}}
    parts = [name for name, values in varies.items() if len(values) > 1]
    return " and ".join(parts or varies)


def _partial(judgments: Sequence[Judgment], ids: Sequence[DialogueId], metrics: int) -> str:
    """How many judgments of the run are still missing; "" if none is.

    A system is expected to be judged on the metrics that any dialogue of it has been judged on.
    """
    judged: dict[str, set[str]] = {}
    for judgment in judgments:
        judged.setdefault(judgment.system, set()).add(judgment.metric)
    expected = sum(len(judged[system]) if system in judged else metrics for system, _, _ in ids)
    missing = expected - len(judgments)
    return f"{missing:,} of {expected:,} judgments are not there yet." if missing else ""
