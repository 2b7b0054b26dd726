"""The page of a probe, and the files beside it."""

from __future__ import annotations

import math
from pathlib import Path

from judge.analysis.probe_records import FORMAT, ProbeFinding, ProbeRecord
from judge.baits import ALL, BAITS
from judge.records import write_csv, write_record, write_text
from judge.report.figures import ReportFigure, inline
from judge.report.figures.heatmap import heatmap
from judge.report.figures.style import drawable
from judge.report.format import Axis, Footnotes, environment, level, script, signed
from judge.report.paper.latex import latex_table
from judge.report.paper.table import markdown_table
from judge.report.probe_summary import (
    ALTERATIONS,
    KNOWN_ANSWERS,
    bait_verdict,
    probe_csv,
    probe_table,
    requirement_sentence,
    short_metrics,
    side_by_side,
    verdict,
)

__all__ = ["render_probe", "write_probe"]


def write_probe(record: ProbeRecord, folder: Path) -> Path:
    """Write `probe.html`, `.json`, `.csv`, `.md` and `.tex`, and return the page.

    The same record gives the same bytes.

    Raises:
        StoreError: the folder cannot be written.
    """
    table = probe_table(record)
    write_record(folder / "probe.json", record, format=FORMAT)
    write_csv(folder / "probe.csv", probe_csv(record))
    write_text(folder / "probe.md", markdown_table(table))
    write_text(folder / "probe.tex", latex_table(table))
    return write_text(folder / "probe.html", render_probe(record))


def render_probe(record: ProbeRecord) -> str:
    """The page as HTML.

    It loads nothing from elsewhere, escapes every text from the data and is readable without its
    script.
    """
    several = len(record.findings) > 1
    ends = [
        abs(end)
        for finding in record.findings
        for bait in finding.baits
        for end in (bait.shift.lower, bait.shift.value, bait.shift.upper)
        if end is not None
    ]
    most = math.ceil(2 * max(ends, default=1)) / 2 or 1.0
    names = " and ".join(finding.name for finding in record.findings)
    pictures = [
        (finding, damage_map(record, finding, at), bait_map(record, finding, at))
        for at, finding in enumerate(record.findings)
    ]
    return (
        environment()
        .get_template("probe.html.j2")
        .render(
            r=record,
            title=f"What {names} {'see' if several else 'sees'}",
            several=several,
            script=script(),
            short=short_metrics(record) | {ALL: "Overall"},
            verdicts={finding.name: verdict(record, finding) for finding in record.findings},
            required=[
                (one.met, requirement_sentence(one, several=several)) for one in record.requirements
            ],
            maps=[(finding, a, a and inline(a), b, b and inline(b)) for finding, a, b in pictures],
            axis=Axis(-most, most),
            share_axis=Axis(0, 1),
            side_by_side=side_by_side(record),
            bait_verdict=bait_verdict,
            alterations=ALTERATIONS,
            known_answers=KNOWN_ANSWERS,
            footnotes=Footnotes,
            signature=_signature(record),
        )
    )


def damage_map(record: ProbeRecord, finding: ProbeFinding, at: int = 0) -> ReportFigure | None:
    """Mean shifts of all metrics under every perturbation; None where none applied."""
    return _map(
        record,
        finding,
        ALTERATIONS,
        name=f"damage-{at}",
        title=f"What damage does to the scores of {drawable(finding.name, 80)}",
        caption="Mean change of the score in points when a reply is damaged, in the strongest "
        "form. Framed: what should fall. Orange falls, blue rises; ideally only the frames are "
        "orange.",
    )


def bait_map(record: ProbeRecord, finding: ProbeFinding, at: int = 0) -> ReportFigure | None:
    """The same under every bait."""
    return _map(
        record,
        finding,
        {name: bait.title for name, bait in BAITS.items()},
        name=f"baits-{at}",
        title=f"What baits buy from {drawable(finding.name, 80)}",
        caption="Mean change of the score in points. Blue is what a bait buys; framed: what "
        "should fall.",
    )


def _map(
    record: ProbeRecord,
    finding: ProbeFinding,
    rows: dict[str, str],
    *,
    name: str,
    title: str,
    caption: str,
) -> ReportFigure | None:
    columns = short_metrics(record)
    cells = {(c.alteration, c.measure): c for c in finding.cells}
    present = [row for row in rows if any((row, column) in cells for column in columns)]
    if not present:
        return None
    table = [[cells[row, column] for column in columns] for row in present]
    found = [abs(c.shift.value) for row in table for c in row if c.shift.value is not None]
    most = max(0.5, math.ceil(2 * max(found, default=0)) / 2)
    order = [metric for group in record.groups.values() for metric in group]
    starts = {group[0] for group in record.groups.values()}
    return heatmap(
        [[cell.shift.value for cell in row] for row in table],
        [rows[row] for row in present],
        list(columns.values()),
        name=name,
        title=title,
        caption=caption,
        words=[
            f"{rows[row]}: "
            + ", ".join(f"{columns[c.measure]} {signed(c.shift.value)}" for c in cells_of_row)
            + "."
            for row, cells_of_row in zip(present, table, strict=True)
        ],
        low=-most,
        high=most,
        gaps=[
            at for at, metric in enumerate(columns) if at and metric in starts and metric in order
        ],
        outlined={
            (y, x) for y, row in enumerate(table) for x, cell in enumerate(row) if cell.target
        },
    )


def _signature(record: ProbeRecord) -> dict[str, str]:
    rubrics = dict.fromkeys(finding.rubric for finding in record.findings)
    return {
        "rubric": "; ".join(rubrics),
        "dialogues": f"{record.dialogues} of {record.source}",
        "systems": str(record.systems),
        "characters": str(record.characters),
        "scenarios": str(record.scenarios),
        "altered": f"{record.altered:,}",
        "intervals": f"{level(record.confidence)}, {record.resamples:,} resamples",
        "seed": str(record.seed),
    }
