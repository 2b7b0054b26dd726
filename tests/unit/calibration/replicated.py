"""The plain way to resample: repeat every row as often as it was drawn, and ask scipy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Statistics = tuple[float, float, float, float]


def statistics(x: Floats, y: Floats) -> Statistics:
    """Spearman, Pearson, MAE and bias; nan where undefined."""
    if not len(x):
        return (np.nan,) * 4
    constant = np.ptp(x) < 1e-9 or np.ptp(y) < 1e-9
    rho = np.nan if constant else float(stats.spearmanr(x.round(9), y.round(9)).statistic)
    r = np.nan if constant else float(stats.pearsonr(x, y).statistic)
    return rho, r, float(np.mean(np.abs(x - y))), float(np.mean(x - y))


def replicated(
    x: Floats, y: Floats, labels: tuple[Codes, Codes, Codes], drawn: tuple[Codes, Codes, Codes]
) -> Floats:
    """(4 statistics, 4 levels) of one resample; `drawn` holds the counts of each factor."""
    kept = ~(np.isnan(x) | np.isnan(y))
    x, y = x[kept], y[kept]
    system, character, scenario = (label[kept] for label in labels)
    of_system, of_character, of_scenario = drawn
    item = character * (scenario.max(initial=0) + 1) + scenario
    of_item = of_character[character] * of_scenario[scenario]
    row = of_system[system] * of_item

    def within(group: Codes, rows: Codes, groups: Codes) -> Statistics:
        values = []
        for code in np.unique(group):
            mine = group == code
            found = statistics(np.repeat(x[mine], rows[mine]), np.repeat(y[mine], rows[mine]))
            values += [found] * int(groups[mine][0])
        return _means(np.array(values).reshape(-1, 4))

    means = [
        (np.average(x[mine], weights=of_item[mine]), np.average(y[mine], weights=of_item[mine]))
        for code in np.unique(system)
        for mine in [system == code]
        if of_item[mine].any()
        for _ in range(of_system[code])
    ]
    return np.array([
        statistics(np.repeat(x, row), np.repeat(y, row)),
        within(item, of_system[system], of_item),
        within(system, of_item, of_system[system]),
        statistics(*np.array(means).reshape(-1, 2).T),
    ]).T  # fmt: skip


def _means(values: Floats) -> Statistics:
    """Of each column, over what is defined in it."""
    known = [column[~np.isnan(column)] for column in values.T]
    first, second, third, fourth = (float(k.mean()) if len(k) else np.nan for k in known)
    return first, second, third, fourth
