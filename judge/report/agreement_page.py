"""An agreement as one self-contained page, with the dialogues to look at."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup

from judge.analysis.agreement import Comparisons
from judge.analysis.agreement.agreement_records import (
    COEFFICIENTS,
    LEVELS,
    Agreement,
    Disagreement,
    MeasureAgreement,
)
from judge.analysis.agreement.agreement_records import FORMAT as AGREEMENT_FORMAT
from judge.analysis.agreement.two_judges import FORMAT as COMPARISON_FORMAT
from judge.records import write_bytes, write_record, write_text
from judge.report.agreement_summary import LEVEL_TITLES, beaten, headline, people, sentences
from judge.report.figures import figures, inline, pdf, svg
from judge.report.format import environment
from judge.report.paper import write_comparison_tables, write_paper

__all__ = [
    "SHOWN",
    "AgreementFiles",
    "Footnotes",
    "render_agreement",
    "write_agreement",
    "write_comparisons",
]

SHOWN = 25
"""Dialogues that are shown at once, and those that are shown without script."""

_COEFFICIENT_TITLES = {
    "spearman": "Spearman’s ρ",
    "kendall_b": "Kendall’s τ-b",
    "kendall_c": "Kendall’s τ-c",
    "pearson": "Pearson’s r",
}


class Footnotes:
    """The reasons why numbers of one table are missing, each once, marked from 1."""

    def __init__(self) -> None:
        self._marks: dict[str, int] = {}

    def mark(self, reason: str) -> int:
        """The mark of this reason, which is new or was met before."""
        return self._marks.setdefault(reason or "no reason was recorded", len(self._marks) + 1)

    def __iter__(self) -> Iterator[tuple[int, str]]:
        return iter([(mark, reason) for reason, mark in self._marks.items()])


class _Row(NamedTuple):
    """A row of the headline table; no measure: a dimension that is a heading only."""

    title: str
    kind: str
    measure: MeasureAgreement | None


class _Axis(NamedTuple):
    """The ends of a small graph."""

    low: float
    high: float

    def at(self, value: float) -> str:
        """Where a value lies, in percent; in the middle where all ratings are alike."""
        if self.low == self.high:
            return "50.0%"
        inside = min(max(value, self.low), self.high)
        return f"{100 * (inside - self.low) / (self.high - self.low):.1f}%"


def render_agreement(agreement: Agreement, figures: Sequence[tuple[str, Markup, str]] = ()) -> str:
    """The page: no outside request, every text from the data escaped, readable without script.

    Args:
        agreement: what to show.
        figures: (title, inline SVG, caption) of each picture; the SVG is trusted.
    """
    script = (files("judge.report") / "templates" / "agreement.js").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    short = {name: title.split(" (")[0] for name, title in agreement.titles.items()}
    worst = sorted(agreement.disagreements, key=lambda found: -abs(found.gap))
    return (
        environment()
        .get_template("agreement.html.j2")
        .render(
            a=agreement,
            figures=figures,
            # The hash lets this script run and no other, should an escape ever fail.
            script=Markup(script),  # noqa: S704 - a file of this package
            script_hash=digest,
            people=people(agreement),
            headline=headline(agreement),
            summary=sentences(agreement),
            beats=lambda measure, name, level: (
                (name, level) in {(found.sentinel, found.level) for found in beaten(measure)}
            ),
            lost=_lost(agreement),
            signature=_signature(agreement),
            in_scenarios=agreement.item == "character and scenario",
            rows=_rows(agreement),
            short=short,
            coefficients={name: _COEFFICIENT_TITLES[name] for name in COEFFICIENTS},
            levels=LEVELS,
            level_titles=LEVEL_TITLES,
            disagreements=worst,
            metrics=[m.name for m in agreement.measures if m.name in {w.metric for w in worst}],
            shown=SHOWN,
            same_scale=_same_scale,
            rating_axis=lambda metric: _Axis(*agreement.measure(metric).scale),
            rho_axis=_rho_axis,
            footnotes=Footnotes,
        )
    )


def _signature(agreement: Agreement) -> dict[str, str]:
    """What of the provenance stands at the top, each with the start of its hash."""
    made = agreement.provenance
    found = {}
    for key in ("model", "rubric", "ratings", "table"):
        digest = made.get(f"{key} hash") or made.get(f"{key} SHA-256") or ""
        said = " ".join(filter(None, (made.get(key), digest[:12])))
        if said:
            found[key] = said
    return found


def _rows(agreement: Agreement) -> list[_Row]:
    """Each dimension before its metrics, then what is in none."""
    by_name = {measure.name: measure for measure in agreement.measures}
    rows = []
    for group, metrics in agreement.groups.items():
        whole = by_name.pop(group, None)
        parts = [by_name.pop(name) for name in metrics if name in by_name]
        if whole or parts:
            rows.append(_Row(agreement.titles.get(group, group), "total", whole))
        rows += [_Row(measure.title, "metric", measure) for measure in parts]
    rows += [_Row(measure.title, "total", measure) for measure in by_name.values()]
    return rows


def _same_scale(found: Disagreement) -> bool:
    """Whether the gap is in points; else it is in standard deviations."""
    return math.isclose(found.judge - found.human, found.gap, abs_tol=1e-9)


def _rho_axis(measure: MeasureAgreement) -> _Axis:
    """From 0, or from a quarter below the least that is drawn, to 1."""
    drawn = [0.0]
    for figure in measure.spearman.values():
        drawn.append(figure.value or 0)
        if figure.interval and figure.interval.lower is not None:
            drawn.append(figure.interval.lower)
    for sentinel in measure.sentinels:
        drawn += [figure.value or 0 for figure in sentinel.levels.values()]
    return _Axis(max(-1.0, math.floor(4 * min(drawn)) / 4), 1.0)


def _lost(agreement: Agreement) -> int:
    """Most resamples that an interval of the headline table had to leave out."""
    shown = [
        figure
        for measure in agreement.measures
        for figure in (*measure.spearman.values(), measure.mae, measure.bias)
    ]
    return max((figure.interval.undefined for figure in shown if figure.interval), default=0)


class AgreementFiles(NamedTuple):
    """Where the report lies."""

    html: Path
    tex: Path
    json: Path


def write_agreement(agreement: Agreement, folder: Path) -> AgreementFiles:
    """Write `agreement.html`, `.json`, `.tex`, `.bib`, `.md`, `.csv`, `tables/` and `figures/`.

    The same agreement gives the same bytes.

    Raises:
        StoreError: the folder cannot be written.
    """
    drawn = figures(agreement)
    for figure in drawn:
        write_text(folder / "figures" / f"{figure.name}.svg", svg(figure))
        write_bytes(folder / "figures" / f"{figure.name}.pdf", pdf(figure))
    write_paper(agreement, folder, {figure.name: figure.caption for figure in drawn})
    page = render_agreement(agreement, [(one.title, inline(one), one.caption) for one in drawn])
    files = AgreementFiles(
        folder / "agreement.html", folder / "agreement.tex", folder / "agreement.json"
    )
    write_text(files.html, page)
    write_record(files.json, agreement, format=AGREEMENT_FORMAT)
    return files


def write_comparisons(comparisons: Comparisons, folder: Path) -> list[Path]:
    """Write the comparison of two judges as `comparison.json`, `.tex`, `.md` and `.csv`.

    Raises:
        StoreError: the folder cannot be written.
    """
    file = write_record(folder / "comparison.json", comparisons, format=COMPARISON_FORMAT)
    return [file, *write_comparison_tables(comparisons, folder)]


def _json(data: object) -> str:
    return json.dumps(data, ensure_ascii=False, allow_nan=False, indent=1) + "\n"
