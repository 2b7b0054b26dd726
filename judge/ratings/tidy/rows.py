"""The rows of a tidy table, a block at a time, as columns.

A block is turned into arrays and forgotten, so that a file of five million rows takes no more
memory than its bytes and these arrays.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from judge.ratings.names import plain
from judge.ratings.record import IntArray, Scale
from judge.ratings.tidy.coding import Filter
from judge.ratings.tidy.headings import Headings, find_headings
from judge.ratings.values import parse_score
from judge.tables import Row

__all__ = ["FAULTS", "Block", "Point", "read_blocks"]

FAULTS: Mapping[str, int] = MappingProxyType(
    {
        kind: number
        for number, kind in enumerate(
            (
                "",
                "no_name",
                "empty",
                "not_a_number",
                "no_distribution",
                "duplicate",
                "conflict",
            )
        )
    }
)
"""Why a row is refused, and its code. `duplicate`: a copy of one that is kept. `conflict`: one
rater gave one thing two scores, and neither is kept."""

Point = Literal["expected", "argmax"]
"""The score of probabilities: their mean, or the most probable label (the lowest of equals)."""

_BLOCK = 1 << 10  # four times faster than 1 << 16: more rows at once leave the cache
_SLACK = 0.01
"""How far probabilities may sum past 1: they come rounded."""
_ANY = Scale(-math.inf, math.inf, 0)

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Faults = NDArray[np.int8]


class Block(NamedTuple):
    """n rows of one file.

    Attributes:
        headings: what its columns are.
        row: (n,) where they stand in the file.
        values: column -> its n values, for the columns of names that there are.
        score: (n,) nan where there is none; `fault`, of FAULTS, says why, `text` what stood there.
        probs: (n, K) label probabilities, nan in rows without; None if no heading is of one.
        judged: (n,) whether it is a row of probabilities.
        unused: how many of these have a score, too; it is not read.
    """

    headings: Headings
    row: IntArray
    values: Mapping[str, Sequence[object]]
    score: Floats
    fault: Faults
    text: Mapping[int, str]
    probs: Floats | None
    judged: Flags
    unused: int


def read_blocks(
    path: Path,
    rows: Iterator[Row],
    aliases: Mapping[str, str],
    filters: Sequence[Filter],
    point: Point,
) -> Iterator[Block]:
    """The rows that the filters let through.

    In JSONL rows may differ: the headings of a block are all that any of its rows has.

    Raises:
        DataError: as `find_headings`, or the rows cannot be read.
    """
    while chunk := list(itertools.islice(rows, _BLOCK)):
        header = tuple(dict.fromkeys(itertools.chain.from_iterable(row for _, row in chunk)))
        headings = find_headings(path, header, aliases)
        keep = np.fromiter((any(row.values()) for _, row in chunk), np.bool_, len(chunk))
        for rule in filters:
            heading = headings.columns.get(rule.column)
            named = [h for h in header if plain(h) == plain(rule.column)]
            if heading := heading or next(iter(named), None):
                keep &= rule.keep([row.get(heading) for _, row in chunk])
                unread = tuple(h for h in headings.unread if h != heading)
                headings = headings._replace(unread=unread)
        if not keep.all():
            chunk = list(itertools.compress(chunk, keep.tolist()))
        yield _block(chunk, headings, point)


def _block(chunk: Sequence[Row], headings: Headings, point: Point) -> Block:
    def column(heading: str | None) -> list[object]:
        return [row.get(heading) for _, row in chunk] if heading else [None] * len(chunk)

    score, fault, text = _numbers(column(headings.columns.get("score")))
    judged, probs, unused = np.zeros(len(chunk), dtype=np.bool_), None, 0
    if headings.labels:
        read = [_numbers(column(heading)) for heading in headings.labels.values()]
        probs = np.stack([numbers for numbers, _, _ in read], axis=1)
        judged = np.any([why != FAULTS["empty"] for _, why, _ in read], axis=0)
        unused = int((fault[judged] != FAULTS["empty"]).sum())
        score[judged], fault[judged] = np.nan, 0
        text = {i: found for i, found in text.items() if not judged[i]}
        for _, why, texts in reversed(read):  # of several faults the first is told
            bad = judged & (why > 0)
            fault[bad] = why[bad]
            text |= {i: found for i, found in texts.items() if judged[i]}
        total = probs.sum(axis=1)
        wrong = (probs < 0).any(axis=1) | (total > 1 + _SLACK) | (total <= 0)
        fault[judged & (fault == 0) & wrong] = FAULTS["no_distribution"]
        fit = judged & (fault == 0)
        probs[~fit] = np.nan
        labels = np.array(list(headings.labels), dtype=np.float64)
        if point == "expected":
            score[fit] = probs[fit] @ labels / total[fit]
        else:
            score[fit] = labels[probs[fit].argmax(axis=1)]
    names_of = {c: column(h) for c, h in headings.columns.items() if c != "score"}
    row = np.fromiter((number for number, _ in chunk), np.int32, len(chunk))
    return Block(headings, row, names_of, score, fault, text, probs, judged, unused)


def _numbers(values: Sequence[object]) -> tuple[Floats, Faults, dict[int, str]]:
    """(n,) the numbers, nan for others; why it is none, or 0; and the texts that are none."""
    if set(map(type, values)) <= {str} and "_" not in "".join(map(str, values)):
        try:
            quick = np.array(list(map(float, values)), dtype=np.float64)  # type: ignore[arg-type]
        except ValueError:
            pass
        else:
            if np.isfinite(quick).all():
                return quick, np.zeros(len(values), dtype=np.int8), {}
    read = [parse_score(value, _ANY) for value in values]
    fault = np.array([FAULTS[why] for _, why in read], dtype=np.int8)
    text = {
        i: str(values[i])[:40] for i in np.flatnonzero(fault == FAULTS["not_a_number"]).tolist()
    }
    return np.array([number for number, _ in read], dtype=np.float64), fault, text
