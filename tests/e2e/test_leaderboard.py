"""`judge leaderboard`: runs of one judge in one table, and what does not belong into it."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from judge.roleplay.playing_summary import FlagCount, PlayingSummary, write_playing_summary
from judge.roleplay.transcript import Usage

if TYPE_CHECKING:
    from tests.e2e.conftest import Program

Recorded = Callable[..., Path]
EIGHT = (
    "《海贼王》的蒙奇·D·路飞",
    "《火影忍者》的漩涡鸣人",
    "《银魂》的坂田银时",
    "《夏目友人帐》的夏目贵志",
    "《刀剑神域》的桐谷和人",
    "《冰菓》的折木奉太郎",
    "《进击的巨人》的利威尔·阿克曼",
    "《排球少年！！》的日向翔阳",
)
FILES = {f"leaderboard.{suffix}" for suffix in ("html", "json", "csv", "md", "tex")}


def made(judge: Program, recorded: Recorded, name: str, *options: object, code: int = 0) -> None:
    """A run of one system, which says its own name 6 times as each of two characters."""
    path = recorded(name, n=6, replies={i: f"我是{name}，第{i}次了。" for i in range(1, 7)})
    judged(judge, name, path, *options, code=code)


def made_large(judge: Program, recorded: Recorded, name: str) -> None:
    """A run of one system with as many characters and scenarios as a rank takes."""
    replies = {i: f"我是{name}，第{i}次了。" for i in range(1, 9)}
    judged(judge, name, recorded(name, n=8, characters=EIGHT, replies=replies))


def judged(judge: Program, name: str, path: Path, *options: object, code: int = 0) -> None:
    words = ("--judge", "mock", "--out", f"runs/{name}", *options)
    judge("eval", "--model", path, *words, code=code)


def board(judge: Program, out: str = "leaderboard") -> list[dict[str, str]]:
    path = judge.folder / out / "leaderboard.csv"
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_runs_in_one_table(judge: Program, recorded: Recorded) -> None:
    """Systems of all runs, highest mean first, each with the mean that its own report has."""
    for name in ("ace", "bo", "human"):
        made_large(judge, recorded, name)
    runs = [f"runs/{name}" for name in ("ace", "bo", "human")]
    before = {path: path.read_bytes() for path in (judge.folder / "runs").rglob("*.*")}
    done = judge("leaderboard", *runs)
    assert done.out.splitlines()[-1] == "leaderboard: leaderboard/leaderboard.html"
    assert "The human fans (human) have rank" in done.out
    assert {path.name for path in (judge.folder / "leaderboard").iterdir()} == FILES | {"figures"}
    rows = board(judge)
    means = {}
    for run in runs:
        results = json.loads((judge.folder / run / "results.json").read_text(encoding="utf-8"))
        (system,) = results["systems"]
        means[system["system"]] = system["measures"]["overall"]["mean"]
    assert [row["system"] for row in rows] == sorted(means, key=lambda name: -means[name])
    for row in rows:
        assert float(row["overall"]) == pytest.approx(means[row["system"]], abs=1e-6)
        assert float(row["lower"]) < float(row["overall"]) < float(row["upper"])
        assert int(row["first"]) <= int(row["rank"]) <= int(row["last"])
        assert float(row["judging_seconds"]) >= 0
        assert (row["tokens"], row["writing_seconds"], row["unscored"]) == ("", "", "0.000000")
    after = {path: path.read_bytes() for path in (judge.folder / "runs").rglob("*.*")}
    assert {p: b for p, b in after.items() if p in before} == before


def test_json_is_what_the_file_holds(judge: Program, recorded: Recorded) -> None:
    """And the same runs give the same files, byte for byte."""
    made(judge, recorded, "ace")
    made(judge, recorded, "bo")
    found = json.loads(judge("leaderboard", "runs/ace", "runs/bo", "--json").out)
    assert (found["page"], found["failed"]) == ("leaderboard/leaderboard.html", 0)
    folder = judge.folder / "leaderboard"
    assert json.loads((folder / "leaderboard.json").read_bytes()) == found["leaderboard"]
    before = {path.name: path.read_bytes() for path in folder.rglob("*.*")}
    assert "dots.pdf" in before
    judge("leaderboard", "runs/ace", "runs/bo", "--out", "again")
    assert {p.name: p.read_bytes() for p in (judge.folder / "again").rglob("*.*")} == before


def test_a_higher_confidence_is_wider(judge: Program, recorded: Recorded) -> None:
    """--confidence widens intervals; it is between 0 and 1."""
    made(judge, recorded, "ace")
    made(judge, recorded, "bo")
    widths = []
    for confidence in (0.5, 0.99):
        judge("leaderboard", "runs/ace", "runs/bo", "--confidence", confidence)
        widths.append([float(row["upper"]) - float(row["lower"]) for row in board(judge)])
    assert all(one < other for one, other in zip(*widths, strict=True))
    message, _ = judge.mistake("leaderboard", "runs/ace", "--confidence", 1)
    assert "--confidence" in message


def test_what_playing_took(judge: Program, recorded: Recorded) -> None:
    """Tokens and seconds of the answers, not of the user's questions, from the record of a play."""
    made(judge, recorded, "ace")
    took = {
        "answer1": Usage(10.0, 900, 300),
        "question2": Usage(100.0, 900, 7000),
        "answer2": Usage(12.5, 900, 400),
    }
    write_playing_summary(
        judge.folder / "runs" / "ace",
        PlayingSummary("ace", {}, 12, 12, 24, {"cut": FlagCount(0)}, 0, took=took),
    )
    judge("leaderboard", "runs/ace")
    (row,) = board(judge)
    assert (row["tokens"], row["writing_seconds"]) == ("700", "22.5")
    page = (judge.folder / "leaderboard" / "leaderboard.html").read_text(encoding="utf-8")
    assert "Tokens written" in page


def test_failures_are_counted(judge: Program, recorded: Recorded) -> None:
    """Exit 1, and the share that has no score beside its system."""
    made(judge, recorded, "ace")
    path = recorded("bo", n=6, replies={1: ""})
    judge("eval", "--model", path, "--judge", "mock", "--out", "runs/bo", code=1)
    found = json.loads(judge("leaderboard", "runs/ace", "runs/bo", "--json", code=1).out)
    assert found["failed"] == 18
    unscored = {row["system"]: float(row["unscored"]) for row in board(judge)}
    assert unscored == {"ace": 0, "bo": pytest.approx(1 / 6, abs=1e-6)}


def test_what_does_not_belong_into_one_table(judge: Program, recorded: Recorded) -> None:
    """Named and refused, and nothing is written.

    Another judge or language, two systems of one name, one run twice, too few metrics, no run.
    """
    made(judge, recorded, "ace")
    made(judge, recorded, "seed", "--seed", 1)
    made(judge, recorded, "english", "--lang", "en")
    made(judge, recorded, "part", "--metrics", "fluency")
    other = recorded("ace", n=3)
    judge("eval", "--model", other, "--judge", "mock", "--out", "runs/other")
    for words, message in (
        (["runs/ace", "runs/seed"], "runs/seed: this run was made with the judge of fingerprint"),
        (["runs/ace", "runs/english"], "runs/english: this run was made with the rubric esrp"),
        (
            ["runs/ace", "runs/other"],
            "runs/ace and runs/other hold different dialogues of a system",
        ),
        (["runs/ace", "runs/ace"], "two judgments of"),
        (["runs/part"], "there is no overall score to order by: only fluency were judged"),
        (["nowhere"], "nowhere: this is no run folder"),
        (["runs/ace", "--calibration", "none.json"], "none.json"),
        ([], "Missing argument 'RUNS...'"),
    ):
        found, _ = judge.mistake("leaderboard", *words)
        assert message in found
    assert not (judge.folder / "leaderboard").exists()


def test_on_the_human_scale(judge: Program, recorded: Recorded) -> None:
    """Calibrated on SIMULATED ratings of four systems: they have no interval, a fifth one has."""
    names = [f"s{i}" for i in range(5)]
    for name in names:
        made(judge, recorded, name)
    path = judge.folder / "ratings.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["system", "character", "scenario", "metric", "score"])
        for name in names[:4]:
            for row in judge.scores(f"runs/{name}"):
                who = [row[key] for key in ("system", "character", "scenario", "metric")]
                rows.writerow([*who, round(1.7 + 0.5 * float(row["score"]))])
    judge(
        "calibrate", *(f"runs/{name}" for name in names[:4]), "--ratings", path, "--out", "c.json"
    )
    judge("leaderboard", *(f"runs/{name}" for name in names), "--calibration", "c.json")
    for row in board(judge):
        assert 1.7 < float(row["calibrated"]) < 4.2 != float(row["overall"])
        assert bool(row["calibrated_lower"]) == (row["system"] == "s4")
    page = (judge.folder / "leaderboard" / "leaderboard.html").read_text(encoding="utf-8")
    assert "Order, ranks and differences are of calibrated scores." in page
    assert "too few scenarios to rank: 2 characters and 6 scenarios" in page
    means = [float(row["calibrated"]) for row in board(judge)]
    assert means == sorted(means, reverse=True)
    words = ("report", *(f"runs/{name}" for name in names), "--out", "r", "--calibration", "c.json")
    results = json.loads(judge(*words, "--json").out)["results"]
    order = [system["system"] for system in results["systems"]]
    assert order == [row["system"] for row in board(judge)]
    text = (judge.folder / "r" / "report.html").read_text(encoding="utf-8")
    assert "ordered by the calibrated overall score" in text
    with path.open(encoding="utf-8", newline="") as file:
        rated = list(csv.DictReader(file))
    rng = np.random.default_rng(4)
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(rated[0])
        rows.writerows([*list(row.values())[:-1], rng.integers(1, 6)] for row in rated)
    four = [f"runs/{name}" for name in names[:4]]
    judge("calibrate", *four, "--ratings", path, "--out", "noise.json", code=1)
    said = judge("leaderboard", *four, "--calibration", "noise.json").out
    page = (judge.folder / "leaderboard" / "leaderboard.html").read_text(encoding="utf-8")
    assert "The judge adds nothing here: " in said
    assert "The judge adds nothing here: " in page
