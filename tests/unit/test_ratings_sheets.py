"""Sheets for annotators: what they show, what they hide, and what comes back."""

from __future__ import annotations

import csv
import io
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import openpyxl
import pytest

from judge.errors import DataError, MissingExtraError, StoreError, UsageError
from judge.ratings import (
    Form,
    Key,
    Overlap,
    Scale,
    collect,
    plan_sheets,
    read_key,
    read_ratings,
    write_sheets,
    write_table,
)
from judge.ratings.sheets import SheetFormat
from judge.rubric import load_rubric
from judge.types import Dialogue, Metric, Turn

SYSTEMS = ("=cmd|calc", "claude-secret", "gpt-secret")
DIALOGUES = [
    Dialogue(system, character, str(n), (Turn("你好", f"= 1 + 1 第{n}句\x07"), Turn("嗯", "")))
    for system in SYSTEMS
    for character in ("路飞", "@鸣人")
    for n in range(1, 5)
]
SET = load_rubric("esrp")
FORM = Form(
    metrics=SET.dialogue_metrics,
    anchors={m.name: SET.describe(m) or "" for m in SET.dialogue_metrics},
    language="zh",
    scale=Scale(),
    rubric=SET.rubric.hash,
)


def write(
    folder: Path,
    kind: SheetFormat = "xlsx",
    dialogues: Sequence[Dialogue] = DIALOGUES,
    form: Form = FORM,
    seed: int = 1,
) -> tuple[tuple[Path, ...], Key]:
    rng = np.random.default_rng(seed)
    plan = plan_sheets(dialogues, raters=3, overlap=Overlap(2, 0.5), per_rater=None, rng=rng)
    sheets = write_sheets(
        folder, dialogues, plan, form, kind=kind, seed=seed, sources={"a": "b"}, rng=rng
    )
    return sheets, read_key(folder / "key.json")


def test_a_sheet_hides_the_system(tmp_path: Path) -> None:
    """No cell that is given away names a system, and no two rows have one id."""
    sheets, key = write(tmp_path)
    assert {item.system for item in key.items.values()} == set(SYSTEMS)
    ids: list[str] = []
    for path in sheets:
        book = openpyxl.load_workbook(path)
        cells = [str(c.value) for sheet in book for row in sheet for c in row if c.value]
        assert not any(system in cell for cell in cells for system in SYSTEMS)
        ids += [str(row[0].value) for row in book.worksheets[0].iter_rows(min_row=2)]
    assert sorted(ids) == sorted(key.items)
    assert len(set(ids)) == 36  # 24 dialogues, half of them twice: each row has an id of its own


def test_a_sheet_is_fit_to_work_with(tmp_path: Path) -> None:
    """Frozen heading, wrapped text, whole numbers 1-5 only, and the anchors on a second tab."""
    sheets, _ = write(tmp_path)
    book = openpyxl.load_workbook(sheets[0])
    main, anchors = book.worksheets
    assert main.freeze_panes == "B2"
    head = [cell.value for cell in main[1]]
    assert head[:5] == ["编号", "角色", "对话", "流畅性", "连贯性"]
    assert main["C2"].alignment.wrap_text
    (rule,) = main.data_validations.dataValidation
    assert (rule.type, rule.operator, rule.formula1, rule.formula2) == (
        "whole",
        "between",
        "1",
        "5",
    )
    assert str(rule.sqref) == f"D2:L{main.max_row}"
    assert rule.showErrorMessage
    text = "\n".join(str(row[1].value or "") for row in anchors.iter_rows())
    assert "5：" in text
    assert [r[0].value for r in anchors.iter_rows() if r[0].value] == head[3:]
    assert main["C2"].value.startswith("用户：你好\n角色：= 1 + 1")
    assert main["C2"].value.endswith("（没有回复）")


def test_no_cell_is_a_formula(tmp_path: Path) -> None:
    """A text that begins with = + - @ stays a text, in XLSX and in CSV."""
    wild = [Dialogue("s", c, "1", (Turn("q", "a"),)) for c in ("=1+1", "+1", "-1", "@x", "路飞")]
    sheets, _ = write(tmp_path / "x", dialogues=wild)
    for path in sheets:
        for row in openpyxl.load_workbook(path).worksheets[0].iter_rows(min_row=2):
            assert row[1].data_type == "s"
            assert row[1].quotePrefix == (row[1].value != "路飞")
    sheets, _ = write(tmp_path / "c", kind="csv", dialogues=wild)
    for path in sheets:
        rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
        assert all(cell[:1] not in {"=", "+", "-", "@"} for row in rows for cell in row)


def test_control_characters_do_not_stop_a_sheet(tmp_path: Path) -> None:
    """XLSX cannot hold them: the mark of a lost character stands in their place."""
    sheets, _ = write(tmp_path)
    assert "第1句\N{REPLACEMENT CHARACTER}" in " ".join(
        str(row[2].value) for p in sheets for row in openpyxl.load_workbook(p).active.iter_rows()
    )


def test_a_dialogue_too_long_for_a_cell(tmp_path: Path) -> None:
    """The library would cut it in silence; it is refused, and CSV offered, which takes it."""
    long = [Dialogue("s", "c", str(n), (Turn("q", "长" * 33_000),)) for n in range(3)]
    with pytest.raises(UsageError, match="does not fit into a cell") as caught:
        write(tmp_path / "x", dialogues=long)
    assert "--format csv" in (caught.value.hint or "")
    sheets, _ = write(tmp_path / "c", kind="csv", dialogues=long)
    assert "长" * 33_000 in sheets[0].read_text(encoding="utf-8-sig")


def test_a_filled_folder_is_not_overwritten(tmp_path: Path) -> None:
    """Sheets that somebody may have filled are safe."""
    write(tmp_path)
    with pytest.raises(UsageError, match="the folder is not empty"):
        write(tmp_path)


def test_two_metrics_of_one_title(tmp_path: Path) -> None:
    """Columns that could not be told apart are refused."""
    twins = FORM._replace(metrics=[Metric("a", "d", {"zh": "好"}), Metric("b", "d", {"zh": "好"})])
    with pytest.raises(UsageError, match="would have one title"):
        write(tmp_path, form=twins)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", Overlap(1, 0)),
        ("3", Overlap(3, 1)),
        ("0.2", Overlap(2, 0.2)),
        ("20%", Overlap(2, 0.2)),
        ("1.0", Overlap(2, 1)),
        ("0", Overlap(2, 0)),
    ],
)
def test_overlap_is_a_number_of_raters_or_a_share(text: str, expected: Overlap) -> None:
    """A whole number from 1 on counts raters, anything else up to 1 is a share."""
    assert Overlap.parse(text) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["", "-1", "2.5", "120%", "two", "0.2.1"])
def test_what_is_no_overlap(text: str) -> None:
    """Anything else is refused."""
    with pytest.raises(UsageError, match="neither a number of raters nor a share"):
        Overlap.parse(text)


@pytest.mark.parametrize(
    ("raters", "overlap", "message"),
    [
        (2, Overlap(3, 1), "3 raters for a dialogue, and there are 2"),
        (40, Overlap(1, 0), "not enough dialogues"),
        (10, Overlap(2, 0.1), "2 shared dialogues cannot link 10 raters"),
    ],
)
def test_plans_that_cannot_be(raters: int, overlap: Overlap, message: str) -> None:
    """Too few dialogues, too few raters, or too little overlap: said before anything is written."""
    rng = np.random.default_rng(0)
    with pytest.raises(UsageError, match=message):
        plan_sheets(DIALOGUES, raters=raters, overlap=overlap, per_rater=None, rng=rng)


def test_scenes_are_taken_whole() -> None:
    """Where not all dialogues are rated, every system is rated on the same scenes."""
    rng = np.random.default_rng(0)
    plan = plan_sheets(DIALOGUES, raters=2, overlap=Overlap(1, 0), per_rater=6, rng=rng)
    chosen = [DIALOGUES[i] for sheet in plan.sheets for i in sheet]
    scenes = Counter((d.character, d.scenario) for d in chosen)
    assert set(scenes.values()) == {3}
    assert Counter(d.character for d in chosen) == {"路飞": 6, "@鸣人": 6}


def test_what_is_wrong_in_a_filled_sheet(tmp_path: Path) -> None:
    """What is missing, off the scale or unknown is named with file and row; the rest is kept."""
    (first, *_), key = write(tmp_path)
    book = openpyxl.load_workbook(first)
    main = book.active
    for row in main.iter_rows(min_row=2):
        for cell in row[3:]:
            cell.value = 4
    main["D2"].value = None
    main["E2"].value = 9
    main["F2"].value = "很好"
    main["A3"].value = "NOTTHIS"
    main["A4"].value = f" {main['A4'].value.lower()} "
    main["M1"].value = "comment"
    main.delete_rows(main.max_row)
    book.save(first)
    found, absent = collect([first], key)
    assert [(f.path, f.row, f.kind) for f in found.faults] == [
        (first, 2, "empty"),
        (first, 2, "off_scale"),
        (first, 2, "not_a_number"),
        (first, 3, "unknown_item"),
    ]
    assert found.raters == ("rater-01",)
    assert len(found) == 9 * 10 - 3  # 12 rows, one gone and one with another id
    assert {rater: len(items) for rater, items in absent.items()} == {
        "rater-01": 2,
        "rater-02": 12,
        "rater-03": 12,
    }
    assert found.unread == ("comment",)
    out = tmp_path / "r" / "ratings.csv"
    write_table(out, found)
    again = read_ratings(out, metrics=SET.rubric.metrics)
    assert again.dialogues == found.dialogues
    assert again.score.tolist() == found.score.tolist()


def test_sheets_and_keys_that_do_not_belong(tmp_path: Path) -> None:
    """A sheet of another language, a sheet named twice, a key that is none: each is said."""
    (first, *_), key = write(tmp_path / "zh", kind="csv")
    english = FORM._replace(language="en")
    (other, *_), _ = write(tmp_path / "en", kind="csv", form=english)
    with pytest.raises(DataError, match="no column 编号, 流畅性") as caught:
        collect([other], key)
    assert "key" in (caught.value.hint or "")
    with pytest.raises(UsageError, match="named twice"):
        collect([first, first.parent / ".." / "sheets" / first.name], key)
    for text, message in (
        ("[]", "not a readable key: Expected `object`, got `array`"),
        ("{}", "not a readable key: Object missing required field `format`"),
        ('{"format": 99}', "format 99 is newer"),
        ('{"format": 1, "seed": "x"}', r"not a readable key: .* at `\$.seed`"),
    ):
        path = tmp_path / "key.json"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(StoreError, match=message):
            read_key(path)


def test_without_openpyxl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """XLSX sheets need the extra, and the error is the line that installs it; CSV needs nothing."""
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(MissingExtraError) as caught:
        write(tmp_path)
    assert caught.value.hint == "pip install 'esrp-judge[xlsx]'"
    assert len(write(tmp_path, kind="csv")[0]) == 3


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    """A folder that is a file, for the sheets or for the table, is the user's mistake."""
    (sheet, *_), key = write(tmp_path / "s", kind="csv")
    with pytest.raises(StoreError, match="cannot be written"):
        write(sheet)
    found, _ = collect([sheet], key)
    with pytest.raises(StoreError, match="cannot be written"):
        write_table(sheet / "r.csv", found)


def test_an_empty_sheet(tmp_path: Path) -> None:
    """A sheet whose rows are gone is refused by name."""
    (sheet, *_), key = write(tmp_path, kind="csv")
    sheet.write_text(sheet.read_text(encoding="utf-8-sig").splitlines()[0], encoding="utf-8")
    with pytest.raises(DataError, match="the sheet has no rows"):
        collect([sheet], key)
