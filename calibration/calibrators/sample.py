"""What a calibrator is fitted to: a judge's label distributions and human ratings of one metric."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calibration.arrays import Codes, Floats, Mask, codes_of, finite_iv, same_length_iv

__all__ = ["CannotFitError", "Sample", "as_distributions"]


class CannotFitError(ValueError):
    """The data are valid, but too few or too uniform for this calibrator; the message says why."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Judgments and human ratings of one metric; built and checked by `of`.

    A cell is what was judged and rated, a dialogue. It may have no rating, one or several, and
    may lack a judgment. Cells that lack either are kept, but left out of fits.

    Attributes:
        probs: (n, metrics, labels) distributions over the judge's labels 1..K; a metric that was
            not judged is NaN for all labels.
        target: position of the rated metric.
        scores: (ratings,) on the human scale.
        cells: (ratings,) which cell each rating is of.
        raters: (ratings,) who gave it; -1 is unknown.
        groups: (n,) codes of what is held out together in cross-validation.
        low, high: the ends of the human scale.
    """

    probs: Floats
    target: int
    scores: Floats
    cells: Codes
    raters: Codes
    groups: Codes
    low: int
    high: int

    @classmethod
    def of(
        cls,
        probs: ArrayLike,
        target: int,
        scores: ArrayLike,
        cells: ArrayLike,
        *,
        groups: ArrayLike,
        raters: ArrayLike | None = None,
        scale: tuple[int, int] | None = None,
    ) -> Self:
        """A checked sample.

        Args:
            probs: (n, metrics, labels) as above.
            target: position of the rated metric.
            scores: (ratings,) finite numbers on the scale.
            cells: (ratings,) integers in 0..n - 1.
            groups: (n,) labels of any kind.
            raters: (ratings,) integers from 0, -1 where unknown; None if all are unknown.
            scale: ends of the human scale; by default the judge's labels, 1..K.

        Raises:
            ValueError: shapes do not match, or a value is impossible.
        """
        p = probs_iv(probs)
        low, high = (1, p.shape[2]) if scale is None else scale
        y, cell = np.asarray(scores, dtype=np.float64), np.asarray(cells)
        rater = np.full(y.shape, -1) if raters is None else np.asarray(raters)
        group = np.asarray(groups)
        _sample_iv(p, target, y, cell, rater, group, (low, high))
        return cls(
            probs=p,
            target=target,
            scores=y,
            cells=cell.astype(np.int64),
            raters=rater.astype(np.int64),
            groups=codes_of(group),
            low=low,
            high=high,
        )

    @property
    def counts(self) -> Codes:
        """(n,) number of ratings of each cell."""
        return np.bincount(self.cells, minlength=len(self.probs)).astype(np.int64)

    @property
    def means(self) -> Floats:
        """(n,) mean human rating of each cell; NaN where it has none."""
        sums = np.bincount(self.cells, self.scores, minlength=len(self.probs))
        means = np.full(len(self.probs), np.nan)
        np.divide(sums, self.counts, out=means, where=self.counts > 0)
        return means

    @property
    def judged(self) -> Mask:
        """(n,) whether the target was judged."""
        return judged_rows(self.probs, self.target)

    @property
    def usable(self) -> Mask:
        """(n,) whether a cell is both judged and rated."""
        rated: Mask = self.counts > 0
        return self.judged & rated

    @property
    def whole_ratings(self) -> bool:
        """Whether every rating is a whole number, as labels are."""
        return bool((self.scores == np.round(self.scores)).all())

    def by(self, groups: ArrayLike) -> Self:
        """The same cells and ratings with other groups (n,) for cross-validation."""
        labels = np.asarray(groups)
        if labels.shape != self.groups.shape:
            raise ValueError(f"groups must have shape {self.groups.shape}, not {labels.shape}")
        return replace(self, groups=codes_of(labels))

    def take(self, keep: Mask) -> Self:
        """The cells where `keep` (n,) is true, and their ratings; group and rater codes stay."""
        rows = keep[self.cells]
        position = np.cumsum(keep) - 1
        return replace(
            self,
            probs=self.probs[keep],
            groups=self.groups[keep],
            scores=self.scores[rows],
            cells=position[self.cells[rows]],
            raters=self.raters[rows],
        )

    def fitting(self) -> Self:
        """The usable cells alone.

        Raises:
            CannotFitError: there are none.
        """
        usable = self.usable
        if not usable.any():
            raise CannotFitError("no cell is both judged and rated")
        return self if usable.all() else self.take(usable)


def as_distributions(scores: ArrayLike, labels: int) -> Floats:
    """Scores of a judge that gives single numbers, as distributions over 1..`labels`.

    The two nearest labels share the probability, so that the expected score is the score. This is
    the narrowest distribution with that mean; how sure the judge was is not known.

    Args:
        scores: any shape, within 1..labels; NaN stays NaN.
        labels: the number of labels.

    Returns:
        The shape of `scores` with one more axis, of length `labels`.

    Raises:
        ValueError: a score is off the scale.
    """
    x = np.asarray(scores, dtype=np.float64)
    if ((x < 1) | (x > labels)).any():
        raise ValueError(f"scores must lie within 1..{labels}")
    distance: Floats = np.abs(x[..., None] - np.arange(1, labels + 1))
    return np.maximum(1 - distance, 0)


def judged_rows(probs: Floats, target: int) -> Mask:
    """(n,) whether the target was judged."""
    missing: Mask = np.isnan(probs[:, target, 0])
    return ~missing


def probs_iv(probs: ArrayLike) -> Floats:
    """Label distributions (n, metrics, labels), checked; ValueError says what is wrong."""
    p = np.asarray(probs, dtype=np.float64)
    if p.ndim != 3 or p.shape[1] < 1 or p.shape[2] < 2:
        raise ValueError(f"probs must have shape (n, metrics, labels), not {p.shape}")
    missing = np.isnan(p)
    if (missing.any(axis=2) != missing.all(axis=2)).any():
        raise ValueError("a distribution must be nan throughout or nowhere")
    if (p < 0).any():
        raise ValueError("probs must not be negative")
    if (np.abs(p.sum(axis=2) - 1) > 1e-6).any():
        raise ValueError("probs must sum to 1 over the labels: renormalise them first")
    return p


def _sample_iv(
    probs: Floats,
    target: int,
    scores: Floats,
    cells: NDArray[Any],
    raters: NDArray[Any],
    groups: NDArray[Any],
    scale: tuple[int, int],
) -> None:
    n, metrics, _ = probs.shape
    if not 0 <= target < metrics:
        raise ValueError(f"target must be in 0..{metrics - 1}, not {target}")
    if scale[0] >= scale[1]:
        raise ValueError(f"the scale must rise, not run from {scale[0]} to {scale[1]}")
    same_length_iv(scores=scores, cells=cells, raters=raters)
    if groups.shape != (n,):
        raise ValueError(f"groups must have shape ({n},), not {groups.shape}")
    finite_iv("scores", scores)
    if ((scores < scale[0]) | (scores > scale[1])).any():
        raise ValueError(f"scores must lie on the scale {scale[0]}..{scale[1]}")
    _codes_iv("cells", cells, 0, n)
    _codes_iv("raters", raters, -1, None)


def _codes_iv(name: str, codes: NDArray[Any], low: int, end: int | None) -> None:
    if not codes.size:
        return
    if not np.issubdtype(codes.dtype, np.integer):
        raise ValueError(f"{name} must be integers")
    if codes.min() < low or (end is not None and codes.max() >= end):
        raise ValueError(f"{name} must be {low} or more" + (f" and below {end}" if end else ""))
