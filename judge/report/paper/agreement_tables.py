"""The tables of an agreement: the main one, all coefficients, and what people reach themselves."""

from __future__ import annotations

from collections.abc import Callable

from judge.analysis.agreement.agreement_records import (
    Agreement,
    AltTest,
    Coefficient,
    Level,
    MeasureAgreement,
    no_share,
)
from judge.report.agreement_shape import (
    LEVEL_TITLES,
    jackknife,
    levels_left_out,
    shown_levels,
    unit,
)
from judge.report.agreement_summary import people
from judge.report.format import count, count_range, english_title, fixed
from judge.report.format import level as percent
from judge.report.paper.detail_tables import (
    confusion_tables,
    constant,
    curve_tables,
    icc_table,
    mean_tables,
    order_table,
    sentinel_tables,
    system_tables,
)
from judge.report.paper.table import (
    Column,
    Columns,
    Entry,
    Number,
    PaperTable,
    Range,
    Row,
    banners,
    interval_entry,
    measure_table,
    number,
    trimmed,
)

__all__ = ["agreement_tables"]

_SYMBOLS: dict[Coefficient, str] = {
    "spearman": "ρ",
    "pearson": "r",
    "kendall_b": "τ-b",
    "kendall_c": "τ-c",
}

_MEASURES_ABREAST = 6
"""How many measures stand beside each other in the table of pairs of raters."""


def agreement_tables(agreement: Agreement) -> tuple[PaperTable, ...]:
    """Every table of an agreement that has something in it, the main one first."""
    tables = (
        _main_table(agreement),
        _counts_table(agreement),
        *_level_tables(agreement),
        order_table(agreement),
        icc_table(agreement),
        _people_table(agreement),
        _annotator_table(agreement),
        *sentinel_tables(agreement),
        *system_tables(agreement),
        *mean_tables(agreement),
        *curve_tables(agreement),
        *confusion_tables(agreement),
        *_pair_tables(agreement),
        _provenance_table(agreement),
    )
    main, *others = (table for table in tables if table is not None)
    return (trimmed(main) or main, *filter(None, map(trimmed, others)))


def _main_table(agreement: Agreement) -> PaperTable:
    """Spearman at three levels, errors in points, kappa and the ceiling, by measure."""
    measures = agreement.measures
    if agreement.categories:
        return _main_table_of_labels(agreement)
    columns: Columns = [(Column("n"), [Number(m.n, 0) for m in measures])]
    levels = [level for level in shown_levels(agreement) if level != "within_system"]
    for level in levels:
        columns += _coefficient(agreement, "spearman", level, main=True)
    columns += [
        (Column("MAE"), [number(m.mae) for m in measures]),
        (Column("const."), [constant(m, "mae", 2) for m in measures]),
        (Column("Bias"), [number(m.bias) for m in measures]),
        (Column("κ"), [number(m.kappa) for m in measures]),
        (Column("ρ", "Ceiling"), [number(m.ceiling.spearman) for m in measures]),
        (
            Column("Share", "Ceiling", unit="%"),
            [_percent(m.ceiling.share, m.ceiling.share_reason) for m in measures],
        ),
    ]
    return measure_table(
        "main",
        f"Agreement of {agreement.judge} with {people(agreement)}. Spearman's ρ "
        f"{' and '.join(_LEVELS[level].format(agreement.item) for level in levels)}. "
        f"{levels_left_out(agreement)} {_intervals(agreement)}MAE and bias (judge less "
        "people) in points of the scale; const.: the MAE of one and the same score for everything, "
        "the median; κ: quadratic weights, rounded judge against single ratings. "
        f"{_CEILING if agreement.cells_repeated else ''}n: {unit(agreement)}s with both scores.",
        agreement,
        columns,
    )


_CEILING = (
    "Ceiling: the ρ with the mean of the other raters that can be expected of a judge who knows "
    "the truth, and what share of it the judge reaches with the same raters. "
)

_LEVELS: dict[Level, str] = {
    "all": "over all",
    "within_item": "between systems on the same {}, as the mean over these,",
    "systems": "between the means of the systems",
}


def _main_table_of_labels(agreement: Agreement) -> PaperTable:
    """Equal labels, kappa and alpha, of labels that have no order."""
    measures = agreement.measures
    columns: Columns = [
        (Column("n"), [Number(m.n, 0) for m in measures]),
        (Column("Ratings"), [Number(m.ratings, 0) for m in measures]),
        (Column("Equal"), [number(m.equal) if m.equal else Number(None) for m in measures]),
        (Column("const."), [constant(m, "equal", 2) for m in measures]),
        (Column("κ"), [number(m.kappa) for m in measures]),
        (Column("people", "Krippendorff's α"), [number(m.alpha_human) for m in measures]),
        (Column("with judge", "Krippendorff's α"), [number(m.alpha_with_judge) for m in measures]),
    ]
    return measure_table(
        "main",
        f"Agreement of {agreement.judge} with {people(agreement)} on labels without an order "
        f"({', '.join(agreement.categories)}). Equal: the share of ratings that are the judge's "
        "label; const.: that of the most frequent label, given to everything; κ: Cohen's, of the "
        "judge with single ratings; α: for nominal data, among people and with the judge as one "
        f"more rater. n: {unit(agreement)}s with both.",
        agreement,
        columns,
    )


def _intervals(agreement: Agreement) -> str:
    """The sentence that says what the intervals of the main table are; empty if there are none."""
    level = percent(agreement.confidence)
    systems = "systems" in shown_levels(agreement) and not agreement.systems_fixed
    between = "Bonett–Wright for ten systems or more" if systems else ""
    if not agreement.resamples:
        return f"In brackets {level} intervals: {between}. " if between else ""
    fixed = ", systems fixed" if agreement.systems_fixed else f"; {between}" if between else ""
    return f"In brackets {level} intervals ({jackknife(agreement)}{fixed}), each by itself. "


def _percent(share: float | None, reason: str) -> Number:
    return Number(None if share is None else 100 * share, 0, reason)


def _coefficient(
    agreement: Agreement, coefficient: Coefficient, level: Level, *, main: bool = False
) -> Columns:
    """A coefficient at a level, and its interval if there are any.

    The main table shows for the systems the interval of Bonett and Wright, unless they
    are taken as fixed.
    """
    group = LEVEL_TITLES[level]
    estimates = [measure.levels[coefficient][level] for measure in agreement.measures]
    values: Columns = [(Column(_SYMBOLS[coefficient], group), [number(e) for e in estimates])]
    ranges: list[Entry]
    if main and level == "systems" and not agreement.systems_fixed:
        measures = agreement.measures
        ranges = [interval_entry(m.bonett_wright, m.spearman["systems"]) for m in measures]
    elif agreement.resamples:
        ranges = [interval_entry(estimate.interval, estimate) for estimate in estimates]
    else:
        return values
    return [*values, (Column(f"{percent(agreement.confidence)} CI", group, "range"), ranges)]


def _level_tables(agreement: Agreement) -> list[PaperTable]:
    """Spearman and Pearson with intervals, and both kinds of Kendall, at all four levels."""
    tables = []
    names: dict[Coefficient, str] = {"spearman": "Spearman's ρ", "pearson": "Pearson's r"}
    whom = f"{agreement.judge} with {people(agreement)}. {levels_left_out(agreement)}".rstrip()
    for coefficient, name in names.items():
        columns: Columns = []
        for level in shown_levels(agreement):
            columns += _coefficient(agreement, coefficient, level)
        caption = f"{name} of {whom}"
        if agreement.resamples:
            caption += (
                f" {percent(agreement.confidence)} intervals of the {jackknife(agreement)}"
                + (
                    f"; between systems of a crossed bootstrap, B = {count(agreement.resamples)}."
                    if "systems" in shown_levels(agreement) and not agreement.systems_fixed
                    else "."
                )
            )
        tables.append(measure_table(coefficient, caption, agreement, columns))
    taus: Columns = [
        (
            Column(_SYMBOLS[tau], LEVEL_TITLES[level]),
            [number(m.levels[tau][level]) for m in agreement.measures],
        )
        for level in shown_levels(agreement)
        for tau in ("kendall_b", "kendall_c")
    ]
    return [*tables, measure_table("kendall", f"Kendall's τ-b and τ-c of {whom}", agreement, taus)]


def _counts_table(agreement: Agreement) -> PaperTable:
    """How much the estimates rest on, and how much was left out."""
    measures = agreement.measures

    def of_level(level: Level, field: str) -> list[Entry]:
        return [Number(getattr(m.spearman[level], field), 0) for m in measures]

    def of_measure(field: str) -> list[Entry]:
        return [Number(getattr(m, field), 0) for m in measures]

    what = f"{unit(agreement).capitalize()}s"
    columns: Columns = [
        (Column("compared", what), of_measure("n")),
        (Column("not rated", what), of_measure("not_rated")),
        (Column("not judged", what), of_measure("not_judged")),
        (Column("Ratings"), of_measure("ratings")),
    ]
    if "within_item" in shown_levels(agreement):
        columns += [
            (Column("used", "Items"), of_level("within_item", "groups")),
            (Column("undefined", "Items"), of_level("within_item", "undefined")),
        ]
    if agreement.systems > 1 and not agreement.categories:
        columns += [
            (Column("used", "Systems, within"), of_level("within_system", "groups")),
            (Column("undefined", "Systems, within"), of_level("within_system", "undefined")),
            (Column("Systems"), of_level("systems", "n")),
        ]
    if not agreement.categories:
        columns.append((Column("Scale", kind="range"), [_scale(measure) for measure in measures]))
    composite = any(m.kind != "metric" for m in measures)
    observed = not all(m.scale_declared for m in measures)
    return measure_table(
        "counts",
        f"What the figures rest on. {what} with one of the two scores only are left out"
        + (
            ", and so are items and systems within which a side is constant or has fewer than two "
            "scores."
            if agreement.systems > 1
            else "."
        )
        + (
            f" A composite lacks a {unit(agreement)} as soon as one of its parts does; its ratings "
            "are those of raters who rated all its parts."
            if composite
            else ""
        ),
        agreement,
        columns,
        ("The scale is that of the ratings observed; it was not declared.",) if observed else (),
    )


def _scale(measure: MeasureAgreement) -> Range:
    whole = all(float(end).is_integer() for end in measure.scale)
    return Range(*measure.scale, decimals=0 if whole else 2)


def _people_table(agreement: Agreement) -> PaperTable | None:
    """Krippendorff's alpha, reliability, and both kinds of ceiling; None for categories."""
    if agreement.categories:
        return None
    measures = agreement.measures
    columns: Columns = [
        (Column("rated", "Cells"), [Number(m.ceiling.cells, 0) for m in measures]),
        (Column("repeated", "Cells"), [Number(m.ceiling.repeated, 0) for m in measures]),
        (Column("people", "Krippendorff's α"), [number(m.alpha_human) for m in measures]),
        (Column("with judge", "Krippendorff's α"), [number(m.alpha_with_judge) for m in measures]),
        (Column("one rating", "Reliability"), [number(m.ceiling.single) for m in measures]),
        (Column("mean", "Reliability"), [number(m.ceiling.mean) for m in measures]),
        (Column("ceiling", "Pearson's r"), [number(m.ceiling.pearson) for m in measures]),
        (
            Column("share", "Pearson's r", unit="%"),
            [
                _percent(
                    m.ceiling.pearson_share, no_share(m.levels["pearson"]["all"], m.ceiling.pearson)
                )
                for m in measures
            ],
        ),
        (Column("rater", "ρ with the rest"), [number(m.ceiling.rater) for m in measures]),
        (Column("judge", "ρ with the rest"), [number(m.ceiling.judge) for m in measures]),
        (Column("ceiling", "ρ with the rest"), [number(m.ceiling.spearman) for m in measures]),
    ]
    ceilings = (
        " Reliability: ICC(1) of one rating, and of the mean of a cell's ratings; its square root "
        "is the highest Pearson correlation that a judge can have with these means in "
        "expectation. ρ with the rest: mean Spearman of one rater with the mean of the others, and "
        "of the judge with the same others on the same cells; its ceiling is the rater's divided "
        "by the root of the reliability of one rating."
    )
    composite = ", of a composite rated by those who rated all its parts"
    return measure_table(
        "people",
        f"Agreement among people, and the ceilings it sets. A cell is one {unit(agreement)} and "
        f"one measure{composite if any(m.kind != 'metric' for m in measures) else ''}; repeated: "
        "rated at least twice. Krippendorff's α for interval data among people, and with the judge "
        f"as one more rater.{ceilings if agreement.cells_repeated else ''}",
        agreement,
        columns,
    )


def _annotator_table(agreement: Agreement) -> PaperTable | None:
    """The alternative annotator test on continuous and on rounded scores; None if there is none."""
    columns: Columns = []
    labels = "Labels" if agreement.categories else "Rounded to labels"
    for scores, group in {"continuous": "Continuous scores", "rounded": labels}.items():
        tests = [_test(measure, scores) for measure in agreement.measures]
        if not any(tests):
            continue
        texts: dict[str, Callable[[AltTest], str]] = {
            "replaced": lambda test: f"{test.replaced} of {test.annotators}",
            "verdict": lambda test: test.verdict,
            "ω, label and mean": lambda test: " ".join(
                fixed(floor.winning_rate) for floor in test.floors
            ),
            "items": lambda test: count_range(*test.items),
        }
        columns += [
            (Column("ω", group), [_test_number(test, "winning_rate") for test in tests]),
            (Column("advantage ρ", group), [_test_number(test, "advantage") for test in tests]),
            *(
                (Column(title, group, "text"), [_test_text(test, text) for test in tests])
                for title, text in texts.items()
            ),
        ]
    if not columns:
        return None
    return measure_table(
        "annotators",
        "The alternative annotator test at "
        f"ε = {agreement.epsilon:g} ({agreement.annotators} annotators): ω, the share of the "
        "annotators whom the judge may replace, passed from .5 on; advantage ρ, how often the "
        "judge is at least as close to the other annotators as the one left out; ω, label and "
        "mean: the same for the most frequent label and for the mean rating, given to everything: "
        "where one of them passes too, passing is no claim; items on which each annotator was "
        "tested.",
        agreement,
        columns,
    )


def _test(measure: MeasureAgreement, scores: str) -> AltTest | None:
    return next((test for test in measure.annotator_tests if test.scores == scores), None)


def _test_number(test: AltTest | None, field: str) -> Number:
    if test is None:
        return Number(None, reason="not tested")
    return Number(getattr(test, field), reason=test.reason or "undefined")


def _test_text(test: AltTest | None, text: Callable[[AltTest], str]) -> Entry:
    if test is None or test.passed is None:
        return _test_number(test, "passed")
    return text(test)


def _pair_tables(agreement: Agreement) -> list[PaperTable]:
    """The correlation of each rater with each other; empty if pairs were not compared."""
    measures = list(dict.fromkeys(pair.measure for pair in agreement.pairs))
    spearman = {(pair.first, pair.second, pair.measure): pair.spearman for pair in agreement.pairs}
    raters = list(dict.fromkeys((pair.first, pair.second) for pair in agreement.pairs))
    titles = {**agreement.titles, **{m.name: m.title for m in agreement.measures}}
    tables: list[PaperTable] = []
    for start in range(0, len(measures), _MEASURES_ABREAST):
        part = measures[start : start + _MEASURES_ABREAST]
        heads = [Column("Rater", kind="text"), Column("Rater", kind="text")]
        for name in part:
            group = english_title(name, titles.get(name, name))
            heads += [Column("ρ", group), Column("n", group)]
        rows = []
        for first, second in raters:
            cells: list[Entry] = [first, second]
            for name in part:
                rho = spearman.get((first, second, name))
                cells += ["", ""] if rho is None else [number(rho), Number(rho.n, 0)]
            rows.append(Row(tuple(cells)))
        tables.append(
            PaperTable(
                f"pairs-{len(tables) + 1}",
                f"Spearman's ρ of raters with each other, on the {unit(agreement)}s that both have "
                "rated.",
                tuple(heads),
                tuple(rows),
                banners(agreement),
            )
        )
    return tables


def _provenance_table(agreement: Agreement) -> PaperTable | None:
    """Everything that is known of how the scores and the ratings were made."""
    heads = (Column("What", kind="text"), Column("Which", kind="text"))
    rows = tuple(Row(fact) for fact in agreement.provenance.items())
    if not rows:
        return None
    caption = "What the scores and the ratings come from."
    return PaperTable("provenance", caption, heads, rows, banners(agreement))
