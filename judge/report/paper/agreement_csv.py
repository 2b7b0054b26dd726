"""Every number of an agreement as one long table for programs, in full precision."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from judge.analysis.agreement.agreement_records import (
    Agreement,
    Estimate,
    Level,
    MeasureAgreement,
    no_share,
)
from judge.report.agreement_summary import whose_ratings
from judge.report.format import csv_text, english_title

__all__ = ["agreement_csv"]

_HEAD = (
    *("measure", "title", "kind", "statistic", "level", "scorer", "subject"),
    *("value", "lower", "upper", "confidence", "method"),
    *("n", "groups", "undefined", "reason", "ratings", "partial"),
)


@dataclass(frozen=True, slots=True)
class _Row:
    """One number and what it is of; `agreement_csv` describes the fields."""

    statistic: str
    estimate: Estimate
    level: str = ""
    scorer: str = "judge"
    subject: str = ""


def agreement_csv(agreement: Agreement) -> str:
    """One row for each measure, statistic, level, scorer and subject.

    `scorer` is whose scores are compared with people's: the judge's, a sentinel's or a rater's.
    `subject` is what the number is about, if not all dialogues: a system, a system left out
    (`without X`), a bin, a pair of labels. If a value or an end of an interval is undefined, its
    field is empty and `reason` says why. `ratings` is `people`, `simulated` or
    `reference`.
    """
    ratings = whose_ratings(agreement)
    rows: list[tuple[object, ...]] = [_HEAD]
    for measure in agreement.measures:
        of = (measure.name, english_title(measure.name, measure.title), measure.kind)
        rows += (
            (*of, *_cells(row, agreement.confidence), ratings, agreement.partial)
            for row in _rows(measure)
        )
    for pair in agreement.pairs:
        title = english_title(pair.measure, agreement.titles.get(pair.measure, pair.measure))
        row = _Row("spearman", pair.spearman, "all", pair.first, f"with {pair.second}")
        cells = _cells(row, agreement.confidence)
        rows.append((pair.measure, title, "pair", *cells, ratings, agreement.partial))
    return csv_text(rows)


def _cells(row: _Row, confidence: float) -> tuple[object, ...]:
    estimate, interval = row.estimate, row.estimate.interval
    ends: tuple[object, ...] = ("", "", "", "")
    reason = estimate.reason
    if interval is not None:
        ends = (interval.lower, interval.upper, confidence, interval.method)
        reason = "; ".join(dict.fromkeys(filter(None, (reason, interval.reason))))
    return (
        *(row.statistic, row.level, row.scorer, row.subject, estimate.value, *ends),
        *(estimate.n, estimate.groups, estimate.undefined, reason),
    )


def _rows(m: MeasureAgreement) -> Iterator[_Row]:
    for coefficient, levels in m.levels.items():
        yield from (_Row(coefficient, estimate, level) for level, estimate in levels.items())
    rho = replace(m.spearman["systems"], interval=m.bonett_wright)
    yield _Row("spearman", rho, "systems", subject="Bonett-Wright")
    yield _Row("permutation p", m.permutation_p, "systems")
    for name in ("rmse", "mae", "bias", "kappa", "soft_pairwise"):
        yield _Row(name.replace("_", " "), getattr(m, name))
    yield from _without_skill(m)
    accuracy = m.pairwise.accuracy
    why = accuracy.reason or "undefined"
    yield _Row("pairwise accuracy", accuracy)
    yield _Row("pairwise accuracy at 0", _number(m.pairwise.at_zero, accuracy.n, why))
    yield _Row("tie threshold", _number(m.pairwise.threshold, accuracy.n, why))
    yield _Row("pairs tied by people", Estimate(m.pairwise.tied, accuracy.n))
    yield _Row("alpha", m.alpha_human, scorer="people")
    yield _Row("alpha", m.alpha_with_judge, scorer="people and judge")
    for name in ("n", "not_rated", "not_judged", "ratings"):
        number: int = getattr(m, name)
        statistic = "dialogues" if name == "n" else name.replace("_", " ")
        yield _Row(statistic, Estimate(number, number), scorer="")
    yield from _ceiling(m)
    yield from _annotators(m)
    for sentinel in m.sentinels:
        for level, estimate in sentinel.levels.items():
            yield _Row("spearman", estimate, level, sentinel.name)
    for without in m.without:
        left: Mapping[Level, Estimate] = {
            "all": without.all,
            "within_item": without.within_item,
            "systems": without.systems,
        }
        for level, estimate in left.items():
            yield _Row("spearman", estimate, level, subject=f"without {without.system}")
    yield from _systems(m)
    yield from _curve(m)
    yield from _confusion(m)


def _without_skill(m: MeasureAgreement) -> Iterator[_Row]:
    """The share of equal labels, intraclass correlations, and what a constant gets."""
    if m.equal is not None:
        yield _Row("equal", m.equal)
    for level, coefficients in m.icc.items():
        yield from (_Row(name, estimate, level) for name, estimate in coefficients.items())
    for name, constant in m.constant.items():
        title = {"pairwise": "pairwise accuracy"}.get(name, name.replace("_", " "))
        yield _Row(title, constant, scorer="constant")


def _number(value: float | None, n: int, why: str) -> Estimate:
    """A number without an interval; `why` it is undefined, if it is."""
    return Estimate(value, n, reason=why if value is None else "")


def _ceiling(m: MeasureAgreement) -> Iterator[_Row]:
    ceiling = m.ceiling
    yield _Row("spearman with the rest", ceiling.rater, scorer="rater")
    yield _Row("spearman with the rest", ceiling.judge)
    yield _Row("spearman ceiling", ceiling.spearman, scorer="people")
    share = Estimate(ceiling.share, ceiling.rater.n, reason=ceiling.share_reason)
    yield _Row("share of ceiling", share)
    yield _Row("reliability of one rating", ceiling.single, scorer="people")
    yield _Row("reliability of the mean", ceiling.mean, scorer="people")
    yield _Row("pearson ceiling", ceiling.pearson, scorer="people")
    why = no_share(m.levels["pearson"]["all"], ceiling.pearson)
    pearson_share = _number(ceiling.pearson_share, ceiling.pearson.n, why)
    yield _Row("share of pearson ceiling", pearson_share)
    yield _Row("cells rated twice", Estimate(ceiling.repeated, ceiling.cells), scorer="people")


def _annotators(m: MeasureAgreement) -> Iterator[_Row]:
    for test in m.annotator_tests:
        subject = f"{test.scores}, epsilon {test.epsilon:g}"
        for name, value in (("omega", test.winning_rate), ("advantage", test.advantage)):
            reason = test.reason or ("undefined" if value is None else "")
            estimate = Estimate(value, test.annotators, reason=reason)
            yield _Row(f"annotator test {name}", estimate, subject=subject)
        for floor in test.floors:
            for name, value in (("omega", floor.winning_rate), ("advantage", floor.advantage)):
                estimate = Estimate(value, test.annotators)
                yield _Row(f"annotator test {name}", estimate, scorer=floor.name, subject=subject)


def _systems(m: MeasureAgreement) -> Iterator[_Row]:
    why = "too few characters or scenarios"
    for point in m.systems:
        for scorer, mean, error in (
            ("people", point.human, point.human_error),
            ("judge", point.judge, point.judge_error),
        ):
            of = {"scorer": scorer, "subject": point.system}
            yield _Row("mean", Estimate(mean, point.n), **of)
            yield _Row("standard error", _number(error, point.n, why), **of)
        yield _Row("spearman", point.within, "within_system", subject=point.system)


def _curve(m: MeasureAgreement) -> Iterator[_Row]:
    why = "one alone has no standard error"
    for position, bin_ in enumerate(m.curve, start=1):
        subject = f"bin {position}"
        yield _Row("curve", Estimate(bin_.judge, bin_.n), scorer="judge", subject=subject)
        yield _Row("curve", Estimate(bin_.human, bin_.n), scorer="people", subject=subject)
        error = _number(bin_.error, bin_.n, why)
        yield _Row("curve standard error", error, scorer="people", subject=subject)


def _confusion(m: MeasureAgreement) -> Iterator[_Row]:
    low = int(m.scale[0])
    for human, row in enumerate(m.confusion):
        for judge, number in enumerate(row):
            subject = f"people {low + human}, judge {low + judge}"
            yield _Row("confusion", Estimate(number, sum(row)), subject=subject)
