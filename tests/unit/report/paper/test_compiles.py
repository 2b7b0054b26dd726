"""The LaTeX is set without complaint, and says what was meant."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from judge.analysis.agreement.agreement_records import Agreement
from judge.analysis.agreement.two_judges import ComparedMeasure, Comparisons
from judge.report.paper import write_comparison_tables, write_paper
from judge.report.paper.latex import CJK_FALLBACK, escape
from tests.unit.report.page_example import agreement

Compile = Callable[[Path], str]
Wide = Callable[[str], list[float]]

NASTY = r"100% _a_ & #1 $x$ ~ ^ \input{x} {b} <c> | -- --- [d] *e* `f` 'g' \\"


def text_of(file: Path) -> str:
    """The words of a PDF, with single spaces."""
    if shutil.which("pdftotext") is None:
        pytest.skip("no pdftotext here; on Debian it is in poppler-utils")
    read = subprocess.run(
        ["pdftotext", "-layout", file.name, "-"],  # noqa: S607
        cwd=file.parent,
        capture_output=True,
        check=True,
        timeout=60,
    )
    return re.sub(r"\s+", " ", read.stdout.decode("utf-8"))


def comparisons(name: str = "first") -> Comparisons:
    rows = [
        ComparedMeasure(
            *(measure, kind, title, level, 0.5, 0.41, 0.09, 0.03, 0.06, correction, 120, 1, 0, 0),
            factor="system" if level == "systems" else "scenario",
            exchanges=16 if level == "systems" else 1000,
        )
        for measure, kind, title, correction in (
            ("fluency", "metric", "Fluency (流畅性)", "Benjamini-Yekutieli"),
            ("talk", "dimension", "Talk (对话)", "Holm"),
            ("overall", "overall", "Overall", "none"),
        )
        for level in ("all", "within_item", "systems")
    ]
    rows[0] = replace(
        rows[0],
        second=None,
        difference=None,
        p=None,
        adjusted=None,
        reason="a side is constant",
        factor="",
        exchanges=0,
    )
    return Comparisons(
        *(name, "second", 120, (3, 0), 1000, 0),
        simulated=True,
        rows=tuple(rows),
        test="exchange",
        factors=("system", "character", "scenario"),
    )


def test_a_computed_agreement_compiles_with_a_figure(
    computed: Agreement, tmp_path: Path, pdflatex: Compile, too_wide: Wide
) -> None:
    """Nothing sticks out, no reference is open, and the headline number is on the page."""
    (tmp_path / "figures").mkdir()
    Figure(figsize=(9, 4)).savefig(tmp_path / "figures" / "wide.pdf")
    log = pdflatex(write_paper(computed, tmp_path, {"wide": "A caption_1 of 流畅"})[0])
    assert too_wide(log) == []
    assert "undefined" not in log
    rho = computed.measure("overall").spearman["all"].value
    text = text_of(tmp_path / "agreement.pdf")
    assert f"{rho:.2f}" in text
    assert "Figure 1: A caption" in text


@pytest.mark.parametrize("text", [NASTY, "hello 角色扮演：很好 ñandú – “ρ” 😀 \u202e\x00"])
def test_anybodys_text_compiles(
    text: str, tmp_path: Path, pdflatex: Compile, too_wide: Wide
) -> None:
    """A name of a judge, a system or a reason is set as it is, and undefined figures are dashes."""
    found = agreement(text=text, partial=f"2 of 9 {text}", simulated=True)
    first = replace(
        found.measures[0],
        title=f"{text} (流畅性)",
        systems=tuple(replace(p, system=f"{text} {p.system}") for p in found.measures[0].systems),
        mae=replace(found.measures[0].mae, value=None, interval=None, reason=text),
    )
    found = replace(found, measures=(first, *found.measures[1:]))
    log = pdflatex(write_paper(found, tmp_path, {})[0])
    assert too_wide(log) == []


def test_escaped_text_is_read_back(tmp_path: Path, pdflatex: Compile) -> None:
    """What TeX prints of every special character is that character.

    But for the underscore and accents, which in TeX's first fonts are drawn, not written.
    """
    file = tmp_path / "one.tex"
    body = r"\documentclass{article}\pagestyle{empty}\begin{document}" + "\n"
    texts = [r"100% a & #1 $x$ \input{x} {b} <c> | [d] *e*", "a--b---c (d)"]
    file.write_text(
        body + "\n\n".join(map(escape, texts)) + "\n\\end{document}\n", encoding="ascii"
    )
    pdflatex(file)
    assert text_of(tmp_path / "one.pdf").replace("\f", "").strip() == " ".join(texts)


def test_every_table_can_be_pasted_alone_into_two_columns(
    computed: Agreement, tmp_path: Path, pdflatex: Compile, too_wide: Wide
) -> None:
    """With booktabs, siunitx and graphicx, and nothing else."""
    files = [f for f in write_paper(computed, tmp_path, {}) if f.parent.name == "tables"]
    body = "\n\\clearpage\n".join(file.read_text(encoding="utf-8") for file in files)
    alone = tmp_path / "alone.tex"
    alone.write_text(
        r"\documentclass[twocolumn]{article}\usepackage{booktabs,siunitx,graphicx}"
        f"\n\\begin{{document}}\n{body}\n\\end{{document}}\n",
        encoding="utf-8",
    )
    assert len(files) > 20
    assert CJK_FALLBACK in body
    assert too_wide(pdflatex(alone)) == []


@pytest.mark.parametrize("name", ["first", f"{NASTY} 裁判"])
def test_a_comparison_compiles(
    name: str, tmp_path: Path, pdflatex: Compile, too_wide: Wide
) -> None:
    """Two judges beside each other, with dashes, marks and references."""
    log = pdflatex(write_comparison_tables(comparisons(name), tmp_path)[0])
    assert too_wide(log) == []
    assert "undefined" not in log
    assert "SIMULATED RATINGS" in text_of(tmp_path / "comparison.pdf")


def test_many_systems_are_tables_of_several_pages(
    tmp_path: Path, pdflatex: Compile, too_wide: Wide
) -> None:
    """Fifty systems fit: a table goes on in a further one."""
    found = agreement()
    first = found.measures[0]
    systems = tuple(replace(first.systems[0], system=f"system {k}") for k in range(50))
    found = replace(found, measures=(replace(first, systems=systems),))
    files = write_paper(found, tmp_path, {})
    assert {"means-1.tex", "means-1-2.tex"} <= {file.name for file in files}
    log = pdflatex(files[0])
    assert too_wide(log) == []
    assert "Float too large" not in log
