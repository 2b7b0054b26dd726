"""The key of a set of sheets: which item is which dialogue, and whose it is.

It is all that the sheets hide. `key.json` stays with whoever collects the sheets.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from judge import tables
from judge.errors import DataError
from judge.ratings.record import Cell, Scale

__all__ = ["FORMAT", "Item", "Key", "draw_ids", "key_text", "read_key"]

FORMAT = 1
"""The newest format of key.json that this version reads."""

_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
_HINT = "give the key.json that was written beside the folder of sheets"


class Item(NamedTuple):
    """A row of a sheet: the rater it was made for and the cell that is rated."""

    rater: str
    cell: Cell


@dataclass(frozen=True, slots=True)
class Key:
    """What is needed to read filled sheets.

    Attributes:
        items: id in the sheet -> what it stands for.
        texts: headings of the columns that are not filled in, that of the ids first.
        headings: heading -> metric.
        scale: what a score may be.
        rubric: the hash of the rubric set whose anchors the raters read.
        seed: what the sheets were drawn with.
        sources: system -> SHA-256 of the file of its dialogues.
    """

    items: Mapping[str, Item]
    texts: tuple[str, ...]
    headings: Mapping[str, str]
    scale: Scale
    rubric: str
    seed: int
    sources: Mapping[str, str]


def draw_ids(count: int, rng: np.random.Generator) -> list[str]:
    """Distinct ids of seven consonants: no word, and no number to a spreadsheet program."""
    letters = np.array(list(_LETTERS))
    ids: dict[str, None] = {}
    while len(ids) < count:
        ids["".join(letters[rng.integers(len(letters), size=7)])] = None
    return list(ids)


def key_text(key: Key) -> str:
    """The key as JSON."""
    value = {
        "format": FORMAT,
        "seed": key.seed,
        "rubric": key.rubric,
        "scale": list(key.scale),
        "texts": list(key.texts),
        "headings": dict(key.headings),
        "sources": dict(key.sources),
        "items": {name: [item.rater, *item.cell] for name, item in key.items.items()},
    }
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"


def read_key(path: Path) -> Key:
    """The key of a file that `judge ratings sheet` wrote.

    Raises:
        DataError: it cannot be read, is of a newer format, or is no key.
    """
    raw = tables.parse_json(path, tables.to_text(path, tables.read_bytes(path)))
    try:
        if not isinstance(raw, dict):
            raise TypeError(f"an object was expected, found {tables.describe(raw)}")
        if raw["format"] > FORMAT:
            raise DataError(
                f"format {raw['format']} is newer than this version reads ({FORMAT})",
                path=path,
                hint="upgrade esrp-judge",
            )
        items = {name: Item(rater, Cell(*cell)) for name, (rater, *cell) in raw["items"].items()}
        return Key(
            items=items,
            texts=tuple(raw["texts"]),
            headings=dict(raw["headings"]),
            scale=Scale(*raw["scale"]),
            rubric=str(raw["rubric"]),
            seed=int(raw["seed"]),
            sources=dict(raw["sources"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise DataError(f"not a readable key: {what}", path=path, hint=_HINT) from None
