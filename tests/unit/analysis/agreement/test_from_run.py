"""A run joined with a ratings file: what is read, what is left out, and what is said of it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from judge.analysis.agreement.data import PairedScores
from judge.analysis.agreement.from_run import scores_from_run
from judge.analysis.agreement.judge_agreement import agree
from judge.errors import DataError, UsageError
from judge.ratings import Scale, read_ratings
from judge.types import (
    Dialogue,
    Dimension,
    Failure,
    Judgment,
    Metric,
    Rubric,
    ScoreDistribution,
    Turn,
)

HEAD = "system,character,scenario,metric,rater,score"
SYSTEMS, CHARACTERS, SCENARIOS = ("ape", "bee", "cat"), ("Lin", "玛修"), ("1", "2", "10")
CELLS = [(s, c, k) for s in SYSTEMS for c in CHARACTERS for k in SCENARIOS]
METRICS = ("fluency", "sense", "style")
Join = Callable[..., PairedScores]


@pytest.fixture
def rubric() -> Rubric:
    """Two dimensions, of two metrics and of one."""
    titles = {"en": "Fluency", "zh": "流畅性"}
    return Rubric(
        name="small",
        version="1.0.0",
        language="zh",
        hash="0" * 64,
        labels=("1", "2", "3", "4", "5"),
        dimensions=(
            Dimension("talk", {"en": "Talk"}, ("fluency", "sense")),
            Dimension("role", {"en": "Role"}, ("style",)),
        ),
        metrics=(
            Metric("fluency", "talk", titles),
            Metric("sense", "talk", {"en": "Sense"}),
            Metric("style", "role", {"en": "Style"}),
        ),
    )


def judgment(cell: tuple[str, str, str], metric: str, p: Sequence[float]) -> Judgment:
    """With these label probabilities."""
    logprobs = tuple(math.log(x) if x else -math.inf for x in p)
    outcome = ScoreDistribution(logprobs, top_is_label=True)
    return Judgment(f"{cell} {metric}", *cell, metric, outcome, rationale=f"{metric}!")


P = ((0.5, 0.5, 0, 0, 0), (0, 0, 0, 0.25, 0.75), (0.0, 0.4, 0.3, 0.3, 0.0))
JUDGMENTS = [
    judgment(cell, metric, P[(row + column) % 3])
    for row, cell in enumerate(CELLS)
    for column, metric in enumerate(METRICS)
]
DIALOGUES = [Dialogue(*cell, (Turn("?", "one" * (row + 1)),)) for row, cell in enumerate(CELLS)]
ROWS = [(*cell, metric, "an", 1 + row % 5) for row, cell in enumerate(CELLS) for metric in METRICS]


@pytest.fixture
def join(rubric: Rubric, tmp_path: Path) -> Join:
    """`join(rows of ratings, judgments=..., dialogues=..., scale=..., options)`."""

    def made(
        rows: Sequence[Sequence[object]] = ROWS,
        judgments: Sequence[Judgment] = JUDGMENTS,
        dialogues: Sequence[Dialogue] = DIALOGUES,
        scale: Scale | None = None,
        **options: Any,
    ) -> PairedScores:
        path = tmp_path / "ratings.csv"
        lines = [HEAD, *(",".join(map(str, row)) for row in rows)]
        path.write_text("\n".join(lines), encoding="utf-8")
        ratings = read_ratings(path, scale=scale)
        return scores_from_run(
            judgments,
            dialogues,
            rubric,
            ratings,
            judge="machine",
            provenance={"model": "m"},
            notes=("before all",),
            **options,
        )

    return made


def test_a_run_and_its_ratings(join: Join) -> None:
    """Every field that a report is drawn from, for the first dialogue by hand."""
    found = join()
    assert list(zip(found.system, found.character, found.scenario, strict=True)) == CELLS
    assert found.score[0] == pytest.approx([1.5, 4.75, 2.9])
    assert found.probs is not None
    assert found.probs[1, 1] == pytest.approx(P[2])
    assert found.length[:3].tolist() == [3, 6, 9]
    assert found.turns[0] == (Turn("?", "one"),)
    assert found.rationales[0, 1] == "sense!"
    assert found.raters == ("an",)
    assert (found.groups, found.complete, found.has_overall) == (
        {"talk": ("fluency", "sense"), "role": ("style",)},
        {"talk", "role"},
        True,
    )
    assert found.titles["fluency"] == "Fluency (流畅性)"
    assert found.titles["overall"] == "Overall"
    assert (found.notes, found.partial) == (("before all",), "")
    for cell, metric, rating in zip(found.dialogue, found.metric, found.rating, strict=True):
        assert (rating, METRICS[metric]) == (1 + cell % 5, found.metrics[metric])


def test_the_ratings_file_is_named_with_its_hash(join: Join, tmp_path: Path) -> None:
    """Beside what made the run."""
    found = join().provenance
    digest = hashlib.sha256((tmp_path / "ratings.csv").read_bytes()).hexdigest()
    assert found["model"] == "m"
    assert (found["ratings"], found["ratings SHA-256"]) == ("ratings.csv", digest)


def test_the_most_probable_label_on_request(join: Join) -> None:
    """Of two equally probable ones the lower; the probabilities stay."""
    found = join(point="argmax")
    assert found.score[0].tolist() == [1, 5, 2]
    assert found.probs is not None
    assert found.provenance["score"] == "most probable label"
    assert join().provenance["score"] == "expected label"


def test_the_order_of_judgments_changes_nothing(join: Join) -> None:
    """A store may hand them over in any order."""
    first, second = (agree(join(judgments=js), resamples=0) for js in (JUDGMENTS, JUDGMENTS[::-1]))
    assert first == second


def test_some_metrics_only(join: Join) -> None:
    """A dimension without all its metrics is none, and there is no overall."""
    found = join(metrics=("sense",))
    assert (found.metrics, found.complete, found.has_overall) == (("sense",), frozenset(), False)
    assert found.score[0] == pytest.approx([4.75])
    with pytest.raises(UsageError, match="wit was not judged"):
        join(metrics=("wit",))


def test_a_metric_without_ratings_is_left_out_and_named(join: Join) -> None:
    """Judged but not rated; and one that was rated but not judged."""
    rows = [row for row in ROWS if row[3] != "sense"] + [(*CELLS[0], "wit", "an", 3)]
    found = join(rows)
    assert found.metrics == ("fluency", "style")
    assert (found.complete, found.has_overall) == ({"role"}, False)
    assert "Rated, but not judged: wit." in found.notes
    assert "Judged, but not rated: sense." in found.notes


def test_what_has_no_counterpart_is_counted(join: Join) -> None:
    """Rated dialogues that are strange or have no score, judged ones that nobody rated."""
    failed = Judgment("x", *CELLS[0], "fluency", Failure("too_long", "it is too long"))
    judgments = [
        failed,
        *(j for j in JUDGMENTS if j.metric == "fluency" and j.key != JUDGMENTS[0].key),
    ]
    rows = [
        *(row for row in ROWS if row[3] == "fluency" and row[0] != "cat"),
        ("dog", "Lin", "1", "fluency", "an", 3),
        ("ape", "Lin", "99", "fluency", "an", 3),
    ]
    found = join(rows, judgments)
    assert found.notes[1:] == (
        "Rated dialogues that the run does not hold: 2, such as ape/Lin/99.",
        "Rated dialogues that have no judge's score: 1, such as ape/Lin/1.",
        "Judged dialogues that nobody rated: 6, such as cat/Lin/1.",
        "Judgments that could not be made: 1 (too_long 1).",
    )
    measure = agree(found, resamples=0).measure("fluency")
    assert (measure.n, measure.not_rated, measure.not_judged) == (11, 6, 1)
    assert len(found.rating) == 12


def test_refused_ratings_are_counted(join: Join) -> None:
    """By why they were refused."""
    found = join([*ROWS, (*CELLS[0], "fluency", "bo", 9), (*CELLS[0], "fluency", "cy", "many")])
    assert "Ratings refused: 2 (off scale 1, not a number 1)." in found.notes


def test_a_run_that_goes_on_is_partial(join: Join) -> None:
    """Dialogues that were asked about and have neither a score nor a failure; they may be rated."""
    found = join(judgments=JUDGMENTS[:-4])
    assert found.partial == "4 of 54 judgments are not there yet."
    assert len(found.system) == 18
    assert np.isnan(found.score).sum() == 4
    assert agree(found, resamples=0).measure("style").not_judged == 2


def test_a_system_that_was_asked_less_is_not_partial(join: Join) -> None:
    """Of one system only fluency was asked for."""
    found = join(judgments=[j for j in JUDGMENTS if j.system != "cat" or j.metric == "fluency"])
    assert found.partial == ""


def test_nothing_in_common_is_refused_with_an_example_of_either_side(
    join: Join, tmp_path: Path
) -> None:
    """Other names of systems, or other metrics."""
    for rows, example in (
        ([("emu", *row[1:]) for row in ROWS[:1]], "fluency of emu/Lin/1"),
        ([(*CELLS[0], "wit", "an", 3)], "wit of ape/Lin/1"),
    ):
        with pytest.raises(DataError) as caught:
            join(rows)
        assert caught.value.path == tmp_path / "ratings.csv"
        assert example in caught.value.message
        assert "fluency of ape/Lin/1 was judged" in caught.value.message
        assert caught.value.hint


def test_a_file_without_a_usable_rating_is_refused(join: Join) -> None:
    """All its rows were refused before."""
    with pytest.raises(DataError, match="no rating that can be used"):
        join([(*CELLS[0], "fluency", "an", 9)])


def test_people_on_another_scale(join: Join) -> None:
    """0 to 4, and 0 to 10, which holds the judge's 1 to 5 but is not it: no errors in points."""
    for scale in (Scale(0, 4), Scale(0, 10)):
        rows = [(*row[:5], int(str(row[5])) - 1) for row in ROWS]
        found = agree(join(rows, scale=scale), resamples=10).measure("fluency")
        assert found.scale == (scale.low, scale.high)
        assert found.mae.value is None
        assert found.mae.reason == f"the judge scores on 1..5, people on 0..{scale.high:g}"
        assert found.spearman["all"].value is not None


def test_ratings_without_a_rater(join: Join) -> None:
    """The column stays empty."""
    found = join([(*row[:4], "", row[5]) for row in ROWS])
    assert (set(found.rater.tolist()), found.raters) == ({-1}, ())
