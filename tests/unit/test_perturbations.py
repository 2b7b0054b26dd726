"""Perturbations: what each may change, how much it changes, and where it does not apply."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from itertools import pairwise
from math import sqrt
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

from judge.dialogues import read_dialogues
from judge.perturbations import MARKERS, PERTURBATIONS, Perturbation, Pool, has_words, sentences
from judge.rubric import load_rubric
from judge.types import Character, Dialogue, Turn

PEOPLE = {
    "阿岚": Character(
        "阿岚",
        known=True,
        work={"zh": "远航"},
        terms=("白鲸", "白鲸号", "风暴角", "石灯塔", "老船长"),
        catchphrases=("扬帆吧", "哈哈哈"),
    ),
    "小满": Character(
        "小满",
        known=True,
        work={"zh": "面包店"},
        terms=("麦子巷", "酵母"),
        catchphrases=("热乎乎",),
    ),
    "老秦": Character(
        "老秦",
        known=True,
        work={"zh": "侦探"},
        terms=("雨夜案", "怀表"),
        catchphrases=("证据呢",),
    ),
}
TERMS = [name for name in PERTURBATIONS if name.endswith("_terms")]
SPEECH = [name for name in PERTURBATIONS if name.endswith("_speech")]
CUTS = {
    "cut_comfort": "emotional_value",
    "cut_story": "experience_sharing",
    "cut_advice": "demand_matching",
}
DONATED = ["off_topic", "second_from_other", "other_character"]
SCRAMBLES = ["swap_characters", "double_characters", "drop_characters"]
EVERY = [
    pytest.param(perturbation, level, id=f"{perturbation.name}-{level}")
    for perturbation in PERTURBATIONS.values()
    for level in range(1, perturbation.max_level + 1)
]


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def said(*answers: str, character: str = "阿岚", scenario: str = "1") -> Dialogue:
    """A dialogue of system 甲 with these replies."""
    turns = tuple(Turn(f"问题{n}：怎么办？", a) for n, a in enumerate(answers, start=1))
    return Dialogue("甲", character, scenario, turns)


def told(system: str, character: str, scenario: str) -> Dialogue:
    """A dialogue whose replies have 20 sentences each, all of which name their origin."""
    answers = (
        "".join(f"{system}/{character}/{scenario}/{number}/{k}。" for k in range(20))
        for number in range(2)
    )
    return replace(said(*answers), system=system, character=character, scenario=scenario)


def sources(text: str) -> list[list[str]]:
    """For each sentence of `told`: system, character, scenario, round, position."""
    return [part.rstrip("。").split("/") for part in sentences(text)]


# By hand: 4 sentences that comfort, 4 stories, 4 pieces of advice, 6 that are none of these; 4
# terms, 4 catchphrases. So every perturbation applies at every level, and no reply has
# sentences of one kind only.
RICH = said(
    "扬帆吧，我懂你的心情！小时候我在白鲸号上也怕过。后来老船长带我看石灯塔。"
    "你可以先把书翻一遍。天很蓝，海很宽。哈哈哈，你很厉害！当初我也晕船。不如去海边走走。"
    "风停了。",
    "没关系，辛苦你了。当年我在风暴角迷过路。要不喝碗鱼汤。晚饭好了。"
    "扬帆吧，船快靠岸了！我替你高兴。有一次我丢了桨。试试新的绳结。哈哈哈，月亮出来了。",
)
PLAIN = said("天很蓝，海很宽。", "月亮出来了。")
DONORS = [told(s, c, n) for s in "甲乙" for c in PEOPLE for n in "123"]
POOL = Pool([RICH, *DONORS], PEOPLE)


# The table


def test_names_are_keys() -> None:
    """The keys of the table are the names of the perturbations."""
    assert all(name == perturbation.name for name, perturbation in PERTURBATIONS.items())


def test_the_metrics_named_are_those_of_the_rubric() -> None:
    """`lowers` and `blurs` name metrics of a dialogue in rubrics/esrp, each at most once."""
    known = {metric.name for metric in load_rubric("esrp").dialogue_metrics}
    for perturbation in PERTURBATIONS.values():
        named = [*perturbation.lowers, *perturbation.blurs]
        assert set(named) <= known
        assert len(named) == len(set(named)), f"{perturbation.name} names a metric twice"
    assert set(MARKERS) <= known


def test_every_metric_has_a_perturbation() -> None:
    """Each of the nine metrics is lowered by at least one perturbation."""
    lowered = {metric for perturbation in PERTURBATIONS.values() for metric in perturbation.lowers}
    assert lowered == {metric.name for metric in load_rubric("esrp").dialogue_metrics}


# What holds for every perturbation


@pytest.mark.parametrize(("perturbation", "level"), EVERY)
def test_the_frame_stays_and_a_reply_changes(perturbation: Perturbation, level: int) -> None:
    """Only replies change, at least one does, and none of them is left blank.

    Every level applies; only 4 % of the characters may be none in so short a dialogue.
    """
    found = [perturbation(RICH, level, POOL, rng(seed)) for seed in range(20)]
    applied = sum(worse is not None for worse in found)
    assert applied >= 15 if perturbation.name in SCRAMBLES else applied == 20
    for worse in filter(None, found):
        assert worse.id == RICH.id
        assert [t.question for t in worse.turns] == [t.question for t in RICH.turns]
        assert [t.answer for t in worse.turns] != [t.answer for t in RICH.turns]
        assert all(turn.answer.strip() for turn in worse.turns)


@pytest.mark.parametrize(("perturbation", "level"), EVERY)
def test_perturbation_is_pure(perturbation: Perturbation, level: int) -> None:
    """The same generator state gives the same dialogue, whatever was perturbed in between."""
    dialogue, one, two = copy.deepcopy(RICH), rng(7), rng(7)
    first = perturbation(dialogue, level, POOL, one)
    perturbation(dialogue, level, POOL, rng(8))
    assert perturbation(dialogue, level, Pool([RICH, *DONORS], PEOPLE), two) == first
    assert one.bit_generator.state == two.bit_generator.state
    assert dialogue == RICH


@pytest.mark.parametrize("perturbation", PERTURBATIONS.values(), ids=PERTURBATIONS)
def test_the_generator_decides(perturbation: Perturbation) -> None:
    """Other seeds give other results."""
    assert len({perturbation(RICH, 1, POOL, rng(seed)) for seed in range(20)}) > 1


@pytest.mark.parametrize("perturbation", PERTURBATIONS.values(), ids=PERTURBATIONS)
def test_a_level_that_is_none(perturbation: Perturbation) -> None:
    """Levels go from 1 to `max_level`; the error says so."""
    for level in (-1, 0, perturbation.max_level + 1):
        with pytest.raises(ValueError, match=f"level {level} of {perturbation.name} is not in 1.."):
            perturbation(RICH, level, POOL, rng(0))


@pytest.mark.parametrize("perturbation", PERTURBATIONS.values(), ids=PERTURBATIONS)
def test_a_higher_level_changes_more(perturbation: Perturbation) -> None:
    """On average a level changes at least as much as the one below, the last more than the first.

    Counted in characters that only the one or only the other dialogue has.
    """
    amounts = []
    for level in range(1, perturbation.max_level + 1):
        found = [perturbation(RICH, level, POOL, rng(seed)) for seed in range(40)]
        amounts.append(np.mean([edits(RICH, worse) for worse in found if worse is not None]))
    assert all(lower <= higher for lower, higher in pairwise(amounts)), amounts
    assert amounts[0] < amounts[-1]


def edits(good: Dialogue, bad: Dialogue) -> int:
    total = 0
    for a, b in zip(good.turns, bad.turns, strict=True):
        matcher = SequenceMatcher(None, a.answer, b.answer, autojunk=False)
        shared = sum(block.size for block in matcher.get_matching_blocks())
        total += len(a.answer) + len(b.answer) - 2 * shared
    return total


@pytest.mark.parametrize(
    ("perturbation", "metric"),
    [
        pytest.param(perturbation, metric, id=f"{perturbation.name}-{metric}")
        for perturbation in PERTURBATIONS.values()
        for metric in (*MARKERS, "character_knowledge")
        if metric not in (*perturbation.lowers, *perturbation.blurs)
    ],
)
def test_what_is_not_named_stays(perturbation: Perturbation, metric: str) -> None:
    """Comfort, stories, advice and terms stay where a perturbation does not name their metric."""
    mark = MARKERS.get(metric) or re.compile("|".join(PEOPLE["阿岚"].terms))
    before = sum(len(mark.findall(turn.answer)) for turn in RICH.turns)
    for seed in range(20):
        worse = perturbation(RICH, perturbation.max_level, POOL, rng(seed))
        assert worse is not None
        assert sum(len(mark.findall(turn.answer)) for turn in worse.turns) >= before


@pytest.mark.parametrize(
    "name", [name for name, d in PERTURBATIONS.items() if "fluency" not in (*d.lowers, *d.blurs)]
)
def test_what_leaves_fluency_alone_moves_whole_sentences(name: str) -> None:
    """A perturbation that does not name fluency only moves complete sentences."""
    released = {s for d in (RICH, *DONORS) for turn in d.turns for s in sentences(turn.answer)}
    perturbation = PERTURBATIONS[name]
    for seed in range(40):
        worse = perturbation(RICH, 1 + seed % perturbation.max_level, POOL, rng(seed))
        assert worse is not None
        assert released.issuperset(s for turn in worse.turns for s in sentences(turn.answer))


# Where nothing can be perturbed


@pytest.mark.parametrize(
    ("names", "dialogue", "pool"),
    [
        pytest.param([*TERMS, *SPEECH], PLAIN, POOL, id="no word of the character"),
        pytest.param(
            [*TERMS, *SPEECH], replace(RICH, character="路人"), POOL, id="unknown character"
        ),
        pytest.param([*TERMS, *SPEECH], RICH, Pool(DONORS, {}), id="no profiles"),
        pytest.param(CUTS, PLAIN, POOL, id="no comfort, story or advice"),
        pytest.param(["cut_rest"], said("我懂你。", "试试看！"), POOL, id="nothing but these"),
        pytest.param(DONATED, RICH, Pool([RICH], PEOPLE), id="no donor"),
        pytest.param(
            DONATED,
            RICH,
            Pool([RICH, *(d for d in DONORS if d.system == "乙")], PEOPLE),
            id="donors of another system",
        ),
        pytest.param(
            DONATED,
            RICH,
            Pool([RICH, said("短。", scenario="2"), said("短。", character="小满")], PEOPLE),
            id="donors of fewer rounds",
        ),
        pytest.param(
            ["deny_first", "second_from_other"],
            said("我喜欢下雨天。"),
            Pool([told("甲", "小满", "1")], PEOPLE),
            id="one round",
        ),
        pytest.param(["deny_first"], said("你怎么这样想呢？", "月亮。"), POOL, id="nothing said"),
        pytest.param(
            ["foreign_terms", "foreign_speech"],
            RICH,
            Pool(DONORS, {"阿岚": PEOPLE["阿岚"]}),
            id="no other character",
        ),
        pytest.param(
            ["foreign_terms", "foreign_speech"],
            RICH,
            Pool(DONORS, {n: replace(c, work={"zh": "远航"}) for n, c in PEOPLE.items()}),
            id="no other work",
        ),
    ],
)
def test_none_where_nothing_can_change(
    names: Sequence[str], dialogue: Dialogue, pool: Pool
) -> None:
    """None at every level where there is nothing to replace or no donor to take from."""
    for name in names:
        for level in range(1, PERTURBATIONS[name].max_level + 1):
            assert PERTURBATIONS[name](dialogue, level, pool, rng(level)) is None


@pytest.mark.parametrize(("perturbation", "level"), EVERY)
@pytest.mark.parametrize("blank", ["", " \n"])
def test_a_blank_reply_cannot_be_perturbed(
    blank: str, perturbation: Perturbation, level: int
) -> None:
    """A dialogue with a blank reply in any round is not perturbed."""
    full = RICH.turns[0].answer
    for answers in ((blank, full), (full, blank), (blank, blank)):
        assert perturbation(said(*answers), level, POOL, rng(level)) is None


# By hand: the levels for which a whole number of so many things lies within 1/8 of the share,
# and that number. One of one is all, never a half. Of three, 1 is near a quarter and 2 near
# three quarters, but neither is near a half (1/6 off). Of four, a level is one each.
NEAR = {
    4: {1: {4: 1}, 2: {2: 1, 4: 2}, 3: {1: 1, 3: 2, 4: 3}, 4: {1: 1, 2: 2, 3: 3, 4: 4}},
    2: {1: {2: 1}, 2: {1: 1, 2: 2}, 3: {2: 3}, 4: {1: 2, 2: 4}},
}


@pytest.mark.parametrize("of", [1, 2, 3, 4])
@pytest.mark.parametrize("name", [*CUTS, "cut_rest", *TERMS, *SPEECH, "deny_first"])
def test_none_where_no_number_is_near(name: str, of: int) -> None:
    """A share of one to four things is exact to half a level, or the perturbation is None."""
    kind = name.rsplit("_", maxsplit=1)[-1]
    word = {
        "comfort": "我懂",
        "story": "小时候",
        "advice": "可以",
        "rest": "海浪",
        "terms": "白鲸号",
        "speech": "扬帆吧",
        "first": "我喜欢",
    }
    other = "我懂。" if kind == "rest" else "好。"
    good = said("".join(f"{word[kind]}第{k}回。" for k in range(of)) + other, other * 9)
    perturbation = PERTURBATIONS[name]
    for level in range(1, perturbation.max_level + 1):
        worse = perturbation(good, level, POOL, rng(level))
        if level not in NEAR[perturbation.max_level][of]:
            assert worse is None
            continue
        assert worse is not None
        first, last = (turn.answer for turn in worse.turns)
        count = last.count("我不喜欢") if kind == "first" else of - first.count(word[kind])
        assert count == NEAR[perturbation.max_level][of][level]


@pytest.mark.parametrize(
    ("name", "answers"),
    [
        ("cut_comfort", ("我懂你。", "月亮。")),
        ("cut_comfort", ("我懂你。 ", "月亮。")),
        ("cut_comfort", ("月亮。", "\n我懂你。")),
        ("cut_story", ("小时候。当年。", "月亮。")),
        ("cut_advice", ("月亮。", "试试。")),
        ("cut_rest", ("我懂你。", "月亮。")),
    ],
)
def test_no_cut_leaves_a_blank(name: str, answers: tuple[str, str]) -> None:
    """Where a cut would take all of a reply, or all but white space, there is no perturbation."""
    assert PERTURBATIONS[name](said(*answers), PERTURBATIONS[name].max_level, POOL, rng(0)) is None
    # The same sentences are cut where something is left beside them.
    longer = said(*(a.strip() + "我懂。月亮。" for a in answers))
    assert PERTURBATIONS[name](longer, PERTURBATIONS[name].max_level, POOL, rng(0)) is not None


@pytest.mark.parametrize(
    "dialogue",
    [said("嗯", "好"), said("我懂你。", "小时候可以。"), said("扬帆吧", "白鲸号")],
    ids=["one character", "all marked", "all words"],
)
@pytest.mark.parametrize("perturbation", PERTURBATIONS.values(), ids=PERTURBATIONS)
def test_a_reply_never_vanishes(perturbation: Perturbation, dialogue: Dialogue) -> None:
    """Even if all characters, words or sentences are removed, some text is left to judge."""
    for seed in range(30):
        worse = perturbation(dialogue, perturbation.max_level, POOL, rng(seed))
        assert worse is None or all(turn.answer.strip() for turn in worse.turns)


# Scrambled characters: rates by level

# 20,000 different characters, so that each can be followed.
MANY = "".join(chr(0x4E00 + k) for k in range(20_000))
RATES = [(1, 0.04), (2, 0.09), (3, 0.18), (4, 0.35)]


def scrambled(name: str, level: int) -> str:
    worse = PERTURBATIONS[name](said(MANY), level, POOL, rng(level))
    assert worse is not None
    return worse.turns[0].answer


@pytest.mark.parametrize(("level", "rate"), RATES)
def test_the_rate_of_doubled_and_dropped_characters(level: int, rate: float) -> None:
    """The count of hits in n characters is within the binomial bounds of its level (1 - 1e-6)."""
    least, most = binom.interval(1 - 1e-6, len(MANY), rate)
    assert least <= len(scrambled("double_characters", level)) - len(MANY) <= most
    assert least <= len(MANY) - len(scrambled("drop_characters", level)) <= most


@pytest.mark.parametrize(("level", "rate"), RATES)
def test_the_rate_of_swapped_characters(level: int, rate: float) -> None:
    """Neighbours change places, a pair at a time, at the rate of the level.

    A swap uses up two of n characters with one draw, so s swaps are the hits of n - s draws, and
    s - rate (n - s) has mean 0 and variance rate (1 - rate) (n - s).
    """
    moved = [ord(c) - 0x4E00 - k for k, c in enumerate(scrambled("swap_characters", level))]
    assert set(moved) == {-1, 0, 1}
    assert all(moved[k + 1] == -1 for k, by in enumerate(moved) if by == 1)
    swaps = moved.count(1)
    assert swaps == moved.count(-1)
    draws = len(MANY) - swaps
    assert abs(swaps - rate * draws) < 5 * sqrt(rate * (1 - rate) * draws)


# Replies of others


@pytest.mark.parametrize("level", [1, 2, 3, 4])
@pytest.mark.parametrize("name", DONATED)
def test_the_share_of_foreign_sentences(name: str, level: int) -> None:
    """Level L puts a run of one donor's sentences in place of L quarters of the own ones.

    The donor is of the same system: the same character in another scenario, or another character
    in the same one.
    """
    good = told("甲", "阿岚", "1")
    for seed in range(20):
        worse = PERTURBATIONS[name](good, level, POOL, rng(seed))
        assert worse is not None
        donors = set()
        for number, turn in enumerate(worse.turns):
            parts = sources(turn.answer)
            own = [["甲", "阿岚", "1", str(number), str(k)] for k in range(20)]
            places = [k for k in range(20) if parts[k] != own[k]]
            donors |= {tuple(parts[k][:3]) for k in places}
            assert len(parts) == 20
            if name == "second_from_other" and number == 0:
                assert not places
                continue
            assert places == list(range(places[0], places[0] + 5 * level))
            start = int(parts[places[0]][4])
            assert [parts[k][3:] for k in places] == [
                [str(number), str(start + k)] for k in range(5 * level)
            ]
        assert len(donors) == 1
        system, character, scenario = donors.pop()
        assert system == "甲"
        assert (character == "阿岚", scenario == "1") == (name == "off_topic", name != "off_topic")


# Denials


@pytest.mark.parametrize(
    ("statement", "denial"),
    [
        ("我最喜欢下雨天。", "我最不喜欢下雨天。"),
        ("我不喜欢下雨天。", "我喜欢下雨天。"),
        ("我家没有船啊！", "我家有船啊！"),
        ("他是我的船长。", "他不是我的船长。"),
        ("天很蓝，海很宽。", "才不是什么天很蓝，海很宽。"),
        ("我明天不会迟到。", "我明天会迟到。"),
        ("我明天会来的。", "我明天不会来的。"),
        ("下次机会更好啊。", "才不是什么下次机会更好啊。"),
        ("机会总会来的。", "机会总不会来的。"),
        ("你不可以迟到。", "你可以迟到。"),
        ("你可以晚点来。", "你不可以晚点来。"),
        ("你不要睡太晚。", "你要睡太晚。"),
        ("我要睡一觉啊。", "我不要睡一觉啊。"),
        ("这件事很重要。", "才不是什么这件事很重要。"),
        ("我能游到岸上。", "我不能游到岸上。"),
        ("他可能在岸上。", "才不是什么他可能在岸上。"),
        ("我也有过小船。", "我从来没有过小船。"),
        ("我家有三条船。", "我家没有三条船。"),
    ],
)
def test_the_last_reply_denies_the_first(statement: str, denial: str) -> None:
    """The first reply stands; the last one gains its opposite and keeps what it said."""
    worse = PERTURBATIONS["deny_first"](said(statement, "月亮出来了。"), 4, POOL, rng(0))
    assert worse is not None
    assert worse.turns[0].answer == statement
    assert sorted(sentences(worse.turns[1].answer)) == sorted([denial, "月亮出来了。"])


@pytest.mark.parametrize("level", [1, 2, 3, 4])
def test_the_share_of_denied_sentences(level: int) -> None:
    """Level L denies L quarters of the first reply's statements, each once, and no question."""
    first = [f"我喜欢第{k}个港口。" for k in range(20)]
    good = said("".join(first) + "你喜欢哪个港口呢？", "月亮出来了。" * 30)
    for seed in range(10):
        worse = PERTURBATIONS["deny_first"](good, level, POOL, rng(seed))
        assert worse is not None
        last = sentences(worse.turns[1].answer)
        denied = [s for s in last if "不喜欢" in s]
        assert len(denied) == len(set(denied)) == 5 * level
        assert {s.replace("不", "") for s in denied} <= set(first)
        assert len(last) == 30


# Words of the character


@pytest.mark.parametrize("name", [*TERMS, *SPEECH])
def test_the_share_of_replaced_words(name: str) -> None:
    """Level L of N replaces L / N of the character's words and nothing beside them.

    The replacement is a vague noun for a term, nothing for a catchphrase, or another's word.
    """
    terms = name in TERMS
    word = "石灯塔" if terms else "扬帆吧"
    allowed = {
        "neutral_terms": {"那个人", "那件事", "那里", "那个"},
        "neutral_speech": {""},
        "foreign_terms": {"麦子巷", "酵母", "雨夜案", "怀表"},
        "foreign_speech": {"热乎乎", "证据呢"},
    }[name]
    good = said(*["".join(f"甲{word}乙{k}。" for k in range(10))] * 2)
    perturbation = PERTURBATIONS[name]
    for level in range(1, perturbation.max_level + 1):
        worse = perturbation(good, level, POOL, rng(level))
        assert worse is not None
        text = "".join(turn.answer for turn in worse.turns)
        found = re.findall(r"甲(.*?)乙(\d)。", text)
        assert "".join(f"甲{w}乙{k}。" for w, k in found) == text
        assert [int(k) for _, k in found] == [*range(10), *range(10)]
        others = [w for w, _ in found if w != word]
        assert len(others) == 20 * level / perturbation.max_level
        assert set(others) <= allowed


@pytest.mark.parametrize("name", TERMS)
def test_the_longest_term_is_taken_whole(name: str) -> None:
    """白鲸号 is replaced as one word, not 白鲸 alone."""
    worse = PERTURBATIONS[name](said("白鲸号。"), PERTURBATIONS[name].max_level, POOL, rng(0))
    assert worse is not None
    assert "号" not in worse.turns[0].answer


@pytest.mark.parametrize("kind", ["terms", "catchphrases"])
def test_foreign_words_are_not_the_character_s(kind: str) -> None:
    """Foreign words are those of characters of other works, less what the own words touch.

    A word that holds an own word, or that an own word holds, would be half the character's own.
    """

    def person(name: str, work: dict[str, str], *words: str) -> Character:
        return Character(name, work=work, terms=words, catchphrases=words)

    cast = (
        person("甲", {"zh": "一"}, "共同的", "白鲸号"),
        person("乙", {"zh": "二"}, "共同的", "她的", "白鲸", "白鲸号上"),
        person("丙", {"zh": "一"}, "同一部的"),
        person("丁", {}, "无名的"),
    )
    pool = Pool([], {c.name: c for c in cast})
    assert set(pool.foreign_words("甲", kind)) == {"她的", "无名的"}
    assert set(pool.foreign_words("乙", kind)) == {"同一部的", "无名的"}
    # Of a character whose work is not known everybody else may be of another one.
    for name in ("丁", "路人"):
        mine = set(pool.words(name, kind))
        everybody = {word for c in cast for word in getattr(c, kind)}
        assert set(pool.foreign_words(name, kind)) == everybody - mine


@pytest.mark.parametrize("kind", ["terms", "catchphrases"])
def test_foreign_words_of_the_shipped_characters(kind: str) -> None:
    """Each has some, and none is a word of its own work or holds or is held by an own word."""
    shipped = load_rubric("esrp").characters
    pool = Pool([], shipped)
    for name, character in shipped.items():
        foreign = set(pool.foreign_words(name, kind))
        work = [c for c in shipped.values() if c.work == character.work]
        assert foreign
        assert not foreign & {word for c in work for word in getattr(c, kind)}
        assert not any(f in own or own in f for f in foreign for own in getattr(character, kind))


def test_a_catchphrase_with_a_term_in_it() -> None:
    """A perturbation that takes a term away says that it may hurt character_knowledge."""
    person = replace(PEOPLE["阿岚"], catchphrases=("我要上白鲸号",))
    pool = Pool([], {**PEOPLE, "阿岚": person})
    for name in SPEECH:
        perturbation = PERTURBATIONS[name]
        worse = perturbation(said("我要上白鲸号！"), perturbation.max_level, pool, rng(0))
        assert worse is not None
        assert not has_words(worse, person.terms)
        assert "character_knowledge" in perturbation.blurs


# Cut sentences


@pytest.mark.parametrize(
    ("name", "marked"),
    [("cut_comfort", "没关系"), ("cut_story", "小时候"), ("cut_advice", "不如")],
)
@pytest.mark.parametrize("level", [1, 2, 3, 4])
def test_only_marked_sentences_are_cut(name: str, marked: str, level: int) -> None:
    """Level L cuts L quarters of the marked sentences, `cut_rest` L halves of the others.

    Whatever is left stands as it was, in its order.
    """
    parts = [f"{word}第{k}回。" for k in range(20) for word in (marked, "海面")]
    good = said("".join(parts[:20]), "".join(parts[20:]))
    for cut, doomed, count in ((name, marked, 5 * level), ("cut_rest", "海面", 10 * level)):
        if level > PERTURBATIONS[cut].max_level:
            continue
        worse = PERTURBATIONS[cut](good, level, POOL, rng(level))
        assert worse is not None
        left = [s for turn in worse.turns for s in sentences(turn.answer)]
        gone = set(parts) - set(left)
        assert left == [s for s in parts if s not in gone]
        assert len(gone) == count
        assert all(s.startswith(doomed) for s in gone)


# Lines of another voice


@pytest.mark.parametrize("name", ["cold", "assistant_voice"])
@pytest.mark.parametrize("level", [1, 2, 3, 4])
def test_the_number_of_lines(name: str, level: int) -> None:
    """Level L puts L lines in the place of L sentences; the others stay where they were."""
    good = said(*["".join(f"海面第{n}{k}浪。" for k in range(4)) for n in range(2)])
    before = [s for turn in good.turns for s in sentences(turn.answer)]
    for seed in range(60):
        worse = PERTURBATIONS[name](good, level, POOL, rng(seed))
        assert worse is not None
        after = [s for turn in worse.turns for s in sentences(turn.answer)]
        lines = [new for old, new in zip(before, after, strict=True) if new != old]
        assert len(lines) == len(set(lines)) == level
        assert not set(lines) & set(before)


@pytest.mark.parametrize("name", ["cold", "assistant_voice"])
@pytest.mark.parametrize("level", [1, 2, 3, 4])
def test_lines_do_not_take_the_whole_dialogue(name: str, level: int) -> None:
    """None unless all replies together have more sentences than are inserted."""
    for first in range(1, level + 1):
        answers = ["浪。" * first, "花。" * (level + 1 - first)]
        assert PERTURBATIONS[name](said(*answers), level, POOL, rng(first)) is not None
        if first > 1:
            fewer = ["浪。" * (first - 1), answers[1]]
            assert PERTURBATIONS[name](said(*fewer), level, POOL, rng(first)) is None
    assert PERTURBATIONS[name](said("浪。" * level), level, POOL, rng(0)) is None


@pytest.mark.parametrize("metric", ["experience_sharing", "emotional_value"])
def test_cold_lines_bring_no_comfort_and_no_story(metric: str) -> None:
    """A sentence of `cold` has no comfort, which it should lower, and no story."""
    for seed in range(60):
        worse = PERTURBATIONS["cold"](said("浪。浪。浪。", "花。花。花。"), 4, POOL, rng(seed))
        assert worse is not None
        assert not any(MARKERS[metric].search(turn.answer) for turn in worse.turns)


# Words and sentences


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", []),
        ("没有标点", ["没有标点"]),
        ("好！！走吧。", ["好！！", "走吧。"]),
        ("……嗯\n真的?是～", ["……", "嗯\n", "真的?", "是～"]),
    ],
)
def test_sentences(text: str, parts: list[str]) -> None:
    """A sentence ends after its final punctuation; punctuation alone is a sentence."""
    assert sentences(text) == parts


def test_has_words_reads_replies_only() -> None:
    """Words in questions do not count."""
    assert has_words(RICH, ["没有的词", "白鲸号"])
    assert not has_words(RICH, ["怎么办"])
    assert not has_words(RICH, [])


# Faults that are known: the trained judges saw them, so they stay until the next training


@pytest.mark.xfail(raises=AssertionError, reason="a denial may tear a word")
@pytest.mark.parametrize(
    ("statement", "word"),
    [
        ("等一会儿就好。", "一会儿"),
        ("那是个误会啊。", "误会"),
        ("所有船都走了。", "所有"),
        ("不知道是不是他。", "是不是"),
    ],
    ids=["in a while", "misunderstanding", "all", "whether"],
)
def test_a_denial_leaves_words_whole(statement: str, word: str) -> None:
    """A denial negates a statement, and does not change a part of another word."""
    worse = PERTURBATIONS["deny_first"](said(statement, "月亮。"), 4, POOL, rng(0))
    assert worse is not None
    assert word in worse.turns[1].answer


@pytest.mark.xfail(raises=AssertionError, reason="a question before a line break is denied")
def test_a_question_at_the_end_of_a_line_is_no_statement() -> None:
    """Questions are not denied."""
    good = said("你喜欢下雨天吗？\n", "月亮。")
    assert PERTURBATIONS["deny_first"](good, 4, POOL, rng(0)) is None


@pytest.mark.xfail(raises=AssertionError, reason="a donor may have fewer sentences than are taken")
def test_as_many_sentences_come_as_go() -> None:
    """Foreign sentences replace as many own ones, or the perturbation is None."""
    good = said("浪。" * 4, "花。" * 4)
    pool = Pool([said("短。", "短。", scenario="2")], PEOPLE)
    worse = PERTURBATIONS["off_topic"](good, 3, pool, rng(0))
    assert worse is None or [len(sentences(turn.answer)) for turn in worse.turns] == [4, 4]


@pytest.mark.xfail(raises=AssertionError, reason="a donor's blank reply is filled up and taken")
def test_a_blank_reply_is_not_given() -> None:
    """A donor with a blank reply is not used."""
    pool = Pool([said(" ", " ", scenario="2")], PEOPLE)
    assert PERTURBATIONS["off_topic"](RICH, 4, pool, rng(0)) is None


# The released dialogues


def test_released_dialogues(judge_data: Path) -> None:
    """On the real dialogues every perturbation changes replies alone and leaves none blank.

    Scrambled characters, replies of others and denials apply nearly always, lines of another voice
    just where a dialogue has more sentences than lines, all others somewhere.
    """
    dialogues = read_dialogues(judge_data / "chatanime" / "human.json").dialogues
    pool = Pool(dialogues, load_rubric("esrp").characters)
    chosen = [dialogues[k] for k in rng(0).choice(len(dialogues), size=60, replace=False)]
    for name, perturbation in PERTURBATIONS.items():
        applied = 0
        for seed, good in enumerate(chosen):
            worse = perturbation(good, perturbation.max_level, pool, rng(seed))
            assert worse == perturbation(good, perturbation.max_level, pool, rng(seed))
            if worse is None:
                continue
            applied += 1
            assert worse.id == good.id
            assert [t.question for t in worse.turns] == [t.question for t in good.turns]
            assert worse.turns != good.turns
            assert all(turn.answer.strip() for turn in worse.turns)
        assert applied >= (57 if name in (*SCRAMBLES, *DONATED, "deny_first") else 1), name
        if name in ("cold", "assistant_voice"):
            long = [d for d in chosen if sum(len(sentences(t.answer)) for t in d.turns) > 4]
            assert 0 < applied == len(long) < len(chosen)
