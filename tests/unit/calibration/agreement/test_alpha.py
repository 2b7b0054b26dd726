"""Krippendorff's alpha against his own example, another library, and its laws."""

from __future__ import annotations

import math
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.agreement.raters import AlphaMetric, krippendorff_alpha

every = pytest.mark.parametrize("metric", get_args(AlphaMetric))

# Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability", section C: four observers of
# twelve units, with gaps.
OBSERVERS = """
1 2 3 3 2 1 4 1 2 . . .
1 2 3 3 2 2 4 1 2 5 . 3
. 3 3 3 2 3 4 2 2 5 1 .
1 2 3 3 2 4 4 1 2 5 1 .
"""


def _long(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return table.ravel(), np.indices(table.shape)[1].ravel()


@pytest.mark.parametrize(
    ("metric", "published"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)]
)
def test_the_published_example(metric: AlphaMetric, published: float) -> None:
    """The values Krippendorff (2011) prints; the twelfth unit has one rating and tells nothing."""
    rows = [line.split() for line in OBSERVERS.strip().splitlines()]
    table = np.array([[math.nan if x == "." else float(x) for x in row] for row in rows])
    found = krippendorff_alpha(*_long(table), metric)
    assert found.value == pytest.approx(published, abs=5e-4)
    assert (found.units, found.ratings, found.unpaired, found.masked) == (11, 40, 1, 7)


@every
@pytest.mark.parametrize("seed", range(3))
def test_equals_the_reference_library(metric: AlphaMetric, seed: int) -> None:
    """On sparse ratings of five raters, as the library krippendorff has it."""
    reference: Any = pytest.importorskip("krippendorff", reason="the reference here")
    rng = np.random.default_rng(seed)
    table = np.clip(rng.integers(1, 6, 60) + rng.integers(-1, 2, (5, 60)), 1, 5).astype(float)
    table[rng.random(table.shape) < 0.6] = math.nan
    expected = reference.alpha(reliability_data=table, level_of_measurement=metric)
    assert krippendorff_alpha(*_long(table), metric).value == pytest.approx(expected)


def test_the_judge_is_one_more_rater() -> None:
    """Passing a judge is appending its row; what it alone has scored changes nothing."""
    rng = np.random.default_rng(5)
    cell = rng.integers(0, 30, 80)
    score = rng.integers(1, 6, 80)
    judge = rng.integers(1, 6, 40).astype(float)
    judge[:5] = math.nan
    rated = np.unique(cell)
    row = judge[rated]
    expected = krippendorff_alpha(
        np.concatenate([score, row]), np.concatenate([cell, rated]), "ordinal"
    )
    found = krippendorff_alpha(score, cell, "ordinal", judge)
    assert found.value == pytest.approx(expected.value)
    assert found.units == expected.units


def test_one_rater_has_no_alpha_and_with_the_judge_there_is_one() -> None:
    """One rating a cell tells nothing of agreement among people."""
    alone = krippendorff_alpha([1, 2, 3], [0, 1, 2])
    assert math.isnan(alone.value)
    assert alone.reason == "no cell has two ratings"
    assert krippendorff_alpha([1, 2, 3], [0, 1, 2], judge=[1, 2, 3]).value == 1


@every
def test_no_variation_is_undefined(metric: AlphaMetric) -> None:
    """When all gave the same score there is no chance to agree beyond; it is not 1, nor 0."""
    found = krippendorff_alpha([4, 4, 4, 4], [0, 0, 1, 1], metric)
    assert math.isnan(found.value)
    assert found.reason == "all ratings are equal"


ratings = st.lists(st.tuples(st.integers(1, 5), st.integers(0, 8)), min_size=4, max_size=40)


@given(ratings)
def test_laws(rows: list[tuple[int, int]]) -> None:
    """Ordinal alpha knows order alone, interval alpha no unit or zero, nominal alpha no order."""
    score, cell = (np.array(column) for column in zip(*rows, strict=True))
    for metric, moved in (
        ("ordinal", score**3),
        ("interval", 7.5 - 2 * score),
        ("nominal", np.array([0, 3, 1, 5, 2, 4])[score]),
    ):
        before = krippendorff_alpha(score, cell, metric).value  # type: ignore[arg-type]
        after = krippendorff_alpha(moved, cell, metric).value  # type: ignore[arg-type]
        assert after == pytest.approx(before, nan_ok=True, abs=1e-9)
        assert math.isnan(before) or before <= 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: krippendorff_alpha([1], [1, 2]), r"one length"),
        (lambda: krippendorff_alpha([math.inf], [1]), "infinities"),
        (lambda: krippendorff_alpha([1], [1], "ratio"), "a metric is"),
        (lambda: krippendorff_alpha([1], [1], judge=[1]), "positions in judge"),
        (lambda: krippendorff_alpha([1], ["a"], judge=[1]), "positions in judge"),
        (lambda: krippendorff_alpha([1], [0], judge=[math.inf]), "judge must not hold infinities"),
    ],
)
def test_bad_input_is_refused(call: Any, message: str) -> None:
    """Each thing that is not ratings of cells has its own message."""
    with pytest.raises(ValueError, match=message):
        call()
