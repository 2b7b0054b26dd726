"""An agreement in plain sentences; every number in them is in its record."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from judge.analysis.agreement.agreement_records import (
    Agreement,
    AltTest,
    Estimate,
    Interval,
    Level,
    MeasureAgreement,
)
from judge.analysis.agreement.data import SIMULATED
from judge.analysis.agreement.two_judges import Comparisons
from judge.report.agreement_shape import defined_sentinels, shown_levels, unit
from judge.report.format import count, count_range, fixed, level, many, p_value, plural, short_title

__all__ = [
    "STRONG_LLM",
    "AgreementSummary",
    "Beaten",
    "annotators_left_out",
    "annotators_tested",
    "beaten",
    "headline",
    "mean_rho",
    "people",
    "rho_and_interval",
    "sentences",
    "warnings_of",
    "whose_ratings",
]

STRONG_LLM = "REFERENCE JUDGMENTS of a strong LLM: not people."

_AT_LEVEL: dict[Level, str] = {
    "all": "over all",
    "within_item": "within an item",
    "within_system": "within a system",
    "systems": "over systems",
}


_LISTED = 8
"""So many annotators who dropped out are named."""


class Beaten(NamedTuple):
    """A sentinel whose Spearman correlation at a level is at least that of the judge."""

    sentinel: str
    level: Level
    value: float
    judge: float


class AgreementSummary(NamedTuple):
    """The first paragraph of the summary, and the sentences below it."""

    lead: str
    rest: tuple[str, ...]


def people(agreement: Agreement | Comparisons) -> str:
    """What the judge is compared with: `people`, `simulated ratings` or `the reference`."""
    if agreement.reference:
        return "the reference"
    return "simulated ratings" if agreement.simulated else "people"


def whose_ratings(record: Agreement | Comparisons) -> str:
    """The same in one word, for tables: `people`, `simulated` or `reference`."""
    if record.reference:
        return "reference"
    return "simulated" if record.simulated else "people"


def warnings_of(record: Agreement | Comparisons) -> tuple[str, ...]:
    """What every page, table and figure must say first of whose ratings these are."""
    said = ((record.simulated, SIMULATED), (record.reference, STRONG_LLM))
    return tuple(words for holds, words in said if holds)


def headline(agreement: Agreement) -> MeasureAgreement | None:
    """The measure that stands for the judge: the overall score, or the only measure.

    Where there is none, `mean_rho` stands for all.
    """
    overall = [measure for measure in agreement.measures if measure.kind == "overall"]
    if overall:
        return overall[0]
    return agreement.measures[0] if len(agreement.measures) == 1 else None


def mean_rho(agreement: Agreement, at: Level) -> float | None:
    """The mean of Spearman's rho over the metrics, None if it is undefined for one of them."""
    rhos = [m.spearman[at].value for m in agreement.measures if m.kind == "metric"]
    known = [rho for rho in rhos if rho is not None]
    return math.fsum(known) / len(known) if known and len(known) == len(rhos) else None


def beaten(measure: MeasureAgreement) -> list[Beaten]:
    """The levels at which a sentinel does at least as well as the judge."""
    return [
        Beaten(sentinel.name, at, other.value, judge.value)
        for at, judge in measure.spearman.items()
        for sentinel in measure.sentinels
        if (other := sentinel.levels.get(at)) is not None
        and other.value is not None
        and judge.value is not None
        and other.value >= judge.value
    ]


def sentences(agreement: Agreement) -> AgreementSummary:
    """The agreement in words: of the headline measure, if there is one, and of all metrics."""
    measure = headline(agreement)
    lines = [_no_headline(agreement)] if measure is None else _headline(measure, agreement)
    lines += _over_metrics(agreement)
    # No line may end within `ρ = 0.35`.
    lead, *rest = (line.replace(" = ", "\u00a0=\u00a0") for line in lines)
    return AgreementSummary(lead, tuple(rest))


def _no_headline(agreement: Agreement) -> str:
    if not agreement.measures:
        return (
            f"There is nothing to compare: no {unit(agreement)} has a judge's score and a rating."
        )
    n = len(agreement.measures)
    if agreement.categories:
        return f"{n} measures are compared, whose labels are categories."
    found = [(at, mean_rho(agreement, at)) for at in shown_levels(agreement)]
    means = [f"{fixed(rho)} {_AT_LEVEL[at]}" for at, rho in found if rho is not None]
    if not means:
        return f"{n} measures are compared; none has an overall score."
    return (
        f"On average over {many(sum(m.kind == 'metric' for m in agreement.measures), 'metric')}, "
        f"the judge’s score and the {_rating(agreement)} correlate at ρ = {', '.join(means)}."
    )


def _headline(measure: MeasureAgreement, agreement: Agreement) -> list[str]:
    if measure.equal is not None:
        return [_labels(measure, agreement)]
    return [
        _correlation(measure, agreement),
        *([_systems(measure, agreement)] if agreement.systems > 1 else []),
        _sentinels(measure, agreement),
        _errors(measure, agreement),
    ]


def _labels(measure: MeasureAgreement, agreement: Agreement) -> str:
    """Of labels without an order."""
    same, constant = measure.equal, measure.constant.get("equal")
    if same is None or same.value is None or constant is None or constant.value is None:
        return "No label of the judge can be compared with one of people."
    return (
        f"The judge’s label for {short_title(measure.title)} is that of {people(agreement)} in "
        f"{fixed(100 * same.value, 0)}% of {many(same.n, 'rating')} of "
        f"{many(measure.n, unit(agreement))}; the most frequent label, given to everything, would "
        f"be in {fixed(100 * constant.value, 0)}%. Cohen’s κ = {fixed(measure.kappa.value)}."
    )


def _rating(agreement: Agreement) -> str:
    if agreement.simulated:
        return "mean simulated rating"
    return "reference score" if agreement.reference else "mean human rating"


def _correlation(measure: MeasureAgreement, agreement: Agreement) -> str:
    name = short_title(measure.title)
    score = "overall score" if measure.kind == "overall" else f"score for {name}"
    over_all, within = measure.spearman["all"], measure.spearman["within_item"]
    said = (
        f"Over {many(measure.n, unit(agreement))} of {many(agreement.systems, 'system')}, the "
        f"judge’s {score} and the {_rating(agreement)} correlate at {_rho(over_all, agreement)}. "
    )
    if agreement.systems == 1:
        return said.rstrip()
    if within.value is None:
        return said + f"Within the same {agreement.item} it is undefined: {within.reason}."
    return said + (
        f"Between answers to the same {agreement.item}, where no difference between items can "
        f"help, it is {_rho(within, agreement, name=False)}."
    )


def _systems(measure: MeasureAgreement, agreement: Agreement) -> str:
    rho, interval = measure.spearman["systems"], measure.bonett_wright
    if rho.value is None:
        return f"The order of the systems cannot be compared: {rho.reason}."
    said = f"Over the {rho.n} systems, ρ = {fixed(rho.value)}"
    if interval.width is not None:
        said += (
            f"; the {level(agreement.confidence)} interval of Bonett and Wright, "
            f"{_ends(interval)}, is {fixed(interval.width)} wide (for the order of means over so "
            f"many {unit(agreement)}s)"
        )
    elif agreement.systems_fixed and rho.interval is not None and rho.interval.width is not None:
        said += f", {level(agreement.confidence)} interval of these systems {_ends(rho.interval)}"
    p = measure.permutation_p.value
    return said if p is None else f"{said}, and the permutation test gives p {p_value(p)}."


def _sentinels(measure: MeasureAgreement, agreement: Agreement) -> str:
    sentinels, what = defined_sentinels(measure), unit(agreement)
    if not sentinels:
        return "No sentinel could be made to compare the judge with."
    losses = beaten(measure)
    if not losses:
        names = ", ".join(sentinel.name for sentinel in sentinels)
        return f"No score that has not read the {what} ({names}) does as well as the judge."
    said = "; ".join(
        f"{b.sentinel} {_AT_LEVEL[b.level]} ({fixed(b.value)} against {fixed(b.judge)})"
        for b in losses
    )
    return f"At least as good as the judge without reading the {what}: {said}."


def _errors(measure: MeasureAgreement, agreement: Agreement) -> str:
    mae, bias = measure.mae.value, measure.bias.value
    if mae is None or bias is None:
        return f"Errors in points cannot be given: {measure.mae.reason or measure.bias.reason}."
    side = "above" if bias > 0 else "below"
    return (
        f"The judge’s scores lie {fixed(abs(bias))} points {side} those of {people(agreement)} "
        f"on average, and {fixed(mae)} points off whatever the side{_of_constant(measure)}."
    )


def _of_constant(measure: MeasureAgreement) -> str:
    if "mae" not in measure.constant:
        return ""
    return (
        f"; one and the same score for everything would be {fixed(measure.constant['mae'].value)} "
        "points off"
    )


def _over_metrics(agreement: Agreement) -> Iterator[str]:
    metrics = [measure for measure in agreement.measures if measure.kind == "metric"]
    for at in ("within_item", "all"):
        by_rho = sorted(
            (rho, short_title(measure.title))
            for measure in metrics
            if (rho := measure.spearman[at].value) is not None
        )
        if len(by_rho) > 1:
            (low, worst), (high, best) = by_rho[0], by_rho[-1]
            of = f"the {len(by_rho)} metrics"
            if len(by_rho) < len(metrics):
                of += f", out of {len(metrics)}, where that is defined,"
            yield (
                f"Of {of} it is weakest on {worst} (ρ = {fixed(low)} {_AT_LEVEL[at]}) "
                f"and strongest on {best} ({fixed(high)})."
            )
            break
    if not agreement.categories:
        yield _ceiling(metrics)
    tests = [test for measure in agreement.measures for test in measure.annotator_tests]
    if tests:
        yield _annotators(tests, agreement)


def _ceiling(metrics: list[MeasureAgreement]) -> str:
    """Of metrics only: few raters rate all parts of a dimension."""
    shares = sorted(
        (share, short_title(measure.title))
        for measure in metrics
        if (share := measure.ceiling.share) is not None
    )
    if not shares:
        whys = (m.ceiling.share_reason for m in metrics)
        why = "; ".join(dict.fromkeys(whys)) or "there is no metric"
        return f"How near it comes to a perfect judge is not known: {why}."
    (low, worst), (high, best) = shares[0], shares[-1]
    head = "Of what a judge that knows the truth would reach with the same raters, it reaches"
    if len(shares) == 1:
        return f"{head} {fixed(100 * high, 0)}% on {best}."
    return f"{head} from {fixed(100 * low, 0)}% ({worst}) to {fixed(100 * high, 0)}% ({best})."


def annotators_tested(agreement: Agreement) -> str:
    """The settings of the alternative annotator test; "" if there is none."""
    if not any(measure.annotator_tests for measure in agreement.measures):
        return ""
    others = agreement.annotators_min_others
    how = "accuracy" if agreement.categories else "squared error"
    said = (
        f"epsilon {agreement.epsilon:g} ({agreement.annotators} annotators), by {how}, on "
        f"what {'another' if others == 1 else f'{others} others'} rated too"
    )
    tests = [
        test
        for measure in agreement.measures
        for test in measure.annotator_tests
        if test.passed is not None
    ]
    if not tests:
        return said
    cells, people = [test.cells for test in tests], [test.annotators for test in tests]
    each = [number for test in tests for number in test.items]
    return (
        f"{said}: {count_range(min(cells), max(cells))} {unit(agreement)}s, "
        f"{count_range(min(people), max(people))} annotators with "
        f"{count_range(min(each), max(each))} each"
    )


def annotators_left_out(agreement: Agreement) -> str:
    """Who dropped out of the alternative annotator test, and why; "" if nobody did."""
    most: dict[str, int] = {}
    for measure in agreement.measures:
        for test in measure.annotator_tests:
            for name, n in test.left_out:
                most[name] = max(n, most.get(name, 0))
    if not most or agreement.raters < 3:  # too few to be tested, whatever each has rated
        return ""
    listed = [f"{name} ({count(n)})" for name, n in sorted(most.items())[:_LISTED]]
    more = f" and {count(len(most) - _LISTED)} more" if len(most) > _LISTED else ""
    return f"left out, with fewer than 30 such {unit(agreement)}s: {', '.join(listed)}{more}"


def _annotators(tests: list[AltTest], agreement: Agreement) -> str:
    head = (
        f"The alternative annotator test (ε = {agreement.epsilon:g}, for {agreement.annotators} "
        "annotators)"
    )
    made = [test for test in tests if test.passed is not None]
    if not made:
        why = "; ".join(dict.fromkeys(test.reason for test in tests if test.reason))
        return f"{head} could not be run: {why or 'no reason was recorded'}."
    parts = []
    for scores in ("continuous", "rounded"):
        verdicts = [test.verdict for test in made if test.scores == scores]
        if verdicts:
            passed = verdicts.count("passed")
            of = f"{passed} of {many(len(verdicts), 'measure')}"
            parts.append(of if agreement.categories else f"{of} with {scores} scores")
    left = len(tests) - len(made)
    also = f"; {left} {plural('test', left)} could not be run" if left else ""
    empty = sum(test.verdict == "no claim" for test in made)
    floor = (
        f"; where one and the same score for everything passes too, {many(empty, 'test')} more, "
        "nothing is claimed"
        if empty
        else ""
    )
    return f"{head} is passed on {' and on '.join(parts)}{floor}{also}."


def _rho(estimate: Estimate, agreement: Agreement, *, name: bool = True) -> str:
    """`ρ = 0.52 (95% interval 0.41 to 0.60)`, or without `ρ = `."""
    if estimate.value is None:
        return f"an undefined ρ ({estimate.reason})"
    said = f"{'ρ = ' if name else ''}{fixed(estimate.value)}"
    interval = estimate.interval
    if interval is None or interval.lower is None or interval.upper is None:
        return said
    return f"{said} ({level(agreement.confidence)} interval {_ends(interval)})"


def rho_and_interval(rho: float | None, interval: Interval | None) -> str:
    """`0.52 (0.41 to 0.60)`, or without an interval, or `undefined`."""
    if rho is None:
        return "undefined"
    return (
        fixed(rho)
        if interval is None or interval.lower is None
        else f"{fixed(rho)} ({_ends(interval)})"
    )


def _ends(interval: Interval) -> str:
    return f"{fixed(interval.lower)} to {fixed(interval.upper)}"
