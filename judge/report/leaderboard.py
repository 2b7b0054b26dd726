"""A leaderboard as one self-contained page, and the files beside it."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup

from judge.analysis import Results
from judge.analysis.leaderboard import HUMAN, Leaderboard
from judge.records import write_text
from judge.report.agreement_page import Footnotes
from judge.report.figures import inline
from judge.report.figures.radar import MOST_LINES, Line, draw, spoken, spread
from judge.report.figures.style import Drawn, finish, look, plain
from judge.report.format import count, fixed
from judge.report.leaderboard_table import (
    JUDGING,
    NOT_WHOLE,
    WRITING,
    leaderboard_csv,
    leaderboard_table,
    measured,
    pair_level,
    why_no_tokens,
)
from judge.report.pages import environment
from judge.report.paper.latex import latex_table
from judge.report.paper.markdown import markdown_table
from judge.report.paper.table import english

__all__ = ["render_leaderboard", "sentences", "write_leaderboard"]


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
    data = json.dumps(board.to_dict(), ensure_ascii=False, allow_nan=False, indent=1)
    write_text(folder / "leaderboard.json", data + "\n")
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
