"""Ratings files: every shape, and every fault with its row."""

from __future__ import annotations

import csv
import gzip
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from judge.errors import DataError, UsageError
from judge.ratings import DialogueId, Ratings, Scale, read_ratings
from judge.rubric import load_rubric
from judge.tables import read_table

METRICS = load_rubric("esrp").rubric.metrics
HEAD = ("system", "character", "scenario", "metric", "rater", "score")
LONG = [
    ("bot", "路飞", 1, "fluency", "ann", 4),
    ("bot", "路飞", 1, "coherency", "ann", 5),
    ("bot", "路飞", 2, "fluency", "bo", 3),
]


def write_csv(path: Path, rows: Sequence[Sequence[object]], head: Sequence[str] = HEAD) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter="\t" if path.suffix == ".tsv" else ",").writerows([head, *rows])
    return path


def triples(ratings: Ratings) -> list[tuple[DialogueId, str, str | None, float]]:
    """The ratings as names, in their order."""
    return [
        (
            ratings.dialogues[cell],
            ratings.metrics[metric],
            ratings.raters[rater] if rater >= 0 else None,
            score,
        )
        for cell, metric, rater, score in zip(
            ratings.dialogue.tolist(),
            ratings.metric.tolist(),
            ratings.rater.tolist(),
            ratings.score.tolist(),
            strict=True,
        )
    ]


def read_rows(
    tmp_path: Path,
    rows: Sequence[Sequence[object]],
    head: Sequence[str] = HEAD,
    aliases: Mapping[str, str] | None = None,
    scale: Scale | None = None,
) -> Ratings:
    path = write_csv(tmp_path / "bot.csv", rows, head)
    return read_ratings(path, metrics=METRICS, aliases=aliases or {}, scale=scale)


def faults(ratings: Ratings) -> list[tuple[int, str]]:
    return [(fault.row, fault.kind) for fault in ratings.faults]


ONE = DialogueId("bot", "路飞", "1")
EXPECTED = [
    (ONE, "fluency", "ann", 4.0),
    (ONE, "coherency", "ann", 5.0),
    (DialogueId("bot", "路飞", "2"), "fluency", "bo", 3.0),
]


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet", "xlsx", "csv.gz"])
def test_every_format_reads_alike(tmp_path: Path, suffix: str) -> None:
    """One table in six formats gives the same ratings, in the rubric's order of metrics."""
    path = tmp_path / f"ratings.{suffix}"
    records = [dict(zip(HEAD, row, strict=True)) for row in LONG]
    match suffix:
        case "jsonl":
            path.write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
        case "parquet":
            pq.write_table(pa.Table.from_pylist(records), path)
        case "xlsx":
            book = openpyxl.Workbook()
            for row in (HEAD, *LONG):
                book.active.append(row)
            book.save(path)
        case "csv.gz":
            plain = write_csv(tmp_path / "plain.csv", LONG)
            path.write_bytes(gzip.compress(plain.read_bytes()))
        case _:
            write_csv(path, LONG)
    found = read_ratings(path, metrics=METRICS)
    assert triples(found) == EXPECTED
    assert found.faults == ()
    assert found.row.tolist() == ([1, 2, 3] if suffix in {"jsonl", "parquet"} else [2, 3, 4])


def test_a_frame_reads_back(tmp_path: Path) -> None:
    """The table of ratings, written as CSV, gives the same ratings again; nobody is ""."""
    ratings = read_rows(tmp_path, [*LONG, ("bot", "路飞", 3, "fluency", "", 2)])
    frame = ratings.to_frame()
    assert frame["rater"].tolist() == ["ann", "ann", "bo", ""]
    frame.to_csv(tmp_path / "again.csv", index=False)
    assert triples(read_ratings(tmp_path / "again.csv", metrics=METRICS)) == triples(ratings)


def test_wide_and_chinese(tmp_path: Path) -> None:
    """Chinese headings and metric titles mean the same, in the wide shape too."""
    head = ("模型", "角色", "场景", "评分员", "流畅性", "连贯性", "备注")
    rows = [("bot", "路飞", 1, "ann", 4, 5, "好"), ("bot", "路飞", "2.0", "bo", "３", "", "")]
    found = read_rows(tmp_path, rows, head)
    assert triples(found) == EXPECTED
    assert faults(found) == [(3, "empty")]
    assert found.unread == ("备注",)


def test_spelling_of_metrics(tmp_path: Path) -> None:
    """Case, blanks, hyphens and full-width letters make no other metric."""
    names = ("Emotional value", "emotional-value", "ＥＭＯＴＩＯＮＡＬ_value", " 情绪价值 ")
    found = read_rows(tmp_path, [("a", "b", i, name, "r", 3) for i, name in enumerate(names)])
    assert found.metrics == ("emotional_value",)
    assert len(found) == 4


def test_aliases_of_the_user(tmp_path: Path) -> None:
    """An alias names a metric or a column; one that names neither is refused."""
    head = ("system", "character", "scenario", "打分人", "flow")
    rows = [("bot", "路飞", 1, "ann", 4)]
    found = read_rows(tmp_path, rows, head, {"flow": "fluency", "打分人": "rater"})
    assert triples(found) == EXPECTED[:1]
    with pytest.raises(UsageError, match="--alias flow=fluncy: fluncy is neither"):
        read_rows(tmp_path, rows, head, {"flow": "fluncy"})


def test_without_rater_or_system(tmp_path: Path) -> None:
    """No rater column: nobody is named. No system column: the file's name is the system.

    Two ratings of one thing may then be of two people, so both are kept.
    """
    rows = [("路飞", 1, "fluency", 4), ("路飞", 1, "fluency", 4), ("路飞", 1, "fluency", 2)]
    found = read_rows(tmp_path, rows, ("character", "scenario", "metric", "score"))
    assert triples(found) == [(ONE, "fluency", None, score) for score in (2.0, 4.0, 4.0)]
    assert found.raters == ()
    assert found.faults == ()


def test_items_of_other_tasks(tmp_path: Path) -> None:
    """`item` and `dimension` are read, and rows that no person gave are left aside and counted."""
    head = ("item", "system", "dimension", "rater", "rater_type", "score")
    rows = [
        (7, "bot", "Surprise", "h1", "human", "4.0"),
        (7, "bot", "Surprise", "gpt", "llm", "3.5"),
        (7, "bot", "Surprise", "all", "metric", "3.9"),
        (8, "bot", "Surprise", "h2", " Expert ", "2"),
    ]
    found = read_ratings(write_csv(tmp_path / "x.csv", rows, head))
    assert triples(found) == [
        (DialogueId("bot", "", "7"), "Surprise", "h1", 4.0),
        (DialogueId("bot", "", "8"), "Surprise", "h2", 2.0),
    ]
    assert found.excluded == {"llm": 1, "metric": 1}
    assert found.annotators == ""
    assert read_ratings(write_csv(tmp_path / "y.csv", rows[1:], head)).annotators == "expert"


BAD = [
    ((" ", "路飞", 1, "fluency", "r", 3), "no_name", "no usable system"),
    (("bot", "", "", "fluency", "r", 3), "no_name", "no usable character, scenario"),
    (("bot", "路飞", 1, "charm", "r", 3), "unknown_metric", "'charm' is no metric here"),
    (("bot", "路飞", 1, "fluency", "r", " "), "empty", "fluency: no score"),
    (("bot", "路飞", 1, "fluency", "r", "good"), "not_a_number", "'good' is not a number"),
    (("bot", "路飞", 1, "fluency", "r", "1_0"), "not_a_number", "'1_0' is not a number"),
    (("bot", "路飞", 1, "fluency", "r", "inf"), "not_a_number", "'inf' is not a number"),
    (("bot", "路飞", 1, "fluency", "r", 6), "off_scale", "6 is not on the scale 1-5"),
    (("bot", "路飞", 1, "fluency", "r", "3.5"), "off_step", "3.5 is not a score of the scale 1-5"),
]


@pytest.mark.parametrize(("row", "kind", "text"), BAD)
def test_each_fault_is_listed(
    tmp_path: Path, row: tuple[object, ...], kind: str, text: str
) -> None:
    """A refused rating is named with its row and its reason; the others are kept."""
    found = read_rows(tmp_path, [LONG[0], row, LONG[2]])
    assert len(found) == 2
    (fault,) = found.faults
    assert (fault.row, fault.kind) == (3, kind)
    assert text in str(fault)
    assert str(fault).startswith(f"{tmp_path / 'bot.csv'}:3: ")


def test_values_of_jsonl(tmp_path: Path) -> None:
    """True is no score, null is no score given, half a character is no name."""
    path = tmp_path / "x.jsonl"
    values = [("true", "a"), ("null", "a"), ("NaN", "a"), ("4", "\\ud800"), ("[1, 2]", "a")]
    lines = [
        f'{{"system":"s","character":"{who}","scenario":{i},"metric":"fluency","score":{score}}}'
        for i, (score, who) in enumerate(values)
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    found = read_ratings(path, metrics=METRICS)
    kinds = ["not_a_number", "empty", "empty", "no_name", "not_a_number"]
    assert faults(found) == list(enumerate(kinds, start=1))


def test_ids_that_became_numbers(tmp_path: Path) -> None:
    """7.0 is scenario 7 and rater 7; a system called 4.0 keeps its name; [] is no name."""
    path = tmp_path / "x.jsonl"
    row = {"system": "4.0", "character": "c", "scenario": 7.0, "rater": "7.0", "流畅性": 3}
    odd = [{**row, "rater": []}, {**row, "rater": math.nan, "scenario": 8}]
    path.write_text("\n".join(map(json.dumps, [row, *odd])), encoding="utf-8")
    found = read_ratings(path, metrics=METRICS)
    assert triples(found) == [
        (DialogueId("4.0", "c", "7"), "fluency", "7", 3.0),
        (DialogueId("4.0", "c", "8"), "fluency", None, 3.0),
    ]
    assert faults(found) == [(2, "no_name")]


def test_copies_and_contradictions(tmp_path: Path) -> None:
    """A copy is dropped and listed; where one rater gave two scores, neither is believed."""
    twice = ("bot", "路飞", 1, "fluency", "ann", 4)
    other = ("bot", "路飞", 1, "fluency", "bo", 2)
    found = read_rows(tmp_path, [twice, other, twice, (*other[:5], 5), (*other[:4], "cy", 2)])
    assert faults(found) == [(3, "conflict"), (4, "duplicate"), (5, "conflict")]
    assert triples(found) == [(ONE, "fluency", "ann", 4.0), (ONE, "fluency", "cy", 2.0)]
    assert "gave 2 and 5 (rows 3, 5)" in found.faults[0].text


def test_metrics_of_many_replies_need_no_scenario(tmp_path: Path) -> None:
    """response_diversity is of a system as a character; fluency is of a dialogue."""
    rows = [("bot", "路飞", "", name, "r", 3) for name in ("response_diversity", "fluency")]
    found = read_rows(tmp_path, rows)
    assert triples(found) == [(DialogueId("bot", "路飞", ""), "response_diversity", "r", 3.0)]
    assert faults(found) == [(3, "no_name")]


def test_half_points_and_other_scales(tmp_path: Path) -> None:
    """A step of .5 lets 3.5 in and not 3.7; a step of 0 lets in any number on the scale."""
    rows = [("bot", "路飞", i, "fluency", "r", s) for i, s in enumerate((3.5, 3.7, 0))]
    half = read_rows(tmp_path, rows, scale=Scale.parse("1-5", 0.5))
    assert half.score.tolist() == [3.5]
    free = read_rows(tmp_path, rows, scale=Scale.parse("0-4", 0))
    assert free.score.tolist() == [3.5, 3.7, 0.0]
    assert [str(s) for s in (half.scale, free.scale)] == ["1-5 in steps of 0.5", "0-4, any number"]
    assert free.scale.labels == ()
    assert Scale.parse("1-5", 0.5).labels == (1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5)


@pytest.mark.parametrize(
    ("text", "step"), [("5-1", 1), ("1", 1), ("1-5", 0.3), ("1-5", -1), ("a-b", 1)]
)
def test_what_is_no_scale(text: str, step: float) -> None:
    """Ends the wrong way round, or steps that never reach the end, are refused."""
    with pytest.raises(UsageError, match="it is no scale"):
        Scale.parse(text, step)
    with pytest.raises(UsageError, match="--judge-scale 5-1: it is no scale"):
        Scale.parse("5-1", 0, "--judge-scale")


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (("system", "character", "scenario", "rater"), "no column metric, score"),
        (("system", "metric", "score"), "no column character, scenario"),
        (("system", "character", "scenario", "flow", "流畅性", "fluency ", "1"), None),
        (("character", "scenario", "流畅性", "Fluency!", "FLUENCY"), "all mean fluency"),
        (("character", "scenario", "model", "系统", "fluency"), "model and 系统 all mean system"),
    ],
)
def test_columns_that_are_missing_or_doubled(
    tmp_path: Path, head: tuple[str, ...], message: str | None
) -> None:
    """A table without what makes a rating is refused, and so are two columns of one meaning."""
    rows = [("x",) * len(head)]
    if message is None:
        assert read_rows(tmp_path, rows, head).unread == ("flow", "流畅性", "1")
        return
    with pytest.raises(DataError, match=message) as caught:
        read_rows(tmp_path, rows, head)
    assert caught.value.hint


def test_no_rows(tmp_path: Path) -> None:
    """A heading alone, or a table of blanks, holds no ratings."""
    for rows in ([], [("", " ", "", "", "", "")]):
        with pytest.raises(DataError, match="it holds no ratings"):
            read_rows(tmp_path, rows)


@pytest.mark.parametrize("name", ["x.csv.gz", "x.xlsx", "x.parquet", "x.ods", "x"])
def test_bytes_that_are_not_what_they_say(tmp_path: Path, name: str) -> None:
    """A file that is not in its format is one error with a hint, whatever the format."""
    path = tmp_path / name
    path.write_bytes(b"PK\x03\x04 no archive at all")
    with pytest.raises(DataError) as caught:
        read_ratings(path, metrics=METRICS)
    assert caught.value.hint
    assert caught.value.path == path


def book(tmp_path: Path, rows: Sequence[Sequence[object]]) -> Path:
    made = openpyxl.Workbook()
    for row in rows:
        made.active.append(row)
    made.create_sheet("second").append(["not", "read"])
    path = tmp_path / "x.xlsx"
    made.save(path)
    return path


def test_workbooks_have_gaps_and_odd_cells(tmp_path: Path) -> None:
    """Rows keep the number on the screen; a truth value is no score, and neither is text."""
    rows = [(), HEAD, (), LONG[0], ("bot", "路飞", 3, "fluency", "x", True), (*LONG[2][:5], "x")]
    found = read_ratings(book(tmp_path, rows), metrics=METRICS)
    assert found.row.tolist() == [4]
    assert faults(found) == [(5, "not_a_number"), (6, "not_a_number")]


def test_workbook_cells_without_a_heading(tmp_path: Path) -> None:
    """A score that stands beside the table is named by its place, not dropped."""
    with pytest.raises(DataError, match=r"2: a cell with '5' stands under no heading"):
        read_ratings(book(tmp_path, [HEAD, (*LONG[0], 5)]), metrics=METRICS)
    with pytest.raises(DataError, match="the column score appears twice"):
        read_ratings(book(tmp_path, [(*HEAD, "score")]), metrics=METRICS)


def test_workbook_reader_agrees_with_openpyxl(tmp_path: Path) -> None:
    """Texts, numbers and blanks of every kind come out as another library reads them."""
    rows = [
        ["a", "b & <c>", "第三列", "d"],
        ["x\ny", -1.5, None, "=not(1)"],
        [" padded ", 10**12, 1e-7, ""],
        [None, None, "last", 0],
    ]
    made = openpyxl.Workbook()
    for row in rows:
        made.active.append(row)
    made.active["D2"].data_type = "s"
    path = tmp_path / "x.xlsx"
    made.save(path)
    theirs = openpyxl.load_workbook(path).active.iter_rows(min_row=2, values_only=True)
    ours = [list(row.values()) for _, row in xlsx_rows(path)]
    assert ours == [["" if cell is None else cell for cell in row] for row in theirs]


def xlsx_rows(path: Path) -> list[tuple[int, Mapping[str, object]]]:
    return list(read_table(path).rows())


def test_scores_are_finite(tmp_path: Path) -> None:
    """No rating that is kept is NaN."""
    found = read_rows(tmp_path, [*LONG, ("bot", "路飞", 9, "fluency", "r", "nan")])
    assert all(map(math.isfinite, found.score.tolist()))
    assert faults(found) == [(5, "not_a_number")]


def test_a_public_set(judge_data: Path) -> None:
    """HANNA: 1,056 stories x 6 dimensions x 3 people, beside the scores of LLMs."""
    path = judge_data / "human_ratings" / "hanna.csv.gz"
    if not path.is_file():
        pytest.skip(f"no {path}")
    found = read_ratings(path)
    assert (len(found), len(found.dialogues), len(found.raters)) == (1056 * 6 * 3, 1056, 3)
    assert found.excluded == {"llm": 120_384 - 1056 * 6 * 3}  # all other rows of the file
    assert found.faults == ()
    assert len({cell.system for cell in found.dialogues}) == 11


def test_a_column_of_names_that_is_blank_throughout(tmp_path: Path) -> None:
    """It says nothing, so that the table is read as if it were not there, which is said."""
    path = tmp_path / "bot.csv"
    text = "system,character,scenario,metric,rater,score\n,路飞,1,fluency,,4\n,路飞,2,fluency,,5\n"
    path.write_text(text, encoding="utf-8")
    found = read_ratings(path)
    assert {dialogue.system for dialogue in found.dialogues} == {"bot"}
    assert found.score.tolist() == [4, 5]
    assert not found.faults
    assert found.notes == ("Blank throughout, as if it were not there: the column system, rater.",)
