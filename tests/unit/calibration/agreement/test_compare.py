"""Two judges on the same dialogues: every exchange against nlpstats, p where nothing differs."""

from __future__ import annotations

import math
from itertools import product
from typing import Any, get_args

import numpy as np
import pytest
from scipy import stats

from calibration.agreement.compare import _LEVELS, ComparedLevel, exchange_test, perm_both
from calibration.agreement.groups import grid, rows_iv

every = pytest.mark.parametrize("level", get_args(ComparedLevel))
THEIRS = {"all": "global", "within_item": "input", "systems": "system"}


def _study(systems: int, items: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Two judges and people, (systems, items) each; judges and people with ties."""
    worth = rng.normal(size=(systems, items))
    human = np.round(worth + rng.normal(size=worth.shape), 1)
    first = np.round(worth + 0.5 * rng.normal(size=worth.shape), 1)
    return first, 10 * (worth + 1.5 * rng.normal(size=worth.shape)), human


def _long(*tables: np.ndarray) -> list[np.ndarray]:
    return [table.ravel() for table in (*tables, *np.indices(tables[0].shape))]


def _standard(table: np.ndarray) -> np.ndarray:
    return (table - table.mean()) / table.std()


@every
def test_every_exchange_equals_nlpstats(level: ComparedLevel) -> None:
    """All 2^3 x 2^4 exchanges, one by one, have the correlations nlpstats has; p is their share."""
    correlations: Any = pytest.importorskip(
        "nlpstats.correlations.correlations", reason="nlpstats is the reference here"
    )
    first, second, human = _study(3, 4, np.random.default_rng(5))
    a, b = _standard(first), _standard(second)
    system, item = np.indices(a.shape)
    rows = rows_iv(system.ravel(), item.ravel(), a=a.ravel(), b=b.ravel(), human=human.ravel())
    rho = _LEVELS[level](rows, grid(rows))
    gaps = []
    for systems, items in product(product([False, True], repeat=3), product([0, 1], repeat=4)):
        swap = np.array(systems)[:, None] ^ np.array(items, dtype=bool)
        expected = [
            correlations.correlate(mixed, human, THEIRS[level], "spearman")
            for mixed in (np.where(swap, b, a), np.where(swap, a, b))
        ]
        ours = rho(np.array([systems]), np.array([items], dtype=bool))
        np.testing.assert_allclose(np.concatenate(ours[:2]), expected, atol=1e-12)
        gaps.append(abs(expected[0] - expected[1]))
    exact = float(np.mean(np.array(gaps) >= gaps[0] - 1e-9))
    found = perm_both(*_long(first, second, human), np.random.default_rng(0), level, 4000)
    assert found.difference == pytest.approx(found.first - found.second)
    assert abs(found.difference) == pytest.approx(gaps[0])
    assert found.p == pytest.approx(exact, abs=4 * 0.5 / math.sqrt(4000))


def test_within_items_both_are_means_over_the_same_items() -> None:
    """A judge that ties all systems in some items, and people who do: each exchange by scipy.

    Both rhos are means over the items in which neither side is constant, which differ from one
    exchange to the next.
    """
    rng = np.random.default_rng(6)
    first, second, human = (rng.integers(1, 4, size=(3, 6)).astype(float) for _ in range(3))
    first[:, 0] = first[:, 4] = 2
    human[:, 1] = 3
    a, b = _standard(first), _standard(second)
    system, item = np.indices(a.shape)
    rows = rows_iv(system.ravel(), item.ravel(), a=a.ravel(), b=b.ravel(), human=human.ravel())
    rho = _LEVELS["within_item"](rows, grid(rows))
    sizes = set()
    for draw in product([False, True], repeat=9):
        swap = np.array(draw[:3])[:, None] ^ np.array(draw[3:])
        sides = np.where(swap, b, a), np.where(swap, a, b)
        told = [j for j in range(6) if all(len(np.unique(t[:, j])) > 1 for t in (*sides, human))]
        ours = rho(np.array([draw[:3]]), np.array([draw[3:]]))
        for side, found in zip(sides, ours[:2], strict=True):
            each = [stats.spearmanr(side[:, j], human[:, j]).statistic for j in told]
            assert found[0] == pytest.approx(np.mean(each) if told else math.nan, nan_ok=True)
        assert ours[2][0] == len(told)
        sizes.add(len(told))
    assert len(sizes) > 1
    found = perm_both(*_long(first, second, human), rng, "within_item", 20)
    assert (found.n, found.groups + found.left_out, found.groups) == (18, 6, 3)


@every
def test_a_far_better_judge_is_found(level: ComparedLevel) -> None:
    """The truth against noise, on a range of its own, over eight systems: p is small."""
    rng = np.random.default_rng(0)
    human = rng.normal(size=(8, 60)) + np.arange(8)[:, None]
    truth = human + 0.1 * rng.normal(size=human.shape)
    found = perm_both(
        *_long(100 * truth, rng.normal(size=human.shape), human), rng, level, resamples=400
    )
    assert found.first > found.second
    assert found.p < 0.03
    assert (found.n, found.resamples, found.undefined) == (480, 400, 0)


@every
def test_a_judge_equals_itself_on_any_range(level: ComparedLevel) -> None:
    """No exchange changes anything: difference 0, p = 1."""
    first, _, human = _study(4, 10, np.random.default_rng(1))
    found = perm_both(
        *_long(first, 3 - 50 * (3 - first), human), np.random.default_rng(0), level, 50
    )
    assert found.difference == pytest.approx(0)
    assert found.p == 1


@every
def test_equal_judges_are_told_apart_as_rarely_as_promised(level: ComparedLevel) -> None:
    """Of 300 studies with equally good judges, some 10% have p <= .1: no more than 15%."""
    rng = np.random.default_rng(2)
    p = []
    for _ in range(300):
        worth = rng.normal(size=(5, 8))
        tables = [worth + rng.normal(size=worth.shape) for _ in range(3)]
        p.append(perm_both(*_long(*tables), rng, level, resamples=59).p)
    assert 0.03 <= np.mean(np.array(p) <= 0.1) <= 0.15


def test_a_single_group_is_not_exchanged() -> None:
    """One system: p is that of the items, not the 1 of a factor without another group."""
    rng = np.random.default_rng(3)
    human = rng.normal(size=(1, 40))
    scores = _long(human + 0.1 * rng.normal(size=human.shape), rng.normal(size=human.shape), human)
    found = exchange_test(*scores, {"item": scores[-1]}, rng, "all", 199)
    assert (found.factor, found.resamples) == ("item", 199)
    assert found.p < 0.02
    alone = exchange_test(*scores, {}, rng, "all", 199)
    assert math.isnan(alone.p)
    assert alone.reason == "no factor has two groups to exchange"


def test_exchanging_whole_systems_by_hand() -> None:
    """Three systems: the four exchanges that differ, each correlated by scipy; p is their share.

    The same whatever is drawn, as all of them are looked at.
    """
    first, second, human = _study(3, 6, np.random.default_rng(8))
    a, b = _standard(first).mean(axis=1), _standard(second).mean(axis=1)
    people = human.mean(axis=1)
    gaps = []
    for swapped in product([False, True], repeat=3):
        mixed = np.where(swapped, b, a), np.where(swapped, a, b)
        one, other = (stats.spearmanr(side, people).statistic for side in mixed)
        gaps.append(abs(one - other))
    expected = np.mean(np.array(gaps) >= gaps[0] - 1e-9)
    for seed in range(2):
        rng = np.random.default_rng(seed)
        result = exchange_test(*_long(first, second, human), {}, rng, "systems")
        assert result.p == pytest.approx(expected)
        assert (result.resamples, result.factor) == (4, "system")


def test_the_largest_p_over_the_factors_is_taken() -> None:
    """A judge that is better on one character of four only is not better on others like it."""
    rng = np.random.default_rng(3)
    worth = rng.normal(size=(8, 40))
    human = worth + 0.3 * rng.normal(size=worth.shape)
    second = worth + rng.normal(size=worth.shape)
    first = second.copy()
    first[:, :10] = worth[:, :10]
    columns = _long(first, second, human)
    system, item = columns[3], columns[4]
    by_system = exchange_test(*columns, {}, rng, "all", 400)
    both = exchange_test(*columns, {"character": item // 10}, rng, "all", 400)
    assert (by_system.factor, both.factor) == ("system", "character")
    assert by_system.p < 0.05 < both.p
    assert both.p >= 2 / 2**4  # of 16 subsets, this one and its complement at the least
    with pytest.raises(ValueError, match="character differs between rows of one item"):
        exchange_test(*columns, {"character": system}, rng)


def test_equal_judges_with_tastes_of_their_own() -> None:
    """SIMULATED: two judges with equal noise and equal liking for systems of their own.

    Of 200 studies, 5% are to be told apart at .05; 10.5% is where a true 5% ends (binomial,
    99.9%). PERM-BOTH calls a third of them different, which is why it is not the default.
    """
    rng = np.random.default_rng(11)
    exchanged, both = [], []
    for _ in range(200):
        quality = rng.normal(0, 0.3, (8, 1)) + rng.normal(0, 0.3, (1, 60))
        human = quality + rng.normal(0, 0.8, (8, 60))
        judges = [
            quality + rng.normal(0, 0.3, (8, 1)) + rng.normal(0, 0.5, (8, 60)) for _ in range(2)
        ]
        columns = _long(*judges, human)
        exchanged.append(exchange_test(*columns, {}, rng, "systems").p <= 0.05)
        both.append(perm_both(*columns, rng, "systems", 59).p <= 0.05)
    assert np.mean(exchanged) <= 0.105
    assert np.mean(both) > 0.2


def test_gaps_are_masked_and_counted() -> None:
    """A dialogue without one of the three is left out of all three."""
    first, second, human = _study(4, 10, np.random.default_rng(3))
    first[0, 0], second[1, 1], human[2, 2] = [math.nan] * 3
    found = perm_both(*_long(first, second, human), np.random.default_rng(0), "within_item", 20)
    assert (found.n, found.masked) == (37, 3)
    kept = ~np.isnan(first + second + human).ravel()
    columns = [column[kept] for column in _long(first, second, human)]
    assert perm_both(*columns, np.random.default_rng(0), "within_item", 20)[:4] == found[:4]


def test_an_exchange_without_a_correlation_only_raises_p() -> None:
    """One system of two is exchanged and both means coincide: counted, and counted as extreme."""
    found = perm_both(
        [1, 1, 2, 2], [2, 2, 1, 1], [1, 1, 2, 2], [0, 0, 1, 1], [0, 1, 0, 1],
        np.random.default_rng(0), "systems", 200,
    )  # fmt: skip
    assert found.undefined > 50
    assert found.p == 1


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        (([1], [1], [1], [0], [0]), "fewer than 2 rows"),
        (([1, 1], [1, 2], [1, 2], [0, 1], [0, 0]), "one and the same score"),
        (([1, 2], [1, 2], [3, 3], [0, 1], [0, 0]), "a side is constant"),
    ],
)
@every
def test_undefined_with_a_reason(level: ComparedLevel, columns: Any, reason: str) -> None:
    """Too little, a constant judge, constant people: no p-value."""
    found = perm_both(*columns, np.random.default_rng(0), level, 9)
    assert math.isnan(found.p)
    assert reason in found.reason


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"level": "within_system"}, "a level is one of"),
        ({"resamples": 0}, "at least one resample"),
        ({"item": [0, 0]}, "more than one row"),
        ({"human": [1]}, r"one length"),
    ],
)
def test_bad_input_is_refused(change: dict[str, Any], message: str) -> None:
    """Each thing that cannot be compared has its own message."""
    good = {"first": [1, 2], "second": [2, 1], "human": [1, 2], "system": [0, 0], "item": [0, 1]}
    with pytest.raises(ValueError, match=message):
        perm_both(**(good | {"rng": np.random.default_rng(0)} | change))
