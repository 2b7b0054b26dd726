"""A leaderboard: the systems in order, with the ranks that the uncertainty allows each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.intervals import MeanInterval, mean_interval, ranks
from judge.analysis.breakdown import Scene, SceneScores, scene_scores
from judge.analysis.judgment_table import judgment_table
from judge.analysis.results import OVERALL, CalibratedMean, Measure, Results, SystemResults
from judge.analysis.summary import undefined_reason
from judge.errors import StoreError
from judge.records import plain_record
from judge.types import Judgment

__all__ = [
    "FORMAT",
    "HUMAN",
    "Leaderboard",
    "SystemCost",
    "SystemPair",
    "SystemStanding",
    "leaderboard",
]

FORMAT = 1
"""The format of leaderboard.json."""

LEAST_TO_RANK = 8
"""A rank takes so many characters and so many scenarios. Simulated, a model that is a point below
eleven equal others is then told apart from eight of them, with 6 x 7 from three, with 4 x 10 from
none: fewer make ranks that say nothing."""

HUMAN = "human"
"""The system whose replies people wrote."""


_Scores = Mapping[Scene, float]


@dataclass(frozen=True, slots=True)
class SystemCost:
    """Time and tokens that a system took; None where they were not measured.

    Attributes:
        tokens: of the model's answers, its thoughts included.
        writing: seconds of writing the dialogues.
        judging: seconds of judging them.
    """

    tokens: int | None = None
    writing: float | None = None
    judging: float | None = None


@dataclass(frozen=True, slots=True)
class SystemStanding:
    """One system's row of a leaderboard.

    Attributes:
        system: its name.
        rank: from 1; several systems can share one. None without an overall score, or with too few
            characters or scenarios.
        first, last: the best and the worst rank that the uncertainty allows.
        dialogues: how many were judged; `n` of them have an overall score.
        mean, lower, upper: the overall score on the label scale and its interval; None, with a
            `reason`, where undefined.
        unscored: share of its judgments that have no score.
        dimensions: name -> measure, of the dimensions whose metrics were all judged.
        calibrated: the overall score on the human scale; None without a calibration.
        sampled: whether some of its scores are shares of sampled answers.
        cost: time and tokens.
    """

    system: str
    rank: int | None
    first: int | None
    last: int | None
    dialogues: int
    n: int
    mean: float | None
    lower: float | None
    upper: float | None
    reason: str
    unscored: float
    dimensions: Mapping[str, Measure]
    calibrated: CalibratedMean | None
    sampled: bool
    cost: SystemCost


@dataclass(frozen=True, slots=True)
class SystemPair:
    """Two systems compared on the scenes (character and scenario) that both have a score of.

    Attributes:
        one, other: their names; `one` has the higher mean over all its dialogues.
        n: how many scenes both have.
        difference: mean score of `one` minus that of `other`; None where n is 0.
        lower, upper: its interval, at the confidence of pairs; None, with a `reason`, where
            undefined.
    """

    one: str
    other: str
    n: int
    difference: float | None
    lower: float | None
    upper: float | None
    reason: str = ""

    @property
    def better(self) -> str | None:
        """The system that is shown to be better; None if neither is."""
        if self.lower is not None and self.lower > 0:
            return self.one
        return self.other if self.upper is not None and self.upper < 0 else None


@dataclass(frozen=True, slots=True)
class Leaderboard:
    """All that a leaderboard shows.

    Attributes:
        labels: of the judge's scale.
        titles: of the dimensions, in the order of the columns.
        standings: highest overall mean first, calibrated if there are calibrated ones; systems
            without one last.
        pairs: all pairs of systems with a rank, in the order of the standings.
        confidence: of the interval of one mean, and that all statements on pairs hold together.
        pair_confidence: of the interval of one difference.
        calibration: title of the calibration file; "" without one.
        calibration_confidence: of the calibrated intervals; None without a calibration.
        notes: warnings to show at the top.
        signature, provenance: what made the scores.
    """

    labels: tuple[str, ...]
    titles: Mapping[str, str]
    standings: tuple[SystemStanding, ...]
    pairs: tuple[SystemPair, ...]
    confidence: float
    pair_confidence: float
    calibration: str
    calibration_confidence: float | None
    notes: tuple[str, ...]
    signature: Mapping[str, str]
    provenance: Mapping[str, str]

    @property
    def of_calibrated(self) -> bool:
        """Whether order, ranks and differences are those of calibrated scores."""
        return any(_calibrated_mean(standing.calibrated) is not None for standing in self.standings)

    @property
    def ranked(self) -> tuple[SystemStanding, ...]:
        """The systems that have a rank."""
        return tuple(standing for standing in self.standings if standing.rank is not None)

    def shown(self, system: str) -> tuple[list[str], list[str]]:
        """The systems that are shown to be better than this one, and those shown to be worse."""
        better: list[str] = []
        worse: list[str] = []
        for pair in self.pairs:
            if pair.better is not None and system in (pair.one, pair.other):
                other = pair.other if system == pair.one else pair.one
                (worse if pair.better == system else better).append(other)
        return better, worse

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, with the version of the format."""
        return plain_record(self, format=FORMAT)


def leaderboard(
    results: Results,
    judgments: Sequence[Judgment],
    *,
    costs: Mapping[str, SystemCost] = MappingProxyType({}),
    confidence: float = 0.95,
    calibrated: SceneScores = MappingProxyType({}),
) -> Leaderboard:
    """Order the systems by their mean overall scores, and give the ranks that this order supports.

    Two systems are compared on the scenes (character and scenario) that both have a score of, by
    the interval of their mean difference (see `calibration.intervals.mean_interval`): a scene that
    is hard for both does not count against either. The confidence of each interval is raised by
    Bonferroni's rule to 1 - (1 - confidence) / pairs, so that all intervals hold together with
    `confidence`. A system is shown to be better if the interval is above 0; a pair without an
    interval shows nothing. The rank of a system is 1 + the number of systems shown to be better;
    systems with equally many share a rank, and none ranks before a system with a higher mean
    (see `calibration.intervals.ranks`).

    With calibrated overall scores, order, ranks and differences are those of the calibrated scores.
    The differences say how the order would vary with other characters and scenarios; that the
    calibration itself could be wrong is in the calibrated intervals alone. A system with fewer than
    `LEAST_TO_RANK` characters or scenarios has no rank.

    Args:
        results: of these judgments.
        judgments: they have the scores of single dialogues.
        costs: system -> time and tokens, as far as they are known.
        confidence: between 0 and 1.
        calibrated: the calibrated overall scores, if the results have a calibration.

    Raises:
        StoreError: no system was judged on all metrics.
        ValueError: the confidence is not between 0 and 1.
    """
    if OVERALL not in results.titles:
        raise StoreError(
            f"there is no overall score to order by: only {', '.join(results.metrics)} were judged",
            hint="run the same `judge eval` without --metrics: it adds the others to the run",
        )
    raw: SceneScores = _overall_scores(results, judgments)
    calibration = results.calibration
    on_human_scale = calibration is not None and calibration.orders
    scores = raw
    if on_human_scale:
        scores = {s.system: calibrated.get(s.system, {}) for s in results.systems}

    def order(system: SystemResults) -> tuple[bool, float, str]:
        mean = system.mean(OVERALL)
        if calibration is not None and on_human_scale:
            mean = _calibrated_mean(calibration.mean(system.system, OVERALL))
        return mean is None, -(mean or 0), system.system

    systems = sorted(results.systems, key=order)
    too_few = {system.system: _too_few(scores[system.system]) for system in systems}
    ranked = [name for name, reason in too_few.items() if not reason]
    comparisons = len(ranked) * (len(ranked) - 1) // 2
    level = 1 - (1 - confidence) / max(comparisons, 1)
    pairs = tuple(
        _pair(one, other, scores[one], scores[other], level)
        for one, other in combinations(ranked, 2)
    )
    by_system = (column.tolist() for column in ranks(_better(ranked, pairs)))
    allowed = dict(zip(ranked, zip(*by_system, strict=True), strict=True))
    return Leaderboard(
        labels=results.labels,
        titles={group.name: results.titles[group.name] for group in results.groups},
        standings=tuple(
            _standing(
                system,
                allowed.get(system.system),
                _interval(raw[system.system], confidence),
                too_few[system.system],
                calibration.mean(system.system, OVERALL) if calibration else None,
                costs.get(system.system, SystemCost()),
            )
            for system in systems
        ),
        pairs=pairs,
        confidence=confidence,
        pair_confidence=level,
        calibration="" if calibration is None else calibration.title,
        calibration_confidence=calibration.confidence if calibration else None,
        notes=(*results.notes, *_notes(pairs), *(calibration.notes if calibration else ())),
        signature=results.signature,
        provenance={"rubric hash": results.rubric_hash, **results.provenance},
    )


def _calibrated_mean(calibrated: CalibratedMean | None) -> float | None:
    return None if calibrated is None else calibrated.mean


def _too_few(scores: _Scores) -> str:
    """Why a system has no rank; "" if it has enough characters and scenarios."""
    sizes = [len({scene[part] for scene in scores}) for part in (0, 1)]
    if min(sizes) >= LEAST_TO_RANK:
        return ""
    characters, scenarios = sizes
    return (
        f"too few scenarios to rank: {characters} characters and {scenarios} scenarios, where it "
        f"takes {LEAST_TO_RANK} of each"
    )


def _overall_scores(results: Results, judgments: Sequence[Judgment]) -> SceneScores:
    """System -> its overall scores, in the order of the dialogues."""
    judged = [j for j in judgments if j.metric in results.metrics]
    table = judgment_table(judged, results.metrics, len(results.labels))
    found = scene_scores(table)
    return {s.system: found.get(s.system, {}) for s in results.systems}


def _interval(scores: _Scores, confidence: float) -> MeanInterval:
    characters, scenarios = ([scene[part] for scene in scores] for part in (0, 1))
    return mean_interval(list(scores.values()), characters, scenarios, confidence)


def _pair(one: str, other: str, first: _Scores, second: _Scores, confidence: float) -> SystemPair:
    differences = {scene: first[scene] - second[scene] for scene in first if scene in second}
    mean = _interval(differences, confidence)
    if not mean.n:
        return SystemPair(one, other, 0, None, None, None, "they share no character and scenario")
    if mean.reason:
        reason = undefined_reason(mean.groups, mean.reason)
        return SystemPair(one, other, mean.n, mean.mean, None, None, reason)
    return SystemPair(one, other, mean.n, mean.mean, mean.lower, mean.upper)


def _better(systems: Sequence[str], pairs: Sequence[SystemPair]) -> NDArray[np.bool_]:
    """(systems, systems) whether the system of the row is shown to be better than the other."""
    row_of = {system: row for row, system in enumerate(systems)}
    better = np.zeros((len(systems), len(systems)), dtype=np.bool_)
    for pair in pairs:
        if pair.better is not None:
            worse = pair.other if pair.better == pair.one else pair.one
            better[row_of[pair.better], row_of[worse]] = True
    return better


def _notes(pairs: Sequence[SystemPair]) -> Iterator[str]:
    for pair in pairs:
        if pair.better == pair.other:
            yield (
                f"{pair.one} has a higher mean than {pair.other}, which is better on the {pair.n} "
                "dialogues that both have: their means are over different ones."
            )


def _standing(
    system: SystemResults,
    allowed: tuple[int, int, int] | None,
    overall: MeanInterval,
    too_few: str,
    calibrated: CalibratedMean | None,
    cost: SystemCost,
) -> SystemStanding:
    rank, first, last = allowed or (None, None, None)
    reason = "no dialogue was scored"
    if overall.n:
        reason = undefined_reason(overall.groups, overall.reason)
    if OVERALL not in system.measures:
        reason = "not all metrics were judged"
    defined = not overall.reason
    return SystemStanding(
        system=system.system,
        rank=rank,
        first=first,
        last=last,
        dialogues=system.dialogues,
        n=overall.n,
        mean=overall.mean if overall.n else None,
        lower=overall.lower if defined else None,
        upper=overall.upper if defined else None,
        reason=too_few if defined else reason,
        unscored=system.unscored_share,
        dimensions={name: m for name, m in system.measures.items() if m.kind == "dimension"},
        calibrated=calibrated,
        sampled=system.sampled,
        cost=cost,
    )
