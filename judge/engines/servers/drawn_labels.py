"""Which label a drawn answer names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

__all__ = ["label_in"]

_NUMBER = re.compile(r"[-−]?\d+(?:[.,]\d+)?")
_MARKS = "*_`#\"'“”‘’「」[]()<>:：。.!！ \t\r\n"


def label_in(text: str, labels: Sequence[str], prefill: str) -> str | None:
    """The one label that `text` names; None if it names none or several.

    "4", "4.", "**4**", "４" and "评分：4分" name 4. "4/5" and "4, not 3" name two labels, and 4.5
    none. Labels that are no numbers have to stand alone.

    Args:
        text: the answer.
        labels: of the scale.
        prefill: what the answer may begin with.
    """
    plain = unicodedata.normalize("NFKC", text).strip()
    plain = plain.removeprefix(unicodedata.normalize("NFKC", prefill).strip()).strip(_MARKS)
    if plain in labels:
        return plain
    if not all(label.isdecimal() for label in labels):
        return None
    named = set(_NUMBER.findall(plain))
    (only,) = named if len(named) == 1 else (None,)
    return only if only in labels else None
