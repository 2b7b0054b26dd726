"""What goes wrong with a request: what passes, what is refused, and what is given up.

What an answer means is decided by its status first, then by its structure, and by words only within
a refusal.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple, NoReturn

from judge.engines.checkpoint import first_line
from judge.errors import EngineError

__all__ = [
    "KEYS",
    "GaveUpError",
    "PassingError",
    "RefusedError",
    "Said",
    "is_passing",
    "pause_of_headers",
    "reason_of",
    "refuse",
    "refuse_malformed",
    "retry_after",
]

KEYS = ("JUDGE_API_KEY", "OPENAI_API_KEY")
"""Environment variables that may hold the key; the first one that is set counts."""

_PASSING_STATUS = {408, 409, 425, 429}
_BUSY_STATUS = {429, 503}
_TOO_LONG_STATUS = {400, 413, 422}
_TOO_LONG = re.compile(
    r"context.{0,12}(length|size|window)|too long|longer than|input length", re.IGNORECASE
)
_TOO_LONG_CODE = re.compile(r"context_length|context_size|too_long|string_above_max")
_FILTER_CODE = re.compile(
    r"content_?filter|content_?policy|content_?moderation|moderation|inspection|responsible_?ai"
    r"|sensitive|safety"
)
_NO_MONEY = re.compile(r"insufficient_quota|billing|balance")
"""A 429 that no waiting mends: there is no money left."""
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:([\d.]+)s)?(?:([\d.]+)ms)?")


class RefusedError(EngineError):
    """The server refuses one request, and repeating it does not help.

    Attributes:
        status: of HTTP, or the one that stands in the body.
        code: `too_long`, `filtered` or `refused`.
        names: what the server says is at fault, such as `max_tokens`; "" if it does not.
        sent: when the request was sent (monotonic clock).
    """

    def __init__(
        self, message: str, hint: str, *, status: int, code: str, said: str, names: str, sent: float
    ) -> None:
        super().__init__(message, hint=hint)
        self.status, self.code, self.said, self.names, self.sent = status, code, said, names, sent

    def mentions(self, pattern: str) -> bool:
        """Whether the server says that something of this name is at fault."""
        return re.search(pattern, f"{self.names} {self.said}", re.IGNORECASE) is not None


class GaveUpError(EngineError):
    """A request has failed in a passing way for as long as it may.

    Attributes:
        code: `unreadable` for answers that cannot be read, else `no_answer`.
        said: why, in the server's own words where it has any.
        sent: when it was sent last (monotonic clock).
    """

    def __init__(self, message: str, hint: str, *, code: str, said: str, sent: float) -> None:
        super().__init__(message, hint=hint)
        self.code, self.said, self.sent = code, said, sent


class PassingError(Exception):
    """A fault that may be gone at the next attempt.

    Attributes:
        code: as of `GaveUpError`.
        after: seconds to wait, if the server says.
        busy: the server is asked too often.
    """

    def __init__(
        self, said: str, code: str = "no_answer", after: float | None = None, *, busy: bool = False
    ) -> None:
        super().__init__(said)
        self.said, self.code, self.after, self.busy = said, code, after, busy


class Said(NamedTuple):
    """A server's words about an error, its name for the kind of it, and what is at fault."""

    text: str
    code: str = ""
    names: str = ""
    status: int | None = None


def refuse(
    address: str, path: str, said: Said, status: int, headers: Mapping[str, str], sent: float
) -> NoReturn:
    """Raise what a status other than success means."""
    text = f"HTTP {status}{said.text and ': '}{said.text}"
    if is_passing(status) and not _NO_MONEY.search(said.code):
        after = retry_after(headers)
        busy = status == 429 or (status in _BUSY_STATUS and after is not None)
        raise PassingError(text, "no_answer", after, busy=busy)
    code = "refused"
    if _FILTER_CODE.search(said.code):
        code = "filtered"
    elif status in _TOO_LONG_STATUS and (
        status == 413 or _TOO_LONG_CODE.search(said.code) or _TOO_LONG.search(said.text)
    ):
        code = "too_long"
    message = f"{address}{path}: {text}"
    hint = "correct --base-url, --judge or --server"
    if status in {401, 403}:  # the server's message may quote part of the key
        message = f"the server at {address} refuses access (HTTP {status})"
        hint = f"put its key into the environment variable {KEYS[0]}"
    raise RefusedError(
        message, hint, status=status, code=code, said=text, names=said.names, sent=sent
    )


def is_passing(status: int) -> bool:
    """Whether a request with this status may succeed at the next attempt."""
    return status in _PASSING_STATUS or (status >= 500 and status != 501)


@contextmanager
def refuse_malformed() -> Iterator[None]:
    """Around code that takes answers apart: turns what an unexpected shape raises into our error.

    Raises:
        EngineError: an answer lacks something that it should have.
    """
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError, ArithmeticError) as error:
        raise EngineError(
            f"an answer of the server is not what was expected: {reason_of(error)}",
            hint="say which kind of server it is, with --server",
        ) from error


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the header Retry-After asks for, as a number or a date (RFC 9110, 10.2.3)."""
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d+)?", value):
        return float(value)
    try:
        until = email.utils.parsedate_to_datetime(value)
        return (until.astimezone(dt.UTC) - dt.datetime.now(dt.UTC)).total_seconds()
    except (ValueError, OverflowError):
        return None


def pause_of_headers(headers: Mapping[str, str]) -> float | None:
    """Seconds until more requests are welcome, where an answer says that it was the last one."""
    for left, reset in (
        ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
        ("ratelimit-remaining", "ratelimit-reset"),
    ):
        if headers.get(left, "").strip() == "0":
            return _seconds(headers.get(reset, "").strip())
    return None


def _seconds(text: str) -> float | None:
    """The seconds in "12", "6m0s" or "120ms"; None for anything else and for more than a minute."""
    found = _DURATION.fullmatch(text)
    try:
        if re.fullmatch(r"[\d.]+", text):
            seconds = float(text)
        elif found and text:
            hours, minutes, whole, milli = (float(part or 0) for part in found.groups())
            seconds = hours * 3600 + minutes * 60 + whole + milli / 1000
        else:
            return None
    except ValueError:
        return None
    return seconds if seconds <= 60 else None


def reason_of(error: Exception) -> str:
    """The kind and the first line of an exception."""
    return f"{type(error).__name__}: {first_line(error)}"
