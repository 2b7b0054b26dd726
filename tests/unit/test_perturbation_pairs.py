"""Held-out dialogues, labels of perturbed dialogues, and pairs."""

from __future__ import annotations

from collections import Counter
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from judge.dialogues import read_dialogues
from judge.perturbations import PERTURBATIONS, Perturbation, Pool
from judge.rubric import load_rubric
from judge.types import Character, Dialogue, Turn
from scripts.perturbation_pairs import Split, clean_targets, pairs, perturbed_targets, split

METRICS = (
    "fluency",
    "coherency",
    "consistency",
    "character_knowledge",
    "speech_style",
    "behavioral_habit",
    "emotional_value",
    "experience_sharing",
    "demand_matching",
)
ALWAYS = {"fluency", "coherency", "consistency", "speech_style", "behavioral_habit"}
PEOPLE = {
    "阿岚": Character(
        "阿岚", known=True, work={"zh": "远航"}, terms=("白鲸号",), catchphrases=("扬帆吧",)
    ),
    "小满": Character(
        "小满", known=True, work={"zh": "面包店"}, terms=("酵母",), catchphrases=("热乎乎",)
    ),
}


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def grid(characters: int, scenarios: int, systems: str = "甲乙") -> list[Dialogue]:
    return [
        Dialogue(s, f"角色{c}", str(n), (Turn("?", "好。"),))
        for s in systems
        for c in range(characters)
        for n in range(scenarios)
    ]


def said(*answers: str, question: str = "?", character: str = "阿岚") -> Dialogue:
    return Dialogue("甲", character, "1", tuple(Turn(question, a) for a in answers))


# What is held out


def parts(found: Split) -> list[set[Dialogue]]:
    return [set(found.train), set(found.new_scenarios), set(found.new_characters)]


def test_whole_characters_and_scenarios_are_held_out() -> None:
    """Every dialogue is in one part, and the first part has nothing that is held out.

    Of 5 characters x 6 scenarios x 2 systems, 2 and 2 held out leave 3 x 4 x 2 to learn from,
    3 x 2 x 2 with known characters in new scenarios, and 2 x 6 x 2 with new characters.
    """
    dialogues = grid(5, 6)
    found = split(dialogues, rng(0), characters=2, scenarios=2)
    assert [len(found.characters), len(found.scenarios)] == [2, 2]
    assert [len(part) for part in parts(found)] == [24, 12, 24]
    assert set.union(*parts(found)) == set(dialogues)
    assert not {d.character for d in found.train} & set(found.characters)
    assert not {d.scenario for d in found.train} & set(found.scenarios)
    assert {d.scenario for d in found.new_scenarios} == set(found.scenarios)
    assert not {d.character for d in found.new_scenarios} & set(found.characters)
    assert {d.character for d in found.new_characters} == set(found.characters)


def test_four_characters_and_twelve_scenarios_by_default() -> None:
    """Of 20 x 60: 16 x 48, 16 x 12 and 4 x 60."""
    found = split(grid(20, 60, "甲"), rng(1))
    assert [len(part) for part in parts(found)] == [768, 192, 240]


def test_the_seed_decides_and_not_the_order() -> None:
    """One seed holds out the same whatever the order of the dialogues, which each part keeps.

    Over many seeds every character and every scenario is held out at some time.
    """
    dialogues = grid(5, 6)
    mixed = [dialogues[k] for k in rng(9).permutation(len(dialogues))]
    characters, scenarios = set(), set()
    for seed in range(50):
        one, two, three = (
            split(given, rng(seed), characters=1, scenarios=1)
            for given in (dialogues, dialogues, mixed)
        )
        assert one == two
        assert (one.characters, one.scenarios) == (three.characters, three.scenarios)
        assert parts(one) == parts(three)
        assert three.train == tuple(d for d in mixed if d in set(one.train))
        characters |= set(one.characters)
        scenarios |= set(one.scenarios)
    assert len(characters) == 5
    assert len(scenarios) == 6


# Targets


@pytest.mark.parametrize(
    ("dialogue", "shown"),
    [
        (said("天很蓝。", "月亮出来了。"), set()),
        (said("天很蓝。", "我懂你。"), {"emotional_value"}),
        (said("小时候我也怕。", "月亮。"), {"experience_sharing"}),
        (said("不如睡一觉。", "月亮。"), {"demand_matching"}),
        (said("记得看月亮。"), {"experience_sharing", "demand_matching"}),
        (said("白鲸号靠岸了。"), {"character_knowledge"}),
        (said("白鲸号靠岸了。", character="路人"), set()),
        (said("天很蓝。", question="我懂，小时候可以上白鲸号吗？"), set()),
        (said("没关系，当年白鲸号也这样，试试吧。"), set(METRICS) - ALWAYS),
    ],
    ids=["nothing", "comfort", "story", "advice", "both", "term", "unknown", "asked", "all"],
)
def test_a_released_dialogue_is_a_five_where_it_shows_something(
    dialogue: Dialogue, shown: set[str]
) -> None:
    """Comfort, stories, advice and knowledge get a 5 only where shown, the others always."""
    pool = Pool([], PEOPLE)
    assert clean_targets(dialogue, METRICS, pool) == dict.fromkeys(ALWAYS | shown, 5)
    assert clean_targets(dialogue, ["fluency", "emotional_value"], pool) == dict.fromkeys(
        {"fluency"} | (shown & {"emotional_value"}), 5
    )


def made_up(name: str, lowers: tuple[str, ...], blurs: tuple[str, ...]) -> Perturbation:
    return Perturbation(name, lowers, blurs, lambda dialogue, *_: dialogue)


A = made_up("a", ("fluency", "coherency"), ("consistency",))
B = made_up("b", ("coherency",), ("emotional_value",))
C = made_up("c", ("emotional_value",), ("fluency",))


@pytest.mark.parametrize(
    ("applied", "expected"),
    [
        ([], {"fluency": 5, "coherency": 5, "consistency": 5, "emotional_value": 5}),
        ([(A, 1)], {"fluency": 4, "coherency": 4, "emotional_value": 5}),
        ([(A, 4)], {"fluency": 1, "coherency": 1, "emotional_value": 5}),
        ([(A, 1), (B, 3)], {"fluency": 4, "coherency": 2}),
        ([(A, 3), (A, 2)], {"fluency": 2, "coherency": 2, "emotional_value": 5}),
        # C lowers what B blurs, and blurs what A lowers: neither is known any more.
        ([(B, 2), (C, 4)], {"coherency": 3, "consistency": 5}),
        ([(A, 2), (C, 1)], {"coherency": 3, "emotional_value": 4}),
        ([(A, 2), (B, 1), (C, 1)], {"coherency": 3}),
    ],
)
def test_targets_after_perturbation(
    applied: list[tuple[Perturbation, int]], expected: dict[str, int]
) -> None:
    """Level L makes 5 - L, the worse of two counts, and what any of them blurs has no target.

    The order of perturbations does not matter, and `clean` stays as it is.
    """
    clean = dict.fromkeys(("fluency", "coherency", "consistency", "emotional_value"), 5)
    for order in permutations(applied):
        assert perturbed_targets(clean, order) == expected
    assert set(clean.values()) == {5}
    assert len(clean) == 4


def test_targets_of_real_perturbations() -> None:
    """Another character's reply is as fluent as before; off-topic talk may show less knowledge."""
    clean = dict.fromkeys(METRICS, 5)
    perturbations = [(PERTURBATIONS["off_topic"], 4), (PERTURBATIONS["other_character"], 1)]
    expected = {"fluency": 5, "speech_style": 4, "behavioral_habit": 4}
    assert perturbed_targets(clean, perturbations) == expected
    assert perturbed_targets(clean, [(PERTURBATIONS["swap_characters"], 3)]) == {"fluency": 2}


def test_a_cold_reply_is_bad_whatever_it_was() -> None:
    """A metric that a perturbation lowers gets a label even if the original had none."""
    pool = Pool([], PEOPLE)
    clean = clean_targets(said("天很蓝。", "月亮。"), METRICS, pool)
    assert "emotional_value" not in clean
    assert perturbed_targets(clean, [(PERTURBATIONS["cold"], 4)]) == {"emotional_value": 1}


# Pairs

# In each dialogue four sentences of every kind, four terms and four catchphrases: every level of
# every perturbation finds its share.
DIALOGUES = [
    Dialogue(
        system,
        character,
        str(n),
        tuple(
            Turn(
                f"问{n}{ask}",
                "".join(
                    f"我懂，{word}{n}号浪花{ask}{k}。小时候{term}来过第{n}{ask}{k}次。"
                    f"你可以睡{n}{ask}{k}觉。{system}{character}看第{n}{ask}{k}个月亮。"
                    for k in "一二"
                ),
            )
            for ask in "早晚"
        ),
    )
    for system in "甲乙"
    for character, word, term in (("阿岚", "扬帆吧", "白鲸号"), ("小满", "热乎乎", "酵母"))
    for n in range(6)
]


def test_pairs_are_twins() -> None:
    """Both dialogues of a pair have one id and the same questions, and differ in a reply.

    Each dialogue has at most one pair per perturbation; here each occurs at every level.
    """
    found = list(pairs(DIALOGUES, Pool(DIALOGUES, PEOPLE), rng(0)))
    for pair in found:
        assert pair.original.id == pair.perturbed.id
        assert [t.question for t in pair.original.turns] == [
            t.question for t in pair.perturbed.turns
        ]
        assert pair.original.turns != pair.perturbed.turns
    counts = Counter((pair.original.id, pair.perturbation.name) for pair in found)
    assert set(counts.values()) == {1}
    assert {name for _, name in counts} == set(PERTURBATIONS)
    assert {(pair.perturbation.name, pair.level) for pair in found} == {
        (d.name, level) for d in PERTURBATIONS.values() for level in range(1, d.max_level + 1)
    }
    assert {pair.original for pair in found} == set(DIALOGUES)


def test_pairs_repeat_with_the_seed() -> None:
    """The same seed makes the same pairs, another seed others."""
    pool = Pool(DIALOGUES, PEOPLE)
    one, two, other = (list(pairs(DIALOGUES, pool, rng(seed))) for seed in (3, 3, 4))
    assert one == two
    assert one != other


def test_no_pair_where_nothing_changes() -> None:
    """A single plain reply of an unknown character has no donor, no words and no marked sentences.

    Of seven sentences half can be cut, but not all: at level 2 of `cut_rest` there is no pair.
    """
    text = "天很蓝。海很宽。风很轻。月亮很圆。星星很亮。路很长。夜很静。"
    lone = said(text, character="路人")
    pool = Pool([lone], PEOPLE)
    found = [
        {(p.perturbation.name, p.level) for p in pairs([lone], pool, rng(s))} for s in range(20)
    ]
    assert {name for made in found for name, _ in made} == {
        "swap_characters",
        "double_characters",
        "drop_characters",
        "assistant_voice",
        "cold",
        "cut_rest",
    }
    assert all({"assistant_voice", "cold"} <= {name for name, _ in made} for made in found)
    levels = [dict(made).get("cut_rest") for made in found]
    assert set(levels) == {1, None}


# The released dialogues


def test_released_dialogues(judge_data: Path) -> None:
    """Of 11 x 20 x 60: 11 x 16 x 48 to learn from, 11 x 16 x 12 and 11 x 4 x 60 held out.

    Pairs from a held-out part keep their ids and differ.
    """
    files = sorted((judge_data / "chatanime").glob("*.json"))
    dialogues = [d for path in files for d in read_dialogues(path).dialogues]
    found = split(dialogues, rng(0))
    assert [len(part) for part in parts(found)] == [8448, 2112, 2640]
    pool = Pool(found.new_scenarios, load_rubric("esrp").characters)
    made = list(pairs(found.new_scenarios[:40], pool, rng(0)))
    assert all(
        p.original.id == p.perturbed.id and p.original.turns != p.perturbed.turns for p in made
    )
    assert len(made) > 40 * len(PERTURBATIONS) / 2
