"""From what an engine read to a judgment: a distribution over the labels, or a failure."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence

from judge.types import Dialogue, Failure, Judgment, LabelRead, PromptTree, ScoreDistribution

__all__ = ["blank_reply", "judgment", "keys", "prompts_hash"]

_MASS_FLOOR = 1e-12
"""A judge that is so sure of saying something else has not answered: no number is made of it."""

_ROUNDING = 1e-3
"""How far the probabilities of the labels may sum to more than 1, for want of precision."""


def keys(tree: PromptTree, fingerprint: str) -> Mapping[tuple[int, str], str]:
    """(item, metric) -> SHA-256 (hex) of what is asked: judge, every segment, and the labels."""
    start = hashlib.sha256(_framed(fingerprint, *_asked(tree)))
    found = {}
    for index, item in enumerate(tree.items):
        shared = start.copy()
        shared.update(_framed(tree.profiles[item.dialogue.character], item.text))
        for metric in item.metrics:
            question = tree.questions[metric]
            digest = shared.copy()
            digest.update(_framed(question.text, question.prefill))
            found[index, metric] = digest.hexdigest()
    return found


def prompts_hash(tree: PromptTree) -> str:
    """SHA-256 (hex) of what all prompts of a tree share: system text, questions and labels."""
    questions = [text for q in tree.questions.values() for text in (q.metric, q.text, q.prefill)]
    return hashlib.sha256(_framed(*_asked(tree), *questions)).hexdigest()


def _asked(tree: PromptTree) -> list[str]:
    """What is the same for every prompt; a plain tree keeps the hash it always had."""
    reason = [f"rationale {tree.rationale}"] if tree.rationale else []
    return [tree.system, *tree.labels, *reason]


def blank_reply(dialogue: Dialogue) -> Failure | None:
    """Why `dialogue` cannot be judged at all: a reply without text has nothing to judge."""
    for number, turn in enumerate(dialogue.turns, start=1):
        if not turn.answer.strip():
            return Failure("empty_reply", f"the reply of round {number} is empty")
    return None


def judgment(
    read: LabelRead, dialogue: Dialogue, key: str, rationale: str | None = None
) -> Judgment:
    """The judgment that `read` amounts to."""
    outcome = read.outcome
    return Judgment(
        key=key,
        system=dialogue.system,
        character=dialogue.character,
        scenario=dialogue.scenario,
        metric=read.metric,
        outcome=outcome if isinstance(outcome, Failure) else _distribution(outcome, read),
        rationale=rationale,
    )


def _distribution(logprobs: Sequence[float], read: LabelRead) -> ScoreDistribution | Failure:
    """A label may have probability 0 (-inf); all of them together must have some, and at most 1."""
    # Written so that nan is refused too; and first, because exp of a large number overflows.
    if not all(value <= _ROUNDING for value in logprobs):
        shown = ", ".join(f"{value:.4g}" for value in logprobs)
        return Failure("not_probabilities", f"the judge's log-probabilities are {shown}")
    mass = math.fsum(math.exp(value) for value in logprobs)
    if mass > 1 + _ROUNDING:
        return Failure("not_probabilities", f"the judge's probabilities sum to {mass:.4g}")
    if mass < _MASS_FLOOR:
        return Failure("no_label_mass", f"the labels have a total probability of {mass:.1e} only")
    return ScoreDistribution(tuple(logprobs), read.top_is_label, read.reading)


def _framed(*texts: str) -> bytes:
    """Length before text, so that no two lists of texts read alike."""
    encoded = [text.encode() for text in texts]
    return b"".join(b"%d:%b" % (len(data), data) for data in encoded)
