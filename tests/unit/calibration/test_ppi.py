"""Prediction-powered means against hand derivations and the clustered mean they extend."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.intervals import clustered_mean
from calibration.ppi import RaterShares, label_gap, powered_mean

NAN = math.nan
RNG = np.random.default_rng(12)
ROWS, COLUMNS = (axis.ravel() for axis in np.indices((6, 8)))
JUDGED = RNG.normal(size=6)[ROWS] + RNG.normal(size=8)[COLUMNS] + RNG.normal(size=48)
RATED = 4 + 0.5 * JUDGED + RNG.normal(size=6)[ROWS] + RNG.normal(size=48)
SOME = np.where(ROWS < 3, RATED, NAN)


def test_by_hand() -> None:
    """Cov 1, Var 2, n = N = 2: lambda 1/4, theta 5/8 + 21/8, V = 2 * 2 (.4375^2 + .1875^2)."""
    result = powered_mean([2, 4, NAN, NAN], [1, 2, 1, 4], list("abcd"))
    assert result.weight == pytest.approx(0.25)
    assert result.mean == pytest.approx(3.25)
    assert result.standard_error == pytest.approx(math.sqrt(0.90625))
    assert result.upper - result.mean == pytest.approx(6.3137515 * math.sqrt(0.90625))
    assert (result.labelled, result.unlabelled, result.clusters, result.df) == (2, 2, (2,), 1)


@pytest.mark.parametrize("ways", [(ROWS,), (COLUMNS,), (ROWS, COLUMNS)])
def test_with_every_label_it_is_the_clustered_mean(ways: tuple[np.ndarray, ...]) -> None:
    """Nothing is left for the judge to say: weight 0, and the known clustered error."""
    result = powered_mean(RATED, JUDGED, *ways)
    reference = clustered_mean(RATED, *ways)
    assert (result.weight, result.unlabelled) == (0, 0)
    assert result.mean == pytest.approx(reference.mean)
    assert result.standard_error == pytest.approx(reference.standard_error)


def test_a_judge_that_says_nothing_leaves_the_labels_alone() -> None:
    """A constant judge, and one that is turned round, both get the weight 0."""
    for judged in (np.full(48, 3.0), -JUDGED):
        result = powered_mean(SOME, judged, ROWS, COLUMNS)
        assert result.weight == 0
        assert result.mean == pytest.approx(RATED[ROWS < 3].mean())


def test_the_weight_is_never_above_one() -> None:
    """A judge that uses a tenth of the scale would need ten times its weight: clipped."""
    assert powered_mean(SOME, JUDGED / 10, ROWS, COLUMNS).weight == 1


def test_the_degrees_of_freedom_are_those_of_the_clustering_that_matters() -> None:
    """Where rows carry the effect and three were labelled, t has 2 df, not the columns' 7."""
    result = powered_mean(SOME + 3.0 * ROWS, JUDGED, COLUMNS, ROWS)
    assert result.clusters == (8, 3)
    assert result.df == 2


@given(st.floats(-3, 3), st.randoms(use_true_random=False))
def test_level_of_the_judge_and_order_of_rows_do_not_matter(
    shift: float, shuffler: random.Random
) -> None:
    """A judge that is kinder by a constant, read in any order, gives the same interval."""
    order = list(range(48))
    shuffler.shuffle(order)
    first = powered_mean(SOME, JUDGED, ROWS, COLUMNS)
    second = powered_mean(SOME[order], JUDGED[order] + shift, ROWS[order], COLUMNS[order])
    assert second[:5] == pytest.approx(first[:5])


def test_raters_are_a_third_clustering_by_hand() -> None:
    """All labelled, so weight 0. Errors of -1, -1, 1, 1 by raters a, a, b, b.

    Parts -1/4, -1/4, 1/4, 1/4: V_r = 2 (1/4 + 1/4) = 1, less the single ratings' 1/4. Singleton
    clusters: V = 4/3 (1/4) = 1/3. Together 13/12, t with 1 df.
    """
    shares = RaterShares(np.arange(4), np.array([0, 0, 1, 1]), np.array([2.0, 2, 4, 4]), np.ones(4))
    result = powered_mean([2, 2, 4, 4], [3, 3, 3, 3], list("abcd"), shares=shares)
    assert result.standard_error == pytest.approx(math.sqrt(13 / 12))
    assert result.df == 1
    one = shares._replace(rater=np.zeros(4, dtype=np.int64))
    assert "one rater" in powered_mean([2, 2, 4, 4], [3.0] * 4, list("abcd"), shares=one).reason
    unknown = shares._replace(rater=np.full(4, -1))
    alone = powered_mean([2, 2, 4, 4], [3.0] * 4, list("abcd"))
    assert powered_mean([2, 2, 4, 4], [3.0] * 4, list("abcd"), shares=unknown) == alone


def test_labels_where_the_judge_is_high_are_noticed_and_labels_by_lot_are_not() -> None:
    """SIMULATED: 40 of 200 dialogues labelled by lot, by character or from the top."""
    rng = np.random.default_rng(5)
    row, column = (axis.ravel() for axis in np.indices((10, 20)))
    alarms: dict[str, list[bool]] = {"lot": [], "characters": [], "top": []}
    for _ in range(300):
        judged = rng.normal(size=10)[row] + rng.normal(size=20)[column] + rng.normal(size=200)
        top = judged >= np.sort(judged)[-40]
        drawn = {"lot": rng.permutation(200) < 40, "characters": row < 3, "top": top}
        for name, labelled in drawn.items():
            alarms[name].append(label_gap(labelled, judged, row, column).p < 0.01)
    assert np.mean(alarms["lot"]) <= 0.02
    assert np.mean(alarms["characters"]) <= 0.05
    assert np.mean(alarms["top"]) > 0.99


def test_without_labels_there_is_no_number() -> None:
    """No human score: no mean, and the reason."""
    result = powered_mean([NAN, NAN], [3.0, 4.0], ["a", "b"])
    assert np.isnan([result.mean, result.lower, result.upper, result.standard_error]).all()
    assert result.reason == "no dialogue has a human score"


def test_labels_of_one_cluster_give_a_mean_and_no_interval() -> None:
    """One labelled character cannot tell how characters vary, sixty scenarios or not."""
    result = powered_mean(np.where(ROWS == 0, RATED, NAN), JUDGED, COLUMNS, ROWS)
    assert math.isfinite(result.mean)
    assert np.isnan([result.lower, result.upper, result.standard_error]).all()
    assert result.reason == "clustering 2 has fewer than 2 clusters with a human score"


def test_cancelling_deviations_are_undefined_not_certain() -> None:
    """On a checkerboard every row and column sums to 0: that is no standard error of 0."""
    result = powered_mean([1, 0, 0, 1], [1, 1, 1, 1], list("aabb"), list("xyxy"))
    assert math.isnan(result.standard_error)
    assert "cancel" in result.reason


def test_equal_values_have_no_error() -> None:
    """Labels that do not vary at all, and nothing to predict, leave an error of exactly 0."""
    assert powered_mean([4.0] * 4, [1, 2, 3, 4], list("aabb")).standard_error == 0.0


@pytest.mark.parametrize(
    ("human", "judged", "clusters", "confidence", "message"),
    [
        ([[1.0]], [[1.0]], (["a"],), 0.9, "one-dimensional"),
        ([1.0, 2.0], [1.0], (["a", "b"],), 0.9, "one length"),
        ([1.0, math.inf], [1.0, 2.0], (["a", "b"],), 0.9, "human must not hold infinities"),
        ([1.0, 2.0], [1.0, NAN], (["a", "b"],), 0.9, "judged must be finite"),
        ([1.0, 2.0], [1.0, 2.0], (), 0.9, "one or two"),
        ([1.0, 2.0], [1.0, 2.0], (["a"],), 0.9, "shape"),
        ([1.0, 2.0], [1.0, 2.0], (["a", "b"],), 1.5, "between 0 and 1"),
    ],
)
def test_bad_input_is_refused(
    human: list[float],
    judged: list[float],
    clusters: tuple[list[str], ...],
    confidence: float,
    message: str,
) -> None:
    """Each thing that cannot give a mean has its own message."""
    with pytest.raises(ValueError, match=message):
        powered_mean(human, judged, *clusters, confidence=confidence)
