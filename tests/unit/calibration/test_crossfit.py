"""Out-of-fold predictions see nothing of their group, and a judge without signal gains nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest

from calibration.agreement.correlation import spearman
from calibration.calibrators import (
    CANDIDATES,
    Calibrator,
    Linear,
    Ridge,
    Sample,
    Shift,
    as_distributions,
)
from calibration.selection import crossfit, pair_accuracy
from tests.unit.calibration.rated import plain, rated


def test_leave_one_out_by_hand() -> None:
    """Differences 1, 2 and 6 of three groups: each gets the mean of the other two."""
    sample = plain([1, 1, 2], [2, 3, 5], ["a", "b", "c"])
    found = crossfit(Shift, sample)
    np.testing.assert_allclose(found.predicted, [1 + 2.5, 1 + 2, 2 + 1.5])
    assert (found.distribution, found.reason) == (None, "")


@pytest.mark.parametrize("candidate", CANDIDATES.values())
def test_a_group_does_not_see_its_own_ratings(candidate: type[Calibrator]) -> None:
    """Turning one group's ratings upside down moves predictions of the others, never its own."""
    sample = rated(np.random.default_rng(1))
    mine = sample.groups[sample.cells] == 2
    turned = np.where(mine, 6 - sample.scores, sample.scores)
    other = Sample.of(
        sample.probs, 0, turned, sample.cells, raters=sample.raters, groups=sample.groups
    )
    before, after = crossfit(candidate, sample).predicted, crossfit(candidate, other).predicted
    own = sample.groups == 2
    np.testing.assert_array_equal(before[own], after[own])
    assert (before[~own] != after[~own]).any() == candidate.learns


def test_other_groups_leave_other_cells_out() -> None:
    """By character instead of by system: the fit lacks the whole character."""
    sample = plain([1, 1, 2, 2], [2, 3, 5, 3], ["s", "s", "t", "t"])
    by_character = crossfit(Shift, sample.by(["x", "y", "x", "y"])).predicted
    np.testing.assert_allclose(by_character, [1 + 1.5, 1 + 2, 2 + 1.5, 2 + 2])


def test_distributions_are_held_out_too() -> None:
    """Ordinal has a distribution for every judged cell, whose mean is the prediction."""
    sample = rated(np.random.default_rng(2))
    found = crossfit(CANDIDATES["ordinal"], sample)
    assert found.distribution is not None
    np.testing.assert_allclose(found.distribution @ np.arange(1, 6), found.predicted)


def test_what_cannot_be_fitted_without_a_group_says_why() -> None:
    """Two groups leave one, over which ridge can choose no penalty: nan, with the reason."""
    sample = rated(np.random.default_rng(3), systems=2)
    found = crossfit(Ridge, sample)
    assert np.isnan(found.predicted).all()
    assert "only one" in found.reason
    pairs = pair_accuracy(Shift, sample)
    assert math.isnan(pairs.value)
    assert "without two groups: no cell is both judged and rated" in pairs.reason


def test_pairs_by_hand() -> None:
    """Judge 1 2 3 2, people 2 4 3 3: of six pairs 3 right, 1 wrong, 2 tied."""
    sample = plain([1, 2, 3, 2], [2, 4, 3, 3], list("abcd"))
    found = pair_accuracy(Shift, sample)
    assert (found.pairs, found.ties) == (6, 2)
    assert found.value == pytest.approx((3 + 2 / 2) / 6)


def test_means_that_differ_in_their_last_bits_tie() -> None:
    """The same four scores in two orders add up differently by 4e-16; their means tie."""
    scores = [1.1, 4.9, 2.6, 3.3, 1.1, 4.9, 3.3, 2.6, 4, 2]
    sample = plain(scores, [1, 1, 1, 1, 2, 2, 2, 2, 4, 3], list("aaaabbbbcd"))
    left = Shift.fit(sample.take(sample.groups > 1)).predict(sample.probs)
    assert left[:4].mean() != left[4:8].mean(), "without rounding this would be no tie"
    assert pair_accuracy(Shift, sample).ties == 1


def test_a_group_without_usable_cells_is_in_no_pair() -> None:
    """It is counted instead."""
    probs = as_distributions(np.array([[1.0], [2], [3], [4]]), 5)
    sample = Sample.of(probs, 0, [1, 2, 3], [0, 1, 2], groups=list("abcd"))
    found = pair_accuracy(Shift, sample)
    assert (found.pairs, found.unusable, found.value) == (3, 1, 1.0)
    assert "fewer than 2" in pair_accuracy(Shift, sample.by(list("aaad"))).reason


def test_a_judge_of_pure_noise_is_found_out() -> None:
    """SIMULATED: leave-one-out means rank the systems backwards, held-out pairs at random.

    A line without slope predicts the mean of the other systems: high for the system that is
    low. Over 40 judges of pure noise on 8 systems, the pooled correlation of system means is
    near -1 nearly always. The pairwise accuracy of one of them has a standard deviation of about
    (1/2) sqrt(2 (2 n + 5) / (9 n (n - 1))) = .14, that of the mean of 40 about .023.
    """
    pooled, pairs = [], []
    for seed in range(40):
        sample = rated(np.random.default_rng(seed), systems=8, cells=150, metrics=1, signal=0)
        found = crossfit(Linear, sample).predicted
        count = np.bincount(sample.groups)
        pooled.append(
            spearman(
                np.bincount(sample.groups, found) / count,
                np.bincount(sample.groups, sample.means) / count,
            ).value
        )
        pairs.append(pair_accuracy(Linear, sample).value)
    assert np.median(pooled) < -0.9
    assert np.mean(pairs) == pytest.approx(0.5, abs=0.08)


def test_a_judge_that_sees_orders_unseen_pairs() -> None:
    """SIMULATED: with signal, both held out, nearly all pairs of systems come out right."""
    values = [
        pair_accuracy(Linear, rated(np.random.default_rng(seed), systems=8, cells=150)).value
        for seed in range(5)
    ]
    assert np.mean(values) > 0.85
