"""Decides which scores of a table of judges' scores can be used, and who gave each of them."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from judge.errors import DataError, UsageError
from judge.names import clean
from judge.ratings.record import FAULT_KINDS, Fault, JudgedTable, Point
from judge.ratings.resolve import (
    PARSERS,
    PEOPLE,
    annotators_of,
    describe_duplicate,
    describe_value,
    is_lost,
    list_faults,
    resolve_duplicates,
)
from judge.ratings.rows import Columns, JudgedRows
from judge.ratings.values import FAULT_CODES, Coded, Codes, Flags, encode
from judge.text_files import stem

__all__ = ["resolve_judged"]

JUDGES = frozenset(
    {"llm", "judge", "model", "metric", "machine", "automatic", "ai", "模型", "机器", "自动"}
)
"""Types of raters that are judges."""

_LISTED = 1_000
"""Faults of a table of judges' scores that are listed; all are counted."""


_MOST_CATEGORIES = 20
"""More different texts are answers in words rather than labels."""


class _Raters(NamedTuple):
    """Who gave each of the n scores; fields as in `JudgedTable`."""

    names: tuple[str, ...]
    rater: Codes
    dimension: Codes
    judged: Flags
    annotators: str


def resolve_judged(
    rows: JudgedRows,
    *,
    people: frozenset[str],
    judges: frozenset[str],
    point: Point,
    where: tuple[str, ...],
    categories: bool,
) -> JudgedTable:
    """Keep the scores that can be used, say who gave each, and list the others.

    Args:
        people: measures that are people's.
        judges: raters that are judges whatever their type.
        where: the filters that were applied, as texts.
        categories: whether labels may be no numbers.

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
        name: encode(columns[name], PARSERS[name], allow_blank=False, in_order=True)
        for name in ("item", "system", "dimension", "rater", "rater_type")
    }
    raters = _find_raters(rows, ids, people, judges)
    if not rows.has_systems:
        ids["system"] = Coded(("",), np.zeros(n, dtype=np.int64))
    item, system, judged = ids["item"].code, ids["system"].code, raters.judged
    nameless = (item < 0) | (system < 0) | (ids["dimension"].code < 0)
    labels: tuple[str, ...] = ()
    if categories:
        columns, labels = _with_categories(columns)
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
                return describe_duplicate(reason, name, duplicates[i], columns, paths)
        return describe_value(reason, columns["given"][i])

    faults = tuple(itertools.islice(list_faults(kind, columns, paths, describe), _LISTED))
    kept = np.flatnonzero(kind == 0)
    if not kept.size:
        raise DataError(
            f"none of {n} rows can be used: {faults[0].text}",
            path=faults[0].path,
            line=faults[0].row,
            hint="look at the file there",
        )
    refused = Counter(FAULT_KINDS[code - 1] for code in kind[kind > 0].tolist())
    names, dimensions = (*raters.names, ""), (*ids["dimension"].names, "")  # the code -1 is ""
    lost = Counter(
        (names[raters.rater[i]], dimensions[ids["dimension"].code[i]])
        for i in np.flatnonzero(is_lost(kind, None)).tolist()
    )
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
        notes=(
            *_notes(rows, ids["rater_type"].names, refused, faults),
            *([f"The labels are no numbers, but categories: {', '.join(labels)}."] * bool(labels)),
        ),
        lost=lost,
        annotators=raters.annotators,
        categories=labels,
    )


def _with_categories(columns: Columns) -> tuple[Columns, tuple[str, ...]]:
    """The columns with codes of labels as scores, and the labels, if no score is a number.

    As they are where there are numbers, or too many labels to be categories.
    """
    named = columns["kind"] == FAULT_CODES["not_a_number"]
    if not named.any() or (columns["kind"] == 0).any():
        return columns, ()
    given = [clean(str(value)) for value in columns["given"][named].tolist()]
    labels = tuple(sorted(set(given)))
    if not 2 <= len(labels) <= _MOST_CATEGORIES:
        return columns, ()
    score, kind = columns["score"].copy(), columns["kind"].copy()
    score[named] = [labels.index(label) for label in given]
    kind[named] = 0
    return {**columns, "score": score, "kind": kind}, labels


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
    of_type = {
        side: [n for n in types.names if clean(n).casefold() in side] for side in (PEOPLE, JUDGES)
    }
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
    of_people = np.unique(types.code[~judged]).tolist()
    kinds = {clean(types.names[code]).casefold() for code in of_people if code >= 0}
    annotators = "" if -1 in of_people else annotators_of(kinds)
    return _Raters(names, code, np.where(measure, -1, dimension.code), judged, annotators)


def _notes(
    rows: JudgedRows, types: Sequence[str], refused: Mapping[str, int], faults: Sequence[Fault]
) -> Iterator[str]:
    yield from rows.notes
    if not rows.has_systems:
        yield "The table has no column system: all items count as those of one system."
    people = [name for name in types if clean(name).casefold() in PEOPLE]
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
