"""Self-BLEU and n-grams against slow, plain definitions, over texts that Hypothesis makes up."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.diversity import FLOOR, number_grams, self_bleu

TEXTS = st.lists(st.text("abc", max_size=12), min_size=1, max_size=8)


def numbers(text: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array([ord(letter) for letter in text], dtype=np.int64)


@given(TEXTS)
def test_equal_numbers_are_equal_ngrams(texts: list[str]) -> None:
    """Numbers count as the n-grams themselves do, text by text."""
    for n, grams in enumerate(number_grams([numbers(text) for text in texts], 4), start=1):
        spelt = [[text[at : at + n] for at in range(len(text) - n + 1)] for text in texts]
        flat = [gram for of in spelt for gram in of]
        assert grams.lengths.tolist() == [len(of) for of in spelt]
        assert len(set(zip(flat, grams.ids.tolist(), strict=True))) == len(set(flat))
        assert set(grams.ids.tolist()) == set(range(len(set(flat))))
        assert Counter(Counter(grams.ids.tolist()).values()) == Counter(Counter(flat).values())
        assert all(start <= end for start, end in pairwise(grams.starts.tolist()))


@given(st.lists(st.text("abc", min_size=1, max_size=12), min_size=2, max_size=8))
def test_self_bleu_equals_sacrebleu(texts: list[str]) -> None:
    """Whatever the texts: too short for some n, without a match, or all alike."""
    sacrebleu = pytest.importorskip("sacrebleu")
    metric = sacrebleu.BLEU(
        smooth_method="floor", smooth_value=FLOOR, effective_order=True, tokenize="none"
    )
    spaced = [" ".join(text) for text in texts]
    expected = [
        metric.sentence_score(text, spaced[:at] + spaced[at + 1 :]).score / 100
        for at, text in enumerate(spaced)
    ]
    grams = number_grams([numbers(text) for text in texts], 4)
    found = self_bleu(grams, np.arange(len(texts)))
    assert found.tolist() == pytest.approx(expected, abs=1e-12)
    assert ((found >= 0) & (found <= 1 + 1e-12)).all()
