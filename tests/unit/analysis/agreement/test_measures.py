"""Every number of a measure: against scipy, scikit-learn, krippendorff, or by hand."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import krippendorff
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import cohen_kappa_score, confusion_matrix

from calibration.agreement.levels import level_correlations
from calibration.resampling.jackknife import crossed_jackknife
from judge.analysis.agreement import rater_statistics
from judge.analysis.agreement.agreement_records import Coefficient, Estimate, MeasureAgreement
from judge.analysis.agreement.data import PairedScores, measure_scores
from judge.analysis.agreement.judge_agreement import agree
from judge.analysis.agreement.statistics import level_estimates
from judge.errors import UsageError
from tests.unit.analysis.agreement.seen import METRICS, RATING_FIELDS, drawn, rows_of, table

Floats = NDArray[np.float64]

OUTSIDE: dict[Coefficient, Any] = {
    "spearman": stats.spearmanr,
    "kendall_b": stats.kendalltau,
    "kendall_c": lambda x, y: stats.kendalltau(x, y, variant="c"),
    "pearson": stats.pearsonr,
}


UNKNOWN = Estimate(None, 0, reason="not computed")


def one(observed: PairedScores, name: str = "fluency", **options: Any) -> MeasureAgreement:
    """A measure without intervals."""
    return agree(observed, resamples=0, **options).measure(name)


def mean_ratings(observed: PairedScores, metric: int) -> Floats:
    """The plain way: dialogue by dialogue."""
    return np.array([
        observed.rating[(observed.dialogue == row) & (observed.metric == metric)].mean()
        for row in range(len(observed.system))
    ])  # fmt: skip


@pytest.mark.parametrize("coefficient", OUTSIDE)
def test_coefficients_are_those_of_scipy_at_every_level(coefficient: Coefficient) -> None:
    """Group by group, over the groups in which scipy finds a number."""
    observed = drawn()
    found = one(observed).levels[coefficient]
    judge, human = observed.score[:, 0], mean_ratings(observed, 0).round(9)

    def rho(rows: NDArray[np.bool_]) -> float:
        if np.ptp(human[rows]) == 0:
            return math.nan
        return float(OUTSIDE[coefficient](judge[rows], human[rows]).statistic)

    items = np.char.add(observed.character, observed.scenario)
    by_item = [rho(items == item) for item in np.unique(items)]
    by_system = [rho(observed.system == system) for system in np.unique(observed.system)]
    means = [
        [side[observed.system == system].mean() for system in np.unique(observed.system)]
        for side in (judge, human)
    ]
    assert found["all"].value == pytest.approx(rho(np.ones(len(judge), dtype=bool)))
    assert found["within_item"].value == pytest.approx(np.nanmean(by_item))
    assert found["within_item"].undefined == np.isnan(by_item).sum()
    assert found["within_item"].groups == len(by_item) - np.isnan(by_item).sum()
    assert found["within_system"].value == pytest.approx(np.mean(by_system))
    assert found["systems"].value == pytest.approx(OUTSIDE[coefficient](*means).statistic)
    assert found["systems"].n == 5


def test_a_dialogue_counts_once_however_many_have_rated_it() -> None:
    """The human score is the mean of the ratings: 1.5 and 4 beside 2 and 3."""
    ratings = [(0, "m", "a", 1), (0, "m", "b", 2), (1, "m", "a", 4)]
    found = one(table({"m": [2, 3]}, ratings), "m")
    assert (found.n, found.ratings) == (2, 3)
    assert [found.mae.value, found.bias.value, found.rmse.value] == pytest.approx(
        [0.75, -0.25, math.sqrt((0.25 + 1) / 2)]
    )


def test_a_composite_without_a_part_is_missing_and_counted() -> None:
    """Of four dialogues one is whole, two lack a rating, one lacks a score."""
    scores = {"a": [1, 2, 3, math.nan], "b": [3, 4, 5, 5]}
    ratings = [
        *((row, "a", "p", 3) for row in (0, 1, 3)),
        *((row, "b", "p", 4) for row in (0, 2, 3)),
    ]
    found = one(table(scores, ratings), "all")
    assert (found.n, found.not_rated, found.not_judged) == (1, 2, 1)
    assert found.bias.value == pytest.approx((1 + 3) / 2 - (3 + 4) / 2)


def test_a_rater_of_all_parts_is_a_rater_of_the_composite() -> None:
    """Of both dialogues p rated both parts, q one part of each, and nobody stands for two."""
    ratings = [
        *((row, part, "p", 3 + row) for row in (0, 1) for part in "ab"),
        (0, "a", "q", 1),
        (1, "b", "q", 1),
        (0, "b", "", 5),
    ]
    found = one(table({"a": [1, 2], "b": [1, 2]}, ratings), "all")
    assert found.ratings == 2
    assert found.alpha_human.reason == "no cell has two ratings"
    # The human score of dialogue 0 is that of all who rated: (3 + 1) / 2 and (3 + 5) / 2.
    assert found.bias.value == pytest.approx((1 - 3 + 2 - (4 + 2.5) / 2) / 2)


def test_composites_tie_in_spite_of_rounding() -> None:
    """Thirds added up in different orders are one value: rho is that of the whole sums."""
    orders = list(itertools.permutations([1.1, 2.2, 3.3]))[:4]
    parts = np.array([*orders, [1, 1, 1], [5, 4, 5]])
    ratings = [(row, "abc"[c], "p", 1 + (row + c) % 5) for row in range(6) for c in range(3)]
    observed = table(dict(zip("abc", parts.T.tolist(), strict=True)), ratings)
    human = [sum(1 + (row + c) % 5 for c in range(3)) for row in range(6)]
    judge = [66, 66, 66, 66, 30, 140]
    assert np.unique(parts.mean(axis=1)).size > 3, "there is no noise to tie in spite of"
    found = one(observed, "all").spearman["all"].value
    assert found == pytest.approx(stats.spearmanr(judge, human).statistic)


def test_alpha_is_krippendorffs() -> None:
    """The package krippendorff agrees, without the judge and with it as one more rater."""
    observed = drawn()
    found = one(observed)
    people = np.full((4, len(observed.system)), np.nan)
    own = observed.metric == 0
    people[observed.rater[own], observed.dialogue[own]] = observed.rating[own]
    everyone = np.vstack([people, observed.score[:, 0]])
    for figure, ratings in ((found.alpha_human, people), (found.alpha_with_judge, everyone)):
        expected = krippendorff.alpha(ratings, level_of_measurement="interval")
        assert figure.value == pytest.approx(expected)
    twice = (~np.isnan(people)).sum(axis=0) > 1
    assert found.alpha_human.groups == twice.sum()
    assert found.alpha_human.n == (~np.isnan(people))[:, twice].sum()


def test_alpha_of_one_cell_is_no_number() -> None:
    """It would be 0 whatever the two ratings are."""
    ratings = [(0, "m", "a", 1), (0, "m", "b", 5), (1, "m", "a", 3)]
    found = one(table({"m": [1, 2]}, ratings), "m").alpha_human
    assert (found.value, found.groups) == (None, 1)
    assert "only one" in found.reason


def test_kappa_and_confusion_are_scikit_learns() -> None:
    """Over single ratings, the judge rounded, with all five labels though few occur."""
    observed = drawn(3)
    own = observed.metric == 0
    judge = np.clip(np.floor(observed.score[observed.dialogue[own], 0] + 0.5), 1, 5).astype(int)
    human = observed.rating[own].astype(int)
    found = one(observed)
    labels = [1, 2, 3, 4, 5]
    expected = cohen_kappa_score(human, judge, labels=labels, weights="quadratic")
    assert found.kappa.value == pytest.approx(expected)
    assert found.kappa.n == own.sum()
    assert found.confusion == tuple(map(tuple, confusion_matrix(human, judge, labels=labels)))
    composite = one(observed, "talk")
    assert (composite.kappa.value, composite.confusion) == (None, ())


def test_the_ceiling_of_two_raters() -> None:
    """Both rated all: a rater against the other, the judge against either, and ICC(1) by hand."""
    observed = drawn(raters=2, per_cell=(2, 2))
    found = one(observed).ceiling
    people = np.empty((2, len(observed.system)))
    own = observed.metric == 0
    people[observed.rater[own], observed.dialogue[own]] = observed.rating[own]
    rho = [stats.spearmanr(observed.score[:, 0], row).statistic for row in people]
    between = 2 * people.mean(axis=0).var(ddof=1)
    within = people.var(axis=0, ddof=1).mean()
    single = (between - within) / (between + within)
    assert found.rater.value == pytest.approx(stats.spearmanr(*people).statistic)
    assert found.judge.value == pytest.approx(np.mean(rho))
    highest = stats.spearmanr(*people).statistic / math.sqrt(single)
    assert found.spearman.value == pytest.approx(highest)
    assert found.share == pytest.approx(np.mean(rho) / highest)
    assert found.single.value == pytest.approx(single)
    assert found.mean.value == pytest.approx(2 * single / (1 + single))
    assert found.pearson.value == pytest.approx(math.sqrt(2 * single / (1 + single)))
    r = stats.pearsonr(observed.score[:, 0], people.mean(axis=0)).statistic
    assert found.pearson_share == pytest.approx(r / math.sqrt(2 * single / (1 + single)))
    assert (found.repeated, found.cells) == (120, 120)


def test_intervals_are_those_of_the_measure_alone() -> None:
    """What the jackknife says of one measure alone are the ends that the report of all has."""
    observed = drawn()
    found = agree(observed, resamples=60, seed=5).measure("sense")
    again = agree(only(observed, "sense"), resamples=60, seed=5).measure("sense")
    assert found == again
    alone = crossed_jackknife(
        observed.score[:, 1],
        mean_ratings(observed, 1),
        observed.system,
        observed.character,
        observed.scenario,
    )
    ends = alone.interval("spearman", "all")
    interval = found.spearman["all"].interval
    assert interval is not None
    assert [interval.lower, interval.upper] == pytest.approx([ends.lower, ends.upper])


def only(observed: PairedScores, metric: str) -> PairedScores:
    """Without the other metrics."""
    column = observed.metrics.index(metric)
    own = observed.metric == column
    return replace(
        observed,
        metrics=(metric,),
        groups={"talk": (metric,)},
        complete=frozenset(),
        has_overall=False,
        score=observed.score[:, [column]],
        probs=None,
        dialogue=observed.dialogue[own],
        metric=np.zeros(own.sum(), dtype=np.int64),
        rater=observed.rater[own],
        rating=observed.rating[own],
    )


def test_what_is_resampled_is_what_the_measure_has() -> None:
    """A metric that was rated for three of five systems draws from three, whoever is beside it."""
    observed = drawn()
    own = (observed.metric != 1) | np.isin(observed.system, ["s0", "s1", "s2"])[observed.dialogue]
    few = replace(
        observed,
        **{name: getattr(observed, name)[own] for name in RATING_FIELDS},
    )
    found = agree(few, resamples=50).measure("sense")
    assert found == agree(only(few, "sense"), resamples=50).measure("sense")
    kept = np.flatnonzero(np.isin(observed.system, ["s0", "s1", "s2"]))
    alone = agree(replace(observed, **rows_of(observed, kept)), resamples=50).measure("sense")
    assert found.levels == alone.levels


def test_leaving_out_a_system_is_not_having_it() -> None:
    """The row of a system holds what the rest alone gives."""
    observed = drawn()
    for row in one(observed).without:
        rest = np.flatnonzero(observed.system != row.system)
        found = one(replace(observed, **rows_of(observed, rest))).spearman
        assert (row.all, row.within_item, row.systems) == (
            found["all"],
            found["within_item"],
            found["systems"],
        )


def test_systems_stand_by_falling_human_mean() -> None:
    """With the means, the correlation within, and errors clustered by item in a table of items."""
    observed = drawn()
    found = one(replace(observed, character=np.char.add(observed.character, observed.scenario),
                        scenario=np.full(len(observed.system), "")))  # fmt: skip
    human = mean_ratings(observed, 0)
    means = {name: human[observed.system == name] for name in np.unique(observed.system)}
    ordered = sorted(means, key=lambda name: -means[name].mean())
    assert [point.system for point in found.systems] == ordered
    for point in found.systems:
        mine, judged = means[point.system], observed.score[observed.system == point.system, 0]
        assert point.human == pytest.approx(mine.mean())
        # Each item once: the clustered error of a mean is the plain one.
        assert point.human_error == pytest.approx(stats.sem(mine))
        assert point.judge_error == pytest.approx(stats.sem(judged))
        assert point.within.value == pytest.approx(stats.spearmanr(mine.round(9), judged).statistic)


def test_sentinels_stand_in_the_judges_place() -> None:
    """A length that is the human score has rho 1; a mean is constant within its own group."""
    observed = drawn()
    human = mean_ratings(observed, 0)
    found = {row.name: row.levels for row in one(replace(observed, length=human * 7)).sentinels}
    assert list(found) == ["reply length", "character mean", "system mean"]
    assert found["reply length"]["all"].value == pytest.approx(1)
    assert found["character mean"]["within_item"].value is None
    assert found["system mean"]["within_system"].value is None
    assert found["system mean"]["systems"].value is None
    assert "own mean" in found["system mean"]["systems"].reason


def test_no_sentinel_of_texts_that_are_not_known() -> None:
    """Without any length there is no row of lengths; an item's mean takes the character's place."""
    scores = list(np.linspace(1, 5, 24))
    ratings = [(row, "m", "p", 1 + row % 5) for row in range(24)]
    observed = table(
        {"m": scores},
        ratings,
        systems=[f"s{row % 12}" for row in range(24)],
        items=[f"i{row // 12}" for row in range(24)],
    )
    found = {row.name: row.levels for row in one(observed, "m").sentinels}
    assert list(found) == ["item mean", "system mean"]
    assert found["item mean"]["all"].value is not None


def test_a_mean_has_not_seen_the_rating_it_is_compared_with() -> None:
    """People rate 10 systems on 300 items at random: a mean of others' ratings knows nothing.

    With the own rating in it, the mean of an item of ten has rho .3; four standard errors of a
    null correlation of 3,000 are .07.
    """
    rng = np.random.default_rng(0)
    drawn_ratings = rng.integers(1, 6, 3000)
    observed = table(
        {"m": rng.random(3000).tolist()},
        [(row, "m", "p", int(score)) for row, score in enumerate(drawn_ratings)],
        systems=[f"s{row % 10}" for row in range(3000)],
        items=[f"i{row // 10}" for row in range(3000)],
    )
    found = {row.name: row.levels for row in one(observed, "m").sentinels}
    assert abs(found["item mean"]["all"].value or 0) < 0.07
    assert abs(found["system mean"]["within_item"].value or 0) < 0.07


def test_the_curve_has_ten_bins_and_ties_share_one() -> None:
    """A hundred different scores make tens; a judge of three labels makes three bins."""
    ratings = [(row, "m", "p", 1 + row * row % 5) for row in range(100)]
    two: dict[str, Any] = {
        "systems": ["s1", "s2"] * 50,
        "items": [f"i{row // 2}" for row in range(100)],
    }
    human = np.array([rating for *_, rating in ratings])
    found = one(table({"m": np.linspace(1, 5, 100).tolist()}, ratings, **two), "m").curve
    assert [point.n for point in found] == [10] * 10
    assert found[3].human == pytest.approx(human[30:40].mean())
    assert found[3].judge == pytest.approx(np.linspace(1, 5, 100)[30:40].mean())
    assert found[3].error == pytest.approx(stats.sem(human[30:40]))
    labels = [1.0 + (row % 10 > 0) + (row % 10 > 8) for row in range(100)]
    few = one(table({"m": labels}, ratings, **two), "m").curve
    assert [(point.judge, point.n) for point in few] == [(1, 10), (2, 80), (3, 10)]
    # Half of the scores are one value: it is in one bin, though tens would cut it.
    heavy = [3.0] * 50 + np.linspace(3.1, 5, 50).tolist()
    lump = one(table({"m": heavy}, ratings, **two), "m").curve
    assert [point.n for point in lump if point.judge == 3] == [50]


@pytest.mark.parametrize("noise", [0.6, 1, 1.5])
@pytest.mark.parametrize("severity", [0, 0.4])
def test_a_judge_that_knows_the_truth_reaches_the_ceiling(noise: float, severity: float) -> None:
    """SIMULATED: three raters on five labels see the truth with noise; 30 studies of 300 items.

    The judge's share is 100% within 8 points on average, where one rater's rho as the ceiling would
    have made it 115% and more.
    """
    rng = np.random.default_rng(3)
    shares, old = [], []
    for _ in range(30):
        truth = rng.normal(size=300)
        seen = truth[:, None] + severity * rng.normal(size=3) + noise * rng.normal(size=(300, 3))
        labels = 1 + np.searchsorted(np.quantile(seen, [0.2, 0.4, 0.6, 0.8]), seen)
        ratings = [
            (row, "m", rater, float(label))
            for row, line in enumerate(labels)
            for rater, label in zip("pqr", line, strict=True)
        ]
        ceiling = rater_statistics.ceiling(
            measure_scores(table({"m": truth.tolist()}, ratings))[0], UNKNOWN
        )
        assert ceiling.share is not None
        shares.append(ceiling.share)
        old.append(ceiling.judge.value / ceiling.rater.value)
    assert 0.92 <= np.mean(shares) <= 1.05
    assert np.mean(old) >= 1.15


def test_the_annotator_test_rounds_a_composite_part_by_part() -> None:
    """A judge that gives 1.4 and 2.4 says 1 and 2 in labels: 1.5, not 2."""
    rows = range(40)
    scores = {"a": [1.4 + row % 3 for row in rows], "b": [2.4 for _ in rows]}
    ratings = [
        (row, part, rater, 1 + row % 3 if part == "a" else 2)
        for row in rows
        for part in "ab"
        for rater in "pqr"
    ]
    found = one(table(scores, ratings), "all").annotator_tests
    assert [test.scores for test in found] == ["continuous", "rounded"]
    # In labels the judge says what all say, and ties with everyone: epsilon above 0 suffices.
    assert (found[1].winning_rate, found[1].advantage, found[1].passed) == (1, 1, True)
    assert (found[0].winning_rate, found[0].advantage, found[0].passed) == (0, 0, False)
    assert (found[0].annotators, found[0].items, found[0].epsilon) == (3, (40, 40), 0.1)


def test_a_judge_without_skill_passes_but_nothing_is_claimed() -> None:
    """People who agree by chance only: their mean rating passes, and so does a judge of noise.

    With one label for everything as the judge, its numbers are those of the floor; with people who
    are of one mind no floor passes, and a judge that says the same has `passed`.
    """
    rng = np.random.default_rng(5)
    chance = [(row, "m", rater, rng.integers(1, 6)) for row in range(200) for rater in "pqr"]
    ratings = [float(rating[3]) for rating in chance]
    values, counts = np.unique(ratings, return_counts=True)
    label = values[np.argmax(counts)]
    found = one(table({"m": [float(label)] * 200}, chance), "m").annotator_tests[1]
    frequent, mean = found.floors
    assert (frequent.name, frequent.score) == ("most frequent label", label)
    assert (mean.name, mean.score) == ("mean rating", pytest.approx(np.mean(ratings)))
    assert (found.winning_rate, found.advantage) == (frequent.winning_rate, frequent.advantage)
    assert mean.passed
    noise = rng.choice([2.9, 3.1], 200)
    careful = one(table({"m": noise}, chance), "m").annotator_tests[0]
    assert (careful.passed, careful.verdict) == (True, "no claim")
    alike = [(row, "m", rater, float(1 + row % 5)) for row in range(200) for rater in "pqr"]
    good = one(table({"m": [1.0 + row % 5 for row in range(200)]}, alike), "m").annotator_tests[0]
    assert not any(floor.passed for floor in good.floors)
    assert good.verdict == "passed"


def test_what_a_constant_gets_stands_beside_the_judge() -> None:
    """Computed by putting one in the judge's place; for MAE the median of the human scores."""
    seen = drawn()
    human = np.stack([mean_ratings(seen, metric) for metric in range(3)], axis=1)
    middle = np.broadcast_to(np.nanmedian(human, axis=0), human.shape).copy()
    for name, field in (("fluency", "mae"), ("sense", "mae")):
        lazy = one(replace(seen, score=middle, probs=None), name)
        found = one(seen, name).constant
        assert found[field].value == pytest.approx(getattr(lazy, field).value)
        assert found["soft_pairwise"].value == pytest.approx(lazy.soft_pairwise.value)
        assert found["pairwise"].value == pytest.approx(lazy.pairwise.at_zero)
        assert found["rmse"].value == pytest.approx(np.nanstd(human[:, seen.metrics.index(name)]))


@pytest.mark.parametrize(("annotators", "epsilon"), [("expert", 0.2), ("skilled", 0.15)])
def test_epsilon_goes_by_the_annotators(annotators: str, epsilon: float) -> None:
    """As Calderon et al. (2025) propose."""
    found = agree(drawn(), resamples=0, annotators=annotators)
    assert found.epsilon == epsilon
    assert {test.epsilon for m in found.measures for test in m.annotator_tests} == {epsilon}


def test_the_annotators_are_experts_where_the_data_say_so() -> None:
    """Unless told otherwise; without a word they are a crowd."""
    experts = replace(drawn(), annotators="expert")
    assert agree(experts, resamples=0).epsilon == 0.2
    assert agree(experts, resamples=0, annotators="crowd").epsilon == 0.1
    assert agree(drawn(), resamples=0).annotators == "crowd"


def test_intraclass_correlations_of_systems_and_dialogues() -> None:
    """A judge one point above people: by hand ICC(C,1) is 1, and ICC(A,1) v / (v + 1/2).

    Two columns a constant d apart have the row variance v, no error, and the column mean square
    n d^2 / 2, so that ICC(A,1) = 2 v / (2 v + 2 / n x n d^2 / 2).
    """
    human = [1.0, 2, 4, 2, 3, 5, 1, 2]
    names = [f"s{row // 2}" for row in range(8)]
    items = [f"i{row % 2}" for row in range(8)]
    seen = table(
        {"m": [score + 1 for score in human]},
        [(row, "m", "a", score) for row, score in enumerate(human)],
        systems=names,
        items=items,
        scale={"m": (1.0, 6.0)},
    )
    found = one(seen, "m").icc
    means = np.reshape(human, (4, 2)).mean(axis=1)
    for level, scores in (("all", human), ("systems", means)):
        v = float(np.var(scores, ddof=1))
        assert found[level]["ICC(A,1)"].value == pytest.approx(v / (v + 0.5))
        assert found[level]["ICC(C,1)"].value == pytest.approx(1)
        assert found[level]["ICC(A,k)"].value == pytest.approx(2 * v / (2 * v + 0.5))
    assert found["all"]["ICC(A,1)"].interval is None
    ends = found["systems"]["ICC(A,1)"].interval
    assert ends is not None
    assert (ends.method, ends.reason) == ("McGraw-Wong", "")


def test_bonett_and_wrights_interval_is_for_ten_systems_and_more_that_are_a_sample() -> None:
    """Of nine, and of systems that are all there is, the reason stands in its place."""
    ten = one(drawn(systems=10, scenarios=3)).bonett_wright
    assert ten.lower is not None
    nine = one(drawn(systems=9, scenarios=3)).bonett_wright
    assert (nine.lower, nine.reason) == (
        None,
        "an interval of 9 systems cannot be trusted: 10 are needed",
    )
    fixed = one(drawn(systems=10, scenarios=3), systems_fixed=True).bonett_wright
    assert fixed.lower is None
    assert fixed.reason.startswith("the systems are taken as all there is")


def test_who_drops_out_of_the_annotator_test_is_named() -> None:
    """p, q and r rate 40 dialogues, s two; of the 40, one has a second rater in p and q only."""
    ratings = [(row, "m", rater, 1 + row % 3) for row in range(40) for rater in "pqr"][:-1]
    ratings += [(row, "m", "s", 3.0) for row in range(2)]
    observed = table({"m": [1.0 + row % 3 for row in range(40)]}, ratings)
    test = one(observed, "m").annotator_tests[0]
    assert (test.annotators, test.left_out, test.cells) == (3, (("s", 2),), 40)
    assert test.items == (39, 40)
    strict = one(observed, "m", annotators_min_others=2).annotator_tests[0]
    assert (strict.items, strict.cells) == ((39, 39), 39)
    with pytest.raises(UsageError, match="--annotators-min-others 0"):
        agree(observed, resamples=0, annotators_min_others=0)


def test_soft_pairwise_accuracy_of_a_perfect_judge_is_1() -> None:
    """Judge and people the same numbers: the same p-values; and rho 1 has no Bonett-Wright."""
    systems, items = 11, 6
    rng = np.random.default_rng(0)
    human = np.clip(np.repeat(np.arange(11) / 2.5, items) + rng.normal(size=66), 1, 5).round()
    ratings = [(row, "m", "p", score) for row, score in enumerate(human)]
    observed = table(
        {"m": human.tolist()},
        ratings,
        systems=[f"s{row // items:02}" for row in range(systems * items)],
        items=[f"i{row % items}" for row in range(systems * items)],
    )
    found = one(observed, "m")
    assert (found.soft_pairwise.value, found.soft_pairwise.n) == (1, 55)
    assert found.pairwise.accuracy.value == pytest.approx(1)
    assert found.spearman["systems"].value == pytest.approx(1)
    assert found.bonett_wright.lower is None
    assert "perfect" in found.bonett_wright.reason
    assert found.permutation_exact
    # 11! orders, of which just this one and its mirror are as far from 0, if no means tie.
    if np.unique(human.reshape(systems, items).sum(axis=1)).size == systems:
        assert found.permutation_p.value == pytest.approx(2 / math.factorial(11))


def test_raters_against_each_other() -> None:
    """Spearman by scipy over what both rated; the judge is one of them."""
    observed = drawn()
    pairs = agree(observed, resamples=0).pairs
    assert len(pairs) == len(METRICS) * 10
    people = np.full((4, len(observed.system)), np.nan)
    own = observed.metric == 0
    people[observed.rater[own], observed.dialogue[own]] = observed.rating[own]
    for pair in pairs[:10]:
        sides = [
            observed.score[:, 0] if name == "machine" else people[int(name[1])]
            for name in (pair.first, pair.second)
        ]
        both = ~np.isnan(sides[0] + sides[1])
        expected = stats.spearmanr(sides[0][both], sides[1][both]).statistic
        assert (pair.measure, pair.spearman.n) == ("fluency", both.sum())
        assert pair.spearman.value == pytest.approx(expected)


def test_too_many_raters_are_not_paired() -> None:
    """Twelve are a table, thirteen are not; nor are they where nobody asked for it."""
    assert agree(drawn(raters=12), resamples=0).pairs
    assert not agree(drawn(raters=13), resamples=0).pairs
    assert not agree(drawn(compare_raters=False), resamples=0).pairs


def test_other_judges_are_paired_too() -> None:
    """A judge of the table besides the one reported on."""
    observed = drawn()
    other = agree(replace(observed, other_judges={"twin": observed.score * 2}), resamples=0).pairs
    twin = next(pair for pair in other if (pair.first, pair.second) == ("machine", "twin"))
    assert twin.spearman.value == pytest.approx(1)


def test_the_order_of_two_systems_is_no_correlation() -> None:
    """Noise meets the order of two systems half the time, with rho 1; of three there is one."""
    rng = np.random.default_rng(0)
    for systems, defined in ((2, False), (3, True)):
        system, item = (codes.ravel() for codes in np.indices((systems, 10)))
        values = level_correlations(*rng.normal(size=(2, 10 * systems)), system, item)
        found = level_estimates(values)["systems"]
        assert found.n == systems
        assert (found.value is not None) == defined
        assert defined or "two orders" in found.reason
