"""One judge of a table, and all of them, against sums done by hand and by other libraries."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from judge.analysis.agreement.from_table import overview, scores_from_table, table_judges
from judge.analysis.agreement.judge_agreement import agree
from judge.errors import DataError, UsageError
from judge.ratings import JudgedTable, Scale, read_judged_table

TABLE = """item,system,dimension,rater,rater_type,score
1,A,wit,ann,human,4
1,A,wit,bob,human,5
1,A,warmth,ann,human,1
1,B,wit,ann,human,2
2,A,wit,ann,human,3
2,B,wit,bob,human,1
9,B,warmth,ann,human,0
1,A,wit,gpt,llm,4
1,B,wit,gpt,llm,3
2,A,wit,gpt,llm,2
3,A,wit,gpt,llm,5
2,B,wit,claude,llm,1
1,A,tact,gpt,llm,1
"""


def table(tmp_path: Path, text: str = TABLE, **options: object) -> JudgedTable:
    path = tmp_path / "table.csv"
    path.write_text(text, encoding="utf-8")
    return read_judged_table([path], **options)  # type: ignore[arg-type]


def test_one_judge_beside_people(tmp_path: Path) -> None:
    """What either side has scored of a dimension that both have; the rest is left out and told."""
    observed = scores_from_table(table(tmp_path), "gpt")
    assert observed.metrics == ("wit",)
    where = list(zip(observed.system, observed.character, observed.scenario, strict=True))
    assert where == [("A", "1", ""), ("A", "2", ""), ("A", "3", ""), ("B", "1", ""), ("B", "2", "")]
    np.testing.assert_array_equal(observed.score[:, 0], [4, 2, 5, 3, np.nan])
    rated = [
        (int(cell), observed.raters[who], score)
        for cell, who, score in zip(observed.dialogue, observed.rater, observed.rating, strict=True)
    ]
    assert sorted(rated) == [
        (0, "ann", 4),
        (0, "bob", 5),
        (1, "ann", 3),
        (3, "ann", 2),
        (4, "bob", 1),
    ]
    assert observed.scale == {"wit": (1, 5)}
    assert not observed.scale_declared
    assert observed.item == "item"
    assert observed.compare_raters
    np.testing.assert_array_equal(observed.other_judges["claude"][:, 0], [np.nan] * 4 + [1])
    assert observed.notes == (
        "Rated, but not judged: warmth.",
        "Rated outputs that have no judge's score: 2.",
        "Judged outputs that nobody rated: 1.",
    )
    assert observed.provenance["table"] == "table.csv"


def test_a_judge_called_as_a_person(tmp_path: Path) -> None:
    """In the list of pairs a person and a judge must not be taken for one another."""
    tidy = table(tmp_path, TABLE.replace("gpt", "ann"))
    assert scores_from_table(tidy, "ann").raters == ("ann (person)", "bob")


def test_probabilities_are_the_judges_scale(tmp_path: Path) -> None:
    """They sum to 1 in `probs`, and the scale has all their labels, used or not."""
    text = "item,system,dimension,rater,score,p1,p2,p3\n1,A,d,ann,2,,,\n1,A,d,m,,.2,.3,.3\n"
    observed = scores_from_table(table(tmp_path, text), "m")
    assert observed.probs is not None
    assert observed.probs[0, 0].tolist() == pytest.approx([0.25, 0.375, 0.375])
    assert observed.scale == {"d": (1, 3)}
    assert observed.judge_scale == (1, 3)
    assert observed.provenance["score"] == "expected label"


def test_a_measure_judges_every_dimension(tmp_path: Path) -> None:
    """One column of a measure stands beside each dimension of people."""
    text = "item,system,measure,score\n" + "".join(
        f"{i},A,{name},{score}\n"
        for i, scores in enumerate([(1, 4, 0.1), (2, 3, 0.2), (3, 5, 0.3)])
        for name, score in zip(("wit", "warmth", "BLEU"), scores, strict=True)
    )
    tidy = table(tmp_path, text, people=("wit", "warmth"))
    assert table_judges(tidy) == ("BLEU",)
    observed = scores_from_table(tidy, "BLEU", metrics=["warmth", "wit"])
    assert observed.metrics == ("warmth", "wit")
    np.testing.assert_array_equal(observed.score, [[0.1, 0.1], [0.2, 0.2], [0.3, 0.3]])
    assert observed.raters == ()
    values = {row.dimension: row.levels["spearman"]["all"].value for row in overview(tidy)}
    assert values == {"wit": 1, "warmth": 0.5}


def test_no_item_has_two_systems(tmp_path: Path) -> None:
    """Then nothing within an item is defined: it is told with a reason, and is no 0."""
    lines = [TABLE.splitlines()[0]]
    for i in range(8):
        lines += [
            f"{i},{'AB'[i % 2]},wit,ann,human,{i % 5}",
            f"{i},{'AB'[i % 2]},wit,m,llm,{i % 3}",
        ]
    tidy = table(tmp_path, "\n".join(lines))
    observed = scores_from_table(tidy, "m")
    assert (
        observed.notes[-1] == "No item has two systems, so that nothing can be said within an item."
    )
    found = agree(observed, resamples=0).measure("wit").spearman["within_item"]
    assert found == overview(tidy)[0].levels["spearman"]["within_item"]
    assert found.value is None
    assert found.reason


def test_one_system_and_one_score(tmp_path: Path) -> None:
    """People who all gave the same score, in a table without systems: undefined all over."""
    text = "item,dimension,rater,score\n" + "".join(
        f"{i},d,ann,3\n{i},d,m,{i}\n" for i in range(1, 5)
    )
    found = agree(scores_from_table(table(tmp_path, text, judges=("m",)), "m"), resamples=20)
    assert {figure.value for figure in found.measure("d").spearman.values()} == {None}
    assert all(figure.reason for figure in found.measure("d").spearman.values())


def test_the_overview_is_that_of_scipy(tmp_path: Path) -> None:
    """Coefficients over all items, and of systems' means, of every judge and dimension."""
    draw = np.random.default_rng(5)
    human = draw.integers(1, 6, (3, 4, 12, 2))  # raters, systems, items, dimensions
    judged = {name: draw.normal(size=(4, 12, 2)) + human.mean(axis=0) for name in ("m1", "m2")}
    lines = [TABLE.splitlines()[0]]
    for s in range(4):
        for i in range(12):
            for d in range(2):
                lines += [f"{i},S{s},d{d},r{r},human,{human[r, s, i, d]}" for r in range(3)]
                lines += [f"{i},S{s},d{d},{m},llm,{judged[m][s, i, d]!r}" for m in judged]
    tidy = table(tmp_path, "\n".join(lines).replace("np.float64(", "").replace(")", ""))
    rows = overview(tidy)
    assert [(row.judge, row.dimension, row.n) for row in rows] == [
        (m, d, 48) for m in ("m1", "m2") for d in ("d0", "d1")
    ]
    for row in rows:
        x, y = judged[row.judge][:, :, int(row.dimension[1])], human[..., int(row.dimension[1])]
        y = y.mean(axis=0).round(9)
        for name, reference in (
            ("spearman", stats.spearmanr),
            ("pearson", stats.pearsonr),
            ("kendall_b", stats.kendalltau),
        ):
            levels = row.levels[name]  # type: ignore[index]
            assert levels["all"].value == pytest.approx(reference(x.ravel(), y.ravel()).statistic)
            means = reference(x.mean(axis=1), y.mean(axis=1)).statistic
            assert levels["systems"].value == pytest.approx(means)
    one = overview(tidy, judges=["m2"], metrics=["d1"], coefficients=["kendall_c"])
    assert [(row.judge, row.dimension, *row.levels) for row in one] == [("m2", "d1", "kendall_c")]


def test_the_overview_says_what_the_report_says(tmp_path: Path) -> None:
    """Both are made of one table: the figures of every level are equal."""
    tidy = table(tmp_path)
    row = overview(tidy, judges=["gpt"])[0]
    measure = agree(scores_from_table(tidy, "gpt"), resamples=0).measure("wit")
    assert (row.n, row.not_rated, row.not_judged) == (
        measure.n,
        measure.not_rated,
        measure.not_judged,
    )
    for coefficient, levels in row.levels.items():
        assert levels == measure.levels[coefficient]
    for field in ("soft_pairwise", "constant", "annotator_tests", "icc"):
        assert getattr(row, field) == getattr(measure, field)


def test_a_scale_that_is_given(tmp_path: Path) -> None:
    """It holds for every dimension; people's scores off it are not made to fit."""
    tidy = table(tmp_path)
    observed = scores_from_table(tidy, "gpt", scale=Scale(0, 10))
    assert observed.scale == {"wit": (0, 10)}
    assert observed.scale_declared
    with pytest.raises(UsageError, match="scores of wit go from 1 to 5"):
        scores_from_table(tidy, "gpt", scale=Scale(1, 4))


def test_names_that_are_none(tmp_path: Path) -> None:
    """A judge and a dimension are looked for, and the error lists those there are."""
    tidy = table(tmp_path)
    with pytest.raises(UsageError, match="no judge of the table") as caught:
        scores_from_table(tidy, "ann")
    assert caught.value.hint == "its judges are gpt, claude"
    with pytest.raises(UsageError, match="people have not rated it") as caught:
        overview(tidy, metrics=["tact"])
    assert caught.value.hint == "they rated wit, warmth"


def test_nothing_in_common(tmp_path: Path) -> None:
    """An example of either side shows what is written differently."""
    tidy = table(tmp_path)
    with pytest.raises(
        DataError, match=r"in common of warmth: it scored .* A/1/wit, people A/1/wit"
    ):
        scores_from_table(tidy, "gpt", metrics=["wit", "warmth"])
    apart = table(tmp_path, TABLE.replace("gpt,llm", "gpt,human").replace("2,B,wit,c", "x,B,wit,c"))
    with pytest.raises(DataError, match="claude and people have scored nothing in common of wit"):
        overview(apart)
