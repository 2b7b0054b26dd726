"""Many questions at once: answers as they come, or in the order of the questions."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import TypeVar

from judge.engines.servers.pace import OverError, Pace

__all__ = ["as_they_come", "in_order"]

_GRACE = 5.0
"""Seconds to wait, after an error, for answers that are under way: they are kept."""

_SPARE = 64
"""Threads beyond `at_once`: for requests that have failed and wait."""

_Question = TypeVar("_Question")
_Answer = TypeVar("_Answer")
_Key = TypeVar("_Key", bound=Hashable)


class _Raised:
    def __init__(self, error: BaseException) -> None:
        self.error = error


class _Ended:
    pass


def as_they_come(
    ask: Callable[[_Question], Iterable[_Answer]],
    questions: Sequence[_Question],
    at_once: int,
    pace: Pace,
) -> Iterator[_Answer]:
    """The answers to all questions, each as soon as it is there.

    Questions are begun in their order. What `ask` raises is raised after the answers that are under
    way, and no question is begun after it. The threads are daemons, unlike those of an executor: a
    program that is interrupted must not wait for answers that are still to come.

    Args:
        ask: the answers to one question; runs in threads of its own.
        at_once: how many questions are being asked at once. Those that have failed and wait before
            they are asked again do not count: others are begun meanwhile.
        pace: of the server; it may allow fewer requests.
    """
    arrived: queue.SimpleQueue[_Answer | _Raised | _Ended] = queue.SimpleQueue()
    todo, lock, over = enumerate(questions), threading.Lock(), threading.Event()
    permits = threading.Semaphore(at_once)
    workers = min(len(questions), at_once + min(_SPARE, 3 * at_once))

    def ask_next() -> bool:
        with permits:
            with lock:
                taken = None if over.is_set() else next(todo, None)
            if taken is None:
                return False
            order, question = taken
            with pace.turn(order, over, permits):
                for answer in ask(question):
                    arrived.put(answer)
        return True

    def work() -> None:
        try:
            while ask_next():
                pass
        except OverError:
            pass
        except BaseException as error:  # noqa: BLE001  it is raised where the answers are wanted
            over.set()
            arrived.put(_Raised(error))
        finally:
            arrived.put(_Ended())

    for _ in range(workers):
        threading.Thread(target=work, daemon=True).start()
    try:
        yield from _until_all_ended(arrived, workers)
    finally:
        over.set()


def _until_all_ended(
    arrived: queue.SimpleQueue[_Answer | _Raised | _Ended], workers: int
) -> Iterator[_Answer]:
    error: BaseException | None = None
    until = 0.0
    while workers:
        try:
            answer = arrived.get(
                timeout=None if error is None else max(0.0, until - time.monotonic())
            )
        except queue.Empty:
            break
        if isinstance(answer, _Ended):
            workers -= 1
        elif not isinstance(answer, _Raised):
            yield answer
        elif error is None:
            error, until = answer.error, time.monotonic() + _GRACE
    if error is not None:
        raise error


def in_order(
    answers: Iterator[_Answer], keys: Iterable[_Key], key: Callable[[_Answer], _Key]
) -> Iterator[_Answer]:
    """`answers` in the order of `keys`, each as soon as those before it are there."""
    waiting: dict[_Key, _Answer] = {}
    for wanted in keys:
        while wanted not in waiting:
            answer = next(answers, None)
            if answer is None:
                return
            waiting[key(answer)] = answer
        yield waiting.pop(wanted)
    yield from answers  # nothing is left, but an error may be
