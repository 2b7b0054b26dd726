"""Text and tables as GitHub draws them."""

from __future__ import annotations

import re

from judge.report.format import fixed
from judge.report.paper.table import Column, Entry, Range, Table, missing

__all__ = ["escape", "markdown_table"]


def escape(text: str) -> str:
    """Text of anybody on one line of Markdown, as it is and not as markup."""
    flat = re.sub(r"\s+", " ", text)
    plain = re.sub(r"([\\`*_{}\[\]#|~$])", r"\\\1", flat)
    return plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def markdown_table(table: Table) -> str:
    """Caption, table, and below it why entries are dashes."""
    letters = {reason: at + 1 for at, reason in enumerate(table.reasons())}
    marks = "".join(f"**{escape(mark)}** " for mark in table.marks)
    heads = [_head(column) for column in table.columns]
    rules = [":--" if column.kind == "text" else "--:" for column in table.columns]
    lines = [f"{marks}{escape(table.caption)}", "", _line(heads), _line(rules)]
    for row in table.rows:
        first, *rest = (_entry(cell, letters) for cell in row.cells)
        lines.append(_line([f"**{first}**" if row.strong else first, *rest]))
    notes = [f"<sup>{number}</sup> {escape(reason)}." for reason, number in letters.items()]
    notes += [escape(note) for note in table.notes]
    return "\n".join([*lines, "", *(f"{note}  " for note in notes)]).rstrip() + "\n"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _head(column: Column) -> str:
    return escape(f"{column.group}: {column.head}" if column.group else column.head)


def _entry(entry: Entry, letters: dict[str, int]) -> str:
    if isinstance(entry, str):
        return escape(entry)
    if missing(entry):
        return f"–<sup>{letters[entry.reason]}</sup>"
    if isinstance(entry, Range):
        return f"[{fixed(entry.lower, entry.decimals)}, {fixed(entry.upper, entry.decimals)}]"
    if entry.decimals == 0 and entry.value is not None:
        return f"{entry.value:,.0f}".replace("-", "−")
    return fixed(entry.value, entry.decimals)
