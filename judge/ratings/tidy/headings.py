"""What the headings of a tidy table mean."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from judge.errors import DataError
from judge.ratings import names
from judge.ratings.names import plain

__all__ = ["COLUMNS", "Headings", "find_headings"]

COLUMNS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "item": (*names.COLUMNS["item"], *names.COLUMNS["scenario"], "doc_id", "story_id", "编号"),
        "system": names.COLUMNS["system"],
        "dimension": ("metric", "measure", "criteria", "aspect", *names.COLUMNS["metric"]),
        "rater": (*names.COLUMNS["rater"], "evaluator", "worker", "worker_id"),
        "rater_type": ("rater_kind", "annotator_type", "评分员类型", "标注员类型"),
        "score": names.COLUMNS["score"],
    }
)
"""Column -> what else it may be called, before the user's own aliases."""

_HINT = (
    "item, system, dimension, rater, rater_type, score; or item, dimension, p1, p2, ... for a "
    "judge's probabilities; other headings with --alias HEADING=COLUMN"
)
_PROBABILITY = re.compile(r"p(?:rob)?_?([0-9]+)")


class Headings(NamedTuple):
    """Which heading means what.

    `columns` maps a column to its heading, `labels` a label of the scale to the heading of its
    probability; `unread` are the headings that mean nothing here.
    """

    columns: Mapping[str, str]
    labels: Mapping[int, str]
    unread: tuple[str, ...]


def find_headings(path: Path, header: Sequence[str], aliases: Mapping[str, str]) -> Headings:
    """What the headings of a file mean.

    Args:
        path: the file, for messages.
        header: its headings.
        aliases: HEADING -> column; nothing else means a column that one of these stands for.

    Raises:
        DataError: a column is missing, or two headings mean the same.
    """
    own = {plain(alias): column for alias, column in aliases.items()}
    claimed = {own[plain(heading)] for heading in header if plain(heading) in own}
    known = {
        plain(name): column
        for column, more in COLUMNS.items()
        if column not in claimed
        for name in (column, *more)
    }
    found: dict[str, list[str]] = {}
    labels: dict[int, list[str]] = {}
    for heading in header:
        name = plain(heading)
        if (column := own.get(name, known.get(name))) is not None:
            found.setdefault(column, []).append(heading)
        elif match := _PROBABILITY.fullmatch(name):
            labels.setdefault(int(match[1]), []).append(heading)
    for column, headings in found.items():
        if len(headings) > 1:
            raise DataError(
                f"the columns {' and '.join(headings)} all mean {column}",
                path=path,
                hint=f"say which of them does, e.g. --alias {headings[0]}={column}",
            )
    missing = [column for column in ("item", "dimension") if column not in found]
    missing += [] if labels or "score" in found else ["score"]
    if missing:
        raise DataError(
            f"no column {', '.join(missing)} (found: {', '.join(header)})", path=path, hint=_HINT
        )
    low, high = min(labels, default=1), max(labels, default=0)
    if labels and (len(labels) < 2 or set(labels) != set(range(low, high + 1))):
        raise DataError(
            f"probabilities of the labels {', '.join(map(str, sorted(labels)))}: some are missing",
            path=path,
            hint="one column for each label of the scale: p1, p2, p3, p4, p5",
        )
    if twice := [" and ".join(headings) for headings in labels.values() if len(headings) > 1]:
        raise DataError(
            f"the columns {twice[0]} all mean one probability", path=path, hint="keep one of them"
        )
    columns = {column: headings[0] for column, headings in found.items()}
    probabilities = {label: labels[label][0] for label in range(low, high + 1)}
    read = {*columns.values(), *probabilities.values()}
    return Headings(columns, probabilities, tuple(h for h in header if h not in read))
