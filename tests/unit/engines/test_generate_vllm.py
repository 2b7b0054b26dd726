"""Replies by vLLM, where it is installed: against transformers, and one engine after the other."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from judge.engines import EngineOptions
from judge.engines.hf import HfEngine
from judge.engines.vllm import VllmEngine
from judge.types import Failure, Message, Sampling
from tests.unit.engines.small import CHATML, make_tree, save_model

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("vllm") is None,
    reason="vLLM is not installed; scripts/check_vllm_cpu.sh runs these",
)
SIZES = {"hidden_size": 64, "head_dim": 32}
CHATS = [
    [
        Message("system", "Be Ann."),
        Message("user", text),
        Message("assistant", "嗯"),
        Message("user", "?"),
    ]
    for text in ("难受", "hello you there ab " * 3, "a", "没关系我陪你" * 5)
]
GREEDY = Sampling(max_tokens=12, temperature=0)
DRAWN = Sampling(max_tokens=12, temperature=1.0, top_p=0.9, seed=3)


def model(folder: Path, template: str | None = CHATML, **changes: Any) -> Path:
    return save_model(folder, "Qwen3", template=template, window=256, changes=SIZES | changes)


def engine(folder: Path) -> VllmEngine:
    memory = {"gpu_memory": 0.1} if torch.cuda.is_available() else {}
    return VllmEngine(str(folder), EngineOptions(dtype="float32", **memory))


def test_replies_are_those_of_transformers_and_the_engine_can_be_closed(tmp_path: Path) -> None:
    """Greedy replies, to the letter, what does not fit and where a model ends among them.

    Drawn ones depend on nothing but the chat and the settings. All of it in one process, by one
    engine after the other, each closed before the next is loaded.
    """
    folder = model(tmp_path / "endless")
    cpu = HfEngine(str(folder), EngineOptions(device="cpu", dtype="float32"))
    vllm = engine(folder)
    vllm.close()  # nothing is loaded: nothing happens
    too_long = [Message("user", "难受" * 99)]
    chats = [*CHATS[:2], too_long, *CHATS[2:]]
    expected = list(cpu.generate(chats, GREEDY))
    found = list(vllm.generate(chats, GREEDY))
    for one, other in zip(found, expected, strict=True):
        if one.chat == 2:
            assert isinstance(one.outcome, Failure)
            assert one.outcome.code == "too_long"
        else:
            assert one == other
    assert list(vllm.generate([], GREEDY)) == []

    drawn = list(vllm.generate(CHATS, DRAWN))
    assert list(vllm.generate(CHATS, DRAWN)) == drawn
    assert replace(next(vllm.generate(CHATS[2:], DRAWN)), chat=2) == drawn[2]
    others = list(vllm.generate(CHATS, replace(DRAWN, seed=4)))
    assert all(one.outcome != other.outcome for one, other in zip(drawn, others, strict=True))

    reads = list(vllm.score(make_tree(["没关系"])))
    vllm.close()
    framed = cpu._judge.checkpoint.chats
    prompt = framed.prompt(CHATS[0], thinking=False)
    ids = cpu._judge.model.generate(
        torch.tensor([prompt.ids]).to(cpu._judge.device), max_new_tokens=5, do_sample=False
    )[0, -1:].tolist()
    ending = model(tmp_path / "ending", eos_token_id=ids[0])
    other = engine(ending)
    (reply,) = other.generate(CHATS[:1], GREEDY)
    (same,) = HfEngine(str(ending), EngineOptions(device="cpu", dtype="float32")).generate(
        CHATS[:1], GREEDY
    )
    assert reply == same
    assert (reply.tokens < 12, reply.cut) == (True, False)
    other.close()

    plain = engine(model(tmp_path / "plain", None))
    assert plain.describe()["chat_template"] == "none: plain text"
    assert all(isinstance(reply.outcome, str) for reply in plain.generate(CHATS, DRAWN))
    plain.close()
    assert list(vllm.score(make_tree(["没关系"]))) == reads
    assert list(vllm.generate(CHATS, DRAWN)) == drawn
    vllm.close()
