"""Tables about systems, pairs of them, sentinels, labels and bins."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from judge.analysis.agreement.agreement_records import (
    LEVELS,
    Agreement,
    Estimate,
    Level,
    MeasureAgreement,
)
from judge.report.agreement_summary import LEVEL_TITLES
from judge.report.format import level as percent
from judge.report.paper.table import (
    Column,
    Entry,
    Number,
    Row,
    Table,
    chunks,
    english,
    figure,
    marks,
    measure_rows,
    span,
)

__all__ = [
    "confusion_tables",
    "curve_tables",
    "mean_tables",
    "order_table",
    "sentinel_tables",
    "system_tables",
]

_ABREAST = 16
"""Numbers of two decimals that fit beside each other and a title."""


def order_table(agreement: Agreement) -> Table:
    """How well the judge orders systems, and pairs of dialogues of an item."""
    measures = agreement.measures
    share = [
        Number(
            None if m.pairwise.accuracy.n == 0 else 100 * m.pairwise.tied / m.pairwise.accuracy.n,
            0,
            m.pairwise.accuracy.reason or "no pairs",
        )
        for m in measures
    ]
    columns: list[tuple[Column, Sequence[Entry]]] = [
        (Column("ρ", "Systems"), [figure(m.spearman["systems"]) for m in measures]),
        (
            Column(f"{percent(agreement.confidence)} CI", "Systems", "range"),
            [span(m.bonett_wright, m.spearman["systems"]) for m in measures],
        ),
        (Column("p", "Systems"), [figure(m.permutation_p, 4) for m in measures]),
        (Column("SPA", "Systems"), [figure(m.soft_pairwise, 3) for m in measures]),
        (Column("pairs", "Systems"), [Number(m.soft_pairwise.n, 0) for m in measures]),
        (
            Column("accuracy", "Pairs within an item"),
            [figure(m.pairwise.accuracy, 3) for m in measures],
        ),
        (
            Column("threshold", "Pairs within an item"),
            [_pairwise(m, "threshold") for m in measures],
        ),
        (Column("at 0", "Pairs within an item"), [_pairwise(m, "at_zero") for m in measures]),
        (
            Column("pairs", "Pairs within an item"),
            [Number(m.pairwise.accuracy.n, 0) for m in measures],
        ),
        (Column("tied", "Pairs within an item", unit="%"), share),
    ]
    heads, rows = measure_rows(agreement.measures, columns)
    exact = all(m.permutation_exact for m in measures if m.permutation_p.value is not None)
    how = "over all orders of the systems" if exact else "over all orders, or a sample of them"
    return Table(
        "order",
        "Order of the systems, and of pairs of dialogues. The interval of Spearman's ρ is that of "
        "Bonett and Wright; p: two-sided permutation test "
        f"{how}; SPA: soft pairwise accuracy. Pairs within an item: accuracy with "
        "ties, where judge scores that differ by at most a threshold (in points) tie; it is "
        "chosen on the other systems, and its mean is shown; at 0, with equal scores as the only "
        "ties. Tied: pairs that people tie.",
        heads,
        rows,
        marks(agreement),
    )


def _pairwise(measure: MeasureAgreement, what: str) -> Number:
    pairwise = measure.pairwise
    value: float | None = getattr(pairwise, what)
    return Number(value, 3, pairwise.accuracy.reason or "undefined")


def sentinel_tables(agreement: Agreement) -> tuple[Table, ...]:
    """Scores that know nothing of the dialogue, beside the judge, level by level."""
    names = list(dict.fromkeys(s.name for m in agreement.measures for s in m.sentinels))
    if not names:
        return ()
    width = max(1, _ABREAST // (len(names) + 1))
    parts = [LEVELS[start : start + width] for start in range(0, len(LEVELS), width)]
    tables = []
    for at, part in enumerate(parts, start=1):
        columns: list[tuple[Column, Sequence[Entry]]] = []
        for level in part:
            group = LEVEL_TITLES[level]
            judge: list[Entry] = [figure(m.spearman[level]) for m in agreement.measures]
            columns.append((Column("judge", group, upright=True), judge))
            for name in names:
                entries = [_sentinel(m, name, level) for m in agreement.measures]
                columns.append((Column(name, group, upright=True), entries))
        heads, rows = measure_rows(agreement.measures, columns)
        tables.append(
            Table(
                "sentinels" if len(parts) == 1 else f"sentinels-{at}",
                "Sentinels: Spearman's ρ with people of scores that cannot have read the "
                "dialogue, beside the judge. Where they do as well, that level does not show "
                "what the judge can do.",
                heads,
                rows,
                marks(agreement),
            )
        )
    return tuple(tables)


def _sentinel(measure: MeasureAgreement, name: str, level: Level) -> Number:
    for sentinel in measure.sentinels:
        if sentinel.name == name and level in sentinel.levels:
            return figure(sentinel.levels[level])
    return Number(None, reason="not computed")


def mean_tables(agreement: Agreement) -> tuple[Table, ...]:
    """Each system's mean by people and by the judge, with standard errors."""
    tables = []
    reason = "no standard error: too few characters or scenarios"
    for at, (title, part) in enumerate(chunks(agreement, 4), start=1):
        names = _systems(part)
        points = [{point.system: point for point in measure.systems} for measure in part]
        heads = [Column("System", kind="text"), Column("n")]
        for measure in part:
            group = english(measure.name, measure.title)
            heads += [Column(head, group) for head in ("people", "SE", "judge", "SE")]
        rows = []
        for name in names:
            ns = [by[name].n for by in points if name in by]
            cells: list[Entry] = [name, Number(ns[0], 0) if len(set(ns)) == 1 else _between(ns)]
            for by in points:
                point = by.get(name)
                cells += (
                    [""] * 4
                    if point is None
                    else [
                        Number(point.human),
                        Number(point.human_error, 2, reason),
                        Number(point.judge),
                        Number(point.judge_error, 2, reason),
                    ]
                )
            rows.append(Row(tuple(cells)))
        tables.append(
            Table(
                f"means-{at}",
                f"Mean scores of the systems by people and by the judge: {title}. Standard "
                "errors are clustered by character and scenario; n: dialogues with both scores.",
                tuple(heads),
                tuple(rows),
                marks(agreement),
            )
        )
    return tuple(tables)


def _between(numbers: Sequence[int]) -> str:
    return f"{min(numbers):,}–{max(numbers):,}"


def _systems(measures: Sequence[MeasureAgreement]) -> list[str]:
    """Systems in the order of the last measure, which is the composite if there is one."""
    points = (point for measure in reversed(measures) for point in measure.systems)
    return list(dict.fromkeys(point.system for point in points))


def system_tables(agreement: Agreement) -> tuple[Table, ...]:
    """Systems down, measures across: Spearman within each, and without each."""
    tables: list[Table] = []

    def add(name: str, caption: str, of: Callable[[MeasureAgreement], dict[str, Estimate]]) -> None:
        measures = agreement.measures
        for start in range(0, len(measures), _ABREAST):
            part = measures[start : start + _ABREAST]
            found = [of(measure) for measure in part]
            heads = [Column(english(measure.name, measure.title), upright=True) for measure in part]
            rows = tuple(
                Row((system, *(figure(by[system]) if system in by else "" for by in found)))
                for system in dict.fromkeys(s for by in reversed(found) for s in by)
            )
            if rows:
                number = f"-{start // _ABREAST + 1}" if len(measures) > _ABREAST else ""
                first = Column("System" if name == "within" else "Left out", kind="text")
                tables.append(
                    Table(f"{name}{number}", caption, (first, *heads), rows, marks(agreement))
                )

    add(
        "within",
        "Spearman's ρ within each system.",
        lambda m: {point.system: point.within for point in m.systems},
    )
    for level in ("all", "within_item", "systems"):
        add(
            f"without-{level.replace('_', '-')}",
            f"Spearman's ρ with one system left out: {LEVEL_TITLES[level].lower()}.",
            lambda m, level=level: {  # type: ignore[misc]
                "none": m.spearman[level],
                **{row.system: getattr(row, level) for row in m.without},
            },
        )
    return tuple(tables)


def confusion_tables(agreement: Agreement) -> tuple[Table, ...]:
    """Counts of human labels against rounded judge scores, for metrics on one scale together."""
    tables: list[Table] = []
    waiting: list[MeasureAgreement] = []

    def flush() -> None:
        if not waiting:
            return
        low, size = int(waiting[0].scale[0]), len(waiting[0].confusion)
        heads = [Column("People", kind="text")]
        for measure in waiting:
            group = english(measure.name, measure.title)
            heads += [Column(str(low + label), group) for label in range(size)]
        rows = tuple(
            Row(
                (
                    str(low + label),
                    *(Number(count, 0) for m in waiting for count in m.confusion[label]),
                )
            )
            for label in range(size)
        )
        tables.append(
            Table(
                f"confusion-{len(tables) + 1}",
                "Single human ratings (rows) against the judge's scores rounded to labels "
                "(columns): counts.",
                tuple(heads),
                rows,
                marks(agreement),
            )
        )
        waiting.clear()

    for measure in agreement.measures:
        if not measure.confusion:
            continue
        alike = waiting and waiting[0].scale == measure.scale
        if waiting and (not alike or (len(waiting) + 1) * len(measure.confusion) > _ABREAST):
            flush()
        waiting.append(measure)
    flush()
    return tuple(tables)


def curve_tables(agreement: Agreement) -> tuple[Table, ...]:
    """The reliability curve: dialogues in bins of like judge scores."""
    tables = []
    for at, (title, part) in enumerate(chunks(agreement, 4), start=1):
        heads = [Column("Bin", kind="text")]
        for measure in part:
            group = english(measure.name, measure.title)
            heads += [Column(head, group) for head in ("judge", "people", "SE", "n")]
        rows = []
        for place in range(max(len(measure.curve) for measure in part)):
            cells: list[Entry] = [str(place + 1)]
            for measure in part:
                if place >= len(measure.curve):
                    cells += [""] * 4
                    continue
                bin_ = measure.curve[place]
                error = Number(bin_.error, 3, "a single dialogue has no standard error")
                cells += [Number(bin_.judge), Number(bin_.human), error, Number(bin_.n, 0)]
            rows.append(Row(tuple(cells)))
        if rows:
            tables.append(
                Table(
                    f"curve-{at}",
                    f"Reliability curve: {title}. Dialogues in bins of like judge scores, with "
                    "the mean of either side and the standard error of the human one.",
                    tuple(heads),
                    tuple(rows),
                    marks(agreement),
                )
            )
    return tuple(tables)
