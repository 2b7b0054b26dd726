#!/usr/bin/env python3
"""Fit the embedded judge `lexical` on the reference judgments and on perturbed dialogues.

    python scripts/train_lexical_judge.py --data DIR --out judge/embedded/lexical.npz

The features know nothing of scores: they are counted on all public dialogues. For each metric a
Gaussian process learns two things at once: the reference judgments of 440 dialogues, and of pairs
of a dialogue and its perturbed form by how much the second should score lower. How well it judges
is measured by leaving out, for every dialogue, its system and its character; the errors there are
the width of its label distributions.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, TypeAlias

import click
import numpy as np
import sklearn
from numpy.typing import NDArray
from perturbation_pairs import PerturbationPair, pairs, split
from scipy.sparse import csr_matrix
from scipy.special import ndtri
from scipy.stats import rankdata
from sklearn.decomposition import TruncatedSVD

from calibration.agreement.correlation import spearman
from judge.dialogues import read_dialogues
from judge.engines.lexical import FAR, NEAR, LexicalModel, kernel_values, on_curve, save
from judge.engines.lexical_features import Array, FeatureReader, LexicalTables, character_ngrams
from judge.perturbations import Pool
from judge.ratings import DialogueId, mean_ratings
from judge.ratings.reference import reference_dialogues, reference_scores
from judge.rubric import load_rubric
from judge.types import Character, Dialogue, Metric

Names: TypeAlias = NDArray[np.str_]

DOCUMENTS_MIN = 5
LEXICON_SIZE = 400
FOLDS = 4
STYLE_WORDS = 10_000
STYLE_SIZE = 96
NOISE = 0.3
"""Variance of a normal score that the features do not explain."""
PAIR_NOISE = 0.5
PAIRS_FROM = 320
"""Dialogues that are perturbed in every way that applies."""
PAIRS_EACH = 250
PAIRS = {"fluency": 150, "coherency": 300}
DROP = {"coherency": 1.8}
"""By how much the strongest perturbation lowers the normal score; 1.2 where nothing is said."""
KNOTS = 41


def answers(dialogue: Dialogue) -> list[str]:
    """The replies."""
    return [turn.answer for turn in dialogue.turns]


def count_ngrams(dialogues: Sequence[Dialogue]) -> dict[str, int]:
    """Character n-grams (n = 1, 2, 3) of the replies; trigrams that occur once are left out."""
    counts: Counter[str] = Counter()
    for d in dialogues:
        for text in answers(d):
            counts.update(character_ngrams(text, (1, 2, 3)))
    return {g: n for g, n in counts.items() if n > 1 or len(g) < 3}


def weigh_bigrams(dialogues: Sequence[Dialogue]) -> dict[str, float]:
    """Inverse document frequencies, where a document is all dialogues of one scenario."""
    documents: dict[str, set[str]] = {}
    for d in dialogues:
        bag = documents.setdefault(d.scenario, set())
        for turn in d.turns:
            bag.update(character_ngrams(turn.question, (2,)), character_ngrams(turn.answer, (2,)))
    frequency = Counter(g for bag in documents.values() for g in bag)
    total: Counter[str] = Counter()
    for d in dialogues:
        total.update({g for t in d.turns for g in character_ngrams(t.question + t.answer, (2,))})
    return {
        g: float(np.log((1 + len(documents)) / (1 + n)) + 0.05)
        for g, n in sorted(frequency.items())
        if total[g] >= DOCUMENTS_MIN
    }


def embed_topics(
    dialogues: Sequence[Dialogue], idf: Mapping[str, float], size: int, seed: int
) -> dict[str, Array]:
    """Latent semantic analysis (Deerwester et al. 1990) of bigrams over the dialogues."""
    column = {g: i for i, g in enumerate(idf)}
    rows, columns, values = [], [], []
    for r, d in enumerate(dialogues):
        for g in sorted(
            {g for t in d.turns for x in (t.question, t.answer) for g in character_ngrams(x, (2,))}
        ):
            if g in column:
                rows.append(r)
                columns.append(column[g])
                values.append(idf[g])
    matrix = csr_matrix((values, (rows, columns)), shape=(len(dialogues), len(column)))
    vectors = TruncatedSVD(size, random_state=seed).fit(matrix).components_.T
    strength = np.linalg.norm(vectors, axis=1)
    kept = np.sort(np.argsort(-strength)[:8000])
    names = list(column)
    return {names[i]: vectors[i] * 100 for i in kept}


def weigh_lexicon(dialogues: Sequence[Dialogue]) -> dict[str, dict[str, float]]:
    """Log-odds z-scores with an informative Dirichlet prior (Monroe, Colaresi, Quinn 2008)."""
    counts: dict[str, Counter[str]] = {}
    for d in dialogues:
        bag = counts.setdefault(d.character, Counter())
        for text in answers(d):
            bag.update(set(character_ngrams(text, (2, 3, 4))))
    total: Counter[str] = Counter()
    for bag in counts.values():
        total.update(bag)
    everything = sum(total.values())
    lexicon = {}
    for name, bag in sorted(counts.items()):
        size = sum(bag.values())
        scored = []
        for g, n in bag.items():
            if n < DOCUMENTS_MIN:
                continue
            prior = 500 * total[g] / everything
            rest = total[g] - n
            odds = np.log((n + prior) / (size + 500 - n - prior))
            other = np.log((rest + prior) / (everything - size + 500 - rest - prior))
            z = (odds - other) / np.sqrt(1 / (n + prior) + 1 / (rest + prior))
            scored.append((float(z), g))
        scored.sort(reverse=True)
        lexicon[name] = {g: round(z, 3) for z, g in scored[:LEXICON_SIZE] if z > 2}
    return lexicon


def profile_words(characters: Mapping[str, Character]) -> dict[str, tuple[str, ...]]:
    """The catchphrases and terms of each character."""
    return {
        name: tuple(sorted({*c.catchphrases, *c.terms})) for name, c in sorted(characters.items())
    }


def weigh_style(
    dialogues: Sequence[Dialogue], words: int, size: int, seed: int
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Latent semantic analysis of the replies' uni- and bigrams, and each person's mean style."""
    bags = [
        Counter(g for text in answers(d) for g in character_ngrams(text, (1, 2))) for d in dialogues
    ]
    frequency = Counter(g for bag in bags for g in bag)
    kept = sorted(sorted(frequency, key=lambda g: (-frequency[g], g))[:words])
    column = {g: i for i, g in enumerate(kept)}
    idf = np.log((1 + len(bags)) / (1 + np.array([frequency[g] for g in kept]))) + 1
    rows, columns, values = [], [], []
    for r, bag in enumerate(bags):
        cells = [(column[g], 1 + np.log(n)) for g, n in sorted(bag.items()) if g in column]
        weights = np.array([w for _, w in cells]) * idf[[c for c, _ in cells]]
        rows += [r] * len(cells)
        columns += [c for c, _ in cells]
        values += (weights / np.linalg.norm(weights)).tolist()
    matrix = csr_matrix((values, (rows, columns)), shape=(len(bags), len(kept)))
    components = TruncatedSVD(size, random_state=seed, n_iter=4).fit(matrix).components_
    # In the precision of the file, so that what is trained is what is read back.
    vectors = (components.T * idf[:, None]).astype(np.float16).astype(np.float64)
    style = dict(zip(kept, vectors, strict=True))
    reader = FeatureReader(LexicalTables({}, {}, {}, {}, {}, style, {}))
    styles: dict[str, list[Array]] = {}
    for d in dialogues:
        styles.setdefault(d.character, []).append(reader.style(answers(d)))
    manner = {
        name: np.mean(rows_, axis=0).astype(np.float32).astype(np.float64)
        for name, rows_ in sorted(styles.items())
    }
    return style, manner


def read_examples(
    labelled: Sequence[Dialogue],
    dialogues: Sequence[Dialogue],
    tables: LexicalTables,
    rng: np.random.Generator,
) -> list[list[Array]]:
    """The features of each example, from n-gram counts that do not include its scenario.

    A text is more likely under counts that it is part of; a model fitted on such features would
    take every new text for a faulty one.
    """
    scenarios = sorted({d.scenario for d in dialogues})
    fold_of = {s: i % FOLDS for i, s in enumerate(rng.permutation(scenarios).tolist())}
    x: list[list[Array]] = [[]] * len(labelled)
    for fold in range(FOLDS):
        seen = [d for d in dialogues if fold_of[d.scenario] != fold]
        reader = FeatureReader(
            replace(tables, ngrams=count_ngrams(seen), lexicon=weigh_lexicon(seen))
        )
        for i, d in enumerate(labelled):
            if fold_of[d.scenario] == fold:
                x[i] = reader(d)
    return x


class Examples(NamedTuple):
    """What the process learns from: n reference dialogues, then p originals, then p perturbed.

    Attributes:
        kernel: (n + 2 p, n + 2 p).
        scores: (n, metrics) of the reference; `normal` the same as normal scores of their ranks.
        system, character: (n,) of the reference dialogues.
        lowers: (p, metrics) by how much the perturbed one should be lower; NaN where not known.
    """

    kernel: Array
    scores: Array
    normal: Array
    system: Names
    character: Names
    lowers: Array


class Process:
    """The process of one metric: what was observed, scores of dialogues and differences of two."""

    def __init__(self, found: Examples, metric: int) -> None:
        n, p = found.normal.shape[0], len(found.lowers)
        pairs = np.flatnonzero(~np.isnan(found.lowers[:, metric]))
        rows = n + np.arange(len(pairs))
        self.observed = np.zeros((n + len(pairs), n + 2 * p))
        self.observed[np.arange(n), np.arange(n)] = 1
        self.observed[rows, n + pairs] = 1
        self.observed[rows, n + p + pairs] = -1
        self.n = n
        self.with_points = self.observed @ found.kernel
        noise = np.r_[np.full(n, NOISE), np.full(len(pairs), PAIR_NOISE)]
        self.covariance = self.with_points @ self.observed.T + np.diag(noise)
        self.target = np.r_[found.normal[:, metric], found.lowers[pairs, metric]]
        self.level = np.r_[np.ones(n), np.zeros(len(pairs))]

    def fit(self, kept: NDArray[np.bool_]) -> tuple[float, Array]:
        """The base, and the weight of each observation: of these dialogues and of all pairs."""
        rows = np.flatnonzero(np.r_[kept, np.ones(len(self.target) - self.n, dtype=bool)])
        sides = np.stack([self.level, self.target], axis=1)[rows]
        solved = np.linalg.solve(self.covariance[np.ix_(rows, rows)], sides)
        level = self.level[rows]
        base = float(level @ solved[:, 1] / (level @ solved[:, 0]))
        weights = np.zeros(len(self.target))
        weights[rows] = solved[:, 1] - base * solved[:, 0]
        return base, weights

    def left_out(self, system: Names, character: Names) -> Array:
        """Normal scores of each dialogue by a fit without its system and its character."""
        predicted = np.zeros(self.n)
        for one in np.unique(system):
            for other in np.unique(character):
                base, weights = self.fit((system != one) & (character != other))
                own = np.flatnonzero((system == one) & (character == other))
                predicted[own] = base + weights @ self.with_points[:, own]
        return predicted


def curve_of(scores: Array, normal: Array) -> Array:
    """(2, knots): normal scores and the points of the scale at the same quantiles."""
    at = np.linspace(0, 1, KNOTS)
    return np.stack([np.quantile(normal, at), np.quantile(scores, at)])


def agreement(guess: Array, score: Array, system: Names, item: Names) -> list[float]:
    """Spearman's rho over all, as the mean within items, and of the means of the systems."""
    within = [spearman(guess[item == one], score[item == one]).value for one in np.unique(item)]
    means = [[side[system == one].mean() for one in np.unique(system)] for side in (guess, score)]
    found = (
        spearman(guess, score).value,
        np.nanmean(within),
        spearman(*map(np.array, means)).value,
    )
    return [round(float(value), 3) for value in found]


@click.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--seed", default=0, show_default=True)
def main(data: Path, out: Path, seed: int) -> None:
    """Fit the judge; write the file OUT and a record of the training next to it."""
    started = time.time()
    rubric = load_rubric("tiny")
    metrics = [m.name for m in rubric.dialogue_metrics]
    everything = read_dialogues(data).dialogues
    parts = split(everything, np.random.default_rng(seed))
    reference = reference_dialogues(everything)
    scores = reference_table(reference, rubric.rubric.metrics, metrics)
    known = {n: c for n, c in rubric.characters.items() if n not in parts.characters}
    rng = np.random.default_rng(seed + 1)
    some = [parts.train[i] for i in rng.permutation(len(parts.train))[:PAIRS_FROM].tolist()]
    made = list(pairs(some, Pool(parts.train, known), rng))
    made, lowers = choose_pairs(made, metrics)
    style, manner = weigh_style(everything, STYLE_WORDS, STYLE_SIZE, seed)
    idf = weigh_bigrams(everything)
    tables = LexicalTables(
        ngrams=count_ngrams(everything),
        idf=idf,
        topics=embed_topics(everything, idf, 48, seed),
        lexicon=weigh_lexicon(everything),
        words=profile_words(rubric.characters),
        style=style,
        manner=manner,
    )
    print(f"counted after {time.time() - started:.0f} s", flush=True)
    labelled = [*reference, *(p.original for p in made), *(p.perturbed for p in made)]
    blocks = read_examples(labelled, everything, tables, rng)
    sizes = np.array([len(block) for block in blocks[0]])
    x = np.array([np.concatenate(row) for row in blocks])
    n, plain = len(reference), int(sizes[:2].sum())
    mean, scale = np.zeros(x.shape[1]), np.ones(x.shape[1])
    mean[:plain], scale[:plain] = x[:n, :plain].mean(axis=0), x[:n, :plain].std(axis=0)
    scale[scale < 1e-6] = 1
    points = np.clip((x - mean) / scale, -FAR, FAR).astype(np.float16).astype(np.float64)
    near = np.clip(points[:n], -NEAR, NEAR)
    width = np.array(
        [median_distance(part) for part in np.split(near, np.cumsum(sizes)[:-1], axis=1)]
    )
    found = Examples(
        kernel_values(points, points, sizes, width),
        scores,
        np.stack([ndtri((rankdata(column) - 0.5) / n) for column in scores.T], axis=1),
        np.array([d.system for d in reference]),
        np.array([d.character for d in reference]),
        lowers,
    )
    print(f"read {len(x)} x {x.shape[1]} after {time.time() - started:.0f} s", flush=True)
    processes = [Process(found, m) for m in range(len(metrics))]
    guessed = np.stack([p.left_out(found.system, found.character) for p in processes], axis=1)
    curve = np.stack([curve_of(*columns) for columns in zip(scores.T, found.normal.T, strict=True)])
    errors = [
        [score - on_curve(float(guess), line) for guess, score in zip(*columns, strict=True)]
        for line, *columns in zip(curve, guessed.T, scores.T, strict=True)
    ]
    fits = [process.fit(np.ones(n, dtype=bool)) for process in processes]
    model = LexicalModel(
        tables=tables,
        metrics=tuple(metrics),
        sizes=sizes,
        mean=mean,
        scale=scale,
        width=width,
        points=points.astype(np.float16),
        weights=np.array(
            [w @ p.observed for (_, w), p in zip(fits, processes, strict=True)], np.float32
        ),
        base=np.array([base for base, _ in fits]),
        curve=curve,
        spread=np.std(errors, axis=1),
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    save(model, out)
    item = np.array([f"{d.character}/{d.scenario}" for d in reference])
    record = {
        "seed": seed, "dialogues": len(everything), "reference": n, "pairs": len(made),
        "pairs_without_characters": parts.characters, "pairs_without_scenarios": parts.scenarios,
        "left_out": {
            metric: agreement(guessed[:, m], scores[:, m], found.system, item)
            for m, metric in enumerate(metrics)
        },
        "spread": dict(zip(metrics, model.spread.round(3).tolist(), strict=True)),
        "scikit-learn": sklearn.__version__, "numpy": np.__version__,
    }  # fmt: skip
    means = np.mean(list(record["left_out"].values()), axis=0).round(3).tolist()
    print(f"left out, mean of metrics: all, within item, systems: {means}")
    print(f"{time.time() - started:.0f} s")
    out.with_suffix(".training.json").write_text(
        json.dumps({**record, "left_out_mean": means}, ensure_ascii=False, indent=2) + "\n"
    )


def reference_table(
    dialogues: Sequence[Dialogue], declared: Sequence[Metric], metrics: Sequence[str]
) -> Array:
    """(dialogues, metrics) the mean of the readings."""
    ratings = reference_scores(declared)
    row = {name: i for i, name in enumerate(ratings.dialogues)}
    rows = [row[DialogueId(d.system, d.character, d.scenario)] for d in dialogues]
    shape = (len(ratings.dialogues), len(ratings.metrics))
    table = mean_ratings(
        ratings.dialogue.astype(np.int64), ratings.metric.astype(np.int64), ratings.score, shape
    )
    columns = [ratings.metrics.index(metric) for metric in metrics]
    return table[np.ix_(rows, columns)]


def choose_pairs(
    made: Sequence[PerturbationPair], metrics: Sequence[str]
) -> tuple[list[PerturbationPair], Array]:
    """As many pairs as each metric is given, and by how much each should be lower."""
    lowers = np.full((len(made), len(metrics)), np.nan)
    for m, metric in enumerate(metrics):
        own = [i for i, p in enumerate(made) if metric in p.perturbation.lowers]
        for i in own[: PAIRS.get(metric, PAIRS_EACH)]:
            pair = made[i]
            lowers[i, m] = DROP.get(metric, 1.2) * pair.level / pair.perturbation.max_level
    used = np.flatnonzero(~np.isnan(lowers).all(axis=1))
    return [made[i] for i in used.tolist()], lowers[used]


def median_distance(x: Array) -> float:
    """The median squared distance of two rows."""
    squares = (x**2).sum(axis=1)
    return float(np.median(squares[:, None] + squares - 2 * x @ x.T))


if __name__ == "__main__":
    main()
