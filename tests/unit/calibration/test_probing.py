"""Shares, shifts and ratios of pairs, against derivations by hand, scipy and simulations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binomtest

from calibration.probing import PairResamples, label_use, length_effect, lowered

CHARACTERS = np.repeat(np.arange(8), 5)
SCENARIOS = np.tile(np.arange(10), 4)


def resamples(seed: int = 0, **options: float) -> PairResamples:
    rng = np.random.default_rng(seed)
    return PairResamples(CHARACTERS, SCENARIOS, rng, **options)  # type: ignore[arg-type]


def test_the_lower_score_of_a_pair_counts_and_ties_half() -> None:
    """Rounding errors tie; what is missing on one side is missing."""
    clean = [3.0, 3.0, 3.0, 0.1 + 0.2, math.nan, 2.0]
    altered = [2.0, 4.0, 3.0, 0.3, 1.0, math.nan]
    assert lowered(clean, altered).tolist()[:4] == [1, 0, 0.5, 0.5]
    assert np.isnan(lowered(clean, altered)[4:]).all()


def test_a_judge_of_noise_is_never_shown_to_see() -> None:
    """Of 400 simulated judges of noise at most 5% have an interval that excludes one half.

    The crossed bootstrap counts the noise of single pairs up to three times: it is far fewer.
    """
    rng = np.random.default_rng(1)
    wrong = 0
    for trial in range(400):
        share = lowered(rng.normal(size=40), rng.normal(size=40))
        found = resamples(trial, resamples=200).mean(share, share=True)
        wrong += not found.lower <= 0.5 <= found.upper
    assert wrong <= 0.05 * 400


def test_an_interval_takes_eight_dialogues() -> None:
    """Of 1,000 simulations of noise at most 2.5%, and two standard errors, lie above 0 or below it.

    No character and no scenario is there twice. Seven dialogues have none.
    """
    rng = np.random.default_rng(4)
    above = below = 0
    for _ in range(1000):
        found = PairResamples(range(8), range(8), rng, resamples=200).mean(rng.normal(size=8))
        above += found.lower > 0
        below += found.upper < 0
    assert max(above, below) <= 35
    few = PairResamples(range(8), range(8), rng).mean([*range(7), math.nan])
    assert (few.n, few.value, few.reason) == (7, 3, "an interval takes 8 dialogues")
    assert math.isnan(few.lower)
    assert math.isnan(few.upper)


def test_intervals_hold_the_truth_where_characters_and_scenarios_differ() -> None:
    """Effects of both on the shift, of the size of the noise: 95% covers at least 92%."""
    rng = np.random.default_rng(2)
    held = 0
    for trial in range(400):
        shift = 0.3 + rng.normal(size=8)[CHARACTERS] + rng.normal(size=10)[SCENARIOS]
        found = resamples(trial, resamples=200).mean(shift + rng.normal(size=40))
        held += found.lower <= 0.3 <= found.upper
    assert held >= 0.92 * 400


def test_where_all_pairs_agree_the_interval_is_that_of_clopper_and_pearson() -> None:
    """A third of 40 dialogues is more than 8 characters, but of 12 dialogues it is not."""
    for value, n, trials in ((0.0, 40, 14), (1.0, 40, 14), (1.0, 12, 4)):
        values = np.where(np.arange(40) < n, value, np.nan)
        found = resamples().mean(values, share=True)
        exact = binomtest(int(trials * value), trials).proportion_ci(0.95, method="exact")
        assert (found.lower, found.upper) == pytest.approx((exact.low, exact.high), abs=1e-9)


def test_shifts_that_are_all_the_same_have_no_width_to_show() -> None:
    """A shift of 0 everywhere is 0, not a share that might be larger."""
    for value in (0.0, 1.0, -0.25):
        found = resamples().mean(np.full(40, value))
        assert (found.value, found.lower, found.upper) == (value, value, value)
        assert found.reason == "all pairs have the same value"


def test_missing_pairs_are_left_out_and_counted() -> None:
    """Without any pair there is no number."""
    values = np.where(np.arange(40) < 10, np.nan, np.arange(40.0))
    found = resamples().mean(values)
    assert (found.n, found.value) == (30, 24.5)
    none = resamples().mean(np.full(40, np.nan))
    assert none.n == 0
    assert math.isnan(none.value)


def test_several_pairs_of_a_dialogue_are_drawn_together() -> None:
    """The same numbers twice are no more information: the interval stays the same."""
    values = np.random.default_rng(3).normal(size=40)
    once = resamples().mean(values)
    twice = resamples().mean(np.tile(values, 2), np.tile(np.arange(40), 2))
    assert twice.n == 80
    assert twice[1:4] == pytest.approx(once[1:4])


def test_a_ratio_is_that_of_the_sums_and_undefined_where_nothing_falls() -> None:
    """Half of every fall on the other metrics is a halo of one half."""
    wholes = np.random.default_rng(4).uniform(1, 2, size=40)
    found = resamples().ratio(wholes / 2, wholes)
    assert (found.value, found.lower, found.upper) == pytest.approx((0.5, 0.5, 0.5))
    noise = np.random.default_rng(5).normal(size=40)
    unknown = resamples().ratio(noise, noise - noise.mean())
    assert math.isnan(unknown.value)
    assert unknown.reason == "nothing was shown to fall"


def test_the_same_seed_gives_the_same_interval() -> None:
    """Randomness is an argument."""
    values = np.random.default_rng(6).normal(size=40)
    assert resamples(7).mean(values) == resamples(7).mean(values)
    assert resamples(7).mean(values) != resamples(8).mean(values)


@pytest.mark.parametrize(
    ("values", "dialogue"), [([1.0], [40]), ([math.inf], [0]), ([1.0, 2.0], [0])]
)
def test_pairs_that_cannot_be_are_refused(values: list[float], dialogue: list[int]) -> None:
    """An infinite score, a dialogue that there is not, or another length."""
    with pytest.raises(ValueError, match=r"finite numbers|one length"):
        resamples().mean(values, dialogue)


def test_no_dialogues_are_refused() -> None:
    """There is nothing to draw from."""
    with pytest.raises(ValueError, match="at least one dialogue"):
        PairResamples([], [], np.random.default_rng(0))


def test_the_use_of_labels() -> None:
    """Two labels used equally are two; of four dialogues with two scores 2 of 6 pairs tie."""
    low, high = [0.9, 0.1, 0.0], [0.0, 0.1, 0.9]
    use = label_use([low, low, high, high])
    assert use.shares.tolist() == [0.5, 0, 0.5]
    assert use.effective == pytest.approx(2)
    assert use.tied == pytest.approx(2 / 6)
    assert label_use([low]).effective == 1
    assert math.isnan(label_use([low]).tied)


def test_the_effect_of_length_is_the_line_through_the_origin() -> None:
    """Against numpy's least squares; exactly 1 is explained where the score counts doublings."""
    rng = np.random.default_rng(8)
    before, after = rng.integers(50, 400, 60), rng.integers(50, 400, 60)
    doublings = np.log2(after / before)
    counted = length_effect(0.4 * doublings, before, after)
    assert counted == pytest.approx((0.4, 1.0))
    noisy = 0.4 * doublings + rng.normal(size=60)
    found = length_effect([*noisy, math.nan], [*before, 1], [*after, 2])
    slope, residual, *_ = np.linalg.lstsq(doublings[:, None], noisy, rcond=None)
    assert found.points == pytest.approx(slope[0])
    assert found.explained == pytest.approx(1 - residual[0] / (noisy @ noisy))
    assert math.isnan(length_effect([1.0], [5], [5]).points)
