"""Names as codes and filters by name, a block of values at a time."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from judge.errors import UsageError
from judge.ratings.record import IntArray
from judge.ratings.values import parse_id

__all__ = ["Coder", "Filter"]


class Coder:
    """Numbers the distinct names of a column in the order in which they first stand there."""

    def __init__(self, parse: Callable[[object], str | None]) -> None:
        self._parse = parse
        self._raw: dict[object, int] = {}

    def codes(self, values: Sequence[object]) -> IntArray:
        """(n,) a number for each value; `finish` says which name it is."""
        keys = values if set(map(type, values)) <= {str} else [self._parse(v) for v in values]
        for key in dict.fromkeys(keys):
            self._raw.setdefault(key, len(self._raw))
        return np.fromiter(map(self._raw.__getitem__, keys), np.int32, len(keys))

    def finish(self) -> tuple[tuple[str, ...], IntArray]:
        """The names; and for each number that was given its name's index, -1 for no name."""
        parsed = [None if key is None else self._parse(key) for key in self._raw]
        index: dict[str, int] = {}
        for name in parsed:
            if name:
                index.setdefault(name, len(index))
        return tuple(index), np.array([index.get(name or "", -1) for name in parsed], np.int32)


@dataclass(slots=True)
class Filter:
    """Which rows are wanted, by the values of one column: any of `only`, none of `never`."""

    column: str
    only: set[str] = field(default_factory=set)
    never: set[str] = field(default_factory=set)
    seen: dict[str, None] = field(default_factory=dict)
    found: bool = False
    _verdicts: dict[object, bool] = field(default_factory=dict)

    def keep(self, values: Sequence[object]) -> NDArray[np.bool_]:
        """(n,) whether each row may stay."""
        self.found = True
        keys = values if set(map(type, values)) <= {str} else [parse_id(v) for v in values]
        for key in dict.fromkeys(keys):
            if key not in self._verdicts:
                name = parse_id(key) or ""
                self.seen.setdefault(name)
                self._verdicts[key] = name not in self.never and (
                    not self.only or name in self.only
                )
        return np.fromiter(map(self._verdicts.__getitem__, keys), np.bool_, len(keys))

    @property
    def texts(self) -> list[str]:
        """As the user wrote it: `split=real`, `system!=Human`."""
        return [
            f"{self.column}{sign}{value}"
            for sign, values in (("=", self.only), ("!=", self.never))
            for value in sorted(values)
        ]

    def ensure_known(self) -> None:
        """Raises UsageError if no file has the column, or the column never has the value."""
        if not self.found:
            raise UsageError(
                f"--where {self.column}: no table has a column {self.column}",
                hint="a heading of the table, or item, system, dimension, rater, rater_type",
            )
        for name in sorted((self.only | self.never) - self.seen.keys()):
            listed = ", ".join(itertools.islice(self.seen, 10))
            more = ", ..." if len(self.seen) > 10 else ""
            raise UsageError(
                f"--where: no row has {name!r} in the column {self.column}",
                hint=f"it has {listed}{more}",
            )
