"""How varied texts are, measured without a judge.

All seven measures depend on the amount of text: a text twice as long has relatively fewer new
words. So each is computed on random samples of a fixed size (the budget), several times. Where
there is less text than that, there is no value, and values at unequal budgets cannot be compared.

For n-grams, a text is an array of numbers, one for each token (a character or a word), and no
n-gram reaches from one text into the next.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from calibration.arrays import Codes, Floats

__all__ = [
    "MEASURES",
    "DiversityEstimate",
    "DiversityMeasures",
    "DiversitySettings",
    "measure_diversity",
    "self_bleu",
]

FLOOR = 0.1
"""Replaces a count of no matches in BLEU (smoothing method 1 of Chen and Cherry 2014)."""


class Grams(NamedTuple):
    """The n-grams of several texts, one text after the other; equal n-grams have equal numbers.

    Attributes:
        ids: (n-grams,) numbers from 0, without a gap.
        starts: (texts + 1,) where each text begins in `ids`, and the end of the last.
    """

    ids: Codes
    starts: Codes

    @property
    def lengths(self) -> Codes:
        """(texts,) the number of n-grams of each text."""
        return np.diff(self.starts)

    def of(self, texts: Codes) -> Codes:
        """The n-grams of the given texts, in the given order."""
        parts = [self.ids[self.starts[t] : self.starts[t + 1]] for t in texts.tolist()]
        return np.concatenate([self.ids[:0], *parts])


def number_grams(texts: Sequence[Codes], order: int) -> tuple[Grams, ...]:
    """The n-grams for n = 1, ..., `order`.

    Args:
        texts: for each text, (tokens,) numbers, equal for equal tokens.
        order: the largest n.

    Raises:
        ValueError: an order below 1.
    """
    if order < 1:
        raise ValueError(f"an n-gram has at least 1 token, not {order}")
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    tokens = np.concatenate([np.zeros(0, np.int64), *texts])
    _, single = np.unique(tokens, return_inverse=True)
    ends = np.repeat(np.cumsum(lengths), lengths)
    left = ends - np.arange(len(tokens))  # number of tokens to the end of the text
    grams = []
    numbers = single.astype(np.int64)
    kinds = int(numbers.max(initial=-1)) + 1
    for n in range(1, order + 1):
        begins = np.flatnonzero(left >= n)
        if n > 1:
            # An n-gram is its first n - 1 tokens, an (n - 1)-gram, and its last token.
            code = numbers[begins] * kinds + single[begins + n - 1]
            numbers = np.zeros_like(numbers)
            numbers[begins] = np.unique(code, return_inverse=True)[1]
        counts = np.maximum(lengths - n + 1, 0)
        grams.append(Grams(numbers[begins], np.concatenate([[0], np.cumsum(counts)])))
    return tuple(grams)


def self_bleu(grams: Sequence[Grams], texts: Codes) -> Floats:
    """(m,) BLEU of each of `texts` with all others as its references, from 0 to 1.

    The mean over the texts is their self-BLEU (Zhu et al. 2018), which is high where they resemble
    each other. BLEU is that of Papineni et al. (2002) for one sentence: the geometric mean over n
    of matches_n / total_n, where an n-gram matches as often as it occurs in the text, at most as
    often as in the reference that has most of it; times exp(1 - r / c) if the text is shorter (c)
    than the reference nearest in length (r; of two equally near, the shorter). No match at n > 1
    counts as `FLOOR` matches. An n for which the text is too short is left out. Without a common
    token BLEU is 0. This equals sacrebleu's sentence BLEU with `smooth_method="floor"` and
    `effective_order=True`, divided by 100.

    Args:
        grams: from `number_grams`.
        texts: (m,) positions of the texts, each once; none of them empty.

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
        present = total > 0
        smoothed = np.where(matches > 0, matches, FLOOR)
        logs[present] += np.log(smoothed[present] / total[present])
        orders += present
        common |= matches > 0
    bleu: Floats = _brevity(grams[0].lengths[texts]) * np.exp(logs / orders)
    return np.where(common, bleu, 0.0)


def _matches(ids: Codes, text: Codes, texts: int) -> Codes:
    """(texts,) n-grams that occur in another text too, at most as often as in any one of those."""
    if not len(ids):
        return np.zeros(texts, np.int64)
    pairs, count = np.unique(ids * texts + text, return_counts=True)
    gram, owner = np.divmod(pairs, texts)
    order = np.lexsort((count, gram))
    gram, owner, count = gram[order], owner[order], count[order]
    # The last row of an n-gram is the text that has most of it. For this text, the row before has
    # the most among the others; for all others, the last row has.
    ends = np.append(np.flatnonzero(gram[1:] != gram[:-1]), len(gram) - 1)
    others = np.repeat(count[ends], np.diff(ends, prepend=-1))
    others[ends] = np.where((ends > 0) & (gram[ends - 1] == gram[ends]), count[ends - 1], 0)
    return np.bincount(owner, np.minimum(count, others), texts).astype(np.int64)


def _brevity(lengths: Codes) -> Floats:
    """(texts,) the penalty for texts shorter than the reference nearest in length."""
    apart = np.abs(lengths[:, None] - lengths)
    rank = apart * (lengths.max() + 1) + lengths  # nearest first; of two equally near, the shorter
    np.fill_diagonal(rank, np.iinfo(np.int64).max)
    nearest = lengths[rank.argmin(axis=1)]
    factor: Floats = np.exp(np.minimum(0.0, 1 - nearest / lengths))
    return factor


MEASURES: Mapping[str, bool] = MappingProxyType(
    {
        "distinct_1": True,
        "distinct_2": True,
        "distinct_1_words": True,
        "distinct_2_words": True,
        "compression_ratio": False,
        "self_bleu": False,
        "repeated_openings": False,
    }
)
"""Each measure, and whether a higher value means more variety. See `measure_diversity`."""

NO_WORDS = "there is no word segmenter"


@dataclass(frozen=True, slots=True)
class DiversitySettings:
    """The budget of each measure, for each group of texts and each draw.

    Attributes:
        characters: number of n-grams of characters, for each n.
        words: number of n-grams of words, for each n.
        bytes: number of bytes of text in UTF-8. zlib finds repeats within 32,768 bytes.
        replies: number of texts, for self-BLEU and for openings.
        order: the longest n-gram of self-BLEU.
        opening: number of characters of an opening.
        level: of zlib's compression, 0 to 9.
        draws: number of samples of each group.
        segmenter: name of the word segmenter, "" where there is none.
        zlib: its version. Another version may find other repeats, but values are still compared.
    """

    characters: int = 4000
    words: int = 2500
    bytes: int = 12_000
    replies: int = 60
    order: int = 4
    opening: int = 4
    level: int = 9
    draws: int = 5
    segmenter: str = ""
    zlib: str = field(default=zlib.ZLIB_RUNTIME_VERSION, compare=False)


class DiversityEstimate(NamedTuple):
    """One measure of one system.

    Attributes:
        mean: over groups and draws; NaN, with a `reason`, where there is none.
        standard_error: of the mean, from its spread over groups; NaN for a single group.
        spread: standard deviation of the mean over draws; NaN for a single draw.
        reason: why there is no mean.
    """

    mean: float
    standard_error: float
    spread: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class DiversityMeasures:
    """The measures of one system and what they were computed from.

    Attributes:
        groups: number of groups of texts.
        texts: number of texts that are not blank, over all groups.
        figures: estimates by the names of `MEASURES`.
    """

    settings: DiversitySettings
    groups: int
    texts: int
    figures: Mapping[str, DiversityEstimate]


def measure_diversity(
    groups: Mapping[str, Sequence[str]],
    settings: DiversitySettings,
    rng: np.random.Generator,
    segment: Callable[[str], Sequence[str]] | None = None,
) -> DiversityMeasures:
    """Measure samples of equal size of each group of texts; means over groups and draws.

    A sample is the texts of a group in random order, up to the budget. White space is no token,
    and blank texts are left out.

    - `distinct_n`, `distinct_n_words`: share of distinct n-grams among as many as the budget
      allows, n = 1, 2 (after Li et al. 2016, whose denominator is the number of tokens).
    - `compression_ratio`: bytes before over bytes after zlib (after Shaib et al. 2024).
    - `self_bleu`: mean BLEU over characters of each text against the others (Zhu et al. 2018); see
      `self_bleu`.
    - `repeated_openings`: share of texts whose first characters begin another text too. A text
      that is shorter is an opening itself.

    Args:
        groups: name -> texts; for instance the replies of one system as each of its characters.
        settings: the budgets; `segmenter` is the name of `segment`.
        rng: draws `draws` orders of each group. Equal generators draw equal positions from groups
            of equal sizes, so that systems are compared on the same scenarios.
        segment: text -> words. Without it words are not measured.

    Raises:
        ValueError: no groups, a setting is too small, or a segmenter has no name.
    """
    _measure_diversity_iv(groups, settings, segment)
    names = list(MEASURES)
    values = np.full((len(groups), settings.draws, len(names)), np.nan)
    short: dict[str, list[str]] = {name: [] for name in names}
    texts = 0
    streams = zip(groups.items(), rng.spawn(len(groups)), strict=True)
    for row, ((group, of_group), stream) in enumerate(streams):
        sample = _Sample([text.strip() for text in of_group if text.strip()], settings, segment)
        texts += len(sample.texts)
        missing = sample.missing()
        for name, reason in missing.items():
            short[name].append(reason if reason == NO_WORDS else f"{group}: {reason}")
        orders = [stream.permutation(len(sample.texts)) for _ in range(settings.draws)]
        for column, name in enumerate(names):
            if name not in missing:
                values[row, :, column] = [sample.measure(name, order) for order in orders]
    figures = {
        name: _figure(values[:, :, column], short[name]) for column, name in enumerate(names)
    }
    return DiversityMeasures(settings, len(groups), texts, figures)


def _measure_diversity_iv(
    groups: Mapping[str, Sequence[str]],
    settings: DiversitySettings,
    segment: Callable[[str], Sequence[str]] | None,
) -> None:
    if not groups:
        raise ValueError("there are no groups of texts")
    least = {"replies": 2, "level": 0}
    for name in ("characters", "words", "bytes", "replies", "order", "opening", "level", "draws"):
        if getattr(settings, name) < least.get(name, 1):
            raise ValueError(
                f"{name} must be at least {least.get(name, 1)}, not {getattr(settings, name)}"
            )
    if settings.level > 9:
        raise ValueError(f"level must be at most 9, not {settings.level}")
    if (segment is None) != (not settings.segmenter):
        raise ValueError("settings.segmenter names the segmenter, and is blank without one")


class _Sample:
    """The texts of one group, prepared so that samples in any order are cheap to measure."""

    def __init__(
        self,
        texts: Sequence[str],
        settings: DiversitySettings,
        segment: Callable[[str], Sequence[str]] | None,
    ) -> None:
        self.texts = texts
        self.settings = settings
        dense = ["".join(text.split()) for text in texts]
        self.characters = number_grams([_numbers(text) for text in dense], max(2, settings.order))
        self.words: tuple[Grams, ...] = ()
        if segment is not None:
            number: dict[str, int] = {}
            words = [[word for word in segment(text) if word.strip()] for text in texts]
            numbered = [[number.setdefault(word, len(number)) for word in of] for of in words]
            self.words = number_grams([np.array(of, dtype=np.int64) for of in numbered], 2)
        self.encoded = [f"{text}\n".encode() for text in texts]
        openings = [text[: settings.opening] for text in dense]
        self.openings = np.unique(openings, return_inverse=True)[1] if openings else _numbers("")

    def missing(self) -> dict[str, str]:
        """The measures for which there is too little text -> the reason."""
        s = self.settings
        replies = (len(self.texts), s.replies, "replies")
        needs = {
            "distinct_1": (len(self.characters[0].ids), s.characters, "characters"),
            "distinct_2": (len(self.characters[1].ids), s.characters, "pairs of characters"),
            "compression_ratio": (sum(map(len, self.encoded)), s.bytes, "bytes"),
            "self_bleu": replies,
            "repeated_openings": replies,
        }
        if self.words:
            needs["distinct_1_words"] = (len(self.words[0].ids), s.words, "words")
            needs["distinct_2_words"] = (len(self.words[1].ids), s.words, "pairs of words")
        too_short = {
            name: f"only {have:,} of {need:,} {unit}"
            for name, (have, need, unit) in needs.items()
            if have < need
        }
        return too_short | {name: NO_WORDS for name in MEASURES if name not in needs}

    def measure(self, name: str, order: Codes) -> float:
        """One measure of the texts taken in this order up to the budget."""
        s = self.settings
        match name:
            case "distinct_1":
                return _distinct(self.characters[0], order, s.characters)
            case "distinct_2":
                return _distinct(self.characters[1], order, s.characters)
            case "distinct_1_words":
                return _distinct(self.words[0], order, s.words)
            case "distinct_2_words":
                return _distinct(self.words[1], order, s.words)
            case "compression_ratio":
                data = b"".join(self.encoded[text] for text in order)[: s.bytes]
                return len(data) / len(zlib.compress(data, s.level))
            case "self_bleu":
                return float(self_bleu(self.characters[: s.order], order[: s.replies]).mean())
            case _:
                used = np.bincount(self.openings[order[: s.replies]])
                return float(used[used > 1].sum()) / s.replies


def _numbers(text: str) -> Codes:
    return np.frombuffer(text.encode("utf-32-le"), np.uint32).astype(np.int64)


def _distinct(grams: Grams, order: Codes, budget: int) -> float:
    enough = int(np.searchsorted(np.cumsum(grams.lengths[order]), budget)) + 1
    return len(np.unique(grams.of(order[:enough])[:budget])) / budget


def _figure(values: Floats, short: Sequence[str]) -> DiversityEstimate:
    """The estimate from (groups, draws) values; `short` holds the reasons why there are none."""
    nan = math.nan
    if short:
        reason = short[0] if len(short) == 1 else f"{short[0]}, and {len(short) - 1} more groups"
        return DiversityEstimate(nan, nan, nan, NO_WORDS if NO_WORDS in short else reason)
    groups, draws = values.shape
    error = values.mean(axis=1).std(ddof=1) / math.sqrt(groups) if groups > 1 else nan
    spread = values.mean(axis=0).std(ddof=1) if draws > 1 else nan
    return DiversityEstimate(float(values.mean()), float(error), float(spread))
