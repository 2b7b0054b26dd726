"""Run folders that were judged before, read from disk: one, or several of one judge as one run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from judge import manifest as manifests
from judge.errors import RunMismatchError, StoreError, UsageError
from judge.manifest import Manifest
from judge.store import Store
from judge.types import Dialogue, Failure, Judgment, Rubric

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["StoredRun", "group_by_judge", "open_run", "run_manifest", "score_frame", "show_frame"]


@dataclass(frozen=True, slots=True)
class StoredRun:
    """What one run folder holds, or several that one judge made with one rubric.

    Attributes:
        folders: where it was read from.
        manifest: what made the scores; of several folders their common one.
        judgments: one for each dialogue and metric that was judged, failures included.
        dialogues: what was judged.
    """

    folders: tuple[Path, ...]
    manifest: Manifest = field(repr=False)
    judgments: tuple[Judgment, ...] = field(repr=False)
    dialogues: tuple[Dialogue, ...] = field(repr=False)

    @property
    def failed(self) -> int:
        """How many judgments could not be made."""
        return sum(isinstance(judgment.outcome, Failure) for judgment in self.judgments)

    def to_frame(self) -> pd.DataFrame:
        """One row for each judgment; see `score_frame` for the columns."""
        return score_frame(self.judgments, self.manifest.rubric.labels)

    def _repr_html_(self) -> str:
        rubric = self.manifest.rubric
        return show_frame(
            self.to_frame(),
            f"Run {', '.join(map(str, self.folders))}: judge {self.manifest.judge['name']}, "
            f"rubric {rubric.name} {rubric.version} {rubric.language}, "
            f"{len(self.dialogues)} dialogues",
        )


def open_run(*folders: str | Path) -> StoredRun:
    """The run of a folder that `judge eval` wrote; of several folders, all their judgments.

    Args:
        folders: at least one run folder. Several must be of one judge and one rubric.

    Raises:
        StoreError: a folder is no run, or cannot be read.
        RunMismatchError: two folders were made with different judges or rubrics.
        UsageError: no folder was named.
    """
    if not folders:
        raise UsageError("no run folder is named", hint="name a folder that `judge eval` wrote")
    merged: Manifest | None = None
    judgments: list[Judgment] = []
    dialogues: list[Dialogue] = []
    paths = tuple(map(Path, folders))
    for path in paths:
        manifest = run_manifest(path)
        if merged is not None:
            manifests.refuse_mismatch(path, manifest, merged)
        merged = manifest if merged is None else manifests.merge(merged, manifest)
        with Store(path, create=False) as store:
            found = store.judgments()
            dialogues += store.dialogues()
        _refuse_foreign(path, found, manifest.rubric)
        judgments += found
    assert merged is not None  # noqa: S101 - there is at least one folder
    return StoredRun(paths, merged, tuple(judgments), tuple(dialogues))


def group_by_judge(folders: Iterable[str | Path]) -> list[list[Path]]:
    """The folders in groups that were made with one judge and one rubric, in the given order.

    Raises:
        StoreError: a folder is no run, or its manifest cannot be read.
    """
    groups: list[tuple[Manifest, list[Path]]] = []
    for path in map(Path, folders):
        manifest = run_manifest(path)
        for first, members in groups:
            try:
                manifests.refuse_mismatch(path, manifest, first)
            except RunMismatchError:
                continue
            members.append(path)
            break
        else:
            groups.append((manifest, [path]))
    return [members for _, members in groups]


def score_frame(judgments: Sequence[Judgment], labels: Sequence[str]) -> pd.DataFrame:
    """Judgments as a table, in the columns of scores.csv without the calibrated ones.

    Columns: `system`, `character`, `scenario`, `metric`; `score`, the expected label; `label_mass`,
    the probability that fell on the labels, in [0, 1]; `p1`, `p2`, ..., the renormalised
    probability of each label; `status`, `ok` or the code of a failure, with its `reason`;
    `reading`, how the probabilities were got; `rationale`, the judge's reason if it wrote one.
    Numbers are NaN where there is no score.
    """
    import pandas as pd

    rows = []
    for j in judgments:
        row: dict[str, object] = {
            "system": j.system,
            "character": j.character,
            "scenario": j.scenario,
            "metric": j.metric,
        }
        if isinstance(j.outcome, Failure):
            row |= {"status": j.outcome.code, "reason": j.outcome.reason}
        else:
            row |= {"score": j.outcome.expected, "label_mass": j.outcome.label_mass}
            row |= {f"p{label}": p for label, p in zip(labels, j.outcome.p, strict=True)}
            row |= {"status": "ok", "reason": "", "reading": j.outcome.reading}
        rows.append(row | {"rationale": j.rationale})
    numbers = ["score", "label_mass", *(f"p{label}" for label in labels)]
    texts = ["status", "reason", "reading", "rationale"]
    columns = ["system", "character", "scenario", "metric", *numbers, *texts]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(numbers, "float64"))


def show_frame(frame: pd.DataFrame, title: str) -> str:
    """A frame as a short HTML table for a notebook, every text escaped."""
    table = frame.to_html(
        index=False, escape=True, border=0, max_rows=20, na_rep="–", float_format="{:.3f}".format
    )
    return f"<p>{escape(title)}</p>\n{table}"


def _refuse_foreign(folder: Path, judgments: Iterable[Judgment], rubric: Rubric) -> None:
    """Refuse judgments that are not of the rubric that the manifest has."""
    metrics = {metric.name for metric in rubric.metrics}
    for j in judgments:
        fault = None if j.metric in metrics else "the metric is not one of manifest.json"
        if not isinstance(j.outcome, Failure) and len(j.outcome.logprobs) != len(rubric.labels):
            fault = (
                f"it has {len(j.outcome.logprobs)} probabilities, and manifest.json has "
                f"{len(rubric.labels)} labels"
            )
        if fault is not None:
            raise StoreError(
                f"{j.system}/{j.character}/{j.scenario}/{j.metric}: {fault}",
                path=folder / "judge.sqlite",
                hint="restore the folder from a copy, or judge again into another --out",
            )


def run_manifest(folder: Path) -> Manifest:
    """The manifest of a run folder.

    Raises:
        StoreError: the folder has none, or it cannot be read.
    """
    manifest = manifests.read(folder)
    if manifest is None:
        raise StoreError(
            "this is no run folder: it has no manifest.json",
            path=folder,
            hint="name the folder that `judge eval` wrote",
        )
    return manifest
