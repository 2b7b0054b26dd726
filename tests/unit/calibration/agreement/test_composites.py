"""Means of parts: a dialogue that lacks one lacks the mean."""

from __future__ import annotations

import math

import numpy as np
import pytest

from calibration.agreement.levels import mean_of_parts


def test_by_hand() -> None:
    """Two full rows, one with a gap, one empty: two means, two missing, one of them partly."""
    nan = math.nan
    found = mean_of_parts([[1, 2, 3], [5, 5, 4], [1, nan, 3], [nan, nan, nan]])
    np.testing.assert_allclose(found.values, [2, 14 / 3, nan, nan])
    assert (found.missing, found.partly) == (2, 1)


@pytest.mark.parametrize(
    ("parts", "message"),
    [([1, 2], r"\(n, p\)"), ([[], []], "p >= 1"), ([[math.inf]], "infinities")],
)
def test_bad_input_is_refused(parts: list[list[float]], message: str) -> None:
    """Each thing that has no parts to average has its own message."""
    with pytest.raises(ValueError, match=message):
        mean_of_parts(parts)
