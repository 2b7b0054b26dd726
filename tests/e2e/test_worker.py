"""The judge in a process of its own: however one of the two ends, nothing stays or is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import PATIENCE, Done, Program

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/task").is_dir(), reason="looks processes up in /proc"
)
Recorded = Callable[..., Path]
LAST = "interrupted; the same command goes on where this one stopped"
MOCK = ("--judge", "mock", "--batch-size", 1)
TINY = ("--judge", "tiny", "--device", "cpu", "--batch-size", 1)


def worker_of(process: subprocess.Popen[str]) -> int:
    """The process that the program started."""
    tasks = Path(f"/proc/{process.pid}/task")
    (child,) = [c for task in tasks.iterdir() for c in (task / "children").read_text().split()]
    return int(child)


def runs(pid: int) -> bool:
    """Whether there is such a process, other than one that only waits to be counted as dead."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def broken(judge: Program, args: tuple[object, ...], victim: str, number: signal.Signals) -> Done:
    """A run of which one process gets a signal after some more judgments; nothing is left of it."""
    before = judge.rows("run")
    process = judge.start("eval", *args, "--out", "run")
    wait_until(lambda: judge.rows("run") > before or process.poll() is not None)
    assert process.poll() is None
    worker = worker_of(process)
    assert os.getpgid(worker) != os.getpgid(process.pid)  # Ctrl-C is not for the worker
    os.kill(worker if victim == "worker" else process.pid, number)
    codes = {signal.SIGINT: 3, signal.SIGTERM: 3}
    code = 2 if victim == "worker" else codes.get(number, -number)
    done = judge.end(process, code)
    wait_until(lambda: not runs(worker))
    return done


BREAKS = [
    ("program", signal.SIGINT, LAST),
    ("program", signal.SIGTERM, LAST),
    ("program", signal.SIGKILL, ""),
    ("worker", signal.SIGKILL, "asked {judge} was ended by SIGKILL, as the system does when"),
    ("worker", signal.SIGSEGV, "asked {judge} was ended by SIGSEGV"),
    ("worker", signal.SIGTERM, "asked {judge} was ended by SIGTERM"),
]


def judged_in_pieces(
    judge: Program, args: tuple[object, ...], breaks: list[tuple[str, signal.Signals, str]]
) -> None:
    """One run, broken again and again, has the scores of a run in one process left in peace."""
    name = args[args.index("--judge") + 1]
    judge.environment["JUDGE_WORKER"] = "0"
    judge("eval", *args, "--out", "unbroken")
    judge.environment["JUDGE_WORKER"] = "1"
    held = 0
    for victim, number, words in breaks:
        done = broken(judge, args, victim, number)
        assert words.format(judge=name) in done.err
        if victim == "worker":
            assert "hint: what was judged is kept, and the same command goes on" in done.err
        assert judge.rows("run") > held
        held = judge.rows("run")
    done = json.loads(judge("eval", *args, "--out", "run", "--json").out)
    assert done["reused"] == held
    assert done["made"] > 0
    expected = (judge.folder / "unbroken" / "scores.csv").read_bytes()
    assert (judge.folder / "run" / "scores.csv").read_bytes() == expected


def test_broken_in_every_way(judge: Program, recorded: Recorded) -> None:
    """With a judge that starts at once."""
    judged_in_pieces(judge, ("--model", recorded(n=150), *MOCK), BREAKS)


def test_a_language_model_is_broken(judge: Program, recorded: Recorded) -> None:
    """With transformers: the program and then the worker are killed."""
    judged_in_pieces(judge, ("--model", recorded(n=12), *TINY), BREAKS[2:4])
