"""Many requests at once, their answers in order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import TypeVar

__all__ = ["in_order"]

_Question = TypeVar("_Question")
_Answer = TypeVar("_Answer")


def in_order(
    ask: Callable[[_Question], _Answer], questions: Sequence[_Question], workers: int
) -> Iterator[_Answer]:
    """`ask` of each question, `workers` at once, begun and given in the order of `questions`.

    What `ask` raises comes in the place of its answer, and nothing is begun after it. The threads
    are daemons, unlike those of an executor: a program that is interrupted must not wait for an
    answer that is under way.
    """
    answers: list[Future[_Answer]] = [Future() for _ in questions]
    todo = iter(zip(questions, answers, strict=True))
    lock, over = threading.Lock(), threading.Event()

    def work() -> None:
        while not over.is_set():
            with lock:
                question, answer = next(todo, (None, None))
            if question is None or answer is None:
                return
            try:
                answer.set_result(ask(question))
            except BaseException as error:  # noqa: BLE001  it is raised where the answer is wanted
                over.set()  # all that comes before it has been begun
                answer.set_exception(error)

    for _ in range(min(workers, len(questions))):
        threading.Thread(target=work, daemon=True).start()
    try:
        for answer in answers:
            yield answer.result()
    finally:
        over.set()
