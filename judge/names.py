"""Names without the differences that mean nothing, for comparing what people have written."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["clean", "fold", "plain"]

_UNSEEN = re.compile("[\u200b-\u200f\u2060\ufeff\u00ad]")


def clean(text: str) -> str:
    """A text without what cannot be seen: width of characters, zero-width ones, blanks around."""
    return _UNSEEN.sub("", unicodedata.normalize("NFKC", text)).strip()


def fold(name: str) -> str:
    """A name without the differences that mean nothing: as `clean`, and case and blanks.

    A blank beside a Chinese character says nothing; between words and numbers one is one.
    """
    return re.sub(
        r"(?<=[^\x00-\x7f])\s+|\s+(?=[^\x00-\x7f])", "", " ".join(clean(name).split())
    ).casefold()


def plain(name: str) -> str:
    """A name without the differences that mean nothing: case, width, blanks and hyphens."""
    return re.sub(r"[\s_-]+", "_", clean(name).casefold())
