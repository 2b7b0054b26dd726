"""The interval of a system no one has rated, by hand and against the law of the normal mean."""

from __future__ import annotations

import math

import numpy as np
import pytest

from calibration.unseen_system import system_shifts, unseen_system_mean


def test_by_hand() -> None:
    """Shifts .3, -.1, -.2, 0: sqrt(.14 / 4) = .18708; t with 3 df at 95% is 2.35336."""
    result = unseen_system_mean(4.0, [0.3, -0.1, -0.2, 0.0])
    assert result.shift == pytest.approx(0.1870829)
    assert result.upper - 4 == pytest.approx(2.3533634 * 0.1870829)
    assert 4 - result.lower == pytest.approx(result.upper - 4)
    assert (result.mean, result.systems, result.confidence, result.reason) == (4.0, 4, 0.9, "")


def test_the_standard_error_of_the_mean_is_added_in_squares() -> None:
    """Shifts of .3 and an error of .4: a half-width of .5 t."""
    result = unseen_system_mean(4.0, [0.3, -0.3], standard_error=0.4)
    assert result.upper - 4 == pytest.approx(6.3137515 * 0.5)
    with pytest.raises(ValueError, match="a standard error must be finite"):
        unseen_system_mean(4.0, [0.3, -0.3], standard_error=math.nan)


@pytest.mark.parametrize("systems", [3, 6, 11])
def test_a_calibration_that_learns_the_mean_shift_gives_the_exact_interval(systems: int) -> None:
    """Left-out shifts of a sample mean give t SD sqrt(1 + 1/K), the textbook prediction interval.

    But for the factor sqrt(1 - 1/K^2) that the docstring derives.
    """
    d = np.random.default_rng(systems).normal(size=systems)
    held_out = [d[s] - np.delete(d, s).mean() for s in range(systems)]
    result = unseen_system_mean(0.0, held_out)
    exact = (
        {3: 2.9199856, 6: 2.0150484, 11: 1.8124611}[systems]
        * d.std(ddof=1)
        * math.sqrt(1 + 1 / systems)
    )
    assert result.upper * math.sqrt(1 - 1 / systems**2) == pytest.approx(exact)


def test_a_bias_that_all_systems_share_widens_the_interval() -> None:
    """A judge half a point too kind everywhere must not look sure of itself."""
    assert unseen_system_mean(4.0, [-0.5, -0.5, -0.5]).upper > 4.5


def test_one_system_gives_a_mean_and_no_interval() -> None:
    """One shift cannot tell how systems vary: nan with a reason."""
    result = unseen_system_mean(4.0, [0.2])
    assert result.mean == 4.0
    assert np.isnan([result.lower, result.upper, result.shift]).all()
    assert "at least 2 held-out systems are needed, not of 1" in result.reason


def test_shifts_are_means_of_residuals_by_system() -> None:
    """Each system's mean, by name, whatever the order of rows."""
    shifts = system_shifts([0.5, -1.0, 1.5, 0.0], ["b", "a", "b", "a"])
    assert shifts == {"a": -0.5, "b": 1.0}
    assert system_shifts([], []) == {}


@pytest.mark.parametrize(
    ("mean", "shifts", "confidence", "message"),
    [
        (math.nan, [0.1, 0.2], 0.9, "finite"),
        (4.0, [0.1, math.nan], 0.9, "finite"),
        (4.0, [[0.1, 0.2]], 0.9, "one-dimensional"),
        (4.0, [0.1, 0.2], 0.0, "between 0 and 1"),
        (4.0, [0.1, 0.2], 95, "between 0 and 1"),
    ],
)
def test_bad_input_is_refused(
    mean: float, shifts: list[float], confidence: float, message: str
) -> None:
    """Each thing that cannot give an interval has its own message."""
    with pytest.raises(ValueError, match=message):
        unseen_system_mean(mean, shifts, confidence)


@pytest.mark.parametrize(
    ("residuals", "systems", "message"),
    [([0.1], ["a", "b"], "one length"), ([math.nan], ["a"], "finite")],
)
def test_bad_residuals_are_refused(
    residuals: list[float], systems: list[str], message: str
) -> None:
    """A missing residual is left out and counted by the caller, never averaged."""
    with pytest.raises(ValueError, match=message):
        system_shifts(residuals, systems)
