"""The judgments of runs as one table in a file, and the list of the runs in a folder."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from judge import manifest as manifests
from judge.errors import JudgeError, MissingExtraError, StoreError, UsageError
from judge.records import write_bytes, write_csv, write_text
from judge.runs import open_run
from judge.store import Store

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FORMATS", "Exported", "RunEntry", "export", "list_runs"]

FORMATS = (".csv", ".jsonl", ".parquet")
"""The endings of the files that `export` can write."""


@dataclass(frozen=True, slots=True)
class Exported:
    """A file of judgments that was written.

    Attributes:
        rows: how many judgments it holds, one in each row.
        failed: how many of them are failures, which have no score.
    """

    path: Path
    rows: int
    failed: int


def export(
    runs: str | Path | Sequence[str | Path], out: str | Path, *, dialogues: bool = False
) -> Exported:
    """Write every judgment of runs of one judge and one rubric, failures included, as a table.

    Columns: those of `judge.runs.score_frame`; with `dialogues` also `question_1`, `answer_1`,
    `question_2`, ... of the judged dialogue. Numbers are written so that they read back exactly;
    where there is no score they are empty (CSV), null (JSON lines) or missing (Parquet).

    Args:
        runs: one run folder or more.
        out: the file; its ending is one of `FORMATS`. An older file is replaced.
        dialogues: add what was judged to each row.

    Raises:
        UsageError: the ending is none of these.
        MissingExtraError: a Parquet file without pyarrow.
        StoreError: a folder is no run or cannot be read, or the file cannot be written.
        RunMismatchError: two folders were made with different judges or rubrics.
    """
    path = Path(out)
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise UsageError(
            f"cannot tell the format of {path.name!r} by its ending",
            hint=f"end its name in {', '.join(FORMATS[:-1])} or {FORMATS[-1]}",
        )
    run = open_run(*([runs] if isinstance(runs, str | Path) else runs))
    frame = run.to_frame()
    if dialogues:
        texts = [
            {
                "system": dialogue.system,
                "character": dialogue.character,
                "scenario": dialogue.scenario,
                **{
                    f"{part}_{number}": text
                    for number, turn in enumerate(dialogue.turns, start=1)
                    for part, text in (("question", turn.question), ("answer", turn.answer))
                },
            }
            for dialogue in run.dialogues
        ]
        frame = _beside(frame, texts)
    if suffix == ".csv":
        write_csv(path, frame.to_csv(index=False, lineterminator="\n"))
    elif suffix == ".jsonl":
        write_text(path, _json_lines(frame))
    else:
        write_bytes(path, _parquet(frame))
    return Exported(path, len(frame), run.failed)


def _beside(frame: pd.DataFrame, texts: Sequence[dict[str, str]]) -> pd.DataFrame:
    import pandas as pd

    names = ["system", "character", "scenario"]
    return frame.merge(pd.DataFrame(texts), on=names, how="left", validate="many_to_one")


def _json_lines(frame: pd.DataFrame) -> str:
    """One JSON object for each row; pandas itself would round numbers to 15 digits."""
    records = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return "".join(f"{json.dumps(record, ensure_ascii=False)}\n" for record in records)


def _parquet(frame: pd.DataFrame) -> bytes:
    content = io.BytesIO()
    try:
        frame.to_parquet(content, index=False)
    except ImportError:
        raise MissingExtraError("pyarrow", extra="parquet", purpose="a Parquet file") from None
    return content.getvalue()


@dataclass(frozen=True, slots=True)
class RunEntry:
    """One run folder in a list.

    Attributes:
        judge: its name.
        systems: how many systems were judged.
        dialogues: how many dialogues it holds.
        judgments: how many judgments were made, failures included.
        failed: how many of them have no score.
        size: of all files in the folder, in bytes.
        started: when, in ISO 8601; "" if that cannot be read.
        state: `finished`; `unfinished`, which `judge eval` goes on with; or `unreadable`.
        reason: why it is unreadable, or "".
    """

    folder: Path
    judge: str = ""
    rubric: str = ""
    systems: int = 0
    dialogues: int = 0
    judgments: int = 0
    failed: int = 0
    size: int = field(default=0, kw_only=True)
    started: str = ""
    state: Literal["finished", "unfinished", "unreadable"] = "unreadable"
    reason: str = ""


def list_runs(folders: Iterable[str | Path] = ("runs",)) -> list[RunEntry]:
    """The run folders among `folders` and directly below them, oldest first.

    A folder is a run if it has a `manifest.json` or a `judge.sqlite`. A run that cannot be read is
    listed with its reason: it hides no other.

    Raises:
        StoreError: one of the folders does not exist.
    """
    found: dict[Path, None] = {}
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise StoreError(
                "this is no folder", path=folder, hint="name a run folder, or a folder with runs"
            )
        below = sorted(path for path in folder.iterdir() if path.is_dir())
        found.update(dict.fromkeys(path for path in (folder, *below) if _is_run(path)))
    return sorted(map(_entry, found), key=lambda entry: (entry.started, entry.folder))


def _is_run(folder: Path) -> bool:
    return any((folder / name).is_file() for name in ("manifest.json", "judge.sqlite"))


def _entry(folder: Path) -> RunEntry:
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    try:
        made = manifests.read(folder)
        if made is None:
            raise StoreError("it has no manifest.json", path=folder)
        with Store(folder, create=False) as store:
            systems, dialogues, judgments, failed = store.counts()
    except JudgeError as error:
        return RunEntry(folder, size=size, reason=str(error))
    rubric = f"{made.rubric.name} {made.rubric.version} {made.rubric.language}"
    return RunEntry(
        folder,
        made.judge["name"],
        rubric,
        systems,
        dialogues,
        judgments,
        failed,
        size=size,
        started=made.started,
        state="finished" if made.finished else "unfinished",
    )
