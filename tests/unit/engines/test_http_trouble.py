"""Servers in trouble: what passes, what is refused, and that every answer is kept."""

from __future__ import annotations

import gzip
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from judge import pipeline
from judge.engines import EngineOptions
from judge.engines.http import HttpEngine
from judge.engines.servers import api
from judge.engines.servers.faults import pause_of_headers
from judge.engines.servers.pace import Pace
from judge.errors import EngineError
from judge.store import Store
from judge.types import Failure, LabelRead, Message, PromptTree, Sampling
from tests.unit.engines.http_help import engine
from tests.unit.engines.recorded import documented
from tests.unit.engines.recorded.wire import Reply, Request, Wire
from tests.unit.engines.small import make_tree

pytestmark = pytest.mark.usefixtures("no_key_and_little_patience")
CHATS = "/v1/chat/completions"
TREE = make_tree([f"第{i}句" for i in range(6)], metrics=["fluency"])
Trouble = Callable[[Request, int], Reply | None]
"""What goes wrong with a question, by how often that question came before; None for nothing."""


def troubled(trouble: Trouble) -> Wire:
    """A server with OpenAI's interface that answers as documented but for `trouble`."""
    came: Counter[str] = Counter()
    lock = threading.Lock()

    def answer(request: Request) -> Reply | None:
        if request.path != CHATS:
            return documented.openai(request)
        with lock:
            key = str(request.body["messages"])
            times, came[key] = came[key], came[key] + 1
        return trouble(request, times) or documented.openai(request)

    return Wire(answer)


def about(request: Request, text: str) -> bool:
    return text in str(request.body["messages"])


def expected(tree: PromptTree = TREE) -> list[LabelRead]:
    with Wire(documented.openai) as wire:
        return list(engine(wire).score(tree))


# --- by status first


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 524])
def test_words_do_not_make_a_passing_fault_a_lasting_one(status: int) -> None:
    """What is too long may be a prompt, or the time that a call took."""
    said = {"error": {"message": "the call took longer than 60 s, too long: context size"}}
    with troubled(lambda _, times: Reply(said, status) if times < 2 else None) as wire:
        assert list(engine(wire).score(TREE)) == expected()


@pytest.mark.usefixtures("no_patience")
def test_a_fault_that_lasts_with_one_prompt_fails_it_alone() -> None:
    """The others are read; the reason has the server's words, and may have been passing."""
    said = {"error": {"message": "the call took longer than 60 s"}}
    with troubled(lambda r, _: Reply(said, 500) if about(r, "第3句") else None) as wire:
        reads = list(engine(wire).score(TREE))
    (failure,) = [read.outcome for read in reads if isinstance(read.outcome, Failure)]
    assert failure.code == "no_answer"
    assert failure.reason == "HTTP 500: the call took longer than 60 s"
    assert failure.passing
    assert len(reads) == 6


@pytest.mark.parametrize(
    ("status", "error", "code"),
    [
        (400, {"message": "The prompt was filtered", "code": "content_filter"}, "filtered"),
        (
            400,
            {"message": "Input may be inappropriate", "code": "data_inspection_failed"},
            "filtered",
        ),
        (400, {"message": "x", "innererror": {"code": "ResponsibleAIPolicyViolation"}}, "filtered"),
        (403, {"message": "flagged", "code": "moderation_blocked"}, "filtered"),
        (403, {"message": "our policy forbids this input"}, "refused"),
        (400, {"message": "this is not allowed"}, "refused"),
        (422, {"message": "this is not allowed"}, "refused"),
        (400, {"message": "no room", "code": "context_length_exceeded"}, "too_long"),
        (400, {"message": "no room", "type": "exceed_context_size_error"}, "too_long"),
        (413, {"message": "Payload"}, "too_long"),
    ],
)
@pytest.mark.parametrize("samples", [None, 2])
def test_what_is_refused_for_one_prompt_fails_alone(
    status: int, error: Any, code: str, samples: int | None
) -> None:
    """Also the very first prompt: a harmless question shows that the server answers others."""

    def refuse(request: Request, _: int) -> Reply | None:
        return Reply({"error": error}, status) if about(request, "第0句") else None

    with troubled(refuse) as wire:
        first, *others = engine(wire, concurrency=1, samples=samples).score(TREE)
        asked = [body["messages"] for body in wire.asked(CHATS)]
    assert isinstance(first.outcome, Failure)
    assert (first.outcome.code, first.outcome.passing) == (code, False)
    assert error["message"] in first.outcome.reason
    assert len(others) == 5
    assert all(code != getattr(read.outcome, "code", "") for read in others)
    assert sum("第0句" in str(messages) for messages in asked) == 1


def test_a_reply_that_is_refused_fails_alone() -> None:
    """As a judgment."""
    chats = [[Message("user", text)] for text in ("难受", "开心")]
    said = {"error": {"message": "inappropriate", "code": "content_filter"}}

    def answer(request: Request) -> Reply:
        if request.path == CHATS and about(request, "难受"):
            return Reply(said, 400)
        return documented.replied(request) if request.path == CHATS else documented.openai(request)

    with Wire(answer) as wire:
        first, second = engine(wire).generate(chats, Sampling())
    assert first.outcome == Failure("filtered", "HTTP 400: inappropriate")
    assert isinstance(second.outcome, str)


@pytest.mark.parametrize("status", [400, 403, 404])
def test_a_server_that_refuses_everything_ends_the_run(status: int) -> None:
    """Nothing can be asked: one question and a harmless one."""
    with troubled(lambda *_: Reply({"error": {"message": "no"}}, status)) as wire:
        with pytest.raises(EngineError, match=f"HTTP {status}") as caught:
            list(engine(wire, samples=2, concurrency=1).score(TREE))
        assert len(wire.asked(CHATS)) == 2
    assert caught.value.hint


def test_no_money_left_ends_the_run_at_once() -> None:
    """A 429 that says so by its code is not waited for."""
    said = {"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}
    with troubled(lambda *_: Reply(said, 429)) as wire:
        with pytest.raises(EngineError, match="You exceeded your quota"):
            list(engine(wire, samples=2, concurrency=1).score(TREE))
        assert len(wire.asked(CHATS)) == 2


# --- bodies that cannot be read

SHOWN = (
    '{"choices": [{"logprobs": {"content": [{"top_logprobs": [{"token": "4", "logprob": %s}]}]}}]}'
)
BODIES = {
    "error": {"error": {"message": "Provider returned error", "code": 502}},
    "error without a code": {"error": {"message": "Provider returned error"}},
    "cut": '{"choices": [{"mess',
    "empty": "",
    "page": "<html>502 bad gateway</html>",
    "null": None,
    "list": [],
    "no choices": {"choices": []},
    "null choices": {"choices": None},
    "no message": {"choices": [{}]},
    "broken off": {"choices": [{"finish_reason": "error", "message": {"content": ""}}]},
    "deep": "[" * 100_000,
    "huge number": SHOWN % "1e308",
    "no number": SHOWN % "NaN",
    "no logprobs": {"choices": [{"message": {"content": "4"}, "logprobs": None}]},
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_body_that_cannot_be_read_is_asked_for_again(body: Any) -> None:
    """Once it does no harm; a prompt with which it lasts fails alone, with the server's words."""
    with troubled(lambda _, times: None if times else Reply(body)) as wire:
        assert list(engine(wire).score(TREE)) == expected()
    with troubled(lambda r, _: Reply(body) if about(r, "第5句") else None) as wire:
        *reads, last = engine(wire, concurrency=1).score(TREE)
    assert reads == expected()[:5]
    assert isinstance(last.outcome, Failure)
    assert last.outcome.passing
    if isinstance(body, dict) and "error" in body:
        assert "Provider returned error" in last.outcome.reason


# --- kept as they come


def test_what_was_answered_is_kept_when_the_key_ends(tmp_path: Path) -> None:
    """The 401 comes with the tenth question: nine answers, among them the check."""
    lock, count = threading.Lock(), 0

    def ends(*_: object) -> Reply | None:
        nonlocal count
        with lock:
            count += 1
            return Reply({"error": "key"}, 401) if count > 9 else None

    tree = make_tree([f"第{i}句" for i in range(20)], metrics=["fluency"])
    with troubled(ends) as wire, Store(tmp_path) as store:
        with pytest.raises(EngineError, match="refuses access"):
            pipeline.score(tree, engine(wire, concurrency=4), store)
        assert len(store.judgments()) == 8


def test_a_request_that_waits_keeps_nobody_else_waiting() -> None:
    """One question is put off for a second; 39 others, some of later batches, do not wait."""

    def puts_off(request: Request, times: int) -> Reply | None:
        later = about(request, "第3句") and not times
        return Reply({}, 503, {"retry-after": "1"}) if later else None

    tree = make_tree([f"第{i}句。" for i in range(40)], metrics=["fluency"])
    came: list[tuple[int, float]] = []
    with troubled(puts_off) as wire:
        judge = engine(wire, batch_size=4, concurrency=1)
        judge.describe()
        start = time.monotonic()
        came += ((a.read.item, time.monotonic() - start) for a in judge.judge_each(tree))
    assert [item for item, _ in came] == [*(i for i in range(40) if i != 3), 3]
    assert came[38][1] < 1 <= came[39][1]


def test_every_reason_is_kept_with_its_label(tmp_path: Path) -> None:
    """The server fails for good after three reasons and their labels: one prompt after another."""
    tree, left = replace(TREE, rationale=20), 1 + 2 * 3  # the check first

    def dies(*_: object) -> Reply | None:
        nonlocal left
        left -= 1
        return Reply({}, 401) if left < 0 else None

    with troubled(dies) as wire, Store(tmp_path) as store:
        with pytest.raises(EngineError):
            pipeline.score(tree, engine(wire, concurrency=1), store)
        kept = store.judgments()
        assert [j.rationale for j in kept] == [documented.REASON] * 3
        assert all(j.score for j in kept)
        left = 99
        outcome = pipeline.score(tree, engine(wire), store)
        assert (outcome.made, outcome.reused) == (3, 3)
        assert [item.reasons for item in outcome.with_reasons] == [
            {"fluency": documented.REASON}
        ] * 3


# --- asked again


@pytest.mark.parametrize(("retry_failed", "made"), [(False, 1), (True, 2)])
def test_failures_are_asked_again(tmp_path: Path, retry_failed: bool, made: int) -> None:
    """Those that may have been passing by the same command, all of them on demand; scores never."""
    ill = True

    def trouble(request: Request, _: int) -> Reply | None:
        if ill and about(request, "第1句"):
            return Reply("<html>")
        filtered = {"error": {"message": "no", "code": "content_filter"}}
        return Reply(filtered, 400) if ill and about(request, "第2句") else None

    with troubled(trouble) as wire, Store(tmp_path) as store:
        pipeline.score(TREE, engine(wire), store)
        assert {f.code for f in store.failures().values()} == {"unreadable", "filtered"}
        before = [j for j in store.judgments() if j.score]
        ill = False
        outcome = pipeline.score(TREE, engine(wire), store, retry_failed=retry_failed)
        assert (outcome.made, outcome.reused) == (made, 6 - made)
        assert len(store.failures()) == 2 - made
        assert set(before) <= set(store.judgments())
        assert store.seconds().keys() == {"sys"}  # every judgment counts once


# --- the pace


def test_a_limit_of_the_rate_is_kept_to(tmp_path: Path) -> None:
    """20 requests in half a second: 60 take longer than a request may fail, and all are made."""
    lock, taken = threading.Lock(), list[float]()

    def bucket(*_: object) -> Reply | None:
        with lock:
            now = time.monotonic()
            taken[:] = [at for at in taken if now - at < 0.5]
            if len(taken) >= 20:
                return Reply({"error": "slowly"}, 429)
            taken.append(now)
        return None

    tree = make_tree([f"第{i}句" for i in range(60)], metrics=["fluency"])
    with troubled(bucket) as wire, Store(tmp_path) as store:
        outcome = pipeline.score(tree, engine(wire, retry_for=0.8), store)
        assert (outcome.made, store.failures()) == (60, {})


def test_the_number_at_once_is_halved_and_grows() -> None:
    """32, 16 after a refusal; another of the same moment says nothing new; then it grows back."""
    pace = Pace()
    pace.begin(32)
    pace.refused(time.monotonic(), None)
    pace.refused(0.0, None)
    assert pace.limit == 16
    limits = [pace.limit]
    for _ in range(400):
        pace.answered(None)
        limits.append(pace.limit)
    assert limits == sorted(limits)
    assert limits[2] < 32
    assert limits[-1] == 32


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m2s"}, None),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "120ms"}, 0.12),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "7.5s"}, 7.5),
        ({"x-ratelimit-remaining-requests": "3", "x-ratelimit-reset-requests": "7s"}, None),
        ({"ratelimit-remaining": "0", "ratelimit-reset": "12"}, 12),
        ({"ratelimit-remaining": "0", "ratelimit-reset": "soon"}, None),
        ({}, None),
    ],
)
def test_headers_about_the_rate(headers: dict[str, str], seconds: float | None) -> None:
    """In the forms of OpenAI and of the IETF; more than a minute is left to the refusals."""
    assert pause_of_headers(headers) == seconds


# --- replies without an end


@contextmanager
def raw_server(write: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """A server of which a test writes every byte of the answers to chats."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        close_connection = True

        def do_GET(self) -> None:
            self.send_error(404)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            write(self)

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            """The client hangs up."""

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()


def head(handler: BaseHTTPRequestHandler, **headers: str) -> None:
    handler.send_response(200)
    for name, value in {"content-type": "application/json", **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()


@pytest.mark.usefixtures("no_patience")
def test_a_reply_that_drips_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then keeps a connection alive; the whole reply has a limit."""
    monkeypatch.setattr(api, "_REPLY", 0.3)

    def drip(handler: BaseHTTPRequestHandler) -> None:
        head(handler, content_length="100000")
        for _ in range(1000):
            handler.wfile.write(b" ")
            time.sleep(0.05)

    with raw_server(drip) as url:
        start = time.monotonic()
        judge = HttpEngine("toy", EngineOptions(base_url=url, samples=1))
        with pytest.raises(EngineError, match="not complete after"):
            list(judge.score(make_tree(["好"], metrics=["fluency"])))
        assert time.monotonic() - start < 3


@pytest.mark.usefixtures("no_patience")
@pytest.mark.parametrize("packed", [False, True])
def test_a_reply_without_measure_ends(monkeypatch: pytest.MonkeyPatch, packed: bool) -> None:
    """Also where a small one becomes large when it is unpacked."""
    monkeypatch.setattr(api, "_MOST_BYTES", 1_000_000)
    data = b" " * 20_000_000
    bomb = gzip.compress(data)

    def flood(handler: BaseHTTPRequestHandler) -> None:
        sent = bomb if packed else data
        head(
            handler,
            content_length=str(len(sent)),
            **({"content_encoding": "gzip"} if packed else {}),
        )
        handler.wfile.write(sent)

    with raw_server(flood) as url:
        judge = HttpEngine("toy", EngineOptions(base_url=url, samples=1))
        with pytest.raises(EngineError, match="more than 1000000 bytes"):
            list(judge.score(make_tree(["好"], metrics=["fluency"])))
