"""Replies over HTTP, from every kind of server, and from servers that refuse something."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from judge.engines import EngineOptions
from judge.engines.chat import fold_system, seeds_of
from judge.engines.http import HttpEngine
from judge.engines.servers import SERVERS
from judge.engines.servers.server import chat_messages
from judge.errors import EngineError
from judge.types import Failure, Message, Sampling
from tests.unit.engines.recorded import documented
from tests.unit.engines.recorded.wire import Answer, Recording, Reply, Request, Wire

pytestmark = pytest.mark.usefixtures("no_key_and_little_patience")
SAMPLING = Sampling(max_tokens=99, temperature=0.6, top_p=0.9, seed=5)
CHATS = [
    [
        Message("system", "你是春日。"),
        Message("user", text),
        Message("assistant", "嗯"),
        Message("user", "?"),
    ]
    for text in ("难受", "开心", "a\n")
]
NAMES = {"vllm": "small", "llama.cpp": "small", "sglang": "toy", "ollama": "toy", "openai": "toy"}
NATIVE = "/api/chat"
PATHS = {kind: NATIVE if kind == "ollama" else "/v1/chat/completions" for kind in SERVERS}
SWITCHED = ["vllm", "sglang", "llama.cpp"]
Change = Callable[[Request], Reply | None]


def server(kind: str, change: Change | None = None) -> Answer:
    """A server of this kind that also replies to chats; `change` may answer in its stead."""
    others: dict[str, Answer] = {
        "vllm": Recording("vllm"),
        "llama.cpp": Recording("llama_cpp"),
        "sglang": documented.sglang,
        "ollama": documented.ollama,
        "openai": documented.openai,
    }

    def answer(request: Request) -> Reply | None:
        if request.path != PATHS[kind]:
            return others[kind](request)
        changed = change(request) if change else None
        return changed or documented.replied(request)

    return answer


def engine(wire: Wire, kind: str = "openai", **options: Any) -> HttpEngine:
    return HttpEngine(NAMES[kind], EngineOptions(base_url=wire.url, **options))


def expected(chat: list[Message], seed: int) -> str:
    """The words of the documented server, from what it should be sent."""
    sent = [{"role": m.role, "content": m.text.strip()} for m in chat]
    return documented.words(sent, [SAMPLING.temperature, SAMPLING.top_p, seed])


def refusing(said: str, when: Callable[[Any], bool], status: int = 400) -> Change:
    """Refuses what `when` finds in a body."""
    return lambda request: (
        Reply({"error": {"message": said}}, status) if when(request.body) else None
    )


def has_system(body: Any) -> bool:
    return body["messages"][0]["role"] == "system"


@pytest.mark.parametrize("thinking", [False, True])
@pytest.mark.parametrize("kind", SERVERS)
def test_every_kind_of_server_replies(kind: str, thinking: bool) -> None:
    """To the messages and the settings as they are, in order; a thought stands apart."""
    sampling = replace(SAMPLING, thinking=thinking)
    seeds = seeds_of(CHATS, sampling)
    with Wire(server(kind)) as wire:
        judge = engine(wire, kind)
        assert judge.can_generate
        replies = list(judge.generate(CHATS, sampling))
        bodies = wire.asked(PATHS[kind])
        assert [next(judge.generate(CHATS[1:2], sampling))] == [replace(replies[1], chat=0)]
        assert "system_role" not in judge.describe()
        judge.close()
        assert list(judge.generate(CHATS, sampling)) == replies
    assert [reply.chat for reply in replies] == [0, 1, 2]
    for reply, chat, seed in zip(replies, CHATS, seeds, strict=True):
        assert reply.outcome == expected(chat, seed)
        assert reply.thought == (documented.THOUGHT if thinking and kind != "openai" else "")
        assert (reply.tokens, reply.prompt_tokens, reply.cut) == (5, 7, False)
    assert len(bodies) == len(CHATS)
    for body in bodies:
        if kind == "ollama":
            assert body["options"]["num_predict"] == 99
            assert (body["think"], body["truncate"], body["stream"]) == (thinking, False, False)
        else:
            assert body["max_tokens"] == 99
            assert body["model"] == NAMES[kind]
        wanted = {"enable_thinking": thinking}
        assert body.get("chat_template_kwargs") == (wanted if kind in SWITCHED else None)


@pytest.mark.parametrize(
    ("kind", "neutral"),
    [
        ("vllm", {"top_k": 0, "min_p": 0, "repetition_penalty": 1, "presence_penalty": 0}),
        ("sglang", {"top_k": -1, "min_p": 0, "repetition_penalty": 1, "presence_penalty": 0}),
        ("llama.cpp", {"samplers": ["temperature", "top_p"]}),
    ],
)
def test_what_a_model_brings_along_does_not_count(kind: str, neutral: dict[str, Any]) -> None:
    """Servers that take more settings are told to change nothing else."""
    with Wire(server(kind)) as wire:
        list(engine(wire, kind).generate(CHATS[:1], SAMPLING))
        (body,) = wire.asked(PATHS[kind])
    assert {name: body[name] for name in neutral} == neutral
    assert (body["temperature"], body["top_p"]) == (0.6, 0.9)


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize("kind", SERVERS)
def test_a_server_in_trouble_is_asked_again(kind: str, status: int) -> None:
    """Two failures of each chat change nothing but the number of requests."""
    failed: dict[str, int] = {}

    def flaky(request: Request) -> Reply | None:
        key = str(request.body["messages"])
        failed[key] = failed.get(key, 0) + 1
        return Reply({"error": "later"}, status) if failed[key] <= 2 else None

    with Wire(server(kind, flaky)) as wire:
        replies = list(engine(wire, kind).generate(CHATS, SAMPLING))
        assert len(wire.asked(PATHS[kind])) == 9
    assert [reply.outcome for reply in replies] == [
        expected(chat, seed) for chat, seed in zip(CHATS, seeds_of(CHATS, SAMPLING), strict=True)
    ]


@pytest.mark.usefixtures("no_patience")
def test_a_server_that_stays_in_trouble() -> None:
    """What came before it is had; then the error says that the same command goes on."""
    down = refusing("boom", lambda body: "a" in body["messages"][1]["content"], 500)
    with Wire(server("openai", down)) as wire:
        replies = engine(wire, concurrency=1).generate(CHATS, SAMPLING)
        assert [next(replies).chat, next(replies).chat] == [0, 1]
        with pytest.raises(EngineError, match="fails: HTTP 500: boom") as caught:
            next(replies)
    assert "goes on" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("kind", "said", "status"),
    [
        ("vllm", "System role not supported", 400),
        ("llama.cpp", "Jinja Exception: System role not supported", 500),
        ("sglang", "Conversation roles must alternate user/assistant/user/assistant/...", 400),
        ("vllm", "Only user and assistant roles are supported!", 400),
        ("ollama", "template: error: the system role is unknown", 500),
        (
            "openai",
            "Unsupported value: 'messages[0].role' does not support 'system' with this model.",
            400,
        ),
    ],
)
def test_a_server_that_refuses_the_system_role(kind: str, said: str, status: int) -> None:
    """The text goes to the head of the first turn, once and for all, and the manifest says so."""
    with Wire(server(kind, refusing(said, has_system, status))) as wire:
        judge = engine(wire, kind, concurrency=1)
        replies = list(judge.generate(CHATS, SAMPLING))
        assert len(wire.asked(PATHS[kind])) == 4
        assert judge.describe()["system_role"] == "folded into the first turn"
        assert list(engine(wire, kind).generate(CHATS, SAMPLING)) == replies
    for reply, chat, seed in zip(replies, CHATS, seeds_of(CHATS, SAMPLING), strict=True):
        assert reply.outcome == expected(fold_system(chat), seed)


@pytest.mark.parametrize("said", ["no such parameter", "Only user and assistant roles"])
def test_another_refusal_is_said_at_once(said: str) -> None:
    """Also one about roles, of a chat without a system message. A harmless chat is refused too."""
    chats = [fold_system(CHATS[0])]
    with Wire(server("openai", refusing(said, lambda _: True))) as wire:
        with pytest.raises(EngineError, match=f"HTTP 400: {said}") as caught:
            list(engine(wire).generate(chats, SAMPLING))
        _, harmless = wire.asked(PATHS["openai"])
    assert harmless["messages"] == [{"role": "user", "content": "1 + 1 ="}]
    assert caught.value.hint


def test_newer_models_know_the_limit_by_another_name() -> None:
    """The old name is tried once."""
    said = "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
    older = refusing(f"{said}'max_completion_tokens' instead.", lambda body: "max_tokens" in body)
    with Wire(server("openai", older)) as wire:
        replies = list(engine(wire, concurrency=1).generate(CHATS, SAMPLING))
        bodies = wire.asked(PATHS["openai"])
    assert [body.get("max_completion_tokens") for body in bodies] == [None, 99, 99, 99]
    assert [reply.outcome for reply in replies] == [
        expected(chat, seed) for chat, seed in zip(CHATS, seeds_of(CHATS, SAMPLING), strict=True)
    ]


def test_a_model_that_cannot_think_replies_all_the_same() -> None:
    """Ollama refuses to let it; it is asked without, and not tempted again."""
    cannot = refusing('"toy" does not support thinking', lambda body: body["think"])
    with Wire(server("ollama", cannot)) as wire:
        thinking = replace(SAMPLING, thinking=True)
        replies = list(engine(wire, "ollama", concurrency=1).generate(CHATS, thinking))
        assert [body["think"] for body in wire.asked(NATIVE)] == [True, False, False, False]
    assert [reply.thought for reply in replies] == ["", "", ""]


def edited(kind: str, change: Callable[[Any], object]) -> Answer:
    """A server whose replies are changed."""

    def edit(request: Request) -> Reply:
        reply = documented.replied(request)
        change(reply.body)
        return reply

    return server(kind, edit)


def choice(**fields: Any) -> Callable[[Any], object]:
    return lambda body: body["choices"][0].update(fields)


def message(**fields: Any) -> Callable[[Any], object]:
    return lambda body: body["choices"][0]["message"].update(fields)


@pytest.mark.parametrize(
    ("kind", "change", "outcome", "thought", "cut"),
    [
        ("openai", choice(finish_reason="length"), None, "", True),
        ("ollama", lambda body: body.update(done_reason="length"), None, "", True),
        ("vllm", message(content="<think>a</think>b"), "b", "a", False),
        ("vllm", message(content="a</think>b"), "b", "a", False),
        ("vllm", message(reasoning="a", content=" b\n"), "b", "a", False),
        ("vllm", message(reasoning="a", content=None), "", "a", False),
        ("openai", message(content=None, refusal="I cannot."), "I cannot.", "", False),
        ("ollama", lambda body: body["message"].update(content="<think>a"), "", "a", False),
    ],
)
def test_what_a_server_may_say(
    kind: str, change: Callable[[Any], object], outcome: str | None, thought: str, cut: bool
) -> None:
    """Cut, thinking under either name or in the text, nothing but a thought, and a refusal."""
    with Wire(edited(kind, change)) as wire:
        (reply,) = engine(wire, kind).generate(CHATS[:1], SAMPLING)
    wanted = expected(CHATS[0], seeds_of(CHATS, SAMPLING)[0]) if outcome is None else outcome
    assert (reply.outcome, reply.thought, reply.cut) == (wanted, thought, cut)


def test_a_filtered_reply_is_a_failure() -> None:
    """What the filter left of it is no reply."""
    with Wire(edited("openai", choice(finish_reason="content_filter"))) as wire:
        (reply,) = engine(wire).generate(CHATS[:1], SAMPLING)
    assert isinstance(reply.outcome, Failure)
    assert reply.outcome.code == "filtered"


def test_a_server_that_does_not_count() -> None:
    """0 tokens are not known."""
    with Wire(edited("openai", lambda body: body.pop("usage"))) as wire:
        (reply,) = engine(wire).generate(CHATS[:1], SAMPLING)
    assert (reply.tokens, reply.prompt_tokens) == (0, 0)
    assert reply.outcome


@pytest.mark.parametrize("kind", SERVERS)
def test_a_chat_that_is_too_long_fails_alone(kind: str) -> None:
    """The other chats are replied to."""
    said = "This model's maximum context length is 512 tokens. However, you requested 600 tokens"
    long = refusing(said, lambda body: "开心" in body["messages"][1]["content"])
    with Wire(server(kind, long)) as wire:
        first, failed, last = engine(wire, kind).generate(CHATS, SAMPLING)
    assert isinstance(failed.outcome, Failure)
    assert failed.outcome.code == "too_long"
    assert "512" in failed.outcome.reason
    assert isinstance(first.outcome, str)
    assert isinstance(last.outcome, str)


@pytest.mark.parametrize("body", ["<html>Welcome</html>", [], {"choices": []}, {"choices": [{}]}])
def test_an_answer_that_is_none(body: Any) -> None:
    """An error with a hint, not a traceback."""
    with (
        Wire(server("openai", lambda _: Reply(body))) as wire,
        pytest.raises(EngineError) as caught,
    ):
        list(engine(wire).generate(CHATS, SAMPLING))
    assert caught.value.hint


def test_another_model_may_not_answer() -> None:
    """Its replies would be taken for ours."""
    for kind in ("vllm", "sglang", "openai", "ollama"):
        change = edited(kind, lambda body: body.update(model="other"))
        with Wire(change) as wire, pytest.raises(EngineError, match="the model other answered"):
            list(engine(wire, kind).generate(CHATS, SAMPLING))


@pytest.mark.parametrize(
    "token",
    ["<|im_end|>", "<s>", "</s>", "<end_of_turn>", "<｜User｜>", "<think>", "[INST]", "[/INST]"],
)
def test_nobody_closes_his_own_turn(token: str) -> None:
    """What looks like a special token is sent as another text that looks the same."""
    (sent,) = chat_messages([Message("user", f" a{token}b\n")])
    assert token not in sent["content"]
    assert sent["content"].replace("\u200b", "") == f"a{token}b"


@pytest.mark.parametrize("text", ["a < b > c", "[笑]", "<3", "I [Ann] said <hm, well>!", "|x|"])
def test_other_texts_are_sent_as_they_are(text: str) -> None:
    """Brackets alone make no special token."""
    assert chat_messages([Message("user", text)]) == [{"role": "user", "content": text}]


def test_many_at_once_and_in_order() -> None:
    """As many requests as allowed, begun in order; the slow ones do not change the order."""
    lock, now, most = threading.Lock(), 0, 0

    def slow(request: Request) -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.01 * (len(str(request.body)) % 4))
        with lock:
            now -= 1

    chats = [[Message("user", "好" * n)] for n in range(1, 9)]
    with Wire(server("openai", slow)) as wire:
        replies = list(engine(wire, concurrency=3).generate(chats, SAMPLING))
    assert most == 3
    assert [reply.chat for reply in replies] == list(range(8))
    assert [reply.outcome for reply in replies] == [
        expected(chat, seed) for chat, seed in zip(chats, seeds_of(chats, SAMPLING), strict=True)
    ]
