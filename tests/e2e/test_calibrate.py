"""`judge calibrate`, and what `judge eval` and `judge report` make of it; SIMULATED ratings."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from tests.e2e.conftest import Done, Program

Recorded = Callable[..., Path]
SYSTEMS = tuple(f"s{i}" for i in range(10))
TWO = ("--metrics", "fluency,coherency")


def evaluated(
    judge: Program, recorded: Recorded, names: Sequence[str], run: str, *options: object
) -> Done:
    """Judge 12 dialogues of each system with the mock; what each says is its own."""
    words: list[object] = []
    for name in names:
        replies = {i: f"我是{name}，第{i}次了。" for i in range(1, 7)}
        words += ["--model", recorded(name, n=6, replies=replies)]
    return judge("eval", *words, "--judge", "mock", "--out", run, *TWO, *options)


def simulated(
    judge: Program,
    run: str,
    name: str = "ratings.csv",
    *,
    systems: Collection[str] = SYSTEMS,
    share: float = 1,
    skill: float = 0.8,
) -> Path:
    """SIMULATED ratings of a run: people see a part of what the judge sees, and round."""
    rng = np.random.default_rng(7)
    path = judge.folder / name
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["system", "character", "scenario", "metric", "rater", "score"])
        for row in judge.scores(run):
            seen = 2.5 + skill * (float(row["score"]) - 3) + rng.normal(0, 0.2)
            rater, drawn = f"r{rng.integers(3)}", rng.random() < share
            if row["system"] in systems and drawn:
                who = (row["system"], row["character"], row["scenario"], row["metric"])
                rows.writerow([*who, rater, round(min(5, max(1, seen)))])
    return path


def test_from_ratings_to_a_report_on_their_scale(judge: Program, recorded: Recorded) -> None:
    """Judge ten systems, calibrate on simulated ratings of them, judge an eleventh with that.

    The ladder is printed; a new system has an interval, and every dialogue a calibrated score.
    """
    evaluated(judge, recorded, SYSTEMS, "run")
    simulated(judge, "run")
    done = judge("calibrate", "run", "--ratings", "ratings.csv", "--out", "c.json")
    for words in (
        "judge mock, rubric esrp",
        "ratings used:                    240",
        "judge scores without rating:     0",
        "expected",
        "*",
        "rank-invariant",
        "raw > calibrated, on systems left out",
        "note: The mock judge draws its scores from a hash: they mean nothing.",
    ):
        assert words in done.out
    assert done.out.splitlines()[-1] == "calibration: c.json"
    calibration = json.loads((judge.folder / "c.json").read_text(encoding="utf-8"))
    assert (calibration["format"], calibration["kind"]) == (1, "ratings")
    assert (calibration["made_with"]["fingerprint"], calibration["counts"]["raters"]) == (
        "mock/0",
        3,
    )
    for fit in calibration["fits"].values():
        ladder = {row["rung"]: row for row in fit["details"]["ladder"]}
        chosen = ladder[fit["calibrator"]["rung"]]
        # People were made to see half of what the judge sees: a raw score cannot be best.
        assert chosen["loss"] < ladder["expected"]["loss"]
        assert set(fit["shifts"]) == set(SYSTEMS)
        assert fit["radius"] > 0

    calibrated = evaluated(judge, recorded, ["new"], "one", "--calibration", "c.json")
    assert "calibrated on ratings.csv" in calibrated.out
    results = json.loads((judge.folder / "one" / "results.json").read_text(encoding="utf-8"))
    mean = results["calibration"]["means"]["new"]["fluency"]
    rows = [row for row in judge.scores("one") if row["metric"] == "fluency"]
    assert mean["mean"] == pytest.approx(
        np.mean([float(row["calibrated"]) for row in rows]), abs=1e-5
    )
    assert mean["lower"] < mean["mean"] < mean["upper"]
    assert all(1 <= int(row["lower"]) <= int(row["upper"]) <= 5 for row in rows)
    line = calibration["fits"]["fluency"]["calibrator"]
    assert line["rung"] == "linear"
    for row in rows:
        expected = line["intercept"] + line["slope"] * float(row["score"])
        assert float(row["calibrated"]) == pytest.approx(expected, abs=1e-5)
    page = (judge.folder / "one" / "report.html").read_text(encoding="utf-8")
    assert "On the human scale" in page
    assert "not calibrated to human ratings" not in page

    before = (judge.folder / "one" / "report.html").read_bytes()
    judge("report", "one", "--calibration", "c.json")
    assert (judge.folder / "one" / "report.html").read_bytes() == before
    judge("report", "one")
    raw = (judge.folder / "one" / "report.html").read_text(encoding="utf-8")
    assert "Raw judge scores on a scale from 1 to 5: not calibrated to human ratings." in raw
    assert {row["calibrated"] for row in judge.scores("one")} == {""}


def test_the_same_files_give_the_same_calibration(judge: Program, recorded: Recorded) -> None:
    """Two runs of one half each are calibrated as the whole is; --json is what the file holds."""
    evaluated(judge, recorded, SYSTEMS[:4], "all")
    evaluated(judge, recorded, SYSTEMS[:2], "a")
    evaluated(judge, recorded, SYSTEMS[2:4], "b")
    ratings = simulated(judge, "all")
    found = []
    for runs in (["all"], ["b", "a"]):
        done = judge("calibrate", *runs, "--ratings", ratings, "--confidence", 0.75, "--json")
        printed = json.loads(done.out)
        assert printed.pop("out") == "calibration.json"
        kept = json.loads((judge.folder / "calibration.json").read_text(encoding="utf-8"))
        assert kept == printed
        found.append({k: v for k, v in kept.items() if k != "created"})
    assert found[0] == found[1]


def test_a_judge_of_noise_gets_no_map(judge: Program, recorded: Recorded) -> None:
    """People rate what the judge does not see: said in the first line, and in the report."""
    evaluated(judge, recorded, SYSTEMS, "run")
    simulated(judge, "run", skill=0.0)
    done = judge("calibrate", "run", "--ratings", "ratings.csv", code=1)
    verdict = "The judge adds nothing here: fluency, coherency (2 of 2 metrics)."
    assert done.out.splitlines()[0] == verdict
    assert "not calibrated, the judge adds nothing here" in done.out
    assert "no judge" in done.out
    fits = json.loads((judge.folder / "calibration.json").read_text(encoding="utf-8"))["fits"]
    assert [fit["calibrator"] for fit in fits.values()] == [None, None]
    assert verdict in judge("report", "run", "--calibration", "calibration.json").out
    page = (judge.folder / "run" / "report.html").read_text(encoding="utf-8")
    assert page.count(verdict) == 1


def test_ratings_drawn_by_a_program_are_named(judge: Program, recorded: Recorded) -> None:
    """A calibration on ratings of `simulated 1` and the like says so, and so does its report."""
    evaluated(judge, recorded, SYSTEMS, "run")
    path = simulated(judge, "run")
    text = path.read_text(encoding="utf-8")
    for rater in range(3):
        text = text.replace(f",r{rater},", f",simulated {rater},")
    path.write_text(text, encoding="utf-8")
    said = "SIMULATED RATINGS: not people."
    assert (
        said in judge("calibrate", "run", "--ratings", path.name, "--out", "c.json", code=None).out
    )
    judge("report", "run", "--calibration", "c.json", "--out", "page", code=None)
    assert said in (judge.folder / "page" / "report.html").read_text(encoding="utf-8")


def test_ratings_of_the_new_system_are_used(judge: Program, recorded: Recorded) -> None:
    """Some of its dialogues rated: its interval is made of them, and its dialogues are counted."""
    evaluated(judge, recorded, [*SYSTEMS, "new"], "run")
    simulated(judge, "run")
    few = simulated(judge, "run", "few.csv", systems=["new"], share=0.5)
    judge("calibrate", "run", "--ratings", "ratings.csv")
    words = ("report", "run", "--out", "r", "--calibration", "calibration.json")
    found = json.loads(judge(*words, "--ratings", few, "--json").out)["results"]["calibration"]
    mean = found["means"]["new"]["fluency"]
    rated = sum("new" in line and "fluency" in line for line in few.read_text().splitlines())
    assert (mean["basis"], mean["labelled"], mean["n"]) == ("labelled", rated, 12)
    assert found["labels"] == "few.csv"
    error, _ = judge.mistake(*words, "--ratings", "ratings.csv")
    assert "whose system the calibration has not seen" in error
    error, hint = judge.mistake("report", "run", "--ratings", few)
    assert "--ratings goes with --calibration" in error
    assert "judge calibrate RUN" in hint


def test_a_calibration_of_another_run_is_refused(judge: Program, recorded: Recorded) -> None:
    """Another judge, another rubric, other prompts: named, before anything is judged."""
    evaluated(judge, recorded, SYSTEMS[:5], "run")
    simulated(judge, "run")
    judge("calibrate", "run", "--ratings", "ratings.csv", "--confidence", 0.7)
    path = recorded("new")
    for options, message in (
        (["--seed", 1], "the judge mock (fingerprint mock/0), not the judge mock (fingerprint mo"),
        (["--lang", "en"], "the rubric esrp 1.1.0 zh (hash "),
        (["--rationale"], "prompts of hash "),
    ):
        error, hint = judge.mistake(
            *("eval", "--model", path, "--judge", "mock", "--out", "x", *TWO, *options),
            *("--calibration", "calibration.json"),
        )
        assert "calibration.json: this calibration is for scores of" in error
        assert message in error
        assert "leave out --calibration" in hint
    assert not (judge.folder / "x").exists()
    assert "calibrated on" in judge("report", "run", "--calibration", "calibration.json").out


def test_without_ratings_there_are_published_means(judge: Program, recorded: Recorded) -> None:
    """`paper` is the shipped table: lines, their errors, what they cannot do, and no item score."""
    systems = ["claude-sonnet-4", "deepseek-v3", "doubao-1.5-pro", "gpt-4.1", "human", "qwen-max"]
    evaluated(judge, recorded, [*systems, "new"], "run")
    done = judge("calibrate", "run", "--published", "paper", code=None)
    for words in (
        "published arXiv 2508.06388, Figure 1",
        "systems:                         6",
        "systems without published means: 1",
        "mean of others",
        "note: Nothing is known of single dialogues",
        "note: The order of the systems by a metric stays the judge's",
        "read off its Figure 1 with a ruler",
    ):
        assert words in done.out
    fits = json.loads((judge.folder / "calibration.json").read_text(encoding="utf-8"))["fits"]
    refused = [metric for metric, fit in fits.items() if fit["calibrator"] is None]
    for metric in refused:
        reason = fits[metric]["reason"]
        assert reason.startswith(("the judge adds nothing here", "the line does not rise"))
    assert done.code == (1 if refused else 0)
    judge("report", "run", "--calibration", "calibration.json", "--published", "paper")
    assert {row["calibrated"] for row in judge.scores("run")} == {""}
    results = json.loads((judge.folder / "run" / "results.json").read_text(encoding="utf-8"))
    assert results["published"]["means"]["human"]["fluency"] == 4.06
    for metric in fits:
        mean = results["calibration"]["means"]["new"][metric]
        assert (mean["mean"] is None) == (metric in refused)


def test_what_cannot_be_calibrated(judge: Program, recorded: Recorded) -> None:
    """One system, a metric without ratings, refused rows: reasons and exit 1. Mistakes: exit 2."""
    evaluated(judge, recorded, SYSTEMS[:3], "run")
    simulated(judge, "run", "one.csv", systems=["s0"])
    done = judge("calibrate", "run", "--ratings", "one.csv", code=1)
    assert "not calibrated, ratings of one system only (s0)" in done.out
    lines = simulated(judge, "run").read_text(encoding="utf-8").splitlines()
    some = judge.folder / "some.csv"
    some.write_text("\n".join([*(x for x in lines if "coherency" not in x), "s0,a,b,fluency,r0,9"]))
    done = judge("calibrate", "run", "--ratings", some, "--scale", "1-5", code=1)
    assert "not calibrated, no rating of it belongs to these dialogues: coherency" in done.out
    assert "ratings refused:                 1" in done.out
    assert "no interval for a single dialogue: 3 systems can give at most 75.0%" in done.out
    (judge.folder / "calibration.json").unlink()
    strange = judge.folder / "strange.csv"
    strange.write_text("system,character,scenario,metric,score\nx,a,1,fluency,3\n")
    for words, message in (
        (["run"], "a calibration takes --ratings or --published"),
        (["run", "--ratings", some, "--published", "paper"], "takes --ratings or --published"),
        (["run", "--published", "paper", "--rung", "linear"], "--rung goes with --ratings"),
        (
            ["run", "--published", "paper", "--scale", "1-5"],
            "--alias, --scale, --step and the other options of ratings go with",
        ),
        (["run", "--published", "paper"], "none of the systems judged (s0, s1, s2)"),
        (["run", "--ratings", "nowhere.csv"], "nowhere.csv: no such file"),
        (["run", "--ratings", strange], "no rating in it belongs to a judge score"),
        (["run", "--ratings", "ratings.csv", "--metrics", "wit"], "--metrics: wit was not judged"),
        (["run", "--ratings", "ratings.csv", "--alias", "x"], "--alias x: it is not NAME=METRIC"),
        (["nowhere", "--ratings", some], "nowhere: this is no run folder"),
    ):
        error, _ = judge.mistake("calibrate", *words)
        assert message in error
    assert not (judge.folder / "calibration.json").exists()
    error, _ = judge.mistake("report", "run", "--calibration", "some.csv")
    assert "some.csv: not a readable calibration" in error


def tidy(path: Path, systems: int, items: int, metrics: int, skill: float) -> Path:
    """SIMULATED: a table of three people and two judges, on 1-5."""
    rng = np.random.default_rng(11)
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["item", "system", "dimension", "rater", "rater_type", "score"])
        for system in range(systems):
            for item in range(items):
                for metric in range(metrics):
                    truth = rng.normal(3, 0.8)
                    where = (f"i{item}", f"s{system}", f"m{metric}")
                    for rater in ("ann", "bob", "cat"):
                        score = round(min(5, max(1, truth + rng.normal(0, 0.4))))
                        rows.writerow([*where, rater, "expert", score])
                    seen = 2 + skill * (truth - 3) + rng.normal(0, 0.3)
                    rows.writerow([*where, "low", "llm", round(min(5, max(1, seen)), 2)])
                    rows.writerow([*where, "dice", "llm", rng.integers(1, 6)])
    return path


def test_a_table_of_somebody_else_is_calibrated(judge: Program) -> None:
    """A judge that is a point too low is mapped, every score in a CSV; dice add nothing."""
    path = tidy(judge.folder / "t.csv", 10, 15, 2, 0.8)
    words = ("calibrate", "--table", path, "--scale", "1-5", "--out", "low.json")
    done = judge(*words, "--judge", "low")
    assert done.out.startswith("judge low, ratings t.csv")
    assert done.out.splitlines()[-1] == "calibrated scores: low-scores.csv"
    with (judge.folder / "low-scores.csv").open(encoding="utf-8-sig", newline="") as file:
        scores = list(csv.DictReader(file))
    assert len(scores) == 10 * 15 * 2
    assert np.mean([float(row["score"]) for row in scores]) < 2.3
    assert np.mean([float(row["calibrated"]) for row in scores]) == pytest.approx(3, abs=0.2)
    assert all(1 <= int(row["lower"]) <= int(row["upper"]) <= 5 for row in scores)
    done = judge(*words, "--judge", "dice", code=1)
    assert done.out.startswith("The judge adds nothing here: m0, m1 (2 of 2 metrics).")
    for extra, message in (
        ((), "the table holds several judges: name one with --judge"),
        (("--judge", "nobody"), "nobody"),
        (("--judge", "low", "--published", "paper"), "--table goes without RUNS"),
    ):
        error, _ = judge.mistake(*words, *extra)
        assert message in error
    # Another scale is declared: 0 to 8 in place of 1 to 5 is the same by a straight line.
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        if row["rater"] == "low":
            row["score"] = str(2 * (float(row["score"]) - 1))
    with (judge.folder / "wide.csv").open("w", encoding="utf-8", newline="") as file:
        wide = csv.DictWriter(file, rows[0])
        wide.writeheader()
        wide.writerows(rows)
    words = ("calibrate", "--table", "wide.csv", "--scale", "1-5", "--judge", "low")
    judge(*words, "--judge-scale", "0-8")
    beside = judge.folder / "calibration-wide-low-scores.csv"
    with beside.open(encoding="utf-8-sig", newline="") as file:
        brought = [float(row["calibrated"]) for row in csv.DictReader(file)]
    assert brought == pytest.approx([float(row["calibrated"]) for row in scores], abs=1e-6)
    judge(*words, "--judge-scale", "0-8", "--where", "dimension!=m1", "--out", "m0.json")
    assert list(json.loads((judge.folder / "m0.json").read_text())["fits"]) == ["m0"]
    before = path.rename(judge.folder / "low-scores.csv").read_bytes()
    words = ("calibrate", "--table", "low-scores.csv", "--judge", "low", "--out", "low.json")
    assert "the table would be replaced" in judge.mistake(*words)[0]
    assert (judge.folder / "low-scores.csv").read_bytes() == before
    error, _ = judge.mistake("calibrate")
    assert "name run folders, or a table with --table" in error
