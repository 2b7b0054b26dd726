"""Response diversity: judged over sets of replies, and measured over all of them.

Its results stand beside the means of the nine metrics: a set of replies is no dialogue, and no
dimension contains its score.
"""

from __future__ import annotations

import csv
import hashlib
import importlib
import importlib.metadata
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from calibration import diversity as measures
from calibration.diversity import MEASURES, DiversitySettings, measure_diversity
from calibration.intervals import clustered_mean
from judge.analysis.judgment_table import NOT_JUDGED
from judge.errors import DataError, StoreError, UsageError
from judge.rubric.reply_sets import is_reply_set, replies_metric
from judge.types import Dialogue, Failure, Judgment, Rubric

__all__ = [
    "MEASURE_TITLES",
    "DiversityEstimate",
    "DiversityResults",
    "JudgedDiversity",
    "PublishedDiversity",
    "Segmenter",
    "SystemDiversity",
    "read_published_diversity",
    "refuse_unequal",
    "summarize_diversity",
    "word_segmenter",
]

_HINT = "the file needs a header `system,relative_height` and one row per system, from 0 to 1"


@dataclass(frozen=True, slots=True)
class PublishedDiversity:
    """Relative response diversity by system, the file it was read from, and its SHA-256."""

    source: str
    heights: Mapping[str, float] = field(default_factory=dict)
    sha256: str = ""


def read_published_diversity(path: Path | str) -> PublishedDiversity:
    """Read a CSV with the columns `system, relative_height`; lines that begin with # are comments.

    Raises:
        DataError: the file, or a row of it, is not that; the message names the line.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
        lines = data.decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot be read: {error}", path=path, hint=_HINT) from error
    rows = [
        (number, [cell.strip() for cell in next(csv.reader([line]))])
        for number, line in enumerate(lines, start=1)
        if line.strip() and not line.startswith("#")
    ]
    if not rows or rows[0][1] != ["system", "relative_height"]:
        raise DataError("has not the columns of bars", path=path, hint=_HINT)
    heights: dict[str, float] = {}
    for number, cells in rows[1:]:
        if len(cells) != 2 or not cells[0] or cells[0] in heights:
            what = "is not one new system and its height"
            raise DataError(what, path=path, line=number, hint=_HINT)
        heights[cells[0]] = _height(cells[1], path, number)
    if not heights:
        raise DataError("holds no bars", path=path, hint=_HINT)
    return PublishedDiversity(path.name, heights, hashlib.sha256(data).hexdigest())


def _height(text: str, path: Path, line: int) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise DataError(f"the height {text!r} is not in 0 to 1", path=path, line=line, hint=_HINT)
    return value


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
class DiversityEstimate:
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
    measured: Mapping[str, DiversityEstimate]
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


_FLAG_BELOW = 0.5
_UNLIKE = (
    "The systems have not all played the same characters in the same scenarios: their diversity "
    "differs for that reason too."
)
_BUDGETS = "measure them again, all with the same settings"


class Segmenter(NamedTuple):
    """What tells words apart: its name with its version, and text -> words."""

    name: str
    cut: Callable[[str], Sequence[str]]


def word_segmenter() -> Segmenter | None:
    """The segmenter of the extra `words`, or None where it is not installed."""
    try:
        rjieba = importlib.import_module("rjieba")
    except ImportError:
        return None
    return Segmenter(f"rjieba {importlib.metadata.version('rjieba')}", rjieba.cut)


def refuse_unequal(results: Iterable[DiversityResults]) -> None:
    """Refuse to set figures side by side that were taken at unequal budgets.

    Raises:
        UsageError: they were; it names the settings that differ.
    """
    try:
        measures.refuse_unequal(one.settings for one in results)
    except ValueError as error:
        raise UsageError(str(error), hint=_BUDGETS) from error


def summarize_diversity(
    judgments: Iterable[Judgment],
    dialogues: Iterable[Dialogue],
    rubric: Rubric,
    *,
    settings: DiversitySettings | None = None,
    seed: int = 0,
    segmenter: Segmenter | None = None,
    bars: PublishedDiversity | None = None,
) -> DiversityResults:
    """Sum up what was judged of sets of replies, and measure all replies.

    Replies are measured within each character of a system, so that a system that plays all its
    characters alike does not pass for one of many voices.

    Args:
        judgments: of a run; those of dialogues are passed over.
        dialogues: of the same run, with the sets of replies.
        rubric: what they were asked with.
        settings: the budgets of the measures, by default the usual ones.
        seed: each system is measured with a Generator of this seed.
        segmenter: what tells words apart; without one they are not measured.
        bars: published ones to set beside.

    Raises:
        UsageError: settings that cannot be.
        StoreError: sets of different sizes, or two judgments of one set.
    """
    dialogues = list(dialogues)
    played = [d for d in dialogues if not is_reply_set(d.scenario)]
    sets = [d for d in dialogues if is_reply_set(d.scenario)]
    metric = replies_metric(rubric)
    judged = [j for j in judgments if j.metric == metric]
    settings = replace(
        settings or DiversitySettings(), segmenter=segmenter.name if segmenter else ""
    )
    names = sorted({d.system for d in dialogues} | {j.system for j in judged})
    heights = bars.heights if bars else {}
    systems = []
    for name in names:
        own = [d for d in played if d.system == name]
        replies, measured = _measured(own, settings, seed, segmenter)
        systems.append(
            SystemDiversity(
                system=name,
                characters=len({d.character for d in own}),
                replies=replies,
                judged=_judged(
                    [j for j in judged if j.system == name],
                    [d for d in sets if d.system == name],
                    rubric,
                ),
                measured=measured,
                bar=heights.get(name),
            )
        )
    return DiversityResults(
        metric=metric,
        replies=_size(sets),
        settings=settings,
        seed=seed,
        systems=tuple(systems),
        bars=bars.source if bars else "",
        bars_sha256=bars.sha256 if bars else "",
        notes=_notes(played),
    )


def _measured(
    dialogues: Sequence[Dialogue],
    settings: DiversitySettings,
    seed: int,
    segmenter: Segmenter | None,
) -> tuple[int, dict[str, DiversityEstimate]]:
    """How many replies of one system there are, and its figures."""
    groups: dict[str, list[str]] = {}
    for d in sorted(dialogues, key=lambda d: (d.character, d.scenario)):
        groups.setdefault(d.character, []).extend(turn.answer for turn in d.turns)
    if not groups:
        return 0, dict.fromkeys(MEASURES, DiversityEstimate(None, None, None, "no replies at hand"))
    cut = segmenter.cut if segmenter else None
    try:
        found = measure_diversity(groups, settings, np.random.default_rng(seed), cut)
    except ValueError as error:
        raise UsageError(f"the settings of the measures: {error}", hint="mend them") from error
    figures = {
        name: DiversityEstimate(
            _known(one.mean), _known(one.standard_error), _known(one.spread), one.reason
        )
        for name, one in found.figures.items()
    }
    return found.texts, figures


def _judged(
    judgments: Sequence[Judgment], sets: Sequence[Dialogue], rubric: Rubric
) -> JudgedDiversity:
    """Of one system."""
    outcomes = {(j.character, j.scenario): j.outcome for j in judgments}
    if len(outcomes) < len(judgments):
        raise StoreError(
            f"two judgments of one set of replies of {judgments[0].system}",
            hint="name each run once",
        )
    asked = outcomes.keys() | {(d.character, d.scenario) for d in sets}
    scored = {
        cell: outcome
        for cell, outcome in sorted(outcomes.items())
        if not isinstance(outcome, Failure)
    }
    failed = Counter(o.code for o in outcomes.values() if isinstance(o, Failure))
    failed.update({NOT_JUDGED: len(asked) - len(outcomes)} if len(asked) > len(outcomes) else {})
    characters = [character for character, _ in scored]
    found = clustered_mean([outcome.expected for outcome in scored.values()], characters)
    error = _known(found.standard_error)
    reason = ""
    if replies_metric(rubric) is None:
        reason = f"the rubric {rubric.name} has no metric of many replies"
    elif not asked:
        reason = "no set of replies was judged"
    elif not scored:
        reason = "no set of replies has a score"
    elif error is None:
        reason = "no standard error from one character" if found.groups[0] < 2 else found.reason
    light = sum(outcome.label_mass < _FLAG_BELOW for outcome in scored.values())
    return JudgedDiversity(
        asked=len(asked),
        n=len(scored),
        characters=len(set(characters)),
        mean=_known(found.mean),
        standard_error=error,
        unscored=dict(sorted(failed.items())),
        flagged=light / len(scored) if scored else None,
        reason=reason,
    )


def _size(sets: Sequence[Dialogue]) -> int | None:
    sizes = sorted({len(d.turns) for d in sets})
    if len(sizes) > 1:
        raise StoreError(
            f"sets of {' and of '.join(map(str, sizes))} replies do not compare",
            hint="judge all systems on sets of one size",
        )
    return sizes[0] if sizes else None


def _notes(played: Sequence[Dialogue]) -> tuple[str, ...]:
    cells: dict[str, set[tuple[str, str]]] = {}
    for d in played:
        cells.setdefault(d.system, set()).add((d.character, d.scenario))
    unlike = any(own != next(iter(cells.values())) for own in cells.values())
    return (_UNLIKE,) if unlike else ()


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
