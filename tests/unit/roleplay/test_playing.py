"""Which chats each model gets, in which order, and what happens after failures and interruptions.

The models are on test servers that are asked over HTTP like any other.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from judge.engines.servers import api
from judge.errors import EngineError, RunMismatchError
from judge.roleplay import Transcript, parts_of, play, played_dialogues
from judge.roleplay.transcript import TranscriptLine
from judge.types import Failure, Reply, Sampling, Turn
from tests.unit.engines.recorded import wire as http
from tests.unit.roleplay.wire import PROMPTS, Chat, cast, chats, scene_list, serving

PARTS = parts_of(2)

SCENES = scene_list()
Kept = dict[str, dict[tuple[str, str], TranscriptLine]]


@pytest.fixture(autouse=True)
def _no_key_and_little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in api.KEYS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(api, "PATIENCE", 0.05)
    monkeypatch.setattr(api, "_PAUSE", 0.01)


def kept(folder: Path) -> Kept:
    with Transcript(folder) as transcript:
        return {part: transcript.lines(part) for part in PARTS}


def shown(chat: Any) -> Chat:
    return [{"role": message.role, "content": message.text} for message in chat]


def test_what_each_side_is_asked(tmp_path: Path) -> None:
    """The chats follow the instructions and contain the replies that were really written before.

    All first answers come first, then all second questions, then all second answers.
    """
    told: list[tuple[str, int, int]] = []
    with serving() as wire, Transcript(tmp_path) as transcript:
        play(SCENES, cast(wire), transcript, lambda *news: told.append(news))
        asked = chats(wire)
        found = played_dialogues("player", transcript)
    lines = kept(tmp_path)
    stranger = PROMPTS.character("小明")
    first, question, second = [], [], []
    for scene in SCENES:
        answer, said, again = (lines[part][scene.id] for part in PARTS)
        words = answer.reply.outcome, said.reply.outcome
        assert isinstance(words[0], str)
        assert isinstance(words[1], str)
        first.append(shown(PROMPTS.character_chat(stranger, scene.question)))
        said_first = [Turn(scene.question, words[0])]
        question.append(shown(PROMPTS.user_chat(stranger, said_first)))
        second.append(shown(PROMPTS.character_chat(stranger, words[1], said_first)))
        turns = found[scene.id].turns
        assert [turn.question for turn in turns] == [scene.question, words[1]]
        assert [turn.answer for turn in turns] == [words[0], again.reply.outcome]
        assert (answer.in_reply_to, again.in_reply_to) == (scene.question, words[1])
        assert (again.reply.tokens, again.reply.prompt_tokens) == (5, 7)
    parts = [asked[at : at + len(SCENES)] for at in range(0, len(asked), len(SCENES))]
    for part, expected in zip(parts, (first, question, second), strict=True):
        assert sorted(part, key=repr) == sorted(expected, key=repr)
    steps = range(len(SCENES) + 1)  # each is kept when it comes
    assert told == [(part, done, len(SCENES)) for part in PARTS for done in steps]


def test_batches_and_company_change_nothing(tmp_path: Path) -> None:
    """In one batch, one by one, or some scenes earlier than others: the replies are the same."""
    found = []
    with serving() as wire:
        for name, batch, rounds in (
            ("at once", 99, [SCENES]),
            ("one by one", 1, [SCENES]),
            ("grown", 2, [SCENES[3:4], SCENES[1:4], SCENES]),
        ):
            for scenes in rounds:
                with Transcript(tmp_path / name) as transcript:
                    play(scenes, cast(wire, batch), transcript)
            found.append(kept(tmp_path / name))
        assert len(chats(wire)) == len(found) * len(PARTS) * len(SCENES)
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("part", PARTS)
def test_a_server_that_dies_and_comes_back(tmp_path: Path, part: str) -> None:
    """At any point: stored lines are not asked for again, and the result is the same as without."""
    with serving() as wire, Transcript(tmp_path / "whole") as transcript:
        play(SCENES, cast(wire, 1), transcript)
    whole = kept(tmp_path / "whole")
    left = itertools.count(PARTS.index(part) * len(SCENES) + 2, -1)
    down = http.Reply({"error": "boom"}, 500)
    with serving(lambda *_: down if next(left) <= 0 else None) as wire:
        with (
            Transcript(tmp_path / "run") as transcript,
            pytest.raises(EngineError, match="boom") as caught,
        ):
            play(SCENES, cast(wire, 1), transcript)
        assert "goes on" in str(caught.value.hint)
    before = kept(tmp_path / "run")
    held = sum(map(len, before.values()))
    assert held == PARTS.index(part) * len(SCENES) + 2
    with serving() as wire, Transcript(tmp_path / "run") as transcript:
        play(SCENES, cast(wire, 1), transcript)
        assert len(chats(wire)) == len(PARTS) * len(SCENES) - held
        play(SCENES, cast(wire, 1), transcript)
        assert len(chats(wire)) == len(PARTS) * len(SCENES) - held
    assert kept(tmp_path / "run") == whole


def test_two_at_once(tmp_path: Path) -> None:
    """If another process stores lines for the same scenes in the meantime, those count."""
    count = itertools.count()
    never_twice = serving(lambda *_: f"第{next(count)}句")
    with never_twice as wire, Transcript(tmp_path) as transcript, Transcript(tmp_path) as other:
        told = iter([True])

        def meanwhile(*_: object) -> None:
            if next(told, False):
                play(SCENES, cast(wire), other)

        play(SCENES, cast(wire), transcript, meanwhile)
        assert len(played_dialogues("player", transcript)) == len(SCENES)
    lines = kept(tmp_path)
    for scene in SCENES:
        at = scene.id
        assert lines["answer2"][at].in_reply_to == lines["question2"][at].reply.outcome


@pytest.mark.parametrize(
    "changes",
    [
        {"sampling": Sampling(max_tokens=8)},
        {"sampling": Sampling(max_tokens=9, seed=1)},
        {"user_sampling": Sampling(max_tokens=9, temperature=0)},
        {"user": {scene.id: "然后呢？" for scene in SCENES}},
    ],
)
def test_another_way_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    """Other settings of either model, or recorded questions: no model is asked, nothing changes."""
    with serving() as wire, Transcript(tmp_path) as transcript:
        play(SCENES, cast(wire), transcript)
        before, asked = kept(tmp_path), len(chats(wire))
        with pytest.raises(RunMismatchError) as caught:
            play(SCENES, cast(wire, **changes), transcript)
        assert "choose another --out" in str(caught.value.hint)
        changed = [replace(SCENES[0], question="早。"), *SCENES[1:]]
        with pytest.raises(RunMismatchError, match="answer1 of 小明/1 was written"):
            play(changed, cast(wire), transcript)
        assert len(chats(wire)) == asked
    assert kept(tmp_path) == before


def test_recorded_questions(tmp_path: Path) -> None:
    """They are used unchanged, and a scene without one is not played to its end.

    A user simulator is refused in the same folder afterwards.
    """
    recorded = {scene.id: (f"那第{scene.scenario}次呢？",) for scene in SCENES[1:]}
    with serving() as wire, Transcript(tmp_path) as transcript:
        play(SCENES, cast(wire, user=recorded), transcript)
        assert chats(wire, "asker") == []
        found = played_dialogues("player", transcript)
        assert {at: (d.turns[1].question,) for at, d in found.items()} == recorded
        with pytest.raises(RunMismatchError, match="recorded ones"):
            play(SCENES, cast(wire), transcript)
        assert chats(wire, "asker") == []


def test_three_rounds_and_one(tmp_path: Path) -> None:
    """Both sides see all that was said before; two rounds can become three, but not one.

    What a model says here depends on its whole chat, so equal lines had equal chats.
    """
    stranger = PROMPTS.character("小明")
    told: list[tuple[str, int, int]] = []
    with serving() as wire, Transcript(tmp_path / "three") as transcript:
        play(SCENES, cast(wire, rounds=3), transcript, lambda *news: told.append(news))
        asked = {name: chats(wire, name) for name in ("player", "asker")}
        whole = played_dialogues("player", transcript, 3)
        with pytest.raises(RunMismatchError, match="have --rounds 3, not 2"):
            play(SCENES, cast(wire), transcript)
    assert list(dict.fromkeys(part for part, _, _ in told)) == list(parts_of(3))
    assert parts_of(3) == ("answer1", "question2", "answer2", "question3", "answer3")
    assert len(whole) == len(SCENES)
    for dialogue in whole.values():
        first, second, third = dialogue.turns
        last = PROMPTS.character_chat(stranger, third.question, [first, second])
        assert [m.role for m in last] == ["system", *["user", "assistant"] * 2, "user"]
        assert [m.text for m in last][1:] == [
            *(first.question, first.answer, second.question, second.answer, third.question)
        ]
        assert shown(last) in asked["player"]
        user = shown(PROMPTS.user_chat(stranger, [first, second]))
        assert user in asked["asker"]
        places = [user[-1]["content"].index(text) for text in (first.answer, second.question)]
        assert places == sorted(places)
    with serving() as wire, Transcript(tmp_path / "grown") as transcript:
        play(SCENES, cast(wire), transcript)
        shorter = played_dialogues("player", transcript)
        assert {at: d.turns for at, d in shorter.items()} == {
            at: d.turns[:2] for at, d in whole.items()
        }
        assert played_dialogues("player", transcript, 3) == {}
        play(SCENES, cast(wire, rounds=3), transcript)
        assert played_dialogues("player", transcript, 3) == whole
    with serving() as wire, Transcript(tmp_path / "one") as transcript:
        play(SCENES, cast(wire, user={}, rounds=1), transcript)
        assert chats(wire, "asker") == []
        found = played_dialogues("player", transcript, 1)
    assert {at: d.turns for at, d in found.items()} == {at: d.turns[:1] for at, d in whole.items()}


def of(scenario: str, chat: Chat) -> bool:
    return any(f"今天第{scenario}次" in message["content"] for message in chat)


def test_what_fails_ends_its_scene_alone(tmp_path: Path) -> None:
    """Without a first answer the dialogue has one empty reply, and the user is not asked.

    Without a second question there is no dialogue. Without a second answer the dialogue has an
    empty reply, which a judge counts as such.
    """
    long = http.Reply({"error": {"message": "longer than the context window"}}, 400)

    def says(name: str, chat: Chat) -> http.Reply | str | None:
        again = len(chat) > 2
        if name == "player" and not again and of("1", chat):
            return long
        if name == "player" and not again and of("2", chat):
            return " \n"
        if name == "asker" and of("3", chat):
            return "<think>...</think> "
        return long if name == "player" and again and of("4", chat) else None

    with serving(says) as wire, Transcript(tmp_path) as transcript:
        play(SCENES, cast(wire), transcript)
        found = {
            at[1]: [t.answer for t in d.turns]
            for at, d in played_dialogues("player", transcript).items()
        }
        assert (len(chats(wire, "asker")), len(chats(wire))) == (3, 5 + 3 + 2)
    lines = kept(tmp_path)
    assert found.keys() == {"1", "2", "4", "5"}
    assert (found["1"], found["2"], found["4"][1]) == ([""], [""], "")
    assert all(found["5"])
    failed = lines["answer1"]["小明", "1"].reply.outcome
    assert failed == Failure("too_long", "HTTP 400: longer than the context window")
    assert lines["question2"]["小明", "3"].reply == Reply(0, "", "...", 5, 7)


@pytest.mark.parametrize(
    ("name", "said", "why"),
    [
        ("player", http.Reply({"error": "the prompt is too long"}, 400), "the prompt is too long"),
        ("asker", http.Reply({"error": "the prompt is too long"}, 400), "the prompt is too long"),
        ("asker", " ", "the replies are empty"),
    ],
)
def test_nothing_comes_of_it(tmp_path: Path, name: str, said: http.Reply | str, why: str) -> None:
    """If everything fails, the error names the model and the reason, also at a second try."""
    option = {"player": "--model", "asker": "--user"}[name]
    with (
        serving(lambda who, _: said if who == name else None) as wire,
        Transcript(tmp_path) as transcript,
    ):
        for _ in range(2):
            with pytest.raises(EngineError, match=f"{option}: not one of 5 .*: {why}"):
                play(SCENES, cast(wire), transcript)
        assert len(chats(wire, name)) == len(SCENES)


def test_half_a_character(tmp_path: Path) -> None:
    """Half of a surrogate pair from a server is replaced, and the rest of the text is kept."""
    with serving(lambda *_: "好\ud83d。") as wire, Transcript(tmp_path) as transcript:
        play(SCENES[:1], cast(wire), transcript)
        (found,) = played_dialogues("player", transcript).values()
    assert [turn.answer for turn in found.turns] == ["好\ufffd。"] * 2
