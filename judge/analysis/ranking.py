"""Systems in one order, with the ranks that the judge's scores leave open to each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.intervals import MeanInterval, mean_interval, ranks
from judge.analysis.judgment_table import JudgmentTable, judgment_table
from judge.analysis.results import OVERALL, CalibratedMean, Measure, Results, SystemResults
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

HUMAN = "human"
"""The system whose replies people wrote."""


@dataclass(frozen=True, slots=True)
class SystemCost:
    """What a system took, None where nobody measured it.

    Attributes:
        tokens: written by the model in its answers, thoughts included.
        writing: seconds of writing them.
        judging: seconds of judging them.
    """

    tokens: int | None = None
    writing: float | None = None
    judging: float | None = None


@dataclass(frozen=True, slots=True)
class SystemStanding:
    """One system's row.

    Attributes:
        system: who.
        rank: shared with others; None without an overall score.
        first, last: the best and the worst rank that it could have.
        dialogues: how many were judged, and `n` of them have an overall score.
        mean, lower, upper: the overall score and its interval; None with a `reason`.
        unscored: share of its judgments that have no score.
        dimensions: their measures, by name; one that was not judged whole is missing.
        calibrated: the overall score on the human scale, None where that was not asked for.
        sampled: some of its scores are shares of sampled answers.
        cost: what it took.
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
    """Two systems on the dialogues that both have an overall score of.

    Attributes:
        one, other: who, `one` with the higher mean over all its dialogues.
        n: characters and scenarios in common.
        difference: mean of one less other; None without any in common.
        lower, upper: its interval, at the confidence of pairs; None with a `reason`.
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
        """Which of the two is shown to be better; None if neither is."""
        if self.lower is not None and self.lower > 0:
            return self.one
        return self.other if self.upper is not None and self.upper < 0 else None


@dataclass(frozen=True, slots=True)
class Leaderboard:
    """Everything that a leaderboard says.

    Attributes:
        labels: the scale.
        titles: of the dimensions, in the order of the columns.
        standings: highest overall mean first; those without one last.
        pairs: each two systems that have an overall mean, in the order of the standings.
        confidence: of the interval of one mean, and of all that is said of pairs together.
        pair_confidence: of the interval of one difference.
        calibration, calibration_confidence: the file, and of its intervals; "" and None without.
        notes: what to know first.
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
    def ranked(self) -> tuple[SystemStanding, ...]:
        """Those that have a rank."""
        return tuple(standing for standing in self.standings if standing.rank is not None)

    def shown(self, system: str) -> tuple[list[str], list[str]]:
        """The systems shown to be better than this one, and those shown to be worse."""
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
) -> Leaderboard:
    """Order the systems by the mean of their overall scores, and say which order is shown.

    Two systems are compared on the characters and scenarios that both have a score of, by the
    interval of their mean difference (see `calibration.ranking.mean_interval`): they were asked the
    same, and what is hard for both says nothing of either. It is wider than `confidence` asks by
    Bonferroni's rule, 1 - (1 - confidence) / pairs, so that all intervals hold together with that
    confidence. A system is shown to be better if the interval is above 0; a pair without an
    interval shows nothing. Its rank is 1 + the number of systems shown to be better, where systems
    share a rank that have equally many, and where none comes before a system with a higher mean
    (see `calibration.ranking.ranks`).

    Ranks are of the judge's raw scores, calibrated or not: the calibrated intervals are each of one
    system and do not compare two.

    Args:
        results: of these judgments.
        judgments: where the scores of single dialogues are.
        costs: system -> what it took, as far as that is known.
        confidence: between 0 and 1.

    Raises:
        StoreError: no system was judged on all metrics.
        ValueError: a confidence not between 0 and 1.
    """
    if OVERALL not in results.titles:
        raise StoreError(
            f"there is no overall score to order by: only {', '.join(results.metrics)} were judged",
            hint="run the same `judge eval` without --metrics: it adds the others to the run",
        )
    table = judgment_table(
        [j for j in judgments if j.metric in results.metrics], list(results.metrics)
    )
    cells = {system.system: _cells(table, system.system) for system in results.systems}
    systems = sorted(
        results.systems, key=lambda s: (s.mean(OVERALL) is None, -(s.mean(OVERALL) or 0), s.system)
    )
    ranked = [system.system for system in systems if system.mean(OVERALL) is not None]
    comparisons = len(ranked) * (len(ranked) - 1) // 2
    level = 1 - (1 - confidence) / max(comparisons, 1)
    pairs = tuple(
        _pair(one, other, cells[one], cells[other], level) for one, other in combinations(ranked, 2)
    )
    found = ranks(_better(ranked, pairs))
    places = dict(
        zip(ranked, zip(*(places.tolist() for places in found), strict=True), strict=True)
    )
    calibration = results.calibration
    return Leaderboard(
        labels=results.labels,
        titles={group.name: results.titles[group.name] for group in results.groups},
        standings=tuple(
            _standing(
                system,
                places.get(system.system),
                _interval(cells[system.system], confidence),
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


_Cells = Mapping[tuple[str, str], float]
"""(character, scenario) -> overall score of one system, where there is one."""


def _cells(table: JudgmentTable, system: str) -> _Cells:
    rows = table.rows(system)
    scores: NDArray[np.float64] = table.score[rows].mean(axis=1)
    return {
        table.cells[row][1:]: score
        for row, score in zip(rows.tolist(), scores.tolist(), strict=True)
        if not math.isnan(score)
    }


def _interval(cells: _Cells, confidence: float) -> MeanInterval:
    characters, scenarios = ([cell[way] for cell in cells] for way in (0, 1))
    return mean_interval(list(cells.values()), characters, scenarios, confidence)


def _pair(one: str, other: str, ours: _Cells, theirs: _Cells, confidence: float) -> SystemPair:
    differences = {cell: ours[cell] - theirs[cell] for cell in ours if cell in theirs}
    found = _interval(differences, confidence)
    if not found.n:
        return SystemPair(one, other, 0, None, None, None, "they share no character and scenario")
    if found.reason:
        return SystemPair(one, other, found.n, found.mean, None, None, _why(found))
    return SystemPair(one, other, found.n, found.mean, found.lower, found.upper)


def _why(found: MeanInterval) -> str:
    few = [
        way
        for way, groups in zip(("character", "scenario"), found.groups, strict=True)
        if groups < 2
    ]
    return f"only one {' and one '.join(few)}" if few else found.reason


def _better(systems: Sequence[str], pairs: Sequence[SystemPair]) -> NDArray[np.bool_]:
    at = {system: row for row, system in enumerate(systems)}
    better = np.zeros((len(systems), len(systems)), dtype=np.bool_)
    for pair in pairs:
        if pair.better is not None:
            worse = pair.other if pair.better == pair.one else pair.one
            better[at[pair.better], at[worse]] = True
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
    place: tuple[int, int, int] | None,
    found: MeanInterval,
    calibrated: CalibratedMean | None,
    cost: SystemCost,
) -> SystemStanding:
    rank, first, last = place or (None, None, None)
    reason = _why(found) if found.n else "no dialogue was scored"
    if OVERALL not in system.measures:
        reason = "not all metrics were judged"
    defined = not found.reason
    return SystemStanding(
        system=system.system,
        rank=rank,
        first=first,
        last=last,
        dialogues=system.dialogues,
        n=found.n,
        mean=found.mean if found.n else None,
        lower=found.lower if defined else None,
        upper=found.upper if defined else None,
        reason="" if defined else reason,
        unscored=system.unscored_share,
        dimensions={name: m for name, m in system.measures.items() if m.kind == "dimension"},
        calibrated=calibrated,
        sampled=system.sampled,
        cost=cost,
    )
