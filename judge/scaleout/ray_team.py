"""Workers on a Ray cluster, each with an engine of its own.

The workers are actors that Ray does not restart, and they only compute. This process cuts the
batches, sends them, stores the answers, and replaces workers that are lost. What a lost worker had
is asked of another, so a batch may be computed twice; it is stored once. Each worker has two
batches at a time: while the answers of one are stored, it computes the other.

Only the core of Ray is used: actors, `ray.wait` and `ray.kill`.
"""

from __future__ import annotations

import importlib
import logging
import math
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from typing import Any, ClassVar, NoReturn, TypeVar

from judge import manifest as manifests
from judge.engines import LOCAL, EngineOptions, JudgeSpec, TokenCount
from judge.engines.interface import Batch
from judge.errors import EngineError, MissingExtraError
from judge.scaleout.actor import (
    Action,
    Raised,
    WorkerActor,
    WorkerFacts,
    refuse_different,
    versions,
)
from judge.scaleout.cluster import Cluster
from judge.scaleout.schedule import KILLS, Schedule, Task
from judge.types import Chats, Failure, LabelRead, PromptTree, Rationale, Reply, Sampling, Seeds

__all__ = ["RayTeam"]

_log = logging.getLogger(__name__)

_Answers = TypeVar("_Answers")

_IN_FLIGHT = 2
"""Batches that a worker has at a time: the one it computes, and the next."""
_BUDGET = 3
"""So many workers in a row may fail to load, or so many batches of one worker in a row."""
_GATHER = 10.0
"""Seconds that the first worker waits for the others, so that the manifest names them all."""
_TICK = 1.0
"""Seconds between two looks at who has not answered for too long."""


@dataclass(eq=False, slots=True)
class _Call:
    """Something that a worker was asked to do: the handle of its answer, and the batch if any."""

    action: Action
    answer: Any
    task: Task[Any] | None


@dataclass(eq=False, slots=True)
class _Member:
    """A worker as this process sees it.

    Attributes:
        actor: its handle.
        flight: what it was asked to do, in the order in which it does it.
        since: when it began with the first of them.
        facts: None until it has started.
        loaded: whether its model is loaded.
        doubted: batches that raised an exception, and which. Whether they are at fault or the
            worker is seen by what it answers to the next.
    """

    actor: Any
    flight: deque[_Call] = field(default_factory=deque)
    since: float = 0.0
    facts: WorkerFacts | None = None
    loaded: bool = False
    doubted: list[tuple[Task[Any], Raised]] = field(default_factory=list)

    def __str__(self) -> str:
        return f"worker {self.facts.pid} on {self.facts.node}" if self.facts else "a new worker"

    def call(self, action: Action, *arguments: Any, task: Task[Any] | None = None) -> None:
        if not self.flight:
            self.since = time.monotonic()
        self.flight.append(_Call(action, self.actor.do.remote(action, *arguments), task))

    def asked(self, action: Action) -> bool:
        """Whether it was asked to do this and has not done it yet."""
        return any(call.action == action for call in self.flight)

    def done(self) -> _Call:
        """Its first call, which is answered now."""
        self.since = time.monotonic()
        return self.flight.popleft()

    def failures(self) -> list[Any]:
        """The answers of the batches that were in doubt, and are at fault."""
        failed = [
            task.batch.failed(Failure("engine_error", raised.message))
            for task, raised in self.doubted
        ]
        self.doubted.clear()
        return failed


class RayTeam:
    """Workers on a Ray cluster that are asked as if they were one: an `Engine` and a `Team`.

    Only one team has workers at a time, as two would need twice the GPUs. The one that starts its
    workers ends those of the other, which starts them again when it is asked again.

    Args:
        spec: the model.
        options: how each worker asks it.
        cluster: where the workers are.

    Raises:
        MissingExtraError: Ray is not installed.
    """

    _with_workers: ClassVar[RayTeam | None] = None

    def __init__(self, spec: JudgeSpec, options: EngineOptions, cluster: Cluster) -> None:
        try:
            self._ray: Any = importlib.import_module("ray")
        except ImportError as error:
            raise MissingExtraError("ray", extra="ray", purpose="--workers") from error
        self._opening = spec, options
        self._cluster = cluster
        self._members: list[_Member] = []
        self._schedule: Schedule[Any] = Schedule(())
        self._loading = self._started_ray = False
        self._known: WorkerFacts | None = None
        self._seen: dict[str, dict[str, None]] = {"device": {}, "nodes": {}}
        self._answered = False
        self._held: list[Any] = []  # failures of dialogues that killed, until others are answered
        self._most = self._not_loaded = self._lost = 0

    @property
    def can_generate(self) -> bool:
        """See `Engine`."""
        return self._facts.can_generate

    @property
    def fingerprint(self) -> str:
        """See `Engine`; all workers have the same."""
        return self._facts.fingerprint

    @property
    def batch_size(self) -> int:
        """See `Engine`; of one worker."""
        return self._facts.batch_size

    def describe(self) -> Mapping[str, str]:
        """See `Engine.describe`; once it is loaded, with the workers, nodes and devices so far."""
        facts = dict(self._facts.description)
        if self._most:
            facts["workers"] = str(self._most)
            facts |= {name: manifests.BESIDE.join(values) for name, values in self._seen.items()}
        return facts

    def count(self, tree: PromptTree) -> TokenCount | None:
        """See `Engine.count`; one of the workers counts."""
        self._start(1)
        (member, *_) = (one for one in self._members if one.facts)
        try:
            counted = self._ray.get(member.actor.do.remote("count", tree))
        except self._ray.exceptions.RayError as error:
            counted = Raised(_first_line(error), "the same command goes on where it stopped")
        if isinstance(counted, Raised):
            _end(counted)
        return counted  # type: ignore[no-any-return]

    def score(self, tree: PromptTree) -> Iterator[LabelRead]:
        """Not for a team, which is given whole batches by `ask_all`."""
        raise NotImplementedError

    def write(self, tree: PromptTree) -> Iterator[Rationale]:
        """Not for a team, which is given whole batches by `ask_all`."""
        raise NotImplementedError

    def generate(self, chats: Chats, sampling: Sampling, seeds: Seeds = None) -> Iterator[Reply]:
        """Not for a team, which is given whole batches by `ask_all`."""
        raise NotImplementedError

    def load(self) -> None:
        """See `Engine.load`; the first worker that is ready is enough."""
        self._loading = True
        self._connect()
        self._start(self._wanted())
        gathered = time.monotonic() + _GATHER
        while not any(one.loaded for one in self._members) or (
            not all(one.facts for one in self._members) and time.monotonic() < gathered
        ):
            self._attend()
        nodes = Counter(one.facts.node for one in self._members if one.facts)
        self._most = max(self._most, nodes.total())
        on = ", ".join(f"{count} on {node}" for node, count in nodes.items())
        _log.info("workers: %s", on)

    def ask_all(self, batches: Sequence[Batch[_Answers]]) -> Iterator[_Answers]:
        """See `Team.ask_all`.

        A batch at which `schedule.KILLS` workers died is asked dialogue by dialogue, and a dialogue
        that kills as many is a failure. A batch that raises an exception is not asked again: it is
        a failure, if its worker then answers others.
        """
        self._schedule, self._answered = Schedule(batches), False
        self._held, self._lost = [], 0
        for member in self._members:
            member.doubted.clear()
        try:
            while self._schedule or any(c.task for m in self._members for c in m.flight):
                for member in self._members:
                    self._feed(member)
                yield from self._attend()
            for member in self._members:
                if member.doubted and not self._answered:
                    _end(member.doubted[-1][1])
                yield from member.failures()
            yield from self._held
        finally:
            for member in [one for one in self._members if one.flight]:
                self._dismiss(member)
            self._schedule = Schedule(())

    def close(self) -> None:
        """See `Engine.close`; ends the workers, and Ray too if it was started for them."""
        for member in list(self._members):
            self._dismiss(member)
        self._loading = False
        if RayTeam._with_workers is self:
            RayTeam._with_workers = None
        if self._started_ray:
            self._ray.shutdown()
            self._started_ray = False

    # Workers come and go

    @property
    def _facts(self) -> WorkerFacts:
        if self._known is None:
            self._start(1)
        assert self._known is not None  # noqa: S101 - a worker has started
        return self._known

    def _start(self, workers: int) -> None:
        """Wait for the first of so many workers."""
        self._connect()
        while len(self._members) < workers:
            self._hire()
        for member in self._members:
            if self._loading and not (member.loaded or member.asked("load")):
                member.call("load")
        told = time.monotonic() + 3 * _GATHER
        while not any(member.facts for member in self._members):
            self._attend()
            if time.monotonic() > told:
                _log.warning(
                    "no worker has started yet: each takes a CPU and %d GPUs of one node, and the "
                    "cluster has %s",
                    *(self._gpus(), self._there()),
                )
                told = math.inf

    def _connect(self) -> None:
        other = RayTeam._with_workers
        if other is not self and other is not None:
            other.close()
        RayTeam._with_workers = self
        if not self._ray.is_initialized():
            self._cluster.connect(self._ray)
            self._started_ray = True

    def _wanted(self) -> int:
        if self._cluster.workers is not None:
            return self._cluster.workers
        there, gpus = self._ray.cluster_resources(), self._gpus()
        return max(1, int(there.get("GPU", 0) // gpus if gpus else there.get("CPU", 1)))

    def _gpus(self) -> int:
        """How many GPUs a worker takes."""
        spec, options = self._opening
        if spec.engine not in LOCAL or options.device == "cpu":
            return 0
        return (options.tensor_parallel or 1) if self._ray.cluster_resources().get("GPU") else 0

    def _there(self) -> str:
        found = self._ray.cluster_resources()
        return " and ".join(f"{found.get(name, 0):g} {name}s" for name in ("CPU", "GPU"))

    def _hire(self) -> None:
        actor = self._ray.remote(WorkerActor).options(
            num_cpus=1,
            num_gpus=self._gpus(),
            max_restarts=0,
            max_task_retries=0,
            scheduling_strategy="SPREAD",
        )
        member = _Member(actor.remote(*self._opening))
        self._members.append(member)
        member.call("facts")
        if self._loading:
            member.call("load")

    def _dismiss(self, member: _Member) -> None:
        self._members.remove(member)
        self._schedule.leave(member)
        self._ray.kill(member.actor)

    # What is asked and answered

    def _feed(self, member: _Member) -> None:
        while member.loaded and len(member.flight) < _IN_FLIGHT:
            task = self._schedule.take(member)
            if task is None:
                return
            member.call("ask", task.batch, task=task)

    def _attend(self) -> list[Any]:
        """Wait for an answer, at most a moment. What is to be stored because of it."""
        heads = {member.flight[0].answer: member for member in self._members if member.flight}
        with redirect_stdout(sys.stderr):  # a thread of Ray prints what its nodes report
            answered, _ = self._ray.wait(list(heads), timeout=_TICK) if heads else ([], [])
        found: list[Any] = []
        for handle in answered:
            member = heads[handle]
            try:
                answer = self._ray.get(handle)
            except self._ray.exceptions.RayError as error:
                self._lose(member, _first_line(error))
            else:
                found += self._heard(member, member.done(), answer)
        now, patience = time.monotonic(), self._cluster.patience
        for member in [one for one in self._members if one.flight]:
            if now - member.since <= patience:
                continue
            if member.facts is None and any(one.facts for one in self._members):
                _log.warning("one worker less: the cluster has had no room for it for so long")
                self._dismiss(member)
            else:
                self._lose(member, f"no answer for {patience:g} s")
        return found

    def _heard(self, member: _Member, call: _Call, answer: Any) -> list[Any]:
        if call.task is None:
            if isinstance(answer, Raised):
                self._not_started(member, answer)
            elif isinstance(answer, WorkerFacts):
                self._welcome(member, answer)
            else:
                member.loaded, self._not_loaded = True, 0
            return []
        if isinstance(answer, Raised):
            self._doubt(member, call.task, answer)
            return []
        found = [*self._held, *member.failures(), *answer]
        self._answered, self._lost, self._held = True, 0, []
        return found

    def _welcome(self, member: _Member, facts: WorkerFacts) -> None:
        refuse_different(facts, versions(), self._known)
        self._known = self._known or facts
        member.facts = facts
        self._seen["device"][facts.description["device"]] = None
        address, _, _ = facts.node.partition("/")
        # The only node of a Ray that was started for this run has a name that means nothing.
        self._seen["nodes"][facts.node if self._cluster.address else address] = None
        if self._loading:
            self._most = max(self._most, sum(one.facts is not None for one in self._members))

    def _not_started(self, member: _Member, reason: Raised) -> None:
        """A worker could not start or load: another is tried, but not for ever."""
        self._dismiss(member)
        self._not_loaded += 1
        others = self._wanted() if any(one.loaded for one in self._members) else 0
        if self._not_loaded >= _BUDGET + others:
            _end(reason)
        _log.warning("%s cannot start: %s", member, reason.message)
        self._hire()

    def _doubt(self, member: _Member, task: Task[Any], raised: Raised) -> None:
        """A batch raised an exception. If it is the third of its worker, the worker is at fault."""
        member.doubted.append((task, raised))
        _log.warning("%s: %s", member, raised.message)
        if len(member.doubted) < _BUDGET:
            return
        if not self._answered:
            _end(raised)
        tasks = [task for task, _ in member.doubted]
        member.doubted.clear()
        self._replace(member, tasks, [c.task for c in member.flight], raised.message)

    def _lose(self, member: _Member, reason: str) -> None:
        """A worker died or hangs, at the first thing that it was asked."""
        first, *waiting = member.flight
        if first.task is not None:
            spared = [*(task for task, _ in member.doubted), *(call.task for call in waiting)]
            self._replace(member, [first.task], spared, reason)
        else:
            self._not_started(member, Raised(reason, f"the cluster has {self._there()}"))

    def _replace(
        self, member: _Member, blamed: Sequence[Task[Any]], spared: Sequence[Any], reason: str
    ) -> None:
        """Ask others what a worker had; it was lost at what is `blamed`."""
        self._dismiss(member)
        for task in reversed(spared):
            if task is not None:
                self._schedule.give_back(task)
        for task in blamed:
            failed = self._schedule.died(task)
            self._held += [] if failed is None else [failed]
        self._lost += 1
        if self._lost >= 3 * KILLS + 2 * self._wanted():
            raise EngineError(
                f"{self._lost} workers were lost one after another, the last: {reason}",
                hint="the logs of the workers say more: see /tmp/ray/session_latest/logs",
            )
        _log.warning("%s is lost: %s. Another takes its place", member, reason)
        self._hire()


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")


def _end(raised: Raised) -> NoReturn:
    raise EngineError(raised.message, hint=raised.hint)
