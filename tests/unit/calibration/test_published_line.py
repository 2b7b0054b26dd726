"""The line to published means against refits by numpy and the figures noted with the data."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.published_line import published_line

JUDGED = np.array([3.9, 4.2, 3.6, 4.4, 4.0, 3.7])
PUBLISHED = np.array([4.06, 4.12, 3.80, 4.21, 3.91, 3.92])


def test_six_points_equal_refits_without_each() -> None:
    """Slope, intercept and every held-out error are those of numpy's own fits."""
    result = published_line(JUDGED, PUBLISHED)
    assert (result.slope, result.intercept) == pytest.approx(
        tuple(np.polyfit(JUDGED, PUBLISHED, 1))
    )
    assert result.pearson == pytest.approx(np.corrcoef(JUDGED, PUBLISHED)[0, 1])
    line, shift, mean = [], [], []
    for i in range(6):
        x, y = np.delete(JUDGED, i), np.delete(PUBLISHED, i)
        line.append(PUBLISHED[i] - np.polyval(np.polyfit(x, y, 1), JUDGED[i]))
        shift.append(PUBLISHED[i] - JUDGED[i] - (y - x).mean())
        mean.append(PUBLISHED[i] - y.mean())
    assert result.held_out == pytest.approx(np.array(line))
    assert result.error_line == pytest.approx(np.abs(line).mean())
    assert result.error_shift == pytest.approx(np.abs(shift).mean())
    assert result.error_mean == pytest.approx(np.abs(mean).mean())
    assert result.error_raw == pytest.approx(np.abs(PUBLISHED - JUDGED).mean())
    assert (result.n, result.reason) == (6, "")


@given(st.floats(-2, 2), st.floats(-3, 3))
def test_an_exact_line_is_found(slope: float, intercept: float) -> None:
    """Published means on a line are predicted without error by the others."""
    result = published_line(JUDGED, intercept + slope * JUDGED)
    assert (result.slope, result.intercept) == pytest.approx((slope, intercept), abs=1e-9)
    assert result.error_line == pytest.approx(0, abs=1e-9)


def test_systems_without_both_means_are_left_out() -> None:
    """A nan on either side is not a point; its place in held_out stays nan."""
    judged = np.append(JUDGED, [math.nan, 4.0])
    result = published_line(judged, np.append(PUBLISHED, [4.0, math.nan]))
    assert result.n == 6
    assert np.isnan(result.held_out[6:]).all()
    assert result.held_out[:6] == pytest.approx(published_line(JUDGED, PUBLISHED).held_out)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_fewer_than_three_points_say_nothing(n: int) -> None:
    """Two points always lie on a line: no number, and the reason."""
    result = published_line(JUDGED[:n], PUBLISHED[:n])
    assert np.isnan(result[1:8]).all()
    assert np.isnan(result.held_out).all()
    assert result.reason == f"a line needs at least 3 systems with both means, not {n}"


@pytest.mark.parametrize("judged", [[4.0] * 4, [0.1 + 0.2, 0.3, 0.3, 4.0]])
def test_a_judge_without_a_slope_is_undefined(judged: list[float]) -> None:
    """Where the others all have one mean, up to rounding, no line can be left out."""
    result = published_line(judged, PUBLISHED[:4])
    assert math.isnan(result.slope)
    assert "the same mean" in result.reason


def test_constant_published_means_have_no_correlation() -> None:
    """The line is flat and right, the correlation undefined and not 0."""
    result = published_line(JUDGED, np.full(6, 4.0))
    assert result.slope == 0
    assert result.error_line == pytest.approx(0, abs=1e-12)
    assert math.isnan(result.pearson)


@pytest.mark.parametrize(
    ("judged", "published", "message"),
    [
        ([[1.0]], [[1.0]], "one-dimensional"),
        ([1.0, 2.0], [1.0], "one length"),
        ([1.0, math.inf], [1.0, 2.0], "infinities"),
    ],
)
def test_bad_input_is_refused(judged: list[float], published: list[float], message: str) -> None:
    """Each thing that is not two columns of means has its own message."""
    with pytest.raises(ValueError, match=message):
        published_line(judged, published)


def test_the_pilot_has_the_correlations_noted_with_it(judge_data: Path) -> None:
    """Draft 2 of the pilot's rubric against the published means: the nine r of its README."""
    rows = _table(judge_data / "judge_pilot" / "scores.csv")
    metrics = list(rows[0])[5:]
    published: dict[str, dict[str, float]] = {}
    for row in _table(judge_data / "published" / "chatanime_figure1.csv"):
        published.setdefault(row["metric"], {})[row["system"]] = float(row["mean"])
    noted = [0.42, 0.56, 0.52, 0.81, 0.93, 0.88, 0.74, 0.75, 0.76]
    for metric, pearson in zip(metrics, noted, strict=True):
        judged = [
            np.mean([float(row[metric]) for row in rows if row["system"] == system
                     and row["rubric"] == "draft2"])
            for system in published[metric]
        ]  # fmt: skip
        result = published_line(judged, list(published[metric].values()))
        assert result.n == 6
        assert result.pearson == pytest.approx(pearson, abs=0.006), metric


def _table(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        pytest.skip(f"no {path}; set JUDGE_DATA to the folder that has it")
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))
