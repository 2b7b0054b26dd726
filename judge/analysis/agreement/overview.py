"""All judges of a tidy table in a list, without resampling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from calibration.agreement.levels import Levels, at_levels
from judge.analysis.agreement.figures import of_level
from judge.analysis.agreement.grid import Grid, judge_code, judges_of, nothing_in_common
from judge.analysis.agreement.record import LEVELS, Coefficient, Figure, Level
from judge.ratings import JudgedTable

__all__ = ["Overview", "overview"]


@dataclass(frozen=True, slots=True)
class Overview:
    """One judge and one dimension, in short.

    Attributes:
        n: what both the judge and people have scored; the levels rest on it.
        not_rated, not_judged: what just one side has scored.
        levels: coefficient -> level -> its figure, without interval.
    """

    judge: str
    dimension: str
    n: int
    not_rated: int
    not_judged: int
    levels: Mapping[Coefficient, Mapping[Level, Figure]]


def overview(
    tidy: JudgedTable,
    *,
    judges: Sequence[str] = (),
    metrics: Sequence[str] = (),
    coefficients: Sequence[Coefficient] = ("spearman", "pearson", "kendall_b"),
) -> tuple[Overview, ...]:
    """Every judge of a table in every dimension that it shares with people; no intervals.

    Args:
        tidy: the table.
        judges: these only; () for all.
        metrics: these dimensions only; () for all.
        coefficients: what is computed.

    Raises:
        UsageError: no such judge or dimension.
        DataError: no judge and people have scored anything in common.
    """
    grid = Grid(tidy, metrics)
    human = grid.means()
    rows = []
    for judge in judges or judges_of(tidy):
        scores = grid.judge(judge_code(tidy, judge))
        for m, name in enumerate(grid.metrics):
            either = ~(np.isnan(scores[:, m]) & np.isnan(human[:, m]))
            sides = scores[either, m], human[either, m], grid.system[either], grid.item[either]
            n = int((~np.isnan(sides[0] + sides[1])).sum())
            if not n:
                continue
            found: dict[Coefficient, Levels] = {c: at_levels(*sides, c) for c in coefficients}
            rows.append(
                Overview(
                    judge=judge,
                    dimension=name,
                    n=n,
                    not_rated=int(np.isnan(sides[1]).sum()),
                    not_judged=int(np.isnan(sides[0]).sum()),
                    levels={
                        c: {level: of_level(getattr(levels, level)) for level in LEVELS}
                        for c, levels in found.items()
                    },
                )
            )
    if not rows:
        judge = (*judges, *judges_of(tidy))[0]
        raise nothing_in_common(tidy, grid, judge, grid.judge(judge_code(tidy, judge)))
    return tuple(rows)
