"""GGUF files as judges: written here with llama.cpp's own library, from models of transformers."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
import transformers
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from judge.engines import EngineOptions, open_engine, resolve_judge
from judge.engines.hf import HfEngine
from judge.engines.naive import NaiveHfEngine
from judge.errors import EngineError, MissingExtraError, UsageError
from tests.unit.engines.small import CHATML, make_tree

CPU = EngineOptions(device="cpu")
TREE = make_tree(["没关系，我陪你。", "hello you there"], system="Judge the reply.\n")
# llama.cpp calls it "qwen2"; it takes digits one by one
QWEN_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def qwen_tokenizer() -> Any:
    """A small byte-level BPE that splits text as Qwen does."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN_SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        ["Judge how well the reply comforts. Score: 1 2 3 4 5", "没关系，我陪你。难受"],
        trainers.BpeTrainer(
            vocab_size=330,
            special_tokens=SPECIAL,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    made = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=SPECIAL[2], pad_token=SPECIAL[0]
    )
    made.chat_template = CHATML
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random Qwen3 as transformers saves it."""
    folder = tmp_path_factory.mktemp("qwen")
    tokenizer = qwen_tokenizer()
    config = transformers.Qwen3Config(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=96, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=1, head_dim=128, max_position_embeddings=512,
        initializer_range=0.2, tie_word_embeddings=False, eos_token_id=None, bos_token_id=None,
    )  # fmt: skip
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def write_gguf(folder: Path, path: Path, kind: str = "F32") -> Path:
    """The Qwen3 of `folder` in one file, its matrices in the format `kind`."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    config = model.config
    parts = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    writer = gguf.GGUFWriter(path, "qwen3")
    writer.add_name("small")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    vocabulary = sorted(parts["model"]["vocab"].items(), key=lambda pair: pair[1])
    control, normal = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list([token for token, _ in vocabulary])
    writer.add_token_types([control if token in SPECIAL else normal for token, _ in vocabulary])
    writer.add_token_merges([" ".join(pair) for pair in parts["model"]["merges"]])
    writer.add_eos_token_id(SPECIAL.index("<|im_end|>"))
    writer.add_chat_template(CHATML)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN3, config.num_hidden_layers)
    for name, tensor in model.state_dict().items():
        array = tensor.numpy()
        wanted = gguf.GGMLQuantizationType[kind if array.ndim == 2 else "F32"]
        writer.add_tensor(
            names.get_name(name, (".weight",)),
            gguf.quantize(array, wanted),
            raw_dtype=wanted,
        )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture(scope="module")
def file(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gguf(folder, tmp_path_factory.mktemp("gguf") / "small.gguf")


def values(reads: Any) -> np.ndarray[Any, Any]:
    return np.array([read.outcome for read in reads])


@pytest.mark.parametrize("engine", ["hf", "hf-naive"])
def test_a_file_answers_like_the_folder_that_it_was_made_from(
    folder: Path, file: Path, engine: str
) -> None:
    """Tokenizer, template and weights come from the file: the same tokens, the same answers."""
    judge = open_engine(resolve_judge(str(file), engine), CPU)
    assert judge.count(TREE) == NaiveHfEngine(str(folder), CPU).count(TREE)
    whole = values(NaiveHfEngine(str(folder), CPU).score(TREE))
    assert values(judge.score(TREE)) == pytest.approx(whole, abs=1e-4)


def test_quantized_weights_are_read(folder: Path, tmp_path: Path) -> None:
    """Q8_0 keeps 8 bits of a weight: near, and not equal."""
    file = write_gguf(folder, tmp_path / "small-q8.gguf", "Q8_0")
    whole = values(NaiveHfEngine(str(folder), CPU).score(TREE))
    near = values(HfEngine(str(file), CPU).score(TREE))
    assert near == pytest.approx(whole, abs=0.3)
    assert abs(near - whole).max() > 1e-4


def test_the_fingerprint_has_the_hash_of_the_file(file: Path, folder: Path, tmp_path: Path) -> None:
    """Whatever its name; another file is another judge."""
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    copy = tmp_path / "other-name.gguf"
    copy.write_bytes(file.read_bytes())
    assert HfEngine(str(file), CPU).fingerprint.endswith(f"/{sha256}")
    assert HfEngine(str(copy), CPU).fingerprint == HfEngine(str(file), CPU).fingerprint
    other = write_gguf(folder, tmp_path / "f16.gguf", "F16")
    assert HfEngine(str(other), CPU).fingerprint != HfEngine(str(file), CPU).fingerprint


@pytest.mark.parametrize("package", ["gguf", "accelerate"])
def test_a_missing_library_is_named(
    file: Path, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the line that installs it."""
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError) as caught:
        _ = HfEngine(str(file), CPU).fingerprint
    assert "esrp-judge[gguf]" in str(caught.value.hint)


def test_files_that_are_no_models(file: Path, tmp_path: Path) -> None:
    """Missing, no GGUF file at all, cut short, or of a kind that transformers does not know."""
    with pytest.raises(EngineError, match="no such file"):
        _ = HfEngine(str(tmp_path / "none.gguf"), CPU).fingerprint
    wrong = tmp_path / "wrong.gguf"
    for content in (b"", b"no model", file.read_bytes()[:900], file.read_bytes()[:-5000]):
        wrong.write_bytes(content)
        with pytest.raises(EngineError, match="cannot be read") as caught:
            list(HfEngine(str(wrong), CPU).score(TREE))
        assert caught.value.path == wrong
    writer = gguf.GGUFWriter(tmp_path / "vision.gguf", "clip")
    writer.add_name("clip")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(EngineError, match="cannot be read") as caught:
        list(HfEngine(str(tmp_path / "vision.gguf"), CPU).score(TREE))
    assert caught.value.path == tmp_path / "vision.gguf"


def test_what_does_not_go_with_a_file(file: Path) -> None:
    """vLLM, and to quantize it once more; without --engine it is transformers that reads it."""
    assert resolve_judge(str(file)).engine == "hf"
    with pytest.raises(UsageError, match="--engine vllm cannot ask") as caught:
        resolve_judge(str(file), "vllm")
    assert "hf" in str(caught.value.hint)
    with pytest.raises(EngineError, match="--quantization 4bit"):
        HfEngine(str(file), EngineOptions(device="cpu", quantization="4bit"))
