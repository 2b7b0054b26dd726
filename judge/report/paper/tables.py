"""All tables of an agreement, the main one first."""

from __future__ import annotations

from judge.analysis.agreement.record import Agreement
from judge.report.paper.detail import (
    confusion_tables,
    curve_tables,
    mean_tables,
    order_table,
    sentinel_tables,
    system_tables,
)
from judge.report.paper.headline import counts_table, level_tables, main_table
from judge.report.paper.people import annotator_table, pair_tables, people_table, provenance_table
from judge.report.paper.table import Table

__all__ = ["agreement_tables"]


def agreement_tables(agreement: Agreement) -> tuple[Table, ...]:
    """Every table that has something to say, defined once for LaTeX and Markdown."""
    tables = (
        main_table(agreement),
        counts_table(agreement),
        *level_tables(agreement),
        order_table(agreement),
        people_table(agreement),
        annotator_table(agreement),
        *sentinel_tables(agreement),
        *system_tables(agreement),
        *mean_tables(agreement),
        *curve_tables(agreement),
        *confusion_tables(agreement),
        *pair_tables(agreement),
        provenance_table(agreement),
    )
    return tuple(table for table in tables if table is not None)
