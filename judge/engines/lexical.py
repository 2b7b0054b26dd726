"""The embedded baseline: logistic regression on counts and overlaps, without a neural network.

It reads the dialogue and not the prompt. `judge.engines.lexical_features` turns the dialogue into
numbers, and one multinomial logistic model a metric turns these into label probabilities. The whole
model is one npz file without pickles.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from judge.engines.interface import EngineOptions, TokenlessEngine
from judge.engines.lexical_features import Array, FeatureReader, LexicalTables
from judge.errors import EngineError
from judge.types import Dialogue, Failure, LabelRead, PromptTree, Rationale, Turn

__all__ = ["FORMAT", "LexicalEngine", "LexicalModel", "load", "save"]

FORMAT = 1
"""The newest format of lexical.npz that this version can read."""


@dataclass(frozen=True)
class LexicalModel:
    """Tables, and for each metric a multinomial logistic model on standardised features.

    Attributes:
        tables: what the features are computed from.
        metrics: their names, in the order of the arrays.
        mean: of each feature, (features,).
        scale: standard deviation of each feature, (features,).
        weights: (metrics, labels, features).
        bias: (metrics, labels).
    """

    tables: LexicalTables
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


def save(model: LexicalModel, path: Path) -> None:
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


def load(path: Path) -> LexicalModel:
    """Read what `save` wrote.

    Raises:
        EngineError: the file is missing, damaged or of a newer format.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            raw = {name: file[name] for name in file.files}
        newer = int(raw["format"]) > FORMAT
        model = None if newer else _unpack(raw)
    except Exception as error:  # numpy, zipfile and zlib each have their own errors
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


def _unpack(raw: Mapping[str, NDArray[np.generic]]) -> LexicalModel:
    lexicon: dict[str, dict[str, float]] = {}
    columns = _columns(raw, "lexicon_character", "lexicon_text", "lexicon_value")
    for character, gram, weight in columns:
        lexicon.setdefault(character, {})[gram] = float(weight)
    words: dict[str, list[str]] = {}
    for character, word in _columns(raw, "word_character", "word_text"):
        words.setdefault(character, []).append(word)
    topics = raw["topic_value"].astype(np.float64)
    model = LexicalModel(
        tables=LexicalTables(
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


def _check(model: LexicalModel) -> None:
    """Refuse arrays that do not fit together or do not fit the features of this version."""
    features = FeatureReader(model.tables)(Dialogue("", "", "", (Turn("", ""),))).shape
    metrics, labels = model.bias.shape
    if model.mean.shape != features or model.scale.shape != features:
        raise ValueError(f"it has {model.mean.size} features, this version reads {features[0]}")
    if model.weights.shape != (metrics, labels, *features) or metrics != len(model.metrics):
        raise ValueError("its arrays do not fit together")
    numbers = (model.mean, model.scale, model.weights, model.bias)
    if not all(np.isfinite(array).all() for array in numbers) or not model.scale.all():
        raise ValueError("it holds numbers that are not finite, or a scale of 0")


class LexicalEngine(TokenlessEngine):
    """A saved `LexicalModel` as an engine; `model` is the path of the npz file."""

    def __init__(self, model: str, options: EngineOptions) -> None:
        path = Path(model)
        self._model = load(path)
        self._features = FeatureReader(self._model.tables)
        self._path = path
        self.fingerprint = f"lexical/{hashlib.sha256(path.read_bytes()).hexdigest()}"
        self.batch_size = options.batch_size or 32

    def describe(self) -> Mapping[str, str]:
        """See `Engine.describe`."""
        return {"engine": "lexical", "model": self._path.name, "device": "cpu"}

    def score(self, tree: PromptTree) -> Iterator[LabelRead]:
        """See `Engine.score`; a metric that the model was not trained on is a failure."""
        row = {name: i for i, name in enumerate(self._model.metrics)}
        for index, item in enumerate(tree.items):
            logprobs = self._model.logprobs(self._features(item.dialogue))
            for metric in item.metrics:
                if metric in row and logprobs.shape[1] == len(tree.labels):
                    values = tuple(logprobs[row[metric]].tolist())
                    yield LabelRead(index, metric, values, top_is_label=True)
                else:
                    reason = f"the lexical judge knows nothing of {metric} on these labels"
                    yield LabelRead(index, metric, Failure("unknown_metric", reason))

    def write(self, tree: PromptTree) -> Iterator[Rationale]:
        """Refused: it cannot write.

        Raises:
            EngineError: always.
        """
        del tree
        raise EngineError("the lexical judge writes no reasons", hint="leave out --rationale")
