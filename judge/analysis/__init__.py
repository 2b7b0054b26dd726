"""From stored judgments to one `Results` object that every report is drawn from."""

from judge.analysis.applying import Calibrated, ItemKey, ItemScore, calibrated
from judge.analysis.calibrated import CalibratedMean, CalibratedMetric, CalibratedResults
from judge.analysis.calibrating import calibrate
from judge.analysis.fitting import AUTO
from judge.analysis.lines import calibrate_to_published
from judge.analysis.published import PAPER, Published, paper_means, read_published
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
    "AUTO",
    "PAPER",
    "Calibrated",
    "CalibratedMean",
    "CalibratedMetric",
    "CalibratedResults",
    "Extreme",
    "FailureCount",
    "Group",
    "ItemKey",
    "ItemScore",
    "Measure",
    "MetricScore",
    "Published",
    "Results",
    "SystemAgreement",
    "SystemResults",
    "calibrate",
    "calibrate_to_published",
    "calibrated",
    "paper_means",
    "read_published",
    "summarise",
]
