"""The vLLM engine: against transformers where vLLM is installed, its settings everywhere."""

from __future__ import annotations

import importlib.util
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from judge.engines import EngineOptions, open_engine, resolve_judge
from judge.engines.adapter import Adapter
from judge.engines.checkpoint import missing_names
from judge.engines.naive import NaiveHfEngine
from judge.engines.vllm import VllmEngine, _label_read
from judge.engines.vllm_core import SharedHashes, llm_arguments, load_error
from judge.errors import EngineError, MissingExtraError
from judge.types import Failure, LabelRead, PromptTree, Question
from tests.unit.engines.small import CHATML, bpe, make_tree, save_model

INSTALLED = importlib.util.find_spec("vllm") is not None
needs_vllm = pytest.mark.skipif(
    not INSTALLED, reason="vLLM is not installed; scripts/check_vllm_cpu.sh runs these"
)
SIZES = {"hidden_size": 64, "head_dim": 32}
"""vLLM's attention on the CPU takes no heads of 16."""
ON_GPU = torch.cuda.is_available()


def arguments(*, window: int | None = 512, cpu: bool = False, **options: Any) -> dict[str, Any]:
    return llm_arguments(Path("m"), window, "bfloat16", EngineOptions(**options), cpu=cpu)


@pytest.mark.parametrize(
    ("option", "value", "name"),
    [
        ("quantization", "fp8", "quantization"),
        ("tensor_parallel", 4, "tensor_parallel_size"),
        ("gpu_memory", 0.5, "gpu_memory_utilization"),
        ("seed", 3, "seed"),
    ],
)
def test_an_option_reaches_vllm(option: str, value: object, name: str) -> None:
    """Under vLLM's name for it, and it alone is different then."""
    given, default = arguments(**{option: value}), arguments()
    assert given[name] == value
    assert {k: v for k, v in given.items() if k != name} == {
        k: v for k, v in default.items() if k != name
    }


@pytest.mark.parametrize(("rank", "room"), [(1, 1), (3, 8), (8, 8), (400, 512)])
def test_room_is_made_for_an_adapter(rank: int, room: int) -> None:
    """The least of the ranks that vLLM has, and no such thing without one."""
    adapter = Adapter(Path("a"), rank, "0")
    found = llm_arguments(Path("m"), 512, "bfloat16", EngineOptions(), adapter, cpu=False)
    assert found == arguments() | {"enable_lora": True, "max_lora_rank": room}


def test_an_adapter_of_too_high_a_rank() -> None:
    """It is refused before the model is loaded."""
    with pytest.raises(EngineError, match="--adapter: its rank is 513, vLLM takes 512 at most"):
        llm_arguments(Path("m"), 512, "x", EngineOptions(), Adapter(Path("a"), 513, ""), cpu=False)


def test_on_the_cpu_nothing_is_compiled_and_some_memory_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Unless the user says how much vLLM may take, in our words or in vLLM's."""
    monkeypatch.delenv("VLLM_CPU_KVCACHE_SPACE", raising=False)
    assert arguments(cpu=True)["enforce_eager"] is True
    assert arguments(cpu=True)["kv_cache_memory_bytes"] == 4 * 1024**3
    assert "kv_cache_memory_bytes" not in arguments(cpu=True, gpu_memory=0.5)
    assert "kv_cache_memory_bytes" not in arguments()
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "2")
    assert "kv_cache_memory_bytes" not in arguments(cpu=True)


def test_the_window_is_the_models_or_what_the_memory_holds() -> None:
    """-1 is vLLM's word for that, which it refuses for a model without a window."""
    assert arguments()["max_model_len"] == -1
    assert arguments(window=None)["max_model_len"] == 32768


@needs_vllm
def test_vllm_knows_every_argument() -> None:
    """Those of `EngineArgs`: one that is renamed would be refused at the first run only."""
    known = {field.name for field in fields(__import__("vllm").EngineArgs)}
    assert set(arguments(cpu=True) | arguments(gpu_memory=0.5)) <= known


@pytest.mark.parametrize(
    ("said", "message", "hint"),
    [
        (
            "CUDA out of memory. Tried to allocate 20.00 MiB.\nmore",
            "its files have 15.3 GiB for each device, 9.0 GiB were free on cuda (X): CUDA out of",
            "--tensor-parallel",
        ),
        ("no such kernel\nmore", "vLLM cannot load this model: no such kernel", "--engine hf"),
        ("", "vLLM cannot load this model: ValueError", "--engine hf"),
    ],
)
def test_a_model_that_does_not_load(said: str, message: str, hint: str) -> None:
    """The first line of what vLLM says, and what the weights need where memory is short."""
    error = load_error(ValueError(said), Path("m"), 16_400_000_000, 9 * 1024**3, "cuda (X)")
    assert str(error).startswith("m: ")
    assert message in str(error)
    assert "more" not in error.message.partition(": ")[2]
    assert hint in (error.hint or "")


def test_the_fault_that_pydantic_found_is_named() -> None:
    """Its message begins with a count, "1 validation error for ModelConfig"."""

    class FaultError(ValueError):
        def errors(self) -> list[dict[str, object]]:
            return [{"loc": ("cache", "share"), "msg": "Value error, must be at most 1"}]

    error = load_error(FaultError("1 validation error for X"), Path("m"), 1, 1, "cpu")
    assert str(error) == "m: vLLM cannot load this model: cache: share: must be at most 1"


HEAD = "lm_head.weight"
LAYERS = {"h.0.a.weight", "h.1.a.weight", "h.0.b.weight", "h.1.b.weight"}


@pytest.mark.parametrize(
    ("stored", "missing"),
    [
        (LAYERS | {HEAD}, []),
        (LAYERS, [HEAD]),
        ((LAYERS | {HEAD}) - {"h.1.b.weight"}, ["h.1.b.weight"]),
        ({"h.0.a.weight", "h.1.a.weight", "h.0.b.qweight", "h.1.b.qweight", HEAD}, []),
        ({f"model.{name}" for name in LAYERS} | {"model.lm_head.qweight"}, []),
    ],
    ids=["all", "no head", "one of a layer", "quantized", "under another name"],
)
def test_weights_that_are_missing(stored: set[str], missing: list[str]) -> None:
    """Those whose like is stored for another layer, and a head of which nothing is stored."""
    assert missing_names(LAYERS | {HEAD}, stored, ["lm_head"]) == missing


@pytest.mark.skipif(INSTALLED, reason="vLLM is installed")
def test_without_vllm_the_error_says_how_to_install_it() -> None:
    """For the engine as a user names it."""
    with pytest.raises(MissingExtraError) as caught:
        open_engine(resolve_judge("m", "vllm"), EngineOptions())
    assert caught.value.hint == "pip install 'esrp-judge[vllm]'"


@pytest.mark.parametrize(
    ("values", "top", "expected"),
    [
        ({7: -1.0, 8: -2.0, 9: -0.5}, 9, LabelRead(4, "m", (-1.0, -2.0), top_is_label=False)),
        ({7: -0.5, 8: -2.0}, 7, LabelRead(4, "m", (-0.5, -2.0), top_is_label=True)),
    ],
)
def test_what_is_read_of_a_completion(
    values: dict[int, float], top: int, expected: LabelRead
) -> None:
    """The labels and the token it wrote, by id: what vLLM 0.32 shows."""
    shown = {token: SimpleNamespace(logprob=value) for token, value in values.items()}
    completion = SimpleNamespace(token_ids=[top], logprobs=[shown])
    assert _label_read(4, "m", completion, (7, 8)) == expected


class Hashed:
    """A request as vLLM makes it: its tokens and the hashes of its first blocks."""

    def __init__(self, ids: Sequence[int]) -> None:
        self.all_token_ids, self.block_hashes = list(ids), []  # type: ignore[var-annotated]


@given(
    st.lists(st.lists(st.integers(0, 2), max_size=20), max_size=6),
    st.integers(1, 5),
)
def test_shared_blocks_are_hashed_once(prompts: list[list[int]], size: int) -> None:
    """With the hashes that each prompt would have alone, and only of blocks unlike the last one's.

    The hash of a block stands here for itself and all tokens before it.
    """
    hashed = 0

    def hash_blocks(request: Any) -> list[tuple[int, ...]]:
        nonlocal hashed
        ids, known = request.all_token_ids, len(request.block_hashes)
        new = [tuple(ids[: n * size]) for n in range(known + 1, len(ids) // size + 1)]
        hashed += len(new)
        return new

    hasher, before, unlike = SharedHashes(hash_blocks, size), [], 0
    for ids in prompts:
        request = Hashed(ids)
        request.block_hashes.extend(hasher(request))
        blocks = [tuple(ids[: n * size]) for n in range(1, len(ids) // size + 1)]
        assert request.block_hashes == blocks
        unlike += len(set(blocks) - set(before))
        before = blocks
        request.all_token_ids += [7] * size  # as its answer grows
        request.block_hashes.extend(hasher(request))
        assert request.block_hashes[-1] == tuple(
            request.all_token_ids[: len(request.block_hashes) * size]
        )
        unlike += 1
    assert hashed == unlike


def model(folder: Path, architecture: str = "Qwen3", **changes: Any) -> Path:
    sizes = {"n_embd": 64} if architecture == "GPT2" else SIZES
    return save_model(folder, architecture, template=CHATML, changes=sizes | changes)


def engine(folder: Path, **options: Any) -> VllmEngine:
    memory = {"gpu_memory": 0.1} if ON_GPU else {}
    return VllmEngine(str(folder), EngineOptions(**{"dtype": "float32", **memory, **options}))


def tree_of(*texts: str) -> PromptTree:
    return make_tree(texts, system="Judge the reply. 你来评分。" * 10)


def ragged(seed: int, size: int) -> list[str]:
    rng = np.random.default_rng(seed)
    lengths = [0, *rng.integers(1, 120, size - 1)]
    return ["".join(rng.choice(list("ab 难受没关系。!"), n)) for n in lengths]


def values(reads: list[LabelRead]) -> np.ndarray[Any, Any]:
    return np.array([read.outcome for read in reads], dtype=float)


@needs_vllm
@pytest.mark.parametrize("architecture", ["Qwen3", "Llama", "GPT2", "Gemma3Text"])
def test_reads_equal_those_of_transformers(tmp_path: Path, architecture: str) -> None:
    """To 1e-4 in log-probability, in the tree's order.

    And no more is found cached than prompts share: every distinct beginning of a prompt has to be
    computed once.
    """
    folder = model(tmp_path, architecture)
    tree = tree_of(*ragged(seed=1, size=9))
    vllm = engine(folder, batch_size=4)
    assert vllm.cached_share is None
    reads = list(vllm.score(tree))
    naive = NaiveHfEngine(str(folder), EngineOptions(device="cpu", dtype="float32"))
    expected = list(naive.score(tree))
    assert [(r.item, r.metric, r.top_is_label) for r in reads] == [
        (r.item, r.metric, r.top_is_label) for r in expected
    ]
    assert values(reads) == pytest.approx(values(expected), abs=1e-4)
    assert vllm.count(tree) == naive.count(tree)
    core = vllm._llm.llm_engine.engine_core.engine_core
    assert isinstance(core.request_block_hasher, SharedHashes)
    tokens = vllm._checkpoint.prompt_tokenizer(tree)
    prompts = [tokens.prompt(read.item, read.metric) for read in reads]
    begun = {prompt[:end] for prompt in prompts for end in range(1, len(prompt) + 1)}
    assert vllm.cached_share is not None
    assert vllm.cached_share <= 1 - len(begun) / sum(map(len, prompts))
    if architecture != "Gemma3Text":  # its window of 8 tokens leaves nothing to share
        assert vllm.cached_share > 0.5


@needs_vllm
def test_reads_depend_on_nothing_but_the_tree(tmp_path: Path) -> None:
    """To the last bit: a run that was interrupted gives what one that was not gives."""
    vllm = engine(model(tmp_path), dtype="bfloat16")
    first, second = tree_of(*ragged(2, 5)), tree_of(*ragged(3, 5))
    alone = list(vllm.score(second))
    list(vllm.score(first))
    assert list(vllm.score(second)) == alone


@needs_vllm
def test_a_prompt_needs_room_for_one_more_token(tmp_path: Path) -> None:
    """One token short of the window it is read, at the window it is not; the others are."""
    folder = model(tmp_path)
    vllm = engine(folder)
    prompt_tokenizer = vllm._checkpoint.prompt_tokenizer

    def longest(size: int) -> int:
        return len(prompt_tokenizer(tree_of("a" * size)).prompt(0, "fluency"))

    size = next(n for n in range(1, 512) if longest(n) == 511)
    reads = list(vllm.score(tree_of("a", "a" * size, "a" * (size + 1))))
    by_item = {read.item: read.outcome for read in reads if read.metric == "fluency"}
    assert not isinstance(by_item[0], Failure)
    assert not isinstance(by_item[1], Failure)
    assert by_item[2] == Failure(
        "too_long", "the prompt has 512 tokens and 1 for the answer, the model's window is 512"
    )


def greedy(folder: Path, prompt: tuple[int, ...], limit: int) -> list[int]:
    """What transformers writes, the token that ends it left out."""
    lm = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    ids = torch.tensor([prompt])
    with torch.no_grad():
        mask = torch.ones_like(ids)
        whole = lm.generate(ids, attention_mask=mask, max_new_tokens=limit, do_sample=False)
    found: list[int] = whole[0, ids.shape[1] :].tolist()
    return found[:-1] if found[-1:] == [lm.config.eos_token_id] else found


@needs_vllm
def test_reasons_are_those_of_greedy_search(tmp_path: Path) -> None:
    """Cut at the limit, ended by the end token, or by the prefill, which is not part of them."""
    folder = model(tmp_path / "endless", "Llama")
    tree = replace(tree_of(*ragged(seed=4, size=3)), rationale=20)
    vllm = engine(folder)
    prompt_tokenizer = vllm._checkpoint.prompt_tokenizer
    tokens = prompt_tokenizer(tree, write=True)
    free = list(vllm.write(tree))
    for reason in free:
        ids = greedy(folder, tokens.prompt(reason.item, reason.metric), 20)
        assert reason.outcome == prompt_tokenizer.decode(ids).strip()
        assert (reason.tokens, reason.cut) == (20, True)

    first = greedy(folder, tokens.prompt(0, "fluency"), 20)
    text = prompt_tokenizer.decode(first)
    prefill = next(char for char in text[2:] if char.isascii() and char.isalpha())
    fluency = tree.questions["fluency"]
    questions = {**tree.questions, "fluency": Question("fluency", fluency.text, prefill)}
    stopped = next(vllm.write(replace(tree, questions=questions)))
    assert stopped.outcome == text.partition(prefill)[0].strip()
    assert stopped.tokens < 20
    assert not stopped.cut

    del vllm  # there is room for one in a process
    ending = model(tmp_path / "ending", "Llama", eos_token_id=first[4])
    ended = next(engine(ending).write(tree))
    ids = greedy(ending, tokens.prompt(0, "fluency"), 20)
    assert ids == first[: first.index(first[4])]
    assert (ended.outcome, ended.tokens) == (prompt_tokenizer.decode(ids).strip(), len(ids))
    assert not ended.cut


@needs_vllm
def test_a_reason_needs_room(tmp_path: Path) -> None:
    """For all of its tokens: none is cut by the window."""
    vllm = engine(model(tmp_path))
    tree = replace(tree_of("a"), rationale=500)
    reasons = [reason.outcome for reason in vllm.write(tree)]
    assert [r.code for r in reasons if isinstance(r, Failure)] == ["too_long"] * len(reasons)


@needs_vllm
def test_where_the_answer_would_end_the_labels_are_read(tmp_path: Path) -> None:
    """The most probable token is the end token: it changes nothing."""
    folder = model(tmp_path / "endless")
    tree = tree_of("没关系")
    vllm = engine(folder)
    prompt = vllm._checkpoint.prompt_tokenizer(tree).prompt(0, "fluency")
    ending = model(tmp_path / "ending", eos_token_id=greedy(folder, prompt, 1)[0])
    assert next(engine(ending).score(tree)) == next(vllm.score(tree))


def edit(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


@needs_vllm
def test_an_adapter_is_what_its_weights_would_be_in_the_model(tmp_path: Path) -> None:
    """Reads equal those of transformers with alpha / r B A added to the weights, to 1e-4.

    The fingerprint has its hash.
    """
    folder = model(tmp_path / "model")
    merged = model(tmp_path / "merged")
    lora, rank, alpha = tmp_path / "lora", 3, 6
    lora.mkdir()
    generator, parts = torch.Generator().manual_seed(0), {}

    def merge(weights: dict[str, torch.Tensor]) -> None:
        for name, weight in weights.items():
            if name.endswith(("q_proj.weight", "v_proj.weight")):
                a = torch.randn(rank, weight.shape[1], generator=generator) / 4
                b = torch.randn(weight.shape[0], rank, generator=generator) / 4
                place = f"base_model.model.{name.removesuffix('.weight')}"
                parts.update({f"{place}.lora_A.weight": a, f"{place}.lora_B.weight": b})
                weights[name] = weight + alpha / rank * (b @ a)

    edit(merged, merge)
    save_file(parts, lora / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": rank, "lora_alpha": alpha}
    config["target_modules"] = ["q_proj", "v_proj"]
    (lora / "adapter_config.json").write_text(json.dumps(config))
    tree = tree_of(*ragged(seed=5, size=4))
    adapted, plain = engine(folder, adapter=str(lora)), engine(folder)
    assert adapted.fingerprint.startswith(f"{plain.fingerprint}/adapter-")
    assert adapted.describe()["adapter"] == str(lora)
    reads = values(list(adapted.score(tree)))
    adapted.close()
    naive = NaiveHfEngine(str(merged), EngineOptions(device="cpu", dtype="float32"))
    assert reads == pytest.approx(values(list(naive.score(tree))), abs=1e-4)
    assert np.abs(reads - values(list(plain.score(tree)))).max() > 0.1


@needs_vllm
def test_a_broken_model_gives_no_number(tmp_path: Path) -> None:
    """Weights that are not numbers are a Failure of every prompt."""
    folder = model(tmp_path)

    def break_one(weights: dict[str, torch.Tensor]) -> None:
        weights["model.layers.0.mlp.up_proj.weight"][0, 0] = math.nan

    edit(folder, break_one)
    codes = {r.outcome.code for r in engine(folder).score(tree_of("a")) if r.outcome}  # type: ignore[union-attr]
    assert codes == {"not_finite"}


@needs_vllm
def test_models_that_cannot_be_asked(tmp_path: Path) -> None:
    """Damaged, without some weights, an encoder, with a foreign tokenizer: an error says so."""
    damaged = model(tmp_path / "damaged")
    (damaged / "model.safetensors").write_bytes(b"abc" * 100)
    lacking = model(tmp_path / "lacking")
    edit(lacking, lambda weights: weights.pop("model.layers.1.self_attn.o_proj.weight"))
    headless = model(tmp_path / "headless")
    edit(headless, lambda weights: weights.pop("lm_head.weight"))
    encoder = tmp_path / "encoder"
    transformers.BertModel(
        transformers.BertConfig(
            vocab_size=400, hidden_size=64, num_hidden_layers=1, num_attention_heads=2
        )
    ).save_pretrained(encoder)
    bpe().save_pretrained(encoder)
    foreign = model(tmp_path / "foreign")
    config = json.loads((foreign / "config.json").read_text())
    (foreign / "config.json").write_text(json.dumps(config | {"vocab_size": 50}))
    for folder, message in [
        (damaged, "vLLM cannot load this model: .*header"),
        (lacking, r"the weights lack model\.layers\.1\.self_attn\.o_proj\.weight"),
        (headless, r"the weights lack lm_head\.weight of a Qwen3ForCausalLM"),
        (encoder, "vLLM cannot load this model: .*runner generate"),
        (foreign, "the model knows 50 tokens"),
    ]:
        with pytest.raises(EngineError, match=message):
            list(engine(folder).score(tree_of("a")))


@needs_vllm
@pytest.mark.parametrize(("option", "value"), [("dtype", "int3"), ("quantization", "none such")])
def test_an_unknown_value_is_refused_at_once(tmp_path: Path, option: str, value: str) -> None:
    """With those that vLLM knows."""
    with pytest.raises(EngineError, match=f"--{option} {value}: unknown") as caught:
        engine(model(tmp_path), **{option: value})
    assert (caught.value.hint or "").startswith("choose from ")


@needs_vllm
@pytest.mark.skipif(ON_GPU, reason="for machines without a GPU")
def test_reproducible_needs_a_gpu(tmp_path: Path) -> None:
    """It would take the setting and do nothing with it."""
    with pytest.raises(EngineError, match=r"--reproducible: .* this device \(cpu\)"):
        engine(model(tmp_path), reproducible=True)


@needs_vllm
def test_the_fingerprint_names_what_changes_an_answer(tmp_path: Path) -> None:
    """Batches and memory do not."""
    folder = model(tmp_path)
    plain = engine(folder).fingerprint
    assert plain == engine(folder, batch_size=3, gpu_memory=0.3).fingerprint
    others = [{"dtype": "bfloat16"}, {"quantization": "fp8"}, {"tensor_parallel": 2}]
    assert len({plain, *(engine(folder, **other).fingerprint for other in others)}) == 4
    version = __import__("vllm").__version__
    assert plain.startswith(f"vllm/1/{version}/float32/as-stored/1/fast/")
    described = engine(folder).describe()
    assert (described["engine"], described["dtype"]) == ("vllm", "float32")
    assert described["vllm"] == version
