"""The ranks of systems' means tie in a resample as they do in the estimate."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.agreement.correlation import mid_ranks
from calibration.agreement.levels import level_correlations
from calibration.resampling.bootstrap import crossed_bootstrap
from calibration.resampling.ranks import ranks_of_few


@given(
    st.lists(st.integers(-3, 3), min_size=1, max_size=8),
    st.sampled_from([1e-6, 1.0, 1e6]),
    st.integers(0, 2**32),
)
def test_they_are_the_mid_ranks_of_all_copies(values: list[int], unit: float, seed: int) -> None:
    """A value of weight w stands w times; doubled ranks less their mean, under three weightings."""
    rng = np.random.default_rng(seed)
    noisy = np.array(values)[:, None] * unit * (1 + rng.uniform(-1e-14, 1e-14, (len(values), 3)))
    weights = rng.integers(1, 4, noisy.shape)
    found = ranks_of_few(noisy, weights.astype(np.float64))
    for column in range(3):
        copies = np.repeat(values, weights[:, column])
        ranks = 2 * mid_ranks(copies) - len(copies) - 1
        assert np.repeat(found[:, column], weights[:, column]).tolist() == ranks.tolist()


def test_small_means_beside_a_large_one_stay_apart() -> None:
    """A billionth of the largest mean is no noise among means a million times smaller."""
    judge, human = np.array([1e-6, 3e-6, 2e-6, 1e4]), np.array([1.0, 2.0, 3.0, 4.0])
    system = np.arange(4)
    once = np.zeros(4, dtype=np.int64)
    expected = level_correlations(judge, human, system, once).systems.value
    assert expected == pytest.approx(0.8)
    found = crossed_bootstrap(
        judge[:, None],
        human[:, None],
        system,
        once,
        once,
        np.random.default_rng(0),
        resamples=1,
    )
    assert found.estimate[0, 0, 3, 0] == pytest.approx(expected)
