"""The alternative annotator test by hand and against a loop that follows the paper."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from calibration.agreement.alt_test import EPSILON, AltTestResult, alt_test
from calibration.errors_of_fit import to_labels


def _all_rate(table: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Score, cell and rater of a (raters, items) table."""
    rater, cell = np.indices(table.shape)
    return table.ravel(), cell.ravel(), rater.ravel()


def test_by_hand() -> None:
    """Raters say 1, 3, 5 of everything and the judge 3.

    It beats those who say 1 and 5 (the others average 4 and 2), and is as good as the one who
    says 3. W_h - W_f is -1, 0, -1 throughout, always below epsilon: omega = rho = 1.
    """
    found = alt_test([3.0] * 30, *_all_rate(np.tile([[1], [3], [5]], 30)), 0.2)
    assert (found.winning_rate, found.advantage, found.passed) == (1, 1, True)
    assert found.advantages.tolist() == [1, 1, 1]
    assert found.items.tolist() == [30, 30, 30]


def test_a_worse_judge_fails() -> None:
    """Raters say 3, 3 and 4, the judge 1: it never wins, and the test says so with p = 1."""
    found = alt_test([1.0] * 30, *_all_rate(np.tile([[3], [3], [4]], 30)), 0.2)
    assert (found.winning_rate, found.advantage, found.passed) == (0, 0, False)
    assert found.p.tolist() == [1, 1, 1]


def test_a_fraction_never_ties() -> None:
    """All raters say 3 and the judge 3.2: always behind; rounded it always ties. Report both."""
    ratings = _all_rate(np.full((3, 40), 3))
    judge = np.full(40, 3.2)
    continuous = alt_test(judge, *ratings, 0.2)
    rounded = alt_test(to_labels(judge, 1, 5), *ratings, 0.2)
    assert (continuous.winning_rate, continuous.advantage) == (0, 0)
    assert (rounded.winning_rate, rounded.advantage) == (1, 1)


def _loop(
    judge: np.ndarray, table: np.ndarray, epsilon: float, least_others: int
) -> tuple[float, float]:
    """Calderon et al. (2025), section 3, word by word on a (raters, items) table with gaps."""
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    p, advantages = [], []
    for h in range(len(table)):
        wins_f, wins_h = [], []
        for i in range(table.shape[1]):
            rest = [x for k, x in enumerate(table[:, i]) if k != h and not math.isnan(x)]
            if math.isnan(table[h, i]) or math.isnan(judge[i]) or len(rest) < least_others:
                continue
            s_f = -math.sqrt(sum((judge[i] - x) ** 2 for x in rest) / len(rest))
            s_h = -math.sqrt(sum((table[h, i] - x) ** 2 for x in rest) / len(rest))
            wins_f.append(s_f >= s_h - 1e-9)
            wins_h.append(s_h >= s_f - 1e-9)
        if len(wins_f) >= 30:
            difference = np.subtract(wins_h, wins_f, dtype=float)
            p.append(stats.ttest_1samp(difference, epsilon, alternative="less").pvalue)
            advantages.append(np.mean(wins_f))
    return float(multitest.multipletests(p, 0.05, "fdr_by")[0].mean()), float(np.mean(advantages))


@pytest.mark.parametrize("rounded", [True, False])
@pytest.mark.parametrize("least_others", [1, 2])
@pytest.mark.parametrize("kind", EPSILON)
def test_equals_a_loop_over_the_definition(kind: str, least_others: int, rounded: bool) -> None:
    """Six raters with gaps of 120 items, judges that win against some of them."""
    rng = np.random.default_rng(11)
    truth = rng.uniform(1, 5, 120)
    noise = np.array([0.3, 0.5, 0.7, 0.9, 1.1, 1.3])[:, None]
    table = to_labels(truth + noise * rng.normal(size=(6, 120)), 1, 5)
    table[rng.random(table.shape) < 0.5] = math.nan
    judge = truth + 0.6 * rng.normal(size=120)
    judge[:4] = math.nan
    judge = to_labels(judge, 1, 5) if rounded else judge
    omega, rho = _loop(judge, table, EPSILON[kind], least_others)
    found = alt_test(judge, *_all_rate(table), EPSILON[kind], least_others=least_others)
    assert found.winning_rate == pytest.approx(omega)
    assert found.advantage == pytest.approx(rho)
    assert found.masked == np.isnan(table + np.where(np.isnan(judge), np.nan, 0)).sum()


def test_categories_are_tested_by_accuracy() -> None:
    """Equal to the loop over the definition: who agrees with more of the others wins."""
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    rng = np.random.default_rng(4)
    truth = rng.integers(0, 3, 90)
    judge, *people = (
        np.where(rng.random(90) < right, truth, rng.integers(0, 3, 90)).astype(float)
        for right in (0.7, 0.9, 0.6, 0.3, 0.8)
    )
    table = np.array(people)
    table[rng.random(table.shape) < 0.2] = math.nan
    p, advantages = [], []
    for h in range(4):
        wins = []
        for i in range(90):
            rest = [x for k, x in enumerate(table[:, i]) if k != h and not math.isnan(x)]
            if rest and not math.isnan(table[h, i]):
                f, own = (np.mean([x == label for x in rest]) for label in (judge[i], table[h, i]))
                wins.append((f >= own - 1e-9, own >= f - 1e-9))
        of_judge, of_human = np.array(wins, dtype=float).T
        p.append(stats.ttest_1samp(of_human - of_judge, 0.1, alternative="less").pvalue)
        advantages.append(of_judge.mean())
    found = alt_test(judge, *_all_rate(table), 0.1, categories=True)
    np.testing.assert_allclose(found.p, p)
    np.testing.assert_allclose(found.advantages, advantages)
    assert found.replaced.tolist() == multitest.multipletests(p, 0.05, "fdr_by")[0].tolist()


def test_equally_close_is_decided_without_noise() -> None:
    """Judge .1 + .2, annotator .3: one distance to the others, whatever the last bit says."""
    table = np.tile([[0.3], [0.7], [0.1]], 30)
    found = alt_test([0.1 + 0.2] * 30, *_all_rate(table), 0.1)
    assert found.advantages[0] == 1
    assert found.p[0] == 0


def _refused(found: AltTestResult) -> bool:
    return math.isnan(found.winning_rate) and math.isnan(found.advantage) and found.passed is None


def test_too_few_items_or_annotators_are_refused() -> None:
    """29 items, or two annotators, or cells with one rater: no omega, but the reason."""
    rng = np.random.default_rng(0)
    judge = rng.uniform(1, 5, 60)
    few_items = alt_test(judge, *_all_rate(rng.integers(1, 6, (4, 29))), 0.2)
    assert _refused(few_items)
    assert (few_items.left_out.tolist(), few_items.left_out_items.tolist()) == (
        [0, 1, 2, 3],
        [29] * 4,
    )
    assert few_items.reason == (
        "3 annotators with 30 items that another rated are needed; of 4, 0 have so many"
    )
    two = alt_test(judge, *_all_rate(rng.integers(1, 6, (2, 60))), 0.2)
    assert _refused(two)
    assert two.reason == "3 annotators are needed, not 2"
    alone = alt_test(judge, [3] * 60, range(60), [0] * 60, 0.2)
    assert _refused(alone)


def test_an_annotator_with_few_items_is_left_out_and_counted() -> None:
    """Three raters of everything and one of ten items."""
    table = np.random.default_rng(1).integers(1, 6, (4, 50)).astype(float)
    table[3, 10:] = math.nan
    found = alt_test(np.full(50, 3.0), *_all_rate(table), 0.1)
    assert found.annotators.tolist() == [0, 1, 2]
    assert (found.left_out.tolist(), found.left_out_items.tolist()) == ([3], [10])
    assert (found.cells, found.masked) == (50, 40)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epsilon": 1.0}, "epsilon must lie in"),
        ({"least_items": 1}, "at least 1 other rater, 2 items"),
        ({"rater": [0, 0]}, "more than once"),
        ({"cell": [0, 2]}, "positions in judge"),
        ({"score": [1, 2, 3]}, r"one length"),
        ({"score": [1, math.inf]}, "infinities"),
    ],
)
def test_bad_input_is_refused(change: dict[str, Any], message: str) -> None:
    """Each thing that makes no test has its own message."""
    good = {"judge": [1, 2], "score": [1, 2], "cell": [0, 0], "rater": [0, 1], "epsilon": 0.1}
    with pytest.raises(ValueError, match=message):
        alt_test(**(good | change))
