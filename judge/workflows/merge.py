"""Join run folders that one judge made with one rubric: of several machines, or of shards."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from judge import manifest as manifests
from judge.database import make_folder
from judge.errors import StoreError, UsageError
from judge.runs import run_manifest
from judge.store import Store, only_writer

__all__ = ["Merged", "merge"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Merged:
    """A run folder that was made of others.

    Attributes:
        folder: the new folder.
        systems, dialogues, judgments: how many it has.
        failed: how many of the judgments could not be made.
        twice: how many judgments came from more than one folder, all of them equal.
        finished: whether every run was complete.
    """

    folder: Path
    systems: int
    dialogues: int
    judgments: int
    failed: int
    twice: int
    finished: bool


def merge(folders: Sequence[str | Path], out: str | Path) -> Merged:
    """One run folder with the judgments and the dialogues of several.

    It is made beside `out` and then renamed, so that `out` is whole or not there. What is in two
    folders must be equal there; where one has a score and the other a failure, the score counts.
    Reports and what models played stay where they are.

    Args:
        folders: two run folders or more, made by one judge with one rubric and one setting.
        out: the new folder.

    Raises:
        UsageError: fewer than two folders, one of them twice, or `out` is there already.
        StoreError: a folder is no run or cannot be read, or `out` cannot be written.
        RunMismatchError: two folders do not fit, or contradict each other.
    """
    paths, target = list(map(Path, folders)), Path(out)
    if len({path.resolve() for path in paths}) < max(2, len(paths)):
        raise UsageError(
            "to merge takes two different run folders or more",
            hint="judge merge runs/a runs/b --out runs/both",
        )
    if target.exists():
        raise UsageError(f"--out {target}: it is there already", hint="choose another --out")
    merged = run_manifest(paths[0])
    for path in paths[1:]:
        manifest = run_manifest(path)
        manifests.refuse_mismatch(path, manifest, merged)
        shared = {k: v for k, v in merged.options.items() if manifest.options.get(k) == v}
        merged = replace(manifests.merge(merged, manifest), options=shared)
    make_folder(target.parent)
    try:
        part = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as error:
        raise StoreError(f"cannot be made: {error.strerror}", path=target) from error
    try:
        each = 0
        with Store(part) as store:
            for path in paths:
                try:
                    with only_writer(path):
                        store.take_in(path)
                except StoreError as error:
                    if error.path == store.path:  # it is gone when this is read
                        error = StoreError(
                            f"while {path} was added: {error.message}", path=target, hint=error.hint
                        )
                    raise error from None
                with Store(path, create=False) as read:
                    each += read.counts()[2]
            systems, dialogues, judgments, failed = store.counts()
        manifests.write(part, merged)
        part.chmod(0o755)
        part.rename(target)
    except OSError as error:
        raise StoreError(f"cannot be written: {error.strerror}", path=target) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    if not merged.finished:
        _log.info("note: not all of these runs are finished")
    finished = merged.finished is not None
    return Merged(target, systems, dialogues, judgments, failed, each - judgments, finished)
