"""Every stored record of its present format: it still reads, and is written as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from judge import calibration_file, manifest
from judge.analysis import ranking, results
from judge.analysis.agreement import agreement_records, two_judges
from judge.analysis.agreement.agreement_records import Agreement
from judge.analysis.agreement.two_judges import Comparisons
from judge.analysis.results import Results
from judge.calibration_file import Calibration
from judge.manifest import Manifest
from judge.records import read_record, write_record
from judge.roleplay import playing_summary

GOLDEN = Path(__file__).parents[1] / "golden" / "records"

FORMATS: dict[str, tuple[type, int]] = {
    "agreement": (Agreement, agreement_records.FORMAT),
    "calibration": (Calibration, calibration_file.FORMAT),
    "comparison": (Comparisons, two_judges.FORMAT),
    "leaderboard": (ranking.Leaderboard, ranking.FORMAT),
    "manifest": (Manifest, manifest.FORMAT),
    "played": (playing_summary.PlayingSummary, playing_summary.FORMAT),
    "results": (Results, results.FORMAT),
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_golden_file_of_the_present_format_reads(name: str, tmp_path: Path) -> None:
    """And written again it has the same bytes; a new format needs a golden file of its own."""
    record_type, version = FORMATS[name]
    path = GOLDEN / f"{name}-v{version}.json"
    found = read_record(path, record_type, newest=version, kind=name, hint="")
    again = write_record(tmp_path / "again.json", found, format=version)
    before = path.read_text(encoding="utf-8")
    if name == "results":  # it used to repeat the format of the played records inside
        before = before.replace('\n   "format": 1,\n', "\n")
    assert again.read_text(encoding="utf-8") == before
