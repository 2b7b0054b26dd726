"""What is said of ratings: counts, overlap, connectedness, what they can be joined with."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from judge.errors import DataError
from judge.ratings import (
    DialogueId,
    Ratings,
    Scale,
    compare,
    ensure_usable,
    join_ratings,
    mean_ratings,
    read_ratings,
    summarise,
)
from judge.ratings.check import rater_groups
from judge.rubric import load_rubric

METRICS = load_rubric("esrp").rubric.metrics
Row = tuple[str, str, str, str]  # scenario, metric, rater, score


def made(tmp_path: Path, rows: Iterable[Row], scale: Scale | None = None) -> Ratings:
    """Ratings of one system as one character."""
    path = tmp_path / "x.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["system", "character", "scenario", "metric", "rater", "score"])
        writer.writerows(["s", "c", *row] for row in rows)
    return read_ratings(path, metrics=METRICS, scale=scale)


# Raters a and b share scenario 2, c stands alone; d has the same dialogue as c, another metric.
SMALL: list[Row] = [
    ("1", "fluency", "a", "5"),
    ("2", "fluency", "a", "4"),
    ("2", "fluency", "b", "4"),
    ("3", "fluency", "c", "2"),
    ("3", "coherency", "d", "2"),
    ("4", "coherency", "", "1"),
    ("4", "coherency", "", "1"),
]


def test_counts_by_hand(tmp_path: Path) -> None:
    """Every count of a small table is what one counts by hand."""
    found = summarise(made(tmp_path, SMALL), ["fluency", "coherency", "consistency"])
    assert (found.ratings, found.cells, found.raters) == (7, 4, 4)
    assert (found.unnamed, found.repeats) == (2, 1)
    assert found.ratings_per_rater == (1, 1.0, 2)
    assert found.raters_per_cell == {1: 3, 2: 2}
    assert found.overlap == pytest.approx(2 / 5)
    assert found.pieces == (2, 2)
    assert found.unrated == ("consistency",)
    fluency, coherency = found.metrics
    assert (fluency.name, fluency.ratings, fluency.cells, fluency.raters) == ("fluency", 4, 3, 3)
    assert fluency.scores == {1.0: 0, 2.0: 1, 3.0: 0, 4.0: 2, 5.0: 1}
    assert fluency.raters_per_cell == {1: 2, 2: 1}
    assert (fluency.pieces, coherency.pieces) == (2, 1)


def test_pieces_name_who_can_be_compared(tmp_path: Path) -> None:
    """Raters are linked by a shared dialogue; for one metric, by one rated on that metric."""
    found = made(tmp_path, [*SMALL, ("9", "fluency", "e", "3"), ("1", "fluency", "f", "3")])
    assert found.raters == ("a", "b", "c", "d", "e", "f")
    assert rater_groups(found).tolist() == [0, 0, 1, 1, 2, 0]
    coherency = found.metrics.index("coherency")
    assert rater_groups(found, coherency).tolist() == [-1, -1, -1, 0, -1, -1]


def test_without_raters_nothing_is_said_of_them(tmp_path: Path) -> None:
    """Undefined is None, not 0."""
    found = summarise(made(tmp_path, [("1", "fluency", "", "3")]))
    assert (found.raters, found.ratings_per_rater, found.pieces) == (0, None, ())
    assert found.metrics[0].pieces is None


def scored(*scores: int) -> list[Row]:
    return [(str(i), "fluency", "r", str(score)) for i, score in enumerate(scores)]


@pytest.mark.parametrize(
    ("scores", "usable"),
    [
        ([1, 3, 5, 4] * 50, True),
        ([*([1, 3, 5, 4] * 50), 55], True),  # one slip of the finger in 201
        ([*([1, 3, 5, 4] * 50), 6, 6, 7], False),  # 1-7
        ([*([3, 4, 4, 2] * 50), 0], False),  # 0-4: one 0, and not a single 5
        ([*([3, 4, 5, 2] * 50), 7], False),  # 3-7, say: beyond the top, and nobody gave a 1
    ],
)
def test_another_scale_is_noticed(tmp_path: Path, scores: list[int], usable: bool) -> None:
    """Few values off the scale are mistakes; many, or a shifted range, are another scale."""
    found = made(tmp_path, scored(*scores))
    if usable:
        ensure_usable(found)
        return
    with pytest.raises(DataError, match="another scale than 1-5") as caught:
        ensure_usable(found)
    assert "--scale" in (caught.value.hint or "")
    # Whoever names the scale has been heard: then they are faults and no more.
    ensure_usable(made(tmp_path, scored(*scores), Scale()))


def test_nothing_that_can_be_used(tmp_path: Path) -> None:
    """If every rating is refused, the reasons are counted."""
    with pytest.raises(DataError, match=r"no rating in it can be used \(empty 1\)"):
        ensure_usable(made(tmp_path, [("1", "fluency", "a", "")]))


def test_joined_with_a_run(tmp_path: Path) -> None:
    """Ratings of dialogues that are not there are named; both directions of the join count."""
    found = made(tmp_path, SMALL)
    there = [DialogueId("s", "c", n) for n in "1256"]
    judged = [(there[0], "fluency"), (there[1], "fluency"), (there[2], "fluency")]
    joined = compare(found, there, judged)
    assert [(f.row, f.text) for f in joined.unknown] == [
        (5, "no dialogue of scenario '3'"),
        (6, "no dialogue of scenario '3'"),
        (7, "no dialogue of scenario '4'"),
        (8, "no dialogue of scenario '4'"),
    ]
    assert (joined.rated, joined.dialogues, joined.known) == (3, 2, 4)
    assert (joined.judged, joined.judgments, joined.matched) == (3, 3, 2)
    ensure_usable(found, joined)


def test_joined_with_dialogues_of_others(tmp_path: Path) -> None:
    """If no rating belongs to the dialogues, the file cannot be used with them."""
    found = made(tmp_path, SMALL)
    joined = compare(found, [DialogueId("other", "c", "1")])
    assert (joined.rated, joined.judged, joined.judgments, joined.matched) == (0, None, None, None)
    assert joined.unknown[0].text == "no dialogue of system 's'"
    with pytest.raises(DataError, match="none of its ratings belongs to these dialogues"):
        ensure_usable(found, joined)


def test_a_combination_that_is_not_there(tmp_path: Path) -> None:
    """System, character and scenario may each be known, and the dialogue not."""
    joined = compare(
        made(tmp_path, SMALL[:1]), [DialogueId("s", "d", "1"), DialogueId("t", "c", "1")]
    )
    assert joined.unknown[0].text == "no dialogue s/c/1"


def test_ratings_of_many_replies_belong_to_their_character(tmp_path: Path) -> None:
    """A rating without a scenario is known if its system and character are."""
    found = made(tmp_path, [("", "response_diversity", "a", "3")])
    assert compare(found, [DialogueId("s", "c", "1")]).unknown == ()
    assert len(compare(found, [DialogueId("s", "d", "1")]).unknown) == 1


def test_ratings_find_their_place_in_a_table(tmp_path: Path) -> None:
    """By hand: one rating has no dialogue in the table, one no metric, two share an entry."""
    rows = [("1", "fluency", "a", "3"), ("1", "fluency", "b", "4"), ("2", "coherency", "a", "1")]
    found = made(tmp_path, [*rows, ("3", "fluency", "a", "5")])
    joined = join_ratings(found, [("s", "c", "2"), ("s", "c", "1")], ["fluency"])
    places = {(1.0, 0, -1), (3.0, 1, 0), (4.0, 1, 0), (5.0, -1, 0)}
    assert set(zip(found.score.tolist(), *(a.tolist() for a in joined), strict=True)) == places
    use = joined.both
    mean = mean_ratings(joined.row[use], joined.column[use], found.score[use], (2, 1))
    assert np.array_equal(mean, [[np.nan], [3.5]], equal_nan=True)
