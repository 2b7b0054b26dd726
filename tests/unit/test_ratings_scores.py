"""How people and their programs write a score, and what may be missing before nothing is said."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from judge.errors import DataError, UsageError
from judge.ratings import (
    Ratings,
    Scale,
    ensure_complete,
    ensure_complete_table,
    ensure_usable,
    on_scale,
    read_judged_table,
    read_ratings,
)
from judge.ratings.values import FAULT_CODES, parse_scores

WHOLE = Scale()
ANY = Scale(-math.inf, math.inf, 0)


def parsed(values: Sequence[object], scale: Scale = WHOLE) -> list[object]:
    """Each value as its number, or the kind of its fault."""
    column = np.empty(len(values), dtype=np.object_)
    column[:] = values
    kinds = {code: kind for kind, code in FAULT_CODES.items()}
    score, kind = parse_scores(column, scale)
    return [
        number if not why else kinds[why]
        for number, why in zip(score.tolist(), kind.tolist(), strict=True)
    ]


@pytest.mark.parametrize(
    "values",
    [
        ["4分", "5分"],
        ["4 分", "5"],
        ["４．０", "５"],
        ["4/5", "5/5"],
        ["4分/5分", "5分 / 5分"],
        ["4 out of 5", "5 of 5"],
        ["4 - 好", "5 - 很好"],
        ["4：好", "5：很好"],
        ["4、好", "5、很好"],
        ["4 好", "5 很好"],
        ["好(4)", "很好（5分）"],
        ["④", "⑤"],
        ['="4"', '="5"'],
        ['[{"rating": 4}]', '[{"rating": 5}]'],
        ['{"choices": ["4"]}', '["5"]'],
        [[{"rating": 4}], {"choices": ["5 - 很好"]}],
        ["4\u200b", "\ufeff5 "],
        ["4 stars", "5 stars"],
        ["4x", "5x"],
    ],
)
def test_spellings_of_a_score(values: Sequence[object]) -> None:
    """One way of writing throughout a column is understood."""
    assert parsed(values) == [4, 5]


@pytest.mark.parametrize(
    "value",
    ["4-5", "4 or 5", "4?", "4%", "四", "good", "4,5", "3.5.1", "1_0", "inf", True, [4, 5]],
)
def test_what_is_not_understood_is_refused(value: object) -> None:
    """Two numbers, a doubt or a word is no score."""
    assert parsed([value, "4"]) == ["not_a_number", 4]


def test_spellings_that_do_not_agree() -> None:
    """Another end of the scale, an unknown unit in some rows, one number with two words."""
    assert parsed(["4/5", "3/10"]) == [4, "not_a_number"]
    assert parsed(["4/5", "3/10"], ANY) == ["not_a_number"] * 2
    assert parsed(["4/10", "3/10"], ANY) == [4, 3]
    assert parsed(["4x", "3"]) == ["not_a_number", 3]
    assert parsed(["4x", "3y"]) == ["not_a_number"] * 2
    assert parsed(["4 - 好", "4 - 差", "3 - 差"]) == ["not_a_number", "not_a_number", 3]


# What may be missing


def ratings(tmp_path: Path, scores: Sequence[object], scale: Scale | None = None) -> Ratings:
    path = tmp_path / "ratings.csv"
    rows = "".join(f"s,路飞,{i},fluency,甲,{score}\n" for i, score in enumerate(scores))
    path.write_text(f"system,character,scenario,metric,rater,score\n{rows}", encoding="utf-8")
    return read_ratings(path, scale=scale)


def test_half_points_are_refused_with_the_option(tmp_path: Path) -> None:
    """To drop them would be a choice by value: only whole points would be left."""
    found = ratings(tmp_path, [4, 3.5, 2, 3.5])
    with pytest.raises(DataError, match=r"2 scores are not on the scale 1-5: 3\.5 \(2") as caught:
        ensure_usable(found)
    assert caught.value.hint == "say that they are meant: --step 0.5"
    ensure_usable(ratings(tmp_path, [4, 3.5, 2], Scale(1, 5, 0.5)))
    with pytest.raises(DataError) as quarters:
        ensure_usable(ratings(tmp_path, [4, 3.25]))
    assert "--step 0.25" in str(quarters.value.hint)


def test_no_verdict_on_remains(tmp_path: Path) -> None:
    """One in a hundred may be refused, two may not, unless the user asks for it."""
    good = [1, 2, 3, 4, 5] * 20
    ensure_complete(ratings(tmp_path, [*good[1:], "good"]))
    found = ratings(tmp_path, [*good[2:], "good", "bad"])
    with pytest.raises(DataError, match="2 of 100 scores of fluency: more than 1%") as caught:
        ensure_complete(found)
    assert "--allow-missing" in str(caught.value.hint)
    assert "2 of 100" in ensure_complete(found, allow_missing=True).incomplete
    assert not ensure_complete(found, ["coherency"]).incomplete


def test_what_is_not_there_is_not_refused(tmp_path: Path) -> None:
    """Blank cells, and scores off a scale that the user named, are left out and counted."""
    found = ratings(tmp_path, [1, 2, 3, "", 9, 9], Scale())
    assert ensure_complete(found).incomplete == ""
    assert found.off_scale == {9: 2}


# Tables of judges' scores

HEAD = "item,system,dimension,rater,rater_type,score\n"


def table_text(people: Sequence[object], judge: Sequence[object]) -> str:
    rows = [f"{i},a,q,h,human,{score}\n" for i, score in enumerate(people)]
    rows += [f"{i},a,q,j,llm,{score}\n" for i, score in enumerate(judge)]
    return HEAD + "".join(rows)


def judged_table(tmp_path: Path, people: Sequence[object], judge: Sequence[object]):  # noqa: ANN201
    path = tmp_path / "t.csv"
    path.write_text(table_text(people, judge), encoding="utf-8")
    return read_judged_table([path])


def test_people_off_the_scale(tmp_path: Path) -> None:
    """Without a scale every value is counted aloud; with one what is off it is set aside."""
    table = judged_table(tmp_path, [0, 2, 5, 5], [1, 2, 3, 4])
    said = on_scale(table, None)
    assert len(said) == 8
    assert said.notes[-1] == (
        "People's scores, all taken as no --scale is named: 0 (once), 2 (once), 5 (2 times)."
    )
    kept = on_scale(table, Scale())
    assert sorted(kept.score[~kept.judged].tolist()) == [2, 5, 5]
    assert kept.notes[-1] == "People's scores off the scale 1-5, set aside: 0 (once)."
    with pytest.raises(UsageError, match="2 of 4 people's scores of q are off it: 5"):
        on_scale(table, Scale(0, 4))


def test_a_judge_that_could_not_be_read(tmp_path: Path) -> None:
    """-1 among scores that are not negative is missing, with a scale and without."""
    table = judged_table(tmp_path, [1, 2, 5], [1, -1, 4])
    for scale, said in (
        (None, "j: -1, which stands for no score, 1 times."),
        (Scale(), "Scores of j off the scale 1-5, missing: -1 (once)."),
    ):
        found = on_scale(table, scale)
        assert found.score[found.judged].tolist() == [1, 4]
        assert said in found.notes
    negative = judged_table(tmp_path, [1, 2, 5], [-1, -2, 4])
    assert len(on_scale(negative, None)) == 6
    own = judged_table(tmp_path, [1, 2, 5], [10, 20, 3])
    found = on_scale(own, Scale())
    assert len(found) == 6
    assert found.notes[-1] == "j has a scale of its own: most of its scores are off 1-5."


def test_no_verdict_on_remains_of_a_table(tmp_path: Path) -> None:
    """Refused scores of people and of the judge count, those of other judges do not."""
    table = judged_table(tmp_path, [1, 2, 3, 4], [1, 2, "N/A", 4])
    with pytest.raises(DataError, match="1 of 8 scores of q"):
        ensure_complete_table(table)
    assert "1 of 8" in ensure_complete_table(table, allow_missing=True).incomplete
    assert ensure_complete_table(table, metrics=["other"]).incomplete == ""
    path = tmp_path / "two.csv"
    path.write_text(table_text([1, 2], [1, "N/A"]) + "0,a,q,k,llm,3\n", encoding="utf-8")
    two = read_judged_table([path])
    assert ensure_complete_table(two, ["k"]).incomplete == ""
    with pytest.raises(DataError):
        ensure_complete_table(two, ["j"])


def test_half_points_in_a_table(tmp_path: Path) -> None:
    """With a scale of whole points they are refused, with the option that takes them."""
    table = judged_table(tmp_path, [1, 2.5, 3], [1, 2.5, 3])
    with pytest.raises(DataError, match=r"1 scores are not on the scale 1-5: 2\.5") as caught:
        on_scale(table, Scale())
    assert caught.value.hint == "say that they are meant: --step 0.5"
    assert len(on_scale(table, Scale(1, 5, 0.5))) == 6
