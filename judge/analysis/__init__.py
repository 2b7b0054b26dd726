"""From stored judgments to one `Results` object that every report is drawn from."""

from judge.analysis.applying import Calibrated, ItemKey, ItemScore, calibrated
from judge.analysis.bars import Bars, read_bars
from judge.analysis.calibrated import CalibratedMean, CalibratedMetric, CalibratedResults
from judge.analysis.calibrating import calibrate
from judge.analysis.diverse import DiversityResults, SystemDiversity
from judge.analysis.diversity import summarise_diversity, word_segmenter
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
