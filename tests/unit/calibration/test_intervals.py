"""The clustered mean against hand derivations and statsmodels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from calibration.intervals import clustered_mean, normal_quantile, t_quantile

ROWS = ["a", "a", "b", "b"]
COLUMNS = ["x", "y", "x", "y"]


def test_one_way_by_hand() -> None:
    """Residual sums -2 and 2: V = 2/1 (4 + 4) / 4^2 = 1."""
    result = clustered_mean([1, 2, 3, 4], ROWS)
    assert result.mean == 2.5
    assert result.standard_error == pytest.approx(1.0)
    assert (result.n, result.groups, result.used) == (4, (2,), (0,))


def test_two_way_by_hand() -> None:
    """Residuals -2 -1 0 3: V = 2 * 18/16 + 2 * 8/16 - 4/3 * 14/16 = 25/12."""
    result = clustered_mean([1, 2, 3, 6], ROWS, COLUMNS)
    assert result.mean == 3
    assert result.standard_error == pytest.approx(math.sqrt(25 / 12))
    assert (result.groups, result.used, result.reason) == ((2, 2), (0, 1), "")


def test_two_way_equals_statsmodels() -> None:
    """An unbalanced design gives the two-way error of an intercept-only regression."""
    groups = pytest.importorskip("statsmodels.stats.sandwich_covariance")
    linear = pytest.importorskip("statsmodels.regression.linear_model")
    rng = np.random.default_rng(5)
    first, second = rng.integers(0, 7, 300), rng.integers(0, 11, 300)
    values = rng.normal(size=7)[first] + rng.normal(size=11)[second] + rng.normal(size=300)
    fitted = linear.OLS(values, np.ones((300, 1))).fit()
    both, one, two = groups.cov_cluster_2groups(fitted, first, second)
    assert clustered_mean(values, first, second).standard_error == pytest.approx(
        math.sqrt(both[0, 0]), rel=1e-10
    )
    assert clustered_mean(values, first).standard_error == pytest.approx(math.sqrt(one[0, 0]))
    assert clustered_mean(values, second).standard_error == pytest.approx(math.sqrt(two[0, 0]))


def test_no_positive_two_way_variance_falls_back_and_says_so() -> None:
    """Rows and columns give 1/16 each, the cells 0.229: the larger one-way stands, 1/4."""
    result = clustered_mean([0, 2, 2, 1], ROWS, COLUMNS)
    assert result.standard_error == pytest.approx(0.25)
    assert len(result.used) == 1


def test_cancelling_deviations_are_undefined_not_certain() -> None:
    """On a checkerboard every row and column sums to 0: that is no standard error of 0."""
    result = clustered_mean([1, 0, 0, 1], ROWS, COLUMNS)
    assert math.isnan(result.standard_error)
    assert "cancel" in result.reason


@pytest.mark.parametrize("lone", [("k" * 4, COLUMNS), (COLUMNS, "k" * 4)])
def test_one_cluster_is_undefined(lone: tuple[str, str]) -> None:
    """One cluster cannot tell how clusters vary: nan with a reason, but still a mean."""
    result = clustered_mean([1, 2, 3, 6], list(lone[0]), list(lone[1]))
    assert result.mean == 3
    assert math.isnan(result.standard_error)
    assert result.used == ()
    assert "fewer than 2 clusters" in result.reason


def test_equal_values_have_no_error() -> None:
    """Values that do not vary at all have a standard error of exactly 0."""
    assert clustered_mean([4.1] * 4, ROWS, COLUMNS).standard_error == 0.0


def test_no_values_are_undefined() -> None:
    """Nothing has no mean."""
    result = clustered_mean([], [], [])
    assert math.isnan(result.mean)
    assert result.reason == "no values"


@pytest.mark.parametrize(
    ("values", "clusters", "message"),
    [
        ([1.0, math.nan], (["a", "b"],), "finite"),
        ([1.0, math.inf], (["a", "b"],), "finite"),
        ([[1.0]], ([["a"]],), "one-dimensional"),
        ([1.0, 2.0], (["a"],), "shape"),
        ([1.0], (), "one or two"),
        ([1.0], (["a"], ["a"], ["a"]), "one or two"),
    ],
)
def test_bad_input_is_refused(
    values: list[float], clusters: tuple[list[str], ...], message: str
) -> None:
    """Each thing that is not an array of numbers with its clusters has its own message."""
    with pytest.raises(ValueError, match=message):
        clustered_mean(values, *clusters)


@pytest.mark.parametrize("confidence", [0.5, 0.8, 0.9, 0.95, 0.999])
def test_quantiles_are_those_of_scipy_stats(confidence: float) -> None:
    """To 13 digits, for 1 to 60 degrees of freedom."""
    upper = (1 + confidence) / 2
    assert normal_quantile(confidence) == pytest.approx(stats.norm.ppf(upper), rel=1e-13)
    df = np.arange(1, 61)
    ours = [t_quantile(confidence, int(n)) for n in df]
    np.testing.assert_allclose(ours, stats.t.ppf(upper, df), rtol=1e-13)
