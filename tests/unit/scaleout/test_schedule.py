"""Which worker gets which batch, and who is to blame for a death."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from judge.engines import EngineOptions, resolve_judge
from judge.engines.interface import Engine
from judge.errors import EngineError, MissingExtraError, UsageError
from judge.scaleout import Cluster, RayTeam
from judge.scaleout.actor import WorkerFacts, refuse_different
from judge.scaleout.schedule import Schedule, Task
from judge.types import Failure


@dataclass(frozen=True)
class Numbers:
    """A batch of numbers in a lane; it is never asked here."""

    lane: str
    numbers: tuple[int, ...]

    def ask(self, engine: Engine) -> Iterator[str]:
        raise AssertionError(engine)

    def parts(self) -> Sequence[Numbers]:
        return [Numbers(self.lane, (n,)) for n in self.numbers]

    def failed(self, failure: Failure) -> str:
        return f"{self.numbers} {failure.code}"


def schedule(**lanes: int) -> Schedule[str]:
    return Schedule(Numbers(lane, (n,)) for lane, size in lanes.items() for n in range(size))


def take(from_: Schedule[str], worker: str) -> str | None:
    task = from_.take(worker)
    return None if task is None else f"{task.batch.lane}{task.batch.numbers[0]}"


def test_a_worker_keeps_its_lane_in_order() -> None:
    """Two workers and lanes of 2, 3 and 1 batches: the longest first, each lane from its start."""
    s = schedule(a=2, b=3, c=1)
    assert [take(s, "x"), take(s, "y"), take(s, "x"), take(s, "y")] == ["b0", "a0", "b1", "a1"]
    assert take(s, "y") == "c0"  # a is empty, and nobody is in c
    assert take(s, "y") == "b2"  # nothing is free: it helps
    assert (take(s, "x"), take(s, "y"), len(s)) == (None, None, 0)


def test_who_is_done_helps_the_longest() -> None:
    """All lanes have a worker: the idle one goes where most is left."""
    s = schedule(a=2, b=6, c=4)
    assert [take(s, w) for w in "xyz"] == ["b0", "c0", "a0"]
    assert [take(s, "z"), take(s, "z")] == ["a1", "b1"]


def test_the_lane_of_a_lost_worker_is_free() -> None:
    """What it had comes first, and another worker without a lane takes it."""
    s = schedule(a=3, b=5)
    first = s.take("x")
    assert first is not None
    assert first.batch.lane == "b"
    s.leave("x")
    s.give_back(first)
    assert take(s, "y") == "b0"


def test_a_batch_that_kills_is_taken_apart_and_then_fails() -> None:
    """Three deaths at the whole, then three at one of its parts; the other parts are unharmed."""
    s = Schedule([Numbers("a", (7, 8))])
    for _ in range(3):
        task = s.take("x")
        assert task is not None
        assert task.batch.parts() == [Numbers("a", (7,)), Numbers("a", (8,))]
        assert s.died(task) is None
    assert len(s) == 2
    for left in (True, True, False):
        task = s.take("x")
        assert task is not None
        assert task.batch == Numbers("a", (7,))
        assert s.died(task) == (None if left else "(7,) worker_died")
    assert take(s, "x") == "a8"


def test_a_cluster_has_a_worker_and_some_patience() -> None:
    """Zero workers, and no time, are mistakes of the caller."""
    with pytest.raises(UsageError, match="--workers 0"):
        Cluster(workers=0)
    with pytest.raises(UsageError, match="--worker-timeout 0"):
        Cluster(patience=0)


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """No Ray, no workers: the hint is the line that installs it."""
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(MissingExtraError, match="--workers needs the package ray") as raised:
        RayTeam(resolve_judge("mock"), EngineOptions(), Cluster(2))
    assert raised.value.hint == "pip install 'esrp-judge[ray]'"


@pytest.mark.parametrize(
    ("judge", "engine", "there", "gpus", "workers"),
    [
        ("lexical", {}, {"CPU": 4.0, "GPU": 8.0}, 0, 4),
        ("acme/model", {}, {"CPU": 4.0}, 0, 4),
        ("acme/model", {"device": "cpu"}, {"CPU": 4.0, "GPU": 8.0}, 0, 4),
        ("acme/model", {}, {"CPU": 4.0, "GPU": 8.0}, 1, 8),
        ("acme/model", {"tensor_parallel": 4}, {"CPU": 4.0, "GPU": 9.0}, 4, 2),
        ("acme/model", {"tensor_parallel": 4}, {"CPU": 4.0, "GPU": 2.0}, 4, 1),
    ],
)
def test_the_room_of_a_cluster(
    judge: str, engine: dict[str, Any], there: dict[str, float], gpus: int, workers: int
) -> None:
    """A model takes GPUs where there are some, others a CPU; at least one worker is wanted."""
    pytest.importorskip("ray")
    team = RayTeam(resolve_judge(judge), EngineOptions(**engine), Cluster())
    team._ray = SimpleNamespace(cluster_resources=lambda: there)
    assert (team._gpus(), team._wanted()) == (gpus, workers)


def facts(node: str, fingerprint: str = "f", **versions: str) -> WorkerFacts:
    return WorkerFacts(node, 1, versions, fingerprint, 4, True, {})


def test_nodes_that_differ_are_refused() -> None:
    """Another version, a package that only one has, another model: each is named with its node."""
    here = {"torch": "2.13.0", "numpy": "2.4"}
    refuse_different(facts("n1", **here), here, None)
    refuse_different(facts("n2", **here), here, facts("n1", **here))
    for versions, message in (
        ({**here, "torch": "2.12.0"}, "node n2 has torch 2.12.0, not 2.13.0"),
        ({"torch": "2.13.0"}, "node n2 has numpy not installed, not 2.4"),
        ({**here, "vllm": "0.32"}, "node n2 has vllm 0.32, not not installed"),
    ):
        with pytest.raises(EngineError, match=message) as raised:
            refuse_different(facts("n2", **versions), here, None)
        assert "same versions on every node" in str(raised.value.hint)
    with pytest.raises(EngineError, match="node n2 is not that on n1: its fingerprint is g, not f"):
        refuse_different(facts("n2", "g", **here), here, facts("n1", **here))


def test_a_task_is_itself() -> None:
    """Two tasks with one batch are two tasks: deaths are counted for each."""
    assert Task(Numbers("a", (1,))) != Task(Numbers("a", (1,)))
