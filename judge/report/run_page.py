"""The report as one self-contained page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from judge.analysis import ExtremeDialogue, ItemKey, ItemScore, Measure, Results
from judge.analysis.results import FORMAT, OVERALL
from judge.records import write_record, write_text
from judge.report import format as numbers
from judge.report.figures import inline
from judge.report.figures.radar import run_radar
from judge.report.format import environment
from judge.report.scores_table import scores_csv
from judge.types import Judgment

__all__ = ["ReportFiles", "render_html", "write_report"]


def render_html(results: Results) -> str:
    """The page: no script, no outside request, every text from the run escaped."""
    page = environment()
    page.filters["percent_of_scale"] = lambda value: f"{_along(value, len(results.labels)):.1f}%"
    page.filters["quartiles"] = _quartiles
    picture = run_radar(results)
    return page.get_template("report.html.j2").render(
        r=results,
        overall=OVERALL,
        title=_title(results),
        picture=picture,
        drawing=picture and inline(picture),
        agreement={row.measure: row for row in results.agreement},
        compared=max((row.n for row in results.agreement), default=0),
        undefined_errors=_undefined_errors(results),
        fallbacks=_fallbacks(results),
        top_is_label=_top_is_label(results),
        extremes=_extremes(results),
        mark_titles=_MARKS,
        short={name: title.split(" (")[0] for name, title in results.titles.items()},
    )


_MARKS = {
    "failed": "could not be made",
    "empty": "are empty",
    "cut": "the token limit ended",
    "refusal": "refuse, or speak as a program",
    "as_user": "speak as the user",
    "other_language": "are in another language",
    "thinking": "began with a thought",
}
"""How a report says what is amiss with replies, in the order of the table."""


def _quartiles(values: Sequence[float] | None) -> str:
    return numbers.fixed(None) if values is None else " · ".join(f"{v:.0f}" for v in values)


def _title(results: Results) -> str:
    systems, n = results.systems, numbers.count(results.dialogues)
    who = systems[0].system if len(systems) == 1 else f"{len(systems)} systems"
    return f"{who}, {n} {'dialogue' if results.dialogues == 1 else 'dialogues'} judged"


def _along(value: float, top: int) -> float:
    """Where a value lies on the scale 1..top, in percent."""
    return 100 * (value - 1) / (top - 1)


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
    """Share of all scored judgments in which the most probable token was a label."""
    metrics = [m for m in _measures(results) if m.kind == "metric" and m.top_is_label is not None]
    n = sum(m.n for m in metrics)
    return sum(m.n * (m.top_is_label or 0) for m in metrics) / n if n else None


def _extremes(results: Results) -> list[tuple[str, tuple[ExtremeDialogue, ...]]]:
    lists = [("Lowest scores", results.lowest), ("Highest scores", results.highest)]
    return [(title, found) for title, found in lists if found]


class ReportFiles(NamedTuple):
    """Where the report lies."""

    html: Path
    scores: Path
    results: Path


def write_report(
    results: Results,
    folder: Path | str,
    *,
    judgments: Sequence[Judgment],
    items: Mapping[ItemKey, ItemScore] = MappingProxyType({}),
) -> ReportFiles:
    """Write `report.html`, `scores.csv` and `results.json`, replacing older ones whole.

    The same results, judgments and calibrated `items` give the same bytes, whatever the order of
    the judgments.

    Raises:
        StoreError: the folder cannot be written.
    """
    folder = Path(folder)
    files = ReportFiles(folder / "report.html", folder / "scores.csv", folder / "results.json")
    write_text(files.html, render_html(results))
    write_text(files.scores, scores_csv(judgments, results, items))
    write_record(files.results, results, format=FORMAT)
    return files
