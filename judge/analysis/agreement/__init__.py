"""Judge and people side by side, in numbers a report is drawn from."""

from judge.analysis.agreement.assemble import agree
from judge.analysis.agreement.comparing import compare_judges
from judge.analysis.agreement.comparison_record import Compared, Comparisons
from judge.analysis.agreement.from_run import Point, observed_from_run
from judge.analysis.agreement.from_table import judges_of, observed_from_table
from judge.analysis.agreement.observed import Observed, simulated
from judge.analysis.agreement.overview import Overview, overview
from judge.analysis.agreement.record import Agreement

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
