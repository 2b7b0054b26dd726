"""The methods section of an agreement: every choice behind its numbers, in text to be pasted.

The text is in `templates/methods.md.j2`; this module works out what the template asks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter

from judge.analysis.agreement.agreement_records import (
    Agreement,
    Estimate,
    Interval,
    Level,
    MeasureAgreement,
)
from judge.report.agreement_shape import (
    a_unit,
    defined_sentinels,
    drawn,
    jackknife,
    levels_left_out,
    of_table,
    shown_levels,
    unit,
)
from judge.report.agreement_summary import people
from judge.report.format import count, count_range, english_title
from judge.report.paper.references import Formula, Paragraph, render_paragraphs

__all__ = ["methods"]

_CHATANIME = {
    "basic_dialogue": ("fluency", "coherency", "consistency"),
    "role_playing": ("character_knowledge", "speech_style", "behavioral_habit"),
    "emotional_support": ("emotional_value", "experience_sharing", "demand_matching"),
}

_NAMED = ("model", "engine", "rubric", "rubric hash", "prompts hash", "ratings", "ratings SHA-256")
"""Which parts of the provenance stand in the text; a table has all of it."""

_STATISTICS: dict[str, Callable[[MeasureAgreement], Estimate]] = {
    "ρ over all": lambda m: m.spearman["all"],
    "ρ within item": lambda m: m.spearman["within_item"],
    "ρ of systems": lambda m: m.spearman["systems"],
    "MAE and bias": lambda m: m.mae,
    "κ": lambda m: m.kappa,
    "ceiling of ρ": lambda m: m.ceiling.spearman,
    "soft pairwise accuracy": lambda m: m.soft_pairwise,
    "pairwise accuracy": lambda m: m.pairwise.accuracy,
    "α among people": lambda m: m.alpha_human,
}
"""The estimates of the main table: the text says which of them are undefined, and why."""

_OF_SYSTEMS = {"ρ within item", "ρ of systems", "soft pairwise accuracy", "pairwise accuracy"}
"""Those of them that need several systems."""

_GROUPS: dict[Level, str] = {"within_item": "Items", "within_system": "Systems"}
"""What the groups are called within which a level computes correlations."""


def methods(agreement: Agreement) -> tuple[Paragraph, ...]:
    """What was compared and how, and what could not be computed."""
    measures = agreement.measures
    permutations = [m.permutation_exact for m in measures if m.permutation_p.value is not None]
    tests = [test for measure in measures for test in measure.annotator_tests]
    undefined = (
        _why_undefined(measures, what, of)
        for what, of in _STATISTICS.items()
        if not agreement.categories and not (agreement.systems == 1 and what in _OF_SYSTEMS)
    )
    return render_paragraphs(
        "methods.md.j2",
        a=agreement,
        r=Formula("r", "r"),
        people=people(agreement),
        has=lambda path: any(attrgetter(path)(m).value is not None for m in measures),
        chatanime=dict(agreement.groups) == _CHATANIME,
        score=agreement.provenance.get("score", ""),
        composites=any(m.kind != "metric" for m in measures),
        provenance=_provenance(agreement),
        of_table=of_table(agreement),
        drawn=drawn(agreement),
        unit=unit(agreement),
        a_unit=a_unit(agreement),
        jackknife=jackknife(agreement),
        levels=shown_levels(agreement),
        left_out=levels_left_out(agreement),
        lost=max((i.undefined for i in _intervals(agreement)), default=0),
        declared=all(m.scale_declared for m in measures),
        icc=any(e.value is not None for m in measures for c in m.icc.values() for e in c.values()),
        exact=any(permutations),
        sampled=not all(permutations),
        annotators_tested=any(test.winning_rate is not None for test in tests),
        sentinels=list(dict.fromkeys(s.name for m in measures for s in defined_sentinels(m))),
        standard_errors=any(p.human_error is not None for m in measures for p in m.systems),
        compared=count_range(
            min((m.n for m in measures), default=0), max((m.n for m in measures), default=0), " to "
        ),
        excluded=[
            f"up to {count(most)} were {what}"
            for what, most in (
                ("judged but not rated", max((m.not_rated for m in measures), default=0)),
                ("rated but not judged", max((m.not_judged for m in measures), default=0)),
            )
            if most
        ],
        undefined_groups=[
            (groups, max((m.spearman[level].undefined for m in measures), default=0))
            for level, groups in _GROUPS.items()
            if level in shown_levels(agreement)
        ],
        undefined=[text for text in undefined if text],
    )


def _provenance(agreement: Agreement) -> str:
    """The provenance in the text, every hash cut to its first 12 digits."""
    named = (
        f"{name} {agreement.provenance[name]}" for name in _NAMED if name in agreement.provenance
    )
    return re.sub(r"\b([0-9a-f]{12})[0-9a-f]{28,}\b", r"\1", "; ".join(named))


def _intervals(agreement: Agreement) -> Iterator[Interval]:
    """Every bootstrap interval."""
    for measure in agreement.measures:
        estimates = [e for levels in measure.levels.values() for e in levels.values()]
        for estimate in [*estimates, measure.mae, measure.bias]:
            if estimate.interval is not None:
                yield estimate.interval


def _why_undefined(
    measures: Sequence[MeasureAgreement], what: str, of: Callable[[MeasureAgreement], Estimate]
) -> str:
    """For which measures an estimate is undefined, by reason; empty if for none."""
    by_reason: dict[str, list[str]] = {}
    for measure in measures:
        if of(measure).value is None:
            reason = of(measure).reason or "undefined"
            by_reason.setdefault(reason, []).append(english_title(measure.name, measure.title))
    parts = (
        f"for {'all measures' if len(names) == len(measures) else ', '.join(names)} ({reason})"
        for reason, names in by_reason.items()
    )
    return f"{what} {' and '.join(parts)}" if by_reason else ""
