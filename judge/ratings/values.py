"""What a single value of a table means, and columns of names as columns of codes."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from judge.ratings.record import Scale

__all__ = ["Coded", "Flags", "Ints", "encode", "factorise", "parse_id", "parse_name", "parse_score"]

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Coded:
    """Names without repeats, and for each value its code: -1 for what is no name."""

    names: tuple[str, ...]
    code: Ints

    def name(self, i: int) -> str:
        """The name of value `i`, which must have one."""
        return self.names[int(self.code[i])]

    def take(self, at: Ints) -> Coded:
        """The values `at`, with the same names."""
        return Coded(self.names, self.code[at])

    def blank(self) -> Flags:
        """Which values are blank."""
        return np.equal(self.code, self.names.index("") if "" in self.names else -2)

    def used(self, at: Ints, order: Sequence[str] = ()) -> tuple[tuple[str, ...], Ints]:
        """The names that the values `at` have, in this order or else sorted, and their codes."""
        codes = np.unique(self.code[at[self.code[at] >= 0]]).tolist()
        codes.sort(key=lambda c: order.index(self.names[c]) if order else self.names[c])
        new = np.full(len(self.names) + 1, -1)  # the last entry is that of the code -1
        new[codes] = np.arange(len(codes))
        return tuple(self.names[c] for c in codes), new[self.code[at]]


def encode(values: Sequence[object], parse: Callable[[object], str | None]) -> Coded:
    """A column as codes of what `parse` makes of its values, with sorted names."""
    distinct, code = factorise(values)
    parsed = [parse(value) for value in distinct]
    index = {name: i for i, name in enumerate(sorted({p for p in parsed if p is not None}))}
    return Coded(
        tuple(index), np.array([-1 if p is None else index[p] for p in parsed], np.int64)[code]
    )


def factorise(values: Sequence[object]) -> tuple[list[object], Ints]:
    """The distinct values, and which of them each value is. 1, 1.0 and True are distinct."""
    index: dict[object, int] = {}
    distinct: list[object] = []
    codes: list[int] = []
    for value in values:
        key = value if type(value) is str else (type(value), repr(value))
        code = index.setdefault(key, len(distinct))
        if code == len(distinct):
            distinct.append(value)
        codes.append(code)
    return distinct, np.array(codes, dtype=np.int64)


def parse_name(value: object) -> str | None:
    """A name as text, a blank for none; None for what is no name."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    text = str(value).strip()
    try:
        text.encode()
    except UnicodeEncodeError:  # half a character, which JSON can say and no file can
        return None
    return text


def parse_id(value: object) -> str | None:
    """A name that may be a number; tables turn 7 into 7.0 where a column has gaps."""
    name = parse_name(value)
    return None if name is None else re.sub(r"^([0-9]+)\.0+$", r"\1", name)


def parse_score(value: object, scale: Scale) -> tuple[float, str]:
    """A score, or NaN; and why it cannot be used, or a blank."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return math.nan, "empty"
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        return math.nan, "not_a_number"
    try:
        number = math.nan if "_" in str(value) else float(value)
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        blank = isinstance(value, float) and math.isnan(value)
        return math.nan, "empty" if blank else "not_a_number"
    if not scale.low <= number <= scale.high:
        return number, "off_scale"
    steps = (number - scale.low) / scale.step if scale.step else 0.0
    return number, "" if abs(steps - round(steps)) < 1e-9 else "off_step"
