"""The crossed bootstrap where the answer is known, and what it says where none can be."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from calibration.agreement.levels import level_correlations
from calibration.resampling.bootstrap import (
    CrossedBootstrap,
    crossed_bootstrap,
    crossed_weights,
    percentile_interval,
)
from calibration.resampling.weighted import LEVELS
from calibration.simulate import Shape, Simulated, simulate
from tests.unit.calibration.replicated import replicated

Floats = NDArray[np.float64]
LABELS = np.arange(1, 6)


def scores(data: Simulated) -> tuple[Floats, Floats]:
    """(n, M) expected scores of the SIMULATED judge, and means of the ratings."""
    shape = data.seen.shape
    cell = data.cell * shape[1] + data.metric
    counts = np.bincount(cell, minlength=data.seen.size)
    return data.probs @ LABELS, (np.bincount(cell, data.human) / counts).reshape(shape)


def bootstrap(
    judged: Floats, human: Floats, data: Simulated, seed: int = 0, **options: Any
) -> CrossedBootstrap:
    """Of scores of simulated dialogues."""
    labels = data.system, data.character, data.scenario
    return crossed_bootstrap(judged, human, *labels, np.random.default_rng(seed), **options)


@pytest.fixture(scope="module")
def data() -> Simulated:
    """SIMULATED: 5 systems, 4 characters, 6 scenarios, 2 metrics."""
    shape = Shape(systems=5, characters=4, scenarios=6, metrics=2)
    return simulate(np.random.default_rng(1), shape)


def test_by_hand() -> None:
    """Two systems, two items: all four levels of rho, MAE and bias.

    Both items order the systems alike on both sides, both systems the items oppositely. Over all
    four, ranks 1 3 2 4 against 2 4 1 3 give 1 - 6 * 4 / 60. Every error is 1, two of them too high.
    """
    result = crossed_bootstrap(
        np.array([[1.0], [3.0], [2.0], [4.0]]),
        np.array([[2.0], [4.0], [1.0], [3.0]]),
        *(["a", "b", "a", "b"], ["x", "x", "y", "y"], [1, 1, 1, 1]),
        np.random.default_rng(0),
        resamples=1,
    )
    expected = {"all": 0.6, "within_item": 1, "within_system": -1, "systems": 1}
    for level, value in expected.items():
        assert result.estimate[0, 0, LEVELS.index(level), 0] == pytest.approx(value)
    assert result.estimate[0, 2, 0, 0] == pytest.approx(1)
    assert result.estimate[0, 3, 0, 0] == pytest.approx(0)


def test_a_resample_by_hand() -> None:
    """Rows that weigh 2, 1 and 0: rho 1 and a mean error of 2 / 3, whatever the third row says.

    The other two are ordered alike, and (2 * 1 + 1 * 0) / 3 is their error.
    """
    judged, human = np.array([[1.0], [5.0], [9.0]]), np.array([[2.0], [5.0], [1.0]])
    zeros = np.zeros(3)
    result = crossed_bootstrap(
        judged, human, zeros, np.arange(3), zeros, np.random.default_rng(0), resamples=50
    )
    drawn = crossed_weights(np.random.default_rng(0), (1, 3, 1), 50).character
    (found,) = np.flatnonzero((drawn == [2, 1, 0]).all(axis=1))[:1]
    assert result.replicates[found, 0, 0, 0, 0] == pytest.approx(1)
    assert result.replicates[found, 0, 2, 0, 0] == pytest.approx(2 / 3)


def test_the_estimate_is_that_of_the_levels_module(data: Simulated) -> None:
    """With all counts one: those of `level_correlations`, which knows nothing of weights."""
    judged, human = scores(data)
    judged[::7, 0] = np.nan
    human[::5, 1] = np.nan
    result = bootstrap(judged, human, data, resamples=1)
    item = data.character * 100 + data.scenario
    for t in range(2):
        for s, coefficient in enumerate(("spearman", "pearson")):
            levels = level_correlations(judged[:, t], human[:, t], data.system, item, coefficient)
            for found, level in zip(result.estimate[0, s, :, t], levels[:4], strict=True):
                assert found == pytest.approx(level.value, abs=1e-9)
        undefined = [getattr(levels, level).undefined for level in LEVELS]
        assert result.undefined_groups[0, :, t].tolist() == undefined
        assert result.n[t] == (~np.isnan(judged[:, t] + human[:, t])).sum()
        assert result.masked[t] == len(judged) - result.n[t]


def test_large_sparse_designs_count_in_longer_integers() -> None:
    """Where 32 bits do not do, resamples are still those of the rows written out.

    60 systems x 40 x 40 may weigh 96,000 together; one dialogue in fifty is there.
    """
    rng = np.random.default_rng(3)
    cells = np.indices((60, 40, 40)).reshape(3, -1)
    labels = cells[:, np.sort(rng.choice(cells.shape[1], 2000, replace=False))]
    x, y = rng.normal(size=(2, 2000, 1))
    found = crossed_bootstrap(x, y + x, *labels, np.random.default_rng(4), resamples=2)
    drawn = crossed_weights(np.random.default_rng(4), found.sizes, 2)
    for b in range(2):
        counts = tuple(factor[b] for factor in drawn)
        expected = replicated(x[:, 0], (y + x)[:, 0], tuple(labels), counts)
        np.testing.assert_allclose(found.replicates[b, 0, :, :, 0], expected, atol=1e-8)


def test_weights_are_multinomial_and_seeded() -> None:
    """Counts add up to the size, with mean 1 and variance 1 - 1 / size; a seed fixes them.

    Systems that are fixed are not drawn.
    """
    drawn = crossed_weights(np.random.default_rng(5), (11, 20, 60), 4000)
    for counts, size in zip(drawn, (11, 20, 60), strict=True):
        assert (counts.sum(axis=1) == size).all()
        np.testing.assert_allclose(counts.mean(axis=0), 1, atol=5 / math.sqrt(4000))
        assert counts.var() == pytest.approx(1 - 1 / size, abs=0.02)
    again = crossed_weights(np.random.default_rng(5), (11, 20, 60), 4000)
    assert all((a == b).all() for a, b in zip(drawn, again, strict=True))
    fixed = crossed_weights(np.random.default_rng(5), (11, 20, 60), 10, systems_fixed=True)
    assert (fixed.system == 1).all()
    assert not (fixed.character == 1).all()


def test_fixed_systems_make_intervals_narrower(data: Simulated) -> None:
    """Where systems differ most, what remains when they are all there is is less."""
    judged, human = scores(data)
    judged += data.system[:, None]
    open_, fixed = (
        bootstrap(judged, human, data, systems_fixed=systems_fixed, resamples=200)
        for systems_fixed in (False, True)
    )
    assert fixed.systems_fixed
    spread = [np.nanstd(result.replicates[:, 0, 3, 0, 0]) for result in (open_, fixed)]
    assert spread[1] < 0.5 * spread[0]


def test_two_judges_share_rows_and_resamples(data: Simulated) -> None:
    """A judge's gap takes the row from both, so that both then have the same numbers."""
    judged, human = scores(data)
    gaps = judged.copy()
    gaps[:10] = np.nan
    result = bootstrap(np.stack([judged, gaps, human]), human, data, resamples=300)
    assert result.estimate[0].tolist() == result.estimate[1].tolist()
    assert result.n.tolist() == [len(human) - 10] * 2
    np.testing.assert_array_equal(result.replicates[:, 0], result.replicates[:, 1])


def test_few_systems_are_undefined_in_many_resamples(data: Simulated) -> None:
    """Half of all resamples of two systems draw one twice: no interval, but the reason.

    Neither the systems nor any item then has a correlation. Over all dialogues there is one.
    """
    judged, human = scores(data)
    two = data.system < 2
    labels = data.system[two], data.character[two], data.scenario[two]
    result = crossed_bootstrap(
        judged[two], human[two], *labels, np.random.default_rng(6), resamples=400
    )
    for level in ("within_item", "systems"):
        interval = result.interval("spearman", level)
        assert 150 < interval.undefined < 250
        assert math.isnan(interval.lower)
        assert interval.reason == f"undefined in {interval.undefined} of 400 resamples"
    assert result.interval("spearman", "all").undefined == 0
    assert result.interval("mae", "systems").undefined == 0


def test_a_constant_judge_has_no_correlation(data: Simulated) -> None:
    """No rank or Pearson correlation, in the data or in a resample; MAE and bias it has."""
    human = scores(data)[1]
    result = bootstrap(np.full_like(human, 3.1), human, data, resamples=50)
    assert np.isnan(result.estimate[0, :2]).all()
    assert np.isnan(result.replicates[:, 0, :2]).all()
    assert not np.isnan(result.replicates[:, 0, 2:]).any()
    assert result.interval("spearman", "all").reason == "undefined on the data"
    assert result.undefined_groups[0, :, 0].tolist() == result.groups[:, 0].tolist()
    assert result.groups[:, 0].tolist() == [1, 24, 5, 1]


def test_constant_items_are_counted(data: Simulated) -> None:
    """Items whose ratings are all equal are left out of the mean, and said to be."""
    judged, human = scores(data)
    human[(data.character == 0) & (data.scenario < 4)] = 4
    result = bootstrap(judged, human, data, resamples=1)
    within = LEVELS.index("within_item")
    assert result.undefined_groups[0, within].min() >= 4
    assert not np.isnan(result.estimate[0, 0, within]).any()


def test_perfect_agreement_has_no_interval(data: Simulated) -> None:
    """All resamples say 1: that is not an interval of width 0."""
    human = scores(data)[1]
    result = bootstrap(human, human, data, resamples=100)
    for level in ("all", "within_item", "within_system"):
        interval = result.interval("spearman", level)
        assert interval.estimate == 1
        assert math.isnan(interval.lower)
        assert math.isnan(interval.upper)
        assert interval.reason


def test_one_dialogue_has_nothing_to_resample() -> None:
    """One system, one character, one scenario: an error of 1 and no interval around it."""
    one = np.array([0])
    result = crossed_bootstrap(
        np.array([[3.0]]), np.array([[2.0]]), one, one, one, np.random.default_rng(0), resamples=9
    )
    interval = result.interval("bias", "all")
    assert interval.estimate == 1
    assert math.isnan(interval.upper)
    assert "one and the same" in interval.reason


def test_a_target_without_rows_is_undefined(data: Simulated) -> None:
    """Nothing was rated on the second metric: all is nan, and the first metric is untouched."""
    judged, human = scores(data)
    alone = bootstrap(judged[:, :1], human[:, :1], data, resamples=10)
    human[:, 1] = np.nan
    result = bootstrap(judged, human, data, resamples=10)
    assert np.isnan(result.estimate[..., 1]).all()
    assert (result.n[1], result.groups[:, 1].tolist()) == (0, [0, 0, 0, 0])
    np.testing.assert_array_equal(result.replicates[..., :1], alone.replicates)


def test_the_means_alone_are_the_same_means(data: Simulated) -> None:
    """Resampled without the other levels, which are then nan, those of systems do not change."""
    whole, alone = (
        bootstrap(*scores(data), data, resamples=20, means_only=means) for means in (False, True)
    )
    np.testing.assert_array_equal(whole.replicates[..., 3, :], alone.replicates[..., 3, :])
    assert np.isnan(alone.replicates[..., :3, :]).all()
    np.testing.assert_array_equal(whole.estimate, alone.estimate)


def test_noise_in_the_last_bits_makes_no_ranks(data: Simulated) -> None:
    """.1 + .2 and .3 tie: ranks are the same with noise of 1e-13 as without it."""
    judged, human = scores(data)
    judged = np.round(judged, 1)
    noise = np.random.default_rng(8).normal(0, 1e-13, judged.shape)
    plain, noisy = (bootstrap(x, human, data, resamples=20) for x in (judged, judged + noise))
    np.testing.assert_array_equal(plain.replicates[:, :, 0], noisy.replicates[:, :, 0])


def test_percentiles_are_numpys() -> None:
    """Quantiles .025 and .975 of the resamples that have a value, nan left out and counted."""
    values = np.random.default_rng(9).normal(size=1000)
    result = percentile_interval(0.1, [*values, math.nan])
    assert [result.lower, result.upper] == pytest.approx(np.quantile(values, [0.025, 0.975]))
    assert (result.resamples, result.undefined) == (1001, 1)
    assert result.reason == "undefined in 1 of 1001 resamples"


GOOD = np.array([[1.0], [2.0]])


@pytest.mark.parametrize(
    ("judged", "human", "labels", "options", "message"),
    [
        (GOOD[:1], GOOD, [[0, 1]] * 3, {}, "n, T"),
        (GOOD[:, 0], GOOD[:, 0], [[0, 1]] * 3, {}, "n, T"),
        (GOOD[:0], GOOD[:0], [[]] * 3, {}, "at least one row"),
        (GOOD * math.inf, GOOD, [[0, 1]] * 3, {}, "infinities"),
        (GOOD, GOOD, [[0, 1], [0, 1], [0]], {}, "a label is needed"),
        (GOOD, GOOD, [[0, 1], [0, 1], [0, math.nan]], {}, "must not be nan"),
        (GOOD, GOOD, [[0, 1]] * 3, {"chunk": 0}, "chunk and threads"),
        (GOOD, GOOD, [[0, 1]] * 3, {"threads": 0}, "chunk and threads"),
        (GOOD, GOOD, [[0, 1]] * 3, {"resamples": 0}, "0 resamples"),
    ],
)
def test_bad_input_is_refused(
    judged: Floats, human: Floats, labels: Any, options: dict[str, int], message: str
) -> None:
    """Each thing that cannot be resampled has its own message."""
    with pytest.raises(ValueError, match=message):
        crossed_bootstrap(judged, human, *labels, np.random.default_rng(0), **options)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: percentile_interval(0, []), "B at least 1"),
        (lambda: percentile_interval(0, [[1]]), "B at least 1"),
        (lambda: percentile_interval(0, [1], confidence=1), "between 0 and 1"),
    ],
)
def test_bad_resamples_are_refused(call: Any, message: str) -> None:
    """No resamples, a confidence that is none."""
    with pytest.raises(ValueError, match=message):
        call()
