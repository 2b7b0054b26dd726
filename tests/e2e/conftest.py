"""The real program in a process of its own, and dialogues for it to judge."""

from __future__ import annotations

import csv
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
LUFFY = "《海贼王》的蒙奇·D·路飞"


class Done(NamedTuple):
    """How a process ended and what it said."""

    code: int
    out: str
    err: str


def _hear_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Program:
    """`python -m judge` in a folder of its own, where no released data is in sight."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "JUDGE_DATA": str(folder / "no-data"),
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
            "COLUMNS": "80",
        }

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
        out, err = process.communicate(timeout=120)
        assert "Traceback" not in err, err
        assert code is None or process.returncode == code, err
        return Done(process.returncode, out, err)

    def __call__(self, *args: object, code: int = 0) -> Done:
        return self.end(self.start(*args), code)

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
        with (self.folder / run / "scores.csv").open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))


@pytest.fixture
def judge(tmp_path: Path) -> Program:
    return Program(tmp_path)


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
