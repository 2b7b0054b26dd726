"""`judge agree`: how far a judge's scores can be trusted, by human ratings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from judge.cli.command import FOLDER_OR_FILE, NameList, Progress, command, echo_json, option, table
from judge.cli.options import (
    aliases_of,
    confidence_option,
    json_option,
    metrics_option,
    out_option,
    rating_options,
)
from judge.errors import UsageError

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

__all__ = ["agree"]

_TABLE = "A table instead of RUNS"

_DASH = "-"

_READ = """ceiling: of the rho with other raters, for a judge that knows the truth; share: of it
alt-test: share of the annotators whom the judge may replace, .5 to pass; whole: judge rounded
ICC: ICC(A,1) of the systems' means; in brackets: what one and the same score for everything gets"""

_TESTS = {
    "exchange": "p the largest over exchanging whole groups (exchange test, {} exchanges)",
    "perm-both": "PERM-BOTH with {} exchanges, whether the judges are interchangeable",
}

_FEW = 4
"""Measures that are named in a line; of more, how many there are."""


@command("agree")
@click.argument("runs", nargs=-1, type=FOLDER_OR_FILE)
@rating_options(
    "Human ratings of what RUNS judged, in any shape that `judge ratings check` reads; or "
    "`reference`: a strong LLM's scores of 440 public dialogues, which come with the program."
)
@option(
    "--table",
    "tables",
    type=FOLDER_OR_FILE,
    multiple=True,
    group=_TABLE,
    help="Instead of RUNS: a table of anything judged, with item, system, dimension, rater, "
    "rater_type and score; or with probabilities p1, p2, ... for score; or with item, system, "
    "measure and score. Repeatable.",
)
@option(
    "--judge",
    "judges",
    multiple=True,
    group=_TABLE,
    help="Of --table: this judge. Twice: compare.",
)
@option(
    "--people",
    type=NameList(),
    default="",
    group=_TABLE,
    help="Of --table: the measures that people gave.",
)
@option(
    "--where",
    multiple=True,
    metavar="COLUMN=VALUE",
    group=_TABLE,
    help="Of --table: only these rows; COLUMN!=VALUE: only others. Repeatable.",
)
@metrics_option
@option(
    "--point",
    type=click.Choice(["expected", "argmax"]),
    default="expected",
    show_default=True,
    help="The one number that stands for a judge's probabilities of the labels: their mean, such "
    "as 3.7, or with --point argmax the most probable label, such as 4.",
)
@option(
    "--systems-fixed",
    is_flag=True,
    help="Do not resample systems: intervals then say what other dialogues of these systems would "
    "give, not what other systems would. For instance where only these few are ever compared.",
)
@option(
    "--resamples",
    type=click.IntRange(min=0),
    default=2000,
    show_default=True,
    help="Of the bootstrap; 0 for no intervals.",
)
@confidence_option
@option(
    "--annotators",
    type=click.Choice(["expert", "skilled", "crowd"]),
    help="Who rated, for the alternative annotator test: the judge must come within .2, .15 or .1. "
    " [default: expert where every rater_type says so, else crowd]",
)
@option(
    "--annotators-min-others",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Of that test: how many others must have rated a dialogue for an annotator to be compared "
    "with the judge on it.",
)
@option(
    "--test",
    type=click.Choice(["exchange", "perm-both"]),
    default="exchange",
    show_default=True,
    help="Of two judges. exchange: whether they agree equally well, exchanging whole systems, "
    "characters and scenarios. perm-both, as published: whether they are interchangeable, which "
    "judges that favour different systems are not, however equally good.",
)
@option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    help="The start of every random draw: the same seed gives the same intervals, --seed 1 others "
    "that differ by chance alone.",
)
@out_option(
    "Folder of the report.  [default: RUN/agreement, with --ratings reference "
    "RUN/agreement-reference, of a table agreement-TABLE-JUDGE]"
)
@json_option
def agree(
    runs: Sequence[Path],
    ratings: Path | None,
    tables: Sequence[Path],
    aliases: Sequence[str],
    as_json: bool,
    **options: Any,
) -> None:
    """Compare the scores of RUNS with human ratings, and write a report for a paper.

    RUNS are folders made with one judge and one rubric, or with two: then the two are compared.
    The report is a page, LaTeX with tables and a paragraph on methods, Markdown, CSV, and every
    figure as SVG and PDF.

    \b
    Example:
      judge agree runs/public --ratings ratings.csv
      judge agree runs/public --ratings reference
      judge agree runs/public-8b runs/public-32b --ratings ratings.csv --out reports/two
      judge agree --table scores.csv --judge gpt-4 --out reports/table
    """
    from judge.ratings.reference import REFERENCE, is_reference
    from judge.workflows import agree as workflow
    from judge.workflows.inputs import RatingsFile

    named = aliases_of(aliases)
    shape = {name: options.pop(name) for name in ("raters", "systems", "mapping")}
    source: RatingsFile | str | None = None
    if is_reference(ratings):
        source = REFERENCE
    elif ratings is not None:
        reading = {n: options[n] for n in ("scale", "step", "sheet", "allow_missing")}
        source = RatingsFile(ratings, named, **reading, **shape)
    elif any(shape.values()):
        raise UsageError("--raters, --systems and --mapping go with --ratings", hint="add it")
    with Progress() as progress:
        done = workflow.agree(
            runs,
            source,
            table=tables or None,
            aliases=named,
            progress=progress,
            **options,
        )
    match done:
        case workflow.AgreementReport():
            if as_json:
                echo_json({"report": str(done.page), "agreement": done.agreement.to_dict()})
                return
            _show(done.agreement)
            click.echo(f"report: {done.page}")
            click.echo(f"for a paper: {done.tex}")
        case workflow.JudgeComparison():
            files = list(map(str, done.files))
            if as_json:
                echo_json({"files": files, "comparisons": done.comparisons.to_dict()})
                return
            _show_comparisons(done.comparisons)
            click.echo(f"tables: {', '.join(files)}")
        case workflow.JudgeList():
            if as_json:
                judges = [asdict(row) for row in done.rows]
                echo_json({"simulated": done.simulated, "judges": judges})
                return
            _show_overview(done.rows, done.notes, simulated=done.simulated)


def _show(found: Agreement) -> None:
    """The table of Spearman's rho with intervals, what else matters, and what to know."""
    from judge.report.agreement_summary import annotators_left_out, annotators_tested, people

    _banners(simulated=found.simulated, reference=found.reference, partial=found.partial)
    raters = _count(found.raters, "rater") if found.raters else "unnamed raters"
    click.echo(
        f"judge {found.judge}: {_count(found.systems, 'system')}, {_count(found.items, 'item')}, "
        f"{_count(found.ratings, 'rating')} of {raters}"
    )
    for note in found.notes:
        click.echo(f"note: {note}")
    level = f"{100 * found.confidence:g}%"
    of = "by bootstrap" if found.resamples else "of systems only"
    if not found.systems_fixed:
        of += ", of systems by Bonett-Wright (the order of means over so many dialogues)"
    click.echo(f"\nSpearman's rho with {people(found)}, {level} intervals {of}")
    rows: list[tuple[str, ...]] = [
        ("measure", "n", "all", "within item", "systems", "ceiling", "share")
    ]
    rows += [_headline(measure, found) for measure in found.measures]
    click.echo(table(rows))
    click.echo("\nin points of the scale, and among people")
    first = "equal" if found.categories else "MAE"
    heads = ("measure", first, "bias", "kappa", "alpha", "with judge")
    points: list[tuple[str, ...]] = [(*heads, "ICC", "SPA", "alt-test", "whole")]
    points += [_points(measure) for measure in found.measures]
    click.echo(table(points))
    click.echo(_READ)
    for line in filter(None, (annotators_tested(found), annotators_left_out(found))):
        click.echo(f"alt-test: {line}")
    if lines := [*_beaten(found), *_no_claims(found), *_reasons(found)]:
        click.echo()
        for line in lines:
            click.echo(f"- {line}")


def _show_comparisons(found: Comparisons) -> None:
    """The table of differences."""
    from judge.report.paper import few_to_exchange

    _banners(simulated=found.simulated, reference=found.reference, partial=found.partial)
    for note in found.notes:
        click.echo(f"note: {note}")
    click.echo(
        f"{found.first} against {found.second}, {found.dialogues} dialogues: Spearman's rho with "
        f"people, {_TESTS[found.test].format(found.exchanges)}"
    )
    if any(found.dropped):
        click.echo(f"left out, not judged by both: {found.dropped[0]} and {found.dropped[1]}")
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
    ]
    click.echo(table(rows))
    for line in sorted({row.reason or few_to_exchange(row) for row in found.rows} - {""}):
        click.echo(f"- {line}")


def _show_overview(found: Sequence[Overview], notes: Sequence[str], *, simulated: bool) -> None:
    """One row for each judge and dimension."""
    _banners(simulated=simulated)
    click.echo(
        "Spearman's rho with people, ICC(A,1) of systems; in brackets: one and the same score for "
        "everything; --judge NAME gives the whole report and the reason of each dash"
    )
    from judge.analysis.agreement.agreement_records import LEVELS

    heads = ("ICC", "SPA", "alt-test", "whole")
    rows = [("judge", "dimension", "n", *(level.replace("_", " ") for level in LEVELS), *heads)]
    rows += [
        (
            row.judge,
            row.dimension,
            str(row.n),
            *(_number(row.levels["spearman"][level].value, 3) for level in LEVELS),
            *_without_skill(row),
        )
        for row in found
    ]
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


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _headline(measure: MeasureAgreement, found: Agreement) -> tuple[str, ...]:
    levels, ceiling = measure.spearman, measure.ceiling
    of_systems = levels["systems"].interval if found.systems_fixed else measure.bonett_wright
    return (
        _name(measure),
        str(measure.n),
        _figure(levels["all"], levels["all"].interval),
        _figure(levels["within_item"], levels["within_item"].interval),
        _figure(levels["systems"], of_systems),
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
        for where, reason in _missing(measure, systems_fixed=found.systems_fixed):
            said.setdefault(reason, {}).setdefault(where, []).append(measure.name)
    for reason, places in said.items():
        alike: dict[tuple[str, ...], list[str]] = {}
        for where, names in places.items():
            alike.setdefault(tuple(names), []).append(where)
        for same, together in alike.items():
            yield f"{', '.join(together)}: {reason} ({_measures(same, found)})"


def _missing(measure: MeasureAgreement, *, systems_fixed: bool) -> Iterator[tuple[str, str]]:
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
    if measure.spearman["systems"].value is not None and not systems_fixed:
        reasons["interval of systems"] = measure.bonett_wright.reason
    reasons |= {tests[test.scores]: test.reason for test in measure.annotator_tests}
    yield from ((where, reason) for where, reason in reasons.items() if reason)


def _measures(names: Sequence[str], found: Agreement) -> str:
    if len(names) == len(found.measures):
        return "all measures" if len(names) > 1 else names[0]
    if len(names) <= _FEW:
        return ", ".join(names)
    return f"{len(names)} of {len(found.measures)} measures, {names[0]} among them"
