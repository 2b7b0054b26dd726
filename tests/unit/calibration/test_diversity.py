"""The measures of diversity: by hand, by the standard library, by what must not matter."""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from calibration.diversity import (
    MEASURES,
    DiversityEstimate,
    DiversityMeasures,
    DiversitySettings,
    measure_diversity,
)

SMALL = DiversitySettings(
    characters=4, words=2, bytes=5, replies=2, order=2, opening=2, level=9, draws=1
)
WORDS = replace(SMALL, segmenter="blanks")


def measured(
    texts: Sequence[str],
    settings: DiversitySettings = SMALL,
    seed: int = 0,
    **groups: Sequence[str],
) -> DiversityMeasures:
    cut = str.split if settings.segmenter else None
    return measure_diversity(
        {"one": texts, **groups}, settings, np.random.default_rng(seed), segment=cut
    )


def mean(found: DiversityMeasures, name: str) -> float:
    return found.figures[name].mean


def test_distinct_by_hand() -> None:
    """abab: of 4 letters 2 differ. Its 3 pairs are ab ba ab, and one more is needed from abab."""
    assert mean(measured(["abab"]), "distinct_1") == 2 / 4
    assert mean(measured(["abab", "abab"]), "distinct_2") == 2 / 4
    assert mean(measured(["abcd"]), "distinct_1") == 1


def test_words_by_hand() -> None:
    """`go go on on`: the words of any 2 in a row are go go; of 2 pairs, go go and go on."""
    found = measured(["go go on on"], WORDS)
    assert mean(found, "distinct_1_words") == 1 / 2
    assert mean(found, "distinct_2_words") == 1
    assert found.settings.segmenter == "blanks"


def test_without_a_segmenter_words_have_no_figure() -> None:
    """The other measures remain."""
    figures = measured(["abcdef", "abcdef"]).figures
    missing = {name for name, figure in figures.items() if math.isnan(figure.mean)}
    assert missing == {"distinct_1_words", "distinct_2_words"}
    assert {figures[name].reason for name in missing} == {"there is no word segmenter"}


def test_compression_is_that_of_zlib() -> None:
    """The bytes of the sample over what the standard library packs them into."""
    text = "别难过，我陪你。" * 20
    settings = replace(SMALL, bytes=300)
    data = text.encode()[:300]
    assert mean(measured([text], settings), "compression_ratio") == 300 / len(
        zlib.compress(data, 9)
    )
    # gzip packs the same way with a header of its own.
    packed = len(gzip.compress(data, 9)) - 18 + 6
    assert mean(measured([text], settings), "compression_ratio") == 300 / packed


def test_openings_by_hand() -> None:
    """Of ab, ab, ab, cd two openings differ: 3 of 4 texts share theirs. A text may be shorter."""
    settings = replace(SMALL, replies=4)
    texts = ["abx", "aby", "a bz", "cd"]
    assert mean(measured(texts, settings), "repeated_openings") == 3 / 4
    assert mean(measured(["a", "a", "ab", "b"], settings), "repeated_openings") == 2 / 4
    assert mean(measured(["ab", "cd", "ef", "gh"], settings), "repeated_openings") == 0


def test_self_bleu_is_over_the_sample() -> None:
    """Copies have 1; what has no letter in common has 0; white space is no token."""
    assert mean(measured(["abc", "a b\nc"]), "self_bleu") == pytest.approx(1)
    assert mean(measured(["abc", "def"]), "self_bleu") == 0


def test_too_little_text_is_no_number() -> None:
    """Each measure says what it lacks; blank texts are none."""
    found = measured(["ab", " \n"])
    assert found.texts == 1
    assert {name: found.figures[name].reason for name in MEASURES if "words" not in name} == {
        "distinct_1": "one: only 2 of 4 characters",
        "distinct_2": "one: only 1 of 4 pairs of characters",
        "compression_ratio": "one: only 3 of 5 bytes",
        "self_bleu": "one: only 1 of 2 replies",
        "repeated_openings": "one: only 1 of 2 replies",
    }
    assert all(math.isnan(value) for figure in found.figures.values() for value in figure[:3])


def test_one_group_short_leaves_no_mean() -> None:
    """A mean over other characters than the next system's would not compare."""
    found = measured(["abcdefgh"], two=["ab"], three=["a"])
    assert found.figures["distinct_1"].reason == "two: only 2 of 4 characters, and 1 more groups"
    assert math.isnan(mean(found, "distinct_1"))


def test_no_text_at_all() -> None:
    """Groups without texts have reasons, not errors."""
    found = measured([])
    assert (found.texts, found.groups) == (0, 1)
    assert found.figures["distinct_2"].reason == "one: only 0 of 4 pairs of characters"


def test_mean_and_errors_by_hand() -> None:
    """Groups of 1/2 and 1: mean 3/4, standard error (1/2) / sqrt(2) / sqrt(2), no spread."""
    settings = replace(SMALL, draws=3)
    figure = measured(["abab"], settings, two=["abcd"]).figures["distinct_1"]
    assert figure == DiversityEstimate(0.75, pytest.approx(0.25), 0.0)
    alone = measured(["abab"]).figures["distinct_1"]
    assert alone.mean == 0.5
    assert math.isnan(alone.standard_error)
    assert math.isnan(alone.spread)


def test_spread_is_of_the_draws() -> None:
    """Aaaa and abcd, one of them a draw: figures of 1/4 and 1, of binomial spread."""
    settings = replace(SMALL, draws=4000)
    figure = measured(["aaaa", "abcd"], settings).figures["distinct_1"]
    assert figure.mean == pytest.approx((1 / 4 + 1) / 2, abs=0.03)
    assert figure.spread == pytest.approx(3 / 8, abs=0.01)


def test_budgets_hide_length() -> None:
    """Twice as many texts of one kind measure the same; without a budget they would not."""
    rng = np.random.default_rng(3)
    letters = [chr(0x4E00 + n) for n in range(500)]
    weights = 1 / np.arange(1, 501)
    weights /= weights.sum()

    def texts(n: int) -> list[str]:
        return ["".join(rng.choice(letters, 50, p=weights)) for _ in range(n)]

    settings = DiversitySettings(characters=2000, bytes=6000, replies=40, draws=20)
    few, many = (measured(texts(n), settings) for n in (300, 600))
    for name in ("distinct_1", "distinct_2", "compression_ratio", "self_bleu"):
        assert mean(few, name) == pytest.approx(mean(many, name), rel=0.05), name
    whole = [measured(texts(n), replace(settings, characters=50 * n)) for n in (40, 400)]
    assert mean(whole[0], "distinct_1") > 1.5 * mean(whole[1], "distinct_1")


def test_repetition_lowers_variety_in_every_measure() -> None:
    """Texts that are half one sentence are less varied than texts that are not."""
    rng = np.random.default_rng(7)
    fresh = [
        "".join(chr(0x4E00 + n) for n in rng.integers(0, 400, 40).tolist()) for _ in range(100)
    ]
    stale = [f"别难过，我陪你去海边走走吧。你想先吃点什么？{text[:20]}" for text in fresh]
    settings = DiversitySettings(characters=2000, bytes=6000, replies=50)
    varied, alike = measured(fresh, settings), measured(stale, settings)
    for name, higher in MEASURES.items():
        if "words" not in name:
            assert (mean(varied, name) > mean(alike, name)) == higher, name


def test_the_same_generator_the_same_figures() -> None:
    """A seed decides everything; another draws other samples."""
    rng = np.random.default_rng(1)
    texts = ["".join(chr(97 + n) for n in rng.integers(0, 26, 30).tolist()) for _ in range(30)]
    settings = DiversitySettings(characters=100, bytes=100, replies=5)
    assert (
        measured(texts, settings).figures["distinct_2"]
        == (measured(texts, settings).figures["distinct_2"])
    )
    assert measured(texts, settings, seed=1).figures != measured(texts, settings).figures


def test_equal_places_are_drawn_from_equal_groups() -> None:
    """Two systems of equal sizes are compared on the same scenarios, whatever they say."""
    first, second, third = (["aa"] * 20, ["zz"] * 20, ["aa"] * 20)
    first[7], second[7], third[8] = "ab", "xy", "ab"
    settings = replace(SMALL, characters=2)
    one, two, three = (
        [mean(measured(texts, settings, seed), "distinct_1") for seed in range(60)]
        for texts in (first, second, third)
    )
    assert one == two
    assert one != three
    assert set(one) == {0.5, 1}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"characters": 0}, "characters must be at least 1, not 0"),
        ({"words": 0}, "words must be at least 1"),
        ({"bytes": 0}, "bytes must be at least 1"),
        ({"replies": 1}, "replies must be at least 2, not 1"),
        ({"order": 0}, "order must be at least 1"),
        ({"opening": 0}, "opening must be at least 1"),
        ({"draws": 0}, "draws must be at least 1"),
        ({"level": -1}, "level must be at least 0"),
        ({"level": 10}, "level must be at most 9, not 10"),
        ({"segmenter": "x"}, "names the segmenter"),
    ],
)
def test_settings_that_cannot_be(changes: dict[str, int], message: str) -> None:
    """Each is named."""
    with pytest.raises(ValueError, match=message):
        measure_diversity({"one": ["ab"]}, replace(SMALL, **changes), np.random.default_rng(0))


def test_no_groups() -> None:
    """There is nothing to measure."""
    with pytest.raises(ValueError, match="no groups"):
        measure_diversity({}, SMALL, np.random.default_rng(0))
