"""The tree engine of transformers against prompts asked whole."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from judge.engines import attention
from judge.engines.causal import cache_argument
from judge.engines.hf import HfEngine
from judge.engines.interface import EngineOptions
from judge.engines.naive import NaiveHfEngine
from judge.errors import EngineError, MissingExtraError
from judge.types import Failure, LabelRead, PromptTree
from tests.unit.engines.small import CHATML, METRICS, make_tree, shared_model

CPU = EngineOptions(device="cpu")
TEXTS = ["难受", "hello you there ab " * 4, "", "没关系我陪你" * 6, "a"]
PROFILES = {"Ann": "Ann is kind.\n", "Bob": "Bob talks a lot about ships.\n", "Cat": ""}
TREE = make_tree(TEXTS, characters=["Ann", "Bob", "Ann", "Cat", "Bob"], profiles=PROFILES)

LINEAR = {
    "linear_num_value_heads": 2,
    "linear_num_key_heads": 2,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
    "num_hidden_layers": 4,
}
WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "Qwen3": ("packed", {}),
    "Qwen2": ("packed", {}),
    "Llama": ("packed", {}),
    "Mistral": ("packed", {"sliding_window": None}),
    "Gemma": ("packed", {"num_key_value_heads": 2}),
    "GPT2": ("packed", {}),
    "Phi": ("packed", {}),
    "Mistral with a window": ("cached", {"sliding_window": 8}),
    "Gemma2": ("cached", {}),
    "Gemma3Text": ("cached", {}),
    "GptOss": ("cached", {"num_local_experts": 4, "num_experts_per_tok": 2}),
    "Bloom": ("cached", {}),
    "Lfm2": ("cached", {"layer_types": ["conv", "full_attention"]}),
    "Qwen3_5Text": ("cached", LINEAR),
    "Mamba": ("whole", {}),
    "Phi3": ("whole", {}),
}
"""Architecture -> how a model of it has to be asked, and what to change of a small one."""


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def qwen() -> Path:
    return shared_model("Qwen3", template=CHATML)


def asking(limit: int) -> PromptTree:
    """The tree, asking for reasons."""
    return replace(TREE, rationale=limit)


def values(reads: list[LabelRead]) -> np.ndarray[Any, Any]:
    return np.array([read.outcome for read in reads])


@pytest.mark.parametrize("template", [CHATML, None], ids=["chatml", "plain"])
@pytest.mark.parametrize("name", WAYS)
def test_a_shared_prompt_is_read_like_a_whole_one(name: str, template: str | None) -> None:
    """To 1e-4 in log-probability, in the order of the tree, whatever the model attends to.

    With full attention, with windows shorter than the prompts, attention sinks, positions as
    biases, convolutions and linear attention beside full, and models that nothing can be shared
    with; profiles of several lengths and none in one batch.
    """
    way, changes = WAYS[name]
    folder = shared_model(name.partition(" ")[0], template=template, changes=changes)
    engine = HfEngine(str(folder), CPU)
    assert engine.way == way
    engine.budget = 1 << 12
    reads = list(engine.score(TREE))
    whole = list(NaiveHfEngine(str(folder), CPU).score(TREE))
    assert [(r.item, r.metric, r.top_is_label) for r in reads] == [
        (r.item, r.metric, r.top_is_label) for r in whole
    ]
    assert values(reads) == pytest.approx(values(whole), abs=1e-4)


@pytest.mark.parametrize("way", ["packed", "cached"])
def test_items_may_be_asked_different_metrics(qwen: Path, way: Any) -> None:
    """As when a run goes on: rows of one batch then end at different places."""
    metrics = [METRICS[:1], METRICS, METRICS[1:], (), METRICS[2:]]
    items = [replace(i, metrics=m) for i, m in zip(TREE.items, metrics, strict=True)]
    tree = replace(TREE, items=tuple(items))
    engine = HfEngine(str(qwen), CPU, way)
    engine.budget = 1 << 12
    reads = list(engine.score(tree))
    assert [(r.item, r.metric) for r in reads] == [(i, m) for i in range(5) for m in metrics[i]]
    whole = values(list(NaiveHfEngine(str(qwen), CPU).score(tree)))
    assert values(reads) == pytest.approx(whole, abs=1e-4)


@pytest.mark.parametrize("way", ["packed", "cached", "whole"])
def test_what_was_kept_of_one_tree_does_not_leak_into_another(qwen: Path, way: Any) -> None:
    """Prefix and profiles are kept between calls: another system text or profile is another one."""
    engine = HfEngine(str(qwen), CPU, way)
    others = [
        replace(TREE, system="Be strict.\n"),
        replace(TREE, profiles={**PROFILES, "Ann": "Ann is a pirate.\n"}),
        TREE,
    ]
    list(engine.score(TREE))
    for tree in others:
        fresh = values(list(NaiveHfEngine(str(qwen), CPU).score(tree)))
        assert values(list(engine.score(tree))) == pytest.approx(fresh, abs=1e-4)


def test_every_token_of_the_tree_is_computed_once(qwen: Path) -> None:
    """Packed, the model is given the tokens that the tree counts, no more.

    The profiles are kept, so a second call computes its dialogues and questions only.
    """
    engine = HfEngine(str(qwen), CPU)
    engine._reading_verified = True
    given: list[int] = []
    logits = engine._judge.logits

    def watched(ids: Any, *args: Any, **kwargs: Any) -> Any:
        given.append(ids.numel())
        return logits(ids, *args, **kwargs)

    engine._judge.logits = watched  # type: ignore[method-assign]
    list(engine.score(TREE))
    count = engine.count(TREE)
    assert count is not None
    assert sum(given) == count.tree
    first = sum(given)
    list(engine.score(TREE))
    tokens = engine._judge.checkpoint.prompt_tokenizer(TREE)
    shared = len(tokens.prefix) + sum(map(len, tokens.profiles.values()))
    assert sum(given) - first == first - shared


def test_cached_too_computes_the_prefix_once(qwen: Path) -> None:
    """However many profiles come after it, and although few caches are kept."""
    names = "ABCDEFGH"
    tree = make_tree(
        ["好"] * len(names),
        system="Judge the reply as strictly as you can.\n" * 4,
        profiles={name: f"{name} is kind.\n" for name in names},
        characters=list(names),
    )
    engine = HfEngine(str(qwen), CPU, "cached")
    engine._reading_verified = True
    tokens = engine._judge.checkpoint.prompt_tokenizer(tree)
    given: list[int] = []
    logits = engine._judge.logits

    def watched(ids: Any, *args: Any, **kwargs: Any) -> Any:
        given.append(ids.shape[1])
        return logits(ids, *args, **kwargs)

    engine._judge.logits = watched  # type: ignore[method-assign]
    list(engine.score(tree))
    longest = max(len(part) for part in (*tokens.profiles.values(), *tokens.dialogues))
    branches = max(len(ids) for ids in tokens.branches[0].values())
    assert len(tokens.prefix) > max(longest, branches)
    assert given.count(len(tokens.prefix)) == 1


@pytest.mark.parametrize("way", ["packed", "cached", "whole"])
def test_a_prompt_longer_than_the_window_is_a_failure(way: Any) -> None:
    """It is not cut; the prompts beside it are read as without it."""
    folder = shared_model("Llama", window=120)
    engine = HfEngine(str(folder), CPU, way)
    reads = list(engine.score(make_tree(["没关系", "没关系，我陪你。" * 40])))
    assert all(isinstance(read.outcome, Failure) for read in reads[3:])
    alone = list(engine.score(make_tree(["没关系"])))
    assert values(reads[:3]) == pytest.approx(values(alone), abs=1e-5)
    assert all(isinstance(r.outcome, Failure) for r in engine.score(make_tree(["我陪你。" * 40])))


def test_a_model_that_answers_otherwise_in_pieces_is_refused() -> None:
    """Phi3 of longrope, forced into the packed way: its positions follow the longest prompt."""
    engine = HfEngine(str(shared_model("Phi3")), CPU, "packed")
    with pytest.raises(EngineError, match="answers differently") as caught:
        list(engine.score(make_tree(["没关系，我陪你。" * 12])))
    assert "--engine hf-naive" in str(caught.value.hint)


def test_a_proof_that_fails_is_an_error(qwen: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first dialogue is asked whole too; another answer ends the run before it begins."""
    see = attention._see

    def sees_what_follows(*args: Any, causal: bool = False) -> Any:
        del causal
        return see(*args)

    monkeypatch.setattr(attention, "_see", sees_what_follows)
    with pytest.raises(EngineError, match="answers differently"):
        list(HfEngine(str(qwen), CPU).score(TREE))


def replace_forward(monkeypatch: pytest.MonkeyPatch, cls: Any, forward: Any) -> None:
    """As if the library, or a model of somebody else, had another `forward`."""
    monkeypatch.setattr(cls, "forward", forward)


def test_a_cache_argument_of_another_name_is_never_guessed(
    qwen: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that cannot be packed is asked whole prompts; reasons are refused with a hint."""
    for cls in (transformers.Gemma2ForCausalLM, transformers.Qwen3ForCausalLM):
        forward = cls.forward

        def renamed(
            self: Any, input_ids: Any, memory: Any = None, forward: Any = forward, **kwargs: Any
        ) -> Any:
            del memory
            return forward(self, input_ids, **kwargs)

        replace_forward(monkeypatch, cls, renamed)
        assert cache_argument(cls) is None
    gemma = shared_model("Gemma2")
    engine = HfEngine(str(gemma), CPU)
    assert engine.way == "whole"
    whole = values(list(NaiveHfEngine(str(gemma), CPU).score(TREE)))
    assert values(list(engine.score(TREE))) == pytest.approx(whole, abs=1e-4)
    for writer in (engine, HfEngine(str(gemma), CPU, "cached"), HfEngine(str(qwen), CPU)):
        with pytest.raises(EngineError, match="cache") as caught:
            list(writer.write(asking(6)))
        assert caught.value.hint


@pytest.mark.parametrize("way", ["packed", "cached"])
def test_a_model_that_ignores_its_cache_is_refused(
    qwen: Path, monkeypatch: pytest.MonkeyPatch, way: Any
) -> None:
    """Whatever it is asked for first, a label or a reason: nothing wrong is given out."""
    forward = transformers.Qwen3ForCausalLM.forward

    def forgetful(self: Any, input_ids: Any, cache: Any = None, **kwargs: Any) -> Any:
        del cache
        return forward(self, input_ids, **kwargs)

    replace_forward(monkeypatch, transformers.Qwen3ForCausalLM, forgetful)
    engine = HfEngine(str(qwen), CPU, way)
    with pytest.raises(EngineError, match="writes differently") as caught:
        list(engine.write(asking(6)))
    assert "--rationale" in str(caught.value.hint)
    if way == "cached":
        with pytest.raises(EngineError, match="answers differently"):
            list(engine.score(TREE))


@pytest.mark.parametrize("lost", range(4))
def test_a_token_that_was_written_without_the_cache_is_noticed(qwen: Path, lost: int) -> None:
    """Any of the first four: the forward passes of the first reason are watched one by one."""
    engine = HfEngine(str(qwen), CPU)
    extend, calls = engine._cached._extend, 0

    def forgets(cache: Any, ids: Any, ends: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 4 + lost:  # prefix, profile and dialogue come first
            cache = engine._cached._empty()
        return extend(cache, ids, ends)

    engine._cached._extend = forgets  # type: ignore[method-assign]
    with pytest.raises(EngineError, match="writes differently"):
        list(engine.write(asking(8)))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", ["Qwen3", "Gemma2", "GptOss", "Lfm2", "Qwen3_5Text"])
def test_reasons_in_low_precision_are_not_refused(name: str, dtype: str) -> None:
    """Rounding alone, and tokens that are nearly as probable, are no reason to refuse a model."""
    folder = shared_model(name, template=CHATML, changes=WAYS[name][1])
    written = list(HfEngine(str(folder), replace(CPU, dtype=dtype)).write(asking(6)))
    assert all(reason.tokens == 6 for reason in written)


@pytest.mark.parametrize("way", ["packed", "cached", "whole"])
def test_bfloat16_stays_near_float32(qwen: Path, way: Any) -> None:
    """Within .2 in the expected score (a design figure is .04 to .09 on random weights)."""

    def scores(dtype: str) -> np.ndarray[Any, Any]:
        options = replace(CPU, dtype=dtype)
        p = np.exp(values(list(HfEngine(str(qwen), options, way).score(TREE))))
        scores: np.ndarray[Any, Any] = (p / p.sum(1, keepdims=True)) @ np.arange(1, 6)
        return scores

    assert scores("bfloat16") == pytest.approx(scores("float32"), abs=0.2)


def test_quantized_weights_without_the_library_name_the_extra(
    qwen: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line that installs it; and a name that is none is refused with the choices."""
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(MissingExtraError) as caught:
        HfEngine(str(qwen), replace(CPU, quantization="8bit"))
    assert "[bnb]" in str(caught.value.hint)
    with pytest.raises(EngineError, match="--quantization 3bit: unknown"):
        HfEngine(str(qwen), replace(CPU, quantization="3bit"))


@pytest.mark.parametrize("quantization", ["4bit", "8bit"])
def test_quantized_weights_are_shared_as_they_are_asked_whole(quantization: str) -> None:
    """Quantization changes the weights; sharing must not change the answer beyond its rounding."""
    pytest.importorskip("bitsandbytes", reason="needs the extra bnb")
    pytest.importorskip("accelerate", reason="needs the extra bnb")
    changes = {"hidden_size": 64, "head_dim": 32, "intermediate_size": 64}
    folder = shared_model("Llama", changes=changes)
    options = replace(CPU, quantization=quantization, dtype="bfloat16")
    shared = np.exp(values(list(HfEngine(str(folder), options).score(TREE))))
    whole = np.exp(values(list(NaiveHfEngine(str(folder), options).score(TREE))))
    assert shared == pytest.approx(whole, abs=0.05)


def test_the_way_is_part_of_what_made_the_numbers(qwen: Path) -> None:
    """Packed, cached and whole prompts differ in the last digits, and so do their fingerprints."""
    engines = [HfEngine(str(qwen), CPU, way) for way in ("packed", "cached", "whole")]
    naive = NaiveHfEngine(str(qwen), CPU)
    assert len({engine.fingerprint for engine in (*engines, naive)}) == 4
    assert [dict(engine.describe())["way"] for engine in engines] == ["packed", "copied", "whole"]


@pytest.mark.parametrize("name", ["Qwen3", "Gemma2", "Lfm2"])
def test_reasons_are_what_greedy_generation_writes(name: str) -> None:
    """Token by token the same as `generate` of transformers on the whole prompt."""
    folder = shared_model(name, template=CHATML, changes=WAYS[name][1])
    engine = HfEngine(str(folder), CPU)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokens = engine._judge.checkpoint.prompt_tokenizer(asking(6), write=True)
    written = list(engine.write(asking(6)))
    assert [(w.item, w.metric) for w in written] == [(i, m) for i in range(5) for m in METRICS]
    for one in written:
        prompt = torch.tensor([tokens.prompt(one.item, one.metric)])
        whole = model.generate(
            prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=6, do_sample=False
        )[0, prompt.shape[1] :].tolist()
        assert one.outcome == engine._judge.checkpoint.prompt_tokenizer.decode(whole).strip()
        assert (one.tokens, one.cut) == (6, True)


def test_a_reason_ends_where_the_prefill_or_the_answer_ends(qwen: Path) -> None:
    """Neither the prefill nor what follows is part of the reason, and neither is cut."""
    engine = HfEngine(str(qwen), CPU)
    (long, *_) = engine.write(asking(40))
    assert isinstance(long.outcome, str)
    middle = long.outcome[len(long.outcome) // 2 :][:2]
    prefilled = replace(
        asking(40), questions={m: replace(q, prefill=middle) for m, q in TREE.questions.items()}
    )
    (short, *_) = engine.write(prefilled)
    engine._judge.__dict__.pop("ends")
    assert short.outcome == long.outcome.partition(middle)[0].strip()
    assert not short.cut
    tokens = engine._judge.checkpoint.prompt_tokenizer(asking(40), write=True)
    prompt = torch.tensor([tokens.prompt(0, METRICS[0])])
    model = engine._judge.model
    ids = model.generate(prompt, attention_mask=prompt * 0 + 1, max_new_tokens=9, do_sample=False)
    answer = ids[0, prompt.shape[1] :].tolist()
    end = next(i for i in range(1, 9) if answer[i] not in answer[:i])
    model.generation_config.eos_token_id = [answer[end]]
    (ended, *_) = engine.write(asking(40))
    assert ended.outcome == engine._judge.checkpoint.prompt_tokenizer.decode(answer[:end]).strip()
    assert (ended.tokens, ended.cut) == (end, False)


def test_a_label_after_a_reason_is_read_from_the_whole_text(qwen: Path) -> None:
    """Prompt, reason, line break, prefill: the log-probabilities of one plain forward over it."""
    reasons = {"fluency": "很自然。", "speech_style": "It is like him.", "demand_matching": ""}
    items = tuple(replace(item, reasons=reasons) for item in TREE.items)
    tree = replace(asking(16), items=items)
    reads = list(HfEngine(str(qwen), CPU).score(tree))
    whole = list(NaiveHfEngine(str(qwen), CPU).score(tree))
    assert values(reads) == pytest.approx(values(whole), abs=1e-4)
    prompt_tokenizer = HfEngine(str(qwen), CPU)._judge.checkpoint.prompt_tokenizer
    text = prompt_tokenizer.decode(prompt_tokenizer(tree).prompt(0, "fluency"))
    assert text.endswith("</think>\n\n很自然。\n流畅性评分：")
    without = values(list(HfEngine(str(qwen), CPU).score(TREE)))
    assert abs(values(reads) - without).max() > 1e-3


def test_a_reason_that_does_not_fit_the_window_is_a_failure() -> None:
    """The room for it counts, before anything is written."""
    folder = shared_model("Llama", window=150)
    written = list(HfEngine(str(folder), CPU).write(asking(140)))
    assert all(isinstance(one.outcome, Failure) for one in written)


OUT_OF_MEMORY = """\
import json, resource, sys
import torch
from judge.engines.interface import EngineOptions
from judge.engines.hf import HfEngine
from tests.unit.engines.small import make_tree

torch.set_num_threads(1)
engine = HfEngine(sys.argv[1], EngineOptions(batch_size=16, device="cpu"))
engine.budget = 1 << 16
tree = make_tree(["没考好" * 7 * i for i in range(1, 17)])
free = [read.outcome for read in engine.score(tree)]
with open("/proc/self/statm") as file:
    used = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (40 << 20), resource.RLIM_INFINITY))
tight = [read.outcome for read in engine.score(tree)]
print(json.dumps([free, tight]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space of a process")
def test_when_memory_runs_out_dialogues_are_halved() -> None:
    """For real, under a limit of the process; it is said, and every read is the same."""
    changes = {"intermediate_size": 4096, "num_hidden_layers": 1}
    folder = shared_model("Llama", window=1 << 16, changes=changes)
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", OUT_OF_MEMORY, str(folder)],
        capture_output=True, text=True, check=False, cwd=root,
        env={"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1", "PATH": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "out of memory with 16 dialogues at once, going on with 8" in done.stderr
    free, tight = (np.array(numbers) for numbers in json.loads(done.stdout))
    assert tight == pytest.approx(free, abs=1e-5)
    assert math.isfinite(free.sum())
