"""From rows of any shape to columns of codes: every distinct value is understood once.

Each rating is kept, or refused for the first reason that holds: its metric is unknown, it has no
score, something has no name, the score is no number, off the scale or between its steps; and
among the ratings that are left, it is a copy or contradicts another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from judge.ratings.names import Names
from judge.ratings.record import KINDS, Cell, Fault, Ratings, Scale
from judge.ratings.values import (
    Coded,
    Flags,
    Ints,
    encode,
    factorise,
    parse_id,
    parse_name,
    parse_score,
)

__all__ = ["Table", "assemble"]

_PEOPLE = "human"
_CELL = ("system", "character", "scenario")
_PARSE = {
    "system": parse_name,
    "character": parse_name,
    "scenario": parse_id,
    "rater": parse_id,
}
_KIND = {kind: number for number, kind in enumerate(("", *KINDS))}


class Table(NamedTuple):
    """Rows with their places, and which heading means what.

    `columns` maps a column to its heading, `metrics` a heading to its metric (none in a long
    table). `fixed` is what stands for a column that is missing; without an entry, a blank.
    """

    rows: Sequence[Mapping[str, object]]
    row: Sequence[int]
    file: Sequence[int]
    paths: tuple[Path, ...]
    columns: Mapping[str, str]
    metrics: Mapping[str, str]
    fixed: Mapping[str, str] = MappingProxyType({})

    def values(self, column: str) -> list[object]:
        """One value for each row."""
        heading = self.columns.get(column)
        if heading is None:
            return [self.fixed.get(column, "")] * len(self.rows)
        return [row.get(heading) for row in self.rows]


@dataclass(frozen=True, slots=True)
class _Draft:
    """All n ratings before any is refused; `score` is NaN and `kind` is set where it is unfit."""

    ids: Mapping[str, Coded]
    metric: Coded
    asked: Sequence[str]
    given: Sequence[object]
    score: NDArray[np.float64]
    kind: NDArray[np.int8]
    nameless: Mapping[str, Flags]
    row: Ints
    file: Ints
    paths: tuple[Path, ...]


def assemble(
    table: Table,
    names: Names,
    scale: Scale | None,
    *,
    unread: tuple[str, ...] = (),
    sources: Mapping[str, str] = MappingProxyType({}),
    faults: Sequence[Fault] = (),
) -> Ratings:
    """Keep what can be used of a table, and list the rest.

    Args:
        table: the rows.
        names: the metrics there are.
        scale: what a score may be; None is 1-5 in whole numbers, presumed.
        unread: headings that mean nothing.
        sources: path -> SHA-256.
        faults: those found before.
    """
    on = Scale() if scale is None else scale
    table, aside = _people(table)
    draft = _draft(table, names, on)
    off = Counter(draft.score[draft.kind == _KIND["off_scale"]].tolist())
    cell = _cells(draft)
    kept, twins = _settle(draft, cell)
    # Names are coded in their order, so that the numbers of the cells sort as the cells do.
    _, first, cell_code = np.unique(cell[kept], return_index=True, return_inverse=True)
    cells = tuple(Cell(*(draft.ids[c].name(i) for c in _CELL)) for i in kept[first].tolist())
    metrics, metric_code = draft.metric.used(kept, names.order)
    raters, rater_code = draft.ids["rater"].used(kept)
    score = draft.score[kept]
    place = (draft.row[kept], draft.file[kept])
    final = np.lexsort((*place, score, rater_code, metric_code, cell_code))
    found = [*faults, *_describe(draft, twins, on)]
    where = {path: number for number, path in enumerate(table.paths)}
    return Ratings(
        cells=cells,
        metrics=metrics,
        raters=raters,
        cell=cell_code[final].astype(np.int32),
        metric=metric_code[final].astype(np.int32),
        rater=rater_code[final].astype(np.int32),
        score=score[final],
        row=place[0][final].astype(np.int32),
        file=place[1][final].astype(np.int32),
        scale=on,
        scale_given=scale is not None,
        faults=tuple(sorted(found, key=lambda fault: (where[fault.path], fault.row))),
        off_scale=dict(sorted(off.items())),
        aside=aside,
        unread=unread,
        sources=dict(sources),
    )


def _people(table: Table) -> tuple[Table, dict[str, int]]:
    """The rows that people gave, and how many of each other kind of rater there are."""
    if "rater_type" not in table.columns:
        return table, {}
    kinds = [str(value or "").strip().casefold() for value in table.values("rater_type")]
    keep = [i for i, kind in enumerate(kinds) if kind == _PEOPLE]
    aside = Counter(kind for kind in kinds if kind != _PEOPLE)
    people = table._replace(
        rows=[table.rows[i] for i in keep],
        row=[table.row[i] for i in keep],
        file=[table.file[i] for i in keep],
    )
    return people, dict(sorted(aside.items()))


def _draft(table: Table, names: Names, scale: Scale) -> _Draft:
    rows = np.arange(len(table.rows))
    if table.metrics:
        at = np.tile(rows, len(table.metrics))
        asked = [name for name in table.metrics.values() for _ in table.rows]
        given = [row.get(heading) for heading in table.metrics for row in table.rows]
        metric = Coded(
            tuple(table.metrics.values()), np.arange(len(table.metrics)).repeat(len(rows))
        )
    else:
        at, given = rows, table.values("score")
        asked = ["" if value is None else str(value) for value in table.values("metric")]
        metric = encode(asked, lambda value: names.metric(str(value)))
    ids = {c: encode(table.values(c), parse).take(at) for c, parse in _PARSE.items()}
    distinct, code = factorise(given)
    read = [parse_score(value, scale) for value in distinct]
    score = np.array([number for number, _ in read], dtype=np.float64)[code]
    kind = np.array([_KIND[kind] for _, kind in read], dtype=np.int8)[code]

    # A blank is a name where a column is missing, where nobody is named as the rater, and for
    # the scenario of what is judged over many replies.
    whole = np.array([n in names.without_scenario for n in (*metric.names, "")])[metric.code]
    may_be_blank = {"character": "character" not in table.columns, "scenario": whole, "rater": True}
    nameless = {
        c: (coded.code < 0) | (coded.blank() & ~np.asarray(may_be_blank.get(c, False)))
        for c, coded in ids.items()
    }
    unnamed = np.any(list(nameless.values()), axis=0)
    kind[unnamed & (kind != _KIND["empty"])] = _KIND["no_name"]
    kind[metric.code < 0] = _KIND["unknown_metric"]
    nobody = np.where(ids["rater"].blank(), -1, ids["rater"].code)
    ids["rater"] = Coded(ids["rater"].names, nobody)
    place = (np.asarray(table.row, dtype=np.int64)[at], np.asarray(table.file, dtype=np.int64)[at])
    return _Draft(ids, metric, asked, given, score, kind, nameless, *place, table.paths)


def _cells(draft: _Draft) -> Ints:
    """One number for each (system, character, scenario); meaningless for what has no name."""
    coded = [draft.ids[c] for c in _CELL]
    shape = [max(1, len(c.names)) for c in coded]
    return np.ravel_multi_index([c.code.clip(0) for c in coded], shape).astype(np.int64)


def _settle(draft: _Draft, cell: Ints) -> tuple[Ints, dict[int, list[int]]]:
    """Which ratings are kept; and for each copy and contradiction, all that it goes with.

    Ratings without a rater cannot be told apart from copies, and are all kept.
    """
    good = np.flatnonzero(draft.kind == 0)
    keys = (draft.ids["rater"].code, draft.metric.code, cell)
    place = (draft.row, draft.file, draft.score)
    order = good[np.lexsort([key[good] for key in (*place, *keys)])]
    same = draft.ids["rater"].code[order[1:]] >= 0
    for key in keys:
        same &= key[order[1:]] == key[order[:-1]]
    starts = np.flatnonzero(np.concatenate(([True], ~same))) if len(order) else order
    twins: dict[int, list[int]] = {}
    for group in np.split(order, starts[1:]) if same.any() else ():
        if len(group) > 1:
            # Sorted by score: equal ends mean that all are equal.
            agree = draft.score[group[0]] == draft.score[group[-1]]
            refused = group[1:] if agree else group
            draft.kind[refused] = _KIND["duplicate" if agree else "conflict"]
            twins |= dict.fromkeys(refused.tolist(), group.tolist())
    return good[draft.kind[good] == 0], twins


def _describe(draft: _Draft, twins: Mapping[int, list[int]], scale: Scale) -> Iterator[Fault]:
    def places(group: Sequence[int]) -> str:
        several = len(draft.paths) > 1
        return ", ".join(
            f"{draft.paths[draft.file[i]].name}:{draft.row[i]}" if several else f"{draft.row[i]}"
            for i in sorted(group, key=lambda i: (draft.file[i], draft.row[i]))
        )

    for i in np.flatnonzero(draft.kind).tolist():
        kind = KINDS[draft.kind[i] - 1]
        value = draft.given[i]
        match kind:
            case "unknown_metric":
                text = f"{draft.asked[i]!r} is no metric here"
            case "no_name":
                text = f"no usable {', '.join(c for c, bad in draft.nameless.items() if bad[i])}"
            case "empty":
                text = "no score"
            case "not_a_number":
                text = f"{str(value)[:40]!r} is not a number"
            case "off_scale":
                text = f"{value} is not on the scale {scale}"
            case "off_step":
                text = f"{value} is not a score of the scale {scale}"
            case "duplicate":
                text = f"the same rating again (rows {places(twins[i])}); one is kept"
            case _:
                scores = sorted({f"{draft.score[j]:g}" for j in twins[i]})
                text = (
                    f"one rater gave {' and '.join(scores)} (rows {places(twins[i])}); none is kept"
                )
        head = "" if kind == "unknown_metric" else f"{draft.metric.name(i)}: "
        yield Fault(draft.paths[draft.file[i]], int(draft.row[i]), kind, head + text)
