"""Two judges beside each other: their table, its methods and its numbers."""

from __future__ import annotations

import csv
import io

from judge.analysis.agreement.two_judges import COMPARED, ComparedMeasure, Comparisons
from judge.report.agreement_summary import LEVEL_TITLES
from judge.report.format import count
from judge.report.paper.references import Cite, Formula, Paragraph, Part
from judge.report.paper.table import Column, Entry, Number, Table, english, marks, measure_rows

__all__ = ["comparison_csv", "comparison_methods", "comparison_table"]

_HEAD = (
    *("measure", "title", "kind", "level", "first", "second", "difference"),
    *("p", "p_adjusted", "correction", "n", "groups", "left_out", "undefined"),
    *("reason", "ratings", "partial"),
)


def comparison_table(comparisons: Comparisons) -> Table:
    """Measures down, levels across: both correlations, their difference and its p-value."""
    by = {(row.name, row.level): row for row in comparisons.rows}
    measures = list({row.name: row for row in comparisons.rows}.values())
    columns: list[tuple[Column, list[Entry]]] = []
    for level in COMPARED:
        found = [by.get((measure.name, level)) for measure in measures]
        if not any(found):
            continue
        for title, what, decimals in (
            ("first", "first", 2),
            ("second", "second", 2),
            ("diff.", "difference", 2),
            ("p", "p", 3),
            ("adj. p", "adjusted", 3),
        ):
            entries: list[Entry] = [_number(row, what, decimals) for row in found]
            columns.append((Column(title, LEVEL_TITLES[level]), entries))
    heads, rows = measure_rows(measures, columns)
    return Table(
        "comparison",
        f"Spearman's ρ with the same ratings of {comparisons.first} (first) and "
        f"{comparisons.second} (second), and their difference; p: two-sided PERM-BOTH test with "
        f"{count(comparisons.exchanges)} exchanges; adj. p: {_corrections(comparisons)}.",
        heads,
        rows,
        marks(comparisons),
    )


def _number(row: ComparedMeasure | None, what: str, decimals: int) -> Number:
    if row is None:
        return Number(None, decimals, "not compared")
    return Number(getattr(row, what), decimals, row.reason or "undefined")


def _corrections(comparisons: Comparisons) -> str:
    kinds = {"metric": "metrics", "dimension": "dimensions", "overall": "the overall score"}
    by_kind = {row.kind: row.correction for row in comparisons.rows}
    said = [
        f"{kinds[kind]} uncorrected"
        if correction == "none"
        else f"corrected over the {kinds[kind]} of a level ({correction.replace('-', '–')})"
        for kind, correction in by_kind.items()
    ]
    return ", ".join(said)


def comparison_methods(comparisons: Comparisons) -> tuple[Paragraph, ...]:
    """What was compared, and how."""
    first, second = comparisons.dropped
    what = (
        f"The judges {comparisons.first} and {comparisons.second} are set against the same ratings "
        f"on the {count(comparisons.dialogues)} dialogues that both have; {count(first)} more of "
        f"the first and {count(second)} more of the second are left out. Whether their "
        "correlations with people differ is tested by PERM-BOTH "
    )
    how = (
        f": the standardised scores of the judges are exchanged for {count(comparisons.exchanges)} "
        "random choices of systems and of items, and "
    )
    parts: list[Part] = [
        what,
        Cite(("deutsch2021statistical",)),
        how,
        Formula("p=(1+b)/(1+B)", "p = (1 + b)/(1 + B)"),
        ", two-sided; exchanges that leave a side constant count as extreme. ",
    ]
    if most := max((row.left_out for row in comparisons.rows), default=0):
        parts.append(
            "Within items both correlations are means over the items in which people and both "
            f"judges tell systems apart; of the others, at most {count(most)}, none is counted. "
        )
    used = {row.correction for row in comparisons.rows}
    if "Benjamini-Yekutieli" in used:
        parts += [
            "Over the metrics of a level the p-values are corrected for the rate of false claims ",
            Cite(("benjamini2001control",)),
            ". ",
        ]
    if "Holm" in used:
        parts += [
            "Over its dimensions they are corrected for any false claim ",
            Cite(("holm1979simple",)),
        ]
        parts += [". "]
    parts.append(f"Seed: {comparisons.seed}.")
    if comparisons.simulated:
        parts.append(" The ratings were drawn by a program: this says nothing about people.")
    return (Paragraph("Comparison", tuple(parts)),)


def comparison_csv(comparisons: Comparisons) -> str:
    """One row for each measure and level, in full precision."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(_HEAD)
    for row in comparisons.rows:
        table.writerow(
            [
                *(row.name, english(row.name, row.title), row.kind, row.level),
                *(row.first, row.second, row.difference, row.p, row.adjusted, row.correction),
                *(row.n, row.groups, row.left_out, row.undefined, row.reason),
                "simulated" if comparisons.simulated else "people",
                comparisons.partial,
            ]
        )
    return text.getvalue()
