"""Errors in points of the scale, for judges that are on it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from calibration.agreement import scale_agreement, to_labels


def test_by_hand() -> None:
    """Errors .5, -1 and 0: mean absolute .5, bias -1/6; a fourth was not judged."""
    found = scale_agreement([2.5, 2, 5, math.nan], [2, 3, 5, 4], 1, 5)
    assert found.mae.value == pytest.approx(0.5)
    assert found.bias.value == pytest.approx(-1 / 6)
    assert (found.mae.n, found.mae.masked, found.beyond) == (3, 1, 0)


def test_kappa_has_the_labels_of_the_scale() -> None:
    """Labels nobody used count: scikit-learn, told of all five, agrees."""
    rng = np.random.default_rng(0)
    human = rng.integers(2, 5, 60)
    judge = np.clip(human + rng.normal(size=60), 1, 5)
    expected = cohen_kappa_score(
        to_labels(judge, 1, 5), human, labels=[1, 2, 3, 4, 5], weights="quadratic"
    )
    assert scale_agreement(judge, human, 1, 5).kappa.value == pytest.approx(expected)


@pytest.mark.parametrize("moved", [lambda x: 25 * (x - 1), lambda x: x / 5, lambda x: x - 4])
def test_a_judge_on_another_range_has_no_error_in_points(moved: object) -> None:
    """Scores of 0..100, 0..1 or -3..1 are not read as points of 1..5, nor clipped to them."""
    assert callable(moved)
    human = np.array([1.0, 2, 3, 4, 5])
    found = scale_agreement(moved(human), human, 1, 5)
    assert found.beyond > 0
    for measure in found[:3]:
        assert math.isnan(measure.value)
        assert f"{found.beyond} judge scores are off the scale 1..5" in measure.reason


def test_noise_at_the_end_of_the_scale_is_on_it() -> None:
    """An expected score of 5 that sums to 5 + 1e-15 is 5."""
    assert scale_agreement([np.nextafter(5, 6), 1], [5, 1], 1, 5).kappa.value == 1


def test_means_of_ratings_have_no_kappa() -> None:
    """3.5 is no label: kappa alone is undefined."""
    found = scale_agreement([3, 4], [3.5, 4], 1, 5)
    assert found.mae.value == pytest.approx(0.25)
    assert math.isnan(found.kappa.value)
    assert found.kappa.reason == "human scores are not whole labels"


def test_nothing_compared_is_no_error() -> None:
    """No pairs, no numbers."""
    found = scale_agreement([math.nan], [3], 1, 5)
    assert all(math.isnan(m.value) and m.reason == "no pairs" for m in found[:3])


def test_labels_are_rounded_half_up_and_kept_on_the_scale() -> None:
    """2.5 is 3, 0.2 is 1, 7 is 5, and what is missing stays missing."""
    np.testing.assert_array_equal(
        to_labels([2.5, 3.49, 0.2, 7, math.nan], 1, 5), [3, 3, 1, 5, math.nan]
    )


@pytest.mark.parametrize(
    ("judge", "human", "message"),
    [([1], [6], "human scores must lie"), ([1, 2], [1], "one length"), ([math.inf], [1], "inf")],
)
def test_bad_input_is_refused(judge: list[float], human: list[float], message: str) -> None:
    """Each thing that is not two columns of scores has its own message."""
    with pytest.raises(ValueError, match=message):
        scale_agreement(judge, human, 1, 5)
