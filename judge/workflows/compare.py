"""Compare two runs over the same dialogues, without ratings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from judge.analysis.run_differences import RunDifferences, compare_runs
from judge.report.compare_page import write_differences
from judge.runs import open_run
from judge.workflows.report import report_folder

__all__ = ["RunComparison", "compare"]


@dataclass(frozen=True, slots=True)
class RunComparison:
    """A comparison that was written.

    Attributes:
        differences: everything that it says.
        page: its HTML page; compare.csv lies beside it.
    """

    differences: RunDifferences = field(repr=False)
    page: Path


def compare(
    first: str | Path | Sequence[str | Path],
    second: str | Path | Sequence[str | Path],
    *,
    out: str | Path = "comparison",
    most: int = 30,
) -> RunComparison:
    """Say where two judges, rubrics or languages differ on the same dialogues.

    Args:
        first, second: each a run folder, or several of one judge and one rubric.
        out: the folder of the page and its files.
        most: how many dialogues are listed for each metric.

    Raises:
        StoreError: a folder is no run, or the page cannot be written.
        RunMismatchError: the runs have other scales, or no metric or dialogue in common.
        UsageError: `out` is a run folder.
    """
    folder = report_folder(out)
    runs = [open_run(*([r] if isinstance(r, str | Path) else r)) for r in (first, second)]
    differences = compare_runs(*runs, most=most)
    return RunComparison(differences, write_differences(differences, folder))
