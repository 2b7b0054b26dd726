"""The main table, and every coefficient at every level with what it rests on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from judge.analysis.agreement.agreement_records import (
    LEVELS,
    Agreement,
    AltTest,
    Coefficient,
    Level,
    MeasureAgreement,
    no_share,
)
from judge.report.agreement_summary import LEVEL_TITLES, people
from judge.report.format import level as percent
from judge.report.paper.detail_tables import (
    confusion_tables,
    curve_tables,
    mean_tables,
    order_table,
    sentinel_tables,
    system_tables,
)
from judge.report.paper.table import (
    Column,
    Entry,
    Number,
    Range,
    Row,
    Table,
    english,
    figure,
    marks,
    measure_rows,
    span,
)

__all__ = [
    "agreement_tables",
    "annotator_table",
    "counts_table",
    "level_tables",
    "main_table",
    "pair_tables",
    "people_table",
    "provenance_table",
]

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


_PAIRED = 6
"""Measures beside each other in a table of pairs."""


def people_table(agreement: Agreement) -> Table:
    """Krippendorff's alpha, ICC and both kinds of ceiling."""
    measures = agreement.measures
    columns: list[tuple[Column, Sequence[Entry]]] = [
        (Column("rated", "Cells"), [Number(m.ceiling.cells, 0) for m in measures]),
        (Column("repeated", "Cells"), [Number(m.ceiling.repeated, 0) for m in measures]),
        (Column("people", "Krippendorff's α"), [figure(m.alpha_human) for m in measures]),
        (Column("with judge", "Krippendorff's α"), [figure(m.alpha_with_judge) for m in measures]),
        (Column("one rating", "Reliability"), [figure(m.ceiling.single) for m in measures]),
        (Column("mean", "Reliability"), [figure(m.ceiling.mean) for m in measures]),
        (Column("ceiling", "Pearson's r"), [figure(m.ceiling.pearson) for m in measures]),
        (Column("share", "Pearson's r", unit="%"), [_pearson_share(m) for m in measures]),
        (Column("rater", "ρ with the rest"), [figure(m.ceiling.rater) for m in measures]),
        (Column("judge", "ρ with the rest"), [figure(m.ceiling.judge) for m in measures]),
    ]
    heads, rows = measure_rows(agreement.measures, columns)
    return Table(
        "people",
        "Agreement among people, and the ceilings it sets. A cell is one dialogue and one "
        "measure, of a composite rated by those who rated all its parts; repeated: rated at least "
        "twice. Krippendorff's α for interval data among "
        "people, and with the judge as one more rater. Reliability: ICC(1) of one rating, and of "
        "the mean of a cell's ratings; its square root is the highest Pearson correlation that "
        "a judge can have with these means in expectation. ρ with the rest: mean Spearman of one "
        "rater with the mean of the others, and of the judge with the same others on the same "
        "cells.",
        heads,
        rows,
        marks(agreement),
    )


def _pearson_share(measure: MeasureAgreement) -> Number:
    share = measure.ceiling.pearson_share
    reason = no_share(measure.levels["pearson"]["all"], measure.ceiling.pearson)
    return Number(None if share is None else 100 * share, 0, reason)


def annotator_table(agreement: Agreement) -> Table | None:
    """The alternative annotator test, both ways to read the judge; None where none was made."""
    ways = {"continuous": "Continuous scores", "rounded": "Rounded to labels"}
    columns: list[tuple[Column, Sequence[Entry]]] = []
    for way, group in ways.items():
        tests = [_test(measure, way) for measure in agreement.measures]
        if not any(tests):
            continue
        columns += [
            (Column("ω", group), [_rate(test, "winning_rate") for test in tests]),
            (Column("advantage ρ", group), [_rate(test, "advantage") for test in tests]),
            (
                Column("replaced", group, "text"),
                [_said(test, lambda t: f"{t.replaced} of {t.annotators}") for test in tests],
            ),
            (
                Column("passed", group, "text"),
                [_said(test, lambda t: "yes" if t.passed else "no") for test in tests],
            ),
            (Column("items", group, "text"), [_said(test, _items) for test in tests]),
        ]
    if not columns:
        return None
    heads, rows = measure_rows(agreement.measures, columns)
    return Table(
        "annotators",
        "The alternative annotator test at "
        f"ε = {agreement.epsilon:g} ({agreement.annotators} annotators): ω, the share of the "
        "annotators whom the judge may replace, passed from .5 on; advantage ρ, how often the "
        "judge is at least as close to the other annotators as the one left out; items on which "
        "each annotator was tested.",
        heads,
        rows,
        marks(agreement),
    )


def _test(measure: MeasureAgreement, way: str) -> AltTest | None:
    return next((test for test in measure.annotator_tests if test.scores == way), None)


def _rate(test: AltTest | None, what: str) -> Number:
    value = None if test is None else getattr(test, what)
    return Number(value, 2, "not tested" if test is None else test.reason or "undefined")


def _said(test: AltTest | None, text: Callable[[AltTest], str]) -> Entry:
    """A text about a test that was made."""
    if test is None or test.passed is None:
        return _rate(test, "passed")
    return text(test)


def _items(test: AltTest) -> str:
    low, high = test.items
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"


def pair_tables(agreement: Agreement) -> tuple[Table, ...]:
    """Raters against each other; () where pairs were not compared."""
    names = list(dict.fromkeys(pair.measure for pair in agreement.pairs))
    found = {(pair.first, pair.second, pair.measure): pair.spearman for pair in agreement.pairs}
    who = list(dict.fromkeys((pair.first, pair.second) for pair in agreement.pairs))
    titles = {measure.name: measure.title for measure in agreement.measures}
    tables: list[Table] = []
    for start in range(0, len(names), _PAIRED):
        part = names[start : start + _PAIRED]
        heads = [Column("Rater", kind="text"), Column("Rater", kind="text")]
        for name in part:
            group = english(name, titles.get(name, agreement.titles.get(name, name)))
            heads += [Column("ρ", group), Column("n", group)]
        rows = []
        for first, second in who:
            cells: list[Entry] = [first, second]
            for name in part:
                pair = found.get((first, second, name))
                cells += ["", ""] if pair is None else [figure(pair), Number(pair.n, 0)]
            rows.append(Row(tuple(cells)))
        tables.append(
            Table(
                f"pairs-{len(tables) + 1}",
                "Spearman's ρ of raters with each other, on the dialogues that both have rated.",
                tuple(heads),
                tuple(rows),
                marks(agreement),
            )
        )
    return tuple(tables)


def provenance_table(agreement: Agreement) -> Table | None:
    """What made the scores and the ratings, in full."""
    heads = (Column("What", kind="text"), Column("Which", kind="text"))
    rows = tuple(Row(pair) for pair in agreement.provenance.items())
    if not rows:
        return None
    caption = "What the scores and the ratings come from."
    return Table("provenance", caption, heads, rows, marks(agreement))


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
