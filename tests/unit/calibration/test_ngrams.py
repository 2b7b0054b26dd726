"""n-grams by hand, self-BLEU against sacrebleu and nltk."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from calibration.diversity import FLOOR, number_grams, self_bleu

REPLIES = [
    "别难过，我陪你去海边走走吧。",
    "别难过，先去吃一顿肉！",
    "哈哈哈哈，淋雨也痛快！",
    "哈哈",
    "没关系，我陪你。没关系的，我陪你去海边。",
    "ok",
    "别难过，我陪你去海边走走吧。",
]


def numbers(texts: Sequence[str]) -> list[np.ndarray[tuple[int], np.dtype[np.int64]]]:
    return [np.array([ord(letter) for letter in text], dtype=np.int64) for text in texts]


def bleu(texts: Sequence[str], order: int = 4) -> list[float]:
    grams = number_grams(numbers(texts), order)
    return self_bleu(grams, np.arange(len(texts))).tolist()


def test_ngrams_by_hand() -> None:
    """Abab has a b a b, ab ba ab, aba bab; no pair reaches from one text into the next."""
    one, two, three = number_grams(numbers(["abab", "b", "", "ba"]), 3)
    assert one.lengths.tolist() == [4, 1, 0, 2]
    a, b = one.ids[:2].tolist()
    assert one.ids.tolist() == [a, b, a, b, b, b, a]
    assert two.lengths.tolist() == [3, 0, 0, 1]
    ab, ba = two.ids[:2].tolist()
    assert two.ids.tolist() == [ab, ba, ab, ba]
    assert three.lengths.tolist() == [2, 0, 0, 0]
    assert len(set(three.ids.tolist())) == 2
    assert one.of(np.array([3, 0])).tolist() == [b, a, a, b, a, b]


def test_no_texts_have_no_ngrams() -> None:
    """Nothing in, nothing out, for every n."""
    assert [len(grams.ids) for grams in number_grams([], 3)] == [0, 0, 0]


def test_an_order_below_one() -> None:
    """There are no n-grams of nothing."""
    with pytest.raises(ValueError, match="at least 1 token, not 0"):
        number_grams(numbers(["a"]), 0)


def test_bleu_by_hand() -> None:
    """`aab` beside `ab` and `b`, up to pairs.

    aab: of a a b the reference ab has one a and one b, so 2/3; of aa ab one, 1/2; it is longer
    than ab, the nearest, so nothing is taken off: sqrt(2/3 * 1/2). ab: both letters and the pair
    are in aab, but of the lengths 3 and 1, equally near, the shorter counts, so nothing is taken
    off: 1. b: its letter is found, it has no pair, the nearest length is 2: exp(1 - 2/1).
    """
    assert bleu(["aab", "ab", "b"], 2) == pytest.approx([math.sqrt(1 / 3), 1, math.exp(-1)])


def test_matches_are_clipped_at_one_reference() -> None:
    """Aa beside `ab` and `ac`: each has one a, so one of two matches, and of aa none: FLOOR."""
    assert bleu(["aa", "ab", "ac"], 2)[0] == pytest.approx(math.sqrt(1 / 2 * FLOOR / 1))


def test_what_shares_nothing_has_zero() -> None:
    """Without a common letter BLEU is 0, not the floor."""
    assert bleu(["ab", "cd"]) == [0, 0]


def test_copies_resemble_each_other_fully() -> None:
    """A text beside its copy has BLEU 1."""
    assert bleu(["没关系", "没关系"]) == pytest.approx([1, 1])


def test_self_bleu_equals_sacrebleu() -> None:
    """Each text against all others, smoothed alike."""
    sacrebleu = pytest.importorskip("sacrebleu")
    metric = sacrebleu.BLEU(
        smooth_method="floor", smooth_value=FLOOR, effective_order=True, tokenize="none"
    )
    spaced = [" ".join(text) for text in REPLIES]
    expected = [
        metric.sentence_score(text, spaced[:at] + spaced[at + 1 :]).score / 100
        for at, text in enumerate(spaced)
    ]
    assert bleu(REPLIES) == pytest.approx(expected, abs=1e-12)


def test_self_bleu_equals_nltk() -> None:
    """Texts of four characters or more, where nltk leaves out no n either."""
    nltk = pytest.importorskip("nltk.translate.bleu_score")
    long = [text for text in REPLIES if len(text) >= 4]
    smoothing = nltk.SmoothingFunction(epsilon=FLOOR).method1
    expected = [
        nltk.sentence_bleu(
            [list(other) for other in long[:at] + long[at + 1 :]],
            list(text),
            smoothing_function=smoothing,
        )
        for at, text in enumerate(long)
    ]
    assert bleu(long) == pytest.approx(expected, abs=1e-12)


def test_a_choice_of_texts_is_as_if_they_were_alone() -> None:
    """Texts that were not chosen are no references, and order does not matter."""
    grams = number_grams(numbers(REPLIES), 4)
    chosen = np.array([4, 0, 2])
    assert self_bleu(grams, chosen).tolist() == bleu([REPLIES[at] for at in chosen])


@pytest.mark.parametrize("texts", [["a"], ["ab", ""]])
def test_bleu_needs_others_and_text(texts: list[str]) -> None:
    """One text has no references, an empty one no precision."""
    with pytest.raises(ValueError, match="at least 2 texts, none of them empty"):
        bleu(texts)
