"""Reply sets: how they are drawn, judged and stored."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from judge.engines import EngineOptions
from judge.engines.mock import MockEngine
from judge.errors import RunMismatchError, UsageError
from judge.pipeline import JudgingOutcome, score
from judge.rubric import load_rubric
from judge.rubric.reply_sets import draw_replies, is_reply_set, replies_metric, replies_tree
from judge.scoring import prompt_keys
from judge.store import Store
from judge.types import Dialogue, Turn

ESRP = load_rubric("esrp")
LUFFY, OTHER = "《海贼王》的蒙奇·D·路飞", "无名氏"


def play(system: str, scenarios: int = 12, character: str = LUFFY) -> list[Dialogue]:
    """Dialogues whose replies name their system, scenario and round."""
    return [
        Dialogue(
            system,
            character,
            str(n),
            tuple(Turn(f"问{n}.{r}", f"{system}：{character}{n}.{r}") for r in (1, 2)),
        )
        for n in range(1, scenarios + 1)
    ]


def drawn(dialogues: list[Dialogue], k: int = 5, draws: int = 2, seed: int = 0) -> list[Dialogue]:
    return list(draw_replies(dialogues, k=k, draws=draws, seed=seed))


def questions(dialogue: Dialogue) -> list[str]:
    return [turn.question for turn in dialogue.turns]


def test_sets_of_k_from_as_many_dialogues() -> None:
    """Each draw has k replies of its own system and character, no two of one dialogue."""
    sets = drawn(play("a") + play("b") + play("a", character=OTHER))
    where = [(d.character, d.system, d.scenario) for d in sets]
    assert where == [
        (character, system, f"replies, draw {n}")
        for character, system in ((LUFFY, "a"), (LUFFY, "b"), (OTHER, "a"))
        for n in (1, 2)
    ]
    assert all(is_reply_set(d.scenario) for d in sets)
    for d in sets:
        assert len({question.split(".")[0] for question in questions(d)}) == len(d.turns) == 5
        assert all(turn.answer.startswith(f"{d.system}：{d.character}") for turn in d.turns)


def test_systems_are_asked_about_the_same_scenes() -> None:
    """A draw takes the same scenarios and rounds of every system, in the same order."""
    first, _, second, _ = drawn(play("a") + play("b")[::-1])
    assert questions(first) == questions(second)


def test_draws_differ_and_follow_the_seed() -> None:
    """Another draw, seed or character gives another sample; the same ones give the same."""
    many = play("a", 60) + play("a", 60, OTHER)
    sets = drawn(many)
    assert sets == drawn(many)
    assert len({tuple(questions(d)) for d in [*sets, *drawn(many, seed=1)]}) == 8


def test_draws_do_not_depend_on_what_else_is_there() -> None:
    """More systems, characters or draws do not change existing draws, so a run can grow."""
    alone = drawn(play("a"))
    more = drawn(play("a", character=OTHER) + play("b") + play("a"), draws=3)
    assert set(alone) <= set(more)


def test_every_reply_is_as_likely() -> None:
    """Over many draws of 5 of 12 scenarios, each of the 24 replies is in 5/24 of the draws."""
    draws = 3000
    counts = Counter(q for d in drawn(play("a"), draws=draws) for q in questions(d))
    expected = draws * 5 / 24
    assert len(counts) == 24
    # 5 standard deviations of a binomial count
    assert all(abs(n - expected) < 5 * (expected * 19 / 24) ** 0.5 for n in counts.values())


def test_blank_replies_and_small_characters_are_passed_over() -> None:
    """Blank replies are not drawn; with fewer than k dialogues there is no set."""
    blank = [
        Dialogue("a", LUFFY, d.scenario, (d.turns[0], Turn("问", " \n"))) for d in play("a", 5)
    ]
    (one,) = drawn(blank, draws=1)
    assert all(question.endswith(".1") for question in questions(one))
    blank[0] = Dialogue("a", LUFFY, "1", (Turn("问", ""),))
    assert drawn(blank) == []


def test_sets_are_not_drawn_from_sets() -> None:
    """A run also stores its reply sets: drawing again from all its dialogues gives the same."""
    sets = drawn(play("a"))
    assert drawn(play("a") + sets) == sets


@pytest.mark.parametrize(("k", "draws", "seed"), [(1, 3, 0), (10, 0, 0), (10, 3, -1)])
def test_draws_that_cannot_be(k: int, draws: int, seed: int) -> None:
    """A set needs two replies, and a score needs a draw."""
    with pytest.raises(UsageError, match=f"{draws} draws of {k} replies by the seed {seed}"):
        drawn(play("a"), k, draws, seed)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_tree_and_segments_are_one_prompt(language: str) -> None:
    """The segments of the tree, joined, are the prompt that `segments` shows for the set."""
    rubric = load_rubric("esrp", language)
    tree = replies_tree(rubric, play("a"), seed=0)
    metric = rubric.rubric.metric("response_diversity")
    question = tree.questions[metric.name]
    assert len(tree) == 3
    for item in tree.items:
        assert len(item.dialogue.turns) == 10
        joined = tree.system + tree.profiles[LUFFY] + item.text + question.text + question.prefill
        assert joined == "".join(rubric.segments(metric, item.dialogue).values())
        assert all(turn.answer in item.text for turn in item.dialogue.turns)
        assert not any(question in joined for question in questions(item.dialogue))


def test_no_prompt_is_that_of_a_dialogue() -> None:
    """Keys of reply sets differ from those of dialogues, of other draws and of other systems."""
    said = play("a") + play("b")
    found = [*prompt_keys(ESRP.tree(said), "m").values()]
    found += prompt_keys(replies_tree(ESRP, said, seed=0), "m").values()
    assert len(set(found)) == len(found) == 24 * 9 + 6


def test_too_few_replies_make_an_empty_tree() -> None:
    """There are no prompts, and no error."""
    tree = replies_tree(ESRP, play("a", 9), seed=0)
    assert (len(tree), tree.items, tree.profiles) == (0, (), {})


def test_a_rubric_without_the_metric() -> None:
    """The rubric of the embedded judge judges dialogues only; asking for more is an error."""
    tiny = load_rubric("tiny")
    assert replies_metric(tiny.rubric) is None
    assert replies_metric(ESRP.rubric) == "response_diversity"
    with pytest.raises(
        UsageError, match="rubric set tiny has no metric that judges sets of replies"
    ):
        replies_tree(tiny, play("a"), seed=0)


def test_sets_go_the_way_of_dialogues(tmp_path: Path) -> None:
    """They are judged once and stored like dialogues."""
    engine = MockEngine("mock", EngineOptions(batch_size=4))
    said = play("a") + play("b")
    tree = replies_tree(ESRP, said, seed=0)
    with Store(tmp_path) as store:
        assert score(ESRP.tree(said, ["fluency"]), engine, store) == JudgingOutcome(24, 0)
        assert score(tree, engine, store) == JudgingOutcome(6, 0)
        assert score(tree, engine, store) == JudgingOutcome(0, 6)
        again = replies_tree(ESRP, store.dialogues(), seed=0)
        assert score(again, engine, store) == JudgingOutcome(0, 6)
        judged = [j for j in store.judgments() if j.metric == "response_diversity"]
        assert len(judged) == 6
        assert all(j.score is not None and is_reply_set(j.scenario) for j in judged)


def test_another_seed_does_not_mix(tmp_path: Path) -> None:
    """Draws with another seed or size have the same names, and are refused."""
    engine = MockEngine("mock", EngineOptions())
    with Store(tmp_path) as store:
        score(replies_tree(ESRP, play("a"), seed=0), engine, store)
        for k, seed in ((10, 1), (8, 0)):
            with pytest.raises(RunMismatchError, match="another text of the dialogue a/"):
                score(replies_tree(ESRP, play("a"), k=k, seed=seed), engine, store)
