"""What is drawn is what the agreement says: numbers from the record, found again in the artists."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from judge.analysis.agreement.agreement_records import Agreement, Estimate, Level, MeasureAgreement
from judge.report.figures import ReportFigure, figures
from judge.report.figures.forest import forest
from judge.report.figures.reliability import confusion, reliability
from judge.report.figures.style import PALETTE
from judge.report.figures.systems import systems

UNDEFINED = Estimate(None, 0, reason="one side is constant")


def changed(agreement: Agreement, name: str, **fields: object) -> Agreement:
    """The agreement with some fields of one measure replaced."""
    measures = tuple(replace(m, **fields) if m.name == name else m for m in agreement.measures)
    return replace(agreement, measures=measures)


def with_spearman(agreement: Agreement, name: str, **levels: Estimate) -> Agreement:
    """The agreement with Spearman of one measure replaced at some levels."""
    before = agreement.measure(name).levels
    after = {**before, "spearman": {**before["spearman"], **levels}}
    return changed(agreement, name, levels=after)


def panel(drawn: ReportFigure | None, title: str) -> Axes:
    """The axes under a title."""
    assert drawn is not None
    return next(axes for axes in drawn.figure.axes if axes.get_title(loc="left") == title)


def dots(axes: Axes, label: str) -> list[list[float]]:
    """The points of the one line with a label."""
    (line,) = (line for line in axes.lines if line.get_label() == label)
    return np.asarray(line.get_xydata()).tolist()


def words(drawn: ReportFigure) -> list[str]:
    """Every text in a figure."""
    return [text.get_text() for text in drawn.figure.findobj(match=_has_text)]  # type: ignore[attr-defined]


def _has_text(artist: object) -> bool:
    return bool(getattr(artist, "get_text", str)()) and not hasattr(artist, "patches")


def test_every_figure_is_there(drawn: list[ReportFigure]) -> None:
    """A full agreement gives five, each with a title, a caption and its numbers in words."""
    names = ["forest", "systems", "reliability", "systems-metrics", "confusion"]
    assert [one.name for one in drawn] == names
    assert all(one.title and one.caption and one.words for one in drawn)


def test_sizes_are_those_of_a_paper(drawn: list[ReportFigure]) -> None:
    """One column or two wide, not higher than a page, and no text under 7 points."""
    for one in drawn:
        width, height = one.figure.get_size_inches()
        assert width in (3.3, 6.9)
        assert height < 9
        texts = one.figure.findobj(match=lambda artist: hasattr(artist, "get_fontsize"))
        assert min(text.get_fontsize() for text in texts) >= 7  # type: ignore[attr-defined]


@pytest.mark.parametrize(("level", "label"), [("all", "over all"), ("within_item", "within item")])
def test_the_forest_shows_spearman_and_its_interval(
    agreement: Agreement, level: Level, label: str
) -> None:
    """Every measure's rho at both levels, and a bar from the lower to the upper end of each."""
    drawn = forest(agreement)
    assert drawn is not None
    (axes,) = drawn.figure.axes
    found = dots(axes, label)
    said = [m.spearman[level] for m in agreement.measures]
    assert [x for x, _ in found] == [figure.value for figure in said]
    bars = {
        (y, tuple(segment[:, 0]))
        for lines in axes.collections
        for segment in lines.get_segments()  # type: ignore[attr-defined]
        for y in segment[:1, 1]
    }
    for (_, y), figure in zip(found, said, strict=True):
        assert figure.interval is not None
        assert (y, (figure.interval.lower, figure.interval.upper)) in bars


def test_the_forest_shows_what_a_judge_is_held_to(agreement: Agreement) -> None:
    """Ceilings are those between raters, crosses the best sentinel of the same level."""
    drawn = forest(agreement)
    assert drawn is not None
    (axes,) = drawn.figure.axes
    ceilings = [m.ceiling.spearman.value for m in agreement.measures]
    assert [x for x, _ in dots(axes, "ceiling")] == ceilings
    crosses = [line for line in axes.lines if line.get_label() == "best sentinel"]
    for line, level in zip(crosses, ("all", "within_item"), strict=True):
        best = [max(s.levels[level].value for s in m.sentinels) for m in agreement.measures]
        assert np.asarray(line.get_xdata()).tolist() == best


def test_what_is_undefined_is_named_and_not_drawn(agreement: Agreement) -> None:
    """No point at 0 for an undefined rho: a word in its row, and the reason in the caption."""
    drawn = forest(with_spearman(agreement, "coherency", all=UNDEFINED))
    assert drawn is not None
    (axes,) = drawn.figure.axes
    assert len(dots(axes, "over all")) == len(agreement.measures) - 1
    assert 0.0 not in [x for x, _ in dots(axes, "over all")]
    assert words(drawn).count("undefined") == 1
    assert "Coherency, over all: undefined (one side is constant)" in drawn.caption
    assert "Coherency: over all undefined, within item" in drawn.words


def test_the_forest_without_resamples_ceilings_or_sentinels(agreement: Agreement) -> None:
    """Nothing is drawn, named or explained that is not known."""
    none = replace(agreement.measures[0].ceiling, spearman=UNDEFINED)
    measures = tuple(replace(m, ceiling=none, sentinels=()) for m in agreement.measures)
    drawn = forest(replace(agreement, resamples=0, measures=measures))
    assert drawn is not None
    legend = [text.get_text() for text in drawn.figure.legends[0].get_texts()]
    assert legend == ["over all", "within item"]
    assert "Bars" not in drawn.caption
    assert "tick" not in drawn.caption
    assert "Cross" not in drawn.caption


def test_the_curve_goes_through_the_bins(agreement: Agreement) -> None:
    """Each bin is a point with two standard errors either way; a bin of one has no bar."""
    curve = agreement.measure("speech_style").curve
    curve = (replace(curve[0], error=None, n=1), *curve[1:])
    axes = panel(reliability(changed(agreement, "speech_style", curve=curve)), "Speech style")
    points = next(c for c in axes.collections if hasattr(c, "get_sizes") and len(c.get_offsets()))
    assert np.asarray(points.get_offsets()).tolist() == [[b.judge, b.human] for b in curve]
    bars = [
        segment.tolist()
        for lines in axes.collections
        for segment in getattr(lines, "get_segments", list)()
    ]
    assert bars == [
        [[b.judge, b.human - 2 * b.error], [b.judge, b.human + 2 * b.error]]
        for b in curve[1:]
        if b.error is not None
    ]


@pytest.mark.parametrize("same", [True, False])
def test_the_diagonal_is_for_one_scale(agreement: Agreement, same: bool) -> None:
    """Where the judge scores on another range there is no line of equality to draw."""
    one = agreement if same else changed(agreement, "fluency", mae=UNDEFINED)
    axes = panel(reliability(one), "Fluency")
    dashed = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert len(dashed) == same
    if same:
        assert axes.get_xlim() == axes.get_ylim()


@pytest.mark.parametrize(("kind", "title"), [("metric", "Fluency"), ("composite", "Overall")])
def test_a_system_is_where_its_means_are(agreement: Agreement, kind: str, title: str) -> None:
    """Means as points, two standard errors as bars, rho and its interval above."""
    axes = panel(systems(agreement, kind), title)  # type: ignore[arg-type]
    measure = agreement.measure(title.lower())
    assert dots(axes, "systems") == [[p.judge, p.human] for p in measure.systems]
    bars = [s.tolist() for lines in axes.collections for s in lines.get_segments()]  # type: ignore[attr-defined]
    for p in measure.systems:
        assert p.judge_error is not None
        wide = [[p.judge - 2 * p.judge_error, p.human], [p.judge + 2 * p.judge_error, p.human]]
        assert wide in bars
    rho = measure.spearman["systems"].value
    assert f"ρ = {rho:.2f} [0.10, 0.93]" in [text.get_text() for text in axes.texts]


def test_an_undefined_rho_of_systems_is_said_so(agreement: Agreement) -> None:
    """Identical means have no rank correlation, and no number stands in for it."""
    drawn = systems(with_spearman(agreement, "overall", systems=UNDEFINED), "composite")
    assert "ρ undefined" in [text.get_text() for text in panel(drawn, "Overall").texts]


def test_every_system_can_be_found(agreement: Agreement) -> None:
    """A few systems are named in place; many by a number with a key. No label is missing."""
    few = tuple(replace(m, systems=m.systems[::4]) for m in agreement.measures)
    named = systems(replace(agreement, measures=few), "composite")
    assert not named.figure.legends  # type: ignore[union-attr]
    names = {p.system for p in few[0].systems}
    assert names <= {text.get_text() for text in panel(named, "Overall").texts}
    keyed = systems(agreement, "metric")
    assert keyed is not None
    key = dict(text.get_text().split("  ") for text in keyed.figure.legends[0].get_texts())
    assert set(key.values()) == {p.system for p in agreement.measures[0].systems}
    for axes in keyed.figure.axes:
        assert set(key) <= {text.get_text() for text in axes.texts}


def test_too_many_systems_are_counted_not_named(agreement: Agreement) -> None:
    """With more systems than names could be told apart the caption says how many there are."""
    points = agreement.measure("overall").systems
    many = tuple(replace(p, system=f"{p.system} {n}") for n in range(4) for p in points)
    drawn = systems(changed(agreement, "overall", systems=many), "composite")
    assert drawn is not None
    assert not drawn.figure.legends
    assert "The 55 systems are too many to be named." in drawn.caption


def test_one_measure_is_enough(agreement: Agreement) -> None:
    """A table with one dimension gets its figures, without a warning, in one column."""
    one = replace(agreement.measures[0], systems=agreement.measures[0].systems[:2])
    small = figures(replace(agreement, measures=(one,)))
    assert [drawn.name for drawn in small] == [
        "forest",
        "reliability",
        "systems-metrics",
        "confusion",
    ]
    assert {drawn.figure.get_figwidth() for drawn in small} == {3.3}


def test_the_matrix_counts(agreement: Agreement) -> None:
    """Row by row from below the counts stand in the cells, shaded by fifths of their row.

    How many ratings a row has stands at its right; a row of 5 is not shaded.
    """
    counts = ((0, 10, 0, 0, 0), (1, 1, 1, 1, 1), (8, 2, 0, 0, 0), (0, 0, 0, 3, 7), (0, 0, 0, 0, 0))
    axes = panel(confusion(changed(agreement, "fluency", confusion=counts)), "Fluency")
    texts = {text.get_position(): text.get_text() for text in axes.texts}
    totals = {(4.6, row): f"n {sum(cells)}" for row, cells in enumerate(counts)}
    assert texts == totals | {
        (column, row): str(n)
        for row, cells in enumerate(counts)
        for column, n in enumerate(cells)
        if n
    }
    shades = {
        (round(cell.get_x() + 0.5), round(cell.get_y() + 0.5)): to_hex(cell.get_facecolor())
        for cell in axes.patches
        if cell.get_fill()  # type: ignore[attr-defined]
    }
    expected = {
        (1, 0): "p5",
        (0, 1): "faint",
        (0, 2): "p5",
        (1, 2): "p2",
        (3, 3): "p2",
        (4, 3): "p4",
    }
    assert {at: shades[at] for at in expected} == {at: PALETTE[p] for at, p in expected.items()}
    assert shades[0, 0] == shades[2, 4] == PALETTE["faint"]


def test_what_has_nothing_to_show_is_left_out(agreement: Agreement) -> None:
    """No bins, no systems, no matrix, no measures: no empty figure."""

    def bare(measure: MeasureAgreement) -> MeasureAgreement:
        return replace(measure, curve=(), systems=(), confusion=())

    stripped = replace(agreement, measures=tuple(map(bare, agreement.measures)))
    assert [drawn.name for drawn in figures(stripped)] == ["forest"]
    assert figures(replace(agreement, measures=())) == []


def test_simulated_and_partial_are_marked_in_every_figure(
    agreement: Agreement, drawn: list[ReportFigure]
) -> None:
    """Whoever cuts the figure out of its page still sees it; other figures say no such thing."""
    for one in drawn:
        for text in (" ".join(words(one)), one.caption, one.words):
            assert "SIMULATED RATINGS" in text
            assert "PARTIAL: 3 of 11 systems" in text
    real = forest(replace(agreement, simulated=False, partial=""))
    assert real is not None
    assert not re.search("SIMULATED|PARTIAL", " ".join(words(real)) + real.caption)
