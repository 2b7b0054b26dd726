"""Numbers as people read them; a missing number is a dash, never a zero."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

__all__ = ["count", "environment", "fixed", "level", "share", "signed"]

_MISSING = "–"


def fixed(value: float | None, decimals: int = 2) -> str:
    """`3.84` or `−0.09`, with a true minus and no negative zero, or a dash."""
    return _MISSING if value is None else f"{value:z.{decimals}f}".replace("-", "−")


def signed(value: float | None, decimals: int = 2) -> str:
    """`+0.35` or `−0.35`, `0.00` without a sign, or a dash."""
    found = fixed(value, decimals)
    return f"+{found}" if value is not None and float(found.replace("−", "-")) > 0 else found


def share(value: float | None) -> str:
    """`12.3%`; a share that is not quite 0 or 1 never reads as one."""
    if value is None:
        return _MISSING
    if 0 < value < 0.001:
        return "<0.1%"
    if 0.999 < value < 1:
        return ">99.9%"
    return f"{value:.1%}" if 0 < value < 1 else f"{value:.0%}"


def level(confidence: float) -> str:
    """`90%` or `97.5%`: a confidence is exact, and says no more digits than it has."""
    return f"{100 * confidence:g}%"


def count(value: int) -> str:
    """`13,200`."""
    return f"{value:,}"


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
        "fixed": fixed,
        "share": share,
        "level": level,
        "count": count,
        "signed": signed,
    }
    return found
