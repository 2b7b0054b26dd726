"""The http engine against servers that answer as documented, and drawn answers."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.engines.servers.server import ServerPrompt, read_by_text
from judge.errors import EngineError
from judge.types import Failure, LabelRead, PromptTree
from tests.unit.engines.http_help import DOCUMENTED, engine, values
from tests.unit.engines.recorded import documented
from tests.unit.engines.recorded.wire import Reply, Request, Wire
from tests.unit.engines.small import make_tree

pytestmark = pytest.mark.usefixtures("no_key_and_little_patience")


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


# --- drawn answers


def test_samples_are_counted_strictly() -> None:
    """Of ten answers nine name one label, two of them after the prefill; 45 is none."""
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
        (-math.inf, -math.inf, math.log(0.1), math.log(0.6), math.log(0.2))
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
