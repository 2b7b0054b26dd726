"""Runs read back from their folders, and their scores as tables."""

from __future__ import annotations

import csv
import math
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from judge.analysis.summary import summarize
from judge.errors import StoreError, UsageError
from judge.report.scores_table import scores_csv
from judge.runs import group_by_judge, open_run, score_frame, show_frame
from judge.types import Failure, Judgment, ScoreDistribution

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run folder as an earlier version of the program left it."""
    run = tmp_path / "run"
    run.mkdir()
    shutil.copy(GOLDEN / "run-v2" / "manifest.json", run)
    with closing(sqlite3.connect(run / "judge.sqlite")) as db:
        db.executescript((GOLDEN / "run-v2" / "judge.sql").read_text(encoding="utf-8"))
    return run


def judgment(metric: str, outcome: ScoreDistribution | Failure) -> Judgment:
    return Judgment("key", "bot", "路飞", "1", metric, outcome)


def test_a_run_is_read_whole(folder: Path) -> None:
    """Every judgment and dialogue of the folder, in a frame with the columns of scores.csv."""
    run = open_run(folder)
    frame = run.to_frame()
    assert len(frame) == len(run.judgments) > 0
    assert set(frame["system"]) == {dialogue.system for dialogue in run.dialogues}
    assert run.failed == (frame["status"] != "ok").sum()
    assert "score" in run._repr_html_()


def test_one_row_for_each_judgment() -> None:
    """Scores are expected labels, by hand: log-probabilities of 1/4 and 3/4 of the labels 1, 2."""
    read = ScoreDistribution((math.log(0.2), math.log(0.6)), top_is_label=True)
    frame = score_frame(
        [judgment("a", read), judgment("b", Failure("empty_reply", "nothing was said"))],
        ("1", "2"),
    )
    assert frame["score"].iloc[0] == pytest.approx(1.75)
    assert frame["label_mass"].iloc[0] == pytest.approx(0.8)
    assert (frame["p1"].iloc[0], frame["p2"].iloc[0]) == pytest.approx((0.25, 0.75))
    assert math.isnan(frame["score"].iloc[1])
    assert list(frame["status"]) == ["ok", "empty_reply"]
    assert frame["reason"].iloc[1] == "nothing was said"


def test_no_judgments_make_an_empty_frame_with_columns() -> None:
    """A frame of nothing can be joined and selected like any other."""
    frame = score_frame([], ("1", "2"))
    assert len(frame) == 0
    assert {"system", "score", "p2", "status"} <= set(frame.columns)


def test_texts_are_escaped_in_a_notebook() -> None:
    """What a dialogue file calls its systems never becomes markup."""
    frame = score_frame(
        [Judgment("k", "<script>", "c", "1", "m", Failure("empty_reply", "<b>"))], ("1",)
    )
    shown = show_frame(frame, "a <title>")
    assert "<script>" not in shown
    assert "<b>" not in shown
    assert "a &lt;title&gt;" in shown


def test_groups_are_of_one_judge_and_rubric(folder: Path) -> None:
    """Two folders of one judge stand together."""
    assert group_by_judge([folder, str(folder)]) == [[folder, folder]]


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    """It is named, with what to name instead; so is having named none."""
    for read in (open_run, lambda folder: group_by_judge([folder])):
        with pytest.raises(StoreError, match=r"no run folder: it has no manifest\.json"):
            read(tmp_path)
    with pytest.raises(UsageError, match="no run folder is named"):
        open_run()


def test_the_columns_are_those_of_the_file(folder: Path) -> None:
    """scores.csv has these columns in this order, and calibrated ones after them."""
    run = open_run(folder)
    results = summarize(run.judgments, run.manifest.rubric, provenance=run.manifest.provenance)
    head = next(csv.reader(scores_csv(run.judgments, results).splitlines()))
    assert list(run.to_frame().columns) == head[: -len(["calibrated", "lower", "upper"])]
