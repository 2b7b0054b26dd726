"""The agreement with the reference judgments in words and as a table, for page and terminal."""

from __future__ import annotations

import math
from collections.abc import Callable

from rich.table import Table

from judge.analysis.results import OVERALL, ReferenceAgreement, ReferenceMeasure, Results, Rho
from judge.report.format import count, fixed, level, many, short_title

__all__ = ["reference_sentences", "reference_table", "with_ends"]


def reference_sentences(results: Results) -> tuple[str, ...]:
    """What a reader has to know first; nothing where the run holds no reference dialogue."""
    found = results.reference
    if found is None:
        return ()
    held = f"{count(found.dialogues)} of their {many(found.of, 'dialogue')}"
    whose = "the reference judgments, which are a strong LLM's scores, not people's"
    lines = [f"Agreement with {whose}: {held}, of {many(found.systems, 'system')}."]
    overall = next((row for row in found.measures if row.measure == OVERALL), None)
    if overall is not None:
        lines.append(
            f"Overall score: {_said(overall.within_item, found)} within an item, where the "
            f"reference read twice reaches {fixed(overall.readings_within_item.value)} with "
            f"itself; {_said(overall.systems, found)} over systems "
            f"({fixed(overall.readings_systems.value)})."
        )
    metrics = [row for row in found.measures if row.measure in results.metrics]
    if len(metrics) > 1:
        within, own = _mean(metrics, lambda row: (row.within_item, row.readings_within_item))
        systems, of_systems = _mean(metrics, lambda row: (row.systems, row.readings_systems))
        lines.append(
            f"Mean of the {len(metrics)} metrics: ρ {within} within an item (read twice: {own}), "
            f"{systems} over systems ({of_systems})."
        )
    read = f"{results.rubric} {results.rubric_version} {results.language}"
    lines.append(
        f"The reference was scored by the rubric {found.rubric}, which this judge read too."
        if found.same_rubric
        else f"The reference was scored by the rubric {found.rubric}; this judge read {read}."
    )
    return tuple(lines)


def reference_table(results: Results, found: ReferenceAgreement) -> Table:
    """Measure by measure, for the terminal."""
    title = f"Spearman's ρ with the reference (a strong LLM, not people), {level(found.confidence)}"
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column("metric", no_wrap=True)
    for head in ("within item", "read\ntwice", "systems", "read\ntwice"):
        table.add_column(head, justify="right", no_wrap=True)
    for row in found.measures:
        part = row.measure in results.metrics
        table.add_row(
            ("  " if part else "") + short_title(results.titles[row.measure]),
            with_ends(row.within_item),
            fixed(row.readings_within_item.value),
            with_ends(row.systems),
            fixed(row.readings_systems.value),
            style="" if part else "bold",
        )
    return table


def with_ends(rho: Rho) -> str:
    """`0.52 [0.41, 0.60]`, or without an interval, or a dash."""
    if rho.value is None or rho.lower is None or rho.upper is None:
        return fixed(rho.value)
    return f"{fixed(rho.value)} [{fixed(rho.lower)}, {fixed(rho.upper)}]"


def _said(rho: Rho, found: ReferenceAgreement) -> str:
    if rho.value is None:
        return f"ρ undefined ({rho.reason})"
    if rho.lower is None or rho.upper is None:
        return f"ρ {fixed(rho.value)}"
    return (
        f"ρ {fixed(rho.value)} ({level(found.confidence)} interval {fixed(rho.lower)} to "
        f"{fixed(rho.upper)})"
    )


def _mean(
    rows: list[ReferenceMeasure], of: Callable[[ReferenceMeasure], tuple[Rho, Rho]]
) -> tuple[str, str]:
    """The means over metrics of the judge's and of the readings' rho; a dash if any has none."""
    means = []
    for column in zip(*map(of, rows), strict=True):
        values = [rho.value for rho in column if rho.value is not None]
        means.append(fixed(math.fsum(values) / len(values) if len(values) == len(rows) else None))
    return means[0], means[1]
