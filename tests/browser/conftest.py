"""A real browser, driven over its own protocol; where there is none, its tests are skipped."""

from __future__ import annotations

import fcntl
import json
import os
import select
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless",
    "--no-sandbox",  # the tests may run as root, and open their own pages only
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--remote-debugging-pipe",
)
PATIENCE = 60.0
"""Seconds for an answer."""


class Chrome:
    """One browser process. It reads commands from its file 3 and answers on its file 4."""

    def __init__(self, program: str, profile: Path) -> None:
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        # Out of the way of 3 and 4, which they become in the child.
        spare = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (theirs_in, theirs_out)]
        nowhere = os.open(os.devnull, os.O_RDWR)
        self._pid = os.posix_spawn(
            program,
            [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, nowhere, 1),
                (os.POSIX_SPAWN_DUP2, nowhere, 2),
                (os.POSIX_SPAWN_DUP2, spare[0], 3),
                (os.POSIX_SPAWN_DUP2, spare[1], 4),
            ],
            setpgroup=0,
        )
        for end in (theirs_in, theirs_out, nowhere, *spare):
            os.close(end)
        self._asked = 0
        self._rest = b""
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        """The result of a command; what happens meanwhile is added to `events`."""
        self._asked += 1
        message: dict[str, Any] = {"id": self._asked, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.next()
            if answer.get("id") == self._asked:
                assert "error" not in answer, (method, answer)
                return dict(answer["result"])

    def next(self) -> dict[str, Any]:
        """The next message, an event among the `events` too."""
        deadline = time.monotonic() + PATIENCE
        while b"\0" not in self._rest:
            if not select.select([self._in], [], [], deadline - time.monotonic())[0]:
                raise TimeoutError("the browser does not answer")
            read = os.read(self._in, 1 << 20)
            assert read, "the browser has ended"
            self._rest += read
        message, self._rest = self._rest.split(b"\0", 1)
        found: dict[str, Any] = json.loads(message)
        if "method" in found:
            self.events.append(found)
        return found

    def close(self) -> None:
        """End it and its children."""
        os.close(self._out)
        os.killpg(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._in)


class Tab:
    """One page in the browser."""

    def __init__(self, chrome: Chrome) -> None:
        self._chrome = chrome
        self.target = chrome.call("Target.createTarget", url="about:blank")["targetId"]
        attached = chrome.call("Target.attachToTarget", targetId=self.target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """A command to this page."""
        return self._chrome.call(method, self._session, **params)

    def open(
        self, path: Path, *, width: int = 1280, dark: bool = False, fragment: str = ""
    ) -> None:
        """Load a file, at a place in it if there is one, and wait until it is there."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=800,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        del self._chrome.events[:]
        self.call("Page.navigate", url=path.as_uri() + fragment)
        while not self.events("Page.loadEventFired"):
            self._chrome.next()

    def events(self, *methods: str) -> list[dict[str, Any]]:
        """What happened in this page since it was opened, of these kinds."""
        return [
            event["params"]
            for event in self._chrome.events
            if event["method"] in methods and event.get("sessionId") == self._session
        ]

    def run(self, script: str) -> Any:
        """The value of an expression, awaited."""
        found = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def press(self, key: str) -> None:
        """A real key: Enter, Space, Tab or an arrow."""
        codes = {"Enter": (13, "\r"), "Space": (32, " "), "Tab": (9, ""), "ArrowDown": (40, "")}
        code, text = codes[key]
        named = {"key": text if key == "Space" else key, "code": key, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **named)
        self.call("Input.dispatchKeyEvent", type="keyUp", **named)


@pytest.fixture(scope="session")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """$JUDGE_CHROMIUM, or the first of the usual names that is installed."""
    asked = os.environ.get("JUDGE_CHROMIUM")
    program = next(filter(None, map(shutil.which, [asked] if asked else NAMES)), None)
    if program is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is installed; set JUDGE_CHROMIUM")
    browser = Chrome(program, tmp_path_factory.mktemp("profile"))
    try:
        yield browser
    finally:
        browser.close()


@pytest.fixture
def tab(chrome: Chrome) -> Iterator[Tab]:
    """A fresh page."""
    fresh = Tab(chrome)
    yield fresh
    chrome.call("Target.closeTarget", targetId=fresh.target)
