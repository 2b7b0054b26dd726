"""`manifest.json` of a run folder: what its numbers were made with.

It names the judge (with the fingerprint of its weights), the rubric (in full, with its hash),
the data (a hash for each system), the options, the versions and the times. A run can be resumed
only with the rubric and the judge that it was begun with.
"""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from judge import __version__
from judge.errors import RunMismatchError
from judge.records import read_record_if_present, write_record
from judge.types import Rubric

__all__ = [
    "BESIDE",
    "FORMAT",
    "Manifest",
    "environment",
    "finish",
    "merge",
    "read",
    "refuse_mismatch",
    "utc_now",
    "write",
]

FORMAT = 1
"""The newest format of manifest.json that this version reads."""

_NAME = "manifest.json"
_PACKAGES = ("numpy", "scipy", "scikit-learn", "jinja2")
BESIDE = " | "
"""Stands between the values of a fact that differed in the course of a run."""
_UNFINISHED = (
    "This run is not finished: dialogues that were not reached yet are missing from it. "
    "Run the same `judge eval` again, and it goes on."
)


def utc_now() -> str:
    """The time in ISO 8601, in whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def environment() -> dict[str, str]:
    """Versions of this program, of Python and of the packages that compute, and the machine."""
    versions = {"esrp-judge": __version__, "python": platform.python_version()}
    versions |= {package: importlib.metadata.version(package) for package in _PACKAGES}
    versions["machine"] = platform.platform()
    commit = _git_commit(Path(__file__).parents[1])
    return versions if commit is None else {**versions, "git commit": commit}


def _git_commit(root: Path) -> str | None:
    """The commit of the checkout at `root`, marked where files differ from it; None without one.

    Only if `root` is itself the checkout: an installed program may lie inside another one.
    """
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "--no-optional-locks", "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(  # noqa: S603 - no part of the command comes from the user
            [*command, "--abbrev=40", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


@dataclass(frozen=True, slots=True)
class Manifest:
    """What made the judgments of one run folder, or of several with one rubric and judge.

    Attributes:
        rubric: the rubric set that the prompts were made from.
        judge: `name` and `fingerprint`; `rationale` where the judge writes a reason first; and
            what else is worth knowing: engine, device, seed...
        prompts: a hash of the text that all prompts share.
        data: system -> SHA-256 of the file that its dialogues were read from.
        options: of the last command that judged.
        notes: warnings that every report of the run shows.
        environment: versions of programs, and the machine.
        started: when, in ISO 8601.
        finished: when the last judgment that was asked for had been made; None until then.

    A run that was resumed with other versions or on another device has both in `judge` and
    `environment`.
    """

    rubric: Rubric
    judge: Mapping[str, str]
    prompts: str
    data: Mapping[str, str]
    options: Mapping[str, Any]
    notes: tuple[str, ...]
    environment: Mapping[str, str]
    started: str
    finished: str | None

    def __post_init__(self) -> None:
        for key in ("name", "fingerprint"):
            if key not in self.judge:
                raise ValueError(f"the judge has no `{key}`")
        if len(self.rubric.labels) < 2:
            raise ValueError(f"a rubric has two labels or more, not {len(self.rubric.labels)}")

    @classmethod
    def begin(
        cls,
        rubric: Rubric,
        judge: Mapping[str, str],
        prompts: str,
        data: Mapping[str, str],
        options: Mapping[str, Any],
        notes: tuple[str, ...] = (),
    ) -> Manifest:
        """The manifest of a run that begins now, on this machine."""
        return cls(rubric, judge, prompts, data, options, notes, environment(), utc_now(), None)

    @property
    def notices(self) -> tuple[str, ...]:
        """The notes, and whether the run is unfinished."""
        return self.notes if self.finished else (_UNFINISHED, *self.notes)

    @property
    def provenance(self) -> dict[str, str]:
        """The facts as label and text, for the signature and the foot of a report."""
        facts = dict(self.judge)
        ordered = {"judge": facts.pop("name"), "judge fingerprint": facts.pop("fingerprint")}
        ordered |= facts
        rubric = self.rubric
        ordered["rubric"] = f"{rubric.name} {rubric.version} {rubric.language}"
        ordered |= {"rubric hash": rubric.hash, "prompts hash": self.prompts}
        ordered |= {f"data {system}": digest for system, digest in self.data.items()}
        ordered |= {"started": self.started, "finished": self.finished or "not finished"}
        return ordered | dict(self.environment)


def finish(manifest: Manifest) -> Manifest:
    """The manifest of a run that is complete now."""
    return replace(manifest, finished=utc_now())


def merge(first: Manifest, second: Manifest) -> Manifest:
    """One manifest for a run that is resumed, or for the common report of two runs.

    The runs must fit: see `refuse_mismatch`.
    """
    ends = [first.finished, second.finished]
    return replace(
        second,
        judge=_both(first.judge, second.judge),
        data=_both(first.data, second.data),
        notes=tuple(dict.fromkeys((*first.notes, *second.notes))),
        environment=_both(first.environment, second.environment),
        started=min(first.started, second.started),
        finished=None if None in ends else max(end for end in ends if end),
    )


def refuse_mismatch(folder: Path, stored: Manifest, current: Manifest) -> None:
    """Refuse to mix scores of two rubrics or judges, or scores with and without reasons.

    Raises:
        RunMismatchError: `stored`, the manifest of the run `folder`, does not fit `current`; the
            message names what differs.
    """
    differing = [
        f"with {old}, not {new}"
        for old, new in zip(_identity(stored), _identity(current), strict=True)
        if old != new
    ]
    if differing:
        raise RunMismatchError(
            f"this run was made {' and '.join(differing)}",
            path=folder,
            hint="scores made in two ways do not mix: give each way an --out of its own",
        )


def read(folder: Path) -> Manifest | None:
    """The manifest of a run folder, or None where there is none.

    Raises:
        StoreError: it is damaged, or of a newer format.
    """
    return read_record_if_present(
        folder / _NAME,
        Manifest,
        newest=FORMAT,
        kind="manifest",
        hint="restore it from a copy, or judge again into another --out",
    )


def write(folder: Path, manifest: Manifest) -> None:
    """Write manifest.json whole or not at all.

    Raises:
        StoreError: the folder cannot be written.
    """
    write_record(folder / _NAME, manifest, format=FORMAT)


def _identity(manifest: Manifest) -> tuple[str, ...]:
    rubric, judge = manifest.rubric, manifest.judge
    reasons = f"reasons of {judge['rationale']} (--rationale)" if "rationale" in judge else None
    return (
        f"the rubric {rubric.name} {rubric.version} {rubric.language} (hash {rubric.hash[:16]})",
        f"the judge of fingerprint {judge['fingerprint']}",
        reasons or "no reasons",
    )


def _both(first: Mapping[str, str], second: Mapping[str, str]) -> dict[str, str]:
    """The values of both, side by side where they differ."""
    merged: dict[str, dict[str, None]] = {}
    for facts in (first, second):
        for key, text in facts.items():
            values = filter(None, text.split(BESIDE))
            merged.setdefault(key, {}).update(dict.fromkeys(values))
    return {key: BESIDE.join(values) for key, values in merged.items()}
