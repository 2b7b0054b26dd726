"""Many dialogues in one pass: what is computed together, and what a GPU is told."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax
from torch.nn.attention import varlen

from judge.engines import attention
from judge.engines.causal import CausalModel
from judge.engines.hf import HfEngine
from judge.engines.interface import EngineOptions
from judge.engines.naive import NaiveHfEngine
from judge.engines.packed import PackedPrompts, passes, tokens_at_once
from judge.types import Failure, PromptTree
from tests.unit.engines.small import CHATML, METRICS, make_tree, shared_model

CPU = EngineOptions(device="cpu")
TEXTS = ["难受", "", "hello you there ab " * 4, "没关系我陪你" * 6, "a", ""]
TREE = make_tree(
    TEXTS,
    characters=["Ann", "Bob", "Ann", "Cat", "Bob", "Ann"],
    profiles={"Ann": "Ann is kind.\n", "Bob": "Bob talks of ships.\n", "Cat": ""},
)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@given(
    items=st.lists(st.tuples(st.integers(1, 50), st.sampled_from([(), (1,), (2, 3)]))),
    budget=st.integers(0, 120),
)
def test_a_pass_has_one_profile_and_no_more_tokens_than_the_budget(
    items: list[tuple[int, tuple[int, ...]]], budget: int
) -> None:
    """Each item is in one pass; those of a profile keep their order; no pass could take more."""
    lengths = {i: length for i, (length, _) in enumerate(items)}
    profiles = {i: profile for i, (_, profile) in enumerate(items)}
    cut = passes(lengths, profiles, budget)
    for profile in set(profiles.values()):
        of_profile = [one for one in cut if profiles[one[0]] == profile]
        assert [i for one in of_profile for i in one] == [
            i for i in profiles if profiles[i] == profile
        ]
        for one, after in pairwise(of_profile):
            assert sum(lengths[i] for i in one) + lengths[after[0]] > budget
    assert all(len(one) == 1 or sum(lengths[i] for i in one) <= budget for one in cut)
    assert sum(map(len, cut)) == len(items)


def test_the_budget_follows_from_the_size_of_memory_and_model() -> None:
    """Qwen3-8B by hand: 409,600 bytes a token; (80 - 16.4) / 2 GB are 77,636, and 24 GB are 9,277.

    What does not fit beside its weights, such as those that are quantized when loaded, has the
    least.
    """
    sizes = 16_400_000_000, 4096, 12288
    assert tokens_at_once(80_000_000_000, *sizes) == 65_536
    assert tokens_at_once(24_000_000_000, *sizes) == 8_192
    assert tokens_at_once(12_000_000_000, *sizes) == 2_048
    assert tokens_at_once(500_000_000_000, *sizes) == 65_536


def by_contract(
    query: Any, key: Any, value: Any, cu_seq_q: Any, cu_seq_k: Any, max_q: int, max_k: int,
    *, return_aux: Any, scale: float, window_size: tuple[int, int], enable_gqa: bool,
) -> Any:  # fmt: skip
    """What torch says of `varlen_attn`, which needs CUDA, in double precision."""
    assert cu_seq_q.dtype == cu_seq_k.dtype == torch.int32
    assert return_aux.lse
    assert enable_gqa or query.shape[1] == key.shape[1]
    assert query.shape[-1] % 8 == 0
    query, key, value = query.double(), key.double(), value.double()
    shared = query.shape[1] // key.shape[1]
    outs, lses = [], []
    bounds = list(zip(pairwise(cu_seq_q.tolist()), pairwise(cu_seq_k.tolist()), strict=True))
    for (a, b), (c, d) in bounds:
        assert 0 < b - a <= max_q
        assert 0 < d - c <= max_k
        keys = key[c:d].repeat_interleave(shared, 1)
        scores = torch.einsum("qhd,khd->hqk", query[a:b], keys) * scale
        if window_size == (-1, 0):
            scores = scores.masked_fill(torch.ones(b - a, d - c).triu(1).bool(), -torch.inf)
        p = scores.softmax(-1)
        outs.append(torch.einsum("hqk,khd->qhd", p, value[c:d].repeat_interleave(shared, 1)))
        lses.append(scores.logsumexp(-1))
    return torch.cat(outs).float(), torch.cat(lses, -1).float()


@pytest.mark.parametrize("name", ["Qwen3", "Gemma", "GPT2"])
def test_the_kernel_of_a_gpu_is_asked_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a stand-in that does what torch documents of it: equal to whole prompts, to 1e-4."""
    monkeypatch.setattr(attention, "_has_varlen", lambda _: True)
    monkeypatch.setattr(varlen, "varlen_attn", by_contract)
    folder = str(shared_model(name, template=CHATML, changes={"num_attention_heads": 4}))
    engine = HfEngine(folder, CPU)
    engine.budget = 1 << 12
    reads = list(engine.score(TREE))
    whole = list(NaiveHfEngine(folder, CPU).score(TREE))
    assert values(reads) == pytest.approx(values(whole), abs=1e-4)


def values(reads: Any) -> np.ndarray[Any, Any]:
    return np.array([read.outcome for read in reads])


@pytest.mark.parametrize("kernel", [True, False])
@pytest.mark.parametrize("name", ["Qwen3", "GPT2", "Phi"])
def test_a_pass_is_begun_without_waiting_for_the_device(
    name: str, kernel: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the device `meta`, which has shapes and no numbers: whoever reads one gets an error."""
    monkeypatch.setattr(attention, "_has_varlen", lambda _: kernel)
    judge = CausalModel(str(shared_model(name, template=CHATML)), CPU)
    judge.model.to("meta")
    judge.device = "meta"
    tokens = judge.checkpoint.prompt_tokenizer(TREE)
    pending = PackedPrompts(judge, 1 << 12)._begin(tokens, {0: METRICS, 2: METRICS, 5: METRICS[:1]})
    asked = [(i, m) for i in (0, 2, 5) for m in METRICS]
    assert pending.prompts == tuple(asked[:7])
    assert (pending.table.shape, pending.table.dtype) == ((7, 6), torch.float64)
    with pytest.raises(NotImplementedError, match="meta"):
        list(judge.finish_reading(pending))


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("at_once", [1, 200, 1 << 20])
def test_attention_in_plain_steps(
    causal: bool, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Equal to torch's, in however many steps; the log-sum-exp by definition."""
    monkeypatch.setattr(attention, "_SCORES", at_once)
    torch.manual_seed(0)
    query, key, value = torch.randn(3, 2, 3, 13, 8)
    out, lse = attention._plain(query, key, value, is_causal=causal, scale=0.4)
    expected = torch.nn.functional.scaled_dot_product_attention(
        query, key, value, is_causal=causal, scale=0.4
    )
    assert out == pytest.approx(expected, abs=1e-6)
    scores = 0.4 * query @ key.transpose(-1, -2)
    weights = scores.exp().tril() if causal else scores.exp()
    assert lse == pytest.approx(weights.sum(-1).log(), abs=1e-5)


def test_a_run_that_goes_on_reads_the_same_bytes() -> None:
    """The second batch by the engine that read the first, or by one that begins with it."""
    folder = str(shared_model("Qwen3", template=CHATML))
    halves = [replace(TREE, items=TREE.items[start : start + 3]) for start in (0, 3)]

    def read(trees: list[PromptTree]) -> list[Any]:
        engine = HfEngine(folder, CPU)
        engine.budget = 1 << 12
        return [[read.outcome for read in engine.score(tree)] for tree in trees]

    assert read(halves)[1:] == read(halves[1:])


@pytest.fixture(scope="module")
def judge() -> CausalModel:
    return CausalModel(str(shared_model("Qwen3", template=CHATML)), CPU)


@given(
    logits=st.lists(
        st.lists(st.floats(-80, 80, width=32), min_size=9, max_size=9), min_size=1, max_size=5
    ),
    gap=st.sampled_from([0, 20, 200]),
    dtype=st.sampled_from([torch.float32, torch.bfloat16]),
)
def test_labels_are_read_as_in_double_precision(
    judge: CausalModel, logits: list[list[float]], gap: int, dtype: Any
) -> None:
    """To 1e-6, for any number of prompts at once; labels never have a mass above 1."""
    rows = torch.tensor(logits).to(dtype)
    rows[:, 3] += gap  # a label: the judge is confident
    ids = {"m": (3, 1, 8), "n": (0, 2, 3)}
    prompts = [(i, "mn"[i % 2]) for i in range(len(rows))]
    expected = log_softmax(rows.double().numpy(), axis=-1)
    for (item, metric), read in zip(prompts, judge.read(prompts, rows, ids), strict=True):
        labels = list(ids[metric])
        assert (read.item, read.metric) == (item, metric)
        assert read.outcome == pytest.approx(expected[item, labels], abs=1e-6)
        assert sum(np.exp(read.outcome)) <= 1 + 1e-12
        assert read.top_is_label == (int(rows[item].argmax()) in labels)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_a_failure_of_its_prompt_alone(
    judge: CausalModel, wrong: float
) -> None:
    """A label that is not finite; the prompt beside it is read."""
    rows = torch.zeros(2, 9)
    rows[0, 3] = wrong
    bad, good = judge.read([(0, "m"), (1, "m")], rows, {"m": (3, 1, 8)})
    assert isinstance(bad.outcome, Failure)
    assert good.outcome == pytest.approx([-np.log(9)] * 3)
