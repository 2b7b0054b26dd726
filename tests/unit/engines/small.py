"""Small random models with tokenizers trained on the spot, and trees to ask them."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from judge.types import Dialogue, PromptItem, PromptTree, Question, Turn

LABELS = ("1", "2", "3", "4", "5")
METRICS = ("fluency", "speech_style", "demand_matching")
SPECIAL = ("<s>", "<|im_start|>", "<|im_end|>", "<start_of_turn>", "<end_of_turn>")

CHATML = """\
{%- for m in messages %}
{{- '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|im_start|>assistant\\n' }}
{%- if enable_thinking is defined and not enable_thinking %}
{{- '<think>\\n\\n</think>\\n\\n' }}
{%- endif %}
{%- endif %}"""
NO_SYSTEM = """\
{{ bos_token }}
{%- if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}
{%- for m in messages %}
{{- '<start_of_turn>' + m.role + '\\n' + m.content + '<end_of_turn>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}"""

_TEXT = [
    "You judge how well a reply comforts. Score: 1 2 3 4 5",
    "流畅性评分：1 流畅性评分：2 流畅性评分：3 流畅性评分：4 流畅性评分：5",
    "问：今天考试没考好，心里很难受。答：没关系，下次一定可以的，我陪你一起复习吧！",
]


def bpe(*, join_digits: bool = False) -> Any:
    """A byte-level BPE tokenizer; `join_digits` lets a digit melt into the colon before it."""
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(_trained(join_digits=join_digits)),
        bos_token="<s>",  # noqa: S106
    )


@functools.cache
def _trained(*, join_digits: bool) -> str:
    """The tokenizer as JSON."""
    bytes_ = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    apart = pre_tokenizers.Digits(individual_digits=True)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = bytes_ if join_digits else pre_tokenizers.Sequence([apart, bytes_])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    melting = [f"：{label}" for label in LABELS] * 20 if join_digits else []
    tokenizer.train_from_iterator([*melting, *_TEXT], trainer)
    return tokenizer.to_str()


ARCHITECTURES = ("Qwen3", "Llama", "Mistral", "Gemma2", "Gemma3Text", "GPT2", "Mamba", "Phi3")


def save_model(
    folder: Path,
    architecture: str,
    *,
    seed: int = 0,
    window: int = 512,
    template: str | None = None,
    changes: Mapping[str, int] | None = None,
) -> Path:
    """A random model of 2 layers with the tokenizer of `bpe`, in `folder`.

    Mistral and the Gemmas attend to the last 8 tokens only; Phi3 changes its positions at 160.
    """
    tokenizer = bpe()
    tokenizer.chat_template = template
    sizes: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 16,
        "max_position_embeddings": window,
        "initializer_range": 0.3,
        "bos_token_id": 0,
        "eos_token_id": None,
        "pad_token_id": None,
    }
    if architecture in {"Mistral", "Gemma2", "Gemma3Text"}:
        sizes["sliding_window"] = 8
    if architecture == "Phi3":
        sizes |= {
            "original_max_position_embeddings": 160,
            "rope_parameters": {
                "rope_type": "longrope",
                "rope_theta": 10000.0,
                "short_factor": [1.0] * 8,
                "long_factor": [1.0 + i for i in range(8)],
                "original_max_position_embeddings": 160,
            },
        }
    if architecture == "GPT2":
        sizes = {
            "vocab_size": len(tokenizer), "n_embd": 32, "n_layer": 2, "n_head": 2,
            "n_positions": window, "initializer_range": 0.3,
        }  # fmt: skip
    if architecture == "Mamba":
        sizes = {
            "vocab_size": len(tokenizer), "hidden_size": 32, "num_hidden_layers": 2,
            "state_size": 4, "initializer_range": 0.3,
        }  # fmt: skip
    config = getattr(transformers, f"{architecture}Config")(**sizes | dict(changes or {}))
    torch.manual_seed(seed)
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


_SHARED: dict[str, Path] = {}


def shared_model(architecture: str, **settings: Any) -> Path:
    """The folder of `save_model` with these settings: made once a process, only to be read."""
    key = repr((architecture, sorted(settings.items())))
    if key not in _SHARED:
        folder = Path(tempfile.mkdtemp(prefix="small-model-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        _SHARED[key] = save_model(folder, architecture, **settings)
    return _SHARED[key]


def make_tree(
    texts: Sequence[str],
    *,
    system: str = "Judge the reply.\n",
    profiles: Mapping[str, str] | None = None,
    characters: Sequence[str] | None = None,
    metrics: Sequence[str] = METRICS,
    labels: tuple[str, ...] = LABELS,
) -> PromptTree:
    """One item for each text; `characters` names the one of each, by default all `Ann`."""
    names = characters or ["Ann"] * len(texts)
    return PromptTree(
        system=system,
        profiles=profiles or dict.fromkeys(names, "Ann is kind and talks little.\n"),
        questions={m: Question(m, f"\nHow good is the {m}?", f"{m}: ") for m in metrics}
        | {"fluency": Question("fluency", "\n这段话流畅吗？", "流畅性评分：")},
        labels=labels,
        items=tuple(
            PromptItem(Dialogue("sys", name, str(i), (Turn("q", text),)), text, tuple(metrics))
            for i, (name, text) in enumerate(zip(names, texts, strict=True), start=1)
        ),
    )
