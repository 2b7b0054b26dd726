"""An engine in a process of its own gives what it gives here, and its end is an error of ours."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from judge.engines import (
    Engine,
    EngineOptions,
    JudgeSpec,
    make_engine,
    open_engine,
    resolve_judge,
    worker,
)
from judge.engines.worker import WorkerEngine
from judge.errors import EngineError, MissingExtraError
from judge.types import Failure, LabelRead, Message, PromptTree, Sampling
from tests.unit.engines.small import CHATML, make_tree, save_model

MOCK = resolve_judge("mock")
TREE = make_tree(["没关系", "", "难受" * 200])
CHATS = [[Message("user", "难受")], [Message("system", "Be Ann."), Message("user", "a" * 600)]]


@pytest.fixture(autouse=True)
def in_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUDGE_WORKER", "1")


Start = Callable[..., WorkerEngine]


@pytest.fixture
def start() -> Iterator[Start]:
    """Opens engines, by default the mock judge, and ends them."""
    started: list[WorkerEngine] = []

    def one(spec: JudgeSpec = MOCK, **options: Any) -> WorkerEngine:
        engine = open_engine(spec, EngineOptions(**options))
        assert isinstance(engine, WorkerEngine)
        started.append(engine)
        return engine

    yield one
    for engine in started:
        engine.close()


def pid(engine: WorkerEngine) -> int:
    assert engine._process is not None
    return engine._process.handle.pid


def children() -> list[str]:
    """The workers of this process, where /proc tells."""
    tasks = Path("/proc/self/task").glob("*/children")
    started = [child for task in tasks for child in task.read_text().split()]
    return [c for c in started if b"worker import" in Path(f"/proc/{c}/cmdline").read_bytes()]


def gone(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return True
    return False


def patched(monkeypatch: pytest.MonkeyPatch, folder: Path, code: str) -> None:
    """Let `code` run at the start of every worker."""
    (folder / "sitecustomize.py").write_text(
        f"from judge.engines.mock import MockEngine as Mock\n{code}", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(str(folder))


def test_all_that_an_engine_does(tmp_path: Path, start: Start) -> None:
    """Reads, reasons, replies, failures and counts of transformers, to the last bit."""
    spec = resolve_judge(str(save_model(tmp_path, "Qwen3", template=CHATML)), "hf")
    options = {"device": "cpu", "batch_size": 5}
    there, here = start(spec, **options), make_engine(spec, EngineOptions(**options))
    assert (there.can_generate, there.batch_size) == (here.can_generate, 5)
    assert there.fingerprint == here.fingerprint
    assert there.describe() == here.describe()
    assert there.count(TREE) == here.count(TREE)
    reads = list(here.score(TREE))
    there.load()
    assert list(there.score(TREE)) == reads
    assert {type(read.outcome) for read in reads} == {tuple, Failure}
    thoughtful = replace(TREE, rationale=8)
    assert list(there.write(thoughtful)) == list(here.write(thoughtful))
    sampling = Sampling(max_tokens=8)
    for seeds in (None, [3, 4]):
        assert list(there.generate(CHATS, sampling, seeds)) == list(
            here.generate(CHATS, sampling, seeds)
        )
    first = pid(there)
    there.close()
    assert gone(first)
    assert there.fingerprint == here.fingerprint
    assert there._process is None  # what is known is not asked again


def test_errors_are_those_of_the_engine(tmp_path: Path, start: Start) -> None:
    """With class, message, hint and path; where the engine cannot be opened, nothing stays."""
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    options = EngineOptions(device="cpu")
    spec = resolve_judge(str(tmp_path), "hf")
    engine = start(spec, device="cpu")
    for ask in (lambda e: e.fingerprint, lambda e: list(e.score(TREE)), lambda e: e.load()):
        with pytest.raises(EngineError) as expected:
            ask(make_engine(spec, options))
        with pytest.raises(EngineError) as found:
            ask(engine)
        assert vars(found.value) == vars(expected.value)
    with pytest.raises(EngineError) as refused:
        start(spec, device="nowhere")
    assert "--device nowhere" in str(refused.value)


def test_a_missing_library_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: Start
) -> None:
    """Though that error is made of other arguments than the others."""
    patched(monkeypatch, tmp_path, "import sys; sys.modules['torch'] = None")
    with pytest.raises(MissingExtraError, match="needs the package torch") as caught:
        start(resolve_judge("tiny"))
    assert caught.value.hint == "pip install 'esrp-judge[hf]'"


def test_it_may_die_and_another_takes_its_place(start: Start) -> None:
    """The error says how it ended and what to do; nothing of it stays."""
    engine = start()
    reads = list(engine.score(TREE))
    for number in (signal.SIGKILL, signal.SIGSEGV):
        old = pid(engine)
        os.kill(old, number)
        with pytest.raises(EngineError, match=f"asked mock was ended by {number.name}") as caught:
            list(engine.score(TREE))
        assert "the same command goes on" in str(caught.value.hint)
        assert gone(old)
        assert list(engine.score(TREE)) == reads


def test_ctrl_c_and_what_libraries_print_do_not_disturb_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], start: Start
) -> None:
    """SIGINT is for us. What it and its children print goes to our standard error."""
    expected = list(start().score(TREE))
    code = """
import os, subprocess
old = Mock.score
def score(self, tree):
    print("a library")
    subprocess.run(["echo", "a child"])
    if os.fork() == 0:
        os.write(1, b"a fork\\n")
        os._exit(0)
    os.wait()
    return old(self, tree)
Mock.score = score
"""
    patched(monkeypatch, tmp_path, code)
    engine = start()
    os.kill(pid(engine), signal.SIGINT)
    assert list(engine.score(TREE)) == expected
    engine.close()
    out, err = capfd.readouterr()
    assert out == ""
    assert {"a child", "a fork"} <= set(err.splitlines())


def test_what_it_logs_is_logged_here(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    start: Start,
) -> None:
    """From the level on that is wanted here."""
    code = """
import logging
log = logging.getLogger("judge.engines.mock")
def score(self, tree):
    log.debug("too much")
    log.warning("out of %s", "memory")
    return ()
Mock.score = score
"""
    patched(monkeypatch, tmp_path, code)
    with caplog.at_level(logging.INFO, "judge"):
        assert list(start().score(TREE)) == []
    assert [(r.levelname, r.getMessage()) for r in caplog.records] == [("WARNING", "out of memory")]


@pytest.mark.parametrize("method", ["__init__", "score"])
def test_any_other_error_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: Start, method: str
) -> None:
    """While it loads or reads: after a fault of CUDA nothing can be asked any more."""
    code = f"""
def fail(self, *arguments):
    raise RuntimeError("CUDA error: an illegal access\\nCompile with ...")
Mock.{method} = fail
"""
    patched(monkeypatch, tmp_path, code)
    with pytest.raises(EngineError) as caught:
        list(start().score(TREE))
    assert str(caught.value) == (
        "the engine mock failed on mock: RuntimeError: CUDA error: an illegal access"
    )
    assert "Traceback" in caught.value.__notes__[0]
    assert children() == []


def test_an_interrupted_answer_is_not_taken_for_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: Start
) -> None:
    """Ctrl-C while it reads: it is ended, and another one answers what is asked then."""
    expected = list(start().score(TREE))
    code = """
import os, signal, time
old = Mock.score
def score(self, tree):
    if len(tree.items) > 3:
        os.kill(os.getppid(), signal.SIGINT)
        time.sleep(60)
    return old(self, tree)
Mock.score = score
"""
    patched(monkeypatch, tmp_path, code)
    engine = start()
    old = pid(engine)
    with pytest.raises(KeyboardInterrupt):
        list(engine.score(make_tree(["a", "b", "c", "d"])))
    assert gone(old)
    assert list(engine.score(TREE)) == expected


@dataclass
class Whole:
    """A batch that is one tree."""

    tree: PromptTree
    lane: str = ""

    def ask(self, engine: Engine) -> Iterator[list[LabelRead]]:
        yield list(engine.score(self.tree))


def test_the_next_batch_is_computed_while_one_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: Start
) -> None:
    """And no other; answers come in order, and those before an error too."""
    code = f"""
from pathlib import Path
old = Mock.score
def score(self, tree):
    if tree.items[0].text == "bad":
        raise RuntimeError("no")
    Path({str(tmp_path)!r}, tree.items[0].text).touch()
    return old(self, tree)
Mock.score = score
"""
    trees = [make_tree([text]) for text in ("a", "b", "c")]
    expected = [list(make_engine(MOCK, EngineOptions()).score(tree)) for tree in trees]
    patched(monkeypatch, tmp_path, code)
    engine = start()
    answers: list[list[LabelRead]] = []
    for answer in engine.ask_all([Whole(tree) for tree in trees]):
        answers.append(answer)
        for name in ("a", "b", "c")[: len(answers) + 1]:
            deadline = time.monotonic() + 60
            while not (tmp_path / name).exists():
                assert time.monotonic() < deadline
                time.sleep(0.005)
        if len(answers) == 1:
            assert not (tmp_path / "c").exists()
    assert answers == expected
    found = engine.ask_all([Whole(trees[0]), Whole(make_tree(["bad"]))])
    assert next(found) == expected[0]
    with pytest.raises(EngineError, match="RuntimeError: no"):
        next(found)


def test_a_batch_that_nobody_waits_for_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: Start
) -> None:
    """Where the answers to the one before cannot be stored."""
    code = """
import time
old = Mock.score
def score(self, tree):
    if tree.items[0].text == "slow":
        time.sleep(600)
    return old(self, tree)
Mock.score = score
"""
    patched(monkeypatch, tmp_path, code)
    engine = start()
    found = engine.ask_all([Whole(make_tree(["a"])), Whole(make_tree(["slow"]))])
    next(found)
    found.close()  # type: ignore[attr-defined]
    assert children() == []


def test_started_from_a_thread_it_outlives_the_thread(start: Start) -> None:
    """Linux ends it with the thread that started it only if that is the main one."""
    engines: list[WorkerEngine] = []
    thread = threading.Thread(target=lambda: engines.append(start()))
    thread.start()
    thread.join()
    assert len(list(engines[0].score(TREE))) == len(TREE)


def test_nobody_closes_it() -> None:
    """It ends with the last reference to its engine."""
    engine = open_engine(MOCK, EngineOptions())
    assert isinstance(engine, WorkerEngine)
    number = pid(engine)
    del engine
    assert gone(number)


@pytest.mark.parametrize(
    ("engine", "device", "setting", "apart"),
    [
        ("hf", "cpu", "", False),
        ("hf", "cuda:1", "", True),
        ("hf-naive", "cuda", "", True),
        ("hf", "cuda", "0", False),
        ("hf", "cpu", "1", True),
        ("vllm", None, "", True),
        ("vllm", None, "0", False),
        ("lexical", None, "", False),
        ("http", None, "1", False),
    ],
)
def test_which_engines_get_a_process(
    monkeypatch: pytest.MonkeyPatch, engine: str, device: str | None, setting: str, apart: bool
) -> None:
    """vLLM, and transformers on a GPU; JUDGE_WORKER decides otherwise, but not about servers."""
    monkeypatch.setenv("JUDGE_WORKER", setting)
    monkeypatch.setattr("judge.engines.worker.WorkerEngine", lambda *_: "apart")
    monkeypatch.setattr("judge.engines.make_engine", lambda *_: "here")
    options = EngineOptions(device=device)
    opened = open_engine(JudgeSpec("m", engine, "m", "esrp"), options)
    assert opened == ("apart" if apart else "here")


def test_a_worker_whose_program_is_gone_ends_without_a_word() -> None:
    """Its answer finds nobody: no traceback on a terminal that shows something else by then."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", worker._START],
        env={**os.environ, "PYTHONPATH": str(Path(worker.__file__).parents[2])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    opening = worker._Opening(resolve_judge("mock"), EngineOptions(), logging.INFO, False)
    worker._send(process.stdin, opening)
    assert process.wait(timeout=60) == -signal.SIGKILL
    assert process.stderr.read() == b""
    process.stdin.close()
    process.stderr.close()
