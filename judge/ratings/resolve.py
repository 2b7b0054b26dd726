"""Decides which scores of a table can be used, and says why each of the others is refused.

A score is kept, or refused for the first reason that holds: its metric is unknown, something has no
name, there is no score, or it is no number, off the scale or between its steps. Of the scores that
are left, copies and contradictions are refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from judge.names import clean
from judge.ratings.columns import Vocabulary
from judge.ratings.record import FAULT_KINDS, DialogueId, Fault, Ratings, Scale
from judge.ratings.rows import Columns
from judge.ratings.values import (
    FAULT_CODES,
    Coded,
    Codes,
    Flags,
    encode,
    is_blank,
    parse_id,
    parse_name,
    parse_scores,
)

__all__ = [
    "PARSERS",
    "PEOPLE",
    "annotators_of",
    "describe_duplicate",
    "describe_value",
    "is_lost",
    "list_faults",
    "resolve_duplicates",
    "resolve_ratings",
]

PEOPLE = frozenset(
    {"human", "expert", "crowd", "annotator", "worker", "person", "people", "rater", "user"}
    | {"人", "人工", "人类", "专家", "众包", "标注员", "评分员"}
)
"""Types of raters that are people, in a table of judges' scores; so is a rater without a type."""

_ANNOTATORS = {
    "expert": frozenset({"expert", "专家"}),
    "crowd": frozenset({"crowd", "worker", "众包"}),
}

PARSERS = {
    "item": parse_id,
    "system": parse_name,
    "character": parse_name,
    "scenario": parse_id,
    "dimension": parse_name,
    "rater": parse_id,
    "rater_type": parse_name,
}


def resolve_duplicates(
    kind: NDArray[np.int8], score: NDArray[np.float64], rater: Codes, others: Sequence[Codes]
) -> dict[int, list[int]]:
    """Refuse copies and contradictions among n scores by setting `kind`.

    Where one rater scored the same thing more than once, the first of equal scores is kept, and
    none of different ones. Scores without a rater may be of several people, and are all kept.

    Args:
        kind: (n,) 0 for a score that can be used, else a code of FAULT_CODES.
        score: (n,).
        rater: (n,) -1 where no rater is named.
        others: (n,) each, codes from -1 on; together they say what was scored.

    Returns:
        Each score refused here -> all scores of the same rater and thing, itself included.
    """
    rows = np.flatnonzero((kind == 0) & (rater >= 0))
    key = rater[rows].astype(np.int64)
    for codes in others:
        # Numbered anew at each step, so that no product of many names leaves 64 bits.
        key = np.unique(key * (int(codes.max(initial=0)) + 2) + codes[rows], return_inverse=True)[1]
    order = rows[np.lexsort((score[rows], key))]
    key = np.sort(key)
    starts = np.flatnonzero(np.concatenate(([True], key[1:] != key[:-1]))) if len(key) else key
    sizes = np.diff(np.append(starts, len(order)))
    groups: dict[int, list[int]] = {}
    for start, size in zip(starts[sizes > 1].tolist(), sizes[sizes > 1].tolist(), strict=True):
        group = order[start : start + size]
        # Sorted by score, and by row where these are equal: equal ends mean that all are equal.
        copies = score[group[0]] == score[group[-1]]
        refused = group[1:] if copies else group
        kind[refused] = FAULT_CODES["duplicate" if copies else "conflict"]
        groups |= dict.fromkeys(refused.tolist(), group.tolist())
    return groups


# Ratings


def resolve_ratings(
    columns: Columns,
    paths: Sequence[Path],
    vocabulary: Vocabulary,
    scale: Scale | None,
    *,
    unread: tuple[str, ...] = (),
    sources: Mapping[str, str] = MappingProxyType({}),
    faults: Sequence[Fault] = (),
    notes: Sequence[str] = (),
) -> Ratings:
    """Keep the ratings that can be used, and list the others.

    Args:
        columns: one row for each score, with the columns system, scenario, metric, score, row and
            file, and optionally character, rater and rater_type.
        scale: what a score may be; None is 1-5 in whole numbers, presumed.
        sources: path -> SHA-256.
    """
    used_scale = Scale() if scale is None else scale
    columns, excluded, annotators = _exclude(columns)
    given = columns["score"]
    score, kind = parse_scores(given, used_scale)
    columns = {**columns, "score": score}
    off_scale, off_step = (
        dict(sorted(Counter(score[kind == FAULT_CODES[reason]].tolist()).items()))
        for reason in ("off_scale", "off_step")
    )
    metric = encode(
        columns["metric"], lambda value: vocabulary.metric("" if is_blank(value) else str(value))
    )
    blank = np.full(len(score), "", dtype=np.object_)
    ids = {
        name: encode(columns.get(name, blank), PARSERS[name])
        for name in (*DialogueId._fields, "rater")
    }
    blanks = {name: coded.among([""]) for name, coded in ids.items()}
    rater = Coded(ids["rater"].names, np.where(blanks["rater"], -1, ids["rater"].code))
    # These may be blank: the rater, a column that is missing, and the scenario of what is judged
    # over many replies.
    blanks["rater"][:] = False
    blanks["character"] &= "character" in columns
    blanks["scenario"] &= ~metric.among(vocabulary.without_scenario)
    nameless = {name: blanks[name] | (coded.code < 0) for name, coded in ids.items()}
    unnamed = np.any(list(nameless.values()), axis=0)
    kind[unnamed & (kind != FAULT_CODES["empty"])] = FAULT_CODES["no_name"]
    kind[metric.code < 0] = FAULT_CODES["unknown_metric"]
    scored = (metric.code, *(ids[name].code for name in DialogueId._fields))
    duplicates = resolve_duplicates(kind, score, rater.code, scored)

    def describe(i: int, reason: str) -> str:
        match reason:
            case "unknown_metric":
                name = columns["metric"][i]
                return f"{'' if is_blank(name) else str(name)!r} is no metric here"
            case "no_name":
                text = f"no usable {', '.join(name for name in ids if nameless[name][i])}"
            case "off_scale":
                text = f"{given[i]} is not on the scale {used_scale}"
            case "off_step":
                text = f"{given[i]} is not a score of the scale {used_scale}"
            case "duplicate" | "conflict":
                text = describe_duplicate(reason, rater.name(i), duplicates[i], columns, paths)
            case _:
                text = describe_value(reason, given[i])
        return f"{metric.name(i)}: {text}"

    all_faults = [*faults, *list_faults(kind, columns, paths, describe)]
    number = {path: i for i, path in enumerate(paths)}
    kept = np.flatnonzero(kind == 0)
    # Names are coded in alphabetical order, so that the numbers sort as the dialogues do.
    dialogue = _number_dialogues(ids)[kept]
    _, first, dialogue_code = np.unique(dialogue, return_index=True, return_inverse=True)
    metrics, metric_code = metric.used(kept, vocabulary.order)
    raters, rater_code = rater.used(kept)
    row, file = columns["row"][kept], columns["file"][kept]
    order = np.lexsort((row, file, score[kept], rater_code, metric_code, dialogue_code))
    return Ratings(
        dialogues=tuple(
            DialogueId(*(ids[name].name(i) for name in DialogueId._fields))
            for i in kept[first].tolist()
        ),
        metrics=metrics,
        raters=raters,
        dialogue=dialogue_code[order].astype(np.int32),
        metric=metric_code[order].astype(np.int32),
        rater=rater_code[order].astype(np.int32),
        score=score[kept][order],
        row=row[order].astype(np.int32),
        file=file[order].astype(np.int32),
        scale=used_scale,
        scale_given=scale is not None,
        faults=tuple(sorted(all_faults, key=lambda fault: (number[fault.path], fault.row))),
        off_scale=off_scale,
        off_step=off_step,
        lost=Counter(metric.name(i) for i in np.flatnonzero(is_lost(kind, scale)).tolist()),
        excluded=excluded,
        unread=unread,
        sources=dict(sources),
        notes=tuple(notes),
        annotators=annotators,
    )


def is_lost(kind: NDArray[np.int8], scale: Scale | None) -> Flags:
    """(n,) whether a score was refused that should have been there.

    Not so where there is no score, where it is a copy of one that is kept, where its metric is none
    that is judged, and where it lies off a scale that the user named: then it was set aside.
    """
    harmless = ["", "empty", "duplicate", "unknown_metric"]
    harmless += [] if scale is None else ["off_scale"]
    return ~np.isin(kind, [FAULT_CODES[reason] for reason in harmless])


def _exclude(columns: Columns) -> tuple[Columns, dict[str, int], str]:
    """The rows that people gave, how many there are of each other type, and who the people are."""
    if "rater_type" not in columns:
        return columns, {}, ""
    types = encode(columns["rater_type"], _casefold)
    people = types.among(PEOPLE)
    others = Counter(types.names[code] for code in types.code[~people].tolist())
    kept = {name: values[people] for name, values in columns.items()}
    kinds = {types.names[code] for code in np.unique(types.code[people]).tolist()}
    return kept, dict(sorted(others.items())), annotators_of(kinds)


def annotators_of(kinds: Collection[str]) -> str:
    """`expert` or `crowd` where all types of people are such; else ""."""
    for name, alike in _ANNOTATORS.items():
        if kinds and alike.issuperset(kinds):
            return name
    return ""


def _casefold(value: object) -> str:
    return "" if is_blank(value) else clean(str(value)).casefold()


def _number_dialogues(ids: Mapping[str, Coded]) -> Codes:
    """(n,) one number for each (system, character, scenario); meaningless without a name."""
    coded = [ids[name] for name in DialogueId._fields]
    shape = [max(1, len(column.names)) for column in coded]
    return np.ravel_multi_index([column.code.clip(0) for column in coded], shape).astype(np.int64)


# Faults


def list_faults(
    kind: NDArray[np.int8],
    columns: Columns,
    paths: Sequence[Path],
    describe: Callable[[int, str], str],
) -> Iterator[Fault]:
    """A fault for each row that is refused; `describe` makes a sentence of row and reason."""
    for i in np.flatnonzero(kind).tolist():
        reason = FAULT_KINDS[kind[i] - 1]
        yield Fault(paths[columns["file"][i]], int(columns["row"][i]), reason, describe(i, reason))


def describe_value(reason: str, given: object) -> str:
    """What stands in the place of a score, for a message."""
    return "no score" if reason == "empty" else f"{str(given)[:40]!r} is not a number"


def describe_duplicate(
    reason: str, rater: str, same: Sequence[int], columns: Columns, paths: Sequence[Path]
) -> str:
    """What a rater gave the same thing, and in which rows, for a message."""
    places = sorted(zip(columns["file"][same].tolist(), columns["row"][same].tolist(), strict=True))
    several = len(paths) > 1
    rows = ", ".join(f"{paths[file].name}:{row}" if several else f"{row}" for file, row in places)
    if reason == "duplicate":
        return f"{rater} gave the same score again (rows {rows}); one is kept"
    scores = " and ".join(sorted({f"{score:g}" for score in columns["score"][same].tolist()}))
    return f"{rater} gave {scores} (rows {rows}); none is kept"
