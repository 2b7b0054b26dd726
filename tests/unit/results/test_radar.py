"""The radar of a run: what is drawn, what is left out, and that labels do not collide."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from xml.etree import ElementTree as ET

import pytest
from matplotlib.lines import Line2D

from judge.analysis.published import PublishedMeans
from judge.analysis.results import Results
from judge.analysis.summary import summarize
from judge.report.figures import ReportFigure, inline
from judge.report.figures.radar import MOST_LINES, run_radar
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
    published = None if known is None else PublishedMeans("p.csv", means)
    return summarize(judgments, nine, published=published)


def drawn_lines(picture: ReportFigure) -> list[Line2D]:
    """Those of systems: the grid has no entry in the legend."""
    (axes,), (legend,) = picture.figure.axes, picture.figure.legends
    names = [text.get_text() for text in legend.get_texts()]
    return [line for line in axes.lines if line.get_label() in names]


@pytest.mark.parametrize(
    ("systems", "known", "solid", "dashed"),
    [(1, None, 1, 0), (11, None, 6, 0), (1, 6, 1, 5), (11, 6, 3, 3), (2, 3, 2, 3), (2, 0, 2, 0)],
)
def test_few_enough_lines(
    nine: Rubric, judged: Make, systems: int, known: int | None, solid: int, dashed: int
) -> None:
    """At most six lines, judged ones solid, published ones dashed, each in the legend."""
    picture = run_radar(results_of(nine, judged, systems, known))
    assert picture is not None
    lines = drawn_lines(picture)
    assert sum(line.get_linestyle() == "--" for line in lines) == dashed
    assert sum(line.get_linestyle() == "-" for line in lines) == solid
    assert len(lines) == len(picture.figure.legends[0].get_texts()) <= MOST_LINES
    keys = {(line.get_color(), line.get_linestyle(), str(line.get_marker())) for line in lines}
    assert len(keys) == len(lines)
    assert ("Drawn are" in picture.caption) == (solid < systems)


def test_it_can_be_read_without_eyes(nine: Rubric, judged: Make) -> None:
    """The picture has a role, a title and the numbers in words, and states its axes."""
    picture = run_radar(results_of(nine, judged, 1, None))
    assert picture is not None
    svg = ET.fromstring(inline(picture))
    assert svg.get("role") == "img"
    ids = {e.get("id") for e in svg}
    assert set((svg.get("aria-labelledby") or "").split()) <= ids
    assert "Demand matching (需求匹配) 1.00" in (svg.findtext("desc") or "")
    assert "from 1 at the centre to 5 at the rim" in picture.caption


def test_labels_do_not_collide(nine: Rubric, judged: Make) -> None:
    """The nine titles and the legend are apart and inside the picture, as matplotlib sets them."""
    picture = run_radar(results_of(nine, judged, 11, 6))
    assert picture is not None
    (axes,), (legend,) = picture.figure.axes, picture.figure.legends
    titles = [text for text in axes.texts if not text.get_text().isdigit()]
    assert {word for text in titles for word in text.get_text().split()} == {
        word for english, _ in TITLES.values() for word in english.split()
    }
    boxes = [text.get_window_extent() for text in titles] + [legend.get_window_extent()]
    for a, b in itertools.combinations(boxes, 2):
        # Two lines of one title share the leading between them.
        assert a.x1 <= b.x0 or b.x1 <= a.x0 or a.y1 <= b.y0 + 2.5 or b.y1 <= a.y0 + 2.5
    whole = picture.figure.bbox
    assert all(b.x0 >= 0 and b.y0 >= 0 and b.x1 <= whole.x1 and b.y1 <= whole.y1 for b in boxes)


def test_a_missing_value_leaves_a_gap(nine: Rubric, judged: Make) -> None:
    """A mean of 3 lies halfway out; an axis without a mean has no corner at all, not one at 0."""
    judgments = [judged("s/a/1", metric, 3) for metric in TITLES]
    judgments[4] = judged("s/a/1", "speech_style", Failure("too_long", "no"))
    picture = run_radar(summarize(judgments, nine))
    assert picture is not None
    (line,) = drawn_lines(picture)
    corners = [(float(x), float(y)) for x, y in line.get_xydata()]
    assert corners[0] == corners[9] == pytest.approx((0, 0.5))
    assert [at for at, corner in enumerate(corners) if math.isnan(corner[0])] == [4]
    others = [math.hypot(*corner) for at, corner in enumerate(corners) if at != 4]
    assert others == pytest.approx([0.5] * 9)


def test_two_axes_make_no_picture(nine: Rubric, judged: Make) -> None:
    """Fewer than three metrics have no area to draw."""
    assert run_radar(results_of(nine, judged, 1, None, metrics=2)) is None
