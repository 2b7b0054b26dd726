"""How a page is drawn from its template: every text from the data escaped, no name misspelt."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

from judge.report import format as numbers

__all__ = ["environment"]


def environment() -> Environment:
    """The templates of this package, with the ways to write numbers as filters."""
    found = Environment(
        loader=PackageLoader("judge.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    found.filters |= {
        "fixed": numbers.fixed,
        "share": numbers.share,
        "level": numbers.level,
        "count": numbers.count,
        "signed": numbers.signed,
    }
    return found
