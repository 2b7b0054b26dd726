"""The table of candidates by hand, and the choice: simple with little data, rich when it pays."""

from __future__ import annotations

import math

import numpy as np
import pytest

from calibration.calibrators import CANDIDATES, CannotFitError, Sample
from calibration.selection import select
from tests.unit.calibration.rated import plain, rated, sharp

SIMPLE = {"mode", "expected", "shift", "linear"}


def test_the_table_by_hand() -> None:
    """System a judged 2 2 and rated 3 4, b judged 3 3 and rated 3 3.

    Expected: errors -1 -2 | 0 0, squared 5/2 | 0. Shift: b teaches a the offset 0, a teaches b
    3/2, so errors -1 -2 | 3/2 3/2, squared 5/2 | 9/4. Mean losses 5/4 and 19/8; their
    difference 0 | 9/4 has the mean 9/8 and the standard error 9/8. No judge: b teaches a 3 and a
    teaches b 7/2, so squared errors 1/2 | 1/4; less those of expected they are -2 | 1/4, mean -7/8
    and standard error 9/8.
    """
    candidates = {name: CANDIDATES[name] for name in ("expected", "shift")}
    found = select(plain([2, 2, 3, 3], [3, 4, 3, 3], list("aabb")), candidates)
    no_judge, expected, shift = found.rows
    assert (expected.loss, shift.loss) == (pytest.approx(5 / 4), pytest.approx(19 / 8))
    assert (expected.standard_error, shift.standard_error) == (
        pytest.approx(5 / 4),
        pytest.approx(1 / 8),
    )
    assert (shift.excess, shift.excess_error) == (pytest.approx(9 / 8), pytest.approx(9 / 8))
    assert (expected.mae, shift.mae) == (pytest.approx(3 / 4), pytest.approx(3 / 2))
    assert (expected.bias, shift.bias) == (pytest.approx(-3 / 4), pytest.approx(0))
    assert shift.rmse == pytest.approx(math.sqrt(19 / 8))
    assert (shift.groups, shift.cells) == (2, 4)
    # b: one and the same label on both sides, so that only a counts; there, all is by chance.
    assert expected.qwk == 0
    assert expected.rps == pytest.approx(3 / 4)
    assert math.isnan(shift.rps)
    assert (no_judge.candidate, no_judge.loss) == ("no judge", pytest.approx(3 / 8))
    assert (expected.gain, expected.gain_error) == (pytest.approx(-7 / 8), pytest.approx(9 / 8))
    assert not expected.beats_no_judge


def test_a_map_that_falls_is_not_eligible() -> None:
    """People score lower where the judge scores higher: the line is out, and so is ridge."""
    sample = rated(np.random.default_rng(1), signal=-1, systems=8, cells=30)
    rows = {row.candidate: row for row in select(sample).rows}
    for name in ("linear", "ridge", "ordinal"):
        assert rows[name].reason.startswith("it falls")
        assert math.isnan(rows[name].loss)
    assert not any(row.beats_no_judge for row in rows.values())


def test_a_candidate_that_learns_nothing_does_not_win_by_its_place() -> None:
    """Mode stands before expected but is no simpler: of the two, the better one is taken."""
    sample = rated(np.random.default_rng(1))
    candidates = {name: CANDIDATES[name] for name in ("mode", "expected")}
    found = select(sample, candidates)
    losses = {row.candidate: row.loss for row in found.rows[1:]}
    assert found.chosen == min(losses, key=losses.__getitem__) == "expected"


def test_little_data_take_a_simple_candidate_and_much_data_a_rich_one() -> None:
    """SIMULATED: other metrics help, which 4 x 3 dialogues cannot show and 10 x 100 can.

    The least loss alone would often be that of a rich candidate by luck.
    """
    few = [select(rated(np.random.default_rng(k), systems=4, cells=3)) for k in range(40)]
    many = [select(rated(np.random.default_rng(k), systems=10, cells=100)) for k in range(4)]
    assert np.mean([found.chosen in SIMPLE for found in few]) > 0.75
    assert np.mean([found.best in SIMPLE for found in few]) < 0.65
    assert all(found.chosen in {"ridge", "ordinal"} for found in many)


def test_metrics_without_information_are_not_taken_up() -> None:
    """SIMULATED: where the other metrics are noise, the choice hardly ever looks at them."""
    chosen = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        sample = rated(rng, systems=5, cells=8, judge_noise=0.3)
        probs = sample.probs.copy()
        probs[:, 1:] = sharp(rng.normal(3.4, 0.7, (*probs.shape[:1], 2)))
        noisy = Sample.of(probs, 0, sample.scores, sample.cells, groups=sample.groups)
        chosen.append(select(noisy).chosen)
    assert sum(name in {"ridge", "ordinal"} for name in chosen) <= 4


def test_the_choice_is_the_simplest_within_one_standard_error() -> None:
    """Every simpler candidate than the chosen one is worse than the best by more than that."""
    found = select(rated(np.random.default_rng(2), systems=8, cells=60))
    rows = {row.candidate: row for row in found.rows[1:]}
    assert found.best == min(rows, key=lambda name: rows[name].loss)
    assert rows[found.chosen].excess <= rows[found.chosen].excess_error
    simpler = list(rows)[: list(rows).index(found.chosen)]
    assert all(rows[name].excess > rows[name].excess_error for name in simpler)
    assert found.calibrator.name == found.chosen


def test_a_candidate_that_cannot_be_fitted_stays_in_the_table() -> None:
    """Two systems leave one for ridge and ordinal: no numbers, but the reason; others compete."""
    found = select(rated(np.random.default_rng(3), systems=2))
    rows = {row.candidate: row for row in found.rows}
    assert list(rows) == ["no judge", *CANDIDATES]
    assert math.isnan(rows["ridge"].loss)
    assert "only one" in rows["ridge"].reason
    assert found.chosen in SIMPLE | {"isotonic"}


def test_ratings_between_labels_have_no_label_statistics() -> None:
    """Means instead of ratings: squared errors yes, kappa and ranked scores no."""
    sample = rated(np.random.default_rng(4))
    halves = Sample.of(sample.probs, 0, (sample.scores + 3) / 2, sample.cells, groups=sample.groups)
    rows = {row.candidate: row for row in select(halves).rows}
    assert rows["shift"].loss > 0
    assert math.isnan(rows["expected"].qwk)
    assert math.isnan(rows["expected"].rps)
    assert "whole labels" in rows["ordinal"].reason


def test_one_system_cannot_be_validated() -> None:
    """With one group there is nothing that a fit has not seen."""
    with pytest.raises(CannotFitError, match="needs two groups"):
        select(rated(np.random.default_rng(5), systems=1))


def test_no_rung_at_all_is_refused_with_each_reason() -> None:
    """When every candidate offered fails, the reasons are told."""
    with pytest.raises(CannotFitError, match=r"ridge: .*only one"):
        select(rated(np.random.default_rng(6), systems=2), {"ridge": CANDIDATES["ridge"]})


def test_unrated_cells_are_predicted_but_not_compared() -> None:
    """Taking the ratings of some cells away leaves them a prediction and the table without them."""
    sample = rated(np.random.default_rng(7))
    rows = sample.cells % 4 > 0
    part = Sample.of(sample.probs, 0, sample.scores[rows], sample.cells[rows], groups=sample.groups)
    found = select(part)
    assert {row.cells for row in found.rows} == {int(rows.sum())}
    assert not np.isnan(found.out_of_fold["linear"].predicted).any()
