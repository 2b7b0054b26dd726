"""What `agree` gives back: a report, a comparison or a list, each with its numbers as a frame."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from judge.analysis.agreement.agreement_records import Agreement
from judge.analysis.agreement.from_table import Overview
from judge.analysis.agreement.two_judges import Comparisons
from judge.report.agreement_summary import people as compared_with
from judge.report.agreement_summary import warnings_of
from judge.report.paper.agreement_csv import agreement_csv
from judge.runs import show_frame

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["AgreementReport", "JudgeComparison", "JudgeList"]


@dataclass(frozen=True, slots=True)
class AgreementReport:
    """How far one judge agrees with people, and the report that says so.

    Attributes:
        agreement: everything that was computed.
        page: the HTML page; tables, figures and agreement.json lie beside it.
        tex: the LaTeX for a paper.
    """

    agreement: Agreement = field(repr=False)
    page: Path
    tex: Path

    def to_frame(self) -> pd.DataFrame:
        """Every number of the report, unrounded: the columns of its agreement.csv.

        One row for each `measure`, `statistic`, `level`, `scorer` and `subject`, with `value`,
        the ends `lower` and `upper` of its interval, `n`, and a `reason` where it is undefined.
        """
        import pandas as pd

        numbers = ("value", "lower", "upper", "confidence")
        texts = dict.fromkeys(["level", "scorer", "subject", "reason", "partial", "method"], "str")
        return pd.read_csv(
            StringIO(agreement_csv(self.agreement)),
            dtype={**texts, **dict.fromkeys(numbers, "float64")},
            keep_default_na=False,
            na_values=dict.fromkeys(numbers, ""),
        )

    def _repr_html_(self) -> str:
        frame = self.to_frame()
        rho = frame[(frame["statistic"] == "spearman") & (frame["scorer"] == "judge")]
        shown = rho.loc[rho["subject"] == "", ["title", "level", "value", "lower", "upper", "n"]]
        banner = " ".join((*warnings_of(self.agreement), ""))
        of = f"{self.agreement.judge} with {compared_with(self.agreement)}"
        title = f"{banner}Spearman's rho of {of}; {self.page}"
        return show_frame(shown, title)


@dataclass(frozen=True, slots=True)
class JudgeComparison:
    """Two judges of the same dialogues, held against the same ratings.

    Attributes:
        comparisons: everything that was computed.
        page: the HTML page.
        tex: a LaTeX document with the table; beside it lie Markdown, CSV, JSON and the figure.
    """

    comparisons: Comparisons = field(repr=False)
    page: Path
    tex: Path

    def to_frame(self) -> pd.DataFrame:
        """One row for each measure and level: both rhos, their intervals, the difference, p."""
        import pandas as pd

        rows = pd.DataFrame([asdict(row) for row in self.comparisons.rows])
        for side in ("first", "second"):
            ends = rows.pop(f"{side}_interval")
            for end in ("lower", "upper"):
                rows[f"{side}_{end}"] = [None if one is None else one[end] for one in ends]
        return rows

    def _repr_html_(self) -> str:
        shown = ["name", "level", "n", "first", "second", "difference", "p", "adjusted"]
        sides = f"first: {self.comparisons.first}; second: {self.comparisons.second}"
        title = " ".join((*warnings_of(self.comparisons), f"{sides}; {self.page}"))
        return show_frame(self.to_frame()[shown], title)


@dataclass(frozen=True, slots=True)
class JudgeList:
    """All judges of a table in every dimension that they share with people, without intervals.

    Attributes:
        rows: one for each judge and dimension.
        notes: what is to be known of the table.
        simulated: some ratings were drawn by a program.
    """

    rows: tuple[Overview, ...] = field(repr=False)
    notes: tuple[str, ...]
    simulated: bool

    def to_frame(self) -> pd.DataFrame:
        """One row for each judge and dimension: n, coefficients, and the annotator test."""
        import pandas as pd

        return pd.DataFrame(
            {
                "judge": row.judge,
                "dimension": row.dimension,
                "n": row.n,
                **{
                    f"{coefficient}_{level}": figure.value
                    for coefficient, levels in row.levels.items()
                    for level, figure in levels.items()
                },
                **{
                    f"{name}_{level}": icc.value
                    for level, coefficients in row.icc.items()
                    for name, icc in coefficients.items()
                },
                **({} if row.equal is None else {"equal": row.equal.value}),
                **({} if row.kappa is None else {"kappa": row.kappa.value}),
                "soft_pairwise": row.soft_pairwise.value,
                **{f"alt_test_{test.scores}": test.winning_rate for test in row.annotator_tests},
                **{f"alt_verdict_{test.scores}": test.verdict for test in row.annotator_tests},
            }
            for row in self.rows
        )

    def _repr_html_(self) -> str:
        return show_frame(self.to_frame(), "; ".join(self.notes))
