"""The calibration file: one JSON that says how a judge's scores become human ones.

It is written by `judge calibrate` and used by `judge eval` and `judge report`. It holds the fitted
maps as plain numbers, the tables that led to them, and what they were made of. A map belongs to the
judge, the rubric and the prompts that it was fitted with, and is refused for others.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from calibration.calibrators import Calibrator, from_dict
from judge.errors import RunMismatchError, StoreError
from judge.records import write_text
from judge.types import Rubric

__all__ = ["FORMAT", "Calibration", "Fit", "Kind", "MadeWith", "read", "refuse_mismatch", "write"]

FORMAT = 1
"""The newest format of a calibration that this version reads."""

Kind = Literal["ratings", "published"]
"""What a calibration was fitted to: ratings of dialogues, or published means of systems. The
latter says nothing of single dialogues."""

_SHOWN = 16
"""How much of a hash is shown."""


@dataclass(frozen=True, slots=True)
class MadeWith:
    """What gave the scores that a calibration maps."""

    judge: str
    fingerprint: str
    rubric: str
    version: str
    language: str
    rubric_hash: str
    prompts: str

    @classmethod
    def of(cls, judge: Mapping[str, str], rubric: Rubric, prompts: str) -> MadeWith:
        """From what a manifest says of a run."""
        return cls(
            judge=judge["name"],
            fingerprint=judge["fingerprint"],
            rubric=rubric.name,
            version=rubric.version,
            language=rubric.language,
            rubric_hash=rubric.hash,
            prompts=prompts,
        )


@dataclass(frozen=True, slots=True)
class Fit:
    """What was fitted for one metric.

    Attributes:
        calibrator: the map; None, with a `reason`, where there is none.
        reason: why not.
        shifts: system -> its human mean less what a fit without that system said. These systems
            are the folds, and what the map has seen.
        radius: half the width of the interval for one rating of a dialogue, None where there is
            none.
        details: everything else that was found, to be shown: tables of rungs, errors, notes.
    """

    calibrator: Calibrator | None
    reason: str = ""
    shifts: Mapping[str, float] = field(default_factory=dict)
    radius: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Fits for metrics of one judge, rubric and set of prompts.

    Attributes:
        kind: what it was fitted to.
        made_with: what gave the scores.
        source, sha256: the file of ratings or published means.
        labels: of the judge, in the order of its distributions.
        metrics: whose distributions the maps read, in this order.
        scale: the ends of the human scale.
        confidence: of every interval.
        fits: by metric.
        counts: what was joined, and what was not.
        notes: what to know before using it.
        seed: None, as nothing in a calibration is drawn by lot.
        created: when, in ISO 8601.
        versions: of this program and its libraries.
    """

    kind: Kind
    made_with: MadeWith
    source: str
    sha256: str
    labels: tuple[str, ...]
    metrics: tuple[str, ...]
    scale: tuple[int, int]
    confidence: float
    fits: Mapping[str, Fit]
    counts: Mapping[str, int]
    notes: tuple[str, ...]
    created: str
    versions: Mapping[str, str]
    seed: int | None = None

    @property
    def systems(self) -> tuple[str, ...]:
        """The systems that any fit has seen."""
        return tuple(sorted({name for fit in self.fits.values() for name in fit.shifts}))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, with the version of the format."""
        plain = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "fits"}
        fits = {
            metric: {
                "calibrator": None if fit.calibrator is None else fit.calibrator.to_dict(),
                **{name: getattr(fit, name) for name in ("reason", "shifts", "radius", "details")},
            }
            for metric, fit in self.fits.items()
        }
        return {"format": FORMAT, **plain, "made_with": asdict(self.made_with), "fits": fits}


def refuse_mismatch(path: Path, calibration: Calibration, run: MadeWith) -> None:
    """Refuse to map the scores of another judge, rubric or prompts; the message names which.

    Raises:
        RunMismatchError: the calibration of the file `path` was not made for `run`.
    """
    there = calibration.made_with
    ways = [(_judge(there), _judge(run)), (_rubric(there), _rubric(run))]
    if there.rubric_hash == run.rubric_hash:  # prompts differ where their rubric does
        ways.append((_prompts(there), _prompts(run)))
    differing = [f"{old}, not {new}" for old, new in ways if old != new]
    if differing:
        raise RunMismatchError(
            f"this calibration is for scores of {' and '.join(differing)}",
            path=path,
            hint="calibrate a run made like this one, or leave out --calibration",
        )


def read(path: Path) -> Calibration:
    """The calibration in a file.

    Raises:
        StoreError: it is missing, damaged, of a newer format, or no calibration at all.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        if raw["format"] > FORMAT:
            raise StoreError(
                f"format {raw['format']} is newer than this version reads ({FORMAT})",
                path=path,
                hint="upgrade esrp-judge",
            )
        return _artefact(raw)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        what = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        if isinstance(error, OSError):
            what = error.strerror or str(error)
        raise StoreError(
            f"not a readable calibration: {what}",
            path=path,
            hint="name the file that `judge calibrate` wrote with --out",
        ) from error


def write(path: Path, calibration: Calibration) -> None:
    """Write the file whole or not at all.

    Raises:
        StoreError: it cannot be written.
    """
    text = json.dumps(calibration.to_dict(), ensure_ascii=False, allow_nan=False, indent=1)
    write_text(path, text + "\n", "make room or choose another file with --out")


def _judge(made: MadeWith) -> str:
    return f"the judge {made.judge} (fingerprint {made.fingerprint})"


def _rubric(made: MadeWith) -> str:
    name = f"{made.rubric} {made.version} {made.language}"
    return f"the rubric {name} (hash {made.rubric_hash[:_SHOWN]})"


def _prompts(made: MadeWith) -> str:
    return f"prompts of hash {made.prompts[:_SHOWN]} (with or without --rationale)"


def _artefact(raw: Mapping[str, Any]) -> Calibration:
    low, high = raw["scale"]
    calibration = Calibration(
        kind=raw["kind"],
        made_with=MadeWith(**{name: str(text) for name, text in raw["made_with"].items()}),
        source=str(raw["source"]),
        sha256=str(raw["sha256"]),
        labels=tuple(raw["labels"]),
        metrics=tuple(raw["metrics"]),
        scale=(int(low), int(high)),
        confidence=_number(raw["confidence"]),
        fits={metric: _fit(fit) for metric, fit in raw["fits"].items()},
        counts=dict(raw["counts"]),
        notes=tuple(raw["notes"]),
        created=str(raw["created"]),
        versions=dict(raw["versions"]),
        seed=raw["seed"],
    )
    if calibration.kind not in get_args(Kind):
        raise ValueError(f"there is no kind {calibration.kind!r}")
    if not 0 < calibration.confidence < 1:
        raise ValueError(f"a confidence lies between 0 and 1, not at {calibration.confidence}")
    for metric, fit in calibration.fits.items():
        map_ = fit.calibrator
        if map_ is not None and (
            (map_.metrics, map_.labels) != (len(calibration.metrics), len(calibration.labels))
            or calibration.metrics[map_.target] != metric
            or (map_.low, map_.high) != calibration.scale
        ):
            raise ValueError(f"the map for {metric} is not one for these metrics and labels")
    return calibration


def _fit(raw: Mapping[str, Any]) -> Fit:
    calibrator, radius = raw["calibrator"], raw["radius"]
    return Fit(
        calibrator=None if calibrator is None else from_dict(calibrator),
        reason=str(raw["reason"]),
        shifts={str(system): _number(shift) for system, shift in raw["shifts"].items()},
        radius=None if radius is None else _number(radius),
        details=dict(raw["details"]),
    )


def _number(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is no finite number")
    return number
