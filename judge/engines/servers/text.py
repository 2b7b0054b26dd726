"""What servers that take texts have in common: labels are found among the most probable tokens.

A label may be there in several spellings, with a blank before it or a line break after it: their
probabilities are summed. What is not shown has no number and counts as 0, so that the label mass
is a lower bound; all such reads are truncated ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from judge.engines.servers.server import ServerPrompt
from judge.errors import EngineError
from judge.types import Failure, LabelRead

__all__ = ["TOP", "messages", "no_logprobs", "spelt_read"]

TOP = 20
"""As many tokens as OpenAI's and Ollama's interfaces show."""

_BLANKS = " \t\r\n\u2581"


def messages(system: str, user: str, answer_start: str = "") -> list[dict[str, str]]:
    """A chat; with `answer_start` its last message is the beginning of the answer."""
    chat = [{"role": "system", "content": system}] if system else []
    chat.append({"role": "user", "content": user})
    return chat + ([{"role": "assistant", "content": answer_start}] if answer_start else [])


def spelt_read(asked: ServerPrompt, shown: Sequence[Mapping[str, Any]]) -> LabelRead:
    """The read of a server that shows tokens as texts.

    Args:
        asked: the prompt.
        shown: the most probable tokens, each with `token`, `logprob` and perhaps `bytes`.
    """
    mass = dict.fromkeys(asked.labels, 0.0)
    for token in shown:
        text = _text(token)
        if text in mass:
            mass[text] += math.exp(token["logprob"])
    if not any(mass.values()):
        reason = f"none of the labels is among the {len(shown)} tokens that the server showed"
        return LabelRead(asked.item, asked.metric, Failure("labels_not_shown", reason))
    return LabelRead(
        asked.item,
        asked.metric,
        tuple(math.log(p) if p else -math.inf for p in mass.values()),
        top_is_label=_text(max(shown, key=lambda token: token["logprob"])) in mass,
        reading="truncated",
    )


def _text(token: Mapping[str, Any]) -> str:
    spelt = token.get("bytes")
    text = bytes(spelt).decode(errors="replace") if spelt else str(token["token"])
    return text.strip(_BLANKS)


def no_logprobs(model: str) -> EngineError:
    """For a server that shows no log-probabilities at all."""
    return EngineError(
        f"the server shows no log-probabilities of {model}",
        hint="count answers instead, with --samples 20, or use a server that shows them",
    )
