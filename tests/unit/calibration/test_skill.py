"""Whether a judge says anything: by hand, and SIMULATED reports of nine metrics.

A judge of noise must not get a map. People's ratings have effects of systems, characters and
scenarios, and so has the judge, but the two know nothing of each other; its tastes meet people's
only by chance.
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from calibration.calibrators import CANDIDATES, Sample
from calibration.published_line import published_line
from calibration.selection import select
from calibration.simulate import Shape, Spread, simulate
from calibration.skill import correlation_p, holm, judge_skill

TASTES = Spread(0.3, 0.3, 0.3, 0.15, 0.1, 0.3)
MAPS = {name: CANDIDATES[name] for name in ("expected", "shift", "linear")}


def test_both_parts_equal_scipy() -> None:
    """Between: Pearson's r of system means. Within: a t-test of the sums over each clustering."""
    rng = np.random.default_rng(1)
    system, item = (axis.ravel() for axis in np.indices((5, 8)))
    x = rng.normal(size=40)
    y = x + rng.normal(size=40)
    found = judge_skill(x, y, system, item)
    x_means, y_means = x.reshape(5, 8).mean(axis=1), y.reshape(5, 8).mean(axis=1)
    exchanged = stats.PermutationMethod(n_resamples=1000)  # more than 5!, so that all are taken
    between = stats.pearsonr(x_means, y_means, alternative="greater", method=exchanged).pvalue
    products = (x.reshape(5, 8) - x_means[:, None]) * (y.reshape(5, 8) - y_means[:, None])
    within = [stats.ttest_1samp(products.sum(axis=a), 0, alternative="greater") for a in (0, 1)]
    assert found.between == pytest.approx(between)
    assert found.within == pytest.approx(max(result.pvalue for result in within))
    assert found.p == pytest.approx(2 * min(found.between, found.within))


def test_two_systems_have_no_correlation_and_constants_no_skill() -> None:
    """Any two points lie on a line; a judge that always says 3 says nothing."""
    assert judge_skill([1, 2, 3, 4], [1, 2, 3, 4], list("aabb")).between == 1
    assert judge_skill([3.0] * 6, [1, 2, 3, 4, 5, 5], list("aabbcc")).p == 1


def test_correlations_by_exchanging_systems() -> None:
    """The best of 3! = 6 orders has p = 1/6; from eight systems on it is scipy's t-test."""
    assert correlation_p([1, 2, 3], [4, 5, 7]) == pytest.approx(1 / 6)
    assert correlation_p([1, 2, 3], [7, 5, 4]) == 1
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(2, 9))
    expected = stats.pearsonr(x, y, alternative="greater").pvalue
    assert correlation_p(x, y) == pytest.approx(expected)


@pytest.mark.parametrize("systems", [6, 9])
def test_all_metrics_together_by_exchanging_systems(systems: int) -> None:
    """The share of drawn orders with at least the sum of correlations, to .03."""
    rng = np.random.default_rng(8)
    x, y = rng.normal(size=(2, systems, 3))
    y += 0.4 * x

    def total(order: NDArray[np.int64]) -> float:
        return sum(np.corrcoef(x[order, m], y[:, m])[0, 1] for m in range(3))

    observed = total(np.arange(systems))
    drawn = [total(rng.permutation(systems)) >= observed - 1e-9 for _ in range(4000)]
    assert correlation_p(x, y) == pytest.approx(np.mean(drawn), abs=0.03)


def test_lines_to_published_means_seldom_win_by_chance() -> None:
    """SIMULATED: six systems, nine metrics, a judge of noise: at most 5% each and 10% anywhere."""
    rng, wins, kept = np.random.default_rng(3), [], []
    for _ in range(300):
        # Half of the variance is common to all metrics, as it is of a good system.
        means = rng.normal(size=(2, 6, 1)) + rng.normal(size=(2, 6, 9))
        joint = correlation_p(*means)
        for judged, published in zip(*means.transpose(0, 2, 1), strict=True):
            line = published_line(judged, published)
            wins.append(line.error_line < line.error_mean and line.slope > 0)
            p = correlation_p(judged, published)
            kept.append(wins[-1] and p <= 0.05 and joint <= 0.10)
    won, claimed = np.reshape(wins, (300, 9)), np.reshape(kept, (300, 9))
    assert won.mean() > 0.05  # what the test is for
    assert claimed.mean() <= 0.05
    assert claimed.any(axis=1).mean() <= 0.10 + 2 * np.sqrt(0.1 * 0.9 / 300)


def test_holm_by_hand() -> None:
    """.01 x 3; .03 x 2; .04 x 1 is raised to the .06 before it."""
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])


def claims(systems: int, slope: float, reports: int) -> NDArray[np.bool_]:
    """(reports, 9) whether a metric gets a map, by the rule of `judge.analysis.fit_calibration`."""
    rng, found, p = np.random.default_rng(systems), [], []
    shape = Shape(systems, 6, 10, metrics=9, per_cell=(1, 2), slope=slope)
    for _ in range(reports):
        data = simulate(rng, shape, judge=TASTES)
        for metric in range(9):
            rows = data.metric == metric
            sample = Sample.of(
                data.probs, metric, data.human[rows], data.cell[rows], groups=data.system
            )
            selection = select(sample, MAPS)
            by_name = {row.candidate: row for row in selection.rows}
            found.append(by_name[selection.chosen].beats_no_judge)
            judged = selection.out_of_fold["expected"].predicted
            crossed = (data.character, data.scenario)
            p.append(judge_skill(judged, sample.means, data.system, *crossed).p)
    alone = np.reshape(p, (reports, 9))
    together = np.array([holm(row) for row in alone])
    beats: NDArray[np.bool_] = np.reshape(found, (reports, 9))
    return beats & (alone <= 0.05) & (together <= 0.10)


@pytest.mark.parametrize("systems", [11, 6])
def test_false_claims_are_rare(systems: int) -> None:
    """At most 5% of metrics, and at most 10% of reports with any of nine."""
    found = claims(systems, 0.0, 20)
    assert found.mean() <= 0.05
    assert found.any(axis=1).mean() <= 0.10


@pytest.mark.parametrize("systems", [11, 6])
def test_skill_is_found(systems: int) -> None:
    """A judge that sees 80% of what people see, and has tastes of its own, gets its maps."""
    assert claims(systems, 0.8, 2).mean() > 0.9
