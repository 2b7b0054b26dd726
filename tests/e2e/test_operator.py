"""`judge doctor`, `judge runs`, `judge export` and `--verbose`, as an operator uses them."""

from __future__ import annotations

import csv
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.e2e.conftest import Program

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(judge: Program, recorded: Callable[..., Path]) -> Path:
    """A run of `mock` over four dialogues, one of which has an empty reply."""
    judge("eval", "--model", recorded(replies={2: ""}), "--judge", "mock", "--out", "run", code=1)
    return judge.folder / "run"


def stored(run: Path) -> dict[tuple[str, ...], float]:
    """(character, scenario, metric) -> expected label, by hand from the database."""
    with closing(sqlite3.connect(run / "judge.sqlite")) as db:
        rows = db.execute(
            "SELECT character, scenario, metric, p FROM (SELECT character, scenario, metric,"
            " (SELECT sum(exp(value) * (key + 1)) / sum(exp(value)) FROM json_each(logprobs)) AS p"
            " FROM judgment WHERE status = 'ok')"
        ).fetchall()
    return {tuple(row[:3]): row[3] for row in rows}


@pytest.mark.parametrize("name", ["j.csv", "j.jsonl", "j.parquet"])
def test_an_export_has_every_judgment_and_what_was_judged(
    judge: Program, run: Path, name: str
) -> None:
    """One row a judgment; the scores are those of the database, failures have a reason."""
    pandas = pytest.importorskip("pandas")
    done = judge("export", run, "--dialogues", "--out", name, code=1)
    assert done.out == f"36 judgments, 18 of them without a score: {name}\n"
    path = judge.folder / name
    if name == "j.csv":
        frame = pandas.read_csv(path, dtype={"scenario": str}, encoding="utf-8-sig")
    elif name == "j.jsonl":
        lines = path.read_text(encoding="utf-8").splitlines()
        frame = pandas.DataFrame([json.loads(line) for line in lines])
    else:
        frame = pandas.read_parquet(path)
    expected = stored(run)
    assert len(frame) == 36
    assert len(expected) == 18
    for row in frame.to_dict("records"):
        place = (row["character"], row["scenario"], row["metric"])
        assert f"今天第{row['scenario']}次考试" in row["question_1"]
        assert row["answer_2"] == "那就先睡一觉，明天我陪你去吃肉！"
        if row["status"] == "ok":
            assert row["score"] == pytest.approx(expected[place], abs=1e-12)
            assert sum(row[f"p{label}"] for label in range(1, 6)) == pytest.approx(1, abs=1e-12)
        else:
            assert place not in expected
            assert row["status"] == "empty_reply"
            assert row["reason"]
            assert pandas.isna(row["score"])


def test_an_export_needs_a_known_ending(judge: Program, run: Path) -> None:
    """The message names the file, and the hint the endings."""
    message, hint = judge.mistake("export", run, "--out", "j.txt")
    assert "j.txt" in message
    assert ".csv, .jsonl or .parquet" in hint


def test_the_list_of_runs(judge: Program, run: Path) -> None:
    """A finished, an unfinished and a broken run: none hides another."""
    runs = judge.folder / "runs"
    for name in ("done", "stopped", "broken"):
        shutil.copytree(run, runs / name)
    manifest = runs / "stopped" / "manifest.json"
    facts = json.loads(manifest.read_text(encoding="utf-8"))
    manifest.write_text(json.dumps({**facts, "finished": None}), encoding="utf-8")
    (runs / "broken" / "manifest.json").write_text("{", encoding="utf-8")
    (runs / "no run").mkdir()
    done = judge("runs", "--json", code=1)
    entries = {Path(entry["folder"]).name: entry for entry in json.loads(done.out)["runs"]}
    assert {name: entry["state"] for name, entry in entries.items()} == {
        "done": "finished",
        "stopped": "unfinished",
        "broken": "unreadable",
    }
    counts = {key: entries["done"][key] for key in ("systems", "dialogues", "judgments", "failed")}
    assert counts == {"systems": 1, "dialogues": 4, "judgments": 36, "failed": 18}
    size = sum(file.stat().st_size for file in (runs / "done").rglob("*") if file.is_file())
    assert entries["done"]["size"] == size
    assert "broken" in judge("runs", code=1).out


def test_no_runs(judge: Program) -> None:
    """A folder without runs is no mistake, one that is not there is."""
    (judge.folder / "runs").mkdir()
    assert judge("runs").out == "no runs\n"
    message, _ = judge.mistake("runs", "elsewhere")
    assert "elsewhere" in message


def test_the_doctor_names_what_is_there(judge: Program) -> None:
    """The embedded judge needs nothing; a folder that is no model is a problem with a hint."""
    done = judge("doctor", "--judge", "lexical")
    assert "ok      judge lexical: runs with the engine lexical" in done.out
    assert "ok      Python: 3." in done.out
    (judge.folder / "model").mkdir()
    done = judge("doctor", "--judge", "model", "--json", code=1)
    checks = {check["about"]: check for check in json.loads(done.out)["checks"]}
    assert checks["judge model"]["state"] == "problem"
    assert checks["judge model"]["hint"]


def test_the_doctor_weighs_a_model_against_the_memory(judge: Program) -> None:
    """Weights of a million GiB fit nowhere: the file is sparse, so it takes no room here."""
    pytest.importorskip("transformers")
    model = judge.folder / "model"
    shutil.copytree(ROOT / "judge" / "embedded" / "tiny", model)
    weights = next(model.glob("*.safetensors"))
    with weights.open("r+b") as file:
        file.truncate(2**43)
    done = judge("doctor", "--judge", "model", "--json", code=1)
    check = next(c for c in json.loads(done.out)["checks"] if c["about"] == "judge model")
    assert check["state"] == "problem"
    assert check["result"].startswith("8192.0 GiB of weights")
    assert "smaller model" in check["hint"]


def test_verbose_tells_the_batches_and_where_an_error_arose(
    judge: Program, recorded: Callable[..., Path]
) -> None:
    """Without it neither is said, so that a user's mistake never shows a traceback."""
    words = ("eval", "--model", recorded(), "--judge", "mock", "--out", "run")
    assert "DEBUG judge.pipeline" in judge(*words, "--verbose").err
    assert "DEBUG" not in judge(*words).err
    process = judge.start("report", "nowhere", "-v")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "Traceback" in err
    assert err.splitlines()[-2].startswith("error: nowhere: ")
    judge.mistake("report", "nowhere")


def test_the_dockerfile_passes_its_linter() -> None:
    """Its linter knows the mistakes of images: unpinned bases, caches left behind, bad shells."""
    linter = Path(sys.executable).with_name("hadolint")
    if not linter.exists():
        pytest.skip("hadolint is not installed")
    done = subprocess.run(
        [linter, ROOT / "scripts" / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_a_table_for_a_spreadsheet_has_no_formula(
    judge: Program, recorded: Callable[..., Path]
) -> None:
    """A reply that begins with `=` is text in the CSV file."""
    path = recorded(replies={1: '=HYPERLINK("http://x")'}, n=1)
    judge("eval", "--model", path, "--judge", "mock", "--out", "run")
    judge("export", "run", "--dialogues", "--out", "j.csv")
    with (judge.folder / "j.csv").open(encoding="utf-8-sig", newline="") as file:
        answers = {row["answer_1"] for row in csv.DictReader(file)}
    assert len(answers) == 1
    assert not answers.pop().startswith("=")
