"""How many requests are under way at once, and when the next may be sent.

The number is halved when the server says that it is asked too often, comes back quickly to a little
less than it was, and grows slowly from there. A request that has failed waits alone: the others go
on. Only where the server says so, or refuses several times in a row, do all of them wait.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["OverError", "Pace"]

_log = logging.getLogger(__name__)

_POLL = 0.5
_SAID_EVERY = 30.0
_STEP, _LONGEST_STEP = 1.0, 20.0
_RECOVERED = 0.9
_WORTH_SAYING = 5.0


class OverError(Exception):
    """Nobody wants the answer any more."""


class _Turn(threading.local):
    """What a thread is at: the smaller `order`, the earlier it may send."""

    order: int = 0
    over: threading.Event | None = None
    permits: threading.Semaphore | None = None


class Pace:
    """Shared by all threads that ask one server.

    Attributes:
        last_answer: when the server last gave an answer that could be read (monotonic clock).
    """

    def __init__(self) -> None:
        self._most = self._limit = self._goal = 32.0
        self._flying = 0
        self._waiting: list[tuple[int, int, threading.Event]] = []
        self._number = itertools.count()
        self._lock = threading.Lock()
        self._turn = _Turn()
        self._not_before = self._round = self._said = -_SAID_EVERY
        self._rounds = 0
        self.last_answer = float("-inf")

    @property
    def limit(self) -> int:
        """How many requests may be under way at once now."""
        return int(self._limit)

    def begin(self, most: int) -> None:
        """At most so many requests at once from now on; what was learnt is kept."""
        with self._lock:
            if most != self._most:
                self._most = self._limit = self._goal = float(most)

    @contextmanager
    def turn(
        self, order: int, over: threading.Event, permits: threading.Semaphore
    ) -> Iterator[None]:
        """What this thread sends meanwhile is number `order`, and is wanted until `over`.

        The thread holds one of `permits`, and gives it away while it rests.
        """
        turn = self._turn
        turn.order, turn.over, turn.permits = order, over, permits
        try:
            yield
        finally:
            turn.order, turn.over, turn.permits = 0, None, None

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Wait until a request may be sent; it is under way inside.

        Raises:
            OverError: nobody wants the answer any more.
        """
        admitted = threading.Event()
        with self._lock:
            heapq.heappush(self._waiting, (self._turn.order, next(self._number), admitted))
            self._admit()
        while not admitted.wait(max(0.01, min(_POLL, self._not_before - time.monotonic()))):
            self._refuse_over(admitted)
            with self._lock:
                self._admit()
        try:
            yield
        finally:
            with self._lock:
                self._flying -= 1
                self._admit()

    def rest(self, seconds: float) -> None:
        """Wait, without a slot.

        Raises:
            OverError: nobody wants the answer any more.
        """
        over, permits = self._turn.over, self._turn.permits
        if over is None or permits is None:
            time.sleep(seconds)
            return
        permits.release()
        try:
            wanted = not over.wait(seconds)
        finally:
            permits.acquire()
        if not wanted:
            raise OverError

    def answered(self, pause: float | None) -> None:
        """A request was answered; `pause` is how long the server wants nothing more, if it says."""
        now = time.monotonic()
        with self._lock:
            self.last_answer = now
            self._rounds = 0
            if self._limit < self._most:
                quick = (self._goal - self._limit) / 8
                self._limit = min(self._most, self._limit + max(quick, 1 / self._limit))
                self._admit()
            if pause is not None:
                self._not_before = max(self._not_before, now + pause)

    def refused(self, sent: float, pause: float | None) -> None:
        """The server was asked too often.

        Args:
            sent: when the request was sent. Refusals of what was sent before the last one was
                understood say nothing new.
            pause: how long the server wants to be left alone, if it says.
        """
        now = time.monotonic()
        with self._lock:
            if sent < self._round:
                return
            self._round, self._rounds = now, self._rounds + 1
            self._goal = max(1.0, self._limit * _RECOVERED)
            self._limit = max(1.0, self._limit / 2)
            limit, rounds = self.limit, self._rounds
            step = 0.0
            if rounds > 1:  # nothing was answered in between
                step = pause or min(_LONGEST_STEP, _STEP * 2.0 ** min(rounds - 2, 10))
                self._not_before = max(self._not_before, now + step)
            tell = now - self._said >= _SAID_EVERY
            if tell:
                self._said = now
        if tell:
            wait = f", after {step:.0f} s" if step >= _WORTH_SAYING else ""
            _log.info("the server limits the rate: %d requests at once now%s", limit, wait)

    def _admit(self) -> None:
        """Let those go who may; the lock is held."""
        while self._waiting and self._flying < self.limit and time.monotonic() >= self._not_before:
            *_, admitted = heapq.heappop(self._waiting)
            self._flying += 1
            admitted.set()

    def _refuse_over(self, admitted: threading.Event) -> None:
        over = self._turn.over
        if over is None or not over.is_set():
            return
        with self._lock:
            if admitted.is_set():
                self._flying -= 1
                self._admit()
            else:
                self._waiting = [one for one in self._waiting if one[2] is not admitted]
                heapq.heapify(self._waiting)
        raise OverError
