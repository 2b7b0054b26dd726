"""A chat in OpenAI's format and the reply in its answer, which all kinds of servers share."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from judge.engines.chat import THINKING, reply
from judge.types import Failure, Message, Reply, Sampling

__all__ = ["filtered", "refuses_system", "reply_of", "settings", "shown", "switched"]

_NO_SYSTEM = re.compile(
    r"system (role|message|prompt)|\brole.{0,30}\bsystem|roles must alternate|only user",
    re.IGNORECASE,
)
"""What templates say that know no system role, in a refusal of the server."""

_LIKE_SPECIAL = re.compile(r"(?<=<)(?=[|｜]?/?\w[\w▁ ]{0,40}[|｜]?>)|(?<=\[)(?=/?[A-Z_]{2,40}\])")
_NOTHING = "\u200b"


def shown(chat: Sequence[Message]) -> list[dict[str, str]]:
    """The messages of a chat.

    A server reads a special token in a text as one, and there is no way to tell it not to. So what
    looks like one gets a space without width into it, and stays text.
    """
    return [{"role": m.role, "content": _LIKE_SPECIAL.sub(_NOTHING, m.text.strip())} for m in chat]


def settings(sampling: Sampling, seed: int) -> dict[str, Any]:
    """What OpenAI's interface and all that follow it call the settings, but for the limit."""
    return {"temperature": sampling.temperature, "top_p": sampling.top_p, "seed": seed}


def switched(sampling: Sampling) -> dict[str, Any]:
    """What a server that has the template is to tell it."""
    return {"chat_template_kwargs": {THINKING: sampling.thinking}}


def reply_of(chat: int, answer: Mapping[str, Any]) -> Reply:
    """The reply in an answer; servers have two names for a thought that they tell apart."""
    choice, used = answer["choices"][0], answer.get("usage") or {}
    said = choice["message"]
    thought = said.get("reasoning_content") or said.get("reasoning") or ""
    failure = filtered(choice)
    text = said.get("content") or said.get("refusal") or ""
    found = Reply(chat, failure) if failure else reply(chat, text, thought=thought)
    return replace(
        found,
        tokens=used.get("completion_tokens") or 0,
        prompt_tokens=used.get("prompt_tokens") or 0,
        cut=choice.get("finish_reason") == "length",
    )


def filtered(choice: Mapping[str, Any]) -> Failure | None:
    """Why there is no answer, if the server's own filter stopped it."""
    if choice.get("finish_reason") != "content_filter":
        return None
    return Failure("filtered", "the server's content filter stopped the answer")


def refuses_system(said: str) -> bool:
    """Whether a refusal is about the system role."""
    return bool(_NO_SYSTEM.search(said))
