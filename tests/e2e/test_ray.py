"""Workers on a real Ray cluster of two nodes: equal bytes, whatever dies."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import judge as api
from judge.engines import EngineOptions, JudgeSpec, open_engine, resolve_judge
from judge.errors import EngineError
from judge.pipeline import score
from judge.rubric import load_rubric
from judge.scaleout import Cluster, RayTeam
from judge.store import Store
from judge.types import Dialogue, Failure, Judgment, Turn

if TYPE_CHECKING:
    from judge import Evaluation
    from tests.e2e.conftest import Program

pytest.importorskip("transformers")

from tests.unit.engines import small

ray: Any = pytest.importorskip("ray", reason="the extra ray is not installed")
cluster_utils: Any = pytest.importorskip("ray.cluster_utils")

# Ray 2.55 leaves files that its nodes write to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "scripts" / "demo_dialogues"
TINY = load_rubric("tiny")
DRIVER = os.getpid()
MOCK = resolve_judge("mock")
LEXICAL: dict[str, Any] = {"judge": "lexical", "batch_size": 2}
N, BATCH = 40, 2


@pytest.fixture(scope="session")
def nodes() -> Iterator[Any]:
    """A cluster of two nodes on this machine, each with one CPU, and this process on it."""
    patch = pytest.MonkeyPatch()
    patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    patch.setenv("PYTHONPATH", str(ROOT))  # the workers import this checkout
    cluster = cluster_utils.Cluster(True, head_node_args={"include_dashboard": False})
    cluster.add_node()
    ray.init(cluster.address, log_to_driver=False, logging_level=logging.ERROR)
    # The texts below that kill are sent whole: no worker could import this file.
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield cluster
    ray.shutdown()
    cluster.shutdown()
    patch.undo()


class Text(str):  # noqa: SLOT000 - it is pickled by value
    """An answer that does something to the worker that looks at it."""

    def strip(self, chars: str | None = None) -> str:
        if os.getpid() != DRIVER:
            self.trouble()
        return super().strip(chars)

    def trouble(self) -> None:
        raise NotImplementedError


class Kills(Text):
    """The worker dies."""

    def trouble(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class Raises(Text):
    """The engine has a fault."""

    def trouble(self) -> None:
        raise ValueError("cannot be judged")


class Slow(Text):
    """So that a worker is still at it when something happens to its node."""

    def trouble(self) -> None:
        time.sleep(0.15)


class HangsOnce(Text):
    """The text is a file; whoever finds that it is not there makes it, and hangs."""

    def trouble(self) -> None:
        if not Path(self).exists():
            Path(self).touch()
            time.sleep(600)


def dialogues(answers: dict[int, str] | None = None) -> list[Dialogue]:
    return [
        Dialogue("bot", f"角色{i % 3}", str(i), (Turn("累了。", (answers or {}).get(i, "睡吧。")),))
        for i in sorted(range(N), key=lambda i: i % 3)
    ]


def team(spec: JudgeSpec = MOCK, workers: int = 2, **more: Any) -> RayTeam:
    return RayTeam(spec, EngineOptions(batch_size=BATCH), Cluster(workers, **more))


def alone(said: list[Dialogue], folder: Path) -> list[Judgment]:
    """The judgments of one process."""
    engine = open_engine(MOCK, EngineOptions(batch_size=BATCH))
    with Store(folder) as store:
        score(TINY.tree(said), engine, store)
        return store.judgments()


def together(
    asked: RayTeam, said: list[Dialogue], folder: Path, meanwhile: Any = None
) -> list[Judgment]:
    """The judgments of a team; `meanwhile` is called once, after the first are stored."""
    todo = [meanwhile] if meanwhile else []

    def progress(done: int, total: int) -> None:
        if todo and 0 < done < total:
            todo.pop()()

    try:
        with Store(folder) as store:
            score(TINY.tree(said), asked, store, progress)
            assert not todo
            return store.judgments()
    finally:
        asked.close()


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    """The shipped dialogues judged by one process."""
    return api.evaluate(DEMO, **LEXICAL, out=tmp_path_factory.mktemp("one"))


def test_two_workers_give_the_bytes_of_one_process(
    nodes: Any, unbroken: Evaluation, tmp_path: Path
) -> None:
    """The judgments and the table are the same; the manifest names both nodes."""
    made = api.evaluate(DEMO, **LEXICAL, out=tmp_path / "two", cluster=Cluster(2, nodes.address))
    assert made.made == 432
    assert made.run.judgments == unbroken.run.judgments
    one, two = ((run.folder / "scores.csv").read_bytes() for run in (unbroken, made))
    assert one == two
    manifest = json.loads((tmp_path / "two" / "manifest.json").read_bytes())
    assert manifest["options"]["workers"] == 2
    facts = manifest["judge"]
    assert facts["workers"] == "2"
    assert facts["device"] == "cpu"
    alive = {node["NodeID"][:8] for node in ray.nodes() if node["Alive"]}
    assert {name.partition("/")[2] for name in facts["nodes"].split(" | ")} == alive
    assert RayTeam._with_workers is None  # they are gone when it is done


def test_a_cluster_without_room(nodes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits without knowing for what, nor for ever."""
    asked = RayTeam(MOCK, EngineOptions(), Cluster(1, nodes.address, patience=1))
    monkeypatch.setattr(asked, "_gpus", lambda: 2)
    with pytest.raises(EngineError, match="no answer for 1 s") as raised:
        asked.load()
    asked.close()
    assert raised.value.hint == "the cluster has 2 CPUs and 0 GPUs"


def test_the_driver_is_killed(nodes: Any, judge: Program, unbroken: Evaluation) -> None:
    """SIGKILL of the command itself; then the run goes on, and ends with the same judgments."""
    options = [
        word for name, value in LEXICAL.items() for word in (f"--{name.replace('_', '-')}", value)
    ]
    workers = ("--ray-address", nodes.address, "--workers", 2, "--out", "run")
    process = judge.start("eval", "--model", DEMO, *options, *workers)
    while judge.rows("run") == 0:
        assert process.poll() is None, judge.end(process)
        time.sleep(0.05)  # the cores are for those who work
    process.kill()
    judge.end(process, code=-signal.SIGKILL)
    there = judge.rows("run")
    assert 0 < there < 432
    ended = api.evaluate(DEMO, **LEXICAL, out=judge.folder / "run", cluster=Cluster(2))
    assert (ended.made, ended.reused) == (432 - there, there)
    assert ended.run.judgments == unbroken.run.judgments


def test_workers_on_this_machine(judge: Program, unbroken: Evaluation) -> None:
    """SIGTERM is heard as without workers; then the command goes on, and prints what it should."""
    options = ("--judge", "lexical", "--batch-size", 2, "--out", "run", "--workers", 1, "--json")
    process = judge.start("eval", "--model", DEMO, *options)
    while judge.rows("run") == 0:
        assert process.poll() is None, judge.end(process)
        time.sleep(0.05)  # the cores are for those who work
    process.terminate()
    assert "the same command goes on" in judge.end(process, code=3).err
    done = judge.end(judge.start("eval", "--model", DEMO, *options))
    assert json.loads(done.out)["made"] > 0
    rows = (judge.folder / "run" / "scores.csv").read_bytes()
    assert rows == (unbroken.folder / "scores.csv").read_bytes()
    manifest = json.loads((judge.folder / "run" / "manifest.json").read_bytes())
    assert manifest["judge"]["workers"] == "1"
    assert "/" not in manifest["judge"]["nodes"]


@pytest.mark.usefixtures("nodes")
def test_a_worker_is_killed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """SIGKILL in the middle: another takes its place, and nothing is lost or different."""
    caplog.set_level(logging.WARNING, "judge")
    asked = team()
    killed = []

    def kill() -> None:
        killed.append(asked._members[0].facts.pid)  # type: ignore[union-attr]
        os.kill(killed[0], signal.SIGKILL)

    assert together(asked, dialogues(), tmp_path / "two", kill) == alone(dialogues(), tmp_path)
    (lost,) = caplog.messages
    assert lost.startswith(f"worker {killed[0]} on ")
    assert "is lost" in lost


@pytest.mark.usefixtures("nodes")
def test_a_poison_dialogue(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever reads it dies: three times with its batch, three times alone, then it has failed.

    Every other dialogue has the scores of a run without it. A worker may also die before its
    answer to the batch before has arrived: then that batch is thought to have killed it, once.
    """
    caplog.set_level(logging.WARNING, "judge")
    poison = 17
    made = together(team(), dialogues({poison: Kills("死")}), tmp_path / "two")
    (failure,) = {j.outcome for j in made if j.scenario == str(poison)}
    assert isinstance(failure, Failure)
    assert (failure.code, failure.passing) == ("worker_died", False)
    others = [j for j in made if j.scenario != str(poison)]
    unharmed = alone(dialogues({poison: "死"}), tmp_path)
    assert others == [j for j in unharmed if j.scenario != str(poison)]
    assert sum("is lost" in message for message in caplog.messages) >= 6


@pytest.mark.usefixtures("nodes")
def test_a_worker_that_hangs_is_replaced(tmp_path: Path) -> None:
    """It is given up after the patience, and its batch is asked of another."""
    said = dialogues({17: HangsOnce(tmp_path / "hangs")})
    made = together(team(patience=5), said, tmp_path / "two")
    assert (tmp_path / "hangs").exists()
    assert made == alone(said, tmp_path / "one")


@pytest.mark.usefixtures("nodes")
def test_an_exception_is_recorded_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The batch has failed with the reason, is not asked again, and no worker is lost."""
    caplog.set_level(logging.WARNING, "judge")
    made = together(team(), dialogues({17: Raises("错")}), tmp_path / "two")
    failed = [j for j in made if isinstance(j.outcome, Failure)]
    assert {j.outcome for j in failed} == {Failure("engine_error", "ValueError: cannot be judged")}
    assert [j.scenario for j in failed] == ["17"] * 9 + ["20"] * 9  # two dialogues are a batch
    (told,) = caplog.messages
    assert told.endswith("ValueError: cannot be judged")


@pytest.mark.usefixtures("nodes")
def test_an_engine_that_answers_nothing_ends_the_run(tmp_path: Path) -> None:
    """Every batch raises: that is no property of the dialogues, and nothing is stored."""
    said = dialogues({i: Raises("错") for i in range(N)})
    with pytest.raises(EngineError, match="ValueError: cannot be judged"):
        together(team(), said, tmp_path)
    with Store(tmp_path) as store:
        assert store.judgments() == []


@pytest.mark.usefixtures("nodes")
def test_a_model_that_is_nowhere_ends_the_run(tmp_path: Path) -> None:
    """The reason of the workers is the reason of the run."""
    nowhere = JudgeSpec("nowhere", "lexical", str(tmp_path / "nowhere.npz"), "tiny")
    with pytest.raises(EngineError, match=r"nowhere\.npz"):
        together(team(nowhere), dialogues(), tmp_path)


@pytest.mark.usefixtures("nodes")
def test_a_model_plays_on_two_workers(tmp_path: Path) -> None:
    """Both sides are played by a language model; every line is as in one process."""
    model = str(tmp_path / "talker")
    small.save_model(Path(model), "Qwen3", window=16384, template=small.CHATML)
    asked: dict[str, Any] = {"user": model, "questions": DEMO, "limit": 6, "max_tokens": 5}
    asked |= {"batch_size": 2, "device": "cpu"}
    one = api.generate(model, out=tmp_path / "one", **asked)
    two = api.generate(model, out=tmp_path / "two", **asked, cluster=Cluster(2))
    assert one.path.read_bytes() == two.path.read_bytes()


@pytest.mark.usefixtures("nodes")
def test_two_teams_take_turns(tmp_path: Path) -> None:
    """There is room for the workers of one only: each starts again after the other."""
    first, second = team(), team()
    expected = alone(dialogues(), tmp_path)
    for name, asked in (("1", first), ("2", second), ("3", first)):
        with Store(tmp_path / name) as store:
            score(TINY.tree(dialogues()), asked, store)
            assert store.judgments() == expected
        assert RayTeam._with_workers is asked
    assert (len(first._members), second._members) == (2, [])
    first.close()


def test_a_node_is_removed(nodes: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The other nodes go on; there is no room for another worker, and nobody waits for it."""
    caplog.set_level(logging.WARNING, "judge")
    third = nodes.add_node()
    asked = team(workers=3, address=nodes.address)
    said = dialogues(dict.fromkeys(range(N), Slow("睡吧。")))
    made = together(asked, said, tmp_path / "two", lambda: nodes.remove_node(third, False))
    assert made == alone(dialogues(), tmp_path)
    assert sum("is lost" in message for message in caplog.messages) == 1
    assert asked.describe()["nodes"].count(" | ") == 2
