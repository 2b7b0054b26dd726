"""Human ratings by the score of the judge: curves of means, and tables of counts, by metric."""

from __future__ import annotations

from typing import TYPE_CHECKING

from judge.analysis.agreement.agreement_records import Agreement, MeasureAgreement
from judge.report.agreement_shape import unit
from judge.report.figures.style import (
    PALETTE,
    SMALL,
    ReportFigure,
    banners_of,
    finish,
    look,
    panels,
    short_titles,
    subtitle,
)
from judge.report.format import count, fixed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["confusion", "reliability"]


def reliability(agreement: Agreement) -> ReportFigure | None:
    """A reliability curve for each metric that has one; None if there is none."""
    metrics = [m for m in agreement.measures if m.kind == "metric" and m.curve]
    if not metrics:
        return None
    titles, banners = short_titles(agreement.titles), banners_of(agreement)
    with look():
        figure, every = panels(
            [titles[m.name] for m in metrics],
            x="Score of the judge",
            y="Mean human rating",
            columns=3,
            height=2.0,
            banners=banners,
        )
        shared = [m for m in metrics if _same_range(m)]
        for axes, measure in zip(every, metrics, strict=True):
            _curve(axes, measure)
            _limits(axes, measure, [m for m in shared if m.scale == measure.scale])
        return finish(
            figure,
            name="reliability",
            title="Human ratings where the judge gives a score",
            caption=_caption(metrics, unit(agreement)),
            words=[_curve_sentence(measure, titles[measure.name]) for measure in metrics],
            banners=banners,
        )


def _same_range(measure: MeasureAgreement) -> bool:
    """Whether judge and people score on one scale; only then there is an error in points."""
    return measure.mae.value is not None


def _curve(axes: Axes, measure: MeasureAgreement) -> None:
    judge, human = [b.judge for b in measure.curve], [b.human for b in measure.curve]
    axes.plot(judge, human, color=PALETTE["c0"], lw=1)
    for b in measure.curve:
        if b.error is not None:
            ends = b.human - 2 * b.error, b.human + 2 * b.error
            axes.vlines(b.judge, *ends, color=PALETTE["c0"], lw=0.9)
    most = max(b.n for b in measure.curve)
    sizes = [4 + 16 * b.n / most for b in measure.curve]
    axes.scatter(judge, human, s=sizes, color=PALETTE["c0"], lw=0, zorder=3)
    subtitle(axes, f"n = {count(measure.n)}")
    axes.grid()
    axes.locator_params(nbins=6, steps=(1, 2, 5, 10))


def _limits(axes: Axes, measure: MeasureAgreement, alike: list[MeasureAgreement]) -> None:
    """One square range for all panels in which judge and people share a scale; else their own.

    Args:
        measure: what it shows.
        alike: the measures, of any panel, with the same scale for judge and people.
    """
    if _same_range(measure):
        ends = _around([value for m in alike for values in _extent(m) for value in values])
        axes.set(xlim=ends, ylim=ends, box_aspect=1)
        axes.plot(ends, ends, color=PALETTE["soft"], lw=0.7, ls=(0, (4, 3)), zorder=1)
    else:
        judge, human = map(_around, _extent(measure))
        axes.set(xlim=judge, ylim=human)


def _extent(measure: MeasureAgreement) -> tuple[list[float], list[float]]:
    """What is drawn of a measure along the two axes, error bars included."""
    judge = [b.judge for b in measure.curve]
    human = [b.human + sign * 2 * (b.error or 0) for b in measure.curve for sign in (-1, 1)]
    return judge, human


def _around(values: list[float]) -> tuple[float, float]:
    edge = 0.06 * (max(values) - min(values)) or 0.5
    return min(values) - edge, max(values) + edge


def _caption(metrics: list[MeasureAgreement], what: str) -> str:
    text = (
        f"{what.capitalize()}s binned by the judge’s score: mean score of each bin against the "
        "mean human rating in it. Bars: 2 standard errors either way. The area of a mark grows "
        f"with the number of {what}s in the bin."
    )
    if any(map(_same_range, metrics)):
        text += " Dashed: where the judge gives what people give; panels with it have one range."
    return text


def _curve_sentence(measure: MeasureAgreement, title: str) -> str:
    points = ", ".join(f"{fixed(b.human)} at {fixed(b.judge)} (n {b.n})" for b in measure.curve)
    return f"{title}, mean human rating at the judge’s score: {points}."


_FEW = 10
"""A row of fewer ratings is not shaded: its shares say little."""
_SHADES = ("p1", "p2", "p3", "p4", "p5")


def confusion(agreement: Agreement) -> ReportFigure | None:
    """A heat map of counts for each metric with whole labels; None if there is none."""
    metrics = [m for m in agreement.measures if m.kind == "metric" and m.confusion]
    if not metrics:
        return None
    titles, banners = short_titles(agreement.titles), banners_of(agreement)
    widest = max(len(m.confusion) for m in metrics)
    with look():
        figure, every = panels(
            [titles[m.name] for m in metrics],
            x="Score of the judge, rounded",
            y="Rating of a person",
            columns=3 if widest <= 6 else 2,
            height=1.8,
            banners=banners,
        )
        for axes, measure in zip(every, metrics, strict=True):
            _heat_map(axes, measure)
        return finish(
            figure,
            name="confusion",
            title="Ratings of people against rounded scores of the judge",
            caption="Counts of single human ratings (rows) by the rounded score of the judge "
            "(columns). Shade: the share of its row, in steps of a fifth; unshaded: none, or a row "
            f"of fewer than {_FEW} ratings. Right: the ratings of the row. Framed: the same label.",
            words=[_counts_sentence(measure, titles[measure.name]) for measure in metrics],
            banners=banners,
        )


def _heat_map(axes: Axes, measure: MeasureAgreement) -> None:
    low, labels = int(measure.scale[0]), len(measure.confusion)
    for row, counts in enumerate(measure.confusion):
        shades = [_shade(n, sum(counts)) for n in counts]
        total = f"n {count(sum(counts))}"
        place = (labels - 0.4, row), {"size": SMALL, "color": PALETTE["soft"]}
        axes.text(*place[0], total, place[1], va="center_baseline", clip_on=False)
        axes.bar(
            range(labels),
            1,
            1,
            bottom=row - 0.5,
            color=[PALETTE[shade] for shade in shades],
            edgecolor=PALETTE["paper"],
            lw=0.8,
        )
        for column, (n, shade) in enumerate(zip(counts, shades, strict=True)):
            if n and labels <= 10:
                colour = "paper" if shade in ("p4", "p5") else "ink"
                axes.text(
                    column,
                    row,
                    str(n),
                    ha="center",
                    va="center_baseline",
                    size=SMALL,
                    color=PALETTE[colour],
                )
        axes.bar(
            row,
            0.94,
            0.94,
            bottom=row - 0.47,
            fill=False,
            zorder=2,
            edgecolor=PALETTE["ink"],
            lw=0.9,
        )
    ticks = range(labels)
    axes.set_xticks(ticks, [str(low + tick) for tick in ticks])
    axes.set_yticks(ticks, [str(low + tick) for tick in ticks])
    axes.set_xlim(-0.5, labels - 0.5)
    axes.set_ylim(-0.5, labels - 0.5)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _shade(n: int, row: int) -> str:
    """The colour for a share of a row, in five equal steps; `faint` for none, or of few ratings."""
    return _SHADES[min(4, 5 * n // row)] if n and row >= _FEW else "faint"


def _counts_sentence(measure: MeasureAgreement, title: str) -> str:
    low = int(measure.scale[0])
    rows = "; ".join(
        f"rated {low + row}: {', '.join(map(count, counts))}"
        for row, counts in enumerate(measure.confusion)
    )
    return f"{title}, counts by the judge's label from {low} up, {rows}."
