"""Laws of the calibrators: names and units do not matter, and nothing changes on paper."""

from __future__ import annotations

import json
from random import Random

import numpy as np
import pytest
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st

from calibration.calibrators import (
    CANDIDATES,
    Calibrator,
    CannotFitError,
    Isotonic,
    Linear,
    Sample,
    Shift,
    as_distributions,
    from_dict,
)
from tests.unit.calibration.rated import plain, rated

few = settings(max_examples=25)
samples = st.builds(
    lambda seed, systems, cells, ratings: rated(
        np.random.default_rng(seed), systems=systems, cells=cells, ratings=ratings
    ),
    st.integers(0, 10**6),
    st.integers(2, 5),
    st.integers(3, 12),
    st.integers(1, 3),
)
candidates = st.sampled_from(list(CANDIDATES.values()))
learning = st.sampled_from([candidate for candidate in CANDIDATES.values() if candidate.learns])
lines = st.lists(
    st.tuples(st.integers(4, 20).map(lambda x: x / 4), st.integers(1, 5)), min_size=2, max_size=30
)


def fit(candidate: type[Calibrator], sample: Sample) -> Calibrator:
    """A fitted candidate; a sample that happens to be too uniform is passed over."""
    try:
        return candidate.fit(sample)
    except CannotFitError:
        reject()


@few
@given(samples, candidates)
def test_json_keeps_every_bit(sample: Sample, candidate: type[Calibrator]) -> None:
    """Written and read back, a calibrator is equal and predicts the very same numbers."""
    before = fit(candidate, sample)
    after = from_dict(json.loads(json.dumps(before.to_dict(), allow_nan=False)))
    assert after == before
    np.testing.assert_array_equal(after.predict(sample.probs), before.predict(sample.probs))


@few
@given(samples, learning)
def test_moving_the_human_scale_moves_predictions(
    sample: Sample, candidate: type[Calibrator]
) -> None:
    """Ratings called 3..7 instead of 1..5 give predictions 2 higher, nothing else."""
    moved = Sample.of(
        sample.probs,
        0,
        sample.scores + 2,
        sample.cells,
        raters=sample.raters,
        groups=sample.groups,
        scale=(3, 7),
    )
    before, after = fit(candidate, sample), fit(candidate, moved)
    np.testing.assert_allclose(
        after.predict(sample.probs), before.predict(sample.probs) + 2, atol=1e-6
    )


@few
@given(samples, candidates, st.randoms(use_true_random=False))
def test_order_and_names_do_not_matter(
    sample: Sample, candidate: type[Calibrator], random: Random
) -> None:
    """Cells and ratings in another order, groups and raters under other names: the same map."""
    rng = np.random.default_rng(random.randrange(10**6))
    cells, rows = rng.permutation(len(sample.probs)), rng.permutation(len(sample.scores))
    place = np.argsort(cells)
    names = rng.permutation([f"k{i}" for i in range(sample.groups.max() + 1)])
    other = Sample.of(
        sample.probs[cells],
        0,
        sample.scores[rows],
        place[sample.cells[rows]],
        raters=9 - sample.raters[rows],
        groups=names[sample.groups[cells]],
    )
    before, after = fit(candidate, sample), fit(candidate, other)
    np.testing.assert_allclose(after.predict(sample.probs), before.predict(sample.probs), rtol=1e-3)


@few
@given(samples, candidates)
def test_distributions_are_distributions(sample: Sample, candidate: type[Calibrator]) -> None:
    """What has a distribution has shares that are not negative and sum to 1."""
    shares = fit(candidate, sample).distribution(sample.probs)
    if shares is not None:
        assert (shares >= 0).all()
        np.testing.assert_allclose(shares.sum(axis=1), 1)


@given(lines, st.sampled_from([Shift, Linear, Isotonic]))
def test_maps_of_one_score_keep_its_order(
    rows: list[tuple[float, int]], candidate: type[Calibrator]
) -> None:
    """A map that says it rises never puts a lower score above a higher one."""
    scores, ratings = (list(column) for column in zip(*rows, strict=True))
    sample = plain(scores, ratings, [str(i) for i in range(len(rows))])
    fitted = fit(candidate, sample)
    if fitted.rank_invariant:
        grid = as_distributions(np.linspace(1, 5, 50)[:, None], 5)
        assert (np.diff(fitted.predict(grid)) >= -1e-12).all()


@given(lines, st.sampled_from([Shift, Linear, Isotonic]))
def test_calibrating_twice_changes_nothing(
    rows: list[tuple[float, int]], candidate: type[Calibrator]
) -> None:
    """What is calibrated already is its own best map."""
    scores, ratings = (list(column) for column in zip(*rows, strict=True))
    groups = [str(i) for i in range(len(rows))]
    sample = plain(scores, ratings, groups)
    once = fit(candidate, sample).predict(sample.probs)
    assume(once.min() >= 1 and once.max() <= 5)
    # A line without slope leaves nothing to draw a second line through.
    assume(candidate is not Linear or np.ptp(once) > 1e-3)
    again = plain(list(once), ratings, groups)
    np.testing.assert_allclose(fit(candidate, again).predict(again.probs), once, atol=1e-9)


@given(lines)
def test_every_fitted_mean_is_unbiased_in_its_sample(rows: list[tuple[float, int]]) -> None:
    """Shift, line and isotonic predict the mean rating of what they were fitted to."""
    scores, ratings = (list(column) for column in zip(*rows, strict=True))
    sample = plain(scores, ratings, [str(i) for i in range(len(rows))])
    for candidate in (Shift, Linear, Isotonic):
        predicted = fit(candidate, sample).predict(sample.probs)
        assert predicted.mean() == pytest.approx(np.mean(ratings))
