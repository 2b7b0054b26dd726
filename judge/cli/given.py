"""What `judge eval` is given: recorded dialogues, or scenes to be played."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from judge import manifest as manifests
from judge.cli.eval_print import say_played
from judge.cli.stage import Stage
from judge.dialogues import read_dialogues, select
from judge.errors import RunMismatchError, UsageError
from judge.manifest import Manifest
from judge.roleplay.playing_summary import PlayingSummary
from judge.types import Dialogue

__all__ = ["Given", "live_dialogues", "recorded_dialogues", "refuse_other"]


class Given(NamedTuple):
    """What `--model` names: dialogues, or scenes to be played, which are dialogues to come.

    `whole` says whether no dialogue of its characters is left out, `played` how a model played.
    """

    name: str
    dialogues: tuple[Dialogue, ...]
    sources: Mapping[str, str]
    whole: bool
    stage: Stage | None = None
    played: tuple[PlayingSummary, ...] = ()

    @property
    def facts(self) -> dict[str, dict[str, str]]:
        """What the manifest says of it."""
        return {"played": dict(self.played[0].facts)} if self.played else {}

    def perform(self, folder: Path) -> Given:
        """The dialogues that the scenes become."""
        if self.stage is None:
            return self
        found, played = self.stage.perform(folder)
        say_played(played)
        return self._replace(dialogues=found.dialogues, sources=found.sources, played=(played,))


def recorded_dialogues(models: Sequence[Path], wanted: Mapping[str, Any]) -> Given:
    """The chosen dialogues of these files.

    Args:
        models: see `read_dialogues`.
        wanted: the arguments of `select`.

    Raises:
        DataError: a file cannot be read.
        UsageError: a system was given twice, or nothing is selected.
    """
    dialogues, sources = _read(models)
    chosen = select(dialogues, **wanted)
    whole = len(chosen) == len(select(dialogues, characters=wanted["characters"]))
    return Given(models[0].resolve().stem, chosen, sources, whole)


def live_dialogues(ready: Stage) -> Given:
    """The scenes of a stage, before they are played."""
    return Given(ready.system, ready.blanks, {}, ready.whole, ready)


def refuse_other(folder: Path, manifest: Manifest) -> None:
    """Refuse a folder in which what is played now could not be judged.

    Raises:
        RunMismatchError: it was made with another judge or rubric, or of recorded dialogues.
    """
    there = manifests.read(folder)
    if there is None:
        return
    manifests.refuse_mismatch(folder, there, manifest)
    recorded = [] if (folder / "play.sqlite").is_file() else there.data.keys() & manifest.data
    if recorded:
        raise RunMismatchError(
            f"the {' and '.join(recorded)} of this run was recorded, not played",
            path=folder,
            hint="choose another --out, or another --name for the model",
        )


def _read(models: Sequence[Path]) -> tuple[tuple[Dialogue, ...], Mapping[str, str]]:
    """The dialogues of all files, and the SHA-256 of the file of each system."""
    dialogues: list[Dialogue] = []
    sources: dict[str, str] = {}
    for path in models:
        found = read_dialogues(path)
        twice = sources.keys() & found.sources.keys()
        if twice:
            raise UsageError(
                f"--model {path}: the system {', '.join(sorted(twice))} was given before",
                hint="give every system once; a system is named by its file, or in its table",
            )
        dialogues += found.dialogues
        sources |= found.sources
    return tuple(dialogues), sources
