"""Soft pairwise accuracy against exact enumeration, scipy, and the example of its authors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from calibration.agreement.pairwise_accuracy import soft_pairwise_accuracy


def _long(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    system, item = np.indices(table.shape)
    return system.ravel(), item.ravel()


def test_the_example_of_the_authors() -> None:
    """Five items on which a is always .6 better: of 32 arrangements only the observed one.

    The scores are those of the comment of `compute_pairwise_p_values` in mt-metrics-eval. Of mid-p
    it counts half, 1/64. In binary .8 - .2, .9 - .3 and .7 - .1 are three different numbers.
    """
    a, b = [0.8, 0.9, 0.7, 1.0, 0.6], [0.2, 0.3, 0.1, 0.4, 0.0]
    table = np.array([a, b])
    found = soft_pairwise_accuracy(
        table.ravel(), table.ravel(), *_long(table), np.random.default_rng(0)
    )
    assert found.human.tolist() == [1 / 64]
    assert (found.value, found.pairs) == (1, 1)


def test_two_items_by_hand() -> None:
    """Differences 1 and 2: sums 3 1 -1 -3, p = 1/8. The judge has -1 and 2: 1 of 4 above, p 3/8."""
    human = np.array([[2.0, 3.0], [1.0, 1.0]])
    judge = np.array([[1.0, 3.0], [2.0, 1.0]])
    found = soft_pairwise_accuracy(
        judge.ravel(), human.ravel(), *_long(human), np.random.default_rng(0)
    )
    assert found.human.tolist() == [1 / 8]
    assert found.judge.tolist() == [3 / 8]
    assert found.value == 3 / 4


def test_p_values_equal_scipy() -> None:
    """The exact test of paired samples of scipy, with what is equal counted half."""
    rng = np.random.default_rng(3)
    table = rng.integers(1, 6, (4, 8)).astype(float)
    found = soft_pairwise_accuracy(table.ravel(), table.ravel(), *_long(table), rng)
    expected = []
    for one in range(4):
        for other in range(one + 1, 4):
            above, below = (
                stats.permutation_test(
                    (table[one], table[other]),
                    lambda x, y, axis: (x - y).sum(axis=axis),
                    permutation_type="samples",
                    alternative=side,
                    vectorized=True,
                    n_resamples=np.inf,
                ).pvalue
                for side in ("greater", "less")
            )
            expected.append((above + 1 - below) / 2)
    np.testing.assert_allclose(found.human, expected)


def test_identical_systems_are_a_toss_up() -> None:
    """That is p = .5 for people and judge alike: no half point is lost, as with p = 1 on one side.

    Only the judge tells the two apart: p_judge is near 0 or 1, and half a point is lost.
    """
    same = np.tile(np.arange(20) % 5, (2, 1)).astype(float)
    found = soft_pairwise_accuracy(
        same.ravel(), same.ravel(), *_long(same), np.random.default_rng(0)
    )
    assert (found.value, found.human.tolist(), found.judge.tolist()) == (1, [0.5], [0.5])
    apart = same + np.array([[0.0], [1.0]])
    found = soft_pairwise_accuracy(
        apart.ravel(), same.ravel(), *_long(same), np.random.default_rng(0)
    )
    assert found.value == pytest.approx(0.5, abs=0.01)


def test_drawn_is_near_exact_and_repeats() -> None:
    """2,000 arrangements of 10 items come within 3 standard errors of all 1,024."""
    rng = np.random.default_rng(1)
    human, judge = rng.integers(1, 6, (2, 5, 10)).astype(float)
    where = _long(human)
    exact = soft_pairwise_accuracy(judge.ravel(), human.ravel(), *where, rng, resamples=1024)
    again = [
        soft_pairwise_accuracy(
            judge.ravel(), human.ravel(), *where, np.random.default_rng(7), resamples=1000
        )
        for _ in range(2)
    ]
    assert again[0].value == again[1].value
    np.testing.assert_allclose(again[0].human, exact.human, atol=3 * 0.5 / math.sqrt(1000))
    np.testing.assert_allclose(again[0].judge, exact.judge, atol=3 * 0.5 / math.sqrt(1000))


def test_names_and_ranges_do_not_matter() -> None:
    """Systems in another order, and a judge on 0..100, have the same accuracy."""
    rng = np.random.default_rng(2)
    human, judge = rng.integers(1, 6, (2, 4, 9)).astype(float)
    system, item = _long(human)
    before = soft_pairwise_accuracy(judge.ravel(), human.ravel(), system, item, rng).value
    after = soft_pairwise_accuracy(
        25 * judge.ravel() - 25, human.ravel(), np.array(list("dbca"))[system], item, rng
    ).value
    assert after == pytest.approx(before)


def test_only_shared_items_count() -> None:
    """What one side lacks is masked; a pair without an item in common is left out and counted."""
    nan = math.nan
    human = np.array([[2, 3, 9, nan], [1, 1, nan, nan], [nan, nan, nan, 4.0]])
    judge = np.array([[1, 3, 9, 9.0], [2, 1, 9, 9], [9, 9, 9, 1]])
    found = soft_pairwise_accuracy(
        judge.ravel(), human.ravel(), *_long(human), np.random.default_rng(0)
    )
    assert (found.value, found.pairs, found.undefined, found.masked) == (3 / 4, 1, 2, 6)


@pytest.mark.parametrize(
    ("system", "item", "reason"),
    [(["a", "a"], [1, 2], "two systems"), (["a", "b"], [1, 2], "item in common")],
)
def test_undefined_with_a_reason(system: list[str], item: list[int], reason: str) -> None:
    """One system, or systems that never met, have no accuracy."""
    found = soft_pairwise_accuracy([1, 2], [1, 2], system, item, np.random.default_rng(0))
    assert math.isnan(found.value)
    assert reason in found.reason


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda rng: soft_pairwise_accuracy([1, 2], [1, 2], ["a", "a"], [1, 1], rng), "more than"),
        (lambda rng: soft_pairwise_accuracy([1], [1], ["a"], [1], rng, 0), "at least one"),
        (lambda rng: soft_pairwise_accuracy([1], [1], ["a"], [1, 2], rng), r"one length"),
    ],
)
def test_bad_input_is_refused(call: Any, message: str) -> None:
    """Doubled rows, no resamples and unequal lengths have their own messages."""
    with pytest.raises(ValueError, match=message):
        call(np.random.default_rng(0))
