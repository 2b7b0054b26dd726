"""Where each system stands: measure by measure, character by character, scenario by scenario."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from calibration.intervals import mean_interval
from judge.analysis.judgment_table import JudgmentTable, dialogue_order, judgment_table
from judge.analysis.results import Results
from judge.analysis.summary import undefined_reason
from judge.types import Judgment

__all__ = ["Breakdown", "MeanOf", "Scene", "SceneScores", "break_down", "scene_scores"]

Scene = tuple[str, str]
"""A character and a scenario."""

SceneScores = Mapping[str, Mapping[Scene, float]]
"""System -> scene -> its overall score, where there is one."""


@dataclass(frozen=True, slots=True)
class MeanOf:
    """The mean of n scores; None where n is 0.

    `lower` and `upper` are the ends of its interval; None, with a `reason`, where it has none. No
    interval is computed for a character or a scenario.
    """

    n: int
    mean: float | None
    lower: float | None = None
    upper: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Breakdown:
    """The means of every system, on the human scale if the run is calibrated.

    Attributes:
        human_scale: whether they are calibrated.
        confidence: of the intervals.
        scale: lowest and highest possible value.
        measures: the overall score if there is one, then the dimensions; if neither was judged
            completely, the metrics: measure -> system -> its mean and interval.
        characters, scenarios: name -> system -> the mean of its dialogues' overall scores, or where
            not every metric was judged, of the mean of those that were. In the order of the names.
    """

    human_scale: bool
    confidence: float
    scale: tuple[float, float]
    measures: Mapping[str, Mapping[str, MeanOf]]
    characters: Mapping[str, Mapping[str, MeanOf]]
    scenarios: Mapping[str, Mapping[str, MeanOf]]


def break_down(
    results: Results,
    judgments: Sequence[Judgment],
    *,
    confidence: float = 0.95,
    calibrated: SceneScores = MappingProxyType({}),
) -> Breakdown:
    """The means of the systems of `results` and their parts.

    Raw intervals are those of `calibration.intervals.mean_interval`.

    Args:
        judgments: they have the scores of single dialogues.
        confidence: of raw intervals; calibrated ones have their own.
        calibrated: the calibrated overall scores, if all metrics of the results are calibrated.
    """
    calibration = results.calibration
    on_human_scale = calibration is not None and bool(calibrated)
    table = judgment_table(
        [j for j in judgments if j.metric in results.metrics], results.metrics, len(results.labels)
    )
    names = [name for name in results.measures[::-1] if name not in results.metrics]
    names = [names[0], *names[:0:-1]] if names else list(results.metrics)
    scores = calibrated if on_human_scale else scene_scores(table)
    if calibration is not None and on_human_scale:
        own: dict[str, dict[str, MeanOf]] = {name: {} for name in names}
        for system in results.systems:
            for name in names:
                found = calibration.mean(system.system, name)
                if found is not None:
                    own[name][system.system] = MeanOf(
                        found.n, found.mean, found.lower, found.upper, found.reason
                    )
        measures: Mapping[str, Mapping[str, MeanOf]] = own
        scale = (float(calibration.scale[0]), float(calibration.scale[1]))
    else:
        measures = {
            name: {
                system.system: _mean(table, system.system, results.parts(name), confidence)
                for system in results.systems
                if name in system.measures
            }
            for name in names
        }
        scale = (1.0, float(len(results.labels)))
    return Breakdown(
        human_scale=on_human_scale,
        confidence=calibration.confidence if calibration and on_human_scale else confidence,
        scale=scale,
        measures=measures,
        characters=_cells(scores, lambda scene: scene[0]),
        scenarios=_cells(scores, lambda scene: scene[1]),
    )


def _mean(table: JudgmentTable, system: str, parts: Sequence[str], confidence: float) -> MeanOf:
    rows = table.systems == system
    scores: NDArray[np.float64] = table.score[rows][:, table.columns(parts)].mean(axis=1)
    scored = ~np.isnan(scores)
    if not scored.any():
        return MeanOf(0, None, reason="no dialogue was scored")
    ways = table.characters[rows][scored], table.scenarios[rows][scored]
    found = mean_interval(scores[scored], *ways, confidence)
    if found.reason:
        reason = undefined_reason(found.groups, found.reason)
        return MeanOf(found.n, found.mean, reason=reason)
    return MeanOf(found.n, found.mean, found.lower, found.upper)


def scene_scores(table: JudgmentTable) -> dict[str, dict[Scene, float]]:
    """The mean score over all metrics of the table, for each dialogue that has all of them."""
    scenes: dict[str, dict[Scene, float]] = {}
    for dialogue, score in zip(table.dialogue_ids, table.score.mean(axis=1).tolist(), strict=True):
        if not math.isnan(score):
            system, character, scenario = dialogue
            scenes.setdefault(system, {})[character, scenario] = score
    return scenes


def _cells(scores: SceneScores, part: Callable[[Scene], str]) -> dict[str, dict[str, MeanOf]]:
    """Name -> system -> mean of its scenes whose `part` is that name."""
    found: dict[str, dict[str, list[float]]] = {}
    for system, scenes in scores.items():
        for scene, score in scenes.items():
            found.setdefault(part(scene), {}).setdefault(system, []).append(score)
    order = sorted(found, key=lambda name: dialogue_order("", "", name)[2:])
    return {
        name: {
            system: MeanOf(len(values), math.fsum(values) / len(values))
            for system, values in found[name].items()
        }
        for name in order
    }
