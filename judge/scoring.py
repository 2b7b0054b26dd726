"""From prompts to keys, and from what an engine read to judgments."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence

from judge.types import Dialogue, Failure, Judgment, LabelRead, PromptTree, ScoreDistribution

__all__ = ["PromptId", "blank_reply_failure", "make_judgment", "prompt_keys", "prompts_hash"]

PromptId = tuple[int, str]
"""The position of an item in the tree, and a metric."""

_MIN_LABEL_MASS = 1e-12
"""With a smaller total probability of the labels the judge has not answered: there is no score."""

_ROUNDING = 1e-3
"""By how much the probabilities of the labels may sum to more than 1 because of rounding."""


def prompt_keys(tree: PromptTree, fingerprint: str) -> Mapping[PromptId, str]:
    """SHA-256 (hex) of each prompt of a tree: the judge, every segment, and the labels."""
    common = hashlib.sha256(_framed(fingerprint, *_common_texts(tree)))
    keys = {}
    for index, item in enumerate(tree.items):
        of_item = common.copy()
        of_item.update(_framed(tree.profiles[item.dialogue.character], item.text))
        for metric in item.metrics:
            question = tree.questions[metric]
            digest = of_item.copy()
            digest.update(_framed(question.text, question.prefill))
            keys[index, metric] = digest.hexdigest()
    return keys


def prompts_hash(tree: PromptTree) -> str:
    """SHA-256 (hex) of what all prompts of a tree share: system text, questions and labels."""
    questions = [text for q in tree.questions.values() for text in (q.metric, q.text, q.prefill)]
    return hashlib.sha256(_framed(*_common_texts(tree), *questions)).hexdigest()


def _common_texts(tree: PromptTree) -> list[str]:
    """The texts that all prompts have in common; the limit of rationales only if there are any."""
    rationale = [f"rationale {tree.rationale}"] if tree.rationale else []
    return [tree.system, *tree.labels, *rationale]


def _framed(*texts: str) -> bytes:
    """The texts with their lengths, so that two different lists never give the same bytes."""
    encoded = [text.encode() for text in texts]
    return b"".join(b"%d:%b" % (len(data), data) for data in encoded)


def blank_reply_failure(dialogue: Dialogue) -> Failure | None:
    """The failure of a dialogue with a blank reply, in which there is nothing to judge."""
    for number, turn in enumerate(dialogue.turns, start=1):
        if not turn.answer.strip():
            return Failure("empty_reply", f"the reply of round {number} is empty")
    return None


def make_judgment(
    read: LabelRead, dialogue: Dialogue, key: str, rationale: str | None = None
) -> Judgment:
    """The judgment that follows from what an engine read.

    Args:
        read: the log-probabilities of the labels, or why there are none.
        dialogue: what was judged.
        key: of the prompt (see `prompt_keys`).
    """
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
    """A single label may have probability 0 (-inf), but their total must be in (0, 1]."""
    # `not all(<=)` also refuses NaN, and comes first because exp of a large number overflows.
    if not all(value <= _ROUNDING for value in logprobs):
        shown = ", ".join(f"{value:.4g}" for value in logprobs)
        return Failure("not_probabilities", f"the judge's log-probabilities are {shown}")
    mass = math.fsum(math.exp(value) for value in logprobs)
    if mass > 1 + _ROUNDING:
        return Failure("not_probabilities", f"the judge's probabilities sum to {mass:.4g}")
    if mass < _MIN_LABEL_MASS:
        return Failure("no_label_mass", f"the labels have a total probability of {mass:.1e} only")
    return ScoreDistribution(tuple(logprobs), read.top_is_label, read.reading)
