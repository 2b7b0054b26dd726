"""Where two runs differ: the page, the tables for terminal and spreadsheet, the sentences."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.table import Table

from judge.analysis.results import OVERALL
from judge.analysis.run_differences import MeasureDifference, RunDifferences
from judge.records import write_csv, write_text
from judge.report.format import csv_text, environment, fixed, many, short_title, signed

__all__ = ["difference_sentences", "difference_table", "write_differences"]


def write_differences(differences: RunDifferences, folder: Path) -> Path:
    """Write `compare.html` and `compare.csv`, and return the page.

    Raises:
        StoreError: the folder cannot be written.
    """
    write_csv(folder / "compare.csv", csv_text(_rows(differences)))
    metrics = [m for m in differences.measures if m.measure != OVERALL]
    page = (
        environment()
        .get_template("compare.html.j2")
        .render(
            d=differences,
            title="Two runs over the same dialogues",
            sentences=difference_sentences(differences),
            overall=OVERALL,
            metrics=metrics,
            by_metric={
                m.measure: [e for e in differences.most if e.metric == m.measure] for m in metrics
            },
        )
    )
    return write_text(folder / "compare.html", page)


def difference_sentences(differences: RunDifferences) -> list[str]:
    """What was compared, where the two agree least and most, and whether the order changes."""
    d = differences
    left = [
        f"{many(n, 'dialogue')} {what}"
        for n, what in (
            (d.only_first, "of the first run alone"),
            (d.only_second, "of the second run alone"),
            (d.other_text, "with other texts"),
        )
        if n
    ]
    lines = [
        f"{many(d.dialogues, 'dialogue')} in both runs"
        + (f"; left out: {', '.join(left)}." if left else ".")
    ]
    metrics = [m for m in d.measures if m.measure != OVERALL]
    shifted = [m for m in metrics if m.first is not None and m.second is not None]
    if shifted:
        far = max(shifted, key=_shift)
        lines.append(
            "Every score is the same in both."
            if not any(m.absolute for m in shifted)
            else f"The scores differ most for {short_title(far.title)}: the second gives "
            f"{signed(_signed_shift(far))} points on average."
        )
    known = sorted((m.within_item, m.title) for m in metrics if m.within_item is not None)
    if len(known) > 1:
        (low, least), (high, best) = known[0], known[-1]
        overall = d.measures[-1].within_item
        lines.append(
            f"Between the answers to one item, ρ of the overall score is {fixed(overall)}; by "
            f"metric it runs from {fixed(low)} ({short_title(least)}) to {fixed(high)} "
            f"({short_title(best)})."
        )
    moved = sum(s.first_place != s.second_place for s in d.systems)
    if len(d.systems) > 1:
        lines.append(
            f"{moved} of {many(len(d.systems), 'system')} change their place in the overall order."
        )
    return lines


def difference_table(differences: RunDifferences) -> Table:
    """Measure by measure, for the terminal."""
    table = Table(box=None, pad_edge=False)
    table.add_column("metric", no_wrap=True)
    for head in ("first", "second", "diff.", "|diff.|", "ρ all", "ρ item", "ρ sys.", "n"):
        table.add_column(head, justify="right", no_wrap=True)
    for m in differences.measures:
        shift = None if m.first is None else _signed_shift(m)
        numbers = (fixed(m.first), fixed(m.second), signed(shift), fixed(m.absolute))
        rhos = (fixed(m.rho), fixed(m.within_item), fixed(m.systems))
        style = "bold" if m.measure == OVERALL else ""
        table.add_row(short_title(m.title), *numbers, *rhos, str(m.n), style=style)
    return table


def _signed_shift(measure: MeasureDifference) -> float:
    return (measure.second or 0) - (measure.first or 0)


def _shift(measure: MeasureDifference) -> float:
    return abs(_signed_shift(measure))


def _rows(differences: RunDifferences) -> Iterator[tuple[object, ...]]:
    """The listed dialogues, one row for each of them and metric."""
    yield ("system", "character", "scenario", "metric", "first", "second", "difference")
    for e in differences.most:
        place = (e.system, e.character, e.scenario, e.metric)
        yield (*place, e.first, e.second, e.second - e.first)
