"""What results say of response diversity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from calibration.diversity import MEASURES, DiversitySettings

__all__ = [
    "MEASURE_TITLES",
    "DiversityFigure",
    "DiversityResults",
    "JudgedDiversity",
    "SystemDiversity",
]

MEASURE_TITLES: Mapping[str, str] = MappingProxyType(
    {
        "distinct_1": "Distinct characters",
        "distinct_2": "Distinct pairs of characters",
        "distinct_1_words": "Distinct words",
        "distinct_2_words": "Distinct pairs of words",
        "compression_ratio": "Compression ratio",
        "self_bleu": "Self-BLEU",
        "repeated_openings": "Repeated openings",
    }
)


@dataclass(frozen=True, slots=True)
class DiversityFigure:
    """A `calibration.diversity.DiversityEstimate` as results store it; None where undefined."""

    mean: float | None
    standard_error: float | None
    spread: float | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class JudgedDiversity:
    """What the judge says of one system's sets of replies.

    Attributes:
        asked: sets that were asked about.
        n: how many of them have a score.
        characters: as how many characters.
        mean: over characters and draws, on the label scale; None, with a `reason`, without any.
        standard_error: clustered by character; None, with a reason, when undefined.
        unscored: why the other sets have no score, counted by failure code.
        flagged: share of the scored ones with a label mass below .5.
        reason: why the mean or the standard error is missing.
    """

    asked: int
    n: int
    characters: int
    mean: float | None
    standard_error: float | None
    unscored: Mapping[str, int]
    flagged: float | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SystemDiversity:
    """One system: judged, measured by the names of `MEASURE_TITLES`, and its published bar.

    `replies` counts those that are not blank, over all `characters`.
    """

    system: str
    characters: int
    replies: int
    judged: JudgedDiversity
    measured: Mapping[str, DiversityFigure]
    bar: float | None = None


@dataclass(frozen=True, slots=True)
class DiversityResults:
    """All that a report says of response diversity.

    Attributes:
        metric: the judged metric, None where the rubric has none.
        replies: of one judged set; None where none was asked about.
        settings: the budgets of the measures.
        seed: of the draws of the measures.
        systems: in the order of their names.
        bars: the file of the published bars, "" without one.
        bars_sha256: of its bytes.
        notes: what to know.
    """

    metric: str | None
    replies: int | None
    settings: DiversitySettings
    seed: int
    systems: tuple[SystemDiversity, ...]
    bars: str = ""
    bars_sha256: str = ""
    notes: tuple[str, ...] = ()

    @property
    def measures(self) -> tuple[str, ...]:
        """The measures that any system has."""
        return tuple(
            name
            for name in MEASURE_TITLES
            if any(system.measured[name].mean is not None for system in self.systems)
        )

    def title(self, measure: str) -> str:
        """What a measure is called."""
        return MEASURE_TITLES[measure]

    def more_is_varied(self, measure: str) -> bool:
        """Whether a higher figure means more variety."""
        return MEASURES[measure]

    @property
    def judged(self) -> bool:
        """Whether any system has a judged mean."""
        return any(system.judged.mean is not None for system in self.systems)

    @property
    def missing(self) -> tuple[str, ...]:
        """Why figures are missing, each reason once, with the systems and measures it is of."""
        found: dict[str, dict[str, None]] = {}
        for s in self.systems:
            reasons = {MEASURE_TITLES[name]: one.reason for name, one in s.measured.items()}
            for what, reason in {"Judged": s.judged.reason, **reasons}.items():
                if reason:
                    found.setdefault(f"{what}: {reason}", {})[s.system] = None
        everyone = len(self.systems)
        return tuple(
            reason if len(of) == everyone else f"{', '.join(of)}: {reason}"
            for reason, of in found.items()
        )
