"""What is taken from files, servers and templates that others made: how much, how deep, how long.

Each limit stands here once and is checked before the memory is asked for. The messages name it.
None of them should be near anything that people have: the public dialogues are 13,200 in 11 files
of 2 MB.
"""

from __future__ import annotations

import re
import signal
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

__all__ = [
    "CELLS",
    "COLUMNS",
    "CONFIG_BYTES",
    "JSON_DEPTH",
    "LINE_CHARACTERS",
    "RECORD_BYTES",
    "TABLE_BYTES",
    "TEMPLATE_BYTES",
    "TEMPLATE_CHARACTERS",
    "TEMPLATE_SECONDS",
    "LimitError",
    "bounded",
    "harmless",
    "read_regular",
    "refuse_deep",
    "refuse_large_table",
    "refuse_long",
    "refuse_long_lines",
]

TABLE_BYTES = 1 << 30
"""Bytes of a table, packed or not."""
COLUMNS = 16_384
"""Columns of a table: as many as a sheet of Excel has."""
CELLS = 20_000_000
"""Rows times columns of a table. A cell takes 50 bytes of memory and more."""
LINE_CHARACTERS = 16 << 20
"""Characters of a line of a CSV, TSV, text or JSONL file."""
CONFIG_BYTES = 16 << 20
"""Bytes of a file of options, of a template, or of another file of a rubric set."""
RECORD_BYTES = 256 << 20
"""Bytes of a stored record: manifest.json, played.json, a calibration, ..."""
JSON_DEPTH = 100
"""Lists and objects inside each other in JSON."""
TEMPLATE_SECONDS = 10.0
"""Seconds that one template may run for one text. Templates of rubrics take milliseconds."""
TEMPLATE_BYTES = 512 << 20
"""Bytes of memory that a template may take beside what the program has."""
TEMPLATE_CHARACTERS = 4_000_000
"""Characters of the text that a template makes: more than the window of any model."""

_JSON_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"?|[^\[\]{}"]+', re.DOTALL)
_JSON_EMPTY = re.compile(r"\[\]|\{\}")
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]|\r(?!\n)")


class LimitError(Exception):
    """More was given than is taken. Its text is a sentence that names the limit, for an error."""


class _OutOfTimeError(BaseException):
    """Not an `Exception`: templates are compiled by code that swallows those."""


def harmless(text: str) -> str:
    r"""`text` with control characters written out, such as \u001b for the one that begins ANSI.

    They could move the cursor, hide or colour what follows, set the title of the window, or turn
    the direction of writing. Tab and line break stay. In JSON the text means the same as before.
    """
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def read_regular(path: Path, largest: int) -> bytes:
    """The bytes of a file that is neither a pipe nor a device, and not larger than `largest`.

    Raises:
        OSError: as `open`.
        LimitError: it is no file, or too large.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
        raise LimitError("it is a pipe or a device, and only files are read")
    if status.st_size > largest:
        raise LimitError(f"it has {status.st_size >> 20} MiB; up to {largest >> 20} MiB are read")
    with path.open("rb") as file:
        content = file.read(largest + 1)  # files of the system may say that they are empty
    if len(content) > largest:
        raise LimitError(f"it has more than {largest >> 20} MiB, which are the most that are read")
    return content


def refuse_deep(text: str) -> None:
    """Refuse JSON with more than `JSON_DEPTH` levels, before a parser goes down into them.

    Raises:
        LimitError: it has more.
    """
    if text.count("[") + text.count("{") <= JSON_DEPTH:
        return
    brackets = _JSON_TEXT.sub("", text)
    for _ in range(JSON_DEPTH):  # each time, at least the innermost level goes
        shorter = _JSON_EMPTY.sub("", brackets)
        if shorter == brackets:
            break
        brackets = shorter
    if brackets.count("[") + brackets.count("{") > JSON_DEPTH or _JSON_EMPTY.search(brackets):
        raise LimitError(f"it is nested more than {JSON_DEPTH} levels deep")


def refuse_long_lines(text: str) -> None:
    """Refuse a table of text with a line of more than `LINE_CHARACTERS`.

    Raises:
        LimitError: it has one.
    """
    start = 0
    while len(text) - start > LINE_CHARACTERS:
        start = text.rfind("\n", start, start + LINE_CHARACTERS + 1) + 1
        if not start:
            raise LimitError(
                f"it has a line of more than {LINE_CHARACTERS >> 20} million characters, "
                "which are the most"
            )


def refuse_large_table(rows: int, columns: int) -> None:
    """Refuse a table of more than `COLUMNS` columns or `CELLS` cells.

    Raises:
        LimitError: it has more.
    """
    if columns > COLUMNS:
        raise LimitError(f"it has {columns:,} columns; up to {COLUMNS:,} are read")
    if rows * columns > CELLS:
        raise LimitError(f"it has {rows * columns:,} cells or more; up to {CELLS:,} are read")


def refuse_long(text: str) -> str:
    """The text that a template made, unless it has more than `TEMPLATE_CHARACTERS`.

    Raises:
        LimitError: it has more.
    """
    if len(text) > TEMPLATE_CHARACTERS:
        raise LimitError(
            f"it makes a text of {len(text):,} characters; {TEMPLATE_CHARACTERS:,} are the most"
        )
    return text


# Time and memory


@contextmanager
def bounded(seconds: float | None = None, memory: int = TEMPLATE_BYTES) -> Iterator[None]:
    """Run a template of others for so long, with so much memory.

    The time is measured in the main thread only, and the memory under Linux only: other systems
    have no such limits for a part of a program.

    Args:
        seconds: None for `TEMPLATE_SECONDS`.
        memory: bytes beside those that the program has.

    Raises:
        LimitError: it took longer, or needed more.
    """
    seconds = TEMPLATE_SECONDS if seconds is None else seconds
    try:
        with _memory(memory), _time(seconds):
            yield
    except MemoryError:
        raise LimitError(f"it needs more than {memory >> 20} MiB of memory") from None
    except _OutOfTimeError:
        raise LimitError(f"it ran for more than {seconds:g} seconds") from None


@contextmanager
def _time(seconds: float) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread() or not hasattr(
        signal, "setitimer"
    ):
        yield
        return

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        del number, frame
        raise _OutOfTimeError

    before = signal.signal(signal.SIGALRM, stop)
    left, every = signal.setitimer(signal.ITIMER_REAL, seconds, seconds)
    begin = time.monotonic()
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if left:  # somebody else's alarm
            signal.setitimer(
                signal.ITIMER_REAL, max(left - (time.monotonic() - begin), 0.001), every
            )


@contextmanager
def _memory(more: int) -> Iterator[None]:
    try:
        import resource  # noqa: PLC0415 - Windows has none

        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    except (ImportError, OSError):
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = pages * resource.getpagesize() + more
    if soft != resource.RLIM_INFINITY:
        limit = min(limit, soft)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
