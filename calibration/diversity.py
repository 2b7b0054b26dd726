"""How varied texts are, without a judge: seven measures, each at a budget that is equal for all.

Every one of them changes with how much text it sees: twice the text holds fewer new words. So each
is taken from a sample of fixed size, drawn at random, several times. Where there is less text than
that there is no figure, and figures at unequal budgets are refused.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "FLOOR",
    "MEASURES",
    "DiversityEstimate",
    "DiversityMeasures",
    "DiversitySettings",
    "Grams",
    "measure_diversity",
    "number_grams",
    "refuse_unequal",
    "self_bleu",
]

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
"""Each measure, and whether a higher figure means more variety. See `measure_diversity`."""

NO_WORDS = "there is no word segmenter"

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class DiversitySettings:
    """How much text each measure sees, in each group of texts and each draw.

    Attributes:
        characters: n-grams of characters, for each n.
        words: n-grams of words, for each n.
        bytes: of text in UTF-8. zlib sees repeats over 32,768 bytes, not more.
        replies: texts, for self-BLEU and for openings.
        order: the longest n-gram of self-BLEU.
        opening: characters that an opening has.
        level: of zlib.
        draws: samples of each group.
        segmenter: what told words apart, "" where nothing did.
        zlib: the version at work. Another one may find other repeats; that alone is no reason
            to refuse a comparison.
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
        mean: over groups and draws; nan, with a `reason`, where there is none.
        standard_error: how much the mean would vary with other groups; nan for a single one.
        spread: standard deviation of the mean from draw to draw; nan for a single draw.
        reason: why there is no mean.
    """

    mean: float
    standard_error: float
    spread: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class DiversityMeasures:
    """The measures of one system and all that they hang on, but for the Generator.

    Attributes:
        settings: with the budgets.
        groups: how many groups of texts.
        texts: how many texts that are not blank, over all groups.
        figures: by the names of `MEASURES`.
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
    """Measure each group of texts in samples of equal size; means over groups and draws.

    A sample is the texts of a group in random order, cut off where the budget is reached. White
    space is no token, and blank texts are left out.

    - `distinct_n`, `distinct_n_words`: share of different n-grams among as many as the budget
      allows, n = 1, 2 (after Li et al. 2016, whose denominator is the number of tokens).
    - `compression_ratio`: bytes before over bytes after zlib (after Shaib et al. 2024).
    - `self_bleu`: mean BLEU over characters of each text against the others (Zhu et al. 2018); see
      `ngrams.self_bleu`.
    - `repeated_openings`: share of texts whose first characters begin another one too. A shorter
      text is an opening as a whole.

    Args:
        groups: name -> texts; for instance the replies of one system as each of its characters.
        settings: the budgets; `segmenter` names `segment`.
        rng: draws an order of each group `draws` times. Equal generators draw equal places from
            groups of equal sizes, so that systems are compared on the same scenarios.
        segment: text -> words. Without it words are not measured.

    Raises:
        ValueError: no groups, a setting below its least, or a segmenter without a name.
    """
    _measure_diversity_iv(groups, settings, segment)
    names = list(MEASURES)
    values = np.full((len(groups), settings.draws, len(names)), np.nan)
    short: dict[str, list[str]] = {name: [] for name in names}
    texts = 0
    streams = zip(groups.items(), rng.spawn(len(groups)), strict=True)
    for at, ((group, many), stream) in enumerate(streams):
        sample = _Sample([text.strip() for text in many if text.strip()], settings, segment)
        texts += len(sample.texts)
        wanting = sample.wanting()
        for name, lack in wanting.items():
            short[name].append(lack if lack == NO_WORDS else f"{group}: {lack}")
        orders = [stream.permutation(len(sample.texts)) for _ in range(settings.draws)]
        for column, name in enumerate(names):
            if name not in wanting:
                values[at, :, column] = [sample.measure(name, order) for order in orders]
    figures = {
        name: _figure(values[:, :, column], short[name]) for column, name in enumerate(names)
    }
    return DiversityMeasures(settings, len(groups), texts, figures)


def refuse_unequal(settings: Iterable[DiversitySettings]) -> None:
    """Refuse to compare figures that were not taken in one way.

    Raises:
        ValueError: two settings differ, by more than the version of zlib.
    """
    known = list(settings)
    for name in (f.name for f in fields(DiversitySettings) if f.compare):
        found = dict.fromkeys(getattr(one, name) for one in known)
        if len(found) > 1:
            values = " and ".join(str(value) or "none" for value in found)
            raise ValueError(f"figures at unequal budgets do not compare: {name} {values}")


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
    """The texts of one group, made ready for any order of them."""

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

    def wanting(self) -> dict[str, str]:
        """Measure -> why there is too little text for it."""
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
        lacks = {
            name: f"only {have:,} of {need:,} {unit}"
            for name, (have, need, unit) in needs.items()
            if have < need
        }
        return lacks | {name: NO_WORDS for name in MEASURES if name not in needs}

    def measure(self, name: str, order: Ints) -> float:
        """One measure of the sample that begins the texts in this order."""
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


def _numbers(text: str) -> Ints:
    return np.frombuffer(text.encode("utf-32-le"), np.uint32).astype(np.int64)


def _distinct(grams: Grams, order: Ints, budget: int) -> float:
    enough = int(np.searchsorted(np.cumsum(grams.lengths[order]), budget)) + 1
    return len(np.unique(grams.of(order[:enough])[:budget])) / budget


def _figure(values: Floats, short: Sequence[str]) -> DiversityEstimate:
    """Of (groups, draws) values, where no group falls short."""
    nan = math.nan
    if short:
        reason = short[0] if len(short) == 1 else f"{short[0]}, and {len(short) - 1} more groups"
        return DiversityEstimate(nan, nan, nan, NO_WORDS if NO_WORDS in short else reason)
    groups, draws = values.shape
    error = values.mean(axis=1).std(ddof=1) / math.sqrt(groups) if groups > 1 else nan
    spread = values.mean(axis=0).std(ddof=1) if draws > 1 else nan
    return DiversityEstimate(float(values.mean()), float(error), float(spread))
