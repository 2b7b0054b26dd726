"""What a set of ratings can be used for: counts, overlap, linked raters, and joins with a judge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from judge.errors import DataError
from judge.names import fold
from judge.ratings.incomplete import MOST_LOST, list_counts, refuse_half_points
from judge.ratings.record import DialogueId, Fault, IntArray, Ratings

__all__ = [
    "Comparison",
    "JoinedRatings",
    "MetricSummary",
    "Summary",
    "compare",
    "ensure_usable",
    "join_ratings",
    "mean_ratings",
    "rater_groups",
    "summarise",
]


@dataclass(frozen=True, slots=True)
class MetricSummary:
    """Counts of one metric.

    Attributes:
        cells: dialogues that have a rating.
        raters_per_cell: number of ratings -> dialogues that have so many.
        scores: score -> how often it was given, 0 for a label of the scale that nobody used.
        pieces: groups of raters that share no dialogue; None without named raters.
    """

    name: str
    ratings: int
    cells: int
    raters_per_cell: Mapping[int, int]
    scores: Mapping[float, int]
    raters: int
    pieces: int | None


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts of a whole set of ratings.

    Attributes:
        ratings: how many can be used.
        cells: how many dialogues have one.
        raters: how many are named; `unnamed` counts the ratings that name nobody.
        repeats: ratings without a rater beside another of the same dialogue and metric; they may
            be of several people, or copies.
        ratings_per_rater: least, median and most, None without named raters.
        raters_per_cell: number of ratings -> pairs of dialogue and metric that have so many.
        overlap: share of those pairs that have two or more; None without any.
        pieces: sizes of the groups of raters that are linked by dialogues they share, largest
            first. How strict raters are can be compared only within a group.
        metrics: the same for each metric.
        unrated: metrics that were expected and have no rating.
        refused: kind of fault -> how many ratings were refused for it.
    """

    ratings: int
    cells: int
    raters: int
    unnamed: int
    repeats: int
    ratings_per_rater: tuple[int, float, int] | None
    raters_per_cell: Mapping[int, int]
    overlap: float | None
    pieces: tuple[int, ...]
    metrics: tuple[MetricSummary, ...]
    unrated: tuple[str, ...]
    refused: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Ratings beside the dialogues, and the judgments, that they should belong to.

    Attributes:
        unknown: one fault for each row that rates a dialogue that is not there.
        rated: ratings whose dialogue is there; `dialogues` of the `known` dialogues have one.
        judged: ratings whose dialogue and metric have a judge score; None without a run.
        judgments: judge scores, `matched` of them have a rating; None without a run.
    """

    unknown: tuple[Fault, ...]
    rated: int
    dialogues: int
    known: int
    judged: int | None
    judgments: int | None
    matched: int | None


def summarise(ratings: Ratings, expected: Iterable[str] = ()) -> Summary:
    """Count ratings, dialogues and raters; `expected` are metrics that ought to have ratings."""
    named = ratings.rater >= 0
    loads = np.bincount(ratings.rater[named], minlength=len(ratings.raters))
    counts = _per_pair(ratings, np.ones(len(ratings), dtype=bool))
    pairs = sum(counts.values())
    return Summary(
        ratings=len(ratings),
        cells=len(ratings.dialogues),
        raters=len(ratings.raters),
        unnamed=int(np.count_nonzero(~named)),
        repeats=sum((k - 1) * n for k, n in _per_pair(ratings, ~named).items()),
        ratings_per_rater=(int(loads.min()), float(np.median(loads)), int(loads.max()))
        if len(loads)
        else None,
        raters_per_cell=counts,
        overlap=1 - counts.get(1, 0) / pairs if pairs else None,
        pieces=tuple(np.bincount(rater_groups(ratings)).tolist()) if len(loads) else (),
        metrics=tuple(_metric(ratings, m) for m in range(len(ratings.metrics))),
        unrated=tuple(name for name in expected if name not in ratings.metrics),
        refused=dict(Counter(fault.kind for fault in ratings.faults)),
    )


def ensure_usable(ratings: Ratings, comparison: Comparison | None = None) -> None:
    """Refuse ratings of which none can be used, or that seem to be on another scale.

    They seem so, unless the user named the scale, if more than 1% of the scores lie off it; or if
    some lie beyond one end and none at the other end, as when 0-4 is read as 1-5. Refused are also
    ratings of which more than 1% lie between the steps of the scale, as half points do.

    Args:
        ratings: what was read.
        comparison: with the dialogues that they should belong to; refused if none does.

    Raises:
        DataError: with the reason and the file.
    """
    path = Path(next(iter(ratings.sources), "ratings"))
    scale, off = ratings.scale, ratings.off_scale
    seen = list_counts(off)
    hint = "name the scale, such as --scale 0-4; --scale 1-5 says that these are mistakes"
    if not ratings.scale_given and off:
        share = sum(off.values()) / (sum(off.values()) + len(ratings))
        shifted = (min(off) < scale.low and scale.high not in ratings.score) or (
            max(off) > scale.high and scale.low not in ratings.score
        )
        if share > MOST_LOST or shifted:
            raise DataError(
                f"the ratings seem to be on another scale than {scale}: {seen}",
                path=path,
                hint=hint,
            )
    refuse_half_points(path, ratings.off_step, len(ratings), scale)
    if not len(ratings):
        counts = Counter(fault.kind for fault in ratings.faults) | Counter(ratings.excluded)
        found = ", ".join(f"{kind or 'blank rater_type'} {n}" for kind, n in counts.most_common())
        raise DataError(
            f"no rating in it can be used ({found})",
            path=path,
            hint=f"the first: {ratings.faults[0]}"
            if ratings.faults
            else "no rater_type is a person's, such as human or expert",
        )
    if comparison is not None and not comparison.rated:
        raise DataError(
            "none of its ratings belongs to these dialogues",
            path=path,
            hint=f"the first: {comparison.unknown[0]}",
        )


def rater_groups(ratings: Ratings, metric: int | None = None) -> IntArray:
    """The group of each rater: two raters are in one group if dialogues link them.

    The groups are the connected components of the graph of raters and the dialogues they rated.

    Args:
        ratings: the ratings.
        metric: an index into `ratings.metrics`, to look at its ratings only.

    Returns:
        (raters,), 0 for the group with the most raters; -1 for a rater without such a rating.
    """
    use = ratings.rater >= 0
    if metric is not None:
        use &= ratings.metric == metric
    rater, dialogue = ratings.rater[use], ratings.dialogue[use]
    n_raters, n_nodes = len(ratings.raters), len(ratings.raters) + len(ratings.dialogues)
    edges = (np.ones(len(rater), dtype=np.int8), (rater, n_raters + dialogue))
    _, component = connected_components(coo_array(edges, shape=(n_nodes, n_nodes)), directed=False)
    groups = np.full(n_raters, -1, dtype=np.int32)
    active = np.unique(rater)
    _, first, code = np.unique(component[active], return_index=True, return_inverse=True)
    largest_first = np.lexsort((first, -np.bincount(code, minlength=len(first))))
    groups[active] = np.argsort(largest_first)[code]
    return groups


def compare(
    ratings: Ratings,
    dialogues: Collection[DialogueId],
    judged: Collection[tuple[DialogueId, str]] | None = None,
) -> Comparison:
    """Count which ratings belong to dialogues, and to scores of a judge.

    A rating without a scenario is of many replies: it belongs to all dialogues of its system as its
    character.

    Args:
        ratings: the ratings.
        dialogues: those there are.
        judged: the pairs of dialogue and metric that have a judge score.
    """
    known = set(dialogues)
    parts = [{dialogue[i] for dialogue in known} for i in range(3)]
    accepted = known | {dialogue._replace(scenario="") for dialogue in known}
    matched = _match_dialogues(ratings.dialogues, accepted)
    unknown = np.array([dialogue is None for dialogue in matched], dtype=bool)[ratings.dialogue]
    files = [Path(name) for name in ratings.sources]
    places = (a[unknown].tolist() for a in (ratings.file, ratings.row, ratings.dialogue))
    faults = tuple(
        Fault(files[file], row, "unknown", _describe_unknown(ratings.dialogues[dialogue], parts))
        for file, row, dialogue in sorted(set(zip(*places, strict=True)))
    )
    pairs = [
        (matched[d], ratings.metrics[m])
        for d, m in zip(ratings.dialogue.tolist(), ratings.metric.tolist(), strict=True)
    ]
    scored = None if judged is None else set(judged)
    return Comparison(
        unknown=faults,
        rated=int(np.count_nonzero(~unknown)),
        dialogues=len(known & set(matched)),
        known=len(known),
        judged=None if scored is None else sum(pair in scored for pair in pairs),
        judgments=None if scored is None else len(scored),
        matched=None if scored is None else len(scored & set(pairs)),
    )


class JoinedRatings(NamedTuple):
    """Where each of n ratings stands in a table of dialogues (rows) by metrics (columns).

    `row` (n,) and `column` (n,) are -1 where the table does not have the dialogue or the metric.
    """

    row: NDArray[np.int64]
    column: NDArray[np.int64]

    @property
    def both(self) -> NDArray[np.bool_]:
        """(n,) whether the rating belongs to an entry of the table."""
        return (self.row >= 0) & (self.column >= 0)


def join_ratings(
    ratings: Ratings, dialogues: Sequence[tuple[str, ...]], metrics: Sequence[str]
) -> JoinedRatings:
    """Find the row and the column of each rating in a table of judge scores.

    Args:
        ratings: n ratings.
        dialogues: (system, character, scenario) of each row, without repeats.
        metrics: the metric of each column, without repeats.
    """
    row_of = {tuple(dialogue): row for row, dialogue in enumerate(dialogues)}
    column_of = {metric: column for column, metric in enumerate(metrics)}
    matched = _match_dialogues(ratings.dialogues, row_of)
    row = np.array([-1 if d is None else row_of[d] for d in matched], dtype=np.int64)
    column = np.array([column_of.get(metric, -1) for metric in ratings.metrics], dtype=np.int64)
    return JoinedRatings(row[ratings.dialogue], column[ratings.metric])


def mean_ratings(
    row: NDArray[np.int64],
    column: NDArray[np.int64],
    score: NDArray[np.float64],
    shape: tuple[int, ...],
) -> NDArray[np.float64]:
    """The mean rating of each entry of a table; NaN where there is none.

    The scores are added up in the order of their size, so that the order of the ratings does not
    change the last digit.

    Args:
        row, column: (n,) the entry that each rating belongs to, both from 0 on.
        score: (n,) the ratings.
        shape: (dialogues, metrics) of the table.
    """
    entry = row * shape[1] + column
    order = np.argsort(score, kind="stable")
    count = np.bincount(entry, minlength=shape[0] * shape[1])
    total = np.bincount(entry[order], score[order], minlength=len(count))
    mean = np.full(len(count), np.nan)
    np.divide(total, count, out=mean, where=count > 0)
    return mean.reshape(shape)


def _metric(ratings: Ratings, metric: int) -> MetricSummary:
    use = ratings.metric == metric
    counts = _per_pair(ratings, use)
    score, times = np.unique(ratings.score[use], return_counts=True)
    groups = rater_groups(ratings, metric)
    groups = groups[groups >= 0]
    given = dict(zip(score.tolist(), times.tolist(), strict=True))
    return MetricSummary(
        name=ratings.metrics[metric],
        ratings=int(np.count_nonzero(use)),
        cells=sum(counts.values()),
        raters_per_cell=counts,
        scores=dict(sorted((dict.fromkeys(ratings.scale.labels, 0) | given).items())),
        raters=len(groups),
        pieces=len(np.unique(groups)) if len(groups) else None,
    )


def _per_pair(ratings: Ratings, use: NDArray[np.bool_]) -> dict[int, int]:
    """Number of ratings -> how many pairs of dialogue and metric have so many."""
    pair = ratings.dialogue[use].astype(np.int64) * len(ratings.metrics) + ratings.metric[use]
    times = np.bincount(np.unique(pair, return_counts=True)[1])
    return {k: n for k, n in enumerate(times.tolist()) if n}


def _describe_unknown(dialogue: DialogueId, parts: list[set[str]]) -> str:
    missing = [
        f"{name} {value!r}"
        for name, value, known in zip(DialogueId._fields, dialogue, parts, strict=True)
        if value not in known
    ]
    return "no dialogue " + (f"of {' and '.join(missing)}" if missing else "/".join(dialogue))


def _match_dialogues(
    rated: Sequence[DialogueId], known: Collection[tuple[str, ...]]
) -> list[tuple[str, ...] | None]:
    """The known dialogue that each rated one is; None if it is none, or could be several.

    Names are the same whatever their width, case and blanks. A character may have a short name,
    which is a part of one known name only.

    Args:
        rated: (system, character, scenario) as the ratings have them.
        known: the same as the dialogues have them.
    """
    exact = set(known)
    if all(dialogue in exact for dialogue in rated):
        return list(rated)
    folded: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
    for dialogue in known:
        folded.setdefault(tuple(map(fold, dialogue)), set()).add(dialogue)
    characters = {dialogue[1] for dialogue in folded}

    def full(name: str) -> str:
        if name in characters or not name:
            return name
        longer = [other for other in characters if name in other or (other and other in name)]
        return longer[0] if len(longer) == 1 else name

    full_names = {name: full(fold(name)) for name in {dialogue.character for dialogue in rated}}
    found: list[tuple[str, ...] | None] = []
    for dialogue in rated:
        key = (fold(dialogue.system), full_names[dialogue.character], fold(dialogue.scenario))
        same = {dialogue} if dialogue in exact else folded.get(key, set())
        found.append(next(iter(same)) if len(same) == 1 else None)
    return found
