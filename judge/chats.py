"""Chats as lists of messages: OpenAI's `messages` and ShareGPT's `conversations`."""

from __future__ import annotations

import re
from pathlib import Path

from judge.errors import DataError
from judge.text_files import describe, parse_json
from judge.types import Turn

__all__ = ["RecordError", "character_in", "parse_text", "read_chat", "without_thought"]

_ROLES = {"user": "user", "human": "user", "用户": "user"} | dict.fromkeys(
    ("assistant", "gpt", "model", "bot", "chatgpt", "助手"), "assistant"
)
_ROLES |= {"system": "system", "developer": "system"}
_THOUGHT = re.compile(r"\s*(?:<think>)?.*?</think>\s*|\s*<think>.*", re.DOTALL)
_NAMED = re.compile(
    r"(?:你(?:现在|将)?(?:是|扮演的?是?|叫)|请?扮演|角色(?:名)?[:：]|名字[是叫:：]|"
    r"\b(?:you are|act as|play(?:ing)?(?: the role of| as)?|your name is|character:)"
    r"(?: now)?(?: playing)?(?: the character(?: of)?| a character named)?)"
    r"\s*[\"“「『]?([^，。,.!！；;:：\n\"”」』]{1,40})",
    re.IGNORECASE,
)
_NO_NAME = re.compile(r"(?:an?|the|my|一[个名位只]|谁)\b|一[个名位只]|谁", re.IGNORECASE)


class RecordError(ValueError):
    """What is wrong with one value or record; the reader adds the file and the line."""


def read_chat(messages: object, prompt: str) -> tuple[str, list[Turn]]:
    """The system prompt and the rounds of a chat; messages of one side in a row are one."""
    if isinstance(messages, str):
        try:
            messages = parse_json(Path("messages"), messages)
        except DataError as error:
            raise RecordError(f"the messages are {error.message}") from None
    if not isinstance(messages, list) or not messages:
        raise RecordError(f"messages must be a list, found {describe(messages)}")
    turns: list[list[str | None]] = []
    for message in messages:
        role, text = _said(message)
        if role == "system":
            prompt = f"{prompt}\n{text}".strip()
        elif role == "user" and (not turns or turns[-1][1] is not None):
            turns.append([text, None])
        elif role == "user":
            turns[-1][0] = f"{turns[-1][0]}\n{text}"
        else:
            turns = turns or [["", None]]
            before = turns[-1][1]
            turns[-1][1] = text if before is None else f"{before}\n{text}"
    if not turns:
        raise RecordError("the messages hold no round")
    return prompt, [Turn(question or "", answer or "") for question, answer in turns]


def _said(message: object) -> tuple[str, str]:
    """Who said what: the role and the text of a message."""
    if not isinstance(message, dict):
        raise RecordError(f"a message must be an object, found {describe(message)}")
    role = next((message[k] for k in ("role", "from", "speaker") if k in message), None)
    known = _ROLES.get(str(role).strip().casefold())
    if known is None:
        raise RecordError(f"the role {role!r} of a message is neither user nor assistant")
    keys = ("content", "value", "text", "utterance")
    return known, _message_text(next((message[k] for k in keys if k in message), None))


def _message_text(content: object) -> str:
    if isinstance(content, list):  # parts, of which only text can be judged
        texts = [part.get("text") for part in content if isinstance(part, dict)]
        if len(texts) < len(content) or not all(isinstance(text, str) for text in texts):
            raise RecordError("a message holds something other than text")
        return "".join(parse_text(text, "content") for text in texts)
    return parse_text(content, "the content of a message")


def character_in(prompt: str) -> str:
    """Whom a system prompt makes the model play."""
    for match in _NAMED.finditer(prompt):
        name = re.split(r"\s+(?:from|in|of)\s+", match[1].strip())[0].strip()
        if name and not _NO_NAME.match(name):
            return parse_text(name, "character")
    raise RecordError("no column character, and no system prompt that says who is played")


def without_thought(text: str) -> str | None:
    """An answer without what the model thought before it; None if it shows no thought."""
    match = _THOUGHT.match(text) if "think>" in text else None
    return text[match.end() :] if match else None


def parse_text(value: object, column: str) -> str:
    """A text that can be stored; `column` is what it is called in messages."""
    if not isinstance(value, str):
        raise RecordError(f'{column} must be text, found {describe(value)} (an empty reply is "")')
    try:
        value.encode()
    except UnicodeEncodeError as error:  # half of a surrogate pair, which JSON can write
        half = f"\\u{ord(value[error.start]):04x}"
        raise RecordError(f"{column} holds half a character ({half}); write it whole") from None
    return value
