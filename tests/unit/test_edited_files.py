"""Stored files that were edited, and names that cannot be written: refused with the place."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from judge import calibration_file
from judge.dialogues import read_dialogues
from judge.errors import DataError, StoreError
from judge.runs import open_run
from judge.tables import read_table

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden"
RUN = GOLDEN / "run-v2"


# Calibrations


def edited(tmp_path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """The golden calibration with a change."""
    plain = json.loads((GOLDEN / "calibration-v1.json").read_text(encoding="utf-8"))
    change(plain)
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps(plain), encoding="utf-8")
    return path


def of_map(**changes: object) -> Callable[[dict[str, Any]], object]:
    return lambda plain: plain["fits"]["fluency"]["calibrator"].update(changes)


def of_fit(**changes: object) -> Callable[[dict[str, Any]], object]:
    return lambda plain: plain["fits"]["fluency"].update(changes)


def of_details(**changes: object) -> Callable[[dict[str, Any]], object]:
    return lambda plain: plain["fits"]["fluency"]["details"].update(changes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        # 5 x 5 + 2.21 = 27.21
        (
            of_map(slope=5, intercept=2.21),
            r"fluency gives 27.21 for the label 5, on a scale of 1 to",
        ),
        (of_map(slope=1e308), "fluency gives (inf|.*e308) for the label"),
        (of_map(slope=-1e308, intercept=1e308), "fluency gives .* for the label"),
        (of_fit(radius=-0.5), "the radius for fluency lies between 0 and 4"),
        (of_fit(radius=1e308), "the radius for fluency lies between 0 and 4"),
        (of_fit(shifts={"s0": 1e308}), "the shift of s0 for fluency"),
        (of_details(ladder=3), r"the details for fluency are broken: Expected `array`.*ladder"),
        (of_details(ladder=[{"rung": "linear"}]), r"fluency are broken: .*missing required field"),
        (of_details(ladder=[]), "fluency are broken: the ladder lacks linear"),
        (of_details(judged_means={}), r"fluency are broken: .*judged_means"),
        (of_details(judged_means={"a": "3"}), r"fluency are broken: Expected `float`"),
        (of_details(item_intervals={"held_out_coverage": {"s": 7}}), r"broken: .*<= 1"),
        (of_details(notes="text"), "fluency are broken: Expected `array`"),
        (of_fit(details=[]), "details"),
        (lambda plain: plain.update(format=0), "format"),
        (lambda plain: plain.update(format=-5), "format"),
        (lambda plain: plain.update(format=float("nan")), "malformed"),
        (lambda plain: plain.update(format=1e308), "Expected `int`"),
        (lambda plain: plain.update(scale=[5, 1]), "no scale"),
        (lambda plain: plain.update(scale=[1, 10**9]), "no scale"),
    ],
)
def test_an_edited_calibration(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    """Ranges, results and what a report shows are checked; the file and the metric are named."""
    path = edited(tmp_path, change)
    with pytest.raises(StoreError, match=message) as caught:
        calibration_file.refuse_unusable(path, calibration_file.read(path))
    assert caught.value.path == path
    assert caught.value.hint


def test_a_calibration_as_it_was_written_is_usable(tmp_path: Path) -> None:
    """The check refuses nothing that `judge calibrate` has written."""
    for path in (edited(tmp_path, of_fit()), GOLDEN / "records" / "calibration-v1.json"):
        calibration_file.refuse_unusable(path, calibration_file.read(path))


# Run folders


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A copy of the golden run."""
    folder = Path(shutil.copytree(RUN, tmp_path / "run"))
    sql(folder, (folder / "judge.sql").read_text(encoding="utf-8"))
    return folder


def sql(folder: Path, script: str) -> None:
    with closing(sqlite3.connect(folder / "judge.sqlite")) as db:
        db.executescript(script)


FOREIGN = "UPDATE judgment SET metric = 'charm' WHERE metric = (SELECT min(metric) FROM judgment)"
SET = "UPDATE judgment SET logprobs = '{}' WHERE status = 'ok'"
TURNS = "UPDATE dialogue SET turns = '{}'"


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (SET.format("[-1, -1]"), "it has 2 probabilities, and manifest.json has 5 labels"),
        (SET.format("[]"), "its log-probabilities must be numbers, one for each label"),
        (SET.format("[null, null, null, null, null]"), "log-probabilities are none"),
        (SET.format("[1e308, -1, -1, -1, -1]"), r"log-probabilities are none: .* 1e\+308"),
        (SET.format("[0, 0, 0, 0, 0]"), "log-probabilities are none"),
        (SET.format('["a", -1, -1, -1, -1]'), "must be numbers"),
        (SET.format("[true, -1, -1, -1, -1]"), "must be numbers"),
        (SET.format("7"), "not iterable"),
        (SET.format("[NaN, -1, -1, -1, -1]"), "log-probabilities are none"),
        (FOREIGN, "the metric is not one of manifest.json"),
        (TURNS.format("[[1, 2]]"), "its turns must be pairs of texts"),
        (TURNS.format('[["a"]]'), "its turns must be pairs of texts"),
        (TURNS.format('{"a": "b"}'), "its turns must be pairs of texts"),
        ("UPDATE dialogue SET system = x'ff'", "its names must be texts"),
    ],
)
def test_an_edited_row(run: Path, script: str, message: str) -> None:
    """The database and the row are named, whatever was written into it."""
    with closing(sqlite3.connect(run / "judge.sqlite")) as db:
        table = "judgment" if "judgment" in script else "dialogue"
        (character,) = db.execute(f"SELECT character FROM {table}").fetchone()  # noqa: S608
    sql(run, script)
    with pytest.raises(StoreError, match=message) as caught:
        open_run(run)
    assert caught.value.path == run / "judge.sqlite"
    assert character in str(caught.value)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["1"], "a rubric has two labels or more, not 1"),
        (["1", "2"], "it has 5 probabilities, and manifest.json has 2 labels"),
        ([], "a rubric has two labels or more, not 0"),
    ],
)
def test_an_edited_manifest(run: Path, labels: list[str], message: str) -> None:
    """Labels that cannot be those of the run are refused, with the file."""
    path = run / "manifest.json"
    plain = json.loads(path.read_text(encoding="utf-8"))
    plain["rubric"]["labels"] = labels
    path.write_text(json.dumps(plain), encoding="utf-8")
    with pytest.raises(StoreError, match=message) as caught:
        open_run(run)
    assert caught.value.path is not None
    assert caught.value.path.parent == run


# Names


TURN = '"question_r1": "a", "answer_r1": "b"'
HALVES = {
    "dialog_id.json": f'{{"路飞": [{{"dialog_id": "x\\ud800", {TURN}}}]}}',
    "character.json": f'{{"路\\udc00飞": [{{"dialog_id": "x", {TURN}}}]}}',
    "scenario.jsonl": '{"system": "s", "character": "c", "scenario": "x\\ud800", "round": 1, '
    '"question": "a", "answer": "b"}\n',
}


@pytest.mark.parametrize("name", HALVES)
def test_half_a_character_in_a_name(tmp_path: Path, name: str) -> None:
    """`data check`, `eval` and `ratings sheet` say the same, with the place, before the work."""
    path = tmp_path / name
    path.write_text(HALVES[name], encoding="utf-8")
    place = f"{name.partition('.')[0]} holds half a character"
    with pytest.raises(DataError, match=place):
        read_dialogues(path)
    said = set()
    for words in (
        ("data", "check", str(path)),
        ("eval", "--model", str(path), "--judge", "mock", "--out", str(tmp_path / "out")),
        ("ratings", "sheet", str(path), "--raters", "1", "--out", str(tmp_path / "sheets")),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "judge", *words],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2
        said.add(next(line for line in done.stderr.splitlines() if line.startswith("error: ")))
    assert len(said) == 1
    assert re.search(place, said.pop())


def test_a_file_name_that_is_not_utf8_is_refused_before_the_work(tmp_path: Path) -> None:
    """What reports could not name is not read, and no command begins to write there."""
    name = os.fsdecode(bytes(tmp_path) + b"/rat\xffings.csv")
    try:
        Path(name).write_text("a,b\n1,2\n", encoding="utf-8")
    except OSError:
        pytest.skip("this file system has names in UTF-8 only")
    with pytest.raises(DataError, match="the name is not UTF-8"):
        read_table(Path(name))
    for words in (
        ("calibrate", str(RUN), "--ratings", name, "--out", str(tmp_path / "c.json")),
        ("calibrate", str(RUN), "--published", "paper", "--out", name),
        ("agree", str(RUN), "--ratings", name, "--out", str(tmp_path / "a")),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "judge", *words],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2
        assert "the name is not UTF-8" in done.stderr
