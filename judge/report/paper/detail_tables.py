"""Tables with one row for each system, pair, sentinel, label or bin."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from judge.analysis.agreement.agreement_records import Agreement, Estimate, Level, MeasureAgreement
from judge.report.agreement_shape import (
    LEVEL_TITLES,
    clusters,
    defined_sentinels,
    shown_levels,
    unit,
)
from judge.report.format import count_range, english_title
from judge.report.format import level as percent
from judge.report.paper.table import (
    Column,
    Columns,
    Entry,
    Number,
    PaperTable,
    Row,
    banners,
    chunks,
    interval_entry,
    measure_table,
    number,
)

__all__ = [
    "confusion_tables",
    "constant",
    "curve_tables",
    "icc_table",
    "mean_tables",
    "order_table",
    "sentinel_tables",
    "system_tables",
]

_ABREAST = 16
"""How many numbers of two decimals fit on a page beside each other and a title."""


def order_table(agreement: Agreement) -> PaperTable | None:
    """How well the judge orders the systems, and pairs of one item; None of one system."""
    if agreement.systems == 1 or agreement.categories:
        return None
    measures = agreement.measures
    systems, pairs = "Systems", "Pairs within an item"
    columns: Columns = [
        (Column("ρ", systems), [number(m.spearman["systems"]) for m in measures]),
        (
            Column(f"{percent(agreement.confidence)} CI", systems, "range"),
            [interval_entry(m.bonett_wright, m.spearman["systems"]) for m in measures],
        ),
        (Column("p", systems), [number(m.permutation_p, 4) for m in measures]),
        (Column("SPA", systems), [number(m.soft_pairwise, 3) for m in measures]),
        (Column("const.", systems), [constant(m, "soft_pairwise") for m in measures]),
        (Column("pairs", systems), [_pairs(m.soft_pairwise) for m in measures]),
        (Column("accuracy", pairs), [number(m.pairwise.accuracy, 3) for m in measures]),
        (Column("const.", pairs), [constant(m, "pairwise") for m in measures]),
        (Column("threshold", pairs), [_pairwise(m, m.pairwise.threshold) for m in measures]),
        (Column("at 0", pairs), [_pairwise(m, m.pairwise.at_zero) for m in measures]),
        (Column("pairs", pairs), [_pairs(m.pairwise.accuracy) for m in measures]),
        (Column("tied", pairs, unit="%"), [_tied(m) for m in measures]),
    ]
    exact = all(m.permutation_exact for m in measures if m.permutation_p.value is not None)
    how = "over all orders of the systems" if exact else "over all orders, or a sample of them"
    return measure_table(
        "order",
        f"Order of the systems, and of pairs of {unit(agreement)}s. The interval of Spearman's ρ "
        f"is that of Bonett and Wright; p: two-sided permutation test {how}; SPA: soft pairwise "
        "accuracy. "
        "Pairs within an item: accuracy with ties, where judge scores that differ by at most a "
        "threshold (in points) tie; it is chosen on the other systems, and its mean is shown; at "
        "0, with equal scores as the only ties. Tied: pairs that people tie. "
        "Const.: what one and the same score for everything gets.",
        agreement,
        columns,
    )


def icc_table(agreement: Agreement) -> PaperTable | None:
    """Intraclass correlations over dialogues and over the means of the systems."""
    columns: Columns = []
    for level in ("all", "systems") if agreement.systems > 1 else ("all",):
        for name in ("ICC(A,1)", "ICC(C,1)", "ICC(A,k)"):
            found = [m.icc.get(level, {}).get(name) for m in agreement.measures]
            if any(found):
                numbers = [Number(None) if icc is None else number(icc) for icc in found]
                columns.append((Column(name, LEVEL_TITLES[level]), numbers))
                if level == "systems":
                    ranges = [
                        interval_entry(icc.interval, icc) if icc else Number(None) for icc in found
                    ]
                    title = f"{percent(agreement.confidence)} CI"
                    columns.append((Column(title, LEVEL_TITLES[level], "range"), ranges))
    if not columns:
        return None
    return measure_table(
        "icc",
        "Intraclass correlations of the judge with the mean rating: A, of absolute agreement; C, "
        "of consistency, where a constant distance costs nothing; 1, of one side, k, of the mean "
        "of both."
        + (
            f" Intervals of McGraw and Wong, for independent systems; {unit(agreement)}s are not "
            "independent, so there are none for them."
            if agreement.systems > 1
            else ""
        ),
        agreement,
        columns,
    )


def constant(measure: MeasureAgreement, statistic: str, decimals: int = 3) -> Number:
    """What one and the same score for everything gets."""
    found = measure.constant.get(statistic)
    return Number(None if found is None else found.value, decimals, "undefined for a constant too")


def _pairs(accuracy: Estimate) -> Number:
    return Number(accuracy.n or None, 0, accuracy.reason or "no pairs")


def _pairwise(measure: MeasureAgreement, value: float | None) -> Number:
    return Number(value, 3, measure.pairwise.accuracy.reason or "undefined")


def _tied(measure: MeasureAgreement) -> Number:
    accuracy = measure.pairwise.accuracy
    share = None if accuracy.n == 0 else 100 * measure.pairwise.tied / accuracy.n
    return Number(share, 0, accuracy.reason or "no pairs")


def sentinel_tables(agreement: Agreement) -> list[PaperTable]:
    """Scores that cannot have read the dialogue beside the judge, at all four levels."""
    names = list(dict.fromkeys(s.name for m in agreement.measures for s in defined_sentinels(m)))
    levels = shown_levels(agreement)
    if not names:
        return []
    levels_abreast = max(1, _ABREAST // (len(names) + 1))
    starts = range(0, len(levels), levels_abreast)
    tables = []
    for part, start in enumerate(starts, start=1):
        columns: Columns = []
        for level in levels[start : start + levels_abreast]:
            group = LEVEL_TITLES[level]
            judge = [number(m.spearman[level]) for m in agreement.measures]
            columns.append((Column("judge", group, upright=True), judge))
            for name in names:
                entries = [_sentinel(m, name, level) for m in agreement.measures]
                columns.append((Column(name, group, upright=True), entries))
        tables.append(
            measure_table(
                "sentinels" if len(starts) == 1 else f"sentinels-{part}",
                "Sentinels: Spearman's ρ with people of scores that cannot have read the "
                f"{unit(agreement)}, beside the judge. Where they do as well, that level does "
                "not show what the judge can do.",
                agreement,
                columns,
            )
        )
    return tables


def _sentinel(measure: MeasureAgreement, name: str, level: Level) -> Number:
    for sentinel in measure.sentinels:
        if sentinel.name == name and level in sentinel.levels:
            return number(sentinel.levels[level])
    return Number(None, reason="not computed")


def mean_tables(agreement: Agreement) -> list[PaperTable]:
    """The mean of each system by people and by the judge, with standard errors."""
    reason = f"no standard error: too few {clusters(agreement)}"
    tables = []
    for part, (title, measures) in enumerate(chunks(agreement, 4), start=1):
        points = [{point.system: point for point in measure.systems} for measure in measures]
        rows = []
        for system in _systems(measures):
            ns = [of_measure[system].n for of_measure in points if system in of_measure]
            low, high = min(ns), max(ns)
            n = Number(low, 0) if low == high else count_range(low, high)
            cells: list[Entry] = [system, n]
            for of_measure in points:
                point = of_measure.get(system)
                cells += (
                    [""] * 4
                    if point is None
                    else [
                        Number(point.human),
                        Number(point.human_error, reason=reason),
                        Number(point.judge),
                        Number(point.judge_error, reason=reason),
                    ]
                )
            rows.append(Row(tuple(cells)))
        tables.append(
            PaperTable(
                f"means-{part}",
                f"Mean scores of the systems by people and by the judge: {title}. Standard "
                f"errors are clustered by {agreement.item}; n: {unit(agreement)}s with both "
                "scores.",
                (
                    Column("System", kind="text"),
                    Column("n"),
                    *_heads(measures, ("people", "SE", "judge", "SE")),
                ),
                tuple(rows),
                banners(agreement),
            )
        )
    return tables


def _heads(measures: Sequence[MeasureAgreement], titles: Sequence[str]) -> list[Column]:
    """The same columns for each measure, under its title."""
    return [Column(title, english_title(m.name, m.title)) for m in measures for title in titles]


def _systems(measures: Sequence[MeasureAgreement]) -> list[str]:
    """Systems in the order of the last measure: that of the dimension, if there is one."""
    points = (point for measure in reversed(measures) for point in measure.systems)
    return list(dict.fromkeys(point.system for point in points))


def curve_tables(agreement: Agreement) -> list[PaperTable]:
    """The reliability curve: dialogues in bins of similar judge scores."""
    tables = []
    for part, (title, measures) in enumerate(chunks(agreement, 4), start=1):
        rows = []
        for position in range(max(len(measure.curve) for measure in measures)):
            cells: list[Entry] = [str(position + 1)]
            for measure in measures:
                if position >= len(measure.curve):
                    cells += [""] * 4
                    continue
                bin_ = measure.curve[position]
                error = Number(bin_.error, 3, f"a single {unit(agreement)} has no standard error")
                cells += [Number(bin_.judge), Number(bin_.human), error, Number(bin_.n, 0)]
            rows.append(Row(tuple(cells)))
        if rows:
            tables.append(
                PaperTable(
                    f"curve-{part}",
                    f"Reliability curve: {title}. {unit(agreement).capitalize()}s in bins of like "
                    "judge scores, with the mean of either side and people's standard error.",
                    (Column("Bin", kind="text"), *_heads(measures, ("judge", "people", "SE", "n"))),
                    tuple(rows),
                    banners(agreement),
                )
            )
    return tables


def system_tables(agreement: Agreement) -> list[PaperTable]:
    """Spearman within each system, and without each system at three levels, by measure."""
    if agreement.systems == 1:
        return []
    tables = _by_system(
        agreement,
        "within",
        "Spearman's ρ within each system.",
        "System",
        lambda m: {point.system: point.within for point in m.systems},
    )
    for level in ("all", "within_item", "systems"):
        tables += _by_system(
            agreement,
            f"without-{level.replace('_', '-')}",
            f"Spearman's ρ with one system left out: {LEVEL_TITLES[level].lower()}.",
            "Left out",
            lambda m, level=level: {  # type: ignore[misc]
                "none": m.spearman[level],
                **{row.system: getattr(row, level) for row in m.without},
            },
        )
    return tables


def _by_system(
    agreement: Agreement,
    name: str,
    caption: str,
    head: str,
    of: Callable[[MeasureAgreement], Mapping[str, Estimate]],
) -> list[PaperTable]:
    """Systems down, measures across, in as many tables as the measures need."""
    measures = agreement.measures
    tables = []
    for part, start in enumerate(range(0, len(measures), _ABREAST), start=1):
        abreast = measures[start : start + _ABREAST]
        estimates = [of(measure) for measure in abreast]
        heads = [Column(english_title(m.name, m.title), upright=True) for m in abreast]
        rows = tuple(
            Row((system, *(number(e[system]) if system in e else "" for e in estimates)))
            for system in dict.fromkeys(system for e in reversed(estimates) for system in e)
        )
        if rows:
            tables.append(
                PaperTable(
                    f"{name}-{part}" if len(measures) > _ABREAST else name,
                    caption,
                    (Column(head, kind="text"), *heads),
                    rows,
                    banners(agreement),
                )
            )
    return tables


def confusion_tables(agreement: Agreement) -> list[PaperTable]:
    """Counts of human labels against rounded judge scores; metrics of one scale share a table."""
    groups: list[list[MeasureAgreement]] = []
    for measure in (m for m in agreement.measures if m.confusion):
        last = groups[-1] if groups else []
        if (
            last
            and last[0].scale == measure.scale
            and (len(last) + 1) * len(measure.confusion) <= _ABREAST
        ):
            last.append(measure)
        else:
            groups.append([measure])
    tables = []
    for part, measures in enumerate(groups, start=1):
        low = int(measures[0].scale[0])
        labels = [str(low + label) for label in range(len(measures[0].confusion))]
        rows = tuple(
            Row((label, *(Number(n, 0) for m in measures for n in m.confusion[row])))
            for row, label in enumerate(labels)
        )
        tables.append(
            PaperTable(
                f"confusion-{part}",
                "Single human ratings (rows) against the judge's scores rounded to labels "
                "(columns): counts.",
                (Column("People", kind="text"), *_heads(measures, labels)),
                rows,
                banners(agreement),
            )
        )
    return tables
