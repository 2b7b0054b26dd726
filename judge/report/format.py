"""How numbers, nouns and titles are written, and the templates of the pages that use them.

A missing number is a dash, never a zero.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import re
from collections.abc import Iterable, Iterator
from importlib.resources import files
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from judge.limits import harmless

__all__ = [
    "Axis",
    "Footnotes",
    "Script",
    "count",
    "count_range",
    "csv_text",
    "english_title",
    "environment",
    "fixed",
    "level",
    "many",
    "p_value",
    "plural",
    "script",
    "share",
    "short_title",
    "signed",
]

_MISSING = "–"
_CJK = "\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef"
_CJK_IN_BRACKETS = re.compile(rf"\s*[(（][^()（）]*[{_CJK}][^()（）]*[)）]\s*$")


def fixed(value: float | None, decimals: int = 2) -> str:
    """`3.84` or `−0.09`, with a true minus and no negative zero, or a dash."""
    return _MISSING if value is None else f"{value:z.{decimals}f}".replace("-", "−")


def signed(value: float | None, decimals: int = 2) -> str:
    """`+0.35` or `−0.35`, `0.00` without a sign, or a dash."""
    text = fixed(value, decimals)
    return f"+{text}" if value is not None and float(text.replace("−", "-")) > 0 else text


def share(value: float | None) -> str:
    """`12.3%`; only exactly 0 and 1 are written as 0% and 100%."""
    if value is None:
        return _MISSING
    if 0 < value < 0.001:
        return "<0.1%"
    if 0.999 < value < 1:
        return ">99.9%"
    return f"{value:.1%}" if 0 < value < 1 else f"{value:.0%}"


def p_value(p: float) -> str:
    """`< 0.001` or `= 0.034`."""
    return "< 0.001" if p < 0.001 else f"= {fixed(p, 3)}"


def level(confidence: float) -> str:
    """`90%` or `97.5%`: a confidence level, with no more digits than it needs."""
    return f"{100 * confidence:g}%"


def count(value: int) -> str:
    """`13,200`."""
    return f"{value:,}"


def count_range(low: int, high: int, to: str = "–") -> str:
    """`900–1,200`, or `1,200` if both are the same."""
    return count(high) if low == high else f"{count(low)}{to}{count(high)}"


def plural(noun: str, n: int) -> str:
    """`rating` for one, else `ratings`."""
    return noun if n == 1 else f"{noun}s"


def many(n: int, noun: str) -> str:
    """`1 rating` or `1,200 ratings`."""
    return f"{count(n)} {plural(noun, n)}"


def short_title(title: str) -> str:
    """`Fluency` for `Fluency (流畅性)`: a title without what stands in brackets after it."""
    return title.partition(" (")[0]


def english_title(name: str, title: str) -> str:
    """`Fluency` for `Fluency (流畅性)`: a title without its Chinese part.

    A title that is Chinese throughout is replaced by `name`, if that is in Latin letters.
    """
    part = _CJK_IN_BRACKETS.sub("", title)
    if not re.search("[A-Za-z]", part) and re.search("[A-Za-z]", name):
        part = name.replace("_", " ")
        part = part[0].upper() + part[1:]
    return part


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """Rows as CSV; None is an empty field."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def environment(*, html: bool = True, **options: Any) -> Environment:
    """The templates of the report, in which a misspelt name is an error.

    Args:
        html: whether every value is escaped as HTML.
        options: further ones of Jinja's `Environment`.
    """
    templates = Environment(
        loader=PackageLoader("judge.report", "templates"),
        autoescape=html,  # noqa: S701 - LaTeX and Markdown are escaped by their own writers
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        **{"finalize": _shown, **options},
    )
    templates.filters |= {f.__name__: f for f in (fixed, share, level, count, many, signed)}
    return templates


def _shown(value: object) -> object:
    """A value of a page: names and texts of others cannot turn the direction of what follows."""
    return harmless(value) if isinstance(value, str) and not isinstance(value, Markup) else value


class Script(NamedTuple):
    """The script of a page, and its hash for the page's content security policy.

    The policy lets this script run and no other, should an escape ever fail.
    """

    source: Markup
    sha256: str


def script(name: str = "agreement.js") -> Script:
    """A script of the pages: by default the one that sorts and filters their tables."""
    source = (files("judge.report") / "templates" / name).read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
    return Script(Markup(source), digest)  # noqa: S704 - a file of this package


class Footnotes:
    """Why numbers of one table are missing: each reason once, numbered from 1."""

    def __init__(self) -> None:
        self._marks: dict[str, int] = {}
        self.skipped: dict[str, list[str]] = {}

    def mark(self, reason: str) -> int:
        """The number of this reason, which is a new one unless the table has it already."""
        return self._marks.setdefault(reason or "no reason was recorded", len(self._marks) + 1)

    def skip(self, reason: str, title: str) -> str:
        """Note that a row is not shown, to be said below; returns nothing to show."""
        titles = self.skipped.setdefault(reason or "no reason was recorded", [])
        titles.append(title)
        return ""

    def __iter__(self) -> Iterator[tuple[int, str]]:
        return iter([(mark, reason) for reason, mark in self._marks.items()])


class Axis(NamedTuple):
    """The ends of a small graph inside a table."""

    low: float
    high: float

    def at(self, value: float) -> str:
        """Where a value lies, in percent of the axis; in the middle if the axis has no length."""
        if self.low == self.high:
            return "50.0%"
        inside = min(max(value, self.low), self.high)
        return f"{100 * (inside - self.low) / (self.high - self.low):.1f}%"
