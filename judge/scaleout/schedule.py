"""Which worker gets which batch, and what becomes of a batch whose worker died.

A worker stays in its lane, a character, because the batches of a lane share the most. A worker
without a lane takes the longest one that nobody is in; if there is none, it helps in the longest.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from judge.engines.interface import Batch
from judge.types import Failure

__all__ = ["KILLS", "Schedule", "Task"]

KILLS = 3
"""So many workers may die at a batch, or at one of its dialogues, before that is held to blame."""

_Answers = TypeVar("_Answers")


@dataclass(eq=False, slots=True)
class Task(Generic[_Answers]):
    """A batch that is to be asked, and how many workers have died at it."""

    batch: Batch[_Answers]
    kills: int = 0


class Schedule(Generic[_Answers]):
    """The batches that no worker has yet, by lanes.

    Args:
        batches: in the order in which they would be asked one after the other.
    """

    def __init__(self, batches: Iterable[Batch[_Answers]]) -> None:
        self._lanes: dict[str, deque[Task[_Answers]]] = {}
        self._lane_of: dict[Hashable, str] = {}
        for batch in batches:
            self._lanes.setdefault(batch.lane, deque()).append(Task(batch))

    def __len__(self) -> int:
        """How many batches no worker has."""
        return sum(map(len, self._lanes.values()))

    def take(self, worker: Hashable) -> Task[_Answers] | None:
        """The next batch for a worker; None if there is none left."""
        lane = self._lane_of.get(worker)
        if lane is None or not self._lanes[lane]:
            waiting = [name for name, tasks in self._lanes.items() if tasks]
            if not waiting:
                return None
            others = {name for one, name in self._lane_of.items() if one != worker}
            free = [name for name in waiting if name not in others]
            lane = max(free or waiting, key=lambda name: len(self._lanes[name]))
            self._lane_of[worker] = lane
        return self._lanes[lane].popleft()

    def give_back(self, task: Task[_Answers]) -> None:
        """Put a batch back that was taken and not answered: it is the next of its lane."""
        self._lanes.setdefault(task.batch.lane, deque()).appendleft(task)

    def leave(self, worker: Hashable) -> None:
        """A worker is gone, and others may have its lane."""
        self._lane_of.pop(worker, None)

    def died(self, task: Task[_Answers]) -> _Answers | None:
        """A worker died while it was at this batch.

        The batch is put back. After `KILLS` deaths its dialogues are asked one by one, and after
        as many at one of them, that one has failed.

        Returns:
            The failed answers, or None if the batch was put back.
        """
        task.kills += 1
        if task.kills < KILLS:
            self.give_back(task)
            return None
        parts = task.batch.parts()
        if len(parts) == 1:
            reason = f"{KILLS} workers died while they were asked this, each time anew"
            return task.batch.failed(Failure("worker_died", reason))
        for part in reversed(parts):
            self.give_back(Task(part))
        return None
