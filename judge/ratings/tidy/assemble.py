"""From the columns of all files to the scores that can be used, and what is said of the rest.

A row is kept, or refused for the first reason that holds: something has no name; it has no score,
or none that is a number, or no distribution; and of those that are left, it is a copy of another
or contradicts it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from judge.errors import DataError, UsageError
from judge.ratings import files
from judge.ratings.record import Fault, IntArray
from judge.ratings.tidy.draft import Columns, Draft
from judge.ratings.tidy.record import JudgedTable
from judge.ratings.tidy.rows import FAULTS, Point

__all__ = ["JUDGES", "PEOPLE", "assemble"]

PEOPLE = frozenset(
    {"human", "expert", "crowd", "annotator", "worker", "person", "people", "rater", "user"}
    | {"人", "人工", "人类", "专家", "众包", "标注员", "评分员"}
)
"""Types of raters that are people; a blank is one, too."""

JUDGES = frozenset(
    {"llm", "judge", "model", "metric", "machine", "automatic", "ai", "模型", "机器", "自动"}
)
"""Types of raters that are judges."""

_LISTED = 1_000
_KINDS = tuple(FAULTS)
_TOLD = {
    "no_name": "item, system or dimension is blank",
    "empty": "no score",
    "no_distribution": "the probabilities are no distribution: negative, all 0, or more than 1",
}

Flags = NDArray[np.bool_]


class _Who(NamedTuple):
    """Whose score each row is; `rater` and `dimension` as in `JudgedTable`."""

    raters: tuple[str, ...]
    rater: IntArray
    dimension: IntArray
    judged: Flags


def assemble(
    draft: Draft,
    *,
    people: frozenset[str],
    judges: frozenset[str],
    point: Point,
    sources: Mapping[str, str],
    where: tuple[str, ...],
) -> JudgedTable:
    """Keep what can be used of the rows, and list the rest.

    Args:
        draft: at least one block.
        people: measures that are people's.
        judges: raters that are judges whatever their type.
        point: what the scores of probabilities are.
        sources: path -> SHA-256.
        where: the filters, as texts.

    Raises:
        UsageError: no rows, no people or no judge; a name in `people` or `judges` that is none.
        DataError: no row can be used, some files have systems and others none, or a type of rater
            tells neither people nor judge.
    """
    if not len(draft):
        raise UsageError(f"--where {' '.join(where)}: no row is left", hint="leave one of them out")
    _one_way_of_systems(draft)
    found = draft.columns()
    named = {c: coder.finish() for c, coder in draft.coders.items()}
    codes = {c: index[found.codes[c]] for c, (_, index) in named.items()}
    names = {c: of for c, (of, _) in named.items()}
    who = _who(draft, found, names, codes, people, judges)
    if not draft.with_system:
        names["system"], codes["system"] = ("",), np.zeros(len(draft), dtype=np.int32)
    nameless = np.min([codes[c] for c in ("item", "system", "dimension")], axis=0) < 0
    found.fault[nameless] = FAULTS["no_name"]
    twins = _settle(found, who, codes)
    kept = np.flatnonzero(found.fault == 0)
    faults = tuple(_describe(draft, found, who, twins))
    if not kept.size:
        raise DataError(
            f"none of {len(draft)} rows can be used: {faults[0].text}",
            path=faults[0].path,
            line=faults[0].row,
            hint="look at the file there",
        )
    refused = Counter(_KINDS[code] for code in found.fault[found.fault > 0].tolist())
    tidy = JudgedTable(
        items=names["item"],
        systems=names["system"],
        dimensions=names["dimension"],
        raters=who.raters,
        item=codes["item"][kept],
        system=codes["system"][kept],
        dimension=who.dimension[kept],
        rater=who.rater[kept],
        judged=who.judged[kept],
        score=found.score[kept],
        probs=None if found.probs is None else found.probs[kept],
        labels=draft.labels,
        point=point,
        sources=dict(sources),
        where=where,
        refused=dict(refused),
        faults=faults,
        notes=tuple(_notes(draft, names["rater_type"], codes["rater_type"], refused, faults)),
    )
    _ensure_both_sides(tidy)
    return tidy


def _one_way_of_systems(draft: Draft) -> None:
    without = [path for i, path in enumerate(draft.paths) if i not in draft.with_system]
    if draft.with_system and without:
        other = draft.paths[min(draft.with_system)].name
        raise DataError(
            f"no column system, and {other} has one",
            path=without[0],
            hint="add the column, or name the one that is it with --alias HEADING=system",
        )


def _who(
    draft: Draft,
    found: Columns,
    names: Mapping[str, tuple[str, ...]],
    codes: Mapping[str, IntArray],
    people: frozenset[str],
    judges: frozenset[str],
) -> _Who:
    def known(column: str, wanted: frozenset[str]) -> Flags:
        """(n,) whether the name in this column is one of the wanted."""
        flags = np.array([*(name.casefold() in wanted for name in names[column]), False])
        return flags[codes[column]]

    if strangers := sorted(people - set(names["dimension"])):
        raise UsageError(
            f"--people {strangers[0]}: it is no measure of the table",
            hint=f"its measures are {_some(names['dimension'])}",
        )
    theirs = np.array([*(name in people for name in names["dimension"]), False])
    named = np.array([*(name in judges for name in names["rater"]), False])
    measure = found.measure & ~theirs[codes["dimension"]]
    by_type = known("rater_type", JUDGES)
    judged = found.judged | measure | named[codes["rater"]] | by_type
    unknown = ~judged & (codes["rater_type"] >= 0) & ~known("rater_type", PEOPLE)
    if unknown.any():
        first = int(np.argmax(unknown))
        kind = names["rater_type"][codes["rater_type"][first]]
        raise DataError(
            f"the rater_type {kind!r} tells neither people nor judge",
            path=draft.paths[found.file[first]],
            line=int(found.row[first]),
            hint=f"people: {_some(sorted(PEOPLE), 5)}; judges: {_some(sorted(JUDGES), 5)}; "
            "or name the judges with --judge NAME",
        )
    # A judge without a name has that of its measure, else that of its file.
    stems = tuple(files.stem(path) for path in draft.paths)
    nobody = judged & ~measure & (codes["rater"] < 0)
    index = {name: i for i, name in enumerate(names["rater"])}
    for name in (*(names["dimension"] * bool(measure.any())), *(stems * bool(nobody.any()))):
        index.setdefault(name, len(index))
    of_measure = np.array([*(index.get(name, -1) for name in names["dimension"]), -1], np.int32)
    of_file = np.array([index.get(stem, -1) for stem in stems], dtype=np.int32)
    rater = np.where(nobody, of_file[found.file], codes["rater"])
    rater = np.where(measure, of_measure[codes["dimension"]], rater).astype(np.int32)
    dimension = np.where(measure, np.int32(-1), codes["dimension"])
    raters = tuple(index)
    if strangers := sorted(judges - {raters[i] for i in np.unique(rater[judged]).tolist()}):
        everybody = [raters[i] for i in np.unique(rater[rater >= 0]).tolist()]
        raise UsageError(
            f"--judge {strangers[0]}: nobody in the table is called so",
            hint=f"there are {_some(everybody)}" if everybody else "the table names no rater",
        )
    return _Who(raters, rater, dimension, judged)


def _settle(found: Columns, who: _Who, codes: Mapping[str, IntArray]) -> dict[int, list[int]]:
    """Refuses copies and contradictions; for each of these, all rows that it goes with.

    Ratings without a rater cannot be told apart from copies, and are all kept.
    """
    good = np.flatnonzero((found.fault == 0) & (who.rater >= 0))
    key = who.judged[good].astype(np.int64)
    for part in (who.rater, who.dimension, codes["system"], codes["item"]):
        # Compressed at each step, so that no product of many names leaves 64 bits.
        key = np.unique(key * (int(part.max(initial=0)) + 2) + part[good], return_inverse=True)[1]
    order = good[np.lexsort((found.score[good], key))]
    key = np.sort(key)
    same = key[1:] == key[:-1]
    twins: dict[int, list[int]] = {}
    if not same.any():
        return twins
    starts = np.flatnonzero(np.concatenate(([True], ~same)))
    sizes = np.diff(np.append(starts, len(order)))
    for start, size in zip(starts[sizes > 1].tolist(), sizes[sizes > 1].tolist(), strict=True):
        group = order[start : start + size]
        # Sorted by score, and by place where these are equal: equal ends mean that all are.
        agree = found.score[group[0]] == found.score[group[-1]]
        refused = group[1:] if agree else group
        found.fault[refused] = FAULTS["duplicate" if agree else "conflict"]
        twins |= dict.fromkeys(refused.tolist(), group.tolist())
    return twins


def _describe(
    draft: Draft, found: Columns, who: _Who, twins: Mapping[int, list[int]]
) -> Iterator[Fault]:
    def place(i: int) -> str:
        several = len(draft.paths) > 1
        return f"{draft.paths[found.file[i]].name}:{found.row[i]}" if several else f"{found.row[i]}"

    for i in np.flatnonzero(found.fault)[:_LISTED].tolist():
        kind = _KINDS[found.fault[i]]
        if kind == "not_a_number":
            text = f"{draft.text[i]!r} is not a number"
        elif kind in _TOLD:
            text = _TOLD[kind]
        else:
            rater, rows = who.raters[who.rater[i]], ", ".join(map(place, sorted(twins[i])))
            scores = sorted({f"{found.score[j]:g}" for j in twins[i]})
            text = (
                f"{rater} gave the same score again (rows {rows}); one is kept"
                if kind == "duplicate"
                else f"{rater} gave {' and '.join(scores)} (rows {rows}); none is kept"
            )
        yield Fault(Path(draft.paths[found.file[i]]), int(found.row[i]), kind, text)


def _notes(
    draft: Draft,
    kinds: tuple[str, ...],
    kind: IntArray,
    refused: Mapping[str, int],
    faults: Sequence[Fault],
) -> Iterator[str]:
    if not draft.with_system:
        yield "The table has no column system: all items count as those of one system."
    used = [kinds[code] for code in np.unique(kind[kind >= 0]).tolist()]
    people = [name for name in used if name.casefold() in PEOPLE]
    if len(people) > 1:
        yield f"Raters of the types {' and '.join(people)} all count as people."
    if draft.unused:
        yield f"Scores beside probabilities, which were not read: {draft.unused:,}."
    if draft.unread:
        yield f"Columns that were not read: {', '.join(draft.unread)}."
    if refused:
        counts = ", ".join(f"{kind.replace('_', ' ')} {n:,}" for kind, n in sorted(refused.items()))
        first = f"{faults[0].path.name}:{faults[0].row}: {faults[0].text}"
        yield f"Rows refused: {sum(refused.values()):,} ({counts}), such as {first}."


def _ensure_both_sides(tidy: JudgedTable) -> None:
    if not tidy.judged.any():
        raise UsageError(
            "nobody in the table is a judge",
            hint="say who is, with --judge RATER, with a column rater_type (human, llm, ...), or "
            "with --people MEASURE where the measures are judges",
        )
    if tidy.judged.all():
        raise UsageError(
            "nobody in the table is a person",
            hint="name a second --table with what people said, or --people MEASURE",
        )


def _some(names: Iterable[str], most: int = 10) -> str:
    listed = list(names)
    return ", ".join(listed[:most]) + (", ..." if len(listed) > most else "")
