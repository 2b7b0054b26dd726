"""Judge and people side by side, in numbers a report is drawn from."""

from judge.analysis.agreement.agreement_records import Agreement
from judge.analysis.agreement.data import PairedScores, simulated
from judge.analysis.agreement.from_run import Point, scores_from_run
from judge.analysis.agreement.from_table import Overview, overview, scores_from_table, table_judges
from judge.analysis.agreement.judge_agreement import agree
from judge.analysis.agreement.two_judges import ComparedMeasure, Comparisons, compare_judges

__all__ = [
    "Agreement",
    "ComparedMeasure",
    "Comparisons",
    "Overview",
    "PairedScores",
    "Point",
    "agree",
    "compare_judges",
    "overview",
    "scores_from_run",
    "scores_from_table",
    "simulated",
    "table_judges",
]
