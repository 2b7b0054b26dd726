"""The embedded baseline: its file, its features and what the shipped one makes of damage."""

from __future__ import annotations

import itertools
import math
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.engines import EMBEDDED, EngineOptions, open_engine
from judge.engines.lexical import (
    FORMAT,
    LexicalEngine,
    LexicalModel,
    label_logprobs,
    load,
    on_curve,
    save,
)
from judge.engines.lexical_features import FeatureReader, LexicalTables, character_ngrams
from judge.errors import EngineError
from judge.types import Dialogue, Failure, PromptItem, PromptTree, Turn
from tests.unit.engines.small import make_tree

ROOT = Path(__file__).parents[3]
METRICS = ("fluency", "coherency")

TALKS = [
    (
        "最近工作压力很大，晚上总是睡不着。",
        "我懂那种躺下脑子还在转的感觉。先别逼自己马上睡着，起来喝口热水，我陪你说说话。",
    ),
    (
        "考试没考好，我觉得自己很没用。",
        "一次考试说明不了你这个人。难过就先难过一会儿，等缓过来，我们一起看看是哪里丢的分。",
    ),
    (
        "和好朋友吵架了，她不理我了。",
        "听起来你很在乎她呀。不如今晚先写几句心里话，等她气消了再发给她，她会明白的。",
    ),
    (
        "第一次一个人住，有点害怕。",
        "刚搬出来都会这样的，我当年也开着灯睡了一个星期。把门锁好，怕的时候就给我打电话。",
    ),
    (
        "今天被老板当众批评了，好丢脸。",
        "换作是谁心里都不好受。他说的对的地方改掉就好，说话的方式不对，那是他的问题。",
    ),
    (
        "养了十年的狗走了，我一直哭。",
        "十年，它陪你走了那么长的路。想哭就哭吧，这么舍不得，是因为你们真的好好爱过。",
    ),
]


def dialogue(question: str, answer: str, character: str = "某人") -> Dialogue:
    return Dialogue("s", character, "1", (Turn(question, answer), Turn("那我该怎么办？", answer)))


@pytest.fixture(scope="module")
def model() -> LexicalModel:
    """Tables counted from the talks above, weights drawn, in the precision of the file."""
    rng = np.random.default_rng(5)
    texts = [text for talk in TALKS for text in talk]
    counts: dict[str, int] = {}
    for text in texts:
        for gram in character_ngrams(text, (1, 2, 3)):
            counts[gram] = counts.get(gram, 0) + 1
    bigrams = sorted({g for text in texts for g in character_ngrams(text, (2,))})
    tables = LexicalTables(
        ngrams=counts,
        idf={g: float(np.float32(rng.uniform(0.05, 4))) for g in bigrams},
        topics={g: rng.integers(-8, 8, 4) / 8 for g in bigrams[:40]},
        lexicon={"某人": {"陪你": 2.5, "好好": 3.0}, "他": {"问题": 4.25}},
        words={"某人": ("热水", "心里话"), "他": ("老板",)},
        style={g: rng.integers(-8, 8, 3) / 8 for g in bigrams[:60]},
        manner={"某人": rng.integers(-8, 8, 3) / 8, "他": rng.integers(-8, 8, 3) / 8},
    )
    sizes = [len(block) for block in FeatureReader(tables)(dialogue("a", "b"))]
    size = sum(sizes)
    return LexicalModel(
        tables=tables,
        metrics=METRICS,
        sizes=np.array(sizes),
        mean=rng.normal(size=size),
        scale=rng.uniform(0.5, 2, size),
        width=rng.uniform(1, 40, len(sizes)),
        points=rng.normal(size=(7, size)),
        weights=rng.normal(size=(2, 7)),
        base=rng.normal(size=2),
        curve=np.array([[[-1.0, 0, 2], [2, 3, 4.5]], [[-2.0, 0, 1], [1.5, 2, 4]]]),
        spread=np.array([0.5, 0.9]),
    )


@pytest.fixture
def saved(model: LexicalModel, tmp_path: Path) -> Path:
    path = tmp_path / "model.npz"
    save(model, path)
    return path


@pytest.fixture(scope="module")
def shipped() -> LexicalEngine:
    engine = open_engine(EMBEDDED["lexical"], EngineOptions())
    assert isinstance(engine, LexicalEngine)
    return engine


def tree_of(dialogues: list[Dialogue], metrics: tuple[str, ...] = METRICS) -> PromptTree:
    return PromptTree(
        system="",
        profiles=dict.fromkeys((d.character for d in dialogues), ""),
        questions={},
        labels=tuple("12345"),
        items=tuple(PromptItem(d, "", metrics) for d in dialogues),
    )


def rewrite(path: Path, **changes: Any) -> None:
    """The npz again, with some arrays changed and those given as None left out."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files} | changes
    np.savez_compressed(path, **{k: v for k, v in arrays.items() if v is not None})


class TestFile:
    """`save` and `load`."""

    def test_what_was_saved_is_read_back(self, model: LexicalModel, saved: Path) -> None:
        """Every table and every number, exactly."""
        back = load(saved)
        for name in ("ngrams", "idf", "lexicon", "words"):
            assert getattr(back.tables, name) == getattr(model.tables, name)
        for name in ("topics", "style", "manner"):
            found, made = getattr(back.tables, name), getattr(model.tables, name)
            assert found.keys() == made.keys()
            assert all(np.array_equal(found[key], made[key]) for key in made)
        for name in ("sizes", "mean", "scale", "width", "points", "weights", "base", "curve"):
            assert np.array_equal(getattr(back, name), getattr(model, name))
        assert back.metrics == model.metrics

    def test_the_file_depends_on_the_model_only(self, saved: Path, tmp_path: Path) -> None:
        """Saved again, it has the same bytes: no time stamp, no order of a set."""
        again = tmp_path / "again.npz"
        save(load(saved), again)
        assert again.read_bytes() == saved.read_bytes()

    def test_the_shipped_file_is_stable(self, tmp_path: Path) -> None:
        """Reading and saving it changes nothing that it holds."""
        path = Path(EMBEDDED["lexical"].model)
        save(load(path), tmp_path / "again.npz")
        with np.load(path) as old, np.load(tmp_path / "again.npz") as new:
            assert sorted(old.files) == sorted(new.files)
            for name in old.files:
                assert np.array_equal(old[name], new[name]), name

    @pytest.mark.parametrize(
        ("spoil", "why"),
        [
            (lambda p: p.unlink(), "No such file"),
            (lambda p: p.write_bytes(b""), "not a lexical judge"),
            (lambda p: p.write_bytes(b"some text"), "not a lexical judge"),
            (lambda p: p.write_bytes(p.read_bytes()[:3000]), "not a zip file"),
            (lambda p: p.write_bytes(pickle.dumps({"format": 1})), "pickle"),
            (lambda p: rewrite(p, mean=np.array([{"a": 1}], dtype=object)), "Object arrays"),
            (lambda p: np.save(p.open("wb"), np.zeros(3)), "not a lexical judge"),
            (lambda p: rewrite(p, base=None), "base"),
            (lambda p: rewrite(p, format=np.array("one")), "invalid literal"),
            (lambda p: rewrite(p, sizes=np.array([3])), r"has \[3\] features, this version reads"),
            (lambda p: rewrite(p, mean=np.zeros(3)), "do not fit together"),
            (lambda p: rewrite(p, metrics=np.array(["fluency"])), "do not fit together"),
            (lambda p: rewrite(p, base=np.zeros(3)), "do not fit together"),
            (lambda p: rewrite(p, base=np.full(2, np.nan)), "not finite"),
            (lambda p: rewrite(p, spread=np.zeros(2)), "not positive"),
            (lambda p: rewrite(p, curve=np.ones((2, 2, 1))), "does not rise"),
            (lambda p: rewrite(p, curve=np.array([[[0, 1.0], [2, 1]]] * 2)), "does not rise"),
            (lambda p: rewrite(p, ngram_text=np.array(["a"])), "shorter|longer"),
        ],
    )
    @pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
    def test_a_broken_file_is_refused(
        self, saved: Path, spoil: Callable[[Path], None], why: str
    ) -> None:
        """With the path and what makes a good one; nothing of it is executed."""
        spoil(saved)
        with pytest.raises(EngineError, match=why) as caught:
            LexicalEngine(str(saved), EngineOptions())
        assert caught.value.path == saved
        assert caught.value.hint == "make one with scripts/train_lexical_judge.py"

    def test_a_damaged_byte_is_refused(self, saved: Path) -> None:
        """The checksums of the zip are looked at."""
        with zipfile.ZipFile(saved) as archive:
            place = archive.getinfo("weights.npy").header_offset + 200
        data = bytearray(saved.read_bytes())
        data[place] ^= 0xFF
        saved.write_bytes(data)
        with pytest.raises(EngineError, match="not a lexical judge"):
            load(saved)

    @pytest.mark.parametrize(
        ("other", "hint"),
        [
            (FORMAT + 1, "upgrade esrp-judge"),
            (FORMAT - 1, "make one with scripts/train_lexical_judge.py"),
        ],
    )
    def test_another_format_is_refused(self, saved: Path, other: int, hint: str) -> None:
        """Even where it happens to look like ours."""
        rewrite(saved, format=np.array(other))
        with pytest.raises(EngineError, match=f"is of format {other}, not {FORMAT}") as caught:
            load(saved)
        assert caught.value.hint == hint

    def test_no_pickle_runs(self, saved: Path, tmp_path: Path) -> None:
        """An array that would write a file when it is unpickled does not get to."""
        trace = tmp_path / "trace"

        class Trap:
            def __reduce__(self) -> tuple[Any, ...]:
                return (Path.touch, (trace,))

        rewrite(saved, mean=np.array([Trap()], dtype=object))
        with pytest.raises(EngineError):
            load(saved)
        assert not trace.exists()


class TestEngine:
    """`LexicalEngine`."""

    def test_logprobs_are_those_of_the_textbook(self, model: LexicalModel, saved: Path) -> None:
        """A sum of Gaussian kernels, a line between knots and a rounded normal: written out."""
        talk = dialogue(*TALKS[0])
        x = (np.concatenate(FeatureReader(model.tables)(talk)) - model.mean) / model.scale
        far, x = np.clip(x, -25, 25), np.clip(x, -6, 6)
        reads = list(LexicalEngine(str(saved), EngineOptions()).score(tree_of([talk])))
        ends = np.cumsum(model.sizes).tolist()
        kernels = [
            math.fsum(
                math.exp(-sum((x[i] - point[i]) ** 2 for i in range(start, end)) / (2 * unit))
                for start, end, unit in zip([0, *ends], ends, model.width, strict=False)
            )
            / len(ends)
            + 0.2 * math.fsum(far[i] * point[i] for i in range(ends[0])) / ends[0]
            for point in model.points
        ]
        for m, read in enumerate(reads):
            score = model.base[m] + math.fsum(
                w * k for w, k in zip(model.weights[m], kernels, strict=True)
            )
            knots, heights = model.curve[m]
            if score < knots[0]:
                slope = (heights[-1] - heights[0]) / (knots[-1] - knots[0])
                mean = heights[0] + slope * (score - knots[0])
            elif score > knots[-1]:
                slope = (heights[-1] - heights[0]) / (knots[-1] - knots[0])
                mean = heights[-1] + slope * (score - knots[-1])
            else:
                k = int(score > knots[1])
                share = (score - knots[k]) / (knots[k + 1] - knots[k])
                mean = heights[k] + share * (heights[k + 1] - heights[k])
            normal = NormalDist(mean, model.spread[m])
            below = [0, *(normal.cdf(cut) for cut in (1.5, 2.5, 3.5, 4.5)), 1]
            p = [b - a for a, b in itertools.pairwise(below)]
            assert np.exp(np.array(read.outcome, float)) == pytest.approx(p, abs=1e-9)
            assert read.top_is_label

    @given(st.floats(-20, 20), st.floats(0.1, 2))
    def test_a_higher_score_is_never_a_lower_one(self, mean: float, spread: float) -> None:
        """The labels are a distribution, and its mean rises with the score."""
        low, high = (np.exp(label_logprobs(m, spread)) for m in (mean, mean + 0.01))
        assert low.sum() == pytest.approx(1, abs=1e-12)
        assert low @ np.arange(1, 6) <= high @ np.arange(1, 6)

    def test_the_curve_goes_on_beyond_its_ends(self) -> None:
        """By hand: from (0, 1) over (1, 3) to (2, 4) the mean slope is 1.5."""
        curve = np.array([[0.0, 1, 2], [1, 3, 4]])
        found = [on_curve(x, curve) for x in (-2, 0, 0.5, 1.5, 2, 3)]
        assert found == pytest.approx([-2, 1, 2, 3.5, 4, 5.5])

    def test_probabilities_sum_to_one(self, shipped: LexicalEngine) -> None:
        """Its labels are all it can say."""
        metrics = shipped._model.metrics
        assert len(metrics) == 9
        reads = list(shipped.score(tree_of([dialogue(*talk) for talk in TALKS], metrics)))
        assert len(reads) == 9 * len(TALKS)
        for read in reads:
            assert not isinstance(read.outcome, Failure)
            assert math.fsum(math.exp(v) for v in read.outcome) == pytest.approx(1, abs=1e-12)

    def test_a_read_does_not_depend_on_its_batch(self, shipped: LexicalEngine) -> None:
        """Alone and backwards, a dialogue gets the same bits."""
        talks = [dialogue(*talk) for talk in TALKS]
        together = [r.outcome for r in shipped.score(tree_of(talks, ("fluency",)))]
        backwards = [r.outcome for r in shipped.score(tree_of(talks[::-1], ("fluency",)))]
        alone = [r.outcome for t in talks for r in shipped.score(tree_of([t], ("fluency",)))]
        assert together == backwards[::-1] == alone

    def test_a_read_does_not_depend_on_the_process(self, saved: Path) -> None:
        """The order of sets, another in every process, does not reach the last bit."""
        code = (
            "import sys\n"
            "from judge.engines.lexical import load\n"
            "from judge.engines.lexical_features import FeatureReader\n"
            "from judge.types import Dialogue, Turn\n"
            "reader = FeatureReader(load(__import__('pathlib').Path(sys.argv[1])).tables)\n"
            "turns = tuple(Turn(*sys.argv[i:i + 2]) for i in range(2, len(sys.argv), 2))\n"
            "blocks = reader(Dialogue('s', '某人', '1', turns))\n"
            "print([x.hex() for block in blocks for x in block.tolist()])\n"
        )
        said = [text for talk in TALKS for text in talk]
        outputs = {
            subprocess.run(
                [sys.executable, "-c", code, str(saved), *said],
                env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8"},
                cwd=ROOT,
                capture_output=True,
                check=True,
            ).stdout
            for seed in "0123"
        }
        assert len(outputs) == 1

    def test_what_it_never_learnt_is_a_failure(self, saved: Path) -> None:
        """A metric or a set of labels it does not know gives a reason, not a number."""
        engine = LexicalEngine(str(saved), EngineOptions())
        tree = tree_of([dialogue(*TALKS[0])], ("fluency", "wit"))
        known, unknown = engine.score(tree)
        assert not isinstance(known.outcome, Failure)
        assert isinstance(unknown.outcome, Failure)
        assert unknown.outcome.code == "unknown_metric"
        assert "wit" in unknown.outcome.reason
        reads = engine.score(replace(tree, labels=("1", "2", "3")))
        assert all(isinstance(read.outcome, Failure) for read in reads)

    def test_the_fingerprint_is_that_of_the_content(
        self, model: LexicalModel, saved: Path, tmp_path: Path
    ) -> None:
        """The same model elsewhere is the same judge; another bias is another judge."""
        options = EngineOptions()
        one = LexicalEngine(str(saved), options)
        save(model, tmp_path / "copy.npz")
        save(replace(model, base=model.base + 1e-9), tmp_path / "other.npz")
        assert LexicalEngine(str(tmp_path / "copy.npz"), options).fingerprint == one.fingerprint
        assert LexicalEngine(str(tmp_path / "other.npz"), options).fingerprint != one.fingerprint

    def test_it_has_no_tokens(self, saved: Path) -> None:
        """Nothing to count."""
        engine = LexicalEngine(str(saved), EngineOptions(batch_size=3))
        assert engine.count(make_tree(["x"])) is None
        assert engine.batch_size == 3
        assert engine.describe()["model"] == "model.npz"


class TestShipped:
    """What the shipped judge makes of dialogues that no one trained on: 6 of two rounds each."""

    def score(self, engine: LexicalEngine, talks: list[tuple[str, str]], metric: str) -> float:
        turns = [Turn(*talk) for talk in talks]
        rounds = zip(turns, turns[1:] + turns[:1], strict=True)
        reads = engine.score(tree_of([Dialogue("s", "某人", "1", r) for r in rounds], (metric,)))
        p = np.exp(np.array([read.outcome for read in reads], dtype=float))
        return float(np.mean(p @ np.arange(1, 6)))

    def test_the_more_characters_change_places_the_lower_the_fluency(
        self, shipped: LexicalEngine
    ) -> None:
        """None, a tenth, half and all of the characters of a reply shuffled among themselves.

        From none to all by more than the judge's typical error, on the scale of the reference.
        """
        means = []
        for share in (0.0, 0.1, 0.5, 1.0):
            rng = np.random.default_rng(11)
            damaged = [(q, shuffle(a, share, rng)) for q, a in TALKS]
            means.append(self.score(shipped, damaged, "fluency"))
        assert means == sorted(means, reverse=True)
        model = shipped._model
        assert means[0] - means[-1] > model.spread[model.metrics.index("fluency")]

    @pytest.mark.parametrize("metric", ["coherency", "demand_matching"])
    def test_replies_to_other_questions_score_lower(
        self, shipped: LexicalEngine, metric: str
    ) -> None:
        """The same replies, each given to another of the questions, in all five rotations."""
        questions, replies = zip(*TALKS, strict=True)
        means = [
            self.score(
                shipped, list(zip(questions, replies[k:] + replies[:k], strict=True)), metric
            )
            for k in range(6)
        ]
        assert np.mean(means[1:]) < means[0]


def shuffle(text: str, share: float, rng: np.random.Generator) -> str:
    """`share` of the characters change places with each other."""
    places = rng.permutation(len(text))[: round(share * len(text))]
    out = list(text)
    for here, there in zip(places, rng.permutation(places), strict=True):
        out[here] = text[there]
    return "".join(out)


def test_it_writes_no_reasons(shipped: LexicalEngine) -> None:
    """It says so beforehand, and when it is asked all the same."""
    assert not shipped.can_generate
    with pytest.raises(EngineError, match="writes no reasons") as caught:
        shipped.write(tree_of([dialogue("q", "a")]))
    assert caught.value.hint == "leave out --rationale"


class TestReader:
    """The features, where a hand can compute them."""

    def test_all_features_are_finite_and_of_one_length(self, model: LexicalModel) -> None:
        """For ordinary, empty, one-character, foreign and one-round dialogues."""
        reader = FeatureReader(model.tables)
        odd = ["", "a", "。", "！！！", "\n\n", "🙂", "x" * 3000]
        dialogues = [dialogue(q, a) for q, a in TALKS] + [dialogue(x, x) for x in odd]
        dialogues += [Dialogue("s", "某人", "1", (Turn(x, x),)) for x in odd]
        rows = [reader(d, use_lexicon=use) for d in dialogues for use in (True, False)]
        assert {tuple(map(len, row)) for row in rows} == {tuple(model.sizes.tolist())}
        assert np.isfinite([np.concatenate(row) for row in rows]).all()

    def test_without_lexicon_a_character_is_a_stranger(self, model: LexicalModel) -> None:
        """Not reading a character's own lexicon gives what tables without it give."""
        reader = FeatureReader(model.tables)
        rest = {n: w for n, w in model.tables.lexicon.items() if n != "某人"}
        stranger = FeatureReader(replace(model.tables, lexicon=rest))
        for talk in TALKS:
            known, unknown = reader(dialogue(*talk)), reader(dialogue(*talk), use_lexicon=False)
            assert np.array_equal(unknown[0], stranger(dialogue(*talk))[0])
            assert not np.array_equal(known[0], unknown[0])
            assert not np.array_equal(known[3], unknown[3])

    def test_style_by_hand(self) -> None:
        """aab: a twice, b, aa and ab once; the vectors of a and ab point apart."""
        vectors = {"a": np.array([3.0, 0]), "ab": np.array([0.0, 2])}
        tables = LexicalTables({}, {}, {}, {}, {}, vectors, {"A": np.array([0.0, 1.0])})
        first, second = 3 * (1 + math.log(2)), 2.0
        length = math.hypot(first, second)
        _, _, style, beside = FeatureReader(tables)(Dialogue("s", "A", "1", (Turn("", "aab"),)))
        assert style == pytest.approx([first / length, second / length])
        gap = np.array([first / length, second / length - 1])
        assert beside == pytest.approx(gap / np.linalg.norm(gap))

    def test_grams_by_hand(self) -> None:
        """All substrings of the lengths asked for, in order, repeats included."""
        assert list(character_ngrams("abab", (2, 3))) == ["ab", "ba", "ab", "aba", "bab"]
        assert list(character_ngrams("a", (2,))) == []
