"""The report of two judges against the same ratings: its page, and the files beside it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from judge.analysis.agreement.two_judges import (
    FORMAT,
    ComparedLevel,
    ComparedMeasure,
    Comparisons,
)
from judge.records import replace_files, write_record, write_text
from judge.report.agreement_shape import LEVEL_TITLES, clusters, compared_levels, drawn, unit
from judge.report.agreement_summary import people, rho_and_interval
from judge.report.figures import ReportFigure, inline, write_figure
from judge.report.figures.forest import two_forests
from judge.report.format import (
    Footnotes,
    count,
    environment,
    fixed,
    many,
    p_value,
    short_title,
    signed,
)
from judge.report.paper import few_to_exchange, write_comparison_tables

__all__ = ["ComparisonFiles", "comparison_sentences", "render_comparisons", "write_comparisons"]

_LISTED = 4
"""So many measures on which two judges are shown to differ are named."""

_WITHIN: dict[ComparedLevel, str] = {
    "all": "over all",
    "within_item": "within an item",
    "systems": "over systems",
}


class ComparisonFiles(NamedTuple):
    """The main files of the report."""

    html: Path
    tex: Path
    json: Path


def write_comparisons(comparisons: Comparisons, folder: Path) -> ComparisonFiles:
    """Write `comparison.html`, `.json`, `.tex`, `.bib`, `.md`, `.csv`, `tables/` and `figures/`.

    What an older agreement or comparison left in the folder is removed. The same comparison gives
    the same bytes.

    Raises:
        StoreError: the folder cannot be written.
    """
    picture = two_forests(comparisons, compared_levels(comparisons))
    captions = {} if picture is None else {picture.name: picture.caption}
    written = write_comparison_tables(comparisons, folder, captions)
    if picture is not None:
        written += write_figure(picture, folder)
    files = ComparisonFiles(
        html=write_text(folder / "comparison.html", render_comparisons(comparisons, picture)),
        tex=folder / "comparison.tex",
        json=write_record(folder / "comparison.json", comparisons, format=FORMAT),
    )
    replace_files(folder, [*written, *files])
    return files


def render_comparisons(comparisons: Comparisons, picture: ReportFigure | None = None) -> str:
    """The page as HTML: it has no script, loads nothing, and escapes every text from the data."""
    lead, *rest = comparison_sentences(comparisons)
    rows = {(row.name, row.level): row for row in comparisons.rows}
    return (
        environment()
        .get_template("two_judges.html.j2")
        .render(
            a=comparisons,
            people=people(comparisons),
            lead=lead,
            rest=rest,
            picture=picture,
            drawing=picture and inline(picture),
            measures=list({row.name: row for row in comparisons.rows}.values()),
            rows=rows,
            levels=compared_levels(comparisons),
            level_titles=LEVEL_TITLES,
            short=short_title,
            p_value=p_value,
            footnotes=Footnotes,
            unit=unit(comparisons),
            clusters=clusters(comparisons),
            drawn=drawn(comparisons),
            corrections={row.correction for row in comparisons.rows},
        )
    )


def comparison_sentences(comparisons: Comparisons) -> list[str]:
    """Which judge agrees better, or that neither is shown to; where; and what that rests on."""
    levels = compared_levels(comparisons)
    if not levels:
        reasons = dict.fromkeys(row.reason for row in comparisons.rows if row.reason)
        return [f"Nothing can be compared: {'; '.join(reasons)}."]
    # Within items first: there no difference between items can help a judge.
    order = sorted(levels, key=("within_item", "all", "systems").index)
    row = _headline(comparisons, order[0])
    lines = [_of_metrics(comparisons, order[0]) if row is None else _lead(comparisons, row)]
    lines += [_at_level(comparisons, at) for at in order[row is None :]]
    if not any(row.shown for row in comparisons.rows):
        lines.append("That no difference is shown does not mean that there is none.")
    return [
        *lines,
        *sorted(set(map(few_to_exchange, comparisons.rows)) - {""}),
        *_rest(comparisons),
    ]


def _headline(comparisons: Comparisons, at: ComparedLevel) -> ComparedMeasure | None:
    """The overall score, or the only measure; None where neither is defined at the level."""
    of_level = [row for row in comparisons.rows if row.level == at]
    overall = [row for row in of_level if row.kind == "overall"]
    found = overall or (of_level if len(of_level) == 1 else [])
    return found[0] if found and found[0].difference is not None else None


def _of_metrics(comparisons: Comparisons, at: ComparedLevel) -> str:
    """The answer where there is no overall score: on how many metrics, and both means of rho."""
    rows = [row for row in comparisons.rows if row.level == at and row.kind == "metric"]
    shown = sum(row.shown for row in rows)
    of, differ = many(len(rows), "metric"), f"agree differently with {people(comparisons)}"
    if comparisons.test == "perm-both":
        differ = "be other than interchangeable"
    said = (
        f"shown to {differ} on {shown} of {of}"
        if shown
        else f"not shown to {differ} on any of {of}"
    )
    answer = f"{_named(comparisons)} are {said} {_WITHIN[at]}"
    both = [(r.first, r.second) for r in rows if r.first is not None and r.second is not None]
    if not both:
        return f"{answer}."
    first, second = (math.fsum(side) / len(both) for side in zip(*both, strict=True))
    means = f"{fixed(first)} and {fixed(second)} on average over {many(len(both), 'metric')}"
    return f"{answer}: Spearman’s ρ is {means}."


def _lead(comparisons: Comparisons, row: ComparedMeasure) -> str:
    """The answer of one measure."""
    score = "overall score" if row.kind == "overall" else f"score for {short_title(row.title)}"
    rhos = (
        f"{comparisons.first} {rho_and_interval(row.first, row.first_interval)}, "
        f"{comparisons.second} {rho_and_interval(row.second, row.second_interval)}"
    )
    said = f"Spearman’s ρ of the {score} with {people(comparisons)} {_WITHIN[row.level]}: {rhos}"
    p = "" if row.adjusted is None else f" (adjusted p {p_value(row.adjusted)})"
    if not row.shown:
        otherwise = f"agree differently with {people(comparisons)}"
        if comparisons.test == "perm-both":
            otherwise = "differ: they may be interchangeable"
        answer = f"{_named(comparisons)} are not shown to {otherwise}"
    elif comparisons.test == "perm-both":
        answer = f"{_named(comparisons)} are not interchangeable"
    else:
        better, worse = comparisons.first, comparisons.second
        if (row.difference or 0) < 0:
            better, worse = worse, better
        answer = f"{better} agrees better with {people(comparisons)} than {worse}"
    return f"{answer}{p}. {said}; difference {signed(row.difference)}."


def _named(comparisons: Comparisons) -> str:
    return f"{comparisons.first} and {comparisons.second}"


def _at_level(comparisons: Comparisons, at: ComparedLevel) -> str:
    """On which metrics a difference is shown at a level."""
    metrics = [row for row in comparisons.rows if row.level == at and row.kind == "metric"]
    shown = [row for row in metrics if row.shown]
    of = many(len(metrics), "metric")
    where = f"{LEVEL_TITLES[at]}: "
    if not shown:
        return f"{where}a difference is shown on none of {of}."
    named = ", ".join(
        f"{short_title(row.title)} ({_better(comparisons, row)}, {signed(row.difference)})"
        for row in sorted(shown, key=lambda row: -abs(row.difference or 0))[:_LISTED]
    )
    more = f" and {len(shown) - _LISTED} more" if len(shown) > _LISTED else ""
    return f"{where}a difference is shown on {len(shown)} of {of}: {named}{more}."


def _better(comparisons: Comparisons, row: ComparedMeasure) -> str:
    higher = comparisons.first if (row.difference or 0) > 0 else comparisons.second
    return f"{higher} higher"


def _rest(comparisons: Comparisons) -> Iterator[str]:
    if any(comparisons.dropped):
        first, second = map(count, comparisons.dropped)
        yield (
            f"Left out, for only one has judged them: {first} {unit(comparisons)}s of "
            f"{comparisons.first} and {second} of {comparisons.second}."
        )
