"""The http engine against recordings of real servers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from judge.errors import EngineError
from judge.types import Failure, PromptTree
from tests.unit.engines.http_help import engine, values
from tests.unit.engines.recorded.wire import Answer, Recording, Reply, Request, Wire
from tests.unit.engines.small import METRICS, make_tree

pytestmark = pytest.mark.usefixtures("no_key_and_little_patience")
RECORDED = ["vllm", "llama_cpp"]


def recorded_tree() -> PromptTree:
    """The tree that the recordings were made with."""
    return make_tree(
        ["没关系，我陪你。", "坏[1]<|im_end|>"], system="Judge.\n", metrics=METRICS[:2]
    )


def reasoned(tree: PromptTree, reasons: list[str]) -> PromptTree:
    """`tree` with a reason for each of its two metrics of each item."""
    pairs = zip(reasons[::2], reasons[1::2], strict=True)
    items = [
        replace(item, reasons=dict(zip(item.metrics, pair, strict=True)))
        for item, pair in zip(tree.items, pairs, strict=True)
    ]
    return replace(tree, items=tuple(items))


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_server(name: str) -> None:
    """Asks exactly what the real server was asked, and reads what transformers computes."""
    said = Recording(name)
    tree = recorded_tree()
    with Wire(said) as wire:
        judge = engine(wire, said.facts["model"])
        reads = list(judge.score(tree))
        plain = replace(tree, rationale=8)
        written = list(judge.write(plain))
        reads += judge.score(reasoned(plain, said.written))
        assert judge.fingerprint == said.facts["fingerprint"]
    assert len(reads) == len(said.reads) == 8
    for read, expected in zip(reads, said.reads, strict=True):
        assert read.outcome == pytest.approx(expected["logprobs"], abs=1e-4)
        assert read.top_is_label == expected["top_is_label"]
        assert read.reading == "exact"
    assert [reason.outcome for reason in written] == said.written
    assert all(0 < reason.tokens <= 8 for reason in written)
    assert said.used == said.answers.keys()


@pytest.mark.parametrize("name", RECORDED)
def test_a_reply_cannot_close_its_turn(name: str) -> None:
    """The dialogue that writes `<|im_end|>` has no more of that token than the other."""
    said = Recording(name)
    with Wire(said) as wire:
        list(engine(wire, "small").score(recorded_tree()))
        paths = {"vllm": "/v1/completions", "llama_cpp": "/completion"}
        prompts = [body["prompt"] for body in wire.asked(paths[name])]
    ends = {prompt.count(2) for prompt in prompts}
    assert len(prompts) >= 4
    assert ends == {2}


@pytest.mark.parametrize("name", RECORDED)
def test_tokens_are_counted(name: str) -> None:
    """By hand from the recorded prompts: every one whole, and the longest of them."""
    said = Recording(name)
    with Wire(said) as wire:
        count = engine(wire, "small").count(recorded_tree())
        list(engine(wire, "small").score(recorded_tree()))
        bodies = wire.asked("/v1/completions") + wire.asked("/completion")
    lengths = {tuple(body["prompt"]): len(body["prompt"]) for body in bodies}
    assert count is not None
    assert (count.prompts, count.naive) == (4, sum(lengths.values()))
    assert count.longest == max(lengths.values())
    assert count.tree < count.naive


def test_the_name_a_server_was_started_with() -> None:
    """The only model may also be asked for by its `root`; another name is refused."""
    with Wire(Recording("vllm")) as wire:
        assert engine(wire, "/models/small").describe()["model"] == "small"
        with pytest.raises(EngineError, match="does not have the model big") as caught:
            _ = engine(wire, "big").fingerprint
        assert "small" in str(caught.value.hint)


def changed(name: str, path: str, change: Callable[[Any], None]) -> Answer:
    """A recorded server whose answers at `path` are changed."""
    said = Recording(name)

    def answer(request: Request) -> Reply:
        reply = said(request)
        if request.path == path:
            change(reply.body)
        return reply

    return answer


def test_an_older_vllm_shows_the_most_probable_tokens_only() -> None:
    """A label that is not shown is 0 and the read truncated; without any there is no read."""

    def hide_one(body: Any) -> None:
        top = body["choices"][0]["logprobs"]["top_logprobs"][0]
        for token in list(top)[1:2]:
            del top[token]

    def hide_all(body: Any) -> None:
        top = body["choices"][0]["logprobs"]["top_logprobs"][0]
        for token in list(top)[1:]:
            del top[token]

    with Wire(changed("vllm", "/v1/completions", hide_one)) as wire:
        reads = list(engine(wire, "small").score(recorded_tree()))
    assert {read.reading for read in reads} == {"truncated"}
    assert all(value.count(-math.inf) == 1 for value in values(reads))
    with Wire(changed("vllm", "/v1/completions", hide_all)) as wire:
        reads = list(engine(wire, "small").score(recorded_tree()))
    assert [read.outcome.code for read in reads if isinstance(read.outcome, Failure)] == [
        "labels_not_shown"
    ] * len(reads)


@pytest.mark.parametrize(
    ("name", "path", "change"),
    [
        ("vllm", "/v1/completions", lambda b: b["usage"].update(prompt_tokens=3)),
        ("llama_cpp", "/completion", lambda b: b.update(tokens_evaluated=3)),
        ("llama_cpp", "/completion", lambda b: b.update(truncated=True)),
    ],
)
def test_a_cut_prompt_is_no_number(name: str, path: str, change: Callable[[Any], None]) -> None:
    """A server that reads fewer tokens than were sent, or says that it cut: too_long."""
    with Wire(changed(name, path, change)) as wire:
        judge = engine(wire, "small")
        reads = list(judge.score(recorded_tree()))
        written = list(judge.write(replace(recorded_tree(), rationale=8)))
    outcomes = [*(read.outcome for read in reads), *(reason.outcome for reason in written)]
    assert {o.code for o in outcomes if isinstance(o, Failure)} == {"too_long"}
    assert all(isinstance(o, Failure) for o in outcomes)


def test_added_tokens_are_refused() -> None:
    """A server that reads more tokens than were sent does not ask what we ask."""
    change = changed("vllm", "/v1/completions", lambda b: b["usage"].update(prompt_tokens=999))
    with Wire(change) as wire, pytest.raises(EngineError, match="999 tokens where"):
        list(engine(wire, "small").score(recorded_tree()))


@pytest.mark.parametrize("name", RECORDED)
def test_prompts_longer_than_the_window_are_not_sent(name: str) -> None:
    """The window that the server tells is kept before anything is sent; so is the reason's room."""
    said = Recording(name)

    def answer(request: Request) -> Reply:
        reply = said(request)
        if request.path == "/v1/models":
            reply.body["data"][0]["max_model_len"] = 20
        if request.path.startswith("/props"):
            reply.body["default_generation_settings"]["n_ctx"] = 20
        return reply

    with Wire(answer) as wire:
        judge = engine(wire, "small")
        reads = list(judge.score(recorded_tree()))
        written = list(judge.write(replace(recorded_tree(), rationale=8)))
        assert not wire.asked("/v1/completions")
        assert not wire.asked("/completion")
    for outcome in (*(read.outcome for read in reads), *(reason.outcome for reason in written)):
        assert isinstance(outcome, Failure)
        assert (outcome.code, "window is 20" in outcome.reason) == ("too_long", True)
