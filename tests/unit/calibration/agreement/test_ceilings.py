"""Ceilings against the published example, other libraries, and a simulation that knows them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from calibration.agreement.raters import against_rest, reliability

# Shrout and Fleiss (1979), table 2: six targets (rows) rated by four judges.
SHROUT_FLEISS = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
)


def _long(table: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Score, cell and rater of a (cells, raters) table."""
    cell, rater = np.indices(table.shape)
    return table.ravel(), cell.ravel(), rater.ravel()


def test_the_published_example() -> None:
    """ICC(1,1) = .17 and ICC(1,4) = .44, as printed; the ceiling is the root of the latter."""
    score, cell, _ = _long(SHROUT_FLEISS)
    found = reliability(score, cell)
    assert found.single == pytest.approx(0.17, abs=0.005)
    assert found.mean == pytest.approx(0.44, abs=0.005)
    assert found.ceiling == pytest.approx(math.sqrt(found.mean))
    assert (found.cells, found.ratings, found.repeated) == (6, 24, 6)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_equals_pingouin() -> None:
    """The same two coefficients by another library."""
    pandas: Any = pytest.importorskip("pandas", reason="pingouin needs it")
    pingouin: Any = pytest.importorskip("pingouin", reason="the reference here")
    score, cell, rater = _long(SHROUT_FLEISS)
    frame = pandas.DataFrame({"score": score, "cell": cell, "rater": rater})
    icc = pingouin.intraclass_corr(frame, "cell", "rater", "score").set_index("Type")["ICC"]
    found = reliability(score, cell)
    assert found.single == pytest.approx(icc.iloc[0])
    assert found.mean == pytest.approx(icc.iloc[3])


def test_unequal_numbers_of_ratings() -> None:
    """The one-way F of scipy is MSB / MSW, also with cells of one: r1 = (F - 1) / (F - 1 + k0)."""
    groups = [[1, 2], [4, 5, 5], [3], [2], [5, 4, 4, 5]]
    sizes = np.array([len(group) for group in groups])
    k0 = (sizes.sum() - (sizes**2).sum() / sizes.sum()) / (len(groups) - 1)
    f = stats.f_oneway(*groups).statistic
    expected = (f - 1) / (f - 1 + k0)
    found = reliability(np.concatenate(groups), np.repeat(range(5), sizes))
    assert found.single == pytest.approx(expected)
    spread = (1 - expected) * float(np.mean(1 / sizes))
    assert found.mean == pytest.approx(expected / (expected + spread))


def test_the_ceiling_is_what_a_perfect_judge_reaches() -> None:
    """13,200 cells with 1.1 ratings each: a judge that knows the truth correlates that much."""
    rng = np.random.default_rng(8)
    truth = rng.normal(size=13_200)
    cell = np.concatenate([np.arange(13_200), rng.choice(13_200, 1320, replace=False)])
    score = truth[cell] + rng.normal(size=len(cell))
    found = reliability(score, cell)
    means = np.bincount(cell, score) / np.bincount(cell)
    assert found.single == pytest.approx(0.5, abs=0.06)
    assert found.ceiling == pytest.approx(np.corrcoef(truth, means)[0, 1], abs=0.04)


def test_no_ceiling_can_be_known_of_one_rater() -> None:
    """One rating a cell: neither way gives a number."""
    found = reliability([1, 2, 3], [0, 1, 2])
    rest = against_rest([1, 2, 3], [1, 2, 3], [0, 1, 2], [0, 0, 0])
    for numbers, reason in ((found[:3], found.reason), (rest[:2], rest.reason)):
        assert all(map(math.isnan, numbers))
        assert reason == "no cell has two raters"


def test_raters_that_agree_less_than_chance_have_no_ceiling() -> None:
    """r1 is shown, and is below 0; it has no root."""
    found = reliability([1, 5, 5, 1, 1, 5], [0, 0, 1, 1, 2, 2])
    assert found.single < 0
    assert math.isnan(found.mean)
    assert math.isnan(found.ceiling)
    assert "agree no more" in found.reason


@pytest.mark.parametrize(
    ("score", "cell", "reason"),
    [([3, 3, 3, 3], [0, 0, 1, 1], "all ratings are equal"), ([1, 2], [0, 0], "two cells")],
)
def test_undefined_with_a_reason(score: list[int], cell: list[int], reason: str) -> None:
    """No variation, or a single cell."""
    found = reliability(score, cell)
    assert math.isnan(found.ceiling)
    assert reason in found.reason


def test_perfect_raters_have_a_ceiling_of_one() -> None:
    """No disagreement within any cell."""
    assert reliability([1, 1, 2, 2, 4], [0, 0, 1, 1, 2]).ceiling == 1


def test_against_the_rest_equals_a_loop() -> None:
    """Four raters with gaps, by scipy rater for rater; and without names, all ratings at once."""
    rng = np.random.default_rng(3)
    truth = rng.normal(size=(80, 1))
    table = np.round(2 * truth + rng.normal(size=(80, 4)))
    table[rng.random(table.shape) < 0.4] = math.nan
    table[:, 3] = np.where(np.arange(80) < 5, table[:, 3], math.nan)
    judge = truth[:, 0] + rng.normal(size=80) * 0.5
    judge[70:] = math.nan
    raters, judges, every = [], [], []
    for h in range(4):
        rows = []
        for i in range(80):
            rest = [x for k, x in enumerate(table[i]) if k != h and not math.isnan(x)]
            if rest and not math.isnan(table[i, h] + judge[i]):
                rows.append((table[i, h], judge[i], np.mean(rest)))
        every += rows
        own, machine, mean = zip(*rows, strict=True)
        if len(rows) >= 10:
            raters.append(stats.spearmanr(own, mean).statistic)
            judges.append(stats.spearmanr(machine, mean).statistic)
    found = against_rest(judge, *_long(table))
    assert found.rater == pytest.approx(np.mean(raters))
    assert found.judge == pytest.approx(np.mean(judges))
    assert (found.raters, found.left_out) == (3, 1)
    own, machine, mean = zip(*every, strict=True)
    score, cell, _ = _long(table)
    pooled = against_rest(judge, score, cell, None)
    assert pooled.rater == pytest.approx(stats.spearmanr(own, mean).statistic)
    assert pooled.judge == pytest.approx(stats.spearmanr(machine, mean).statistic)
    assert pooled.cells == len(every)


def test_a_rater_without_variation_is_left_out() -> None:
    """A constant rater has no correlation and makes the mean no lower."""
    rng = np.random.default_rng(0)
    table = rng.integers(1, 6, (30, 3))
    table[:, 2] = 4
    found = against_rest(rng.normal(size=30), *_long(table))
    assert (found.raters, found.left_out) == (2, 1)


def test_too_few_shared_cells_are_not_the_same_as_none() -> None:
    """Nine cells with two raters are too few to correlate; that is another reason."""
    found = against_rest(range(9), [1, 2] * 9, np.repeat(range(9), 2), [0, 1] * 9)
    assert math.isnan(found.rater)
    assert "no rater has 10 cells" in found.reason


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: reliability([1], [1, 2]), r"one length"),
        (lambda: reliability([math.inf], [1]), "infinities"),
        (lambda: against_rest([1], [1], [1], [0]), "positions in judge"),
        (lambda: against_rest([1], [1, 2], [0, 0], [0, 0]), "more than once"),
    ],
)
def test_bad_input_is_refused(call: Any, message: str) -> None:
    """Each thing that is not ratings of cells has its own message."""
    with pytest.raises(ValueError, match=message):
        call()
