"""The law of the tree engine: shared or not, a prompt has one answer."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from judge.engines.hf import HfEngine
from judge.engines.interface import EngineOptions
from judge.engines.naive import NaiveHfEngine
from tests.unit.engines.small import CHATML, NO_SYSTEM, make_tree, save_model

NINE = [f"metric_{i}" for i in range(9)]
CPU = EngineOptions(device="cpu")
TEXT = st.text("ab 难受没关系。!\n", max_size=60)


@st.composite
def models(draw: st.DrawFn) -> dict[str, Any]:
    """A small configuration: any number of layers and heads, keys shared by heads or not."""
    shared = draw(st.integers(1, 3))
    key_value_heads = draw(st.integers(1, 2))
    sizes: dict[str, Any] = {
        "num_hidden_layers": draw(st.integers(1, 3)),
        "num_key_value_heads": key_value_heads,
        "num_attention_heads": shared * key_value_heads,
        "head_dim": draw(st.sampled_from([8, 16])),
        "hidden_size": shared * key_value_heads * 16,
    }
    architecture = draw(st.sampled_from(["Qwen3", "Llama", "Mistral", "Gemma", "Gemma2"]))
    if architecture in {"Mistral", "Gemma2"}:
        sizes["sliding_window"] = draw(st.sampled_from([3, 8, 50]))
    if architecture == "Mistral" and draw(st.booleans()):
        sizes["sliding_window"] = None
    template = draw(st.sampled_from([CHATML, NO_SYSTEM, None]))
    return {"architecture": architecture, "changes": sizes, "template": template}


@st.composite
def trees(draw: st.DrawFn) -> Any:
    """One to many dialogues of up to three characters, each asked one to nine metrics."""
    texts = draw(st.lists(TEXT, min_size=1, max_size=7))
    names = draw(st.lists(st.sampled_from("ABC"), min_size=len(texts), max_size=len(texts)))
    tree = make_tree(
        texts,
        system=draw(TEXT),
        profiles={name: draw(TEXT) for name in "ABC"},
        characters=names,
        metrics=NINE,
    )
    some = st.lists(st.sampled_from(NINE), min_size=1, unique=True).map(
        lambda names: tuple(sorted(names))
    )
    return replace(tree, items=tuple(replace(i, metrics=draw(some)) for i in tree.items))


@settings(max_examples=40, deadline=None)
@given(
    model=models(),
    tree=trees(),
    budget=st.sampled_from([0, 100, 1 << 12]),
    way=st.sampled_from([None, "cached"]),
    seed=st.integers(0, 99),
)
def test_sharing_changes_no_answer(
    model: dict[str, Any], tree: Any, budget: int, way: Any, seed: int
) -> None:
    """In float32, to 1e-4 in log-probability, in every model, tree and batch."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = save_model(Path(name), seed=seed, **model)
        engine = HfEngine(str(folder), CPU, way)
        engine.budget = budget
        shared = list(engine.score(tree))
        whole = list(NaiveHfEngine(str(folder), CPU).score(tree))
    assert [(r.item, r.metric) for r in shared] == [(r.item, r.metric) for r in whole]
    one, other = (np.array([r.outcome for r in reads]) for reads in (shared, whole))
    assert one == pytest.approx(other, abs=1e-4)
