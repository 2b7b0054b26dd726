"""From the rows of files to the scores that can be used, and the reason why each other is refused.

A score is kept, or refused for the first reason that holds: its metric is unknown, something has no
name, there is no score, or it is no number, off the scale or between its steps. Of the scores that
are left, copies and contradictions are refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from judge import tables
from judge.errors import DataError, UsageError
from judge.ratings.columns import Names
from judge.ratings.record import (
    FAULT_KINDS,
    DialogueId,
    Fault,
    JudgedTable,
    Point,
    Ratings,
    Scale,
)
from judge.ratings.rows import (
    JudgedRows,
    RatingRows,
    RatingScores,
    exclude_others,
    place,
    read_scores,
)
from judge.ratings.values import (
    FAULT_CODES,
    Coded,
    Codes,
    Flags,
    is_blank,
)

__all__ = ["resolve_judged", "resolve_ratings"]

PEOPLE = frozenset(
    {"human", "expert", "crowd", "annotator", "worker", "person", "people", "rater", "user"}
    | {"人", "人工", "人类", "专家", "众包", "标注员", "评分员"}
)
"""Types of raters that are people, in a table of judges' scores; so is a rater without a type."""

JUDGES = frozenset(
    {"llm", "judge", "model", "metric", "machine", "automatic", "ai", "模型", "机器", "自动"}
)
"""Types of raters that are judges."""

_LISTED = 1_000
"""Faults of a table of judges' scores that are listed; all are counted."""
_ID = ("system", "character", "scenario")


def resolve_duplicates(
    kind: NDArray[np.int8], score: NDArray[np.float64], rater: Codes, others: Sequence[Codes]
) -> dict[int, list[int]]:
    """Refuse copies and contradictions among the n scores; `kind` is changed.

    Of equal scores that one rater gave to one thing the first is kept, of different scores none.
    Ratings without a rater may be of several people, and are all kept.

    Args:
        kind: (n,) 0 for a score that can be used, else a code of FAULT_CODES.
        score: (n,).
        rater: (n,) -1 where no rater is named.
        others: (n,) each, codes from -1 on, that together say what was scored.

    Returns:
        Every score refused here -> all scores of the same rater and thing, itself included.
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
        groups |= dict.fromkeys(refused.tolist(), sorted(group.tolist()))
    return groups


def _describe_duplicate(
    kind: str, rater: str, rows: RatingScores | JudgedRows, same: Sequence[int]
) -> str:
    places = ", ".join(place(rows, i) for i in same)
    if kind == "duplicate":
        return f"{rater} gave the same score again (rows {places}); one is kept"
    given = " and ".join(sorted({f"{score:g}" for score in rows.score[same].tolist()}))
    return f"{rater} gave {given} (rows {places}); none is kept"


# Ratings


def resolve_ratings(
    rows: RatingRows,
    names: Names,
    scale: Scale | None,
    *,
    unread: tuple[str, ...] = (),
    sources: Mapping[str, str] = MappingProxyType({}),
    faults: Sequence[Fault] = (),
) -> Ratings:
    """Keep the ratings that can be used, and list the others.

    Args:
        rows: the rows of all files.
        names: the metrics there are.
        scale: what a score may be; None is 1-5 in whole numbers, presumed.
        unread: headings that mean nothing.
        sources: path -> SHA-256.
        faults: those found before.
    """
    used_scale = Scale() if scale is None else scale
    rows, excluded = exclude_others(rows)
    scores = read_scores(rows, names, used_scale)
    off_scale = Counter(scores.score[scores.kind == FAULT_CODES["off_scale"]].tolist())
    dialogue = _number_dialogues(scores)
    rater = scores.ids["rater"].code
    duplicates = resolve_duplicates(
        scores.kind, scores.score, rater, (scores.metric.code, dialogue)
    )
    kept = np.flatnonzero(scores.kind == 0)
    # Names are coded in alphabetical order, so that the numbers sort as the dialogues do.
    _, first, dialogue_code = np.unique(dialogue[kept], return_index=True, return_inverse=True)
    dialogues = (DialogueId(*(scores.ids[c].name(i) for c in _ID)) for i in kept[first].tolist())
    metrics, metric_code = scores.metric.used(kept, names.order)
    raters, rater_code = scores.ids["rater"].used(kept)
    score, row, file = scores.score[kept], scores.row[kept], scores.file[kept]
    order = np.lexsort((row, file, score, rater_code, metric_code, dialogue_code))
    all_faults = [*faults, *_describe_faults(scores, duplicates, used_scale)]
    number = {path: i for i, path in enumerate(rows.paths)}
    return Ratings(
        dialogues=tuple(dialogues),
        metrics=metrics,
        raters=raters,
        dialogue=dialogue_code[order].astype(np.int32),
        metric=metric_code[order].astype(np.int32),
        rater=rater_code[order].astype(np.int32),
        score=score[order],
        row=row[order].astype(np.int32),
        file=file[order].astype(np.int32),
        scale=used_scale,
        scale_given=scale is not None,
        faults=tuple(sorted(all_faults, key=lambda fault: (number[fault.path], fault.row))),
        off_scale=dict(sorted(off_scale.items())),
        excluded=excluded,
        unread=unread,
        sources=dict(sources),
    )


def _number_dialogues(scores: RatingScores) -> Codes:
    """(n,) one number for each (system, character, scenario); meaningless without a name."""
    coded = [scores.ids[column] for column in _ID]
    shape = [max(1, len(column.names)) for column in coded]
    return np.ravel_multi_index([column.code.clip(0) for column in coded], shape).astype(np.int64)


def _describe_faults(
    scores: RatingScores, duplicates: Mapping[int, list[int]], scale: Scale
) -> Iterator[Fault]:
    for i in np.flatnonzero(scores.kind).tolist():
        kind = FAULT_KINDS[scores.kind[i] - 1]
        given = scores.given[i]
        match kind:
            case "unknown_metric":
                name = "" if is_blank(scores.metric_names[i]) else str(scores.metric_names[i])
                text = f"{name!r} is no metric here"
            case "no_name":
                missing = (column for column, flags in scores.nameless.items() if flags[i])
                text = f"no usable {', '.join(missing)}"
            case "empty":
                text = "no score"
            case "not_a_number":
                text = f"{str(given)[:40]!r} is not a number"
            case "off_scale":
                text = f"{given} is not on the scale {scale}"
            case "off_step":
                text = f"{given} is not a score of the scale {scale}"
            case _:
                same = sorted(duplicates[i], key=lambda j: (scores.file[j], scores.row[j]))
                rater = scores.ids["rater"].name(i)
                text = _describe_duplicate(kind, rater, scores, same)
        head = "" if kind == "unknown_metric" else f"{scores.metric.name(i)}: "
        yield Fault(scores.paths[scores.file[i]], int(scores.row[i]), kind, head + text)


# Tables of judges' scores


class _Raters(NamedTuple):
    """Who gave each of the n scores; fields as in `JudgedTable`."""

    names: tuple[str, ...]
    rater: Codes
    dimension: Codes
    judged: Flags


def resolve_judged(
    rows: JudgedRows,
    *,
    people: frozenset[str],
    judges: frozenset[str],
    point: Point,
    where: tuple[str, ...],
) -> JudgedTable:
    """Keep the scores that can be used, say who gave each, and list the others.

    Args:
        rows: of all files.
        people: measures that are people's.
        judges: raters that are judges whatever their type.
        point: how probabilities became scores.
        where: the filters that were applied, as texts.

    Raises:
        UsageError: no rows, no people or no judge; a name in `people` or `judges` that is none.
        DataError: no row can be used, some files have systems and others none, or a type of rater
            says neither people nor judge.
    """
    if not len(rows.row):
        raise UsageError(f"--where {' '.join(where)}: no row is left", hint="leave one of them out")
    _ensure_systems_alike(rows)
    ids = dict(rows.ids)
    who = _find_raters(rows, people, judges)
    if not rows.with_system:
        ids["system"] = Coded(("",), np.zeros(len(rows.row), dtype=np.int64))
    nameless = np.min([ids[column].code for column in ("item", "system", "dimension")], axis=0) < 0
    kind = np.where(nameless, FAULT_CODES["no_name"], rows.kind).astype(np.int8)
    thing = (who.judged.astype(np.int64), who.dimension, ids["system"].code, ids["item"].code)
    duplicates = resolve_duplicates(kind, rows.score, who.rater, thing)
    kept = np.flatnonzero(kind == 0)
    faults = tuple(_describe_judged_faults(rows, kind, who, duplicates))
    if not kept.size:
        raise DataError(
            f"none of {len(rows.row)} rows can be used: {faults[0].text}",
            path=faults[0].path,
            line=faults[0].row,
            hint="look at the file there",
        )
    refused = Counter(FAULT_KINDS[code - 1] for code in kind[kind > 0].tolist())
    judged = who.judged[kept]
    _ensure_both_sides(judged)
    return JudgedTable(
        items=ids["item"].names,
        systems=ids["system"].names,
        dimensions=ids["dimension"].names,
        raters=who.names,
        item=ids["item"].code[kept].astype(np.int32),
        system=ids["system"].code[kept].astype(np.int32),
        dimension=who.dimension[kept].astype(np.int32),
        rater=who.rater[kept].astype(np.int32),
        judged=judged,
        score=rows.score[kept],
        probs=None if rows.probs is None else rows.probs[kept],
        labels=rows.labels,
        point=point,
        sources=dict(rows.sources),
        where=where,
        refused=dict(refused),
        faults=faults,
        notes=tuple(_notes(rows, refused, faults)),
    )


def _ensure_systems_alike(rows: JudgedRows) -> None:
    without = [path for i, path in enumerate(rows.paths) if i not in rows.with_system]
    if rows.with_system and without:
        other = rows.paths[min(rows.with_system)].name
        raise DataError(
            f"no column system, and {other} has one",
            path=without[0],
            hint="add the column, or name the one that is it with --alias HEADING=system",
        )


def _find_raters(rows: JudgedRows, people: frozenset[str], judges: frozenset[str]) -> _Raters:
    """Say who is a judge: rows of probabilities, by name, by type, or as a measure of none."""
    dimension, rater, types = (rows.ids[c] for c in ("dimension", "rater", "rater_type"))
    if strangers := sorted(people - set(dimension.names)):
        raise UsageError(
            f"--people {strangers[0]}: it is no measure of the table",
            hint=f"its measures are {_some(dimension.names)}",
        )
    measure = rows.measure & ~dimension.among(people)
    of_type = {side: [n for n in types.names if n.casefold() in side] for side in (PEOPLE, JUDGES)}
    judged = rows.judged | measure | rater.among(judges) | types.among(of_type[JUDGES])
    unknown = ~judged & (types.code >= 0) & ~types.among(of_type[PEOPLE])
    if unknown.any():
        first = int(np.argmax(unknown))
        raise DataError(
            f"the rater_type {types.name(first)!r} tells neither people nor judge",
            path=rows.paths[rows.file[first]],
            line=int(rows.row[first]),
            hint=f"people: {_some(sorted(PEOPLE), 5)}; judges: {_some(sorted(JUDGES), 5)}; "
            "or name the judges with --judge NAME",
        )
    # A judge without a name has that of its measure, else that of its file.
    stems = tuple(map(tables.stem, rows.paths))
    nobody = judged & ~measure & (rater.code < 0)
    index = {name: i for i, name in enumerate(rater.names)}
    for name in (*(dimension.names * bool(measure.any())), *(stems * bool(nobody.any()))):
        index.setdefault(name, len(index))
    of_measure = np.array([*(index.get(name, -1) for name in dimension.names), -1], dtype=np.int64)
    of_file = np.array([index.get(stem, -1) for stem in stems], dtype=np.int64)
    code = np.where(nobody, of_file[rows.file], rater.code)
    code = np.where(measure, of_measure[dimension.code], code)
    names = tuple(index)
    if strangers := sorted(judges - {names[i] for i in np.unique(code[judged]).tolist()}):
        everybody = [names[i] for i in np.unique(code[code >= 0]).tolist()]
        raise UsageError(
            f"--judge {strangers[0]}: nobody in the table is called so",
            hint=f"there are {_some(everybody)}" if everybody else "the table names no rater",
        )
    return _Raters(names, code, np.where(measure, -1, dimension.code), judged)


def _describe_judged_faults(
    rows: JudgedRows,
    kinds: NDArray[np.int8],
    who: _Raters,
    duplicates: Mapping[int, list[int]],
) -> Iterator[Fault]:
    for i in np.flatnonzero(kinds)[:_LISTED].tolist():
        kind = FAULT_KINDS[kinds[i] - 1]
        match kind:
            case "no_name":
                text = "item, system or dimension is blank"
            case "empty":
                text = "no score"
            case "no_distribution":
                text = "the probabilities are no distribution: negative, all 0, or more than 1"
            case "not_a_number":
                text = f"{rows.texts[i]!r} is not a number"
            case _:
                same, rater = duplicates[i], who.names[who.rater[i]]
                text = _describe_duplicate(kind, rater, rows, same)
        yield Fault(rows.paths[rows.file[i]], int(rows.row[i]), kind, text)


def _notes(rows: JudgedRows, refused: Mapping[str, int], faults: Sequence[Fault]) -> Iterator[str]:
    if not rows.with_system:
        yield "The table has no column system: all items count as those of one system."
    people = [name for name in rows.ids["rater_type"].names if name.casefold() in PEOPLE]
    if len(people) > 1:
        yield f"Raters of the types {' and '.join(people)} all count as people."
    if rows.unused:
        yield f"Scores beside probabilities, which were not read: {rows.unused:,}."
    if rows.unread:
        yield f"Columns that were not read: {', '.join(rows.unread)}."
    if refused:
        counts = ", ".join(f"{kind.replace('_', ' ')} {n:,}" for kind, n in sorted(refused.items()))
        first = f"{faults[0].path.name}:{faults[0].row}: {faults[0].text}"
        yield f"Rows refused: {sum(refused.values()):,} ({counts}), such as {first}."


def _ensure_both_sides(judged: Flags) -> None:
    if not judged.any():
        raise UsageError(
            "nobody in the table is a judge",
            hint="say who is, with --judge RATER, with a column rater_type (human, llm, ...), or "
            "with --people MEASURE where the measures are judges",
        )
    if judged.all():
        raise UsageError(
            "nobody in the table is a person",
            hint="name a second --table with what people said, or --people MEASURE",
        )


def _some(names: Iterable[str], most: int = 10) -> str:
    listed = list(names)
    return ", ".join(listed[:most]) + (", ..." if len(listed) > most else "")
