"""Agreement on labels that are no numbers: equal ones, kappa, alpha and the annotator test.

Categories have no order, so nothing is a correlation, a distance or a mean.
"""

from __future__ import annotations

import math

import numpy as np

from calibration.agreement.raters import krippendorff_alpha
from calibration.errors_of_fit import nominal_kappa
from judge.analysis.agreement.agreement_records import (
    COEFFICIENTS,
    LEVELS,
    Ceiling,
    Interval,
    MeasureAgreement,
    PairwiseAccuracy,
)
from judge.analysis.agreement.data import MeasureScores
from judge.analysis.agreement.rater_statistics import alpha_estimate, alt_tests
from judge.analysis.agreement.statistics import estimate

__all__ = ["NO_ORDER", "categorical_agreement"]

NO_ORDER = "the labels are categories, which have no order"


def categorical_agreement(
    measure: MeasureScores, raters: tuple[str, ...], annotators: str, least_others: int
) -> MeasureAgreement:
    """One measure of categories; its scores are codes of them, and every other number a dash.

    Args:
        measure: of codes 0, 1, ...
        raters: names of the rater codes.
        least_others: of that test.
    """
    n = int(measure.both.sum())
    judge = measure.judge[measure.dialogue[measure.used]]
    people = measure.rating[measure.used]
    none = estimate(math.nan, n, reason=NO_ORDER)
    nothing = "" if len(people) else "nothing has both a judge's label and one of people"
    equal = math.nan if nothing else float(np.mean(judge == people))
    most = math.nan if nothing else float(np.unique(people, return_counts=True)[1].max())
    kappa = nominal_kappa(judge, people)
    alphas = (
        krippendorff_alpha(measure.rating, measure.dialogue, "nominal", judge=side)
        for side in (None, measure.judge)
    )
    alpha_human, alpha_with_judge = map(alpha_estimate, alphas)
    return MeasureAgreement(
        name=measure.name,
        kind=measure.kind,
        title=measure.title,
        parts=measure.parts,
        scale=(measure.low, measure.high),
        scale_declared=True,
        n=n,
        not_rated=int((~np.isnan(measure.judge) & ~measure.both).sum()),
        not_judged=int((~np.isnan(measure.human) & ~measure.both).sum()),
        ratings=len(people),
        levels={coefficient: dict.fromkeys(LEVELS, none) for coefficient in COEFFICIENTS},
        bonett_wright=Interval(None, None, "Bonett-Wright", reason=NO_ORDER),
        permutation_p=none,
        permutation_exact=False,
        rmse=none,
        mae=none,
        bias=none,
        kappa=estimate(kappa.value, kappa.n, reason=kappa.reason),
        alpha_human=alpha_human,
        alpha_with_judge=alpha_with_judge,
        soft_pairwise=none,
        pairwise=PairwiseAccuracy(none, None, None, 0),
        annotator_tests=tuple(
            alt_tests(measure, raters, annotators, least_others, categories=True)
        ),
        ceiling=Ceiling(
            *(none, none, None, none, none, none, None),
            repeated=alpha_human.groups,
            cells=len(np.unique(measure.dialogue)),
            spearman=none,
        ),
        sentinels=(),
        confusion=(),
        curve=(),
        systems=(),
        without=(),
        constant={} if nothing else {"equal": estimate(most / len(people), len(people))},
        equal=estimate(equal, len(people), reason=nothing),
    )
