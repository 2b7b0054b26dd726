"""What a calibrator is fitted to: checked, and never dropped in silence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from calibration.calibrators import CannotFitError, Sample, Shift, as_distributions

NAN = [np.nan] * 3


def distributions() -> Any:
    """Four cells of two metrics: the first lacks metric 1, the last metric 0."""
    sure = [0.0, 1.0, 0.0]
    return [[sure, NAN], [sure, sure], [sure, sure], [NAN, sure]]


def test_what_cannot_be_used_is_left_out() -> None:
    """Two ratings of an unjudged cell and one unrated judged cell do not enter a fit."""
    sample = Sample.of(distributions(), 0, [1, 2, 3, 3], [0, 1, 3, 3], groups=list("aabb"))
    assert sample.usable.tolist() == [True, True, False, False]
    assert Shift.fit(sample).offset == -0.5


def test_means_and_counts_by_hand() -> None:
    """A cell has the mean of its ratings, none has nan."""
    sample = Sample.of(distributions(), 1, [1, 2, 3], [2, 2, 3], groups=list("aabb"))
    np.testing.assert_array_equal(sample.means, [np.nan, np.nan, 1.5, 3])
    assert sample.counts.tolist() == [0, 0, 2, 1]


def test_taking_cells_takes_their_ratings_along() -> None:
    """The ratings of the cells that stay point at them, raters and groups keep their codes."""
    sample = Sample.of(
        distributions(), 1, [1, 2, 3], [3, 1, 2], groups=list("abcc"), raters=[7, 8, -1]
    )
    part = sample.take(np.array([False, False, True, True]))
    assert part.cells.tolist() == [1, 0]
    assert (part.scores.tolist(), part.raters.tolist()) == ([1, 3], [7, -1])
    assert part.groups.tolist() == [2, 2]


def test_nothing_usable_cannot_be_fitted() -> None:
    """Ratings of unjudged cells alone are no ground for a map."""
    sample = Sample.of(distributions(), 0, [1], [3], groups=list("aabb"))
    with pytest.raises(CannotFitError, match="no cell is both judged and rated"):
        Shift.fit(sample)


def test_no_ratings_at_all_cannot_be_fitted() -> None:
    """An empty column of ratings is valid, and no ground for a map."""
    sample = Sample.of(distributions(), 0, [], [], groups=list("aabb"))
    assert not sample.usable.any()
    with pytest.raises(CannotFitError, match="no cell is both judged and rated"):
        Shift.fit(sample)


def test_scores_become_distributions_with_their_mean() -> None:
    """A score between labels is shared by its neighbours; nan stays unknown."""
    expected = [[0, 0, 0.75, 0.25], [1, 0, 0, 0], [np.nan] * 4]
    np.testing.assert_allclose(as_distributions([3.25, 1, np.nan], 4), expected)
    with pytest.raises(ValueError, match=r"1\.\.4"):
        as_distributions([4.5], 4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"probs": [[0.5, 0.5]]}, "shape"),
        ({"probs": [[[0.5, 0.4]]]}, "sum to 1"),
        ({"probs": [[[1.5, -0.5]]]}, "negative"),
        ({"probs": [[[np.nan, 1.0]]]}, "throughout"),
        ({"target": 1}, "target"),
        ({"scale": (2, 2)}, "rise"),
        ({"scores": [[1]]}, "one length"),
        ({"cells": [0, 0]}, "one length"),
        ({"raters": [0, 0]}, "one length"),
        ({"groups": ["a", "b"]}, "groups"),
        ({"scores": [np.nan]}, "finite"),
        ({"scores": [3]}, r"scale 1\.\.2"),
        ({"cells": [0.0]}, "cells must be integers"),
        ({"cells": [1]}, "below 1"),
        ({"cells": [-1]}, "0 or more"),
        ({"raters": [-2]}, "-1 or more"),
    ],
)
def test_bad_input_is_refused(change: dict[str, Any], message: str) -> None:
    """Each thing that is not a judged and rated sample has its own message."""
    given: dict[str, Any] = {
        "probs": [[[0.5, 0.5]]],
        "target": 0,
        "scores": [1],
        "cells": [0],
        "groups": ["a"],
    }
    with pytest.raises(ValueError, match=message):
        Sample.of(**{**given, **change})


def test_other_groups_need_one_for_each_cell() -> None:
    """Regrouping refuses labels of another length."""
    sample = Sample.of([[[0.5, 0.5]]], 0, [1], [0], groups=["a"])
    with pytest.raises(ValueError, match="shape"):
        sample.by(["a", "b"])
