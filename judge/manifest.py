"""`manifest.json` of a run folder: everything that made its numbers.

It names the judge (with the fingerprint of its weights), the rubric (whole, with its hash),
the data (a hash for each system), the options, the versions and the times. A run goes on only
under the rubric and the judge it was begun with.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from judge import __version__
from judge.errors import RunMismatchError, StoreError
from judge.records import write_text
from judge.types import Dimension, Metric, Rubric

__all__ = ["FORMAT", "Manifest", "finish", "merge", "read", "refuse_mismatch", "write"]

FORMAT = 1
"""The newest format of manifest.json that this version reads."""

_PACKAGES = ("numpy", "scipy", "scikit-learn", "jinja2")
_BESIDE = " | "
_UNFINISHED = (
    "This run is not finished: dialogues that were not reached yet are missing from it. "
    "Run the same `judge eval` again, and it goes on."
)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _environment() -> dict[str, str]:
    """Versions of this program, of Python and of the packages that matter, and the machine."""
    found = {"esrp-judge": __version__, "python": platform.python_version()}
    found |= {package: importlib.metadata.version(package) for package in _PACKAGES}
    found["machine"] = platform.platform()
    commit = _git_commit(Path(__file__).parents[1])
    return found if commit is None else {**found, "git commit": commit}


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
    """What made the judgments of one run folder, or of several of one rubric and judge.

    Attributes:
        rubric: what was asked.
        judge: `name` and `fingerprint`, `rationale` where the judge writes its reason first, and
            what else is worth knowing: engine, device, seed...
        prompts: a hash of what all prompts share.
        data: system -> SHA-256 of the file it was read from.
        options: those of the last command that judged.
        notes: what every report of the run has to say.
        environment: versions and the machine.
        started: when, in ISO 8601.
        finished: when all that was asked for had been judged; None until then.

    Where the run went on under other versions, or on another device, `judge` and `environment`
    name both.
    """

    rubric: Rubric
    judge: Mapping[str, str]
    prompts: str
    data: Mapping[str, str]
    options: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=_environment)
    started: str = field(default_factory=_now)
    finished: str | None = None

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
    return replace(manifest, finished=_now())


def merge(one: Manifest, other: Manifest) -> Manifest:
    """One manifest for a run that goes on, or for the common report of two runs.

    The runs must fit: see `refuse_mismatch`.
    """
    ends = [one.finished, other.finished]
    return replace(
        other,
        judge=_both(one.judge, other.judge),
        data={**one.data, **other.data},
        notes=tuple(dict.fromkeys((*one.notes, *other.notes))),
        environment=_both(one.environment, other.environment),
        started=min(one.started, other.started),
        finished=None if None in ends else max(end for end in ends if end),
    )


def refuse_mismatch(where: Path, there: Manifest, current: Manifest) -> None:
    """Refuse to mix scores of two rubrics or judges, or with and without reasons.

    The message names what differs.

    Raises:
        RunMismatchError: `there`, the manifest of the folder `where`, does not fit `current`.
    """
    differing = [
        f"with {old}, not {new}"
        for old, new in zip(_identity(there), _identity(current), strict=True)
        if old != new
    ]
    if differing:
        raise RunMismatchError(
            f"this run was made {' and '.join(differing)}",
            path=where,
            hint="choose another folder with --out: scores made in two ways do not mix",
        )


def read(folder: Path) -> Manifest | None:
    """The manifest of a run folder, or None where there is none.

    Raises:
        StoreError: it is damaged, or of a newer format.
    """
    path = folder / "manifest.json"
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        if raw["format"] > FORMAT:
            raise StoreError(
                f"format {raw['format']} is newer than this version reads ({FORMAT})",
                path=path,
                hint="upgrade esrp-judge",
            )
        return _manifest(raw)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        what = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise StoreError(
            f"not a readable manifest: {what}",
            path=path,
            hint="restore it from a copy, or judge again into another --out",
        ) from error


def write(folder: Path, manifest: Manifest) -> None:
    """Write manifest.json whole or not at all.

    Raises:
        StoreError: the folder cannot be written.
    """
    text = json.dumps({"format": FORMAT, **asdict(manifest)}, ensure_ascii=False, indent=1)
    write_text(folder / "manifest.json", text + "\n")


def _manifest(raw: Mapping[str, Any]) -> Manifest:
    rubric = raw["rubric"]
    finished = raw["finished"]
    return Manifest(
        rubric=Rubric(
            **{key: str(rubric[key]) for key in ("name", "version", "language", "hash")},
            labels=tuple(rubric["labels"]),
            dimensions=tuple(
                Dimension(d["name"], dict(d["titles"]), tuple(d["metrics"]))
                for d in rubric["dimensions"]
            ),
            metrics=tuple(
                Metric(m["name"], m["dimension"], dict(m["titles"]), m["unit"])
                for m in rubric["metrics"]
            ),
        ),
        judge=_texts({key: raw["judge"][key] for key in ("name", "fingerprint")} | raw["judge"]),
        prompts=str(raw["prompts"]),
        data=_texts(raw["data"]),
        options=dict(raw["options"]),
        notes=tuple(raw["notes"]),
        environment=_texts(raw["environment"]),
        started=str(raw["started"]),
        finished=None if finished is None else str(finished),
    )


def _texts(facts: Mapping[str, object]) -> dict[str, str]:
    return {key: str(value) for key, value in facts.items()}


def _identity(manifest: Manifest) -> tuple[str, ...]:
    rubric, judge = manifest.rubric, manifest.judge
    reasons = f"reasons of {judge['rationale']} (--rationale)" if "rationale" in judge else None
    return (
        f"the rubric {rubric.name} {rubric.version} {rubric.language} (hash {rubric.hash[:16]})",
        f"the judge of fingerprint {judge['fingerprint']}",
        reasons or "no reasons",
    )


def _both(one: Mapping[str, str], other: Mapping[str, str]) -> dict[str, str]:
    """The values of both, side by side where they differ."""
    found: dict[str, dict[str, None]] = {}
    for facts in (one, other):
        for key, text in facts.items():
            found.setdefault(key, {}).update(dict.fromkeys(text.split(_BESIDE)))
    return {key: _BESIDE.join(values) for key, values in found.items()}
