"""Published response diversity: the heights of bars, relative to the tallest."""

from __future__ import annotations

import csv
import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from judge.errors import DataError

__all__ = ["Bars", "read_bars"]

_HINT = "the file needs a header `system,relative_height` and one row per system, from 0 to 1"


@dataclass(frozen=True, slots=True)
class Bars:
    """Relative response diversity by system, the file it was read from, and its SHA-256."""

    source: str
    heights: Mapping[str, float] = field(default_factory=dict)
    sha256: str = ""


def read_bars(path: Path | str) -> Bars:
    """Read a CSV with the columns `system, relative_height`; lines that begin with # are comments.

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
        (number, [cell.strip() for cell in next(csv.reader([line]))])
        for number, line in enumerate(lines, start=1)
        if line.strip() and not line.startswith("#")
    ]
    if not rows or rows[0][1] != ["system", "relative_height"]:
        raise DataError("has not the columns of bars", path=path, hint=_HINT)
    heights: dict[str, float] = {}
    for number, cells in rows[1:]:
        if len(cells) != 2 or not cells[0] or cells[0] in heights:
            what = "is not one new system and its height"
            raise DataError(what, path=path, line=number, hint=_HINT)
        heights[cells[0]] = _height(cells[1], path, number)
    if not heights:
        raise DataError("holds no bars", path=path, hint=_HINT)
    return Bars(path.name, heights, hashlib.sha256(data).hexdigest())


def _height(text: str, path: Path, line: int) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise DataError(f"the height {text!r} is not in 0 to 1", path=path, line=line, hint=_HINT)
    return value
