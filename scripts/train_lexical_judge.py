#!/usr/bin/env python3
"""Fit the embedded baseline `lexical` on the public dialogues and on perturbed copies of them.

python scripts/train_lexical_judge.py --data DIR --out judge/embedded/lexical.npz
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import sklearn
from scipy.sparse import csr_matrix
from sklearn.decomposition import TruncatedSVD
from sklearn.linear_model import LogisticRegression

from judge.dialogues import read_dialogues
from judge.engines.lexical import LexicalModel, save
from judge.engines.lexical_features import Array, FeatureReader, LexicalTables, character_ngrams
from judge.perturbation_pairs import clean_targets, perturbed_targets, split
from judge.perturbations import PERTURBATIONS, Pool
from judge.rubric import load_rubric
from judge.types import Character, Dialogue

LABELS = 5
DOCUMENTS_MIN = 5
LEXICON_SIZE = 400
FOLDS = 4


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


def examples(
    dialogues: Sequence[Dialogue], pool: Pool, metrics: Sequence[str], rng: np.random.Generator
) -> list[tuple[Dialogue, dict[str, int]]]:
    """Every dialogue unchanged, and perturbed in three ways at random levels, with its labels."""
    names = [n for n, d in PERTURBATIONS.items() if d.lowers] + ["cut_rest"]
    labelled = []
    for d in dialogues:
        clean = clean_targets(d, metrics, pool)
        labelled.append((d, clean))
        for name in rng.permutation(names)[:3]:
            perturbation = PERTURBATIONS[str(name)]
            level = int(rng.integers(1, perturbation.max_level + 1))
            bad = perturbation(d, level, pool, rng)
            if bad is not None:
                labelled.append((bad, perturbed_targets(clean, [(perturbation, level)])))
    return labelled


def read_examples(
    labelled: Sequence[Dialogue],
    dialogues: Sequence[Dialogue],
    tables: LexicalTables,
    rng: np.random.Generator,
) -> Array:
    """The features of each example, from n-gram counts that do not include its scenario.

    A text is more likely under counts that it is part of; a model fitted on such features would
    take every new text for a faulty one. A third of the examples are read without the lexicon of
    the character, so that the model also learns to judge characters without one.
    """
    scenarios = sorted({d.scenario for d in dialogues})
    fold_of = {s: i % FOLDS for i, s in enumerate(rng.permutation(scenarios).tolist())}
    x: list[Array] = [np.zeros(0)] * len(labelled)
    for fold in range(FOLDS):
        seen = [d for d in dialogues if fold_of[d.scenario] != fold]
        reader = FeatureReader(
            replace(tables, ngrams=count_ngrams(seen), lexicon=weigh_lexicon(seen))
        )
        for i, d in enumerate(labelled):
            if fold_of[d.scenario] == fold:
                x[i] = reader(d, use_lexicon=rng.random() > 1 / 3)
    return np.stack(x)


@click.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--seed", default=0, show_default=True)
def main(data: Path, out: Path, seed: int) -> None:
    """Fit the judge; write the file OUT and a record of the training next to it."""
    started = time.time()
    rubric = load_rubric("tiny")
    metrics = [m.name for m in rubric.dialogue_metrics]
    parts = split(read_dialogues(data).dialogues, np.random.default_rng(seed))
    known = {n: c for n, c in rubric.characters.items() if n not in parts.characters}
    pool = Pool(parts.train, known)
    idf = weigh_bigrams(parts.train)
    tables = LexicalTables(
        ngrams=count_ngrams(parts.train),
        idf=idf,
        topics=embed_topics(parts.train, idf, 48, seed),
        lexicon=weigh_lexicon(parts.train),
        words=profile_words(rubric.characters),
    )
    print(f"counted after {time.time() - started:.0f} s", flush=True)
    rng = np.random.default_rng(seed + 1)
    labelled = examples(parts.train, pool, metrics, rng)
    x = read_examples([d for d, _ in labelled], parts.train, tables, rng)
    print(f"read {len(x)} x {x.shape[1]} after {time.time() - started:.0f} s", flush=True)
    mean, scale = x.mean(axis=0), x.std(axis=0)
    scale[scale == 0] = 1
    z = (x - mean) / scale
    weights = np.zeros((len(metrics), LABELS, x.shape[1]))
    bias = np.full((len(metrics), LABELS), -30.0)  # a label never seen stays improbable
    for m, name in enumerate(metrics):
        rows = [i for i, (_, t) in enumerate(labelled) if name in t]
        y = np.array([labelled[i][1][name] for i in rows])
        fit = LogisticRegression(C=1.0, max_iter=300).fit(z[rows], y)
        for label, w, b in zip(fit.classes_, fit.coef_, fit.intercept_, strict=True):
            weights[m, label - 1], bias[m, label - 1] = w, b
        print(f"{name}: n {len(y)} of {np.bincount(y, minlength=6)[1:].tolist()}", flush=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    save(LexicalModel(tables, tuple(metrics), mean, scale, weights, bias), out)
    record = {
        "seed": seed, "dialogues": len(parts.train), "examples": len(labelled),
        "held_out_characters": parts.characters, "held_out_scenarios": parts.scenarios,
        "seconds": round(time.time() - started), "scikit-learn": sklearn.__version__,
        "numpy": np.__version__,
    }  # fmt: skip
    out.with_suffix(".training.json").write_text(
        json.dumps(record, ensure_ascii=False, indent=2) + "\n"
    )


if __name__ == "__main__":
    main()
