"""Runs against servers in trouble: what is told at the end, what is asked again, one at a time."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import pytest

from judge import evaluate, generate
from judge.engines.servers import api
from judge.engines.servers.faults import KEYS
from judge.store import Store, only_writer
from judge.types import Dialogue, Turn
from tests.unit.engines.recorded import documented
from tests.unit.engines.recorded.wire import Reply, Request, Wire
from tests.unit.roleplay.wire import Chat, serving

SAID = tuple(
    Dialogue("bot", "小明", str(i), (Turn("累了。", f"第{i}句"), Turn("嗯。", "乖。")))
    for i in (1, 2, 3)
)
FILTERED = {"error": {"message": "unsafe", "code": "content_filter"}}


@pytest.fixture(autouse=True)
def _no_key_and_little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(api, "_PAUSE", 0.01)


def test_the_terminal_says_how_many_failed_for_which_reason(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One page in the place of an answer, one filter; the same call asks the first again."""
    ill = True

    def trouble(request: Request) -> Reply:
        text = str(request.body)
        if ill and "第1句" in text:
            return Reply("<html>bad gateway")
        return Reply(FILTERED, 400) if ill and "第2句" in text else documented.openai(request)

    caplog.set_level(logging.INFO)
    with Wire(trouble) as wire:

        def judged(**options: bool) -> tuple[int, int, int]:
            caplog.clear()
            done = evaluate(
                SAID,
                judge="toy",
                base_url=wire.url,
                rubric="tiny",
                metrics=["fluency"],
                out=tmp_path,
                retry_for=0.5,
                **options,  # type: ignore[arg-type]
            )
            return done.made, done.reused, done.failed

        assert judged() == (3, 0, 2)
        assert "1 filtered, such as: HTTP 400: unsafe" in caplog.text
        assert "1 unreadable, such as: the answer cannot be read" in caplog.text
        assert "1 of them may succeed now: the same command asks them again" in caplog.text
        ill = False
        assert judged() == (1, 2, 1)
        assert "may succeed now" not in caplog.text
        assert "--retry-failed" in caplog.text
        assert judged(retry_failed=True) == (1, 2, 0)
        assert "--retry-failed" not in caplog.text
        assert judged() == (0, 3, 0)


@pytest.mark.parametrize("lasting", [False, True])
def test_a_reply_that_failed_is_asked_for_again_and_judged(tmp_path: Path, lasting: bool) -> None:
    """The dialogue that had no answer gets one, in the same run folder, and then a score."""
    ill = True

    def says(name: str, chat: Chat) -> Reply | str | None:
        if ill and name == "player" and len(chat) == 2 and "难" in str(chat[-1]["content"]):
            return Reply(FILTERED, 400) if lasting else Reply("<html>")
        return None

    questions = tmp_path / "questions.jsonl"
    questions.write_text(
        "\n".join(
            f'{{"system": "human", "character": "小明", "scenario": "{i}", "round": {r}, '
            f'"question": "{q}", "answer": "好。"}}'
            for i, first in (("1", "今天难。"), ("2", "今天好。"))
            for r, q in ((1, first), (2, "真的？"))
        ),
        encoding="utf-8",
    )
    with serving(says) as wire:

        def played(retry_failed: bool = False) -> tuple[int, int]:
            done = evaluate(
                "openai:player",
                judge="mock",
                model_url=wire.url,
                user="replay:human",
                questions=questions,
                out=tmp_path / "run",
                metrics=["fluency"],
                retry_failed=retry_failed,
            )
            return done.failed, sum(j.score is not None for j in done.run.judgments)

        assert played() == (1, 1)
        ill = False
        if lasting:
            assert played() == (1, 1)
        assert played(retry_failed=lasting) == (0, 2)
    with Store(tmp_path / "run") as store:
        assert all(len(dialogue.turns) == 2 for dialogue in store.dialogues())


def test_generating_says_that_lines_may_be_asked_for_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One of two scenes has no first answer; the same call writes it."""
    ill = True
    caplog.set_level(logging.INFO)

    def says(_: str, chat: Chat) -> Reply | str | None:
        return Reply("<html>") if ill and "难" in str(chat[-1]["content"]) else None

    questions = [
        Dialogue("human", "小明", i, (Turn(first, "好。"), Turn("真的？", "真的。")))
        for i, first in (("1", "今天难。"), ("2", "今天好。"))
    ]
    path = tmp_path / "questions.jsonl"
    path.write_text(
        "\n".join(
            f'{{"system": "human", "character": "小明", "scenario": "{d.scenario}", "round": {n}, '
            f'"question": "{t.question}", "answer": "{t.answer}"}}'
            for d in questions
            for n, t in enumerate(d.turns, start=1)
        ),
        encoding="utf-8",
    )
    with serving(says) as wire:
        options = {"base_url": wire.url, "user": "replay:human", "questions": path}
        first = generate("openai:player", out=tmp_path / "run", **options)  # type: ignore[arg-type]
        assert "1 lines may succeed now" in caplog.text
        assert first.played.incomplete
        ill = False
        second = generate("openai:player", out=tmp_path / "run", **options)  # type: ignore[arg-type]
    assert not second.played.incomplete
    assert all(turn.answer for dialogue in second.dialogues for turn in dialogue.turns)


def test_a_second_judge_waits_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It begins when the first one is done, and nothing is left in the folder."""
    caplog.set_level(logging.INFO)
    begun = threading.Event()

    def second() -> None:
        with only_writer(tmp_path):
            begun.set()

    with only_writer(tmp_path):
        thread = threading.Thread(target=second)
        thread.start()
        assert not begun.wait(0.3)
        assert "another judge is at work" in caplog.text
    thread.join(5)
    assert begun.is_set()
    assert list(tmp_path.iterdir()) == []
