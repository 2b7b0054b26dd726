"""Texts as numbered n-grams, and BLEU among them.

A text is an array of numbers, one for each token: a character or a word. No n-gram reaches from
one text into the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["FLOOR", "Grams", "number_grams", "self_bleu"]

FLOOR = 0.1
"""What a count of no matches is replaced by: smoothing method 1 of Chen and Cherry (2014)."""

Ints = NDArray[np.int64]


class Grams(NamedTuple):
    """The n-grams of some texts, one text after the other; equal n-grams have equal numbers.

    Attributes:
        ids: (n-grams,) from 0, without a gap.
        starts: (texts + 1,) where each text begins in `ids`, and the end.
    """

    ids: Ints
    starts: Ints

    @property
    def lengths(self) -> Ints:
        """(texts,) how many n-grams each text has."""
        return np.diff(self.starts)

    def of(self, texts: Ints) -> Ints:
        """The n-grams of some texts, in their order."""
        parts = [self.ids[self.starts[t] : self.starts[t + 1]] for t in texts.tolist()]
        return np.concatenate([self.ids[:0], *parts])


def number_grams(texts: Sequence[Ints], order: int) -> tuple[Grams, ...]:
    """The n-grams of n = 1, ..., `order`.

    Args:
        texts: arrays (tokens,) of numbers, equal for equal tokens.
        order: the longest n.

    Raises:
        ValueError: an order below 1.
    """
    if order < 1:
        raise ValueError(f"an n-gram has at least 1 token, not {order}")
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    tokens = np.concatenate([np.zeros(0, np.int64), *texts])
    _, single = np.unique(tokens, return_inverse=True)
    ends = np.repeat(np.cumsum(lengths), lengths)
    left = ends - np.arange(len(tokens))  # tokens from here to the end of the text
    found = []
    numbers = single.astype(np.int64)
    kinds = int(numbers.max(initial=-1)) + 1
    for n in range(1, order + 1):
        whole = np.flatnonzero(left >= n)
        if n > 1:
            # An n-gram is the (n - 1)-gram that begins it and its last token.
            code = numbers[whole] * kinds + single[whole + n - 1]
            numbers = np.zeros_like(numbers)
            numbers[whole] = np.unique(code, return_inverse=True)[1]
        counts = np.maximum(lengths - n + 1, 0)
        found.append(Grams(numbers[whole], np.concatenate([[0], np.cumsum(counts)])))
    return tuple(found)


def self_bleu(grams: Sequence[Grams], texts: Ints) -> NDArray[np.float64]:
    """BLEU of each of `texts` with all others as its references, from 0 to 1.

    After Zhu et al. (2018): the mean over the texts is their self-BLEU, high where they resemble
    each other. BLEU is that of Papineni et al. (2002) for one sentence: the geometric mean over n
    of matches_n / total_n, where an n-gram matches as often as it stands in the text, at most as
    often as in the one reference that has most of it; times exp(1 - r / c) where the text is
    shorter (c) than the reference nearest in length (r; the shorter of two as near). No match at
    n > 1 counts as `FLOOR` matches; an n for which the text is too short is left out; without a
    common token BLEU is 0. So it is sacrebleu's sentence BLEU with `smooth_method="floor"` and
    `effective_order=True`, divided by 100.

    Args:
        grams: what `number_grams` gave.
        texts: (m,) which texts, each once; none of them empty.

    Raises:
        ValueError: fewer than 2 texts, or an empty one.
    """
    if len(texts) < 2 or not grams[0].lengths[texts].all():
        raise ValueError("self-BLEU needs at least 2 texts, none of them empty")
    logs, orders = np.zeros(len(texts)), np.zeros(len(texts))
    common = np.zeros(len(texts), dtype=np.bool_)
    for of_order in grams:
        total = of_order.lengths[texts]
        matches = _matches(of_order.of(texts), np.repeat(np.arange(len(texts)), total), len(texts))
        asked = total > 0
        smoothed = np.where(matches > 0, matches, FLOOR)
        logs[asked] += np.log(smoothed[asked] / total[asked])
        orders += asked
        common |= matches > 0
    bleu: NDArray[np.float64] = _brevity(grams[0].lengths[texts]) * np.exp(logs / orders)
    return np.where(common, bleu, 0.0)


def _matches(ids: Ints, text: Ints, texts: int) -> Ints:
    """(texts,) n-grams that stand in another text too, clipped at the most of any one of them."""
    if not len(ids):
        return np.zeros(texts, np.int64)
    pairs, count = np.unique(ids * texts + text, return_counts=True)
    gram, owner = np.divmod(pairs, texts)
    order = np.lexsort((count, gram))
    gram, owner, count = gram[order], owner[order], count[order]
    # A gram's rows end with the text that has most of it: for that one, the row before is the
    # most of the others, for all others this one.
    ends = np.append(np.flatnonzero(gram[1:] != gram[:-1]), len(gram) - 1)
    others = np.repeat(count[ends], np.diff(ends, prepend=-1))
    others[ends] = np.where((ends > 0) & (gram[ends - 1] == gram[ends]), count[ends - 1], 0)
    return np.bincount(owner, np.minimum(count, others), texts).astype(np.int64)


def _brevity(lengths: Ints) -> NDArray[np.float64]:
    """(texts,) the factor for texts shorter than the reference that is nearest in length."""
    apart = np.abs(lengths[:, None] - lengths)
    rank = apart * (lengths.max() + 1) + lengths  # nearest first, of two as near the shorter
    np.fill_diagonal(rank, np.iinfo(np.int64).max)
    nearest = lengths[rank.argmin(axis=1)]
    factor: NDArray[np.float64] = np.exp(np.minimum(0.0, 1 - nearest / lengths))
    return factor
