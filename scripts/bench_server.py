#!/usr/bin/env python3
"""How fast a server is asked, without and with faults, and whether every prompt is judged once.

    python scripts/bench_server.py                 # 2001 requests, 5% of them faulty
    python scripts/bench_server.py --faults 0
    python scripts/bench_server.py --gone 60       # away for a minute after the first 500 answers

The server is a stand-in in a process of its own, on this machine. It answers every prompt alike,
20 ms after it was asked.
"""

from __future__ import annotations

import json
import multiprocessing
import random
import resource
import socket
import struct
import tempfile
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import click

from judge import pipeline
from judge.engines import EngineOptions
from judge.engines.http import HttpEngine
from judge.store import Store
from judge.types import Dialogue, PromptItem, PromptTree, Question, Turn

SECONDS = 0.02
FAULTS = ("429", "500", "503", "reset", "slow", "cut")
LABELS = ("1", "2", "3", "4", "5")
METRICS = ("fluency", "speech_style", "demand_matching")
SHOWN = [{"token": label, "logprob": -0.5 - i} for i, label in enumerate(reversed(LABELS))]
CHOICE = {"message": {"content": "5"}, "logprobs": {"content": [{"top_logprobs": SHOWN}]}}
ANSWER = json.dumps({"model": "m", "choices": [CHOICE]}).encode()
BEFORE_GONE = 500
RESET = struct.pack("ii", 1, 0)


def send(handler: BaseHTTPRequestHandler, status: int, data: bytes, pieces: int = 1) -> None:
    """An answer, in several pieces with 0.2 s between them."""
    handler.send_response(status)
    handler.send_header("content-length", str(len(data)))
    handler.end_headers()
    size = -(-len(data) // pieces)
    for start in range(0, len(data), size):
        handler.wfile.write(data[start : start + size])
        if pieces > 1:
            handler.wfile.flush()
            time.sleep(0.2)


def serve(share: float, gone: float, pipe: Connection) -> None:  # noqa: C901 - handler and server
    """Tell the port, serve until something comes, then tell what was answered."""
    rng, lock = random.Random(7), threading.Lock()  # noqa: S311
    answered: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    away = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_GET(self) -> None:
            listed = self.path.endswith("/models")
            send(self, 200 if listed else 404, b'{"data": [{"id": "m"}]}')

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            if away.is_set():  # a connection that was open before
                self.close_connection = True
                return
            with lock:
                fault = rng.choice(FAULTS) if rng.random() < share else ""
                faults[fault] += 1
            time.sleep(SECONDS)
            if fault.isdecimal():
                send(self, int(fault), b'{"error": {"message": "not now"}}')
            elif fault == "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                self.close_connection = True
            elif fault == "cut":
                send(self, 200, ANSWER[:60])
            else:
                with lock:
                    answered[str(body["messages"])] += 1
                send(self, 200, ANSWER, 8 if fault == "slow" else 1)

        def log_message(self, *_: Any) -> None:
            """Nobody reads it."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, *_: Any) -> None:
            """Resets are part of it."""

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    pipe.send(server.server_port)
    if gone:
        while answered.total() < BEFORE_GONE:
            time.sleep(0.1)
        away.set()
        server.shutdown()
        server.server_close()
        time.sleep(gone)
        away.clear()
        server = Server(("127.0.0.1", server.server_port), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
    pipe.recv()
    del faults[""]
    pipe.send({"faults": dict(faults), "twice": sum(n > 1 for n in answered.values())})


@click.command(help=__doc__)
@click.option("--dialogues", default=667, show_default=True, help="Three prompts about each.")
@click.option("--faults", default=0.05, show_default=True, help="Share of faulty answers.")
@click.option("--gone", default=0.0, help="Seconds for which nothing listens, half-way.")
def main(dialogues: int, faults: float, gone: float) -> None:
    """Judge every prompt and print one JSON object."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.Process(target=serve, args=(faults, gone, there), daemon=True)
    process.start()
    items = tuple(
        PromptItem(Dialogue("s", "Ann", str(i), (Turn("q", "a"),)), f"dialogue {i}\n", METRICS)
        for i in range(dialogues)
    )
    questions = {name: Question(name, f"{name}?", "score: ") for name in METRICS}
    tree = PromptTree("Judge.", {"Ann": "Ann\n"}, questions, LABELS, items)
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder)) as store:
        judge = HttpEngine("m", EngineOptions(base_url=f"http://127.0.0.1:{here.recv()}/v1"))
        began = time.monotonic()
        pipeline.score(tree, judge, store)
        seconds = time.monotonic() - began
        judged = sum(judgment.score is not None for judgment in store.judgments())
    here.send("done")
    facts = {"prompts": len(tree), "judged": judged, "per_second": round(judged / seconds)}
    facts["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    click.echo(json.dumps({**facts, **here.recv()}))


if __name__ == "__main__":
    main()
