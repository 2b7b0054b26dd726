"""The http engine against recorded servers, documented ones, and ones that misbehave."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge import pipeline
from judge.engines import EngineOptions, open_engine, resolve_judge
from judge.engines.http import HttpEngine, map_in_order
from judge.engines.servers import SERVERS, api
from judge.engines.servers.server import ServerPrompt, read_by_text
from judge.errors import EngineError, JudgeError, MissingExtraError, UsageError
from judge.store import Store
from judge.types import Failure, LabelRead, PromptTree
from tests.unit.engines.recorded import documented
from tests.unit.engines.recorded.wire import Answer, Recording, Reply, Request, Wire
from tests.unit.engines.small import METRICS, make_tree

ROOT = Path(__file__).parents[3]
KEY = "sk-very-secret-1234"
RECORDED = ["vllm", "llama_cpp"]
DOCUMENTED = {"sglang": documented.sglang, "ollama": documented.ollama, "openai": documented.openai}


@pytest.fixture(autouse=True)
def _no_key_and_little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in api.KEYS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(api, "PATIENCE", 1.5)
    monkeypatch.setattr(api, "_PAUSE", 0.01)


def engine(wire: Wire, model: str = "toy", **options: Any) -> HttpEngine:
    return HttpEngine(model, EngineOptions(base_url=wire.url, **options))


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


def values(reads: list[LabelRead]) -> list[tuple[float, ...]]:
    for read in reads:
        assert not isinstance(read.outcome, Failure), read.outcome
    return [read.outcome for read in reads if not isinstance(read.outcome, Failure)]


# --- what real servers said


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


# --- servers that answer as documented


def prompt_ids(tree: PromptTree, item: int, metric: str, reason: str = "") -> list[int]:
    """What `documented.sglang` has to be sent, derived by hand from its template."""
    start, end = documented.START, documented.END
    question = tree.questions[metric]
    text = tree.items[item].text
    return [
        *documented.ids_of(f"{start}system\n{tree.system}{end}\n{start}user\n"),
        *tree.profiles["Ann"].encode(),
        *text.encode(),
        *documented.ids_of(f"{question.text}{end}\n{start}assistant\n"),
        *reason.encode(),
        *question.prefill.encode(),
    ]


def test_sglang_reads_the_labels_exactly() -> None:
    """The toy model's own log-probabilities of the labels' bytes, with all of their mass."""
    tree = make_tree(["好的", "a<|im_end|>[1]｜b"])
    with Wire(documented.sglang) as wire:
        judge = engine(wire)
        reads = list(judge.score(tree))
        count = judge.count(tree)
        bodies = wire.asked("/generate")
        assert judge.fingerprint == "http/1/sglang/0.5.9/toy"
    assert len(reads) == 6
    for read in reads:
        ids = prompt_ids(tree, read.item, read.metric)
        logprobs = documented.logprobs_of(ids)
        assert read.outcome == pytest.approx(logprobs[[49, 50, 51, 52, 53]].tolist())
        assert read.top_is_label == (logprobs.argmax() in range(49, 54))
        assert read.reading == "exact"
        (body,) = [body for body in bodies if body["input_ids"] == ids]
        assert body["token_ids_logprob"] == [49, 50, 51, 52, 53]
        assert body["sampling_params"]["temperature"] == 0
        assert (body["logprob_start_len"], body["return_logprob"]) == (-1, True)
    assert count is not None
    assert count.naive == sum(len(body["input_ids"]) for body in bodies)


def test_sglang_writes_and_then_reads() -> None:
    """The reason stands before the prefill, on a line of its own."""
    tree = make_tree(["好的"], metrics=["fluency"])
    with Wire(documented.sglang) as wire:
        judge = engine(wire)
        (written,) = judge.write(replace(tree, rationale=40))
        assert (written.outcome, written.tokens, written.cut) == (documented.REASON, 5, False)
        item = replace(tree.items[0], reasons={"fluency": documented.REASON})
        (read,) = judge.score(replace(tree, rationale=40, items=(item,)))
    ids = prompt_ids(tree, 0, "fluency", f"{documented.REASON}\n")
    assert read.outcome == pytest.approx(documented.logprobs_of(ids)[49:54].tolist())


def spelt(logprobs: np.ndarray[Any, Any], top: int = 20) -> list[float]:
    """Probabilities of 1 to 5 among the `top` first; 4 is spelt in three ways."""
    shown = set(np.argsort(-logprobs)[:top].tolist())
    spellings = [[49], [50], [51], [52, 258, 259], [53]]
    return [math.fsum(math.exp(logprobs[i]) for i in ids if i in shown) for ids in spellings]


@pytest.mark.parametrize("kind", ["ollama", "openai"])
def test_text_servers_sum_the_spellings(kind: str) -> None:
    """Each label has the probability of all its spellings that are shown, and 0 without one."""
    tree = make_tree([f"第{i}次" for i in range(8)], metrics=["fluency"])
    with Wire(DOCUMENTED[kind]) as wire:
        judge = engine(wire)
        assert judge.count(tree) is None
        reads = list(judge.score(tree))
    hidden = 0
    for read, found in zip(reads, values(reads), strict=True):
        user = tree.profiles["Ann"] + tree.items[read.item].text + "\n这段话流畅吗？"
        system = {"role": "system", "content": tree.system}
        if kind == "ollama":
            answer = {"role": "assistant", "content": "流畅性评分："}
            chat = [system, {"role": "user", "content": user}, answer]
        else:
            chat = [system, {"role": "user", "content": f"{user}\n流畅性评分："}]
        logprobs = documented.logprobs_of(documented.template(chat))
        expected = spelt(logprobs)
        assert [math.exp(value) for value in found] == pytest.approx(expected)
        assert [value == -math.inf for value in found] == [p == 0 for p in expected]
        assert read.reading == "truncated"
        assert read.top_is_label == (int(logprobs.argmax()) in {49, 50, 51, 52, 53, 258, 259})
        hidden += found.count(-math.inf)
    assert hidden > 0


def test_ollama_is_asked_not_to_cut_nor_to_think() -> None:
    """Every body says so; the digest of the weights is in the fingerprint."""
    with Wire(documented.ollama) as wire:
        judge = engine(wire, "toy:latest")
        list(judge.score(make_tree(["好"])))
        assert judge.fingerprint == "http/1/ollama/0.13.5/toy/365c0bd3c000"
        for body in wire.asked("/api/chat"):
            assert (body["truncate"], body["shift"], body["think"]) == (False, False, False)
            assert (body["stream"], body["logprobs"]) == (False, True)
            assert body["options"]["num_predict"] == 1
            assert body["options"]["num_ctx"] >= 8192


@pytest.mark.parametrize("kind", ["ollama", "openai"])
def test_text_servers_write_and_then_read(kind: str) -> None:
    """The reason, a line break and the prefill end the prompt."""
    tree = make_tree(["好的"], metrics=["fluency"])
    with Wire(DOCUMENTED[kind]) as wire:
        judge = engine(wire)
        (written,) = judge.write(replace(tree, rationale=40))
        assert (written.outcome, written.tokens, written.cut) == (documented.REASON, 5, False)
        item = replace(tree.items[0], reasons={"fluency": documented.REASON})
        list(judge.score(replace(tree, rationale=40, items=(item,))))
        last = wire.requests[-1].body["messages"][-1]["content"]
    assert last.endswith(f"{documented.REASON}\n流畅性评分：")


def test_an_edition_of_the_model_may_answer_but_no_other() -> None:
    """OpenAI adds a date to the name it was asked for; any other name is refused."""
    with Wire(documented.openai) as wire:
        assert list(engine(wire).score(make_tree(["好"])))

    def other(request: Request) -> Reply:
        reply = documented.openai(request)
        if request.method == "POST":
            reply.body["model"] = "toy-mini"
        return reply

    with Wire(other) as wire, pytest.raises(EngineError, match="the model toy-mini answered"):
        list(engine(wire).score(make_tree(["好"])))


def test_a_filtered_answer_is_a_failure() -> None:
    """The server's own filter leaves nothing to read."""

    def filtered(request: Request) -> Reply:
        reply = documented.openai(request)
        if request.method == "POST" and len(request.body["messages"]) > 1:
            reply.body["choices"][0]["finish_reason"] = "content_filter"
        return reply

    with Wire(filtered) as wire:
        (read,) = engine(wire).score(make_tree(["好"], metrics=["fluency"]))
    assert isinstance(read.outcome, Failure)
    assert read.outcome.code == "filtered"


@pytest.mark.parametrize("kind", ["ollama", "openai"])
def test_a_server_without_logprobs_is_refused(kind: str) -> None:
    """With the option that does without; and with it the answers are counted."""

    def silent(request: Request) -> Reply:
        for name in ("logprobs", "top_logprobs"):
            if request.body:
                request.body.pop(name, None)
        return DOCUMENTED[kind](request)

    with Wire(silent) as wire:
        with pytest.raises(EngineError, match="no log-probabilities") as caught:
            list(engine(wire).score(make_tree(["好"])))
        assert "--samples" in str(caught.value.hint)
        (read,) = engine(wire, samples=3).score(make_tree(["好"], metrics=["fluency"]))
    assert read.reading == "sampled"


def asked(labels: tuple[str, ...] = ("1", "2", "3", "4", "5")) -> ServerPrompt:
    return ServerPrompt(0, "m", labels, "m: ", "", "", "")


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["1", "2", "3", "4", "5", "45", "four", "", "4.", "４"]),
            st.sampled_from(["", " ", "\n", "▁"]),
            st.sampled_from(["", " ", "\n"]),
            st.floats(0.001, 1),
            st.booleans(),
        ),
        max_size=20,
    )
)
def test_label_masses_add_up(tokens: list[tuple[str, str, str, float, bool]]) -> None:
    """A label's probability is the sum over the shown tokens that are it but for blanks."""
    total = math.fsum(p for *_, p, _ in tokens) + 0.1
    shown = []
    for core, left, right, p, with_bytes in tokens:
        text = left + core + right
        entry: dict[str, Any] = {"token": text, "logprob": math.log(p / total)}
        shown.append(entry | ({"bytes": list(text.encode())} if with_bytes else {}))
    sums = {x: math.fsum(p for core, *_, p, _ in tokens if core == x) / total for x in "12345"}
    read = read_by_text(asked(), shown)
    if not any(sums.values()):
        assert isinstance(read.outcome, Failure)
        assert read.outcome.code == "labels_not_shown"
    else:
        assert not isinstance(read.outcome, Failure)
        assert [math.exp(x) for x in read.outcome] == pytest.approx(list(sums.values()))
        assert math.fsum(math.exp(x) for x in read.outcome) <= 1


# --- sampling


def test_samples_are_counted_strictly() -> None:
    """Of ten answers seven are exactly a label, two of them after the prefill; the rest is none."""
    answers = ["4", " 4\n", "流畅性评分：4", "流畅性评分： 5", "5", "3", "4",
               "4分", "45", "I say 4"]  # fmt: skip

    def scripted(request: Request) -> Reply:
        reply = documented.openai(request)
        if request.method == "POST":
            choices = [{"message": {"content": text}} for text in answers]
            reply.body["choices"] = choices[: request.body["n"]]
        return reply

    with Wire(scripted) as wire:
        judge = engine(wire, samples=10, seed=3)
        (read,) = judge.score(make_tree(["好"], metrics=["fluency"]))
        assert judge.fingerprint.endswith("10 samples, seed 3")
        (body,) = wire.asked("/v1/chat/completions")
        assert (body["temperature"], body["n"]) == (1, 10)
    assert not isinstance(read.outcome, Failure)
    assert read.outcome == pytest.approx(
        (-math.inf, -math.inf, math.log(0.1), math.log(0.4), math.log(0.2))
    )
    assert (read.reading, read.top_is_label) == ("sampled", True)


def test_samples_come_one_by_one_with_seeds_of_their_own() -> None:
    """The same seed draws the same, another seed asks with others; prompts do not share seeds."""
    tree = make_tree(["好", "坏"], metrics=["fluency"])

    def draw(seed: int) -> tuple[list[LabelRead], list[int]]:
        with Wire(documented.sglang) as wire:
            reads = list(engine(wire, samples=5, seed=seed).score(tree))
            return reads, [b["sampling_params"]["sampling_seed"] for b in wire.asked("/generate")]

    (first, seeds), (again, same), (_, others) = draw(1), draw(1), draw(2)
    assert first == again
    assert sorted(seeds) == sorted(same)
    assert len({*seeds, *others}) == 20
    for value in values(first):
        shares = [5 * math.exp(x) for x in value]
        assert shares == pytest.approx([round(share) for share in shares])


def test_draws_follow_the_distribution() -> None:
    """400 drawn answers lie within five standard errors of the toy model's probabilities."""
    tree = make_tree(["好"], metrics=["fluency"])
    with Wire(documented.sglang) as wire:
        (read,) = engine(wire, samples=400).score(tree)
    p = np.exp(documented.logprobs_of(prompt_ids(tree, 0, "fluency")))
    wanted = np.array([p[49], p[50], p[51], p[52] + p[258] + p[259], p[53]])
    (found,) = values([read])
    assert np.all(np.abs(np.exp(found) - wanted) <= 5 * np.sqrt(wanted * (1 - wanted) / 400))


# --- many at once


@given(st.integers(0, 30), st.integers(1, 8), st.integers(0, 40))
def test_answers_come_in_order_until_the_first_error(size: int, workers: int, bad: int) -> None:
    """Those before it are all there, and so is the error in its place."""

    def ask(number: int) -> int:
        if number == bad:
            raise EngineError("no")
        return number * number

    answers = map_in_order(ask, range(size), workers)
    for number in range(min(size, bad)):
        assert next(answers) == number * number
    with pytest.raises(EngineError if bad < size else StopIteration):
        next(answers)


# --- servers that fail


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
    assert api._after({"retry-after": "17"}) == 17
    assert api._after({"retry-after": "soon"}) is None
    assert api._after({}) is None
    past = api._after({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"})
    assert past is not None
    assert past < 0


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_what_does_not_pass_is_refused_at_once(status: int) -> None:
    """One request, and an error with a hint."""
    with Wire(flaky(status, 99)) as wire:
        with pytest.raises(EngineError) as caught:
            list(engine(wire).score(make_tree(["好"])))
        assert len(wire.asked("/api/chat")) == 1
    assert f"HTTP {status}" in str(caught.value)
    assert ("JUDGE_API_KEY" in str(caught.value.hint)) == (status in {401, 403})


@pytest.mark.parametrize("status", [400, 500])
def test_a_context_that_is_too_short_fails_one_prompt(status: int) -> None:
    """Whatever the status: the server's words decide, and other prompts are read."""

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


def test_a_server_that_dies_half_way(tmp_path: Path) -> None:
    """What was judged is kept; with the server back the same run asks the rest only."""
    tree = make_tree([f"第{i}句" for i in range(6)])
    with Wire(documented.ollama) as wire:
        expected = list(engine(wire).score(tree))
        whole = len(wire.asked("/api/chat")) - 1

    alive = True

    def mortal(request: Request) -> Reply | None:
        if request.path == "/api/chat" and "第4句" in str(request.body["messages"]) and not alive:
            return None
        return documented.ollama(request)

    alive = False
    with Wire(mortal) as wire, Store(tmp_path) as store:
        judge = engine(wire, batch_size=2)
        with pytest.raises(EngineError, match="fails") as caught:
            pipeline.score(tree, judge, store)
        assert "goes on" in str(caught.value.hint)
        assert len(list(store.judgments())) == 4 * 3
        alive = True
        wire.requests.clear()
        outcome = pipeline.score(tree, engine(wire, batch_size=2), store)
        assert (outcome.made, outcome.reused) == (6, 12)
        assert len(wire.asked("/api/chat")) - 1 == whole - 12
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


# --- the key


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 200])
@pytest.mark.parametrize("name", api.KEYS)
def test_the_key_is_sent_and_never_shown(
    monkeypatch: pytest.MonkeyPatch, name: str, status: int
) -> None:
    """Not even where the server says it back."""
    monkeypatch.setenv(name, KEY)

    def echo(request: Request) -> Reply:
        header = request.headers.get("Authorization", "")
        assert header == f"Bearer {KEY}"
        if request.path == "/api/chat":
            return Reply({"error": {"message": f"{header} is wrong"}}, status)
        return documented.ollama(request)

    with Wire(echo) as wire:
        judge = engine(wire)
        shown = [judge.fingerprint, str(judge.describe()), repr(judge)]
        with pytest.raises(JudgeError) as caught:
            list(judge.score(make_tree(["好"])))
    error: BaseException | None = caught.value
    while error is not None:
        shown += [str(error), repr(error), str(getattr(error, "hint", ""))]
        error = error.__cause__ or error.__context__
    assert not [text for text in shown if KEY in text or "very-secret" in text]


def test_the_nearer_key_is_taken_and_none_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """JUDGE_API_KEY before OPENAI_API_KEY; without either there is no such header."""
    with Wire(documented.openai) as wire:
        _ = engine(wire).fingerprint
        assert "Authorization" not in wire.requests[-1].headers
        monkeypatch.setenv("OPENAI_API_KEY", "other")
        monkeypatch.setenv("JUDGE_API_KEY", KEY)
        _ = engine(wire).fingerprint
        assert wire.requests[-1].headers["Authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("key", ["sk-\u00e9t\u00e9", "two words", "line\nbreak"])
def test_a_key_that_is_none(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    """Refused without being shown."""
    monkeypatch.setenv("JUDGE_API_KEY", key)
    with pytest.raises(EngineError, match="JUDGE_API_KEY") as caught:
        HttpEngine("toy", EngineOptions(base_url="http://localhost"))
    assert key not in str(caught.value)


def test_the_key_does_not_follow_a_redirect(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that sends us elsewhere is refused: the key is for the address that was given."""
    monkeypatch.setenv("JUDGE_API_KEY", KEY)
    with Wire(documented.openai) as other:

        def redirect(request: Request) -> Reply:
            if request.method == "POST":
                return Reply({}, 307, {"location": other.root + request.path})
            return documented.openai(request)

        with Wire(redirect) as wire, pytest.raises(EngineError, match="HTTP 307"):
            list(engine(wire).score(make_tree(["好"])))
        assert not other.requests


# --- options


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "no address was given"),
        ({"base_url": "localhost:8000"}, "no address"),
        ({"base_url": "ftp://localhost"}, "no address"),
        ({"base_url": "http://localhost/v1?key=x"}, "no address"),
        ({"base_url": f"http://me:{KEY}@localhost"}, "password"),
        ({"base_url": "http://localhost", "server": "tgi"}, "--server tgi"),
        ({"base_url": "http://localhost", "concurrency": 0}, "--concurrency 0"),
        ({"base_url": "http://localhost", "samples": 0}, "--samples 0"),
    ],
)
def test_options_that_mean_nothing(options: dict[str, Any], said: str) -> None:
    """Refused before anything is asked, with a hint, and without a password."""
    with pytest.raises(UsageError, match=said) as caught:
        HttpEngine("toy", EngineOptions(**options))
    assert caught.value.hint
    assert KEY not in f"{caught.value} {caught.value.hint}"


def test_an_address_may_leave_out_the_path() -> None:
    """http://host means http://host/v1; another path is taken as it stands."""
    seen = []

    def answer(request: Request) -> Reply:
        seen.append(request.path)
        path = request.path.replace("/beta/openai", "/v1")
        return documented.openai(replace(request, path=path))

    with Wire(answer) as wire:
        for url in (wire.root, f"{wire.root}/v1/", f"{wire.root}/beta/openai"):
            judge = HttpEngine("toy", EngineOptions(base_url=url, server="openai"))
            assert list(judge.score(make_tree(["好"], metrics=["fluency"])))
    assert seen.count("/v1/chat/completions") == 4
    assert seen.count("/beta/openai/chat/completions") == 2


@pytest.mark.parametrize("kind", SERVERS)
def test_the_kind_is_found_or_told(kind: str) -> None:
    """By one question; and `--server` needs no finding."""
    answers: dict[str, Answer] = {
        "vllm": Recording("vllm"),
        "llama.cpp": Recording("llama_cpp"),
        **DOCUMENTED,
    }
    name = "small" if kind in {"vllm", "llama.cpp"} else "toy"
    with Wire(answers[kind]) as wire:
        found = engine(wire, name)
        told = engine(wire, name, server=kind)
        assert found.describe()["server"] == kind
        assert found.fingerprint == told.fingerprint
        assert "note" in found.describe()


def test_a_server_that_lists_no_models_is_asked_all_the_same() -> None:
    """Some gateways have no /v1/models: the answers still say which model they are of."""

    def answer(request: Request) -> Reply:
        return Reply({}, 404) if request.method == "GET" else documented.openai(request)

    with Wire(answer) as wire:
        assert values(list(engine(wire).score(make_tree(["好"]))))


def test_it_is_in_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """`--base-url` means this engine; without its packages the error says how to get them."""
    options = EngineOptions(base_url="http://localhost:1")
    spec = resolve_judge("toy", base_url=options.base_url)
    assert isinstance(open_engine(spec, options), HttpEngine)
    for package in ("httpx2", "tenacity"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, package, None)
            with pytest.raises(MissingExtraError) as caught:
                open_engine(spec, options)
        assert caught.value.hint == "pip install 'esrp-judge[http]'"


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
