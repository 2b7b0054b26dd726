"""Laws of leaving groups out, and of the errors that are computed from it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.calibrators import Isotonic, Linear, Shift
from calibration.errors_of_fit import (
    point_errors,
    quadratic_kappa,
    ranked_probability_score,
    reliability_curve,
)
from calibration.selection import crossfit, pair_accuracy
from tests.unit.calibration.rated import rated

scores = st.integers(2, 10).map(lambda halves: halves / 2)
pairs = st.lists(st.tuples(scores, st.integers(1, 5)), min_size=1, max_size=40)
candidates = st.sampled_from([Shift, Linear, Isotonic])


@settings(max_examples=25)
@given(st.integers(0, 10**6), candidates, st.permutations(range(5)))
def test_names_of_groups_do_not_matter(
    seed: int, candidate: type[Shift | Linear | Isotonic], names: list[int]
) -> None:
    """Under other names, in another order of leaving out, every prediction is the same."""
    sample = rated(np.random.default_rng(seed), systems=5, cells=6)
    renamed = sample.by(np.array(names)[sample.groups])
    np.testing.assert_array_equal(
        crossfit(candidate, sample).predicted, crossfit(candidate, renamed).predicted
    )
    assert pair_accuracy(candidate, sample).value == pytest.approx(
        pair_accuracy(candidate, renamed).value
    )


@given(pairs)
def test_errors_are_ordered_and_split(rows: list[tuple[float, int]]) -> None:
    """|bias| <= MAE <= RMSE, and the mean squared error is bias squared plus variance."""
    x, y = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    errors = point_errors(x, y)
    assert abs(errors.bias) <= errors.mae + 1e-12
    assert errors.mae <= errors.rmse + 1e-12
    assert errors.mse == pytest.approx(errors.bias**2 + (x - y).var(), abs=1e-9)


@given(pairs)
def test_kappa_is_at_most_one_and_symmetric(rows: list[tuple[float, int]]) -> None:
    """1 exactly where both sides agree everywhere; the sides can change places."""
    x, y = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    x = np.floor(x)
    kappa = quadratic_kappa(x, y, 1, 5).value
    assert quadratic_kappa(y, x, 1, 5).value == pytest.approx(kappa, nan_ok=True)
    if not np.isnan(kappa):
        assert kappa <= 1 + 1e-12
        assert (kappa == pytest.approx(1)) == bool((x == y).all())


@given(pairs)
def test_certain_forecasts_score_their_absolute_error(rows: list[tuple[float, int]]) -> None:
    """The ranked probability score extends the absolute error to distributions."""
    x, y = (np.array(column, dtype=int) for column in zip(*rows, strict=True))
    certain = np.eye(5)[x - 1]
    assert ranked_probability_score(certain, y, 1).value == pytest.approx(np.abs(x - y).mean())


@given(pairs, st.integers(1, 12))
def test_reliability_keeps_every_pair(rows: list[tuple[float, int]], bins: int) -> None:
    """Bins rise, are no more than asked for, and weigh back to both means."""
    x, y = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    curve = reliability_curve(x, y, bins)
    assert 1 <= len(curve.n) <= bins
    assert (np.diff(curve.predicted) > 0).all()
    assert np.average(curve.predicted, weights=curve.n) == pytest.approx(x.mean())
    assert np.average(curve.observed, weights=curve.n) == pytest.approx(y.mean())
