"""Writes the XLSX sheet of an annotator; the same content gives the same bytes."""

from __future__ import annotations

import importlib
import io
import zipfile
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from rich.cells import cell_len

from judge.errors import MissingExtraError, UsageError
from judge.ratings.record import Scale
from judge.text_files import FORMULA_STARTS

__all__ = ["Page", "workbook"]

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip archive can hold
_MOST_CHARACTERS = 32_767  # of a cell
_MOST_POINTS = 409.0  # height of a row
_LINE_POINTS = 15.0
_WIDTHS = (70, 90, 110, 130, 150)  # of the column of dialogues, in characters


class Page(NamedTuple):
    """What a sheet shows.

    `fixed` are the headings of the text columns, `scores` those of the columns to fill in, and
    `rows` the texts of each row.
    """

    fixed: tuple[str, ...]
    scores: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def workbook(
    page: Page,
    *,
    tabs: tuple[str, str],
    task: str,
    anchors: Sequence[tuple[str, str]],
    scale: Scale,
    wrong: str,
) -> bytes:
    """A workbook with a tab to fill in and a tab to look things up.

    Args:
        page: the tab to fill in; the last of its text columns is the widest.
        task: the instructions, the first line of the second tab.
        anchors: title and text of each metric.
        scale: the spreadsheet program refuses all but whole numbers on it.
        wrong: the message of the program then.

    Raises:
        UsageError: a text is too long for a cell.
        MissingExtraError: openpyxl is not installed.
    """
    try:
        library = importlib.import_module("openpyxl")
    except ImportError:
        raise MissingExtraError("openpyxl", extra="xlsx", purpose="an XLSX sheet") from None
    book = library.Workbook()
    book.active.title = tabs[0]
    _fill(library, book.active, page)
    rule = library.worksheet.datavalidation.DataValidation(
        type="whole",
        operator="between",
        formula1=f"{scale.low:g}",
        formula2=f"{scale.high:g}",
        allow_blank=True,
        showErrorMessage=True,
        error=wrong,
        errorTitle=tabs[0],
    )
    first, last = (
        library.utils.get_column_letter(len(page.fixed) + n) for n in (1, len(page.scores))
    )
    rule.add(f"{first}2:{last}{len(page.rows) + 1}")
    book.active.add_data_validation(rule)
    _explain(library, book.create_sheet(tabs[1]), task, anchors)
    book.properties.creator = "esrp-judge"
    book.properties.created = book.properties.modified = datetime(*_EPOCH)  # noqa: DTZ001 - no zone
    return _packed(library, book)


def _fill(library: Any, sheet: Any, page: Page) -> None:
    styles = library.styles
    middle = styles.Alignment(horizontal="center", vertical="center", wrap_text=True)
    top = styles.Alignment(vertical="top", wrap_text=True)
    thin = styles.Side(style="thin", color="D0D0D0")
    border = styles.Border(left=thin, right=thin, top=thin, bottom=thin)
    wide = next(
        (w for w in _WIDTHS if all(_height(row[-1], w) <= _MOST_POINTS for row in page.rows)),
        _WIDTHS[-1],
    )
    widths = (*(14 for _ in page.fixed[1:]), wide, *(11 for _ in page.scores))
    headings = (*page.fixed, *page.scores)
    for column, (heading, width) in enumerate(zip(headings, widths, strict=True), start=1):
        cell = sheet.cell(1, column)
        _put(library, cell, heading)
        cell.font, cell.alignment = styles.Font(bold=True), middle
        cell.fill = styles.PatternFill("solid", fgColor="E8EEF4")
        sheet.column_dimensions[library.utils.get_column_letter(column)].width = width
    sheet.row_dimensions[1].height = max(map(_height, headings, widths))
    for number, row in enumerate(page.rows, start=2):
        for column, text in enumerate((*row, *("" for _ in page.scores)), start=1):
            cell = sheet.cell(number, column)
            cell.border, cell.alignment = border, top if column <= len(row) else middle
            _put(library, cell, text)
        sheet.row_dimensions[number].height = min(_MOST_POINTS, max(map(_height, row, widths)))
    sheet.freeze_panes = "B2"
    sheet.print_title_rows = "1:1"
    _fit_to_page_width(library, sheet)


def _explain(library: Any, sheet: Any, task: str, anchors: Sequence[tuple[str, str]]) -> None:
    lines = [("", task)]
    for title, text in anchors:
        lines += [("", ""), (title, "")]
        lines += [("", line) for line in text.strip().splitlines() if not line.startswith("#")]
    for number, line in enumerate(lines, start=1):
        for column, text in enumerate(line, start=1):
            cell = sheet.cell(number, column)
            _put(library, cell, text)
            cell.font = library.styles.Font(bold=column == 1)
            cell.alignment = library.styles.Alignment(vertical="top", wrap_text=True)
        sheet.row_dimensions[number].height = max(map(_height, line, (22, 110)))
    sheet.column_dimensions["A"].width = 22
    sheet.column_dimensions["B"].width = 110
    _fit_to_page_width(library, sheet)


def _fit_to_page_width(library: Any, sheet: Any) -> None:
    sheet.page_setup.orientation, sheet.page_setup.fitToHeight = "landscape", 0
    fit = library.worksheet.properties.PageSetupProperties(fitToPage=True)
    sheet.sheet_properties.pageSetUpPr = fit


def _put(library: Any, cell: Any, text: str) -> None:
    """Write a text as text, even where openpyxl would make it a formula, such as `=1+1`."""
    if len(text) > _MOST_CHARACTERS:
        raise UsageError(
            f"a dialogue of {len(text)} characters does not fit into a cell ({_MOST_CHARACTERS})",
            hint="write the sheets with --format csv",
        )
    forbidden = library.cell.cell.ILLEGAL_CHARACTERS_RE
    cell.value = forbidden.sub("\N{REPLACEMENT CHARACTER}", text) or None
    if text.startswith(FORMULA_STARTS):
        cell.data_type = "s"
        cell.quotePrefix = True  # so that it stays a text when somebody edits the cell


def _height(text: str, width: int) -> float:
    """The height of a wrapped text in points, estimated from the width of its characters."""
    lines = sum(max(1, -(-cell_len(line) // (width - 2))) for line in text.split("\n"))
    return lines * _LINE_POINTS + 4


def _packed(library: Any, book: Any) -> bytes:
    """The workbook as bytes that do not depend on the time or the machine."""
    made, fixed = io.BytesIO(), io.BytesIO()
    library.writer.excel.ExcelWriter(book, zipfile.ZipFile(made, "w")).save()
    with zipfile.ZipFile(made) as archive, zipfile.ZipFile(fixed, "w") as packed:
        for name in archive.namelist():
            info = zipfile.ZipInfo(name, _EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = 3  # Unix; else the operating system of this machine
            packed.writestr(info, archive.read(name))
    return fixed.getvalue()
