"""Laws of the crossed bootstrap, over designs with gaps, ties, doubled cells and missing scores."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from calibration.resampling.bootstrap import (
    crossed_bootstrap,
    crossed_weights,
    percentile_interval,
)
from calibration.resampling.weighted import STATISTICS
from tests.unit.calibration.replicated import replicated

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
few = settings(max_examples=40)


class Rows(NamedTuple):
    """(n,) scores of judge and people, and codes without gaps of the three factors."""

    judged: Floats
    human: Floats
    system: Codes
    character: Codes
    scenario: Codes

    @property
    def columns(self) -> tuple[Floats, Floats, Codes, Codes, Codes]:
        """As `crossed_bootstrap` takes them."""
        return self.judged[:, None], self.human[:, None], *self[2:]


@st.composite
def rows(draw: st.DrawFn) -> Rows:
    """Up to 4 x 3 x 3 cells, some absent, some twice; scores labels or fractions, some missing."""
    sizes = [draw(st.integers(1, most)) for most in (4, 3, 3)]
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    cells = np.indices(sizes).reshape(3, -1).T
    kept = rng.random(len(cells)) < draw(st.sampled_from([0.6, 1.0]))
    kept[0] = True
    cells = cells[kept].repeat(rng.integers(1, draw(st.integers(2, 3)), kept.sum()), axis=0)
    sides = []
    for _ in range(2):
        side = rng.integers(1, draw(st.integers(2, 6)), len(cells)).astype(np.float64)
        if draw(st.booleans()):
            side += rng.random(len(cells))
        side[rng.random(len(cells)) < draw(st.sampled_from([0.0, 0.2]))] = np.nan
        sides.append(side)
    return Rows(*sides, *(np.unique(c, return_inverse=True)[1] for c in cells.T))


@few
@given(rows(), st.integers(0, 99), st.booleans())
def test_weights_do_what_repeating_the_rows_does(data: Rows, seed: int, fixed: bool) -> None:
    """Every statistic at every level is scipy's on the rows written out as often as drawn.

    Of the data and of each resample; undefined there is nan here.
    """
    found = crossed_bootstrap(
        *data.columns, np.random.default_rng(seed), resamples=6, systems_fixed=fixed, chunk=4
    )
    drawn = crossed_weights(np.random.default_rng(seed), found.sizes, 6, systems_fixed=fixed)
    once = tuple(np.ones(size, dtype=np.int64) for size in found.sizes)
    x, y, *labels = data
    expected = replicated(x, y, tuple(labels), once)
    np.testing.assert_allclose(found.estimate[0, :, :, 0], expected, atol=1e-8)
    for b in range(6):
        expected = replicated(x, y, tuple(labels), tuple(counts[b] for counts in drawn))
        np.testing.assert_allclose(found.replicates[b, 0, :, :, 0], expected, atol=1e-8)


@few
@given(rows(), st.integers(1, 9), st.integers(1, 3))
def test_the_same_bytes_however_the_work_is_cut(data: Rows, chunk: int, threads: int) -> None:
    """Chunks and threads change no bit of any resample."""
    whole, cut = (
        crossed_bootstrap(*data.columns, np.random.default_rng(5), resamples=9, **how)
        for how in ({"chunk": 9}, {"chunk": chunk, "threads": threads})
    )
    assert whole.replicates.tobytes() == cut.replicates.tobytes()
    assert whole.estimate.tobytes() == cut.estimate.tobytes()


@few
@given(rows(), st.sampled_from([1e-3, 7.0, 1e3]), st.floats(-5, 5))
def test_ranks_do_not_know_the_scale(data: Rows, stretch: float, shift: float) -> None:
    """A judge on another scale has the same correlations, those of its ranks bit for bit."""
    moved = data._replace(judged=stretch * data.judged + shift)
    one, other = (
        crossed_bootstrap(*side.columns, np.random.default_rng(6), resamples=5).replicates[:, 0]
        for side in (data, moved)
    )
    np.testing.assert_array_equal(one[:, 0, :3], other[:, 0, :3])
    np.testing.assert_allclose(one[:, :2], other[:, :2], atol=1e-7)


@few
@given(rows())
def test_the_other_way_round_is_the_opposite(data: Rows) -> None:
    """Scores upside down turn both correlations; swapped sides keep them and turn the bias."""
    found, upside, swapped = (
        crossed_bootstrap(*side.columns, np.random.default_rng(7), resamples=5).replicates[:, 0]
        for side in (
            data,
            data._replace(judged=-data.judged),
            data._replace(judged=data.human, human=data.judged),
        )
    )
    np.testing.assert_allclose(upside[:, :2], -found[:, :2], atol=1e-12)
    np.testing.assert_allclose(swapped[:, :3], found[:, :3], atol=1e-12)
    np.testing.assert_allclose(
        swapped[:, STATISTICS.index("bias")], -found[:, STATISTICS.index("bias")], atol=1e-12
    )


@few
@given(
    st.lists(st.floats(-1, 1), min_size=20, max_size=60, unique=True),
    st.floats(-1, 1),
    st.floats(0.5, 0.9),
)
def test_more_confidence_is_a_wider_interval(
    values: list[float], estimate: float, confidence: float
) -> None:
    """It stays within the resamples."""
    ends, wide = (
        percentile_interval(estimate, values, confidence=c) for c in (confidence, confidence + 0.09)
    )
    assert wide.lower <= ends.lower <= ends.upper <= wide.upper
    assert min(values) <= ends.lower <= ends.upper <= max(values)


@few
@given(st.lists(st.floats(-1, 1), min_size=30, max_size=60, unique=True), st.integers(0, 60))
def test_no_resample_is_dropped_in_silence(values: list[float], lost: int) -> None:
    """Undefined resamples are counted and named, and too many of them leave no interval."""
    result = percentile_interval(0.5, [*values, *[np.nan] * lost], confidence=0.9)
    assert (result.resamples, result.undefined) == (len(values) + lost, lost)
    assert (f"undefined in {lost} of" in result.reason) == (lost > 0)
    assert np.isnan(result.lower) == (lost > 0.1 * result.resamples + 1e-6)
    if not np.isnan(result.lower):
        assert result.lower == pytest.approx(np.quantile(values, 0.05))
