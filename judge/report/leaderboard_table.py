"""A leaderboard as a table: on the terminal, for a paper, and for programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from textwrap import wrap

from rich.console import Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from judge.analysis import CalibratedMean
from judge.analysis.leaderboard import Leaderboard, Standing
from judge.report.format import fixed, level, share
from judge.report.paper.table import Column, Entry, Number, Range, Row, Table, english

__all__ = [
    "JUDGING",
    "NOT_WHOLE",
    "WRITING",
    "leaderboard_csv",
    "leaderboard_table",
    "measured",
    "pair_level",
    "terminal_leaderboard",
    "why_no_tokens",
]

WRITING = "its dialogues were recorded: nobody measured the writing"
JUDGING = "not all of its judgments were timed"
NOT_WHOLE = "not all its metrics were judged"

_NO_MEAN = CalibratedMean(0, None, None, None, "new", reason=NOT_WHOLE)
_HEAD, _NAME = 10, 18
"""Letters on a line of a head and of a system's name, so that 80 columns suffice."""

_Columns = list[tuple[Column, Sequence[Entry]]]


def measured(board: Leaderboard) -> list[str]:
    """Which costs are known of at least one system."""
    costs = [standing.cost for standing in board.standings]
    return [
        name
        for name in ("tokens", "writing", "judging")
        if any(getattr(cost, name) is not None for cost in costs)
    ]


def why_no_tokens(row: Standing) -> str:
    """Why the tokens that a system wrote are not known."""
    return WRITING if row.cost.writing is None else "nobody counted its tokens"


def pair_level(board: Leaderboard) -> str:
    """The confidence of one difference, to a hundredth of a percent."""
    return level(round(board.pair_confidence, 4))


def terminal_leaderboard(board: Leaderboard) -> RenderableType:
    """Rank and range, overall with half its interval, dimensions; unscored where there is any."""
    table = RichTable(box=None, pad_edge=False)
    table.add_column("rank", no_wrap=True)
    table.add_column("system", overflow="fold")
    heads = [f"overall {level(board.confidence)}"]
    heads += [english(name, title).lower() for name, title in board.titles.items()]
    heads += ["calibrated"] if board.calibration else []
    holes = any(row.unscored for row in board.standings)
    for head in (*heads, *(["unscored"] if holes else [])):
        table.add_column("\n".join(wrap(head, _HEAD)), justify="right", no_wrap=True)
    for row in board.standings:
        half = "" if row.mean is None or row.upper is None else f" ±{fixed(row.upper - row.mean)}"
        means = [row.dimensions[n].mean if n in row.dimensions else None for n in board.titles]
        if board.calibration:
            means.append(row.calibrated.mean if row.calibrated else None)
        system = Text("\n".join(wrap(row.system, _NAME)))
        cells = [f"{fixed(row.mean)}{half}", *map(fixed, means)]
        table.add_row(_rank(row), system, *cells, *([share(row.unscored)] if holes else []))
    signature = "  ".join(f"{key}: {value}" for key, value in board.signature.items())
    return Group(table, Text(signature, style="dim"))


def _rank(row: Standing) -> str:
    """`4 (3–10)`, `1` or a dash."""
    if row.rank is None:
        return fixed(None)
    return str(row.rank) if row.first == row.last else f"{row.rank} ({row.first}–{row.last})"


def leaderboard_csv(board: Leaderboard) -> str:
    """One row for each system; what is unknown is empty."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(
        [
            *("rank", "first", "last", "system", "dialogues", "n", "overall", "lower", "upper"),
            *(column for name in board.titles for column in (name, f"{name}_se")),
            *("calibrated", "calibrated_lower", "calibrated_upper", "unscored"),
            *("tokens", "writing_seconds", "judging_seconds"),
        ]
    )
    for row in board.standings:
        dimensions = [row.dimensions.get(name) for name in board.titles]
        scale, cost = row.calibrated or _NO_MEAN, row.cost
        rows.writerow(
            [
                *(row.rank, row.first, row.last, row.system, row.dialogues, row.n),
                *map(_decimals, (row.mean, row.lower, row.upper)),
                *(
                    _decimals(value)
                    for m in dimensions
                    for value in ((m.mean, m.standard_error) if m else (None, None))
                ),
                *map(_decimals, (scale.mean, scale.lower, scale.upper, row.unscored)),
                *(cost.tokens, _decimals(cost.writing, 1), _decimals(cost.judging, 1)),
            ]
        )
    return text.getvalue()


def leaderboard_table(board: Leaderboard) -> Table:
    """The table for a paper."""
    together = level(board.confidence)
    caption = (
        f"Raw judge scores from 1 to {len(board.labels)}: means, with {together} intervals or "
        "standard errors. A rank is 1 + the number of systems shown to be better on the same "
        "dialogues; a range has every rank that a system could have."
    )
    ranks = (
        f"Ranks hold together with {together} confidence, by {pair_level(board)} intervals of the "
        "differences."
    )
    scale = f"Calibrated on {board.calibration}." if board.calibration else ""
    signature = "; ".join(f"{key}: {value}" for key, value in board.signature.items()) + "."
    heads, columns = zip(*_columns(board), strict=True)
    return Table(
        name="leaderboard",
        caption=caption,
        columns=heads,
        rows=tuple(Row(cells) for cells in zip(*columns, strict=True)),
        notes=tuple(note for note in (ranks, scale, signature, *board.notes) if note),
    )


def _columns(board: Leaderboard) -> _Columns:
    rows = board.standings
    columns: _Columns = [
        (Column("System", kind="text"), [row.system for row in rows]),
        (Column("Rank"), [Number(row.rank, 0, row.reason) for row in rows]),
        (Column("Range", kind="range"), [Range(r.first, r.last, 0, r.reason) for r in rows]),
        (Column("Overall"), [Number(row.mean, 2, row.reason) for row in rows]),
        (Column("Interval", kind="range"), [Range(r.lower, r.upper, 2, r.reason) for r in rows]),
    ]
    for name, title in board.titles.items():
        means, errors = zip(*_dimension(rows, name), strict=True)
        group = english(name, title)
        columns += [(Column("Mean", group), means), (Column("SE", group), errors)]
    if board.calibration:
        scale = [row.calibrated or _NO_MEAN for row in rows]
        ends = [Range(c.lower, c.upper, 2, c.reason) for c in scale]
        columns += [
            (Column("Calibrated"), [Number(c.mean, 2, c.reason) for c in scale]),
            (Column("Its interval", kind="range"), ends),
        ]
    unscored = [Number(100 * row.unscored, 1) for row in rows]
    costs: dict[str, tuple[Column, Sequence[Entry]]] = {
        "tokens": (Column("Tokens"), [Number(r.cost.tokens, 0, why_no_tokens(r)) for r in rows]),
        "writing": (
            Column("Writing", unit="s"),
            [Number(r.cost.writing, 0, WRITING) for r in rows],
        ),
        "judging": (
            Column("Judging", unit="s"),
            [Number(r.cost.judging, 0, JUDGING) for r in rows],
        ),
    }
    return [
        *columns,
        (Column("Unscored", unit="%"), unscored),
        *(costs[name] for name in measured(board)),
    ]


def _dimension(rows: Sequence[Standing], name: str) -> Iterator[tuple[Number, Number]]:
    """Mean and standard error of each system."""
    for row in rows:
        if name in row.dimensions:
            m = row.dimensions[name]
            mean = Number(m.mean, 2, "no dialogue was scored")
            yield mean, Number(m.standard_error, 3, m.standard_error_reason)
        else:
            yield Number(None, 2, NOT_WHOLE), Number(None, 3, NOT_WHOLE)


def _decimals(value: float | None, decimals: int = 6) -> str:
    return "" if value is None else f"{value:z.{decimals}f}"
