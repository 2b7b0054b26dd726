"""From stored judgments to one `Results` object that every report is drawn from."""

from judge.analysis.calibrated_scores import CalibratedScores, ItemKey, ItemScore, apply_calibration
from judge.analysis.fit_calibration import AUTO, calibrate
from judge.analysis.fit_to_published import calibrate_to_published
from judge.analysis.published import (
    PAPER,
    PublishedDiversity,
    PublishedMeans,
    paper_means,
    read_published,
    read_published_diversity,
)
from judge.analysis.reply_diversity import (
    DiversityResults,
    SystemDiversity,
    summarize_diversity,
    word_segmenter,
)
from judge.analysis.results import (
    CalibratedMean,
    CalibratedMetric,
    CalibratedResults,
    ExtremeDialogue,
    FailureCount,
    JudgedDimension,
    Measure,
    MetricScore,
    Results,
    SystemAgreement,
    SystemResults,
)
from judge.analysis.summary import summarize

__all__ = [
    "AUTO",
    "PAPER",
    "CalibratedMean",
    "CalibratedMetric",
    "CalibratedResults",
    "CalibratedScores",
    "DiversityResults",
    "ExtremeDialogue",
    "FailureCount",
    "ItemKey",
    "ItemScore",
    "JudgedDimension",
    "Measure",
    "MetricScore",
    "PublishedDiversity",
    "PublishedMeans",
    "Results",
    "SystemAgreement",
    "SystemDiversity",
    "SystemResults",
    "apply_calibration",
    "calibrate",
    "calibrate_to_published",
    "paper_means",
    "read_published",
    "read_published_diversity",
    "summarize",
    "summarize_diversity",
    "word_segmenter",
]
