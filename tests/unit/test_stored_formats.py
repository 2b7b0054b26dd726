"""Every stored record of its present format still reads, is written as it was, and has a schema."""

from __future__ import annotations

import inspect
import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from judge import calibration_file, manifest
from judge.analysis import probe_records, ranking, results
from judge.analysis.agreement import agreement_records, two_judges
from judge.analysis.agreement.agreement_records import Agreement
from judge.analysis.agreement.two_judges import Comparisons
from judge.analysis.results import Results
from judge.calibration_file import Calibration
from judge.manifest import Manifest
from judge.records import read_record, write_record
from judge.roleplay import playing_summary

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden" / "records"

FORMATS: dict[str, tuple[type, int]] = {
    "agreement": (Agreement, agreement_records.FORMAT),
    "calibration": (Calibration, calibration_file.FORMAT),
    "comparison": (Comparisons, two_judges.FORMAT),
    "leaderboard": (ranking.Leaderboard, ranking.FORMAT),
    "manifest": (Manifest, manifest.FORMAT),
    "played": (playing_summary.PlayingSummary, playing_summary.FORMAT),
    "probe": (probe_records.ProbeRecord, probe_records.FORMAT),
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


OLDER = [
    (name, version)
    for name, (_, newest) in FORMATS.items()
    for version in range(1, newest)
    if (GOLDEN / f"{name}-v{version}.json").exists()
]


@pytest.mark.parametrize(("name", "version"), OLDER)
def test_golden_files_of_older_formats_read(name: str, version: int) -> None:
    """Every number that they hold is in the record; what they lack has its default."""
    record_type, newest = FORMATS[name]
    path = GOLDEN / f"{name}-v{version}.json"
    found = read_record(path, record_type, newest=newest, kind=name, hint="")
    assert_holds(msgspec.to_builtins(found), json.loads(path.read_text(encoding="utf-8")))


def assert_holds(found: Any, stored: Any) -> None:
    if isinstance(stored, dict):
        for key in stored.keys() - {"format"}:
            assert_holds(found[key], stored[key])
    elif isinstance(stored, list):
        assert len(found) == len(stored)
        for one, other in zip(found, stored, strict=True):
            assert_holds(one, other)
    else:
        assert found == stored


def json_schema(record_type: type, version: int) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the files that hold such a record."""
    schema = msgspec.json.schema(record_type)
    for definition in schema["$defs"].values():
        definition["description"] = inspect.cleandoc(definition["description"])
    record = schema["$defs"][record_type.__name__]
    record["properties"] = {"format": {"const": version}, **record["properties"]}
    record["required"] = ["format", *record["required"]]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


@pytest.mark.parametrize("name", FORMATS)
def test_the_schemas_are_current(name: str) -> None:
    """WRITE_GOLDEN=1 writes them anew; docs/formats.md names each."""
    record_type, version = FORMATS[name]
    path = ROOT / "docs" / "schemas" / f"{name}-v{version}.json"
    schema = json.dumps(json_schema(record_type, version), indent=1) + "\n"
    if os.environ.get("WRITE_GOLDEN"):
        path.write_text(schema, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == schema, "write it anew: WRITE_GOLDEN=1 pytest"
    assert f"(schemas/{path.name})" in (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
