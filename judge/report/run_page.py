"""The report of a run: its page, and the files beside it for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from judge.analysis.calibrated_scores import ItemKey, ItemScore
from judge.analysis.results import FORMAT, OVERALL, ExtremeDialogue, Measure, Results
from judge.records import write_csv, write_record, write_text
from judge.report.figures import inline
from judge.report.figures.radar import run_radar
from judge.report.format import Axis, environment, fixed, many, short_title
from judge.report.reference_summary import reference_sentences, with_ends
from judge.report.scores_table import scores_csv
from judge.types import Judgment

__all__ = ["ReportFiles", "render_html", "write_report"]


class ReportFiles(NamedTuple):
    """The files of a report."""

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
    """Write `report.html`, `scores.csv` and `results.json`; older files are replaced.

    The same results, judgments and calibrated `items` give the same bytes, whatever the order of
    the judgments.

    Raises:
        StoreError: the folder cannot be written.
    """
    folder = Path(folder)
    return ReportFiles(
        html=write_text(folder / "report.html", render_html(results)),
        scores=write_csv(folder / "scores.csv", scores_csv(judgments, results, items)),
        results=write_record(folder / "results.json", results, format=FORMAT),
    )


def render_html(results: Results) -> str:
    """The page as HTML: it has no script, loads nothing, and escapes every text from the run."""
    page = environment()
    page.filters["percent_of_scale"] = Axis(1, len(results.labels)).at
    page.filters["quartiles"] = _quartiles
    radar = run_radar(results)
    return page.get_template("report.html.j2").render(
        r=results,
        overall=OVERALL,
        title=_title(results),
        picture=radar,
        drawing=radar and inline(radar),
        agreement={row.measure: row for row in results.agreement},
        compared=max((row.n for row in results.agreement), default=0),
        reference_words=reference_sentences(results),
        with_ends=with_ends,
        undefined_errors=_undefined_errors(results),
        fallbacks=_fallbacks(results),
        top_is_label=_top_is_label(results),
        extremes=_extremes(results),
        flag_titles=_FLAG_TITLES,
        short={name: short_title(title) for name, title in results.titles.items()},
    )


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


def _extremes(results: Results) -> list[tuple[str, tuple[ExtremeDialogue, ...]]]:
    """The dialogues with the lowest and the highest scores, under their headings."""
    lists = [("Lowest scores", results.lowest), ("Highest scores", results.highest)]
    return [(heading, extremes) for heading, extremes in lists if extremes]
