"""A leaderboard as one self-contained page, and the files beside it."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import math
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from textwrap import wrap
from typing import NamedTuple

from markupsafe import Markup
from rich.console import Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from judge.analysis import CalibratedMean, Results
from judge.analysis.ranking import FORMAT, HUMAN, Leaderboard, SystemStanding
from judge.records import write_record, write_text
from judge.report.agreement_page import Footnotes
from judge.report.figures import inline
from judge.report.figures.radar import MOST_LINES, Line, draw, spoken, spread
from judge.report.figures.style import Drawn, finish, look, plain
from judge.report.format import count, environment, fixed, level, share
from judge.report.paper.latex import latex_table
from judge.report.paper.table import (
    Column,
    Entry,
    Number,
    Range,
    Row,
    Table,
    english,
    markdown_table,
)

__all__ = [
    "JUDGING",
    "NOT_WHOLE",
    "WRITING",
    "leaderboard_csv",
    "leaderboard_table",
    "measured",
    "pair_level",
    "render_leaderboard",
    "sentences",
    "terminal_leaderboard",
    "why_no_tokens",
    "write_leaderboard",
]


class _Axis(NamedTuple):
    """The ends of the graph of the overall scores."""

    low: float
    high: float

    def at(self, value: float) -> str:
        """Where a value lies, in percent."""
        return f"{100 * (value - self.low) / (self.high - self.low):.1f}%"


def write_leaderboard(board: Leaderboard, results: Results, folder: Path) -> Path:
    """Write `leaderboard.html`, `.json`, `.csv`, `.md` and `.tex`; the page.

    The same board and results give the same bytes.

    Raises:
        StoreError: the folder cannot be written.
    """
    table = leaderboard_table(board)
    write_record(folder / "leaderboard.json", board, format=FORMAT)
    write_text(folder / "leaderboard.csv", leaderboard_csv(board))
    write_text(folder / "leaderboard.md", markdown_table(table))
    write_text(folder / "leaderboard.tex", latex_table(table))
    page = render_leaderboard(board, overlay(results))
    return write_text(folder / "leaderboard.html", page)


def overlay(results: Results) -> Drawn | None:
    """The profiles of the human fans, dashed, and of models spread over the ranking.

    None with fewer than three metrics.
    """
    if len(results.metrics) < 3:
        return None
    names = [system.system for system in results.systems]
    shown = spread([name for name in names if name != HUMAN], MOST_LINES - (HUMAN in names))
    shown += [HUMAN] if HUMAN in names else []
    means = {system.system: system for system in results.systems}
    lines = [
        Line(
            plain(name),
            tuple(means[name].mean(metric) for metric in results.metrics),
            dashed=name == HUMAN,
            colour=colour,
        )
        for colour, name in enumerate(shown)
    ]
    top = len(results.labels)
    caption = f"Mean score by metric, from 1 at the centre to {top} at the rim."
    if HUMAN in names:
        caption += " Dashed: the human fans."
    if len(shown) < len(names):
        caption += f" Drawn are {len(shown)} of {len(names)} systems, spread over the ranking."
    titles = [english(metric, results.titles[metric]) for metric in results.metrics]
    with look():
        return finish(
            draw(lines, [plain(title) for title in titles], 1, top),
            name="radar",
            title="Mean scores by metric",
            caption=caption,
            words=[caption, *spoken(lines, titles)],
        )


def render_leaderboard(board: Leaderboard, picture: Drawn | None = None) -> str:
    """The page: no outside request, every text from the data escaped, readable without script."""
    script = (files("judge.report") / "templates" / "agreement.js").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    ranked = board.ranked
    human = next((row.mean for row in ranked if row.system == HUMAN), None)
    lead, *rest = sentences(board)
    return (
        environment()
        .get_template("leaderboard.html.j2")
        .render(
            b=board,
            # The hash lets this script run and no other, should an escape ever fail.
            script=Markup(script),  # noqa: S704 - a file of this package
            script_hash=digest,
            title=f"Leaderboard of {_many(len(board.standings), 'system')}",
            lead=lead,
            rest=rest,
            short={name: english(name, title) for name, title in board.titles.items()},
            axis=_axis(board),
            pair_level=pair_level(board),
            human=human,
            human_name=HUMAN,
            costs=measured(board),
            seconds=lambda value: fixed(value, 1) if value < 10 else count(round(value)),
            why_no_tokens=why_no_tokens,
            why_no_writing=WRITING,
            why_not_timed=JUDGING,
            not_whole=NOT_WHOLE,
            pairs={(pair.one, pair.other): pair for pair in board.pairs},
            footnotes=Footnotes,
            picture=picture,
            drawing=picture and inline(picture),
        )
    )


def sentences(board: Leaderboard) -> list[str]:
    """What the table says: who leads, how much is shown, and where the human fans stand."""
    ranked = board.ranked
    if not ranked:
        return ["No system has an overall score."]
    top = [row.system for row in ranked if row.rank == 1]
    said = [f"{top[0]} leads." if len(top) == 1 else f"{_list(top)} share the first rank."]
    if len(ranked) == 1:
        return [f"{top[0]} is alone: there is nothing to compare it with."]
    shown = sum(pair.better is not None for pair in board.pairs)
    left = "" if shown == len(board.pairs) else "; of the others either may be the better one"
    said.append(
        f"Told apart: {count(shown)} of {_many(len(board.pairs), 'pair')} of systems{left}."
    )
    if any(row.system == HUMAN for row in ranked):
        said.append(_humans(board))
    return said


def _humans(board: Leaderboard) -> str:
    row = next(row for row in board.ranked if row.system == HUMAN)
    better, worse = map(len, board.shown(HUMAN))
    rest = len(board.ranked) - 1 - better - worse
    others = "" if row.first == row.last else f", and could have any from {row.first} to {row.last}"
    return (
        f"The human fans ({HUMAN}) have rank {row.rank}{others}. Shown to be better than they: "
        f"{_many(better, 'system')}; worse: {worse or 'none'}; not told apart: {rest or 'none'}."
    )


def _many(n: int, noun: str) -> str:
    """`no system`, `1 system` or `1,200 systems`."""
    return f"{count(n) if n else 'no'} {noun}{'' if n < 2 else 's'}"


def _list(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _axis(board: Leaderboard) -> _Axis | None:
    """From a tenth of a point below all intervals to a tenth above; None without a mean."""
    ends = [
        end for row in board.ranked for end in (row.mean, row.lower, row.upper) if end is not None
    ]
    if not ends:
        return None
    low = max(1.0, math.floor(10 * min(ends)) / 10)
    high = min(float(len(board.labels)), math.ceil(10 * max(ends)) / 10)
    return _Axis(low, high) if low < high else _Axis(1.0, float(len(board.labels)))


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


def why_no_tokens(row: SystemStanding) -> str:
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


def _rank(row: SystemStanding) -> str:
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


def _dimension(rows: Sequence[SystemStanding], name: str) -> Iterator[tuple[Number, Number]]:
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
