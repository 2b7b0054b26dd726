"""An agreement with chosen numbers, for the tests of its page; the numbers mean nothing."""

from __future__ import annotations

from judge.analysis.agreement.agreement_records import (
    COEFFICIENTS,
    LEVELS,
    Agreement,
    AltFloor,
    AltTest,
    Bin,
    Ceiling,
    Disagreement,
    Estimate,
    Interval,
    LeftOutSystem,
    Level,
    MeasureAgreement,
    PairwiseAccuracy,
    RaterPair,
    Sentinel,
    SystemPoint,
)
from judge.analysis.results import MeasureKind
from judge.types import Turn

EVIL = "</script><script>document.title='owned'</script><img src=x onerror=\"alert('x')\">"

TITLES = {
    "fluency": "Fluency (流畅性)",
    "sense": "Character knowledge (角色知识)",
    "style": "Speech style (说话风格)",
    "habit": "Behavioral habit (行为习惯)",
    "talk": "Talk (对话)",
    "role": "Role (角色)",
    "overall": "Overall",
}
GROUPS = {"talk": ("fluency", "sense"), "role": ("style",), "lone": ("habit",)}
SYSTEMS = ("gpt-4.1", "human", "qwen-max")
CHARACTERS = ("路飞", "Saber")

# Of `habit` nothing is defined; nor is the rank of the systems within an item of `style`.
RHO = {
    "fluency": 0.31,
    "sense": 0.62,
    "talk": 0.5,
    "style": -0.08,
    "role": -0.07,
    "habit": None,
    "overall": 0.44,
}
CONSTANT = "the judge's score is constant"


def figure(value: float | None, n: int = 120, *, half: float | None = None) -> Estimate:
    """A number with an interval of that half width; no number, no interval, but a reason."""
    if value is None:
        return Estimate(None, n, reason=CONSTANT)
    if half is None:
        return Estimate(value, n)
    return Estimate(value, n, interval=Interval(value - half, value + half, "bootstrap percentile"))


FLOORS = (
    AltFloor("most frequent label", 4, 0.2, 0.45, passed=False),
    AltFloor("mean rating", 3.87, 0.4, 0.5, passed=False),
)


def measure(name: str, rho: float | None, kind: MeasureKind = "metric") -> MeasureAgreement:
    """A measure whose every number follows from `rho`."""
    parts = GROUPS.get(name, (name,)) if kind != "overall" else tuple(RHO)[:2]
    shift: dict[Level, float] = {"all": 0, "within_item": -0.1, "within_system": -0.05}

    def at(level: Level, by: float = 0) -> Estimate:
        if rho is None or (name, level) == ("style", "within_item"):
            return figure(None)
        return figure(rho + shift.get(level, 0.2) + by, 3 if level == "systems" else 120, half=0.09)

    return MeasureAgreement(
        name=name,
        kind=kind,
        title=TITLES[name],
        parts=parts,
        scale=(1, 5),
        scale_declared=True,
        n=120,
        not_rated=7,
        not_judged=4,
        ratings=260,
        levels={
            coefficient: {level: at(level, -0.02 * place) for level in LEVELS}
            for place, coefficient in enumerate(COEFFICIENTS)
        },
        bonett_wright=Interval(-0.2, 0.91, "Bonett-Wright")
        if rho is not None
        else Interval(None, None, "Bonett-Wright", reason=CONSTANT),
        permutation_p=figure(None if rho is None else 0.5, 3),
        permutation_exact=True,
        rmse=figure(1.1),
        mae=figure(None if rho is None else 0.9 - rho / 10, half=0.05),
        bias=figure(None if rho is None else rho - 0.35, half=0.05),
        kappa=figure(rho, 260),
        alpha_human=figure(0.41, 260),
        alpha_with_judge=figure(0.38, 380),
        soft_pairwise=figure(0.71, 3),
        pairwise=PairwiseAccuracy(figure(0.66, 3), at_zero=0.61, threshold=0.12, tied=1),
        annotator_tests=(
            AltTest("continuous", 0.15, 0.4, 0.61, 5, 2, (31, 60), passed=False, floors=FLOORS),
            AltTest("rounded", 0.15, 0.8, 0.77, 5, 4, (31, 60), passed=True, floors=FLOORS)
            if rho is not None
            else AltTest("rounded", 0.15, None, None, 0, 0, (0, 0), None, "one rater only"),
        ),
        ceiling=Ceiling(
            rater=figure(0.55, 90),
            judge=figure(rho, 90),
            share=None if rho is None else rho / 0.8,
            single=figure(0.4, 90),
            mean=figure(0.59, 90),
            pearson=figure(0.77, 90),
            pearson_share=None if rho is None else rho / 0.77,
            repeated=90,
            cells=120,
            spearman=figure(0.8, 90),
        ),
        sentinels=(
            Sentinel("reply length", {level: figure(0.35) for level in LEVELS}),
            Sentinel(
                "system mean",
                {
                    "all": figure(0.2),
                    "within_item": figure(0.2),
                    "within_system": figure(None),
                    "systems": figure(1.0, 3),
                },
            ),
        ),
        confusion=() if kind != "metric" else ((9, 3, 0, 0, 0), *((0, 2, 17, 5, 1),) * 4),
        curve=(Bin(2.1, 2.6, 0.1, 60), Bin(3.3, 3.4, None, 60)),
        systems=tuple(
            SystemPoint(system, 40, 3.1 + place / 10, 0.06, 3.9 - place / 5, None, figure(rho))
            for place, system in enumerate(SYSTEMS)
        ),
        without=tuple(
            LeftOutSystem(system, figure(rho), figure(rho), figure(None, 2)) for system in SYSTEMS
        ),
        constant={"mae": figure(1.4), "rmse": figure(1.6), "soft_pairwise": figure(0.58, 3)},
    )


def disagreements(each: int = 18, text: str = "hello") -> tuple[Disagreement, ...]:
    """So many of each metric but `habit`, over systems and characters, gaps of either sign."""
    found = []
    for name in ("fluency", "sense", "style"):
        for place in range(each):
            sign = -1 if place % 3 == 0 else 1
            gap = sign * (3 - 2 * place / each)
            found.append(
                Disagreement(
                    system=SYSTEMS[place % 3],
                    character=CHARACTERS[place % 2],
                    scenario=str(place + 1),
                    metric=name,
                    judge=3 + gap / 2,
                    human=3 - gap / 2,
                    gap=(3 + gap / 2) - (3 - gap / 2),
                    p=(0.05, 0.15, 0.3, 0.4, 0.1),
                    ratings=(("r1", 3.0), ("", 2.5)),
                    turns=(Turn(f"我今天很难过。{text}", f"别担心，我在这里。{text}"),) * 2,
                    rationale=f"because {text}" if place % 2 else None,
                )
            )
    return tuple(found)


def agreement(
    *, text: str = "hello", simulated: bool = False, partial: str = "", each: int = 18
) -> Agreement:
    """Four metrics in three groups, of which one is no measure, with disagreements.

    `text` is put wherever a stranger's text can come in.
    """
    metric = {name: measure(name, RHO[name]) for name in ("fluency", "sense", "style", "habit")}
    whole = {name: measure(name, RHO[name], "dimension") for name in ("talk", "role")}
    return Agreement(
        judge=f"tiny {text}" if text != "hello" else "tiny",
        provenance={"model": "tiny/0", "rubric": f"small 1.2.0 zh {'01234567' * 8}", "note": text},
        simulated=simulated,
        partial=partial,
        notes=(f"3 ratings match no dialogue {text}",),
        item="character and scenario",
        systems=3,
        items=40,
        raters=5,
        ratings=1040,
        cells=480,
        cells_repeated=360,
        resamples=2000,
        confidence=0.95,
        seed=0,
        systems_fixed=False,
        epsilon=0.15,
        annotators="skilled",
        titles=TITLES,
        groups=GROUPS,
        measures=(
            metric["fluency"],
            metric["sense"],
            whole["talk"],
            metric["style"],
            whole["role"],
            metric["habit"],
            measure("overall", RHO["overall"], "overall"),
        ),
        pairs=(RaterPair("fluency", "r1", "r2", figure(0.5, 80, half=0.1)),),
        disagreements=disagreements(each, text),
    )
