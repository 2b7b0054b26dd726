"""The terminal: what dialogues, names and servers say cannot control it, nor its end end a run."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

from judge.limits import harmless

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment

__all__ = ["print_table", "streams"]


class _HarmlessStream:
    """A text stream that writes control characters out."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        return self.stream.write(harmless(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


class _LastingStream:
    """A text stream whose reader may go away."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        try:
            return self.stream.write(text)
        except OSError:
            self._give_up()
            return len(text)

    def flush(self) -> None:
        try:
            self.stream.flush()
        except OSError:
            self._give_up()

    def _give_up(self) -> None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextmanager
def streams() -> Iterator[None]:
    """Standard output through `harmless`, and a standard error that may be closed, meanwhile.

    What is written to standard error is not changed, because libraries draw their progress there:
    its few writers call `harmless` themselves.
    """
    for number in range(3):  # a closed one would be the number of the next file that is opened
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    before = sys.stdout, sys.stderr
    output, errors = (
        # A stream that was closed when Python began is None.
        Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - as long as the process
        if stream is None
        else stream
        for stream in before
    )
    for stream in (output, errors):
        if isinstance(stream, io.TextIOWrapper):  # a terminal may know no Chinese
            stream.reconfigure(errors="backslashreplace")
    sys.stdout = cast("TextIO", _HarmlessStream(output))
    sys.stderr = cast("TextIO", _LastingStream(errors))
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def print_table(table: RenderableType) -> None:
    """Print a table of rich with its colours and bold letters."""
    from rich.console import Console

    stream = sys.stdout
    file = stream.stream if isinstance(stream, _HarmlessStream) else stream
    Console(file=file).print(_HarmlessTable(table))


class _HarmlessTable:
    """A table whose cells control nothing."""

    def __init__(self, table: RenderableType) -> None:
        self._table = table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for segment in console.render(self._table, options):
            yield segment if segment.control else segment._replace(text=harmless(segment.text))
