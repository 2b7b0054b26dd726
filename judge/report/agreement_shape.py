"""What a report of agreement can speak of: its unit, the levels that say something, how much."""

from __future__ import annotations

from judge.analysis.agreement.agreement_records import (
    LEVELS,
    Agreement,
    Level,
    MeasureAgreement,
    Sentinel,
)
from judge.analysis.agreement.two_judges import COMPARED, ComparedLevel, Comparisons
from judge.report.format import count_range, many

__all__ = [
    "LEVEL_TITLES",
    "a_unit",
    "amount",
    "clusters",
    "compared_levels",
    "defined_sentinels",
    "drawn",
    "jackknife",
    "levels_left_out",
    "of_table",
    "shown_levels",
    "unit",
]

LEVEL_TITLES: dict[Level, str] = {
    "all": "Over all",
    "within_item": "Within item",
    "within_system": "Within system",
    "systems": "Systems",
}


def of_table(agreement: Agreement | Comparisons) -> bool:
    """Whether the scores are of a table, not of dialogues."""
    return not {"character", "scenario"} & set(agreement.item.split(" and "))


def unit(agreement: Agreement | Comparisons) -> str:
    """What has one score of either side: a dialogue; in a table an item, or a system's output."""
    if not of_table(agreement):
        return "dialogue"
    return "item" if agreement.systems == 1 else "output"


def a_unit(agreement: Agreement | Comparisons) -> str:
    """The same with its article."""
    what = unit(agreement)
    return f"a{'n' if what[0] in 'io' else ''} {what}"


def clusters(agreement: Agreement | Comparisons) -> str:
    """What is drawn, and what standard errors are clustered by, besides systems."""
    return " and ".join(f"{part}s" for part in agreement.item.split(" and "))


def drawn(agreement: Agreement | Comparisons) -> str:
    """Of what one at a time is left out."""
    fixed_systems = agreement.systems_fixed or agreement.systems == 1
    parts = [*([] if fixed_systems else ["systems"]), *clusters(agreement).split(" and ")]
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last


def jackknife(agreement: Agreement | Comparisons) -> str:
    """What the way to the intervals is called."""
    return "crossed jackknife" if " and " in drawn(agreement) else "jackknife"


def amount(agreement: Agreement) -> str:
    """How much has both scores: `150 outputs (5 systems, 30 items)`, or `30 items`."""
    ns = [measure.n for measure in agreement.measures]
    low, high, what = min(ns, default=0), max(ns, default=0), unit(agreement)
    said = many(high, what) if low == high else f"{count_range(low, high)} {what}s"
    if what == "item":
        return said
    return f"{said} ({many(agreement.systems, 'system')}, {many(agreement.items, 'item')})"


def shown_levels(agreement: Agreement) -> tuple[Level, ...]:
    """The levels that say something: what is within the only system is what is over all."""
    return tuple(
        at
        for at in LEVELS
        if not (at == "within_system" and agreement.systems == 1)
        and any(
            levels[at].value is not None
            for measure in agreement.measures
            for levels in measure.levels.values()
        )
    )


def compared_levels(comparisons: Comparisons) -> list[ComparedLevel]:
    """The levels at which two judges can be compared on some measure."""
    return [
        at
        for at in COMPARED
        if any(row.level == at and row.difference is not None for row in comparisons.rows)
    ]


def levels_left_out(agreement: Agreement) -> str:
    """Why levels are not shown; "" if all are."""
    if agreement.categories or not agreement.measures:
        return ""
    if agreement.systems == 1:
        return (
            "There is one system: nothing can be said of the order of systems or within an item, "
            "and within the system is over all."
        )
    missing = [at for at in LEVELS if at not in shown_levels(agreement)]
    whys = (agreement.measures[0].spearman[at].reason for at in missing)
    said = (f"{LEVEL_TITLES[at].lower()} ({why})" for at, why in zip(missing, whys, strict=True))
    return f"Left out, for it is undefined: {', '.join(said)}." if missing else ""


def defined_sentinels(measure: MeasureAgreement) -> list[Sentinel]:
    """Those that have a correlation at some level."""
    return [s for s in measure.sentinels if any(rho.value is not None for rho in s.levels.values())]
