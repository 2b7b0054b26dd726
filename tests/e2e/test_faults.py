"""What is done to a run in `docs/reliability.md`, really done.

`JUDGE_KILLS=20` makes the tests of random instants kill that often.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.e2e.conftest import Program

ROOT = Path(__file__).parents[2]
KILLS = int(os.environ.get("JUDGE_KILLS", "2"))
SLOW = ("--judge", "mock", "--batch-size", 1)
Recorded = Callable[..., Path]


def duration(judge: Program, *args: object) -> float:
    """Seconds that a command takes when it is left in peace."""
    began = time.monotonic()
    judge.end(judge.start(*args))
    return time.monotonic() - began


def kill_at(judge: Program, instant: float, *args: object) -> bool:
    """SIGKILL to a command after so many seconds; whether it had not ended before."""
    process = judge.start(*args)
    time.sleep(instant)
    process.kill()
    process.communicate()
    return process.returncode == -signal.SIGKILL


def test_killed_at_random_instants(judge: Program, recorded: Recorded) -> None:
    """SIGKILL at instants drawn over the whole time: no judgment is lost, none is made twice.

    What the run holds never shrinks, and the table that it exports at the end is that of a run that
    was left in peace, to the byte.
    """
    args = ("eval", "--model", recorded(n=80), *SLOW, "--out")
    took = duration(judge, *args, "unbroken")
    draw = random.Random(0)  # noqa: S311 - instants, not secrets
    held = killed = 0
    for _ in range(KILLS):
        killed += kill_at(judge, draw.uniform(0, took), *args, "run")
        assert judge.rows("run") >= held
        held = judge.rows("run")
    assert killed
    done = json.loads(judge(*args, "run", "--json").out)
    assert done["made"] + done["reused"] == 9 * 160
    assert done["reused"] in {held, held - (judge.rows("unbroken") - 9 * 160)}
    for run in ("unbroken", "run"):
        judge("export", run, "--dialogues", "--out", f"{run}.jsonl")
    tables = [(judge.folder / f"{run}.jsonl").read_bytes() for run in ("unbroken", "run")]
    assert tables[0] == tables[1]


def test_killed_while_reports_are_written(judge: Program, recorded: Recorded) -> None:
    """Each file of a report is there whole or not at all, and those of an older one stay whole."""
    judge("eval", "--model", recorded(n=30), *SLOW, "--out", "run")
    took = duration(judge, "report", "run", "--out", "whole")
    whole = {path.name: path.read_bytes() for path in (judge.folder / "whole").iterdir()}
    draw = random.Random(1)  # noqa: S311 - instants, not secrets
    for _ in range(KILLS):
        kill_at(judge, draw.uniform(took / 2, took), "report", "run", "--out", "page")
        folder = judge.folder / "page"
        for path in folder.iterdir() if folder.exists() else ():
            if path.suffix != ".part":
                assert path.read_bytes() == whole[path.name], path.name
    judge("report", "run", "--out", "page")
    assert {path.name for path in (judge.folder / "page").iterdir()} == whole.keys()


SMALL_DISK = """mount -t tmpfs -o size={size}k none small || exit 99
test {size} -gt 4 || head -c 9999 /dev/zero >small/filler 2>/dev/null
exec "$@" """
"""One page is the smallest disk: it is filled, so that not even a small file finds room."""


def on_small_disk(judge: Program, size: int, *args: object) -> tuple[int, str]:
    """A command in whose eyes the folder `small` is a disk of so many kB; status and errors."""
    (judge.folder / "small").mkdir(exist_ok=True)
    words = ("unshare", "--map-root-user", "--mount", "sh", "-c", SMALL_DISK.format(size=size))
    process = judge.start(*args, before=(*words, "small"))
    _, err = process.communicate(timeout=120)
    assert "Traceback" not in err
    return process.returncode, err


def can_mount() -> bool:
    """Whether this user may mount a disk in a namespace of his own."""
    words = ["unshare", "--map-root-user", "--mount", "sh", "-c", "mount -t tmpfs none /mnt"]
    try:
        return subprocess.run(words, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@pytest.mark.skipif(not can_mount(), reason="this user cannot mount a small disk")
def test_a_disk_without_room(judge: Program, recorded: Recorded) -> None:
    """Judging, reporting, agreeing, calibrating and exporting end with 2, a file and a hint."""
    path = recorded(n=60)
    judge("eval", "--model", path, *SLOW, "--out", "run")
    with (judge.folder / "ratings.csv").open("w", encoding="utf-8") as file:
        file.write("system,character,scenario,metric,rater,score\n")
        for row in judge.scores("run"):
            if row["metric"] == "response_diversity":
                continue
            place = [row[name] for name in ("system", "character", "scenario", "metric")]
            file.write(",".join([*place, "r1", str(1 + len(row["score"]) % 5)]) + "\n")
    for size, *args in (
        (80, "eval", "--model", path, *SLOW, "--out", "small/run"),
        (40, "report", "run", "--out", "small/report"),
        (40, "agree", "run", "--ratings", "ratings.csv", "--out", "small/agreement"),
        (4, "calibrate", "run", "--ratings", "ratings.csv", "--out", "small/c.json"),
        (40, "export", "run", "--out", "small/j.csv"),
    ):
        code, err = on_small_disk(judge, size, *args)
        assert code == 2, (args, err)
        assert "error: small" in err, (args, err)
        assert "hint: " in err
    judge("report", "run")


def test_flipped_bits(judge: Program, recorded: Recorded) -> None:
    """One flipped bit anywhere in the database: an error of two lines, or a report.

    Never a traceback. A digit that became another digit cannot be told: SQLite keeps no checksums.
    """
    judge("eval", "--model", recorded(n=5), *SLOW, "--out", "run")
    whole = (judge.folder / "run" / "judge.sqlite").read_bytes()
    draw = random.Random(2)  # noqa: S311 - bits, not secrets
    codes = set()
    for _ in range(4 * KILLS):
        damaged = bytearray(whole)
        damaged[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
        (judge.folder / "run" / "judge.sqlite").write_bytes(damaged)
        codes.add(judge("report", "run", "--out", "page", code=None).code)
        shutil.rmtree(judge.folder / "page", ignore_errors=True)
    assert codes <= {0, 1, 2}


MEASURE = """
import resource, sys
from judge.cli.main import main
try:
    main()
finally:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
"""


def peak(judge: Program, *args: object) -> int:
    """The most memory that a command took, in KiB."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *map(str, args)],
        cwd=judge.folder,
        env=judge.environment,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    return int(done.stderr.split()[-1])


def test_memory_does_not_grow_with_the_batches(judge: Program, recorded: Recorded) -> None:
    """Twelve times as many judgments take less than 40 MiB more to judge and to report.

    By hand: of a judgment the program keeps its key while it judges, and itself for the report,
    together under 3 KiB; 9,900 more of them are 29 MiB.
    """
    pytest.importorskip("resource")
    small = peak(judge, "eval", "--model", recorded("few", n=50), *SLOW, "--out", "few")
    large = peak(judge, "eval", "--model", recorded("many", n=600), *SLOW, "--out", "many")
    with closing(sqlite3.connect(judge.folder / "many" / "judge.sqlite")) as db:
        assert db.execute("SELECT count(*) FROM judgment").fetchone()[0] > 9 * 1200
    assert large - small < 40 * 1024


HOSTILE = (
    "../../outside",
    "/tmp/outside",  # noqa: S108 - a name
    "a/b\\c",
    "..",
    "CON",
    "-rf",
    "$(touch outside)",
    "=1+1",
)


def test_no_name_leads_out_of_the_folder(judge: Program) -> None:
    """Systems, characters and scenarios called like paths and commands: all files stay in `--out`.

    They are judged, reported, compared with ratings, ranked, exported and given out as sheets.
    """
    work = judge.folder / "a" / "b"
    rows = [
        dict.fromkeys(("system", "character", "scenario"), name)
        | {"round": n, "question": "累", "answer": "睡吧"}
        for name in HOSTILE
        for n in (1, 2)
    ]
    work.mkdir(parents=True)
    (work / "rows.json").write_text(json.dumps(rows), encoding="utf-8")
    places = [{"system": n, "character": n, "scenario": n, "metric": "fluency"} for n in HOSTILE]
    ratings = [{**place, "rater": "../r", "score": 1 + i % 5} for i, place in enumerate(places)]
    (work / "ratings.json").write_text(json.dumps(ratings), encoding="utf-8")
    before = {path for path in judge.folder.rglob("*") if work not in path.parents}
    for words in (
        ("eval", "--model", work / "rows.json", "--judge", "mock", "--out", work / "run"),
        ("report", work / "run", "--out", work / "report"),
        ("agree", work / "run", "--ratings", work / "ratings.json", "--out", work / "agreement"),
        ("leaderboard", work / "run", "--out", work / "board"),
        ("export", work / "run", "--dialogues", "--out", work / "j.csv"),
        ("ratings", "sheet", work / "rows.json", "--out", work / "sheets", "--raters", 2),
    ):
        done = judge(*words, code=None)
        assert done.code in {0, 1}, done.err
    after = {path for path in judge.folder.rglob("*") if work not in path.parents}
    assert after == before
    assert not Path("/tmp/outside").exists()  # noqa: S108 - one of the names
