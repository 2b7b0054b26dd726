"""From stored judgments to one `Results` object that every report is drawn from."""

from judge.analysis.published import Published, read_published
from judge.analysis.results import (
    Extreme,
    FailureCount,
    Group,
    Measure,
    MetricScore,
    Results,
    SystemAgreement,
    SystemResults,
)
from judge.analysis.summary import summarise

__all__ = [
    "Extreme",
    "FailureCount",
    "Group",
    "Measure",
    "MetricScore",
    "Published",
    "Results",
    "SystemAgreement",
    "SystemResults",
    "read_published",
    "summarise",
]
