"""`judge ratings`, as a user meets it: a file checked, sheets out, sheets back in."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import openpyxl
import pytest

from judge.ratings import ensure_usable, read_ratings, summarise
from judge.rubric import load_rubric

if TYPE_CHECKING:
    from tests.e2e.conftest import Program

Recorded = Callable[..., Path]
LUFFY = "《海贼王》的蒙奇·D·路飞"
HEAD = ("system", "character", "scenario", "metric", "rater", "score")
NINE = [m.name for m in load_rubric("esrp").dialogue_metrics]


def written(folder: Path, *rows: tuple[object, ...]) -> Path:
    path = folder / "ratings.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([HEAD, *rows])
    return path


def whole(scenario: object, rater: str, score: object = 4) -> list[tuple[object, ...]]:
    """One dialogue on all nine metrics."""
    return [("bot", LUFFY, scenario, metric, rater, score) for metric in NINE]


def test_check_a_file_that_is_in_order(judge: Program) -> None:
    """Ends with 0 and says how many ratings there are, and that raters are linked."""
    path = written(judge.folder, *whole(1, "ann"), *whole(1, "bo"), *whole(2, "bo"))
    done = judge("ratings", "check", path)
    assert "27 ratings of 2 dialogues, scale 1-5" in done.out
    assert "raters: 2, 9-18 ratings each (median 13.5)" in done.out
    assert "ratings per dialogue and metric: 1: 9, 2: 9 (overlap 50.0%)" in done.out
    assert "the raters are connected" in done.out


def test_check_lists_faults(judge: Program) -> None:
    """Ends with 1; twenty faults of a kind are printed, and --all or --json give every one."""
    rows = [r for n in range(25) for r in whole(n, "ann")]
    bad = [("bot", LUFFY, 99, "charm", "ann", 3)] * 25
    path = written(judge.folder, *rows, *bad)
    done = judge("ratings", "check", path, code=1)
    assert "unknown metric: 25" in done.out
    assert f"  {path}:227: 'charm' is no metric here" in done.out
    assert "and 5 more; --all lists them" in done.out
    assert judge("ratings", "check", path, "--all", code=1).out.count("'charm'") == 25
    found = json.loads(judge("ratings", "check", path, "--json", code=1).out)
    assert len(found["faults"]) == found["refused"]["unknown_metric"] == 25
    assert len(found["sources"][str(path)]) == 64
    assert found["pieces"] == [1]


def test_check_what_cannot_be_used(judge: Program) -> None:
    """Ends with 2: another scale, missing columns, two references, no such alias."""
    path = written(judge.folder, *whole(1, "ann", 0), *whole(2, "ann", 4))
    done = judge("ratings", "check", path, code=2)
    assert "on another scale than 1-5: 0 (9 times)" in done.err
    assert judge("ratings", "check", path, "--scale", "0-4").err == ""
    path.write_text("system,score\nbot,3\n", encoding="utf-8")
    assert "no column metric" in judge.mistake("ratings", "check", path)[0]
    assert "name one" in judge.mistake("ratings", "check", path, "--run=a", "--dialogues=b")[1]
    assert "not NAME=METRIC" in judge.mistake("ratings", "check", path, "--alias", "x")[0]
    assert "manifest" in judge.mistake("ratings", "check", path, "--run", judge.folder)[0]


def test_check_against_a_run(judge: Program, recorded: Recorded) -> None:
    """A join counts both ways, and ratings of what is not there are named."""
    judge("eval", "--model", recorded(), "--judge", "mock", "--out", "run")
    path = written(judge.folder, *whole(1, "ann"), *whole(7, "ann"))
    done = judge("ratings", "check", path, "--run", "run", code=1)
    assert "dialogues there: 4, 1 of them rated" in done.out
    assert "ratings of them: 9 of 18" in done.out
    assert "ratings that have a judge score: 9 of 18" in done.out
    assert "judge scores that have a rating: 9 of 36" in done.out
    assert f"{path}:11: no dialogue of scenario '7'" in done.out
    alone = written(judge.folder, *whole(7, "ann"))
    done = judge("ratings", "check", alone, "--dialogues", recorded(), code=2)
    assert "none of its ratings belongs to these dialogues" in done.err


def test_sheet_fill_collect(judge: Program, recorded: Recorded) -> None:
    """What annotators fill in comes back under the systems that they did not see."""
    recorded("ace", n=4)
    recorded("bot", n=4)
    files = judge.folder / "files"
    files.mkdir()
    for name in ("ace", "bot"):
        (judge.folder / f"{name}.json").rename(files / f"{name}.json")
    done = judge("ratings", "sheet", files, "--out", "s", "--raters", 2, "--overlap", "25%")
    assert "16 dialogues, 4 of them rated more than once" in done.out
    assert "give away s/sheets, keep s/key.json" in done.out
    for path in sorted((judge.folder / "s" / "sheets").iterdir()):
        book = openpyxl.load_workbook(path)
        for row in book.active.iter_rows(min_row=2, min_col=4):
            for cell in row:
                cell.value = 3
        book.save(path)
    sheets = ("s/sheets/rater-01.xlsx", "s/sheets/rater-02.xlsx")
    done = judge("ratings", "collect", *sheets, "--key", "s/key.json", "--out", "r.csv")
    assert "180 ratings of 16 dialogues" in done.out
    done = judge("ratings", "check", "r.csv", "--dialogues", files)
    assert "dialogues there: 16, 16 of them rated" in done.out
    assert "overlap 25.0%" in done.out
    done = judge("ratings", "collect", sheets[0], "--key=s/key.json", "--out=r.csv", code=1)
    assert "not handed in: rater-02, 10 dialogues" in done.out
    for out in ("r.txt", sheets[0]):
        assert judge.mistake("ratings", "collect", *sheets, "--key=s/key.json", "--out", out)


@pytest.mark.parametrize("kind", ["xlsx", "csv"])
def test_the_same_seed_gives_the_same_bytes(judge: Program, recorded: Recorded, kind: str) -> None:
    """Sheets can be made again; another seed gives others."""
    path = recorded(n=6)

    def made(out: str, seed: int) -> dict[str, bytes]:
        options = ("--raters", 2, "--format", kind, "--seed", seed, "--lang", "en")
        found = json.loads(judge("ratings", "sheet", path, "--out", out, *options, "--json").out)
        assert found["dialogues"] == 12
        files = [p for p in (judge.folder / out).rglob("*") if p.is_file()]
        return {str(p.relative_to(judge.folder / out)): p.read_bytes() for p in files}

    first = made("a", 1)
    time.sleep(2)  # a zip archive tells times apart by two seconds
    assert made("b", 1) == first
    assert made("c", 2) != first


def test_132000_ratings_in_time(judge: Program) -> None:
    """The paper's number of ratings is read and checked in under 5 s."""
    rng = np.random.default_rng(0)
    metrics = [m.name for m in load_rubric("esrp").rubric.metrics]
    score = rng.integers(1, 6, size=(11, 20, 60, len(metrics))).tolist()
    path = written(
        judge.folder,
        *(
            (f"s{s}", f"c{c}", k, metrics[m], f"r{(s + c + k) % 40}", score[s][c][k][m])
            for s in range(11)
            for c in range(20)
            for k in range(60)
            for m in range(len(metrics))
        ),
    )
    start = time.process_time()
    found = read_ratings(path, metrics=load_rubric("esrp").rubric.metrics)
    summary = summarise(found)
    ensure_usable(found)
    assert time.process_time() - start < 5
    assert (summary.ratings, summary.cells, summary.raters) == (132_000, 13_200, 40)
    assert found.score.sum() == sum(np.ravel(score))
