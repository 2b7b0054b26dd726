"""Published system means, to set the judge's beside."""

from __future__ import annotations

import csv
import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from judge.errors import DataError

__all__ = [
    "PAPER",
    "PAPER_NOTE",
    "PAPER_SOURCE",
    "PublishedMeans",
    "paper_means",
    "read_published",
]

PAPER = "paper"
"""What the shipped means are called where a file could be named."""

PAPER_SOURCE = "arXiv 2508.06388, Figure 1"

PAPER_NOTE = (
    "The paper's means were read off its Figure 1 with a ruler: they are known to about .01, and "
    "to .05 where one marker hides another. The figure shows 6 of 11 systems."
)

_HINT = "the file needs a header `system,metric,mean` and one row per system and metric"


@dataclass(frozen=True, slots=True)
class PublishedMeans:
    """Mean human ratings by system and metric, the file they were read from, and its SHA-256."""

    source: str
    means: Mapping[str, Mapping[str, float]]
    sha256: str = ""

    def mean(self, system: str, metrics: tuple[str, ...]) -> float | None:
        """The mean over `metrics` of one system, or None if any of them is not published."""
        row = self.means.get(system, {})
        if not metrics or any(metric not in row for metric in metrics):
            return None
        return math.fsum(row[metric] for metric in metrics) / len(metrics)


def paper_means() -> PublishedMeans:
    """The means that Figure 1 of the ChatAnime paper (arXiv 2508.06388) shows, shipped."""
    found = read_published(Path(__file__).parents[1] / "embedded" / "published.csv")
    return replace(found, source=PAPER_SOURCE)


def read_published(path: Path | str) -> PublishedMeans:
    """Read a CSV with the columns `system, metric, mean`; lines that begin with # are comments.

    Further columns are allowed and left alone.

    Raises:
        DataError: the file, or a row of it, is not that; the message names the line.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
        lines = data.decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot be read: {error}", path=path, hint=_HINT) from error
    rows = [
        (number, line)
        for number, line in enumerate(lines, start=1)
        if line.strip() and not line.startswith("#")
    ]
    table = csv.reader(line for _, line in rows)
    header = [name.strip() for name in next(table, [])]
    missing = [name for name in ("system", "metric", "mean") if name not in header]
    if missing:
        raise DataError(f"has no column {', '.join(missing)}", path=path, hint=_HINT)
    means: dict[str, dict[str, float]] = {}
    for (number, _), cells in zip(rows[1:], table, strict=True):
        row = dict(zip(header, (cell.strip() for cell in cells), strict=False))
        system, metric = row.get("system"), row.get("metric")
        if not system or not metric:
            raise DataError("names no system or no metric", path=path, line=number, hint=_HINT)
        if metric in means.setdefault(system, {}):
            raise DataError(
                f"a second mean for {system}, {metric}",
                path=path,
                line=number,
                hint="leave one row per system and metric",
            )
        means[system][metric] = _number(row.get("mean", ""), path, number)
    if not means:
        raise DataError("holds no rows", path=path, hint=_HINT)
    return PublishedMeans(path.name, means, hashlib.sha256(data).hexdigest())


def _number(text: str, path: Path, line: int) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(
            f"the mean {text!r} is not a number",
            path=path,
            line=line,
            hint="leave out a row whose mean is not known",
        )
    return value
