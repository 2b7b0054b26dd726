"""Baits do what their titles say, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from judge.baits import ALL, BAITS, shuffled
from judge.perturbations import BASIC, ROLE, SUPPORT, Pool, sentences
from judge.types import Character, Dialogue, Turn

DIALOGUE = Dialogue(
    "bot", "路飞", "1",
    (Turn("考试没考好怎么办？", "没关系！下次再来嘛。我请你吃肉！"),
     Turn("可是我很难过。", "难过就哭出来。哭完我们去冒险，这个世界很大的！")),
)  # fmt: skip
POOL = Pool([DIALOGUE], {"路飞": Character("路飞", known=True, catchphrases=("我要成为海贼王",))})


def baited(name: str, seed: int = 0) -> list[str]:
    form = BAITS[name](DIALOGUE, POOL, np.random.default_rng(seed))
    assert form is not None
    assert [t.question for t in form.turns] == [t.question for t in DIALOGUE.turns]
    return [turn.answer for turn in form.turns]


@pytest.mark.parametrize("name", BAITS)
def test_every_bait_changes_both_replies_in_the_same_way_for_the_same_seed(name: str) -> None:
    """And names measures that there are."""
    answers = baited(name)
    assert answers == baited(name)
    assert all(new != turn.answer for new, turn in zip(answers, DIALOGUE.turns, strict=True))
    bait = BAITS[name]
    assert bait.name == name
    assert {*bait.steady, *bait.falls} <= {ALL, *BASIC, *ROLE, *SUPPORT}
    kept = all(t.answer[:3] in new for t, new in zip(DIALOGUE.turns, answers, strict=True))
    assert kept or bait.replaces or name in {"markdown", "traditional"}


@pytest.mark.parametrize("name", BAITS)
def test_a_blank_reply_takes_no_bait(name: str) -> None:
    """There is nothing to improve."""
    blank = Dialogue("bot", "路飞", "1", (Turn("在吗？", " "),))
    assert BAITS[name](blank, POOL, np.random.default_rng(0)) is None


def test_padding_doubles_the_length_and_keeps_the_reply() -> None:
    """The reply comes first, and what follows is about as long."""
    long = Dialogue("bot", "路飞", "1", (Turn("？", "我要成为海贼王的男人！" * 20),))
    form = BAITS["length_padding"](long, POOL, np.random.default_rng(0))
    assert form is not None
    before, after = long.turns[0].answer, form.turns[0].answer
    assert after.startswith(before)
    assert len(after) == pytest.approx(2 * len(before), rel=0.1)


def test_the_words_of_each_bait() -> None:
    """One example of each kind of change."""
    assert baited("copied_question")[0].startswith("考试没考好怎么办？\n没关系")
    assert "1. **没关系！**" in baited("markdown")[0]
    assert "## " in baited("markdown")[0]
    assert baited("catchphrases")[0].endswith("我要成为海贼王！")
    assert "這個世界很大的" in baited("traditional")[1]
    assert baited("bare_colon") == ["：", "："]
    assert baited("other_language")[0].isascii()


def test_without_catchphrases_there_is_none_to_quote() -> None:
    """The bait does not apply, which is no failure."""
    unknown = Pool([DIALOGUE], {})
    assert BAITS["catchphrases"](DIALOGUE, unknown, np.random.default_rng(0)) is None


def test_shuffling_keeps_the_sentences_and_changes_their_order() -> None:
    """For every seed: a reply of several sentences never stays as it was."""
    for seed in range(20):
        form = shuffled(DIALOGUE, np.random.default_rng(seed))
        assert form is not None
        for turn, other in zip(DIALOGUE.turns, form.turns, strict=True):
            assert turn.answer != other.answer
            assert sorted(sentences(turn.answer)) == sorted(sentences(other.answer))
    alone = Dialogue("bot", "路飞", "1", (Turn("？", "没关系！"),))
    assert shuffled(alone, np.random.default_rng(0)) is None
