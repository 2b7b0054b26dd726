"""A server with OpenAI's interface, in a process of its own, that really asks a small model.

    python tests/e2e/openai_server.py MODEL_FOLDER

It prints its address and serves until it is killed. What stands in an address before `/v1` tells
how it behaves there: `/429x2/v1` answers the first two chats with HTTP 429, `/no-system/v1`
refuses the system role, `/mute-user/v1` says nothing to chats about a chat. `/asked` gives the
chats that were replied to since it was last asked.
"""

from __future__ import annotations

import json
import re
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import torch

from judge.engines.hf import HfEngine
from judge.engines.interface import EngineOptions
from judge.types import Failure, Message, Sampling

NAME = "small"
SLOW = 0.05
"""Seconds for each reply on top: a test has to be quicker than the server."""


class Model:
    """One chat after the other: what is replied depends on nothing else."""

    def __init__(self, folder: str) -> None:
        torch.set_num_threads(1)
        self._engine = HfEngine(folder, EngineOptions(device="cpu"))
        self._engine.load()
        self._one = threading.Lock()
        self.asked: list[Any] = []
        self.failed: Counter[str] = Counter()

    def reply(self, body: dict[str, Any]) -> dict[str, Any]:
        chat = [Message(message["role"], message["content"]) for message in body["messages"]]
        sampling = Sampling(
            max_tokens=body["max_tokens"],
            temperature=body["temperature"],
            top_p=body["top_p"],
            seed=body["seed"],
        )
        with self._one:
            (reply,) = self._engine.generate([chat], sampling)
            self.asked.append([body["messages"], body["seed"]])
        time.sleep(SLOW)
        assert not isinstance(reply.outcome, Failure)
        message = {"role": "assistant", "content": reply.outcome}
        finish = "length" if reply.cut else "stop"
        used = {"prompt_tokens": reply.prompt_tokens, "completion_tokens": reply.tokens}
        choice = {"index": 0, "message": message, "finish_reason": finish}
        return {"id": "x", "model": NAME, "choices": [choice], "usage": used}


def answer(model: Model, path: str, body: Any) -> tuple[int, Any]:
    """Status and JSON."""
    if path == "/asked":
        asked, model.asked = model.asked, []
        return 200, asked
    if path.endswith("/v1/models"):
        return 200, {"object": "list", "data": [{"id": NAME, "object": "model", "owned_by": "x"}]}
    if not path.endswith("/v1/chat/completions"):
        return 404, {"error": {"message": "there is nothing here"}}
    trouble = re.search(r"/(\d{3})x(\d+)/", path)
    if trouble and model.failed[path] < int(trouble[2]):
        model.failed[path] += 1
        return int(trouble[1]), {"error": {"message": "not now"}}
    system, user = body["messages"][0], body["messages"][-1]
    if "/no-system/" in path and system["role"] == "system":
        return 400, {"error": {"message": "System role not supported"}}
    found = model.reply(body)
    if "/mute-user/" in path and user["content"].startswith("# "):
        found["choices"][0] |= {
            "message": {"role": "assistant", "content": ""},
            "finish_reason": "stop",
        }
    return 200, found


def main() -> None:
    model = Model(sys.argv[1])

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one packet, or the second waits for the client

        def _serve(self) -> None:
            size = int(self.headers.get("content-length", 0))
            body = json.loads(self.rfile.read(size)) if size else None
            status, found = answer(model, self.path, body)
            data = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            if status == 429:
                self.send_header("retry-after", "0")
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self) -> None:
            self._serve()

        def do_POST(self) -> None:
            self._serve()

        def log_message(self, *_: Any) -> None:
            """Nobody reads it."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            """A client that has been killed is part of a test."""

    server = Server(("127.0.0.1", 0), Handler)
    sys.stdout.write(f"http://127.0.0.1:{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
