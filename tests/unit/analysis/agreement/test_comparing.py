"""Two judges against the same people."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from judge.analysis.agreement.data import PairedScores
from judge.analysis.agreement.judge_agreement import agree
from judge.analysis.agreement.two_judges import FORMAT, Comparisons, compare_judges
from judge.errors import StoreError, UsageError
from tests.unit.analysis.agreement.seen import drawn, rows_of
from tests.unit.stored import reread


def other(observed: PairedScores, noise: float = 1.0) -> PairedScores:
    """A judge that sees the same less well."""
    rng = np.random.default_rng(9)
    score = observed.score + rng.normal(0, noise, observed.score.shape)
    return replace(observed, judge="noisy", score=score, probs=None)


def compared(first: PairedScores, second: PairedScores, **options: Any) -> Comparisons:
    return compare_judges(first, second, **{"exchanges": 99, **options})


def test_both_correlations_are_scipys() -> None:
    """Over all dialogues, with their difference."""
    observed = drawn()
    row = compared(observed, other(observed)).rows[0]
    human = np.array([
        observed.rating[(observed.dialogue == cell) & (observed.metric == 0)].mean()
        for cell in range(len(observed.system))
    ])  # fmt: skip
    expected = [
        stats.spearmanr(side.score[:, 0], human.round(9)).statistic
        for side in (observed, other(observed))
    ]
    assert (row.name, row.level, row.n) == ("fluency", "all", 120)
    assert [row.first, row.second] == pytest.approx(expected)
    assert row.difference == pytest.approx(expected[0] - expected[1])


def test_a_judge_is_as_good_as_itself() -> None:
    """No difference, p 1, at every level."""
    observed = drawn()
    for row in compared(observed, observed).rows:
        assert (row.difference, row.p, row.adjusted) == (0, 1, 1)


def test_a_much_better_judge_is_found() -> None:
    """Beside one that sees noise, in single dialogues as well as in whole systems.

    The smallest p that 99 exchanges of single scores can give, and below .05 for whole groups.
    """
    observed = drawn(systems=8, characters=8, scenarios=8)
    noise = other(observed, 30)
    found = compared(observed, noise, levels=("all", "within_item"), test="perm-both")
    assert {row.p for row in found.rows if row.kind == "overall"} == {0.01}
    row = compared(observed, noise, levels=("all",)).rows[-1]
    assert row.p is not None
    assert row.p < 0.05


def test_which_judge_comes_first_does_not_matter() -> None:
    """The difference changes its sign, p stays."""
    observed = drawn()
    for one, back in zip(
        compared(observed, other(observed)).rows,
        compared(other(observed), observed).rows,
        strict=True,
    ):
        assert back.difference is not None
        assert (one.difference, one.p) == (-back.difference, back.p)


def test_corrections_are_those_of_statsmodels() -> None:
    """Benjamini-Yekutieli over the metrics, Holm over the dimensions, level by level."""
    observed = drawn(complete=frozenset(["talk", "role"]))
    found = compared(observed, other(observed, 0.4)).rows
    for kind, correction, method in (
        ("metric", "Benjamini-Yekutieli", "fdr_by"),
        ("dimension", "Holm", "holm"),
    ):
        for level in ("all", "within_item", "systems"):
            rows = [row for row in found if (row.kind, row.level) == (kind, level)]
            expected = multipletests([row.p for row in rows], method=method)[1]
            assert {row.correction for row in rows} == {correction}
            assert [row.adjusted for row in rows] == pytest.approx(expected)
    overall = [row for row in found if row.kind == "overall"]
    assert all((row.adjusted, row.correction) == (row.p, "none") for row in overall)


def test_intervals_are_those_of_each_judge_alone() -> None:
    """What a judge is compared with does not change its interval, if all items tell systems apart.

    Of few systems none is given for the order of systems, nor where systems are fixed.
    """
    observed = drawn(systems=6)
    pair = (observed, other(observed))
    for systems_fixed in (False, True):
        options: dict[str, Any] = {"resamples": 50, "systems_fixed": systems_fixed}
        alone = [agree(side, **options) for side in pair]
        rows = compared(*pair, **options).rows
        assert {row.left_out for row in rows} == {0}
        for row in rows:
            for side, ends in zip(alone, (row.first_interval, row.second_interval), strict=True):
                measure = side.measure(row.name)
                expected = measure.spearman[row.level].interval
                if row.level == "systems" and not systems_fixed:
                    expected = measure.bonett_wright
                assert ends == expected
                assert ends is not None
                assert (ends.lower is None) == (row.level == "systems")
    assert {row.first_interval for row in compared(*pair).rows} == {None}


def test_within_items_intervals_are_of_the_items_that_both_tell_apart() -> None:
    """An item in which the second judge gives one score to all counts for neither judge."""
    observed = drawn()
    names = np.char.add(observed.character, observed.scenario)
    tied = np.isin(names, np.unique(names)[:5])
    flat = np.where(tied[:, None], 3.0, other(observed).score)
    second = replace(other(observed), score=flat)
    rows = compared(observed, second, resamples=50).rows
    kept = replace(observed, **rows_of(observed, np.flatnonzero(~tied)))
    row = next(row for row in rows if (row.name, row.level) == ("overall", "within_item"))
    assert row.left_out == 5
    expected = agree(kept, resamples=50).measure("overall").spearman["within_item"]
    assert row.first == pytest.approx(expected.value)
    assert row.first_interval is not None
    assert expected.interval is not None
    assert row.first_interval.lower == pytest.approx(expected.interval.lower)
    assert row.first_interval.upper == pytest.approx(expected.interval.upper)


def test_only_what_both_have_is_compared() -> None:
    """Dialogues in another order, some of them missing; a metric missing, and its dimension."""
    observed = drawn()
    rng = np.random.default_rng(0)
    kept = rng.permutation(120)[:80]
    fewer = replace(other(observed), **rows_of(observed, kept))
    fewer = replace(fewer, score=other(observed).score[kept])
    own = fewer.metric != 1
    fewer = replace(
        fewer,
        metrics=("fluency", "style"),
        groups={"talk": ("fluency",), "role": ("style",)},
        complete=frozenset(["role"]),
        has_overall=False,
        score=fewer.score[:, [0, 2]],
        scale=dict.fromkeys(("fluency", "style"), (1.0, 5.0)),
        metric=fewer.metric[own] // 2,
        **{name: getattr(fewer, name)[own] for name in ("dialogue", "rater", "rating")},
    )
    found = compared(observed, fewer)
    assert (found.dialogues, found.dropped) == (80, (40, 0))
    assert [row.name for row in found.rows[::3]] == ["fluency", "style"]
    assert {row.n for row in found.rows} == {80}
    rest = np.sort(kept)
    both = [replace(one, **rows_of(one, rest)) for one in (observed, other(observed))]
    alone = [row for row in compared(*both).rows if row.name in {"fluency", "style"}]
    assert [row.p for row in found.rows] == [row.p for row in alone]


def test_within_items_both_are_means_over_the_same_items() -> None:
    """A judge that ties all systems in half of the items is compared in the other half."""
    observed = drawn()
    score = observed.score.copy()
    even = observed.scenario.astype(int) % 2 == 0
    score[even] = 3
    lazy = replace(observed, score=score, probs=None)
    row = compared(observed, lazy, levels=("within_item",)).rows[0]
    assert (row.first, row.difference) == (row.second, 0)
    rest = replace(observed, **rows_of(observed, np.flatnonzero(~even)))
    alone = agree(rest, resamples=0).measure("fluency").spearman["within_item"]
    assert row.first == pytest.approx(alone.value)
    assert (row.groups, row.groups + row.left_out) == (alone.groups, 24)


def test_the_same_seed_gives_the_same_p() -> None:
    """And a measure's p does not depend on which others are compared."""
    observed = drawn()
    first, again = (compared(observed, other(observed, 0.3), seed=3) for _ in range(2))
    few = compared(observed, other(observed, 0.3), seed=3, levels=("systems",))
    assert first == again
    assert [row.p for row in few.rows] == [row.p for row in first.rows if row.level == "systems"]


def test_a_constant_judge_has_no_p() -> None:
    """Undefined, with a reason; it does not count among the metrics that are corrected for."""
    observed = drawn()
    score = other(observed).score.copy()
    score[:, 0] = 3
    found = compared(observed, replace(observed, score=score), levels=("all",)).rows
    assert (found[0].p, found[0].adjusted) == (None, None)
    assert found[0].reason == "a judge gives one and the same score to all"
    rest = [row for row in found if row.kind == "metric"][1:]
    expected = multipletests([row.p for row in rest], method="fdr_by")[1]
    assert [row.adjusted for row in rest] == pytest.approx(expected)


def test_through_json_and_back() -> None:
    """And a newer format is refused."""
    found = compared(drawn(), other(drawn()), levels=("all",))
    data = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert reread(data, Comparisons, FORMAT) == found
    with pytest.raises(StoreError, match="format 99"):
        reread({**data, "format": 99}, Comparisons, FORMAT)


def test_each_p_names_what_was_exchanged() -> None:
    """The largest p over systems, characters and scenarios; at systems, systems only.

    Four systems have eight exchanges that differ, so no p over systems is below 1 / 8.
    """
    observed = drawn(systems=4)
    found = compared(observed, other(observed))
    assert (found.test, found.factors) == ("exchange", ("system", "character", "scenario"))
    for row in found.rows:
        assert row.p is not None
        assert row.p >= 1 / 8
        if row.factor == "system":
            assert row.exchanges == 8
        else:
            assert row.level != "systems"
            assert row.factor in {"character", "scenario"}
    table = replace(observed, character=item_names(observed), scenario=np.full(96, ""))
    assert compared(table, replace(other(table))).factors == ("system", "item")


def item_names(observed: PairedScores) -> np.ndarray:
    return np.char.add(observed.character, observed.scenario)


def test_the_published_test_is_there_by_name() -> None:
    """PERM-BOTH exchanges single scores; it calls judges different that the default does not."""
    observed = drawn(systems=8, scenarios=12)
    found = compared(observed, other(observed, 1), test="perm-both")
    assert (found.test, found.factors) == ("perm-both", ())
    assert {row.factor for row in found.rows} == {"single scores"}
    assert {row.exchanges for row in found.rows} == {99}


def test_equally_good_judges_with_tastes_keep_the_size() -> None:
    """60 studies: both judges see people's scores, and each favours systems of its own.

    At 5%, the exchange test finds a difference of the systems in at most 6 of 60 (more has
    probability .03 at exactly 5%), PERM-BOTH in a third at least.
    """
    rng = np.random.default_rng(4)
    shape = systems, characters, scenarios = 9, 4, 8
    names = [part.ravel().astype(str) for part in np.indices(shape)]
    worth = np.repeat(np.linspace(0, 1, systems), characters * scenarios)
    found = {"exchange": 0, "perm-both": 0}
    for study in range(60):
        human = worth + rng.normal(0, 0.3, len(worth))
        judges = [
            worth
            + np.repeat(rng.normal(0, 0.3, systems), characters * scenarios)
            + rng.normal(0, 0.3, len(worth))
            for _ in range(2)
        ]
        first, second = (one_metric(names, score, human) for score in judges)
        for test in found:
            options = {"levels": ("systems",), "test": test, "exchanges": 199, "seed": study}
            p = compared(first, second, **options).rows[0].p
            found[test] += p is not None and p <= 0.05
    assert found["exchange"] <= 6
    assert found["perm-both"] >= 20


def one_metric(names: list[np.ndarray], score: np.ndarray, human: np.ndarray) -> PairedScores:
    """A judge's scores and one rating of each dialogue, for one metric in no dimension."""
    n = len(score)
    return PairedScores(
        judge="j",
        metrics=("m",),
        titles={"m": "m"},
        groups={},
        complete=frozenset(),
        has_overall=False,
        system=names[0],
        character=names[1],
        scenario=names[2],
        item="character and scenario",
        score=score[:, None],
        probs=None,
        dialogue=np.arange(n),
        metric=np.zeros(n, dtype=np.int64),
        rater=np.full(n, -1),
        rating=human,
        raters=(),
        scale={"m": (-5.0, 5.0)},
        scale_declared=True,
        length=np.full(n, np.nan),
    )


def test_simulated_raters_are_told() -> None:
    """As in an agreement."""
    plain = drawn()
    named = replace(plain, raters=tuple(f"simulated {name}" for name in plain.raters))
    assert not compared(plain, other(plain), levels=("systems",)).simulated
    assert compared(named, other(named), levels=("systems",)).simulated


def test_progress_is_told_to_the_end() -> None:
    """Five measures."""
    told: list[tuple[int, int]] = []
    compared(drawn(), drawn(), levels=("systems",), progress=lambda *now: told.append(now))
    assert told == [(done, 5) for done in range(6)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"system": np.full(120, "else")}, "no dialogue in common"),
        ({"rating": drawn().rating[::-1]}, "different ratings"),
        (
            {
                "metrics": ("a", "b", "c"),
                "groups": {},
                "complete": frozenset(),
                "scale": dict.fromkeys("abc", (1.0, 5.0)),
            },
            "no metric in common",
        ),
    ],
    ids=["dialogues", "ratings", "metrics"],
)
def test_what_cannot_be_compared_is_refused(change: dict[str, Any], message: str) -> None:
    """With what to do instead."""
    with pytest.raises(UsageError, match=message) as caught:
        compared(drawn(), replace(drawn(), **change))
    assert caught.value.hint


def test_at_least_one_exchange() -> None:
    """0 would make p 1 / 1."""
    with pytest.raises(UsageError, match="at least 1"):
        compared(drawn(), drawn(), exchanges=0)
