"""Errors against hand derivations and scikit-learn; nothing measured gives no number."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, mean_absolute_error, root_mean_squared_error

from calibration.errors_of_fit import (
    nominal_kappa,
    point_errors,
    quadratic_kappa,
    ranked_probability_score,
    reliability_curve,
    to_labels,
)


def test_point_errors_by_hand() -> None:
    """Errors 1, -2 and 2 of three pairs; a fourth has no prediction and is counted."""
    errors = point_errors([2, 1, 5, math.nan], [1, 3, 3, 4])
    assert (errors.n, errors.masked) == (3, 1)
    assert errors.mae == pytest.approx(5 / 3)
    assert (errors.mse, errors.rmse) == (pytest.approx(3), pytest.approx(math.sqrt(3)))
    assert errors.bias == pytest.approx(1 / 3)


def test_point_errors_equal_scikit_learn() -> None:
    """On any numbers, scikit-learn computes the same."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 50))
    errors = point_errors(x, y)
    assert errors.mae == pytest.approx(mean_absolute_error(y, x))
    assert errors.rmse == pytest.approx(root_mean_squared_error(y, x))


def test_no_pairs_no_errors() -> None:
    """Nothing compared is no error of 0."""
    assert all(math.isnan(value) for value in point_errors([math.nan], [1])[2:])


@pytest.mark.parametrize("seed", range(5))
def test_kappa_equals_scikit_learn(seed: int) -> None:
    """With all labels of the scale, also those that nobody used."""
    rng = np.random.default_rng(seed)
    x, y = rng.integers(1, 5, 40), rng.integers(2, 6, 40)
    reference = cohen_kappa_score(x, y, weights="quadratic", labels=[1, 2, 3, 4, 5])
    assert quadratic_kappa(x, y, 1, 5).value == pytest.approx(reference)


def test_kappa_rounds_halves_up_and_stays_on_the_scale() -> None:
    """2.5 counts as 3, 3.5 as 4, 0.2 as 1 and 7 as 5."""
    rounded = quadratic_kappa([2.5, 3.5, 0.2, 7], [3, 3, 2, 5], 1, 5)
    assert rounded.value == quadratic_kappa([3, 4, 1, 5], [3, 3, 2, 5], 1, 5).value


def test_kappa_without_variation_is_undefined() -> None:
    """One label on both sides is no agreement beyond chance, and no number."""
    same = quadratic_kappa([4, 4.1, math.nan], [4, 4, 4], 1, 5)
    assert math.isnan(same.value)
    assert (same.n, same.masked) == (2, 1)
    assert "one and the same label" in same.reason
    assert quadratic_kappa([], [], 1, 5).reason == "no pairs"


def test_ranked_probability_score_by_hand() -> None:
    """Shares .2 .3 .5 and label 2: (.2 - 0)^2 + (.5 - 1)^2 = .29; a row without one is counted."""
    score = ranked_probability_score([[0.2, 0.3, 0.5], [math.nan] * 3], [2, 2], 1)
    assert score.value == pytest.approx(0.29)
    assert (score.n, score.masked) == (1, 1)


def test_no_forecast_no_score() -> None:
    """Nothing compared is no score of 0."""
    score = ranked_probability_score([[math.nan] * 3], [2], 1)
    assert math.isnan(score.value)
    assert (score.masked, score.reason) == (1, "no pairs")


def test_a_certain_forecast_has_its_absolute_error() -> None:
    """Certain of 1 when the rating is 4 costs 3 points, also on the scale 0..4."""
    assert ranked_probability_score([[1, 0, 0, 0]], [4], 1).value == 3
    assert ranked_probability_score([[0, 0, 1, 0, 0]], [0], 0).value == 2


def test_the_true_distribution_scores_best() -> None:
    """The score is proper: no other forecast does better on average than the true shares."""
    ratings = np.repeat([1, 2, 3], [20, 30, 50])

    def mean_score(*shares: float) -> float:
        return ranked_probability_score(np.tile(shares, (100, 1)), ratings, 1).value

    truth = mean_score(0.2, 0.3, 0.5)
    others = np.random.default_rng(2).dirichlet([1, 1, 1], 50)
    assert all(mean_score(*other) > truth for other in others)


def test_reliability_curve_by_hand() -> None:
    """Four pairs in two bins, in the order of the predictions."""
    curve = reliability_curve([4, 1, 2, 3, math.nan], [5, 1, 3, 3, 1], bins=2)
    np.testing.assert_array_equal(curve.predicted, [1.5, 3.5])
    np.testing.assert_array_equal(curve.observed, [2, 4])
    assert (curve.n.tolist(), curve.masked) == ([2, 2], 1)


def test_equal_predictions_share_a_bin() -> None:
    """Seven equal predictions of eight leave two bins, whatever is asked for."""
    curve = reliability_curve([3] * 7 + [4], range(8), bins=4)
    assert curve.n.tolist() == [7, 1]
    assert curve.observed.tolist() == [3, 7]


def test_reliability_of_nothing_is_empty() -> None:
    """Without pairs there are no bins."""
    assert reliability_curve([], []).n.size == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: point_errors([1], [1, 2]), "one length"),
        (lambda: point_errors([[1]], [[1]]), "one-dimensional"),
        (lambda: point_errors([math.inf], [1]), "infinities"),
        (lambda: quadratic_kappa([1], [1.5], 1, 5), "whole labels"),
        (lambda: quadratic_kappa([1], [6], 1, 5), "whole labels"),
        (lambda: ranked_probability_score([0.5, 0.5], [1], 1), "distribution for each"),
        (lambda: ranked_probability_score([[0.5, 0.5]], [3], 1), "whole labels"),
        (lambda: reliability_curve([1], [1], bins=0), "at least one bin"),
    ],
)
def test_bad_input_is_refused(call: object, message: str) -> None:
    """Each thing that cannot be compared has its own message."""
    assert callable(call)
    with pytest.raises(ValueError, match=message):
        call()


def test_labels_are_rounded_half_up_and_kept_on_the_scale() -> None:
    """2.5 is 3, 0.2 is 1, 7 is 5, and what is missing stays missing."""
    np.testing.assert_array_equal(
        to_labels([2.5, 3.49, 0.2, 7, math.nan], 1, 5), [3, 3, 1, 5, math.nan]
    )


def test_nominal_kappa_is_that_of_scikit_learn() -> None:
    """Of three categories, one of which only one side uses; undefined for a single category."""
    rng = np.random.default_rng(2)
    x, y = rng.integers(0, 3, 60), rng.integers(0, 2, 60)
    assert nominal_kappa(x, y).value == pytest.approx(cohen_kappa_score(x, y))
    assert math.isnan(nominal_kappa([1, 1], [1, 1]).value)
    assert nominal_kappa([], []).reason == "no pairs"
