"""Sheets for annotators, their key, and filled sheets read back into ratings.

A sheet has a row for each dialogue and a column for each metric. It is blinded: every row has an id
of its own, drawn anew for each rater, so that neither the system shows nor which dialogues several
raters share. What each id stands for is in the key, `key.json`, which whoever collects the sheets
keeps.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from judge import tables
from judge.errors import DataError, UsageError
from judge.names import plain
from judge.ratings.columns import Vocabulary
from judge.ratings.design import Plan
from judge.ratings.record import Fault, Ratings, Scale
from judge.ratings.resolve import resolve_ratings
from judge.ratings.workbook import Page, workbook
from judge.records import read_record, write_bytes, write_csv, write_record
from judge.text_files import as_cell
from judge.types import Dialogue, Metric

__all__ = [
    "Collected",
    "Form",
    "Key",
    "SheetFormat",
    "collect",
    "read_key",
    "write_sheets",
    "write_table",
]

SheetFormat = Literal["xlsx", "csv"]

KEY_FORMAT = 1
"""The newest format of key.json that this version reads."""

_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"


class SheetRow(NamedTuple):
    """The rater that a row of a sheet was made for, and the dialogue that is rated there."""

    rater: str
    system: str
    character: str
    scenario: str


@dataclass(frozen=True, slots=True)
class Key:
    """What is needed to read filled sheets.

    Attributes:
        rubric: the hash of the rubric set whose anchors the raters read.
        texts: headings of the columns that are not filled in, that of the ids first.
        headings: heading -> metric.
        sources: system -> SHA-256 of the file of its dialogues.
        items: id in the sheet -> what the row stands for.
    """

    seed: int
    rubric: str
    scale: Scale
    texts: tuple[str, ...]
    headings: Mapping[str, str]
    sources: Mapping[str, str]
    items: Mapping[str, SheetRow]


class Collected(NamedTuple):
    """The ratings of all sheets; `absent` maps a rater to the ids that no sheet holds."""

    ratings: Ratings
    absent: Mapping[str, tuple[str, ...]]


class Form(NamedTuple):
    """What annotators are asked.

    `anchors` maps a metric to the text that says what each score means, `rubric` is the hash of
    the set that it comes from.
    """

    metrics: Sequence[Metric]
    anchors: Mapping[str, str]
    language: str
    scale: Scale
    rubric: str


class _Words(NamedTuple):
    item: str
    character: str
    dialogue: str
    user: str
    reply: str
    nothing: str
    ratings: str
    anchors: str
    task: str
    wrong: str


_WORDS: Mapping[str, _Words] = MappingProxyType(
    {
        "en": _Words(
            *("item", "character", "dialogue", "User: ", "Character: ", "(no reply)"),
            *("ratings", "anchors"),
            "Rate every dialogue on every metric with a whole number from {low} to {high}. Judge "
            "the character's replies, not the user's words. Leave a cell empty only if you cannot "
            "rate it. Please change nothing else.",
            "a whole number from {low} to {high}",
        ),
        "zh": _Words(
            *("编号", "角色", "对话", "用户：", "角色：", "（没有回复）"),
            *("评分", "评分标准"),
            "请给每段对话的每项指标打一个 {low} 到 {high} 的整数分。只评角色的回复，不评用户的话。"
            "实在无法判断时才留空。其他内容请不要改动。",
            "请填 {low} 到 {high} 的整数",
        ),
    }
)


def write_sheets(
    folder: Path,
    dialogues: Sequence[Dialogue],
    plan: Plan,
    form: Form,
    *,
    kind: SheetFormat,
    seed: int,
    sources: Mapping[str, str],
    rng: np.random.Generator,
) -> tuple[Path, ...]:
    """Write `key.json`, and a folder `sheets` beside it that can be given away.

    Args:
        folder: where to; it must be new or empty.
        dialogues: what the plan's indices mean.
        plan: who rates what.
        kind: XLSX with the anchors on a second tab, or CSV with the anchors in a file.
        sources: system -> SHA-256, noted in the key.

    Returns:
        The sheets, one for each rater.

    Raises:
        UsageError: the folder holds files, two metrics have one title, or a dialogue is too long
            for XLSX.
        StoreError: the folder cannot be written.
        MissingExtraError: XLSX, and openpyxl is not installed.
    """
    if any(not path.is_dir() for path in folder.rglob("*")):
        raise UsageError(
            f"--out {folder}: the folder is not empty",
            hint="choose a new one: sheets that somebody filled must not be overwritten",
        )
    words = _WORDS.get(form.language, _WORDS["en"])
    headings = {
        metric.titles.get(form.language, metric.name): metric.name for metric in form.metrics
    }
    fixed = (words.item, words.character, words.dialogue)
    if len({*headings, *fixed}) < len(form.metrics) + len(fixed):
        raise UsageError("two columns of the sheet would have one title", hint="see the rubric set")
    ids = iter(_draw_ids(sum(map(len, plan.sheets)), rng))
    width = len(str(len(plan.sheets)))
    raters = [f"rater-{n:0{max(2, width)}}" for n in range(1, len(plan.sheets) + 1)]
    items: dict[str, SheetRow] = {}
    pages: list[Page] = []
    for rater, sheet in zip(raters, plan.sheets, strict=True):
        rows: list[tuple[str, ...]] = []
        for index in sheet:
            dialogue, name = dialogues[index], next(ids)
            items[name] = SheetRow(rater, dialogue.system, dialogue.character, dialogue.scenario)
            rows.append((name, dialogue.character, _transcribe(dialogue, words)))
        pages.append(Page(fixed, tuple(headings), tuple(rows)))
    key = Key(seed, form.rubric, form.scale, fixed, headings, sources, items)
    ends = {"low": f"{form.scale.low:g}", "high": f"{form.scale.high:g}"}
    texts = [(title, form.anchors.get(name, "")) for title, name in headings.items()]
    task = words.task.format(**ends)
    files: dict[str, bytes] = {}
    for rater, page in zip(raters, pages, strict=True):
        files[f"{rater}.{kind}"] = (
            _csv(page)
            if kind == "csv"
            else workbook(
                page,
                tabs=(words.ratings, words.anchors),
                task=task,
                anchors=texts,
                scale=form.scale,
                wrong=words.wrong.format(**ends),
            )
        )
    if kind == "csv":
        anchors = "\n\n".join([task, *(text or title for title, text in texts)])
        files["anchors.txt"] = f"{anchors}\n".encode()
    hint = "choose another folder with --out"
    paths = [folder / "sheets" / name for name in files]
    try:
        for path, content in zip(paths, files.values(), strict=True):
            write_bytes(path, content, hint)
        write_record(folder / "key.json", key, format=KEY_FORMAT, hint=hint)
    except BaseException:  # a part of the sheets is of no use, and would be in the way
        for path in paths:
            with suppress(OSError):  # it was not made
                path.unlink()
        raise
    return tuple(folder / "sheets" / f"{rater}.{kind}" for rater in raters)


def _transcribe(dialogue: Dialogue, words: _Words) -> str:
    """All rounds as text. It begins with a label, so no program takes it for a formula."""
    return "\n\n".join(
        f"{words.user}{turn.question.strip()}\n{words.reply}{turn.answer.strip() or words.nothing}"
        for turn in dialogue.turns
    )


def _csv(page: Page) -> bytes:
    """With a byte-order mark, which tells spreadsheet programs that it is UTF-8."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(as_cell(text, numbers=False) for text in (*page.fixed, *page.scores))
    for row in page.rows:
        writer.writerow(
            [*(as_cell(text, numbers=False) for text in row), *("" for _ in page.scores)]
        )
    return out.getvalue().encode("utf-8-sig")


def _draw_ids(count: int, rng: np.random.Generator) -> list[str]:
    """Distinct ids of seven consonants: they make no word, and look like no number."""
    letters = np.array(list(_LETTERS))
    ids: dict[str, None] = {}
    while len(ids) < count:
        ids["".join(letters[rng.integers(len(letters), size=7)])] = None
    return list(ids)


def read_key(path: Path) -> Key:
    """The key that `write_sheets` wrote.

    Raises:
        StoreError: it is missing, of a newer format, or not a key.
    """
    hint = "give the key.json that was written beside the folder of sheets"
    return read_record(path, Key, newest=KEY_FORMAT, kind="key", hint=hint)


def collect(sheets: Sequence[Path], key: Key) -> Collected:
    """Read filled sheets; a cell that is empty or holds no score is a fault with file and row.

    Raises:
        DataError: a sheet cannot be read, or lacks a column that it was given.
        UsageError: a sheet is named twice.
    """
    if len({path.resolve() for path in sheets}) < len(sheets):
        raise UsageError("a sheet is named twice", hint="name each file once")
    rows: list[tuple[object, ...]] = []
    faults: list[Fault] = []
    unread: dict[str, None] = {}
    notes: dict[str, None] = {}
    sources: dict[str, str] = {}
    seen: set[str] = set()
    for number, path in enumerate(sheets):
        table = tables.read_table(path)
        sources[str(path)] = table.sha256
        notes |= dict.fromkeys(table.notes)
        id_heading, headings, others = _find_headings(table, key)
        unread |= dict.fromkeys(others)
        for line, cells in table.rows():
            name = str(cells[id_heading]).strip().upper()
            if name not in key.items:
                faults.append(Fault(path, line, "unknown_item", f"{name!r} is not in the key"))
                continue
            seen.add(name)
            rows += (
                (*key.items[name], metric, cells[heading], line, number)
                for heading, metric in headings.items()
            )
    absent: dict[str, list[str]] = {}
    for name, item in key.items.items():
        if name not in seen:
            absent.setdefault(item.rater, []).append(name)
    fields = (*SheetRow._fields, "metric", "score", "row", "file")
    columns: dict[str, NDArray[Any]] = {
        field: np.fromiter((row[i] for row in rows), np.object_, len(rows))
        for i, field in enumerate(fields)
    }
    columns |= {field: columns[field].astype(np.int32) for field in ("row", "file")}
    ratings = resolve_ratings(
        columns,
        sheets,
        Vocabulary([Metric(metric, "", {}) for metric in key.headings.values()]),
        key.scale,
        unread=tuple(unread),
        sources=sources,
        faults=faults,
        notes=tuple(notes),
    )
    return Collected(ratings, {rater: tuple(ids) for rater, ids in absent.items()})


def write_table(path: Path, ratings: Ratings) -> None:
    """Write a long table, `system, character, scenario, metric, rater, score`, as CSV.

    Raises:
        StoreError: it cannot be written.
    """
    text = ratings.to_frame().to_csv(index=False, lineterminator="\n", float_format="%.12g")
    write_csv(path, text, "choose another file with --out")


def _find_headings(table: tables.Table, key: Key) -> tuple[str, dict[str, str], list[str]]:
    """The heading of the ids, heading -> metric, and the headings that the sheet did not have."""
    if not len(table):
        raise DataError(
            "the sheet has no rows", path=table.path, hint="is it one of the filled sheets?"
        )
    heading_of = {plain(name): name for name in table.columns}
    missing = [h for h in (key.texts[0], *key.headings) if plain(h) not in heading_of]
    if missing:
        raise DataError(
            f"no column {', '.join(missing)} (found: {', '.join(heading_of.values())})",
            path=table.path,
            hint="is the key that of this sheet? Headings must stay as they were",
        )
    headings = {heading_of[plain(heading)]: metric for heading, metric in key.headings.items()}
    known = {*map(plain, key.texts), *map(plain, key.headings)}
    others = [name for name in heading_of.values() if plain(name) not in known]
    return heading_of[plain(key.texts[0])], headings, others
