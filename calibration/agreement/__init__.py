"""How far a judge's scores agree with people's, and people's with each other."""

from calibration.agreement.alt_test import (
    EPSILON,
    AnnotatorTest,
    alternative_annotator_test,
)
from calibration.agreement.compare import Comparison, perm_both
from calibration.agreement.correlation import (
    CORRELATIONS,
    Coefficient,
    Correlation,
    kendall_b,
    kendall_c,
    mid_ranks,
    pearson,
    spearman,
    tie_codes,
)
from calibration.agreement.groups import GroupCorrelations, by_group
from calibration.agreement.levels import (
    Composite,
    Levels,
    LevelValue,
    Sentinel,
    at_levels,
    group_mean,
    mean_of_parts,
)
from calibration.agreement.pairwise_accuracy import (
    AccuracyCurve,
    SoftPairwiseAccuracy,
    TieCalibrated,
    accuracy_curve,
    soft_pairwise_accuracy,
    tie_calibrated_accuracy,
)
from calibration.agreement.raters import (
    AgainstRest,
    Alpha,
    Reliability,
    against_rest,
    krippendorff_alpha,
    reliability,
)
from calibration.agreement.scale import ScaleAgreement, scale_agreement, to_labels
from calibration.agreement.small_sample import (
    PermutationP,
    RhoInterval,
    benjamini_yekutieli,
    bonett_wright,
    holm,
    permutation_p,
)

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
