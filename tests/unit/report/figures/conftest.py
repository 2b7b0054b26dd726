"""An agreement with every field filled, of numbers that no two places share by chance."""

from __future__ import annotations

import numpy as np
import pytest

from judge.analysis.agreement.agreement_records import (
    COEFFICIENTS,
    LEVELS,
    Agreement,
    Bin,
    Ceiling,
    Estimate,
    Interval,
    LeftOutSystem,
    MeasureAgreement,
    PairwiseAccuracy,
    Sentinel,
    SystemPoint,
)
from judge.analysis.results import MeasureKind
from judge.report.figures import ReportFigure, figures

TITLES = {
    "fluency": "Fluency (流畅性)",
    "coherency": "Coherency (连贯性)",
    "consistency": "Consistency (一致性)",
    "basic_dialogue": "Basic dialogue (基础对话)",
    "character_knowledge": "Character knowledge (角色知识)",
    "speech_style": "Speech style (语言风格)",
    "behavioral_habit": "Behavioral habit (行为习惯)",
    "role_playing": "Role playing (角色扮演)",
    "emotional_value": "Emotional value (情绪价值)",
    "experience_sharing": "Experience sharing (经历分享)",
    "demand_matching": "Demand matching (需求匹配)",
    "emotional_support": "Emotional support (情感支持)",
    "overall": "Overall",
}
SYSTEMS = (
    "human",
    "gpt-4o-2024-08-06",
    "Qwen2.5-72B-Instruct",
    "deepseek-chat",
    "GLM-4-Plus",
    "ERNIE-4.0-Turbo",
    "Doubao-pro-32k",
    "Baichuan-NPC-Turbo",
    "CharacterGLM",
    "Index-1.9B-Character",
    "Yi-Lightning",
)


def measure(
    name: str, kind: MeasureKind, parts: tuple[str, ...], systems: tuple[str, ...]
) -> MeasureAgreement:
    """One measure; its numbers follow from its name alone."""
    rng = np.random.default_rng(sorted(TITLES).index(name) if name in TITLES else 99)

    def number(low: float, high: float) -> Estimate:
        value = float(rng.uniform(low, high))
        ends = Interval(value - 0.05, value + 0.06, "bootstrap percentile")
        return Estimate(value, 1200, interval=ends)

    def levels(low: float, high: float) -> dict[str, Estimate]:
        return {level: number(low, high) for level in LEVELS}

    human = np.sort(rng.uniform(3.0, 4.4, len(systems)))[::-1]
    judge = 0.6 * human + 0.9 + rng.normal(0, 0.12, len(systems))
    points = [
        SystemPoint(system, 120, float(j), 0.04, float(h), 0.06, number(0.1, 0.4))
        for system, j, h in zip(systems, judge, human, strict=True)
    ]
    at = np.sort(rng.uniform(2.2, 4.4, 10))
    curve = [
        Bin(float(x), float(3.5 + 0.5 * (x - 3.3) + rng.normal(0, 0.1)), 0.05, int(n))
        for x, n in zip(at, rng.integers(60, 200, 10), strict=True)
    ]
    confusion = () if kind != "metric" else tuple(map(tuple, rng.integers(0, 400, (5, 5)).tolist()))
    return MeasureAgreement(
        name=name,
        kind=kind,
        title=TITLES.get(name, name),
        parts=parts,
        scale=(1, 5),
        scale_declared=True,
        n=13200,
        not_rated=0,
        not_judged=0,
        ratings=14520,
        levels={c: levels(0.25, 0.6) for c in COEFFICIENTS},  # type: ignore[dict-item]
        bonett_wright=Interval(0.1, 0.93, "Bonett-Wright"),
        permutation_p=number(0, 0.1),
        permutation_exact=False,
        rmse=number(0.7, 1),
        mae=number(0.5, 0.8),
        bias=number(-0.4, -0.1),
        kappa=number(0.2, 0.4),
        alpha_human=number(0.3, 0.5),
        alpha_with_judge=number(0.3, 0.5),
        soft_pairwise=number(0.7, 0.9),
        pairwise=PairwiseAccuracy(number(0.5, 0.7), 0.4, 0.2, 3000),
        annotator_tests=(),
        ceiling=Ceiling(
            rater=number(0.55, 0.7),
            judge=number(0.4, 0.5),
            share=0.8,
            single=number(0.3, 0.4),
            mean=number(0.4, 0.5),
            pearson=number(0.6, 0.7),
            pearson_share=0.7,
            repeated=1200,
            cells=13200,
            spearman=number(0.75, 0.9),
        ),
        sentinels=(
            Sentinel("reply length", levels(0.0, 0.2)),  # type: ignore[arg-type]
            Sentinel("character mean", levels(0.0, 0.2)),  # type: ignore[arg-type]
            Sentinel("system mean", levels(0.1, 0.25)),  # type: ignore[arg-type]
        ),
        confusion=confusion,
        curve=tuple(curve),
        systems=tuple(points),
        without=tuple(
            LeftOutSystem(s, number(0.3, 0.5), number(0.3, 0.5), number(0.3, 0.5)) for s in systems
        ),
    )


def agreement_of(systems: tuple[str, ...] = SYSTEMS, *, partial: str = "") -> Agreement:
    """Nine metrics in three dimensions and overall, of these systems."""
    names = list(TITLES)
    groups = {names[at + 3]: tuple(names[at : at + 3]) for at in (0, 4, 8)}
    measures = []
    for dimension, metrics in groups.items():
        measures += [measure(metric, "metric", (metric,), systems) for metric in metrics]
        measures.append(measure(dimension, "dimension", metrics, systems))
    every = tuple(metric for metrics in groups.values() for metric in metrics)
    measures.append(measure("overall", "overall", every, systems))
    return Agreement(
        judge="embedded",
        provenance={},
        simulated=True,
        partial=partial,
        notes=(),
        item="character and scenario",
        systems=len(systems),
        items=1200,
        raters=12,
        ratings=130680,
        cells=118800,
        cells_repeated=11880,
        resamples=2000,
        confidence=0.95,
        seed=0,
        systems_fixed=False,
        epsilon=0.2,
        annotators="expert",
        titles=TITLES,
        groups=groups,
        measures=tuple(measures),
    )


@pytest.fixture(scope="session")
def agreement() -> Agreement:
    """Of eleven systems, with simulated ratings, not complete."""
    return agreement_of(partial="3 of 11 systems are judged")


@pytest.fixture(scope="session")
def drawn(agreement: Agreement) -> list[ReportFigure]:
    """Every figure of it."""
    return figures(agreement)
