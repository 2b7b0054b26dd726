"""Judges with a known fault fail the probe as they must, and one that is perfect passes.

The mock plays the bad ones, end to end on the dialogues of the demo: pure noise, one that counts
characters, one that always says the same. The perfect one is played by judgments made here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import judge
from judge.analysis.probe_records import ProbeFinding, ProbeRecord
from judge.analysis.probe_set import CLEAN, ProbeSet, draw_probe_set
from judge.analysis.probe_statistics import JudgedAs, ProbeDesign, find
from judge.baits import BAITS
from judge.dialogues import read_dialogues
from judge.perturbations import BASIC, PERTURBATIONS, ROLE, SUPPORT, Pool
from judge.report.probe_summary import verdict
from judge.rubric import load_rubric
from judge.types import Judgment, ScoreDistribution

METRICS = (*BASIC, *ROLE, *SUPPORT)
DEMO = Path(__file__).parents[3] / "scripts" / "demo_dialogues"


def probed(name: str, out: Path, seed: int = 0) -> ProbeRecord:
    done = judge.probe(name, dialogues=DEMO, limit=20, resamples=400, out=out, seed=seed)
    assert done.failed == 0
    return done.record


@pytest.fixture(scope="module", params=[0, 1])
def noise(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ProbeRecord:
    return probed("mock", tmp_path_factory.mktemp("noise"), request.param)


def test_noise_is_not_shown_to_see_anything(noise: ProbeRecord) -> None:
    """Every interval of a metric holds one half, and at most 5% of all single ones do not."""
    (finding,) = noise.findings
    for metric in finding.sensitivity:
        for share in (metric.auc, metric.dose):
            assert share.lower is None or share.lower <= 0.5
            assert share.upper is None or share.upper >= 0.5
    single = [auc for row in finding.rows for auc in row.auc.values() if auc.lower is not None]
    assert len(single) > 50
    wrong = [s for s in single if not (s.lower or 0) <= 0.5 <= (s.upper or 1)]
    assert len(wrong) <= 0.05 * len(single)
    assert finding.seen == []
    assert "not shown to see anything" in verdict(noise, finding)[0]


def test_of_noise_nothing_is_claimed(noise: ProbeRecord) -> None:
    """No bait taken, no fall where one must be, no halo, no length."""
    (finding,) = noise.findings
    assert finding.taken == []
    assert not any(b.resisted for b in finding.baits if b.expected == "falls")
    assert finding.halo.value is None
    assert not finding.counts_length
    assert all(
        answer.auc.lower is None or answer.auc.lower <= 0.5 <= (answer.auc.upper or 1)
        for answer in finding.known
    )


def test_a_judge_that_counts_length_is_caught_by_name(tmp_path: Path) -> None:
    """Its first sentence says so, and padding buys points; what keeps its length buys none."""
    record = probed("mock-length", tmp_path)
    (finding,) = record.findings
    assert finding.counts_length
    assert verdict(record, finding)[0].startswith("It counts length")
    taken = {b.bait for b in finding.taken}
    assert "length_padding" in taken
    assert "traditional" not in taken
    assert "Length padding" in " ".join(verdict(record, finding))
    assert finding.length_explained == pytest.approx(1, abs=0.05)
    shuffled = next(answer for answer in finding.known if answer.name == "shuffled")
    assert shuffled.auc.value == 0.5


def test_a_judge_that_always_says_the_same_passes_nothing_but_steadiness(tmp_path: Path) -> None:
    """All pairs tie; no bait moves it, and nor does what must."""
    record = probed("mock-constant", tmp_path)
    (finding,) = record.findings
    assert {m.auc.value for m in finding.sensitivity} == {0.5}
    assert finding.seen == []
    assert all(b.equivalent for b in finding.baits)
    assert {b.resisted for b in finding.baits if b.expected == "steady"} == {True}
    assert {b.resisted for b in finding.baits if b.expected == "falls"} == {False}
    assert "not shown to see anything" in verdict(record, finding)[0]
    for used in finding.labels:
        assert (used.effective, used.tied, used.sd) == (1, 1, 0)
        assert used.mass == pytest.approx(1, abs=1e-3)


# A judge whose every score is known


def distribution(score: float) -> ScoreDistribution:
    """All mass on the two labels around a score from 1 to 5."""
    masses = (max(1 - abs(score - label), 1e-12) for label in range(1, 6))
    return ScoreDistribution(tuple(math.log(mass) for mass in masses), top_is_label=True)


@pytest.fixture(scope="module")
def probe_set() -> ProbeSet:
    dialogues = read_dialogues(DEMO).dialogues
    rubric = load_rubric("esrp")
    pool = Pool(dialogues, {d.character: rubric.character(d.character) for d in dialogues})
    return draw_probe_set(dialogues, pool, METRICS, limit=20, seed=0)


def perfect(probe_set: ProbeSet, halo: float) -> Iterator[Judgment]:
    """Damage costs its metrics a fifth of a point a level, all others `halo` as much."""
    for at, d in enumerate(probe_set.dialogues()):
        variant, _, _ = d.system.partition("/")
        name, _, strength = variant.partition("@")
        targets: tuple[str, ...] = ()
        cost = 0.0
        if strength:
            targets, cost = PERTURBATIONS[name].lowers, 0.2 * int(strength)
        elif name in BAITS:
            targets, cost = BAITS[name].falls, 1.0
        elif name == "shuffled":
            targets, cost = ("coherency", "fluency"), 0.5
        # Dialogues differ, so that scores spread; the same dialogue always gets the same.
        base = 4 + 0.5 * math.sin(hash_of(d.character, d.scenario))
        for metric in METRICS:
            hit = metric in targets or "overall" in targets
            fall = cost if hit else halo * cost if targets and strength else 0.0
            yield Judgment(
                f"{at} {metric}", d.system, d.character, d.scenario, metric,
                distribution(base - fall),
            )  # fmt: skip


def hash_of(*names: str) -> float:
    return float(sum(ord(letter) for name in names for letter in name))


def found(probe_set: ProbeSet, halo: float = 0.0) -> ProbeFinding:
    design = ProbeDesign(probe_set, METRICS, 0.95, 200, 0)
    judgments = list(perfect(probe_set, halo))
    return find(design, JudgedAs("p", "p", "r", "f", ".", ""), judgments, {"none": "no reason"})


def test_a_perfect_judge_passes_everything(probe_set: ProbeSet) -> None:
    """Each damage costs its metrics what it was made to cost, and no other metric anything."""
    finding = found(probe_set)
    assert {m.auc.value for m in finding.sensitivity} == {1.0}
    assert len(finding.seen) == 9 - 1  # own stories are cut from too few replies of the demo
    assert {m.dose.value for m in finding.sensitivity} <= {1.0, None}
    assert finding.halo.value == pytest.approx(0, abs=1e-6)
    assert finding.taken == []
    assert all(b.resisted for b in finding.baits)
    assert not finding.counts_length
    for cell in finding.cells:
        perturbation = PERTURBATIONS.get(cell.alteration)
        if perturbation is not None and cell.measure != "overall" and cell.shift.value is not None:
            wanted = -0.2 * perturbation.max_level if cell.target else 0
            assert cell.shift.value == pytest.approx(wanted, abs=1e-6)
    assert finding.specificity["off_topic"] == pytest.approx(0.8)
    same, other = finding.rescored
    assert (same.rms, same.flips, same.rho) == (0, 0, pytest.approx(1))
    assert other.reason == "no reason"


def test_halo_is_the_share_of_the_fall_that_others_share(probe_set: ProbeSet) -> None:
    """Made to be .3, found to be .3; specificity is what is left."""
    finding = found(probe_set, halo=0.3)
    assert finding.halo.value == pytest.approx(0.3, abs=1e-6)
    assert finding.specificity["off_topic"] == pytest.approx(0.8 * 0.7, abs=1e-6)


def test_standardised_shifts_are_over_the_spread_of_unaltered_scores(probe_set: ProbeSet) -> None:
    """With the standard deviation of numpy over the sample."""
    finding = found(probe_set)
    clean = [
        j.score
        for j in perfect(probe_set, 0)
        if j.system.startswith(f"{CLEAN}/") and j.metric == "fluency"
    ]
    sd = float(np.std(np.array(clean, dtype=float), ddof=1))
    cell = next(
        c for c in finding.cells if (c.alteration, c.measure) == ("swap_characters", "fluency")
    )
    assert cell.standardised == pytest.approx(-0.8 / sd, rel=1e-6)
    fluency = next(used for used in finding.labels if used.metric == "fluency")
    assert fluency.sd == pytest.approx(sd, rel=1e-6)


def test_a_sample_is_spread_over_characters_and_scenarios(probe_set: ProbeSet) -> None:
    """Each dialogue of another scene, and the same seed draws the same forms."""
    scenes = {(d.character, d.scenario) for d in probe_set.sample}
    assert len(scenes) == len(probe_set.sample) == 20
    names = [f"{d.system}/{d.character}/{d.scenario}" for d in probe_set.dialogues()]
    assert len(set(names)) == len(names)
    assert {v.partition("@")[2] for v in probe_set.altered if v.startswith("off_topic@")} == {
        "1",
        "2",
        "4",
    }
