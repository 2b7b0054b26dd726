"""A table as data: what every drawing of it, for paper or for the screen, is made from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal, Protocol, TypeGuard

from judge.analysis.agreement.agreement_records import (
    Agreement,
    Estimate,
    Interval,
    Kind,
    MeasureAgreement,
)
from judge.analysis.agreement.two_judges import Comparisons
from judge.report.format import fixed

__all__ = [
    "SIMULATED",
    "Column",
    "Entry",
    "Number",
    "Range",
    "Row",
    "Table",
    "Titled",
    "chunks",
    "english",
    "escape_markdown",
    "figure",
    "grouped",
    "markdown_table",
    "marks",
    "measure_rows",
    "missing",
    "pages",
    "span",
]

_CJK = "\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef"
_OWN_TITLE = re.compile(rf"\s*[(（][^()（）]*[{_CJK}][^()（）]*[)）]\s*$")


SIMULATED = "SIMULATED RATINGS: not people."


@dataclass(frozen=True, slots=True)
class Number:
    """A number as it is printed; a dash with its `reason` where `value` is None."""

    value: float | None
    decimals: int = 2
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Range:
    """Both ends of an interval; a dash with its `reason` where they are None."""

    lower: float | None
    upper: float | None
    decimals: int = 2
    reason: str = ""


Entry = Number | Range | str


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        title, unit: its head; a unit is printed in brackets after the title.
        group: a head above it, shared with its neighbours of the same group.
        kind: what its entries are. Texts may stand in any column.
        upright: the title is long and the numbers are short: it is set on end.
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


@dataclass(frozen=True, slots=True)
class Row:
    """One row, an entry for each column; `strong`: a composite of the rows above it."""

    cells: tuple[Entry, ...]
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table with all that stands around it.

    Attributes:
        name: of its file and its label.
        caption: what a reader needs to read it alone.
        marks: what has to be said before anything else: that no people were asked, say.
        notes: further sentences to stand below.
    """

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    marks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def reasons(self) -> tuple[str, ...]:
        """Why entries are dashes, each reason once, in the order of reading."""
        cells = (cell for row in self.rows for cell in row.cells)
        return tuple(dict.fromkeys(cell.reason for cell in cells if missing(cell)))


def missing(entry: Entry) -> TypeGuard[Number | Range]:
    """Whether it is drawn as a dash."""
    if isinstance(entry, Number):
        return entry.value is None
    return isinstance(entry, Range) and (entry.lower is None or entry.upper is None)


def figure(found: Estimate, decimals: int = 2) -> Number:
    """A figure's value."""
    return Number(found.value, decimals, found.reason or "undefined")


def span(interval: Interval | None, found: Estimate, decimals: int = 2) -> Range:
    """An interval of a figure; of an undefined figure there is none, for the same reason."""
    if found.value is None or interval is None:
        reason = found.reason or "undefined" if found.value is None else "no interval was computed"
        return Range(None, None, decimals, reason)
    return Range(interval.lower, interval.upper, decimals, interval.reason or "undefined")


def english(name: str, title: str) -> str:
    """The English part of `Fluency (流畅性)`; of a title without one, the name of the measure."""
    part = _OWN_TITLE.sub("", title)
    if not re.search("[A-Za-z]", part) and re.search("[A-Za-z]", name):
        part = name.replace("_", " ")
        part = part[0].upper() + part[1:]
    return part


def marks(found: Agreement | Comparisons) -> tuple[str, ...]:
    """What every page and table says first."""
    said = (f"PARTIAL: {found.partial.rstrip('.')}.",) if found.partial else ()
    return (*((SIMULATED,) if found.simulated else ()), *said)


class Titled(Protocol):
    """A measure, as far as a row needs to know it."""

    @property
    def name(self) -> str: ...  # noqa: D102 - as in the record
    @property
    def kind(self) -> Kind: ...  # noqa: D102
    @property
    def title(self) -> str: ...  # noqa: D102


def measure_rows(
    measures: Sequence[Titled], columns: Sequence[tuple[Column, Sequence[Entry]]]
) -> tuple[tuple[Column, ...], tuple[Row, ...]]:
    """Columns, and rows with the measures' titles first; every column has one entry a measure."""
    heads = (Column("", kind="text"), *(column for column, _ in columns))
    rows = [
        Row(
            (english(m.name, m.title), *(entries[at] for _, entries in columns)), m.kind != "metric"
        )
        for at, m in enumerate(measures)
    ]
    return heads, tuple(rows)


def chunks(agreement: Agreement, most: int) -> Iterator[tuple[str, tuple[MeasureAgreement, ...]]]:
    """Measures that fit beside each other, with a title: at most so many, a dimension together."""
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
        return english(part[-1].name, part[-1].title)
    return ", ".join(english(measure.name, measure.title) for measure in part)


def grouped(columns: Sequence[Column]) -> Iterator[tuple[str, int]]:
    """The heads above the columns, and how many columns each spans."""
    for group, members in groupby(columns, key=lambda column: column.group):
        yield group, len(list(members))


def pages(table: Table, most: int = 42) -> Iterator[Table]:
    """The table in parts that each fit on a page."""
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
    """Text of anybody on one line of Markdown, as it is and not as markup."""
    flat = re.sub(r"\s+", " ", text)
    plain = re.sub(r"([\\`*_{}\[\]#|~$])", r"\\\1", flat)
    return plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def markdown_table(table: Table) -> str:
    """Caption, table, and below it why entries are dashes."""
    letters = {reason: at + 1 for at, reason in enumerate(table.reasons())}
    marks = "".join(f"**{escape_markdown(mark)}** " for mark in table.marks)
    heads = [_head(column) for column in table.columns]
    rules = [":--" if column.kind == "text" else "--:" for column in table.columns]
    lines = [f"{marks}{escape_markdown(table.caption)}", "", _line(heads), _line(rules)]
    for row in table.rows:
        first, *rest = (_entry(cell, letters) for cell in row.cells)
        lines.append(_line([f"**{first}**" if row.strong else first, *rest]))
    notes = [
        f"<sup>{number}</sup> {escape_markdown(reason)}." for reason, number in letters.items()
    ]
    notes += [escape_markdown(note) for note in table.notes]
    return "\n".join([*lines, "", *(f"{note}  " for note in notes)]).rstrip() + "\n"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _head(column: Column) -> str:
    return escape_markdown(f"{column.group}: {column.head}" if column.group else column.head)


def _entry(entry: Entry, letters: dict[str, int]) -> str:
    if isinstance(entry, str):
        return escape_markdown(entry)
    if missing(entry):
        return f"–<sup>{letters[entry.reason]}</sup>"
    if isinstance(entry, Range):
        return f"[{fixed(entry.lower, entry.decimals)}, {fixed(entry.upper, entry.decimals)}]"
    if entry.decimals == 0 and entry.value is not None:
        return f"{entry.value:,.0f}".replace("-", "−")
    return fixed(entry.value, entry.decimals)
