"""What `judge ratings` prints of ratings, in words and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict

import click

from judge.cli.plain import table
from judge.ratings import Comparison, Fault, Ratings, Summary

__all__ = ["describe", "echo_json", "few", "show", "show_faults"]

_SHOWN = 20
"""Faults of one kind that are printed; --json and --all give every one."""

_COLUMNS = 12
"""Scores that still make columns of a table."""


def show(found: Ratings, summary: Summary, joined: Comparison | None) -> None:
    """Print the counts."""
    for path, digest in found.sources.items():
        click.echo(f"{path}  sha256 {digest}")
    click.echo(f"{summary.ratings} ratings of {summary.cells} dialogues, scale {found.scale}")
    for line in _raters(summary):
        click.echo(line)
    if summary.metrics:
        click.echo(f"\n{table(_metrics(summary))}\n")
    if summary.unrated:
        click.echo(f"no rating of: {', '.join(summary.unrated)}")
    if found.unread:
        click.echo(f"columns not read: {', '.join(found.unread)}")
    for kind, count in found.excluded.items():
        click.echo(f"left aside, rater_type {kind or 'blank'}: {count} rows")
    if joined is not None:
        click.echo(f"dialogues there: {joined.known}, {joined.dialogues} of them rated")
        click.echo(f"ratings of them: {joined.rated} of {summary.ratings}")
    if joined is not None and joined.judged is not None:
        click.echo(f"ratings that have a judge score: {joined.judged} of {summary.ratings}")
        click.echo(f"judge scores that have a rating: {joined.matched} of {joined.judgments}")


def show_faults(faults: Iterable[Fault], *, everything: bool) -> None:
    """Print how many faults there are of each kind, and the first or all of them."""
    kinds: dict[str, list[Fault]] = {}
    for fault in faults:
        kinds.setdefault(fault.kind, []).append(fault)
    for kind, members in kinds.items():
        click.echo(f"{kind.replace('_', ' ')}: {len(members)}")
        shown = members if everything else members[:_SHOWN]
        for fault in shown:
            click.echo(f"  {fault}")
        if len(shown) < len(members):
            click.echo(f"  and {len(members) - len(shown)} more; --all lists them")


def describe(
    found: Ratings, summary: Summary, joined: Comparison | None, faults: Sequence[Fault]
) -> dict[str, object]:
    """The same as a value for JSON, with every fault."""
    comparison = None
    if joined is not None:
        comparison = {k: v for k, v in asdict(joined).items() if k != "unknown"}
    return {
        "sources": found.sources,
        "scale": found.scale._asdict(),
        **asdict(summary),
        "off_scale": found.off_scale,
        "aside": found.excluded,
        "unread": found.unread,
        "comparison": comparison,
        "faults": [fault._asdict() for fault in faults],
    }


def few(values: Sequence[object]) -> str:
    """The first values of a list that may be long."""
    return ", ".join(map(str, values[:6])) + (", ..." if len(values) > 6 else "")


def echo_json(value: object) -> None:
    """Print one JSON object."""
    click.echo(json.dumps(value, ensure_ascii=False, default=str))


def _raters(summary: Summary) -> Iterator[str]:
    if summary.ratings_per_rater:
        least, median, most = summary.ratings_per_rater
        yield f"raters: {summary.raters}, {least}-{most} ratings each (median {median:g})"
    if summary.unnamed:
        yield f"ratings without a rater: {summary.unnamed}"
    if summary.repeats:
        yield f"of them beside another of the same: {summary.repeats}, which may be copies"
    if summary.overlap is not None:
        counts = ", ".join(f"{k}: {n}" for k, n in summary.raters_per_cell.items())
        yield f"ratings per dialogue and metric: {counts} (overlap {summary.overlap:.1%})"
    if len(summary.pieces) > 1:
        yield (
            f"the raters fall into {len(summary.pieces)} groups that share no dialogue "
            f"({few(summary.pieces)} raters): severities cannot be compared between them"
        )
    elif summary.raters > 1:
        yield "the raters are connected by dialogues that they share"


def _metrics(summary: Summary) -> list[tuple[object, ...]]:
    labels = sorted({label for metric in summary.metrics for label in metric.scores})
    if len(labels) > _COLUMNS:  # any number is a score
        labels = []
    head = ("metric", "ratings", "dialogues", "raters", "groups")
    return [
        (*head, *(f"{label:g}" for label in labels)),
        *(
            (
                *(m.name, m.ratings, m.cells, m.raters, "-" if m.pieces is None else m.pieces),
                *(m.scores.get(label, 0) for label in labels),
            )
            for m in summary.metrics
        ),
    ]
