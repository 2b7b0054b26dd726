"""The files of a report: a page for people, a table and the results for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from judge.analysis import ItemKey, ItemScore, Results
from judge.records import write_text
from judge.report.html import render_html
from judge.report.table import scores_csv
from judge.types import Judgment

__all__ = ["ReportFiles", "write_report"]


class ReportFiles(NamedTuple):
    """Where the report lies."""

    html: Path
    scores: Path
    results: Path


def write_report(
    results: Results,
    folder: Path | str,
    *,
    judgments: Sequence[Judgment],
    items: Mapping[ItemKey, ItemScore] = MappingProxyType({}),
) -> ReportFiles:
    """Write `report.html`, `scores.csv` and `results.json`, replacing older ones whole.

    The same results, judgments and calibrated `items` give the same bytes, whatever the order of
    the judgments.

    Raises:
        StoreError: the folder cannot be written.
    """
    folder = Path(folder)
    files = ReportFiles(folder / "report.html", folder / "scores.csv", folder / "results.json")
    write_text(files.html, render_html(results))
    write_text(files.scores, scores_csv(judgments, results, items))
    write_text(
        files.results,
        json.dumps(results.to_dict(), ensure_ascii=False, allow_nan=False, indent=1) + "\n",
    )
    return files
