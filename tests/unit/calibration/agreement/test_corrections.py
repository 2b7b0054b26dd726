"""Corrections for many tests against statsmodels and by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from calibration.agreement.small_sample import benjamini_yekutieli, holm

P = [0.01, 0.04, 0.03, 0.005, 0.5, 0.04]


def test_holm_by_hand() -> None:
    """.01 .02 .03: times 3, 2 and 1, and never below the one before."""
    np.testing.assert_allclose(holm([0.03, 0.01, 0.02]), [0.04, 0.03, 0.04])


@pytest.mark.parametrize(("ours", "theirs"), [(holm, "holm"), (benjamini_yekutieli, "fdr_by")])
def test_equal_to_statsmodels(ours: Any, theirs: str) -> None:
    """With ties, and with values that reach 1."""
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    for values in (P, [0.9, 0.8, 1.0], [0.2]):
        np.testing.assert_allclose(ours(values), multitest.multipletests(values, method=theirs)[1])


@pytest.mark.parametrize("m", [1, 2, 9, 40])
def test_benjamini_yekutieli_is_that_of_scipy(m: int) -> None:
    """To 13 digits, with and without ties."""
    p = np.random.default_rng(m).random(m) ** 3
    for values in (p, np.round(p, 1)):
        expected = stats.false_discovery_control(values, method="by")
        np.testing.assert_allclose(benjamini_yekutieli(values), expected, rtol=1e-13)


@pytest.mark.parametrize("correct", [holm, benjamini_yekutieli])
def test_a_test_not_made_does_not_count(correct: Any) -> None:
    """An undefined metric stays undefined and makes the others no weaker."""
    found = correct([*P, math.nan])
    np.testing.assert_allclose(found[:-1], correct(P))
    assert math.isnan(found[-1])
    assert np.isnan(correct([math.nan])).all()
    assert correct([]).size == 0


@pytest.mark.parametrize("correct", [holm, benjamini_yekutieli])
@pytest.mark.parametrize("wrong", [[1.1], [-0.1], [[0.1]]])
def test_bad_input_is_refused(correct: Any, wrong: list[float]) -> None:
    """What is no p-value is not corrected."""
    with pytest.raises(ValueError, match=r"0\.\.1"):
        correct(wrong)
