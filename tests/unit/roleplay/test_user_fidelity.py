"""The user simulator compared with recorded users: by hand, laws, and the public dialogues."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.dialogues import read_dialogues
from judge.records import plain_record
from judge.roleplay.user_fidelity import (
    Share,
    UserFidelity,
    in_voice,
    measure_user_fidelity,
    question_statistics,
)
from judge.rubric import load_rubric
from judge.types import Character, Dialogue, Turn

CAPTAIN = Character(
    name="《船》的阿海",
    known=True,
    names={"zh": "阿海", "en": "Hai"},
    address=("阿海", "船长"),
    catchphrases=("起锚",),
    terms=("灯塔岛",),
)


def profile(name: str) -> Character:
    return CAPTAIN if name == CAPTAIN.name else Character(name=name)


def played(
    question: str, answer: str = "嗯。", character: str = CAPTAIN.name, scenario: str = "1"
) -> Dialogue:
    turns = (Turn("今天好累。", answer), Turn(question, "好。"))
    return Dialogue("bot", character, scenario, turns)


# By hand


def test_overlap_by_hand() -> None:
    """Two of ab, bc, cd are in the question's own answer, one is in the other's: 2/3, 1/3, closer.

    The other question, xyz, has xy and yz: none in its own answer, none in the other: a tie.
    """
    dialogues = [
        played("abcd?", "Abc", "一"),
        played("xyz", "cd, x y", "二"),
        played("cdcd", "cdcd", "一", "2"),  # nobody else was asked that
    ]
    found = question_statistics(dialogues, profile)
    assert found.overlap == pytest.approx((2 / 3 + 0) / 2)
    assert found.overlap_by_chance == pytest.approx((1 / 3 + 0) / 2)
    assert found.taken_up == Share((1 + 0.5) / 2, 2)
    assert found.n == 3
    assert found.question_mark == Share(1 / 3, 3)


def test_systems_are_not_mixed() -> None:
    """Answers are compared within one system only."""
    dialogues = [played("abc?", "abc", "一"), replace(played("x?", "y", "二"), system="other")]
    assert question_statistics(dialogues, profile).taken_up == Share(None, 0)


def test_lengths_by_hand() -> None:
    """Blanks around a question do not count; 3 is longer than 1 and shorter than 5."""
    simulated = [played(" 一二三 ")]
    recorded = [played("一"), played("一二三四五")]
    found = measure_user_fidelity(simulated, recorded, profile)
    assert (found.simulated.length, found.recorded.length) == (3, 3)
    assert found.longer == 0
    assert measure_user_fidelity(recorded[1:], simulated, profile).longer == 1


@pytest.mark.parametrize(
    ("text", "before", "expected"),
    [
        ("起锚！下一座岛等着呢。", "我好累。", True),
        ("当年在灯塔岛，我也输过。", "我好累。", True),
        ("阿海：别怕，有我呢。", "我好累。", True),
        ("**《船》的阿海**：别怕。", "我好累。", True),
        ("Hai: do not worry.", "", True),
        ("你总说起锚，可我没力气。", "那就起锚！", False),  # heard it just now
        ("阿海，起锚之前你会怕吗？", "别怕。", False),  # calls him by name
        ("老板：明天加班。我要疯了！", "别怕。", False),
        ("我明天还要上班，你说呢？", "别怕。", False),
    ],
)
def test_whose_voice_it_is(text: str, before: str, expected: bool) -> None:
    """The character's own words or name do; repeating or addressing the character does not."""
    assert in_voice(text, before, CAPTAIN) is expected


def test_voice_needs_a_profile() -> None:
    """Questions to a character without a profile are not counted."""
    dialogues = [played("起锚！"), played("起锚！", character="谁")]
    found = measure_user_fidelity(dialogues, dialogues, profile)
    assert found.simulated.in_voice == Share(1.0, 1)
    assert found.answers_in_voice == Share(0.0, 2)


def test_voice_needs_a_profile_in_its_writing() -> None:
    """An English question cannot contain a Chinese catchphrase, so it is not counted."""
    sea = replace(CAPTAIN, catchphrases=("起锚喽", "别磨蹭"))
    dialogues = [played("And what would you do in my place?"), played("换成你会怎么做呢？")]
    assert question_statistics(dialogues, lambda _: sea).in_voice == Share(0.0, 1)
    english = replace(CAPTAIN, catchphrases=("weigh the anchor", "no dawdling"), terms=())
    assert question_statistics(dialogues, lambda _: english).in_voice == Share(0.0, 1)


def test_nothing_to_measure() -> None:
    """Without questions there are no numbers; a dialogue may end before the second one."""
    ended = Dialogue("bot", CAPTAIN.name, "1", (Turn("今天好累。", ""),))
    nothing = Share(None, 0)
    found = measure_user_fidelity([ended, played(" ")], [], profile)
    assert found.simulated == found.recorded
    assert (found.simulated.n, found.simulated.length, found.simulated.quartiles) == (0, None, None)
    assert found.simulated.question_mark == found.simulated.in_voice == nothing
    assert found.longer is None
    assert found.answers_in_voice == nothing


# Laws

questions = st.lists(
    st.builds(
        played,
        st.text("一二三?abc ", max_size=12),
        st.text("一二三abc ", max_size=12),
        st.sampled_from([CAPTAIN.name, "谁", "某"]),
        st.sampled_from("12"),
    ),
    max_size=8,
)


@given(questions, questions)
def test_cliffs_delta_counts_pairs(one: list[Dialogue], other: list[Dialogue]) -> None:
    """It equals the definition over all pairs; exchanging the sides changes its sign."""
    found = measure_user_fidelity(one, other, profile)
    mine, theirs = (
        [len(text) for d in side if (text := d.turns[1].question.strip())] for side in (one, other)
    )
    pairs = [(a > b) - (a < b) for a in mine for b in theirs]
    assert found.longer == (pytest.approx(statistics.mean(pairs)) if pairs else None)
    back = measure_user_fidelity(other, one, profile).longer
    assert back == (None if found.longer is None else pytest.approx(-found.longer))
    if len(mine) > 1:
        quartiles = statistics.quantiles(mine, n=4, method="inclusive")
        assert found.simulated.quartiles == pytest.approx(quartiles)


@given(questions)
def test_a_question_that_repeats_no_answer_is_at_chance(dialogues: list[Dialogue]) -> None:
    """If all answers are equal, no question overlaps more with its own."""
    same = [replace(d, turns=(Turn("?", "一二三abc"), d.turns[1])) for d in dialogues]
    found = question_statistics(same, profile)
    assert found.taken_up.share in {None, 0.5}
    assert found.overlap == pytest.approx(found.overlap_by_chance)


@given(questions, questions)
def test_it_survives_json(one: list[Dialogue], other: list[Dialogue]) -> None:
    """What is stored can be read back equal."""
    found = measure_user_fidelity(one, other, profile)
    stored = json.dumps(plain_record(found, format=1), allow_nan=False)
    assert msgspec.json.decode(stored, type=UserFidelity) == found


# The public dialogues


@pytest.fixture(scope="module")
def public(judge_data: Path) -> tuple[Dialogue, ...]:
    return read_dialogues(judge_data / "chatanime").dialogues


def test_recorded_users_stay_users(public: tuple[Dialogue, ...]) -> None:
    """Few recorded questions are in the character's voice, but half of the answers are."""
    character = load_rubric("esrp").character
    found = measure_user_fidelity([d for d in public if d.system == "human"], public, character)
    assert found.recorded.n == 13_200
    assert found.recorded.in_voice.share is not None
    assert found.recorded.in_voice.share < 0.03
    assert found.answers_in_voice.share is not None
    assert 0.45 < found.answers_in_voice.share < 0.7


def test_an_impostor_is_found(public: tuple[Dialogue, ...]) -> None:
    """A user that writes the character's second answers is far from the recorded users."""
    character = load_rubric("esrp").character
    human = [d for d in public if d.system == "human"]
    impostor = [replace(d, turns=(d.turns[0], Turn(d.turns[1].answer, ""))) for d in human]
    voice = question_statistics(impostor, character).in_voice.share
    assert voice is not None
    assert voice > 0.4


def test_recorded_users_take_up_the_answer(public: tuple[Dialogue, ...]) -> None:
    """Recorded questions react to their answers; beside another character's they do not."""
    character = load_rubric("esrp").character
    human = [d for d in public if d.system == "human"]
    scenarios = defaultdict(list)
    for d in human:
        scenarios[d.scenario].append(d)
    moved = [
        replace(d, turns=(d.turns[0], group[index - 1].turns[1]))
        for group in scenarios.values()
        for index, d in enumerate(group)
    ]
    real, chance = (question_statistics(side, character).taken_up.share for side in (human, moved))
    assert real is not None
    assert real > 0.65
    assert chance == pytest.approx(0.5, abs=0.05)
