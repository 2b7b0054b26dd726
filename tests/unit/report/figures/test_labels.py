"""Labels beside points: what is called free meets nothing."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judge.report.figures.style import look, sheet
from judge.report.figures.systems import Box, place_labels

NUMBERS = st.floats(0, 10, allow_nan=False)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=12))
def test_free_labels_are_apart(points: list[tuple[float, float]]) -> None:
    """Free labels lie inside the axes, on no mark and on no other free label."""
    with look():
        axes = sheet(3, 3).subplots()
        axes.set(xlim=(-1, 11), ylim=(-1, 11))
        placed = place_labels(axes, points, [f"name {n}" for n in range(len(points))], [])
    at = axes.transData.transform(points).tolist()
    free = [one for one in placed if one.free]
    for one in free:
        assert one.box.within(Box(*axes.bbox.extents))
        assert not any(one.box.left < x < one.box.right for x, y in at if _beside(one.box, y))
    assert not any(a.box.meets(b.box) for a, b in itertools.combinations(free, 2))


def _beside(box: Box, y: float) -> bool:
    return box.bottom < y < box.top


def test_a_single_label_is_near_and_free() -> None:
    """With room all around a label stands next to its point, and no line leads to it."""
    with look():
        axes = sheet(3, 3).subplots()
        axes.set(xlim=(0, 2), ylim=(0, 2))
        (one,) = place_labels(axes, [(1, 1)], ["alone"], [])
    assert one.free
    assert not one.far
    x, y = axes.transData.transform((1, 1))
    middle = ((one.box.left + one.box.right) / 2, (one.box.bottom + one.box.top) / 2)
    assert middle == pytest.approx((x + one.dx, y + one.dy))


def test_points_upon_each_other_are_not_called_free() -> None:
    """Forty names on one spot cannot all be read, and it is said so."""
    with look():
        axes = sheet(3, 3).subplots()
        axes.set(xlim=(0, 2), ylim=(0, 2))
        placed = place_labels(axes, [(1, 1)] * 40, ["a longer name"] * 40, [])
    assert not all(one.free for one in placed)
