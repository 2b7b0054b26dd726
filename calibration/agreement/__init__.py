"""How far a judge's scores agree with people's, and people's with each other."""

from calibration.agreement.alpha import Alpha, krippendorff_alpha
from calibration.agreement.annotator_test import (
    EPSILON,
    AnnotatorTest,
    alternative_annotator_test,
)
from calibration.agreement.ceilings import AgainstRest, Reliability, against_rest, reliability
from calibration.agreement.compare import Comparison, perm_both
from calibration.agreement.composites import Composite, mean_of_parts
from calibration.agreement.corrections import benjamini_yekutieli, holm
from calibration.agreement.correlation import (
    CORRELATIONS,
    Coefficient,
    Correlation,
    kendall_b,
    kendall_c,
    pearson,
    spearman,
)
from calibration.agreement.few_systems import (
    PermutationP,
    RhoInterval,
    bonett_wright,
    permutation_p,
)
from calibration.agreement.groups import GroupCorrelations, by_group
from calibration.agreement.levels import Levels, LevelValue, at_levels
from calibration.agreement.scale import ScaleAgreement, scale_agreement, to_labels
from calibration.agreement.sentinels import Sentinel, group_mean
from calibration.agreement.soft_pairwise import SoftPairwiseAccuracy, soft_pairwise_accuracy
from calibration.agreement.tied_pairs import (
    AccuracyCurve,
    TieCalibrated,
    accuracy_curve,
    tie_calibrated_accuracy,
)
from calibration.agreement.ties import mid_ranks, tie_codes

__all__ = [
    "CORRELATIONS",
    "EPSILON",
    "AccuracyCurve",
    "AgainstRest",
    "Alpha",
    "AnnotatorTest",
    "Coefficient",
    "Comparison",
    "Composite",
    "Correlation",
    "GroupCorrelations",
    "LevelValue",
    "Levels",
    "PermutationP",
    "Reliability",
    "RhoInterval",
    "ScaleAgreement",
    "Sentinel",
    "SoftPairwiseAccuracy",
    "TieCalibrated",
    "accuracy_curve",
    "against_rest",
    "alternative_annotator_test",
    "at_levels",
    "benjamini_yekutieli",
    "bonett_wright",
    "by_group",
    "group_mean",
    "holm",
    "kendall_b",
    "kendall_c",
    "krippendorff_alpha",
    "mean_of_parts",
    "mid_ranks",
    "pearson",
    "perm_both",
    "permutation_p",
    "reliability",
    "scale_agreement",
    "soft_pairwise_accuracy",
    "spearman",
    "tie_calibrated_accuracy",
    "tie_codes",
    "to_labels",
]
