"""The page, the sentences and the tables of a probe, of the golden record and of hostile names."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from pathlib import Path

import pytest

from judge.analysis.probe_records import FORMAT, MeanShift, ProbeRecord
from judge.records import read_record
from judge.report.paper.latex import latex_table
from judge.report.paper.table import markdown_table
from judge.report.probe_page import render_probe
from judge.report.probe_summary import bait_verdict, probe_csv, probe_table, side_by_side, verdict

GOLDEN = Path(__file__).parents[2] / "golden" / "records" / f"probe-v{FORMAT}.json"
HOSTILE = "<script>alert(1)</script>\u202e"


@pytest.fixture
def record() -> ProbeRecord:
    return read_record(GOLDEN, ProbeRecord, newest=FORMAT, kind="probe", hint="")


def test_the_verdict_says_what_is_seen_and_what_is_not_known(record: ProbeRecord) -> None:
    """Numbers are those of the record; a metric that nothing concerns is not counted."""
    (finding,) = record.findings
    lines = verdict(record, finding)
    assert lines[0].startswith("It sees damage on 1 of 1 metric: a damaged reply scores lower in")
    assert "0.88 of the pairs" in lines[0]
    assert "1 of 1 are open" in lines[1]
    assert any("0.97 of the pairs [0.85, 1.00]" in line for line in lines)
    assert lines[-1] == "1 judgment of 6,984 could not be made."


def test_the_words_for_a_bait(record: ProbeRecord) -> None:
    """Open where the interval says neither, and not applied where there is no pair."""
    (finding,) = record.findings
    assert [bait_verdict(bait) for bait in finding.baits] == ["open", "not applied", "falls"]
    padding = finding.baits[0]
    assert bait_verdict(replace(padding, resisted=False)) == "takes it"
    assert bait_verdict(replace(padding, resisted=True)) == "resists"
    assert bait_verdict(replace(padding, resisted=True, equivalent=True)) == "equivalent"


def test_a_bait_that_is_taken_is_named_with_what_it_buys(record: ProbeRecord) -> None:
    """The largest first."""
    (finding,) = record.findings
    shift = MeanShift(12, 0.85, 0.5, 1.1)
    taken = replace(finding.baits[0], resisted=False, shift=shift)
    line = verdict(record, replace(finding, baits=(taken,)))[1]
    assert line == "It takes 1 bait: Length padding (+0.85)."


def test_names_of_others_are_escaped(record: ProbeRecord) -> None:
    """In the page, for the name of a judge and of a rubric and the source of the dialogues."""
    (finding,) = record.findings
    hostile = replace(finding, name=HOSTILE, judge=HOSTILE, rubric=HOSTILE, note=HOSTILE)
    page = render_probe(
        replace(record, findings=(hostile, finding), source=HOSTILE, notes=(HOSTILE,))
    )
    assert "<script>alert" not in page
    assert "\u202e" not in page
    assert "Side by side" in page
    assert page.count("<script>") == 1
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_the_tables_hold_the_numbers(record: ProbeRecord) -> None:
    """Of the CSV every one; what is missing is empty there and a dash with a reason in LaTeX."""
    rows = list(csv.DictReader(io.StringIO(probe_csv(record))))
    found = {(r["part"], r["name"], r["measure"], r["statistic"]): r for r in rows}
    auc = found["rows", "swap_characters", "fluency", "auc 2"]
    assert (auc["value"], auc["lower"], auc["n"]) == ("0.900000", "0.700000", "12")
    assert found["all", "", "", "halo"]["upper"] == "0.470000"
    assert found["sensitivity", "", "speech_style", "auc"]["value"] == ""
    assert found["specificity", "swap_characters", "", "specificity"]["value"] == "0.250000"
    table = probe_table(record)
    assert "0.88" in latex_table(table)
    assert "no perturbation concerns it" in latex_table(table)
    assert "| 0.88 | [0.76, 0.97] | 0.93 |" in markdown_table(table)
    assert dict(side_by_side(record))["Halo"] == ["0.31 [0.14, 0.47]"]
