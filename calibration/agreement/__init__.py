"""How far a judge's scores agree with people's, and people's with each other."""

from calibration.agreement.alt_test import (
    EPSILON,
    AltTestResult,
    alt_test,
)
from calibration.agreement.compare import PermBothResult, perm_both
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
    SentinelScores,
    at_levels,
    group_mean,
    mean_of_parts,
)
from calibration.agreement.pairwise_accuracy import (
    SoftPairwiseAccuracy,
    TieCalibrated,
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
    "AgainstRest",
    "Alpha",
    "AltTestResult",
    "Coefficient",
    "Composite",
    "Correlation",
    "GroupCorrelations",
    "LevelValue",
    "Levels",
    "PermBothResult",
    "PermutationP",
    "Reliability",
    "RhoInterval",
    "SentinelScores",
    "SoftPairwiseAccuracy",
    "TieCalibrated",
    "against_rest",
    "alt_test",
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
    "soft_pairwise_accuracy",
    "spearman",
    "tie_calibrated_accuracy",
    "tie_codes",
]
