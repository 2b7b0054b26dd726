"""The real program in a process of its own, and dialogues for it to judge."""

from __future__ import annotations

import csv
import json
import os
import select
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PATIENCE = 120
"""Seconds for a command to end."""
LUFFY = "《海贼王》的蒙奇·D·路飞"


class Done(NamedTuple):
    """How a process ended and what it said."""

    code: int
    out: str
    err: str


def _expected(done: Done, code: int | None) -> Done:
    assert "Traceback" not in done.err, done.err
    assert code is None or done.code == code, done.err
    return done


def _hear_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def environment(**more: str) -> dict[str, str]:
    """The variables that the program sees."""
    fixed = {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    return {**os.environ, **fixed, "COLUMNS": "80", **more}


class ForkServer:
    """The process of `fork_server.py`: the program runs in children of it, one at a time."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("fork_server.py"))],
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            preexec_fn=_hear_interrupts,  # noqa: PLW1509 - the tests start no threads
        )
        assert self._answer() == "ready"

    def run(self, arguments: list[str], folder: Path, variables: Mapping[str, str]) -> Done:
        """The same as `python -m judge ARGUMENTS` in a folder, without the time to import."""
        assert self._process.stdin is not None
        with tempfile.TemporaryDirectory() as outputs:
            out, err = Path(outputs, "out"), Path(outputs, "err")
            request = {
                "arguments": arguments,
                "folder": str(folder),
                "environment": dict(variables),
                "out": str(out),
                "err": str(err),
            }
            self._process.stdin.write(f"{json.dumps(request)}\n")
            self._process.stdin.flush()
            code = int(self._answer())
            return Done(code, out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8"))

    def close(self) -> None:
        """End it, and with it whatever it runs."""
        self._process.kill()
        self._process.communicate()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], PATIENCE)
        assert ready, f"no answer within {PATIENCE} seconds"
        return self._process.stdout.readline().strip()


class Program:
    """`judge` in a folder of its own, where no released data is in sight.

    Called, it runs in a child of the fork server. What is about starting and ending a process, such
    as signals, encodings and full disks, is asked of `python -m judge` by `start` and `end`.
    """

    def __init__(self, folder: Path, server: ForkServer) -> None:
        self.folder = folder
        self.environment = environment(JUDGE_DATA=str(folder / "no-data"))
        self._server = server

    def start(self, *args: object, before: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        """Begin; `before` are words before the command, such as `bash -c ...`."""
        return subprocess.Popen(
            [*before, sys.executable, "-m", "judge", *map(str, args)],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            # A shell lets its background jobs ignore Ctrl-C, and children inherit that: whoever
            # runs the tests in the background still tests what a user at a terminal sees.
            preexec_fn=_hear_interrupts,  # noqa: PLW1509 - the tests start no threads
        )

    def end(self, process: subprocess.Popen[str], code: int | None = 0) -> Done:
        """Wait; a user never sees a traceback, and the exit status is as expected."""
        out, err = process.communicate(timeout=PATIENCE)
        return _expected(Done(process.returncode, out, err), code)

    def __call__(self, *args: object, code: int | None = 0) -> Done:
        """Run to its end, likewise."""
        done = self._server.run(list(map(str, args)), self.folder, self.environment)
        return _expected(done, code)

    def mistake(self, *args: object) -> tuple[str, str]:
        """Message and hint of a command that ends as the user's mistake, with nothing else."""
        done = self(*args, code=2)
        assert done.out == ""
        lines = done.err.splitlines()
        at = next(i for i, line in enumerate(lines) if line.startswith("error: "))
        (hint,) = (line for line in lines[at:] if line.startswith("hint: "))
        return "\n".join(lines[at : lines.index(hint)]), hint

    def rows(self, run: str) -> int:
        """How many judgments a run holds at this moment; 0 where there is no run yet."""
        uri = (self.folder / run / "judge.sqlite").as_uri()
        try:
            with closing(sqlite3.connect(f"{uri}?mode=ro", uri=True, timeout=5)) as db:
                return int(db.execute("SELECT count(*) FROM judgment").fetchone()[0])
        except sqlite3.Error:
            return 0

    def scores(self, run: str) -> list[dict[str, str]]:
        """The rows of scores.csv."""
        with (self.folder / run / "scores.csv").open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file))


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    """One for all tests of this process."""
    server = ForkServer()
    yield server
    server.close()


@pytest.fixture
def judge(tmp_path: Path, fork_server: ForkServer) -> Program:
    return Program(tmp_path, fork_server)


@pytest.fixture
def recorded(tmp_path: Path) -> Callable[..., Path]:
    """Writes a ChatAnime file: `n` dialogues of each character, their replies changed at will."""

    def write(
        name: str = "bot",
        n: int = 2,
        characters: tuple[str, ...] = (LUFFY, "《火影忍者》的漩涡鸣人"),
        replies: Mapping[int, str] | None = None,
    ) -> Path:
        content = {
            character: [
                {
                    "dialog_id": i,
                    "question_r1": f"今天第{i}次考试没考好，有点难过。",
                    "answer_r1": (replies or {}).get(i, f"没关系，第{i}次不行就再来一次！"),
                    "question_r2": "可是我很累。",
                    "answer_r2": "那就先睡一觉，明天我陪你去吃肉！",
                }
                for i in range(1, n + 1)
            ]
            for character in characters
        }
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
        return path

    return write
