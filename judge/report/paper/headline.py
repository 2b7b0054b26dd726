"""The main table, and every coefficient at every level with what it rests on."""

from __future__ import annotations

from judge.analysis.agreement.record import (
    LEVELS,
    Agreement,
    Coefficient,
    Level,
    MeasureAgreement,
)
from judge.report.agreement_summary import LEVEL_TITLES, people
from judge.report.format import level as percent
from judge.report.paper.table import (
    Column,
    Entry,
    Number,
    Range,
    Table,
    figure,
    marks,
    measure_rows,
    span,
)

__all__ = ["counts_table", "level_tables", "main_table"]

_SYMBOLS: dict[Coefficient, str] = {
    "spearman": "ρ",
    "pearson": "r",
    "kendall_b": "τ-b",
    "kendall_c": "τ-c",
}

_NAMES: dict[Coefficient, str] = {"spearman": "Spearman's ρ", "pearson": "Pearson's r"}

_Columns = list[tuple[Column, list[Entry]]]


def main_table(agreement: Agreement) -> Table:
    """Metrics by dimension: Spearman at three levels, errors in points, kappa, the ceiling."""
    measures = agreement.measures
    columns: _Columns = [(Column("n"), [Number(m.n, 0) for m in measures])]
    for level in ("all", "within_item", "systems"):
        group = f"{LEVEL_TITLES[level]}"
        columns += _estimates(agreement, "spearman", level, group, headline=True)
    columns += [
        (Column("MAE"), [figure(m.mae) for m in measures]),
        (Column("Bias"), [figure(m.bias) for m in measures]),
        (Column("κ"), [figure(m.kappa) for m in measures]),
        (Column("ρ", "Ceiling"), [figure(m.ceiling.rater) for m in measures]),
        (Column("Share", "Ceiling", unit="%"), [_share(m) for m in measures]),
    ]
    heads, rows = measure_rows(agreement.measures, columns)
    return Table(
        "main",
        f"Agreement of {agreement.judge} with {people(agreement)}. Spearman's ρ over all "
        f"dialogues; between systems within an item ({agreement.item}), mean over items; and "
        f"between the means of the systems. {_intervals(agreement)}MAE and bias (judge less "
        "people) in points of the "
        "scale; κ: quadratic weights, rounded judge against single ratings. Ceiling: mean ρ of "
        "one rater with the mean of the others, and what share of it the judge reaches against "
        "the same others. n: dialogues with both scores.",
        heads,
        rows,
        marks(agreement),
    )


def _intervals(agreement: Agreement) -> str:
    between = "" if agreement.systems_fixed else "Bonett–Wright for systems"
    if not agreement.resamples:
        return f"In brackets {percent(agreement.confidence)} intervals: {between}. " * bool(between)
    fixed = ", systems fixed" if agreement.systems_fixed else f"; {between}"
    return (
        f"In brackets {percent(agreement.confidence)} intervals (crossed bootstrap, "
        f"B = {agreement.resamples:,}{fixed}). "
    )


def _share(measure: MeasureAgreement) -> Number:
    ceiling = measure.ceiling
    share = None if ceiling.share is None else 100 * ceiling.share
    return Number(share, 0, ceiling.share_reason)


def _estimates(
    agreement: Agreement,
    coefficient: Coefficient,
    level: Level,
    group: str,
    *,
    headline: bool = False,
) -> _Columns:
    """The coefficient and its interval, as far as there are intervals.

    In the headline systems have the interval of Bonett and Wright, which needs no resamples,
    unless they are taken for all there are.
    """
    found = [measure.levels[coefficient][level] for measure in agreement.measures]
    values: _Columns = [(Column(_SYMBOLS[coefficient], group), [figure(f) for f in found])]
    title = f"{percent(agreement.confidence)} CI"
    ranges: list[Entry]
    if headline and level == "systems" and not agreement.systems_fixed:
        ranges = [span(m.bonett_wright, m.spearman["systems"]) for m in agreement.measures]
    elif agreement.resamples:
        ranges = [span(f.interval, f) for f in found]
    else:
        return values
    return [*values, (Column(title, group, "range"), ranges)]


def level_tables(agreement: Agreement) -> tuple[Table, ...]:
    """Spearman and Pearson with intervals, both of Kendall's without, at all four levels."""
    tables = []
    for coefficient, name in _NAMES.items():
        columns: _Columns = []
        for level in LEVELS:
            columns += _estimates(agreement, coefficient, level, LEVEL_TITLES[level])
        caption = f"{name} of {agreement.judge} with {people(agreement)} at four levels."
        if agreement.resamples:
            caption += (
                f" {percent(agreement.confidence)} intervals of the crossed bootstrap, "
                f"B = {agreement.resamples:,}."
            )
        heads, rows = measure_rows(agreement.measures, columns)
        tables.append(Table(coefficient, caption, heads, rows, marks(agreement)))
    taus: _Columns = []
    for level in LEVELS:
        for tau in ("kendall_b", "kendall_c"):
            taus += [
                (
                    Column(_SYMBOLS[tau], LEVEL_TITLES[level]),
                    [figure(m.levels[tau][level]) for m in agreement.measures],
                )
            ]
    heads, rows = measure_rows(agreement.measures, taus)
    caption = f"Kendall's τ-b and τ-c of {agreement.judge} with {people(agreement)} at four levels."
    return (*tables, Table("kendall", caption, heads, rows, marks(agreement)))


def counts_table(agreement: Agreement) -> Table:
    """What the figures rest on, and what was left out."""
    measures = agreement.measures

    def at(level: Level, what: str) -> list[Entry]:
        return [Number(getattr(m.spearman[level], what), 0) for m in measures]

    def whole(what: str) -> list[Entry]:
        return [Number(getattr(m, what), 0) for m in measures]

    columns: _Columns = [
        (Column("compared", "Dialogues"), whole("n")),
        (Column("not rated", "Dialogues"), whole("not_rated")),
        (Column("not judged", "Dialogues"), whole("not_judged")),
        (Column("Ratings"), whole("ratings")),
        (Column("used", "Items"), at("within_item", "groups")),
        (Column("undefined", "Items"), at("within_item", "undefined")),
        (Column("used", "Systems, within"), at("within_system", "groups")),
        (Column("undefined", "Systems, within"), at("within_system", "undefined")),
        (Column("Systems"), at("systems", "n")),
        (
            Column("Scale", kind="range"),
            [Range(*m.scale, decimals=0 if _whole(m) else 2) for m in measures],
        ),
    ]
    heads, rows = measure_rows(agreement.measures, columns)
    observed = not all(m.scale_declared for m in measures)
    return Table(
        "counts",
        "What Spearman's ρ rests on. Dialogues with one of the two scores only are left out, and "
        "so are items and systems within which a side is constant or has fewer than two scores. "
        "A composite lacks a dialogue as soon as one of its parts does; its ratings are those of "
        "raters who rated all its parts.",
        heads,
        rows,
        marks(agreement),
        ("The scale is that of the ratings observed; it was not declared.",) * observed,
    )


def _whole(measure: MeasureAgreement) -> bool:
    return all(float(end).is_integer() for end in measure.scale)
