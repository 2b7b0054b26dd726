"""The ordinal model: its gradient, its maximum, its severities."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit

from calibration.calibrators import CannotFitError, Ordinal, Sample, ordinal
from calibration.calibrators.ordinal import Posterior, fit_cumulative_logit
from tests.unit.calibration.rated import rated, sharp

Floats = NDArray[np.float64]
THRESHOLDS = np.array([-2.5, -1.0, 0.5, 2.0])


def draw(rng: np.random.Generator, eta: Floats) -> NDArray[np.int64]:
    """Labels 0..4 by the model itself: the number of thresholds below a logistic draw."""
    return (eta + rng.logistic(size=len(eta)) > THRESHOLDS[:, None]).sum(axis=0)


def posterior(
    rng: np.random.Generator, *, penalty: float = 0.0, raters: int = 0, n: int = 400
) -> Posterior:
    """Two features; the second half of the ratings are second ratings of the first cells."""
    x = rng.normal(size=(n // 2, 2))
    cells = np.arange(n) % (n // 2)
    who = rng.integers(0, raters, n) if raters else np.full(n, -1)
    return Posterior(
        x=x - x.mean(axis=0),
        y=draw(rng, (x @ [1.0, -0.5])[cells]),
        cells=cells,
        raters=who,
        raters_count=raters,
        penalty=penalty,
        severity_penalty=1.0,
    )


@given(st.integers(0, 10**6), st.sampled_from([0.1, 1.0, 3.0]))
def test_gradient_equals_finite_differences(seed: int, spread: float) -> None:
    """At any parameters, with unknown raters among the known, the slope is that of the loss."""
    rng = np.random.default_rng(seed)
    model = posterior(rng, penalty=0.7, raters=3, n=60)
    model.raters[::4] = -1
    if len(np.unique(model.y)) < 5:
        return
    at = rng.normal(0, spread, 4 + 2 + 3)
    value, slope = model.loss(at)
    # To both sides, and not too near: spread 3 gives losses of 100,000, whose last bits alone
    # would put a step of 1e-6 to one side .03 wrong.
    steps = 1e-4 * np.eye(len(at))
    numeric = [(model.loss(at + h)[0] - model.loss(at - h)[0]) / 2e-4 for h in steps]
    np.testing.assert_allclose(slope, numeric, rtol=1e-6, atol=1e-6 * (1 + value))


def test_loss_is_the_likelihood_spelled_out() -> None:
    """-sum log(P(y <= k) - P(y <= k - 1)), plus both penalties, computed the plain way."""
    rng = np.random.default_rng(1)
    model = posterior(rng, penalty=0.7, raters=3, n=60)
    at = rng.normal(0, 0.5, 9)
    theta = np.cumsum([at[0], *np.exp(at[1:4])])
    eta = (model.x @ at[4:6])[model.cells] - at[6:][model.raters]
    below = np.column_stack([np.zeros(60), expit(theta - eta[:, None]), np.ones(60)])
    likelihood = np.diff(below, axis=1)[np.arange(60), model.y]
    expected = -np.log(likelihood).sum() + 0.35 * at[4:6] @ at[4:6] + 0.5 * at[6:] @ at[6:]
    assert model.loss(at)[0] == pytest.approx(expected)


def test_far_out_nothing_overflows() -> None:
    """A predictor of 1,000 logits gives a finite loss and slope: nothing cancels."""
    model = posterior(np.random.default_rng(2), raters=2)
    value, slope = model.loss(np.array([0.0, 0, 0, 0, 1000, 1000, 0, 0]))
    assert np.isfinite(value)
    assert np.isfinite(slope).all()


def test_maximum_equals_statsmodels() -> None:
    """Without raters and penalty, coefficients and thresholds are those of OrderedModel."""
    ordinal = pytest.importorskip("statsmodels.miscmodels.ordinal_model")
    model = posterior(np.random.default_rng(3))
    reference = ordinal.OrderedModel(model.y, model.x[model.cells], distr="logit")
    found = reference.fit(method="bfgs", disp=False, gtol=1e-8)
    fitted = fit_cumulative_logit(model, np.cov(model.x.T, bias=True), np.zeros(2))
    np.testing.assert_allclose(fitted.coefficients, found.params[:2], atol=1e-4)
    thresholds = reference.transform_threshold_params(found.params)[1:-1]
    np.testing.assert_allclose(fitted.thresholds, thresholds, atol=1e-4)


def test_a_search_that_ends_too_early_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slope above what is asked for, here none at all, is no maximum: a reason, no parameters."""
    monkeypatch.setattr(ordinal, "_CONVERGED", 0.0)
    with pytest.raises(CannotFitError, match="did not converge"):
        fit_cumulative_logit(posterior(np.random.default_rng(3)), np.eye(2), np.zeros(2))


def test_two_labels_are_logistic_regression() -> None:
    """With 2 labels the model is scikit-learn's penalised logistic regression."""
    sklearn = pytest.importorskip("sklearn.linear_model")
    model = posterior(np.random.default_rng(4), penalty=2.0)
    model.y[:] = model.y > 2
    fitted = fit_cumulative_logit(model, np.cov(model.x.T, bias=True), np.zeros(2))
    reference = sklearn.LogisticRegression(C=1 / 2.0, tol=1e-8)
    reference.fit(model.x[model.cells], model.y)
    np.testing.assert_allclose(fitted.coefficients, reference.coef_[0], atol=1e-4)
    np.testing.assert_allclose(-fitted.thresholds, reference.intercept_, atol=1e-4)


def severe_sample(
    rng: np.random.Generator, raters: int = 12, n: int = 800
) -> tuple[Sample, Floats]:
    """SIMULATED ratings, three of a cell, by the model itself; and the true severities."""
    score = rng.uniform(1.5, 4.5, n)
    severity = rng.normal(0, 1, raters)
    cells = np.tile(np.arange(n), 3)
    who = rng.integers(0, raters, 3 * n)
    y = draw(rng, 1.5 * (score[cells] - 3) - severity[who]) + 1
    return Sample.of(
        sharp(score[:, None]), 0, y, cells, raters=who, groups=np.arange(n) % 4
    ), severity - severity.mean()


def test_severities_are_recovered() -> None:
    """From 200 ratings each, within .35 logits of the truth, and without bias in scale."""
    sample, truth = severe_sample(np.random.default_rng(5))
    found = np.array(Ordinal.fit(sample).severities)
    assert np.abs(found - truth).max() < 0.35
    assert np.polyfit(truth, found, 1)[0] == pytest.approx(1, abs=0.12)


def test_severities_are_centred() -> None:
    """Their sum is 0: thresholds are free, so that a common severity would only be paid for."""
    sample, _ = severe_sample(np.random.default_rng(6))
    assert sum(Ordinal.fit(sample).severities) == pytest.approx(0, abs=1e-2)


def test_the_rating_of_a_rater_leans_on_the_severity() -> None:
    """A severe rater is expected to give less, an unknown one what `predict` says."""
    sample, truth = severe_sample(np.random.default_rng(7))
    fitted = Ordinal.fit(sample)
    probs = sample.probs[[0, 0, 0]]
    severe, mild, unknown = fitted.rating_of(probs, [truth.argmax(), truth.argmin(), -1])
    assert severe < unknown < mild
    assert unknown == fitted.predict(probs)[0]
    with pytest.raises(ValueError, match=r"-1\.\.11"):
        fitted.rating_of(probs, [0, 0, 12])
    with pytest.raises(ValueError, match="3 integers"):
        fitted.rating_of(probs, [0.0, 0.0, 0.0])
    assert np.isnan(fitted.rating_of(np.full((1, 1, 5), np.nan), [0])).all()


def test_severity_is_taken_off_who_rated_what() -> None:
    """SIMULATED: severe and mild raters, one logit either side, rated the same dialogues.

    A map fitted to both predicts the rater in the middle; one fitted to the mild half without
    knowing who rated is too high.
    """
    rng = np.random.default_rng(8)
    sample, _ = severe_sample(rng)
    harsh = np.arange(12) < 6
    eta = 1.5 * (sample.probs[:, 0] @ np.arange(1, 6) - 3)[sample.cells]
    scores = draw(rng, eta - np.where(harsh[sample.raters], 1.0, -1.0)) + 1
    both = Sample.of(
        sample.probs, 0, scores, sample.cells, raters=sample.raters, groups=sample.groups
    )
    mild = Sample.of(
        sample.probs,
        0,
        scores[~harsh[both.raters]],
        sample.cells[~harsh[both.raters]],
        groups=sample.groups,
    )
    middle = draw(rng, np.repeat(eta, 20)).reshape(-1, 20).mean(axis=1) + 1
    truth = np.bincount(sample.cells, middle) / 3
    assert abs((Ordinal.fit(both).predict(both.probs) - truth).mean()) < 0.1
    assert (Ordinal.fit(mild).predict(both.probs) - truth).mean() > 0.3


def test_a_label_that_nobody_used_gets_no_probability() -> None:
    """Labels 2 and 5 do not occur: their share is 0, the rest sums to 1, nothing is nan."""
    sample = rated(np.random.default_rng(9), systems=4)
    scores = np.where(np.isin(sample.scores, [2, 5]), 3, sample.scores)
    scores[:2] = 1, 4
    fitted = Ordinal.fit(Sample.of(sample.probs, 0, scores, sample.cells, groups=sample.groups))
    shares = fitted.distribution(sample.probs)
    assert shares is not None
    assert fitted.used == (1, 3, 4)
    assert (shares[:, [1, 4]] == 0).all()
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    np.testing.assert_allclose(shares @ np.arange(1, 6), fitted.predict(sample.probs))


def test_pieces_of_the_rater_graph() -> None:
    """Raters 0 and 1 share a cell, 2 shares none, unknown raters link nobody."""
    probs = sharp(np.linspace(2, 4, 4)[:, None])
    cells, raters = [0, 0, 1, 2, 3, 3], [0, 1, 1, 2, -1, 2]
    sample = Sample.of(
        probs, 0, [2, 3, 2, 3, 4, 4], cells, raters=raters, groups=["a", "b", "a", "b"]
    )
    assert Ordinal.fit(sample).pieces == 2
    nobody = Sample.of(probs, 0, [2, 3, 2, 3, 4, 4], cells, groups=["a", "b", "a", "b"])
    fitted = Ordinal.fit(nobody)
    assert (fitted.pieces, fitted.severities) == (0, ())


def test_separable_data_stay_finite() -> None:
    """Where the judge is always right, the penalty keeps the coefficients finite."""
    sample = rated(np.random.default_rng(10))
    exact = np.rint(sample.probs[:, 0] @ np.arange(1, 6))
    fitted = Ordinal.fit(Sample.of(sample.probs, 0, exact, range(len(exact)), groups=sample.groups))
    assert np.isfinite([*fitted.thresholds, *fitted.coefficients]).all()
    assert np.abs(fitted.predict(sample.probs) - exact).mean() < 0.2
