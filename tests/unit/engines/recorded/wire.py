"""A real HTTP server on this machine whose answers a test decides."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True)
class Request:
    """What came; header names as they were sent."""

    method: str
    path: str
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    """What goes out: JSON, or a page if `body` is a text."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Answer = Callable[[Request], Reply | None]
"""None hangs up without a word."""


class Wire:
    """Serves while it is entered; `requests` holds all that came."""

    def __init__(self, answer: Answer) -> None:
        self.requests: list[Request] = []
        self.answer = answer
        wire = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # head and body in one packet, or the second waits for the client

            def do_GET(self) -> None:
                self._serve()

            def do_POST(self) -> None:
                self._serve()

            def _serve(self) -> None:
                size = int(self.headers.get("content-length", 0))
                body = json.loads(self.rfile.read(size)) if size else None
                request = Request(self.command, self.path, body, dict(self.headers.items()))
                wire.requests.append(request)
                reply = wire.answer(request)
                if reply is None:
                    self.close_connection = True
                    return
                text = isinstance(reply.body, str)
                data = (reply.body if text else json.dumps(reply.body)).encode()
                self.send_response(reply.status)
                self.send_header("content-type", "text/html" if text else "application/json")
                self.send_header("content-length", str(len(data)))
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, *_: Any) -> None:
                """A client that has gone is part of a test."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.root = f"http://127.0.0.1:{self._server.server_port}"
        self.url = f"{self.root}/v1"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def asked(self, path: str) -> list[Any]:
        """The bodies that came to `path`."""
        return [request.body for request in self.requests if request.path == path]


class Recording:
    """What a real server said; a request that it never got is answered with 418."""

    def __init__(self, name: str) -> None:
        path = Path(__file__).parent / f"{name}.jsonl"
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        self.facts: dict[str, str] = lines[0]
        self.reads: list[Any] = [line["read"] for line in lines if "read" in line]
        self.written: list[str] = [line["written"] for line in lines if "written" in line]
        self.answers = {_key(e["path"], e.get("body")): e["answer"] for e in lines if "path" in e}
        self.used: set[str] = set()

    def __call__(self, request: Request) -> Reply:
        key = _key(request.path, request.body)
        if key not in self.answers:
            return Reply({"error": f"never asked: {key[:200]}"}, status=418)
        self.used.add(key)
        answer = self.answers[key]
        return Reply({}, status=404) if answer is None else Reply(answer)


def _key(path: str, body: Any) -> str:
    return json.dumps([path, body], sort_keys=True)
