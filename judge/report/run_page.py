"""The report of a run: its pages, and the files beside them for programs."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from markupsafe import Markup, escape

from judge.analysis.agreement.agreement_records import Agreement
from judge.analysis.breakdown import Breakdown, MeanOf
from judge.analysis.calibrated_scores import ItemKey, ItemScore
from judge.analysis.ranking import HUMAN, Leaderboard
from judge.analysis.results import FORMAT, OVERALL, Measure, Results
from judge.limits import harmless
from judge.ratings import Ratings
from judge.records import write_csv, write_record, write_text
from judge.report.dialogues_page import dialogue_link, render_dialogues
from judge.report.figures import ReportFigure, inline, write_figure
from judge.report.figures.dots import systems_plot
from judge.report.format import (
    Axis,
    Footnotes,
    english_title,
    environment,
    fixed,
    many,
    short_title,
)
from judge.report.reference_summary import with_ends
from judge.report.scores_table import scores_csv
from judge.report.verdict import standing_sentences, trust_sentences
from judge.types import Dialogue, Judgment

__all__ = ["ReportFiles", "render_html", "write_report"]


class ReportFiles(NamedTuple):
    """The files of a report."""

    html: Path
    dialogues: Path
    scores: Path
    results: Path


def write_report(
    results: Results,
    folder: Path | str,
    *,
    judgments: Sequence[Judgment],
    breakdown: Breakdown,
    board: Leaderboard | None = None,
    dialogues: Iterable[Dialogue] = (),
    items: Mapping[ItemKey, ItemScore] = MappingProxyType({}),
    beside: Mapping[str, Ratings] = MappingProxyType({}),
    agreement: Agreement | None = None,
) -> ReportFiles:
    """Write `report.html`, `dialogues.html`, `scores.csv` and `results.json`; replace older ones.

    Of several systems, also the plot in `figures/`. The same arguments give the same bytes,
    whatever the order of the judgments.

    Args:
        results: what the report is of.
        folder: it is made if it is not there.
        judgments: of these results.
        breakdown: the means of these results.
        board: the ranks; None without an overall score.
        dialogues: their texts.
        items: calibrated scores of single dialogues.
        beside: title -> ratings to set beside the judge's scores of single dialogues.
        agreement: what `judge agree` found on this run, if it was asked.

    Raises:
        StoreError: the folder cannot be written.
    """
    folder = Path(folder)
    pictures = [systems_plot(results, breakdown, narrow=narrow) for narrow in (False, True)]
    drawn = [picture for picture in pictures if picture is not None]
    for picture in drawn:
        write_figure(picture, folder)
    page = render_html(results, breakdown, board, drawn, agreement)
    every = render_dialogues(results, judgments, dialogues, items=items, beside=beside)
    return ReportFiles(
        dialogues=write_text(folder / "dialogues.html", every),
        html=write_text(folder / "report.html", page),
        scores=write_csv(folder / "scores.csv", scores_csv(judgments, results, items)),
        results=write_record(folder / "results.json", results, format=FORMAT),
    )


def render_html(
    results: Results,
    breakdown: Breakdown,
    board: Leaderboard | None = None,
    pictures: Sequence[ReportFigure] = (),
    agreement: Agreement | None = None,
) -> str:
    """The page as HTML: it has no script, loads nothing, and escapes every text from the run.

    Args:
        results: what the page is of.
        breakdown: the means of these results.
        board: the ranks; None without an overall score.
        pictures: the plot of the systems, for wide and for narrow screens; none for one system.
        agreement: what `judge agree` found on this run, if it was asked.
    """
    page = environment()
    page.filters["percent_of_scale"] = Axis(1, len(results.labels)).at
    page.filters["quartiles"] = _quartiles
    page.filters["first_sentence"] = _first_sentence
    maps = [
        HeatMap.of("character", breakdown.characters),
        HeatMap.of("scenario", breakdown.scenarios),
    ]
    return page.get_template("report.html.j2").render(
        r=results,
        b=breakdown,
        board=board,
        human=HUMAN,
        overall=OVERALL,
        dialogue_link=dialogue_link,
        title=_title(results),
        caption=pictures[0].caption if pictures else "",
        drawings=[inline(picture) for picture in pictures],
        standing=standing_sentences(results, breakdown, board),
        trust=[_with_code(sentence) for sentence in trust_sentences(results, agreement)],
        ranks={row.system: row for row in board.standings} if board and board.ranked else {},
        footnotes=Footnotes,
        maps=maps,
        sections=list(_sections(results, maps)),
        agreement={row.measure: row for row in results.agreement},
        compared=max((row.n for row in results.agreement), default=0),
        with_ends=with_ends,
        undefined_errors=_undefined_errors(results),
        fallbacks=_fallbacks(results),
        top_is_label=_top_is_label(results),
        flag_titles=_FLAG_TITLES,
        short={name: short_title(title) for name, title in results.titles.items()},
        english={name: english_title(name, title) for name, title in results.titles.items()},
    )


class HeatMap(NamedTuple):
    """Means of the systems in each character or scenario, as a table with coloured cells.

    Attributes:
        kind: `character` or `scenario`.
        rows: name -> the mean of its systems, and system -> mean; the lowest comes first.
        words: where the scores are lowest; "" with fewer than two rows.
        middle: the mean of all cells; `most` is how far one is from it at most.
    """

    kind: str
    rows: Mapping[str, tuple[float, Mapping[str, MeanOf]]]
    words: str
    middle: float
    most: float

    @classmethod
    def of(cls, kind: str, cells: Mapping[str, Mapping[str, MeanOf]]) -> HeatMap:
        """The map of `Breakdown.characters` or `Breakdown.scenarios`."""
        every = [
            (found.mean, system, name)
            for name, means in cells.items()
            for system, found in means.items()
            if found.mean is not None
        ]
        middle = math.fsum(mean for mean, *_ in every) / max(len(every), 1)
        most = max((abs(mean - middle) for mean, *_ in every), default=0.0)
        rows = sorted(
            (math.fsum(m.mean or 0 for m in means.values()) / len(means), name)
            for name, means in cells.items()
        )
        words = ""
        if len(rows) > 1:
            (low, lowest), (high, highest) = rows[0], rows[-1]
            words = f"Lowest: {lowest} ({fixed(low)}); highest: {highest} ({fixed(high)})."
            mean, system, name = min(every)
            if len({system for _, system, _ in every}) > 1:
                where = f"as {name}" if kind == "character" else f"in {kind} {name}"
                words += f" The lowest single mean is that of {system} {where}: {fixed(mean)}."
        return cls(kind, {name: (mean, cells[name]) for mean, name in rows}, words, middle, most)

    def share(self, mean: float) -> str:
        """How much colour a cell has, in percent."""
        return f"{50 * abs(mean - self.middle) / (self.most or 1):.0f}%"

    def link(self, name: str, system: str) -> str:
        """The page of dialogues, with these chosen."""
        return dialogue_link(**{"system": system, self.kind: name})


def _sections(results: Results, maps: Sequence[HeatMap]) -> Iterator[tuple[str, str]]:
    """Id and short title of each section that the page has, in its order."""
    if results.calibration is not None:
        yield "human-scale", "Human scale"
    yield "metrics", "Metrics"
    for kind, rows, *_ in maps:
        if len(rows) > 1:
            yield f"{kind}s", f"{kind.capitalize()}s"
    if results.reference is not None:
        yield "reference", "Reference"
    if len(results.systems) > 1:
        yield "systems", "Each system"
    if results.played:
        yield "played", "Played"
    if results.diversity is not None:
        yield "diversity", "Diversity"
    yield "failures", "Not scored"
    yield "method", "Method"


_LONG_NOTE = 160
"""A note of more letters is folded behind its first sentence."""


def _first_sentence(note: str) -> tuple[str, str]:
    """The first sentence of a long note, and the rest; a short note as a whole."""
    first, stop, rest = note.partition(". ")
    return (f"{first}.", rest) if stop and len(note) > _LONG_NOTE else (note, "")


def _with_code(sentence: str) -> Markup:
    """Escaped, with what stands between backquotes in the type of code."""
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(harmless(sentence)))))  # noqa: S704


_FLAG_TITLES = {
    "failed": "could not be made",
    "empty": "are empty",
    "cut": "the token limit ended",
    "refusal": "refuse, or speak as a program",
    "as_user": "speak as the user",
    "other_language": "are in another language",
    "thinking": "began with a thought",
}
"""How the report describes the replies with each flag, in the order of its table."""


def _quartiles(values: Sequence[float] | None) -> str:
    return fixed(None) if values is None else " · ".join(f"{value:.0f}" for value in values)


def _title(results: Results) -> str:
    systems = results.systems
    who = systems[0].system if len(systems) == 1 else f"{len(systems)} systems"
    return f"{who}, {many(results.dialogues, 'dialogue')} judged"


def _measures(results: Results) -> list[Measure]:
    return [measure for system in results.systems for measure in system.measures.values()]


def _undefined_errors(results: Results) -> list[str]:
    """Why standard errors are missing, each reason once."""
    reasons = {m.standard_error_reason for m in _measures(results) if m.standard_error is None}
    return sorted(reasons)


def _fallbacks(results: Results) -> int:
    """How many standard errors are clustered in one way only."""
    return sum(len(m.clustered_by) == 1 for m in _measures(results))


def _top_is_label(results: Results) -> float | None:
    """The share of scored judgments in which the most probable token was a label."""
    metrics = [m for m in _measures(results) if m.kind == "metric" and m.top_is_label is not None]
    n = sum(m.n for m in metrics)
    return sum(m.n * (m.top_is_label or 0) for m in metrics) / n if n else None
