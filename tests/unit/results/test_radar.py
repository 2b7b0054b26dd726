"""The radar picture as SVG: what is drawn, what is left out, and that labels do not collide."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from xml.etree import ElementTree as ET

import pytest

from judge.analysis import Published, Results, summarise
from judge.report.radar import MOST_LINES, radar
from judge.types import Dimension, Failure, Judgment, Metric, Rubric

Make = Callable[..., Judgment]

TITLES = {
    "fluency": ("Fluency", "流畅性"),
    "coherency": ("Coherency", "连贯性"),
    "consistency": ("Consistency", "一致性"),
    "character_knowledge": ("Character knowledge", "角色知识"),
    "speech_style": ("Speech style", "语言风格"),
    "behavioral_habit": ("Behavioral habit", "行为习惯"),
    "emotional_value": ("Emotional value", "情绪价值"),
    "experience_sharing": ("Experience sharing", "经历分享"),
    "demand_matching": ("Demand matching", "需求匹配"),
}


@pytest.fixture
def nine() -> Rubric:
    """Nine metrics in one dimension."""
    metrics = tuple(Metric(m, "all", {"en": e, "zh": z}) for m, (e, z) in TITLES.items())
    return Rubric(
        "nine", "1", "zh", "0" * 64, tuple("12345"), (Dimension("all", {}, tuple(TITLES)),), metrics
    )


def results_of(
    nine: Rubric, judged: Make, systems: int, known: int | None, metrics: int = 9
) -> Results:
    """So many systems, so many of them published (None: nothing published at all)."""
    judgments = [
        judged(f"s{s:02}/a/1", metric, 1 + s / 10)
        for s in range(systems)
        for metric in list(TITLES)[:metrics]
    ]
    means = {f"s{s:02}": dict.fromkeys(TITLES, 3.0) for s in range(known or 0)}
    published = None if known is None else Published("p.csv", means)
    return summarise(judgments, nine, published=published)


@pytest.mark.parametrize(
    ("systems", "known", "solid", "dashed"),
    [(1, None, 1, 0), (11, None, 6, 0), (1, 6, 1, 5), (11, 6, 3, 3), (2, 3, 2, 3), (2, 0, 2, 0)],
)
def test_few_enough_lines(
    nine: Rubric, judged: Make, systems: int, known: int | None, solid: int, dashed: int
) -> None:
    """At most six lines, judged ones solid, published ones dashed, each in the legend."""
    picture = radar(results_of(nine, judged, systems, known))
    assert picture is not None
    svg = ET.fromstring(picture.svg)
    lines = [e.get("class", "") for e in svg.iter("path") if "line" in e.get("class", "").split()]
    assert sum("dashed" in line for line in lines) == dashed
    assert sum("dashed" not in line for line in lines) == solid
    assert len(lines) == len(picture.legend) <= MOST_LINES
    assert len({key for key, _ in picture.legend}) == len(lines)
    assert ("Drawn are" in picture.caption) == (solid < systems)


def test_it_can_be_read_without_eyes(nine: Rubric, judged: Make) -> None:
    """The picture has a role, a title and the numbers in words, and states its axes."""
    picture = radar(results_of(nine, judged, 1, None))
    assert picture is not None
    svg = ET.fromstring(picture.svg)
    assert svg.get("role") == "img"
    ids = {e.get("id") for e in svg}
    assert set((svg.get("aria-labelledby") or "").split()) <= ids
    assert "Demand matching (需求匹配) 1.00" in (svg.findtext("desc") or "")
    assert "from 1 at the centre to 5 at the rim" in picture.caption


@pytest.mark.parametrize("size", [13, 16])
def test_labels_do_not_collide(nine: Rubric, judged: Make, size: int) -> None:
    """At both text sizes of the page the boxes of the nine labels are apart and inside."""
    picture = radar(results_of(nine, judged, 1, None))
    assert picture is not None
    svg = ET.fromstring(picture.svg)
    width, height = (float(x) for x in (svg.get("viewBox") or "").split()[2:])
    boxes = []
    for label in (e for e in svg.iter("text") if e.get("class") == "label"):
        spans = list(label)
        # A wide Latin letter takes about .6 em, a Chinese one 1 em.
        wide = max(sum(1 if ord(c) > 255 else 0.6 for c in s.text or "") for s in spans) * size
        x, baseline = float(spans[0].get("x", 0)), float(label.get("y", 0))
        steps = [float((s.get("dy") or "0").removesuffix("em")) for s in spans]
        left = {"start": x, "middle": x - wide / 2, "end": x - wide}[label.get("text-anchor", "")]
        top, bottom = baseline + (steps[0] - 0.9) * size, baseline + (sum(steps) + 0.25) * size
        boxes.append((left, top, left + wide, bottom))
    assert len(boxes) == 9
    for a, b in itertools.combinations(boxes, 2):
        assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
    assert min(x for box in boxes for x in box) >= 0
    assert all(right <= width and bottom <= height for _, _, right, bottom in boxes)


def test_a_missing_value_leaves_a_gap(nine: Rubric, judged: Make) -> None:
    """An axis without a mean is left open: nine corners closed, or eight and an open end."""
    judgments = [judged("s/a/1", metric, 3) for metric in TITLES]
    whole = radar(summarise(judgments, nine))
    judgments[4] = judged("s/a/1", "speech_style", Failure("too_long", "no"))
    open_ = radar(summarise(judgments, nine))
    assert whole is not None
    assert open_ is not None
    path = {
        name: next(
            e.get("d", "")
            for e in ET.fromstring(picture.svg).iter("path")
            if "line" in e.get("class", "").split()
        )
        for name, picture in (("whole", whole), ("open", open_))
    }
    assert (path["whole"].count("M"), path["whole"].count("L"), path["whole"][-1]) == (1, 8, "Z")
    assert (path["open"].count("M"), path["open"].count("L")) == (1, 7)
    assert not path["open"].endswith("Z")


def test_two_axes_make_no_picture(nine: Rubric, judged: Make) -> None:
    """Fewer than three metrics have no area to draw."""
    assert radar(results_of(nine, judged, 1, None, metrics=2)) is None
