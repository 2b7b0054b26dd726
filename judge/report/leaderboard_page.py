"""A leaderboard: its page, its table for the terminal and for a paper, and its CSV."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import wrap

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from judge.analysis.ranking import FORMAT, HUMAN, Leaderboard, SystemStanding
from judge.analysis.results import CalibratedMean
from judge.records import write_csv, write_record, write_text
from judge.report.figures import ReportFigure, inline, write_figure
from judge.report.format import (
    Footnotes,
    count,
    csv_text,
    english_title,
    environment,
    fixed,
    level,
    many,
    script,
    share,
)
from judge.report.paper.latex import latex_table
from judge.report.paper.table import (
    Column,
    Columns,
    Number,
    PaperTable,
    Range,
    Row,
    markdown_table,
)

__all__ = [
    "ahead_sentence",
    "human_sentence",
    "leaderboard_csv",
    "leaderboard_table",
    "render_leaderboard",
    "sentences",
    "terminal_leaderboard",
    "told_apart_sentence",
    "write_leaderboard",
]

_NOT_ALL_METRICS = "not all its metrics were judged"
_NOT_COUNTED = "nobody counted its tokens"
_NOT_TIMED = "not all of its judgments were timed"
_RECORDED = "its dialogues were recorded: nobody measured the writing"

_NO_MEAN = CalibratedMean(0, None, None, None, "new", reason=_NOT_ALL_METRICS)

_MOST_PAIRS = 4
"""How many pairs that are not told apart are named."""

_HEAD_WIDTH, _NAME_WIDTH = 10, 18
"""How many letters stand on a line of a head and of a system's name: all fits in 80 columns."""


def write_leaderboard(board: Leaderboard, pictures: Sequence[ReportFigure], folder: Path) -> Path:
    """Write `leaderboard.html`, `.json`, `.csv`, `.md`, `.tex` and `figures/`; return the page.

    The same board and pictures give the same bytes.

    Raises:
        StoreError: the folder cannot be written.
    """
    table = leaderboard_table(board)
    write_record(folder / "leaderboard.json", board, format=FORMAT)
    write_csv(folder / "leaderboard.csv", leaderboard_csv(board))
    write_text(folder / "leaderboard.md", markdown_table(table))
    write_text(folder / "leaderboard.tex", latex_table(table))
    for picture in pictures:
        write_figure(picture, folder)
    return write_text(folder / "leaderboard.html", render_leaderboard(board, pictures))


def render_leaderboard(board: Leaderboard, pictures: Sequence[ReportFigure] = ()) -> str:
    """The page as HTML.

    It loads nothing from elsewhere, escapes every text from the data and is readable without its
    script.
    """
    lead, *rest = sentences(board)
    return (
        environment()
        .get_template("leaderboard.html.j2")
        .render(
            b=board,
            script=script(),
            title=f"Leaderboard of {_many_systems(len(board.standings))}",
            lead=lead,
            rest=rest,
            short={name: english_title(name, title) for name, title in board.titles.items()},
            pair_level=_pair_level(board),
            human_name=HUMAN,
            costs=_known_costs(board),
            took=_took(_known_costs(board)),
            seconds=lambda value: fixed(value, 1) if value < 10 else count(round(value)),
            why_no_tokens=_why_no_tokens,
            recorded=_RECORDED,
            not_timed=_NOT_TIMED,
            not_all_metrics=_NOT_ALL_METRICS,
            pairs={(pair.one, pair.other): pair for pair in board.pairs},
            footnotes=Footnotes,
            caption=pictures[0].caption if pictures else "",
            drawings=[inline(picture) for picture in pictures],
            rank_words={row.system: _rank_words(board, row) for row in board.standings},
        )
    )


def sentences(board: Leaderboard) -> list[str]:
    """The table in words: who leads, how many pairs are told apart, where the human fans stand."""
    ranked = board.ranked
    if not ranked:
        few = [row.reason for row in board.standings if row.mean is not None]
        return [f"{few[0][0].upper()}{few[0][1:]}." if few else "No system has an overall score."]
    if len(ranked) == 1:
        return [f"{ranked[0].system} is alone: there is nothing to compare it with."]
    people = [human_sentence(board)] if any(row.system == HUMAN for row in ranked) else []
    return [f"{_best(board)} {ahead_sentence(board)}", told_apart_sentence(board), *people]


def _best(board: Leaderboard) -> str:
    """Who has the highest mean, and its interval."""
    row = board.ranked[0]
    mean, lower, upper, confidence = row.mean, row.lower, row.upper, board.confidence
    of = f" of {len(board.labels)} overall"
    if board.of_calibrated and row.calibrated is not None:
        mean, lower, upper = row.calibrated.mean, row.calibrated.lower, row.calibrated.upper
        of, confidence = " overall on the human scale", board.calibration_confidence or confidence
    ends = ""
    if lower is not None:
        ends = f" ({level(confidence)} interval {fixed(lower)} to {fixed(upper)})"
    which = "highest mean" if row == board.standings[0] else "highest mean of those with a rank"
    return f"{row.system} has the {which}, {fixed(mean)}{of}{ends}."


def ahead_sentence(board: Leaderboard) -> str:
    """By how much the first is ahead of the second, and whom it is shown to be better than."""
    first, second, *_ = (standing.system for standing in board.ranked)
    pair = next((p for p in board.pairs if (p.one, p.other) == (first, second)), None)
    ahead = ""
    if pair is not None and pair.difference is not None:
        ahead = f"It is {fixed(pair.difference)} ahead of {second}"
        if pair.lower is not None and pair.upper is not None:
            ahead += f" ({fixed(pair.lower)} to {fixed(pair.upper)})"
        ahead += ", and " if pair.better else ", which can be chance, and "
    worse = board.shown(first)[1]
    others = len(board.ranked) - 1
    if len(worse) == others:
        shown = "shown to be better than " + ("it" if others == 1 else "every other system")
    elif worse:
        shown = f"shown to be better than {len(worse)} of the {many(others, 'other system')}"
    else:
        shown = "not shown to be better than any other system"
    return f"{ahead}{shown}." if ahead else f"It is {shown}."


def told_apart_sentence(board: Leaderboard) -> str:
    """Which pairs of systems are not told apart."""
    pairs = many(len(board.pairs), "pair")
    open_pairs = [pair for pair in board.pairs if pair.better is None]
    if not open_pairs:
        return f"All {pairs} of systems are told apart."
    named = "; ".join(f"{pair.one} and {pair.other}" for pair in open_pairs[:_MOST_PAIRS])
    more = len(open_pairs) - _MOST_PAIRS
    named += f"; and {many(more, 'other pair')}" if more > 0 else ""
    return f"Cannot be told apart, {len(open_pairs)} of {pairs}: {named}."


def human_sentence(board: Leaderboard) -> str:
    """Where the human fans stand, who have a rank."""
    row = next(row for row in board.ranked if row.system == HUMAN)
    better, worse = map(len, board.shown(HUMAN))
    rest = len(board.ranked) - 1 - better - worse
    others = "" if row.first == row.last else f", and could have any from {row.first} to {row.last}"
    return (
        f"The human fans ({HUMAN}) have rank {row.rank}{others}. Shown to be better than they: "
        f"{_many_systems(better)}; worse: {worse or 'none'}; not told apart: {rest or 'none'}."
    )


def _rank_words(board: Leaderboard, row: SystemStanding) -> str:
    """Why a system has its rank: how many are shown to be better, and how many may be."""
    if row.rank is None or row.first is None or row.last is None:
        return ""
    said = f"{row.first - 1 or 'none'} shown to be better"
    if row.last > row.first:
        said += f"; {row.last - row.first} cannot be told apart"
    if row.rank > row.first:
        above = board.ranked[board.ranked.index(row) - 1]
        said += f"; not ranked before {above.system}, whose mean is higher"
    return said


def _many_systems(n: int) -> str:
    return many(n, "system") if n else "no system"


def _known_costs(board: Leaderboard) -> list[str]:
    """Which costs are known of at least one system."""
    costs = [standing.cost for standing in board.standings]
    return [
        name
        for name in ("tokens", "writing", "judging")
        if any(getattr(cost, name) is not None for cost in costs)
    ]


def _took(costs: Sequence[str]) -> str:
    """What the last columns are: `Tokens are`, `Seconds are` or `Tokens and seconds are`."""
    names = [
        *(["tokens"] if "tokens" in costs else []),
        *(["seconds"] if costs != ["tokens"] else []),
    ]
    return f"{' and '.join(names).capitalize()} are"


def _why_no_tokens(row: SystemStanding) -> str:
    """Why it is not known how many tokens a system wrote."""
    return _RECORDED if row.cost.writing is None else _NOT_COUNTED


def _pair_level(board: Leaderboard) -> str:
    """The confidence of a single difference, to a hundredth of a percent."""
    return level(round(board.pair_confidence, 4))


def terminal_leaderboard(board: Leaderboard) -> RenderableType:
    """The leaderboard for the terminal.

    Rank and its range, the overall score with half of its interval, the dimensions, the calibrated
    score if there is a calibration, and the unscored share if anything is unscored.
    """
    table = Table(box=None, pad_edge=False)
    table.add_column("rank", no_wrap=True)
    table.add_column("system", overflow="fold")
    heads = [f"overall {level(board.confidence)}"]
    heads += [english_title(name, title).lower() for name, title in board.titles.items()]
    heads += ["calibrated"] if board.calibration else []
    unscored = any(row.unscored for row in board.standings)
    for head in (*heads, *(["unscored"] if unscored else [])):
        table.add_column("\n".join(wrap(head, _HEAD_WIDTH)), justify="right", no_wrap=True)
    for row in board.standings:
        half = "" if row.mean is None or row.upper is None else f" ±{fixed(row.upper - row.mean)}"
        means = [row.dimensions[n].mean if n in row.dimensions else None for n in board.titles]
        if board.calibration:
            means.append(row.calibrated.mean if row.calibrated else None)
        system = Text("\n".join(wrap(row.system, _NAME_WIDTH)))
        cells = [f"{fixed(row.mean)}{half}", *map(fixed, means)]
        table.add_row(_rank(row), system, *cells, *([share(row.unscored)] if unscored else []))
    signature = "  ".join(f"{key}: {value}" for key, value in board.signature.items())
    return Group(table, Text(signature, style="dim"))


def _rank(row: SystemStanding) -> str:
    """`4 (3–10)`, `1` or a dash."""
    if row.rank is None:
        return fixed(None)
    return str(row.rank) if row.first == row.last else f"{row.rank} ({row.first}–{row.last})"


def leaderboard_csv(board: Leaderboard) -> str:
    """One row for each system; what is not known is empty."""
    head = [
        *("rank", "first", "last", "system", "dialogues", "n", "overall", "lower", "upper"),
        *(column for name in board.titles for column in (name, f"{name}_se")),
        *("calibrated", "calibrated_lower", "calibrated_upper", "unscored"),
        *("tokens", "writing_seconds", "judging_seconds"),
    ]
    return csv_text([head, *(_csv_row(row, list(board.titles)) for row in board.standings)])


def _csv_row(row: SystemStanding, dimensions: Sequence[str]) -> list[object]:
    measures = [row.dimensions.get(name) for name in dimensions]
    calibrated, cost = row.calibrated or _NO_MEAN, row.cost
    return [
        *(row.rank, row.first, row.last, row.system, row.dialogues, row.n),
        *map(_decimals, (row.mean, row.lower, row.upper)),
        *(
            _decimals(value)
            for m in measures
            for value in ((m.mean, m.standard_error) if m else (None, None))
        ),
        *map(_decimals, (calibrated.mean, calibrated.lower, calibrated.upper, row.unscored)),
        *(cost.tokens, _decimals(cost.writing, 1), _decimals(cost.judging, 1)),
    ]


def _decimals(value: float | None, decimals: int = 6) -> str:
    return "" if value is None else f"{value:z.{decimals}f}"


def leaderboard_table(board: Leaderboard) -> PaperTable:
    """The leaderboard for a paper."""
    together = level(board.confidence)
    scale = " Order and ranks are of calibrated scores." if board.of_calibrated else ""
    caption = (
        f"Raw judge scores from 1 to {len(board.labels)}: means, with {together} intervals or "
        f"standard errors.{scale} A rank is 1 + the number of systems shown to be better on the "
        "same dialogues; a range has every rank that a system could have."
    )
    ranks = (
        f"Ranks hold together with {together} confidence, by {_pair_level(board)} intervals of the "
        "differences."
    )
    scale = f"Calibrated on {board.calibration}." if board.calibration else ""
    signature = "; ".join(f"{key}: {value}" for key, value in board.signature.items()) + "."
    heads, columns = zip(*_columns(board), strict=True)
    return PaperTable(
        name="leaderboard",
        caption=caption,
        columns=heads,
        rows=tuple(Row(cells) for cells in zip(*columns, strict=True)),
        notes=tuple(note for note in (ranks, scale, signature, *board.notes) if note),
    )


def _columns(board: Leaderboard) -> Columns:
    rows = board.standings
    columns: Columns = [
        (Column("System", kind="text"), [row.system for row in rows]),
        (Column("Rank"), [Number(row.rank, 0, row.reason) for row in rows]),
        (Column("Range", kind="range"), [Range(r.first, r.last, 0, r.reason) for r in rows]),
        (Column("Overall"), [Number(row.mean, 2, row.reason) for row in rows]),
        (Column("Interval", kind="range"), [Range(r.lower, r.upper, 2, r.reason) for r in rows]),
    ]
    for name, title in board.titles.items():
        means, errors = zip(*_dimension(rows, name), strict=True)
        group = english_title(name, title)
        columns += [(Column("Mean", group), means), (Column("SE", group), errors)]
    if board.calibration:
        calibrated = [row.calibrated or _NO_MEAN for row in rows]
        ends = [Range(c.lower, c.upper, 2, c.reason) for c in calibrated]
        columns += [
            (Column("Calibrated"), [Number(c.mean, 2, c.reason) for c in calibrated]),
            (Column("Its interval", kind="range"), ends),
        ]
    columns.append(
        (Column("Unscored", unit="%"), [Number(100 * row.unscored, 1) for row in rows]),
    )
    costs = {
        "tokens": (
            Column("Tokens"),
            [Number(row.cost.tokens, 0, _why_no_tokens(row)) for row in rows],
        ),
        "writing": (
            Column("Writing", unit="s"),
            [Number(row.cost.writing, 0, _RECORDED) for row in rows],
        ),
        "judging": (
            Column("Judging", unit="s"),
            [Number(row.cost.judging, 0, _NOT_TIMED) for row in rows],
        ),
    }
    return [*columns, *(costs[name] for name in _known_costs(board))]


def _dimension(rows: Sequence[SystemStanding], name: str) -> Iterator[tuple[Number, Number]]:
    """The mean of a dimension and its standard error, for each system."""
    for row in rows:
        if name in row.dimensions:
            measure = row.dimensions[name]
            mean = Number(measure.mean, 2, "no dialogue was scored")
            yield mean, Number(measure.standard_error, 3, measure.standard_error_reason)
        else:
            yield Number(None, 2, _NOT_ALL_METRICS), Number(None, 3, _NOT_ALL_METRICS)
