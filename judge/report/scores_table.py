"""The scores of a run as text: the table on the terminal, and `scores.csv`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap
from types import MappingProxyType

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from judge.analysis.calibrated_scores import ItemKey, ItemScore
from judge.analysis.judgment_table import dialogue_order
from judge.analysis.results import (
    OVERALL,
    CalibratedMean,
    CalibratedResults,
    Measure,
    Results,
    SystemResults,
)
from judge.report.format import csv_text, fixed, level, share
from judge.report.reference_summary import reference_sentences, reference_table
from judge.types import Failure, Judgment

__all__ = ["scores_csv", "terminal_table"]

_ABREAST = 4
"""How many systems stand beside each other in 80 columns; more systems make a further table."""


def scores_csv(
    judgments: Sequence[Judgment],
    results: Results,
    items: Mapping[ItemKey, ItemScore] = MappingProxyType({}),
) -> str:
    """One row for each judgment: dialogue, metric, score, distribution, status and reason.

    Numbers have 6 decimals. If `status` is not `ok` it is the code of the failure, and the numbers
    and `reading` are empty. `rationale` is what the judge wrote before it scored. `calibrated`,
    `lower` and `upper` come from `items` and are empty where it has none. Rows are ordered by
    system, character, scenario, and metric as in the rubric. A set of replies has its name in the
    column of the scenario.
    """
    order = {metric: n for n, metric in enumerate(results.metrics)}
    ps = [f"p{label}" for label in results.labels]
    rows: list[list[object]] = [
        [
            *("system", "character", "scenario", "metric", "score", "label_mass", *ps),
            *("status", "reason", "reading", "rationale", "calibrated", "lower", "upper"),
        ]
    ]
    for j in sorted(
        judgments,
        key=lambda j: (
            *dialogue_order(j.system, j.character, j.scenario),
            order.get(j.metric, len(order)),
        ),
    ):
        key = (j.system, j.character, j.scenario, j.metric)
        outcome = j.outcome
        if isinstance(outcome, Failure):
            cells = ["", "", *("" for _ in ps), outcome.code, outcome.reason, ""]
        else:
            numbers = (outcome.expected, outcome.label_mass, *outcome.p)
            cells = [*(f"{number:.6f}" for number in numbers), "ok", "", outcome.reading]
        item = items.get(key)
        on_scale = ("", "", "") if item is None else (f"{item.score:.6f}", item.lower, item.upper)
        rows.append([*key, *cells, j.rationale, *on_scale])
    return csv_text(rows)


def terminal_table(results: Results) -> RenderableType:
    """Metrics by dimension down, systems across, each mean with its standard error."""
    systems = results.systems
    if len(systems) == 1:
        body: list[RenderableType] = [_one_system(results, systems[0])]
    else:
        body = [_several_systems(results, part) for part in _parts(systems)]
        body.append(Text("±: one standard error", style="dim"))
    if results.calibration is not None:
        body += [Text(), _calibrated(results, results.calibration)]
    if results.reference is not None:
        body += [Text(), reference_table(results, results.reference)]
        body += [Text(line) for line in reference_sentences(results)]
    signature = "  ".join(f"{key}: {value}" for key, value in results.signature.items())
    return Group(*body, Text(signature, style="dim"))


def _parts(systems: Sequence[SystemResults]) -> Iterator[Sequence[SystemResults]]:
    for start in range(0, len(systems), _ABREAST):
        yield systems[start : start + _ABREAST]


def _one_system(results: Results, system: SystemResults) -> Table:
    table = _table(system.system)
    mean = "mean, sampled" if system.sampled else "mean"
    for head in ("n", mean, "SE", "unscored", "flagged"):
        table.add_column(head, justify="right")
    for name, title, style in _rows(results):
        measure = system.measures.get(name)
        cells = (
            []
            if measure is None
            else [
                str(measure.n),
                fixed(measure.mean),
                fixed(measure.standard_error, 3),
                share(measure.unscored_share),
                share(measure.flagged),
            ]
        )
        table.add_row(title, *cells, style=style)
    return table


def _several_systems(results: Results, systems: Sequence[SystemResults]) -> Table:
    table = _table(None)
    for system in systems:
        head = _head(system.system) + ("\nsampled" if system.sampled else "")
        table.add_column(head, justify="right", overflow="fold")
    for name, title, style in _rows(results):
        table.add_row(title, *(_mean(s.measures.get(name)) for s in systems), style=style)
    table.add_row("dialogues", *(str(system.dialogues) for system in systems), style="dim")
    table.add_row("unscored", *(share(system.unscored_share) for system in systems), style="dim")
    return table


def _table(title: str | None) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column("metric", no_wrap=True)
    return table


def _head(system: str) -> str:
    """A system's name on lines of at most 10 letters, broken after hyphens."""
    return "\n".join(line.replace("- ", "-") for line in wrap(system.replace("-", "- "), 10))


def _rows(results: Results) -> Iterator[tuple[str, Text, str]]:
    """Name, title and style of each row: dimensions, each before its metrics, then overall."""
    for group in results.groups:
        yield group.name, Text(results.titles[group.name]), "bold"
        for metric in group.metrics:
            yield metric, Text(f"  {results.titles[metric]}"), ""
    if OVERALL in results.titles:
        yield OVERALL, Text(results.titles[OVERALL]), "bold"


def _calibrated(results: Results, calibration: CalibratedResults) -> Group:
    """Means on the human scale with half of their intervals, and why some are missing."""
    interval = f"± half of the {level(calibration.confidence)} interval"
    tables: list[RenderableType] = [
        Text(f"calibrated on {calibration.title}, {interval}", style="bold")
    ]
    for systems in _parts(results.systems):
        table = _table(None)
        for system in systems:
            table.add_column(_head(system.system), justify="right", overflow="fold")
        for name, title, style in _rows(results):
            means = [calibration.mean(system.system, name) for system in systems]
            table.add_row(title, *map(_with_interval, means), style=style)
        tables.append(table)
    if calibration.verdict:
        tables.insert(0, Text(calibration.verdict, style="bold"))
    return Group(*tables, *(Text(f"– {reason}", style="dim") for reason in calibration.missing))


def _with_interval(mean: CalibratedMean | None) -> str:
    if mean is None:
        return ""
    if mean.mean is None or mean.upper is None:
        return fixed(None) if mean.mean is None else f"{fixed(mean.mean)} {fixed(None):5}"
    return f"{fixed(mean.mean)} ±{fixed(mean.upper - mean.mean)}"


def _mean(measure: Measure | None) -> str:
    if measure is None:
        return ""
    return f"{fixed(measure.mean)} ±{fixed(measure.standard_error)}"
