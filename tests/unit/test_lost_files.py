"""Files of a run that are moved, deleted, lost or left over: said, never begun anew in silence."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from judge.errors import StoreError
from judge.records import write_text
from judge.store import Store
from judge.types import Judgment, ScoreDistribution

ROOT = Path(__file__).parents[2]
GOOD = ScoreDistribution((-2.0, -2.0, -2.0, -2.0, -2.0), True)


def judgment(number: int) -> Judgment:
    return Judgment("k" * 64, "s", "c", str(number), "fluency", GOOD)


def evaluate(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """`judge eval` of 20 dialogues with the mock judge."""
    data = folder.parent / "rows.csv"
    rows = [f"bot,路飞,{n},{r},问题{n},回答{r}\n" for n in range(20) for r in (1, 2)]
    data.write_text("system,character,scenario,round,question,answer\n" + "".join(rows), "utf-8")
    return subprocess.run(
        [sys.executable, "-m", "judge", "eval", "--model", str(data), "--judge", "mock", "--out",
         str(folder), *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip


@pytest.mark.parametrize("what", ["moved", "deleted", "replaced"])
def test_a_database_that_goes_away_while_it_is_used(tmp_path: Path, what: str) -> None:
    """SQLite would go on writing to the file that has no name any more: nothing would be kept."""
    folder = tmp_path / "run"
    with Store(folder) as store:
        store.add([judgment(1)])
        if what == "moved":
            folder.rename(tmp_path / "elsewhere")
        else:
            (folder / "judge.sqlite").unlink()
        if what == "replaced":
            (folder / "judge.sqlite").write_bytes(b"")
        with pytest.raises(StoreError, match="moved or deleted while it was in use") as caught:
            store.add([judgment(2)])
    assert caught.value.path == folder / "judge.sqlite"


@pytest.mark.parametrize("what", ["missing", "empty"])
def test_a_lost_database_beside_a_manifest_is_not_begun_anew(tmp_path: Path, what: str) -> None:
    """It ends with 2 and says what to do; without the manifest, all is judged again."""
    folder = tmp_path / "run"
    assert evaluate(folder).returncode == 0
    if what == "missing":
        (folder / "judge.sqlite").unlink()
    else:
        (folder / "judge.sqlite").write_bytes(b"")
    done = evaluate(folder)
    assert done.returncode == 2
    assert "its database is missing or empty" in done.stderr
    assert "delete manifest.json, and all is judged again" in done.stderr
    (folder / "manifest.json").unlink()
    done = evaluate(folder)
    assert done.returncode == 0
    assert "180 judgments made, 0 were there" in done.stderr


KILLED = """
import os, signal, sys
from pathlib import Path
from judge.store import Store
from judge.types import Judgment, ScoreDistribution
store = Store(Path(sys.argv[1]))
for n in range(3):
    found = ScoreDistribution((-2.0,) * 5, True)
    store.add([Judgment("k" * 64, "s", "c", str(n), "fluency", found)])
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """A run folder whose writer was killed: its rows are in the write-ahead log."""
    folder = tmp_path / "run"
    subprocess.run(
        [sys.executable, "-c", KILLED, folder],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert (folder / "judge.sqlite-wal").stat().st_size > 0
    return folder


def test_a_removed_log_is_said(killed: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Without the log the last rows are gone; whoever opens the database next says so."""
    (killed / "judge.sqlite-wal").unlink()
    (killed / "judge.sqlite-shm").unlink(missing_ok=True)
    with caplog.at_level(logging.WARNING, "judge"), Store(killed, create=False) as store:
        assert len(store.judgments()) < 3
    assert "judge.sqlite-wal is gone" in caplog.text


def test_a_killed_run_with_its_log_has_lost_nothing(
    killed: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the first that opens it, a report, nor the next says that anything was lost."""
    with caplog.at_level(logging.WARNING, "judge"):
        for create in (False, True, False):
            with Store(killed, create=create) as store:
                assert len(store.judgments()) == 3
    assert caplog.text == ""


def test_parts_of_killed_writers_are_removed(tmp_path: Path) -> None:
    """The next write of the same file removes them; those of processes that run are kept."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    litter = tmp_path / f"report.html.{gone.pid}.part"
    kept = [tmp_path / f"report.html.{os.getppid()}.part", tmp_path / "report.html.mine.part"]
    for path in (litter, *kept):
        path.write_text("half", encoding="utf-8")
    write_text(tmp_path / "report.html", "whole")
    assert not litter.exists()
    assert all(path.exists() for path in kept)


def test_sheets_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    """On a disk that is full before the end nothing is left, and the next try is not refused."""
    resource = pytest.importorskip("resource")
    data = tmp_path / "rows.csv"
    rows = [f"bot,路飞,{n},{r},问题{n},{'回答' * 500}\n" for n in range(30) for r in (1, 2)]
    data.write_text("system,character,scenario,round,question,answer\n" + "".join(rows), "utf-8")
    out = tmp_path / "out"
    command = [sys.executable, "-m", "judge", "ratings", "sheet", str(data), "--raters", "2"]
    command += ["--out", str(out), "--format", "csv"]

    def run(largest: int | None) -> subprocess.CompletedProcess[str]:
        def limit() -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            if largest is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))

        return subprocess.run(
            command,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=limit,
        )

    for largest in (1, 4096, 100_000):
        done = run(largest)
        if done.returncode == 0:
            break
        assert done.returncode == 2
        assert "cannot be written" in done.stderr
        assert [path for path in out.rglob("*") if not path.is_dir()] == []
    assert run(None).returncode == (2 if done.returncode == 0 else 0)
    assert (out / "key.json").exists()
