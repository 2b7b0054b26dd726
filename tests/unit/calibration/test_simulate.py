"""The simulator keeps to its own description."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from calibration.simulate import HUMAN, JUDGE, Shape, Spread, simulate

NONE = Spread(0, 0, 0, 0, 0, 0)


def test_the_full_shape() -> None:
    """11 x 20 x 60 dialogues, each cell once; ratings 1..5, one to three people each."""
    data = simulate(np.random.default_rng(0))
    cells = set(zip(data.system, data.character, data.scenario, strict=True))
    assert cells == set(itertools.product(range(11), range(20), range(60)))
    assert data.probs.shape == (13_200, 1, 5)
    assert data.probs.sum(axis=-1) == pytest.approx(np.ones((13_200, 1)))
    assert set(np.unique(data.human)) <= {1, 2, 3, 4, 5}
    assert set(np.unique(np.bincount(data.cell))) == {1, 2, 3}
    assert len({*zip(data.cell, data.rater, strict=True)}) == len(data.cell)


def test_every_metric_is_rated_by_the_same_people() -> None:
    """Three metrics: three times the ratings, the same raters of a dialogue on each."""
    data = simulate(np.random.default_rng(1), Shape(2, 3, 4, metrics=3, per_cell=(2, 2)))
    assert len(data.human) == 24 * 3 * 2
    people = [set(zip(data.cell[data.metric == m], data.rater[data.metric == m], strict=True))
              for m in range(3)]  # fmt: skip
    assert people[0] == people[1] == people[2]


def test_a_seed_is_a_data_set() -> None:
    """The same generator state gives the same data, another seed other data."""
    shape = Shape(2, 3, 4)
    first, again, other = (simulate(np.random.default_rng(s), shape) for s in (5, 5, 6))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first.seen, other.seen)


@pytest.mark.parametrize("effect", range(6))
def test_each_effect_has_its_deviation_and_its_groups(effect: int) -> None:
    """Alone, an effect is constant within its groups and has the asked deviation between."""
    deviations = [0.0] * 6
    deviations[effect] = 0.5
    shape = Shape(40, 40, 40, shared=0.3)
    data = simulate(np.random.default_rng(effect), shape, human=Spread(*deviations))
    groups = [
        (data.system,),
        (data.character,),
        (data.scenario,),
        (data.system, data.character),
        (data.system, data.scenario),
        (data.system, data.character, data.scenario),
    ][effect]
    code = np.ravel_multi_index(groups, (40,) * len(groups))
    values = data.seen[np.unique(code, return_index=True)[1], 0]
    assert np.array_equal(data.seen[:, 0], values[code])
    # The deviation of n normals is within 4 / sqrt(2 n) of itself but once in 15,000 times.
    assert values.std() == pytest.approx(0.5, rel=4 / math.sqrt(2 * len(values)))


def test_shared_one_makes_all_metrics_the_same() -> None:
    """With all the variance shared, people see one thing nine times."""
    seen = simulate(np.random.default_rng(2), Shape(2, 3, 4, metrics=9, shared=1.0)).seen
    assert np.ptp(seen, axis=1) == pytest.approx(np.zeros(24))


def test_a_judge_without_error_gives_the_normal_probabilities() -> None:
    """With no spread at all each label has its piece of one normal around offset + mean."""
    data = simulate(np.random.default_rng(3), Shape(2, 2, 2), human=NONE, judge=NONE)
    below = [0.0, *(0.5 * math.erfc((3.7 - cut) / 0.45 / math.sqrt(2)) for cut in
                    (1.5, 2.5, 3.5, 4.5)), 1.0]  # fmt: skip
    assert data.probs == pytest.approx(np.broadcast_to(np.diff(below), (8, 1, 5)))


def test_severity_is_taken_off() -> None:
    """Without effects and noise a rating is the rounded mean less the rater's severity."""
    shape = Shape(3, 3, 3, mean=3.0, severity=0.7, noise=0.0)
    data = simulate(np.random.default_rng(4), shape, human=NONE)
    assert np.array_equal(data.human, np.clip(np.rint(3 - data.severity[data.rater]), 1, 5))


@pytest.mark.parametrize(
    ("shape", "judge", "message"),
    [
        (Shape(systems=0), JUDGE, "at least 1"),
        (Shape(per_cell=(0, 2)), JUDGE, "at least 1"),
        (Shape(per_cell=(1, 20)), JUDGE, "1 to 20 ratings .* 12 raters"),
        (Shape(per_cell=(3, 2)), JUDGE, "3 to 2 ratings"),
        (Shape(noise=-1), JUDGE, "negative"),
        (Shape(sharpness=0), JUDGE, "sharpness positive"),
        (Shape(), Spread(0, 0, -0.1, 0, 0, 0), "negative"),
        (Shape(shared=1.5), JUDGE, "0 to 1, not 1.5"),
    ],
)
def test_bad_designs_are_refused(shape: Shape, judge: Spread, message: str) -> None:
    """Each design that cannot be has its own message."""
    with pytest.raises(ValueError, match=message):
        simulate(np.random.default_rng(0), shape, human=HUMAN, judge=judge)
