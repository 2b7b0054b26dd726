"""Tables of what people reach among themselves, and of the judge as one of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from judge.analysis.agreement.record import (
    Agreement,
    AnnotatorTest,
    MeasureAgreement,
    no_share,
)
from judge.report.paper.table import (
    Column,
    Entry,
    Number,
    Row,
    Table,
    english,
    figure,
    marks,
    measure_rows,
)

__all__ = ["annotator_table", "pair_tables", "people_table", "provenance_table"]

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


def _test(measure: MeasureAgreement, way: str) -> AnnotatorTest | None:
    return next((test for test in measure.annotator_tests if test.scores == way), None)


def _rate(test: AnnotatorTest | None, what: str) -> Number:
    value = None if test is None else getattr(test, what)
    return Number(value, 2, "not tested" if test is None else test.reason or "undefined")


def _said(test: AnnotatorTest | None, text: Callable[[AnnotatorTest], str]) -> Entry:
    """A text about a test that was made."""
    if test is None or test.passed is None:
        return _rate(test, "passed")
    return text(test)


def _items(test: AnnotatorTest) -> str:
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
