"""Decides which scores of a table can be used, and says why each of the others is refused.

A score is kept, or refused for the first reason that holds: its metric is unknown, something has no
name, there is no score, or it is no number, off the scale or between its steps. Of the scores that
are left, copies and contradictions are refused.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from judge.errors import DataError, UsageError
from judge.ratings.columns import Vocabulary
from judge.ratings.record import (
    FAULT_KINDS,
    DialogueId,
    Fault,
    JudgedTable,
    Point,
    Ratings,
    Scale,
)
from judge.ratings.rows import Columns, JudgedRows
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
from judge.text_files import stem

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

_PARSERS = {
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
        paths: the files.
        vocabulary: the metrics there are.
        scale: what a score may be; None is 1-5 in whole numbers, presumed.
        unread: headings that mean nothing.
        sources: path -> SHA-256.
        faults: those found before.
        notes: how the file was read.
    """
    used_scale = Scale() if scale is None else scale
    columns, excluded = _exclude(columns)
    given = columns["score"]
    score, kind = parse_scores(given, used_scale)
    columns = {**columns, "score": score}
    off_scale = Counter(score[kind == FAULT_CODES["off_scale"]].tolist())
    metric = encode(
        columns["metric"], lambda value: vocabulary.metric("" if is_blank(value) else str(value))
    )
    blank = np.full(len(score), "", dtype=np.object_)
    ids = {
        name: encode(columns.get(name, blank), _PARSERS[name])
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
                text = _describe_duplicate(reason, rater.name(i), duplicates[i], columns, paths)
            case _:
                text = _describe_value(reason, given[i])
        return f"{metric.name(i)}: {text}"

    all_faults = [*faults, *_list_faults(kind, columns, paths, describe)]
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
        off_scale=dict(sorted(off_scale.items())),
        excluded=excluded,
        unread=unread,
        sources=dict(sources),
        notes=tuple(notes),
    )


def _exclude(columns: Columns) -> tuple[Columns, dict[str, int]]:
    """The rows that people gave, and how many there are of each other type of rater."""
    if "rater_type" not in columns:
        return columns, {}
    types = encode(columns["rater_type"], _casefold)
    people = types.among(["human"])
    others = Counter(types.names[code] for code in types.code[~people].tolist())
    return {name: values[people] for name, values in columns.items()}, dict(sorted(others.items()))


def _casefold(value: object) -> str:
    return "" if is_blank(value) else str(value).strip().casefold()


def _number_dialogues(ids: Mapping[str, Coded]) -> Codes:
    """(n,) one number for each (system, character, scenario); meaningless without a name."""
    coded = [ids[name] for name in DialogueId._fields]
    shape = [max(1, len(column.names)) for column in coded]
    return np.ravel_multi_index([column.code.clip(0) for column in coded], shape).astype(np.int64)


# Faults


def _list_faults(
    kind: NDArray[np.int8],
    columns: Columns,
    paths: Sequence[Path],
    describe: Callable[[int, str], str],
) -> Iterator[Fault]:
    for i in np.flatnonzero(kind).tolist():
        reason = FAULT_KINDS[kind[i] - 1]
        yield Fault(paths[columns["file"][i]], int(columns["row"][i]), reason, describe(i, reason))


def _describe_value(reason: str, given: object) -> str:
    return "no score" if reason == "empty" else f"{str(given)[:40]!r} is not a number"


def _describe_duplicate(
    reason: str, rater: str, same: Sequence[int], columns: Columns, paths: Sequence[Path]
) -> str:
    places = sorted(zip(columns["file"][same].tolist(), columns["row"][same].tolist(), strict=True))
    several = len(paths) > 1
    rows = ", ".join(f"{paths[file].name}:{row}" if several else f"{row}" for file, row in places)
    if reason == "duplicate":
        return f"{rater} gave the same score again (rows {rows}); one is kept"
    scores = " and ".join(sorted({f"{score:g}" for score in columns["score"][same].tolist()}))
    return f"{rater} gave {scores} (rows {rows}); none is kept"


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
    columns, paths = rows.columns, rows.paths
    n = len(columns["row"])
    if not n:
        raise UsageError(f"--where {' '.join(where)}: no row is left", hint="leave one of them out")
    ids = {
        name: encode(columns[name], _PARSERS[name], allow_blank=False, in_order=True)
        for name in ("item", "system", "dimension", "rater", "rater_type")
    }
    raters = _find_raters(rows, ids, people, judges)
    if not rows.has_systems:
        ids["system"] = Coded(("",), np.zeros(n, dtype=np.int64))
    item, system, judged = ids["item"].code, ids["system"].code, raters.judged
    nameless = (item < 0) | (system < 0) | (ids["dimension"].code < 0)
    kind = np.where(nameless, FAULT_CODES["no_name"], columns["kind"]).astype(np.int8)
    scored = (judged.astype(np.int64), raters.dimension, system, item)
    duplicates = resolve_duplicates(kind, columns["score"], raters.rater, scored)

    def describe(i: int, reason: str) -> str:
        match reason:
            case "no_name":
                return "item, system or dimension is blank"
            case "no_distribution":
                return "the probabilities are no distribution: negative, all 0, or more than 1"
            case "duplicate" | "conflict":
                name = raters.names[raters.rater[i]]
                return _describe_duplicate(reason, name, duplicates[i], columns, paths)
        return _describe_value(reason, columns["given"][i])

    faults = tuple(itertools.islice(_list_faults(kind, columns, paths, describe), _LISTED))
    kept = np.flatnonzero(kind == 0)
    if not kept.size:
        raise DataError(
            f"none of {n} rows can be used: {faults[0].text}",
            path=faults[0].path,
            line=faults[0].row,
            hint="look at the file there",
        )
    refused = Counter(FAULT_KINDS[code - 1] for code in kind[kind > 0].tolist())
    _ensure_both_sides(judged[kept])
    return JudgedTable(
        items=ids["item"].names,
        systems=ids["system"].names,
        dimensions=ids["dimension"].names,
        raters=raters.names,
        item=item[kept].astype(np.int32),
        system=system[kept].astype(np.int32),
        dimension=raters.dimension[kept].astype(np.int32),
        rater=raters.rater[kept].astype(np.int32),
        judged=judged[kept],
        score=columns["score"][kept],
        probs=columns["probs"][kept] if rows.labels else None,
        labels=rows.labels,
        point=point,
        sources=dict(rows.sources),
        where=where,
        refused=dict(refused),
        faults=faults,
        notes=tuple(_notes(rows, ids["rater_type"].names, refused, faults)),
    )


def _find_raters(
    rows: JudgedRows, ids: Mapping[str, Coded], people: frozenset[str], judges: frozenset[str]
) -> _Raters:
    """Tell judges from people: by probabilities, by name, by type, or as a measure."""
    dimension, rater, types = ids["dimension"], ids["rater"], ids["rater_type"]
    columns = rows.columns
    if missing := sorted(people - set(dimension.names)):
        raise UsageError(
            f"--people {missing[0]}: it is no measure of the table",
            hint=f"its measures are {_list_some(dimension.names)}",
        )
    measure = columns["measure"] & ~dimension.among(people)
    of_type = {side: [n for n in types.names if n.casefold() in side] for side in (PEOPLE, JUDGES)}
    judged = columns["judged"] | measure | rater.among(judges) | types.among(of_type[JUDGES])
    unknown = ~judged & (types.code >= 0) & ~types.among(of_type[PEOPLE])
    if unknown.any():
        first = int(np.argmax(unknown))
        raise DataError(
            f"the rater_type {types.name(first)!r} tells neither people nor judge",
            path=rows.paths[columns["file"][first]],
            line=int(columns["row"][first]),
            hint=f"people: {_list_some(sorted(PEOPLE), 5)}; "
            f"judges: {_list_some(sorted(JUDGES), 5)}; or name the judges with --judge NAME",
        )
    # A judge without a name is called by its measure, else by its file.
    stems = tuple(map(stem, rows.paths))
    unnamed = judged & ~measure & (rater.code < 0)
    index = {name: i for i, name in enumerate(rater.names)}
    for name in (*(dimension.names * bool(measure.any())), *(stems * bool(unnamed.any()))):
        index.setdefault(name, len(index))
    of_measure = np.array([*(index.get(name, -1) for name in dimension.names), -1], dtype=np.int64)
    of_file = np.array([index.get(stem, -1) for stem in stems], dtype=np.int64)
    code = np.where(unnamed, of_file[columns["file"]], rater.code)
    code = np.where(measure, of_measure[dimension.code], code)
    names = tuple(index)
    if missing := sorted(judges - {names[i] for i in np.unique(code[judged]).tolist()}):
        all_names = [names[i] for i in np.unique(code[code >= 0]).tolist()]
        raise UsageError(
            f"--judge {missing[0]}: nobody in the table is called so",
            hint=f"there are {_list_some(all_names)}" if all_names else "the table names no rater",
        )
    return _Raters(names, code, np.where(measure, -1, dimension.code), judged)


def _notes(
    rows: JudgedRows, types: Sequence[str], refused: Mapping[str, int], faults: Sequence[Fault]
) -> Iterator[str]:
    yield from rows.notes
    if not rows.has_systems:
        yield "The table has no column system: all items count as those of one system."
    people = [name for name in types if name.casefold() in PEOPLE]
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


def _list_some(names: Iterable[str], most: int = 10) -> str:
    listed = list(names)
    return ", ".join(listed[:most]) + (", ..." if len(listed) > most else "")
