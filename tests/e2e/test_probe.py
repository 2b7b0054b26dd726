"""`judge probe` as a user runs it: exit status, files, resuming, mistakes."""

from __future__ import annotations

import csv
import json
import signal
import time

import pytest

from tests.e2e.conftest import Program

QUICK = ("probe", "--judge", "mock-constant", "--limit", "4", "--metrics", "fluency,speech_style")


def test_a_probe_writes_its_page_and_files(judge: Program) -> None:
    """Without other data of the dialogues of the demo; a second time nothing is judged anew."""
    done = judge(*QUICK, "--out", "out")
    assert "not shown to see anything" in " ".join(done.out.split())
    assert "of the demo" in done.out
    assert "note: 4 dialogues give no intervals" in done.out
    assert done.out.endswith("probe: out/probe.html\n")
    folder = judge.folder / "out"
    names = ("probe.html", "probe.json", "probe.csv", "probe.md", "probe.tex")
    before = {name: (folder / name).read_bytes() for name in names}
    again = judge(*QUICK, "--out", "out")
    assert "0 judgments made" in again.err
    assert {name: (folder / name).read_bytes() for name in names} == before
    page = before["probe.html"].decode()
    assert "<script" in page
    assert "https://" not in page
    assert "arXiv 2507.08794" in page
    with (folder / "probe.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    by_bait = {row["name"]: row for row in rows if row["statistic"] == "shift"}
    assert float(by_bait["emoji"]["value"]) == 0
    weak = [row for row in rows if row["name"] == "drop_characters" and row["statistic"] == "auc 1"]
    assert [(row["measure"], float(row["value"])) for row in weak] == [("fluency", 0.5)]


def test_the_exit_status_says_whether_requirements_are_met(judge: Program) -> None:
    """Met: 0; missed, or of a number that is unknown: 1, said in words."""
    met = judge(*QUICK, "--out", "out", "--require", "fluency>=.5", "--require", "bait<=.2")
    assert "Required bait<=.2: found 0.000, met." in met.out
    missed = judge(*QUICK, "--out", "out", "--require", "fluency >= 0.8", code=1)
    assert "Required fluency >= 0.8: found 0.500, missed." in missed.out
    unknown = judge(*QUICK, "--out", "out", "--require", "halo<=1", "--json", code=1)
    record = json.loads(unknown.out)
    assert record["missed"] == ["halo<=1"]
    assert record["probe"]["requirements"][0]["value"] is None


def test_noise_meets_no_requirement_by_luck(judge: Program) -> None:
    """Of few pairs a share may be large: it may be chance, and that is said."""
    names = ("fluency", "coherency", "speech_style", "behavioral_habit")
    bounds = (f"--require={name}>=.51" for name in names)
    args = ("probe", "--judge", "mock", "--limit", "4", "--metrics", ",".join(names), *bounds)
    done = judge(*args, "--out", "out", code=1)
    said = [line for line in done.out.splitlines() if line.startswith("Required")]
    assert len(said) == len(names)
    assert all(line.endswith("missed.") for line in said)
    assert any("but that may be chance" in line for line in said)


def test_two_judges_and_two_seeds_stand_in_one_report(judge: Program) -> None:
    """Each has a folder of its own; another seed of the mock scores otherwise."""
    judge(*QUICK, "--judge", "mock", "--against", "seed=1", "--out", "both")
    record = json.loads((judge.folder / "both" / "probe.json").read_text("utf-8"))
    names = [finding["name"] for finding in record["findings"]]
    assert names == ["mock-constant", "mock"]
    assert [finding["folder"] for finding in record["findings"]] == names
    constant, noise = (
        next(way["rms"] for way in finding["rescored"] if way["name"] == "seed=1")
        for finding in record["findings"]
    )
    assert constant == 0
    assert noise > 0.5
    page = (judge.folder / "both" / "probe.html").read_text("utf-8")
    assert "What mock-constant and mock see" in page


def test_two_rubrics_of_one_judge_are_a_bench(judge: Program) -> None:
    """The metrics are those that both have."""
    judge(*QUICK, "--rubric", "esrp", "--rubric", "tiny", "--out", "bench")
    record = json.loads((judge.folder / "bench" / "probe.json").read_text("utf-8"))
    rubrics = [finding["rubric"].split()[0] for finding in record["findings"]]
    assert rubrics == ["esrp", "tiny"]


def test_a_probe_that_was_stopped_goes_on(judge: Program) -> None:
    """What was judged before is not asked again."""
    args = ("probe", "--judge", "mock", "--limit", "10", "--out", "run")
    process = judge.start(*args)
    deadline = time.monotonic() + 60
    while not judge.rows("run") and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    done = judge.end(process, code=None)
    kept = judge.rows("run")
    assert kept > 0
    if done.code == 0:
        pytest.skip("it was done before it could be stopped")
    assert done.code == 3
    again = judge(*args)
    assert f"{kept} were there" in again.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--require", "fluency"), "it is not NAME>=NUMBER"),
        (("--require", "charm>=.5"), "no number called charm"),
        (("--require", "bait>=.2"), "a worse judge would meet it more easily"),
        (("--require", "fluency>=80"), "nothing can meet it"),
        (("--against", "moon"), "neither an engine nor a seed"),
        (("--judge", "mock-constant"), "named twice"),
        (("--metrics", "charm"), "charm"),
        (("--dialogues", "none.json"), "none.json"),
    ],
)
def test_mistakes_are_told_before_anything_is_judged(
    judge: Program, options: tuple[str, ...], message: str
) -> None:
    """With a hint, and no folder is made."""
    error, hint = judge.mistake(*QUICK, *options, "--out", "out")
    assert message in error
    assert len(hint) > len("hint: ")
    assert not (judge.folder / "out").exists()


def test_one_scene_is_too_few(judge: Program, recorded: object) -> None:
    """There would be no interval."""
    path = recorded(n=2, characters=("路飞",))  # type: ignore[operator]
    error, hint = judge.mistake(*QUICK, "--dialogues", path)
    assert "fewer than two characters" in error
    assert "--dialogues" in hint
