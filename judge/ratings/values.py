"""What the values of a table mean: names, scores, and columns of names as columns of codes."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from judge.names import clean, fold
from judge.ratings.record import FAULT_KINDS, Scale
from judge.text_files import from_cell

__all__ = [
    "FAULT_CODES",
    "Coded",
    "Codes",
    "Flags",
    "Values",
    "encode",
    "factorise",
    "is_blank",
    "parse_id",
    "parse_name",
    "parse_scores",
]

Codes = NDArray[np.int64]
Flags = NDArray[np.bool_]
Values = NDArray[np.object_]

FAULT_CODES: Mapping[str, int] = MappingProxyType(
    {kind: code for code, kind in enumerate(("", *FAULT_KINDS))}
)
"""The kind of a fault as a number; 0 is a rating that can be used."""


@dataclass(frozen=True, slots=True)
class Coded:
    """A column of n names: the distinct names, and for each value its index, -1 for no name."""

    names: tuple[str, ...]
    code: Codes

    def name(self, i: int) -> str:
        """The name of value `i`, which must have one."""
        return self.names[int(self.code[i])]

    def among(self, names: Collection[str]) -> Flags:
        """(n,) whether each value is one of these names."""
        return np.array([*(name in names for name in self.names), False])[self.code]

    def used(self, rows: Codes, order: Sequence[str] = ()) -> tuple[tuple[str, ...], Codes]:
        """The names that these rows have, in this order or else sorted, and the rows' codes."""
        codes = np.unique(self.code[rows[self.code[rows] >= 0]]).tolist()
        codes.sort(key=lambda c: order.index(self.names[c]) if order else self.names[c])
        new = np.full(len(self.names) + 1, -1)  # the last entry is that of the code -1
        new[codes] = np.arange(len(codes))
        return tuple(self.names[c] for c in codes), new[self.code[rows]]


def encode(
    values: Values,
    parse: Callable[[object], str | None],
    *,
    allow_blank: bool = True,
    in_order: bool = False,
) -> Coded:
    """A column of values as codes of the names that `parse` makes of them.

    Spellings of one name (see `fold`) have one code; it is called as the first of them.

    Args:
        values: (n,).
        parse: a value -> its name, "" for a blank, or None if it cannot be one.
        allow_blank: whether "" is a name.
        in_order: keep the names in the order in which they first stand there; else they are sorted.
    """
    distinct, code = factorise(values)
    parsed = [name if name or allow_blank else None for name in map(parse, distinct)]
    spellings: dict[str, dict[str, None]] = {}
    for name in parsed:
        if name is not None:
            spellings.setdefault(fold(name), {})[name] = None
    names = {key: next(iter(s)) if in_order else min(s) for key, s in spellings.items()}
    order = list(names) if in_order else sorted(names, key=names.__getitem__)
    index = {key: i for i, key in enumerate(order)}
    new = np.array([-1 if name is None else index[fold(name)] for name in parsed], dtype=np.int64)
    return Coded(tuple(names[key] for key in order), new[code])


def factorise(values: Values) -> tuple[list[object], Codes]:
    """The distinct values in their order, and for each value its index; 1, 1.0 and True differ."""
    keys = values.tolist()
    if not set(map(type, keys)) <= {str}:
        keys = [v if type(v) is str else (type(v), repr(v)) for v in keys]
    distinct = dict(zip(reversed(keys), reversed(values), strict=True))  # the first of equal values
    index = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    code = np.fromiter(map(index.__getitem__, keys), np.int64, len(keys))
    return [distinct[key] for key in index], code


def is_blank(value: object) -> bool:
    """Whether a cell holds nothing: null, NaN, or a text of white space."""
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, float) and math.isnan(value))


def parse_name(value: object) -> str | None:
    """A name as text, "" for a blank cell; None for a value that cannot be a name."""
    if is_blank(value):
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    text = from_cell(str(value).strip())
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can write and UTF-8 cannot
        return None
    return text


def parse_id(value: object) -> str | None:
    """A name that may be a number; other programs write 7 as 7.0 in a column with gaps."""
    name = parse_name(value)
    return None if name is None else re.sub(r"^([0-9]+)\.0+$", r"\1", name)


def parse_scores(values: Values, scale: Scale) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    """(n,) the scores, NaN where a value is no number; and why a value cannot be used, or 0.

    The reasons are FAULT_CODES: empty, not_a_number, off_scale, off_step. A number may be spelled
    as people and their programs do: 4分, 4/5, "4 - good", ④, ="4", [{"rating": 4}].
    """
    score = _quick_numbers(values)
    kind = np.zeros(len(values), dtype=np.int8)
    if score is None:
        distinct, code = factorise(values)
        parsed = _consistent([_spell(value) for value in distinct], scale)
        score = np.array([number for number, _ in parsed], dtype=np.float64)[code]
        kind = np.array([FAULT_CODES[why] for _, why in parsed], dtype=np.int8)[code]
    number = kind == 0
    off = number & ~((scale.low <= score) & (score <= scale.high))
    kind[off] = FAULT_CODES["off_scale"]
    if scale.step:
        steps = (score - scale.low) / scale.step
        kind[number & ~off & (abs(steps - np.round(steps)) >= 1e-9)] = FAULT_CODES["off_step"]
    return score, kind


def _quick_numbers(values: Values) -> NDArray[np.float64] | None:
    """The numbers of a column in which every text is one; None if it holds anything else."""
    if not set(map(type, values)) <= {str}:
        return None
    try:
        numbers = np.fromiter(map(float, values), np.float64, len(values))
    except ValueError:
        return None
    # Python reads 1_0 as 10.
    return numbers if np.isfinite(numbers).all() and "_" not in "".join(values) else None


# Spellings of a number

_UNITS = {"分", "点", "点数", "星", "颗星", "級", "级", "等", "point", "points", "pt", "pts"}
_UNITS |= {"star", "stars", "score"}
_NUMBER = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_OUT_OF = re.compile(
    rf"({_NUMBER})\s*分?\s*(?:/|(?:out )?of)\s*([0-9]+(?:\.[0-9]+)?)\s*分?", re.IGNORECASE
)
_WITH_TEXT = re.compile(rf"({_NUMBER})(\D+)")
_IN_BRACKETS = re.compile(rf"([^\d()]+)\(({_NUMBER})\s*分?\)")
_IN_JSON = ("rating", "choices", "number", "value", "label")
"""Keys under which annotation programs keep the one value of an answer."""


class _Spelled(NamedTuple):
    """One value: its number, what stands beside it, and the highest score that it names."""

    number: float = math.nan
    why: str = "not_a_number"
    beside: str = ""
    highest: float | None = None


def _spell(value: object) -> _Spelled:
    """A number with what stands beside it, or why it is none."""
    if is_blank(value) or value in ([], {}):
        return _Spelled(why="empty")
    if isinstance(value, dict):
        inner = [value[key] for key in _IN_JSON if key in value]
        return _spell(inner[0]) if len(inner) == 1 else _Spelled()
    if isinstance(value, list):
        return _spell(value[0]) if len(value) == 1 else _Spelled()
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        return _Spelled()
    text = clean(str(value))
    if match := re.fullmatch(r'="(.*)"', text):  # so that Excel takes it for a text
        text = match[1].strip()
    if text[:1] in {"[", "{"}:
        try:
            return _spell(json.loads(text))
        except (ValueError, RecursionError):
            return _Spelled()
    try:
        number = math.nan if "_" in text else float(text)
    except ValueError:
        return _spell_beside(text)
    return _Spelled(number, "") if math.isfinite(number) else _Spelled()


def _spell_beside(text: str) -> _Spelled:
    """A number among other characters: out of how many, with a unit, or with a word."""
    if match := _OUT_OF.fullmatch(text):
        return _Spelled(float(match[1]), "", highest=float(match[2]))
    if match := _WITH_TEXT.fullmatch(text):
        number, beside = match[1], match[2]
    elif match := _IN_BRACKETS.fullmatch(text):
        number, beside = match[2], f"{match[1]}()"
    else:
        return _Spelled()
    if not any(map(str.isalpha, beside)):
        return _Spelled()
    word = beside.strip().casefold()
    attached = word in _UNITS or not beside[0].isspace()
    return _Spelled(float(number), "", word if attached else f" {word}")


def _consistent(column: Sequence[_Spelled], scale: Scale) -> list[tuple[float, str]]:
    """The distinct values of a column as numbers with why each is none.

    The numbers are meant only if all values are spelled alike: 4/5 names the end of the scale, and
    the same for all; an unknown unit stands in every value; and each number has one word.
    """
    numbers = [value for value in column if not value.why]
    ends = {value.highest for value in numbers} - {None}
    if math.isfinite(scale.high):
        ends = {scale.high}
    units = {value.beside for value in numbers if value.beside.isalpha()} - _UNITS
    known = _UNITS | (units if all(value.beside in units for value in numbers) else set())
    known = _UNITS if len(units) > 1 else known
    words: dict[float, set[str]] = {}
    for value in numbers:
        if value.beside and not value.beside.isalpha():
            words.setdefault(value.number, set()).add(value.beside)

    def good(value: _Spelled) -> bool:
        if value.highest is not None:
            return ends == {value.highest}
        if value.beside.isalpha():
            return value.beside in known
        return not value.beside or len(words[value.number]) == 1

    unclear = (math.nan, "not_a_number")
    return [(v.number, v.why) if v.why or good(v) else unclear for v in column]
