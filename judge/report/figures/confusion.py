"""What the judge gives where a person gives this label: counts, metric by metric."""

from __future__ import annotations

from typing import TYPE_CHECKING

from judge.analysis.agreement import Agreement
from judge.analysis.agreement.record import MeasureAgreement
from judge.report.figures.style import (
    PALETTE,
    SMALL,
    Drawn,
    finish,
    look,
    marks_of,
    panels,
    short_titles,
)
from judge.report.format import count

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["confusion"]

_SHADES = ("p1", "p2", "p3", "p4", "p5")


def confusion(agreement: Agreement) -> Drawn | None:
    """A heat map for each metric that has whole labels; None if none has."""
    metrics = [m for m in agreement.measures if m.kind == "metric" and m.confusion]
    if not metrics:
        return None
    titles, marks = short_titles(agreement.titles), marks_of(agreement)
    widest = max(len(m.confusion) for m in metrics)
    with look():
        figure, every = panels(
            [titles[m.name] for m in metrics],
            x="Score of the judge, rounded",
            y="Rating of a person",
            columns=3 if widest <= 6 else 2,
            height=1.8,
            marks=marks,
        )
        for axes, measure in zip(every, metrics, strict=True):
            _cells(axes, measure)
        return finish(
            figure,
            name="confusion",
            title="Ratings of people against rounded scores of the judge",
            caption="Counts of single human ratings (rows) by the rounded score of the judge "
            "(columns). Shade: the share of its row, in steps of a fifth; unshaded: none. "
            "Framed: the same label.",
            words=[_said(measure, titles[measure.name]) for measure in metrics],
            marks=marks,
        )


def _cells(axes: Axes, measure: MeasureAgreement) -> None:
    low, labels = int(measure.scale[0]), len(measure.confusion)
    for row, counts in enumerate(measure.confusion):
        shades = [_shade(n, sum(counts)) for n in counts]
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
    axes.set_xticks(ticks, [str(low + at) for at in ticks])
    axes.set_yticks(ticks, [str(low + at) for at in ticks])
    axes.set_xlim(-0.5, labels - 0.5)
    axes.set_ylim(-0.5, labels - 0.5)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _shade(n: int, row: int) -> str:
    """Five equal steps of the share of a row; `faint` for none, which is no small share."""
    return _SHADES[min(4, 5 * n // row)] if n else "faint"


def _said(measure: MeasureAgreement, title: str) -> str:
    low = int(measure.scale[0])
    rows = "; ".join(
        f"rated {low + row}: {', '.join(map(count, counts))}"
        for row, counts in enumerate(measure.confusion)
    )
    return f"{title}, counts by the judge's label from {low} up, {rows}."
