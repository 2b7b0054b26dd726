"""`judge report`: over one run, over several, and over one of an older version."""

from __future__ import annotations

import json
import math
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.unit.stored import unpacked

if TYPE_CHECKING:
    from tests.e2e.conftest import Program

GOLDEN = Path(__file__).parents[1] / "golden"
Recorded = Callable[..., Path]


def made(judge: Program, path: Path, run: str, *options: object) -> dict[str, bytes]:
    """Judge with the mock; the files of the run."""
    judge("eval", "--model", path, "--judge", "mock", "--out", run, *options)
    return {p.name: p.read_bytes() for p in (judge.folder / run).iterdir()}


def test_the_report_of_a_run_can_be_written_again(judge: Program, recorded: Recorded) -> None:
    """Byte for byte what `eval` wrote; the judgments and the manifest stay as they are."""
    before = made(judge, recorded(), "run")
    for name in ("report.html", "dialogues.html", "scores.csv", "results.json"):
        (judge.folder / "run" / name).unlink()
    done = judge("report", "run")
    assert done.out.splitlines()[-1] == "report: run/report.html"
    assert {p.name: p.read_bytes() for p in (judge.folder / "run").iterdir()} == before


def test_another_folder(judge: Program, recorded: Recorded) -> None:
    """With --out the report is made there, folders above included, and the run left alone."""
    before = made(judge, recorded(), "run")
    found = json.loads(judge("report", "run", "--out", "reports/one", "--json").out)
    assert (found["report"], found["failed"]) == ("reports/one/report.html", 0)
    new = judge.folder / "reports" / "one"
    assert (new / "scores.csv").read_bytes() == before["scores.csv"]
    assert json.loads((new / "results.json").read_bytes()) == found["results"]
    assert {p.name: p.read_bytes() for p in (judge.folder / "run").iterdir()} == before


def test_several_runs_become_one_table(judge: Program, recorded: Recorded) -> None:
    """The systems of all runs, each with the scores it has alone."""
    alone = {
        name: made(judge, recorded(name, replies={1: f"我是{name}。"}), name)["scores.csv"]
        for name in ("ace", "bo")
    }
    done = judge("report", "ace", "bo", "--out", "both")
    assert "ace" in done.out
    assert "bo" in done.out
    head = alone["ace"].splitlines()[0]
    expected = [head, *alone["ace"].splitlines()[1:], *alone["bo"].splitlines()[1:]]
    assert (judge.folder / "both" / "scores.csv").read_bytes().splitlines() == expected
    results = json.loads((judge.folder / "both" / "results.json").read_bytes())
    assert {"data ace", "data bo"} <= results["provenance"].keys()


def test_what_agree_found_is_in_the_next_report(judge: Program, recorded: Recorded) -> None:
    """As long as judge and rubric are the same; a broken file is named, with what to do."""
    made(judge, recorded(), "run", "--metrics", "fluency")
    rows = [
        f"{row['system']},{row['character']},{row['scenario']},fluency,{round(float(row['score']))}"
        for row in judge.scores("run")
    ]
    ratings = judge.folder / "ratings.csv"
    ratings.write_text("\n".join(["system,character,scenario,metric,score", *rows]), "utf-8")
    judge("agree", "run", "--ratings", ratings)
    page, told = judge.folder / "run" / "report.html", "By <code>judge agree</code>: "
    assert told not in page.read_text(encoding="utf-8")
    judge("report", "run")
    assert told in page.read_text(encoding="utf-8")
    kept = judge.folder / "run" / "agreement" / "agreement.json"
    other = json.loads(kept.read_bytes())
    other["provenance"]["judge fingerprint"] = "another"
    kept.write_text(json.dumps(other), encoding="utf-8")
    judge("report", "run")
    assert told not in page.read_text(encoding="utf-8")
    kept.write_text("{", encoding="utf-8")
    message, hint = judge.mistake("report", "run")
    assert "not a readable agreement" in message
    assert "judge agree" in hint


def test_failures_are_counted(judge: Program, recorded: Recorded) -> None:
    """Exit 1 as long as there are any, for one run and for several."""
    judge("eval", "--model", recorded("ace"), "--judge", "mock", "--out", "ace")
    path = recorded("bo", replies={1: ""})
    judge("eval", "--model", path, "--judge", "mock", "--out", "bo", code=1)
    for runs in (("bo",), ("ace", "bo", "--out", "both")):
        assert json.loads(judge("report", *runs, "--json", code=1).out)["failed"] == 18


def test_what_was_not_asked_is_no_failure(judge: Program, recorded: Recorded) -> None:
    """A second metric for some dialogues only: the others are said to lack it, exit 0."""
    made(judge, recorded(), "run", "--metrics", "fluency")
    made(judge, recorded(), "run", "--metrics", "coherency", "--limit", 1)
    found = json.loads(judge("report", "run", "--json").out)
    assert found["failed"] == 0
    (failure,) = found["results"]["failures"]
    assert (failure["code"], failure["count"]) == ("not_judged", 3)


def test_runs_that_do_not_fit(judge: Program, recorded: Recorded) -> None:
    """Another judge, another language, the same system twice: refused, and nothing is written."""
    path = recorded()
    made(judge, path, "run")
    made(judge, path, "seed", "--seed", 1)
    made(judge, path, "english", "--lang", "en")
    made(judge, path, "reasons", "--rationale")
    made(judge, path, "again")
    for other, message in (
        ("seed", "error: seed: this run was made with the judge of fingerprint mock/1, not"),
        ("english", "error: english: this run was made with the rubric esrp 1.1.0 en (hash"),
        ("reasons", "error: reasons: this run was made with reasons of at most 512 tokens"),
        ("again", "two judgments of"),
    ):
        found, _ = judge.mistake("report", "run", other, "--out", "both")
        assert message in found
    assert not (judge.folder / "both").exists()


def test_what_is_no_run(judge: Program, recorded: Recorded) -> None:
    """No folder, no manifest, no database, no --out for several: told, and nothing is made."""
    made(judge, recorded(), "run")
    (judge.folder / "empty").mkdir()
    shutil.copytree(judge.folder / "run", judge.folder / "half")
    (judge.folder / "half" / "judge.sqlite").unlink()
    for words, message in (
        (["nowhere"], "error: nowhere: this is no run folder: it has no manifest.json"),
        (["empty"], "error: empty: this is no run folder: it has no manifest.json"),
        (["half"], "error: half/judge.sqlite: unable to open database file"),
        (["run", "half"], "error: several runs need --out"),
        ([], "error: Missing argument 'RUNS...'"),
    ):
        found, _ = judge.mistake("report", *words)
        assert message in found
    assert list((judge.folder / "empty").iterdir()) == []
    assert not (judge.folder / "nowhere").exists()
    assert not (judge.folder / "half" / "judge.sqlite").exists()


def test_published_means_are_set_beside(judge: Program, recorded: Recorded) -> None:
    """Those of --published only: what lies beside the released data changes no report."""
    made(judge, recorded(), "run")
    means = judge.folder / "no-data" / "published" / "chatanime_figure1.csv"
    means.parent.mkdir(parents=True)
    means.write_text("system,metric,mean\nbot,fluency,4.25\n")
    own = judge.folder / "own.csv"
    own.write_text("system,metric,mean\nbot,fluency,1.5\n")
    assert json.loads(judge("report", "run", "--json").out)["results"]["published"] is None
    for file, mean in ((means, 4.25), (own, 1.5)):
        found = json.loads(judge("report", "run", "--json", "--published", file).out)
        assert found["results"]["published"]["means"] == {"bot": {"fluency": mean}}


@pytest.mark.parametrize("version", [1, 2])
def test_old_runs_still_read(judge: Program, version: int) -> None:
    """A run folder as that version wrote it: scores, failures and provenance are all there.

    From version 2 on also how each score was read, and the reasons.
    """
    folder = judge.folder / "run"
    shutil.copytree(GOLDEN / f"run-v{version}", folder)
    with closing(sqlite3.connect(folder / "judge.sqlite")) as db:
        db.executescript((folder / "judge.sql").read_text(encoding="utf-8"))
    done = judge("report", "run", "--json", code=1)
    found = json.loads(done.out)
    assert found["failed"] == 9
    assert found["results"]["rubric"] == "esrp"
    notes = found["results"]["notes"]
    assert notes[0] == "The mock judge draws its scores from a hash: they mean nothing."
    assert [note.split(" scores")[0] for note in notes[1:]] == (
        [] if version == 1 else ["Truncated: 1 of 9"]
    )
    assert found["results"]["provenance"]["judge fingerprint"] == "mock/0"
    rows = {(row["scenario"], row["metric"]): row for row in judge.scores("run")}
    assert len(rows) == 18
    assert {row["status"] for (scenario, _), row in rows.items() if scenario == "2"} == {
        "empty_reply"
    }
    # Labels 3 and 4 have log-probabilities -1.5 and -0.5, the others none: by hand,
    row = rows["1", "speech_style"]
    p4 = 1 / (1 + math.exp(-1))
    assert [float(row[f"p{k}"]) for k in range(1, 6)] == pytest.approx(
        [0, 0, 1 - p4, p4, 0], abs=1e-6
    )
    assert float(row["score"]) == pytest.approx(3 + p4, abs=1e-6)
    assert float(row["label_mass"]) == pytest.approx(math.exp(-1.5) + math.exp(-0.5), abs=1e-6)
    assert row["reading"] == ("exact" if version == 1 else "truncated")
    reason = "" if version == 1 else "“走，先吃肉！”\n像脱口而出；没有“套路”, <b>不加分</b>。"
    assert rows["1", "fluency"]["rationale"] == reason
    page = (folder / "dialogues.html").read_text(encoding="utf-8")
    texts = json.dumps(unpacked(page, "block-0"), ensure_ascii=False)
    assert "我被打趴下过好多次" in texts
    assert ("没有“套路”, <b>" in texts) == (version > 1)
