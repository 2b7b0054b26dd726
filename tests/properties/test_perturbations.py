"""Laws of perturbations, for any reply."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import groupby

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from judge.perturbations import MARKERS, PERTURBATIONS, Pool, sentences
from judge.types import Character, Dialogue, Turn

# Own and foreign words have no character in common, so that none can arise where two meet.
PEOPLE = {
    "阿岚": Character(
        "阿岚",
        known=True,
        work={"zh": "远航"},
        terms=("白鲸", "白鲸号", "石灯塔"),
        catchphrases=("扬帆吧", "哈哈哈"),
    ),
    "小满": Character(
        "小满",
        known=True,
        work={"zh": "面包店"},
        terms=("酵母", "麦子巷"),
        catchphrases=("热乎乎", "出炉"),
    ),
}
DONORS = [
    Dialogue("甲", character, scenario, (Turn("?", "面包出炉了。"), Turn("?", "雨停了！走吧。")))
    for character, scenario in (("阿岚", "2"), ("小满", "1"))
]
POOL = Pool(DONORS, PEOPLE)
CUTS = ["cut_comfort", "cut_story", "cut_advice", "cut_rest"]
WORDS = ["neutral_terms", "foreign_terms", "neutral_speech", "foreign_speech"]
# What a perturbation takes a share of, by the end of its name.
TAKEN = {
    "comfort": "我懂",
    "story": "小时候",
    "advice": "可以",
    "rest": "海浪",
    "terms": "白鲸号",
    "speech": "扬帆吧",
    "first": "我喜欢",
}
HALF_A_LEVEL = Fraction(1, 8)

# Marks, words and ends of sentences between characters of every kind, but for those by which a
# denial is told: so each denial has one 不 more than what it denies.
pieces = st.one_of(
    st.sampled_from(
        ["我懂", "小时候", "可以", "白鲸号", "扬帆吧", "哈哈哈", "喜欢", "。", "！", "…", "\n"]
    ),
    st.characters(codec="utf-8", exclude_characters="不没有会能是要"),
)
replies = st.lists(pieces, min_size=1, max_size=15).map("".join)
seeds = st.integers(0, 2**32 - 1)
levels = st.integers(1, 4)
modest = settings(max_examples=50)
few = settings(max_examples=25)  # for each of many perturbations


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def dialogue(*answers: str) -> Dialogue:
    return Dialogue("甲", "阿岚", "1", tuple(Turn(f"问题{k}", a) for k, a in enumerate(answers)))


def perturbed(name: str, level: int, seed: int, *answers: str) -> list[str]:
    """The replies after a perturbation; unchanged where it cannot be applied."""
    good = dialogue(*answers)
    worse = PERTURBATIONS[name](good, level, POOL, rng(seed)) or good
    return [turn.answer for turn in worse.turns]


def near(name: str, level: int, of: int) -> set[int]:
    """The numbers of `of` things that are within half a level of the share."""
    share = Fraction(level, PERTURBATIONS[name].max_level)
    return {k for k in range(1, of + 1) if abs(Fraction(k, of) - share) <= HALF_A_LEVEL}


@modest
@given(st.text())
def test_sentences_are_the_reply(text: str) -> None:
    """Joined they are the text, none is empty, and punctuation is only at their ends."""
    parts = sentences(text)
    assert "".join(parts) == text
    ends = "。！？!?…～~\n"
    for k, part in enumerate(parts):
        assert part
        body = part.rstrip(ends)
        assert not set(body) & set(ends)
        assert part != body or k == len(parts) - 1


@pytest.mark.parametrize("name", PERTURBATIONS)
@few
@given(levels, replies, replies, seeds)
@example(4, "我懂。", " ", 0)
def test_only_replies_change(name: str, level: int, first: str, second: str, seed: int) -> None:
    """Questions and names stay, a reply differs, none is blank, and a seed repeats the result.

    A dialogue with a blank reply is not perturbed.
    """
    level = min(level, PERTURBATIONS[name].max_level)
    good = dialogue(first, second)
    worse, again = (PERTURBATIONS[name](good, level, POOL, rng(seed)) for _ in range(2))
    assert worse == again
    if worse is not None:
        assert first.strip()
        assert second.strip()
        assert worse.id == good.id
        assert [t.question for t in worse.turns] == [t.question for t in good.turns]
        assert all(turn.answer.strip() for turn in worse.turns)
        assert worse.turns != good.turns


# Levels


@pytest.mark.parametrize("name", [*CUTS, *WORDS, "deny_first"])
@few
@given(replies, replies, seeds)
@example("我懂你。小时候可以。白鲸号来。扬帆吧来。我喜欢白鲸号。" * 4, "我懂。扬帆吧！" * 4, 0)
@example("…我懂。我懂。我懂。我懂。鱼", "鱼", 0)
@example("扬扬帆吧帆吧白白鲸号鲸号", "哈哈哈哈哈哈哈白鲸白鲸号", 0)
def test_no_text_is_two_levels(name: str, first: str, second: str, seed: int) -> None:
    """The result of one level of a perturbation is never the result of another level.

    The number of sentences or words removed, or of denials added, tells the level.
    """
    seen: dict[tuple[Turn, ...], int] = {}
    for level in range(1, PERTURBATIONS[name].max_level + 1):
        for k in range(3):
            worse = PERTURBATIONS[name](dialogue(first, second), level, POOL, rng(seed + k))
            if worse is not None:
                assert seen.setdefault(worse.turns, level) == level


@pytest.mark.parametrize("name", [*CUTS, *WORDS, "deny_first"])
@few
@given(st.integers(1, 24), levels, seeds)
@example(3, 2, 0)  # neither 1 nor 2 of 3 is near a half
@example(5, 3, 0)  # 3.75 of 5
def test_the_share_is_near_or_nothing(name: str, of: int, level: int, seed: int) -> None:
    """A share of n things is right to half a level; None just where no number is so near."""
    level = min(level, PERTURBATIONS[name].max_level)
    kind = name.rsplit("_", maxsplit=1)[-1]
    other = "我懂。" if kind == "rest" else "好。"
    first = "".join(f"{TAKEN[kind]}第{k}回。" for k in range(of)) + other
    worse = PERTURBATIONS[name](dialogue(first, other * 30), level, POOL, rng(seed))
    expected = near(name, level, of)
    assert (worse is None) == (not expected)
    if worse is not None:
        before, after = (turn.answer for turn in worse.turns)
        gone = of - before.count(TAKEN[kind])
        assert (after.count("我不喜欢") if kind == "first" else gone) in expected


@pytest.mark.parametrize("name", ["off_topic", "second_from_other", "other_character"])
@few
@given(st.integers(1, 12), st.integers(1, 12), levels, seeds)
def test_the_foreign_share_is_near(name: str, one: int, two: int, level: int, seed: int) -> None:
    """The own sentences that are gone are the share of those at stake, to half a level.

    `second_from_other` has one reply at stake: None just where no number is near.
    """
    own = [[f"海浪{r}{k}。" for k in range(n)] for r, n in enumerate((one, two))]
    good = dialogue(*map("".join, own))
    long = tuple(Turn("?", "".join(f"面包{r}{k}。" for k in range(12))) for r in range(2))
    donors = [
        Dialogue("甲", "阿岚", "2", long),
        Dialogue("甲", "小满", "1", long),
    ]
    worse = PERTURBATIONS[name](good, level, Pool(donors, PEOPLE), rng(seed))
    at_stake = two if name == "second_from_other" else one + two
    if name == "second_from_other":
        assert (worse is None) == (not near(name, level, at_stake))
    if worse is None:
        assert level < 4
        return
    left = [[s for s in sentences(turn.answer) if "海浪" in s] for turn in worse.turns]
    assert name != "second_from_other" or left[0] == own[0]
    assert one + two - sum(map(len, left)) in near(name, level, at_stake)


@pytest.mark.parametrize("name", ["cold", "assistant_voice"])
@modest
@given(replies, replies, levels, seeds)
@example("浪。浪。", "花。花", 3, 0)
@example("浪。浪。", "花。花", 4, 0)
def test_a_level_is_a_line(name: str, first: str, second: str, level: int, seed: int) -> None:
    """Level L replaces L sentences by L different lines, if there are more than L sentences."""
    before = [s for text in (first, second) for s in sentences(text)]
    worse = PERTURBATIONS[name](dialogue(first, second), level, POOL, rng(seed))
    blank = not (first.strip() and second.strip())
    assert (worse is None) == (blank or len(before) <= level)
    if worse is not None:
        after = [s for turn in worse.turns for s in sentences(turn.answer)]
        lines = [new for old, new in zip(before, after, strict=True) if new != old]
        assert len(lines) == len(set(lines)) == level


# Characters


@modest
@given(replies, levels, seeds)
def test_swapping_keeps_every_character(text: str, level: int, seed: int) -> None:
    """The multiset of characters is the same."""
    (after,) = perturbed("swap_characters", level, seed, text)
    assert Counter(after) == Counter(text)


@modest
@given(replies, levels, seeds)
def test_doubling_only_repeats(text: str, level: int, seed: int) -> None:
    """Runs of equal characters keep their order and become at most twice as long."""
    (after,) = perturbed("double_characters", level, seed, text)
    short, long = ([(c, len(list(run))) for c, run in groupby(t)] for t in (text, after))
    assert [c for c, _ in short] == [c for c, _ in long]
    assert all(n <= m <= 2 * n for (_, n), (_, m) in zip(short, long, strict=True))


@modest
@given(replies, levels, seeds)
def test_dropping_only_removes(text: str, level: int, seed: int) -> None:
    """What is left is a subsequence, or 嗯。 if nothing is left."""
    (after,) = perturbed("drop_characters", level, seed, text)
    rest = iter(text)
    assert after == "嗯。" or all(c in rest for c in after)


# Words

vocabulary = st.lists(st.text("甲乙丙", min_size=1, max_size=3), max_size=4).map(tuple)


@modest
@given(st.lists(st.tuples(vocabulary, st.sampled_from(["一", "二"])), min_size=1, max_size=4))
@example([(("甲乙",), "一"), (("甲", "甲乙丙", "乙甲"), "二"), (("丙",), "一")])
def test_foreign_words_touch_no_own_word(cast: list[tuple[tuple[str, ...], str]]) -> None:
    """Every word of another work is foreign, unless it and an own word hold one another."""
    people = {
        str(k): Character(str(k), work={"zh": work}, terms=words)
        for k, (words, work) in enumerate(cast)
    }
    own, mine = cast[0]
    foreign = set(Pool([], people).foreign_words("0", "terms"))
    elsewhere = {word for words, work in cast[1:] if work != mine for word in words}
    assert foreign <= elsewhere
    for word in elsewhere:
        assert (word in foreign) == (not any(word in o or o in word for o in own))


# Cuts


@pytest.mark.parametrize("name", CUTS)
@few
@given(
    st.lists(st.booleans(), min_size=1, max_size=8),
    st.lists(st.booleans(), min_size=1, max_size=8),
    levels,
    seeds,
)
@example([True] * 3 + [False], [True] * 2 + [False], 3, 0)  # 3.75 of 5
@example([True] * 3, [False], 4, 0)  # the first reply would be blank
def test_a_cut_takes_its_share(
    name: str, first: list[bool], second: list[bool], level: int, seed: int
) -> None:
    """The sentences that a cut is not about stay, in their order, and so does a part of each reply.

    None where no number is near the share, or where a reply has nothing else to leave.
    """
    about = [TAKEN[name.rsplit("_", maxsplit=1)[-1]], "我懂" if name == "cut_rest" else "海浪"]
    parts = [
        [f"{about[not mine]}第{number}段{k}。" for k, mine in enumerate(marks)]
        for number, marks in enumerate((first, second))
    ]
    level = min(level, PERTURBATIONS[name].max_level)
    good = dialogue(*map("".join, parts))
    worse = PERTURBATIONS[name](good, level, POOL, rng(seed))
    expected = near(name, level, sum(first) + sum(second))
    if worse is None:
        assert not expected or all(first) or all(second)
        return
    left = [sentences(turn.answer) for turn in worse.turns]
    gone = {s for part in parts for s in part} - {s for part in left for s in part}
    assert left == [[s for s in part if s not in gone] for part in parts]
    assert all(left)
    assert all(s.startswith(about[0]) for s in gone)
    assert len(gone) in expected


@modest
@given(replies, replies, seeds)
@example("我懂。小时候。可以。鱼。", "我懂。小时候。可以。鱼。", 0)
def test_a_full_cut_leaves_no_mark(first: str, second: str, seed: int) -> None:
    """At the highest level no sentence with a mark is left."""
    for name, metric in (
        ("cut_comfort", "emotional_value"),
        ("cut_story", "experience_sharing"),
        ("cut_advice", "demand_matching"),
    ):
        worse = PERTURBATIONS[name](dialogue(first, second), 4, POOL, rng(seed))
        if worse is not None:
            assert not any(MARKERS[metric].search(turn.answer) for turn in worse.turns)
