"""Laws of the engines, over inputs that Hypothesis thinks of."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

from judge.engines import EngineOptions
from judge.engines.lexical import LexicalModel, load, save
from judge.engines.lexical_features import (
    FeatureReader,
    LexicalTables,
    TrigramModel,
    character_ngrams,
)
from judge.engines.mock import MockEngine
from judge.engines.naive import NaiveHfEngine
from judge.engines.tokens import local_prompt_tokenizer
from judge.types import Dialogue, Failure, Turn
from tests.unit.engines.small import CHATML, METRICS, SPECIAL, bpe, make_tree, save_model

TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
FEW_LETTERS = st.text("abc你好。", max_size=30)


@st.composite
def trees(draw: st.DrawFn) -> Any:
    """Up to 6 dialogues of up to 3 characters, any text anywhere."""
    texts = draw(st.lists(TEXT, min_size=1, max_size=6))
    names = draw(st.lists(st.sampled_from("ABC"), min_size=len(texts), max_size=len(texts)))
    profiles = {name: draw(TEXT) for name in "ABC"}
    return make_tree(texts, system=draw(TEXT), profiles=profiles, characters=names)


class TestTrigramModel:
    """Witten-Bell interpolation makes a distribution, whatever was counted."""

    @given(st.lists(FEW_LETTERS, min_size=1), FEW_LETTERS, st.integers(1, 3))
    def test_probabilities_of_the_next_character_sum_to_one(
        self, texts: list[str], context: str, drop: int
    ) -> None:
        """Over the characters counted and one that never was, after any context.

        Dropping rare trigrams, as the shipped tables do, changes nothing about it.
        """
        counts = Counter(gram for text in texts for gram in character_ngrams(text, (1, 2, 3)))
        kept = {g: n for g, n in counts.items() if n >= drop or len(g) < 3}
        model = TrigramModel(kept)
        alphabet = {g for g in kept if len(g) == 1}
        p = [math.exp(model.logprobs(context + c)[-1]) for c in [*sorted(alphabet), "\0"]]
        assert math.fsum(p) == pytest.approx(1, abs=1e-12)
        assert all(0 < x <= 1 for x in p)

    def test_by_hand(self) -> None:
        """Counts a 3, b 1, aa 2, ab 1: two kinds of character in 4, two kinds after a in 3.

        P(a) = (3 + 2 x 1/3) / (4 + 2) = 11/18; P(a | a) = (2 + 2 x 11/18) / (3 + 2) = 29/45.
        """
        model = TrigramModel({"a": 3, "b": 1, "aa": 2, "ab": 1})
        assert np.exp(model.logprobs("aa")) == pytest.approx([11 / 18, 29 / 45])

    @given(st.lists(FEW_LETTERS, min_size=1), FEW_LETTERS)
    def test_one_probability_for_each_character(self, texts: list[str], text: str) -> None:
        """Finite, and only what stands before a character matters to it."""
        counts = Counter(gram for t in texts for gram in character_ngrams(t, (1, 2, 3)))
        model = TrigramModel(counts)
        found = model.logprobs(text)
        assert found.shape == (len(text),)
        assert np.isfinite(found).all()
        assert np.array_equal(model.logprobs(text + "x")[:-1], found)


class TestLexical:
    """Any table, saved and read, is the same table."""

    names = st.text("abc你好", min_size=1, max_size=4)
    numbers = st.floats(-100, 100, width=16)

    @settings(max_examples=30)
    @given(st.data())
    def test_round_trip(
        self, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
    ) -> None:
        """Numbers that fit the precision of the file come back exactly."""
        weights = st.dictionaries(self.names, self.numbers, min_size=1, max_size=5)
        vectors = st.lists(self.numbers, min_size=3, max_size=3).map(np.array)
        words = st.lists(self.names, min_size=1, max_size=3).map(tuple)
        tables = LexicalTables(
            ngrams=data.draw(st.dictionaries(self.names, st.integers(1, 10**9))),
            idf=data.draw(st.dictionaries(self.names, self.numbers)),
            topics=data.draw(st.dictionaries(self.names, vectors)),
            lexicon=data.draw(st.dictionaries(self.names, weights)),
            words=data.draw(st.dictionaries(self.names, words)),
            style=data.draw(st.dictionaries(self.names, vectors, min_size=1)),
            manner=data.draw(st.dictionaries(self.names, vectors)),
        )
        rng = np.random.default_rng(data.draw(st.integers(0, 9)))
        blocks = FeatureReader(tables)(Dialogue("", "", "", (Turn("", ""),)))
        sizes = np.array([len(block) for block in blocks])
        model = LexicalModel(
            tables=tables,
            metrics=("m",),
            sizes=sizes,
            mean=rng.normal(size=sizes.sum()),
            scale=rng.uniform(0.5, 2, sizes.sum()),
            width=rng.uniform(1, 9, len(sizes)),
            points=rng.normal(size=(3, sizes.sum())),
            weights=rng.normal(size=(1, 3)),
            base=rng.normal(size=1),
            curve=np.array([[[0.0, 1], [1, 5]]]),
            spread=np.ones(1),
        )
        path = tmp_path_factory.mktemp("lexical") / "model.npz"
        save(model, path)
        back = load(path)
        for name in ("ngrams", "idf", "lexicon", "words"):
            assert getattr(back.tables, name) == getattr(tables, name)
        for name in ("topics", "style", "manner"):
            found, made = getattr(back.tables, name), getattr(tables, name)
            assert found.keys() == made.keys()
            assert all(np.array_equal(found[key], made[key]) for key in made)
        assert np.array_equal(back.weights, model.weights)

    @given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=3))
    def test_features_are_finite(self, turns: list[tuple[str, str]]) -> None:
        """Whatever people type."""
        counts = Counter(character_ngrams("".join(q + a for q, a in turns), (1, 2, 3)))
        tables = LexicalTables(
            counts,
            dict.fromkeys(counts, 1.0),
            {},
            {"A": {"ab": 1.0}},
            {"A": ("a",)},
            {gram: np.array([1.0, -1.0]) for gram in (*counts, "a")},
            {"A": np.array([0.5, 0.5])},
        )
        found = FeatureReader(tables)(Dialogue("s", "A", "1", tuple(Turn(*turn) for turn in turns)))
        assert np.isfinite(np.concatenate(found)).all()


class TestTokens:
    """Ids of any tree."""

    tokenizer = bpe()
    tokenizer.chat_template = CHATML

    @given(trees())
    def test_counts_are_those_of_the_prompts(self, tree: Any) -> None:
        """`naive` is the sum over the prompts, `longest` their maximum.

        `tree` is the size of a trie whose edges are the segments, and never more than `naive`.
        """
        tokens = local_prompt_tokenizer(self.tokenizer, "m")(tree)
        asked = [(i, m) for i, item in enumerate(tree.items) for m in item.metrics]
        lengths = [len(tokens.prompt(i, m)) for i, m in asked]
        count = tokens.count()
        assert (count.naive, count.longest) == (sum(lengths), max(lengths))
        edges: dict[tuple[Any, ...], int] = {}
        for i, m in asked:
            name = tree.items[i].dialogue.character
            edges[()] = len(tokens.prefix)
            edges[(name,)] = len(tokens.profiles[name])
            edges[name, i] = len(tokens.dialogues[i])
            edges[name, i, m] = len(tokens.branches[i][m])
        assert count.tree == sum(edges.values()) <= count.naive

    @given(st.lists(st.sampled_from([*SPECIAL, "5", "你", "\n", "<|", "|>"]), max_size=12))
    def test_no_reply_makes_a_special_token(self, pieces: list[str]) -> None:
        """Special tokens, whole or put together from parts, are read as text, and all of it."""
        text = "".join(pieces)
        tokens = local_prompt_tokenizer(self.tokenizer, "m")(
            make_tree([text], profiles={"Ann": text})
        )
        special = set(self.tokenizer.convert_tokens_to_ids(list(SPECIAL)))
        assert not special & {*tokens.dialogues[0], *tokens.profiles["Ann"]}
        assert self.tokenizer.decode(tokens.dialogues[0]) == text


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return save_model(tmp_path_factory.mktemp("model"), "Qwen3", template=CHATML)


@settings(max_examples=25)
@given(tree=trees(), batch_size=st.integers(1, 7))
def test_hf_reads_each_prompt_as_if_it_were_alone(folder: Path, tree: Any, batch_size: int) -> None:
    """Any tree in any batches: log-probabilities of a plain forward, to 1e-4."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    engine = NaiveHfEngine(str(folder), EngineOptions(batch_size=batch_size, device="cpu"))
    tokens = engine._judge.checkpoint.prompt_tokenizer(tree)
    for read in engine.score(tree):
        prompt = tokens.prompt(read.item, read.metric)
        with torch.no_grad():
            whole = model(torch.tensor([prompt])).logits[0, -1].double().log_softmax(-1)
        labels = list(tokens.label_ids[read.metric])
        assert read.outcome == pytest.approx(whole[labels].tolist(), abs=1e-4)


@given(tree=trees(), seed=st.integers(0, 2**63))
def test_mock_reads_are_distributions(tree: Any, seed: int) -> None:
    """One read for each question, with less than all of the mass."""
    reads = list(MockEngine("mock", EngineOptions(seed=seed)).score(tree))
    assert len(reads) == len(METRICS) * len(tree.items)
    for read in reads:
        assert not isinstance(read.outcome, Failure)
        assert 0 < math.fsum(math.exp(v) for v in read.outcome) < 1
