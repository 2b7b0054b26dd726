"""Published figures of systems, to show beside the judge's: mean ratings and response diversity."""

from __future__ import annotations

import csv
import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from judge.errors import DataError
from judge.limits import CONFIG_BYTES, LimitError, read_regular

__all__ = [
    "PAPER",
    "PAPER_NOTE",
    "PAPER_SOURCE",
    "PublishedDiversity",
    "PublishedMeans",
    "paper_diversity",
    "paper_means",
    "read_published",
    "read_published_diversity",
]

_EMBEDDED = Path(__file__).parents[1] / "embedded"

PAPER = "paper"
"""Users name the shipped means by this word instead of a file."""

PAPER_SOURCE = "arXiv 2508.06388, Figure 1"

PAPER_NOTE = (
    "The paper's means were read off its Figure 1 with a ruler: they are known to about .01, and "
    "to .05 where one marker hides another. The figure shows 6 of 11 systems."
)


@dataclass(frozen=True, slots=True)
class PublishedMeans:
    """Mean human ratings.

    Attributes:
        source: the name of the file, or the publication.
        means: system -> metric -> mean rating.
        sha256: of the file.
    """

    source: str
    means: Mapping[str, Mapping[str, float]]
    sha256: str = ""

    def mean(self, system: str, metrics: tuple[str, ...]) -> float | None:
        """The mean over `metrics` of one system, or None if any of them is not published."""
        row = self.means.get(system, {})
        if not metrics or any(metric not in row for metric in metrics):
            return None
        return math.fsum(row[metric] for metric in metrics) / len(metrics)


@dataclass(frozen=True, slots=True)
class PublishedDiversity:
    """Response diversity of systems, relative to the most diverse.

    Attributes:
        heights: system -> the height of its bar in the figure, relative to the tallest, in [0, 1].
        sha256: of the file.
    """

    source: str
    heights: Mapping[str, float] = field(default_factory=dict)
    sha256: str = ""


def paper_means() -> PublishedMeans:
    """The means that Figure 1 of the ChatAnime paper (arXiv 2508.06388) shows, shipped with us."""
    return replace(read_published(_EMBEDDED / "published.csv"), source=PAPER_SOURCE)


def paper_diversity() -> PublishedDiversity:
    """The bars of response diversity in the same figure, shipped with us."""
    bars = read_published_diversity(_EMBEDDED / "published_diversity.csv")
    return replace(bars, source=PAPER_SOURCE)


def read_published(path: Path | str) -> PublishedMeans:
    """Read mean ratings from a CSV file with the columns `system, metric, mean`.

    Lines that begin with # are comments. Further columns are ignored.

    Raises:
        DataError: the file cannot be read, has no such columns or rows, or has a row without a
            system, a metric or a number, or two rows of one metric of one system.
    """
    path = Path(path)
    values, sha256 = _read_csv(path, ("system", "metric"), "mean", -math.inf, math.inf)
    means: dict[str, dict[str, float]] = {}
    for (system, metric), value in values.items():
        means.setdefault(system, {})[metric] = value
    return PublishedMeans(path.name, means, sha256)


def read_published_diversity(path: Path | str) -> PublishedDiversity:
    """Read relative diversity from a CSV file with the columns `system, relative_height`.

    Lines that begin with # are comments. Further columns are ignored.

    Raises:
        DataError: as for `read_published`, or a height is not in [0, 1].
    """
    path = Path(path)
    values, sha256 = _read_csv(path, ("system",), "relative_height", 0, 1)
    return PublishedDiversity(path.name, {key[0]: value for key, value in values.items()}, sha256)


def _read_csv(
    path: Path, key_columns: tuple[str, ...], value_column: str, low: float, high: float
) -> tuple[dict[tuple[str, ...], float], str]:
    """The values of a file by their keys, each a number from `low` to `high`; and its SHA-256."""
    columns = (*key_columns, value_column)
    hint = f"the file needs a header `{','.join(columns)}` and one row for each mean"
    try:
        data = read_regular(path, CONFIG_BYTES)
        lines = data.decode("utf-8-sig").splitlines()
    except (LimitError, OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot be read: {error}", path=path, hint=hint) from error
    numbered = [
        (number, line)
        for number, line in enumerate(lines, start=1)
        if line.strip() and not line.startswith("#")
    ]
    rows = csv.reader(line for _, line in numbered)
    header = [name.strip() for name in next(rows, [])]
    missing = [name for name in columns if name not in header]
    if missing:
        raise DataError(f"has no column {', '.join(missing)}", path=path, hint=hint)
    values: dict[tuple[str, ...], float] = {}
    for (number, _), cells in zip(numbered[1:], rows, strict=True):
        row = dict(zip(header, (cell.strip() for cell in cells), strict=False))
        key = tuple(row.get(name, "") for name in key_columns)
        if "" in key:
            names = " or no ".join(key_columns)
            raise DataError(f"names no {names}", path=path, line=number, hint=hint)
        if key in values:
            raise DataError(
                f"a second {value_column} for {', '.join(key)}",
                path=path,
                line=number,
                hint=f"leave one row for each {' and '.join(key_columns)}",
            )
        text = row.get(value_column, "")
        try:
            values[key] = float(text)
        except ValueError:
            values[key] = math.nan
        if not (math.isfinite(values[key]) and low <= values[key] <= high):
            limits = f" from {low:g} to {high:g}" if math.isfinite(low) else ""
            raise DataError(
                f"the {value_column} {text!r} is not a number{limits}",
                path=path,
                line=number,
                hint="leave out a row whose number is not known",
            )
    if not values:
        raise DataError("holds no rows", path=path, hint=hint)
    return values, hashlib.sha256(data).hexdigest()
