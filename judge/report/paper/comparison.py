"""Two judges compared with the same ratings: the table, its methods section, and its CSV."""

from __future__ import annotations

from judge.analysis.agreement.agreement_records import Interval
from judge.analysis.agreement.two_judges import COMPARED, ComparedMeasure, Comparisons
from judge.report.agreement_shape import LEVEL_TITLES, drawn, unit
from judge.report.agreement_summary import whose_ratings
from judge.report.format import count, csv_text, english_title
from judge.report.paper.references import Paragraph, render_paragraphs
from judge.report.paper.table import (
    Column,
    Columns,
    Number,
    PaperTable,
    banners,
    measure_rows,
    trimmed,
)

__all__ = ["comparison_csv", "comparison_methods", "comparison_table", "few_to_exchange"]

_HEAD = (
    *("measure", "title", "kind", "level", "first", "first_lower", "first_upper"),
    *("second", "second_lower", "second_upper", "difference"),
    *("p", "p_adjusted", "correction", "n", "groups", "left_out", "undefined"),
    *("test", "factor", "exchanges", "reason", "ratings", "partial"),
)

_ENOUGH = 20
"""With fewer exchanges p cannot be .05 or less."""


def comparison_table(comparisons: Comparisons) -> PaperTable:
    """Both correlations, their difference and its p-value, by measure and level."""
    rows = {(row.name, row.level): row for row in comparisons.rows}
    measures = list({row.name: row for row in comparisons.rows}.values())
    columns: Columns = []
    for level in COMPARED:
        of_level = [rows.get((measure.name, level)) for measure in measures]
        if not any(of_level):
            continue
        for title, field, decimals in (
            ("first", "first", 2),
            ("second", "second", 2),
            ("diff.", "difference", 2),
            ("p", "p", 3),
            ("adj. p", "adjusted", 3),
        ):
            entries = [_number(row, field, decimals) for row in of_level]
            columns.append((Column(title, LEVEL_TITLES[level]), entries))
    heads, body = measure_rows(measures, columns)
    table = PaperTable(
        "comparison",
        f"Spearman's ρ with the same ratings of {comparisons.first} (first) and "
        f"{comparisons.second} (second), and their difference; p: {_test(comparisons)}; adj. p: "
        f"{_corrections(comparisons)}.",
        heads,
        body,
        banners(comparisons),
    )
    return trimmed(table) or table


def _number(row: ComparedMeasure | None, field: str, decimals: int) -> Number:
    if row is None:
        return Number(None, decimals, "not compared")
    return Number(getattr(row, field), decimals, row.reason or "undefined")


def _test(comparisons: Comparisons) -> str:
    if comparisons.test == "perm-both":
        return (
            f"two-sided PERM-BOTH test with {count(comparisons.exchanges)} exchanges, which asks "
            "for interchangeable judges"
        )
    return (
        "two-sided test that exchanges the judges for whole systems or, but for the level of "
        f"systems, for whole {_others(comparisons)}, the largest p of these"
    )


def _others(comparisons: Comparisons) -> str:
    """What is exchanged beside systems, in the plural."""
    return " or ".join(f"{factor}s" for factor in comparisons.factors if factor != "system")


def few_to_exchange(row: ComparedMeasure) -> str:
    """That p cannot be small, for there are too few groups; "" where there are enough."""
    if not row.exchanges or row.exchanges >= _ENOUGH:
        return ""
    return (
        f"each {row.factor} exchanged: {row.exchanges} ways, so p cannot be below "
        f"{1 / row.exchanges:.3f}, however different the judges are"
    )


def _corrections(comparisons: Comparisons) -> str:
    kinds = {"metric": "metrics", "dimension": "dimensions", "overall": "the overall score"}
    by_kind = {row.kind: row.correction for row in comparisons.rows}
    texts = [
        f"{kinds[kind]} uncorrected"
        if correction == "none"
        else f"corrected over the {kinds[kind]} of a level ({correction.replace('-', '–')})"
        for kind, correction in by_kind.items()
    ]
    return ", ".join(texts)


def comparison_methods(comparisons: Comparisons) -> tuple[Paragraph, ...]:
    """What was compared, and how."""
    return render_paragraphs(
        "comparison.md.j2",
        c=comparisons,
        others=_others(comparisons),
        unit=unit(comparisons),
        drawn=drawn(comparisons),
        left_out=max((row.left_out for row in comparisons.rows), default=0),
        corrections={row.correction for row in comparisons.rows},
    )


def comparison_csv(comparisons: Comparisons) -> str:
    """One row for each measure and level, every number in full precision."""
    ratings = whose_ratings(comparisons)
    rows = (
        [
            *(row.name, english_title(row.name, row.title), row.kind, row.level),
            *(row.first, *_ends(row.first_interval), row.second, *_ends(row.second_interval)),
            *(row.difference, row.p, row.adjusted, row.correction),
            *(row.n, row.groups, row.left_out, row.undefined),
            *(comparisons.test, row.factor, row.exchanges, row.reason, ratings),
            comparisons.partial,
        ]
        for row in comparisons.rows
    )
    return csv_text([_HEAD, *rows])


def _ends(interval: Interval | None) -> tuple[float | None, float | None]:
    return (None, None) if interval is None else (interval.lower, interval.upper)
