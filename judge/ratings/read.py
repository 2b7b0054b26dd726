"""One ratings file, in any of the shapes that ratings come in.

- long: one row per rating, `system, character, scenario, metric, rater, score`;
- wide: one row per rater and dialogue, with a column for each metric;
- of items: `item` in place of character and scenario, as public sets of other tasks have it.

`rater` may be missing. Without `system` the file's name is the system. A column `rater_type`
sets aside the rows that no person gave.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from judge import tables
from judge.errors import DataError
from judge.ratings import files
from judge.ratings.assemble import Table, assemble
from judge.ratings.names import COLUMNS, Names
from judge.ratings.record import Ratings, Scale
from judge.types import Metric

__all__ = ["Layout", "find_columns", "read_ratings"]

_LARGEST = 256 << 20
"""Bytes of a file; its rows take twelve times as much memory. Of a large study: some 3 million."""

_HINT = (
    "long: system, character, scenario, metric, rater, score; wide: one column per metric in "
    "place of metric and score; other headings with --alias HEADING=NAME"
)


class Layout(NamedTuple):
    """Which heading means what.

    `columns` maps a column to its heading, `metrics` a heading to its metric (none in a long
    table), `unread` are the headings that mean nothing here.
    """

    columns: Mapping[str, str]
    metrics: Mapping[str, str]
    unread: tuple[str, ...]


def read_ratings(
    path: Path,
    *,
    metrics: Iterable[Metric] | None = None,
    aliases: Mapping[str, str] = MappingProxyType({}),
    scale: Scale | None = None,
) -> Ratings:
    """Every rating of a file, and every fault of it.

    Args:
        path: `.csv`, `.tsv`, `.jsonl`, `.parquet` or `.xlsx`, or any of these with `.gz`.
        metrics: what can be rated; None takes every metric as it is named.
        aliases: NAME -> a metric, or a column such as `rater`.
        scale: what a score may be; None is 1-5 in whole numbers, and `ensure_usable` then
            refuses a file that looks as if it were on another scale.

    Raises:
        DataError: the file cannot be read, is over 256 MiB, holds no rows, or lacks a column.
        UsageError: an alias for something that is neither a metric nor a column.
        MissingExtraError: a Parquet file, and pyarrow is not installed.
    """
    data = tables.read_bytes(path, largest=_LARGEST)
    names = Names(metrics, aliases)
    numbered = [line for line in files.read_rows(path, data) if not _blank(line[1])]
    if not numbered:
        raise DataError("it holds no ratings", path=path, hint=_HINT)
    rows = [row for _, row in numbered]
    layout = find_columns(path, tuple(dict.fromkeys(name for row in rows for name in row)), names)
    return assemble(
        Table(
            rows=rows,
            row=[number for number, _ in numbered],
            file=[0] * len(rows),
            paths=(path,),
            columns=layout.columns,
            metrics=layout.metrics,
            fixed={"system": files.stem(path)},
        ),
        names,
        scale,
        unread=layout.unread,
        sources={str(path): hashlib.sha256(data).hexdigest()},
    )


def find_columns(path: Path, header: tuple[str, ...], names: Names) -> Layout:
    """What the headings of a file mean.

    Raises:
        DataError: a column is missing, or two headings mean the same.
    """
    found: dict[str, list[str]] = {}
    for heading in header:
        meaning = names.column(heading) or names.metric(heading)
        if meaning is not None:
            found.setdefault(meaning, []).append(heading)
    heading_of = {meaning: _one(path, meaning, headings) for meaning, headings in found.items()}
    columns = {name: heading_of[name] for name in COLUMNS if name in heading_of}
    metrics = {h: name for name, h in heading_of.items() if name not in COLUMNS}
    if {"metric", "score"} <= columns.keys():
        metrics = {}
    else:
        columns = {k: v for k, v in columns.items() if k not in {"metric", "score"}}
    missing = [] if metrics or "metric" in columns else ["metric", "score"]
    item = columns.pop("item", None)
    if item is not None and "scenario" not in columns:
        columns["scenario"] = item
    else:
        missing += [name for name in ("character", "scenario") if name not in columns]
    if missing:
        raise DataError(
            f"no column {', '.join(missing)} (found: {', '.join(header)})", path=path, hint=_HINT
        )
    read = {*columns.values(), *metrics}
    return Layout(columns, metrics, tuple(heading for heading in header if heading not in read))


def _one(path: Path, meaning: str, headings: list[str]) -> str:
    """The heading that is the name itself, else the only one."""
    if len(headings) > 1 and meaning not in headings:
        raise DataError(
            f"the columns {' and '.join(headings)} all mean {meaning}",
            path=path,
            hint="keep one of them",
        )
    return meaning if meaning in headings else headings[0]


def _blank(row: Mapping[str, object]) -> bool:
    return all(v is None or (isinstance(v, str) and not v.strip()) for v in row.values())
