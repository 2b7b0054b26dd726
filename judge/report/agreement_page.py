"""The report of an agreement: its page, with the dialogues to look at, and the files beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup

from judge.analysis.agreement.agreement_records import (
    COEFFICIENTS,
    Agreement,
    Disagreement,
    MeasureAgreement,
)
from judge.analysis.agreement.agreement_records import FORMAT as AGREEMENT_FORMAT
from judge.records import replace_files, write_record, write_text
from judge.report.agreement_shape import (
    LEVEL_TITLES,
    a_unit,
    amount,
    clusters,
    defined_sentinels,
    drawn,
    levels_left_out,
    of_table,
    shown_levels,
    unit,
)
from judge.report.agreement_summary import beaten, headline, people, sentences
from judge.report.figures import figures, inline, write_figure
from judge.report.format import Axis, Footnotes, environment, script, short_title
from judge.report.paper import write_paper

__all__ = [
    "SHOWN",
    "AgreementFiles",
    "render_agreement",
    "write_agreement",
]

SHOWN = 8
"""How many dialogues are shown at once, and how many without script."""

_COEFFICIENT_TITLES = {
    "spearman": "Spearman’s ρ",
    "kendall_b": "Kendall’s τ-b",
    "kendall_c": "Kendall’s τ-c",
    "pearson": "Pearson’s r",
}


class AgreementFiles(NamedTuple):
    """The main files of the report."""

    html: Path
    tex: Path
    json: Path


def write_agreement(agreement: Agreement, folder: Path) -> AgreementFiles:
    """Write `agreement.html`, `.json`, `.tex`, `.bib`, `.md`, `.csv`, `tables/` and `figures/`.

    What an older agreement or comparison left in the folder is removed. The same agreement gives
    the same bytes.

    Raises:
        StoreError: the folder cannot be written.
    """
    drawn = figures(agreement)
    written = write_paper(agreement, folder, {figure.name: figure.caption for figure in drawn})
    for figure in drawn:
        written += write_figure(figure, folder)
    page = render_agreement(
        agreement, [(figure.title, inline(figure), figure.caption) for figure in drawn]
    )
    files = AgreementFiles(
        html=write_text(folder / "agreement.html", page),
        tex=folder / "agreement.tex",
        json=write_record(folder / "agreement.json", agreement, format=AGREEMENT_FORMAT),
    )
    replace_files(folder, [*written, *files])
    return files


def render_agreement(agreement: Agreement, figures: Sequence[tuple[str, Markup, str]] = ()) -> str:
    """The page as HTML.

    It loads nothing from elsewhere, escapes every text from the data and is readable without its
    script.

    Args:
        figures: title, inline SVG and caption of each figure; the SVG is trusted.
    """
    differ = (one for one in agreement.disagreements if abs(one.gap) > 1e-9)
    worst = sorted(differ, key=lambda disagreement: -abs(disagreement.gap))
    differing = {disagreement.metric for disagreement in worst}
    return (
        environment()
        .get_template("agreement.html.j2")
        .render(
            a=agreement,
            figures=figures,
            script=script(),
            people=people(agreement),
            headline=headline(agreement),
            summary=sentences(agreement),
            beats=lambda measure, name, level: (
                (name, level) in {(loss.sentinel, loss.level) for loss in beaten(measure)}
            ),
            lost=_lost(agreement),
            unit=unit(agreement),
            a_unit=a_unit(agreement),
            tested=any(t.passed is not None for m in agreement.measures for t in m.annotator_tests),
            amount=amount(agreement),
            clusters=clusters(agreement),
            drawn=drawn(agreement),
            left_out=levels_left_out(agreement),
            defined_sentinels=defined_sentinels,
            has_sentinels=any(map(defined_sentinels, agreement.measures)),
            signature=_signature(agreement),
            in_scenarios=not of_table(agreement),
            rows=_rows(agreement),
            short={name: short_title(title) for name, title in agreement.titles.items()},
            coefficients={name: _COEFFICIENT_TITLES[name] for name in COEFFICIENTS},
            levels=shown_levels(agreement),
            level_titles=LEVEL_TITLES,
            disagreements=worst,
            metrics=[m.name for m in agreement.measures if m.name in differing],
            shown=SHOWN,
            same_scale=_same_scale,
            rating_axis=lambda metric: Axis(*agreement.measure(metric).scale),
            rho_axis=_rho_axis,
            footnotes=Footnotes,
        )
    )


def _signature(agreement: Agreement) -> dict[str, str]:
    """The part of the provenance at the top of the page, each name with the start of its hash."""
    provenance = agreement.provenance
    signature = {}
    for key in ("model", "rubric", "ratings", "table"):
        digest = provenance.get(f"{key} hash") or provenance.get(f"{key} SHA-256") or ""
        text = " ".join(filter(None, (provenance.get(key), digest[:12])))
        if text:
            signature[key] = text
    return signature


class _Row(NamedTuple):
    """A row of the main table; without a measure it is the heading of a dimension."""

    title: str
    kind: str
    measure: MeasureAgreement | None


def _rows(agreement: Agreement) -> list[_Row]:
    """Each dimension before its metrics, then the measures that are in no dimension."""
    by_name = {measure.name: measure for measure in agreement.measures}
    rows = []
    for name, metrics in agreement.groups.items():
        dimension = by_name.pop(name, None)
        parts = [by_name.pop(metric) for metric in metrics if metric in by_name]
        if dimension or parts:
            rows.append(_Row(agreement.titles.get(name, name), "total", dimension))
        rows += [_Row(measure.title, "metric", measure) for measure in parts]
    rows += [_Row(measure.title, "total", measure) for measure in by_name.values()]
    return rows


def _same_scale(disagreement: Disagreement) -> bool:
    """Whether the gap is in points of the scale; if not, it is in standard deviations."""
    points = disagreement.judge - disagreement.human
    return math.isclose(points, disagreement.gap, abs_tol=1e-9)


def _rho_axis(measure: MeasureAgreement) -> Axis:
    """From 0 to 1, or from a multiple of -.25 below the lowest value that is drawn."""
    values = [0.0]
    for estimate in measure.spearman.values():
        values.append(estimate.value or 0)
        if estimate.interval and estimate.interval.lower is not None:
            values.append(estimate.interval.lower)
    for sentinel in measure.sentinels:
        values += [estimate.value or 0 for estimate in sentinel.levels.values()]
    return Axis(max(-1.0, math.floor(4 * min(values)) / 4), 1.0)


def _lost(agreement: Agreement) -> int:
    """The most resamples that an interval of the main table had to leave out."""
    estimates = [
        estimate
        for measure in agreement.measures
        for estimate in (*measure.spearman.values(), measure.mae, measure.bias)
    ]
    return max((e.interval.undefined for e in estimates if e.interval), default=0)
