"""The table model of the paper: every table is made once, then written as LaTeX and Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal, TypeGuard

from judge.analysis.agreement.agreement_records import (
    Agreement,
    Estimate,
    Interval,
    MeasureAgreement,
)
from judge.analysis.agreement.two_judges import ComparedMeasure, Comparisons
from judge.report.agreement_summary import warnings_of
from judge.report.format import english_title, fixed

__all__ = [
    "Column",
    "Columns",
    "Entry",
    "Number",
    "PaperTable",
    "Range",
    "Row",
    "banners",
    "chunks",
    "escape_markdown",
    "grouped",
    "interval_entry",
    "markdown_table",
    "measure_rows",
    "measure_table",
    "missing",
    "number",
    "pages",
    "trimmed",
]


@dataclass(frozen=True, slots=True)
class Number:
    """A number with its decimals; if `value` is None a dash, explained by `reason`."""

    value: float | None
    decimals: int = 2
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Range:
    """Both ends of an interval; if either is None a dash, explained by `reason`."""

    lower: float | None
    upper: float | None
    decimals: int = 2
    reason: str = ""


Entry = Number | Range | str


@dataclass(frozen=True, slots=True)
class Column:
    """The head of a column, and what its entries are.

    Attributes:
        title, unit: the head; the unit is written in brackets after the title.
        group: a second head above it, shared by neighbouring columns of the same group.
        kind: what its entries are; a text may stand in any column.
        upright: whether the head is turned by 90 degrees: for long heads above short numbers.
    """

    title: str
    group: str = ""
    kind: Literal["text", "number", "range"] = "number"
    unit: str = ""
    upright: bool = False

    @property
    def head(self) -> str:
        """Title and unit."""
        return f"{self.title} ({self.unit})" if self.unit else self.title


Columns = list[tuple[Column, Sequence[Entry]]]
"""Columns and their entries, without the first column, which names the rows."""


@dataclass(frozen=True, slots=True)
class Row:
    """One entry for each column; `strong` marks a dimension or the overall score."""

    cells: tuple[Entry, ...]
    strong: bool = False


@dataclass(frozen=True, slots=True)
class PaperTable:
    """A table with its caption and notes.

    Attributes:
        name: of its file and its LaTeX label.
        caption: all that a reader needs to understand the table alone.
        banners: written in bold before the caption, such as that the ratings are simulated.
    """

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    banners: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def reasons(self) -> tuple[str, ...]:
        """Why entries are dashes: each reason once, in reading order."""
        cells = (cell for row in self.rows for cell in row.cells)
        return tuple(dict.fromkeys(cell.reason for cell in cells if missing(cell)))


def missing(entry: Entry) -> TypeGuard[Number | Range]:
    """Whether the entry is drawn as a dash."""
    if isinstance(entry, Number):
        return entry.value is None
    return isinstance(entry, Range) and (entry.lower is None or entry.upper is None)


def number(estimate: Estimate, decimals: int = 2) -> Number:
    """The value of an estimate."""
    return Number(estimate.value, decimals, estimate.reason or "undefined")


def interval_entry(interval: Interval | None, estimate: Estimate) -> Range:
    """The interval of an estimate; a dash for the same reason as the estimate, if that is one."""
    if estimate.value is None:
        return Range(None, None, 2, estimate.reason or "undefined")
    if interval is None:
        return Range(None, None, 2, "no interval was computed")
    return Range(interval.lower, interval.upper, 2, interval.reason or "undefined")


def banners(record: Agreement | Comparisons) -> tuple[str, ...]:
    """What every page and table must say first: whose ratings, if not people's; partial results."""
    partial = (f"PARTIAL: {record.partial.rstrip('.')}.",) if record.partial else ()
    return (*warnings_of(record), *partial)


def measure_rows(
    measures: Sequence[MeasureAgreement | ComparedMeasure], columns: Columns
) -> tuple[tuple[Column, ...], tuple[Row, ...]]:
    """Columns and rows of a table with one row for each measure, its title first."""
    heads = (Column("", kind="text"), *(column for column, _ in columns))
    rows = [
        Row(
            (english_title(m.name, m.title), *(entries[row] for _, entries in columns)),
            m.kind != "metric",
        )
        for row, m in enumerate(measures)
    ]
    return heads, tuple(rows)


def measure_table(
    name: str, caption: str, agreement: Agreement, columns: Columns, notes: tuple[str, ...] = ()
) -> PaperTable:
    """A table with one row for each measure of an agreement."""
    heads, rows = measure_rows(agreement.measures, columns)
    return PaperTable(name, caption, heads, rows, banners(agreement), notes)


def trimmed(table: PaperTable) -> PaperTable | None:
    """The table without columns and rows in which nothing is known; None if nothing is left.

    A note says which columns are left out, and why.
    """

    def blank(cell: Entry) -> bool:
        return cell == "" or missing(cell)

    columns = list(zip(*(row.cells for row in table.rows), strict=True))
    kept = [at for at, cells in enumerate(columns) if at == 0 or not all(map(blank, cells))]
    rows = [
        replace(row, cells=tuple(row.cells[at] for at in kept))
        for row in table.rows
        if not all(map(blank, row.cells[1:]))
    ]
    if not rows:
        return None
    left_out: dict[str, dict[str, None]] = {}
    for at in sorted(set(range(len(columns))) - set(kept)):
        whys = dict.fromkeys(cell.reason for cell in columns[at] if missing(cell) and cell.reason)
        why = "; ".join(whys)
        column = table.columns[at]
        group = [i for i, other in enumerate(table.columns) if other.group == column.group]
        whole = column.group and not set(group) & set(kept)
        left_out.setdefault(why, {})[column.group if whole else _head(column)] = None
    notes = [f"Left out, as undefined: {', '.join(of)} ({why})." for why, of in left_out.items()]
    return replace(
        table,
        columns=tuple(table.columns[at] for at in kept),
        rows=tuple(rows),
        notes=(*table.notes, *notes),
    )


def chunks(agreement: Agreement, most: int) -> Iterator[tuple[str, tuple[MeasureAgreement, ...]]]:
    """Measures that fit beside each other, with a title for them.

    At most `most` at once; a dimension, which follows its metrics, ends a chunk.
    """
    part: list[MeasureAgreement] = []
    for measure in agreement.measures:
        part.append(measure)
        if measure.kind != "metric" or len(part) == most:
            yield _chunk_title(part), tuple(part)
            part = []
    if part:
        yield _chunk_title(part), tuple(part)


def _chunk_title(part: Sequence[MeasureAgreement]) -> str:
    if part[-1].kind != "metric":
        return english_title(part[-1].name, part[-1].title)
    return ", ".join(english_title(measure.name, measure.title) for measure in part)


def grouped(columns: Sequence[Column]) -> Iterator[tuple[str, int]]:
    """The heads above the columns, and how many columns each spans."""
    for group, members in groupby(columns, key=lambda column: column.group):
        yield group, len(list(members))


def pages(table: PaperTable, most: int = 42) -> Iterator[PaperTable]:
    """The table in parts of at most `most` rows, so that each fits on a page."""
    if len(table.rows) <= most:
        yield table
        return
    for part, start in enumerate(range(0, len(table.rows), most), start=1):
        yield replace(
            table,
            name=f"{table.name}-{part}" if part > 1 else table.name,
            caption=f"{table.caption} (Continued.)" if part > 1 else table.caption,
            rows=table.rows[start : start + most],
        )


def escape_markdown(text: str) -> str:
    """Any text on one line of Markdown, with nothing in it read as markup."""
    flat = re.sub(r"\s+", " ", text)
    plain = re.sub(r"([\\`*_{}\[\]#|~$])", r"\\\1", flat)
    return plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def markdown_table(table: PaperTable) -> str:
    """The caption, the table as GitHub's Markdown, and below it why entries are dashes."""
    numbers = {reason: at for at, reason in enumerate(table.reasons(), start=1)}
    banner = "".join(f"**{escape_markdown(text)}** " for text in table.banners)
    heads = [escape_markdown(_head(column)) for column in table.columns]
    rules = [":--" if column.kind == "text" else "--:" for column in table.columns]
    lines = [f"{banner}{escape_markdown(table.caption)}", "", _line(heads), _line(rules)]
    for row in table.rows:
        first, *rest = (_entry(cell, numbers) for cell in row.cells)
        lines.append(_line([f"**{first}**" if row.strong else first, *rest]))
    notes = [f"<sup>{n}</sup> {escape_markdown(reason)}." for reason, n in numbers.items()]
    notes += [escape_markdown(note) for note in table.notes]
    return "\n".join([*lines, "", *(f"{note}  " for note in notes)]).rstrip() + "\n"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _head(column: Column) -> str:
    return f"{column.group}: {column.head}" if column.group else column.head


def _entry(entry: Entry, numbers: dict[str, int]) -> str:
    if isinstance(entry, str):
        return escape_markdown(entry)
    if missing(entry):
        return f"–<sup>{numbers[entry.reason]}</sup>"
    if isinstance(entry, Range):
        return f"[{fixed(entry.lower, entry.decimals)}, {fixed(entry.upper, entry.decimals)}]"
    if entry.decimals == 0 and entry.value is not None:
        return f"{entry.value:,.0f}".replace("-", "−")
    return fixed(entry.value, entry.decimals)
