"""The numbers in every file are those of the record; what is undefined is a dash with a reason."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path

import pytest

from judge.analysis.agreement import agreement_records
from judge.analysis.agreement.agreement_records import (
    COEFFICIENTS,
    LEVELS,
    Agreement,
    Level,
    MeasureAgreement,
)
from judge.report.paper import write_paper
from judge.report.paper.agreement_csv import agreement_csv
from judge.report.paper.agreement_tables import agreement_tables
from judge.report.paper.comparison import comparison_csv, comparison_table
from judge.report.paper.latex import latex_table
from judge.report.paper.table import Column, Number, PaperTable, Row, markdown_table, trimmed
from tests.unit.report.page_example import CONSTANT, agreement
from tests.unit.report.paper.test_compiles import comparisons
from tests.unit.stored import reread

MARK = "SIMULATED RATINGS: not people."


def rounded(value: float, decimals: int = 2) -> Decimal:
    """To so many decimals, by decimal arithmetic on the exact binary value."""
    found = Decimal(value).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_EVEN)
    return found or abs(found)


def cells(table: PaperTable) -> dict[str, list[str]]:
    """First cell -> the others, of the body of a LaTeX table."""
    body = latex_table(table).partition(r"\midrule")[2].partition(r"\bottomrule")[0]
    rows = [
        [cell.strip() for cell in line.strip().removesuffix(r"\\").split(" & ")]
        for line in body.splitlines()
        if " & " in line
    ]
    return {re.sub(r"\\textbf\{(.*)\}", r"\1", first): rest for first, *rest in rows}


def table(found: Agreement, name: str) -> PaperTable:
    return next(table for table in agreement_tables(found) if table.name == name)


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_the_main_table_has_the_numbers_of_the_record(computed: Agreement) -> None:
    """Each cell, read back from the LaTeX, is the record's number rounded."""
    found = cells(table(computed, "main"))
    assert len(found) == len(computed.measures) == 13
    for measure, row in zip(computed.measures, found.values(), strict=True):
        rho = measure.spearman
        assert Decimal(row[0]) == measure.n
        places: tuple[tuple[int, Level], ...] = ((1, "all"), (3, "within_item"), (5, "systems"))
        for at, level in places:
            value = rho[level].value
            assert value is not None
            assert Decimal(row[at]) == rounded(value)
        interval = rho["all"].interval
        assert interval is not None
        ends = re.findall(r"-?\d+\.\d+", row[2])
        assert [Decimal(end) for end in ends] == [
            rounded(end) for end in (interval.lower, interval.upper) if end is not None
        ]
        assert measure.bonett_wright.lower is None  # too few systems: the column is left out
        middle = measure.constant["mae"].value
        for at, value in ((6, measure.mae.value), (7, middle), (8, measure.bias.value)):
            assert value is not None
            assert Decimal(row[at]) == rounded(value)
        share = measure.ceiling.share
        assert share is not None
        assert Decimal(row[11]) == rounded(100 * share, 0)
        assert len(row) == 12


def test_a_column_of_dashes_is_left_out_and_told(computed: Agreement) -> None:
    """The interval of few systems is one, of a reason; what is known of some measure stays."""
    main = table(computed, "main")
    (note,) = (note for note in main.notes if note.startswith("Left out"))
    assert note.startswith("Left out, as undefined: Systems: 95% CI (an interval of ")
    entries = (Number(1.0), Number(None, reason="not known")), (Number(2.0), Number(None))
    columns = (Column("", kind="text"), Column("a"), Column("b", "c"))
    bare = PaperTable("t", "", columns, tuple(Row((str(i), *e)) for i, e in enumerate(entries)))
    kept = trimmed(bare)
    assert kept is not None
    assert [column.title for column in kept.columns] == ["", "a"]
    assert kept.notes == ("Left out, as undefined: c (not known).",)
    assert trimmed(replace(bare, rows=(Row(("x", "", Number(None))),))) is None


def test_the_csv_has_every_number_in_full(computed: Agreement) -> None:
    """Levels, intervals, systems, sentinels and matrices are read back bit by bit."""
    found = rows(agreement_csv(computed))
    key = ("measure", "statistic", "level", "scorer", "subject")
    by = {tuple(row[name] for name in key): row for row in found}
    assert len(by) == len(found), "a row is named twice"

    def number(*names: str) -> float:
        return float(by[names]["value"])

    for m in computed.measures:
        for coefficient in COEFFICIENTS:
            for level in LEVELS:
                figure = m.levels[coefficient][level]
                row = by[m.name, coefficient, level, "judge", ""]
                assert float(row["value"]) == figure.value
                assert int(row["n"]) == figure.n
                if figure.interval is not None:
                    ends = (float(row["lower"]), float(row["upper"]))
                    assert ends == (figure.interval.lower, figure.interval.upper)
                    assert row["method"] == figure.interval.method
        assert number(m.name, "mae", "", "judge", "") == m.mae.value
        assert number(m.name, "share of ceiling", "", "judge", "") == m.ceiling.share
        assert number(m.name, "tie threshold", "", "judge", "") == m.pairwise.threshold
        for point in m.systems:
            assert number(m.name, "mean", "", "people", point.system) == point.human
        for sentinel in m.sentinels:
            row = by[m.name, "spearman", "all", sentinel.name, ""]
            assert float(row["value"]) == sentinel.levels["all"].value
        for without in m.without:
            subject = f"without {without.system}"
            value = without.systems.value
            assert value == number(m.name, "spearman", "systems", "judge", subject)
        counts = [
            int(row["value"])
            for row in found
            if (row["measure"], row["statistic"]) == (m.name, "confusion")
        ]
        assert counts == [count for line in m.confusion for count in line]


def test_an_undefined_number_is_a_dash_with_its_reason() -> None:
    """In LaTeX, Markdown and CSV, and nowhere a 0."""
    found = agreement()
    main = table(found, "main")
    row = cells(main)["Behavioral habit"]
    assert row[1] == r"{--\textsuperscript{a}}"
    assert row[2] == r"\multicolumn{1}{c}{--\textsuperscript{a}}"
    assert not [cell for cell in row if re.fullmatch(r"-?0(\.0+)?", cell)]
    notes = latex_table(main).partition(r"\end{tabular}")[2]
    assert r"\textsuperscript{a}\,the judge's score is constant." in notes
    drawn = markdown_table(main)
    assert "| Behavioral habit | 120 | –<sup>1</sup> | –<sup>1</sup> |" in drawn
    assert f"<sup>1</sup> {CONSTANT}." in drawn
    habit = [
        row
        for row in rows(agreement_csv(found))
        if row["measure"] == "habit" and row["statistic"] == "spearman" and not row["subject"]
    ]
    judged = [row for row in habit if row["scorer"] == "judge"]
    assert {(row["value"], row["reason"]) for row in judged} == {("", CONSTANT)}


def test_every_reason_of_a_table_stands_below_it(computed: Agreement) -> None:
    """As many letters as reasons, each used and each explained, in both formats."""
    tables = [*agreement_tables(computed), *agreement_tables(agreement())]
    for one in tables:
        body, _, notes = latex_table(one).partition(r"\end{tabular}")
        marks = re.findall(r"\\textsuperscript\{(\w+)\}", body)
        assert set(marks) == set(re.findall(r"\\textsuperscript\{(\w+)\}", notes))
        assert len(set(marks)) == len(one.reasons())
        assert "" not in one.reasons()
        assert markdown_table(one).count("–<sup>") == len(marks)


def test_no_table_has_vertical_rules(computed: Agreement) -> None:
    """Booktabs alone: no bar in a column specification, no hline."""
    for one in [*agreement_tables(computed), comparison_table(comparisons())]:
        drawn = latex_table(one)
        spec = re.search(r"\\begin\{tabular\}\{(.*)\}\n", drawn)
        assert spec is not None
        assert "|" not in spec[1]
        assert r"\vline" not in drawn
        assert r"\hline" not in drawn
        assert drawn.count(r"\toprule") == drawn.count(r"\bottomrule") == 1


def test_lines_have_as_many_cells_as_columns(computed: Agreement) -> None:
    """Every line of every table, heads included, spans all its columns."""
    for one in [*agreement_tables(computed), *agreement_tables(agreement())]:
        body = latex_table(one).partition(r"\toprule")[2].partition(r"\bottomrule")[0]
        for line in body.splitlines():
            if line.endswith(r"\\"):
                spanned = sum(int(n) - 1 for n in re.findall(r"\\multicolumn\{(\d+)\}", line))
                assert len(re.split(r"(?<!\\)&", line)) + spanned == len(one.columns)


@pytest.mark.parametrize(("simulated", "partial"), [(True, ""), (False, "2 of 9 are missing.")])
def test_marks_are_everywhere(simulated: bool, partial: str, tmp_path: Path) -> None:
    """Simulated ratings and unfinished runs are named on every table and at the top."""
    found = agreement(simulated=simulated, partial=partial)
    mark = MARK if simulated else "PARTIAL: 2 of 9 are missing."
    for file in write_paper(found, tmp_path, {}):
        text = file.read_text(encoding="utf-8")
        if file.parent.name == "tables":
            assert rf"\caption{{\textbf{{{mark}}}" in text
        elif file.name == "agreement.tex":
            assert mark in text.partition(r"\section{Methods}")[0]
        elif file.suffix == ".md":
            assert text.splitlines()[2] == f"**{mark}**"
            captions = text.count("\n| :--")
            assert text.count(f"**{mark}**") == captions + 1
        elif file.suffix == ".csv":
            whose = {(row["ratings"], row["partial"]) for row in rows(text)}
            assert whose == {("simulated" if simulated else "people", partial)}


def test_without_marks_nothing_is_said(tmp_path: Path) -> None:
    """A complete run with people's ratings is not called anything else."""
    for file in write_paper(agreement(), tmp_path, {}):
        text = file.read_text(encoding="utf-8")
        assert "SIMULATED" not in text
        assert "PARTIAL" not in text


def test_the_same_agreement_gives_the_same_files(computed: Agreement, tmp_path: Path) -> None:
    """Byte by byte, and after a way through JSON."""
    again = reread(computed.to_dict(), Agreement, agreement_records.FORMAT)
    first, second = (
        write_paper(one, tmp_path / name, {}) for name, one in (("a", computed), ("b", again))
    )
    assert [f.read_bytes() for f in first] == [f.read_bytes() for f in second]


def test_without_resamples_there_are_no_empty_columns() -> None:
    """Intervals nobody asked for are no column of dashes; Bonett and Wright's needs none."""
    found = agreement()

    def bare(m: MeasureAgreement) -> MeasureAgreement:
        levels = {
            name: {level: replace(f, interval=None) for level, f in of.items()}
            for name, of in m.levels.items()
        }
        return replace(m, levels=levels)

    found = replace(found, resamples=0, measures=tuple(map(bare, found.measures)))
    heads = [column.title for column in table(found, "main").columns]
    assert heads.count("95% CI") == 1
    assert "crossed jackknife" not in table(found, "main").caption
    assert [c.title for c in table(found, "spearman").columns].count("95% CI") == 0


def test_fixed_systems_have_the_bootstrap_interval() -> None:
    """Systems that are all there is are no sample: the interval for a sample is not shown."""
    found = replace(agreement(), systems_fixed=True)
    rho = found.measures[0].spearman["systems"]
    assert rho.interval is not None
    row = cells(table(found, "main"))["Fluency"]
    ends = [Decimal(end) for end in re.findall(r"-?\d+\.\d+", row[6])]
    assert ends == [rounded(e) for e in (rho.interval.lower, rho.interval.upper) if e is not None]
    assert "Bonett" not in table(found, "main").caption


def test_a_comparison_is_read_back() -> None:
    """Its CSV has the record's numbers, its table a dash where there is none."""
    found = comparisons()
    read = rows(comparison_csv(found))
    assert [row["measure"] for row in read] == [row.name for row in found.rows]
    assert read[0]["p"] == ""
    assert read[0]["reason"] == "a side is constant"
    assert [float(row["p"]) for row in read[1:]] == [row.p for row in found.rows[1:]]
    assert {row["test"] for row in read} == {"exchange"}
    assert [row["factor"] for row in read[:3]] == ["", "scenario", "system"]
    line = cells(comparison_table(found))["Fluency"]
    assert line[:3] == ["0.50", *[r"{--\textsuperscript{a}}"] * 2]
    assert line[5:10] == ["0.50", "0.41", "0.09", "0.030", "0.060"]
