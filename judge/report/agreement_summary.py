"""What an agreement comes to, in plain sentences; every number in them is in the record."""

from __future__ import annotations

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
from judge.report.format import count, fixed, level

__all__ = ["LEVEL_TITLES", "Beaten", "Summary", "beaten", "headline", "people", "sentences"]

LEVEL_TITLES: dict[Level, str] = {
    "all": "All dialogues",
    "within_item": "Within item",
    "within_system": "Within system",
    "systems": "Systems",
}

_AT: dict[Level, str] = {
    "all": "over all dialogues",
    "within_item": "within an item",
    "within_system": "within a system",
    "systems": "over systems",
}


class Beaten(NamedTuple):
    """A sentinel that does at least as well as the judge at a level."""

    sentinel: str
    level: Level
    value: float
    judge: float


class Summary(NamedTuple):
    """The first paragraph, and what else is to be known."""

    lead: str
    rest: tuple[str, ...]


def people(agreement: Agreement) -> str:
    """Whom the judge is compared with."""
    return "simulated ratings" if agreement.simulated else "people"


def headline(agreement: Agreement) -> MeasureAgreement | None:
    """The measure that stands for the judge: the overall score, or the only one."""
    overall = [measure for measure in agreement.measures if measure.kind == "overall"]
    if overall:
        return overall[0]
    return agreement.measures[0] if len(agreement.measures) == 1 else None


def beaten(measure: MeasureAgreement) -> list[Beaten]:
    """Where a sentinel does at least as well as the judge."""
    found = []
    for at, judge in measure.spearman.items():
        for sentinel in measure.sentinels:
            other = sentinel.levels.get(at)
            if other is None or other.value is None or judge.value is None:
                continue
            if other.value >= judge.value:
                found.append(Beaten(sentinel.name, at, other.value, judge.value))
    return found


def sentences(agreement: Agreement) -> Summary:
    """The agreement in words, of the headline measure where there is one."""
    measure = headline(agreement)
    rest = list(_over_metrics(agreement))
    if measure is None:
        return _unbroken(_no_headline(agreement), rest)
    rest = [
        _systems(measure, agreement),
        _sentinels(measure),
        _errors(measure, agreement),
        *rest,
    ]
    return _unbroken(_lead(measure, agreement), rest)


def _unbroken(lead: str, rest: list[str]) -> Summary:
    """No line ends within `ρ = 0.35`."""
    first, *others = (said.replace(" = ", "\u00a0=\u00a0") for said in (lead, *rest))
    return Summary(first, tuple(others))


def _no_headline(agreement: Agreement) -> str:
    if not agreement.measures:
        return "There is nothing to compare: no dialogue has both a judge's score and a rating."
    return (
        f"{len(agreement.measures)} measures of {count(agreement.systems)} systems are compared; "
        "there is no overall score that would stand for them all."
    )


def _lead(measure: MeasureAgreement, agreement: Agreement) -> str:
    what = "overall score" if measure.kind == "overall" else f"score for {_name(measure)}"
    rating = "mean simulated rating" if agreement.simulated else "mean human rating"
    whole, within = measure.spearman["all"], measure.spearman["within_item"]
    said = (
        f"Over {count(measure.n)} {_plural('dialogue', measure.n)} of "
        f"{count(agreement.systems)} {_plural('system', agreement.systems)}, the judge’s {what} "
        f"and the {rating} correlate at {_rho(whole, agreement)}. "
    )
    if within.value is None:
        return said + f"Within the same {agreement.item} it is undefined: {within.reason}."
    return said + (
        f"Between answers to the same {agreement.item}, where no difference between items can "
        f"help, it is {_rho(within, agreement, name=False)}."
    )


def _systems(measure: MeasureAgreement, agreement: Agreement) -> str:
    found, wide = measure.spearman["systems"], measure.bonett_wright
    if found.value is None:
        return f"The order of the systems cannot be compared: {found.reason}."
    said = f"Over the {found.n} systems, ρ = {fixed(found.value)}"
    if wide.width is not None:
        said += (
            f"; the {level(agreement.confidence)} interval of Bonett and Wright, {_ends(wide)}, "
            f"is {fixed(wide.width)} wide"
        )
    p = measure.permutation_p.value
    return said if p is None else f"{said}, and the permutation test gives p {_p(p)}."


def _sentinels(measure: MeasureAgreement) -> str:
    if not measure.sentinels:
        return "No sentinel could be made to compare the judge with."
    found = beaten(measure)
    if not found:
        names = ", ".join(sentinel.name for sentinel in measure.sentinels)
        return f"No score that has not read the dialogue ({names}) does as well as the judge."
    said = "; ".join(
        f"{b.sentinel} {_AT[b.level]} ({fixed(b.value)} against {fixed(b.judge)})" for b in found
    )
    return f"At least as good as the judge without reading the dialogue: {said}."


def _errors(measure: MeasureAgreement, agreement: Agreement) -> str:
    mae, bias = measure.mae.value, measure.bias.value
    if mae is None or bias is None:
        return f"Errors in points cannot be given: {measure.mae.reason or measure.bias.reason}."
    side = "above" if bias > 0 else "below"
    return (
        f"The judge’s scores lie {fixed(abs(bias))} points {side} those of {people(agreement)} "
        f"on average, and {fixed(mae)} points off whatever the side."
    )


def _over_metrics(agreement: Agreement) -> Iterator[str]:
    """What is said of all measures together."""
    metrics = [measure for measure in agreement.measures if measure.kind == "metric"]
    for at in ("within_item", "all"):
        by_rho = sorted(
            (rho, _name(measure))
            for measure in metrics
            if (rho := measure.spearman[at].value) is not None
        )
        if len(by_rho) > 1:
            (low, worst), (high, best) = by_rho[0], by_rho[-1]
            of = f"the {len(by_rho)} metrics"
            if len(by_rho) < len(metrics):
                of += f", out of {len(metrics)}, where that is defined,"
            yield (
                f"Of {of} it is weakest on {worst} (ρ = {fixed(low)} {_AT[at]}) "
                f"and strongest on {best} ({fixed(high)})."
            )
            break
    yield _ceiling(metrics)
    tests = [test for measure in agreement.measures for test in measure.annotator_tests]
    if tests:
        yield _annotators(tests, agreement)


def _ceiling(metrics: list[MeasureAgreement]) -> str:
    """By metric: the mean of several seldom has a rater who gave them all."""
    known = sorted(
        (share, _name(measure))
        for measure in metrics
        if (share := measure.ceiling.share) is not None
    )
    if not known:
        why = "; ".join(dict.fromkeys(m.ceiling.rater.reason for m in metrics))
        return f"How near it comes to one rater is not known: {why or 'there is no metric'}."
    (low, worst), (high, best) = known[0], known[-1]
    head = "Of the ceiling, what one rater reaches with the mean of the others, the judge reaches"
    if len(known) == 1:
        return f"{head} {fixed(100 * high, 0)}% on {best}."
    return f"{head} from {fixed(100 * low, 0)}% ({worst}) to {fixed(100 * high, 0)}% ({best})."


def _annotators(tests: list[AltTest], agreement: Agreement) -> str:
    head = (
        f"The alternative annotator test (ε = {agreement.epsilon:g}, for {agreement.annotators} "
        "annotators)"
    )
    run = [test for test in tests if test.passed is not None]
    if not run:
        why = "; ".join(dict.fromkeys(test.reason for test in tests if test.reason))
        return f"{head} could not be run: {why or 'no reason was recorded'}."
    parts = []
    for scores in ("continuous", "rounded"):
        of = [test for test in run if test.scores == scores]
        if of:
            passed = sum(bool(test.passed) for test in of)
            parts.append(f"{passed} of {len(of)} measures with {scores} scores")
    left = len(tests) - len(run)
    also = f"; {left} {_plural('test', left)} could not be run" if left else ""
    return f"{head} is passed on {' and on '.join(parts)}{also}."


def _rho(figure: Estimate, agreement: Agreement, *, name: bool = True) -> str:
    """`ρ = 0.52 (95% interval 0.41 to 0.60)`."""
    if figure.value is None:
        return f"an undefined ρ ({figure.reason})"
    said = f"{'ρ = ' if name else ''}{fixed(figure.value)}"
    interval = figure.interval
    if interval is None or interval.lower is None or interval.upper is None:
        return said
    return f"{said} ({level(agreement.confidence)} interval {_ends(interval)})"


def _ends(interval: Interval) -> str:
    return f"{fixed(interval.lower)} to {fixed(interval.upper)}"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {fixed(value, 3)}"


def _name(measure: MeasureAgreement) -> str:
    return measure.title.split(" (")[0]


def _plural(noun: str, n: int) -> str:
    return noun if n == 1 else f"{noun}s"
