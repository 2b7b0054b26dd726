"""Sheets for annotators: blinded, shuffled, one for each, and the key to them.

A sheet has a row for each dialogue and a column for each metric. Every row has an id of its own,
drawn anew for each rater, so that neither the system nor what is rated twice shows.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NamedTuple

import numpy as np

from judge.errors import UsageError
from judge.ratings.design import Plan
from judge.ratings.key import Item, Key, draw_ids, key_text
from judge.ratings.record import Cell, Scale
from judge.ratings.workbook import FORMULA_STARTS, Page, workbook
from judge.types import Dialogue, Metric

__all__ = ["Form", "SheetFormat", "write_sheets"]

SheetFormat = Literal["xlsx", "csv"]


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
        form: what is asked.
        kind: XLSX with the anchors on a second tab, or CSV with the anchors in a file.
        seed: noted in the key.
        sources: system -> SHA-256, noted in the key.
        rng: draws the ids.

    Returns:
        The sheets, one for each rater.

    Raises:
        UsageError: the folder holds something or cannot be written, two metrics have one title,
            or a dialogue is too long for XLSX.
        MissingExtraError: XLSX, and openpyxl is not installed.
    """
    words = _WORDS.get(form.language, _WORDS["en"])
    headings = {
        metric.titles.get(form.language, metric.name): metric.name for metric in form.metrics
    }
    fixed = (words.item, words.character, words.dialogue)
    if len({*headings, *fixed}) < len(form.metrics) + len(fixed):
        raise UsageError("two columns of the sheet would have one title", hint="see the rubric set")
    ids = iter(draw_ids(sum(map(len, plan.sheets)), rng))
    width = len(str(len(plan.sheets)))
    raters = [f"rater-{n:0{max(2, width)}}" for n in range(1, len(plan.sheets) + 1)]
    items: dict[str, Item] = {}
    pages: list[Page] = []
    for rater, sheet in zip(raters, plan.sheets, strict=True):
        rows: list[tuple[str, ...]] = []
        for index in sheet:
            dialogue, name = dialogues[index], next(ids)
            items[name] = Item(rater, Cell(dialogue.system, dialogue.character, dialogue.scenario))
            rows.append((name, dialogue.character, _read_out(dialogue, words)))
        pages.append(Page(fixed, tuple(headings), tuple(rows)))
    key = Key(items, fixed, headings, form.scale, form.rubric, seed, sources)
    ends = {"low": f"{form.scale.low:g}", "high": f"{form.scale.high:g}"}
    texts = [(title, form.anchors.get(name, "")) for title, name in headings.items()]
    task = words.task.format(**ends)
    files = {"key.json": key_text(key).encode()}
    for rater, page in zip(raters, pages, strict=True):
        files[f"sheets/{rater}.{kind}"] = (
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
        files["sheets/anchors.txt"] = f"{anchors}\n".encode()
    _write(folder, files)
    return tuple(folder / "sheets" / f"{rater}.{kind}" for rater in raters)


def _read_out(dialogue: Dialogue, words: _Words) -> str:
    """All rounds as text; it begins with a label, never with what a program takes for a formula."""
    return "\n\n".join(
        f"{words.user}{turn.question.strip()}\n{words.reply}{turn.answer.strip() or words.nothing}"
        for turn in dialogue.turns
    )


def _csv(page: Page) -> bytes:
    """With the byte-order mark without which spreadsheet programs do not see that it is UTF-8."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(map(_inert, (*page.fixed, *page.scores)))
    for row in page.rows:
        writer.writerow([*map(_inert, row), *("" for _ in page.scores)])
    return out.getvalue().encode("utf-8-sig")


def _inert(text: str) -> str:
    """A text that no spreadsheet program takes for a formula."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    try:
        (folder / "sheets").mkdir(parents=True, exist_ok=True)
        if any(path.name != "sheets" for path in folder.iterdir()) or any(
            (folder / "sheets").iterdir()
        ):
            raise UsageError(
                f"--out {folder}: the folder is not empty",
                hint="choose a new one: sheets that somebody filled must not be overwritten",
            )
        for name, content in files.items():
            (folder / name).write_bytes(content)
    except OSError as error:
        raise UsageError(
            f"--out {folder}: it cannot be written: {error.strerror}", hint="choose another folder"
        ) from None
