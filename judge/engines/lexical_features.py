"""The features of a dialogue for the embedded baseline: counts, overlaps and style.

How probable the characters are under a character trigram model, how much a reply has in common with
its question, which words of which person it uses, how often it comforts, tells stories and advises;
how long it is and how often it says each of some common words; and where its characters put it
among all replies, and among those of the same person.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from judge.types import Dialogue

__all__ = ["Array", "FeatureReader", "LexicalTables", "TrigramModel", "character_ngrams"]

Array = NDArray[np.float64]

_SENTENCE = re.compile(r"[^。！？!?…～~\n]+[。！？!?…～~\n]*")
_FORMS = {
    "comfort": "懂|理解|担心|加油|没关系|辛苦|难受|了不起|恭喜|陪|心疼|相信|支持|放心|委屈|"
    "不容易|棒|别急|高兴|温暖",
    "story": "以前|小时候|当年|曾经|有一次|那时|那会|当初|经历过|记得|从前|遇到过|我也",
    "advice": "试|不如|不妨|要不|建议|可以|最好|应该|先|方法|办法|下次|记得",
    "negation": "不|没|别",
    "assistant": "人工智能|语言模型|助手|以下|供您|您|信息|内容",
    "harsh": "随便|烦|活该|怪谁|关我|跟我没|废物|蠢|指望|自己想|有什么好",
    "vague": "那个人|那件事|那里|那个",
}
_COMMON = (
    "的 了 吧 呢 吗 啊 呀 哦 喔 嘛 哈 哟 啦 嘿 唔 哼 哎 喂 诶 ！ ？ … ～ ~ “ （ ( * 、 "
    "， — 「 『 我 你 您 他 她 我们 咱 俺 本 在下 吾 人家 大家 朋友 伙伴 因为 所以 但是 "
    "不过 虽然 如果 首先 其次 然后 其实 一定 也许 或许 可能 不要 别 需要 可以 应该 记得 "
    "试试 尝试 建议 重要 相信 理解 支持 加油 感觉 觉得 知道 明白 听起来 看来 或者 同时 "
    "此外 总之 最重要 毕竟 无论 每个人 当然 就像 如同 一样 曾经 以前 当年 那时候 有一次 "
    "小时候 那次 后来 现在 今天 昨天 上次 愿意 想聊 聊聊 告诉我 你呢 怎么样 是什么 有没有 "
    "是不是 需要我 陪你 一起 帮你 分享 经历 遇到 面对 困难 挑战 努力 坚持 成长 学会 享受 "
    "放松 休息 呼吸 运动 音乐 沟通 交流 计划 目标 哈哈 嘿嘿 嘻嘻 喂喂 切 啧 呵 "
)
_WORDS = tuple(_COMMON.split())
"""Particles, marks, pronouns and common words: a style shows in how often they are said."""
_FORM_PATTERNS = {name: re.compile(pattern) for name, pattern in _FORMS.items()}


@dataclass(frozen=True)
class LexicalTables:
    """What was counted in the training dialogues.

    Attributes:
        ngrams: one, two or three characters -> count.
        idf: bigram -> inverse document frequency.
        topics: bigram -> vector.
        lexicon: person -> n-gram -> log-odds weight.
        words: person -> words of the profile.
        style: one or two characters -> vector; all of one length.
        manner: person -> the mean style of its replies.
    """

    ngrams: Mapping[str, int]
    idf: Mapping[str, float]
    topics: Mapping[str, Array]
    lexicon: Mapping[str, Mapping[str, float]]
    words: Mapping[str, tuple[str, ...]]
    style: Mapping[str, Array]
    manner: Mapping[str, Array]

    @property
    def style_size(self) -> int:
        """The length of a style."""
        return len(next(iter(self.style.values()), ()))


class TrigramModel:
    """Character trigrams, interpolated after Witten and Bell (1991).

    All characters that were never counted share the probability of one unknown character.
    """

    def __init__(self, ngrams: Mapping[str, int]) -> None:
        self._counts = ngrams
        self._total: dict[str, int] = defaultdict(int)
        self._kinds: dict[str, int] = defaultdict(int)
        for gram, count in ngrams.items():
            self._total[gram[:-1]] += count
            self._kinds[gram[:-1]] += 1
        self._floor = 1.0 / (self._kinds[""] + 1)

    def logprobs(self, text: str) -> Array:
        """Natural-log probability of each character given the two before it."""
        return np.array([math.log(self._p(text[max(0, i - 2) : i + 1])) for i in range(len(text))])

    def _p(self, gram: str) -> float:
        lower = self._p(gram[1:]) if len(gram) > 1 else self._floor
        context = gram[:-1]
        kinds = self._kinds.get(context, 0)
        if not kinds:
            return lower
        return (self._counts.get(gram, 0) + kinds * lower) / (self._total[context] + kinds)


def character_ngrams(text: str, sizes: Sequence[int]) -> Iterator[str]:
    """All substrings of these lengths."""
    for size in sizes:
        for i in range(len(text) - size + 1):
            yield text[i : i + size]


class FeatureReader:
    """The features of a dialogue under given tables."""

    def __init__(self, tables: LexicalTables) -> None:
        self._tables = tables
        self._model = TrigramModel(tables.ngrams)
        self._sizes = (2, 3, 4)
        self._strangers = (
            np.mean(list(tables.manner.values()), axis=0)
            if tables.manner
            else np.zeros(tables.style_size)
        )

    def __call__(self, dialogue: Dialogue, *, use_lexicon: bool = True) -> list[Array]:
        """Blocks of finite numbers: overlaps, counts, style, and style beside the person's own.

        Each block has one length for all dialogues. Without `use_lexicon` the person is treated as
        one that is not known.
        """
        answers = [t.answer for t in dialogue.turns]
        questions = [t.question for t in dialogue.turns]
        values = [
            *self._fluency(answers),
            *self._relation(questions, answers),
            *self._echo(answers),
            *self._character(dialogue.character, answers, use_lexicon=use_lexicon),
            *self._forms(answers),
        ]
        style = self.style(answers)
        usual = self._tables.manner.get(dialogue.character if use_lexicon else "")
        if usual is None:
            usual = self._strangers
        return [
            np.array(values),
            np.array(self._counts(dialogue.character, answers)),
            style,
            _unit(style - usual),
        ]

    def style(self, answers: Sequence[str]) -> Array:
        """The direction of the replies' characters in the space of latent semantic analysis.

        Weights are 1 + log count; `LexicalTables.style` has the inverse document frequencies in it.
        """
        counts = Counter(g for text in answers for g in character_ngrams(text, (1, 2)))
        table = self._tables.style
        vectors = [(1 + math.log(n)) * table[g] for g, n in sorted(counts.items()) if g in table]
        return _unit(np.sum(vectors, axis=0)) if vectors else np.zeros(self._tables.style_size)

    def _counts(self, name: str, answers: Sequence[str]) -> list[float]:
        """Lengths and closing questions, first and last reply; profile words; each common word."""
        out: list[float] = []
        for answer in (answers[0], answers[-1]):
            parts = _SENTENCE.findall(answer) or [""]
            out += [
                math.log1p(len(answer)),
                float(len(parts)),
                len(answer) / len(parts),
                float("？" in parts[-1] or "?" in parts[-1]),
                sum("？" in s or "?" in s for s in parts) / len(parts),
                sum("！" in s or "!" in s for s in parts) / len(parts),
            ]
        text = "".join(answers)
        out.append(len(set(text)) / math.sqrt(len(text) + 1))
        bigrams = [set(character_ngrams(a, (2,))) for a in (answers[0], answers[-1])]
        out.append(len(bigrams[0] & bigrams[1]) / max(1, len(bigrams[0] | bigrams[1])))
        own = self._tables.words.get(name, ())
        said = [word for word in own if word in text]
        out += [
            float(len(said)),
            math.log1p(sum(text.count(word) for word in said)),
            float(any(word in answers[0] for word in said)),
            float(any(word in answers[-1] for word in said)),
        ]
        return out + [math.log1p(text.count(word)) for word in _WORDS]

    def _fluency(self, answers: Sequence[str]) -> list[float]:
        logprobs = np.concatenate([self._model.logprobs(a) for a in answers if a] or [np.zeros(1)])
        window = (
            np.convolve(logprobs, np.ones(6) / 6, mode="valid") if len(logprobs) > 6 else logprobs
        )
        text = "".join(answers)
        doubled = sum(a == b for a, b in itertools.pairwise(text)) / max(1, len(text))
        return [
            float(logprobs.mean()),
            float(np.quantile(logprobs, 0.1)),
            float((logprobs < -8).mean()),
            float(window.min()),
            float(np.quantile(window, 0.2)),
            doubled,
        ]

    def _relation(self, questions: Sequence[str], answers: Sequence[str]) -> list[float]:
        out: list[float] = []
        worst_words, worst_topics = [], []
        question_topics = [self._vector(q) for q in questions]
        answer_topics = [self._vector(a) for a in answers]
        for question, topic, answer in zip(questions, question_topics, answers, strict=True):
            parts = [s for s in _SENTENCE.findall(answer) if len(s) > 6]
            worst_words.append(min((self._overlap(question, s) for s in parts), default=0.0))
            topics = [_cosine(topic, self._vector(s)) for s in parts]
            worst_topics.append(min(topics, default=0.0))
        pairs = [
            [self._overlap(q, a) for q, a in zip(questions, answers, strict=True)],
            [_cosine(q, a) for q, a in zip(question_topics, answer_topics, strict=True)],
        ]
        for values in (*pairs, worst_words, worst_topics):
            out += [float(np.mean(values)), float(np.min(values))]
        # How far the next question takes up the reply before it.
        follow = list(zip(answers, questions[1:], strict=False))
        out.append(float(np.mean([self._overlap(a, q) for a, q in follow])) if follow else 0.0)
        topics = [_cosine(a, q) for a, q in zip(answer_topics, question_topics[1:], strict=False)]
        out.append(float(np.mean(topics)) if topics else 0.0)
        return out

    def _echo(self, answers: Sequence[str]) -> list[float]:
        """The similarity of a sentence of the last reply to one of the first; is one negated?"""
        if len(answers) < 2:
            return [0.0, 0.0, 0.0]
        first = [
            (set(character_ngrams(s, (2,))), s) for s in _SENTENCE.findall(answers[0]) if len(s) > 5
        ]
        nearest, negated = 0.0, 0.0
        for s in _SENTENCE.findall(answers[-1]):
            mine = set(character_ngrams(s, (2,)))
            for theirs, other in first:
                near = len(mine & theirs) / max(1, len(mine | theirs))
                if near > nearest:
                    nearest = near
                    count = _FORM_PATTERNS["negation"]
                    negated = float(len(count.findall(s)) != len(count.findall(other)))
        return [nearest, float(nearest > 0.5), nearest * negated]

    def _character(self, name: str, answers: Sequence[str], *, use_lexicon: bool) -> list[float]:
        out: list[float] = []
        lexicon = (
            self._tables.lexicon
            if use_lexicon
            else {n: w for n, w in self._tables.lexicon.items() if n != name}
        )
        rows = []
        for answer in answers:
            present = set(character_ngrams(answer, self._sizes))
            scale = math.sqrt(len(answer) + 1)
            scores = {
                n: math.fsum(weights[g] for g in present & weights.keys()) / scale
                for n, weights in lexicon.items()
            }
            own = scores.pop(name, 0.0)
            other = max(scores.values(), default=0.0)
            hits = {
                n: sum(answer.count(w) * len(w) for w in words) / scale
                for n, words in self._tables.words.items()
            }
            mine = hits.pop(name, 0.0)
            rows.append([own, other, mine, max(hits.values(), default=0.0)])
        table = np.array(rows)
        known = float(name in lexicon)
        own, other, mine, foreign = table.T
        for margin in (known * (own - other), (1 - known) * other, mine - foreign, foreign):
            out += [float(margin.mean()), float(margin.min()), float(margin[-1])]
        out += [known, float(mine.mean()), float((mine == 0).mean()), float(own.max() - own.min())]
        return out

    def _forms(self, answers: Sequence[str]) -> list[float]:
        out: list[float] = []
        parts = [s for a in answers for s in _SENTENCE.findall(a)]
        for pattern in _FORM_PATTERNS.values():
            hits = sum(bool(pattern.search(s)) for s in parts)
            out += [hits / max(1, len(parts)), math.log1p(hits)]
        asks = sum("？" in s or "?" in s for s in parts)
        return [*out, asks / max(1, len(parts))]

    def _overlap(self, a: str, b: str) -> float:
        """Cosine of inverse-document-frequency weights over shared character bigrams."""
        x, y = set(character_ngrams(a, (2,))), set(character_ngrams(b, (2,)))
        norm = math.sqrt(self._weight(x) * self._weight(y))
        return self._weight(x & y) / norm if norm else 0.0

    def _weight(self, bigrams: Collection[str]) -> float:
        """The sum of their squared weights, exact: a set has another order in each process."""
        return math.fsum(self._tables.idf.get(g, 0.0) ** 2 for g in bigrams)

    def _vector(self, text: str) -> Array:
        topics, idf = self._tables.topics, self._tables.idf
        vectors = [
            idf[g] * topics[g] for g in sorted(set(character_ngrams(text, (2,)))) if g in topics
        ]
        return np.sum(vectors, axis=0) if vectors else np.zeros(1)


def _unit(vector: Array) -> Array:
    """The vector at length 1; 0 stays 0."""
    norm = float(np.linalg.norm(vector))
    return vector / norm if norm else vector


def _cosine(x: Array, y: Array) -> float:
    """Cosine of two topic vectors; 0 where a text has none."""
    if x.shape != y.shape:
        return 0.0
    norm = float(np.linalg.norm(x) * np.linalg.norm(y))
    return float(x @ y) / norm if norm else 0.0
