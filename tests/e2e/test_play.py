"""`judge eval --model MODEL` as its user meets it: a model plays, is stopped, goes on, is judged.

The models are random: what they say means nothing, but it is said for real, in this process and
by a server in another.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    from tests.e2e.conftest import Program

pytest.importorskip("transformers")
pytest.importorskip("httpx2")

from tests.unit.engines.small import CHATML, NO_SYSTEM, save_model

ROOT = Path(__file__).parents[2]
CHARACTERS = ("《海贼王》的蒙奇·D·路飞", "小明")
KILLS = int(os.environ.get("JUDGE_KILLS", "2"))
SCENES = 4
PARTS = ("answer1", "question2", "answer2")
TOKENS = 5
NO_END = TOKENS * SCENES
"""The models know no end of a reply: the limit is what each part of playing writes."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`talker`, whose template knows all roles, and `asker`, whose template refuses the system."""
    folder = tmp_path_factory.mktemp("models")
    save_model(folder / "talker", "Qwen3", window=16384, template=CHATML)
    save_model(folder / "asker", "Llama", window=16384, template=NO_SYSTEM, seed=1)
    return folder


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    """Dialogues of two characters and a system, of which one scenario has no second question."""
    content = {
        character: [
            {
                "dialog_id": i,
                "question_r1": f"我今天第{i}次把饭烧糊了，有点泄气。",
                "answer_r1": "糊了也能吃！",
                "question_r2": "" if i == SCENES // 2 else f"那你第{i}次做饭是什么样的？",
                "answer_r2": "哈哈，全焦了。",
            }
            for i in range(1, SCENES // 2 + 1)
        ]
        for character in CHARACTERS
    }
    path = tmp_path / "cook.json"
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return path


class Server(NamedTuple):
    """The server of `openai_server.py`."""

    root: str

    def asked(self) -> Counter[str]:
        """How often each chat was replied to since this was last called."""
        with urllib.request.urlopen(f"{self.root}/asked") as answer:  # noqa: S310 - our own
            return Counter(map(json.dumps, json.load(answer)))

    def options(self, way: str = "") -> tuple[str, ...]:
        """To let its model play, with itself as the user."""
        url = f"{self.root}{way and '/'}{way}/v1"
        return ("--model", "openai:small", "--user", "openai:small", "--base-url", url)


@pytest.fixture(scope="module")
def server(models: Path) -> Iterator[Server]:
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("openai_server.py")), models / "talker"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    assert process.stdout is not None
    yield Server(process.stdout.readline().strip())
    process.kill()
    process.communicate()


def lines(judge: Program, run: str) -> Counter[str]:
    """How many lines of each part a run holds at this moment."""
    uri = (judge.folder / run / "play.sqlite").as_uri()
    try:
        with closing(sqlite3.connect(f"{uri}?mode=ro", uri=True, timeout=5)) as db:
            return Counter(dict(db.execute("SELECT part, count(*) FROM line GROUP BY part")))
    except sqlite3.Error:
        return Counter()


def stop(
    judge: Program, process: subprocess.Popen[str], number: signal.Signals, part: str, count: int
) -> None:
    """Once the run holds so much of a part; it must not have come to its end."""
    deadline = time.monotonic() + 60
    held = 0
    while held < count:
        held = judge.rows("run") if part == "judging" else lines(judge, "run")[part]
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, f"{held} of {part} after a minute"
        time.sleep(0.005)  # the cores are for those who work
    process.send_signal(number)
    done = judge.end(process, code=3 if number == signal.SIGINT else -number)
    if number == signal.SIGINT:
        assert done.err.splitlines()[-1].startswith("interrupted; the same command goes on")


def made(judge: Program, run: str) -> dict[str, Any]:
    """What a run leaves behind, but for times and paths: the same twice if nothing else differs."""
    folder = judge.folder / run
    played = json.loads((folder / "played.json").read_bytes())
    for took in played["took"].values():
        del took["seconds"]
    scores = folder / "scores.csv"
    return {
        "played": played,
        "dialogues": (folder / "dialogues.jsonl").read_bytes(),
        "scores": scores.read_bytes() if scores.exists() else None,
    }


def rows(judge: Program, run: str) -> list[dict[str, Any]]:
    text = (judge.folder / run / "dialogues.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


SMALL = ("--max-tokens", TOKENS, "--batch-size", 1)
STOPS = (
    ("answer1", 1, signal.SIGKILL),
    ("question2", 2, signal.SIGINT),
    ("answer2", 1, signal.SIGKILL),
)


# A model in this process


def test_folders_play_and_are_judged(judge: Program, models: Path, questions: Path) -> None:
    """One folder plays, another asks and judges; killed while it judges.

    Dialogues are scored and told of; the run that was stopped has those of the one that was not.
    """
    words = ("--model", models / "talker", "--judge", models / "asker", "--questions", questions)
    args = ("eval", *words, *SMALL, "--out")
    done = judge(*args, "whole")
    found = made(judge, "whole")
    played = found["played"]
    assert (played["scenes"], played["dialogues"], played["broken"]) == (SCENES, SCENES, 0)
    assert played["replies"] == played["marks"]["cut"]["replies"] == 2 * SCENES
    assert {part: took["tokens"] for part, took in played["took"].items()} == dict.fromkeys(
        PARTS, NO_END
    )
    assert played["facts"]["user system_role"] == "folded into the first turn"
    assert "model system_role" not in played["facts"]
    asked = [row["question"] for row in rows(judge, "whole") if row["round"] == 1]
    recorded = json.loads(questions.read_bytes())
    assert asked == [turn["question_r1"] for of in recorded.values() for turn in of]
    scores = [row for row in judge.scores("whole") if row["metric"] != "response_diversity"]
    assert len(scores) == 9 * SCENES
    assert {row["status"] for row in scores} == {"ok"}
    assert {row["system"] for row in scores} == {"talker"}
    assert f"talker: {SCENES} of {SCENES} scenes played" in done.err
    manifest = json.loads((judge.folder / "whole" / "manifest.json").read_bytes())
    assert manifest["options"]["played"] == played["facts"]

    stop(judge, judge.start(*args, "run"), signal.SIGKILL, "judging", 9)
    held = judge.rows("run")
    assert 0 < held < 9 * SCENES
    rest = judge(*args, "run")
    assert f"judgments made, {held} were there" in rest.err
    assert made(judge, "run") == found


# A model on a server


def test_stopped_again_and_again(judge: Program, server: Server, questions: Path) -> None:
    """SIGKILL and SIGINT, in each part of the playing: nothing is lost, nothing is asked twice.

    But what was under way: one reply for each time, as they are written one by one.
    """
    args = ("eval", *server.options(), "--questions", questions, *SMALL, "--concurrency", 1)
    server.asked()
    judge(*args, "--judge", "lexical", "--out", "whole")
    once = server.asked()
    assert set(once.values()) == {1}
    assert once.total() == len(PARTS) * SCENES
    asked: Counter[str] = Counter()
    for part, count, number in STOPS:
        process = judge.start(*args, "--judge", "lexical", "--out", "run")
        stop(judge, process, number, part, count)
        held = lines(judge, "run").total()
        asked += server.asked()
        assert held <= asked.total() <= held + len(STOPS)
    judge(*args, "--judge", "lexical", "--out", "run")
    asked += server.asked()
    assert asked.keys() == once.keys()
    assert asked.total() <= once.total() + len(STOPS)
    assert max(asked.values()) <= 2
    assert made(judge, "run") == made(judge, "whole")


def test_killed_at_random_instants_of_playing(
    judge: Program, server: Server, questions: Path
) -> None:
    """SIGKILL at instants drawn over the whole time: nothing that was said is lost or said twice.

    Of what was under way, one reply is asked again for each kill.
    """
    args = ("eval", *server.options(), "--questions", questions, *SMALL, "--concurrency", 1)
    args = (*args, "--judge", "lexical", "--out")
    began = time.monotonic()
    judge.end(judge.start(*args, "whole"))
    took = time.monotonic() - began
    once = server.asked()
    draw = random.Random(3)  # noqa: S311 - instants, not secrets
    held = 0
    for _ in range(KILLS):
        process = judge.start(*args, "run")
        time.sleep(draw.uniform(0, took))
        process.kill()
        process.communicate()
        assert lines(judge, "run").total() >= held
        held = lines(judge, "run").total()
    judge(*args, "run")
    assert server.asked().total() <= once.total() + KILLS
    assert made(judge, "run") == made(judge, "whole")


def test_a_finished_run_asks_nothing_and_grows(
    judge: Program, server: Server, questions: Path
) -> None:
    """Half the scenes, the same again, then all: nothing twice, and the end is that of all at once.

    `judge generate` plays what `judge eval` then judges.
    """
    words = (*server.options(), "--questions", questions, "--max-tokens", TOKENS)
    eval_ = ("eval", *words, "--judge", "lexical", "--out")
    half = ("--limit", SCENES // 2)
    server.asked()
    done = judge("generate", *words, "--out", "run", *half)
    assert done.out.splitlines()[0] == f"small: {SCENES // 2} of {SCENES // 2} scenes played"
    assert done.out.splitlines()[-1] == "dialogues: run/dialogues.jsonl"
    first = server.asked()
    assert first.total() == len(PARTS) * SCENES // 2
    before = made(judge, "run")
    judge(*eval_, "run", *half)
    assert server.asked().total() == 0
    assert made(judge, "run") == before | {"scores": made(judge, "run")["scores"]}
    judge(*eval_, "run")
    rest = server.asked()
    assert rest.total() == len(PARTS) * SCENES // 2
    assert not rest.keys() & first.keys()
    judge(*eval_, "whole")
    assert server.asked() == first + rest
    assert made(judge, "run") == made(judge, "whole")
    judge(*eval_, "run", *half)  # less is asked for: nothing is done, and the report is of that
    assert server.asked().total() == 0
    whole = made(judge, "whole")
    assert made(judge, "run") | {"scores": whole["scores"]} == whole
    rows = judge.scores("run")
    assert len({(row["character"], row["scenario"]) for row in rows}) == SCENES // 2


def test_a_server_in_trouble(judge: Program, server: Server, questions: Path) -> None:
    """Too many requests, or an error of its own: asked again, and the same is said."""
    words = ("--questions", questions, *SMALL, "--limit", 1)
    server.asked()
    judge("generate", *server.options(), *words, "--out", "calm")
    calm = server.asked()
    for way in ("429x2", "500x1"):
        judge("generate", *server.options(way), *words, "--out", way)
        assert server.asked() == calm
        assert made(judge, way)["dialogues"] == made(judge, "calm")["dialogues"]


def test_a_server_without_a_system_role(judge: Program, server: Server, questions: Path) -> None:
    """The instructions stand in the first turn, and what is kept says so, also when run again."""
    words = ("--questions", questions, *SMALL, "--limit", 1, "--out", "run")
    server.asked()
    for _ in range(2):
        judge("generate", *server.options("no-system"), *words)
        facts = made(judge, "run")["played"]["facts"]
        folded = {facts["model system_role"], facts["user system_role"]}
        assert folded == {"folded into the first turn"}
    asked = [json.loads(text)[0] for text in server.asked()]
    assert len(asked) == len(PARTS)
    assert all(message["role"] != "system" for chat in asked for message in chat)
    assert all("小明" in chat[0]["content"] or "路飞" in chat[0]["content"] for chat in asked)


def test_a_user_who_says_nothing(judge: Program, server: Server, questions: Path) -> None:
    """Not one second question: told in two lines, and nothing to judge is made up."""
    words = ("--questions", questions, *SMALL, "--limit", 2, "--out", "run")
    message, hint = judge.mistake("eval", *server.options("mute-user"), *words)
    assert message == (
        "error: --user: not one of 2 requests had a usable reply: the replies are empty"
    )
    assert "another --out" in hint
    assert not (judge.folder / "run" / "scores.csv").exists()


def test_recorded_questions(judge: Program, server: Server, questions: Path) -> None:
    """Every model is asked the same; scenes without such a question are left out and counted."""
    url = ("--base-url", f"{server.root}/v1")
    args = ("--model", "openai:small", *url, "--user", "replay:cook", "--questions", questions)
    done = judge("eval", *args, *SMALL, "--judge", "lexical", "--out", "run", code=1)
    without = len(CHARACTERS)
    assert f"{without} left out: without another question, or not gone on with" in done.err
    played = made(judge, "run")["played"]
    assert (played["dialogues"], played["broken"]) == (SCENES - without, without)
    assert played["imitation"] is None
    recorded = json.loads(questions.read_bytes())
    expected = [turn["question_r2"] for of in recorded.values() for turn in of]
    asked = [row["question"] for row in rows(judge, "run") if row["round"] == 2]
    assert asked == [question for question in expected if question]
    assert len(judge.scores("run")) == 9 * (SCENES - without)
    message, _ = judge.mistake(
        "generate", *server.options(), "--questions", questions, *SMALL, "--out", "run"
    )
    assert "the later questions in this folder are recorded ones" in message
