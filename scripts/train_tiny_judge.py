#!/usr/bin/env python3
"""Train the embedded judge `tiny` on the public dialogues alone.

A causal language model first learns to continue the public dialogues. Then it also learns to answer
the nine questions about them: public dialogues get the label 5, perturbed ones a lower one (see
`perturbation_pairs`). The nine questions about a dialogue are packed into one sequence, and
an attention mask lets each of them see only the dialogue and itself, so that each can be asked
alone when the model judges.

    python scripts/train_tiny_judge.py --data DIR --out judge/embedded/tiny
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import torch
from perturbation_pairs import Split, clean_targets, perturbed_targets, split
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from judge.dialogues import read_dialogues
from judge.perturbations import PERTURBATIONS, Pool
from judge.rubric import RubricSet, load_rubric
from judge.types import Dialogue

LENGTHS = tuple(range(160, 449, 16))
POOL = 480
"""So many pairs are sorted by length at a time: little padding, and still a random order."""
IGNORE = -100
WEIGHTS = {
    "swap_characters": 0.4, "double_characters": 0.4, "drop_characters": 0.4,
    "off_topic": 2.0, "deny_first": 1.0, "second_from_other": 1.5, "other_character": 3.0,
    "neutral_terms": 0.7, "foreign_terms": 0.7, "neutral_speech": 0.7, "foreign_speech": 0.7,
    "assistant_voice": 0.4, "cold": 0.4, "cut_comfort": 0.8, "cut_story": 0.8,
    "cut_advice": 0.8, "cut_rest": 0.8,
}  # fmt: skip
"""Relative frequency of each perturbation; those that are hard to recognise are more frequent."""


@dataclass(frozen=True)
class Packed:
    """A packed prompt.

    Attributes:
        ids: the token ids.
        branch: for each id the number of its question; 0 for the profile and the dialogue.
        shared: how many ids the profile and the dialogue have.
        ends: the position of the last id of each question, after which the label is read.
        labels: the labels to learn, from 0; `IGNORE` where there is none.
    """

    ids: np.ndarray
    branch: np.ndarray
    shared: int
    ends: np.ndarray
    labels: np.ndarray


class Packer:
    """Turns a dialogue and its targets into one packed sequence."""

    def __init__(self, rubric: RubricSet, tokenizer: PreTrainedTokenizerFast) -> None:
        self.rubric = rubric
        self.metrics = [m.name for m in rubric.dialogue_metrics]
        self.tokenizer = tokenizer
        questions = [rubric.question(m) for m in rubric.dialogue_metrics]
        self.questions = [self.encode(q.text) + self.encode(q.prefill) for q in questions]
        self.label_ids = [tokenizer.convert_tokens_to_ids(x) for x in rubric.rubric.labels]

    def encode(self, text: str) -> list[int]:
        """The ids of a text without special tokens."""
        return list(self.tokenizer.encode(text, add_special_tokens=False))

    def profile(self, name: str) -> str:
        """The profile segment of a character."""
        return self.rubric.render("profile", character=self.rubric.character(name))

    def __call__(self, dialogue: Dialogue, targets: dict[str, int], profile: str) -> Packed:
        """The packed prompts of a dialogue; a metric without a target is not learnt."""
        character = self.rubric.character(dialogue.character)
        text = self.rubric.render("dialogue", dialogue=dialogue, character=character)
        shared = self.encode(profile) + self.encode(text)
        ids, branch, ends = list(shared), [0] * len(shared), []
        for number, question in enumerate(self.questions, start=1):
            ids += question
            branch += [number] * len(question)
            ends.append(len(ids) - 1)
        labels = [targets.get(m, IGNORE + 1) - 1 for m in self.metrics]
        return Packed(
            np.array(ids), np.array(branch), len(shared), np.array(ends), np.array(labels)
        )


def train_tokenizer(
    texts: Sequence[str], special: Sequence[str], size: int
) -> PreTrainedTokenizerFast:
    """A BPE tokenizer with byte fallback; tokens never contain punctuation or several digits."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"[^\p{L}\p{N}]"), "isolated"),
            pre_tokenizers.Digits(individual_digits=True),
        ]
    )
    bytes_ = [f"<0x{b:02X}>" for b in range(256)]
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=["<pad>", *bytes_, *special, *"12345"],
        limit_alphabet=3600,
        max_token_length=4,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",  # noqa: S106 - a token of text, no secret
        model_max_length=1024,
    )


def collate(batch: Sequence[Packed], length: int) -> dict[str, torch.Tensor]:
    """Pad on the right. The mask is causal; a question sees the shared text and itself only."""
    n = len(batch)
    ids = np.zeros((n, length), np.int64)
    branch = np.full((n, length), -1, np.int64)
    positions = np.zeros((n, length), np.int64)
    text = np.full((n, length), IGNORE, np.int64)
    for row, item in enumerate(batch):
        size = len(item.ids)
        ids[row, :size] = item.ids
        branch[row, :size] = item.branch
        positions[row, : item.shared] = np.arange(item.shared)
        starts = np.flatnonzero(np.diff(item.branch, prepend=0))
        for a, b in zip(starts, [*starts[1:], size], strict=True):
            positions[row, a:b] = item.shared + np.arange(b - a)
        text[row, : item.shared - 1] = item.ids[1 : item.shared]
    b = torch.from_numpy(branch)
    causal = torch.ones(length, length, dtype=torch.bool).tril()
    seen = causal & ((b[:, None, :] == 0) | (b[:, None, :] == b[:, :, None]))
    seen |= torch.eye(length, dtype=torch.bool)
    mask = torch.zeros(n, 1, length, length, dtype=torch.bfloat16)
    mask.masked_fill_(~seen[:, None], torch.finfo(torch.bfloat16).min)
    return {
        "ids": torch.from_numpy(ids),
        "positions": torch.from_numpy(positions),
        "mask": mask,
        "text": torch.from_numpy(text),
        "ends": torch.from_numpy(np.stack([i.ends for i in batch])),
        "labels": torch.from_numpy(np.stack([i.labels for i in batch])),
    }


def readings(
    data: Split, packer: Packer, rng: np.random.Generator, size: int
) -> Iterator[dict[str, torch.Tensor]]:
    """Endless batches of `size` public dialogues, for learning the language."""
    while True:
        rows = []
        for index in rng.permutation(len(data.train))[:POOL].tolist():
            good = data.train[index]
            rows.append(packer(good, {}, packer.profile(good.character)))
        yield from sorted_batches([(row,) for row in rows], rng, size)


def sorted_batches(
    rows: list[tuple[Packed, ...]], rng: np.random.Generator, size: int
) -> Iterator[dict[str, torch.Tensor]]:
    """Batches of rows of similar length, in random order; all first members come first."""
    fits = [row for row in rows if max(len(p.ids) for p in row) <= LENGTHS[-1]]
    fits.sort(key=lambda row: max(len(p.ids) for p in row))
    chunks = [fits[i : i + size] for i in range(0, len(fits) - size + 1, size)]
    for number in rng.permutation(len(chunks)).tolist():
        flat = [packed for members in zip(*chunks[number], strict=True) for packed in members]
        longest = max(len(packed.ids) for packed in flat)
        yield collate(flat, next(x for x in LENGTHS if x >= longest))


def batches(
    data: Split, pool: Pool, packer: Packer, rng: np.random.Generator, size: int
) -> Iterator[dict[str, torch.Tensor]]:
    """Endless batches: `size` public dialogues, then their perturbed copies in the same order."""
    names = list(WEIGHTS)
    odds = np.array([WEIGHTS[n] for n in names])
    odds = odds / odds.sum()
    while True:
        twins: list[tuple[Packed, ...]] = []
        for index in rng.permutation(len(data.train))[:POOL].tolist():
            good = data.train[index]
            profile = packer.profile(good.character)
            bad, applied = good, []
            for name in rng.choice(names, size=1 + (rng.random() < 0.3), p=odds, replace=False):
                perturbation = PERTURBATIONS[str(name)]
                level = int(rng.integers(1, perturbation.max_level + 1, size=2).max())
                worse = perturbation(bad, level, pool, rng)
                if worse is not None:
                    bad = worse
                    applied.append((perturbation, level))
            if not applied:
                continue
            clean = clean_targets(good, packer.metrics, pool)
            pair = (
                packer(good, clean, profile),
                packer(bad, perturbed_targets(clean, applied), profile),
            )
            twins.append(pair)
        yield from sorted_batches(twins, rng, size)


def forward(model: LlamaForCausalLM, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Hidden states, shape (rows, length, width)."""
    out = model.model(
        input_ids=batch["ids"],
        attention_mask=batch["mask"],
        position_ids=batch["positions"],
        use_cache=False,
    )
    return out.last_hidden_state  # type: ignore[no-any-return]


def text_loss(model: LlamaForCausalLM, hidden: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
    """Mean negative log-likelihood of the next tokens, in nats."""
    learn = text != IGNORE
    logits = model.lm_head(hidden[: len(text)][learn]).float()
    return functional.cross_entropy(logits, text[learn])


def reading_losses(
    model: LlamaForCausalLM, batch: dict[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """The loss of the next tokens only."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return {"text": text_loss(model, forward(model, batch), batch["text"])}


def judging_losses(
    model: LlamaForCausalLM, batch: dict[str, torch.Tensor], label_ids: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Next tokens of the public dialogues, labels of all, and the order within each pair."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        hidden = forward(model, batch)
        good = len(hidden) // 2
        text = text_loss(model, hidden, batch["text"][:good])
        rows = torch.arange(len(hidden))[:, None]
        full = model.lm_head(hidden[rows, batch["ends"]]).float()
    labels = batch["labels"]
    known = labels >= 0
    # The label is learnt over the whole vocabulary, so that the labels get all the probability.
    label = functional.cross_entropy(full[known], label_ids[labels[known]])
    expected = (full[..., label_ids].softmax(-1) * torch.arange(1.0, 6.0)).sum(-1)
    both = known[:good] & known[good:] & (labels[:good] > labels[good:])
    margin = expected[:good][both] - expected[good:][both]
    if not both.any():
        return {"text": text, "label": label}
    return {
        "text": text,
        "label": label,
        "order": 2 * functional.softplus(-3 * margin).mean(),
        "right": (margin.detach() > 0).float().mean(),
    }


@click.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option(
    "--reading", default=1000, show_default=True, help="Steps that learn the language only."
)
@click.option("--steps", default=2400, show_default=True, help="All steps.")
@click.option("--pairs", "size", default=8, show_default=True, help="Pairs in a batch.")
@click.option("--vocabulary", default=6000, show_default=True)
@click.option("--seed", default=0, show_default=True)
def main(
    data: Path, out: Path, reading: int, steps: int, size: int, vocabulary: int, seed: int
) -> None:
    """Train and write config.json, model.safetensors and the tokenizer to OUT."""
    started = time.time()
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(mode=True)
    rubric = load_rubric("tiny")
    parts = split(read_dialogues(data).dialogues, np.random.default_rng(seed))
    known = {n: c for n, c in rubric.characters.items() if n not in parts.characters}
    pool = Pool(parts.train, known)
    texts = [
        rubric.render("dialogue", dialogue=d, character=rubric.character(d.character))
        for d in parts.train
    ]
    texts += [rubric.render("profile", character=c) for c in known.values()] * 20
    tokenizer = train_tokenizer(
        texts, [m.titles["zh"] for m in rubric.dialogue_metrics], vocabulary
    )
    packer = Packer(rubric, tokenizer)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=192,
            intermediate_size=512,
            num_hidden_layers=4,
            num_attention_heads=3,
            num_key_value_heads=1,
            head_dim=64,
            max_position_embeddings=1024,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=None,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    decay = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim <= 1]
    optimiser = torch.optim.AdamW(
        [{"params": decay, "weight_decay": 0.05}, {"params": plain, "weight_decay": 0.0}],
        lr=3e-3,
        betas=(0.9, 0.98),
    )
    warm = 200
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser,
        lambda s: min((s + 1) / warm, 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * s / steps))),
    )
    label_ids = torch.tensor(packer.label_ids)
    totals: dict[str, float] = {}
    rng = np.random.default_rng(seed + 1)
    reads = readings(parts, packer, rng, 2 * size)
    judges = batches(parts, pool, packer, rng, size)
    for step in range(1, steps + 1):
        if step <= reading:
            found = reading_losses(model, next(reads))
        else:
            found = judging_losses(model, next(judges), label_ids)
        loss = torch.stack([v for k, v in found.items() if k != "right"]).sum()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        for key, value in found.items():
            totals[key] = 0.98 * totals.get(key, value.item()) + 0.02 * value.item()
        if step % 100 == 0 or step == steps:
            shown = " ".join(f"{k} {v:.3f}" for k, v in totals.items())
            print(f"step {step}/{steps} {time.time() - started:.0f} s {shown}", flush=True)
        if step % 500 == 0 or step == steps:
            save(
                model,
                tokenizer,
                out,
                {
                    "seed": seed,
                    "steps": step,
                    "reading": reading,
                    "pairs_per_batch": size,
                    "data": len(parts.train),
                    "held_out_characters": parts.characters,
                    "held_out_scenarios": parts.scenarios,
                    "seconds": round(time.time() - started),
                    "torch": torch.__version__,
                    "rubric": rubric.rubric.hash,
                },
            )


def save(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    out: Path,
    record: dict[str, object],
) -> None:
    """Save in half precision, which halves the file; engines compute in their own precision."""
    out.mkdir(parents=True, exist_ok=True)
    half = LlamaForCausalLM(model.config).half()
    half.load_state_dict({k: v.half() for k, v in model.state_dict().items()})
    half.save_pretrained(out)
    tokenizer.save_pretrained(out)
    (out / "training.json").write_text(json.dumps(record, ensure_ascii=False, indent=2) + "\n")


if __name__ == "__main__":
    main()
