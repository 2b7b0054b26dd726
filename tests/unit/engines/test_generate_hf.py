"""Replies by transformers: against its own loops, and the laws of drawing."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from judge.engines.hf import HfEngine
from judge.engines.interface import Engine, EngineOptions
from judge.engines.lexical import LexicalEngine
from judge.engines.mock import MockEngine
from judge.engines.naive import NaiveHfEngine
from judge.errors import EngineError
from judge.types import Failure, Message, Reply, Sampling
from tests.unit.engines.small import CHATML, NO_SYSTEM, make_tree, save_model, shared_model
from tests.unit.engines.test_hf import WAYS

CPU = EngineOptions(device="cpu")
TEXTS = ["难受", "hello you there ab " * 3, "a", "没关系我陪你" * 5, ""]
CHATS = [
    [
        Message("system", "Be Ann."),
        Message("user", text),
        Message("assistant", "嗯"),
        Message("user", "?"),
    ]
    for text in TEXTS
]
GREEDY = Sampling(max_tokens=16, temperature=0)
DRAWN = Sampling(max_tokens=16, temperature=1.0, top_p=0.9)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def qwen() -> Path:
    return shared_model("Qwen3", template=CHATML)


def greedy_ids(folder: Path, prompt: tuple[int, ...], count: int) -> list[int]:
    """Token by token, each from the whole text before it: no cache, no padding, no `generate`."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    ids = list(prompt)
    with torch.no_grad():
        for _ in range(count):
            logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1]
            ids.append(int(logits.argmax()))
    return ids[len(prompt) :]


@pytest.mark.parametrize("name", WAYS)
def test_a_batch_of_different_lengths_equals_one_by_one(name: str) -> None:
    """Greedy and drawn, whatever the model attends to, in order; and greedy is the argmax."""
    folder = shared_model(name.partition(" ")[0], template=CHATML, changes=WAYS[name][1])
    engine = HfEngine(str(folder), CPU)
    for sampling in (GREEDY, DRAWN):
        replies = list(engine.generate(CHATS, sampling))
        assert [reply.chat for reply in replies] == list(range(len(CHATS)))
        alone = [next(engine.generate([chat], sampling)) for chat in CHATS]
        assert [replace(reply, chat=0) for reply in replies] == alone
    assert len({reply.outcome for reply in replies}) > 2
    framed = engine._judge.checkpoint.chats
    prompt = framed.prompt(CHATS[0], thinking=False)
    expected = framed.reply(0, prompt, greedy_ids(folder, prompt.ids, 16), cut=True)
    assert next(engine.generate(CHATS[:1], GREEDY)) == expected


def test_the_same_again_and_otherwise_with_another_seed(qwen: Path) -> None:
    """By another engine too, and with the batch cut elsewhere; nobody's random state is touched."""
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    first = list(HfEngine(str(qwen), CPU).generate(CHATS, DRAWN))
    assert torch.equal(before, torch.random.get_rng_state())
    torch.manual_seed(4)
    small = EngineOptions(device="cpu", batch_size=2)
    for engine in (
        HfEngine(str(qwen), CPU),
        HfEngine(str(qwen), small),
        NaiveHfEngine(str(qwen), CPU),
    ):
        assert engine.can_generate
        assert list(engine.generate(CHATS, DRAWN)) == first
    other = HfEngine(str(qwen), CPU).generate(CHATS, replace(DRAWN, seed=1))
    assert all(a.outcome != b.outcome for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.7, 0.8), (1.5, 0.5)])
def test_tokens_are_drawn_as_often_as_they_are_probable(
    qwen: Path, temperature: float, top_p: float
) -> None:
    """The law of large numbers, with the probabilities of transformers' own warpers.

    Of 600 first tokens the counts of the frequent ones are within 4 standard deviations of
    theirs, and none is drawn that top-p leaves out.
    """
    engine, n = HfEngine(str(qwen), EngineOptions(device="cpu", batch_size=200)), 600
    chat = [Message("user", "难受")]
    prompt = engine._judge.checkpoint.chats.prompt(chat, thinking=False)
    with torch.no_grad():
        scores = engine._judge.model(input_ids=torch.tensor([prompt.ids])).logits[:, -1]
    warpers = transformers.LogitsProcessorList(
        [transformers.TemperatureLogitsWarper(temperature), transformers.TopPLogitsWarper(top_p)]
    )
    p = warpers(torch.tensor([prompt.ids]), scores).softmax(-1)[0].tolist()
    decode = engine._judge.checkpoint.prompt_tokenizer.decode
    sampling = Sampling(max_tokens=1, temperature=temperature, top_p=top_p)
    replies = list(engine.generate([chat] * n, sampling))
    assert {reply.tokens for reply in replies} == {1}
    counts = Counter(reply.outcome for reply in replies)
    expected: Counter[str] = Counter()
    for token, share in enumerate(p):
        plain = engine._judge.checkpoint.chats.reply(0, prompt, [token], cut=True).outcome
        assert isinstance(plain, str), decode([token])
        expected[plain] += share  # type: ignore[assignment]
    assert set(counts) <= {said for said, share in expected.items() if share}
    frequent = {said: share for said, share in expected.items() if share > 0.02}
    assert len(frequent) > 2
    for said, share in frequent.items():
        assert counts[said] == pytest.approx(n * share, abs=4 * math.sqrt(n * share * (1 - share)))


def ending(folder: Path, tmp_path: Path) -> tuple[Path, list[int]]:
    """The same model, but the fifth token that it writes greedily ends a reply."""
    framed = HfEngine(str(folder), CPU)._judge.checkpoint.chats
    ids = greedy_ids(folder, framed.prompt(CHATS[0], thinking=False).ids, 16)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    model.generation_config = transformers.GenerationConfig(
        eos_token_id=[ids[4]], do_sample=True, top_k=1, repetition_penalty=9.0, min_new_tokens=9,
        suppress_tokens=[ids[0]], temperature=3.0,
    )  # fmt: skip
    model.save_pretrained(tmp_path)
    transformers.AutoTokenizer.from_pretrained(folder).save_pretrained(tmp_path)
    return tmp_path, ids


def test_a_reply_ends_where_the_model_ends_it(qwen: Path, tmp_path: Path) -> None:
    """Not cut, its end not counted; and none of the settings that the model brings along counts."""
    folder, ids = ending(qwen, tmp_path)
    end = ids.index(ids[4])
    engine = HfEngine(str(folder), CPU)
    reply = next(engine.generate(CHATS, GREEDY))
    framed = engine._judge.checkpoint.chats
    prompt = framed.prompt(CHATS[0], thinking=False)
    assert reply == framed.reply(0, prompt, ids[:end], cut=False)
    assert (reply.tokens, reply.cut, reply.prompt_tokens) == (end, False, len(prompt.ids))
    assert next(engine.generate(CHATS[:1], replace(GREEDY, max_tokens=end))).cut
    assert not next(engine.generate(CHATS[:1], replace(GREEDY, max_tokens=end + 1))).cut


def test_a_chat_that_does_not_fit_is_a_failure() -> None:
    """With its reply; the others are replied to, as if it was not there."""
    folder = shared_model("Llama", template=CHATML, window=128)
    engine = HfEngine(str(folder), CPU)
    long = [Message("user", "难受" * 60)]
    first, failed, last = engine.generate([CHATS[0], long, CHATS[2]], DRAWN)
    assert isinstance(failed.outcome, Failure)
    assert failed.outcome.code == "too_long"
    assert "up to 16" in failed.outcome.reason
    assert "window is 128" in failed.outcome.reason
    assert [first, replace(last, chat=1)] == list(engine.generate([CHATS[0], CHATS[2]], DRAWN))
    assert list(engine.generate([], DRAWN)) == []
    length = first.prompt_tokens
    fits = next(engine.generate(CHATS[:1], replace(GREEDY, max_tokens=128 - length)))
    assert (fits.tokens, fits.cut) == (128 - length, True)
    over = next(engine.generate(CHATS[:1], replace(GREEDY, max_tokens=129 - length)))
    assert isinstance(over.outcome, Failure)


def test_when_memory_runs_out_batches_are_halved(qwen: Path) -> None:
    """The replies stay the same; a single chat that does not fit is an error."""
    engine = HfEngine(str(qwen), CPU)
    expected = list(engine.generate(CHATS, DRAWN))
    model: Any = engine._judge.model
    forward, sizes, most = model.forward, [], 2

    def short_of_memory(*args: Any, input_ids: torch.Tensor, **more: Any) -> Any:
        if len(input_ids) > most:
            raise torch.OutOfMemoryError("full")
        sizes.append(len(input_ids))
        return forward(*args, input_ids=input_ids, **more)

    model.forward = short_of_memory
    assert list(engine.generate(CHATS, DRAWN)) == expected
    assert set(sizes) == {1, 2}
    most = 0
    with pytest.raises(EngineError, match="one chat does not fit on cpu") as caught:
        list(engine.generate(CHATS, DRAWN))
    assert caught.value.hint


def test_weights_that_are_not_numbers_reply_nothing(tmp_path: Path) -> None:
    """A Failure, greedy or drawn."""
    folder = save_model(tmp_path, "Llama", template=CHATML)
    weights = load_file(folder / "model.safetensors")
    weights["model.layers.0.mlp.up_proj.weight"][0, 0] = math.nan
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    for sampling in (GREEDY, DRAWN):
        for reply in HfEngine(str(folder), CPU).generate(CHATS[:2], sampling):
            assert isinstance(reply.outcome, Failure)
            assert reply.outcome.code == "not_finite"


def test_a_closed_engine_loads_again(qwen: Path) -> None:
    """The weights are let go of, and what was asked before is answered as before."""
    tree = make_tree(TEXTS[:2])
    for engine in (
        HfEngine(str(qwen), CPU),
        HfEngine(str(qwen), CPU, "cached"),
        NaiveHfEngine(str(qwen), CPU),
    ):
        engine.close()  # nothing is loaded: nothing happens
        replies, reads = list(engine.generate(CHATS, DRAWN)), list(engine.score(tree))
        weight = torch.utils.weak.WeakIdRef(engine._judge.model.lm_head.weight)
        engine.close()
        assert weight() is None
        assert list(engine.generate(CHATS, DRAWN)) == replies
        assert list(engine.score(tree)) == reads


def test_the_manifest_says_how_a_chat_is_framed() -> None:
    """Of a model without a system role, and of one without a template."""
    folder = shared_model("Gemma2", template=NO_SYSTEM)
    engine = HfEngine(str(folder), CPU)
    assert engine.describe()["system_role"] == "folded into the first turn"
    assert all(isinstance(reply.outcome, str) for reply in engine.generate(CHATS, GREEDY))
    plain = NaiveHfEngine(str(shared_model("Llama")), CPU)
    assert plain.describe()["chat_template"] == "none: plain text"
    assert "system_role" not in plain.describe()


def test_a_foreign_tokenizer_is_refused() -> None:
    """One that gives ids that the model does not know."""
    folder = shared_model("Llama", template=CHATML, changes={"vocab_size": 50})
    with pytest.raises(EngineError, match="the model knows 50 tokens"):
        list(HfEngine(str(folder), CPU).generate(CHATS, GREEDY))


def test_judges_without_words_refuse_to_play() -> None:
    """With a hint, and closing them changes nothing."""
    lexical = Path(__file__).parents[3] / "judge" / "embedded" / "lexical.npz"
    engines: list[Engine] = [LexicalEngine(str(lexical), CPU), MockEngine("mock", CPU)]
    for engine in engines:
        with pytest.raises(EngineError, match="writes no replies") as caught:
            list(engine.generate(CHATS, GREEDY))
        assert caught.value.hint
        engine.close()
        assert len(list(engine.score(make_tree(["好"])))) == 3


def test_a_thought_costs_tokens_and_may_leave_no_reply() -> None:
    """A template that opens the thought: what a random model writes never ends it."""
    opens = CHATML.replace(
        "{{- '<|im_start|>assistant\\n' }}", "{{- '<|im_start|>assistant\\n<think>\\n' }}"
    )
    opens = opens.replace("not enable_thinking", "false")
    folder = shared_model("Qwen3", template=opens)
    (found,) = HfEngine(str(folder), CPU).generate(CHATS[:1], replace(GREEDY, thinking=True))
    assert (found.outcome, found.tokens, found.cut) == ("", 16, True)
    assert found.thought
    assert isinstance(found, Reply)
    assert np.isfinite(found.prompt_tokens)
