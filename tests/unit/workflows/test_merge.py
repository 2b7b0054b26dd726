"""Runs of one judge become one: whole or not at all, and never against each other."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import judge
from judge.cli.operator_command import merge as command
from judge.errors import RunMismatchError, StoreError, UsageError
from judge.workflows.merge import merge

ROOT = Path(__file__).parents[3]
DEMO = ROOT / "scripts" / "demo_dialogues"


def change(folder: Path, statement: str) -> None:
    with closing(sqlite3.connect(folder / "judge.sqlite")) as db:
        db.execute(statement)
        db.commit()


def rows(folder: Path) -> list[Any]:
    return [judge.open_run(folder).judgments, judge.open_run(folder).dialogues]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of one judge: `whole`, and two that share the third scenario."""
    folder = tmp_path_factory.mktemp("runs")
    asked: dict[str, Any] = {"judge": "mock", "rubric": "tiny", "metrics": ["fluency"]}
    for name, scenarios in (("whole", ()), ("a", ("1-3",)), ("b", ("3-4",))):
        judge.evaluate(DEMO, scenarios=scenarios, out=folder / name, **asked)
    return folder


@pytest.fixture
def runs(made: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    shutil.copytree(made, tmp_path / "runs")
    return tmp_path / "runs"


def test_two_parts_are_the_whole(runs: Path) -> None:
    """Judgments and dialogues are those of one run over everything; the counts are told."""
    shared = len(rows(runs / "a")[0]) + len(rows(runs / "b")[0]) - len(rows(runs / "whole")[0])
    assert shared > 0
    done = merge([runs / "a", runs / "b"], runs / "new" / "both")
    assert rows(done.folder) == rows(runs / "whole")
    assert (done.systems, done.dialogues, done.judgments) == (2, 48, 48)
    assert (done.twice, done.failed, done.finished) == (shared, 0, True)
    assert sorted(p.name for p in done.folder.parent.iterdir()) == ["both"]
    manifest = json.loads((done.folder / "manifest.json").read_bytes())
    assert manifest["data"].keys() == {"stiff-bot", "warm-friend"}
    assert "scenarios" not in manifest["options"]  # they were not the same
    assert manifest["options"]["metrics"] == ["fluency"]


def test_what_is_merged_can_be_merged_and_go_on(runs: Path) -> None:
    """It is a run like any other: the command that made its parts finds everything there."""
    first = merge([runs / "a", runs / "b"], runs / "both").folder
    again = merge([first, runs / "whole"], runs / "again")
    assert (again.judgments, again.twice) == (48, 48)
    resumed = judge.evaluate(
        DEMO, judge="mock", rubric="tiny", metrics=["fluency"], out=runs / "again"
    )
    assert (resumed.made, resumed.reused) == (0, 48)


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_a_score_counts_and_a_failure_does_not(runs: Path, order: tuple[str, str]) -> None:
    """What failed in one run and was judged in the other is judged, whichever comes first."""
    failed = "UPDATE judgment SET status = 'no_answer', reason = 'busy' WHERE scenario = '3'"
    change(runs / "a", failed)
    done = merge([runs / name for name in order], runs / "both")
    assert rows(done.folder) == rows(runs / "whole")
    change(runs / "b", failed)
    assert merge([runs / name for name in order], runs / "failed").failed > 0


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (
            "UPDATE judgment SET logprobs = replace(logprobs, '-', '-1') WHERE scenario = '3'",
            "another score or prompt of stiff-bot/.*/3/fluency",
        ),
        ("UPDATE judgment SET key = 'f' WHERE scenario = '3'", "another score or prompt of"),
        (
            "UPDATE judgment SET rationale = 'because' WHERE scenario = '3'",
            "another score or prompt of",
        ),
        (
            'UPDATE dialogue SET turns = \'[["q", "a"]]\' WHERE scenario = 3',
            "another text of the dialogue stiff-bot/.*/3",
        ),
    ],
)
def test_contradictions_are_refused(runs: Path, statement: str, message: str) -> None:
    """They name what differs and the folder, and nothing is left of the attempt."""
    change(runs / "b", statement)
    with pytest.raises(RunMismatchError, match=message) as raised:
        merge([runs / "a", runs / "b"], runs / "new" / "both")
    assert raised.value.path == runs / "b"
    assert list((runs / "new").iterdir()) == []


def test_runs_that_do_not_fit(runs: Path) -> None:
    """Another judge or rubric, no run, one run, one twice, a place that is taken."""
    judge.evaluate(DEMO, judge="mock", seed=1, rubric="tiny", metrics=["fluency"], out=runs / "s")
    with pytest.raises(RunMismatchError, match="fingerprint mock/1"):
        merge([runs / "a", runs / "s"], runs / "both")
    with pytest.raises(StoreError, match="this is no run folder"):
        merge([runs / "a", runs], runs / "both")
    for folders in ([runs / "a"], [runs / "a", runs / "b", runs / "b" / ".." / "a"]):
        with pytest.raises(UsageError, match="two different run folders"):
            merge(folders, runs / "both")
    with pytest.raises(UsageError, match="it is there already"):
        merge([runs / "a", runs / "b"], runs / "whole")
    assert not (runs / "both").exists()


def test_a_damaged_run_is_named(runs: Path) -> None:
    """Half of its database is zeros: the message names the run, and nothing is made."""
    path = runs / "b" / "judge.sqlite"
    content = path.read_bytes()
    path.write_bytes(content[:4096] + bytes(len(content) - 4096))
    with pytest.raises(StoreError, match="b"):
        merge([runs / "a", runs / "b"], runs / "new" / "both")
    assert list((runs / "new").iterdir()) == []


def test_an_old_run_is_taken_in(tmp_path: Path) -> None:
    """The golden run of format 1: its scores were read exactly and have no reasons."""
    golden = ROOT / "tests" / "golden" / "run-v1"
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        with closing(sqlite3.connect(tmp_path / name / "judge.sqlite")) as db:
            db.executescript((golden / "judge.sql").read_text(encoding="utf-8"))
        shutil.copy(golden / "manifest.json", tmp_path / name)
    change(tmp_path / "two", "UPDATE judgment SET system = 'another'")
    change(tmp_path / "two", "UPDATE dialogue SET system = 'another'")
    done = merge([tmp_path / "one", tmp_path / "two"], tmp_path / "both")
    found, old = judge.open_run(done.folder), judge.open_run(tmp_path / "one")
    assert [j for j in found.judgments if j.system != "another"] == list(old.judgments)
    assert len(found.judgments) == 2 * len(old.judgments)


def test_unfinished_runs_stay_unfinished(runs: Path) -> None:
    """The merged run says so, and the command ends with 1."""
    manifest = runs / "b" / "manifest.json"
    record = json.loads(manifest.read_bytes())
    manifest.write_text(json.dumps({**record, "finished": None}), encoding="utf-8")
    words = [str(runs / "a"), str(runs / "b"), "--out", str(runs / "both"), "--json"]
    result = CliRunner().invoke(command, words)
    assert result.exit_code == 1, result.output
    told = json.loads(result.stdout.splitlines()[-1])
    assert (told["judgments"], told["finished"]) == (48, False)
    assert judge.open_run(runs / "both").manifest.finished is None
