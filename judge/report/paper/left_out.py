"""What was left out of a comparison and what could not be computed, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from judge.analysis.agreement.record import Agreement, Figure, Level, MeasureAgreement
from judge.report.format import count
from judge.report.paper.table import english

__all__ = ["left_out"]


def left_out(agreement: Agreement) -> Iterator[str]:
    """Counts of dialogues and groups, and every figure of the main table that is a dash."""
    measures = agreement.measures
    low, high = min((m.n for m in measures), default=0), max((m.n for m in measures), default=0)
    both = count(high) if low == high else f"{count(low)} to {count(high)}"
    yield f"Of each measure {both} dialogues have both scores"
    lost = [
        f"up to {count(most)} were {what}"
        for what, most in (
            ("judged but not rated", max((m.not_rated for m in measures), default=0)),
            ("rated but not judged", max((m.not_judged for m in measures), default=0)),
        )
        if most
    ]
    yield f"; {' and '.join(lost)}, and are left out. " if lost else ", and none has just one. "
    yield "Nothing is filled in. "
    groups: dict[Level, str] = {"within_item": "Items", "within_system": "Systems"}
    for level, what in groups.items():
        if most := max((m.spearman[level].undefined for m in measures), default=0):
            yield (
                f"{what} within which a side is constant, or has fewer than two scores, have no "
                f"correlation and are left out of the mean: at most {count(most)}. "
            )
    missing = [text for what, of in _STATISTICS.items() if (text := _missing(measures, what, of))]
    yield "A dash is a figure that is undefined, and never a 0"
    yield f": {'; '.join(missing)}." if missing else "; there is none in the main table."


_STATISTICS: dict[str, Callable[[MeasureAgreement], Figure]] = {
    "ρ over all dialogues": lambda m: m.spearman["all"],
    "ρ within item": lambda m: m.spearman["within_item"],
    "ρ of systems": lambda m: m.spearman["systems"],
    "MAE and bias": lambda m: m.mae,
    "κ": lambda m: m.kappa,
    "ceiling of ρ": lambda m: m.ceiling.rater,
    "soft pairwise accuracy": lambda m: m.soft_pairwise,
    "pairwise accuracy": lambda m: m.pairwise.accuracy,
    "α among people": lambda m: m.alpha_human,
}


def _missing(
    measures: Sequence[MeasureAgreement], what: str, of: Callable[[MeasureAgreement], Figure]
) -> str:
    """For which measures a statistic is undefined, by reason."""
    by_reason: dict[str, list[str]] = {}
    for measure in measures:
        if of(measure).value is None:
            reason = of(measure).reason or "undefined"
            by_reason.setdefault(reason, []).append(english(measure.name, measure.title))
    parts = (
        f"for {'all measures' if len(names) == len(measures) else ', '.join(names)} ({reason})"
        for reason, names in by_reason.items()
    )
    return f"{what} {' and '.join(parts)}" if by_reason else ""
