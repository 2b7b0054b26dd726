"""Models on a test server, which say what the test decides."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

from judge.engines import EngineOptions
from judge.engines.http import HttpEngine
from judge.roleplay import Cast, RoleplayPrompts, Scene, load_prompts
from judge.types import Sampling
from tests.unit.engines.recorded.wire import Reply, Request, Wire

__all__ = ["NAMES", "PROMPTS", "Chat", "Says", "cast", "chats", "model", "scene_list", "serving"]

NAMES = ("player", "asker")
PROMPTS: RoleplayPrompts = load_prompts()
Chat = Sequence[dict[str, str]]
Says = Callable[[str, Chat], Reply | str | None]
"""What a model says to a chat; None for the usual: words that depend on all it was asked."""


def serving(says: Says = lambda *_: None) -> Wire:
    """A server with OpenAI's protocol and the models of `NAMES`."""

    def answer(request: Request) -> Reply:
        if request.path == "/v1/models":
            return Reply({"data": [{"id": name, "owned_by": "us"} for name in NAMES]})
        if request.path != "/v1/chat/completions":
            return Reply({}, 404)
        body = request.body
        said = says(body["model"], body["messages"])
        if isinstance(said, Reply):
            return said
        if said is None:
            digest = hashlib.sha256(repr(sorted(body.items())).encode()).hexdigest()
            said = f"{body['model']}说{digest}"
        choice = {"message": {"role": "assistant", "content": said}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 7, "completion_tokens": 5}
        return Reply({"model": body["model"], "choices": [choice], "usage": usage})

    return Wire(answer)


def model(wire: Wire, name: str = "player", batch: int = 2) -> HttpEngine:
    return HttpEngine(name, EngineOptions(base_url=wire.url, batch_size=batch))


def cast(wire: Wire, batch: int = 2, **changes: Any) -> Cast:
    """The model `player` plays the characters, and `asker` the user."""
    sampling = Sampling(max_tokens=9)
    given: dict[str, Any] = {
        "model": model(wire, "player", batch),
        "user": model(wire, "asker", batch),
        "prompts": PROMPTS,
        "sampling": sampling,
        "user_sampling": sampling,
    }
    return Cast(**given | changes)


def scene_list(count: int = 5) -> list[Scene]:
    return [Scene("小明", str(i), f"今天第{i}次迟到了。", {}) for i in range(1, count + 1)]


def chats(wire: Wire, name: str | None = None) -> list[Chat]:
    """The chats that a model was asked, in no particular order."""
    bodies = wire.asked("/v1/chat/completions")
    return [body["messages"] for body in bodies if name in {None, body["model"]}]
