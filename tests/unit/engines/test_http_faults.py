"""The http engine with servers that fail or are slow, and many requests at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge import pipeline
from judge.engines import EngineOptions
from judge.engines.http import HttpEngine
from judge.engines.servers.arrivals import as_they_come, in_order
from judge.engines.servers.faults import retry_after
from judge.engines.servers.pace import Pace
from judge.errors import EngineError
from judge.store import Store
from judge.types import Failure
from tests.unit.engines.http_help import engine, values
from tests.unit.engines.recorded import documented
from tests.unit.engines.recorded.wire import Answer, Reply, Request, Wire
from tests.unit.engines.small import make_tree

pytestmark = pytest.mark.usefixtures("no_key_and_little_patience")
ROOT = Path(__file__).parents[3]


def flaky(status: int, times: int, headers: dict[str, str] | None = None) -> Answer:
    """Every question fails so many times before it is answered."""
    failed: dict[str, int] = {}

    def answer(request: Request) -> Reply:
        key = str(request.body)
        if request.path == "/api/chat" and failed.setdefault(key, 0) < times:
            failed[key] += 1
            return Reply({"error": "later"}, status, headers or {})
        return documented.ollama(request)

    return answer


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503])
def test_what_passes_is_asked_again(status: int) -> None:
    """Two failures change nothing but the number of requests."""
    tree = make_tree(["好"], metrics=["fluency"])
    with Wire(documented.ollama) as wire:
        expected = list(engine(wire).score(tree))
    with Wire(flaky(status, 2)) as wire:
        assert list(engine(wire).score(tree)) == expected
        assert len(wire.asked("/api/chat")) == 3 * 2


def test_a_lost_connection_is_asked_again() -> None:
    """The server hangs up once without a word."""
    hung: list[int] = []

    def answer(request: Request) -> Reply | None:
        if request.path == "/api/chat" and len(hung) < 2:
            hung.append(1)
            return None
        return documented.ollama(request)

    with Wire(answer) as wire:
        assert len(values(list(engine(wire).score(make_tree(["好"]))))) == 3


def test_retry_after_is_honoured() -> None:
    """A second passes before the next attempt, though the pauses are a hundredth of one."""
    with Wire(flaky(429, 1, {"retry-after": "1"})) as wire:
        start = time.monotonic()
        wire_engine = engine(wire, concurrency=1)
        list(wire_engine.score(make_tree(["好"], metrics=["fluency"])))
        assert time.monotonic() - start >= 2  # the first question and the check before it


def test_a_wait_that_is_too_long_is_not_begun() -> None:
    """An hour is more than the patience: refused at once, with what the server said."""
    with Wire(flaky(429, 99, {"retry-after": "3600"})) as wire:
        start = time.monotonic()
        with pytest.raises(EngineError, match="HTTP 429: later"):
            list(engine(wire).score(make_tree(["好"])))
        assert time.monotonic() - start < 1


def test_retry_after_may_be_a_date() -> None:
    """RFC 9110: seconds, or the date of HTTP; anything else is no answer."""
    assert retry_after({"retry-after": "17"}) == 17
    assert retry_after({"retry-after": "soon"}) is None
    assert retry_after({}) is None
    past = retry_after({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"})
    assert past is not None
    assert past < 0


@pytest.mark.parametrize(
    "value", ["Wed, 21 Oct 99999 07:28:00 GMT", "9" * 400, "", "nan", "1e5", "-1", "soon"]
)
def test_a_date_that_is_none(value: str) -> None:
    """Nothing is read out of it, and nothing is raised."""
    assert retry_after({"retry-after": value}) is None


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_what_does_not_pass_is_refused_at_once(status: int) -> None:
    """One request, and an error with a hint."""
    with Wire(flaky(status, 99)) as wire:
        with pytest.raises(EngineError) as caught:
            list(engine(wire).score(make_tree(["好"])))
        assert len(wire.asked("/api/chat")) == 1
    assert f"HTTP {status}" in str(caught.value)
    assert ("JUDGE_API_KEY" in str(caught.value.hint)) == (status in {401, 403})


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_context_that_is_too_short_fails_one_prompt(status: int) -> None:
    """A refusal that says so; other prompts are read."""

    def answer(request: Request) -> Reply:
        if request.path == "/api/chat" and "长" in str(request.body["messages"]):
            said = "request (8889 tokens) exceeds the available context size (4096 tokens)"
            return Reply({"error": said}, status)
        return documented.ollama(request)

    with Wire(answer) as wire:
        reads = list(engine(wire).score(make_tree(["长", "短"], metrics=["fluency"])))
        (written, _) = engine(wire).write(
            replace(make_tree(["长", "短"], metrics=["fluency"]), rationale=9)
        )
    for outcome in (reads[0].outcome, written.outcome):
        assert isinstance(outcome, Failure)
        assert outcome.code == "too_long"
        assert "8889" in outcome.reason
    assert not isinstance(reads[1].outcome, Failure)


@pytest.mark.usefixtures("no_patience")
def test_a_server_that_dies_half_way(tmp_path: Path) -> None:
    """What was judged is kept; with the server back the same run asks the rest only."""
    tree = make_tree([f"第{i}句" for i in range(6)])
    with Wire(documented.ollama) as wire:
        expected = list(engine(wire).score(tree))
        whole = len(wire.asked("/api/chat")) - 1

    left = 11  # the check, and ten answers

    def mortal(request: Request) -> Reply | None:
        nonlocal left
        if request.path == "/api/chat":
            left -= 1
            if left < 0:
                return None
        return documented.ollama(request)

    with Wire(mortal) as wire, Store(tmp_path) as store:
        with pytest.raises(EngineError, match="fails") as caught:
            pipeline.score(tree, engine(wire, concurrency=1), store)
        assert "goes on" in str(caught.value.hint)
        assert len(list(store.judgments())) == 10
        left = 99
        wire.requests.clear()
        outcome = pipeline.score(tree, engine(wire), store)
        assert (outcome.made, outcome.reused) == (8, 10)
        assert len(wire.asked("/api/chat")) - 1 == whole - 10
        scores = {(j.scenario, j.metric): j.outcome for j in store.judgments()}
    for read in expected:
        found = scores[tree.items[read.item].dialogue.scenario, read.metric]
        assert getattr(found, "logprobs", None) == read.outcome


def test_nothing_there() -> None:
    """No server: said at once, not after all the patience."""
    with Wire(documented.openai) as wire:
        url = wire.url
    start = time.monotonic()
    with pytest.raises(EngineError, match="nothing answers at") as caught:
        _ = HttpEngine("toy", EngineOptions(base_url=url)).fingerprint
    assert time.monotonic() - start < 1
    assert "--base-url" in str(caught.value.hint)


@pytest.mark.parametrize("body", ["<html>Welcome</html>", [], {}, {"choices": []}, {"choices": 3}])
def test_an_answer_that_is_none(body: Any) -> None:
    """A page, or JSON of another shape, is an error that says what to look at."""

    def odd(request: Request) -> Reply:
        return documented.openai(request) if request.method == "GET" else Reply(body)

    with Wire(odd) as wire, pytest.raises(EngineError) as caught:
        list(engine(wire).score(make_tree(["好"])))
    assert caught.value.hint


# --- many at once


@given(st.integers(0, 30), st.integers(1, 8), st.integers(0, 40))
def test_answers_come_in_order_until_the_first_error(size: int, workers: int, bad: int) -> None:
    """Those before it are all there, and so is the error in its place."""

    def ask(number: int) -> list[tuple[int, int]]:
        if number == bad:
            raise EngineError("no")
        return [(number, number * number)]

    came = as_they_come(ask, range(size), workers, Pace())
    answers = in_order(came, range(size), lambda answer: answer[0])
    for number in range(min(size, bad)):
        assert next(answers) == (number, number * number)
    with pytest.raises(EngineError if bad < size else StopIteration):
        next(answers)


@pytest.mark.parametrize("workers", [1, 3])
def test_no_more_requests_at_once_than_allowed(workers: int) -> None:
    """And as many as allowed; the answers come in the tree's order whatever is quicker."""
    lock = threading.Lock()
    now, most = 0, 0

    def slow(request: Request) -> Reply:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.01 * (len(str(request.body)) % 5))
        with lock:
            now -= 1
        return documented.openai(request)

    tree = make_tree(["好" * i for i in range(1, 7)])
    with Wire(slow) as wire:
        reads = list(engine(wire, concurrency=workers).score(tree))
    with Wire(documented.openai) as wire:
        assert reads == list(engine(wire).score(tree))
    assert most == workers


def test_ctrl_c_does_not_wait_for_the_server() -> None:
    """The process ends at once though every request hangs."""
    hanging = threading.Event()

    def hang(request: Request) -> Reply:
        if request.method == "POST":
            hanging.set()
            time.sleep(20)
        return documented.openai(request)

    program = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from judge.engines import EngineOptions\n"
        "from judge.engines.http import HttpEngine\n"
        "from judge.types import Dialogue, PromptItem, PromptTree, Question, Turn\n"
        "d = Dialogue('s', 'Ann', '1', (Turn('q', 'a'),))\n"
        "item = PromptItem(d, 'a', ('m',))\n"
        "tree = PromptTree('s', {'Ann': 'p'}, {'m': Question('m', 'q', 'm: ')}, ('1', '2'),"
        " (item,) * 5)\n"
        "judge = HttpEngine('toy', EngineOptions(base_url=sys.argv[1], samples=2))\n"
        "try:\n    list(judge.score(tree))\nexcept KeyboardInterrupt:\n    sys.exit(3)\n"
    )
    with Wire(hang) as wire:
        process = subprocess.Popen(
            [sys.executable, "-c", program, wire.url], env={**os.environ, "PYTHONPATH": str(ROOT)}
        )
        try:
            assert hanging.wait(30)
            start = time.monotonic()
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 3
            assert time.monotonic() - start < 3
        finally:
            process.kill()
            process.wait()
