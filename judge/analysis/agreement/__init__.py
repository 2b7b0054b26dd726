"""Judge and people side by side, in numbers a report is drawn from."""

from judge.analysis.agreement.record import Agreement

__all__ = ["Agreement"]
