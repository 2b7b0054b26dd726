"""Progress on standard error: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar
from rich.text import Text

__all__ = ["Progress"]

EVERY = 20.0
"""Seconds between two lines where there is no terminal."""


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("-/s" if speed is None else f"{speed:.1f}/s")


class Progress:
    """Use as a context manager; call with (done, total) as often as there is news."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
        )
        self._task = self._bar.add_task(what, total=None)
        self._start: tuple[float, int] | None = None
        self._said = time.monotonic()

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def __call__(self, done: int, total: int) -> None:
        """`done` of `total` are there; the first call tells what was there before."""
        self._bar.update(self._task, completed=done, total=total)
        now = time.monotonic()
        if self._start is None:
            self._start = (now, done)
        if not self._bar.disable or (now - self._said < EVERY and done < total):
            return
        self._said = now
        since, before = self._start
        line = f"{self._what}: {done}/{total}"
        if done > before and now > since:
            rate = (done - before) / (now - since)
            line += f", {rate:.1f}/s, {(total - done) / rate:.0f} s left"
        click.echo(line, err=True)
