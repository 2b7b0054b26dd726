"""The embedded baseline: a Gaussian process on counts and overlaps, without a neural network.

It reads the dialogue and not the prompt. `judge.engines.lexical_features` turns the dialogue into
numbers, and one Gaussian process a metric (Rasmussen and Williams 2006, chapter 2) turns these into
a score and label probabilities. The whole model is one npz file without pickles.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from judge.engines.interface import EngineOptions, TokenlessEngine
from judge.engines.lexical_features import Array, FeatureReader, LexicalTables
from judge.errors import EngineError
from judge.types import Dialogue, Failure, LabelRead, PromptTree, Rationale, Turn

__all__ = [
    "FORMAT",
    "LexicalEngine",
    "LexicalModel",
    "kernel_values",
    "label_logprobs",
    "load",
    "on_curve",
    "save",
]

FORMAT = 2
"""The format of lexical.npz that this version reads. Format 1 was another model."""

LABELS = 5
NEAR, FAR = 6.0, 25.0
"""Standardised features are cut off this far from their mean: for distances, and for the line."""
LINE = 0.2
"""The weight of the linear kernel of the first block. Beyond all that was learnt from, where every
distance is large, it goes on: what is worse than anything seen is judged lower still."""


@dataclass(frozen=True)
class LexicalModel:
    """Tables, and for each metric a Gaussian process on the features.

    The kernel is the mean over the blocks of features of exp(-d / 2), where d is the squared
    distance in units of `width`, and a linear one of the first block. The process gives a normal
    score, `curve` the point on the scale.

    Attributes:
        metrics: their names, in the order of the arrays.
        sizes: (blocks,) how many features each block has.
        mean: of each feature, (features,).
        scale: of each feature, (features,).
        width: (blocks,) the median squared distance of two dialogues in this block.
        points: (points, features) standardised features of the dialogues it learnt from.
        weights: (metrics, points).
        base: (metrics,) what it says far from all points.
        curve: (metrics, 2, knots) normal scores, rising, and the points of the scale for them.
        spread: (metrics,) standard deviation of its errors on dialogues left out, in points.
    """

    tables: LexicalTables
    metrics: tuple[str, ...]
    sizes: NDArray[np.int64]
    mean: Array
    scale: Array
    width: Array
    points: Array
    weights: Array
    base: Array
    curve: Array
    spread: Array

    def standardise(self, blocks: Sequence[Array]) -> Array:
        """The features of a dialogue on one scale."""
        z: Array = (np.concatenate(blocks) - self.mean) / self.scale
        return np.clip(z, -FAR, FAR)

    def logprobs(self, blocks: Sequence[Array]) -> Array:
        """Natural-log label probabilities, shape (metrics, labels)."""
        kernel = kernel_values(self.standardise(blocks)[None], self.points, self.sizes, self.width)[
            0
        ]
        scores = self.base + self.weights @ kernel
        return np.array(
            [
                label_logprobs(on_curve(score, curve), spread)
                for score, curve, spread in zip(
                    scores.tolist(), self.curve, self.spread.tolist(), strict=True
                )
            ]
        )


def kernel_values(x: Array, points: Array, sizes: NDArray[np.int64], width: Array) -> Array:
    """(rows of x, points) the kernel of standardised features."""
    ends = np.cumsum(sizes)
    total = np.zeros((len(x), len(points)))
    line = x[:, : sizes[0]] @ points[:, : sizes[0]].T / sizes[0]
    x, points = np.clip(x, -NEAR, NEAR), np.clip(points, -NEAR, NEAR)
    for start, end, unit in zip(ends - sizes, ends, width, strict=True):
        a, b = x[:, start:end], points[:, start:end]
        squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T
        total += np.exp(-np.maximum(squares, 0) / (2 * unit))
    values: Array = total / len(sizes) + LINE * line
    return values


def on_curve(score: float, curve: Array) -> float:
    """The point of the scale for a normal score; beyond the ends on with the mean slope."""
    x, y = curve
    slope = (y[-1] - y[0]) / (x[-1] - x[0])
    beyond = max(0.0, score - x[-1]) + min(0.0, score - x[0])
    return float(np.interp(score, x, y) + slope * beyond)


def label_logprobs(mean: float, spread: float) -> list[float]:
    """Natural-log probabilities of labels 1..5: a normal distribution, rounded to labels."""
    cuts = [-math.inf, *(k + 0.5 for k in range(1, LABELS)), math.inf]
    # Of two equal tails the smaller is computed: 1 - P would lose its digits.
    below = [math.erfc((mean - cut) / (spread * math.sqrt(2))) / 2 for cut in cuts]
    above = [math.erfc((cut - mean) / (spread * math.sqrt(2))) / 2 for cut in cuts]
    p = [
        below[k + 1] - below[k] if below[k] < 0.5 else above[k] - above[k + 1]
        for k in range(LABELS)
    ]
    floor = 1e-12
    total = math.fsum(p) + LABELS * floor
    return [math.log((value + floor) / total) for value in p]


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
        style_text=np.array(list(t.style)),
        style_value=np.array(list(t.style.values()), np.float16),
        manner_character=np.array(list(t.manner)),
        manner_value=np.array(list(t.manner.values()), np.float32),
        metrics=np.array(model.metrics),
        **{name: getattr(model, name) for name in _NUMBERS},
    )


_NUMBERS = ("sizes", "mean", "scale", "width", "points", "weights", "base", "curve", "spread")


def load(path: Path) -> LexicalModel:
    """Read what `save` wrote.

    Raises:
        EngineError: the file is missing, damaged or of another format.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            raw = {name: file[name] for name in file.files}
        version = int(raw["format"])
        model = _unpack(raw) if version == FORMAT else None
    except Exception as error:  # numpy, zipfile and zlib each have their own errors
        raise EngineError(f"not a lexical judge: {error}", path=path, hint=_MAKE) from error
    if model is None:
        raise EngineError(
            f"the lexical judge is of format {version}, not {FORMAT}",
            path=path,
            hint=_MAKE if version < FORMAT else "upgrade esrp-judge",
        )
    return model


_MAKE = "make one with scripts/train_lexical_judge.py"


def _unpack(raw: Mapping[str, NDArray[np.generic]]) -> LexicalModel:
    lexicon: dict[str, dict[str, float]] = {}
    columns = _columns(raw, "lexicon_character", "lexicon_text", "lexicon_value")
    for character, gram, weight in columns:
        lexicon.setdefault(character, {})[gram] = float(weight)
    words: dict[str, list[str]] = {}
    for character, word in _columns(raw, "word_character", "word_text"):
        words.setdefault(character, []).append(word)
    numbers: dict[str, Any] = {name: raw[name].astype(np.float64) for name in _NUMBERS}
    model = LexicalModel(
        tables=LexicalTables(
            ngrams={g: int(n) for g, n in _columns(raw, "ngram_text", "ngram_count")},
            idf={g: float(v) for g, v in _columns(raw, "idf_text", "idf_value")},
            topics=_vectors(raw, "topic_text", "topic_value"),
            lexicon=lexicon,
            words={c: tuple(many) for c, many in words.items()},
            style=_vectors(raw, "style_text", "style_value"),
            manner=_vectors(raw, "manner_character", "manner_value"),
        ),
        metrics=tuple(map(str, raw["metrics"].tolist())),
        **(numbers | {"sizes": raw["sizes"].astype(np.int64)}),
    )
    _check(model)
    return model


def _columns(raw: Mapping[str, NDArray[np.generic]], *names: str) -> Iterator[tuple[Any, ...]]:
    return zip(*(raw[name].tolist() for name in names), strict=True)


def _vectors(raw: Mapping[str, NDArray[np.generic]], names: str, values: str) -> dict[str, Array]:
    vectors = raw[values].astype(np.float64)
    return dict(zip(map(str, raw[names].tolist()), vectors, strict=True))


def _check(model: LexicalModel) -> None:
    """Refuse arrays that do not fit together or do not fit the features of this version."""
    blocks = FeatureReader(model.tables)(Dialogue("", "", "", (Turn("", ""),)))
    sizes = [len(block) for block in blocks]
    if model.sizes.tolist() != sizes:
        raise ValueError(f"it has {model.sizes.tolist()} features, this version reads {sizes}")
    features, metrics, points = sum(sizes), len(model.metrics), len(model.points)
    shapes = {
        "mean": (features,), "scale": (features,), "width": (len(sizes),),
        "points": (points, features), "weights": (metrics, points), "base": (metrics,),
        "curve": (metrics, 2, model.curve.shape[-1]), "spread": (metrics,),
    }  # fmt: skip
    if any(getattr(model, name).shape != shape for name, shape in shapes.items()):
        raise ValueError("its arrays do not fit together")
    if not all(np.isfinite(getattr(model, name)).all() for name in shapes):
        raise ValueError("it holds numbers that are not finite")
    if min(model.scale.min(), model.width.min(), model.spread.min()) <= 0:
        raise ValueError("a scale, a width or a spread is not positive")
    if model.curve.shape[-1] < 2 or (np.diff(model.curve, axis=2) < 0).any():
        raise ValueError("its curve does not rise")


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
