"""What `judge agree` prints: one judge, two compared, or the list of a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from judge.cli.command import table

if TYPE_CHECKING:
    from judge.analysis.agreement.agreement_records import (
        Agreement,
        Estimate,
        Interval,
        Level,
        MeasureAgreement,
    )
    from judge.analysis.agreement.from_table import Overview
    from judge.analysis.agreement.two_judges import Comparisons

__all__ = ["show_agreement", "show_comparisons", "show_overview"]

_DASH = "-"

_POINTS = "\nin points of the scale, and among people"

_READ = {
    ("ceiling",): "ceiling: of the rho with other raters, for a judge that knows the truth; "
    "share: of it",
    ("alt-test", "whole"): "alt-test: share of the annotators whom the judge may replace, .5 to "
    "pass; whole: judge rounded",
    ("ICC",): "ICC: ICC(A,1) of the systems' means",
    ("MAE", "equal"): "in brackets: what one and the same score for everything gets",
}
"""What is said of columns, where they are shown."""

_TESTS = {
    "exchange": "p the largest over exchanging whole groups (exchange test, {} exchanges)",
    "perm-both": "PERM-BOTH with {} exchanges, whether the judges are interchangeable",
}

_FEW = 4
"""Measures that are named in a line; of more, how many there are."""


def show_agreement(found: Agreement) -> None:
    """The table of Spearman's rho with intervals, what else matters, and what to know."""
    from judge.report.agreement_shape import amount, levels_left_out, shown_levels
    from judge.report.agreement_summary import (
        annotators_left_out,
        annotators_tested,
        headline,
        mean_rho,
        people,
    )
    from judge.report.format import many

    _banners(simulated=found.simulated, reference=found.reference, partial=found.partial)
    raters = many(found.raters, "rater") if found.raters else "unnamed raters"
    click.echo(
        f"judge {found.judge}: {many(found.ratings, 'rating')} of {raters} on {amount(found)}"
    )
    for note in (*found.notes, levels_left_out(found)):
        if note:
            click.echo(f"note: {note}")
    rows: list[tuple[str, ...]] = []
    if levels := [at for at in shown_levels(found) if at != "within_system"]:
        click.echo(f"\nSpearman's rho with {people(found)}{_of_intervals(found, levels)}")
        heads = ("measure", "n", *("all" if at == "all" else at.replace("_", " ") for at in levels))
        rows.append((*heads, "ceiling", "share"))
        rows += [_headline(measure, found, levels) for measure in found.measures]
        if headline(found) is None:
            means = (_number(mean_rho(found, at)) for at in levels)
            rows.append(("mean of the metrics", "", *means, "", ""))
        rows = _without_dashes(rows)
        click.echo(table(rows))
    click.echo("\nlabels, and people among themselves" if found.categories else _POINTS)
    first = "equal" if found.categories else "MAE"
    columns = ("bias", "kappa", "alpha", "with judge", "ICC", "SPA", "alt-test", "whole")
    points = _without_dashes([("measure", first, *columns), *map(_points, found.measures)])
    click.echo(table(points))
    told = {*points[0], *(rows[0] if rows else ())}
    for heads, meaning in _READ.items():
        if told.intersection(heads):
            click.echo(meaning)
    for line in filter(None, (annotators_tested(found), annotators_left_out(found))):
        click.echo(f"alt-test: {line}")
    if lines := [*_beaten(found), *_no_claims(found), *_reasons(found)]:
        click.echo()
        for line in lines:
            click.echo(f"- {line}")


def show_comparisons(found: Comparisons) -> None:
    """The table of differences."""
    from judge.analysis.agreement.two_judges import COMPARED
    from judge.report.agreement_shape import compared_levels, unit
    from judge.report.agreement_summary import people
    from judge.report.format import many
    from judge.report.paper import few_to_exchange
    from judge.report.two_judges_page import comparison_sentences

    _banners(simulated=found.simulated, reference=found.reference, partial=found.partial)
    for note in found.notes:
        click.echo(f"note: {note}")
    click.echo(comparison_sentences(found)[0])
    click.echo(
        f"{found.first} against {found.second}, {many(found.dialogues, unit(found))}: Spearman's "
        f"rho with {people(found)}, {_TESTS[found.test].format(found.exchanges)}"
    )
    if any(found.dropped):
        click.echo(f"left out, not judged by both: {found.dropped[0]} and {found.dropped[1]}")
    levels = compared_levels(found) or COMPARED
    heads = ("first", "second", "difference", "p", "exchanged", "adjusted", "by")
    rows = [("measure", "level", "n", *heads)]
    rows += [
        (
            row.name,
            row.level.replace("_", " "),
            str(row.n),
            _number(row.first, 3),
            _number(row.second, 3),
            _number(row.difference, 3),
            _number(row.p, 4),
            row.factor or _DASH,
            _number(row.adjusted, 4),
            row.correction or _DASH,
        )
        for row in found.rows
        if row.level in levels
    ]
    click.echo(table(rows))
    for line in sorted({row.reason or few_to_exchange(row) for row in found.rows} - {""}):
        click.echo(f"- {line}")


def show_overview(found: Sequence[Overview], notes: Sequence[str], *, simulated: bool) -> None:
    """One row for each judge and dimension."""
    _banners(simulated=simulated)
    from judge.analysis.agreement.agreement_records import LEVELS

    labels = any(row.equal for row in found)
    first = "shares of equal labels" if labels else "Spearman's rho with people"
    heads: list[str] = ["judge", "dimension", "n", "equal", "kappa"]
    heads += [level.replace("_", " ") for level in LEVELS]
    rows = [(*heads, "ICC", "SPA", "alt-test", "whole")]
    rows += [
        (
            row.judge,
            row.dimension,
            str(row.n),
            _beside(row.equal.value, row.constant["equal"].value) if row.equal else _DASH,
            _number(row.kappa.value, 3) if row.kappa else _DASH,
            *(_number(row.levels["spearman"][level].value, 3) for level in LEVELS),
            *_without_skill(row),
        )
        for row in found
    ]
    rows = _without_dashes(rows)
    click.echo(
        f"{first}{', ICC(A,1) of systems' if 'ICC' in rows[0] else ''}; in brackets: one and the "
        "same score for everything; --judge NAME gives the whole report and what is undefined"
    )
    click.echo(table(rows))
    for note in notes:
        click.echo(f"note: {note}")


def _banners(*, simulated: bool, reference: bool = False, partial: str = "") -> None:
    if simulated:
        click.echo("SIMULATED RATINGS: not given by people")
    if reference:
        click.echo("REFERENCE JUDGMENTS: given by a strong LLM, not by people")
    if partial:
        click.echo(f"PARTIAL: {partial}")


def _of_intervals(found: Agreement, levels: Sequence[Level]) -> str:
    """What the intervals of the table are; "" if there are none."""
    said = (
        [f"{100 * found.confidence:g}% intervals by jackknife, each by itself"]
        if found.resamples
        else []
    )
    bonett_wright = any(m.bonett_wright.width is not None for m in found.measures)
    if "systems" in levels and bonett_wright and not found.systems_fixed:
        from judge.report.agreement_shape import unit

        said.append(f"of systems by Bonett-Wright (the order of means over so many {unit(found)}s)")
    return "".join(f", {text}" for text in said)


def _without_dashes(rows: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The table without columns that have nothing but dashes below their heads."""
    columns = zip(*rows, strict=True)
    kept = [column for column in columns if {*column[1:]} - {_DASH, ""}]
    return list(zip(*kept, strict=True))


def _headline(
    measure: MeasureAgreement, found: Agreement, levels: Sequence[Level]
) -> tuple[str, ...]:
    rho, ceiling = measure.spearman, measure.ceiling
    intervals = {at: rho[at].interval for at in levels}
    if not found.systems_fixed:
        intervals["systems"] = measure.bonett_wright
    return (
        _name(measure),
        str(measure.n),
        *(_figure(rho[at], intervals[at]) for at in levels),
        _number(ceiling.spearman.value),
        _DASH if ceiling.share is None else f"{ceiling.share:.0%}",
    )


def _points(measure: MeasureAgreement) -> tuple[str, ...]:
    constant = {name: figure.value for name, figure in measure.constant.items()}
    return (
        _name(measure),
        _beside(measure.equal.value, constant.get("equal"))
        if measure.equal
        else _beside(measure.mae.value, constant.get("mae")),
        _number(measure.bias.value),
        _number(measure.kappa.value),
        _number(measure.alpha_human.value),
        _number(measure.alpha_with_judge.value),
        *_without_skill(measure),
    )


def _without_skill(found: MeasureAgreement | Overview) -> Iterator[str]:
    """ICC of systems, SPA and both annotator tests, with what a judge without skill gets."""
    icc = found.icc.get("systems", {}).get("ICC(A,1)")
    yield _number(None if icc is None else icc.value)
    constant = found.constant.get("soft_pairwise")
    yield _beside(found.soft_pairwise.value, None if constant is None else constant.value)
    tests = {test.scores: test for test in found.annotator_tests}
    for scores in ("continuous", "rounded"):
        test = tests.get(scores)
        floors = () if test is None else test.floors
        best = max((floor.winning_rate for floor in floors), default=None)
        yield _beside(None if test is None else test.winning_rate, best)


def _name(measure: MeasureAgreement) -> str:
    return f"  {measure.name}" if measure.kind == "metric" else measure.name


def _figure(figure: Estimate, interval: Interval | None) -> str:
    text = _number(figure.value)
    if interval is None or interval.lower is None or interval.upper is None:
        return text
    return f"{text} [{_number(interval.lower)}, {_number(interval.upper)}]"


def _beside(value: float | None, constant: float | None) -> str:
    """A number, and in brackets that of one and the same score for everything."""
    bare = value is None or constant is None
    return _number(value) if bare else f"{_number(value)} ({_number(constant)})"


def _number(value: float | None, decimals: int = 2) -> str:
    return _DASH if value is None else f"{value:z.{decimals}f}"


def _beaten(found: Agreement) -> Iterator[str]:
    """Scores that have not read the dialogue and do as well as the judge, level by level."""
    from judge.analysis.agreement.agreement_records import LEVELS
    from judge.report.agreement_summary import beaten

    where: dict[tuple[Level, str], list[str]] = {}
    for measure in found.measures:
        for one in beaten(measure):
            where.setdefault((one.level, one.sentinel), []).append(measure.name)
    for (level, sentinel), names in sorted(where.items(), key=lambda at: LEVELS.index(at[0][0])):
        of = _measures(names, found)
        yield f"{level.replace('_', ' ')}: {sentinel} alone does as well as the judge ({of})"


def _no_claims(found: Agreement) -> Iterator[str]:
    """Where the annotator test is passed by the judge, but by a constant too."""
    names = [
        m.name for m in found.measures if any(t.verdict == "no claim" for t in m.annotator_tests)
    ]
    if names:
        of = _measures(names, found)
        yield f"alt-test: one and the same score for everything passes too, no claim ({of})"


def _reasons(found: Agreement) -> Iterator[str]:
    """Why a number of the tables is missing; what is missing for the same reason together."""
    said: dict[str, dict[str, list[str]]] = {}
    for measure in found.measures:
        for where, reason in _missing(measure, found):
            said.setdefault(reason, {}).setdefault(where, []).append(measure.name)
    for reason, places in said.items():
        alike: dict[tuple[str, ...], list[str]] = {}
        for where, names in places.items():
            alike.setdefault(tuple(names), []).append(where)
        for same, together in alike.items():
            yield f"{', '.join(together)}: {reason} ({_measures(same, found)})"


def _missing(measure: MeasureAgreement, found: Agreement) -> Iterator[tuple[str, str]]:
    figures = {
        "all": measure.spearman["all"],
        "within item": measure.spearman["within_item"],
        "systems": measure.spearman["systems"],
        "ceiling": measure.ceiling.spearman,
        "MAE": measure.mae,
        "kappa": measure.kappa,
        "alpha": measure.alpha_human,
        "alpha with judge": measure.alpha_with_judge,
        "SPA": measure.soft_pairwise,
    }
    tests = {"continuous": "alt-test", "rounded": "alt-test whole"}
    reasons = {where: figure.reason for where, figure in figures.items()}
    reasons["share"] = "" if measure.ceiling.spearman.reason else measure.ceiling.share_reason
    rho = measure.spearman["systems"]
    interval = rho.interval if found.systems_fixed else measure.bonett_wright
    if rho.value is not None and interval is not None:
        reasons["interval of systems"] = interval.reason
    reasons |= {tests[test.scores]: test.reason for test in measure.annotator_tests}
    if found.systems == 1:  # a note has said it
        reasons |= dict.fromkeys(("within item", "systems", "SPA"), "")
    yield from ((where, reason) for where, reason in reasons.items() if reason)


def _measures(names: Sequence[str], found: Agreement) -> str:
    if len(names) == len(found.measures):
        return "all measures" if len(names) > 1 else names[0]
    if len(names) <= _FEW:
        return ", ".join(names)
    return f"{len(names)} of {len(found.measures)} measures, {names[0]} among them"
