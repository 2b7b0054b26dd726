"""Response diversity: judged over sets of replies, and measured over all replies.

These results stand beside the means of the nine metrics: a set of replies is no dialogue, and no
dimension contains its score.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from calibration.diversity import MEASURES, DiversitySettings, measure_diversity
from calibration.intervals import clustered_mean
from judge.analysis.judgment_table import FLAG_BELOW, NOT_JUDGED, finite_or_none
from judge.analysis.published import PublishedDiversity
from judge.errors import StoreError, UsageError
from judge.rubric.reply_sets import is_reply_set, replies_metric
from judge.types import Dialogue, Failure, Judgment, Rubric

__all__ = [
    "MEASURE_TITLES",
    "DiversityResults",
    "JudgedDiversity",
    "MeasuredDiversity",
    "Segmenter",
    "SystemDiversity",
    "summarize_diversity",
    "word_segmenter",
]

MEASURE_TITLES: Mapping[str, str] = {
    "distinct_1": "Distinct characters",
    "distinct_2": "Distinct pairs of characters",
    "distinct_1_words": "Distinct words",
    "distinct_2_words": "Distinct pairs of words",
    "compression_ratio": "Compression ratio",
    "self_bleu": "Self-BLEU",
    "repeated_openings": "Repeated openings",
}

_DIFFERENT_SCENES = (
    "The systems have not all played the same characters in the same scenarios: their diversity "
    "differs for that reason too."
)


class Segmenter(NamedTuple):
    """A program that splits text into words.

    Attributes:
        cut: text -> words.
    """

    name: str
    cut: Callable[[str], Sequence[str]]


def word_segmenter() -> Segmenter | None:
    """The segmenter of the extra `words`, or None where it is not installed."""
    try:
        rjieba = importlib.import_module("rjieba")
    except ImportError:
        return None
    return Segmenter(f"rjieba {importlib.metadata.version('rjieba')}", rjieba.cut)


@dataclass(frozen=True, slots=True)
class MeasuredDiversity:
    """One measure of one system.

    Attributes:
        mean: over characters and draws; None, with a `reason`, where undefined.
        standard_error, spread: see `calibration.diversity`; None where undefined.
    """

    mean: float | None
    standard_error: float | None
    spread: float | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class JudgedDiversity:
    """The judge's scores of one system's sets of replies.

    Attributes:
        asked: how many sets were to be judged.
        n: how many of them have a score.
        characters: of how many characters these are.
        mean: over characters and draws, on the label scale; None, with a `reason`, where undefined.
        standard_error: clustered by character; None, with a reason, where undefined.
        unscored: code of a failure -> how many sets have no score for it.
        flagged: share of the scored sets whose label mass is below `FLAG_BELOW`.
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
    """The response diversity of one system.

    Attributes:
        system: its name.
        characters: how many it played.
        replies: how many it gave that are not blank.
        judged: by the judge.
        measured: name of `MEASURE_TITLES` -> measure.
        bar: published relative diversity, in [0, 1]; None where none is published.
    """

    system: str
    characters: int
    replies: int
    judged: JudgedDiversity
    measured: Mapping[str, MeasuredDiversity]
    bar: float | None = None


@dataclass(frozen=True, slots=True)
class DiversityResults:
    """All that a report shows of response diversity.

    Attributes:
        metric: the judged metric; None where the rubric has none.
        replies: how many replies a judged set has; None where no set was judged.
        settings: the budgets of the measures.
        seed: of the random draws of the measures.
        systems: in the order of their names.
        bars: name of the file of published diversity; "" without one.
        bars_sha256: of that file.
        notes: warnings.
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
        """The title of a measure."""
        return MEASURE_TITLES[measure]

    def more_is_varied(self, measure: str) -> bool:
        """Whether a higher value means more diversity."""
        return MEASURES[measure]

    @property
    def judged(self) -> bool:
        """Whether any system has a judged mean."""
        return any(system.judged.mean is not None for system in self.systems)

    @property
    def most_varied_first(self) -> list[SystemDiversity]:
        """The systems by their judged means, or by the first measure where none was judged."""

        def order(system: SystemDiversity) -> tuple[bool, float]:
            value, sign = system.judged.mean, -1
            if not self.judged and self.measures:
                name = self.measures[0]
                value, sign = system.measured[name].mean, -1 if self.more_is_varied(name) else 1
            return value is None, sign * (value or 0)

        return sorted(self.systems, key=order)

    @property
    def missing(self) -> tuple[str, ...]:
        """Why values are missing: each reason once, with its measure and the systems it is of."""
        systems: dict[str, dict[str, None]] = {}
        for s in self.systems:
            reasons = {MEASURE_TITLES[name]: value.reason for name, value in s.measured.items()}
            for title, reason in {"Judged": s.judged.reason, **reasons}.items():
                if reason:
                    systems.setdefault(f"{title}: {reason}", {})[s.system] = None
        return tuple(
            reason if len(names) == len(self.systems) else f"{', '.join(names)}: {reason}"
            for reason, names in systems.items()
        )


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
    """Average the judge's scores of sets of replies, and measure the diversity of all replies.

    Replies are measured within each character of a system: a system that plays all its characters
    alike is not diverse, and one with different characters is not diverse for that reason.

    Args:
        judgments: of a run; those of dialogues are ignored.
        dialogues: of the same run, sets of replies included.
        settings: the budgets of the measures; None for the default ones.
        seed: every system is measured with a random generator of this seed.
        segmenter: splits text into words; without one, words are not measured.

    Raises:
        UsageError: the settings are impossible.
        StoreError: sets have different sizes, or there are two judgments of one set.
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
) -> tuple[int, dict[str, MeasuredDiversity]]:
    """How many replies one system has, and its measures."""
    groups: dict[str, list[str]] = {}
    for d in sorted(dialogues, key=lambda d: (d.character, d.scenario)):
        groups.setdefault(d.character, []).extend(turn.answer for turn in d.turns)
    if not groups:
        return 0, dict.fromkeys(MEASURES, MeasuredDiversity(None, None, None, "no replies at hand"))
    cut = segmenter.cut if segmenter else None
    try:
        measured = measure_diversity(groups, settings, np.random.default_rng(seed), cut)
    except ValueError as error:
        raise UsageError(f"the settings of the measures: {error}", hint="change them") from error
    return measured.texts, {
        name: MeasuredDiversity(
            finite_or_none(value.mean),
            finite_or_none(value.standard_error),
            finite_or_none(value.spread),
            value.reason,
        )
        for name, value in measured.figures.items()
    }


def _judged(
    judgments: Sequence[Judgment], sets: Sequence[Dialogue], rubric: Rubric
) -> JudgedDiversity:
    """The judge's scores of one system's sets of replies."""
    outcomes = {(j.character, j.scenario): j.outcome for j in judgments}
    if len(outcomes) < len(judgments):
        raise StoreError(
            f"two judgments of one set of replies of {judgments[0].system}",
            hint="name each run once",
        )
    sets_to_judge = outcomes.keys() | {(d.character, d.scenario) for d in sets}
    scored = {
        key: outcome
        for key, outcome in sorted(outcomes.items())
        if not isinstance(outcome, Failure)
    }
    failed = Counter(o.code for o in outcomes.values() if isinstance(o, Failure))
    if missing := len(sets_to_judge) - len(outcomes):
        failed[NOT_JUDGED] = missing
    characters = [character for character, _ in scored]
    mean = clustered_mean([outcome.expected for outcome in scored.values()], characters)
    error = finite_or_none(mean.standard_error)
    reason = ""
    if replies_metric(rubric) is None:
        reason = f"the rubric {rubric.name} has no metric of many replies"
    elif not sets_to_judge:
        reason = "no set of replies was judged"
    elif not scored:
        reason = "no set of replies has a score"
    elif error is None:
        reason = "no standard error from one character" if mean.groups[0] < 2 else mean.reason
    flagged = sum(outcome.label_mass < FLAG_BELOW for outcome in scored.values())
    return JudgedDiversity(
        asked=len(sets_to_judge),
        n=len(scored),
        characters=len(set(characters)),
        mean=finite_or_none(mean.mean),
        standard_error=error,
        unscored=dict(sorted(failed.items())),
        flagged=flagged / len(scored) if scored else None,
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
    scenes: dict[str, set[tuple[str, str]]] = {}
    for d in played:
        scenes.setdefault(d.system, set()).add((d.character, d.scenario))
    different = any(own != next(iter(scenes.values())) for own in scenes.values())
    return (_DIFFERENT_SCENES,) if different else ()
