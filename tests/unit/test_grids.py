"""Tables as spreadsheet programs leave them: titles, merged cells, blank columns, sheets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import pytest

from judge.errors import DataError, UsageError
from judge.grids import Grid, read_grid
from judge.tables import Table, read_table

ROWS = [["system", "rater", "score"], ["a", "甲", 4], ["a", "乙", 5]]


def csv_table(tmp_path: Path, text: str, name: str = "x.csv") -> Table:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return read_table(path)


def workbook(
    path: Path,
    sheets: Mapping[str, Sequence[Sequence[object]]],
    merged: Mapping[str, Sequence[str]] | None = None,
) -> Path:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
        for area in (merged or {}).get(name, ()):
            sheet.merge_cells(area)
    book.save(path)
    return path


def columns(table: Table) -> dict[str, list[object]]:
    return {heading: values.tolist() for heading, values in table.columns.items()}


# Separators


@pytest.mark.parametrize(
    ("separator", "suffix", "said"),
    [
        (",", ".csv", None),
        (";", ".csv", "semicolons"),
        ("\t", ".csv", "tabs"),
        ("，", ".csv", "Chinese commas"),
        ("\t", ".tsv", None),
        (",", ".tsv", "commas"),
        ("\t", ".txt", None),
        (",", ".txt", "commas"),
        (";", ".txt", "semicolons"),
    ],
)
def test_separators(tmp_path: Path, separator: str, suffix: str, said: str | None) -> None:
    """What separates the headings separates the cells; where it is not the usual one it is said."""
    text = "\n".join(separator.join(map(str, row)) for row in ROWS)
    table = csv_table(tmp_path, text, f"x{suffix}")
    assert columns(table) == {"system": ["a", "a"], "rater": ["甲", "乙"], "score": ["4", "5"]}
    assert table.lines.tolist() == [2, 3]
    assert [said in note for note in table.notes] == ([] if said is None else [True])


def test_a_separator_inside_texts_is_text(tmp_path: Path) -> None:
    """Commas of the answers do not divide a table whose headings are divided by tabs."""
    table = csv_table(tmp_path, "system\tanswer\na\tgood, fine; yes，ok\n", "x.txt")
    assert columns(table) == {"system": ["a"], "answer": ["good, fine; yes，ok"]}


# What stands around a table


def test_blank_columns_and_rows(tmp_path: Path) -> None:
    """Columns without heading and content are none, whether each row ends in separators or some."""
    expected = {"system": ["a", "a"], "score": ["4", "5"]}
    for text in (
        "system,score,,\na,4,,\na,5,,\n",
        "system,score\na,4,,\na,5\n",
        "system,score,\n,,\na,4,\n\n,,\na,5,\n,,\n",
        "system,,score\na,,4\na,,5\n",
    ):
        assert columns(csv_table(tmp_path, text)) == expected
    assert csv_table(tmp_path, "system,score,,\na,4,,\n,,,\na,5,,\n").lines.tolist() == [2, 4]


def test_a_cell_under_no_heading(tmp_path: Path) -> None:
    """A value there could mean anything: it is refused with its line."""
    with pytest.raises(DataError, match=r"x.csv:3: a cell with 'stray' stands under no heading"):
        csv_table(tmp_path, "system,score,\na,4,\na,5,stray\n")
    with pytest.raises(DataError, match=r"x.csv:3: 3 cells under 2 columns"):
        csv_table(tmp_path, "system,score\na,4\na,5,stray\n")


@pytest.mark.parametrize("start", [0, 1])
def test_an_index_that_pandas_wrote(tmp_path: Path, start: int) -> None:
    """The column that counts the rows is left unread and said, in CSV and in a workbook."""
    frame = pd.DataFrame(ROWS[1:], columns=ROWS[0], index=range(start, start + 2))
    frame.to_csv(tmp_path / "x.csv")
    frame.to_excel(tmp_path / "x.xlsx")
    for name in ("x.csv", "x.xlsx"):
        table = read_table(tmp_path / name)
        assert list(table.columns) == ["system", "rater", "score"]
        assert table.columns["rater"].tolist() == ["甲", "乙"]
        assert table.notes == ("The first column has no heading and counts the rows: not read.",)


def test_titles_above_the_headings(tmp_path: Path) -> None:
    """Rows with one cell above the headings are titles; lines are still those of the file."""
    for title in ("评分表（第一批）,,", "评分表（第一批）", '"评分表（第一批）"\n\n'):
        table = csv_table(tmp_path, title + "\nsystem,rater,score\na,甲,4\n")
        assert columns(table) == {"system": ["a"], "rater": ["甲"], "score": ["4"]}
        assert table.notes == ("Above the headings, not read: 评分表（第一批）.",)
        assert table.lines.tolist() == [title.count("\n") + 3]


# Merged cells and headings of two rows


def test_merged_cells_have_one_value(tmp_path: Path) -> None:
    """Cells merged downwards have the value of the area; blanks that are not merged stay blank."""
    rows = [["system", "character", "score"], ["a", "林小雨", 4], ["", "", 5], ["", "", 3]]
    path = workbook(tmp_path / "x.xlsx", {"s": rows}, {"s": ["A2:A4", "B2:B3"]})
    table = read_table(path)
    assert columns(table) == {
        "system": ["a", "a", "a"],
        "character": ["林小雨", "林小雨", ""],
        "score": [4, 5, 3],
    }
    assert table.notes == ("Cells of merged areas that were given the area's value: 3.",)


def test_pandas_writes_an_index_of_two_columns_merged(tmp_path: Path) -> None:
    """So `to_excel` after `groupby` is read as the frame that it was."""
    index = pd.MultiIndex.from_product([["a", "b"], ["x", "y"]], names=["system", "item"])
    pd.DataFrame({"score": [1, 2, 3, 4]}, index=index).to_excel(tmp_path / "x.xlsx")
    assert columns(read_table(tmp_path / "x.xlsx")) == {
        "system": ["a", "a", "b", "b"],
        "item": ["x", "y", "x", "y"],
        "score": [1, 2, 3, 4],
    }


TWO_ROWS = [
    ["system", "scenario", "流畅性", "", "情绪价值", ""],
    ["", "", "甲", "乙", "甲", "乙"],
    ["a", "1", "4", "5", "3", "2"],
]
JOINED = {
    "system": ["a"],
    "scenario": ["1"],
    "流畅性/甲": ["4"],
    "流畅性/乙": ["5"],
    "情绪价值/甲": ["3"],
    "情绪价值/乙": ["2"],
}


def test_headings_of_two_rows(tmp_path: Path) -> None:
    """A heading over several others is joined with each, with merged cells and without."""
    path = workbook(
        tmp_path / "x.xlsx", {"s": TWO_ROWS}, {"s": ["A1:A2", "B1:B2", "C1:D1", "E1:F1"]}
    )
    text = "\n".join(map(",".join, TWO_ROWS))
    for table in (read_table(path), csv_table(tmp_path, text)):
        assert columns(table) == JOINED
        assert table.notes == ("The headings take two rows, such as 流畅性/甲.",)


def test_groups_above_the_headings(tmp_path: Path) -> None:
    """Names of groups stand only above the columns that they hold."""
    text = ",,基础对话,,情感支持\nsystem,scenario,流畅性,连贯性,情绪价值\na,1,4,5,3\n"
    assert list(csv_table(tmp_path, text).columns) == [
        *("system", "scenario", "基础对话/流畅性", "基础对话/连贯性", "情感支持/情绪价值")
    ]


def test_a_row_of_values_is_no_row_of_headings() -> None:
    """Blanks in the first row of values do not make it one of headings."""
    rows = [["system", "note", "score"], ["a", "", "4"], ["b", "x", "5"]]
    assert list(read_grid(Path("x"), Grid(rows, [1, 2, 3])).columns) == ["system", "note", "score"]


# Workbooks of several sheets


def test_sheets_with_the_same_columns_are_one_table(tmp_path: Path) -> None:
    """All their rows are read, and the column `sheet` tells them apart."""
    sheets = {"甲": ROWS, "乙": ROWS, "说明": [["请打 1 到 5 分"]], "空": []}
    table = read_table(workbook(tmp_path / "x.xlsx", sheets))
    assert table.columns["score"].tolist() == [4, 5, 4, 5]
    assert table.columns["sheet"].tolist() == ["甲", "甲", "乙", "乙"]
    assert table.notes == (
        "Sheets without a table, not read: 说明.",
        "Sheets read as one table, their names in the column sheet: 甲, 乙.",
    )


def test_sheets_with_different_columns(tmp_path: Path) -> None:
    """Nobody can know which is meant, so the choice is asked for."""
    sheets = {"scores": ROWS, "people": [["rater", "age"], ["甲", 30]]}
    path = workbook(tmp_path / "x.xlsx", sheets)
    with pytest.raises(DataError, match="its 2 sheets have different columns") as caught:
        read_table(path)
    assert "--sheet" in str(caught.value.hint)
    assert columns(read_table(path, sheet="people")) == {"rater": ["甲"], "age": [30]}
    with pytest.raises(UsageError, match="no such sheet") as missing:
        read_table(path, sheet="x")
    assert missing.value.hint == "it has scores, people"


def test_only_workbooks_have_sheets(tmp_path: Path) -> None:
    """The option would mean nothing."""
    path = tmp_path / "x.csv"
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(UsageError, match="has no sheets"):
        read_table(path, sheet="x")


# JSON of pandas


@pytest.mark.parametrize("orient", ["records", "split", "table", "columns", "index"])
def test_what_pandas_writes_as_json(tmp_path: Path, orient: str) -> None:
    """Each of its layouts that names the columns is read as the frame that it was."""
    frame = pd.DataFrame(ROWS[1:], columns=ROWS[0])
    path = tmp_path / "x.json"
    frame.to_json(path, orient=orient, index=False if orient == "table" else None)  # type: ignore[call-overload]
    assert columns(read_table(path)) == {
        "system": ["a", "a"],
        "rater": ["甲", "乙"],
        "score": [4, 5],
    }
