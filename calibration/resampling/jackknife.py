"""Intervals of agreement for rows that share systems, characters and scenarios: a jackknife."""

from __future__ import annotations

import math
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr

from calibration.agreement.correlation import tie_codes
from calibration.arrays import Codes, Floats, codes_of, confidence_iv, same_length_iv, scores_iv
from calibration.intervals import t_quantile
from calibration.resampling.weighted import LEVELS, STATISTICS, Design, Level, WeightedAgreement

__all__ = ["FEWEST", "Jackknife", "JackknifeInterval", "crossed_jackknife"]

_MOST_DELETED = 100
"""Of a factor with more levels, none is left out: its variance comes from the influence alone."""

FEWEST = 3
"""A factor with fewer levels is not taken for a sample."""

_LEVELS = LEVELS[:3]


class JackknifeInterval(NamedTuple):
    """An interval; both ends NaN, with a `reason`, where there is none."""

    lower: float
    upper: float
    reason: str = ""


class Jackknife(NamedTuple):
    """What the intervals of one judge and target are made of, each (4, 3) by statistic and level.

    The levels are those of `LEVELS` but for the systems' means. Correlations are on Fisher's scale,
    z = atanh(rho), and the MAE is on that of its logarithm: so an end never lies where the
    statistic cannot be.

    Attributes:
        estimate: the statistic on the data; NaN where it is undefined or perfect.
        bias: how much the estimate is expected to be too high.
        error: its standard error; NaN where it is undefined.
        df: degrees of freedom, one less than the fewest levels of a factor.
        reason: why there are no intervals at all.
    """

    estimate: Floats
    bias: Floats
    error: Floats
    df: int
    reason: str = ""

    def interval(self, statistic: str, level: Level, confidence: float = 0.95) -> JackknifeInterval:
        """(estimate - bias) +- t_df error, brought back to the scale of the statistic.

        Raises:
            ValueError: no such statistic or level, or a confidence not between 0 and 1.
        """
        confidence_iv(confidence)
        place = [*STATISTICS].index(statistic), _LEVELS.index(level)  # type: ignore[arg-type]
        estimate, bias, error = (part[place] for part in (self.estimate, self.bias, self.error))
        reason = self.reason
        if math.isnan(estimate):
            reason = reason or "undefined on the data, or perfect"
        elif math.isnan(error):
            reason = reason or "undefined, or perfect, with one group left out"
        elif error < 1e-12:
            reason = reason or "it is the same whatever group is left out"
        if reason:
            return JackknifeInterval(math.nan, math.nan, reason)
        half = t_quantile(confidence, self.df) * error
        ends = estimate - bias - half, estimate - bias + half
        back = (math.tanh, math.tanh, math.exp, float)[place[0]]
        lower, upper = map(back, ends)
        return JackknifeInterval(lower, upper)

    def p_value(self, statistic: str, level: Level) -> float:
        """Two-sided, of a correlation or bias of 0; NaN where there is no interval.

        An interval of confidence 1 - p just leaves 0 outside.
        """
        place = [*STATISTICS].index(statistic), _LEVELS.index(level)  # type: ignore[arg-type]
        if math.isnan(self.interval(statistic, level).lower):
            return math.nan
        t = abs(self.estimate[place] - self.bias[place]) / self.error[place]
        return 2 * float(stdtr(self.df, -t))


def crossed_jackknife(
    judged: ArrayLike,
    human: ArrayLike,
    system: ArrayLike,
    character: ArrayLike,
    scenario: ArrayLike,
    *,
    systems_fixed: bool = False,
) -> Jackknife:
    """The crossed jackknife of Spearman's rho, Pearson's r, MAE and bias.

    The interval is for the same statistic over endlessly many systems, characters and scenarios:
    within items over endlessly many systems. Raters are taken as they are.

    With effects of every factor, of every pair of factors and of single rows, all independent, the
    variance of a mean over S x C x N rows is

        V = V_S + V_C + V_N - V_SC - V_SN - V_CN + V_SCN,

    where V_A is the mean square of A divided by SCN. (Each V_A also holds every variance of an
    interaction that A takes part in; the sum counts each once, which a crossed bootstrap does up
    to seven times.) A statistic is to first order the mean of the influences of its rows, the
    derivatives by their weights. V_SC to V_SCN are those of the influences. V_S, V_C and V_N are
    jackknife variances, (G - 1) / G sum_g (theta_(g) - mean)^2, with theta_(g) the statistic
    without level g: they also see what is not linear, and (G - 1) (mean theta_(g) - theta), summed
    over the factors, is the bias that is taken off. V can be too small by chance, even negative, so
    it is at least the largest of V_S, V_C and V_N. t has the degrees of freedom of the factor with
    the fewest levels. docs/validation.md has its coverage.

    A factor with one or two levels is none, and its levels are taken for all there are: two do not
    show how levels differ. Neither is one whose levels each lie in one level of another
    factor, such as items of which each is for one system: that factor's variance has it.

    Args:
        judged, human: (n,) scores, NaN where missing.
        system, character, scenario: (n,) labels. Data without characters pass their items as
            characters, and one scenario.
        systems_fixed: whether the systems are all that the claim is about.

    Raises:
        ValueError: lengths differ, or a score is infinite.
    """
    x, y = scores_iv(judged=judged, human=human)
    labels = [np.asarray(one) for one in (system, character, scenario)]
    same_length_iv(judged=x, system=labels[0], character=labels[1], scenario=labels[2])
    kept = ~np.isnan(x + y)
    x, y, labels = x[kept], y[kept], [one[kept] for one in labels]
    nothing = np.full((len(STATISTICS), len(_LEVELS)), np.nan)
    if not len(x):
        return Jackknife(nothing, nothing, nothing, 0, "there are no rows")
    design = Design.of(*labels)
    codes = [codes_of(one) for one in labels]
    factors = _factors(codes, systems_fixed=systems_fixed)
    sizes = [design.sizes[factor] for factor in factors]
    agreement = WeightedAgreement(x, y, design, np.ones(len(x), dtype=np.bool_))
    plain = _without(agreement, design, 0, np.zeros(0, dtype=np.int64))
    estimate = _transformed(plain)[..., 0]
    if not factors:
        return Jackknife(estimate, nothing, nothing, 0, f"fewer than {FEWEST} groups of any kind")
    psi = _influences(x, y, design)
    psi[:2] /= 1 - np.tanh(estimate[:2, :, None]) ** 2
    psi[2] /= np.exp(estimate[2, :, None])
    main, bias = [], np.zeros_like(estimate)
    for factor, size in zip(factors, sizes, strict=True):
        if size > _MOST_DELETED:
            main.append(_variance(psi, [codes[factor]]))
            continue
        values = _transformed(_without(agreement, design, factor, np.arange(size)))
        mean = values.mean(axis=-1)
        main.append((size - 1) / size * ((values - mean[..., None]) ** 2).sum(axis=-1))
        bias += (size - 1) * (mean - estimate)
    variance = np.sum(main, axis=0)
    for number in range(2, len(factors) + 1):
        for several in combinations(factors, number):
            variance += (-1) ** (number + 1) * _variance(psi, [codes[one] for one in several])
    error = np.sqrt(np.maximum(variance, np.max(main, axis=0)))
    return Jackknife(estimate, bias, error, min(sizes) - 1)


def _factors(codes: list[Codes], *, systems_fixed: bool) -> list[int]:
    """The factors with enough levels and whose levels do not lie within levels of another one."""
    sizes = [int(code.max()) + 1 for code in codes]
    found = [f for f in range(systems_fixed, len(codes)) if sizes[f] >= FEWEST]
    for f in reversed(found.copy()):
        for g in found:
            pairs = len(np.unique(codes[f] * sizes[g] + codes[g]))
            if f != g and pairs == sizes[f]:
                found.remove(f)
                break
    return found


def _transformed(values: Floats) -> Floats:
    """Correlations as z, MAE as its logarithm; NaN for perfect ones."""
    rho = np.where(np.abs(values[:2]) < 1 - 1e-12, values[:2], np.nan)
    mae = np.where(values[2:3] > 1e-12, values[2:3], np.nan)
    return np.concatenate([np.arctanh(rho), np.log(mae), values[3:]])


def _without(agreement: WeightedAgreement, design: Design, factor: int, levels: Codes) -> Floats:
    """(4, 3, levels) the statistics without each of some levels of a factor, or of all rows."""
    weights = [np.ones((max(len(levels), 1), size), dtype=np.int64) for size in design.sizes]
    weights[factor][np.arange(len(levels)), levels] = 0
    return agreement.values(design.weights(*weights)).statistics[:, : len(_LEVELS)]


def _influences(x: Floats, y: Floats, design: Design) -> Floats:
    """(4, 3, n) derivatives of the statistics by the weight of each row."""
    one = np.zeros(len(x), dtype=np.int64)
    error = x - y
    psi = np.empty((len(STATISTICS), len(_LEVELS), len(x)))
    for level, group in enumerate((one, design.item, design.system)):
        values = (
            _spearman(tie_codes(x), tie_codes(y), group),
            _pearson(x, y, group),
            _mean(np.abs(error), group),
            _mean(error, group),
        )
        for statistic, (of_group, own) in enumerate(values):
            known = ~np.isnan(of_group)
            within = np.where(known, of_group, 0.0)
            deviation = np.where(known, within - within.sum() / max(known.sum(), 1), 0.0)
            rows = np.bincount(group, minlength=len(of_group))
            psi[statistic, level] = own + (deviation / np.maximum(rows, 1))[group]
            psi[statistic, level] /= max(known.sum(), 1)
    return psi


def _spearman(x: Codes, y: Codes, group: Codes) -> tuple[Floats, Floats]:
    """(groups,) rho and (n,) its derivatives. A row moves the ranks of all others, too."""
    sides = [_Order(code, group) for code in (x, y)]
    rank_x, rank_y = (-side.signs(np.ones(len(x))) for side in sides)
    turn_x = [sides[0].signs(rank) for rank in (rank_x, rank_y)]
    turn_y = [sides[1].signs(rank) for rank in (rank_x, rank_y)]
    return _cosine(
        (rank_x * rank_y, rank_x**2, rank_y**2),
        (turn_x[1] + turn_y[0], 2 * turn_x[0], 2 * turn_y[1]),
        group,
    )


def _pearson(x: Floats, y: Floats, group: Codes) -> tuple[Floats, Floats]:
    """(groups,) r and (n,) its derivatives."""
    count = np.bincount(group)
    a, b = (side - (np.bincount(group, side) / count)[group] for side in (x, y))
    a, b = (np.where(np.abs(side) < 1e-12, 0.0, side) for side in (a, b))
    return _cosine((a * b, a * a, b * b), (0.0, 0.0, 0.0), group)


def _mean(values: Floats, group: Codes) -> tuple[Floats, Floats]:
    count = np.bincount(group)
    mean = np.bincount(group, values) / count
    return mean, (values - mean[group]) / count[group]


def _cosine(
    terms: tuple[Floats, Floats, Floats],
    turns: tuple[Floats | float, Floats | float, Floats | float],
    group: Codes,
) -> tuple[Floats, Floats]:
    """Of each group xy / sqrt(xx yy), where xy, xx and yy are sums of `terms`.

    `turns` are what the weight of a row changes besides its own terms. NaN where a side is
    constant, and then the derivatives are 0.
    """
    xy, xx, yy = (np.bincount(group, term) for term in terms)
    scale = np.sqrt(xx * yy)
    known = scale > 0
    rho = np.full(len(scale), np.nan)
    np.divide(xy, scale, out=rho, where=known)
    safe = [np.where(known, part, 1.0)[group] for part in (scale, xx, yy)]
    d_xy, d_xx, d_yy = (term + turn for term, turn in zip(terms, turns, strict=True))
    own = d_xy / safe[0] - np.nan_to_num(rho)[group] / 2 * (d_xx / safe[1] + d_yy / safe[2])
    return rho, np.where(known[group], own, 0.0)


class _Order:
    """Rows sorted by value within groups, for sums over smaller and larger values."""

    def __init__(self, code: Codes, group: Codes) -> None:
        wide = int(code.max(initial=0)) + 1
        keys, self._value = np.unique(group * wide + code, return_inverse=True)
        first = np.searchsorted(keys // wide, np.arange(int(group.max(initial=0)) + 1))
        self._first, self._of = first, keys // wide

    def signs(self, weight: Floats) -> Floats:
        """For each row i, the sum over rows j of its group of weight_j sign(value_j - value_i)."""
        total = np.bincount(self._value, weight)
        below = np.cumsum(total) - total
        below -= below[self._first][self._of]
        of_group = np.add.reduceat(total, self._first)[self._of]
        signs: Floats = (of_group - 2 * below - total)[self._value]
        return signs


def _variance(psi: NDArray[np.float64], factors: list[Codes]) -> Floats:
    """(4, 3) the mean square of the interaction of some factors, over the number of rows.

    From the sums of psi in the cells that exist, less the means of all lower effects. Where these
    leave no degree of freedom, it is 0 for a pair, which makes the variance larger, and of three
    factors the plain mean square.
    """
    flat = psi.reshape(-1, psi.shape[-1])
    cells, cell = np.unique(np.stack(factors), axis=1, return_inverse=True)
    cell = cell.ravel()
    sums = np.stack([np.bincount(cell, row) for row in flat])
    residual, df = sums.copy(), cells.shape[1]
    for number in range(len(factors)):
        sign = (-1) ** (len(factors) - number)
        for several in combinations(range(len(factors)), number):
            lower = np.unique(cells[[*several]], axis=1, return_inverse=True)[1].ravel()
            if not several:
                lower = np.zeros(cells.shape[1], dtype=np.int64)
            count = np.bincount(lower)
            residual += sign * np.stack([np.bincount(lower, row) / count for row in sums])[:, lower]
            df += sign * len(count)
    if df > 0:
        square: Floats = cells.shape[1] / df * (residual**2).sum(axis=1)
    else:
        square = np.zeros(len(flat)) if len(factors) == 2 else (sums**2).sum(axis=1)
    return square.reshape(psi.shape[:-1])
