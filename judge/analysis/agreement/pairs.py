"""Raters, and judges, against each other."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from calibration.agreement.correlation import spearman
from judge.analysis.agreement.figures import figure
from judge.analysis.agreement.observed import Observed
from judge.analysis.agreement.record import RaterPair

__all__ = ["MOST", "rater_pairs"]

MOST = 12
"""Pairs of more raters than this, other judges among them, fill a table that nobody reads."""


def rater_pairs(observed: Observed) -> tuple[RaterPair, ...]:
    """Every two of the judge, the other judges and the raters, metric by metric; () if too many."""
    raters = np.unique(observed.rater[observed.rater >= 0]).tolist()
    if not observed.pairs or len(raters) + len(observed.others) > MOST:
        return ()
    found = []
    for column, metric in enumerate(observed.metrics):
        scores = {observed.judge: observed.score[:, column]}
        scores |= {name: other[:, column] for name, other in observed.others.items()}
        for rater in raters:
            own = (observed.rater == rater) & (observed.metric == column)
            scores[observed.raters[rater]] = row = np.full(len(observed.score), np.nan)
            row[observed.cell[own]] = observed.rating[own]
        for first, second in combinations(scores, 2):
            rho = spearman(scores[first], scores[second])
            pair = figure(rho.value, rho.n, reason=rho.reason)
            found.append(RaterPair(metric, first, second, pair))
    return tuple(found)
