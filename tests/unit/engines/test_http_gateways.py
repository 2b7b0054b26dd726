"""Servers that people use: what they do not take is found by asking; secrets are cut out."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable
from typing import Any

import pytest

from judge.engines import EngineOptions
from judge.engines.http import HttpEngine
from judge.engines.servers.faults import RefusedError
from judge.engines.servers.server import label_in
from judge.errors import EngineError, UsageError
from judge.types import Failure, Message, Sampling
from tests.unit.engines.http_help import engine, values
from tests.unit.engines.recorded import documented
from tests.unit.engines.recorded.wire import Recording, Reply, Request, Wire
from tests.unit.engines.small import make_tree
from tests.unit.engines.test_http_recorded import recorded_tree

pytestmark = pytest.mark.usefixtures("no_key_and_little_patience")
CHATS = "/v1/chat/completions"
TREE = make_tree([f"第{i}句" for i in range(4)], metrics=["fluency"])
KEY = "sk-very-secret-1234"


def serving(chat: Callable[[Request], Reply | None], models: Reply | None = None) -> Wire:
    """A server with OpenAI's interface; `chat` may answer chats, and `models` the list."""

    def answer(request: Request) -> Reply:
        if request.path == CHATS:
            return chat(request) or documented.openai(request)
        if request.path == "/v1/models" and models is not None:
            return models
        return documented.openai(request)

    return Wire(answer)


def refusal(message: str, status: int = 400, **fields: str) -> Reply:
    return Reply({"error": {"message": message, **fields}}, status)


# --- settings that a server does not take


@pytest.mark.parametrize("most", [5, 10, 20])
def test_the_number_of_tokens_shown_is_found_by_asking(most: int) -> None:
    """A server that shows at most so many is asked for so many; the reads are truncated."""

    def limited(request: Request) -> Reply | None:
        wanted = request.body.get("top_logprobs", 0)
        return refusal("Invalid value for 'top_logprobs'") if wanted > most else None

    with serving(limited) as wire:
        reads = list(engine(wire).score(TREE))
        asked = [body["top_logprobs"] for body in wire.asked(CHATS) if "top_logprobs" in body]
    assert asked[-4:] == [most] * 4
    assert {read.reading for read in reads} == {"truncated"}
    assert values(reads)


@pytest.mark.parametrize("status", [400, 403, 404, 422])
@pytest.mark.parametrize("said", ["logprobs are not allowed", "this feature is not for you"])
def test_no_logprobs_in_any_dress(status: int, said: str) -> None:
    """Whatever is said: with them it is refused and without them it is not."""

    def forbids(request: Request) -> Reply | None:
        return refusal(said, status) if request.body.get("logprobs") else None

    with serving(forbids) as wire:
        with pytest.raises(EngineError, match=f"no log-probabilities.*{said}") as caught:
            list(engine(wire).score(TREE))
        assert "--samples" in str(caught.value.hint)
        assert len(list(engine(wire, samples=2).score(TREE))) == 4


@pytest.mark.parametrize(
    ("said", "refuses", "sent"),
    [
        (
            "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.",
            lambda b: "max_tokens" in b,
            lambda b: b["max_completion_tokens"] <= 32 and "max_tokens" not in b,
        ),
        (
            "Invalid 'max_tokens': integer below minimum value. Expected a value >= 16",
            lambda b: b["max_tokens"] < 16,
            lambda b: b["max_tokens"] >= 16,
        ),
        (
            "'temperature' does not support 0 with this model",
            lambda b: b.get("temperature") == 0,
            lambda b: b.get("temperature") != 0,
        ),
        ("Unknown parameter: 'seed'.", lambda b: "seed" in b, lambda b: "seed" not in b),
        ("n > 1 is not supported", lambda b: b.get("n", 1) > 1, lambda b: b.get("n", 1) == 1),
    ],
)
@pytest.mark.parametrize("samples", [None, 3])
def test_a_setting_that_is_not_taken_is_left_out(
    said: str, refuses: Callable[[Any], bool], sent: Callable[[Any], bool], samples: int | None
) -> None:
    """Refused once or so and never sent again; the reads are those of a server that takes it."""
    with serving(lambda r: refusal(said) if refuses(r.body) else None) as wire:
        judge = engine(wire, samples=samples, concurrency=1)
        reads = list(judge.score(TREE))
        asked = wire.asked(CHATS)
        assert sum(map(refuses, asked)) <= 1
        assert all(map(sent, asked[-4:]))
    with serving(lambda _: None) as wire:
        assert reads == list(engine(wire, samples=samples).score(TREE))


def test_a_vllm_server_with_a_lower_limit() -> None:
    """`--max-logprobs 5`, and a version that forbids the labels' own ids: both are found out."""
    said = Recording("vllm")

    def limited(request: Request) -> Reply:
        if request.path != "/v1/completions":
            return said(request)
        body = dict(request.body)
        if body.pop("logprob_token_ids", None):
            return refusal("Extra inputs are not permitted: logprob_token_ids")
        if body["logprobs"] > 5:
            return refusal("Requested sample logprobs of 20, which is greater than max allowed: 5")
        before = {"logprobs": 20, "logprob_token_ids": label_ids[tuple(body["prompt"])]}
        return said(Request("POST", request.path, {**body, **before}))

    with Wire(said) as wire:
        expected = list(engine(wire, "small").score(recorded_tree()))
        label_ids = {
            tuple(body["prompt"]): body["logprob_token_ids"]
            for body in wire.asked("/v1/completions")
        }
    with Wire(limited) as wire:
        assert list(engine(wire, "small", concurrency=1).score(recorded_tree())) == expected


def test_texts_in_the_place_of_ids_are_not_taken_for_ids() -> None:
    """A vLLM that ignores `return_tokens_as_token_ids` shows "4", which is not the token 4."""
    said = Recording("vllm")

    def shows_texts(request: Request) -> Reply:
        reply = said(request)
        if request.path == "/v1/completions":
            texts = {"1": -6.0, "2": -4.0, "3": -2.5, "4": -0.4, "5": -1.5, "The": -3.0}
            reply.body["choices"][0]["logprobs"] |= {"top_logprobs": [texts], "tokens": ["4"]}
        return reply

    with Wire(shows_texts) as wire:
        reads = list(engine(wire, "small").score(recorded_tree()))
    for read in reads:
        assert read.outcome == pytest.approx((-6.0, -4.0, -2.5, -0.4, -1.5))
        assert (read.reading, read.top_is_label) == ("truncated", True)


def test_the_older_shape_of_logprobs() -> None:
    """Texts with their log-probabilities under `top_logprobs`, as completions have them."""

    def older(request: Request) -> Reply:
        reply = documented.openai(request)
        shown = {"4": -0.1, "5": -3.0}
        older = {"tokens": ["4"], "token_logprobs": [-0.1], "top_logprobs": [shown]}
        reply.body["choices"][0]["logprobs"] = older
        return reply

    with serving(older) as wire:
        (read,) = engine(wire).score(make_tree(["好"], metrics=["fluency"]))
    assert read.outcome == pytest.approx((-math.inf, -math.inf, -math.inf, -0.1, -3.0))


# --- lists of models, gateways, names


@pytest.mark.parametrize(
    "models",
    [
        Reply([{"id": "toy"}]),
        Reply(["toy"]),
        Reply({"data": ["toy"]}),
        Reply({"models": [{"name": "toy"}]}),
        Reply({"data": [{"id": "models/toy"}]}),
        Reply({"data": [{"id": "toy"}, {"id": "TOY"}]}),
        Reply({}, 401),
        Reply({}, 403),
        Reply({}, 404),
        Reply({}, 500),
        Reply("<html>"),
    ],
)
def test_lists_of_models_in_every_shape(models: Reply) -> None:
    """Bare, of names alone, under another name, forbidden, broken or absent."""
    with serving(lambda _: None, models) as wire:
        assert len(values(list(engine(wire).score(TREE)))) == 4


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 500])
@pytest.mark.parametrize("owner", ["vllm", "sglang", "llamacpp", "somebody"])
def test_a_gateway_that_hides_everything_but_chats(owner: str, status: int) -> None:
    """Whatever server stands behind it, it is asked as any other with OpenAI's interface."""

    def gateway(request: Request) -> Reply:
        if request.path == "/v1/models":
            return Reply({"data": [{"id": "toy", "owned_by": owner}]})
        return documented.openai(request) if request.path == CHATS else Reply({}, status)

    with Wire(gateway) as wire:
        judge = engine(wire, retry_for=0.1)
        if status == 401 and owner != "somebody":
            with pytest.raises(RefusedError, match="refuses access"):
                judge.describe()
            return
        assert judge.describe()["server"] == "openai"
        assert len(values(list(judge.score(TREE)))) == 4
        if owner == "vllm":
            with pytest.raises(EngineError, match="does not show its tokenizer") as caught:
                engine(wire, server="vllm", retry_for=0.1).describe()
            assert "--server openai" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("asked", "answered", "same"),
    [
        ("toy", "openai/toy", True),
        ("openai/toy", "toy", True),
        ("toy", "models/toy", True),
        ("toy", "Toy", True),
        ("toy", "toy-2026-01-31", True),
        ("toy", "toy-20260131", True),
        ("toy", "toy:latest", True),
        ("toy", None, True),
        ("toy", "", True),
        ("toy", "toy-mini", False),
        ("toy", "other", False),
        ("one/toy", "two/toy", False),
    ],
)
def test_the_name_that_answers(asked: str, answered: str | None, same: bool) -> None:
    """A provider in front and an edition behind are no other model; else the user has to say so."""

    def named(request: Request) -> Reply:
        reply = documented.openai(request)
        reply.body["model"] = answered
        return reply

    with serving(named, Reply({}, 404)) as wire:
        if not same:
            with pytest.raises(EngineError, match="answered") as caught:
                list(engine(wire, asked).score(TREE))
            assert f"--accept-model-name {answered}" in str(caught.value.hint)
        accepted = {} if same else {"accept_model_name": answered}
        assert len(list(engine(wire, asked, **accepted).score(TREE))) == 4


# --- drawn answers


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("4", "4"),
        ("4.", "4"),
        ("**4**", "4"),
        ("４", "4"),
        ("评分：4分", "4"),
        ("评分：4分。理由是……", "4"),
        ("流畅性评分：4", "4"),
        ("流畅性评分：**４**。", "4"),
        ('{"score": 4}', "4"),
        ("I say 4, yes: 4", "4"),
        ("4/5", None),
        ("4 or 5", None),
        ("3, not 4", None),
        ("4.5", None),
        ("-1", None),
        ("6", None),
        ("45", None),
        ("four", None),
        ("", None),
    ],
)
def test_the_label_that_an_answer_names(text: str, label: str | None) -> None:
    """One label and no other number."""
    assert label_in(text, ("1", "2", "3", "4", "5"), "流畅性评分：") == label


def test_labels_that_are_no_numbers_stand_alone() -> None:
    """A word in a sentence may mean anything."""
    assert label_in("**good**", ("bad", "good"), "score: ") == "good"
    assert label_in("not good", ("bad", "good"), "score: ") is None


@pytest.mark.parametrize(
    "message",
    [
        {"content": "<think>先看流畅性，3 还是 4？</think>\n\n4"},
        {"content": "先看流畅性，3 还是 4？</think>4"},
        {"content": "4", "reasoning_content": "3?"},
        {"content": [{"type": "text", "text": "4"}], "reasoning": "3?"},
    ],
)
def test_a_judge_that_thinks_first(message: dict[str, Any]) -> None:
    """The thought is set aside, wherever it stands."""

    def thinks(request: Request) -> Reply:
        reply = documented.openai(request)
        for choice in reply.body["choices"]:
            choice["message"] = message
        return reply

    with serving(thinks) as wire:
        (read,) = engine(wire, samples=3).score(make_tree(["好"], metrics=["fluency"]))
    assert read.outcome == (-math.inf, -math.inf, -math.inf, 0.0, -math.inf)


@pytest.mark.parametrize("apart", [False, True])
def test_a_thought_that_needs_more_room_gets_it(apart: bool) -> None:
    """32 tokens hold no thought: answers that were cut inside one are drawn again with more."""

    def thinks(request: Request) -> Reply:
        reply = documented.openai(request)
        cut = request.body["max_tokens"] < 100
        said = "<think>3" if cut else "<think>3?</think>4"
        message: dict[str, Any] = {"content": said}
        if apart:
            message = {"content": None if cut else "4", "reasoning_content": "3?"}
        for choice in reply.body["choices"]:
            choice |= {"message": message, "finish_reason": "length" if cut else "stop"}
        return reply

    with serving(thinks) as wire:
        reads = list(engine(wire, samples=3, concurrency=1).score(TREE))
        limits = [body["max_tokens"] for body in wire.asked(CHATS)]
    assert {read.outcome for read in reads} == {(-math.inf, -math.inf, -math.inf, 0.0, -math.inf)}
    assert len([limit for limit in limits if limit == 32]) == 1


def test_answers_without_a_label_are_a_failure_that_shows_one() -> None:
    """Not a score of nothing."""

    def talks(request: Request) -> Reply:
        reply = documented.openai(request)
        for choice in reply.body["choices"]:
            choice["message"]["content"] = "between 3 and 4"
        return reply

    with serving(talks) as wire:
        (read,) = engine(wire, samples=3).score(make_tree(["好"], metrics=["fluency"]))
    assert isinstance(read.outcome, Failure)
    assert "between 3 and 4" in read.outcome.reason


# --- secrets


@pytest.mark.parametrize("escaped", [False, True])
def test_a_key_that_is_said_back_is_cut_out_of_everything(
    monkeypatch: pytest.MonkeyPatch, escaped: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """As a model's name, in a reply and in a reason; also spelt with escapes."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("JUDGE_API_KEY", KEY)
    secret = "".join(f"\\u{ord(c):04x}" for c in KEY) if escaped else KEY

    def echo(request: Request) -> Reply:
        if request.path != CHATS:
            return documented.openai(request)
        reply = documented.replied(request)
        reply.body["choices"][0]["message"] |= {"content": "KEY", "reasoning_content": "KEY"}
        if "name" in str(request.body["messages"]):
            reply.body["model"] = "KEY"
        return Reply(json.dumps(reply.body).replace("KEY", secret))

    with Wire(echo) as wire:
        judge = engine(wire)
        (reply,) = judge.generate([[Message("user", "hello")]], Sampling())
        assert (reply.outcome, reply.thought) == ("(the key)", "(the key)")
        with pytest.raises(EngineError, match=r"the model \(the key\) answered") as caught:
            list(judge.generate([[Message("user", "name")]], Sampling()))
    assert KEY not in f"{caught.value} {caught.value.hint} {caplog.text}"


def test_a_short_key_is_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """Local servers are given a word such as EMPTY, and a reply that has it stays as it is."""
    monkeypatch.setenv("OPENAI_API_KEY", "EMPTY")

    def says(request: Request) -> Reply:
        reply = documented.replied(request)
        reply.body["choices"][0]["message"]["content"] = "The box is EMPTY."
        return reply

    with serving(says) as wire:
        (reply,) = engine(wire).generate([[Message("user", "?")]], Sampling())
    assert reply.outcome == "The box is EMPTY."


@pytest.mark.parametrize("place", ["/v1?key={}", "/v1?a=b&api-key={}", "?{}"])
def test_a_key_in_the_address_is_not_shown(place: str) -> None:
    """It is refused, and the message says where a key belongs."""
    with pytest.raises(UsageError, match="question mark") as caught:
        HttpEngine("toy", EngineOptions(base_url=f"http://localhost{place.format(KEY)}"))
    assert KEY not in f"{caught.value} {caught.value.hint}"
    assert "JUDGE_API_KEY" in str(caught.value.hint)
