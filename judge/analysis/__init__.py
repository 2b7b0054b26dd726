"""From stored judgments to one `Results` object that every report is drawn from."""

from judge.analysis.apply_calibration import Calibrated, ItemKey, ItemScore, calibrated
from judge.analysis.fit_calibration import AUTO, calibrate
from judge.analysis.fit_to_published import calibrate_to_published
from judge.analysis.published import PAPER, Published, paper_means, read_published
from judge.analysis.reply_diversity import (
    Bars,
    DiversityResults,
    SystemDiversity,
    read_bars,
    summarise_diversity,
    word_segmenter,
)
from judge.analysis.results import (
    CalibratedMean,
    CalibratedMetric,
    CalibratedResults,
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
    "Bars",
    "Calibrated",
    "CalibratedMean",
    "CalibratedMetric",
    "CalibratedResults",
    "DiversityResults",
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
    "SystemDiversity",
    "SystemResults",
    "calibrate",
    "calibrate_to_published",
    "calibrated",
    "paper_means",
    "read_bars",
    "read_published",
    "summarise",
    "summarise_diversity",
    "word_segmenter",
]
