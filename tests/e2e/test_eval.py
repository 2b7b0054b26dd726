"""`judge eval` as its user meets it: whole runs, broken runs, bad input."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from judge.rubric import load_rubric, shipped_sets
from tests.unit.stored import unpacked

if TYPE_CHECKING:
    from tests.e2e.conftest import Program

ROOT = Path(__file__).parents[2]
ESRP = f"rubric esrp {load_rubric('esrp').rubric.version}"
DEMO = ROOT / "scripts" / "demo_dialogues"
METRICS = [
    "fluency",
    "coherency",
    "consistency",
    "character_knowledge",
    "speech_style",
    "behavioral_habit",
    "emotional_value",
    "experience_sharing",
    "demand_matching",
]
FILES = [
    "dialogues.html",
    "judge.sqlite",
    "manifest.json",
    "report.html",
    "results.json",
    "scores.csv",
]
Recorded = Callable[..., Path]


def contents(folder: Path) -> dict[str, bytes]:
    """Every file under a folder, so that "nothing was touched" can be said."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


# Whole runs


def test_from_dialogues_to_report(judge: Program) -> None:
    """The embedded judge scores the shipped dialogues on nine metrics.

    The table is on stdout, notices on stderr, exit 0; the run folder has six files and the plot.
    """
    done = judge.end(judge.start("eval", "--model", DEMO, "--judge", "lexical", "--out", "run"))
    assert sorted(p.name for p in (judge.folder / "run").iterdir()) == sorted([*FILES, "figures"])
    rows = judge.scores("run")
    dialogues = sum(
        len(v) for f in DEMO.glob("*.json") for v in json.loads(f.read_bytes()).values()
    )
    assert len(rows) == 9 * dialogues == judge.rows("run")
    assert [row["metric"] for row in rows[:9]] == METRICS
    assert {row["status"] for row in rows} == {"ok"}
    for row in rows:
        p = [float(row[f"p{k}"]) for k in range(1, 6)]
        assert sum(p) == pytest.approx(1, abs=5e-6)
        mean = sum(k * share for k, share in enumerate(p, start=1))
        assert float(row["score"]) == pytest.approx(mean, abs=2e-5)
    table = done.out.splitlines()
    for title in ("Fluency", "Demand matching", "Role-playing", "Overall"):
        assert any(line.strip().startswith(title) for line in table), title
    assert table[-1] == "report: run/report.html"
    assert f"{9 * dialogues} judgments made, 0 were there; 0 could not be made" in done.err
    assert "its scores are not for publishing" in done.err
    page = (judge.folder / "run" / "report.html").read_text(encoding="utf-8")
    assert "its scores are not for publishing" in page


def test_json_is_one_object(judge: Program, recorded: Recorded) -> None:
    """Nothing but the object on stdout, and it says what the report says."""
    done = judge("eval", "--model", recorded(), "--judge", "mock", "--out", "run", "--json")
    found = json.loads(done.out)
    assert found["results"] == json.loads((judge.folder / "run" / "results.json").read_bytes())
    assert (found["run"], found["report"]) == ("run", "run/report.html")
    assert (found["made"], found["reused"], found["failed"]) == (36, 0, 0)


def test_dry_run_asks_and_writes_nothing(judge: Program, recorded: Recorded) -> None:
    """Prompts are counted; the folder is as before."""
    path = recorded()
    before = contents(judge.folder)
    args = ("eval", "--model", path, "--judge", "mock", "--metrics", "fluency,coherency")
    assert "prompts:                     8" in judge(*args, "--dry-run").out
    plan = json.loads(judge(*args, "--dry-run", "--json").out)
    assert plan == {"judge": "mock", "dialogues": 4, "prompts": 8}
    assert contents(judge.folder) == before


def test_dry_run_counts_tokens(judge: Program, recorded: Recorded) -> None:
    """A judge with a tokenizer: shared parts once are fewer, times are tokens by the rate.

    With reasons, every prompt is read twice and every reason once more, at most.
    """
    pytest.importorskip("transformers")
    args = ("eval", "--model", recorded(), "--judge", "tiny", "--rubric", "esrp", "--dry-run")
    plan = json.loads(judge(*args, "--tokens-per-second", 50, "--json").out)
    alone, shared = plan["tokens_one_by_one"], plan["tokens_shared_parts_once"]
    assert plan["prompts"] == 36
    assert 36 * plan["longest_prompt"] >= alone > shared > plan["longest_prompt"]
    assert plan["ratio"] == pytest.approx(alone / shared, abs=0.05)
    assert plan["seconds_one_by_one"] == pytest.approx(alone / 50, abs=0.05)
    assert plan["seconds_shared_parts_once"] == pytest.approx(shared / 50, abs=0.05)
    reasoned = json.loads(judge(*args, "--rationale", "--rationale-tokens", 7, "--json").out)
    assert reasoned["tokens_written_at_most"] == 36 * 7
    assert reasoned["tokens_one_by_one"] > 2 * alone
    assert reasoned["tokens_shared_parts_once"] > 2 * shared
    assert not any(name.startswith("seconds") for name in reasoned)
    lines = judge(*args, "--rationale").out.splitlines()
    assert f"tokens written at most:      {36 * 512}" in lines
    assert "for an estimate of time give --tokens-per-second" in lines
    assert "read twice" in lines[-1]
    # The embedded model has a window of so many tokens, as its config.json says.
    window = json.loads((ROOT / "judge" / "embedded" / "tiny" / "config.json").read_text())
    assert plan["window"] == window["max_position_embeddings"]
    warned = any("prompts that are longer fail" in line for line in lines)
    longest = int(next(line.split()[-1] for line in lines if line.startswith("longest prompt")))
    assert warned == (longest > plan["window"])


def test_an_embedded_judge_of_chinese_says_what_it_cannot_read(
    judge: Program, recorded: Recorded
) -> None:
    """On the terminal and on the page; of Chinese dialogues nothing is said."""
    said = "has learnt from Chinese, and these dialogues are not in Chinese"
    english = dict.fromkeys((1, 2), "You did what you could, and tomorrow is another day." * 9)
    for name, replies in (("en", english), ("zh", None)):
        path = recorded(name, replies=replies)
        told = judge("eval", "--model", path, "--judge", "lexical", "--out", name).err
        assert (said in told) == (name == "en")
        page = (judge.folder / name / "report.html").read_text(encoding="utf-8")
        assert (said in page) == (name == "en")


def test_a_second_run_changes_nothing(judge: Program, recorded: Recorded) -> None:
    """Nothing is made, and every file but the database is what it was, to the byte."""
    args = ("eval", "--model", recorded(), "--judge", "mock", "--out", "run")
    first = judge(*args)
    before = contents(judge.folder / "run")
    second = judge(*args)
    after = contents(judge.folder / "run")
    assert "0 judgments made, 36 were there" in second.err
    assert second.out == first.out
    assert {n: b for n, b in after.items() if n != "judge.sqlite"} == {
        n: b for n, b in before.items() if n != "judge.sqlite"
    }


def test_the_default_folder_is_named_after_model_and_judge(
    judge: Program, recorded: Recorded
) -> None:
    """`runs/MODEL-JUDGE` where the command is run."""
    done = judge("eval", "--model", recorded("talker").name, "--judge", "mock")
    assert done.out.endswith("report: runs/talker-mock/report.html\n")
    assert (judge.folder / "runs" / "talker-mock" / "scores.csv").is_file()
    two = ("--model", recorded("walker").name, "--model", "talker.json", "--judge", "mock")
    assert judge("eval", *two).out.endswith("report: runs/walker-and-1-more-mock/report.html\n")


def test_diversity_is_not_judged_alone(judge: Program, recorded: Recorded) -> None:
    """Nothing else was asked for, so nothing else is judged in its stead."""
    path = recorded(n=2)
    done = judge(
        "eval", "--model", path, "--judge", "mock", "--metrics", "response_diversity", code=2
    )
    assert "--metrics response_diversity" in done.err
    assert not (judge.folder / "runs").exists()


def test_a_run_grows(judge: Program, recorded: Recorded) -> None:
    """Half the dialogues, then all; one metric, then all: the end is that of a run at once."""
    path = recorded(n=10)
    base = ("eval", "--model", path, "--judge", "mock", "--json", "--out")
    assert json.loads(judge(*base, "run", "--limit", 10).out)["made"] == 90
    grown = json.loads(judge(*base, "run", "--limit", 20).out)
    assert (grown["made"], grown["reused"]) == (90, 90)
    assert json.loads(judge(*base, "other", "--metrics", "fluency").out)["made"] == 20
    more = json.loads(judge(*base, "other").out)
    assert (more["made"], more["reused"]) == (160, 20)
    judge(*base, "once")
    expected = contents(judge.folder / "once")["scores.csv"]
    assert contents(judge.folder / "run")["scores.csv"] == expected
    assert contents(judge.folder / "other")["scores.csv"] == expected


def test_the_report_is_of_what_was_asked_for(judge: Program, recorded: Recorded) -> None:
    """A dialogue taken out of the file leaves the report, as what --limit leaves out does.

    That the folder holds more is said, and `judge report` shows all of it.
    """
    path = recorded(n=5)
    base = ("eval", "--model", path, "--judge", "mock", "--metrics", "fluency", "--out", "run")
    judge(*base)
    assert len(judge.scores("run")) == 10
    for more, count, aside in ((("--limit", 4), 4, 6), ((), 10, 0)):
        done = judge(*base, *more)
        assert len(judge.scores("run")) == count
        assert (f"holds {aside} more dialogues" in done.err) == bool(aside)
    recorded(n=3)
    assert "holds 4 more dialogues" in judge(*base).err
    assert {row["scenario"] for row in judge.scores("run")} == {"1", "2", "3"}
    page = (judge.folder / "run" / "report.html").read_text(encoding="utf-8")
    assert "holds 4 more dialogues" in page
    judge("report", "run")
    assert len(judge.scores("run")) == 10


def test_the_same_name_in_two_folders_is_two_runs(judge: Program, recorded: Recorded) -> None:
    """Each goes on in its own folder; nothing of one is reported with the other."""
    path = recorded("answers", n=2)
    for parent, keep in (("first", 2), ("second", 1), ("third/second", 1)):
        (judge.folder / parent).mkdir(parents=True)
        (judge.folder / parent / path.name).write_bytes(recorded("answers", n=keep).read_bytes())
    for parent, folder, made in (
        ("first", "answers-mock", 4),
        ("second", "second-answers-mock", 2),
        ("first", "answers-mock", 0),
        ("second", "second-answers-mock", 0),
        ("third/second", "answers-mock-2", 2),
        ("third/second", "answers-mock-2", 0),
    ):
        words = ("--model", f"{parent}/answers.json", "--judge", "mock", "--metrics", "fluency")
        done = json.loads(judge("eval", *words, "--json").out)
        assert done["made"] == made
        assert (judge.folder / "runs" / folder / "report.html").is_file()


def test_metrics_may_be_given_twice(judge: Program, recorded: Recorded) -> None:
    """As other options of lists may, and with commas in either."""
    words = ("--metrics", "fluency", "--metrics", "coherency,consistency")
    judge("eval", "--model", recorded(), "--judge", "mock", "--out", "run", *words)
    assert {row["metric"] for row in judge.scores("run")} == {"fluency", "coherency", "consistency"}


def test_a_path_that_is_missing_is_no_model(judge: Program) -> None:
    """What looks like a path is one; what could be either is said to be no file."""
    for name, message in (
        ("./answers.jsn", "answers.jsn: no such file"),
        ("results/alpha", "error: --model results/alpha: no such file or folder"),
    ):
        done = judge("eval", "--model", name, "--judge", "lexical", "--out", "run", code=2)
        assert message in done.err


def test_what_was_recognised_in_a_file_is_said(judge: Program) -> None:
    """On the terminal and on the page: here, an encoding and thoughts."""
    text = (
        "model,character,scenario,round,question,answer\nx,林小雨,1,1,累。,<think>啊</think>歇。\n"
    )
    (judge.folder / "all.csv").write_bytes(text.encode("gb18030"))
    done = judge("eval", "--model", "all.csv", "--judge", "lexical", "--out", "run", code=None)
    page = (judge.folder / "run" / "report.html").read_text(encoding="utf-8")
    for note in ("it was read as GB18030", "were set aside in 1 answers"):
        assert note in done.err
        assert note in page
    assert {row["system"] for row in judge.scores("run")} == {"x"}


def test_two_systems_with_the_same_replies(judge: Program, recorded: Recorded) -> None:
    """Both are judged, and alike: whoever says it, the same words earn the same score."""
    args = ("--model", recorded("one"), "--model", recorded("two"), "--judge", "mock")
    judge("eval", *args, "--out", "run")
    rows = judge.scores("run")
    one = [row for row in rows if row["system"] == "one"]
    two = [row for row in rows if row["system"] == "two"]
    assert len(one) == len(two) == 36
    assert [row | {"system": ""} for row in one] == [row | {"system": ""} for row in two]


# Reasons


def test_reasons_come_first(judge: Program, recorded: Recorded) -> None:
    """Each score has its reason in the table; page and manifest tell of the mode; scores differ."""
    args = ("eval", "--model", recorded(), "--judge", "mock", "--out")
    done = judge(*args, "run", "--rationale", "--rationale-tokens", 9, "--json")
    found = json.loads(done.out)
    rows = judge.scores("run")
    assert len(rows) == 36
    assert all(0 < len(row["rationale"]) <= 9 for row in rows)
    assert {row["reading"] for row in rows} == {"exact"}
    assert found["tokens_written"] == sum(len(row["rationale"]) for row in rows)
    assert found["reasons_cut"] > 0
    assert "tokens_read_at_most" not in found  # the mock has no tokens to read
    assert f"with reasons: {found['tokens_written']} tokens written\n" in done.err
    assert f"{found['reasons_cut']} reasons were cut at 9 tokens\n" in done.err
    page = (judge.folder / "run" / "dialogues.html").read_text(encoding="utf-8")
    (_, judged), *_ = unpacked(page, "block-0")
    assert [reason for *_, reason, _ in judged] == [row["rationale"] for row in rows[:9]]
    assert "at most 9 tokens" in page
    manifest = json.loads((judge.folder / "run" / "manifest.json").read_bytes())
    assert manifest["judge"]["rationale"] == "at most 9 tokens"
    judge(*args, "plain")
    plain = judge.scores("plain")
    assert {row["rationale"] for row in plain} == {""}
    assert all(a["score"] != b["score"] for a, b in zip(rows, plain, strict=True))


def test_a_second_run_with_reasons_writes_nothing(judge: Program, recorded: Recorded) -> None:
    """What is there is not paid for again, nor told of as if it were."""
    args = ("eval", "--model", recorded(), "--judge", "mock", "--out", "run", "--rationale")
    first = judge(*args)
    assert "tokens written" in first.err
    again = judge(*args)
    assert "0 judgments made, 36 were there" in again.err
    assert "tokens written" not in again.err
    assert again.out == first.out


def test_killed_while_it_reasons(judge: Program, recorded: Recorded) -> None:
    """SIGKILL, then the same command: scores and reasons are those of a run left in peace."""
    path = recorded(n=100)
    args = ("eval", "--model", path, *SLOW, "--rationale", "--out")
    judge(*args, "unbroken")
    held = 0
    for rows in (1, 900):
        process = judge.start(*args, "run")
        wait_for(judge, process, rows)
        process.kill()
        judge.end(process, code=-signal.SIGKILL)
        held = judge.rows("run")
        assert rows <= held < 1800
    done = json.loads(judge(*args, "run", "--json").out)
    assert (done["made"], done["reused"]) == (1800 - held, held)
    expected = contents(judge.folder / "unbroken")["scores.csv"]
    assert contents(judge.folder / "run")["scores.csv"] == expected


def test_reasons_that_cannot_be_had(judge: Program, recorded: Recorded) -> None:
    """A judge that cannot write, a set that asks for none, a limit of nothing, a plain run."""
    path = recorded()
    judge("eval", "--model", path, "--judge", "mock", "--out", "run")
    before = contents(judge.folder)
    mock = ("--judge", "mock", "--out", "run")
    for words, message, hint in (
        (["--judge", "lexical", "--rationale"], "--rationale: this judge cannot", "leave out"),
        ([*mock, "--rubric", "tiny", "--rationale"], "no block `rationale`", "add {% block"),
        ([*mock, "--rationale-tokens", 9], "goes with --rationale", "leave both out"),
        ([*mock, "--rationale", "--rationale-tokens", 0], "'--rationale-tokens'", "--help"),
        ([*mock, "--rationale"], "made with no reasons, not reasons of at most 512", "--out"),
    ):
        found = judge.mistake("eval", "--model", path, *words)
        assert message in found[0], found
        assert hint in found[1], found
    after = contents(judge.folder)
    assert {n for n in after if after[n] != before.get(n)} <= {"run/judge.sqlite"}


# Broken runs

SLOW = ("--judge", "mock", "--batch-size", 1)


def wait_for(judge: Program, process: subprocess.Popen[str], rows: int) -> None:
    """Until the run holds so many judgments; the process must not end before."""
    deadline = time.monotonic() + 60
    while judge.rows("run") < rows:
        assert process.poll() is None, "it ended too early to be interrupted"
        assert time.monotonic() < deadline, f"{judge.rows('run')} of {rows} rows after a minute"


def test_killed_again_and_again(judge: Program, recorded: Recorded) -> None:
    """SIGKILL at the first sign of a folder, and at several counts of judgments.

    Each time whole batches are there, none is made twice, and the table is that of a run that
    was left in peace.
    """
    path = recorded(n=200)
    judge("eval", "--model", path, *SLOW, "--out", "unbroken")
    total, held = 3600, 0
    for rows in (0, 1, 500, 1300, 2200):
        process = judge.start("eval", "--model", path, *SLOW, "--out", "run")
        while not (judge.folder / "run").exists():
            assert process.poll() is None
        wait_for(judge, process, rows)
        process.kill()
        judge.end(process, code=-signal.SIGKILL)
        stored = judge.rows("run")
        assert max(rows, held) <= stored < total
        assert stored % 9 == 0
        held = stored
    done = json.loads(judge("eval", "--model", path, *SLOW, "--out", "run", "--json").out)
    assert (done["made"], done["reused"]) == (total - held, held)
    expected = contents(judge.folder / "unbroken")["scores.csv"]
    assert contents(judge.folder / "run")["scores.csv"] == expected


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(judge: Program, recorded: Recorded, number: signal.Signals) -> None:
    """Exit 3 and one line that says how to go on; the same command then does the rest.

    A report made meanwhile says that it is one of an unfinished run.
    """
    path = recorded(n=100)
    args = ("eval", "--model", path, *SLOW, "--out", "run", "--json")
    process = judge.start(*args)
    wait_for(judge, process, 9)
    process.send_signal(number)
    done = judge.end(process, code=3)
    assert done.out == ""
    last = done.err.splitlines()[-1]
    assert last == "interrupted; the same command goes on where this one stopped"
    held = judge.rows("run")
    partial = json.loads(judge("report", "run", "--json").out)
    assert partial["results"]["notes"][0].startswith("This run is not finished")
    assert partial["results"]["provenance"]["finished"] == "not finished"
    rest = json.loads(judge(*args).out)
    assert (rest["made"], rest["reused"]) == (1800 - held, held)
    assert not any("not finished" in note for note in rest["results"]["notes"])
    assert rest["results"]["provenance"]["finished"] != "not finished"


def test_three_at_once(judge: Program, recorded: Recorded) -> None:
    """Three processes on one new folder: all end well, and one of them judges everything."""
    path = recorded(n=40)
    alone = judge("eval", "--model", path, *SLOW, "--out", "alone")
    args = ("eval", "--model", path, *SLOW, "--out", "run")
    processes = [judge.start(*args) for _ in range(3)]
    ended = [judge.end(process) for process in processes]
    for done in ended:
        assert done.out == alone.out.replace("alone/", "run/")
    made = [re.findall(r"(\d+) judgments made", done.err) for done in ended]
    assert sorted(made) == [["0"], ["0"], re.findall(r"(\d+) judgments made", alone.err)]
    assert (
        contents(judge.folder / "run")["scores.csv"]
        == contents(judge.folder / "alone")["scores.csv"]
    )
    assert sorted(p.name for p in (judge.folder / "run").iterdir()) == FILES
    with closing(sqlite3.connect(judge.folder / "run" / "judge.sqlite")) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.skipif(not Path("/bin/bash").exists(), reason="sets the limit with bash's ulimit")
def test_a_disk_that_fills(judge: Program, recorded: Recorded) -> None:
    """No file may grow beyond 120 kB: an error with a hint, and what was stored stays.

    With room again the run goes on to the same end.
    """
    path = recorded(n=100)
    args = ("eval", "--model", path, *SLOW)
    judge(*args, "--out", "unbroken")
    limit = ("/bin/bash", "-c", 'ulimit -f 120; exec "$@"', "limit")
    done = judge.end(judge.start(*args, "--out", "run", before=limit), code=2)
    assert "error: run/judge.sqlite: " in done.err
    assert "hint: free some space" in done.err
    held = judge.rows("run")
    assert 0 < held < 1800
    rest = json.loads(judge(*args, "--out", "run", "--json").out)
    assert (rest["made"], rest["reused"]) == (1800 - held, held)
    expected = contents(judge.folder / "unbroken")["scores.csv"]
    assert contents(judge.folder / "run")["scores.csv"] == expected


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("json_", [[], ["--json"]])
def test_the_output_goes_to_a_full_disk(
    judge: Program, recorded: Recorded, json_: list[str]
) -> None:
    """`> results.json` on a full disk is told in two lines; the run is complete."""
    full = ("/bin/sh", "-c", 'exec "$@" > /dev/full', "full")
    args = ("eval", "--model", recorded(), "--judge", "mock", "--out", "run", *json_)
    done = judge.end(judge.start(*args, before=full), code=2)
    assert "error: the output: No space left on device" in done.err
    assert done.err.splitlines()[-1].startswith("hint: ")
    assert sorted(p.name for p in (judge.folder / "run").iterdir()) == FILES


def test_a_terminal_without_chinese(judge: Program, recorded: Recorded) -> None:
    """What it cannot show is escaped, and no reason to break off after hours of judging."""
    judge.environment["PYTHONIOENCODING"] = "ascii"
    args = ("eval", "--model", recorded(), "--judge", "mock", "--out", "run")
    done = judge.end(judge.start(*args))
    assert "Fluency (\\u6d41\\u7545\\u6027)" in done.out


# What cannot be judged is counted


def test_an_empty_reply(judge: Program, recorded: Recorded) -> None:
    """Its nine cells are empty and say why, the others are scored; exit 1, twice."""
    path = recorded(characters=("小明",), n=3, replies={2: "  "})
    args = ("eval", "--model", path, "--judge", "mock", "--out", "run")
    done = judge(*args, code=1)
    assert "27 judgments made, 0 were there; 9 could not be made" in done.err
    rows = judge.scores("run")
    failed = [row for row in rows if row["scenario"] == "2"]
    assert {(r["status"], r["reason"]) for r in failed} == {
        ("empty_reply", "the reply of round 1 is empty")
    }
    empty = ("score", "label_mass", "p1", "p2", "p3", "p4", "p5")
    assert all(row[name] == "" for row in failed for name in empty)
    assert {row["status"] for row in rows if row["scenario"] != "2"} == {"ok"}
    again = judge(*args, code=1)
    assert "0 judgments made, 27 were there; 9 could not be made" in again.err


def test_an_unknown_character_is_judged_and_named(judge: Program, recorded: Recorded) -> None:
    """Without a profile, and the report says so."""
    path = recorded(characters=("小明", "《海贼王》的蒙奇·D·路飞"))
    done = judge("eval", "--model", path, "--judge", "mock", "--out", "run")
    assert "note: Judged without a profile: 小明." in done.err
    page = (judge.folder / "run" / "report.html").read_text(encoding="utf-8")
    assert "Judged without a profile: 小明." in page


# Bad input


def test_options_that_cannot_be(judge: Program, recorded: Recorded) -> None:
    """Each mistake is one message that names the option, and a hint; nothing is written."""
    path = recorded()
    same = judge.folder / "elsewhere" / "bot.json"
    same.parent.mkdir()
    shutil.copy(path, same)
    before = contents(judge.folder)
    for words, message, hint in (
        (["--judge", "mock", "--metrics", "wit"], "--metrics: wit", "fluency"),
        (["--judge", "mock", "--lang", "ja"], "--lang ja", "zh, en"),
        (["--judge", "mock", "--rubric", "mine"], "no rubric set 'mine'", "esrp"),
        (["--judge", "mock", "--engine", "magic"], "'--engine': 'magic'", "judge eval --help"),
        (["--judge", "mock", "--engine", "hf"], "--engine hf cannot ask", "mock"),
        (["--judge", "mock", "--samples", "3"], "--samples means nothing to the engine", "http"),
        (["--base-url", "http://localhost:1"], "--judge names none", "--judge NAME"),
        (["--judge", "mock", "--characters", "桃太郎"], "--characters 桃太郎", "路飞"),
        (["--judge", "mock", "--scenarios", "9-12"], "--scenarios 9-12", "there are: 1, 2"),
        (["--judge", "mock", "--limit", "0"], "'--limit'", "judge eval --help"),
        (["--judge", "mock", "--model", same], "the system bot was given before", "once"),
        (["--judge", "mock", "--published", "no.csv"], "no.csv: cannot be read", "header"),
        (["--judge", "mock", "--tokens-per-second", "9"], "goes with --dry-run", "leave both out"),
        (["--jugde", "mock"], "No such option", "judge eval --help"),
    ):
        found = judge.mistake("eval", "--model", path, *words)
        assert message in found[0], found
        assert hint in found[1], found
    assert contents(judge.folder) == before


def test_a_judge_that_is_not_there(judge: Program, recorded: Recorded) -> None:
    """A folder that does not exist is named; without torch, what to install is."""
    message, hint = judge.mistake("eval", "--model", recorded(), "--judge", "./no-such-judge")
    assert "no-such-judge" in message or "torch" in message
    assert "config.json" in hint or "pip install" in hint
    assert not (judge.folder / "runs").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "bot.json: no such file"),
        ("", "bot.json: the file is empty"),
        ('{"路飞": [\n{"dialog_id": 1,', "bot.json:2: not valid JSON"),
        ("[]", "bot.json: it holds no dialogues"),
        ('{"路飞": [{"dialog_id": 1, "question_r1": "q"}]}', "dialog_id 1: no answer_r1"),
    ],
)
def test_dialogues_that_cannot_be_read(judge: Program, content: str | None, message: str) -> None:
    """The file, the line where there is one, and what is wrong; no run is begun."""
    if content is not None:
        (judge.folder / "bot.json").write_text(content, encoding="utf-8")
    found, _ = judge.mistake("eval", "--model", "bot.json", "--judge", "mock")
    assert message in found
    assert not (judge.folder / "runs").exists()


def test_a_rubric_with_an_undefined_variable(judge: Program, recorded: Recorded) -> None:
    """File, line and name; no run is begun."""
    folder = shutil.copytree(shipped_sets()["tiny"], judge.folder / "mine")
    layout = folder / "zh" / "layout.j2"
    text = layout.read_text(encoding="utf-8").replace("metric.titles", "metricc.titles")
    layout.write_text(text, encoding="utf-8")
    line = 1 + text[: text.index("metricc")].count("\n")
    message, hint = judge.mistake(
        "eval", "--model", recorded(), "--judge", "mock", "--rubric", "mine"
    )
    assert f"layout.j2:{line}: " in message
    assert "'metricc' is undefined" in message
    assert "metric" in hint
    assert not (judge.folder / "runs").exists()


def test_a_run_made_with_something_else(judge: Program, recorded: Recorded) -> None:
    """Another rubric, language, judge or reply is refused by name, and the run stays as it is."""
    path = recorded()
    judge("eval", "--model", path, "--judge", "mock", "--out", "run")
    before = contents(judge.folder / "run")
    base = ("eval", "--model", path, "--out", "run", "--judge")
    for words, old, new in (
        (["mock", "--lang", "en"], f"{ESRP} zh", f"{ESRP} en"),
        (["mock", "--rubric", "tiny"], f"{ESRP} zh", "rubric tiny 1.0.0 zh"),
        (["mock", "--seed", 1], "fingerprint mock/0", "fingerprint mock/1"),
        (["lexical", "--rubric", "esrp"], "fingerprint mock/0", "fingerprint lexical/"),
    ):
        message, hint = judge.mistake(*base, *words)
        assert message.startswith("error: run: this run was made with")
        assert old in message.split(", not ")[0]
        assert new in message.split(", not ", 1)[1]
        assert "--out" in hint
    recorded(replies={1: "别烦我。"})
    message, _ = judge.mistake(*base, "mock")
    assert "another text of the dialogue bot/《海贼王》的蒙奇·D·路飞/1" in message
    after = contents(judge.folder / "run")
    assert after.keys() == before.keys()
    for name in ("scores.csv", "report.html", "dialogues.html", "results.json"):
        assert after[name] == before[name]
    recorded()
    assert "0 judgments made" in judge(*base, "mock").err


def newer_manifest(run: Path) -> None:
    path = run / "manifest.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"format": 1', '"format": 2'))


def newer_database(run: Path) -> None:
    with closing(sqlite3.connect(run / "judge.sqlite")) as db:
        db.execute("PRAGMA user_version = 3")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (newer_manifest, "run/manifest.json: format 2 is newer"),
        (newer_database, "run/judge.sqlite: format 3 is newer"),
        (lambda run: (run / "manifest.json").write_text("{"), "not a readable manifest"),
        (lambda run: (run / "manifest.json").unlink(), "no manifest.json that says how"),
        (lambda run: (run / "judge.sqlite").write_bytes(b"x" * 5000), "not a database"),
    ],
)
def test_a_damaged_run_is_not_gone_on_with(
    judge: Program, recorded: Recorded, damage: Callable[[Path], object], message: str
) -> None:
    """Newer formats and damage are named with the file, by `eval` and by `report`."""
    args = ("eval", "--model", recorded(), "--judge", "mock", "--out", "run")
    judge(*args)
    damage(judge.folder / "run")
    found, _ = judge.mistake(*args)
    assert message in found
    judge.mistake("report", "run")


def test_a_database_cut_short(judge: Program, recorded: Recorded) -> None:
    """Half a database is damaged, not empty: nothing is judged over it."""
    args = ("eval", "--model", recorded(n=30), "--judge", "mock", "--out", "run")
    judge(*args)
    path = judge.folder / "run" / "judge.sqlite"
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    message, hint = judge.mistake(*args)
    assert "run/judge.sqlite: database disk image is malformed" in message
    assert "restore" in hint


def test_a_folder_that_cannot_be_written(judge: Program, recorded: Recorded) -> None:
    """A file in the place of the folder, or of a folder above it."""
    (judge.folder / "file").write_text("x")
    args = ("eval", "--model", recorded(), "--judge", "mock", "--out")
    message, hint = judge.mistake(*args, "file")
    assert "error: file: the run folder cannot be made: File exists" in message
    assert "--out" in hint
    message, _ = judge.mistake(*args, "file/run")
    assert "error: file/run: the run folder cannot be made: Not a directory" in message


def test_a_run_that_may_only_be_read(judge: Program, recorded: Recorded) -> None:
    """A report of it can be written elsewhere, and its ratings can be checked."""
    before: tuple[str, ...] = ()
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("the superuser can write everywhere, and there is no setpriv")
        before = ("setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override")
    judge("eval", "--model", recorded(), "--judge", "mock", "--out", "run")
    untouched = contents(judge.folder / "run")
    for path in (judge.folder / "run").iterdir():
        path.chmod(0o444)
    (judge.folder / "run").chmod(0o555)
    try:
        judge.end(judge.start("report", "run", "--out", "out", before=before))
        judge.end(judge.start("leaderboard", "run", "--out", "table", before=before))
        assert contents(judge.folder / "run") == untouched
    finally:
        (judge.folder / "run").chmod(0o755)
    assert (judge.folder / "out" / "report.html").is_file()


def test_a_folder_without_permission(judge: Program, recorded: Recorded) -> None:
    """A run folder, and a folder to make one in, that the user may only read."""
    before: tuple[str, ...] = ()
    if os.geteuid() == 0:  # to the superuser nothing is read-only, unless that power is dropped
        if shutil.which("setpriv") is None:
            pytest.skip("the superuser can write everywhere, and there is no setpriv")
        before = ("setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override")
    args = ("eval", "--model", recorded(), "--judge", "mock", "--out")
    judge(*args, "above/run")
    (judge.folder / "above" / "run" / "judge.sqlite").chmod(0o444)
    for folder in ("above/run", "above"):
        (judge.folder / folder).chmod(0o555)
    try:
        for out, message in (
            ("above/run", "error: above/run/judge.sqlite: attempt to write a readonly database"),
            ("above/new", "error: above/new: the run folder cannot be made: Permission denied"),
        ):
            done = judge.end(judge.start(*args, out, before=before), code=2)
            assert message in done.err
            assert "hint: " in done.err
    finally:
        for folder in ("above", "above/run"):
            (judge.folder / folder).chmod(0o755)
