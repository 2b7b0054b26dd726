"""Every number of an agreement as one long table for programs: full precision, nothing rounded."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from judge.analysis.agreement.agreement_records import (
    Agreement,
    Estimate,
    Level,
    MeasureAgreement,
    no_share,
)
from judge.report.paper.table import english

__all__ = ["agreement_csv"]

_HEAD = (
    *("measure", "title", "kind", "statistic", "level", "scorer", "subject"),
    *("value", "lower", "upper", "confidence", "method"),
    *("n", "groups", "undefined", "reason", "ratings", "partial"),
)


@dataclass(frozen=True, slots=True)
class _Row:
    """What is said of one number; see `agreement_csv`."""

    statistic: str
    figure: Estimate
    level: str = ""
    scorer: str = "judge"
    subject: str = ""


def agreement_csv(agreement: Agreement) -> str:
    """One row for each measure, statistic, level, scorer and subject.

    `scorer` is whose scores stand against people's: the judge, a sentinel, a rater. `subject` is
    what the number is about where that is not the whole: a system, a system left out (`without
    X`), a bin, a pair of labels. `value` is empty where it is undefined, with the `reason`; ends
    of intervals likewise. `ratings` says whether they are of people or `simulated`.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(_HEAD)
    whose = "simulated" if agreement.simulated else "people"
    for measure in agreement.measures:
        about = (measure.name, english(measure.name, measure.title), measure.kind)
        for row in _rows(measure):
            table.writerow((*about, *_cells(row, agreement.confidence), whose, agreement.partial))
    for pair in agreement.pairs:
        title = english(pair.measure, agreement.titles.get(pair.measure, pair.measure))
        row = _Row("spearman", pair.spearman, "all", pair.first, f"with {pair.second}")
        cells = _cells(row, agreement.confidence)
        table.writerow((pair.measure, title, "pair", *cells, whose, agreement.partial))
    return text.getvalue()


def _cells(row: _Row, confidence: float) -> tuple[object, ...]:
    figure, interval = row.figure, row.figure.interval
    ends: tuple[object, ...] = ("", "", "", "")
    reason = figure.reason
    if interval is not None:
        ends = (interval.lower, interval.upper, confidence, interval.method)
        reason = "; ".join(dict.fromkeys(filter(None, (reason, interval.reason))))
    of = (row.statistic, row.level, row.scorer, row.subject)
    return (*of, figure.value, *ends, figure.n, figure.groups, figure.undefined, reason)


def _rows(m: MeasureAgreement) -> Iterator[_Row]:
    for coefficient, levels in m.levels.items():
        yield from (_Row(coefficient, figure, level) for level, figure in levels.items())
    rho = m.spearman["systems"]
    yield _Row(
        "spearman", replace(rho, interval=m.bonett_wright), "systems", subject="Bonett-Wright"
    )
    yield _Row("permutation p", m.permutation_p, "systems")
    for name in ("rmse", "mae", "bias", "kappa", "soft_pairwise"):
        yield _Row(name.replace("_", " "), getattr(m, name))
    yield _Row("pairwise accuracy", m.pairwise.accuracy)
    pairs = m.pairwise.accuracy
    yield _Row("pairwise accuracy at 0", _like(pairs, m.pairwise.at_zero))
    yield _Row("tie threshold", _like(pairs, m.pairwise.threshold))
    yield _Row("pairs tied by people", Estimate(m.pairwise.tied, pairs.n))
    yield _Row("alpha", m.alpha_human, scorer="people")
    yield _Row("alpha", m.alpha_with_judge, scorer="people and judge")
    yield from _counts(m)
    yield from _ceiling(m)
    yield from _annotators(m)
    for sentinel in m.sentinels:
        for level, figure in sentinel.levels.items():
            yield _Row("spearman", figure, level, sentinel.name)
    for without in m.without:
        left: Mapping[Level, Estimate] = {
            "all": without.all,
            "within_item": without.within_item,
            "systems": without.systems,
        }
        for level, figure in left.items():
            yield _Row("spearman", figure, level, subject=f"without {without.system}")
    yield from _points(m)


def _like(figure: Estimate, value: float | None) -> Estimate:
    """Another number of the same pairs; undefined for the same reason."""
    reason = figure.reason or "undefined" if value is None else ""
    return Estimate(value, figure.n, reason=reason)


def _counts(m: MeasureAgreement) -> Iterator[_Row]:
    for name in ("n", "not_rated", "not_judged", "ratings"):
        number: int = getattr(m, name)
        title = {"n": "dialogues"}.get(name, name.replace("_", " "))
        yield _Row(title, Estimate(number, number), scorer="")


def _ceiling(m: MeasureAgreement) -> Iterator[_Row]:
    found = m.ceiling
    yield _Row("spearman with the rest", found.rater, scorer="rater")
    yield _Row("spearman with the rest", found.judge)
    share = Estimate(found.share, found.rater.n, reason=found.share_reason)
    yield _Row("share of ceiling", share)
    yield _Row("reliability of one rating", found.single, scorer="people")
    yield _Row("reliability of the mean", found.mean, scorer="people")
    yield _Row("pearson ceiling", found.pearson, scorer="people")
    pearson = m.levels["pearson"]["all"]
    reason = "" if found.pearson_share is not None else no_share(pearson, found.pearson)
    highest = Estimate(found.pearson_share, found.pearson.n, reason=reason)
    yield _Row("share of pearson ceiling", highest)
    yield _Row("cells rated twice", Estimate(found.repeated, found.cells), scorer="people")


def _annotators(m: MeasureAgreement) -> Iterator[_Row]:
    for test in m.annotator_tests:
        for name, value in (("omega", test.winning_rate), ("advantage", test.advantage)):
            reason = test.reason or ("undefined" if value is None else "")
            figure = Estimate(value, test.annotators, reason=reason)
            yield _Row(
                f"annotator test {name}", figure, subject=f"{test.scores}, epsilon {test.epsilon:g}"
            )


def _points(m: MeasureAgreement) -> Iterator[_Row]:
    for point in m.systems:
        for scorer, mean, error in (
            ("people", point.human, point.human_error),
            ("judge", point.judge, point.judge_error),
        ):
            yield _Row("mean", Estimate(mean, point.n), scorer=scorer, subject=point.system)
            reason = "" if error is not None else "too few characters or scenarios"
            figure = Estimate(error, point.n, reason=reason)
            yield _Row("standard error", figure, scorer=scorer, subject=point.system)
        yield _Row("spearman", point.within, "within_system", subject=point.system)
    for at, one in enumerate(m.curve, start=1):
        for scorer, value in (("judge", one.judge), ("people", one.human)):
            yield _Row("curve", Estimate(value, one.n), scorer=scorer, subject=f"bin {at}")
        reason = "" if one.error is not None else "a single dialogue has no standard error"
        error_ = Estimate(one.error, one.n, reason=reason)
        yield _Row("curve standard error", error_, scorer="people", subject=f"bin {at}")
    low = int(m.scale[0])
    for human, row in enumerate(m.confusion):
        for judge, number in enumerate(row):
            subject = f"people {low + human}, judge {low + judge}"
            yield _Row("confusion", Estimate(number, sum(row)), subject=subject)
