"""The calibrators: each against a hand derivation or scikit-learn, and as plain data."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pytest
from scipy.special import logit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LinearRegression
from sklearn.linear_model import Ridge as SklearnRidge
from sklearn.preprocessing import StandardScaler

from calibration.calibrators import (
    CANDIDATES,
    CannotFitError,
    Expected,
    Isotonic,
    Linear,
    Mode,
    Ordinal,
    Ridge,
    Sample,
    Shift,
    from_dict,
)
from calibration.calibrators.ridge import FLOOR, PENALTIES, filled_cells
from tests.unit.calibration.rated import plain, rated


def test_raw_rungs_by_hand() -> None:
    """Mode takes the most probable label, the lower on a tie; expected the mean of labels."""
    probs = np.array([[[0.1, 0.2, 0.7]], [[0.4, 0.4, 0.2]]])
    sample = Sample.of(probs, 0, [1, 1], [0, 1], groups=["a", "b"])
    assert Mode.fit(sample).predict(probs).tolist() == [3, 1]
    np.testing.assert_allclose(Expected.fit(sample).predict(probs), [2.6, 1.8])
    mode, expected = (candidate.fit(sample).distribution(probs) for candidate in (Mode, Expected))
    np.testing.assert_array_equal(mode, [[0, 0, 1], [1, 0, 0]])
    np.testing.assert_array_equal(expected, probs[:, 0])


def test_the_judge_has_no_distribution_on_another_scale() -> None:
    """Labels 1..3 of the judge are not the ratings 0..2 of people."""
    probs = np.array([[[0.1, 0.2, 0.7]]])
    sample = Sample.of(probs, 0, [0], [0], groups=["a"], scale=(0, 2))
    assert Mode.fit(sample).distribution(probs) is None
    assert Expected.fit(sample).distribution(probs) is None


def test_shift_and_line_by_hand() -> None:
    """Ratings 2, 3, 5 at 1, 2, 3: the mean difference is 4/3, the line 3/2 x + 1/3."""
    sample = plain([1, 2, 3], [2, 3, 5], ["a", "b", "c"])
    assert Shift.fit(sample).offset == pytest.approx(4 / 3)
    line = Linear.fit(sample)
    assert (line.slope, line.intercept) == (pytest.approx(3 / 2), pytest.approx(1 / 3))


def test_cell_means_with_their_counts_are_the_single_ratings() -> None:
    """The line through weighted means is the one through all ratings (scikit-learn)."""
    sample = rated(np.random.default_rng(1), ratings=3)
    kept = np.random.default_rng(2).random(len(sample.scores)) < 0.6
    part = Sample.of(sample.probs, 0, sample.scores[kept], sample.cells[kept], groups=sample.groups)
    scores = Expected.fit(part).predict(part.probs)[part.cells]
    reference = LinearRegression().fit(scores[:, None], part.scores)
    line = Linear.fit(part)
    assert line.slope == pytest.approx(reference.coef_[0])
    assert line.intercept == pytest.approx(reference.intercept_)


def test_isotonic_is_that_of_scikit_learn() -> None:
    """Stored corners give scikit-learn's predictions, inside the range that was seen and beyond."""
    sample = rated(np.random.default_rng(3))
    scores = Expected.fit(sample).predict(sample.probs)
    inner = sample.take((scores > 2.5) & (scores < 4))
    reference = IsotonicRegression(increasing=True, out_of_bounds="clip")
    reference.fit(Expected.fit(inner).predict(inner.probs), inner.means)
    ours = Isotonic.fit(inner).predict(sample.probs)
    np.testing.assert_allclose(ours, reference.predict(scores), atol=1e-12)


def test_isotonic_never_turns_the_judge_round() -> None:
    """Where people disagree with the judge, the best rising map is flat, at their mean."""
    falling = Isotonic.fit(plain([1, 2, 3], [5, 3, 1], ["a", "b", "c"]))
    assert set(falling.y) == {3.0}
    assert not falling.rank_invariant


def sklearn_features(sample: Sample) -> Any:
    """Cumulative logits with a floor, standardised by the number of ratings."""
    above = sample.probs[:, :, ::-1].cumsum(axis=2)[:, :, ::-1][:, :, 1:]
    inside = (above > FLOOR) & (above < 1 - FLOOR)
    assert inside.all(), "the reference has no floor"
    return StandardScaler().fit_transform(
        logit(above).reshape(len(above), -1), sample_weight=sample.counts
    )


def mild(rng: np.random.Generator) -> Sample:
    """A sample with 1 to 3 ratings of a cell and no probability below the floor."""
    sample = rated(rng, ratings=3)
    kept = rng.random(len(sample.scores)) < 0.7
    kept[::3] = True
    probs = 0.9 * sample.probs + 0.1 / 5
    return Sample.of(probs, 0, sample.scores[kept], sample.cells[kept], groups=sample.groups)


def test_ridge_is_that_of_scikit_learn() -> None:
    """With its penalty times the number of ratings, predictions are scikit-learn's."""
    sample = mild(np.random.default_rng(4))
    ours = Ridge.fit(sample)
    reference = SklearnRidge(alpha=ours.penalty * len(sample.scores))
    x = sklearn_features(sample)
    reference.fit(x, sample.means, sample_weight=sample.counts)
    np.testing.assert_allclose(ours.predict(sample.probs), reference.predict(x), rtol=1e-9)


def test_ridge_takes_the_penalty_that_predicts_held_out_groups_best() -> None:
    """The shortcut through moments chooses what refitting scikit-learn for each group does."""
    sample = mild(np.random.default_rng(5))
    x, counts = sklearn_features(sample), sample.counts
    losses = np.zeros(len(PENALTIES))
    groups = np.unique(sample.groups)
    for group, (column, penalty) in itertools.product(groups, enumerate(PENALTIES)):
        held = sample.groups == group
        model = SklearnRidge(alpha=penalty * counts[~held].sum())
        model.fit(x[~held], sample.means[~held], sample_weight=counts[~held])
        losses[column] += np.mean((model.predict(x[held]) - sample.means[held]) ** 2)
    assert 0 < losses.argmin() < len(PENALTIES) - 1, "the best is not at an end"
    assert Ridge.fit(sample).penalty == PENALTIES[losses.argmin()]


@pytest.mark.parametrize("candidate", ["ridge", "ordinal"])
def test_certain_judgments_stay_finite(candidate: str) -> None:
    """Probabilities of exactly 0 and 1 in every metric give finite predictions on the scale."""
    rng = np.random.default_rng(6)
    labels = rng.integers(0, 5, (60, 2))
    sample = Sample.of(np.eye(5)[labels], 0, labels[:, 0] + 1, range(60), groups=np.arange(60) % 4)
    predicted = CANDIDATES[candidate].fit(sample).predict(sample.probs)
    assert np.corrcoef(predicted, labels[:, 0])[0, 1] > 0.9


@pytest.mark.parametrize("candidate", ["ridge", "ordinal"])
def test_a_missing_metric_stands_at_its_mean(candidate: str) -> None:
    """It moves a prediction as much as the mean features of the fit would, and is counted."""
    sample = mild(np.random.default_rng(7))
    fitted: Any = CANDIDATES[candidate].fit(sample)
    gone = sample.probs.copy()
    gone[:5, 1] = np.nan
    mean = np.array(fitted.mean).reshape(3, 4)[1]
    below = np.concatenate([1 / (1 + np.exp(mean)), [1.0]])
    stand_in = sample.probs.copy()
    stand_in[:5, 1] = np.diff(below, prepend=0.0)
    np.testing.assert_allclose(fitted.predict(gone), fitted.predict(stand_in))
    assert filled_cells(gone, 0) == 5
    assert filled_cells(gone, 1) == 0


@pytest.mark.parametrize("candidate", ["ridge", "ordinal"])
def test_a_metric_that_was_never_judged_has_no_weight(candidate: str) -> None:
    """Fitted without a metric, the map is the same as if there were none."""
    sample = mild(np.random.default_rng(8))
    gone = sample.probs.copy()
    gone[:, 2] = np.nan
    whole = Sample.of(gone, 0, sample.scores, sample.cells, groups=sample.groups)
    less = Sample.of(gone[:, :2], 0, sample.scores, sample.cells, groups=sample.groups)
    fitted = CANDIDATES[candidate].fit(whole)
    np.testing.assert_allclose(
        fitted.predict(sample.probs),
        CANDIDATES[candidate].fit(less).predict(gone[:, :2]),
        rtol=1e-4,
    )


@pytest.mark.parametrize("candidate", CANDIDATES)
def test_no_judgment_no_number(candidate: str) -> None:
    """Where the target was not judged, nothing is predicted, whatever else is known."""
    sample = rated(np.random.default_rng(9))
    fitted = CANDIDATES[candidate].fit(sample)
    probs = sample.probs.copy()
    probs[3, 0] = np.nan
    predicted, distribution = fitted.predict(probs), fitted.distribution(probs)
    assert np.isnan(predicted).nonzero()[0].tolist() == [3]
    if distribution is not None:
        assert np.isnan(distribution).any(axis=1).nonzero()[0].tolist() == [3]


def test_which_rungs_rise_with_the_expected_score() -> None:
    """Expected, shift, a rising line and isotonic are maps of one score; the others are not."""
    rising = rated(np.random.default_rng(10), judge_noise=0.2)
    kinds = {name: candidate.fit(rising).rank_invariant for name, candidate in CANDIDATES.items()}
    assert [name for name, kind in kinds.items() if kind] == [
        "expected",
        "shift",
        "linear",
        "isotonic",
    ]
    assert not Linear.fit(plain([1, 2, 3], [5, 3, 1], ["a", "b", "c"])).rank_invariant


@pytest.mark.parametrize(
    ("candidate", "sample", "message"),
    [
        ("linear", plain([3, 3], [1, 2], ["a", "b"]), "all expected scores are equal"),
        ("ridge", plain([1, 2], [1, 2], ["a", "a"]), "only one"),
        ("ordinal", plain([1, 2], [1, 2], ["a", "a"]), "only one"),
        ("ordinal", plain([1, 2], [4, 4], ["a", "b"]), "all ratings are 4"),
        ("ordinal", plain([1, 2], [1, 2.5], ["a", "b"]), "whole labels"),
    ],
)
def test_what_cannot_be_fitted_says_why(candidate: str, sample: Sample, message: str) -> None:
    """Data in order but not enough is a reason, not a nan."""
    with pytest.raises(CannotFitError, match=message):
        CANDIDATES[candidate].fit(sample)


@pytest.mark.parametrize("candidate", CANDIDATES)
def test_another_shape_is_refused(candidate: str) -> None:
    """A calibrator takes the metrics and labels that it was fitted to."""
    fitted = CANDIDATES[candidate].fit(rated(np.random.default_rng(11)))
    with pytest.raises(ValueError, match="fitted to 3 metrics with 5 labels, not to 1 with 2"):
        fitted.predict([[[0.5, 0.5]]])


def as_written(candidate: str) -> dict[str, Any]:
    """A fitted calibrator after a trip through JSON."""
    fitted = CANDIDATES[candidate].fit(rated(np.random.default_rng(12)))
    written: dict[str, Any] = json.loads(json.dumps(fitted.to_dict(), allow_nan=False))
    return written


@pytest.mark.parametrize(
    ("candidate", "change", "message"),
    [
        ("shift", {"rung": "guess"}, "no calibrator is called 'guess'"),
        ("shift", {"rung": ["shift"]}, "no calibrator"),
        ("shift", {"version": 2}, "version 2; this program reads 1"),
        ("shift", {"extra": 1}, "missing or unknown in a 'shift' calibrator: extra"),
        ("shift", {"offset": "1"}, "offset must be a finite number"),
        ("shift", {"offset": float("nan")}, "offset must be a finite number"),
        ("shift", {"offset": True}, "offset must be a finite number"),
        ("shift", {"target": 1.0}, "target must be a whole number"),
        ("shift", {"target": 3}, "do not fit together"),
        ("shift", {"low": 5}, "do not fit together"),
        ("isotonic", {"x": 3.0}, "x must be a list"),
        ("isotonic", {"x": [1.0]}, "as many x as y"),
        ("isotonic", {"x": [1.0, 1.0], "y": [1.0, 2.0]}, "must rise"),
        ("isotonic", {"x": [1.0, 2.0], "y": [2.0, 1.0]}, "must rise"),
        ("ridge", {"mean": [0.0]}, "for every feature"),
        ("ordinal", {"mean": [0.0]}, "for every feature"),
        ("ordinal", {"thresholds": [0.0]}, "one threshold less"),
        ("ordinal", {"used": [2, 1], "thresholds": [0.0]}, "must rise"),
        ("ordinal", {"used": [1, 2, 3], "thresholds": [1.0, 0.0]}, "must rise"),
        ("ordinal", {"used": [5, 6], "thresholds": [0.0]}, "on the scale"),
    ],
)
def test_damaged_data_is_refused(candidate: str, change: dict[str, Any], message: str) -> None:
    """Each thing that `to_dict` cannot have written has its own message."""
    with pytest.raises(ValueError, match=message):
        from_dict({**as_written(candidate), **change})


def test_a_missing_field_and_another_rung_are_refused() -> None:
    """A parameter cannot be left out, and a line is no shift."""
    written = as_written("linear")
    with pytest.raises(ValueError, match="this is no 'shift' calibrator but 'linear'"):
        Shift.from_dict(written)
    del written["slope"]
    with pytest.raises(ValueError, match="slope"):
        from_dict(written)


def test_version_1_still_reads() -> None:
    """What the first version wrote predicts what it did: 2 x 2 + 1/2 at an expected score of 2."""
    old = '{"rung": "linear", "version": 1, "target": 0, "metrics": 1, "labels": 3, "low": 1, '
    old += '"high": 3, "slope": 2.0, "intercept": 0.5}'
    assert from_dict(json.loads(old)).predict([[[0, 1, 0]]]).tolist() == [4.5]


def test_ordinal_can_be_read_back_as_itself() -> None:
    """The richest candidate comes back equal in every field."""
    fitted = Ordinal.fit(rated(np.random.default_rng(13)))
    assert from_dict(json.loads(json.dumps(fitted.to_dict()))) == fitted
