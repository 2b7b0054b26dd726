"""Filled sheets back into ratings, with the key."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from judge import tables
from judge.errors import DataError, UsageError
from judge.ratings import files
from judge.ratings.assemble import Table, assemble
from judge.ratings.key import Key
from judge.ratings.names import Names, plain
from judge.ratings.record import Cell, Fault, Ratings
from judge.types import Metric

__all__ = ["Collected", "collect", "write_table"]


class Collected(NamedTuple):
    """The ratings of all sheets; `absent` maps a rater to the items that no sheet holds."""

    ratings: Ratings
    absent: Mapping[str, tuple[str, ...]]


def collect(sheets: Sequence[Path], key: Key) -> Collected:
    """Read filled sheets; a cell that is empty or holds no score is a fault with file and row.

    Raises:
        DataError: a sheet cannot be read, or lacks a column that it was given.
        UsageError: a sheet is named twice.
    """
    if len({path.resolve() for path in sheets}) < len(sheets):
        raise UsageError("a sheet is named twice", hint="name each file once")
    rows: list[Mapping[str, object]] = []
    places: list[tuple[int, int]] = []
    faults: list[Fault] = []
    unread: dict[str, None] = {}
    sources: dict[str, str] = {}
    seen: set[str] = set()
    for number, path in enumerate(sheets):
        data = tables.read_bytes(path)
        sources[str(path)] = hashlib.sha256(data).hexdigest()
        lines = list(files.read_rows(path, data))
        ids, headings, others = _headings(path, lines, key)
        unread |= dict.fromkeys(others)
        for row, line in lines:
            name = str(line.get(ids) or "").strip().upper()
            item = key.items.get(name)
            if item is None:
                faults.append(Fault(path, row, "unknown_item", f"{name!r} is not in the key"))
                continue
            seen.add(name)
            scores = {metric: line.get(heading) for heading, metric in headings.items()}
            rows.append({**item.cell._asdict(), "rater": item.rater, **scores})
            places.append((row, number))
    absent: dict[str, list[str]] = {}
    for name, item in key.items.items():
        if name not in seen:
            absent.setdefault(item.rater, []).append(name)
    metrics = tuple(key.headings.values())
    names = Names([Metric(metric, "", {}) for metric in metrics], {})
    table = Table(
        rows=rows,
        row=[row for row, _ in places],
        file=[number for _, number in places],
        paths=tuple(sheets),
        columns={name: name for name in (*Cell._fields, "rater")},
        metrics={metric: metric for metric in metrics},
    )
    ratings = assemble(
        table, names, key.scale, unread=tuple(unread), sources=sources, faults=faults
    )
    return Collected(ratings, {rater: tuple(ids) for rater, ids in absent.items()})


def write_table(path: Path, ratings: Ratings) -> None:
    """Write a long table, `system, character, scenario, metric, rater, score`, whole or not at all.

    Raises:
        UsageError: it cannot be written.
    """
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow((*Cell._fields, "metric", "rater", "score"))
    columns = (ratings.cell, ratings.metric, ratings.rater, ratings.score)
    for cell, metric, rater, score in zip(*(c.tolist() for c in columns), strict=True):
        name = ratings.raters[rater] if rater >= 0 else ""
        writer.writerow((*ratings.cells[cell], ratings.metrics[metric], name, f"{score:.12g}"))
    partial = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(out.getvalue(), encoding="utf-8", newline="")
        partial.replace(path)
    except OSError as error:
        raise UsageError(
            f"--out {path}: it cannot be written: {error.strerror}", hint="choose another file"
        ) from None


def _headings(
    path: Path, lines: Sequence[tables.Row], key: Key
) -> tuple[str, dict[str, str], list[str]]:
    """The heading of the ids, heading -> metric, and the headings that the sheet did not have."""
    if not lines:
        raise DataError("the sheet has no rows", path=path, hint="is it one of the filled sheets?")
    there = {plain(name): name for name in lines[0][1]}
    missing = [h for h in (key.texts[0], *key.headings) if plain(h) not in there]
    if missing:
        raise DataError(
            f"no column {', '.join(missing)} (found: {', '.join(there.values())})",
            path=path,
            hint="is the key that of this sheet? Headings must stay as they were",
        )
    headings = {there[plain(heading)]: metric for heading, metric in key.headings.items()}
    known = {*map(plain, key.texts), *map(plain, key.headings)}
    others = [name for name in there.values() if plain(name) not in known]
    return there[plain(key.texts[0])], headings, others
