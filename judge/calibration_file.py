"""The calibration file: one JSON that says how a judge's scores become human ones.

It is written by `judge calibrate` and used by `judge eval` and `judge report`. It holds the fitted
maps as plain numbers, the tables that led to their choice, and what they were fitted to. A map
belongs to the judge, the rubric and the prompts that it was fitted with, and is refused for others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import msgspec
import numpy as np

from calibration.calibrators import Calibrator, from_dict
from judge.errors import RunMismatchError, StoreError
from judge.records import plain_record, read_record, write_record
from judge.types import Rubric

__all__ = [
    "FORMAT",
    "NOTHING",
    "Calibration",
    "CalibrationKind",
    "Fit",
    "MadeWith",
    "adds_nothing",
    "read",
    "refuse_mismatch",
    "refuse_unusable",
    "write",
]

FORMAT = 1
"""The newest format of a calibration that this version reads."""

NOTHING = "the judge adds nothing here"
"""How the reason begins why a metric has no map: none is better than a mean without the judge."""

CalibrationKind = Literal["ratings", "published"]
"""What a calibration was fitted to: ratings of dialogues, or published means of systems. The
latter says nothing about single dialogues."""

_WIDEST = 100
"""The most points of a scale."""
_FAR = 3
"""How many widths of the scale a map may be off for a dialogue that has one label for certain. Maps
that keep the order are straight lines, which leave the scale where few dialogues are."""
_HINT = "name the file that `judge calibrate` wrote with --out, as it was written"

_SHOWN = 16
"""How many characters of a hash are shown."""


@dataclass(frozen=True, slots=True)
class MadeWith:
    """The judge, rubric and prompts that gave the scores that a calibration maps."""

    judge: str
    fingerprint: str
    rubric: str
    version: str
    language: str
    rubric_hash: str
    prompts: str

    @classmethod
    def of(cls, judge: Mapping[str, str], rubric: Rubric, prompts: str) -> MadeWith:
        """From the fields `judge`, `rubric` and `prompts` of a manifest."""
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
        calibrator: the fitted map, as `Calibrator.to_dict` writes it; None, with a `reason`, where
            there is none. `load` gives the map itself.
        reason: why there is no map.
        shifts: system -> its human mean minus the mean that a fit without that system predicts.
            These systems are the folds of the cross-validation, and those that the map has seen.
        radius: half the width of the interval for one rating of a dialogue, in points of the human
            scale; None where there is none.
        details: other results to show: the table of candidate maps, errors, notes.
    """

    calibrator: Mapping[str, Any] | None
    reason: str = ""
    shifts: Mapping[str, float] = field(default_factory=dict)
    radius: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    def load(self) -> Calibrator | None:
        """The fitted map, or None where there is none."""
        return None if self.calibrator is None else from_dict(self.calibrator)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Fits for metrics of one judge, rubric and set of prompts.

    Attributes:
        kind: what it was fitted to.
        made_with: what gave the judge's scores.
        source, sha256: name and hash of the file of ratings or published means.
        labels: of the judge's distributions, in their order.
        metrics: the metrics whose distributions the maps read, in their order.
        scale: lower and upper end of the human scale.
        confidence: of every interval, between 0 and 1.
        counts: how many ratings were joined to judgments, and how many were not.
        notes: warnings for its users.
        created: when, in ISO 8601.
        versions: of this program and its libraries.
        seed: None, as fitting draws no random numbers.
        fits: metric -> what was fitted for it.

    Raises:
        ValueError: the confidence is not between 0 and 1, or a map does not fit the metrics, the
            labels or the scale.
    """

    kind: CalibrationKind
    made_with: MadeWith
    source: str
    sha256: str
    labels: tuple[str, ...]
    metrics: tuple[str, ...]
    scale: tuple[int, int]
    confidence: float
    counts: Mapping[str, int]
    notes: tuple[str, ...]
    created: str
    versions: Mapping[str, str]
    seed: int | None = None
    fits: Mapping[str, Fit]

    def __post_init__(self) -> None:
        if not 0 < self.confidence < 1:
            raise ValueError(f"a confidence lies between 0 and 1, not at {self.confidence}")
        low, high = self.scale
        if not low < high <= low + _WIDEST:
            raise ValueError(f"{low} to {high} is no scale of ratings")
        width = high - low
        for metric, fit in self.fits.items():
            if fit.radius is not None and not 0 <= fit.radius <= width:
                raise ValueError(f"the radius for {metric} lies between 0 and {width}")
            for system, shift in fit.shifts.items():
                if not abs(shift) <= 2 * _FAR * width:
                    raise ValueError(f"the shift of {system} for {metric} is {shift:g}")
            calibrator = fit.load()
            if calibrator is not None and (
                (calibrator.metrics, calibrator.labels) != (len(self.metrics), len(self.labels))
                or self.metrics[calibrator.target] != metric
                or (calibrator.low, calibrator.high) != self.scale
            ):
                raise ValueError(f"the map for {metric} is not one for these metrics and labels")

    @property
    def systems(self) -> tuple[str, ...]:
        """The systems that any fit has seen."""
        return tuple(sorted({name for fit in self.fits.values() for name in fit.shifts}))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, with the version of the format."""
        return plain_record(self, format=FORMAT)


def adds_nothing(reasons: Mapping[str, str]) -> str:
    """For which of these metrics, with why each has no map, the judge adds nothing; "" for none."""
    named = [metric for metric, reason in reasons.items() if reason.startswith(NOTHING)]
    verdict = f"{NOTHING[0].upper()}{NOTHING[1:]}: {', '.join(named)}"
    return f"{verdict} ({len(named)} of {len(reasons)} metrics)." if named else ""


def refuse_mismatch(path: Path, calibration: Calibration, run: MadeWith) -> None:
    """Refuse to map the scores of another judge, rubric or prompts; the message names which.

    Raises:
        RunMismatchError: the calibration of the file `path` was not made for `run`.
    """
    stored = calibration.made_with
    pairs = [(_judge(stored), _judge(run)), (_rubric(stored), _rubric(run))]
    if stored.rubric_hash == run.rubric_hash:  # another rubric has other prompts anyway
        pairs.append((_prompts(stored), _prompts(run)))
    differing = [f"{old}, not {new}" for old, new in pairs if old != new]
    if differing:
        raise RunMismatchError(
            f"this calibration is for scores of {' and '.join(differing)}",
            path=path,
            hint="calibrate a run made like this one, or leave out --calibration",
        )


class _Candidate(TypedDict):
    rung: str
    mae: float | None
    bias: float | None


class _ItemIntervals(TypedDict):
    held_out_coverage: NotRequired[dict[str, Annotated[float, msgspec.Meta(ge=0, le=1)]] | None]


class _Details(TypedDict):
    judged_means: Annotated[dict[str, float], msgspec.Meta(min_length=1)]
    notes: NotRequired[list[str]]


class _RatingsDetails(_Details):
    ladder: list[_Candidate]
    item_intervals: _ItemIntervals


class _PublishedDetails(_Details):
    error_raw: float | None
    error_line: float | None


def refuse_unusable(path: Path, calibration: Calibration) -> None:
    """Refuse a file whose maps lead far off the scale, or whose details cannot be shown.

    Raises:
        StoreError: it names the metric, and the place in the file or the label.
    """
    low, high = calibration.scale
    labels = len(calibration.labels)
    certain = np.repeat(np.eye(labels)[:, None], len(calibration.metrics), axis=1)
    kind = _RatingsDetails if calibration.kind == "ratings" else _PublishedDetails
    for metric, fit in calibration.fits.items():
        calibrator = fit.load()
        if calibrator is None:
            continue
        with np.errstate(all="ignore"):
            found = calibrator.predict(certain)
            off = np.abs(found - (low + high) / 2) / (high - low)
        label = int(np.argmax(off))  # the first NaN, if there is one
        if not off[label] <= _FAR + 0.5:
            raise StoreError(
                f"the map for {metric} gives {found[label]:.4g} for the label "
                f"{calibration.labels[label]}, on a scale of {low} to {high}",
                path=path,
                hint=_HINT,
            )
        try:
            msgspec.convert(dict(fit.details), type=kind)
        except msgspec.ValidationError as error:
            raise StoreError(
                f"the details for {metric} are broken: {error}", path=path, hint=_HINT
            ) from None
        rungs = {row["rung"] for row in dict(fit.details).get("ladder", ())}
        if calibration.kind == "ratings" and not {calibrator.name, "expected"} <= rungs:
            raise StoreError(
                f"the details for {metric} are broken: the ladder lacks {calibrator.name}",
                path=path,
                hint=_HINT,
            )


def read(path: Path) -> Calibration:
    """The calibration in a file.

    Raises:
        StoreError: it is missing, damaged, of a newer format, or no calibration at all.
    """
    return read_record(
        path,
        Calibration,
        newest=FORMAT,
        kind="calibration",
        hint="name the file that `judge calibrate` wrote with --out",
    )


def write(path: Path, calibration: Calibration) -> None:
    """Write the file whole or not at all.

    Raises:
        StoreError: it cannot be written.
    """
    hint = "make room or choose another file with --out"
    write_record(path, calibration, format=FORMAT, hint=hint)


def _judge(made: MadeWith) -> str:
    return f"the judge {made.judge} (fingerprint {made.fingerprint})"


def _rubric(made: MadeWith) -> str:
    name = f"{made.rubric} {made.version} {made.language}"
    return f"the rubric {name} (hash {made.rubric_hash[:_SHOWN]})"


def _prompts(made: MadeWith) -> str:
    return f"prompts of hash {made.prompts[:_SHOWN]} (with or without --rationale)"
