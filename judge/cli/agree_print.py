"""What `judge agree` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click

from judge.analysis.agreement import Agreement, Comparisons, Overview
from judge.analysis.agreement.record import LEVELS, Figure, Interval, MeasureAgreement
from judge.cli.plain import table

__all__ = ["show", "show_comparisons", "show_overview"]

_DASH = "-"


def show(found: Agreement) -> None:
    """The table of Spearman's rho with intervals, what else matters, and what to know."""
    for line in _banners(found):
        click.echo(line)
    click.echo(
        f"judge {found.judge}: {found.systems} systems, {found.items} items, "
        f"{found.ratings} ratings of {found.raters or 'unnamed'} raters"
    )
    for note in found.notes:
        click.echo(f"note: {note}")
    level = f"{100 * found.confidence:g}%"
    click.echo(f"\nSpearman's rho with {level} intervals; systems: Bonett-Wright")
    rows = [("measure", "n", "all", "within item", "systems", "ceiling", "share")]
    rows += [_headline(measure) for measure in found.measures]
    click.echo(table(rows))
    click.echo("\nin points of the scale, and beside people")
    points = [("measure", "MAE", "bias", "kappa", "alpha people", "with judge", "SPA", "alt-test")]
    points += [_points(measure) for measure in found.measures]
    click.echo(table(points))
    if reasons := _reasons(found):
        click.echo()
        for reason, where in reasons.items():
            click.echo(f"- {reason}: {', '.join(where)}")


def show_comparisons(found: Comparisons) -> None:
    """The table of differences."""
    if found.simulated:
        click.echo("SIMULATED RATINGS: not given by people")
    click.echo(
        f"{found.first} against {found.second}, {found.dialogues} dialogues: Spearman's rho with "
        f"people, PERM-BOTH with {found.exchanges} exchanges"
    )
    if any(found.dropped):
        click.echo(f"left out, not judged by both: {found.dropped[0]} and {found.dropped[1]}")
    rows = [("measure", "level", "n", "first", "second", "difference", "p", "adjusted", "by")]
    rows += [
        (
            row.name,
            row.level.replace("_", " "),
            str(row.n),
            _number(row.first, 3),
            _number(row.second, 3),
            _number(row.difference, 3),
            _number(row.p, 4),
            _number(row.adjusted, 4),
            row.correction or _DASH,
        )
        for row in found.rows
    ]
    click.echo(table(rows))
    for reason in sorted({row.reason for row in found.rows} - {""}):
        click.echo(f"- {reason}")


def show_overview(found: Sequence[Overview], notes: Sequence[str]) -> None:
    """One row for each judge and dimension."""
    click.echo("Spearman's rho with people, without intervals; --judge NAME gives the whole report")
    rows = [("judge", "dimension", "n", *(level.replace("_", " ") for level in LEVELS))]
    rows += [
        (
            row.judge,
            row.dimension,
            str(row.n),
            *(_number(row.levels["spearman"][level].value, 3) for level in LEVELS),
        )
        for row in found
    ]
    click.echo(table(rows))
    for note in notes:
        click.echo(f"note: {note}")


def _banners(found: Agreement) -> list[str]:
    lines = ["SIMULATED RATINGS: not given by people"] if found.simulated else []
    return [*lines, f"PARTIAL: {found.partial}"] if found.partial else lines


def _headline(measure: MeasureAgreement) -> tuple[str, ...]:
    levels, ceiling = measure.spearman, measure.ceiling
    return (
        _name(measure),
        str(measure.n),
        _figure(levels["all"], levels["all"].interval),
        _figure(levels["within_item"], levels["within_item"].interval),
        _figure(levels["systems"], measure.bonett_wright),
        _number(ceiling.rater.value),
        _DASH if ceiling.share is None else f"{ceiling.share:.0%}",
    )


def _points(measure: MeasureAgreement) -> tuple[str, ...]:
    tests: Mapping[str, str] = {
        test.scores: _DASH if test.winning_rate is None else f"{test.winning_rate:.2f}"
        for test in measure.annotator_tests
    }
    return (
        _name(measure),
        _number(measure.mae.value),
        _number(measure.bias.value),
        _number(measure.kappa.value),
        _number(measure.alpha_human.value),
        _number(measure.alpha_with_judge.value),
        _number(measure.soft_pairwise.value),
        " ".join(tests.values()) or _DASH,
    )


def _name(measure: MeasureAgreement) -> str:
    return f"  {measure.name}" if measure.kind == "metric" else measure.name


def _figure(figure: Figure, interval: Interval | None) -> str:
    text = _number(figure.value)
    if interval is None or interval.lower is None or interval.upper is None:
        return text
    return f"{text} [{_number(interval.lower)}, {_number(interval.upper)}]"


def _number(value: float | None, decimals: int = 2) -> str:
    return _DASH if value is None else f"{value:z.{decimals}f}"


def _reasons(found: Agreement) -> dict[str, list[str]]:
    """Why a number of the tables is missing, each reason once, with the places."""
    said: dict[str, list[str]] = {}
    for measure in found.measures:
        figures = {
            "all": measure.spearman["all"],
            "within item": measure.spearman["within_item"],
            "systems": measure.spearman["systems"],
            "ceiling": measure.ceiling.rater,
            "MAE": measure.mae,
            "kappa": measure.kappa,
            "alpha": measure.alpha_human,
            "SPA": measure.soft_pairwise,
        }
        reasons = {where: figure.reason for where, figure in figures.items()}
        reasons |= {f"alt-test {test.scores}": test.reason for test in measure.annotator_tests}
        for where, reason in reasons.items():
            if reason:
                said.setdefault(f"{where}: {reason}", []).append(measure.name)
    return said
