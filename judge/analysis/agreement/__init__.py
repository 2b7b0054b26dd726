"""Judge and people side by side, in numbers a report is drawn from."""

from judge.analysis.agreement.agreement_records import Agreement
from judge.analysis.agreement.data import Observed, simulated
from judge.analysis.agreement.from_run import Point, observed_from_run
from judge.analysis.agreement.from_table import Overview, judges_of, observed_from_table, overview
from judge.analysis.agreement.judge_agreement import agree
from judge.analysis.agreement.two_judges import Compared, Comparisons, compare_judges

__all__ = [
    "Agreement",
    "Compared",
    "Comparisons",
    "Observed",
    "Overview",
    "Point",
    "agree",
    "compare_judges",
    "judges_of",
    "observed_from_run",
    "observed_from_table",
    "overview",
    "simulated",
]
