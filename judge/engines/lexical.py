"""The embedded baseline: a logistic model on counts and overlaps instead of a neural network.

It reads the dialogue, not the prompt: `judge.engines.lexical_features` turns it into numbers, a
multinomial logistic model per metric turns these into label probabilities. Everything it knows
is in one npz file without pickles.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from judge.engines.interface import Capabilities, EngineOptions, TokenCount
from judge.engines.lexical_features import Array, Reader, Tables, grams
from judge.errors import EngineError
from judge.types import (
    Dialogue,
    Failure,
    LabelRead,
    Message,
    PromptTree,
    Rationale,
    Reply,
    Sampling,
    Turn,
)

__all__ = ["FORMAT", "Array", "LexicalEngine", "Model", "Reader", "Tables", "grams", "load", "save"]

FORMAT = 1
"""The newest format of lexical.npz that this version reads."""


@dataclass(frozen=True)
class Model:
    """Tables and, for each metric, a multinomial logistic model on standardised features.

    Shapes: `mean`, `scale` (features,), `weights` (metrics, labels, features), `bias`
    (metrics, labels).
    """

    tables: Tables
    metrics: tuple[str, ...]
    mean: Array
    scale: Array
    weights: Array
    bias: Array

    def logprobs(self, features: Array) -> Array:
        """Natural-log label probabilities, shape (metrics, labels)."""
        logits = self.weights @ ((features - self.mean) / self.scale) + self.bias
        shifted: Array = logits - logits.max(axis=1, keepdims=True)
        normed: Array = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        return normed


def save(model: Model, path: Path) -> None:
    """Write the model as npz: arrays of numbers and of text, no pickles."""
    t = model.tables
    lexicon = [(c, g, w) for c, weights in t.lexicon.items() for g, w in weights.items()]
    words = [(c, w) for c, many in t.words.items() for w in many]
    np.savez_compressed(
        path,
        format=np.array(FORMAT),
        ngram_text=np.array(list(t.ngrams)),
        ngram_count=np.array(list(t.ngrams.values()), np.int32),
        idf_text=np.array(list(t.idf)),
        idf_value=np.array(list(t.idf.values()), np.float32),
        topic_text=np.array(list(t.topics)),
        topic_value=np.array(list(t.topics.values()), np.float16),
        lexicon_character=np.array([row[0] for row in lexicon]),
        lexicon_text=np.array([row[1] for row in lexicon]),
        lexicon_value=np.array([row[2] for row in lexicon], np.float32),
        word_character=np.array([row[0] for row in words]),
        word_text=np.array([row[1] for row in words]),
        metrics=np.array(model.metrics),
        mean=model.mean,
        scale=model.scale,
        weights=model.weights,
        bias=model.bias,
    )


def load(path: Path) -> Model:
    """Read what `save` wrote.

    Raises:
        EngineError: the file is missing, damaged or of a newer format.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            raw = {name: file[name] for name in file.files}
        newer = int(raw["format"]) > FORMAT
        model = None if newer else _unpack(raw)
    except Exception as error:  # numpy, zipfile and zlib each raise their own
        raise EngineError(
            f"not a lexical judge: {error}",
            path=path,
            hint="make one with scripts/train_lexical_judge.py",
        ) from error
    if model is None:
        raise EngineError(
            "the lexical judge is of a newer format", path=path, hint="upgrade esrp-judge"
        )
    return model


def _unpack(raw: Mapping[str, NDArray[np.generic]]) -> Model:
    lexicon: dict[str, dict[str, float]] = {}
    columns = _columns(raw, "lexicon_character", "lexicon_text", "lexicon_value")
    for character, gram, weight in columns:
        lexicon.setdefault(character, {})[gram] = float(weight)
    words: dict[str, list[str]] = {}
    for character, word in _columns(raw, "word_character", "word_text"):
        words.setdefault(character, []).append(word)
    topics = raw["topic_value"].astype(np.float64)
    model = Model(
        tables=Tables(
            ngrams={g: int(n) for g, n in _columns(raw, "ngram_text", "ngram_count")},
            idf={g: float(v) for g, v in _columns(raw, "idf_text", "idf_value")},
            topics=dict(zip(map(str, raw["topic_text"].tolist()), topics, strict=True)),
            lexicon=lexicon,
            words={c: tuple(many) for c, many in words.items()},
        ),
        metrics=tuple(map(str, raw["metrics"].tolist())),
        mean=raw["mean"].astype(np.float64),
        scale=raw["scale"].astype(np.float64),
        weights=raw["weights"].astype(np.float64),
        bias=raw["bias"].astype(np.float64),
    )
    _check(model)
    return model


def _columns(raw: Mapping[str, NDArray[np.generic]], *names: str) -> Iterator[tuple[Any, ...]]:
    return zip(*(raw[name].tolist() for name in names), strict=True)


def _check(model: Model) -> None:
    """Arrays that belong to each other and to the features of this version, and numbers in them."""
    features = Reader(model.tables)(Dialogue("", "", "", (Turn("", ""),))).shape
    metrics, labels = model.bias.shape
    if model.mean.shape != features or model.scale.shape != features:
        raise ValueError(f"it has {model.mean.size} features, this version reads {features[0]}")
    if model.weights.shape != (metrics, labels, *features) or metrics != len(model.metrics):
        raise ValueError("its arrays do not fit together")
    numbers = (model.mean, model.scale, model.weights, model.bias)
    if not all(np.isfinite(array).all() for array in numbers) or not model.scale.all():
        raise ValueError("it holds numbers that are not finite, or a scale of 0")


class LexicalEngine:
    """A saved `Model` as an engine; `model` is the path of the npz file."""

    capabilities = Capabilities(exact_label_ids=True, token_prompts=False)

    def __init__(self, model: str, options: EngineOptions) -> None:
        path = Path(model)
        self._model = load(path)
        self._reader = Reader(self._model.tables)
        self._path = path
        self.fingerprint = f"lexical/{hashlib.sha256(path.read_bytes()).hexdigest()}"
        self.batch_size = options.batch_size or 32

    def describe(self) -> Mapping[str, str]:
        """What stands in the manifest."""
        return {"engine": "lexical", "model": self._path.name, "device": "cpu"}

    def count(self, tree: PromptTree) -> TokenCount | None:
        """It has no tokens."""
        del tree
        return None

    def score(self, tree: PromptTree) -> Iterator[LabelRead]:
        """See `Engine.score`; a metric it never learnt is a failure."""
        row = {name: i for i, name in enumerate(self._model.metrics)}
        for index, item in enumerate(tree.items):
            logprobs = self._model.logprobs(self._reader(item.dialogue))
            for metric in item.metrics:
                if metric in row and logprobs.shape[1] == len(tree.labels):
                    values = tuple(logprobs[row[metric]].tolist())
                    yield LabelRead(index, metric, values, top_is_label=True)
                else:
                    reason = f"the lexical judge knows nothing of {metric} on these labels"
                    yield LabelRead(index, metric, Failure("unknown_metric", reason))

    def write(self, tree: PromptTree) -> Iterator[Rationale]:
        """It has no words."""
        del tree
        raise EngineError("the lexical judge writes no reasons", hint="leave out --rationale")

    def generate(self, chats: Sequence[Sequence[Message]], sampling: Sampling) -> Iterator[Reply]:
        """It has no words."""
        del chats, sampling
        raise EngineError(
            "the lexical judge writes no replies", hint="name a language model to play and to ask"
        )

    def load(self) -> None:
        """It is loaded."""

    def close(self) -> None:
        """It holds next to nothing."""
