"""What a rung is fitted to: label distributions of a judge, human ratings of one metric."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["CannotFitError", "Sample", "as_distributions", "judged_rows", "probs_iv"]

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]


class CannotFitError(ValueError):
    """Data in order, but not enough of it (or too uniform) for this rung: the message says why."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Judged cells and human ratings of one metric; built and checked by `of`.

    A cell is what was judged and rated, a dialogue. It may have no rating, one or several, and
    may lack a judgment: such cells stay, are counted, and are left out of fits.

    Attributes:
        probs: (n, metrics, labels) distributions over the judge's labels 1..K; a metric that
            was not judged is nan throughout.
        target: position of the rated metric.
        scores: (ratings,) on the human scale.
        cells: (ratings,) which cell each rating is of.
        raters: (ratings,) who gave it; -1 is unknown.
        groups: (n,) what is held out together in cross-validation, as codes.
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
            raters: (ratings,) integers from 0, -1 where unknown; None: all unknown.
            scale: ends of the human scale; by default the judge's labels, 1..K.

        Raises:
            ValueError: shapes that do not match, or values that cannot be what they should be.
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
            groups=np.unique(group, return_inverse=True)[1].astype(np.int64),
            low=low,
            high=high,
        )

    @property
    def counts(self) -> Codes:
        """(n,) number of ratings of each cell."""
        return np.bincount(self.cells, minlength=len(self.probs)).astype(np.int64)

    @property
    def means(self) -> Floats:
        """(n,) mean human rating of each cell; nan where it has none."""
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
    def unjudged(self) -> int:
        """Number of ratings of cells that were not judged; no fit can use them."""
        return int((~self.judged)[self.cells].sum())

    @property
    def unrated(self) -> int:
        """Number of judged cells without a rating; no fit can use them."""
        return int((self.judged & (self.counts == 0)).sum())

    @property
    def whole(self) -> bool:
        """Whether every rating is a whole number, as labels are."""
        return bool((self.scores == np.round(self.scores)).all())

    def by(self, groups: ArrayLike) -> Self:
        """The same cells and ratings, held out by other groups (n,)."""
        labels = np.asarray(groups)
        if labels.shape != self.groups.shape:
            raise ValueError(f"groups must have shape {self.groups.shape}, not {labels.shape}")
        codes = np.unique(labels, return_inverse=True)[1].astype(np.int64)
        return replace(self, groups=codes)

    def take(self, keep: Mask) -> Self:
        """The cells where `keep` (n,) is true, and their ratings; groups and raters keep theirs."""
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
    """Scores of a judge that gives numbers, as distributions over 1..`labels` with that mean.

    The probability is shared by the two nearest labels, so that the expected score is the
    score. How sure the judge was is not known and not invented: this is the narrowest choice.

    Args:
        scores: any shape, within 1..labels; nan stays nan.
        labels: how many labels.

    Returns:
        The shape of `scores` and one axis more, of length `labels`.

    Raises:
        ValueError: a score off the scale.
    """
    x = np.asarray(scores, dtype=np.float64)
    if ((x < 1) | (x > labels)).any():
        raise ValueError(f"scores must lie within 1..{labels}")
    distance: Floats = np.abs(x[..., None] - np.arange(1, labels + 1))
    return np.maximum(1 - distance, 0)


def judged_rows(probs: Floats, target: int) -> Mask:
    """(n,) where the distribution of the target is there."""
    missing: Mask = np.isnan(probs[:, target, 0])
    return ~missing


def probs_iv(probs: ArrayLike) -> Floats:
    """Checked label distributions (n, metrics, labels); ValueError says what is wrong."""
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
    if scores.ndim != 1 or cells.shape != scores.shape or raters.shape != scores.shape:
        raise ValueError(
            "scores, cells and raters must be one-dimensional and of one length, not "
            f"{scores.shape}, {cells.shape} and {raters.shape}"
        )
    if groups.shape != (n,):
        raise ValueError(f"groups must have shape ({n},), not {groups.shape}")
    if not np.isfinite(scores).all():
        raise ValueError("scores must be finite: leave missing ones out and count them")
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
